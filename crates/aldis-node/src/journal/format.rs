//! The bytes of records, bodies and trailers: encoding, parsing and every check that needs no file. The layout is
//! specified in the folder's `mod.rs`. This module never reads or writes a file and never allocates by a length it
//! has not checked.

use aldis_wire::digest::Digest;
use aldis_wire::merkle;
use std::fmt;

/// The longest record (the Merkle leaf without its nonce), in bytes.
pub const MAX_RECORD_BYTES: usize = 1 << 20;
/// The longest body beside a record, in bytes.
pub const MAX_BODY_BYTES: usize = 16 << 20;
/// The most records in one commit.
pub const MAX_COMMIT_RECORDS: usize = 1 << 16;
/// The most bytes one commit may take on disk.
pub const MAX_COMMIT_BYTES: usize = 64 << 20;
/// The length of the random number in front of every leaf, in bytes.
pub const NONCE_BYTES: usize = 16;

pub(super) const RECORD_HEAD_BYTES: usize = 48;
pub(super) const TRAILER_BYTES: usize = 64;
const BODY_TAIL_BYTES: usize = 8;
const NO_BODY: u32 = u32::MAX;
const BODY_PRESENT: u32 = 0xB0D1_E5A7;
const BODY_ERASED: u32 = !BODY_PRESENT;

/// The number of a record: its position in the journal and in the Merkle tree, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordSeq(pub u64);

impl fmt::Display for RecordSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A size of the journal's Merkle tree (records) and the root over that many leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// How many records the tree covers.
    pub size: u64,
    /// The RFC 6962 root over their leaves.
    pub root: Digest,
}

impl fmt::Display for TreeHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records with root {}", self.size, self.root)
    }
}

/// One record to append.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Fresh random bytes, so that a proof never confirms a guess about a neighbour.
    pub nonce: [u8; NONCE_BYTES],
    /// The record: with the nonce in front, the Merkle leaf. At most [`MAX_RECORD_BYTES`].
    pub record: &'a [u8],
    /// The erasable bytes beside it, in parts that are written one behind the other. At most [`MAX_BODY_BYTES`].
    pub body: Option<&'a [&'a [u8]]>,
}

/// What stands beside a record that was read in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyRef<'a> {
    /// The record never had a body.
    None,
    /// The body was erased.
    Erased,
    /// The body's bytes, checked against their CRC.
    Present(&'a [u8]),
}

/// The random word that starts every record of one segment; a trailer starts with its complement. It is random so
/// that nobody outside can write bytes into a body that look like a record or a trailer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(u64);

impl Mark {
    /// Makes a mark of random bits. Neither the mark nor its complement is ever zero, which is what free space holds.
    pub(super) fn from_random(bits: u64) -> Self {
        Self((bits | 1) & (u64::MAX >> 1))
    }

    pub(super) fn from_stored(bits: u64) -> Self {
        Self(bits)
    }

    pub(super) fn record(self) -> u64 {
        self.0
    }

    pub(super) fn trailer(self) -> u64 {
        !self.0
    }
}

/// What is wrong with some bytes of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("neither a record nor the end of a commit stands here")]
    NoMark,
    #[error("the file ends in the middle of a commit")]
    Truncated,
    #[error("a length is beyond the limit")]
    TooLong,
    #[error("the record does not match its checksum")]
    RecordSum,
    #[error("the body does not match its checksum")]
    BodySum,
    #[error("the erasure of the body was not finished")]
    UnfinishedErasure,
    #[error("the bytes that fill up to a multiple of 8 are not zero")]
    Padding,
    #[error("behind the segment's last commit stand bytes that belong to none")]
    NotFree,
    #[error("the end of the commit does not match its checksum")]
    TrailerSum,
    #[error("record {found} stands where record {expected} belongs")]
    WrongNumber { expected: u64, found: u64 },
    #[error("the record is number {found} of its commit and stands at {expected}")]
    WrongIndex { expected: u32, found: u32 },
    #[error("the commit says {said} records and holds {held}")]
    WrongCount { said: u32, held: u32 },
    #[error("the commit says the journal has {said} records and it has {held}")]
    WrongSize { said: u64, held: u64 },
    #[error("the Merkle root over the records is not the one the commit recorded")]
    WrongRoot,
}

impl Fault {
    /// Whether a write that was cut off can look like this. Bytes that match their checksums and contradict each
    /// other were never written by one interrupted commit.
    pub(super) fn may_be_torn(self) -> bool {
        !matches!(
            self,
            Self::WrongNumber { .. }
                | Self::WrongIndex { .. }
                | Self::WrongCount { .. }
                | Self::WrongSize { .. }
                | Self::WrongRoot
                | Self::UnfinishedErasure
        )
    }
}

/// The fixed part in front of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHead {
    pub(super) leaf_len: usize,
    pub(super) body_len: Option<usize>,
    pub(super) index: u32,
    pub(super) seq: u64,
    pub(super) nonce: [u8; NONCE_BYTES],
}

