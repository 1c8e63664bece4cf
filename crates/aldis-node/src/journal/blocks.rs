//! Reading a segment commit by commit, with every checksum, number and root checked, and deciding what stands behind
//! the last good commit. Recovery and verification both walk this way. This module never writes.

use super::format::{BodyRef, Fault, Mark, RECORD_HEAD_BYTES, RecordHead, RecordSeq, TRAILER_BYTES, Trailer, TreeHead};
use super::format::{MAX_COMMIT_BYTES, all_zero, read_u64};
use aldis_wire::digest::Digest;
use aldis_wire::merkle::Frontier;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const READ_BYTES: usize = 256 << 10;

/// A place that is not as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) offset: u64,
    pub(super) record: Option<RecordSeq>,
    pub(super) fault: Fault,
}

/// Why a walk stops.
#[derive(Debug)]
pub(super) enum WalkError {
    Damage(Damage),
    Io(io::Error),
}

impl From<io::Error> for WalkError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// One record of a block that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordAt {
    pub(super) offset: u64,
    pub(super) head: RecordHead,
    /// Where the record starts in the walk's window.
    at: usize,
}

/// One commit, whole and checked.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) records: Vec<RecordAt>,
    /// The tree after the commit.
    pub(super) head: TreeHead,
    /// Where the next commit starts.
    pub(super) end: u64,
}

/// Walks the commits of one segment.
pub(super) struct Walk<'f> {
    file: &'f File,
    mark: Mark,
    offset: u64,
    frontier: Frontier,
    window: Vec<u8>,
    window_at: u64,
    /// Sizes whose roots somebody wants to know; see [`Self::watch`].
    watched: Vec<u64>,
    seen: Vec<TreeHead>,
    /// False once the walk has leapt over damage: numbers and checksums still hold, roots cannot be told.
    knows_roots: bool,
}

impl<'f> Walk<'f> {
    /// Starts at `offset`, where the tree is `frontier`.
    pub(super) fn new(file: &'f File, mark: Mark, offset: u64, frontier: Frontier) -> Self {
        let (watched, seen) = (Vec::new(), Vec::new());
        let (window, window_at) = (Vec::new(), offset);
        Self { file, mark, offset, frontier, window, window_at, watched, seen, knows_roots: true }
    }

    /// A walk that goes on behind damage, at `offset`, where a commit begins with record `seq`.
    pub(super) fn resume(&self, offset: u64, seq: u64) -> Self {
        let peaks = vec![Digest::ZERO; seq.count_ones() as usize];
        let frontier = Frontier::from_parts(seq, peaks).expect("there are as many peaks as bits in the size");
        let seen = self.seen.clone();
        Self { seen, knows_roots: false, ..Self::new(self.file, self.mark, offset, frontier) }
    }

    /// Forgets what was read of the next commit and says whether it is whole now.
    pub(super) fn read_again(&mut self) -> io::Result<bool> {
        let kept = (std::mem::take(&mut self.window), self.window_at);
        self.window_at = self.offset;
        let whole = match self.read_block() {
            Ok(block) => block.is_some(),
            Err(WalkError::Damage(_)) => false,
            Err(WalkError::Io(error)) => return Err(error),
        };
        if !whole {
            (self.window, self.window_at) = kept;
        }
        Ok(whole)
    }

    /// Whether the roots of this walk mean anything; see [`Self::resume`].
    pub(super) fn knows_roots(&self) -> bool {
        self.knows_roots
    }

    /// Notes the root when the tree has `size` records, also in the middle of a commit.
    pub(super) fn watch(&mut self, size: u64) {
        if size == self.frontier.size() {
            self.seen.push(TreeHead { size, root: self.frontier.root() });
        }
        self.watched.push(size);
    }

    /// The root at a watched size, once the walk has passed it.
    pub(super) fn root_at(&self, size: u64) -> Option<Digest> {
        self.seen.iter().find(|head| head.size == size).map(|head| head.root)
    }

    /// Where the next commit starts, which is the end of what is known to be good.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The tree over everything walked so far.
    pub(super) fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// The tree's size and root so far.
    pub(super) fn head(&self) -> TreeHead {
        TreeHead { size: self.frontier.size(), root: self.frontier.root() }
    }

