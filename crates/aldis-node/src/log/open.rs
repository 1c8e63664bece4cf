//! Opens, creates and sets aside a store's directory, so that neither a power cut nor a damaged file ever makes more
//! work than a rebuild. It never deletes a store that held anything, and never opens one that another process has.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::durable::{self, BLOBS_DIR, CONF_FILE, DB_FILE, Durable};
use super::error::StoreError;
use super::guard;
use super::layout::{POSITION_KEY, Position};
use super::store::{Opened, Store, StoreOptions};

/// How long a store that is just being closed, here or in a process that is ending, may keep us waiting.
const LOCK_WAIT: Duration = Duration::from_secs(2);
const LOCK_POLL: Duration = Duration::from_millis(2);
/// How often an opening may begin and not end (killed, or sled hangs or exhausts memory) before the store counts as
/// damaged: else a file that makes sled abort would keep the daemon from ever starting.
const UNFINISHED_OPENINGS_MAX: u64 = 5;
/// How many damaged stores may lie about before the administrator is told to look at them.
const SET_ASIDE_QUIETLY_MAX: usize = 3;

/// See [`Store::open_or_create`].
pub(super) fn open_or_create(dir: &Path, options: StoreOptions) -> Result<Opened, StoreError> {
    if guard::pool_panicked() {
        return Err(StoreError::Poisoned { first_cause: "a thread of sled's pool panicked".to_owned() });
    }
    durable::require_space(&durable::parent(dir), 0, options.free_space_floor_bytes)?;
    let is_new = is_absent(dir)?;
    if is_new {
        create(dir, options)?;
    }
    wait_until_free(dir)?;
    require_whole(dir)?;
    let attempt = Attempt::begin(dir)?;
    let outcome = remove_caches(dir).and_then(|()| open(dir, options));
    attempt.end()?;
    let (store, position) = outcome?;
    Ok(Opened { store, position, is_new })
}

/// See [`Store::set_aside`].
pub(super) fn set_aside(dir: &Path) -> Result<PathBuf, StoreError> {
    let aside = numbered_siblings(dir, ".damaged-")?;
    let number = aside.iter().map(|(number, _)| number).max().map_or(1, |last| last + 1);
    let target = sibling(dir, &format!(".damaged-{number}"));
    fs::rename(dir, &target).map_err(|source| StoreError::io("set aside", dir, source))?;
    durable::sync_dir(&durable::parent(dir))?;
    tracing::warn!(from = %dir.display(), to = %target.display(), "the message log was set aside");
    if aside.len() >= SET_ASIDE_QUIETLY_MAX {
        let bytes: u64 = aside.iter().map(|(_, path)| durable::tree_bytes(path).unwrap_or(0)).sum();
        let stores = aside.len() + 1;
        tracing::warn!(stores, bytes, "many damaged message logs are kept: test the disk, then remove them");
    }
    Ok(target)
}

/// Makes an empty store aside and renames it into place, so that `dir` is never half a store.
fn create(dir: &Path, options: StoreOptions) -> Result<(), StoreError> {
    let parent = durable::parent(dir);
    let aside = sibling(dir, ".new");
    if aside.exists() {
        // A creation that was cut short: it never held a row.
        wait_until_free(&aside)?;
        fs::remove_dir_all(&aside).map_err(|source| StoreError::io("remove the unfinished", &aside, source))?;
    }
    fs::create_dir(&aside).map_err(|source| StoreError::io("create", &aside, source))?;
    let db = start_sled(&aside, options)?;
    let first = in_sled(&aside, move || {
        db.insert(POSITION_KEY, &Position::default().encode()[..])?;
        db.flush()?;
        drop(db);
        Ok(())
    });
    first?;
    wait_until_free(&aside)?;
    Durable::open(Durable::paths(&aside))?.sync()?;
    fs::rename(&aside, dir).map_err(|source| StoreError::io("move the new message log to", dir, source))?;
    durable::sync_dir(&parent)
}

fn open(dir: &Path, options: StoreOptions) -> Result<(Store, Position), StoreError> {
    let db = start_sled(dir, options)?;
    // sled has just cut a torn tail and written files of its own: they are synced before anything relies on them.
    let (db, stored) = in_sled(dir, move || {
        db.flush()?;
        let stored = db.get(POSITION_KEY)?;
        Ok((db, stored))
    })?;
    let position = stored
        .as_deref()
        .and_then(Position::decode)
        .ok_or_else(|| StoreError::damaged(dir, "its position in the journal is missing"))?;
    let store = Store::new(dir, options, db, position)?;
    store.sync_files()?;
    durable::sync_dir(&durable::parent(dir))?;
    Ok((store, position))
}

fn start_sled(dir: &Path, options: StoreOptions) -> Result<sled::Db, StoreError> {
    // Compression stays off, because it is fixed at creation and sled then panics on more kinds of damage. The mode
    // (LowSpace by default) is left alone: sled 0.34.7 never looks at it.
    let config = sled::Config::new().path(dir).cache_capacity(options.cache_bytes).flush_every_ms(None);
    #[expect(clippy::disallowed_methods, reason = "this is the one place that opens sled")]
    in_sled(dir, || config.open())
}

