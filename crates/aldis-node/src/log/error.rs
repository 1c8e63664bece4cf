//! Why the store could not do what it was asked, who can do something about it, and what. It never holds a row.

use std::io;
use std::path::{Path, PathBuf};

/// A failure of the store. The journal is never affected by any of these.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process (or an earlier store in this one) holds the directory. Nothing in it was touched.
    #[error(
        "the message log {} is in use by another process: stop the other daemon (or give this one its own data \
         directory), then start again", dir.display()
    )]
    InUse {
        /// The store's directory.
        dir: PathBuf,
    },

    /// The store cannot be opened or read: call [`Store::set_aside`](super::store::Store::set_aside) and rebuild
    /// it from the journal.
    #[error(
        "the message log {} is damaged ({detail}): it is set aside and rebuilt from the journal, nothing is lost",
        dir.display()
    )]
    Damaged {
        /// The store's directory.
        dir: PathBuf,
        /// What sled said, or where it panicked.
        detail: String,
    },

    /// The store opens but its content is not what was written: set it aside and rebuild it from the journal.
    #[error(
        "the message log {} disagrees with itself ({what}: {expected} expected, {found} found): it is set aside and \
         rebuilt from the journal, nothing is lost", dir.display()
    )]
    Disagrees {
        /// The store's directory.
        dir: PathBuf,
        /// What was compared.
        what: &'static str,
        /// What the stored position promises.
        expected: String,
        /// What the walk found.
        found: String,
    },

    /// The file system is too full to write safely. Nothing was written; the same call may succeed later.
    #[error(
        "the file system of the message log {} has {free_bytes} bytes free and {floor_bytes} must stay free: make \
         room, the log then catches up by itself", dir.display()
    )]
    DiskFull {
        /// The store's directory.
        dir: PathBuf,
        /// What the file system has left, in bytes.
        free_bytes: u64,
        /// What has to stay free, in bytes.
        floor_bytes: u64,
    },

    /// The operating system refused (permissions, a read-only file system, a failing disk): for the administrator.
    #[error("cannot {action} {}: {source}; check the path, its owner and mode, and the disk", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the operating system answered.
        source: io::Error,
    },

    /// A read, write or sync failed while the store was open. The store is poisoned; only a fresh process helps.
    #[error(
        "the message log {} failed while {action} ({detail}): the process must restart; the journal is not affected",
        dir.display()
    )]
    Failed {
        /// The store's directory.
        dir: PathBuf,
        /// What was being done.
        action: &'static str,
        /// What sled or the operating system said, or where sled panicked.
        detail: String,
    },

    /// An earlier call failed; nothing was tried. Only a fresh process helps: sled keeps failing, and reopening in
    /// the same process often does too.
    #[error("the message log failed earlier ({first_cause}): the process must restart")]
    Poisoned {
        /// The first failure, which is the one to look into.
        first_cause: String,
    },

    /// The caller asked for something the store does not do. Nothing was written; this is a mistake in the program.
    #[error("the message log refused a call: {what} is {found}, the limit is {limit}")]
    Refused {
        /// What was out of bounds.
        what: &'static str,
        /// What was given.
        found: u64,
        /// What is allowed.
        limit: u64,
    },
}

impl StoreError {
    /// True if setting the directory aside and rebuilding it from the journal is the cure.
    pub fn is_rebuild_needed(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Disagrees { .. })
    }

    /// True if only a fresh process helps.
    pub fn is_restart_needed(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::Poisoned { .. })
    }

    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    pub(super) fn damaged(dir: &Path, detail: impl Into<String>) -> Self {
        Self::Damaged { dir: dir.to_owned(), detail: detail.into() }
    }
}
