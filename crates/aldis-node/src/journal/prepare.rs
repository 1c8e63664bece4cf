//! Writing the next segment ahead, beside the writer, so that rotation does not stall commits. This module never
//! touches a segment that is in use.

use super::disk::Disk;
use super::segment;
use super::writer::Options;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// By how much the thread that prepares gives way to others where processors are short.
const NICE: i32 = 5;

/// The segment that is being prepared, if any. Dropping it ends the thread and waits for it.
#[derive(Debug)]
pub(super) struct Preparation {
    dir: PathBuf,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    thread: JoinHandle<io::Result<File>>,
    stop: Arc<AtomicBool>,
    bytes: u64,
}

impl Preparation {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, running: None }
    }

    /// Starts to write `bytes` zeroes. If no thread can be had, [`Self::take`] does the work itself.
    pub(super) fn begin(&mut self, options: &Options, bytes: u64) {
        self.stop();
        let stop = Arc::new(AtomicBool::new(false));
        let (options, dir, flag) = (options.clone(), self.dir.clone(), Arc::clone(&stop));
        let thread = std::thread::Builder::new().name("journal-prepare".to_owned()).spawn(move || {
            // There is time until the segment is needed; an error changes nothing else.
            let _unchanged = rustix::process::nice(NICE);
            segment::prepare(&options.disk, &dir, bytes, &|| {
                options.give_way();
                flag.load(Ordering::Relaxed)
            })
        });
        self.running = thread.ok().map(|thread| Running { thread, stop, bytes });
    }

    /// Whether [`Self::take`] would not wait for the thread.
    pub(super) fn is_over(&self) -> bool {
        self.running.as_ref().is_none_or(|running| running.thread.is_finished())
    }

    /// The bytes that are, or will soon be, on disk for the next segment.
    pub(super) fn bytes(&self) -> u64 {
        self.running.as_ref().map_or(0, |running| running.bytes)
    }

    /// The prepared file, at least `bytes` long; waits for the thread, and does what it left undone.
    pub(super) fn take(&mut self, disk: &Disk, bytes: u64) -> io::Result<File> {
        let Some(running) = self.running.take() else {
            return segment::prepare(disk, &self.dir, bytes, &|| false);
        };
        let file =
            running.thread.join().map_err(|_| io::Error::other("the thread that prepares segments panicked"))??;
        if file.metadata()?.len() < bytes {
            disk.write_zeroes(&file, running.bytes, bytes, &|| false)?;
        }
        Ok(file)
    }

    /// Ends the thread; what it wrote is not used.
    pub(super) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop.store(true, Ordering::Relaxed);
            // Its result no longer matters: the next preparation begins by removing the file.
            drop(running.thread.join());
        }
    }
}

impl Drop for Preparation {
    fn drop(&mut self) {
        self.stop();
    }
}