    /// Reads the next commit; `None` where free space begins. After an error the walk stands where it stood.
    pub(super) fn next_block(&mut self) -> Result<Option<Block>, WalkError> {
        self.slide();
        let Some(block) = self.read_block()? else {
            return Ok(None);
        };
        let (mut frontier, mut seen) = (self.frontier.clone(), Vec::new());
        for record in &block.records {
            frontier.append(record.head.leaf_hash(self.bytes(record)));
            if self.watched.contains(&frontier.size()) {
                seen.push(TreeHead { size: frontier.size(), root: frontier.root() });
            }
        }
        if self.knows_roots && frontier.root() != block.head.root {
            return Err(self.damage(block.end - TRAILER_BYTES as u64, block.head.size - 1, Fault::WrongRoot));
        }
        self.seen.append(&mut seen);
        self.frontier = frontier;
        self.offset = block.end;
        Ok(Some(block))
    }

    /// The bytes of a record of the block read last, from its head to the end of its body.
    pub(super) fn bytes(&self, record: &RecordAt) -> &[u8] {
        &self.window[record.at..record.at + record.head.total_len()]
    }

    /// The body of a record of the block read last.
    pub(super) fn body(&self, record: &RecordAt) -> BodyRef<'_> {
        record.head.check_body(self.bytes(record)).expect("the bodies of a block are checked when it is read")
    }

    fn read_block(&mut self) -> Result<Option<Block>, WalkError> {
        if self.have(self.offset, 8)? < 8 || all_zero(&self.window_from(self.offset)[..8]) {
            return Ok(None);
        }
        let (mut at, mut records) = (self.offset, Vec::new());
        loop {
            let seq = self.frontier.size() + records.len() as u64;
            if at - self.offset > MAX_COMMIT_BYTES as u64 {
                return Err(self.damage(at, seq, Fault::TooLong));
            }
            self.need(at, RECORD_HEAD_BYTES, seq)?;
            if !records.is_empty() && read_u64(self.window_from(at), 0) == self.mark.trailer() {
                return self.read_trailer(at, records).map(Some);
            }
            let record = self.read_record(at, seq, records.len())?;
            at += record.head.total_len() as u64;
            records.push(record);
        }
    }

    fn read_record(&mut self, at: u64, seq: u64, index: usize) -> Result<RecordAt, WalkError> {
        let fail = |walk: &Self, fault| walk.damage(at, seq, fault);
        let head = RecordHead::parse(self.window_from(at), self.mark).map_err(|fault| fail(self, fault))?;
        self.need(at, head.leaf_part_len(), seq)?;
        head.check_leaf(self.window_from(at)).map_err(|fault| fail(self, fault))?;
        if head.seq != seq {
            return Err(fail(self, Fault::WrongNumber { expected: seq, found: head.seq }));
        }
        let expected = u32::try_from(index).expect("a block is limited in bytes, and so in records");
        if head.index != expected {
            return Err(fail(self, Fault::WrongIndex { expected, found: head.index }));
        }
        self.need(at, head.total_len(), seq)?;
        head.check_body(self.window_from(at)).map_err(|fault| fail(self, fault))?;
        Ok(RecordAt { offset: at, head, at: self.window_index(at) })
    }

    fn read_trailer(&mut self, at: u64, records: Vec<RecordAt>) -> Result<Block, WalkError> {
        let size = self.frontier.size() + records.len() as u64;
        self.need(at, TRAILER_BYTES, size - 1)?;
        let fail = |walk: &Self, fault| walk.damage(at, size - 1, fault);
        let trailer =
            Trailer::parse(&self.window_from(at)[..TRAILER_BYTES], self.mark).map_err(|fault| fail(self, fault))?;
        let held = u32::try_from(records.len()).expect("a block is limited in bytes, and so in records");
        if trailer.count != held {
            return Err(fail(self, Fault::WrongCount { said: trailer.count, held }));
        }
        if trailer.head.size != size {
            return Err(fail(self, Fault::WrongSize { said: trailer.head.size, held: size }));
        }
        Ok(Block { records, head: trailer.head, end: at + TRAILER_BYTES as u64 })
    }

    #[expect(clippy::unused_self, reason = "reads as what it is: the walk's damage")]
    fn damage(&self, offset: u64, seq: u64, fault: Fault) -> WalkError {
        WalkError::Damage(Damage { offset, record: Some(RecordSeq(seq)), fault })
    }

    /// Makes at least `length` bytes from `at` available, or reports a file that is too short.
    fn need(&mut self, at: u64, length: usize, seq: u64) -> Result<(), WalkError> {
        if self.have(at, length)? < length {
            return Err(self.damage(at, seq, Fault::Truncated));
        }
        Ok(())
    }

    /// Tries to make `length` bytes from `at` available and returns how many are.
    fn have(&mut self, at: u64, length: usize) -> io::Result<usize> {
        let start = self.window_index(at);
        while self.window.len() < start + length {
            let filled = self.window.len();
            self.window.resize(filled + READ_BYTES.max(start + length - filled), 0);
            let read = self.file.read_at(&mut self.window[filled..], self.window_at + filled as u64);
            self.window.truncate(filled + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.window.len() - start)
    }

    /// Forgets the blocks before the current one, once there are enough of them to be worth the move.
    fn slide(&mut self) {
        let passed = self.window_index(self.offset).min(self.window.len());
        if passed >= READ_BYTES {
            self.window.drain(..passed);
            self.window_at = self.offset;
        }
    }

    fn window_index(&self, at: u64) -> usize {
        usize::try_from(at - self.window_at).expect("a window is no longer than one commit and one read")
    }

    fn window_from(&self, at: u64) -> &[u8] {
        &self.window[self.window_index(at)..]
    }
}

