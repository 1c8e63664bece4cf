//! Proofs made from ranges against a naive tree that holds all its leaves and follows RFC 6962 to the letter.

use super::*;
use crate::merkle::{audit_path, is_consistent, leaf_hash, root};
use proptest::prelude::*;

fn leaves(count: u64) -> Vec<Digest> {
    (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect()
}

/// PROOF(m, D[n]) of RFC 6962, section 2.1.2.
fn naive_proof(first: usize, all: &[Digest]) -> Vec<Digest> {
    fn sub_proof(first: usize, all: &[Digest], is_whole: bool) -> Vec<Digest> {
        if first == all.len() {
            return if is_whole { Vec::new() } else { vec![root(all)] };
        }
        let at = all.len().next_power_of_two() / 2;
        let mut proof;
        if first <= at {
            proof = sub_proof(first, &all[..at], is_whole);
            proof.push(root(&all[at..]));
        } else {
            proof = sub_proof(first - at, &all[at..], false);
            proof.push(root(&all[..at]));
        }
        proof
    }
    sub_proof(first, all, true)
}

fn streamed(ranges: &[Range<u64>], all: &[Digest]) -> Vec<Digest> {
    let mut roots = RangeRoots::new(ranges.to_vec());
    all.iter().for_each(|leaf| roots.add(*leaf));
    roots.roots(ranges).expect("every leaf was added")
}

#[test]
fn every_small_tree_has_the_proofs_of_the_naive_one_and_they_hold() {
    for size in 1..=40 {
        let all = leaves(size);
        let top = root(&all);
        for index in 0..size {
            let path = streamed(&audit_ranges(index, size), &all);
            assert_eq!(path, audit_path(&all, usize::try_from(index).unwrap()), "leaf {index} of {size}");
        }
        for first in 1..=size {
            let older = usize::try_from(first).unwrap();
            let path = streamed(&consistency_ranges(first, size), &all);
            assert_eq!(path, naive_proof(older, &all), "{first} of {size}");
            assert!(is_consistent((first, &root(&all[..older])), (size, &top), &path), "{first} of {size}");
        }
    }
}

#[test]
fn nothing_is_consistent_with_the_empty_tree_or_a_larger_one() {
    let all = leaves(3);
    let (empty, top) = (root(&[]), root(&all));
    assert!(!is_consistent((0, &empty), (3, &top), &[]));
    assert!(!is_consistent((4, &top), (3, &top), &[]));
    assert!(is_consistent((3, &top), (3, &top), &[]));
    assert!(!is_consistent((3, &empty), (3, &top), &[]));
    assert!(!is_consistent((3, &top), (3, &top), &[top]));
}

proptest! {
    #[test]
    fn i9_a_proof_holds_for_its_own_two_trees_alone(
        size in 2u64..600,
        first in any::<prop::sample::Index>(),
        changed in any::<prop::sample::Index>(),
        what in 0u8..6,
    ) {
        let all = leaves(size);
        let older = first.index(all.len()) + 1;
        let first = older as u64;
        let (old_root, top) = (root(&all[..older]), root(&all));
        let path = streamed(&consistency_ranges(first, size), &all);
        prop_assert!(is_consistent((first, &old_root), (size, &top), &path));
        let mut bad = path.clone();
        let (mut bad_first, mut bad_size, mut bad_root) = (first, size, old_root);
        match what {
            0 if !bad.is_empty() => { bad.remove(changed.index(path.len())); }
            1 => bad.insert(changed.index(path.len() + 1), Digest::ZERO),
            2 if !bad.is_empty() => bad[changed.index(path.len())] = Digest::ZERO,
            3 => bad_root = {
                let mut other = all[..older].to_vec();
                other[changed.index(older)] = Digest::ZERO;
                root(&other)
            },
            4 => bad_first += 1,
            _ => bad_size += 1,
        }
        let same = (bad_first, bad_size, bad_root, &bad) == (first, size, old_root, &path);
        prop_assume!(!same && bad_first <= bad_size);
        // A larger tree of the same shape at the proof's nodes may share a path; its root never is the same.
        let top = if what == 5 { leaf_hash(b"another root") } else { top };
        prop_assert!(!is_consistent((bad_first, &bad_root), (bad_size, &top), &bad));
    }

    #[test]
    fn i7_a_pass_keeps_one_frontier_per_level(size in 1u64..2_000, wanted in prop::collection::vec(any::<prop::sample::Index>(), 1..20)) {
        let count = usize::try_from(size).unwrap();
        let ranges = wanted.iter().flat_map(|index| audit_ranges(index.index(count) as u64, size));
        let mut roots = RangeRoots::new(ranges);
        for leaf in leaves(size) {
            roots.add(leaf);
            prop_assert!(roots.open.len() <= 12);
        }
        prop_assert!(roots.open.is_empty() && roots.waiting.is_empty());
    }
}
