//! The thread that keeps the message log up with the journal: it opens the store behind the node's readiness, checks it,
//! builds it again where it must, and then applies what is committed. It never holds the journal up, never hides that
//! something is missing, and a failure of the disk here ends in [`LogStatus::Failed`], never in a retry.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use aldis_wire::codec;
use aldis_wire::ids::NodeId;
use tokio::sync::watch;

use super::apply::{ApplyError, BATCH_RECORDS, Comparison, apply_some, compare, first_gap};
use super::position;
use super::query::{Query, QueryError};
use super::rows::{FORMAT, Meta, meta_key};
use super::status::LogStatus;
use super::store::{JournalPosition, Opened, Store, StoreError, StoreOptions};
use crate::attachments::Attachments;
use crate::clock::Clock;
use crate::journal::{ReadError, Reader, RecordSeq};

/// For how long records that come one by one wait for company, so that they share blocks and a flush. Whoever waits for the
/// log, or enough records for a batch, end it.
const COMPANY_WAIT: Duration = Duration::from_millis(100);
/// By how much this thread gives way to others where processors are short.
const NICE: i32 = 5;
/// When to try again after a full disk or a file that could not be opened.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// How often a store is built again in one run. A disk that spoils each new one must not be filled with them.
const REBUILDS_MAX: u32 = 3;
/// How long searches may keep a damaged store from being closed.
const RELEASE_WAIT: Duration = Duration::from_secs(30);
const RELEASE_POLL: Duration = Duration::from_millis(5);

/// What a message log is started from.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// The store's directory; its parent must exist.
    pub dir: PathBuf,
    /// How the store uses memory and disk.
    pub store: StoreOptions,
    /// The node whose log it is.
    pub own: NodeId,
    /// The files that its messages name, to say how much of each is here.
    pub attachments: Attachments,
}

/// The running message log. Clones lead to the same one; the thread ends with [`LogHandle::stop`], or soon after the
/// last clone is gone.
#[derive(Clone, Debug)]
pub struct LogHandle {
    shared: Arc<Shared>,
    owner: Arc<Owner>,
}

/// The log has not caught up with a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCaughtUp {
    /// It will; it is opening, or busy.
    #[error("the message log has not come to record {0} yet; try again in a moment")]
    Behind(u64),
    /// It will not.
    #[error("the message log has ended")]
    Ended,
}

#[derive(Debug)]
struct Shared {
    settings: LogSettings,
    reader: Reader,
    clock: Clock,
    status: watch::Sender<LogStatus>,
    /// Records applied, for those who wait; set only while the log can be searched.
    applied: watch::Sender<u64>,
    store: RwLock<Option<Arc<Store>>>,
    /// How many wait for records to be applied.
    awaited: AtomicUsize,
    stopping: AtomicBool,
    thread: OnceLock<Thread>,
}

/// Ends the thread when the last handle is dropped.
#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Somebody waits for records to be applied: they wait for no company meanwhile.
struct Awaits<'s>(&'s Shared);

impl<'s> Awaits<'s> {
    fn new(shared: &'s Shared) -> Self {
        shared.awaited.fetch_add(1, Ordering::AcqRel);
        shared.wake();
        Self(shared)
    }
}

impl Drop for Awaits<'_> {
    fn drop(&mut self) {
        self.0.awaited.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Why following ended.
enum Ending {
    /// The node stops.
    Stopped,
    /// The store must be set aside and built again.
    Rebuild(String),
    /// Something may be better later.
    Later(String),
    /// Only a fresh process helps.
    Failed(String),
}

impl LogHandle {
    /// Starts the log's thread. `failed` is called once, with the first cause, if only a fresh process helps.
    pub fn start(
        settings: LogSettings,
        reader: Reader,
        clock: Clock,
        failed: impl FnOnce(String) + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            settings,
            reader,
            clock,
            status: watch::Sender::new(LogStatus::Opening { done: 0, total: 0 }),
            applied: watch::Sender::new(0),
            store: RwLock::new(None),
            awaited: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            thread: OnceLock::new(),
        });
        let follower = Arc::clone(&shared);
        let thread = thread::Builder::new().name("message-log".to_owned()).spawn(move || follower.run(failed))?;
        // The thread may have set it already; both set the same.
        shared.thread.get_or_init(|| thread.thread().clone());
        let owner = Arc::new(Owner { shared: Arc::clone(&shared), thread: Mutex::new(Some(thread)) });
        Ok(Self { shared, owner })
    }

    /// Says that the journal has grown. Cheap; call it after each commit.
    pub fn wake(&self) {
        self.shared.wake();
    }

    /// A function that does what [`Self::wake`] does and does not keep the log alive.
    pub fn waker(&self) -> impl Fn() + Send + Sync + 'static {
        let shared = Arc::clone(&self.shared);
        move || shared.wake()
    }

    /// What the log is doing.
    pub fn status(&self) -> LogStatus {
        self.shared.status.borrow().clone()
    }

    /// Tells whenever what the log is doing changes.
    pub fn watch_status(&self) -> watch::Receiver<LogStatus> {
        self.shared.status.subscribe()
    }

    /// How many records of the journal can be searched.
    pub fn records_applied(&self) -> u64 {
        *self.shared.applied.borrow()
    }

    /// Waits until the first `records` records of the journal can be searched, so that a request reads its own writes.
    pub async fn caught_up(&self, records: u64, timeout: Duration) -> Result<(), NotCaughtUp> {
        let _awaits = Awaits::new(&self.shared);
        let mut applied = self.shared.applied.subscribe();
        let reached = applied.wait_for(|applied| *applied >= records);
        match tokio::time::timeout(timeout, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(NotCaughtUp::Ended),
            Err(_) if matches!(self.status(), LogStatus::Failed { .. }) => Err(NotCaughtUp::Ended),
            Err(_) => Err(NotCaughtUp::Behind(records)),
        }
    }

    /// A view for searching, as of now or soon after. Everything it does blocks on the disk, and it must be dropped soon:
    /// a damaged store is set aside only when nobody reads in it.
    pub fn query(&self) -> Result<Query, QueryError> {
        let store = self.shared.store.read().unwrap_or_else(PoisonError::into_inner).clone();
        let shared = &self.shared;
        match store {
            Some(store) => Ok(Query::new(store, shared.reader.clone(), &shared.settings, shared.clock.clone())),
            None => Err(QueryError::NotReady(self.status())),
        }
    }

    /// Flushes and ends the thread; returns when it is done. Blocks on the disk.
    pub fn stop(&self) {
        self.owner.stop();
    }
}

