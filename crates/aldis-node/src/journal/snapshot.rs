//! Snapshots: what stands for everything before a segment, in a file beside it, so that opening reads open work and not
//! history. Each is made and written by a thread of its own, while commits go on: they wait for none of it, and until it is on
//! disk, or where it is damaged, an earlier one serves. This module never interprets a snapshot.

use super::format::{TreeHead, is_sealed, pad, padded, read_digest, read_u32, read_u64, seal};
use super::writer::Options;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// The longest snapshot, in bytes.
pub const MAX_SNAPSHOT_BYTES: u64 = 1 << 30;

/// What to do about one that is damaged.
pub(super) const SNAPSHOT_ADVICE: &str =
    "nothing is lost: the records say the same, and a start reads them instead; the file may be removed";

const HEAD_BYTES: usize = 72;
const MAGIC: &[u8; 8] = b"ALDISNAP";
const FORMAT_VERSION: u32 = 1;
/// How much is written at once, and given to the disk: a commit's sync waits behind no more.
const PIECE_BYTES: usize = 1 << 20;
const ASIDE_NAME: &str = "next.snapshot";
/// By how much the thread that makes a snapshot gives way to others where processors are short.
const NICE: i32 = 5;

/// Makes a snapshot, on whatever thread.
pub type MakeSnapshot = Box<dyn FnOnce() -> Vec<u8> + Send>;

/// Why there is no snapshot where a file of one is.
#[derive(Debug, thiserror::Error)]
pub(super) enum SnapshotError {
    #[error("{0}")]
    Damaged(&'static str),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The snapshots that this process writes, one at a time. Dropping it waits for the one under way.
#[derive(Debug)]
pub(super) struct Snapshots {
    dir: PathBuf,
    options: Options,
    running: Option<JoinHandle<io::Result<Option<u64>>>>,
    /// The length of the latest one, 0 if there is none.
    latest_bytes: u64,
}

impl Snapshots {
    pub(super) fn new(dir: PathBuf, options: Options, latest_bytes: u64) -> Self {
        Self { dir, options, running: None, latest_bytes }
    }

    /// The length of the latest one that is on disk, 0 if there is none.
    pub(super) fn latest_bytes(&self) -> u64 {
        self.latest_bytes
    }

    /// Has a snapshot made and written that stands for the tree `start`. The one before must be settled.
    pub(super) fn begin(&mut self, start: TreeHead, make: MakeSnapshot) -> io::Result<()> {
        let (options, dir) = (self.options.clone(), self.dir.clone());
        if !options.prepare_ahead {
            self.take_in(write(&options, &dir, &start, make())?);
            return Ok(());
        }
        let work = move || {
            // Whoever waits for a commit goes first; an error changes nothing else.
            let _unchanged = rustix::process::nice(NICE);
            write(&options, &dir, &start, make())
        };
        // Without a thread there is none for this segment, and a start reads more.
        self.running = std::thread::Builder::new().name("journal-snapshot".to_owned()).spawn(work).ok();
        Ok(())
    }

    /// Whether [`Self::settle`] would not wait for the thread.
    pub(super) fn is_over(&self) -> bool {
        self.running.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// One that was left out says nothing of how long they are.
    fn take_in(&mut self, written_bytes: Option<u64>) {
        self.latest_bytes = written_bytes.unwrap_or(self.latest_bytes);
    }

    /// Waits for the thread; what failed there fails here.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        if let Some(running) = self.running.take() {
            let panicked = |_| io::Error::other("the thread that writes snapshots panicked");
            self.take_in(running.join().map_err(panicked)??);
        }
        Ok(())
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        // Whoever drops a journal without stopping it has learned of its failure, or crashes: nothing rests on this snapshot.
        let _unsettled = self.settle();
    }
}

/// The name of the snapshot before record `first`.
pub(super) fn name(first: u64) -> String {
    format!("{first:020}.snap")
}

/// The path of the snapshot before record `first`.
pub(super) fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join(name(first))
}

