//! Why a backup was not made, or not put back: who is to blame and what to do.

use crate::config::ConfigError;
use crate::journal::{OpenError, ReadError};
use crate::keys::KeyError;
use aldis_control::Exit;
use aldis_wire::ids::NodeId;
use std::io;
use std::path::{Path, PathBuf};

/// Why no backup was made. The ones before it are as they were.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The configuration names no directory.
    #[error("no directory for backups is configured: write `directory` under [backup], restart the node")]
    NotConfigured,
    /// The directory cannot be used as it is.
    #[error("backups cannot go to {}: {problem}", .dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// Another process writes there.
    #[error("another process writes a backup in {}: wait for it to end", .dir.display())]
    Busy {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory holds backups of another node.
    #[error("{} holds backups of {found}: give each node a directory of its own", .dir.display())]
    OtherNode {
        /// The directory.
        dir: PathBuf,
        /// Whose backups they are.
        found: NodeId,
    },
    /// There is no room.
    #[error("{} has {free_bytes} bytes free and the backup needs up to {needed_bytes}: free some space", .dir.display())]
    NoSpace {
        /// The directory.
        dir: PathBuf,
        /// What is free.
        free_bytes: u64,
        /// What is needed.
        needed_bytes: u64,
    },
    /// The operating system refused.
    #[error("cannot {what} {}: {source}; the backups before are as they were", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The journal cannot be copied.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The journal cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The configuration names what to copy.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The keys cannot be copied.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// What was copied does not verify, for the journal itself is damaged.
    #[error("the journal does not verify, so it is no backup: {0}; run `aldis verify`, keep the backups there are")]
    Damaged(String),
    /// What was written is not what is read back.
    #[error("{} does not hold what was written to it: replace the disk of the backups", .0.display())]
    Medium(PathBuf),
}

impl BackupError {
    /// Who is to blame, as an exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NotConfigured | Self::Directory { .. } | Self::OtherNode { .. } | Self::Config(_) | Self::Keys(_) => {
                Exit::Usage
            }
            Self::Busy { .. } => Exit::Refused,
            Self::Damaged(_) | Self::Medium(_) | Self::Read(ReadError::Damaged(_)) => Exit::Integrity,
            Self::Journal(error) if error.is_integrity_failure() => Exit::Integrity,
            Self::NoSpace { .. } | Self::Io { .. } | Self::Journal(_) | Self::Read(_) => Exit::Other,
        }
    }

    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// Why a backup cannot be verified, or was not put back. Nothing that was in place has changed.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is none.
    #[error("there is no backup in {}: name the directory of the backups, or of one of them", .dir.display())]
    NoBackup {
        /// The directory.
        dir: PathBuf,
    },
    /// The manifest is not as it was written.
    #[error("{}: {problem}; take another backup", .path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Something in it is not as it was written.
    #[error("the backup does not verify in {count} place(s), first {first}; take another one")]
    Damaged {
        /// How many places.
        count: usize,
        /// The first of them.
        first: String,
    },
    /// It is another node's.
    #[error("this is a backup of {found} and the node is {wanted}: name its own backup")]
    OtherNode {
        /// Whose backup it is.
        found: NodeId,
        /// Whose it should be.
        wanted: NodeId,
    },
    /// A daemon runs on that directory.
    #[error("a daemon has the journal in {} open: stop it first", .dir.display())]
    Running {
        /// The directory.
        dir: PathBuf,
    },
    /// There is something already.
    #[error("{} holds a journal or its log already: `--set-aside` renames them and deletes nothing", .dir.display())]
    Occupied {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory cannot be used as it is.
    #[error("nothing can be restored to {}: {problem}", .dir.display())]
    Target {
        /// The directory.
        dir: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The operating system refused.
    #[error("cannot {what} {}: {source}; run the same command again when that is mended", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The journal cannot be walked or locked.
    #[error(transparent)]
    Journal(OpenError),
}

impl RestoreError {
    /// Who is to blame, as an exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Manifest { .. } | Self::Damaged { .. } => Exit::Integrity,
            Self::OtherNode { .. } | Self::Running { .. } | Self::Occupied { .. } => Exit::Refused,
            Self::NoBackup { .. } | Self::Target { .. } => Exit::Usage,
            Self::Io { .. } | Self::Journal(_) => Exit::Other,
        }
    }

    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}
