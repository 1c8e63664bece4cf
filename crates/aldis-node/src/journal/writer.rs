//! The one writer: commits (one write and one fdatasync each), rotation to the next segment, and erasure of bodies.
//! This module never retries: after the first failed call every later one fails, and only a new process goes on.

use super::anchor::{self, AnchorFile};
use super::disk::Disk;
use super::error::CommitError;
use super::format::{self, Entry, Mark, RecordHead, RecordSeq, Trailer, TreeHead};
use super::format::{MAX_BODY_BYTES, MAX_COMMIT_BYTES, MAX_COMMIT_RECORDS, MAX_RECORD_BYTES};
use super::open_segment::OpenSegment;
use super::prepare::Preparation;
use super::reader::{Reader, Shared};
use super::segment::{self, Header, Previous, Start};
use super::snapshot::{MakeSnapshot, Snapshots};
use crate::right_of_way::RightOfWay;
use aldis_wire::digest::Digest;
use aldis_wire::merkle::Frontier;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How the journal uses the disk.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of commits after which a segment is replaced (or four times its snapshot, if that is more).
    pub segment_bytes: u64,
    /// Bytes of the file system that rotation leaves free, so that commits can go on while somebody makes room.
    pub reserve_bytes: u64,
    /// Whether the next segment is written ahead, and each snapshot written, by a thread; otherwise rotation itself does it.
    pub prepare_ahead: bool,
    /// What these threads give way to: a FLASH must not wait for a disk that is busy with what has time (I14).
    pub(super) right_of_way: Option<RightOfWay>,
    pub(super) disk: Disk,
}

impl Options {
    /// The same, for a journal whose threads give way to FLASH.
    pub(crate) fn giving_way(self, right_of_way: RightOfWay) -> Self {
        Self { right_of_way: Some(right_of_way), ..self }
    }

    /// Called before each piece of work that has time.
    pub(super) fn give_way(&self) {
        if let Some(right_of_way) = &self.right_of_way {
            right_of_way.wait_until_free();
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        let (segment_bytes, reserve_bytes, disk) = (16 << 20, 64 << 20, Disk::default());
        Self { segment_bytes, reserve_bytes, prepare_ahead: true, right_of_way: None, disk }
    }
}

/// What one commit put on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The number of its first record.
    pub first: RecordSeq,
    /// How many records it holds.
    pub count: u32,
    /// The journal's records after it.
    pub size: u64,
    /// The Merkle root over them.
    pub root: Digest,
}

/// The journal, open for writing. There is one per directory and process; reading goes through [`Reader`].
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    options: Options,
    shared: Arc<Shared>,
    live: Live,
    frontier: Frontier,
    root: Digest,
    anchor: AnchorFile,
    preparation: Preparation,
    snapshots: Snapshots,
    buf: Vec<u8>,
    poisoned: bool,
    _lock: File,
}

/// How many times what is due a segment takes at most, while the next one is not prepared, or its own snapshot not written.
const OVERDUE: u64 = 2;

/// The segment that is written.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) segment: Arc<OpenSegment>,
    /// A second handle to the same file, for writing.
    pub(super) file: File,
    pub(super) mark: Mark,
    pub(super) data_at: u64,
    /// Where the next commit starts.
    pub(super) offset: u64,
}

/// The parts of a journal that recovery or creation has put together.
pub(super) struct Parts {
    pub(super) dir: PathBuf,
    pub(super) options: Options,
    pub(super) shared: Arc<Shared>,
    pub(super) live: Live,
    pub(super) frontier: Frontier,
    pub(super) anchor: AnchorFile,
    pub(super) lock: File,
    /// The length of the snapshot that was replayed, 0 if none was.
    pub(super) snapshot_bytes: u64,
}

