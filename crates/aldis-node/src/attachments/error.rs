//! Why a file could not be kept or read, and what to do. None of it ends the node: messages go on without their files.

use aldis_wire::digest::Digest;
use std::io;
use std::path::{Path, PathBuf};

/// A file of an attachment was not written, read or removed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused. The administrator looks at the disk and at who owns the place.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The disk has no room beside what is kept free for messages.
    #[error(
        "{free_bytes} bytes are free at {} and {needed_bytes} are needed with what is kept free for messages; free some \
        space",
        dir.display()
    )]
    DiskFull {
        /// Where.
        dir: PathBuf,
        /// What is free.
        free_bytes: u64,
        /// What is needed, with what is kept free.
        needed_bytes: u64,
    },
    /// Too much was uploaded that no message names yet. It is gone an hour after its upload.
    #[error("{waiting_bytes} bytes that no message names yet are here already, and {allowed_bytes} may be")]
    TooMuchUnnamed {
        /// How much is here or announced.
        waiting_bytes: u64,
        /// How much may be.
        allowed_bytes: u64,
    },
    /// Whoever writes announced another length.
    #[error("{announced_bytes} bytes were announced and {found_bytes} came")]
    OtherLength {
        /// What was announced.
        announced_bytes: u64,
        /// What came, so far.
        found_bytes: u64,
    },
    /// A later link fetches the same file.
    #[error("another link fetches {attachment} now")]
    Superseded {
        /// The file.
        attachment: Digest,
    },
}

/// A file that arrived is not complete.
#[derive(Debug, thiserror::Error)]
pub enum IncomingError {
    /// The bytes are not those that were named. They are gone.
    #[error("what came is {found}, not {wanted}")]
    Mismatch {
        /// The digest that was named.
        wanted: Digest,
        /// That of what came.
        found: Digest,
    },
    /// The peer named another length than these bytes have.
    #[error("{named_bytes} bytes were named for {wanted}, which has {found_bytes}")]
    OtherLength {
        /// The digest that was named.
        wanted: Digest,
        /// The length that was named with it.
        named_bytes: u64,
        /// The length it has.
        found_bytes: u64,
    },
    /// The file could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StoreError {
    /// Whether only room on the disk is missing.
    pub fn is_full(&self) -> bool {
        match self {
            Self::DiskFull { .. } => true,
            Self::Io { source, .. } => source.kind() == io::ErrorKind::StorageFull,
            _ => false,
        }
    }

    pub(super) fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}
