//! Types that travel as another, plainer type and are checked when they arrive: ids, lanes, times. A value of such a
//! type never exists unchecked.

/// A type encoded as `Plain` and checked on the way back.
pub trait Coded: Sized {
    /// What stands on the wire.
    type Plain;
    /// The plain form.
    fn to_plain(&self) -> Self::Plain;
    /// The checked value, or what is wrong with the plain form.
    fn from_plain(plain: Self::Plain) -> Result<Self, String>;
}

/// Writes the codec's traits for a [`Coded`] type.
#[macro_export]
macro_rules! impl_coded {
    ($($type:ty),+ $(,)?) => {$(
        impl ::bincode::Encode for $type {
            fn encode<E: ::bincode::enc::Encoder>(&self, encoder: &mut E) -> Result<(), ::bincode::error::EncodeError> {
                ::bincode::Encode::encode(&$crate::codec::Coded::to_plain(self), encoder)
            }
        }
        impl<C> ::bincode::Decode<C> for $type {
            fn decode<D: ::bincode::de::Decoder<Context = C>>(
                decoder: &mut D,
            ) -> Result<Self, ::bincode::error::DecodeError> {
                let plain = ::bincode::Decode::<C>::decode(decoder)?;
                <Self as $crate::codec::Coded>::from_plain(plain).map_err(::bincode::error::DecodeError::OtherString)
            }
        }
        impl<'de, C> ::bincode::BorrowDecode<'de, C> for $type {
            fn borrow_decode<D: ::bincode::de::BorrowDecoder<'de, Context = C>>(
                decoder: &mut D,
            ) -> Result<Self, ::bincode::error::DecodeError> {
                <Self as ::bincode::Decode<C>>::decode(decoder)
            }
        }
    )+};
}
pub use impl_coded;