impl Journal {
    /// Appends `entries` as one commit and returns when they are on stable storage.
    ///
    /// Readers see them from then on. No entries is no commit. After an [`CommitError::Io`] the journal is poisoned.
    pub fn commit(&mut self, entries: &[Entry<'_>]) -> Result<Committed, CommitError> {
        self.check_poison()?;
        self.settle_snapshot_if_over()?;
        check_limits(entries)?;
        let first = self.frontier.size();
        let count = u32::try_from(entries.len()).expect("the number of entries was checked");
        if count == 0 {
            return Ok(Committed { first: RecordSeq(first), count, size: first, root: self.root });
        }
        let mut frontier = self.frontier.clone();
        let mut places = Vec::with_capacity(entries.len());
        self.buf.clear();
        for (index, entry) in (0..).zip(entries) {
            let seq = first + u64::from(index);
            places.push((seq, self.live.offset + self.buf.len() as u64));
            frontier.append(format::encode_record(&mut self.buf, self.live.mark, seq, index, entry));
        }
        let head = TreeHead { size: frontier.size(), root: frontier.root() };
        Trailer { count, head }.encode(&mut self.buf, self.live.mark);
        self.append_buf(&head)?;
        self.frontier = frontier;
        self.root = head.root;
        for (seq, offset) in places {
            self.live.segment.note(seq, offset);
        }
        self.shared.publish(head.size);
        Ok(Committed { first: RecordSeq(first), count, size: head.size, root: head.root })
    }

    /// Whether the current segment has taken so much that [`Self::rotate`] should be called. While the next one is being
    /// prepared, or the snapshot of this one written, this one takes more, for a commit must not wait for that; but not
    /// without end.
    pub fn should_rotate(&self) -> bool {
        let due_bytes = segment::data_bytes(self.options.segment_bytes, self.snapshots.latest_bytes());
        let taken_bytes = self.live.offset - self.live.data_at;
        let is_ready = self.preparation.is_over() && self.snapshots.is_over();
        taken_bytes >= due_bytes && (is_ready || taken_bytes >= due_bytes * OVERDUE)
    }

    /// Starts the next segment, and has the snapshot made and written that stands for everything committed so far. Commits go
    /// on meanwhile; what fails there is an error of a later call.
    ///
    /// [`CommitError::LowSpace`] changes nothing, and commits go on in the current segment, which then grows. After any
    /// other error the journal is poisoned.
    pub fn rotate(&mut self, snapshot: MakeSnapshot) -> Result<(), CommitError> {
        self.check_poison()?;
        self.settle_snapshot()?;
        let first = self.frontier.size();
        if first == self.live.segment.first {
            return Ok(());
        }
        let segment_bytes = segment::needed_bytes(self.options.segment_bytes, self.snapshots.latest_bytes());
        // The snapshot may have grown by a quarter.
        self.check_space(segment_bytes, self.snapshots.latest_bytes() / 4 * 5)?;
        let previous = Previous { first: self.live.segment.first, end: self.live.offset };
        let header = Header { mark: random_mark(), first, previous: Some(previous), start: self.head() };
        let dir = self.dir.clone();
        self.poisoned = true;
        let file =
            self.preparation.take(&self.options.disk, segment_bytes).map_err(failed("prepare a segment in", &dir))?;
        self.live = start_segment(&self.options.disk, &dir, file, &header, &self.frontier)
            .map_err(failed("start a segment in", &dir))?;
        self.shared.rotate(Arc::clone(&self.live.segment));
        let begun = self.snapshots.begin(header.start, snapshot);
        begun.map_err(failed("write a snapshot in", &dir))?;
        self.poisoned = false;
        self.prepare_next();
        Ok(())
    }

    /// Overwrites the body beside record `seq`, durably. The record, its proof and every root stay as they are.
    ///
    /// The caller commits a record that says so *before*, and calls this again when that record is replayed: an
    /// erasure that was interrupted is thereby finished. Erasing twice, or where there is no body, changes nothing.
    pub fn erase_body(&mut self, seq: RecordSeq) -> Result<(), CommitError> {
        self.check_poison()?;
        let (segment, offset) = self.reader().locate(seq)?;
        let head = segment.head(offset, seq)?;
        let disk = self.options.disk.clone();
        self.poisoned = true;
        let file = disk.open_file(&segment.path).map_err(failed("open", &segment.path))?;
        erase_at(&disk, &file, offset, &head).map_err(failed("erase a body in", &segment.path))?;
        self.poisoned = false;
        Ok(())
    }

    /// Writes the clean-stop mark and closes the journal.
    pub fn stop_cleanly(mut self) -> Result<(), CommitError> {
        self.check_poison()?;
        self.preparation.stop();
        self.settle_snapshot()?;
        anchor::write_clean_stop(&self.options.disk, &self.dir, &self.head())
            .map_err(failed("write the clean-stop mark in", &self.dir))
    }

    /// How many records are committed.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The Merkle root over all committed records.
    pub fn root(&self) -> Digest {
        self.root
    }

    /// A reader of this journal; clone it freely.
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.shared))
    }

    /// Whether less than the reserve is free on the journal's file system.
    pub fn low_space(&self) -> io::Result<bool> {
        Ok(self.options.disk.free_bytes(&self.dir)? < self.options.reserve_bytes)
    }

    /// Where the next commit starts in the current segment.
    #[cfg(test)]
    pub(super) fn live_offset(&self) -> u64 {
        self.live.offset
    }

    pub(super) fn assemble(parts: Parts) -> Self {
        let root = parts.frontier.root();
        let preparation = Preparation::new(parts.dir.clone());
        let snapshots = Snapshots::new(parts.dir.clone(), parts.options.clone(), parts.snapshot_bytes);
        let mut journal = Self {
            dir: parts.dir,
            options: parts.options,
            shared: parts.shared,
            live: parts.live,
            frontier: parts.frontier,
            root,
            anchor: parts.anchor,
            preparation,
            snapshots,
            buf: Vec::new(),
            poisoned: false,
            _lock: parts.lock,
        };
        journal.prepare_next();
        journal
    }

    fn head(&self) -> TreeHead {
        TreeHead { size: self.frontier.size(), root: self.root }
    }

    fn prepare_next(&mut self) {
        let bytes = segment::prepared_bytes(self.options.segment_bytes, self.snapshots.latest_bytes());
        // The snapshot may be on its way to the same disk.
        let snapshot_bytes = if self.snapshots.is_over() { 0 } else { self.snapshots.latest_bytes() / 4 * 5 };
        if self.options.prepare_ahead && self.check_space(bytes, snapshot_bytes).is_ok() {
            self.preparation.begin(&self.options, bytes);
        }
    }

    fn check_space(&self, segment_bytes: u64, snapshot_bytes: u64) -> Result<(), CommitError> {
        let free_bytes =
            self.options.disk.free_bytes(&self.dir).map_err(failed("ask for the free space of", &self.dir))?;
        // What is prepared has its space already.
        let new_bytes = segment_bytes.saturating_sub(self.preparation.bytes()) + snapshot_bytes;
        let needed_bytes = self.options.reserve_bytes + new_bytes;
        if free_bytes < needed_bytes { Err(CommitError::LowSpace { free_bytes, needed_bytes }) } else { Ok(()) }
    }

    /// Takes in what became of the snapshot that was written beside the commits, if that is over.
    fn settle_snapshot_if_over(&mut self) -> Result<(), CommitError> {
        if self.snapshots.is_over() { self.settle_snapshot() } else { Ok(()) }
    }

    fn settle_snapshot(&mut self) -> Result<(), CommitError> {
        let was_poisoned = std::mem::replace(&mut self.poisoned, true);
        self.snapshots.settle().map_err(failed("write a snapshot in", &self.dir))?;
        self.poisoned = was_poisoned;
        Ok(())
    }

    fn check_poison(&self) -> Result<(), CommitError> {
        if self.poisoned { Err(CommitError::Poisoned) } else { Ok(()) }
    }

    /// Writes and syncs the buffer behind the last commit; then the anchor may say so.
    fn append_buf(&mut self, head: &TreeHead) -> Result<(), CommitError> {
        let (disk, path) = (&self.options.disk, &self.live.segment.path);
        self.poisoned = true;
        disk.write_at(&self.live.file, &self.buf, self.live.offset).map_err(failed("write to", path))?;
        disk.sync_data(&self.live.file).map_err(failed("sync", path))?;
        self.anchor.write(disk, head).map_err(failed("write the anchor in", &self.dir))?;
        self.live.offset += self.buf.len() as u64;
        self.poisoned = false;
        Ok(())
    }
}

