//! The store: rows of opaque keys and values, many to a block in one sled tree, with the position in the journal they
//! stand for.
//!
//! It is a view. The journal is written and synced first; whoever follows it applies the records' rows here, and
//! when this store is behind it catches up, and when it is damaged, wrong or missing it is set aside and built again.
//! The store never repairs, never deletes what it found damaged, never retries a failed write or sync, and never
//! lets sled panic into its caller.
//!
//! How to use it:
//!
//! 1. [`Store::open_or_create`], behind readiness: sled scans its whole file.
//! 2. [`Store::check`], because sled opens a third of damaged files without an error, and compare
//!    [`Position::records_applied`] and [`Position::journal_root`] with the journal.
//! 3. If [`StoreError::is_rebuild_needed`], or the journal disagrees: drop the store, [`Store::set_aside`], open
//!    again (which creates an empty one), and apply the journal from record 0.
//! 4. [`Store::apply`] for each group of records, and [`Store::flush`] after it. What was applied and not flushed may be
//!    gone after a power cut: the position then is an older one, and applying resumes there. With at most one apply
//!    unflushed, 32 of 2,000 simulated cuts cost a rebuild and 1 lost what a flush had promised; with several, 55 and 4.
//! 5. If [`StoreError::is_restart_needed`]: end the process. Anything else leaves the store usable.
//!
//! All methods take `&self` and block on the disk: from an async task, call them where blocking is allowed.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use super::blocks::{self, Torn, Unpacked};
use super::durable::{self, BLOBS_DIR, Durable};
pub use super::error::StoreError;
use super::guard;
use super::layout::{CHUNK_BYTES, Head, POSITION_KEY, chunk_key};
pub use super::layout::{KEY_BYTES_MAX, Position, VALUE_BYTES_MAX};
pub use super::scan::{Direction, PAGE_BYTES_MAX, PAGE_ROWS_MAX, Page, Row};

/// The most changes of one [`Store::apply`].
pub const APPLY_CHANGES_MAX: usize = 65_536;
/// The most bytes of keys and values of one [`Store::apply`]: sled holds a whole batch in memory.
pub const APPLY_BYTES_MAX: usize = 16 << 20;
/// What sled may write for each byte of a batch, so that the space is there: a block is written whole for one row of it.
const WRITE_AMPLIFICATION: u64 = 16;

/// What the administrator may set.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// Memory for sled's pages, in bytes. sled's own default is 1 GiB.
    pub cache_bytes: u64,
    /// What must stay free on the file system, in bytes; below it the store refuses to open or to write.
    pub free_space_floor_bytes: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, free_space_floor_bytes: 64 << 20 }
    }
}

/// A store that opened.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// How far it got, by its own word: [`Store::check`] it.
    pub position: Position,
    /// True if there was none and this one is empty.
    pub is_new: bool,
}

/// One row to set or to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// At most [`KEY_BYTES_MAX`] bytes.
    pub key: Vec<u8>,
    /// At most [`VALUE_BYTES_MAX`] bytes; `None` removes the row, if there is one.
    pub value: Option<Vec<u8>>,
}

/// Where in the journal the rows stand after an [`Store::apply`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalPosition {
    /// Journal records applied in all; never less than before.
    pub records_applied: u64,
    /// The root of the journal's tree over those records.
    pub journal_root: [u8; 32],
}

impl From<Position> for JournalPosition {
    fn from(position: Position) -> Self {
        Self { records_applied: position.records_applied, journal_root: position.journal_root }
    }
}

/// The open store. Reads may run beside each other and beside one [`Store::apply`], which they see whole or not at
/// all. Dropping it hands everything to the kernel but syncs nothing: [`Store::flush`] first.
pub struct Store {
    pub(super) dir: PathBuf,
    pub(super) options: StoreOptions,
    /// `None` only while being dropped.
    db: Option<sled::Db>,
    pub(super) durable: Durable,
    /// Held by whoever must see the rows stand still: an apply, and a check, which lets reads go on.
    writer: Mutex<()>,
    /// Held for reading by reads, for writing by the moment of an apply in which rows change.
    position: RwLock<Position>,
    first_failure: OnceLock<String>,
}

impl Store {
    /// Opens the store in `dir`, or creates an empty one there if `dir` is missing or an empty directory.
    ///
    /// Fails with [`StoreError::InUse`] and touches nothing if another process has it; with [`StoreError::Damaged`]
    /// if sled returns an error or panics, if a file is missing, or if opening it was tried
    /// several times and never ended; with [`StoreError::DiskFull`] or [`StoreError::Io`] if the machine is at fault;
    /// with [`StoreError::Poisoned`] if sled broke in this process before.
    pub fn open_or_create(dir: &Path, options: StoreOptions) -> Result<Opened, StoreError> {
        super::open::open_or_create(dir, options)
    }

