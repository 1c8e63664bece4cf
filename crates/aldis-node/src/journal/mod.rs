//! The truth on disk.

mod anchor;
mod blocks;
mod disk;
mod error;
mod format;
mod history;
mod prepare;
mod reader;
mod recover;
mod segment;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

pub use error::{Anchor, BoxError, CommitError, Finding, OpenError, ReadError};
pub use format::{
    BodyRef, Entry, MAX_BODY_BYTES, MAX_COMMIT_BYTES, MAX_COMMIT_RECORDS, MAX_RECORD_BYTES, NONCE_BYTES, RecordSeq,
    TreeHead,
};
pub use reader::{Body, Reader, RecordBytes, RecordIter};
pub use recover::{Recovered, RecoveryReport, Replay, Replayed};
pub use segment::MAX_SNAPSHOT_BYTES;
pub use verify::{MAX_FINDINGS, VerifyReport, verify};
pub use writer::{Committed, Journal, Options};
