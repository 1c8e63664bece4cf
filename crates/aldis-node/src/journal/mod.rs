//! The truth on disk: append-only segment files of records, each a leaf of one RFC 6962 Merkle tree, with an erasable
//! body beside it. Everything is written here and synced before anything is confirmed (I1, I2); the journal only grows
//! (I9), except that bodies can be erased. Records are opaque here: this module never interprets one, never retries a
//! failed write or sync, and never cuts anything but a commit that was interrupted before anybody could rely on it.
//!
//! # Files
//!
//! The directory has mode 0700, its files 0600. All integers are little-endian; "CRC" is CRC32C; every structure starts
//! at a multiple of 8 and what fills the gaps is zero and checked.
//!
//! | file | holds |
//! |---|---|
//! | `NNNNNNNNNNNNNNNNNNNN.seg` | a segment, named for the number of its first record in 20 decimal digits |
//! | `next.prepared` | the next segment, being written full of zeroes; worthless until renamed |
//! | `NNNNNNNNNNNNNNNNNNNN.snap` | a snapshot: what stands for all records before that number, at which a segment begins |
//! | `next.snapshot` | the same before its rename |
//! | `anchor` | two slots of 64 bytes, written in turn after each commit is on disk, never synced |
//! | `clean-stop` | one such slot, synced, written by a clean stop; removed, durably, before anything is appended |
//! | `clean-stop.new` | the same before its rename |
//! | `lock` | empty; locked while a process has the journal open |
//!
//! # A segment
//!
//! A header, a tree, commits one behind the other, then zeroes to the end of the file.
//!
//! **Header**, 96 bytes:
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 8 | `ALDISJNL` |
//! | 8 | 4 | format version, 2 |
//! | 12 | 4 | zero |
//! | 16 | 8 | mark: random, chosen per segment; lowest bit 1, highest bit 0. It starts every record; its complement starts every trailer, so that nobody who can choose a body can imitate one |
//! | 24 | 8 | number of the first record |
//! | 32 | 8 | first record of the segment before (its name), all ones if there is none |
//! | 40 | 8 | byte at which the last commit of the segment before ends, 0 if there is none |
//! | 48 | 8 | size of the tree before the first record (equals the number at 24) |
//! | 56 | 32 | root of the tree before the first record |
//! | 88 | 4 | CRC of bytes 0 to 87 |
//! | 92 | 4 | zero |
//!
//! **Tree** before the first record:
//!
//! | bytes | |
//! |---|---|
//! | 8 | `ALDISTRE` |
//! | 4 + 4 | number of peaks, p (the bits set in the tree's size); zero |
//! | 32 p | the roots of the tree's complete subtrees, largest first |
//! | 4 + 4 | CRC of all that; zero |
//!
//! **Commit**: one or more records, then a trailer; written by one write and followed by one fdatasync.
//!
//! A record, with L = length of the record, B = length of the body:
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 8 | mark |
//! | 8 | 4 | L, at most [`MAX_RECORD_BYTES`] |
//! | 12 | 4 | B, at most [`MAX_BODY_BYTES`]; all ones if there is no body |
//! | 16 | 4 | place in the commit, from 0 |
//! | 20 | 4 | zero |
//! | 24 | 8 | number of the record, from 0 |
//! | 32 | 16 | nonce |
//! | 48 | L | the record |
//! | 48 + L | 4 | CRC of everything before; then zeroes to a multiple of 8 |
//!
//! and, if there is a body:
//!
//! | bytes | |
//! |---|---|
//! | B | the body, then zeroes to a multiple of 8 |
//! | 4 | state: `B0D1E5A7` present, its complement erased (hexadecimal) |
//! | 4 | CRC over record number (8 bytes) and body if present, over the number alone if erased; computed as an append to a running CRC equal to the state |
//!
//! The record's leaf in the tree is SHA-256(0x00 || nonce || record). The body is outside it: whoever wrote the record
//! put a commitment to the body in there. To erase a body, the last 8 bytes are written and synced, then zeroes are
//! written over the body and synced; being one aligned word, the 8 bytes are on disk whole or not at all.
//!
//! A trailer, 64 bytes:
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 8 | complement of the mark |
//! | 8 | 4 | records in this commit |
//! | 12 | 4 | zero |
//! | 16 | 8 | size of the tree after this commit |
//! | 24 | 32 | root of the tree after this commit |
//! | 56 | 4 | CRC of bytes 0 to 55 |
//! | 60 | 4 | zero |
//!
//! **Snapshot**, a file of its own:
//!
//! | bytes | |
//! |---|---|
//! | 8 | `ALDISNAP` |
//! | 4 + 4 | format version, 1; zero |
//! | 8 | size of the tree that it stands for: the number in its name |
//! | 32 | root of that tree, as the header of the segment of the same name has it |
//! | 8 | length of the snapshot, n, at most [`MAX_SNAPSHOT_BYTES`] |
//! | 4 + 4 | CRC of all that; zero |
//! | n | the snapshot, then zeroes to a multiple of 8 |
//! | 4 + 4 | CRC of those; zero |
//!
//! **Slot** of `anchor` and `clean-stop`, 64 bytes: `ALDISANC`, size (8), root (32), zero (8), CRC of those (4), zero (4).
//!
//! # Rotation
//!
//! When the commits of a segment take [`Options::segment_bytes`], or four times the latest snapshot if that is more, header
//! and tree are written into the prepared file, it is synced and renamed, the directory is synced, and commits go on there.
//! The caller hands over how to make a snapshot of everything before it. A thread makes it, writes it aside, syncs it,
//! renames it and syncs the directory, while commits go on. So snapshots cost at most a quarter, and start-up follows open
//! work. While the next file is not prepared yet, or the snapshot not written, the segment takes up to twice as much, for
//! no commit waits for that.
//!
//! # What opening decides
//!
//! The latest snapshot that is whole and stands for the tree before its segment is replayed, and the segments from there on;
//! of the older ones only headers and links are read. Mostly that is the last segment; it is the last two or more if a
//! crash came before the snapshot was written, or if one is damaged, which is reported. Where the replay ends:
//!
//! - A whole record or trailer of *another* commit further on: damage, since each commit is on disk before the next is
//!   written. Checksums that are right and contradict each other: damage. Nothing is opened.
//! - Any [`Anchor`] vouches for more records than there are, or for another root at its size: the journal was cut,
//!   rolled back or changed. Nothing is opened.
//! - Otherwise what stands there is a torn tail of which nothing was confirmed: it is zeroed, synced and reported.
//!
//! Damage before the snapshot that is used never stops a start; it is reported as degraded.

