//! A disk that follows a script: it counts the calls that change something and makes one of them, and all after it,
//! fail; a write may be cut short first.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the disk does at the call the script names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Failure {
    Io,
    NoSpace,
    /// Half of the bytes are written, then EIO.
    ShortWrite,
    /// Everything is written, then EIO: a call that reports failure may have worked.
    Late,
}

#[derive(Debug, Default)]
pub(in super::super) struct Script {
    calls: AtomicU64,
    fail: Mutex<Option<(u64, Failure)>>,
    free_bytes: Mutex<Option<u64>>,
    /// After each call the directory is copied: (what, to below where).
    copies: Mutex<Option<(PathBuf, PathBuf)>>,
}

impl Script {
    pub(in super::super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// Fails call number `at`, counted from now on from 0, with `failure`. Later calls work again.
    pub(in super::super) fn fail_at(&self, at: u64, failure: Failure) {
        *self.fail.lock().unwrap() = Some((self.calls() + at, failure));
    }

    pub(in super::super) fn set_free_bytes(&self, free_bytes: u64) {
        *self.free_bytes.lock().unwrap() = Some(free_bytes);
    }

    pub(in super::super) fn free_bytes(&self) -> Option<u64> {
        *self.free_bytes.lock().unwrap()
    }

    /// From now on copies `dir` after each call into `to`/N; `None` ends it.
    pub(in super::super) fn copy_after_each(&self, dir_and_to: Option<(PathBuf, PathBuf)>) {
        *self.copies.lock().unwrap() = dir_and_to;
    }

    pub(in super::super) fn call<T>(&self, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let result = match self.failure() {
            Some(Failure::Late) => act().and(Err(error(Failure::Late))),
            Some(failure) => Err(error(failure)),
            None => act(),
        };
        self.copy();
        result
    }

    pub(in super::super) fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let result = match self.failure() {
            None => file.write_all_at(bytes, offset),
            Some(failure) => {
                let written = match failure {
                    Failure::ShortWrite => bytes.len() / 2,
                    Failure::Late => bytes.len(),
                    _ => 0,
                };
                file.write_all_at(&bytes[..written], offset).and(Err(error(failure)))
            }
        };
        self.copy();
        result
    }

    fn failure(&self) -> Option<Failure> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        self.fail.lock().unwrap().filter(|(at, _)| *at == call).map(|(_, failure)| failure)
    }

    fn copy(&self) {
        if let Some((dir, to)) = &*self.copies.lock().unwrap() {
            copy_dir(dir, &to.join(format!("{:06}", self.calls())));
        }
    }
}

/// Copies a flat directory with its modes; a name that vanishes meanwhile is passed over.
pub(in super::super) fn copy_dir(from: &Path, to: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(to).unwrap();
    let Ok(entries) = std::fs::read_dir(from) else {
        return;
    };
    for entry in entries {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn error(failure: Failure) -> io::Error {
    match failure {
        Failure::NoSpace => io::Error::from(io::ErrorKind::StorageFull),
        _ => io::Error::other("injected failure of the disk"),
    }
}
