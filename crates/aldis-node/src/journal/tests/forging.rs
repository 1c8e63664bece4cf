//! Forgeries by somebody who knows the format: every checksum of them is right.

use super::super::format::{self, Mark, RecordHead};
use super::super::{Entry, segment};
use std::path::Path;

/// A commit with another record in it, all checksums right: only the tree can tell.
pub(super) fn forge(segment: &[u8], range: std::ops::Range<usize>) -> Vec<u8> {
    let mut bytes = segment[range].to_vec();
    let leaf_len = format::read_u32(&bytes, 8) as usize;
    bytes[format::RECORD_HEAD_BYTES] ^= 0xFF;
    let end = format::RECORD_HEAD_BYTES + leaf_len;
    let sum = crc32c::crc32c(&bytes[..end]);
    bytes[end..end + 4].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// Changes the body of record `seq` on the disk; it keeps its length.
pub(crate) fn change_body(dir: &Path, seq: u64, change: impl FnOnce(&mut [u8])) {
    let firsts = segment::list(dir).unwrap();
    let path = segment::path(dir, *firsts.iter().rev().find(|first| **first <= seq).unwrap());
    let mut bytes = std::fs::read(&path).unwrap();
    let mark = Mark::from_stored(format::read_u64(&bytes, 16));
    let places = (0..bytes.len() - format::RECORD_HEAD_BYTES).step_by(8);
    let mut heads = places.filter_map(|at| Some((at, RecordHead::parse(&bytes[at..], mark).ok()?)));
    let (at, head) = heads.find(|(_, head)| head.seq == seq).unwrap();
    let old = bytes[at..at + head.total_len()].to_vec();
    let mut body = old[head.leaf_part_len()..head.leaf_part_len() + head.body_len.unwrap()].to_vec();
    change(&mut body);
    let parts: &[&[u8]] = &[&body];
    let entry = Entry { nonce: head.nonce, record: head.leaf(&old), body: Some(parts) };
    let mut new = Vec::new();
    format::encode_record(&mut new, mark, seq, head.index, &entry);
    bytes[at..at + old.len()].copy_from_slice(&new);
    std::fs::write(path, bytes).unwrap();
}
