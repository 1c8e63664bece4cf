//! What a start replays: the latest snapshot that can be used, and the segments from there to the last. This module judges no
//! end of a journal: where the last segment ends, `recover` says.

use super::blocks::{Damage, Walk, WalkError};
use super::disk::Disk;
use super::error::{Finding, OpenError};
use super::format::{BodyRef, RecordHead, RecordSeq, TreeHead};
use super::open_segment::INDEX_STEP;
use super::recover::{DAMAGE_ADVICE, Replay, Replayed, replay_failed};
use super::segment::{self, Start, StartError};
use super::snapshot::{self, SNAPSHOT_ADVICE};
use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A segment that is replayed.
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) start: Start,
}

/// What is replayed.
pub(super) struct Plan {
    /// What stands for everything before the first of the segments.
    pub(super) snapshot: Option<Vec<u8>>,
    /// The segments before the last one.
    pub(super) sealed: VecDeque<Segment>,
}

/// What was met on the way.
#[derive(Default)]
pub(super) struct Met {
    /// Places of records in the last segment, no more than its index takes.
    pub(super) places: Vec<(u64, u64)>,
    /// Erased bodies that are not all zeroes yet, by the first record of their segment.
    pub(super) unfinished: Vec<(u64, u64, RecordHead)>,
    /// The tree at the anchors' sizes, where those were passed.
    pub(super) heads: Vec<TreeHead>,
}

impl Segment {
    /// Opens the segment that starts with record `first`, and reads its start.
    pub(super) fn open(dir: &Path, disk: &Disk, first: u64) -> Result<Self, OpenError> {
        let path = segment::path(dir, first);
        let file = disk.open_file(&path).map_err(OpenError::io("open", &path))?;
        let start = Start::read(&file, first).map_err(|error| match error {
            StartError::Damaged { offset, what } => damaged(segment::name(first), offset, None, what.to_owned()),
            StartError::Io(source) => OpenError::io("read", &path)(source),
        })?;
        Ok(Self { path, file, start })
    }

    /// A walk from the segment's first commit that looks at the tree at these sizes.
    pub(super) fn walk(&self, sizes: impl Iterator<Item = u64>) -> Walk<'_> {
        let Start { header, frontier, data_at } = &self.start;
        let mut walk = Walk::new(&self.file, header.mark, *data_at, frontier.clone());
        sizes.for_each(|size| walk.watch(size));
        walk
    }

    /// Hands the records of a walk to the caller, as far as nothing is wrong with them.
    pub(super) fn hand_over(
        &self,
        walk: &mut Walk<'_>,
        met: &mut Met,
        replay: &mut Replay<'_>,
    ) -> Result<Option<Damage>, OpenError> {
        met.places.clear();
        loop {
            let block = match walk.next_block() {
                Ok(Some(block)) => block,
                Ok(None) => return Ok(None),
                Err(WalkError::Damage(damage)) => return Ok(Some(damage)),
                Err(WalkError::Io(error)) => return Err(OpenError::io("read", &self.path)(error)),
            };
            for record in &block.records {
                let (seq, body) = (RecordSeq(record.head.seq), walk.body(record));
                if body == BodyRef::Erased && record.head.check_erasure(walk.bytes(record)).is_err() {
                    met.unfinished.push((self.start.header.first, record.offset, record.head));
                }
                note_place(&mut met.places, seq.0, record.offset);
                let replayed = Replayed::Record { seq, record: record.head.leaf(walk.bytes(record)), body };
                replay(replayed).map_err(replay_failed(format!("record {seq}")))?;
            }
        }
    }
}

impl Plan {
    /// Looks for the latest snapshot that can be used, from the last segment back. One that is damaged is a finding, and costs
    /// only the time to replay from an earlier one.
    pub(super) fn find(
        dir: &Path,
        disk: &Disk,
        firsts: &[u64],
        last: &Segment,
        degraded: &mut Vec<Finding>,
    ) -> Result<Self, OpenError> {
        let mut sealed: VecDeque<Segment> = VecDeque::new();
        let mut older = firsts.iter().rev().skip(1);
        loop {
            let start = sealed.front().unwrap_or(last).start.header.start;
            match snapshot::read(dir, &start) {
                Ok(Some(bytes)) => return Ok(Self { snapshot: Some(bytes), sealed }),
                Ok(None) => {}
                // Damaged, or on a bad sector: nothing rests on it.
                Err(error) => {
                    let (file, what) = (snapshot::name(start.size), error.to_string());
                    degraded.push(Finding { file, offset: 0, record: None, what, advice: SNAPSHOT_ADVICE });
                }
            }
            if start.size == 0 {
                return Ok(Self { snapshot: None, sealed });
            }
            let Some(first) = older.next() else {
                let what = format!("no snapshot can be used, and records 0 to {} are missing", start.size - 1);
                return Err(damaged(segment::name(0), 0, Some(RecordSeq(0)), what));
            };
            sealed.push_front(Segment::open(dir, disk, *first)?);
        }
    }

    /// Hands everything before the last segment to the caller.
    pub(super) fn replay(
        &self,
        last: &Segment,
        anchors: &[u64],
        met: &mut Met,
        replay: &mut Replay<'_>,
    ) -> Result<(), OpenError> {
        if let Some(snapshot) = &self.snapshot {
            replay(Replayed::Snapshot(snapshot)).map_err(replay_failed("snapshot".to_owned()))?;
        }
        for (index, sealed) in self.sealed.iter().enumerate() {
            let mut walk = sealed.walk(anchors.iter().copied());
            let fault = sealed.hand_over(&mut walk, met, replay)?;
            let name = segment::name(sealed.start.header.first);
            if let Some(damage) = fault {
                return Err(damaged(name, damage.offset, damage.record, damage.fault.to_string()));
            }
            let next = self.sealed.get(index + 1).unwrap_or(last).start.header;
            if walk.head() != next.start {
                let what = format!("the segment does not end as segment {} says", segment::name(next.first));
                return Err(damaged(name, walk.offset(), Some(RecordSeq(walk.head().size)), what));
            }
            let heads = anchors.iter().filter_map(|size| Some(TreeHead { size: *size, root: walk.root_at(*size)? }));
            met.heads.extend(heads);
        }
        Ok(())
    }
}

/// Keeps no more places than the index takes, however many records follow the snapshot.
fn note_place(places: &mut Vec<(u64, u64)>, seq: u64, offset: u64) {
    if places.last().is_none_or(|(last, _)| seq >= last + INDEX_STEP) {
        places.push((seq, offset));
    }
}

fn damaged(file: String, offset: u64, record: Option<RecordSeq>, what: String) -> OpenError {
    OpenError::Damaged(Finding { file, offset, record, what, advice: DAMAGE_ADVICE })
}
