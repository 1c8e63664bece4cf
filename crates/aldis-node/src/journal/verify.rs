//! Reading the whole journal and naming every place that is not as it was written. It works on a journal that nobody
//! has open as well as beside a writer, takes no lock and never changes a byte.

use super::anchor;
use super::blocks::{self, Block, Damage, RecordAt, Tail, Walk, WalkError};
use super::error::{Anchor, Finding, OpenError};
use super::format::{BodyRef, Fault, RecordHead, RecordSeq, TreeHead};
use super::recover::no_segment;
use super::segment::{self, Previous, Start, StartError};
use super::snapshot::{self, SNAPSHOT_ADVICE};
use super::witnesses::{Bounds, Witness, Witnesses};
use aldis_wire::digest::Digest;
use aldis_wire::merkle::Frontier;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The most findings one report lists; further ones are counted.
pub const MAX_FINDINGS: usize = 1000;
/// How often progress is reported, in bytes.
const PROGRESS_BYTES: u64 = 1 << 20;
const ADVICE: &str = "keep a copy of the directory; fetch these records again from the peers that hold them";
const CHANGED_ADVICE: &str = "find out who wrote to the disk; fetch the message again from the peer that holds it";
const ERASED_ADVICE: &str = "find out who overwrote it; fetch the body again from the peer that holds it";
const UNFINISHED_ADVICE: &str = "restart the node: it finishes erasures that were interrupted";

/// What verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// Records read whole.
    pub records: u64,
    /// Segments looked at.
    pub segments: u64,
    /// Bytes of segments read.
    pub bytes: u64,
    /// Where the journal ends. The root is that of the last commit, if everything after the last snapshot is whole.
    pub head: TreeHead,
    /// Different commitments to this journal that peers signed they held, and that were looked for in it.
    pub witnesses: u64,
    /// How many peers signed them.
    pub witness_peers: u64,
    /// Bytes behind the last commit: one that is being written, or was never confirmed.
    pub unconfirmed_bytes: u64,
    /// Every place that is damaged, at most [`MAX_FINDINGS`].
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    pub further_findings: u64,
}

/// What the records say, which are opaque here. Every record that is whole is read once, in order.
pub struct Reading<'a> {
    /// Says of a record, once all were read, that the journal records the erasure of its body; a body erased without
    /// that is a finding.
    pub is_erased: &'a dyn Fn(RecordSeq) -> bool,
    /// Reads a record; says what it witnesses of this journal, if it is a receipt that does.
    pub witness: &'a dyn Fn(&[u8]) -> Option<Witness>,
    /// Says of a record whether this body, or none, is the one it committed to. Bodies are outside the tree of records,
    /// and a checksum anybody can compute. It is not asked about bodies that were erased.
    pub commits_to: &'a dyn Fn(&[u8], Option<&[u8]>) -> bool,
}

/// Reads the journal in `dir` from its first byte to its last commit.
///
/// `floor` is a position the caller knows the journal had. `reading` knows what the records say. `progress` gets bytes
/// done, bytes in all and the name of the segment; older segments are read twice where that takes it to check a
/// witness. Only a directory that cannot be listed, or holds no journal, is an error; damage is a finding.
pub fn verify(
    dir: &Path,
    floor: Option<TreeHead>,
    reading: &Reading<'_>,
    progress: &mut dyn FnMut(u64, u64, &str),
) -> Result<VerifyReport, OpenError> {
    verify_within(Bounds::default(), dir, floor, reading, progress)
}

