//! Texts, byte strings and lists that carry their bound in their type. The bound is checked before anything is
//! allocated, both when decoding bytes and when reading JSON. These types never hold more than they say.

use bincode::de::{BorrowDecode, BorrowDecoder, Decode, Decoder};
use bincode::enc::{Encode, Encoder};
use bincode::error::{DecodeError, EncodeError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::Deref;

/// A UTF-8 text of at most `MAX` bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Text<const MAX: usize>(String);

/// A byte string of at most `MAX` bytes.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Blob<const MAX: usize>(Vec<u8>);

/// A list of at most `MAX` values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct List<T, const MAX: usize>(Vec<T>);

/// A text is longer than its field allows. The caller who made the text is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes where at most {max} are allowed")]
pub struct TextError {
    /// How long the text is, in bytes of UTF-8.
    pub bytes: usize,
    /// How long it may be.
    pub max: usize,
}

impl<const MAX: usize> Text<MAX> {
    /// Takes a text if it fits.
    pub fn new(text: impl Into<String>) -> Result<Self, TextError> {
        let text = text.into();
        if text.len() > MAX {
            return Err(TextError { bytes: text.len(), max: MAX });
        }
        Ok(Self(text))
    }

    /// Takes as much of a text as fits, cut at a character boundary. For our own explanations only.
    pub fn cut(text: &str) -> Self {
        let mut end = text.len().min(MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self(text[..end].to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> Blob<MAX> {
    /// Takes bytes if they fit.
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() <= MAX).then_some(Self(bytes))
    }
}

impl<T, const MAX: usize> List<T, MAX> {
    /// Takes values if they fit.
    pub fn new(values: Vec<T>) -> Option<Self> {
        (values.len() <= MAX).then_some(Self(values))
    }

    /// A list without values.
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    /// The values, as a vector.
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> Deref for Blob<MAX> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<T, const MAX: usize> Deref for List<T, MAX> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> fmt::Debug for Blob<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl<const MAX: usize> Encode for Text<MAX> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.0.encode(encoder)
    }
}

impl<const MAX: usize> Encode for Blob<MAX> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.0.encode(encoder)
    }
}

impl<T: Encode, const MAX: usize> Encode for List<T, MAX> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        (self.0.len() as u64).encode(encoder)?;
        self.0.iter().try_for_each(|value| value.encode(encoder))
    }
}

impl<C, const MAX: usize> Decode<C> for Text<MAX> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let bytes = bounded_bytes(decoder, MAX)?;
        String::from_utf8(bytes).map(Self).map_err(|error| DecodeError::Utf8 { inner: error.utf8_error() })
    }
}

impl<C, const MAX: usize> Decode<C> for Blob<MAX> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        bounded_bytes(decoder, MAX).map(Self)
    }
}

impl<C, T: Decode<C>, const MAX: usize> Decode<C> for List<T, MAX> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let count = bounded_length(decoder, MAX)?;
        // The bound is at most a few hundred for every list on the wire, so this allocation is small by type.
        let mut values = Vec::with_capacity(count.min(64));
        for _ in 0..count {
            values.push(T::decode(decoder)?);
        }
        Ok(Self(values))
    }
}

macro_rules! borrow_decode_by_copy {
    ($([$($generics:tt)*] $type:ty),+ $(,)?) => {$(
        impl<'de, C, $($generics)*> BorrowDecode<'de, C> for $type {
            fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
                Self::decode(decoder)
            }
        }
    )+};
}

borrow_decode_by_copy!(
    [const MAX: usize] Text<MAX>,
    [const MAX: usize] Blob<MAX>,
    [T: Decode<C>, const MAX: usize] List<T, MAX>,
);

impl<const MAX: usize> Serialize for Text<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl<T: Serialize, const MAX: usize> Serialize for List<T, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = Vec::deserialize(deserializer)?;
        let count = values.len();
        Self::new(values)
            .ok_or_else(|| serde::de::Error::custom(format!("{count} entries where at most {MAX} are allowed")))
    }
}

fn bounded_length<D: Decoder>(decoder: &mut D, max: usize) -> Result<usize, DecodeError> {
    let length = u64::decode(decoder)?;
    usize::try_from(length)
        .ok()
        .filter(|length| *length <= max)
        .ok_or_else(|| DecodeError::OtherString(format!("length {length} where at most {max} is allowed")))
}

fn bounded_bytes<D: Decoder>(decoder: &mut D, max: usize) -> Result<Vec<u8>, DecodeError> {
    use bincode::de::read::Reader;
    let length = bounded_length(decoder, max)?;
    decoder.claim_bytes_read(length)?;
    let mut bytes = vec![0; length];
    decoder.reader().read(&mut bytes)?;
    Ok(bytes)
}
