//! The position file beside the log: how far the journal had come when the log was last flushed. Whoever opens the journal
//! holds it against this (I9), so that a journal that was cut or rolled back alone is found out. It is never ahead of
//! the journal, because only committed records are followed; it may be behind or missing, and then proves nothing.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aldis_wire::digest::Digest;

use super::store::JournalPosition;
use crate::journal::TreeHead;

const MAGIC: &[u8; 8] = b"ALDISLOG";
const FILE_BYTES: usize = 8 + 8 + 32 + 4;

/// How far the journal had come by the word of the log in `dir`; `None` if there is none, or it cannot be read.
pub fn durable_position(dir: &Path) -> Option<TreeHead> {
    let file = File::open(path(dir)).ok()?;
    let mut bytes = [0; FILE_BYTES];
    file.read_exact_at(&mut bytes, 0).ok()?;
    decode(&bytes)
}

/// Notes a position that was flushed. One write of less than a sector: after a power cut the old or the new one is there.
pub(super) fn note(dir: &Path, position: JournalPosition) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path(dir))?;
    file.write_all_at(&encode(position), 0)
}

fn path(dir: &Path) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(".position");
    PathBuf::from(name)
}

fn encode(position: JournalPosition) -> [u8; FILE_BYTES] {
    let mut bytes = [0; FILE_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..16].copy_from_slice(&position.records_applied.to_be_bytes());
    bytes[16..48].copy_from_slice(&position.journal_root);
    let sum = crc32c::crc32c(&bytes[..48]);
    bytes[48..].copy_from_slice(&sum.to_be_bytes());
    bytes
}

fn decode(bytes: &[u8; FILE_BYTES]) -> Option<TreeHead> {
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let (size, rest) = rest.split_first_chunk::<8>()?;
    let (root, sum) = rest.split_first_chunk::<32>()?;
    let whole = magic == MAGIC && *sum == crc32c::crc32c(&bytes[..48]).to_be_bytes();
    whole.then(|| TreeHead { size: u64::from_be_bytes(*size), root: Digest::from_bytes(*root) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i9_a_noted_position_reads_back_and_a_damaged_one_proves_nothing() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("log");
        assert_eq!(durable_position(&dir), None);
        for records_applied in [7, 9] {
            note(&dir, JournalPosition { records_applied, journal_root: [3; 32] }).unwrap();
            let expected = TreeHead { size: records_applied, root: Digest::from_bytes([3; 32]) };
            assert_eq!(durable_position(&dir), Some(expected));
        }
        let mut bytes = std::fs::read(path(&dir)).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            std::fs::write(path(&dir), &bytes).unwrap();
            assert_eq!(durable_position(&dir), None, "byte {at}");
            bytes[at] ^= 1;
        }
        std::fs::write(path(&dir), &bytes[..20]).unwrap();
        assert_eq!(durable_position(&dir), None);
    }
}
