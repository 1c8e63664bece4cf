//! The nightly scrub: the node verifies everything it keeps by itself, so that damage and tampering are found while
//! peers and backups still have what was lost. It takes about a tenth of a core, and ends within moments when the node
//! stops.

use crate::clock::Clock;
use crate::event_loop::{LoopHandle, RequestError};
use crate::log::{LogHandle, LogStatus};
use crate::verification::{self, Abandoned};
use aldis_control::{ApiError, VerifyReport};
use aldis_core::input::Input;
use aldis_wire::codec::Text;
use aldis_wire::codes::Code;
use aldis_wire::digest::Digest;
use aldis_wire::ids::{NodeId, UnixMillis};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::task::TaskTracker;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// How long after the hour, or after the start if one was missed, a scrub begins at the latest.
const SPREAD_MS: u64 = HOUR_MS;
/// No scrub is farther away than this.
const FARTHEST_MS: u64 = DAY_MS + SPREAD_MS;
/// After how much work it pauses; shorter pieces are not worth the timer.
const WORK_MS: u64 = 5;
/// How much longer than the work before it a pause is: a tenth of the time is work.
const PAUSE_SHARE: u64 = 9;
/// The longest pause, after a disk that answered slowly.
const PAUSE_MAX_MS: u64 = 2_000;
/// When one that could not be finished is tried again.
const AGAIN_MS: u64 = 10 * 60_000;
/// How long a scrub waits for the log to catch up with the journal before it begins.
const LOG_WAIT: Duration = Duration::from_secs(10);
/// The file in the data directory that says when the latest ended. Losing it costs one scrub too many.
const FILE: &str = "last-scrub";
/// The longest such file that is read, in bytes.
const FILE_MAX_BYTES: u64 = 8_192;
const ALARM: &str = "scrub-found";

/// When it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether at all.
    pub enabled: bool,
    /// In which hour of the day, UTC, 0 to 23.
    pub hour_utc: u8,
    /// How often to look at the clock.
    pub look: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { enabled: true, hour_utc: 3, look: Duration::from_secs(20) }
    }
}

/// What the latest scrub came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// When it ended.
    pub at: UnixMillis,
    /// How many records of the journal it read.
    pub records: u64,
    /// How many witnesses of peers it checked.
    pub witnesses: u64,
    /// How many places do not verify.
    pub findings: u64,
    /// The first of them, in words.
    pub first: Option<String>,
}

/// The latest scrub and the next, for whoever shows them. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct ScrubState(Arc<Mutex<Known>>);

#[derive(Clone, Debug, Default)]
struct Known {
    latest: Option<Outcome>,
    next: Option<UnixMillis>,
}

impl ScrubState {
    /// What the latest came to, if one ended since the data directory was made.
    pub fn latest(&self) -> Option<Outcome> {
        self.known(|known| known.latest.clone())
    }

    /// When the next begins; `None` if it is switched off.
    pub fn next(&self) -> Option<UnixMillis> {
        self.known(|known| known.next)
    }

