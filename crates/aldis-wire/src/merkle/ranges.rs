//! Making proofs of a tree too large to hold: which ranges of leaves a proof needs the roots of, and those roots,
//! computed for all proofs at once in a single pass over the leaves. Memory follows the number of ranges, not that of
//! leaves.

use super::Frontier;
use crate::digest::Digest;
use std::collections::BTreeMap;
use std::ops::Range;

/// The ranges whose roots are the audit path of leaf `index` in a tree of `size` leaves, from the leaf upwards.
///
/// # Panics
/// If `index` is not below `size`, which is a fault of the caller.
pub fn audit_ranges(index: u64, size: u64) -> Vec<Range<u64>> {
    assert!(index < size, "an audit path is asked for a leaf of the tree");
    let (mut within, mut ranges) = (0..size, Vec::new());
    while within.end - within.start > 1 {
        let at = within.start + split(within.end - within.start);
        let (near, far) =
            if index < at { (within.start..at, at..within.end) } else { (at..within.end, within.start..at) };
        ranges.push(far);
        within = near;
    }
    ranges.reverse();
    ranges
}

/// The ranges whose roots prove that a tree of `size` leaves begins with the one of its first `first` (RFC 6962,
/// section 2.1.2).
///
/// # Panics
/// If `first` is 0 or above `size`, which is a fault of the caller.
pub fn consistency_ranges(first: u64, size: u64) -> Vec<Range<u64>> {
    assert!(0 < first && first <= size, "a proof leads from a tree that is not empty to one no smaller");
    let (mut within, mut ranges) = (0..size, Vec::new());
    while within.end != first {
        let at = within.start + split(within.end - within.start);
        if first <= at {
            ranges.push(at..within.end);
            within.end = at;
        } else {
            ranges.push(within.start..at);
            within.start = at;
        }
    }
    // The first tree itself needs no root: whoever checks has it.
    if within.start != 0 {
        ranges.push(within);
    }
    ranges.reverse();
    ranges
}

/// Computes the roots of many ranges in one pass over the leaves.
#[derive(Debug)]
pub struct RangeRoots {
    /// Ranges not begun yet, the first to begin last.
    waiting: Vec<Range<u64>>,
    open: Vec<(Range<u64>, Frontier)>,
    next: u64,
    roots: BTreeMap<(u64, u64), Digest>,
}

impl RangeRoots {
    /// Prepares for these ranges; one that is named twice counts once.
    pub fn new(ranges: impl IntoIterator<Item = Range<u64>>) -> Self {
        let mut waiting: Vec<Range<u64>> = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        waiting.sort_by_key(|range| (std::cmp::Reverse(range.start), range.end));
        waiting.dedup();
        Self { waiting, open: Vec::new(), next: 0, roots: BTreeMap::new() }
    }

    /// Takes the next leaf hash, from leaf 0 on.
    pub fn add(&mut self, leaf: Digest) {
        while let Some(range) = self.waiting.pop_if(|range| range.start == self.next) {
            self.open.push((range, Frontier::new()));
        }
        self.next += 1;
        let (next, roots) = (self.next, &mut self.roots);
        self.open.retain_mut(|(range, frontier)| {
            frontier.append(leaf);
            let is_whole = range.end == next;
            if is_whole {
                roots.insert((range.start, range.end), frontier.root());
            }
            !is_whole
        });
    }

    /// The root over a range that was asked for and whose leaves have all been added.
    pub fn root(&self, range: &Range<u64>) -> Option<Digest> {
        self.roots.get(&(range.start, range.end)).copied()
    }

    /// The roots of ranges that were asked for, in their order; `None` if leaves are missing.
    pub fn roots(&self, ranges: &[Range<u64>]) -> Option<Vec<Digest>> {
        ranges.iter().map(|range| self.root(range)).collect()
    }
}

/// The largest power of two smaller than `len` (which is at least 2).
fn split(len: u64) -> u64 {
    len.next_power_of_two() / 2
}

#[cfg(test)]
#[path = "ranges_tests.rs"]
mod tests;
