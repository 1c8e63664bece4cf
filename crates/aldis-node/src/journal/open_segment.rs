//! One segment that is open for reading: where its records stand, and what stands there. Of a segment that is no longer
//! written nothing is read before it is wanted: its commits are found by halving. This module returns no byte that does
//! not match its checksum, and never writes.

use super::blocks;
use super::error::{Finding, ReadError};
use super::format::read_u64;
use super::format::{BodyRef, Fault, Mark, RECORD_HEAD_BYTES, RecordHead, RecordSeq, TRAILER_BYTES, Trailer, TreeHead};
use super::reader::{Body, RecordBytes};
use super::segment::{self, Header, Start, StartError};
use bytes::Bytes;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// One record in this many has its place in the index of its segment.
pub(super) const INDEX_STEP: u64 = 64;
/// How near a commit is that is looked for, in bytes: what lies between is walked over.
const NEAR_BYTES: u64 = 256 << 10;
/// How much is read first: most records fit.
const FIRST_READ_BYTES: usize = 2048;
const DAMAGED_ADVICE: &str = "run `aldis verify`; fetch the record again from the peer that holds it";

/// A segment file that is open for reading, with a sparse index.
#[derive(Debug)]
pub(super) struct OpenSegment {
    pub(super) first: u64,
    pub(super) path: PathBuf,
    pub(super) file: File,
    mark: Mark,
    data_at: u64,
    /// Where its last commit ends, as far as that is known; of the segment that is written it is not, and its index is whole.
    end: Option<u64>,
    /// (record, offset), ascending in both.
    index: Mutex<Vec<(u64, u64)>>,
}

/// What stands at one place of a segment.
pub(super) enum Step {
    Record { end: u64 },
    CommitEnd { head: TreeHead, end: u64 },
}

impl OpenSegment {
    pub(super) fn new(first: u64, path: PathBuf, file: File, mark: Mark, data_at: u64) -> Self {
        Self { first, path, file, mark, data_at, end: None, index: Mutex::new(Vec::new()) }
    }

    /// Notes where a record stands, if it is one of those the index keeps.
    pub(super) fn note(&self, seq: u64, offset: u64) {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if index.last().is_none_or(|(last, _)| seq >= last + INDEX_STEP) {
            index.push((seq, offset));
        }
    }

