//! Reading committed records, from any number of threads, beside the writer. This module never returns a byte that
//! does not match its checksum, never anything that is not committed, and never writes.

use super::error::ReadError;
use super::format::{NONCE_BYTES, RECORD_HEAD_BYTES, RecordSeq, TRAILER_BYTES, TreeHead};
use super::open_segment::{INDEX_STEP, OpenSegment, Step};
use aldis_wire::digest::Digest;
use aldis_wire::merkle::{self, Frontier};
use bytes::{Buf, Bytes};
use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many older segments stay open with what is known of their places.
const OPEN_SEGMENTS: usize = 8;
/// How much whoever reads record after record reads at once.
const WINDOW_BYTES: usize = 128 << 10;

/// A record as it stands in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordBytes {
    /// Its number.
    pub seq: RecordSeq,
    /// The random bytes in front of its leaf.
    pub nonce: [u8; NONCE_BYTES],
    /// The record.
    pub record: Bytes,
    /// What stands beside it.
    pub body: Body,
}

impl RecordBytes {
    /// The record's leaf in the journal's Merkle tree.
    pub fn leaf_hash(&self) -> Digest {
        merkle::leaf_hash_of(&[&self.nonce, &self.record])
    }
}

/// The erasable bytes beside a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The record never had one.
    None,
    /// It was erased.
    Erased,
    /// It is there and matches its checksum.
    Present(Bytes),
}

/// Reads committed records. Cheap to clone; every clone sees the same journal.
#[derive(Clone, Debug)]
pub struct Reader {
    shared: Arc<Shared>,
}

impl Reader {
    /// How many records are committed.
    pub fn committed(&self) -> u64 {
        self.shared.committed.load(Ordering::Acquire)
    }

    /// The tree after the latest commit.
    pub fn head(&self) -> Result<TreeHead, ReadError> {
        match self.committed().checked_sub(1) {
            Some(last) => self.commit_of(RecordSeq(last)),
            None => Ok(TreeHead { size: 0, root: Frontier::new().root() }),
        }
    }

    /// Reads one record with its body.
    pub fn read(&self, seq: RecordSeq) -> Result<RecordBytes, ReadError> {
        let (segment, offset) = self.locate(seq)?;
        segment.record(offset, seq)
    }

    /// All committed records from `seq` on, one at a time, also those committed while it runs. After an error it ends. It
    /// reads ahead: a body that is erased meanwhile may still be given.
    pub fn iter_from(&self, seq: RecordSeq) -> RecordIter {
        RecordIter { reader: self.clone(), next: seq.0, place: None, failed: false }
    }

    /// The leaf hashes from record `seq` on, for inclusion and consistency proofs.
    pub fn leaf_hashes_from(&self, seq: RecordSeq) -> impl Iterator<Item = Result<Digest, ReadError>> + use<> {
        self.iter_from(seq).map(|record| record.map(|record| record.leaf_hash()))
    }

    /// The size and root that the commit holding record `seq` ended with.
    pub fn commit_of(&self, seq: RecordSeq) -> Result<TreeHead, ReadError> {
        let (segment, mut offset) = self.locate(seq)?;
        let mut next = seq.0;
        loop {
            match segment.step(offset, RecordSeq(next))? {
                Step::Record { end } => (offset, next) = (end, next + 1),
                Step::CommitEnd { head, .. } => return Ok(head),
            }
        }
    }

    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Finds the segment and the place of a committed record.
    pub(super) fn locate(&self, seq: RecordSeq) -> Result<(Arc<OpenSegment>, u64), ReadError> {
        let committed = self.committed();
        if seq.0 >= committed {
            return Err(ReadError::NotCommitted { seq, committed });
        }
        let segment = self.shared.segment_of(seq)?;
        let (mut next, mut offset) = segment.near(seq)?;
        let mut before = offset;
        loop {
            match segment.step(offset, RecordSeq(next)) {
                Ok(Step::Record { .. }) if next == seq.0 => return Ok((segment, offset)),
                Ok(Step::Record { end }) => (before, offset, next) = (offset, end, next + 1),
                Ok(Step::CommitEnd { end, .. }) => (before, offset) = (offset, end),
                // Damage hides no more than the commit it is in. It may be in the step before, as a length that leapt.
                Err(damage @ ReadError::Damaged(_)) => match segment.commit_from(before + 8, u64::MAX, next)? {
                    Some((found, place)) if found <= seq.0 => (before, offset, next) = (place, place, found),
                    _ => return Err(damage),
                },
                Err(error) => return Err(error),
            }
        }
    }
}

