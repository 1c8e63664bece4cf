//! Writing one generation: aside, every file synced and read back, the journal in it walked, then the manifest, and only
//! then its name. Whatever breaks it off in between, what was there before stays whole. Nothing here touches the node's
//! own files.

use super::check::{self, Tell};
use super::error::BackupError;
use super::generations::{self, ASIDE_NAME, LOCK_NAME};
use super::manifest::{FileName, JOURNAL_DIR, Kept, MANIFEST_NAME, Manifest, NODE_DIR, SUM_NAME, Sum, open_plain};
use crate::journal::{self, Disk, TreeHead};
use aldis_wire::digest::Digest;
use aldis_wire::ids::{NodeId, UnixMillis};
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How often a copy is begun again because a body was erased under it.
const ATTEMPTS: u32 = 3;
/// What a generation takes beside its files.
const OVERHEAD_BYTES: u64 = 1 << 20;

/// What is to be backed up, and where to.
pub(crate) struct Job {
    pub(crate) disk: Disk,
    pub(crate) node: NodeId,
    /// Where generations are.
    pub(crate) directory: PathBuf,
    /// How many of them stay.
    pub(crate) keep: usize,
    pub(crate) data_dir: PathBuf,
    pub(crate) journal_dir: PathBuf,
    pub(crate) journal: journal::Reader,
    /// Files beside the journal: configuration, keys, certificates, card, revocation lists.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) now: UnixMillis,
}

/// A backup that was made and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its generation.
    pub generation: PathBuf,
    /// Where the journal in it ends.
    pub head: TreeHead,
    /// How many files it has.
    pub files: u64,
    /// Their length.
    pub bytes: u64,
    /// How much of that was written; the rest was there.
    pub written_bytes: u64,
}

/// Makes a backup and verifies it. Blocks on the disk; `tell` is called after each piece of work, may pause, and may
/// unwind to break it off.
pub(crate) fn write(job: &Job, tell: &mut Tell<'_>) -> Result<Written, BackupError> {
    check_directory(job)?;
    let _lock = take_lock(&job.directory)?;
    let aside = job.directory.join(ASIDE_NAME);
    let before = generations::list(&job.directory).map_err(BackupError::io("list", &job.directory))?;
    let previous = previous(job, &before)?;
    let mut attempt = 1;
    let (manifest, written_bytes) = loop {
        job.disk.remove_dir(&aside).map_err(BackupError::io("remove", &aside))?;
        let mut generation =
            Generation { job, aside: &aside, previous: previous.as_ref(), files: Vec::new(), written_bytes: 0 };
        let head = generation.fill(tell)?;
        generation.read_back(tell)?;
        // A body that was erased meanwhile leaves the copy between two states; the next one has the second.
        match check::walked(&aside.join(JOURNAL_DIR), &head, tell).into_iter().next() {
            None => {
                let manifest = Manifest::new(job.node.clone(), &head, job.now, generation.files);
                break (manifest, generation.written_bytes);
            }
            Some(_) if attempt < ATTEMPTS => attempt += 1,
            Some(finding) => return Err(BackupError::Damaged(finding)),
        }
    };
    let generation = generations::path(&job.directory, before.last().map_or(1, |last| last + 1));
    put_in_place(job, &aside, &manifest, &generation)?;
    for number in before.iter().rev().skip(job.keep.max(1) - 1) {
        let old = generations::path(&job.directory, *number);
        forget(job, &aside, &old).map_err(BackupError::io("remove", &old))?;
    }
    let (files, bytes) = (manifest.files.len() as u64, manifest.bytes());
    Ok(Written { generation, head: manifest.head(), files, bytes, written_bytes })
}

/// The newest generation whose manifest is good, to take unchanged files from.
struct Previous {
    dir: PathBuf,
    manifest: Manifest,
}

