//! The file store: the files that messages name, in `attachments/` of the data directory, ours and those of each peer
//! apart. A file has the name of its digest; no part of a path ever comes from a peer but its enrolled id. Everything here
//! blocks on the disk. An error leaves the node running: the file is not there, and the message says so.
//!
//! | path | holds |
//! |---|---|
//! | `ours/<hex>` | a file that a message of ours names, once however many it went to |
//! | `ours/<hex>.unnamed` | an upload that no message names yet; gone after an hour, and at the next start |
//! | `ours/new-<random>` | an upload under way; gone at the next start |
//! | `from/<peer>/<hex>` | a peer's file: complete, verified, on stable storage |
//! | `from/<peer>/<hex>.part` | one under way; it is gone on with from its length |
//!
//! Directories have mode 0700, files 0600. A file is written aside, synced, renamed, and its directory synced: a name
//! without a suffix stands only for what is whole, also after a power cut.

mod error;
mod incoming;
mod leftovers;
mod ours;
mod upload;
mod writing;

pub use error::{IncomingError, StoreError};
pub use incoming::Incoming;
pub use ours::Named;
pub use upload::{UNNAMED_MAX_BYTES, Upload};

use crate::journal::Disk;
use aldis_wire::digest::Digest;
use aldis_wire::ids::NodeId;
use incoming::Arriving;
use ours::Ours;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The store's directory within the data directory.
pub const ATTACHMENTS_DIR: &str = "attachments";
const OURS_DIR: &str = "ours";
const FROM_DIR: &str = "from";
const PART_SUFFIX: &str = "part";

/// How long a message may take to name a file that was handed in.
const UNNAMED_FOR: Duration = Duration::from_hours(1);
/// How often those that none has named are looked for.
const UNNAMED_LOOK: Duration = Duration::from_mins(5);

/// How many files it is noted of how far they were handed out; of more, nobody watches that.
const NOTED_MAX: usize = 16_384;

/// The files that messages name. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Attachments(Arc<Store>);

#[derive(Debug)]
struct Store {
    dir: PathBuf,
    disk: Disk,
    /// What is left free for messages, in bytes.
    keep_free_bytes: u64,
    ours: Mutex<Ours>,
    arriving: Mutex<BTreeMap<(NodeId, Digest), Arc<Arriving>>>,
    /// How far the latest link handed ours out, to be shown.
    sent: Mutex<BTreeMap<(NodeId, Digest), u64>>,
}

/// A complete file, open for reading. It stays readable when it is erased meanwhile.
#[derive(Debug)]
pub struct Complete {
    file: File,
    path: PathBuf,
    size: u64,
}

impl Attachments {
    /// Opens the store in `data_dir`, making it if need be, and removes what uploads left that no message names. Files are
    /// taken only while more than `keep_free_bytes` stay free on the disk.
    pub fn open(data_dir: &Path, keep_free_bytes: u64) -> Result<Self, StoreError> {
        Self::open_on(Disk::default(), data_dir, keep_free_bytes)
    }

    pub(crate) fn open_on(disk: Disk, data_dir: &Path, keep_free_bytes: u64) -> Result<Self, StoreError> {
        let dir = data_dir.join(ATTACHMENTS_DIR);
        let (ours, arriving, sent) = (Mutex::default(), Mutex::default(), Mutex::default());
        let store = Self(Arc::new(Store { dir, disk, keep_free_bytes, ours, arriving, sent }));
        for made in [store.0.dir.clone(), store.ours_dir(), store.0.dir.join(FROM_DIR)] {
            store.make_dir(&made)?;
        }
        store.sweep()?;
        Ok(store)
    }

    /// A peer's file, once it is complete; `None` if it is not.
    pub fn read_from(&self, peer: &NodeId, attachment: Digest) -> Result<Option<Complete>, StoreError> {
        open(self.theirs_path(peer, attachment))
    }

    /// Whether a peer's file is complete.
    pub fn holds_from(&self, peer: &NodeId, attachment: Digest) -> bool {
        self.theirs_path(peer, attachment).exists()
    }

    /// Notes up to which byte a link has handed one of our files to a peer, for whoever watches. It proves nothing.
    pub fn note_sent(&self, peer: &NodeId, attachment: Digest, bytes: u64) {
        let mut sent = locked(&self.0.sent);
        let key = (peer.clone(), attachment);
        if sent.len() < NOTED_MAX || sent.contains_key(&key) {
            sent.insert(key, bytes);
        }
    }

    /// Up to which byte one of our files was handed to a peer, as far as it was noted in this run.
    pub fn sent(&self, peer: &NodeId, attachment: Digest) -> Option<u64> {
        locked(&self.0.sent).get(&(peer.clone(), attachment)).copied()
    }

