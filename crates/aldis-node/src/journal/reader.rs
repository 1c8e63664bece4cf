//! Reading committed records, from any number of threads, beside the writer. This module never returns a byte that
//! does not match its checksum, never anything that is not committed, and never writes.

use super::blocks;
use super::error::{Finding, ReadError};
use super::format::{BodyRef, Fault, Mark, RECORD_HEAD_BYTES, RecordHead, RecordSeq, TRAILER_BYTES, Trailer, TreeHead};
use super::format::{NONCE_BYTES, read_u64};
use super::segment::{self, Start, StartError};
use aldis_wire::digest::Digest;
use aldis_wire::merkle::{self, Frontier};
use bytes::Bytes;
use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One record in this many has its place in the index of its segment.
pub(super) const INDEX_STEP: u64 = 64;
/// How many older segments stay open with their index.
const OPEN_SEGMENTS: usize = 8;
/// How much is read first: most records fit.
const FIRST_READ_BYTES: usize = 2048;
const DAMAGED_ADVICE: &str = "run `aldis verify`; fetch the record again from the peer that holds it";

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
        Ok(segment.record(offset, seq)?.0)
    }

    /// All committed records from `seq` on, one at a time, also those committed while it runs. After an error it ends.
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
        let (mut next, mut offset) = segment.indexed(seq);
        loop {
            match segment.step(offset, RecordSeq(next))? {
                Step::Record { .. } if next == seq.0 => return Ok((segment, offset)),
                Step::Record { end } => (offset, next) = (end, next + 1),
                Step::CommitEnd { end, .. } => offset = end,
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
    place: Option<(Arc<OpenSegment>, u64)>,
    failed: bool,
}

impl RecordIter {
    fn read_next(&mut self) -> Result<RecordBytes, ReadError> {
        let seq = RecordSeq(self.next);
        let (segment, mut offset) = match self.place.take() {
            Some(place) if self.reader.shared.is_in(seq, &place.0) => place,
            _ => self.reader.locate(seq)?,
        };
        while let Step::CommitEnd { end, .. } = segment.step(offset, seq)? {
            offset = end;
        }
        let (record, end) = segment.record(offset, seq)?;
        self.next += 1;
        self.place = Some((segment, end));
        Ok(record)
    }
}

impl Iterator for RecordIter {
    type Item = Result<RecordBytes, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.next >= self.reader.committed() {
            return None;
        }
        let record = self.read_next();
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
        // Opening reads the whole segment once; other readers and the writer need not wait for it.
        let segment = Arc::new(OpenSegment::open_sealed(&segment::path(&self.dir, first), first, after)?);
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

/// A segment file that is open for reading, with a sparse index.
#[derive(Debug)]
pub(super) struct OpenSegment {
    pub(super) first: u64,
    pub(super) path: PathBuf,
    pub(super) file: File,
    mark: Mark,
    data_at: u64,
    /// (record, offset), ascending in both.
    index: Mutex<Vec<(u64, u64)>>,
}

/// What stands at one place of a segment.
enum Step {
    Record { end: u64 },
    CommitEnd { head: TreeHead, end: u64 },
}

impl OpenSegment {
    pub(super) fn new(first: u64, path: PathBuf, file: File, mark: Mark, data_at: u64) -> Self {
        Self { first, path, file, mark, data_at, index: Mutex::new(Vec::new()) }
    }

    /// Notes where a record stands, if it is one of those the index keeps.
    pub(super) fn note(&self, seq: u64, offset: u64) {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if index.last().is_none_or(|(last, _)| seq >= last + INDEX_STEP) {
            index.push((seq, offset));
        }
    }

    /// Opens a segment whose records end before `after`, and indexes it. Where records are damaged, the index goes on
    /// with the next commit that can be found, so that damage hides no more than itself.
    fn open_sealed(path: &Path, first: u64, after: u64) -> Result<Self, ReadError> {
        let failed = |source| ReadError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => {
                let what = format!("the segment is missing, and with it records {first} to {}", after - 1);
                damaged(segment::name(first), 0, Some(RecordSeq(first)), what)
            }
            _ => failed(source),
        })?;
        let start = Start::read(&file, first).map_err(|error| match error {
            StartError::Damaged { offset, what } => damaged(segment::name(first), offset, None, what.to_owned()),
            StartError::Io(source) => failed(source),
        })?;
        let length = file.metadata().map_err(failed)?.len();
        let segment = Self::new(first, path.to_owned(), file, start.header.mark, start.data_at);
        let (mut next, mut offset) = (first, start.data_at);
        while next < after && offset < length {
            match segment.step(offset, RecordSeq(next)) {
                Ok(Step::Record { end }) => {
                    segment.note(next, offset);
                    (offset, next) = (end, next + 1);
                }
                Ok(Step::CommitEnd { end, .. }) => offset = end,
                Err(ReadError::Io { path, source }) => return Err(ReadError::Io { path, source }),
                Err(_) => match blocks::find_commit(&segment.file, segment.mark, offset + 8, next).map_err(failed)? {
                    Some((found, seq)) => {
                        segment.index.lock().unwrap_or_else(PoisonError::into_inner).push((seq, found));
                        (offset, next) = (found, seq);
                    }
                    None => break,
                },
            }
        }
        Ok(segment)
    }

    /// The indexed record at or before `seq` and its place.
    fn indexed(&self, seq: RecordSeq) -> (u64, u64) {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let at = index.partition_point(|(indexed, _)| *indexed <= seq.0);
        at.checked_sub(1).map_or((self.first, self.data_at), |at| index[at])
    }

    /// Looks at what stands at `offset`, where record `next` or the end of the commit before it belongs.
    fn step(&self, offset: u64, next: RecordSeq) -> Result<Step, ReadError> {
        let mut bytes = [0; TRAILER_BYTES];
        let filled = blocks::read_some(&self.file, &mut bytes, offset).map_err(|source| self.failed(source))?;
        let fail = |fault| self.damaged(offset, next, fault);
        if filled == TRAILER_BYTES && read_u64(&bytes, 0) == self.mark.trailer() {
            let trailer = Trailer::parse(&bytes, self.mark).map_err(fail)?;
            return Ok(Step::CommitEnd { head: trailer.head, end: offset + TRAILER_BYTES as u64 });
        }
        if filled < RECORD_HEAD_BYTES {
            return Err(fail(Fault::Truncated));
        }
        let head = RecordHead::parse(&bytes, self.mark).map_err(fail)?;
        if head.seq != next.0 {
            return Err(fail(Fault::WrongNumber { expected: next.0, found: head.seq }));
        }
        Ok(Step::Record { end: offset + head.total_len() as u64 })
    }

    /// Reads and checks the whole record at `offset`; also returns where it ends.
    fn record(&self, offset: u64, seq: RecordSeq) -> Result<(RecordBytes, u64), ReadError> {
        let fail = |fault| self.damaged(offset, seq, fault);
        let mut bytes = vec![0; FIRST_READ_BYTES];
        let mut filled = blocks::read_some(&self.file, &mut bytes, offset).map_err(|source| self.failed(source))?;
        if filled < RECORD_HEAD_BYTES {
            return Err(fail(Fault::Truncated));
        }
        let head = RecordHead::parse(&bytes, self.mark).map_err(fail)?;
        if head.seq != seq.0 {
            return Err(fail(Fault::WrongNumber { expected: seq.0, found: head.seq }));
        }
        let total = head.total_len();
        bytes.resize(total, 0);
        if filled < total {
            let rest = blocks::read_some(&self.file, &mut bytes[filled..], offset + filled as u64);
            filled += rest.map_err(|source| self.failed(source))?;
            if filled < total {
                return Err(fail(Fault::Truncated));
            }
        }
        head.check_leaf(&bytes).map_err(fail)?;
        let bytes = Bytes::from(bytes);
        let body = match head.check_body(&bytes).map_err(fail)? {
            BodyRef::None => Body::None,
            BodyRef::Erased => Body::Erased,
            BodyRef::Present(body) => Body::Present(bytes.slice_ref(body)),
        };
        let record = RecordBytes { seq, nonce: head.nonce, record: bytes.slice_ref(head.leaf(&bytes)), body };
        Ok((record, offset + total as u64))
    }

    /// The head of the record at `offset`, which was located before.
    pub(super) fn head(&self, offset: u64, seq: RecordSeq) -> Result<RecordHead, ReadError> {
        let mut bytes = [0; RECORD_HEAD_BYTES];
        self.file.read_exact_at(&mut bytes, offset).map_err(|source| self.failed(source))?;
        RecordHead::parse(&bytes, self.mark).map_err(|fault| self.damaged(offset, seq, fault))
    }

    fn damaged(&self, offset: u64, seq: RecordSeq, fault: Fault) -> ReadError {
        damaged(segment::name(self.first), offset, Some(seq), fault.to_string())
    }

    fn failed(&self, source: io::Error) -> ReadError {
        ReadError::Io { path: self.path.clone(), source }
    }
}

fn damaged(file: String, offset: u64, record: Option<RecordSeq>, what: String) -> ReadError {
    ReadError::Damaged(Finding { file, offset, record, what, advice: DAMAGED_ADVICE })
}
