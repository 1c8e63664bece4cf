//! What can go wrong with the journal, who is to blame and what to do about it.

use super::format::{RecordSeq, TreeHead};
use std::fmt;
use std::io;
use std::path::PathBuf;

/// An error of the caller that travels through the journal.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// One place in the journal that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file's name within the journal's directory.
    pub file: String,
    /// The byte in that file.
    pub offset: u64,
    /// The record that stands or belongs there, if that can be said.
    pub record: Option<RecordSeq>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub advice: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.file, self.offset)?;
        if let Some(record) = self.record {
            write!(f, " (record {record})")?;
        }
        write!(f, ": {}; {}", self.what, self.advice)
    }
}

/// Who vouches that the journal once reached a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The file `anchor`, written after each commit.
    File,
    /// The file `clean-stop`, written at the end of the last run.
    CleanStop,
    /// The position the caller passed, such as the log's.
    Floor,
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "the anchor file",
            Self::CleanStop => "the clean-stop mark",
            Self::Floor => "the message log",
        })
    }
}

/// Why the journal does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no journal yet.
    #[error("there is no journal in {}; make the node with `aldis init`, or restore its data", .dir.display())]
    Missing {
        /// The directory.
        dir: PathBuf,
    },
    /// There is one already, which `create` never touches.
    #[error("{} already exists; a journal is never overwritten: name another directory, or move it away yourself", .dir.display())]
    Exists {
        /// The directory.
        dir: PathBuf,
    },
    /// A second daemon on the same data.
    #[error("another process has the journal in {} open; stop it first (two daemons must never share data)", .dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// Others than the owner may read or write.
    #[error("{} has mode {mode:04o}, which lets others in; run `chmod {wanted:o} {}`", .path.display(), .path.display())]
    Mode {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What they must be.
        wanted: u32,
    },
    /// The disk is too full to begin.
    #[error("{} has {free_bytes} bytes free and the journal needs {needed_bytes}; free some space", .dir.display())]
    NoSpace {
        /// The directory.
        dir: PathBuf,
        /// What is free.
        free_bytes: u64,
        /// What is needed, reserve included.
        needed_bytes: u64,
    },
    /// The operating system refused.
    #[error("cannot {what} {}: {source}; check the disk, the directory's owner and whether it is mounted read-only", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something after the last snapshot is not as it was written, and is not a torn tail.
    #[error("the journal is damaged: {0}")]
    Damaged(Finding),
    /// The journal ends before, or differs at, a position it once had.
    #[error(
        "the journal was cut, rolled back or changed: {which} vouches for {expected}, and the journal has {found}; {place}"
    )]
    BehindAnchor {
        /// Who vouches.
        which: Anchor,
        /// For what.
        expected: TreeHead,
        /// What is there.
        found: TreeHead,
        /// Where the readable part ends or differs.
        place: Box<Finding>,
    },
    /// The caller could not apply a snapshot or record.
    #[error(
        "the journal's {what} cannot be applied: {source}; it was written by another version or a fault of this one"
    )]
    Replay {
        /// The snapshot or record.
        what: String,
        /// The caller's reason.
        source: BoxError,
    },
}

impl OpenError {
    /// Whether the journal itself is at fault, and not the machine or the operator: a restart will not help.
    pub fn is_integrity_failure(&self) -> bool {
        matches!(self, Self::Damaged(_) | Self::BehindAnchor { .. } | Self::Replay { .. })
    }

    pub(super) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}

/// Why a commit, a rotation or an erasure did not happen.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// An earlier write failed; nothing may be confirmed any more.
    #[error("an earlier write to the journal failed; end the process and start it again")]
    Poisoned,
    /// The disk failed. The journal is poisoned from here on.
    #[error("cannot {what} {}: {source}; nothing of this commit is confirmed: end the process, look at the disk, start again", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A record, body, commit or snapshot is longer than the journal takes. Nothing was written.
    #[error("{what} of {bytes} is beyond the journal's limit of {limit}; nothing was written")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size in bytes (or records, for a count).
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A new segment would eat the reserve. Nothing was written; commits still go to the current segment.
    #[error("{free_bytes} bytes are free and the next segment needs {needed_bytes} with the reserve; free some space")]
    LowSpace {
        /// What is free.
        free_bytes: u64,
        /// What is needed, reserve included.
        needed_bytes: u64,
    },
    /// The record whose body should be erased cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The record is not committed (yet).
    #[error("record {seq} is not in the journal, which has {committed} records")]
    NotCommitted {
        /// The record asked for.
        seq: RecordSeq,
        /// How many records are committed.
        committed: u64,
    },
    /// The place where it belongs is damaged.
    #[error("the journal is damaged: {0}")]
    Damaged(Finding),
    /// The operating system refused.
    #[error("cannot read {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