/// The same, within other bounds on memory.
pub(super) fn verify_within(
    bounds: Bounds,
    dir: &Path,
    floor: Option<TreeHead>,
    reading: &Reading<'_>,
    progress: &mut dyn FnMut(u64, u64, &str),
) -> Result<VerifyReport, OpenError> {
    let mut findings = Vec::new();
    // The anchors come first: a writer may be ahead of them by the time the segments are read, never behind.
    let anchors = anchor::read_all(dir, floor, &mut findings).map_err(OpenError::io("read the anchors in", dir))?;
    let firsts = segment::list(dir).map_err(OpenError::io("list", dir))?;
    if firsts.is_empty() {
        return Err(no_segment(dir, &anchors));
    }
    let length = |first: &u64| segment::path(dir, *first).metadata().map_or(0, |metadata| metadata.len());
    let total_bytes = firsts.iter().map(length).sum();
    let empty = Frontier::new();
    let known = Known { size: Some(0), root: Some(empty.root()), end: None };
    let head = TreeHead { size: 0, root: empty.root() };
    let report = VerifyReport {
        records: 0,
        segments: 0,
        bytes: 0,
        head,
        witnesses: 0,
        witness_peers: 0,
        unconfirmed_bytes: 0,
        findings,
        further_findings: 0,
    };
    let mut verifier = Verifier {
        dir,
        anchors,
        reading,
        progress,
        total_bytes,
        done_bytes: 0,
        known,
        report,
        erased: Vec::new(),
        unfinished: Vec::new(),
        witnesses: Witnesses::new(bounds),
    };
    for (index, first) in firsts.iter().enumerate() {
        verifier.segment(*first, firsts.get(index + 1).copied());
        verifier.done_bytes += length(first);
        if verifier.witnesses.is_full() {
            verifier.open_older(&firsts[..=index]);
        }
    }
    verifier.open_older(&firsts);
    (verifier.report.witnesses, verifier.report.witness_peers) = verifier.witnesses.counts();
    verifier.check_erased();
    verifier.check_anchors_beyond_the_end(*firsts.last().expect("an empty list was refused above"));
    verifier.check_unfinished();
    Ok(verifier.report)
}

struct Verifier<'a> {
    dir: &'a Path,
    anchors: Vec<(Anchor, TreeHead)>,
    reading: &'a Reading<'a>,
    progress: &'a mut dyn FnMut(u64, u64, &str),
    total_bytes: u64,
    /// Bytes of the segments before the current one.
    done_bytes: u64,
    known: Known,
    report: VerifyReport,
    /// Bodies that are erased: (segment, offset, record). The word for it stands behind them, at a place of its own.
    erased: Vec<(u64, u64, u64)>,
    /// Erasures that looked unfinished: (segment, offset, head). A writer may just have been at it.
    unfinished: Vec<(u64, u64, RecordHead)>,
    witnesses: Witnesses,
}

/// What is known of the journal where the next segment begins; damage leaves gaps in it.
#[derive(Clone, Copy, Debug)]
struct Known {
    size: Option<u64>,
    root: Option<Digest>,
    /// Name and end of the segment before.
    end: Option<Previous>,
}

