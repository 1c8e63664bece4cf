//! How rows lie in the one sled tree, and the digest over them. No I/O.
//!
//! | sled key | sled value |
//! |---|---|
//! | `00` | the [`Position`] |
//! | `01` key | `00` value, if the value has at most 4,095 bytes; else `01` and its length (u32, big-endian) |
//! | `02` key number (u16, big-endian) | one chunk of a longer value: 4,096 bytes, the last one 1 to 4,096 |
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

pub(super) const POSITION_KEY: [u8; 1] = [0];
pub(super) const ROW_TAG: u8 = 1;
pub(super) const CHUNK_TAG: u8 = 2;
const INLINE: u8 = 0;
const CHUNKED: u8 = 1;
const POSITION_VERSION: u8 = 1;
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
    /// The sum, modulo 2^128, of the first 16 bytes of SHA-256(key length as u32 || key || value) over all rows,
    /// big-endian: independent of order, so that it can be kept up to date row by row.
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

    pub(super) fn add_row(&mut self, key: &[u8], value: &[u8]) {
        self.rows = self.rows.wrapping_add(1);
        self.digest = u128::from_be_bytes(self.digest).wrapping_add(row_digest(key, value)).to_be_bytes();
    }

    pub(super) fn remove_row(&mut self, key: &[u8], value: &[u8]) {
        self.rows = self.rows.wrapping_sub(1);
        self.digest = u128::from_be_bytes(self.digest).wrapping_sub(row_digest(key, value)).to_be_bytes();
    }
}

/// What lies under a row's sled key.
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
        if value.len() < CHUNK_BYTES { Self::Inline(value) } else { Self::Chunked(value.len()) }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Inline(value) => [&[INLINE], *value].concat(),
            Self::Chunked(value_bytes) => {
                let length = u32::try_from(*value_bytes).expect("a value has at most 64 KiB");
                [&[CHUNKED], &length.to_be_bytes()[..]].concat()
            }
        }
    }

    /// `None` if these bytes were not made by [`Head::encode`].
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        match bytes.split_first()? {
            (&INLINE, value) if value.len() < CHUNK_BYTES => Some(Self::Inline(value)),
            (&CHUNKED, length) => {
                let value_bytes = usize::try_from(u32::from_be_bytes(length.try_into().ok()?)).ok()?;
                (CHUNK_BYTES..=VALUE_BYTES_MAX).contains(&value_bytes).then_some(Self::Chunked(value_bytes))
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

/// The sled key of the row `key`, or where the rows beginning with `key` start.
pub(super) fn row_key(key: &[u8]) -> Vec<u8> {
    [&[ROW_TAG], key].concat()
}

/// The sled key of one chunk of the row `key`.
pub(super) fn chunk_key(key: &[u8], number: u16) -> Vec<u8> {
    [&[CHUNK_TAG], key, &number.to_be_bytes()].concat()
}

/// The first sled key after all that begin with `sled_prefix`, which begins with a tag and so is never all `ff`.
pub(super) fn after_prefix(sled_prefix: &[u8]) -> Vec<u8> {
    let mut end = sled_prefix.to_vec();
    while end.pop_if(|byte| *byte == u8::MAX).is_some() {}
    let last = end.last_mut().expect("a prefix begins with a tag");
    *last += 1;
    end
}

fn row_digest(key: &[u8], value: &[u8]) -> u128 {
    let key_bytes = u32::try_from(key.len()).expect("a key has at most 256 bytes");
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
        for value_bytes in [0, 1, 4095, 4096, 4097, VALUE_BYTES_MAX] {
            let value = vec![5; value_bytes];
            let head = Head::of(&value);
            assert_eq!(Head::decode(&head.encode()), Some(Head::of(&value)));
            assert!(head.encode().len() <= CHUNK_BYTES);
            assert_eq!(head.chunks() == 0, value_bytes < CHUNK_BYTES);
        }
        for bad in [&[][..], &[2], &[1, 0, 0, 0, 1], &[1, 0, 1, 0, 1], &[1, 0, 0, 16], &[0; 4097]] {
            assert_eq!(Head::decode(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_end_of_a_prefix_excludes_the_next_tag() {
        assert_eq!(after_prefix(&[1]), [2]);
        assert_eq!(after_prefix(&[1, 7]), [1, 8]);
        assert_eq!(after_prefix(&[1, 7, 255, 255]), [1, 8]);
        assert_eq!(after_prefix(&[1, 255]), [2]);
    }

    #[test]
    fn the_digest_does_not_depend_on_order_and_tells_key_from_value() {
        let (mut one, mut two, mut moved) = (Position::default(), Position::default(), Position::default());
        one.add_row(b"a", b"1");
        one.add_row(b"b", b"2");
        two.add_row(b"b", b"2");
        two.add_row(b"a", b"1");
        assert_eq!(one, two);
        moved.add_row(b"a1", b"");
        moved.add_row(b"b2", b"");
        assert_ne!(one.digest, moved.digest);
        one.remove_row(b"a", b"1");
        one.remove_row(b"b", b"2");
        assert_eq!(one, Position::default());
    }
}