    fn known<T>(&self, with: impl FnOnce(&mut Known) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What it takes to scrub.
pub(crate) struct Scrub {
    pub(crate) settings: Settings,
    pub(crate) own: NodeId,
    pub(crate) clock: Clock,
    pub(crate) node: LoopHandle,
    pub(crate) log: LogHandle,
    pub(crate) data_dir: PathBuf,
    pub(crate) journal_dir: PathBuf,
    pub(crate) state: ScrubState,
    /// The walks that run.
    pub(crate) walks: TaskTracker,
}

impl Scrub {
    /// Scrubs whenever it is time, until the node stops.
    pub(crate) async fn run(self) {
        let latest = read(&self.data_dir);
        let ended = latest.as_ref().map(|outcome| outcome.at);
        self.state.known(|known| known.latest = latest);
        if !self.settings.enabled {
            return;
        }
        let mut due = self.settings.due(&self.own, ended, self.clock.wall());
        loop {
            self.state.known(|known| known.next = Some(due));
            while self.clock.wall() < due {
                tokio::time::sleep(self.settings.look).await;
                // A clock that was set back would have it wait for longer than it ever should.
                if due > self.clock.wall().plus_ms(FARTHEST_MS) {
                    due = self.settings.due(&self.own, None, self.clock.wall());
                    self.state.known(|known| known.next = Some(due));
                }
            }
            due = match self.scrub().await {
                Ok(Some(outcome)) => {
                    let ended = outcome.at;
                    self.keep(outcome);
                    self.settings.due(&self.own, Some(ended), ended)
                }
                Ok(None) => self.clock.wall().plus_ms(AGAIN_MS),
                Err(RequestError::Stopping | RequestError::Declined(_)) => return,
            };
        }
    }

    /// One scrub; `None` if it could not be finished.
    async fn scrub(&self) -> Result<Option<Outcome>, RequestError> {
        let floor = self.node.view().await?.journal;
        self.log.wake();
        let _behind = self.log.caught_up(floor.size, LOG_WAIT).await;
        // Whatever ends this task ends the walk: the other end notices that this one is gone.
        let (alive, stopped) = mpsc::channel::<()>();
        let (dir, log, clock) = (self.journal_dir.clone(), self.log.clone(), self.clock.clone());
        let walk = self.walks.spawn_blocking(move || {
            let mut pace = Pace { worked_since_ms: clock.monotonic_ms(), clock, stopped };
            verification::walk(&dir, &log, floor, &mut |_, _, what| {
                // Whoever reads in a damaged log keeps it from being built again.
                if what == "log" && !matches!(log.status(), LogStatus::Following) {
                    Abandoned::unwind();
                }
                pace.keep();
            })
        });
        let walked = walk.await;
        drop(alive);
        match walked {
            Ok(Ok(report)) => {
                let outcome = Outcome::of(&report, self.clock.wall());
                self.tell(outcome.alarm()).await?;
                tracing::info!(records = outcome.records, findings = outcome.findings, "scrubbed");
                Ok(Some(outcome))
            }
            Ok(Err(error)) if error.exit == aldis_control::Exit::Integrity.code() => {
                let outcome = Outcome::unreadable(&error, self.clock.wall());
                self.tell(outcome.alarm()).await?;
                Ok(Some(outcome))
            }
            Ok(Err(error)) => {
                tracing::info!(%error, "the scrub is put off");
                Ok(None)
            }
            Err(error) => {
                if !error.try_into_panic().is_ok_and(|unwound| unwound.is::<Abandoned>()) {
                    tracing::error!("the scrub broke off");
                }
                Ok(None)
            }
        }
    }

    /// Raises the alarm, or ends it. One that lasts says what was found first, so it is raised anew when that changes.
    async fn tell(&self, text: Option<Text<400>>) -> Result<(), RequestError> {
        let view = self.node.view().await?;
        let lasting = view.alarms.iter().find(|alarm| alarm.code.as_str() == ALARM).map(|alarm| alarm.text.clone());
        if lasting == text {
            return Ok(());
        }
        let alarm = |text| Input::NodeAlarm { code: Code::known(ALARM), peer: None, text };
        self.node.input(alarm(None)).await?;
        match text {
            Some(_) => self.node.input(alarm(text)).await,
            None => Ok(()),
        }
    }

    fn keep(&self, outcome: Outcome) {
        if let Err(error) = write(&self.data_dir, &outcome) {
            tracing::warn!(%error, "the end of the scrub cannot be noted; the next start scrubs once more");
        }
        self.state.known(|known| known.latest = Some(outcome));
    }
}

impl Settings {
    /// When the next scrub begins, given when the latest ended: in the next of its hours, and soon if one was missed
    /// before `now`. How long after the hour follows from node and day, so that two nodes do not scrub in step.
    fn due(&self, own: &NodeId, ended: Option<UnixMillis>, now: UnixMillis) -> UnixMillis {
        let soon = now.plus_ms(spread_ms(own, now.get()));
        // An end that is yet to come was noted by a clock that was wrong.
        let Some(ended) = ended.filter(|ended| *ended <= now) else { return soon };
        let slot = |day: u64| day * DAY_MS + u64::from(self.hour_utc) * HOUR_MS + spread_ms(own, day);
        let today = ended.get() / DAY_MS;
        let hour_passed = ended.get() >= today * DAY_MS + u64::from(self.hour_utc) * HOUR_MS;
        let next = UnixMillis::new(slot(if hour_passed { today + 1 } else { today }));
        if next < now { soon } else { next }
    }
}

/// How far into its hour a scrub begins, in milliseconds.
fn spread_ms(own: &NodeId, seed: u64) -> u64 {
    let digest = Digest::of(&[own.as_str().as_bytes(), &seed.to_be_bytes()]);
    let number = digest.as_bytes().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    number % SPREAD_MS
}

impl Outcome {
    fn of(report: &VerifyReport, at: UnixMillis) -> Self {
        let first = report.findings.first().map(|finding| format!("{}: {}", finding.place, finding.what));
        let (records, witnesses) = (report.records, report.witnesses);
        Self { at, records, witnesses, findings: report.findings.len() as u64, first }
    }

    fn unreadable(error: &ApiError, at: UnixMillis) -> Self {
        Self { at, records: 0, witnesses: 0, findings: 1, first: Some(error.message.clone()) }
    }

    fn alarm(&self) -> Option<Text<400>> {
        let first = self.first.as_ref()?;
        let more = self.findings.saturating_sub(1);
        Some(Text::cut(&format!("`aldis verify` says what to do; found in the scrub, with {more} more: {first}")))
    }
}

/// Keeps the walk to its share of a core.
struct Pace {
    clock: Clock,
    worked_since_ms: u64,
    /// Says that the node stops: its other end goes away.
    stopped: mpsc::Receiver<()>,
}

impl Pace {
    /// Pauses if it is time; unwinds the walk if the node stops.
    fn keep(&mut self) {
        let worked_ms = self.clock.monotonic_ms().saturating_sub(self.worked_since_ms);
        let pause_ms = if worked_ms < WORK_MS { 0 } else { (worked_ms * PAUSE_SHARE).min(PAUSE_MAX_MS) };
        match self.stopped.recv_timeout(Duration::from_millis(pause_ms)) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Abandoned::unwind(),
        }
        if pause_ms > 0 {
            self.worked_since_ms = self.clock.monotonic_ms();
        }
    }
}

/// The end of the latest scrub. A file that cannot be read, or makes no sense, is as good as none.
fn read(data_dir: &Path) -> Option<Outcome> {
    let path = data_dir.join(FILE);
    let length = fs::metadata(&path).ok()?.len();
    (length <= FILE_MAX_BYTES).then(|| fs::read(&path).ok())?.and_then(|bytes| serde_json::from_slice(&bytes).ok())
}

/// Notes the end of a scrub, whole or not at all.
fn write(data_dir: &Path, outcome: &Outcome) -> io::Result<()> {
    let new = data_dir.join(format!("{FILE}.new"));
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    serde_json::to_writer(&file, outcome).map_err(io::Error::other)?;
    file.sync_all()?;
    fs::rename(new, data_dir.join(FILE))
}

#[cfg(test)]
#[path = "scrub_tests.rs"]
mod tests;