/// Runs a step of opening, and says who is at fault if it fails.
fn in_sled<T: Send>(dir: &Path, step: impl FnOnce() -> sled::Result<T> + Send) -> Result<T, StoreError> {
    match guard::run_on_own_thread(step) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(source))) => Err(blame(dir, source)),
        Ok(Err(error)) => Err(StoreError::damaged(dir, error.to_string())),
        Err(panicked) => Err(StoreError::damaged(dir, panicked)),
    }
}

/// sled reports what it cannot read as an I/O error too; only an error that the operating system numbered is the
/// machine's fault, and setting the store aside would not cure that.
fn blame(dir: &Path, source: io::Error) -> StoreError {
    if source.to_string().contains("could not acquire lock") {
        StoreError::InUse { dir: dir.to_owned() }
    } else if source.raw_os_error().is_some() && !is_about_content(source.kind()) {
        StoreError::io("open the message log in", dir, source)
    } else {
        StoreError::damaged(dir, source.to_string())
    }
}

/// A seek to nowhere, or a file where a directory belongs, comes from what lies in the store.
fn is_about_content(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::InvalidInput
            | io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::AlreadyExists
    )
}

/// True if there is nothing at `dir`, or an empty directory, over which a new store can be renamed.
fn is_absent(dir: &Path) -> Result<bool, StoreError> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(source) if source.kind() == io::ErrorKind::NotADirectory => {
            Err(StoreError::damaged(dir, "it is not a directory"))
        }
        Err(source) => Err(StoreError::io("read", dir, source)),
    }
}

/// Refuses what sled would take for a new store and quietly start empty, and what it would read unsynced.
fn require_whole(dir: &Path) -> Result<(), StoreError> {
    for name in [DB_FILE, CONF_FILE] {
        match fs::metadata(dir.join(name)) {
            Ok(metadata) if metadata.is_file() && metadata.len() > 0 => {}
            _ => {
                return Err(StoreError::damaged(dir, format!("the file {name} is missing or empty")));
            }
        }
    }
    match fs::read_dir(dir.join(BLOBS_DIR)).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(StoreError::damaged(dir, "blobs/ is not empty")),
        Err(_) => Err(StoreError::damaged(dir, "the directory blobs/ is missing")),
    }
}

/// Deletes sled's snapshots, finished or not: they are only a cache, and a damaged one makes sled fail.
fn remove_caches(dir: &Path) -> Result<(), StoreError> {
    for path in entries(dir)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("snap.") || name.ends_with(".generating") {
            fs::remove_file(&path).map_err(|source| StoreError::io("remove", &path, source))?;
        }
    }
    Ok(())
}

/// Waits, within bounds, until nobody holds sled's lock on `dir`. sled lets go of it a moment after it is dropped,
/// when its pool has finished; and nothing in the directory may be touched while another process has it.
fn wait_until_free(dir: &Path) -> Result<(), StoreError> {
    let path = dir.join(DB_FILE);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(StoreError::io("open", &path, source)),
    };
    let give_up = Instant::now() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            // Let go of by name: closing alone would leave the lock to a child that another thread forks just now, until
            // it executes its program, and sled would find it taken.
            Ok(()) => return file.unlock().map_err(|source| StoreError::io("unlock", &path, source)),
            Err(TryLockError::WouldBlock) if Instant::now() < give_up => thread::sleep(LOCK_POLL),
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse { dir: dir.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(StoreError::io("lock", &path, source)),
        }
    }
}

/// A count of openings that began, kept in a file beside the store until one ends, however it ends.
struct Attempt {
    path: PathBuf,
}

impl Attempt {
    fn begin(dir: &Path) -> Result<Self, StoreError> {
        let path = sibling(dir, ".opening");
        let unfinished = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().unwrap_or(0),
            Err(_) => 0,
        };
        let attempt = Self { path };
        if unfinished >= UNFINISHED_OPENINGS_MAX {
            attempt.end()?;
            return Err(StoreError::damaged(dir, format!("{unfinished} openings in a row began and never ended")));
        }
        let count = format!("{}\n", unfinished + 1);
        fs::write(&attempt.path, count).map_err(|source| StoreError::io("write", &attempt.path, source))?;
        Ok(attempt)
    }

    fn end(self) -> Result<(), StoreError> {
        match fs::remove_file(&self.path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::io("remove", &self.path, source))
            }
            _ => Ok(()),
        }
    }
}

/// The paths beside `dir` named like it, then `infix`, then a number.
fn numbered_siblings(dir: &Path, infix: &str) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let stem = sibling(dir, infix);
    let stem = stem.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix(&stem)?.parse().ok();
    let paths = entries(&durable::parent(dir))?;
    Ok(paths.into_iter().filter_map(|path| number(&path).map(|number| (number, path))).collect())
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let read = |source| StoreError::io("read", dir, source);
    fs::read_dir(dir).map_err(read)?.map(|entry| entry.map(|entry| entry.path()).map_err(read)).collect()
}

/// `dir` with `suffix` added to its name.
fn sibling(dir: &Path, suffix: &str) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