    /// Renames `dir` to `DIR.damaged-<n>`, with the next free number, and returns that path. It never deletes
    /// anything; from the fourth on it warns, because only a person may throw the evidence away. Drop the store first.
    pub fn set_aside(dir: &Path) -> Result<PathBuf, StoreError> {
        super::open::set_aside(dir)
    }

    pub(super) fn new(dir: &Path, options: StoreOptions, db: sled::Db, position: Position) -> Result<Self, StoreError> {
        Ok(Self {
            dir: dir.to_owned(),
            options,
            durable: Durable::open(Durable::paths(dir))?,
            db: Some(db),
            writer: Mutex::new(()),
            position: RwLock::new(position),
            first_failure: OnceLock::new(),
        })
    }

    /// How far the store has got.
    pub fn position(&self) -> Position {
        *self.view()
    }

    /// Makes all `changes`, the later winning where a key comes twice, and moves to `position_after`, all of it or
    /// nothing, also after a crash. On stable storage only after [`Store::flush`].
    ///
    /// Fails with [`StoreError::Refused`] (nothing done, the caller's mistake) over a limit or if `position_after` lies
    /// before the present one; with [`StoreError::DiskFull`] (nothing done, try later); else poisons the store.
    pub fn apply(&self, changes: &[Change], position_after: JournalPosition) -> Result<(), StoreError> {
        let batch_bytes = require_within_limits(changes)?;
        let _writer = self.stand_still();
        self.require_healthy()?;
        let mut after = self.position();
        refuse_below("records applied", position_after.records_applied, after.records_applied)?;
        let wanted_bytes = u64::try_from(batch_bytes).unwrap_or(u64::MAX).saturating_mul(WRITE_AMPLIFICATION);
        durable::require_space(&self.dir, wanted_bytes, self.options.free_space_floor_bytes)?;

        after.records_applied = position_after.records_applied;
        after.journal_root = position_after.journal_root;
        let mut batch = self.merged(&last_of_each(changes), &mut after)?;
        batch.insert(&POSITION_KEY, &after.encode()[..]);

        let mut view = self.position.write().unwrap_or_else(PoisonError::into_inner);
        self.in_sled("applying", |db| db.apply_batch(batch))?;
        *view = after;
        Ok(())
    }

    /// Puts everything applied before the call on stable storage and returns the position up to which that holds.
    /// Any failure poisons the store: a sync that failed once says nothing when it then succeeds.
    pub fn flush(&self) -> Result<Position, StoreError> {
        self.require_healthy()?;
        let position = self.position();
        self.in_sled("flushing", |db| db.flush())?;
        self.sync_files()?;
        Ok(position)
    }

