//! When the latest backup was made, and the alarm that it is too old. Backups are begun by `aldis backup`, from a timer
//! of the system; nothing here begins one.

use super::Settings;
use super::error::BackupError;
use super::write::Written;
use crate::clock::Clock;
use crate::event_loop::{LoopHandle, RequestError};
use aldis_core::input::Input;
use aldis_wire::codec::Text;
use aldis_wire::codes::Code;
use aldis_wire::ids::UnixMillis;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

const HOUR_MS: u64 = 3_600_000;
/// The file in the data directory that says when the latest was made. Losing it costs an alarm too many.
const FILE: &str = "last-backup";
/// The longest such file that is read, in bytes.
const FILE_MAX_BYTES: u64 = 8_192;
const ALARM: &str = "backup-old";

/// What the latest backup came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// When it ended.
    pub at: UnixMillis,
    /// How many records of the journal it holds; 0 if it failed.
    pub records: u64,
    /// The length of its files.
    pub bytes: u64,
    /// How much of that was written.
    pub written_bytes: u64,
    /// Why there is none.
    pub failed: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    latest: Option<Outcome>,
    good_at: Option<UnixMillis>,
}

/// The latest backup, for whoever shows it. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct BackupState {
    settings: Settings,
    data_dir: PathBuf,
    config_path: Option<PathBuf>,
    known: Arc<Mutex<Known>>,
}

impl BackupState {
    /// What is known in a data directory.
    pub(crate) fn load(settings: Settings, data_dir: &Path, config_path: Option<PathBuf>) -> Self {
        let known = Arc::new(Mutex::new(read(data_dir).unwrap_or_default()));
        Self { settings, data_dir: data_dir.to_owned(), config_path, known }
    }

    /// Where backups go.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where the node's data are.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The configuration that names what is copied beside the journal; none for nodes that are driven in-process.
    pub(crate) fn config_path(&self) -> Option<&Path> {
        self.config_path.as_deref()
    }

    /// What the latest came to, if one ended since the data directory was made.
    pub fn latest(&self) -> Option<Outcome> {
        self.with(|known| known.latest.clone())
    }

    /// When the latest good one was made.
    pub fn good_at(&self) -> Option<UnixMillis> {
        self.with(|known| known.good_at)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Known) -> T) -> T {
        act(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the alarm says at `now`, if there is one.
    fn alarm(&self, now: UnixMillis) -> Option<Text<400>> {
        let hours = self.settings.alarm_hours?;
        // An end that is yet to come was noted by a clock that was wrong.
        let good = self.good_at().filter(|at| *at <= now.plus_ms(HOUR_MS));
        let since = match good {
            Some(at) if now.get().saturating_sub(at.get()) <= hours.saturating_mul(HOUR_MS) => return None,
            Some(at) => format!("the latest good backup was made at {at}, more than {hours} hours ago"),
            None => "no good backup was made yet".to_owned(),
        };
        let failed = self.latest().and_then(|latest| latest.failed).map(|why| format!("; the last try: {why}"));
        Some(Text::cut(&format!("{since}: run `aldis backup`, and see to its timer{}", failed.unwrap_or_default())))
    }
}

/// Notes what a backup came to. Blocks on the disk.
pub(crate) fn note(state: &BackupState, at: UnixMillis, made: &Result<Written, BackupError>) {
    let known = state.with(|known| {
        let good = |written: &Written| Outcome {
            at,
            records: written.head.size,
            bytes: written.bytes,
            written_bytes: written.written_bytes,
            failed: None,
        };
        let bad = |error: &BackupError| {
            let failed = Some(error.to_string());
            Outcome { at, records: 0, bytes: 0, written_bytes: 0, failed }
        };
        known.latest = Some(made.as_ref().map_or_else(bad, good));
        if made.is_ok() {
            known.good_at = Some(at);
        }
        known.clone()
    });
    if let Err(error) = write(&state.data_dir, &known) {
        tracing::warn!(%error, "what the backup came to cannot be noted");
    }
}

/// Looks every now and then how old the latest good backup is.
pub(crate) struct Watch {
    pub(crate) state: BackupState,
    pub(crate) clock: Clock,
    pub(crate) node: LoopHandle,
}

impl Watch {
    /// Raises the alarm and ends it, until the node stops.
    pub(crate) async fn run(self) {
        loop {
            if self.tell().await.is_err() {
                return;
            }
            tokio::time::sleep(self.state.settings.look).await;
        }
    }

    async fn tell(&self) -> Result<(), RequestError> {
        let view = self.node.view().await?;
        let lasts = view.alarms.iter().any(|alarm| alarm.code.as_str() == ALARM);
        let text = self.state.alarm(self.clock.wall());
        if lasts == text.is_some() {
            return Ok(());
        }
        self.node.input(Input::NodeAlarm { code: Code::known(ALARM), peer: None, text }).await
    }
}

/// A file that cannot be read, or makes no sense, is as good as none.
fn read(data_dir: &Path) -> Option<Known> {
    let path = data_dir.join(FILE);
    let length = fs::metadata(&path).ok()?.len();
    (length <= FILE_MAX_BYTES).then(|| fs::read(&path).ok())?.and_then(|bytes| serde_json::from_slice(&bytes).ok())
}

/// Whole or not at all.
fn write(data_dir: &Path, known: &Known) -> io::Result<()> {
    let new = data_dir.join(format!("{FILE}.new"));
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    serde_json::to_writer(&file, known).map_err(io::Error::other)?;
    file.sync_all()?;
    fs::rename(new, data_dir.join(FILE))
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