impl RecordHead {
    /// Parses the head at the start of `bytes` (at least [`RECORD_HEAD_BYTES`]) and checks its lengths.
    pub(super) fn parse(bytes: &[u8], mark: Mark) -> Result<Self, Fault> {
        if read_u64(bytes, 0) != mark.record() {
            return Err(Fault::NoMark);
        }
        let leaf_len = read_u32(bytes, 8) as usize;
        let body_len = match read_u32(bytes, 12) {
            NO_BODY => None,
            length => Some(length as usize),
        };
        if leaf_len > MAX_RECORD_BYTES || body_len.is_some_and(|length| length > MAX_BODY_BYTES) {
            return Err(Fault::TooLong);
        }
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&bytes[32..48]);
        Ok(Self { leaf_len, body_len, index: read_u32(bytes, 16), seq: read_u64(bytes, 24), nonce })
    }

    /// Head, leaf, its CRC and filling, in bytes: where the body starts.
    pub(super) fn leaf_part_len(&self) -> usize {
        padded(RECORD_HEAD_BYTES + self.leaf_len + 4)
    }

    /// Where the 8 bytes that close the body start, if there is a body.
    pub(super) fn body_tail_at(&self) -> Option<usize> {
        self.body_len.map(|length| self.leaf_part_len() + padded(length))
    }

    /// The whole record with its body, in bytes.
    pub(super) fn total_len(&self) -> usize {
        self.body_tail_at().map_or(self.leaf_part_len(), |at| at + BODY_TAIL_BYTES)
    }

    /// The record's own bytes within `bytes`, which start at the head.
    pub(super) fn leaf<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        &bytes[RECORD_HEAD_BYTES..RECORD_HEAD_BYTES + self.leaf_len]
    }

    /// The hash of this record as a leaf of the tree.
    pub(super) fn leaf_hash(&self, bytes: &[u8]) -> Digest {
        merkle::leaf_hash_of(&[&self.nonce, self.leaf(bytes)])
    }

    /// Checks head and leaf; `bytes` hold at least [`Self::leaf_part_len`].
    pub(super) fn check_leaf(&self, bytes: &[u8]) -> Result<(), Fault> {
        let end = RECORD_HEAD_BYTES + self.leaf_len;
        if crc32c::crc32c(&bytes[..end]) != read_u32(bytes, end) {
            return Err(Fault::RecordSum);
        }
        all_zero(&bytes[end + 4..self.leaf_part_len()]).then_some(()).ok_or(Fault::Padding)
    }

    /// Checks the body; `bytes` hold the whole record. An erased body need not be all zeroes: see
    /// [`Self::check_erasure`].
    pub(super) fn check_body<'b>(&self, bytes: &'b [u8]) -> Result<BodyRef<'b>, Fault> {
        let (Some(length), Some(tail_at)) = (self.body_len, self.body_tail_at()) else {
            return Ok(BodyRef::None);
        };
        let tail = &bytes[tail_at..tail_at + BODY_TAIL_BYTES];
        let erased = erased_tail(self.seq);
        if tail == erased {
            return Ok(BodyRef::Erased);
        }
        let body = &bytes[self.leaf_part_len()..self.leaf_part_len() + length];
        let present = present_tail(self.seq, &[body]);
        // Should the word ever be written by halves, what is there is an erasure that began and not damage.
        if tail == [&erased[..4], &present[4..]].concat() || tail == [&present[..4], &erased[4..]].concat() {
            return Ok(BodyRef::Erased);
        }
        if tail != present {
            return Err(Fault::BodySum);
        }
        if !all_zero(&bytes[self.leaf_part_len() + length..tail_at]) {
            return Err(Fault::Padding);
        }
        Ok(BodyRef::Present(body))
    }

    /// Checks that nothing is left of an erased body: an erasure that was interrupted leaves some.
    pub(super) fn check_erasure(&self, bytes: &[u8]) -> Result<(), Fault> {
        let Some(tail_at) = self.body_tail_at() else {
            return Ok(());
        };
        let gone = all_zero(&bytes[self.leaf_part_len()..tail_at])
            && bytes[tail_at..self.total_len()] == erased_tail(self.seq);
        gone.then_some(()).ok_or(Fault::UnfinishedErasure)
    }
}

/// The end of one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trailer {
    pub(super) count: u32,
    pub(super) head: TreeHead,
}

impl Trailer {
    /// The number of the first record of the commit.
    pub(super) fn first(&self) -> u64 {
        self.head.size.wrapping_sub(u64::from(self.count))
    }

    pub(super) fn parse(bytes: &[u8], mark: Mark) -> Result<Self, Fault> {
        if read_u64(bytes, 0) != mark.trailer() {
            return Err(Fault::NoMark);
        }
        if crc32c::crc32c(&bytes[..56]) != read_u32(bytes, 56) || read_u32(bytes, 60) != 0 {
            return Err(Fault::TrailerSum);
        }
        let head = TreeHead { size: read_u64(bytes, 16), root: read_digest(bytes, 24) };
        Ok(Self { count: read_u32(bytes, 8), head })
    }

