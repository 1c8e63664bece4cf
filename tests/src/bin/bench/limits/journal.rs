//! A journal of the bare job: a file that was written before, appended to with one write and one sync per commit, whose
//! records are leaves of a Merkle tree. It starts again at the front when it is full, and is never read.

use crate::Failure;
use aldis_wire::digest::Digest;
use aldis_wire::merkle::{Frontier, leaf_hash_of};
use aldis_wire::receipt::journal_commitment;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// How much is written before anything is measured, and then over and over: 32 MiB.
const SPAN_BYTES: u64 = 32 << 20;
/// What is written at once then.
const PIECE_BYTES: usize = 1 << 20;
/// Stands before each record in its leaf, for as many random bytes.
const NONCE: [u8; 16] = [7; 16];

pub(super) struct Journal {
    file: File,
    at: u64,
    tree: Frontier,
}

impl Journal {
    pub(super) fn new(dir: &Path, name: &str) -> Result<Self, Failure> {
        let file = File::options().create(true).truncate(false).write(true).open(dir.join(name))?;
        let ones = vec![1; PIECE_BYTES];
        let mut at = file.metadata()?.len();
        while at < SPAN_BYTES {
            file.write_all_at(&ones, at)?;
            at += u64::try_from(PIECE_BYTES)?;
        }
        file.sync_all()?;
        Ok(Self { file, at: 0, tree: Frontier::new() })
    }

    /// Adds a record to the tree; its bytes are part of the next commit.
    pub(super) fn add(&mut self, record: &[u8]) {
        self.tree.append(leaf_hash_of(&[&NONCE, record]));
    }

    /// Puts everything added on the disk.
    pub(super) fn commit(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let length = u64::try_from(bytes.len())?;
        if self.at + length > SPAN_BYTES {
            self.at = 0;
        }
        self.file.write_all_at(bytes, self.at)?;
        self.file.sync_data()?;
        self.at += length;
        Ok(())
    }

    /// The commitment to all of it that a receipt carries.
    pub(super) fn commitment(&self) -> Digest {
        journal_commitment(&NONCE, self.tree.size(), &self.tree.root())
    }
}
