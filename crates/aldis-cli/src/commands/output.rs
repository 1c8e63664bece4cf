//! Where bytes from the daemon go: standard output, or a file that was not there. An existing file is never overwritten,
//! and one that did not come whole is not left behind.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Where it goes.
pub(super) enum Output {
    Standard,
    /// A file that its owner alone reads, made for this.
    File(PathBuf, File),
}

impl Output {
    /// A file that must not be there yet, or standard output; what is not for a terminal says why, and what to do.
    pub(super) fn to(path: Option<&Path>, no_terminal: Option<(&str, &str)>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return match no_terminal {
                Some((what, advice)) if io::stdout().is_terminal() => Err(Failure::usage(what, advice)),
                _ => Ok(Self::Standard),
            };
        };
        let failed = |source| Failure::File { doing: "create", path: path.to_owned(), source };
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        Ok(Self::File(path.to_owned(), file))
    }

    /// Adds to it.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Standard => io::stdout().write_all(bytes).map_err(|source| match source.kind() {
                io::ErrorKind::BrokenPipe => Failure::OutputClosed,
                _ => Failure::File { doing: "write to", path: "standard output".into(), source },
            }),
            Self::File(path, file) => {
                file.write_all(bytes).map_err(|source| Failure::File { doing: "write", path: path.clone(), source })
            }
        }
    }

    /// It is whole: puts it on the disk.
    pub(super) fn keep(self) -> Result<(), Failure> {
        match self {
            Self::Standard => io::stdout().flush().map_err(|source| Failure::File {
                doing: "write to",
                path: "standard output".into(),
                source,
            }),
            Self::File(path, file) => file.sync_all().map_err(|source| Failure::File { doing: "write", path, source }),
        }
    }

    /// It did not come whole: removes it.
    pub(super) fn discard(self) {
        if let Self::File(path, _) = self {
            // What was to be said about the failure is said; a file that cannot be removed either is seen by whoever
            // looks.
            let _left = fs::remove_file(path);
        }
    }
}
