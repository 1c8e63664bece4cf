//! Openings: what shows, to somebody who is shown it, that a journal holds a record, and what a commitment to a journal
//! stood for. Nothing but the opened record, its place and the sizes of trees can be learned from one.

use crate::codec::{Blob, Decode, Encode, List};
use crate::digest::Digest;
use crate::merkle;
use crate::receipt::journal_commitment;

/// The longest record that is opened, in bytes: one of a message, whose header and proof are bounded.
pub const OPENED_RECORD_MAX_BYTES: usize = 16_384;

/// That a journal holds a record at a place: what its leaf is made of, and the path from there to the root.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RecordOpening {
    /// The number of the record, from 0.
    pub index: u64,
    /// The random bytes in front of the record in its leaf.
    pub nonce: [u8; 16],
    /// The record.
    pub record: Blob<OPENED_RECORD_MAX_BYTES>,
    /// The audit path to the root of the checkpoint beside it.
    pub path: List<Digest, 64>,
}

/// What a commitment to a journal stands for, and that a later journal only added to it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CommitmentOpening {
    /// The random bytes that hid it.
    pub salt: [u8; 16],
    /// The size of the journal.
    pub size: u64,
    /// Its root.
    pub root: Digest,
    /// The consistency proof to the checkpoint beside it.
    pub path: List<Digest, 128>,
}

impl RecordOpening {
    /// Whether the journal of this size and root holds the record at its place.
    pub fn holds(&self, size: u64, root: &Digest) -> bool {
        let leaf = merkle::leaf_hash_of(&[&self.nonce, &self.record]);
        merkle::root_from_path(leaf, self.index, size, &self.path).is_some_and(|found| found == *root)
    }
}

impl CommitmentOpening {
    /// Whether it opens `commitment`, and the journal of this size and root begins with the one it opens.
    pub fn holds(&self, commitment: &Digest, size: u64, root: &Digest) -> bool {
        journal_commitment(&self.salt, self.size, &self.root) == *commitment
            && merkle::is_consistent((self.size, &self.root), (size, root), &self.path)
    }
}
