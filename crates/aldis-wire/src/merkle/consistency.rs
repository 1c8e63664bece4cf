//! Consistency: that a tree is another one with leaves added behind (RFC 6962, section 2.1.2; the check is that of RFC
//! 9162, section 2.1.4.2). Making such a proof is asking for the roots of the ranges that `ranges` names.

use super::node_hash;
use crate::digest::Digest;

/// Whether `path` shows that the tree of `second.0` leaves with the root `second.1` begins with the tree of `first.0`
/// leaves and the root `first.1`. Nothing is proven about the empty tree: the answer is no.
pub fn is_consistent(first: (u64, &Digest), second: (u64, &Digest), path: &[Digest]) -> bool {
    if first.0 == 0 || first.0 > second.0 {
        return false;
    }
    if first.0 == second.0 {
        return path.is_empty() && first.1 == second.1;
    }
    // Of a whole subtree the first root itself is where both computations start.
    let (start, rest) = match path.split_first() {
        _ if first.0.is_power_of_two() => (first.1, path),
        Some((start, rest)) => (start, rest),
        None => return false,
    };
    let zeroes = (first.0 - 1).trailing_ones();
    let (mut node, mut last) = ((first.0 - 1) >> zeroes, (second.0 - 1) >> zeroes);
    let (mut old, mut new) = (*start, *start);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old == *first.1 && new == *second.1
}
