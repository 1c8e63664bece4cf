//! Files that a channel reads each time it is used: secrets, and the certificates of authorities. Read anew so that a
//! corrected file needs no restart. Secrets are taken only from files that others cannot read, and are wiped after use;
//! the copy lettre takes of a mail password is not wiped.

use rustix::fs::OFlags;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The shortest secret, in bytes.
const MIN_SECRET_BYTES: usize = 8;
/// The longest secret, in bytes.
const MAX_SECRET_BYTES: usize = 4_096;
/// The largest file of authorities, in bytes.
const MAX_AUTHORITIES_BYTES: usize = 2 << 20;

/// A secret. Wiped when dropped; cannot be printed, compared or serialized.
pub(super) struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    pub(super) fn expose(&self) -> &[u8] {
        &self.0
    }
}

/// Why a file is not used. The administrator is to blame.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is a directory, a pipe or another thing.
    #[error("{} is no file", .0.display())]
    NotAFile(PathBuf),
    /// Others may read the secret.
    #[error("{0} has mode {mode:04o}, and it holds a secret: run `chmod 600 {0}`", path.display())]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The secret is another user's.
    #[error("{} belongs to user {owner}, and must belong to the user of the node or to root", path.display())]
    WrongOwner {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// Too long or too short.
    #[error("{} must hold {least} to {most} bytes", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// The fewest.
        least: usize,
        /// The most.
        most: usize,
    },
}

/// Reads a secret, without the line end after it.
pub(super) async fn secret(path: &Path) -> Result<Secret, FileError> {
    let path = path.to_owned();
    beside(move || read_secret(&path)).await
}

/// Reads a file of authorities.
pub(super) async fn authorities(path: &Path) -> Result<Vec<u8>, FileError> {
    let path = path.to_owned();
    beside(move || read_authorities(&path)).await
}

/// The same as [`secret`], on this thread.
pub(super) fn read_secret(path: &Path) -> Result<Secret, FileError> {
    let (mut file, metadata) = open(path)?;
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != user && owner != 0 {
        return Err(FileError::WrongOwner { path: path.to_owned(), owner });
    }
    // Service managers hand credentials over as files of root's that the service's group may read.
    let others = if owner == 0 && user != 0 { 0o037 } else { 0o077 };
    if metadata.mode() & others != 0 {
        return Err(FileError::OpenToOthers { path: path.to_owned(), mode: metadata.mode() & 0o7777 });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SECRET_BYTES + 2));
    read_up_to(&mut file, path, &mut bytes, MAX_SECRET_BYTES + 1)?;
    while bytes.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        bytes.pop();
    }
    if !(MIN_SECRET_BYTES..=MAX_SECRET_BYTES).contains(&bytes.len()) {
        return Err(FileError::Length { path: path.to_owned(), least: MIN_SECRET_BYTES, most: MAX_SECRET_BYTES });
    }
    Ok(Secret(bytes))
}

/// The same as [`authorities`], on this thread.
pub(super) fn read_authorities(path: &Path) -> Result<Vec<u8>, FileError> {
    let (mut file, _) = open(path)?;
    let mut bytes = Vec::new();
    read_up_to(&mut file, path, &mut bytes, MAX_AUTHORITIES_BYTES + 1)?;
    if bytes.is_empty() || bytes.len() > MAX_AUTHORITIES_BYTES {
        return Err(FileError::Length { path: path.to_owned(), least: 1, most: MAX_AUTHORITIES_BYTES });
    }
    Ok(bytes)
}

fn read_up_to(file: &mut File, path: &Path, into: &mut Vec<u8>, most: usize) -> Result<(), FileError> {
    let read = file.take(most as u64).read_to_end(into);
    read.map(|_| ()).map_err(|source| FileError::Unreadable { path: path.to_owned(), source })
}

/// Opens without waiting for the writer of a pipe; everything is checked on the open file.
fn open(path: &Path) -> Result<(File, Metadata), FileError> {
    let unreadable = |source| FileError::Unreadable { path: path.to_owned(), source };
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("open flags are small");
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_file() { Ok((file, metadata)) } else { Err(FileError::NotAFile(path.to_owned())) }
}

/// Reading blocks on the disk, so it runs beside the runtime.
async fn beside<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    let cut_short = |_| FileError::Unreadable { path: PathBuf::new(), source: io::ErrorKind::Interrupted.into() };
    tokio::task::spawn_blocking(read).await.map_err(cut_short)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_read_only_from_a_file_that_others_cannot_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let written = |content: &[u8], mode| {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            read_secret(&path)
        };
        assert_eq!(written(b"long enough\n", 0o600).unwrap().expose(), b"long enough");
        assert!(matches!(written(b"long enough", 0o640), Err(FileError::OpenToOthers { mode: 0o640, .. })));
        assert!(matches!(written(b"long enough", 0o604), Err(FileError::OpenToOthers { .. })));
        assert!(matches!(written(b"short\n\n\n\n", 0o600), Err(FileError::Length { .. })));
        assert!(matches!(written(&[b'x'; 5_000], 0o600), Err(FileError::Length { .. })));
        assert!(matches!(read_secret(dir.path()), Err(FileError::NotAFile(_))));
        assert!(matches!(read_secret(&dir.path().join("gone")), Err(FileError::Unreadable { .. })));
    }
}