    /// The value of one row.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let _view = self.view();
        self.read(key)
    }

    /// Reads a row; the caller holds the view or the writer.
    pub(super) fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let Some((block_key, block)) = self.block_of(key)? else { return Ok(None) };
        match blocks::find(&block, key) {
            Ok(Some(head)) => self.value_of(key, &head).map(Some),
            Ok(None) => Ok(None),
            Err(Torn) => Err(self.torn_block(&block_key)),
        }
    }

    /// The rows of a block that was read.
    pub(super) fn unpack(&self, block_key: &[u8], block: &[u8]) -> Result<Unpacked, StoreError> {
        blocks::unpack(block).map_err(|Torn| self.torn_block(block_key))
    }

    pub(super) fn torn_block(&self, block_key: &[u8]) -> StoreError {
        self.fail("reading", format!("the block {} is torn", hex(block_key)))
    }

    /// The value of the row `key`, whose head was read.
    pub(super) fn value_of(&self, key: &[u8], head: &[u8]) -> Result<Vec<u8>, StoreError> {
        let torn = || self.fail("reading", format!("the row {} is torn", hex(key)));
        let head = Head::decode(head).ok_or_else(torn)?;
        let value_bytes = match head {
            Head::Inline(value) => return Ok(value.to_vec()),
            Head::Chunked(value_bytes) => value_bytes,
        };
        let mut value = Vec::with_capacity(value_bytes);
        for number in 0..head.chunks() {
            let chunk = self.in_sled("reading", |db| db.get(chunk_key(key, number)))?.ok_or_else(torn)?;
            value.extend_from_slice(&chunk[..chunk.len().min(CHUNK_BYTES)]);
        }
        if value.len() == value_bytes { Ok(value) } else { Err(torn()) }
    }

    /// Syncs what sled has handed to the kernel, and makes sure that this is everything.
    pub(super) fn sync_files(&self) -> Result<(), StoreError> {
        self.durable.sync().map_err(|error| self.fail("syncing", error.to_string()))?;
        self.require_no_blobs()
    }

    /// Calls sled, unless the store is poisoned; an error or a panic poisons it.
    pub(super) fn in_sled<T>(
        &self,
        action: &'static str,
        call: impl FnOnce(&sled::Db) -> sled::Result<T>,
    ) -> Result<T, StoreError> {
        self.require_healthy()?;
        let db = self.db.as_ref().expect("the tree is there until the store is dropped");
        match guard::run(|| call(db)) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.fail(action, error.to_string())),
            Err(panicked) => Err(self.fail(action, panicked)),
        }
    }

    /// Waits for a running apply or check; until the guard is dropped, the rows stand still.
    pub(super) fn stand_still(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an apply from changing rows between several reads.
    pub(super) fn view(&self) -> RwLockReadGuard<'_, Position> {
        self.position.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn require_healthy(&self) -> Result<(), StoreError> {
        if let Some(first_cause) = self.first_failure.get() {
            return Err(StoreError::Poisoned { first_cause: first_cause.clone() });
        }
        if guard::pool_panicked() {
            return Err(self.fail("working in the background", "a thread of sled's pool panicked".to_owned()));
        }
        Ok(())
    }

    /// A blob file would be unsynced data. The bounds on keys and values keep sled from making one; this makes sure.
    fn require_no_blobs(&self) -> Result<(), StoreError> {
        let path = self.dir.join(BLOBS_DIR);
        let mut entries = std::fs::read_dir(&path).map_err(|error| self.fail("flushing", error.to_string()))?;
        match entries.next() {
            None => Ok(()),
            Some(_) => Err(self.fail("flushing", format!("{} is not empty", path.display()))),
        }
    }

    /// Poisons the store; the first cause is the one that is kept and told.
    pub(super) fn fail(&self, action: &'static str, detail: String) -> StoreError {
        if self.first_failure.set(format!("while {action}: {detail}")).is_ok() {
            tracing::error!(dir = %self.dir.display(), action, detail, "the message log failed");
        }
        StoreError::Failed { dir: self.dir.clone(), action, detail }
    }
}

impl Drop for Store {
    /// sled writes and syncs while it is dropped, and may panic there.
    fn drop(&mut self) {
        let db = self.db.take();
        if let Err(panicked) = guard::run(move || drop(db)) {
            tracing::error!(dir = %self.dir.display(), panicked, "closing the message log failed");
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Store").field("dir", &self.dir).field("options", &self.options).finish_non_exhaustive()
    }
}

/// The last change of each row, ascending. Where they ascend already, as those of the log do, it is one walk over them.
fn last_of_each(changes: &[Change]) -> Vec<&Change> {
    let mut sorted: Vec<&Change> = changes.iter().collect();
    sorted.sort_by(|one, other| one.key.cmp(&other.key));
    sorted.dedup_by(|later, earlier| {
        let is_same = later.key == earlier.key;
        if is_same {
            *earlier = later;
        }
        is_same
    });
    sorted
}

fn require_within_limits(changes: &[Change]) -> Result<usize, StoreError> {
    refuse_above("changes in one apply", changes.len(), APPLY_CHANGES_MAX)?;
    let mut batch_bytes: usize = 0;
    for Change { key, value } in changes {
        let value_bytes = value.as_ref().map_or(0, Vec::len);
        refuse_above("key length", key.len(), KEY_BYTES_MAX)?;
        refuse_above("value length", value_bytes, VALUE_BYTES_MAX)?;
        batch_bytes = batch_bytes.saturating_add(key.len() + value_bytes);
    }
    refuse_above("bytes in one apply", batch_bytes, APPLY_BYTES_MAX)?;
    Ok(batch_bytes)
}

pub(super) fn refuse_above(what: &'static str, found: usize, limit: usize) -> Result<(), StoreError> {
    if found <= limit {
        return Ok(());
    }
    let bounded = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    Err(StoreError::Refused { what, found: bounded(found), limit: bounded(limit) })
}

fn refuse_below(what: &'static str, found: u64, limit: u64) -> Result<(), StoreError> {
    if found >= limit { Ok(()) } else { Err(StoreError::Refused { what, found, limit }) }
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}