/// Where a snapshot is while it is written.
pub(super) fn aside_path(dir: &Path) -> PathBuf {
    dir.join(ASIDE_NAME)
}

/// The snapshot that stands for the tree `start`; `None` if there is none.
pub(super) fn read(dir: &Path, start: &TreeHead) -> Result<Option<Vec<u8>>, SnapshotError> {
    let mut file = match File::open(path(dir, start.size)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut head = [0; HEAD_BYTES];
    read_exact(&mut file, &mut head)?;
    if head[..8] != *MAGIC || !is_sealed(&head) {
        return Err(SnapshotError::Damaged("the head of the snapshot does not match its checksum"));
    }
    if read_u32(&head, 8) != FORMAT_VERSION {
        return Err(SnapshotError::Damaged("the snapshot has a format this version does not know"));
    }
    let (stands_for, length) =
        (TreeHead { size: read_u64(&head, 16), root: read_digest(&head, 24) }, read_u64(&head, 56));
    if stands_for != *start || length > MAX_SNAPSHOT_BYTES {
        return Err(SnapshotError::Damaged("the snapshot does not stand for the tree before its segment"));
    }
    let length = usize::try_from(length).expect("the length was checked against a limit that fits");
    if file.metadata()?.len() != (HEAD_BYTES + padded(length) + 8) as u64 {
        return Err(SnapshotError::Damaged("the file of the snapshot is not as long as its head says"));
    }
    let mut bytes = vec![0; padded(length) + 8];
    read_exact(&mut file, &mut bytes)?;
    if !is_sealed(&bytes) || bytes[length..padded(length)].iter().any(|byte| *byte != 0) {
        return Err(SnapshotError::Damaged("the snapshot does not match its checksum"));
    }
    bytes.truncate(length);
    Ok(Some(bytes))
}

/// Writes a snapshot under its aside name and, once it is on disk, gives it its own; returns its length. `None` of one that is
/// longer than any may be, or for which there is no space: it is left out, and a start reads more then.
fn write(options: &Options, dir: &Path, start: &TreeHead, snapshot: Vec<u8>) -> io::Result<Option<u64>> {
    let (disk, aside, length) = (&options.disk, aside_path(dir), snapshot.len() as u64);
    disk.remove_file(&aside)?;
    if length > MAX_SNAPSHOT_BYTES || disk.free_bytes(dir)? < options.reserve_bytes + length {
        tracing::warn!(
            bytes = length,
            "no place for a snapshot of the state: the next start reads the records instead"
        );
        return Ok(None);
    }
    write_aside(options, &aside, start, snapshot)?;
    disk.rename(&aside, &path(dir, start.size))?;
    disk.sync_dir(dir)?;
    Ok(Some(length))
}

/// Writes all of a snapshot's file, durably.
fn write_aside(options: &Options, aside: &Path, start: &TreeHead, mut snapshot: Vec<u8>) -> io::Result<()> {
    let disk = &options.disk;
    let file = disk.create_file(aside)?;
    disk.write_at(&file, &head(start, snapshot.len() as u64), 0)?;
    pad(&mut snapshot);
    seal(&mut snapshot, 0);
    let mut at = HEAD_BYTES as u64;
    for piece in snapshot.chunks(PIECE_BYTES) {
        options.give_way();
        disk.write_at(&file, piece, at)?;
        disk.begin_writeback(&file, at, at + piece.len() as u64);
        at += piece.len() as u64;
    }
    disk.sync_data(&file)
}

fn head(start: &TreeHead, length: u64) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    head.extend_from_slice(&[0; 4]);
    head.extend_from_slice(&start.size.to_le_bytes());
    head.extend_from_slice(start.root.as_bytes());
    head.extend_from_slice(&length.to_le_bytes());
    seal(&mut head, 0);
    head
}

fn read_exact(file: &mut File, bytes: &mut [u8]) -> Result<(), SnapshotError> {
    file.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => SnapshotError::Damaged("the file of the snapshot ends too early"),
        _ => SnapshotError::Io(error),
    })
}