/// Makes a prepared file the segment that `header` names, which begins with the tree `frontier`.
pub(super) fn start_segment(
    disk: &Disk,
    dir: &Path,
    file: File,
    header: &Header,
    frontier: &Frontier,
) -> io::Result<Live> {
    let bytes = Start::encode(header, frontier);
    disk.write_at(&file, &bytes, 0)?;
    disk.sync_data(&file)?;
    let path = segment::path(dir, header.first);
    disk.rename(&segment::prepared_path(dir), &path)?;
    disk.sync_dir(dir)?;
    let data_at = bytes.len() as u64;
    let segment = Arc::new(OpenSegment::new(header.first, path, file.try_clone()?, header.mark, data_at));
    Ok(Live { segment, file, mark: header.mark, data_at, offset: data_at })
}

/// Erases the body, if there is one, of the record with `head` at `offset`.
pub(super) fn erase_at(disk: &Disk, file: &File, offset: u64, head: &RecordHead) -> io::Result<()> {
    let Some(tail_at) = head.body_tail_at() else {
        return Ok(());
    };
    // The word that closes the body goes first: whoever meets a half-erased body then knows it for one.
    disk.write_at(file, &format::erased_tail(head.seq), offset + tail_at as u64)?;
    disk.sync_data(file)?;
    disk.write_zeroes(file, offset + head.leaf_part_len() as u64, offset + tail_at as u64, &|| false)?;
    disk.sync_data(file)
}

/// A mark for a new segment.
pub(super) fn random_mark() -> Mark {
    let mut bits = [0; 8];
    getrandom::fill(&mut bits).expect("the system's random source works once the system runs");
    Mark::from_random(u64::from_le_bytes(bits))
}

fn check_limits(entries: &[Entry<'_>]) -> Result<(), CommitError> {
    within("a commit's number of records", entries.len() as u64, MAX_COMMIT_RECORDS as u64)?;
    for entry in entries {
        within("a record", entry.record.len() as u64, MAX_RECORD_BYTES as u64)?;
        let body_bytes: u64 = entry.body.unwrap_or_default().iter().map(|part| part.len() as u64).sum();
        within("a body", body_bytes, MAX_BODY_BYTES as u64)?;
    }
    let bytes: u64 = entries.iter().map(|entry| format::encoded_len(entry) as u64).sum();
    within("a commit", bytes, MAX_COMMIT_BYTES as u64)
}

fn within(what: &'static str, bytes: u64, limit: u64) -> Result<(), CommitError> {
    if bytes > limit { Err(CommitError::TooLarge { what, bytes, limit }) } else { Ok(()) }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CommitError {
    let path = path.to_owned();
    move |source| CommitError::Io { what, path, source }
}