/// An iterator over committed records; see [`Reader::iter_from`].
#[derive(Debug)]
pub struct RecordIter {
    reader: Reader,
    next: u64,
    /// Where the next record may stand, if that is known.
    place: Option<Place>,
    failed: bool,
}

/// A place of a segment, and what was read there.
#[derive(Debug)]
struct Place {
    segment: Arc<OpenSegment>,
    offset: u64,
    /// What stands from the offset on, as far as it was read.
    window: Bytes,
    /// How many records were committed before the window was read: of these it has nothing that is half written.
    records: u64,
}

impl RecordIter {
    /// The tree after the record that was given last, if that one ended a commit.
    pub fn commit_end(&mut self) -> Result<Option<TreeHead>, ReadError> {
        let Some(place) = &mut self.place else { return Ok(None) };
        match place.step(&self.reader, RecordSeq(self.next))? {
            Step::Record { .. } => Ok(None),
            Step::CommitEnd { head, .. } => Ok(Some(head)),
        }
    }

    /// Reads one record behind those that were given, and goes on from there. Whoever wants some of many records reads
    /// those that are near each other at once.
    pub fn read_at(&mut self, seq: RecordSeq) -> Result<RecordBytes, ReadError> {
        let committed = self.reader.committed();
        if seq.0 >= committed {
            return Err(ReadError::NotCommitted { seq, committed });
        }
        if seq.0 < self.next || seq.0 > self.next + INDEX_STEP {
            self.place = None;
        }
        self.read_through(seq)
    }

    /// Reads a record, from the place that is remembered if there is one. Damage between the two hides neither: the record
    /// is then looked for anew.
    fn read_through(&mut self, seq: RecordSeq) -> Result<RecordBytes, ReadError> {
        let is_remembered = self.place.is_some();
        match self.read_from_place(seq) {
            Err(ReadError::Damaged(_)) if is_remembered => self.read_from_place(seq),
            other => other,
        }
    }

    /// Passes over the records before `seq`, and reads that one; after an error no place is remembered.
    fn read_from_place(&mut self, seq: RecordSeq) -> Result<RecordBytes, ReadError> {
        let mut place = match self.place.take() {
            Some(place) if self.reader.shared.is_in(seq, &place.segment) => place,
            _ => {
                let (segment, offset) = self.reader.locate(seq)?;
                self.next = seq.0;
                Place { segment, offset, window: Bytes::new(), records: 0 }
            }
        };
        if place.records <= seq.0 {
            place.window.clear();
        }
        loop {
            match place.step(&self.reader, RecordSeq(self.next))? {
                Step::Record { .. } if self.next == seq.0 => break,
                Step::Record { end } => {
                    place.pass(end);
                    self.next += 1;
                }
                Step::CommitEnd { end, .. } => place.pass(end),
            }
        }
        let record = place.record(&self.reader, seq)?;
        self.next += 1;
        self.place = Some(place);
        Ok(record)
    }
}

impl Place {
    fn step(&mut self, reader: &Reader, next: RecordSeq) -> Result<Step, ReadError> {
        self.have(reader, TRAILER_BYTES)?;
        self.segment.parse_step(&self.window, self.offset, next)
    }

