//! How rows lie in the one sled tree, and the digest over them. No I/O.
//!
//! | sled key | sled value |
//! |---|---|
//! | `00` | the [`Position`] |
//! | `01` bound | a block of rows (see `blocks`): those whose keys are at or behind the bound and before the next one |
//! | `02` key number (u16, big-endian) | one chunk of a value that is too long for a block: 4,096 bytes, the last one 1 to 4,096 |
//!
//! What a block holds of a row's value is its head: `00` and the value, if that has at most 1,024 bytes; else `01` and its
//! length (u32, big-endian).
//!
//! Nothing in sled is larger than 4 KiB, because sled writes a tree node over 128 KiB to a file that it never syncs,
//! and a leaf holds 16 items and more. A chunk key is unambiguous: its last two bytes are the number.

use sha2::{Digest as _, Sha256};

/// The longest key of a row, in bytes: 256 of them in an index node stay well under sled's 128 KiB.
pub const KEY_BYTES_MAX: usize = 256;
/// The longest value of a row, in bytes.
pub const VALUE_BYTES_MAX: usize = 64 << 10;
/// The longest value sled ever gets, in bytes.
pub(super) const CHUNK_BYTES: usize = 4096;
/// The longest block of rows, in bytes.
pub(super) const BLOCK_BYTES: usize = CHUNK_BYTES;
/// The longest value that stands in a block, in bytes: three of the longest rows have room in one.
const INLINE_BYTES_MAX: usize = 1024;
/// The longest head of a row, in bytes.
#[cfg(test)]
pub(super) const HEAD_BYTES_MAX: usize = 1 + INLINE_BYTES_MAX;

pub(super) const POSITION_KEY: [u8; 1] = [0];
pub(super) const BLOCK_TAG: u8 = 1;
pub(super) const CHUNK_TAG: u8 = 2;
const INLINE: u8 = 0;
const CHUNKED: u8 = 1;
const POSITION_VERSION: u8 = 2;
const POSITION_BYTES: usize = 1 + 8 + 32 + 8 + 16;

/// How far the store has got, and what it must then contain. Written in the same sled batch as the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Journal records applied; the next one to apply has this number, counting from 0.
    pub records_applied: u64,
    /// The root of the journal's tree over those records, for the caller to compare with the journal.
    pub journal_root: [u8; 32],
    /// Rows in the store.
    pub rows: u64,
    /// The sum, modulo 2^128, of the first 16 bytes of SHA-256(key length as u32 || key || value) over all blocks and
    /// chunks as sled holds them, big-endian: independent of order, so that it can be kept up to date one by one.
    pub digest: [u8; 16],
}

impl Position {
    pub(super) fn encode(&self) -> [u8; POSITION_BYTES] {
        let mut bytes = [0; POSITION_BYTES];
        bytes[0] = POSITION_VERSION;
        bytes[1..9].copy_from_slice(&self.records_applied.to_be_bytes());
        bytes[9..41].copy_from_slice(&self.journal_root);
        bytes[41..49].copy_from_slice(&self.rows.to_be_bytes());
        bytes[49..].copy_from_slice(&self.digest);
        bytes
    }

    /// `None` if these bytes were not made by [`Position::encode`].
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (records_applied, rest) = rest.split_first_chunk()?;
        let (journal_root, rest) = rest.split_first_chunk()?;
        let (rows, rest) = rest.split_first_chunk()?;
        let digest = rest.try_into().ok()?;
        (*version == POSITION_VERSION).then_some(Self {
            records_applied: u64::from_be_bytes(*records_applied),
            journal_root: *journal_root,
            rows: u64::from_be_bytes(*rows),
            digest,
        })
    }

    /// A block or chunk was added.
    pub(super) fn add(&mut self, sled_key: &[u8], value: &[u8]) {
        self.digest = u128::from_be_bytes(self.digest).wrapping_add(digest_of(sled_key, value)).to_be_bytes();
    }

    /// A block or chunk was taken away.
    pub(super) fn remove(&mut self, sled_key: &[u8], value: &[u8]) {
        self.digest = u128::from_be_bytes(self.digest).wrapping_sub(digest_of(sled_key, value)).to_be_bytes();
    }
}

/// What a block holds of a row's value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head<'a> {
    /// The whole value.
    Inline(&'a [u8]),
    /// A value of this many bytes, in chunks.
    Chunked(usize),
}

