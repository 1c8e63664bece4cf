//! A disk that follows a script: it counts the calls that change something and makes one of them, and all after it,
//! fail; a write may be cut short first.

use super::super::disk::Call;
use super::recorder::Recorder;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the disk does at the call the script names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Io,
    NoSpace,
    /// Half of the bytes are written, then EIO.
    ShortWrite,
    /// Everything is written, then EIO: a call that reports failure may have worked.
    Late,
}

#[derive(Debug, Default)]
pub(crate) struct Script {
    calls: AtomicU64,
    fail: Mutex<Option<(u64, Failure)>>,
    free_bytes: Mutex<Option<u64>>,
    /// After each call the directory is copied: (what, to below where).
    copies: Mutex<Option<(PathBuf, PathBuf)>>,
    recorder: Mutex<Option<Recorder>>,
}

impl Script {
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// Fails call number `at`, counted from now on from 0, with `failure`. Later calls work again.
    pub(crate) fn fail_at(&self, at: u64, failure: Failure) {
        *self.fail.lock().unwrap() = Some((self.calls() + at, failure));
    }

    pub(crate) fn set_free_bytes(&self, free_bytes: u64) {
        *self.free_bytes.lock().unwrap() = Some(free_bytes);
    }

    pub(in super::super) fn free_bytes(&self) -> Option<u64> {
        *self.free_bytes.lock().unwrap()
    }

    /// From now on copies `dir` after each call into `to`/N; `None` ends it.
    pub(in super::super) fn copy_after_each(&self, dir_and_to: Option<(PathBuf, PathBuf)>) {
        *self.copies.lock().unwrap() = dir_and_to;
    }

    /// From now on every call is recorded, and syncs are only recorded. Begin before the first call.
    pub(super) fn record(&self, recorder: Recorder) {
        *self.recorder.lock().unwrap() = Some(recorder);
    }

    /// The recorder, for marks and for taking the recording.
    pub(super) fn recorder<T>(&self, act: impl FnOnce(&mut Recorder) -> T) -> Option<T> {
        self.recorder.lock().unwrap().as_mut().map(act)
    }

    pub(in super::super) fn call<T>(&self, call: Call<'_>, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let failure = self.failure();
        let result = match failure {
            None | Some(Failure::Late) => {
                // One lock over both, so that the recording has the order the calls had.
                let mut recorder = self.recorder.lock().unwrap();
                let result = act();
                if let (Some(recorder), Ok(_)) = (recorder.as_mut(), &result) {
                    recorder.called(call);
                }
                result
            }
            Some(failure) => Err(error(failure)),
        };
        self.copy();
        if failure == Some(Failure::Late) { result.and(Err(error(Failure::Late))) } else { result }
    }

    pub(in super::super) fn sync(&self, call: Call<'_>, act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let is_recorded = self.recorder.lock().unwrap().is_some();
        self.call(call, || if is_recorded { Ok(()) } else { act() })
    }

    pub(in super::super) fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let failure = self.failure();
        let written = match failure {
            None | Some(Failure::Late) => bytes.len(),
            Some(Failure::ShortWrite) => bytes.len() / 2,
            Some(Failure::Io | Failure::NoSpace) => 0,
        };
        let mut recorder = self.recorder.lock().unwrap();
        let result = file.write_all_at(&bytes[..written], offset);
        if let Some(recorder) = recorder.as_mut() {
            recorder.wrote(file, &bytes[..written], offset);
        }
        drop(recorder);
        self.copy();
        failure.map_or(result, |failure| Err(error(failure)))
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