fn previous(job: &Job, numbers: &[u64]) -> Result<Option<Previous>, BackupError> {
    for number in numbers.iter().rev() {
        let dir = generations::path(&job.directory, *number);
        let Ok(manifest) = Manifest::read(&dir) else { continue };
        if manifest.node != job.node {
            return Err(BackupError::OtherNode { dir: job.directory.clone(), found: manifest.node });
        }
        return Ok(Some(Previous { dir, manifest }));
    }
    Ok(None)
}

/// Refuses a directory that others can read, that is not there, or that shares its fate with the data.
fn check_directory(job: &Job) -> Result<(), BackupError> {
    let dir = &job.directory;
    let unfit = |problem: String| BackupError::Directory { dir: dir.clone(), problem };
    let user = rustix::process::geteuid().as_raw();
    // Not made here: an absent directory is more likely a disk that is not mounted.
    let metadata = dir.metadata().map_err(|error| unfit(format!("{error}; mount it, or run `mkdir -m 700`")))?;
    if !metadata.is_dir() {
        return Err(unfit("it is not a directory".to_owned()));
    }
    if metadata.mode() & 0o077 != 0 || metadata.uid() != user {
        return Err(unfit(format!("messages are secret: run `chown {user}` and `chmod 700` on it")));
    }
    let real = |path: &Path| path.canonicalize().map_err(BackupError::io("find", path));
    let (backups, data) = (real(dir)?, real(&job.data_dir)?);
    if backups.starts_with(&data) || data.starts_with(&backups) {
        return Err(unfit("it must not be in the data directory, nor hold it: take another disk".to_owned()));
    }
    Ok(())
}

