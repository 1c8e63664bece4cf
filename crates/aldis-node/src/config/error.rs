//! What can be wrong with a configuration file: where, what, and what to do. Whoever wrote the file is to blame.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A configuration that is not used. Nothing was changed or started.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there, may not be read, or is not UTF-8.
    #[error("cannot read the configuration {}: {source}; give its path, or make one with `aldisd init`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is far larger than any configuration.
    #[error("{} is larger than {limit_bytes} bytes: this is not a configuration", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        limit_bytes: u64,
    },
    /// The text says something that cannot be used.
    #[error("{}:{place}: {problem}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line and the field.
        place: Place,
        /// What is wrong and what to write instead.
        problem: String,
    },
}

/// A place in a configuration file, shown as `12: limits.heartbeat_ms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The field with its sections, such as `limits.heartbeat_ms`; empty if it is not in one.
    pub field: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.line)?;
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        Ok(())
    }
}