impl Owner {
    fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the message log's thread panicked");
            }
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    fn run(&self, failed: impl FnOnce(String)) {
        self.thread.get_or_init(thread::current);
        // Whoever sends and receives goes first; sled's threads begin with what this one has. An error changes nothing else.
        let _unchanged = rustix::process::nice(NICE);
        let mut rebuild: Option<String> = None;
        let mut rebuilds = 0;
        loop {
            match self.follow(rebuild.as_deref()) {
                Ending::Stopped => break,
                Ending::Rebuild(cause) if rebuilds == REBUILDS_MAX => {
                    let reason = format!("built again {rebuilds} times and damaged each time: test the disk ({cause})");
                    self.wait_degraded(reason);
                }
                Ending::Rebuild(cause) => {
                    rebuilds += 1;
                    tracing::error!(cause, "the message log is set aside and built again from the journal");
                    match self.set_aside() {
                        Ok(()) => rebuild = Some(cause),
                        Err(reason) => self.wait_degraded(reason),
                    }
                }
                Ending::Later(reason) => self.wait_degraded(reason),
                Ending::Failed(reason) => {
                    self.hide();
                    tracing::error!(reason, "the message log failed; the process must restart");
                    self.status.send_replace(LogStatus::Failed { reason: reason.clone() });
                    return failed(reason);
                }
            }
            if self.is_stopping() {
                break;
            }
        }
        // With the last search that still runs, the store is closed.
        self.hide();
    }

    /// Opens, checks, brings up to date, and follows until something ends it.
    fn follow(&self, rebuild: Option<&str>) -> Ending {
        match self.try_follow(rebuild) {
            Ok(()) => Ending::Stopped,
            Err(ending) => ending,
        }
    }

    fn try_follow(&self, rebuild: Option<&str>) -> Result<(), Ending> {
        let Opened { store, position, is_new } = Store::open_or_create(&self.settings.dir, self.settings.store)?;
        let cause = match rebuild {
            Some(cause) => Some(cause.to_owned()),
            None if is_new && self.reader.committed() > 0 => Some("there was none".to_owned()),
            None => None,
        };
        if !is_new {
            self.check(&store, position.into())?;
        }
        let store = Arc::new(store);
        self.bring_up_to_date(&store, cause.as_deref())?;
        *self.store.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&store));
        let gap = first_gap(&store)?;
        let settled = match &gap {
            None => LogStatus::Following,
            Some((record, what)) => {
                let reason = format!("record {record} and what follows it in the same gap could not be read: {what}");
                tracing::error!(reason, "the message log is incomplete");
                LogStatus::Degraded { reason, searchable: true }
            }
        };
        self.keep_up(&store, &settled)
    }

    /// Whether the store is whole, of this program, of this node and of this journal, and cannot be made more complete.
    fn check(&self, store: &Store, position: JournalPosition) -> Result<(), Ending> {
        self.status.send_replace(LogStatus::Opening { done: 0, total: store.position().rows });
        store.check(&mut |done, total| {
            self.status.send_replace(LogStatus::Opening { done, total });
        })?;
        if let Comparison::Disagrees(what) = compare(position, &self.reader)? {
            return Err(Ending::Rebuild(what));
        }
        if position.records_applied == 0 {
            return Ok(());
        }
        let meta = store.get(&meta_key())?;
        let meta: Option<Meta> = meta.and_then(|meta| codec::decode(&meta).ok());
        if meta != Some(Meta { format: FORMAT, own: self.settings.own.clone() }) {
            return Err(Ending::Rebuild("it is of another version of the program, or another node's".to_owned()));
        }
        if let Some((record, _)) = first_gap(store)?
            && self.reader.read(RecordSeq(record)).is_ok()
        {
            return Err(Ending::Rebuild(format!("record {record} was missing and can be read now")));
        }
        Ok(())
    }

    /// Applies what the journal holds; until then nobody searches. `cause` says why it is built again, if it is.
    fn bring_up_to_date(&self, store: &Store, cause: Option<&str>) -> Result<(), Ending> {
        loop {
            let (done, total) = (store.position().records_applied, self.reader.committed());
            self.status.send_replace(match cause {
                Some(cause) => LogStatus::Rebuilding { done, total, cause: cause.to_owned() },
                None => LogStatus::Opening { done, total },
            });
            if done >= total || self.is_stopping() {
                return self.flush(store);
            }
            apply_some(store, &self.reader, &self.settings.own, total)?;
            self.flush(store)?;
        }
    }

    /// Follows the journal until the node stops. A full disk is waited out, with the store as it is.
    fn keep_up(&self, store: &Store, settled: &LogStatus) -> Result<(), Ending> {
        self.settle(store, settled);
        while self.wait_for_records(store) {
            match apply_some(store, &self.reader, &self.settings.own, self.reader.committed()) {
                Ok(_) => {
                    self.settle(store, settled);
                    // Flushed each time: a power cut that meets one apply at most costs no rebuild.
                    self.flush(store)?;
                }
                Err(ApplyError::Store(StoreError::DiskFull { .. }) | ApplyError::Journal(_)) if self.is_stopping() => {
                    return Ok(());
                }
                Err(ApplyError::Store(error @ StoreError::DiskFull { .. })) => self.wait_searchable(error.to_string()),
                Err(ApplyError::Journal(error)) => self.wait_searchable(error.to_string()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits until there is something to apply and it has had time for company; false when the node stops and all is applied.
    fn wait_for_records(&self, store: &Store) -> bool {
        let mut behind_since: Option<Instant> = None;
        loop {
            let behind = self.reader.committed().saturating_sub(store.position().records_applied);
            let stopping = self.is_stopping();
            if behind == 0 {
                if stopping {
                    return false;
                }
                thread::park();
                continue;
            }
            let waited = behind_since.get_or_insert_with(Instant::now).elapsed();
            let is_awaited = self.awaited.load(Ordering::Acquire) > 0;
            if stopping || is_awaited || behind >= BATCH_RECORDS || waited >= COMPANY_WAIT {
                return true;
            }
            thread::park_timeout(COMPANY_WAIT.saturating_sub(waited));
        }
    }

    /// Tells how far the log has come.
    fn settle(&self, store: &Store, settled: &LogStatus) {
        self.applied.send_replace(store.position().records_applied);
        self.status.send_if_modified(|status| {
            let changed = status != settled;
            if changed {
                status.clone_from(settled);
            }
            changed
        });
    }

    fn flush(&self, store: &Store) -> Result<(), Ending> {
        let position = store.flush()?;
        if let Err(error) = position::note(&self.settings.dir, position.into()) {
            // It guards the journal against being rolled back; the log itself does not need it.
            tracing::warn!(%error, "the message log's position could not be noted");
        }
        Ok(())
    }

    /// Takes the store from whoever would search in it, waits until nobody does, and sets it aside.
    fn set_aside(&self) -> Result<(), String> {
        if let Some(store) = self.hide() {
            let give_up = Instant::now() + RELEASE_WAIT;
            while Arc::strong_count(&store) > 1 {
                if Instant::now() > give_up {
                    return Err("a search still reads in the damaged message log".to_owned());
                }
                thread::park_timeout(RELEASE_POLL);
            }
        }
        Store::set_aside(&self.settings.dir).map(drop).map_err(|error| error.to_string())
    }

    fn hide(&self) -> Option<Arc<Store>> {
        self.applied.send_replace(0);
        self.store.write().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn wait_degraded(&self, reason: String) {
        self.hide();
        tracing::error!(reason, "the message log is not available; messages still flow");
        self.status.send_replace(LogStatus::Degraded { reason, searchable: false });
        self.pause();
    }

    fn wait_searchable(&self, reason: String) {
        tracing::error!(reason, "the message log falls behind; messages still flow");
        self.status.send_replace(LogStatus::Degraded { reason, searchable: true });
        self.pause();
    }

    /// Waits before trying again, however often somebody wakes us meanwhile.
    fn pause(&self) {
        let until = Instant::now() + TRY_AGAIN;
        while !self.is_stopping() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::park_timeout(left);
        }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

impl From<StoreError> for Ending {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        if error.is_rebuild_needed() {
            Self::Rebuild(text)
        } else if error.is_restart_needed() {
            Self::Failed(text)
        } else {
            Self::Later(text)
        }
    }
}

impl From<ReadError> for Ending {
    fn from(error: ReadError) -> Self {
        Self::Later(error.to_string())
    }
}

impl From<ApplyError> for Ending {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Store(error) => error.into(),
            ApplyError::Journal(error) => error.into(),
        }
    }
}