fn take_lock(dir: &Path) -> Result<File, BackupError> {
    let path = dir.join(LOCK_NAME);
    let open = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = open.map_err(BackupError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(BackupError::Busy { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(BackupError::io("lock", &path)(source)),
    }
}

/// The generation that is being written.
struct Generation<'a> {
    job: &'a Job,
    aside: &'a Path,
    previous: Option<&'a Previous>,
    files: Vec<Kept>,
    written_bytes: u64,
}

impl Generation<'_> {
    /// Puts everything but the manifest there. Returns where the journal in it ends.
    fn fill(&mut self, tell: &mut Tell<'_>) -> Result<TreeHead, BackupError> {
        let disk = &self.job.disk;
        for dir in ["", JOURNAL_DIR, NODE_DIR] {
            let path = self.aside.join(dir);
            disk.create_dir(&path).map_err(BackupError::io("create", &path))?;
        }
        let head = self.copy_journal(tell)?;
        for (index, path) in self.job.files.iter().enumerate() {
            let bytes = open_plain(path).and_then(|file| file.metadata()).map_err(BackupError::io("read", path))?.len();
            let from = path.display().to_string();
            self.keep(FileName::of_node(index, path), path, bytes, &mut |_| {})?.copied_from = Some(from);
        }
        for dir in [JOURNAL_DIR, NODE_DIR] {
            let path = self.aside.join(dir);
            disk.sync_dir(&path).map_err(BackupError::io("sync", &path))?;
        }
        Ok(head)
    }

    /// Copies the sealed segments, then the last one up to the latest commit by then.
    fn copy_journal(&mut self, tell: &mut Tell<'_>) -> Result<TreeHead, BackupError> {
        let dir = &self.job.journal_dir;
        let mut copied = 0;
        loop {
            // Copying takes its time; what was committed and sealed meanwhile is taken along.
            let head = self.job.journal.head()?;
            let parts = journal::parts(dir, &head)?;
            let total: u64 = parts.iter().map(|part| part.bytes).sum();
            if copied == 0 {
                let snapshot = journal::snapshot_part(dir, &head)?;
                self.check_space(parts.iter().chain(&snapshot))?;
            }
            let mut done: u64 = parts[..copied].iter().map(|part| part.bytes).sum();
            let last = parts.len() - 1;
            let is_complete = copied == last;
            for part in if is_complete { &parts[last..] } else { &parts[copied..last] } {
                let (name, path) = (FileName::of_journal(&part.name), dir.join(&part.name));
                self.keep(name, &path, part.bytes, &mut |bytes| tell(done + bytes, total, "copy"))?;
                done += part.bytes;
            }
            if is_complete {
                if let Some(part) = journal::snapshot_part(dir, &head)? {
                    let (name, path) = (FileName::of_journal(&part.name), dir.join(&part.name));
                    self.keep(name, &path, part.bytes, &mut |_| tell(total, total, "copy"))?;
                }
                self.make(FileName::of_journal(journal::ANCHOR_FILE), &journal::anchor_of(&head))?;
                return Ok(head);
            }
            copied = last;
        }
    }

    /// Refuses to begin what cannot be finished. Files that seem to be there already are not counted.
    fn check_space<'a>(&self, parts: impl Iterator<Item = &'a journal::Part>) -> Result<(), BackupError> {
        let dir = &self.job.directory;
        let is_there = |part: &journal::Part| self.same_name(&FileName::of_journal(&part.name), part.bytes).is_some();
        let new: u64 = parts.filter(|part| !is_there(part)).map(|part| part.bytes).sum();
        let needed_bytes = new + OVERHEAD_BYTES;
        let free_bytes = self.job.disk.free_bytes(dir).map_err(BackupError::io("ask for the free space of", dir))?;
        if free_bytes < needed_bytes {
            return Err(BackupError::NoSpace { dir: dir.clone(), free_bytes, needed_bytes });
        }
        Ok(())
    }

    /// What the previous generation has under a name, if it is as long.
    fn same_name(&self, name: &FileName, bytes: u64) -> Option<&Kept> {
        let kept = self.previous?.manifest.files.iter().find(|kept| kept.name == *name)?;
        (kept.bytes == bytes).then_some(kept)
    }

    /// Takes the first `bytes` of the file at `from` into the generation: the previous generation's file, if that has the
    /// same digest, and a copy otherwise.
    fn keep(
        &mut self,
        name: FileName,
        from: &Path,
        bytes: u64,
        tell: &mut dyn FnMut(u64),
    ) -> Result<&mut Kept, BackupError> {
        let to = self.aside.join(name.as_str());
        let there = match (self.previous, self.same_name(&name, bytes)) {
            (Some(previous), Some(kept)) => {
                let same = digest(from, bytes, tell)? == kept.sha256.0;
                let old = previous.dir.join(name.as_str());
                // What was read back from the old file decides, not what its manifest says of it.
                let is_sound = same && check::digest_of(&old, bytes, tell).is_ok_and(|found| found == kept.sha256.0);
                (is_sound && self.link(&old, &to)?).then_some(kept.sha256.0)
            }
            _ => None,
        };
        let digest = match there {
            Some(digest) => digest,
            None => self.copy(from, bytes, &to, tell)?,
        };
        self.files.push(Kept { name, bytes, sha256: Sum(digest), copied_from: None });
        Ok(self.files.last_mut().expect("it was just put there"))
    }

    /// Gives the old file a second name. A file system that cannot do that gets a copy.
    fn link(&self, old: &Path, to: &Path) -> Result<bool, BackupError> {
        match self.job.disk.link(old, to) {
            Ok(()) => Ok(true),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied | io::ErrorKind::TooManyLinks
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(BackupError::io("link", to)(error)),
        }
    }

    /// Copies and syncs; returns the digest of what was written.
    fn copy(&mut self, from: &Path, bytes: u64, to: &Path, tell: &mut dyn FnMut(u64)) -> Result<Digest, BackupError> {
        let disk = &self.job.disk;
        let mut source = open_plain(from).map_err(BackupError::io("read", from))?;
        let file = disk.create_file(to).map_err(BackupError::io("create", to))?;
        let mut at = 0;
        let copied = check::digest_pieces(&mut source, bytes, &mut |done, piece| {
            disk.write_at(&file, piece, at)?;
            at = done;
            tell(done);
            Ok(())
        });
        let digest = copied.map_err(BackupError::io("copy to", to))?;
        self.settle(&file, to)?;
        self.written_bytes += bytes;
        Ok(digest)
    }

    /// Writes a file that is made here.
    fn make(&mut self, name: FileName, content: &[u8]) -> Result<(), BackupError> {
        let (disk, to) = (&self.job.disk, self.aside.join(name.as_str()));
        let file = disk.create_file(&to).map_err(BackupError::io("create", &to))?;
        disk.write_at(&file, content, 0).map_err(BackupError::io("write", &to))?;
        self.settle(&file, &to)?;
        let bytes = content.len() as u64;
        self.written_bytes += bytes;
        self.files.push(Kept { name, bytes, sha256: Sum(Digest::of(&[content])), copied_from: None });
        Ok(())
    }

    /// Syncs a file and lets go of what memory holds of it, so that it is read back from the disk.
    fn settle(&self, file: &File, path: &Path) -> Result<(), BackupError> {
        self.job.disk.sync_data(file).map_err(BackupError::io("sync", path))?;
        // A file system that keeps it in memory all the same only makes the reading back weaker.
        let _advice = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
        Ok(())
    }

    /// Reads every file back.
    fn read_back(&self, tell: &mut Tell<'_>) -> Result<(), BackupError> {
        let (total, mut done) = (self.files.iter().map(|kept| kept.bytes).sum(), 0);
        for kept in &self.files {
            let path = self.aside.join(kept.name.as_str());
            let found = check::digest_of(&path, kept.bytes, &mut |bytes| tell(done + bytes, total, "read back"));
            if found.map_err(BackupError::io("read back", &path))? != kept.sha256.0 {
                return Err(BackupError::Medium(path));
            }
            done += kept.bytes;
        }
        Ok(())
    }
}

