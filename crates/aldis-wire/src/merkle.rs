//! The Merkle tree of RFC 6962, section 2.1: leaves, roots, audit paths, and a frontier that grows by one leaf at a
//! time. Batches of envelope headers and the journal both use it. This module never stores leaves for its caller.

mod consistency;
mod ranges;

pub use consistency::is_consistent;
pub use ranges::{RangeRoots, audit_ranges, consistency_ranges};

use crate::digest::Digest;

/// The hash of one leaf: SHA-256(0x00 || bytes) (RFC 6962, section 2.1).
pub fn leaf_hash(bytes: &[u8]) -> Digest {
    leaf_hash_of(&[bytes])
}

/// The hash of one leaf given in parts, which are hashed as if they stood one behind the other.
pub fn leaf_hash_of(parts: &[&[u8]]) -> Digest {
    let mut all: Vec<&[u8]> = Vec::with_capacity(parts.len() + 1);
    all.push(&[0]);
    all.extend_from_slice(parts);
    Digest::of(&all)
}

/// The hash of an inner node: SHA-256(0x01 || left || right).
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest::of(&[&[1], left.as_bytes(), right.as_bytes()])
}

/// The root over `leaves` (leaf hashes). The root of no leaves is SHA-256 of the empty string.
pub fn root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => Digest::of(&[]),
        [only] => *only,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// The audit path of leaf `index`, from the leaf upwards; empty for a tree of one leaf.
///
/// # Panics
/// If `index` is not below `leaves.len()`, which is a fault of the caller.
pub fn audit_path(leaves: &[Digest], index: usize) -> Vec<Digest> {
    assert!(index < leaves.len(), "an audit path is asked for a leaf of the tree");
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut path, sibling) = if index < left.len() {
        (audit_path(left, index), root(right))
    } else {
        (audit_path(right, index - left.len()), root(left))
    };
    path.push(sibling);
    path
}

/// All audit paths of a tree, computed once per level instead of once per leaf.
///
/// The result at `i` equals `audit_path(leaves, i)`; the second value is the root.
pub fn all_audit_paths(leaves: &[Digest]) -> (Vec<Vec<Digest>>, Digest) {
    let mut paths = vec![Vec::new(); leaves.len()];
    let top = fill_paths(leaves, &mut paths);
    (paths, top)
}

/// The root that `path` leads to from `leaf` at `index` in a tree of `size` leaves, or `None` if the path's length
/// does not fit the position (RFC 9162, section 2.1.3.2, says the same of RFC 6962 trees).
pub fn root_from_path(leaf: Digest, index: u64, size: u64, path: &[Digest]) -> Option<Digest> {
    if index >= size {
        return None;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

/// The right edge of a growing tree: enough to append leaves and to compute the root, O(log n) in size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Roots of the complete subtrees, largest first; one per set bit of `size`.
    peaks: Vec<Digest>,
}

impl Frontier {
    /// The frontier of an empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Rebuilds a frontier from its stored parts; `None` if the number of peaks does not fit the size.
    pub fn from_parts(size: u64, peaks: Vec<Digest>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, largest first.
    pub fn peaks(&self) -> &[Digest] {
        &self.peaks
    }

    /// Appends one leaf hash.
    pub fn append(&mut self, leaf: Digest) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            let left = self.peaks.pop().expect("a frontier has one peak per set bit of its size");
            hash = node_hash(&left, &hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root over all leaves appended so far.
    pub fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else {
            return Digest::of(&[]);
        };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// The largest power of two smaller than `len` (which is at least 2).
fn split(len: usize) -> usize {
    len.next_power_of_two() / 2
}

fn fill_paths(leaves: &[Digest], paths: &mut [Vec<Digest>]) -> Digest {
    match leaves {
        [] => Digest::of(&[]),
        [only] => *only,
        _ => {
            let at = split(leaves.len());
            let (left_paths, right_paths) = paths.split_at_mut(at);
            let left = fill_paths(&leaves[..at], left_paths);
            let right = fill_paths(&leaves[at..], right_paths);
            for path in left_paths {
                path.push(right);
            }
            for path in right_paths {
                path.push(left);
            }
            node_hash(&left, &right)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: usize) -> Vec<Digest> {
        (0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect()
    }

    #[test]
    fn the_empty_tree_and_one_leaf_have_the_roots_of_rfc_6962() {
        assert_eq!(root(&[]).to_hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(leaf_hash(b"").to_hex(), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    }

    #[test]
    fn every_path_leads_to_the_root_and_no_other_position_does() {
        for size in 1..=70 {
            let all = leaves(size);
            let (paths, top) = all_audit_paths(&all);
            assert_eq!(top, root(&all));
            for (index, path) in paths.iter().enumerate() {
                assert_eq!(*path, audit_path(&all, index));
                let found = root_from_path(all[index], index as u64, size as u64, path);
                assert_eq!(found, Some(top), "leaf {index} of {size}");
                let wrong = (index + 1) % size;
                if wrong != index {
                    let found = root_from_path(all[index], wrong as u64, size as u64, path);
                    assert_ne!(found, Some(top), "leaf {index} of {size} at {wrong}");
                }
            }
        }
    }

    #[test]
    fn a_path_too_long_or_too_short_is_refused() {
        let all = leaves(5);
        let mut path = audit_path(&all, 2);
        assert!(root_from_path(all[2], 2, 5, &path[..path.len() - 1]).is_none());
        path.push(Digest::ZERO);
        assert!(root_from_path(all[2], 2, 5, &path).is_none());
        assert!(root_from_path(all[2], 5, 5, &path).is_none());
    }

    #[test]
    fn a_frontier_has_the_root_of_its_leaves() {
        let all = leaves(130);
        let mut frontier = Frontier::new();
        for (count, leaf) in all.iter().enumerate() {
            assert_eq!(frontier.root(), root(&all[..count]));
            frontier.append(*leaf);
            let again = Frontier::from_parts(frontier.size(), frontier.peaks().to_vec());
            assert_eq!(again.as_ref(), Some(&frontier));
        }
        assert_eq!(Frontier::from_parts(3, vec![Digest::ZERO]), None);
    }
}