mod anchor;
mod blocks;
mod copy;
mod disk;
mod error;
mod format;
mod history;
mod open_segment;
mod prepare;
mod reader;
mod recover;
mod replay;
mod segment;
mod snapshot;
#[cfg(test)]
pub(crate) mod tests;
mod verify;
mod witnesses;
mod writer;

pub use copy::{ANCHOR_FILE, Part, anchor_of, is_part, parts, snapshot_part};
pub(crate) use disk::{Disk, WRITEBACK_BYTES};
pub use error::{Anchor, BoxError, CommitError, Finding, OpenError, ReadError};
pub use format::{
    BodyRef, Entry, MAX_BODY_BYTES, MAX_COMMIT_BYTES, MAX_COMMIT_RECORDS, MAX_RECORD_BYTES, NONCE_BYTES, RecordSeq,
    TreeHead,
};
pub use reader::{Body, Reader, RecordBytes, RecordIter};
pub(crate) use recover::take_lock;
pub use recover::{Recovered, RecoveryReport, Replay, Replayed};
pub use snapshot::{MAX_SNAPSHOT_BYTES, MakeSnapshot};
pub use verify::{MAX_FINDINGS, Reading, VerifyReport, verify};
pub use witnesses::Witness;
pub use writer::{Committed, Journal, Options};