fn digest(path: &Path, bytes: u64, tell: &mut dyn FnMut(u64)) -> Result<Digest, BackupError> {
    let mut file = open_plain(path).map_err(BackupError::io("read", path))?;
    let read = check::digest_pieces(&mut file, bytes, &mut |done, _| {
        tell(done);
        Ok(())
    });
    read.map_err(BackupError::io("read", path))
}

/// Writes the manifest and gives the generation its name.
fn put_in_place(job: &Job, aside: &Path, manifest: &Manifest, generation: &Path) -> Result<(), BackupError> {
    let (text, sum) = manifest.encode();
    for (name, content) in [(SUM_NAME, sum), (MANIFEST_NAME, text)] {
        let path = aside.join(name);
        let file = job.disk.create_file(&path).map_err(BackupError::io("create", &path))?;
        job.disk.write_at(&file, &content, 0).map_err(BackupError::io("write", &path))?;
        job.disk.sync_data(&file).map_err(BackupError::io("sync", &path))?;
    }
    job.disk.sync_dir(aside).map_err(BackupError::io("sync", aside))?;
    job.disk.rename(aside, generation).map_err(BackupError::io("put in place", generation))?;
    job.disk.sync_dir(&job.directory).map_err(BackupError::io("sync", &job.directory))
}

/// Removes an old generation. It loses its name first, so that none that is half gone has one.
fn forget(job: &Job, aside: &Path, old: &Path) -> io::Result<()> {
    job.disk.rename(old, aside)?;
    job.disk.sync_dir(&job.directory)?;
    job.disk.remove_dir(aside)
}

/// The files of a node beside its journal, as its configuration names them: every one that is there.
pub(crate) fn files_of(config: &crate::config::Config) -> Result<Vec<PathBuf>, BackupError> {
    let optional = [config.node.card.clone()].into_iter().chain(config.crls.clone());
    let mut files = vec![config.path.clone()];
    files.extend(crate::keys::files_to_copy(config)?);
    files.extend(optional.filter(|path| fs::metadata(path).is_ok()));
    Ok(files)
}
