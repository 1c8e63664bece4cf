//! Every call of the journal that changes the disk, in one place, so that tests can count the calls, fail any of them
//! and look at the directory between them. This module never retries and never decides.

use std::fs::{File, OpenOptions};
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
#[cfg(test)]
use std::sync::Arc;

const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;
/// How much of a long file is handed to the disk at once: a commit's sync waits behind it.
pub(crate) const WRITEBACK_BYTES: u64 = 1 << 20;
static ZEROES: [u8; 64 << 10] = [0; 64 << 10];

/// What a call is about to change, for the tests' script.
#[cfg_attr(not(test), expect(dead_code, reason = "only the tests' script looks at them"))]
#[derive(Clone, Copy, Debug)]
pub(super) enum Call<'a> {
    CreateDir(&'a Path),
    CreateFile(&'a Path),
    Rename(&'a Path, &'a Path),
    /// Of a file, or of a directory and what is in it.
    Remove(&'a Path),
    SyncData(&'a File),
    SyncDir(&'a Path),
}

/// The way to the disk; in tests it may carry a script that makes calls fail.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    #[cfg(test)]
    pub(crate) script: Option<Arc<super::tests::script::Script>>,
}

impl Disk {
    pub(crate) fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.call(Call::CreateDir(path), || std::fs::DirBuilder::new().mode(DIR_MODE).create(path))
    }

    /// Creates a file that must not exist yet, for reading and writing.
    pub(crate) fn create_file(&self, path: &Path) -> io::Result<File> {
        self.call(Call::CreateFile(path), || {
            OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE).open(path)
        })
    }

    /// Gives a file a second name. To the tests' script it is a file that is created.
    pub(crate) fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Call::CreateFile(to), || std::fs::hard_link(from, to))
    }

    /// Opens an existing file for reading and writing, which changes nothing.
    #[expect(clippy::unused_self, reason = "every way to a writable file leads through the disk")]
    pub(crate) fn open_file(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(path)
    }

    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "the tests' script hangs here"))]
    pub(crate) fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        #[cfg(test)]
        if let Some(script) = &self.script {
            return script.write_at(file, bytes, offset);
        }
        file.write_all_at(bytes, offset)
    }

    /// Writes zeroes over `from..to`, in pieces of 64 KiB, until done or until `stop` says so.
    pub(crate) fn write_zeroes(&self, file: &File, from: u64, to: u64, stop: &dyn Fn() -> bool) -> io::Result<()> {
        let (mut at, mut begun) = (from, from);
        while at < to && !stop() {
            let piece = ZEROES.len().min(usize::try_from(to - at).unwrap_or(usize::MAX));
            self.write_at(file, &ZEROES[..piece], at)?;
            at += piece as u64;
            if at - begun >= WRITEBACK_BYTES {
                self.begin_writeback(file, begun, at);
                begun = at;
            }
        }
        Ok(())
    }

    /// Has the kernel begin to write `from..to` to the disk. It waits for nothing and promises nothing; where the kernel does
    /// not do that, the sync at the end takes longer.
    #[expect(clippy::unused_self, reason = "every call that has the disk work leads through here")]
    pub(crate) fn begin_writeback(&self, file: &File, from: u64, to: u64) {
        let _advice = rustix::fs::fadvise(file, from, NonZeroU64::new(to - from), rustix::fs::Advice::DontNeed);
    }

    /// fdatasync: the file's bytes and what is needed to read them again.
    pub(crate) fn sync_data(&self, file: &File) -> io::Result<()> {
        self.sync(Call::SyncData(file), || file.sync_data())
    }

    /// fsync of a directory: the names in it.
    pub(crate) fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.sync(Call::SyncDir(path), || File::open(path)?.sync_all())
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Call::Rename(from, to), || std::fs::rename(from, to))
    }

    /// Removes a file; that it was not there is no error.
    pub(crate) fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.call(Call::Remove(path), || match std::fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        })
    }

    /// Removes a directory and what is in it; that it was not there is no error.
    pub(crate) fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.call(Call::Remove(path), || match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        })
    }

    /// The bytes this process may still write on the file system that holds `path`.
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "the tests' script hangs here"))]
    pub(crate) fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        #[cfg(test)]
        if let Some(free_bytes) = self.script.as_ref().and_then(|script| script.free_bytes()) {
            return Ok(free_bytes);
        }
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    #[cfg_attr(not(test), expect(clippy::unused_self, unused_variables, reason = "the tests' script hangs here"))]
    fn call<T>(&self, call: Call<'_>, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        #[cfg(test)]
        if let Some(script) = &self.script {
            return script.call(call, act);
        }
        act()
    }

    #[cfg_attr(not(test), expect(clippy::unused_self, unused_variables, reason = "the tests' script hangs here"))]
    fn sync(&self, call: Call<'_>, act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        #[cfg(test)]
        if let Some(script) = &self.script {
            return script.sync(call, act);
        }
        act()
    }
}
