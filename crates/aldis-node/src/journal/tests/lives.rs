//! A journal's seeded life while it is recorded (commits, rotations, erasures, clean stops, deaths of the process), and
//! what whoever it confirmed something to may rely on at any moment of it.

use super::super::disk::Disk;
use super::super::*;
use super::crash::{Op, Tree};
use super::recorder::Recorder;
use super::script::{Failure, Script};
use super::support::*;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// What a short write of one of the anchor file's slots leaves; no other write is as long.
const HALF_AN_ANCHOR: usize = 32;

/// What the caller knows, between two calls of the disk.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    Creating,
    Created,
    /// A commit of so many records begins.
    Committing(u64),
    Committed(TreeHead),
    Rotating,
    Rotated,
    /// A record that is confirmed asks for the erasure of this body.
    Erasing(u64),
    Erased(u64),
    Stopping,
    Stopped,
    Opening,
    Opened(TreeHead),
    Died,
}

/// What has been confirmed, and what is under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Promise {
    pub(super) is_created: bool,
    /// The life of the process in which each confirmed record was written; a record's content depends on it, so that
    /// what an earlier life left behind cannot pass for it.
    pub(super) lives: Vec<u8>,
    /// Records of the commit that may or may not be there, and their life.
    pub(super) under_way: Option<(u64, u8)>,
    pub(super) asked: BTreeSet<u64>,
    pub(super) erased: BTreeSet<u64>,
    pub(super) is_stopped: bool,
    /// A write that failed left half of an anchor, and the journal has not opened since.
    pub(super) has_half_an_anchor: bool,
    pub(super) head: Option<TreeHead>,
    pub(super) life: u8,
    pub(super) phase: &'static str,
}

/// All calls and confirmations of one life.
pub(super) struct Recording {
    pub(super) ops: Vec<Op<Mark>>,
}

impl Promise {
    pub(super) fn after(mut self, ops: &[Op<Mark>]) -> Self {
        for op in ops {
            match op {
                Op::Mark(mark) => self.hear(*mark),
                Op::Write { bytes, .. } if bytes.len() == HALF_AN_ANCHOR => self.has_half_an_anchor = true,
                _ => {}
            }
        }
        self
    }

    fn hear(&mut self, mark: Mark) {
        self.phase = match mark {
            Mark::Creating => "creation",
            Mark::Committing(_) => "a commit",
            Mark::Rotating => "a rotation",
            Mark::Erasing(_) => "an erasure",
            Mark::Stopping => "a clean stop",
            Mark::Opening => "an opening",
            Mark::Died => "death",
            _ => "rest",
        };
        match mark {
            Mark::Created => self.is_created = true,
            Mark::Committing(count) => self.under_way = Some((count, self.life)),
            Mark::Committed(head) => self.confirm(head),
            Mark::Erasing(seq) => drop(self.asked.insert(seq)),
            Mark::Erased(seq) => drop(self.erased.insert(seq)),
            Mark::Stopped => self.is_stopped = true,
            Mark::Opening => self.is_stopped = false,
            Mark::Opened(head) => {
                self.is_created = true;
                self.has_half_an_anchor = false;
                self.confirm(head);
                self.life += 1;
            }
            Mark::Creating | Mark::Rotating | Mark::Rotated | Mark::Stopping | Mark::Died => {}
        }
    }

    /// Whatever an opened journal holds is relied on, also what nobody had confirmed before.
    fn confirm(&mut self, head: TreeHead) {
        if let Some((count, life)) = self.under_way.take()
            && head.size > self.lives.len() as u64
        {
            self.lives.extend(std::iter::repeat_n(life, usize::try_from(count).unwrap()));
        }
        assert_eq!(self.lives.len() as u64, head.size, "the test lost count");
        self.head = Some(head);
    }

    /// The record and body that stand at `seq`, if there is such a record.
    pub(super) fn expected(&self, seq: u64) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        let confirmed = self.lives.get(usize::try_from(seq).unwrap()).copied();
        let under_way = self.under_way.filter(|(count, _)| seq < self.lives.len() as u64 + count);
        confirmed.or(under_way.map(|(_, life)| life)).map(|life| written(seq, life))
    }
}

/// Options for journals whose segments turn over every few commits.
pub(super) fn tiny(script: Option<Arc<Script>>) -> Options {
    let disk = Disk { script };
    Options { segment_bytes: 4 << 10, reserve_bytes: 0, prepare_ahead: false, right_of_way: None, disk }
}