/// What stands behind the last good commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing but zeroes.
    Free,
    /// Bytes that one interrupted write can have left; they end before `end`.
    Torn { end: u64 },
    /// A record or the end of a commit that was written after another one had been confirmed.
    Later { offset: u64, record: RecordSeq },
}

/// Looks at everything from `from` (a multiple of 8) to the end of the file. The next commit would start with record
/// `next`: whatever belongs to another commit proves that this one was complete once, because each commit is on disk
/// before the next is written.
pub(super) fn examine_tail(file: &File, mark: Mark, from: u64, next: u64) -> io::Result<Tail> {
    let (mut at, mut torn_end) = (from, None);
    let mut chunk = vec![0; READ_BYTES];
    loop {
        let filled = read_some(file, &mut chunk, at)?;
        for (index, word) in chunk[..filled].chunks(8).enumerate() {
            if all_zero(word) {
                continue;
            }
            let offset = at + index as u64 * 8;
            torn_end = Some(offset + word.len() as u64);
            if word.len() == 8
                && let Some(first) = first_of_commit_at(file, mark, offset, read_u64(word, 0))?
                && first != next
            {
                return Ok(Tail::Later { offset, record: RecordSeq(first) });
            }
        }
        at += filled as u64;
        if filled < chunk.len() {
            return Ok(torn_end.map_or(Tail::Free, |end| Tail::Torn { end }));
        }
    }
}

/// The next place from `from` (a multiple of 8) on and before `to` where the first record of a commit stands whole, if it is
/// numbered `next` or above: where reading can go on behind damage.
pub(super) fn find_commit(file: &File, mark: Mark, from: u64, to: u64, next: u64) -> io::Result<Option<(u64, u64)>> {
    let (mut at, mut chunk) = (from, vec![0; READ_BYTES]);
    while at < to {
        let filled = read_some(file, &mut chunk, at)?;
        for (index, word) in chunk[..filled].chunks_exact(8).enumerate() {
            let offset = at + index as u64 * 8;
            if read_u64(word, 0) == mark.record()
                && offset < to
                && let Some(head) = whole_record_at(file, mark, offset)?
                && head.index == 0
                && head.seq >= next
            {
                return Ok(Some((offset, head.seq)));
            }
        }
        at += filled as u64;
        if filled < chunk.len() {
            break;
        }
    }
    Ok(None)
}

/// The first record of the commit to which a whole record or trailer at `offset` belongs, if one stands there.
fn first_of_commit_at(file: &File, mark: Mark, offset: u64, word: u64) -> io::Result<Option<u64>> {
    if word == mark.trailer() {
        let mut bytes = [0; TRAILER_BYTES];
        let filled = read_some(file, &mut bytes, offset)?;
        let trailer = Trailer::parse(&bytes, mark).ok().filter(|_| filled == bytes.len());
        return Ok(trailer.map(|trailer| trailer.first()));
    }
    if word != mark.record() {
        return Ok(None);
    }
    let head = whole_record_at(file, mark, offset)?;
    Ok(head.map(|head| head.seq.wrapping_sub(u64::from(head.index))))
}

/// The head of the record at `offset`, if it stands there and matches its checksum (its body is not looked at).
fn whole_record_at(file: &File, mark: Mark, offset: u64) -> io::Result<Option<RecordHead>> {
    let mut bytes = vec![0; RECORD_HEAD_BYTES];
    if read_some(file, &mut bytes, offset)? < bytes.len() {
        return Ok(None);
    }
    let Ok(head) = RecordHead::parse(&bytes, mark) else {
        return Ok(None);
    };
    bytes.resize(head.leaf_part_len(), 0);
    let whole = read_some(file, &mut bytes, offset)? == bytes.len() && head.check_leaf(&bytes).is_ok();
    Ok(whole.then_some(head))
}

/// Reads until `bytes` are full or the file ends, and returns how many were read.
pub(super) fn read_some(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
