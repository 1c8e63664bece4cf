//! The files that we send: which of them a message names, and when the others go.

use super::upload::UNNAMED_MAX_BYTES;
use super::{Attachments, Complete, StoreError, locked};
use aldis_wire::digest::Digest;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How uploads under way are named; the rest is random.
pub(super) const NEW_PREFIX: &str = "new-";
const UNNAMED_SUFFIX: &str = "unnamed";

/// What is known of our files beside what the directory says.
#[derive(Debug, Default)]
pub(super) struct Ours {
    /// What uploads under way have announced, in bytes.
    announced_bytes: u64,
    unnamed: BTreeMap<Digest, Unnamed>,
    named: BTreeMap<Digest, Holds>,
}

#[derive(Debug)]
struct Unnamed {
    size: u64,
    since: Instant,
}

/// Messages in the making that name a file.
#[derive(Debug)]
struct Holds {
    count: u32,
    /// Whether a message that is on stable storage names it.
    is_kept: bool,
}

/// A file that a message is about to name: it stays for as long as this lives, and for good if it is kept by then.
#[derive(Debug)]
pub struct Named {
    store: Attachments,
    attachment: Digest,
    size: u64,
    is_kept: bool,
}

impl Attachments {
    /// Holds on to an uploaded file for a message that is about to name it; `None` if it is not here. It has its lasting
    /// name on stable storage when this returns, so that it is there for every message that is journalled.
    pub fn name(&self, attachment: Digest) -> Result<Option<Named>, StoreError> {
        let mut ours = locked(&self.0.ours);
        let (path, unnamed) = (self.ours_path(attachment), self.unnamed_path(attachment));
        if !ours.named.contains_key(&attachment) && !path.exists() {
            if !unnamed.exists() {
                return Ok(None);
            }
            self.rename(&unnamed, &path)?;
            ours.unnamed.remove(&attachment);
            ours.named.insert(attachment, Holds { count: 0, is_kept: false });
        }
        let size = fs::metadata(&path).map_err(StoreError::io("look at", &path))?.len();
        ours.named.entry(attachment).or_insert(Holds { count: 0, is_kept: true }).count += 1;
        Ok(Some(Named { store: self.clone(), attachment, size, is_kept: false }))
    }

    /// One of our files, whether a message names it yet or not; `None` if it is not here.
    pub fn read_ours(&self, attachment: Digest) -> Result<Option<Complete>, StoreError> {
        // Both names are looked up under the lock: it may be given its lasting one in between.
        let _ours = locked(&self.0.ours);
        match super::open(self.ours_path(attachment))? {
            Some(complete) => Ok(Some(complete)),
            None => super::open(self.unnamed_path(attachment)),
        }
    }

    /// Removes one of our files that no message names any more. One that a message is about to name stays for that.
    pub fn erase_ours(&self, attachment: Digest) -> Result<(), StoreError> {
        let mut ours = locked(&self.0.ours);
        if let Some(holds) = ours.named.get_mut(&attachment) {
            holds.is_kept = false;
            return Ok(());
        }
        self.remove(&self.ours_path(attachment))
    }

    /// Removes the uploads that no message has named for longer than `patience`. Says how many.
    pub fn forget_unnamed(&self, patience: Duration) -> Result<usize, StoreError> {
        let mut ours = locked(&self.0.ours);
        let is_old = |unnamed: &Unnamed| unnamed.since.elapsed() > patience;
        let old: Vec<Digest> = ours.unnamed.iter().filter(|(_, one)| is_old(one)).map(|(digest, _)| *digest).collect();
        for attachment in &old {
            self.remove(&self.unnamed_path(*attachment))?;
            ours.unnamed.remove(attachment);
        }
        Ok(old.len())
    }

    /// Takes in an upload that is on stable storage. What is here already under its digest is the same bytes.
    pub(super) fn take_in(&self, new: &Path, attachment: Digest, size: u64) -> Result<(), StoreError> {
        let mut ours = locked(&self.0.ours);
        if self.ours_path(attachment).exists() {
            return self.remove(new);
        }
        self.rename(new, &self.unnamed_path(attachment))?;
        ours.unnamed.insert(attachment, Unnamed { size, since: Instant::now() });
        Ok(())
    }

    /// Removes what an earlier run of the node left of uploads that no message named.
    pub(super) fn sweep(&self) -> Result<(), StoreError> {
        let dir = self.ours_dir();
        let failed = || StoreError::io("list", &dir);
        for entry in fs::read_dir(&dir).map_err(failed())? {
            let path = entry.map_err(failed())?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let is_unnamed = path.extension().is_some_and(|suffix| suffix == UNNAMED_SUFFIX);
            if name.starts_with(NEW_PREFIX) || is_unnamed {
                self.remove(&path)?;
            }
        }
        Ok(())
    }

    fn ours_path(&self, attachment: Digest) -> PathBuf {
        self.ours_dir().join(attachment.to_hex())
    }

    fn unnamed_path(&self, attachment: Digest) -> PathBuf {
        self.ours_path(attachment).with_extension(UNNAMED_SUFFIX)
    }
}

impl Named {
    /// Its length, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// A message that names it may be on stable storage from now on: it stays, whatever becomes of whoever sends.
    pub fn keep(&mut self) {
        self.is_kept = true;
    }

    /// No message names it after all.
    pub fn release(mut self) {
        self.is_kept = false;
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let mut ours = locked(&self.store.0.ours);
        let Some(holds) = ours.named.get_mut(&self.attachment) else { return };
        holds.count -= 1;
        holds.is_kept |= self.is_kept;
        if holds.count > 0 {
            return;
        }
        let is_kept = holds.is_kept;
        ours.named.remove(&self.attachment);
        if is_kept {
            return;
        }
        let (path, unnamed) = (self.store.ours_path(self.attachment), self.store.unnamed_path(self.attachment));
        match self.store.0.disk.rename(&path, &unnamed) {
            Ok(()) => {
                ours.unnamed.insert(self.attachment, Unnamed { size: self.size, since: Instant::now() });
            }
            Err(error) => tracing::warn!(%error, path = %path.display(), "a file that no message names stays"),
        }
    }
}

impl Ours {
    /// Counts what an upload announces, if there is room for it.
    pub(super) fn reserve(&mut self, bytes: u64) -> Result<(), StoreError> {
        let unnamed_bytes: u64 = self.unnamed.values().map(|unnamed| unnamed.size).sum();
        let waiting_bytes = unnamed_bytes.saturating_add(self.announced_bytes);
        if waiting_bytes.saturating_add(bytes) > UNNAMED_MAX_BYTES {
            return Err(StoreError::TooMuchUnnamed { waiting_bytes, allowed_bytes: UNNAMED_MAX_BYTES });
        }
        self.announced_bytes += bytes;
        Ok(())
    }

    /// An upload has ended: what it left counts by itself.
    pub(super) fn give_back(&mut self, bytes: u64) {
        self.announced_bytes -= bytes;
    }
}