    pub(super) fn encode(&self, buf: &mut Vec<u8>, mark: Mark) {
        let start = buf.len();
        buf.extend_from_slice(&mark.trailer().to_le_bytes());
        buf.extend_from_slice(&self.count.to_le_bytes());
        buf.extend_from_slice(&[0; 4]);
        buf.extend_from_slice(&self.head.size.to_le_bytes());
        buf.extend_from_slice(self.head.root.as_bytes());
        seal(buf, start);
    }
}

/// Appends one record with its body to `buf` and returns its leaf hash. The caller has checked the lengths.
pub(super) fn encode_record(buf: &mut Vec<u8>, mark: Mark, seq: u64, index: u32, entry: &Entry<'_>) -> Digest {
    let start = buf.len();
    let body_len = entry.body.map_or(NO_BODY, |parts| length_u32(parts.iter().map(|part| part.len()).sum()));
    buf.extend_from_slice(&mark.record().to_le_bytes());
    buf.extend_from_slice(&length_u32(entry.record.len()).to_le_bytes());
    buf.extend_from_slice(&body_len.to_le_bytes());
    buf.extend_from_slice(&index.to_le_bytes());
    buf.extend_from_slice(&[0; 4]);
    buf.extend_from_slice(&seq.to_le_bytes());
    buf.extend_from_slice(&entry.nonce);
    buf.extend_from_slice(entry.record);
    let sum = crc32c::crc32c(&buf[start..]);
    buf.extend_from_slice(&sum.to_le_bytes());
    pad(buf);
    if let Some(parts) = entry.body {
        for part in parts {
            buf.extend_from_slice(part);
        }
        pad(buf);
        buf.extend_from_slice(&present_tail(seq, parts));
    }
    merkle::leaf_hash_of(&[&entry.nonce, entry.record])
}

/// The bytes one entry takes on disk.
pub(super) fn encoded_len(entry: &Entry<'_>) -> usize {
    let body_len = entry.body.map(|parts| parts.iter().map(|part| part.len()).sum::<usize>());
    padded(RECORD_HEAD_BYTES + entry.record.len() + 4) + body_len.map_or(0, |length| padded(length) + BODY_TAIL_BYTES)
}

/// The 8 bytes that close an erased body. Being one aligned word they are on disk whole or not at all.
pub(super) fn erased_tail(seq: u64) -> [u8; BODY_TAIL_BYTES] {
    body_tail(BODY_ERASED, crc32c::crc32c_append(BODY_ERASED, &seq.to_le_bytes()))
}

/// Ends a fixed structure that started at `start`: its CRC32C and four zero bytes.
pub(super) fn seal(buf: &mut Vec<u8>, start: usize) {
    let sum = crc32c::crc32c(&buf[start..]);
    buf.extend_from_slice(&sum.to_le_bytes());
    buf.extend_from_slice(&[0; 4]);
}

/// Whether `bytes` end as [`seal`] ends them.
pub(super) fn is_sealed(bytes: &[u8]) -> bool {
    let Some(at) = bytes.len().checked_sub(8) else {
        return false;
    };
    crc32c::crc32c(&bytes[..at]) == read_u32(bytes, at) && read_u32(bytes, at + 4) == 0
}

/// The next multiple of 8.
pub(super) fn padded(length: usize) -> usize {
    length.next_multiple_of(8)
}

/// Fills `buf` with zeroes up to a multiple of 8.
pub(super) fn pad(buf: &mut Vec<u8>) {
    buf.resize(padded(buf.len()), 0);
}

pub(super) fn all_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

pub(super) fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes were sliced"))
}

pub(super) fn read_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes were sliced"))
}

pub(super) fn read_digest(bytes: &[u8], at: usize) -> Digest {
    Digest::from_bytes(bytes[at..at + 32].try_into().expect("32 bytes were sliced"))
}

fn present_tail(seq: u64, parts: &[&[u8]]) -> [u8; BODY_TAIL_BYTES] {
    let sum = crc32c::crc32c_append(BODY_PRESENT, &seq.to_le_bytes());
    body_tail(BODY_PRESENT, parts.iter().fold(sum, |sum, part| crc32c::crc32c_append(sum, part)))
}

fn body_tail(state: u32, sum: u32) -> [u8; BODY_TAIL_BYTES] {
    let mut tail = [0; BODY_TAIL_BYTES];
    tail[..4].copy_from_slice(&state.to_le_bytes());
    tail[4..].copy_from_slice(&sum.to_le_bytes());
    tail
}

fn length_u32(length: usize) -> u32 {
    u32::try_from(length).expect("lengths are checked against the limits before they are encoded")
}
