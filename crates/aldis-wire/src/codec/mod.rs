//! Bytes to values and back: the one place that calls bincode. Everything is big-endian with bincode's variable-length
//! integers (see docs/protocol.md, "Encoding"). Decoding checks a limit before it allocates and refuses trailing bytes; of
//! what others wrote it also refuses any encoding other than the one this module would write. It never decodes a recursive
//! type, a map or a float.

mod bounded;
mod coded;

pub use bincode::{Decode, Encode};
// For a structure that must encode itself by hand, so that it names this module and not bincode.
pub use bincode::de::{BorrowDecoder, Decoder};
pub use bincode::enc::Encoder;
pub use bincode::error::{DecodeError, EncodeError};
pub use bounded::{Blob, List, Text, TextError};
pub use coded::Coded;
pub use coded::impl_coded;

use bincode::config::{BigEndian, Configuration, Limit, Varint};
use bincode::enc::write::Writer;
use std::cell::RefCell;

/// The most bytes one decoded value may claim. The largest thing on the wire is a frame's payload of 64 KiB; a length
/// claims eight bytes even where it takes one, so twice that never refuses a value the specification allows.
pub const DECODE_LIMIT_BYTES: usize = 131_072;

/// Stored values (journal records, snapshots) have no peer to distrust, but damaged disks lie too: each caller of
/// [`decode_stored`] has checked a CRC first, and this bounds what one claim may allocate (1 GiB).
const STORED_LIMIT_BYTES: usize = 1 << 30;

/// Why bytes are not a value. Whoever produced the bytes is to blame.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum CodecError {
    /// The bytes do not follow the structure, exceed a bound, or end early.
    #[error("malformed bytes: {0}")]
    Malformed(String),
    /// The value is complete but bytes follow it.
    #[error("{0} bytes follow the value")]
    Trailing(usize),
    /// The value could have been written shorter or in another order; only one encoding is accepted.
    #[error("the encoding is not canonical")]
    NotCanonical,
}

/// How much memory a thread keeps for encoding, in bytes: no frame is longer.
const KEPT_BYTES: usize = 64 * 1_024;

thread_local! {
    /// Where values are encoded before their length is known, so that each then takes one piece of memory that fits.
    static SPACE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Encodes `value`. Our own types cannot fail to encode.
pub fn encode<T: Encode>(value: &T) -> Vec<u8> {
    // What is encoded within another value finds the space taken, and takes its own.
    let mut space = SPACE.take();
    space.clear();
    let written = write(value, space);
    if written.capacity() > KEPT_BYTES {
        return written;
    }
    let bytes = written.clone();
    SPACE.set(written);
    bytes
}

/// Encodes a value that takes about so many bytes, and perhaps many megabytes: memory for them is taken once.
pub fn encode_large<T: Encode>(value: &T, expected_bytes: usize) -> Vec<u8> {
    write(value, Vec::with_capacity(expected_bytes))
}

/// Encodes a value behind what stands in `bytes`.
fn write<T: Encode>(value: &T, bytes: Vec<u8>) -> Vec<u8> {
    let mut memory = Memory { bytes };
    bincode::encode_into_writer(value, &mut memory, config::<STORED_LIMIT_BYTES>())
        .expect("encoding to memory cannot fail");
    memory.bytes
}

/// Decodes exactly one value from all of `bytes`, at most [`DECODE_LIMIT_BYTES`], canonical encoding only.
///
/// # Errors
/// Any deviation; the peer that sent the bytes is to blame.
pub fn decode<T: Encode + Decode<()>>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, used) = bincode::decode_from_slice(bytes, config::<DECODE_LIMIT_BYTES>())
        .map_err(|error| CodecError::Malformed(error.to_string()))?;
    check_whole(&value, bytes, used)?;
    Ok(value)
}

/// Decodes a value from our own disk, after its checksum was checked: what stands there was written by [`encode`], so that it
/// is not encoded once more to see whether it could have been written otherwise. Higher limit.
///
/// # Errors
/// Bytes that no value of this type begins with, or that go on behind it.
pub fn decode_stored<T: Decode<()>>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, used) = bincode::decode_from_slice(bytes, config::<STORED_LIMIT_BYTES>())
        .map_err(|error| CodecError::Malformed(error.to_string()))?;
    if used == bytes.len() { Ok(value) } else { Err(CodecError::Trailing(bytes.len() - used)) }
}

/// Decodes one value that borrows from `bytes`, so that large parts are not copied. Same rules as [`decode`].
pub fn decode_borrowed<'a, T>(bytes: &'a [u8]) -> Result<T, CodecError>
where
    T: Encode + BorrowDecode<'a, ()>,
{
    let (value, used) = bincode::borrow_decode_from_slice(bytes, config::<DECODE_LIMIT_BYTES>())
        .map_err(|error| CodecError::Malformed(error.to_string()))?;
    check_whole(&value, bytes, used)?;
    Ok(value)
}

/// Decodes what `bytes` begin with, whatever follows. It says nothing of the rest, so nothing may rest on it but an order.
///
/// # Errors
/// Bytes that no value of this type begins with.
pub fn decode_start<'a, T: BorrowDecode<'a, ()>>(bytes: &'a [u8]) -> Result<T, CodecError> {
    let start = bincode::borrow_decode_from_slice(bytes, config::<DECODE_LIMIT_BYTES>());
    start.map(|(value, _)| value).map_err(|error| CodecError::Malformed(error.to_string()))
}

pub use bincode::BorrowDecode;

fn check_whole<T: Encode>(value: &T, bytes: &[u8], used: usize) -> Result<(), CodecError> {
    if used != bytes.len() {
        return Err(CodecError::Trailing(bytes.len() - used));
    }
    let mut comparison = Comparison { expected: bytes };
    match bincode::encode_into_writer(value, &mut comparison, config::<STORED_LIMIT_BYTES>()) {
        Ok(()) if comparison.expected.is_empty() => Ok(()),
        _ => Err(CodecError::NotCanonical),
    }
}

/// A writer to memory that grows.
struct Memory {
    bytes: Vec<u8>,
}

impl Writer for Memory {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

/// A writer that compares instead of storing: re-encoding is checked without allocating.
struct Comparison<'a> {
    expected: &'a [u8],
}

impl Writer for Comparison<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        match self.expected.strip_prefix(bytes) {
            Some(rest) => {
                self.expected = rest;
                Ok(())
            }
            None => Err(EncodeError::Other("not canonical")),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the module that may: the limit is set here")]
const fn config<const LIMIT: usize>() -> Configuration<BigEndian, Varint, Limit<LIMIT>> {
    bincode::config::standard().with_big_endian().with_limit::<LIMIT>()
}

#[cfg(test)]
mod tests;