/// Lives a life below `root`, an empty directory, and returns the recording of it.
pub(super) fn live(root: &Path, seed: u64, without_data_syncs: bool) -> Recording {
    let mut rng = Rng(seed);
    let script = Arc::new(Script::default());
    script.record(Recorder::new(root, &Tree::new(), without_data_syncs));
    let mut life = Life { script, dir: root.join("journal"), life: 0, erased: BTreeSet::new(), journal: None };
    life.mark(Mark::Creating);
    life.journal = Some(Journal::create(&life.dir, tiny(Some(Arc::clone(&life.script)))).unwrap());
    life.mark(Mark::Created);
    for _ in 0..8 + rng.below(16) {
        if life.step(&mut rng).is_err() {
            life.mark(Mark::Died);
            life.open(&mut rng);
        }
    }
    Recording { ops: life.script.recorder(Recorder::take).unwrap() }
}

struct Life {
    script: Arc<Script>,
    dir: std::path::PathBuf,
    life: u8,
    erased: BTreeSet<u64>,
    journal: Option<Journal>,
}

impl Life {
    fn mark(&self, mark: Mark) {
        self.script.recorder(|recorder| recorder.mark(mark));
    }

    /// Opens until it works: the disk may fail here too.
    fn open(&mut self, rng: &mut Rng) {
        self.journal = None;
        loop {
            self.mark(Mark::Opening);
            match open_with(&self.dir, tiny(Some(Arc::clone(&self.script))), None) {
                Ok((recovered, _)) => {
                    let journal = recovered.journal;
                    self.mark(Mark::Opened(TreeHead { size: journal.size(), root: journal.root() }));
                    self.journal = Some(journal);
                    self.life += 1;
                    break;
                }
                Err(OpenError::Io { .. }) => self.mark(Mark::Died),
                Err(error) => panic!("a life without power cuts: {error}"),
            }
        }
        if rng.below(4) == 0 {
            self.erase_all_again();
        }
    }

    fn erase_all_again(&mut self) {
        for seq in self.erased.clone() {
            if self.erase(seq).is_err() {
                return;
            }
        }
    }

    fn erase(&mut self, seq: u64) -> Result<(), CommitError> {
        self.mark(Mark::Erasing(seq));
        self.erased.insert(seq);
        self.journal.as_mut().expect("it is open").erase_body(RecordSeq(seq))?;
        self.mark(Mark::Erased(seq));
        Ok(())
    }

    fn step(&mut self, rng: &mut Rng) -> Result<(), CommitError> {
        let size = self.journal.as_ref().expect("it is open").size();
        match rng.below(12) {
            0 | 1 if size > 0 => self.erase(rng.below(size)),
            2 => {
                let stopping = self.journal.take().expect("it is open");
                self.mark(Mark::Stopping);
                let stopped = stopping.stop_cleanly();
                if stopped.is_ok() {
                    self.mark(Mark::Stopped);
                }
                self.open(rng);
                Ok(())
            }
            3 | 4 => {
                let failures = [Failure::Io, Failure::ShortWrite, Failure::Late];
                self.script.fail_at(rng.below(9), failures[usize::try_from(rng.below(3)).unwrap()]);
                Ok(())
            }
            5 | 6 => self.rotate(),
            _ => {
                let count = 1 + rng.below(4);
                self.mark(Mark::Committing(count));
                let life = self.life;
                let made = commit_in(self.journal.as_mut().expect("it is open"), count, life)?;
                self.mark(Mark::Committed(TreeHead { size: made.size, root: made.root }));
                let full = self.journal.as_ref().expect("it is open").should_rotate();
                if full { self.rotate() } else { Ok(()) }
            }
        }
    }

    fn rotate(&mut self) -> Result<(), CommitError> {
        self.mark(Mark::Rotating);
        let journal = self.journal.as_mut().expect("it is open");
        rotate(journal)?;
        self.mark(Mark::Rotated);
        Ok(())
    }
}

/// The record and body written at `seq` by the process in its `life`.
fn written(seq: u64, life: u8) -> (Vec<u8>, Option<Vec<u8>>) {
    let (mut record, mut body) = content(seq);
    record.push(life + 1);
    if let Some(body) = &mut body {
        body.push(life + 1);
    }
    (record, body)
}

/// Commits `count` records as the process in its `life` would.
pub(super) fn commit_in(journal: &mut Journal, count: u64, life: u8) -> Result<Committed, CommitError> {
    let first = journal.size();
    let contents: Vec<_> = (first..first + count).map(|seq| written(seq, life)).collect();
    let bodies: Vec<Vec<&[u8]>> = contents.iter().map(|(_, body)| body.as_deref().into_iter().collect()).collect();
    let entries: Vec<Entry<'_>> = contents
        .iter()
        .zip(&bodies)
        .map(|((record, body), parts)| Entry {
            nonce: [life + 1; NONCE_BYTES],
            record,
            body: body.as_ref().map(|_| parts.as_slice()),
        })
        .collect();
    journal.commit(&entries)
}
