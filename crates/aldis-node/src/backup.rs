//! Backups: copies of everything that cannot be made again, taken while the node runs, each verified before it counts.
//!
//! In the backup's directory every backup is a directory of its own with a number, a generation. It holds the journal up
//! to one commit, the sealed keys, certificates, card, configuration and revocation lists, and a manifest that names the
//! length and digest of each file. A file that has not changed is the same file in both generations. The message log is
//! not in it: it is built from the journal.

mod check;
mod error;
mod generations;
mod manifest;
mod pace;
mod restore;
mod schedule;
mod write;

pub use check::{Checked, check};
pub use error::{BackupError, RestoreError};
pub use manifest::{FileName, Kept, MANIFEST_NAME, Manifest};
pub(crate) use pace::Pace;
pub use restore::{MARKER_FILE, Restore, Restored, restore};
pub use schedule::{BackupState, Outcome};
pub(crate) use schedule::{Watch, note};
pub use write::Written;
pub(crate) use write::{Job, files_of, write};

use std::path::PathBuf;
use std::time::Duration;

/// Where backups go, and when their age is an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The directory that generations are written into; none for a node that makes no backups.
    pub directory: Option<PathBuf>,
    /// How many generations stay, at least one.
    pub keep: usize,
    /// After how many hours without a good one there is an alarm; never if absent.
    pub alarm_hours: Option<u64>,
    /// How often to look at the clock.
    pub look: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { directory: None, keep: 2, alarm_hours: None, look: Duration::from_secs(20) }
    }
}

#[cfg(test)]
mod tests;