    /// The peer has it, or it will not go there: nobody watches it any more.
    pub fn forget_sent(&self, peer: &NodeId, attachment: Digest) {
        locked(&self.0.sent).remove(&(peer.clone(), attachment));
    }

    /// How many bytes of a peer's file are on disk; `None` if none of it is. Only [`Attachments::read_from`] says whether it
    /// is verified.
    pub fn progress(&self, peer: &NodeId, attachment: Digest) -> Option<u64> {
        if let Some(arriving) = locked(&self.0.arriving).get(&(peer.clone(), attachment)) {
            return Some(arriving.bytes());
        }
        let path = self.theirs_path(peer, attachment);
        let found = fs::metadata(&path).or_else(|_| fs::metadata(part_of(&path)));
        found.ok().map(|metadata| metadata.len())
    }

    /// The peers' files that are on their way, and how many bytes of each are on disk.
    pub fn arriving(&self) -> BTreeMap<(NodeId, Digest), u64> {
        locked(&self.0.arriving).iter().map(|(key, arriving)| (key.clone(), arriving.bytes())).collect()
    }

    /// Removes a peer's file, complete or not. That there is none is no error.
    pub fn erase_from(&self, peer: &NodeId, attachment: Digest) -> Result<(), StoreError> {
        let key = (peer.clone(), attachment);
        let arriving = locked(&self.0.arriving).remove(&key);
        // Whoever still writes it must not make it anew.
        let _turn = arriving.as_ref().map(|arriving| arriving.take_turn());
        let path = self.theirs_path(peer, attachment);
        self.remove(&part_of(&path))?;
        self.remove(&path)
    }

    fn theirs_path(&self, peer: &NodeId, attachment: Digest) -> PathBuf {
        self.peer_dir(peer).join(attachment.to_hex())
    }

    fn peer_dir(&self, peer: &NodeId) -> PathBuf {
        self.0.dir.join(FROM_DIR).join(peer.as_str())
    }

    fn ours_dir(&self) -> PathBuf {
        self.0.dir.join(OURS_DIR)
    }

    /// Makes a directory with its name on stable storage, unless it is there.
    fn make_dir(&self, dir: &Path) -> Result<(), StoreError> {
        match self.0.disk.create_dir(dir) {
            Ok(()) => self.sync_dir(dir.parent().unwrap_or(Path::new("/"))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(StoreError::io("create", dir)(error)),
        }
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), StoreError> {
        self.0.disk.sync_dir(dir).map_err(StoreError::io("sync", dir))
    }

    /// Gives a file its other name, on stable storage.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        self.0.disk.rename(from, to).map_err(StoreError::io("put in place", to))?;
        self.sync_dir(to.parent().unwrap_or(Path::new("/")))
    }

    fn remove(&self, path: &Path) -> Result<(), StoreError> {
        self.0.disk.remove_file(path).map_err(StoreError::io("remove", path))
    }

    /// Refuses when `bytes` more would leave less free than messages need.
    fn require_room(&self, bytes: u64) -> Result<(), StoreError> {
        let Store { dir, disk, keep_free_bytes, .. } = &*self.0;
        let free_bytes = disk.free_bytes(dir).map_err(StoreError::io("ask for the free space of", dir))?;
        let needed_bytes = keep_free_bytes.saturating_add(bytes);
        if free_bytes < needed_bytes {
            return Err(StoreError::DiskFull { dir: dir.clone(), free_bytes, needed_bytes });
        }
        Ok(())
    }
}

/// Removes what no message has named for an hour, for ever.
pub async fn forget_unnamed(store: Attachments) {
    loop {
        tokio::time::sleep(UNNAMED_LOOK).await;
        let store = store.clone();
        match tokio::task::spawn_blocking(move || store.forget_unnamed(UNNAMED_FOR)).await {
            Ok(Ok(0)) => {}
            Ok(Ok(files)) => tracing::info!(files, "files that no message named for an hour are gone"),
            Ok(Err(error)) => tracing::warn!(%error, "files that no message names stay until the next start"),
            Err(panic) => tracing::error!(%panic, "looking for files that no message names broke off"),
        }
    }
}

impl Complete {
    /// Its length, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads what stands from `offset` on, at most as much as there is room for; nothing beyond the end.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, StoreError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(StoreError::io("read", &self.path)(error)),
            }
        }
        Ok(filled)
    }
}

fn open(path: PathBuf) -> Result<Option<Complete>, StoreError> {
    let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
    match opened {
        Ok((size, file)) => Ok(Some(Complete { file, path, size })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("open", &path)(error)),
    }
}

fn part_of(path: &Path) -> PathBuf {
    path.with_extension(PART_SUFFIX)
}

/// What is in these maps is true between any two lines that change them, so a panic elsewhere spoils nothing.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
