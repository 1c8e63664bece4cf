//! The file by which a start learns that the data directory was put back from a backup, or set up anew for a node that had
//! lost it: `restored` in the data directory. Whoever restores writes it before the journal is in place; the node puts it on
//! record before it listens, signs nothing for a peer until that peer has told what it holds, and removes the file.

use crate::journal::Disk;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// The file's name within the data directory.
pub const MARKER_FILE: &str = "restored";
/// What it is called until all of it is on stable storage.
const UNFINISHED_FILE: &str = "restored.unfinished";
/// The longest marker that is read, in bytes.
const MARKER_MAX_BYTES: u64 = 4_096;

/// What the file says, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Who restored.
    pub by: String,
    /// When, in milliseconds since 1970 in UTC.
    pub at: u64,
    /// When the backup was made, in the same; none where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_of: Option<u64>,
}

/// Writes the marker, on stable storage when this returns. One that is there stays until the new one is whole: it may
/// stand beside the journal it was written for. An error is the disk's.
pub fn write(data_dir: &Path, marker: &Marker) -> io::Result<()> {
    write_with(&Disk::default(), data_dir, marker)
}

pub(crate) fn write_with(disk: &Disk, data_dir: &Path, marker: &Marker) -> io::Result<()> {
    let unfinished = data_dir.join(UNFINISHED_FILE);
    let text = serde_json::to_vec(marker).expect("a marker is made of strings and numbers");
    disk.remove_file(&unfinished)?;
    let file = disk.create_file(&unfinished)?;
    disk.write_at(&file, &text, 0)?;
    disk.sync_data(&file)?;
    disk.rename(&unfinished, &data_dir.join(MARKER_FILE))?;
    disk.sync_dir(data_dir)
}

/// The marker, if there is one. One that cannot be understood counts all the same: signing too early cannot be undone.
pub(crate) fn read(data_dir: &Path) -> io::Result<Option<Marker>> {
    let file = match File::open(data_dir.join(MARKER_FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, MARKER_MAX_BYTES), &mut bytes)?;
    let unknown = || Marker { by: "somebody who did not say so".to_owned(), at: 0, backup_of: None };
    Ok(Some(serde_json::from_slice(&bytes).unwrap_or_else(|_| unknown())))
}

/// Removes the marker once it is on record.
pub(super) fn forget(data_dir: &Path) -> io::Result<()> {
    fs::remove_file(data_dir.join(MARKER_FILE))?;
    File::open(data_dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i9_a_marker_reads_back_and_a_broken_one_counts() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
        let marker = Marker { by: "ana (uid 7)".to_owned(), at: 1_795_316_400_000, backup_of: None };
        write(dir.path(), &marker).unwrap();
        assert_eq!(read(dir.path()).unwrap(), Some(marker));
        for broken in ["", "{", "{\"by\": 7}"] {
            fs::write(dir.path().join(MARKER_FILE), broken).unwrap();
            assert!(read(dir.path()).unwrap().is_some(), "{broken}");
        }
        forget(dir.path()).unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
    }
}
