//! The generations in a directory of backups: directories with a number for a name, the newest with the highest. One
//! that is being written has another name, so that whatever has a number is whole.

use super::error::RestoreError;
use super::manifest::MANIFEST_NAME;
use std::io;
use std::path::{Path, PathBuf};

/// The generation that is being written. What is left of one that broke off goes when the next begins.
pub(super) const ASIDE_NAME: &str = "unfinished";
/// Locked while a backup is written.
pub(super) const LOCK_NAME: &str = "lock";
const DIGITS: usize = 8;

/// The directory of a generation.
pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:0DIGITS$}"))
}

/// The numbers of all generations in `dir`, ascending. Other names are passed over.
pub(super) fn list(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
        if let Some(number) = number.filter(|number| path(dir, *number) == entry.path())
            && entry.file_type()?.is_dir()
        {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The generation that `dir` names: itself, or the newest in it.
pub(super) fn find(dir: &Path) -> Result<PathBuf, RestoreError> {
    if dir.join(MANIFEST_NAME).symlink_metadata().is_ok() {
        return Ok(dir.to_owned());
    }
    let newest = list(dir).map_err(RestoreError::io("list", dir))?.pop();
    newest.map(|number| path(dir, number)).ok_or_else(|| RestoreError::NoBackup { dir: dir.to_owned() })
}
