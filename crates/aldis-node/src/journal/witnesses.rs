//! Holding a journal against what peers have signed about it: each says in its receipts to which state of this journal
//! it held a commitment, and a journal that was cut, rolled back or rewritten does not have that state.
//!
//! A witness names a commit that is earlier than the receipt that carries it, and mostly a little earlier; but a peer
//! that is silent for a year names, when it comes back, a commit of a year ago. So the latest commitments are kept at
//! hand, and what none of them is waits in a list. When that is full, and at the end, the older commits are walked once
//! more for all that waits. Memory is bounded either way, and nothing is left unchecked.

use super::blocks::{self, Block, Walk, WalkError};
use super::error::Finding;
use super::format::RecordSeq;
use super::segment::{self, Start};
use aldis_wire::digest::Digest;
use aldis_wire::ids::{NodeId, UnixMillis};
use aldis_wire::receipt::journal_commitment;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io;
use std::path::Path;

/// Ends the advice of every finding, for the innocent cause is the likely one.
const ADVICE: &str = "was the data directory put back from an older copy? Then commitments made after that copy open \
    nowhere, and this is their trace; otherwise keep a copy of the directory and compare it with the peer's record";
/// How much is walked between two reports of progress, in bytes.
const PROGRESS_BYTES: u64 = 1 << 20;

/// What a peer has signed about this journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// The commitment it held.
    pub commitment: Digest,
    /// Who.
    pub by: NodeId,
    /// When, by its clock.
    pub at: UnixMillis,
}

/// How much is kept while a journal is walked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// How many of the latest commitments, at about 100 bytes each.
    pub(super) recent: usize,
    /// How many witnesses that none of them opens, at about 150 bytes each.
    pub(super) waiting: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { recent: 65_536, waiting: 65_536 }
    }
}

/// The witnesses of a walk.
pub(super) struct Witnesses {
    bounds: Bounds,
    recent: VecDeque<Digest>,
    known: BTreeSet<Digest>,
    /// What each peer named last: it names the same again until it gets a newer one.
    latest: BTreeMap<NodeId, Digest>,
    waiting: BTreeMap<Digest, Waiting>,
    checked: u64,
}

/// A witness that no commitment at hand opens, and the receipt that named it first.
struct Waiting {
    witness: Witness,
    segment: u64,
    offset: u64,
    record: u64,
}

/// What a walk for witnesses reports: bytes done and in all, and the name of the segment.
pub(super) type Progress<'a> = dyn FnMut(u64, u64, &str) + 'a;

impl Witnesses {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            recent: VecDeque::new(),
            known: BTreeSet::new(),
            latest: BTreeMap::new(),
            waiting: BTreeMap::new(),
            checked: 0,
        }
    }

    /// How many different witnesses were held against the journal, and by how many peers they are.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.checked, self.latest.len() as u64)
    }

    /// Takes in a commit: what its receipts name, then what it is itself.
    pub(super) fn take(
        &mut self,
        segment: u64,
        block: &Block,
        walk: &Walk<'_>,
        read: &dyn Fn(&[u8]) -> Option<Witness>,
    ) {
        for record in &block.records {
            let Some(witness) =
                read(record.head.leaf(walk.bytes(record))).filter(|witness| witness.commitment != Digest::ZERO)
            else {
                continue;
            };
            if self.latest.get(&witness.by) == Some(&witness.commitment) {
                continue;
            }
            self.latest.insert(witness.by.clone(), witness.commitment);
            self.checked += 1;
            if !self.known.contains(&witness.commitment) {
                let (offset, record) = (record.offset, record.head.seq);
                self.waiting.entry(witness.commitment).or_insert(Waiting { witness, segment, offset, record });
            }
        }
        if let Some(commitment) = commitment(block) {
            self.recent.push_back(commitment);
            self.known.insert(commitment);
        }
        if self.recent.len() > self.bounds.recent
            && let Some(oldest) = self.recent.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Whether the list is full and [`Self::open_older`] is due.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= self.bounds.waiting
    }

    /// Walks the commits of these segments for whatever waits. What none of them opens is found to be wrong.
    pub(super) fn open_older(&mut self, dir: &Path, firsts: &[u64], progress: &mut Progress<'_>) -> Vec<Finding> {
        let total = firsts.iter().map(|first| length(dir, *first)).sum();
        let mut done = 0;
        for first in firsts {
            if self.waiting.is_empty() {
                break;
            }
            // A segment that cannot be read is reported by the walk that came here first.
            let _damaged = self.open_in(dir, *first, &mut |offset| {
                progress(done + offset, total, &format!("{}, for witnesses", segment::name(*first)));
            });
            done += length(dir, *first);
        }
        std::mem::take(&mut self.waiting).into_values().map(Waiting::finding).collect()
    }

    fn open_in(&mut self, dir: &Path, first: u64, progress: &mut dyn FnMut(u64)) -> io::Result<()> {
        let file = File::open(segment::path(dir, first))?;
        let start = Start::read(&file, first).map_err(io::Error::other)?;
        let mark = start.header.mark;
        let mut walk = Walk::new(&file, mark, start.data_at, start.frontier);
        let mut reported = 0;
        while !self.waiting.is_empty() {
            match walk.next_block() {
                Ok(Some(block)) => {
                    if let Some(commitment) = commitment(&block) {
                        self.waiting.remove(&commitment);
                    }
                    if walk.offset() - reported >= PROGRESS_BYTES {
                        reported = walk.offset();
                        progress(reported);
                    }
                }
                Ok(None) => break,
                Err(WalkError::Io(error)) => return Err(error),
                Err(WalkError::Damage(damage)) => {
                    let next = walk.frontier().size();
                    let Some((offset, seq)) = blocks::find_commit(&file, mark, damage.offset + 8, u64::MAX, next)?
                    else {
                        break;
                    };
                    walk = walk.resume(offset, seq);
                }
            }
        }
        Ok(())
    }
}

impl Waiting {
    fn finding(self) -> Finding {
        let Witness { by, at, .. } = &self.witness;
        Finding {
            file: segment::name(self.segment),
            offset: self.offset,
            record: Some(RecordSeq(self.record)),
            what: format!(
                "{by} signed on {at} that it held a commitment to our journal which our journal does not open: it was \
                 cut, rolled back or rewritten"
            ),
            advice: ADVICE,
        }
    }
}

/// What a receipt of this node commits to after a commit: its last nonce hides the tree's size and root.
fn commitment(block: &Block) -> Option<Digest> {
    block.records.last().map(|last| journal_commitment(&last.head.nonce, block.head.size, &block.head.root))
}

fn length(dir: &Path, first: u64) -> u64 {
    segment::path(dir, first).metadata().map_or(0, |metadata| metadata.len())
}