    /// Opens a segment whose records end before `after`, where the next one begins. Nothing of it is read but its head:
    /// places are looked for when they are wanted.
    pub(super) fn open_sealed(dir: &Path, first: u64, after: u64) -> Result<Self, ReadError> {
        let path = segment::path(dir, first);
        let failed = |source| ReadError::Io { path: path.clone(), source };
        let file = File::open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => {
                let what = format!("the segment is missing, and with it records {first} to {}", after - 1);
                damaged(segment::name(first), 0, Some(RecordSeq(first)), what)
            }
            _ => failed(source),
        })?;
        let Start { header, data_at, .. } = Start::read(&file, first).map_err(|error| match error {
            StartError::Damaged { offset, what } => damaged(segment::name(first), offset, None, what.to_owned()),
            StartError::Io(source) => failed(source),
        })?;
        let length = file.metadata().map_err(failed)?.len();
        // Behind its last commit are the zeroes it was prepared with; without the next header they are searched too.
        let next = File::open(segment::path(dir, after)).ok().and_then(|file| Header::read(&file, after).ok());
        let previous = next.and_then(|header| header.previous).filter(|previous| previous.first == first);
        let end = previous.map_or(length, |previous| previous.end.min(length));
        Ok(Self { end: Some(end), ..Self::new(first, path.clone(), file, header.mark, data_at) })
    }

    /// A record at or a little before `seq`, and its place. In a segment without an index of its own commits are found by
    /// halving, and noted.
    pub(super) fn near(&self, seq: RecordSeq) -> Result<(u64, u64), ReadError> {
        let ((mut record, mut offset), mut behind) = self.indexed(seq);
        while seq.0 > record + INDEX_STEP && behind > offset + NEAR_BYTES {
            let middle = offset + (behind - offset) / 2 / 8 * 8;
            match self.commit_from(middle, behind, record + 1)? {
                Some((found, place)) => {
                    self.learn(found, place);
                    match found <= seq.0 {
                        true => (record, offset) = (found, place),
                        false => behind = middle,
                    }
                }
                None => behind = middle,
            }
        }
        Ok((record, offset))
    }

    /// The first commit that stands whole from `from` on and before `to`: its first record, which is `next` or a later one,
    /// and its place.
    pub(super) fn commit_from(&self, from: u64, to: u64, next: u64) -> Result<Option<(u64, u64)>, ReadError> {
        let to = self.end.map_or(to, |end| end.min(to));
        let found = blocks::find_commit(&self.file, self.mark, from, to, next);
        Ok(found.map_err(|source| self.failed(source))?.map(|(offset, record)| (record, offset)))
    }

    /// The indexed record at or before `seq` with its place, and the place behind which `seq` cannot be. An index that is
    /// whole leaves nothing between the two.
    fn indexed(&self, seq: RecordSeq) -> ((u64, u64), u64) {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let at = index.partition_point(|(indexed, _)| *indexed <= seq.0);
        let before = at.checked_sub(1).map_or((self.first, self.data_at), |at| index[at]);
        let behind = self.end.map(|end| index.get(at).map_or(end, |(_, offset)| *offset));
        (before, behind.unwrap_or(before.1))
    }

    /// Notes where a commit stands that was looked for.
    fn learn(&self, record: u64, offset: u64) {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let at = index.partition_point(|(indexed, _)| *indexed < record);
        if index.get(at).is_none_or(|(indexed, _)| *indexed != record) {
            index.insert(at, (record, offset));
        }
    }

    /// Looks at what stands at `offset`, where record `next` or the end of the commit before it belongs.
    pub(super) fn step(&self, offset: u64, next: RecordSeq) -> Result<Step, ReadError> {
        let mut bytes = [0; TRAILER_BYTES];
        let filled = blocks::read_some(&self.file, &mut bytes, offset).map_err(|source| self.failed(source))?;
        self.parse_step(&bytes[..filled], offset, next)
    }

    /// What the bytes from `offset` on begin with, where record `next` or the end of the commit before it belongs.
    pub(super) fn parse_step(&self, bytes: &[u8], offset: u64, next: RecordSeq) -> Result<Step, ReadError> {
        if bytes.len() >= TRAILER_BYTES && read_u64(bytes, 0) == self.mark.trailer() {
            let trailer = Trailer::parse(bytes, self.mark).map_err(|fault| self.damaged(offset, next, fault))?;
            return Ok(Step::CommitEnd { head: trailer.head, end: offset + TRAILER_BYTES as u64 });
        }
        let head = self.parse_head(bytes, offset, next)?;
        Ok(Step::Record { end: offset + head.total_len() as u64 })
    }

    /// The head of record `seq`, with which the bytes from `offset` on begin.
    pub(super) fn parse_head(&self, bytes: &[u8], offset: u64, seq: RecordSeq) -> Result<RecordHead, ReadError> {
        let fail = |fault| self.damaged(offset, seq, fault);
        if bytes.len() < RECORD_HEAD_BYTES {
            return Err(fail(Fault::Truncated));
        }
        let head = RecordHead::parse(bytes, self.mark).map_err(fail)?;
        if head.seq != seq.0 {
            return Err(fail(Fault::WrongNumber { expected: seq.0, found: head.seq }));
        }
        Ok(head)
    }

    /// The whole record with this head, with which the bytes from `offset` on begin.
    pub(super) fn parse_record(&self, head: &RecordHead, bytes: &Bytes, offset: u64) -> Result<RecordBytes, ReadError> {
        let seq = RecordSeq(head.seq);
        let fail = |fault| self.damaged(offset, seq, fault);
        if bytes.len() < head.total_len() {
            return Err(fail(Fault::Truncated));
        }
        head.check_leaf(bytes).map_err(fail)?;
        let body = match head.check_body(bytes).map_err(fail)? {
            BodyRef::None => Body::None,
            BodyRef::Erased => Body::Erased,
            BodyRef::Present(body) => Body::Present(bytes.slice_ref(body)),
        };
        Ok(RecordBytes { seq, nonce: head.nonce, record: bytes.slice_ref(head.leaf(bytes)), body })
    }

    /// Reads and checks the whole record at `offset`.
    pub(super) fn record(&self, offset: u64, seq: RecordSeq) -> Result<RecordBytes, ReadError> {
        let mut bytes = self.bytes(offset, FIRST_READ_BYTES)?;
        let head = self.parse_head(&bytes, offset, seq)?;
        if bytes.len() < head.total_len() {
            bytes = self.bytes(offset, head.total_len())?;
        }
        self.parse_record(&head, &bytes, offset)
    }

    /// What stands at `offset`: so many bytes, or those up to the end of the file.
    pub(super) fn bytes(&self, offset: u64, length: usize) -> Result<Bytes, ReadError> {
        let mut bytes = vec![0; length];
        let filled = blocks::read_some(&self.file, &mut bytes, offset).map_err(|source| self.failed(source))?;
        bytes.truncate(filled);
        Ok(bytes.into())
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