impl Verifier<'_> {
    fn segment(&mut self, first: u64, after: Option<u64>) {
        self.report.segments += 1;
        let opened = File::open(segment::path(self.dir, first)).map_err(StartError::Io);
        let started = opened.and_then(|file| Start::read(&file, first).map(|start| (file, start)));
        let (file, start) = match started {
            Ok(both) => both,
            Err(error) => {
                let offset = if let StartError::Damaged { offset, .. } = error { offset } else { 0 };
                self.find(first, offset, None, format!("{error}; none of this segment can be checked"));
                self.known = Known { size: None, root: None, end: None };
                return;
            }
        };
        self.check_link(first, &start);
        if let Err(error) = snapshot::read(self.dir, &start.header.start) {
            let (file, what) = (snapshot::name(first), error.to_string());
            self.push(Finding { file, offset: 0, record: None, what, advice: SNAPSHOT_ADVICE });
        }
        let mut walk = Walk::new(&file, start.header.mark, start.data_at, start.frontier.clone());
        // A size where one segment ends and the next begins is looked at once, in the first of them.
        let sizes = self.anchors.iter().map(|(_, head)| head.size);
        sizes.filter(|size| *size > first || first == 0).for_each(|size| walk.watch(size));
        if let Err(error) = self.walk(first, after, &file, &start, &mut walk) {
            self.find(first, walk.offset(), None, format!("cannot be read: {error}"));
            self.known = Known { size: None, root: None, end: None };
        }
    }

    /// Checks that a segment goes on where the one before ended.
    fn check_link(&mut self, first: u64, start: &Start) {
        let (known, begins) = (self.known, start.header.start);
        if let Some(size) = known.size.filter(|size| *size < first) {
            let what = format!("records {size} to {} are missing: their segment is gone or was cut", first - 1);
            self.find(first, 0, Some(RecordSeq(size)), what);
        } else if known.size.is_some_and(|size| size > first) || known.root.is_some_and(|root| root != begins.root) {
            self.find(first, 0, None, "the segment does not go on where the one before it ends".to_owned());
        } else if known.end.is_some() && known.end != start.header.previous {
            self.find(first, 0, None, "the segment before is not the one this one was written after".to_owned());
        }
    }

    fn walk<'f>(
        &mut self,
        first: u64,
        after: Option<u64>,
        file: &'f File,
        start: &Start,
        walk: &mut Walk<'f>,
    ) -> io::Result<()> {
        let (mark, mut reported) = (start.header.mark, 0);
        loop {
            let fault = match walk.next_block() {
                Ok(Some(block)) => {
                    self.check_bodies(first, &block, walk);
                    self.witnesses.take(first, &block, walk, self.reading.witness);
                    self.report.records += block.records.len() as u64;
                    if walk.offset() - reported >= PROGRESS_BYTES {
                        reported = walk.offset();
                        (self.progress)(self.done_bytes + reported, self.total_bytes, &segment::name(first));
                    }
                    continue;
                }
                Ok(None) => None,
                Err(WalkError::Damage(damage)) => Some(damage),
                Err(WalkError::Io(error)) => return Err(error),
            };
            let next = walk.frontier().size();
            let tail = blocks::examine_tail(file, mark, walk.offset(), next)?;
            // Beside a writer, what was half there a moment ago may be whole by now.
            let may_be_torn = fault.is_none_or(|damage| damage.fault.may_be_torn());
            if after.is_none() && may_be_torn && tail != Tail::Free && walk.read_again()? {
                continue;
            }
            let Some(damage) = self.judge_end(walk.offset(), next, after, fault, tail) else {
                break;
            };
            self.find(first, damage.offset, damage.record, damage.fault.to_string());
            match blocks::find_commit(file, mark, damage.offset + 8, u64::MAX, next)? {
                Some((offset, seq)) => *walk = walk.resume(offset, seq),
                None => break,
            }
        }
        self.finish_segment(first, walk);
        Ok(())
    }

    /// Decides whether the end of a walk is damage. In the last segment an interrupted commit is none.
    fn judge_end(
        &mut self,
        offset: u64,
        next: u64,
        after: Option<u64>,
        fault: Option<Damage>,
        tail: Tail,
    ) -> Option<Damage> {
        let here = |fault| Damage { offset, record: Some(RecordSeq(next)), fault };
        match (tail, after) {
            (Tail::Later { .. }, _) => Some(fault.unwrap_or(here(Fault::NoMark))),
            (Tail::Torn { .. }, Some(after)) if fault.is_none() || next == after => Some(here(Fault::NotFree)),
            (Tail::Torn { .. }, Some(_)) | (Tail::Free, _) => fault,
            (Tail::Torn { end }, None) => {
                let damage = fault.filter(|damage| !damage.fault.may_be_torn());
                self.report.unconfirmed_bytes = if damage.is_none() { end - offset } else { 0 };
                damage
            }
        }
    }

    fn finish_segment(&mut self, first: u64, walk: &Walk<'_>) {
        self.report.bytes += walk.offset();
        (self.progress)(self.done_bytes + walk.offset(), self.total_bytes, &segment::name(first));
        let head = walk.head();
        self.report.head = head;
        let end = Previous { first, end: walk.offset() };
        let sure = walk.knows_roots();
        self.known = Known { size: Some(head.size), root: sure.then_some(head.root), end: sure.then_some(end) };
        let wrong: Vec<_> = self
            .anchors
            .iter()
            .filter(|(_, anchor)| walk.root_at(anchor.size).is_some_and(|root| root != anchor.root))
            .map(|(which, anchor)| format!("{which} vouches for {anchor}, and the journal has another root there"))
            .collect();
        for what in wrong {
            self.find(first, 0, None, what);
        }
    }

    fn check_bodies(&mut self, first: u64, block: &Block, walk: &Walk<'_>) {
        for record in &block.records {
            let body = match walk.body(record) {
                BodyRef::Present(bytes) => Some(Some(bytes)),
                BodyRef::None => Some(None),
                BodyRef::Erased => None,
            };
            if let Some(body) = body {
                if !(self.reading.commits_to)(record.head.leaf(walk.bytes(record)), body) {
                    self.find_changed(first, record);
                }
                continue;
            }
            self.erased.push((first, record.offset + record.head.leaf_part_len() as u64, record.head.seq));
            if record.head.check_erasure(walk.bytes(record)).is_err() && self.unfinished.len() < MAX_FINDINGS {
                self.unfinished.push((first, record.offset, record.head));
            }
        }
    }

    fn find_changed(&mut self, first: u64, record: &RecordAt) {
        let offset = record.offset + record.head.leaf_part_len() as u64;
        let (file, record) = (segment::name(first), Some(RecordSeq(record.head.seq)));
        let what = "the body beside the record is not what the record committed to: it was changed".to_owned();
        self.push(Finding { file, offset, record, what, advice: CHANGED_ADVICE });
    }

    /// Says which bodies were erased without a word. A writer journals its word first, so all are read by now.
    fn check_erased(&mut self) {
        for (first, offset, seq) in std::mem::take(&mut self.erased) {
            let seq = RecordSeq(seq);
            if !(self.reading.is_erased)(seq) {
                let what = "the body was erased, and no record says so".to_owned();
                let file = segment::name(first);
                self.push(Finding { file, offset, record: Some(seq), what, advice: ERASED_ADVICE });
            }
        }
    }

    /// Looks in these segments for the commitments that peers held and that were not at hand.
    fn open_older(&mut self, firsts: &[u64]) {
        let wrong = self.witnesses.open_older(self.dir, firsts, &mut *self.progress);
        wrong.into_iter().for_each(|finding| self.push(finding));
    }

    /// Looks again at the erasures that seemed unfinished: a writer had the time to finish them.
    fn check_unfinished(&mut self) {
        for (first, offset, head) in std::mem::take(&mut self.unfinished) {
            let mut bytes = vec![0; head.total_len()];
            let read =
                File::open(segment::path(self.dir, first)).and_then(|file| file.read_exact_at(&mut bytes, offset));
            if read.is_err() || head.check_erasure(&bytes).is_err() {
                let (file, record) = (segment::name(first), Some(RecordSeq(head.seq)));
                let offset = offset + head.leaf_part_len() as u64;
                let what = Fault::UnfinishedErasure.to_string();
                self.push(Finding { file, offset, record, what, advice: UNFINISHED_ADVICE });
            }
        }
    }

    fn check_anchors_beyond_the_end(&mut self, last: u64) {
        let head = self.report.head;
        let beyond: Vec<_> = self.anchors.iter().filter(|(_, anchor)| anchor.size > head.size).copied().collect();
        for (which, anchor) in beyond {
            let end = self.known.end.map_or(0, |end| end.end);
            let what = format!("the journal ends here with {} records; {which} vouches for {anchor}", head.size);
            self.find(last, end, Some(RecordSeq(head.size)), what);
        }
    }

    fn find(&mut self, first: u64, offset: u64, record: Option<RecordSeq>, what: String) {
        self.push(Finding { file: segment::name(first), offset, record, what, advice: ADVICE });
    }

    fn push(&mut self, finding: Finding) {
        if self.report.findings.len() < MAX_FINDINGS {
            self.report.findings.push(finding);
        } else {
            self.report.further_findings += 1;
        }
    }
}