    /// The record that stands here; goes on behind it.
    fn record(&mut self, reader: &Reader, seq: RecordSeq) -> Result<RecordBytes, ReadError> {
        self.have(reader, RECORD_HEAD_BYTES)?;
        let head = self.segment.parse_head(&self.window, self.offset, seq)?;
        self.have(reader, head.total_len())?;
        let record = self.segment.parse_record(&head, &self.window, self.offset)?;
        self.pass(self.offset + head.total_len() as u64);
        Ok(record)
    }

    /// Has so many bytes at hand, unless the file ends before.
    fn have(&mut self, reader: &Reader, length: usize) -> Result<(), ReadError> {
        if self.window.len() < length {
            self.records = reader.committed();
            self.window = self.segment.bytes(self.offset, length.max(WINDOW_BYTES))?;
        }
        Ok(())
    }

    /// Goes on at `offset`, behind what stands here.
    fn pass(&mut self, offset: u64) {
        let passed = usize::try_from(offset - self.offset).expect("no record is longer than memory");
        self.window.advance(passed.min(self.window.len()));
        self.offset = offset;
    }
}

impl Iterator for RecordIter {
    type Item = Result<RecordBytes, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.next >= self.reader.committed() {
            return None;
        }
        let record = self.read_through(RecordSeq(self.next));
        self.failed = record.is_err();
        Some(record)
    }
}

/// What writer and readers share.
#[derive(Debug)]
pub(super) struct Shared {
    dir: PathBuf,
    committed: AtomicU64,
    segments: Mutex<Segments>,
}

#[derive(Debug)]
struct Segments {
    /// The first records of all segments.
    firsts: BTreeSet<u64>,
    live: Arc<OpenSegment>,
    /// Older segments that were read lately, the latest in front.
    open: VecDeque<Arc<OpenSegment>>,
}

impl Shared {
    pub(super) fn new(dir: PathBuf, firsts: BTreeSet<u64>, live: Arc<OpenSegment>, committed: u64) -> Self {
        let segments = Mutex::new(Segments { firsts, live, open: VecDeque::new() });
        Self { dir, committed: AtomicU64::new(committed), segments }
    }

    /// Lets readers see everything below `size`.
    pub(super) fn publish(&self, size: u64) {
        self.committed.store(size, Ordering::Release);
    }

    /// Makes `live` the segment that is written.
    pub(super) fn rotate(&self, live: Arc<OpenSegment>) {
        let mut segments = self.lock();
        segments.firsts.insert(live.first);
        let sealed = std::mem::replace(&mut segments.live, live);
        segments.keep(sealed);
    }

    fn segment_of(&self, seq: RecordSeq) -> Result<Arc<OpenSegment>, ReadError> {
        let (first, after) = {
            let mut segments = self.lock();
            if seq.0 >= segments.live.first {
                return Ok(Arc::clone(&segments.live));
            }
            let first = segments.firsts.range(..=seq.0).next_back().copied().unwrap_or(0);
            if let Some(at) = segments.open.iter().position(|segment| segment.first == first) {
                let segment = segments.open.remove(at).expect("the position was just found");
                segments.keep(Arc::clone(&segment));
                return Ok(segment);
            }
            let after = segments.firsts.range(first + 1..).next().copied().unwrap_or(segments.live.first);
            (first, after)
        };
        // Opening waits for the disk; other readers and the writer need not wait for it.
        let segment = Arc::new(OpenSegment::open_sealed(&self.dir, first, after)?);
        self.lock().keep(Arc::clone(&segment));
        Ok(segment)
    }

    /// Whether record `seq` stands in `segment` and not in a later one.
    fn is_in(&self, seq: RecordSeq, segment: &OpenSegment) -> bool {
        self.lock().firsts.range(..=seq.0).next_back() == Some(&segment.first)
    }

    fn lock(&self) -> MutexGuard<'_, Segments> {
        // The list is whole at every moment a holder could panic.
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Segments {
    fn keep(&mut self, segment: Arc<OpenSegment>) {
        self.open.push_front(segment);
        self.open.truncate(OPEN_SEGMENTS);
    }
}