impl<'a> Head<'a> {
    /// How a value is stored; its length is within [`VALUE_BYTES_MAX`].
    pub(super) fn of(value: &'a [u8]) -> Self {
        if value.len() <= INLINE_BYTES_MAX { Self::Inline(value) } else { Self::Chunked(value.len()) }
    }

    /// Writes the head behind what is there.
    pub(super) fn write(&self, into: &mut Vec<u8>) {
        match self {
            Self::Inline(value) => {
                into.push(INLINE);
                into.extend_from_slice(value);
            }
            Self::Chunked(value_bytes) => {
                let length = u32::try_from(*value_bytes).expect("a value has at most 64 KiB");
                into.push(CHUNKED);
                into.extend_from_slice(&length.to_be_bytes());
            }
        }
    }

    /// Whether these bytes are this head.
    pub(super) fn is(&self, bytes: &[u8]) -> bool {
        Head::decode(bytes).is_some_and(|other| other == *self)
    }

    /// `None` if these bytes were not made by [`Head::write`].
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        match bytes.split_first()? {
            (&INLINE, value) if value.len() <= INLINE_BYTES_MAX => Some(Self::Inline(value)),
            (&CHUNKED, length) => {
                let value_bytes = usize::try_from(u32::from_be_bytes(length.try_into().ok()?)).ok()?;
                (INLINE_BYTES_MAX + 1..=VALUE_BYTES_MAX).contains(&value_bytes).then_some(Self::Chunked(value_bytes))
            }
            _ => None,
        }
    }

    /// How many chunks the value has beside its head.
    pub(super) fn chunks(&self) -> u16 {
        match self {
            Self::Inline(_) => 0,
            Self::Chunked(value_bytes) => {
                u16::try_from(value_bytes.div_ceil(CHUNK_BYTES)).expect("64 KiB are 16 chunks")
            }
        }
    }
}

/// The sled key of the block whose bound is `bound`.
pub(super) fn block_key(bound: &[u8]) -> Vec<u8> {
    [&[BLOCK_TAG], bound].concat()
}

/// The sled key of one chunk of the row `key`.
pub(super) fn chunk_key(key: &[u8], number: u16) -> Vec<u8> {
    [&[CHUNK_TAG], key, &number.to_be_bytes()].concat()
}

fn digest_of(key: &[u8], value: &[u8]) -> u128 {
    let key_bytes = u32::try_from(key.len()).expect("a key of sled has at most 259 bytes");
    let hash = Sha256::new().chain_update(key_bytes.to_be_bytes()).chain_update(key).chain_update(value).finalize();
    let (first, _) = hash.split_first_chunk().expect("SHA-256 has 32 bytes");
    u128::from_be_bytes(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_and_nothing_else_does() {
        let position = Position { records_applied: 7, journal_root: [9; 32], rows: 3, digest: [4; 16] };
        assert_eq!(Position::decode(&position.encode()), Some(position));
        assert_eq!(Position::decode(&position.encode()[1..]), None);
        assert_eq!(Position::decode(&[&position.encode()[..], &[0]].concat()), None);
        assert_eq!(Position::decode(&[]), None);
    }

    #[test]
    fn heads_have_one_form_per_length() {
        for value_bytes in [0, 1, 1023, 1024, 1025, 4096, VALUE_BYTES_MAX] {
            let value = vec![5; value_bytes];
            let head = Head::of(&value);
            let mut bytes = Vec::new();
            head.write(&mut bytes);
            assert_eq!(Head::decode(&bytes), Some(Head::of(&value)));
            assert!(head.is(&bytes) && bytes.len() <= HEAD_BYTES_MAX);
            assert_eq!(head.chunks() == 0, value_bytes <= 1024);
        }
        for bad in [&[][..], &[2], &[1, 0, 0, 0, 1], &[1, 0, 1, 0, 1], &[1, 0, 0, 4], &[0; 1026]] {
            assert_eq!(Head::decode(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_digest_does_not_depend_on_order_and_tells_key_from_value() {
        let (mut one, mut two, mut moved) = (Position::default(), Position::default(), Position::default());
        one.add(b"a", b"1");
        one.add(b"b", b"2");
        two.add(b"b", b"2");
        two.add(b"a", b"1");
        assert_eq!(one, two);
        moved.add(b"a1", b"");
        moved.add(b"b2", b"");
        assert_ne!(one.digest, moved.digest);
        one.remove(b"a", b"1");
        one.remove(b"b", b"2");
        assert_eq!(one, Position::default());
    }
}
