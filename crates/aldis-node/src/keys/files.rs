//! Key files on disk: read only if they are safe from others, made without overwriting, replaced whole or not at all.
//! Nothing here knows what stands in them or changes a file's mode.

use super::KeyError;
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// The most that is read of a key file, in bytes: a sealed RSA key of 4,096 bits has about 5,000.
pub(super) const MAX_FILE_BYTES: usize = 16_384;

/// Reads a bounded file after checking the open file itself, so that it cannot be exchanged in between: a regular file,
/// no link, of this user or root, for nobody else to read.
pub(super) fn read_guarded(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let failed = |source| KeyError::Io { action: "read", path: path.to_owned(), source };
    let mut file = open_guarded(path)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(KeyError::NotAFile { path: path.to_owned() });
    }
    check_guarded(path, metadata.mode(), metadata.uid(), rustix::process::geteuid().as_raw())?;
    let content = read_bounded(&mut file, MAX_FILE_BYTES).map_err(failed)?;
    if content.len() > MAX_FILE_BYTES {
        return Err(KeyError::Damaged { path: path.to_owned(), problem: "it is far too long" });
    }
    Ok(content)
}

/// Reads at most `limit_bytes` and one more, which tells that there is more.
pub(super) fn read_bounded(file: &mut File, limit_bytes: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    // One allocation of the final size: a growing buffer would leave copies behind, unwiped.
    let mut content = Zeroizing::new(Vec::with_capacity(limit_bytes + 1));
    file.take(limit_bytes as u64 + 1).read_to_end(&mut content)?;
    Ok(content)
}

/// Opens without following a link, and without waiting for the writer of a pipe.
pub(super) fn open_guarded(path: &Path) -> Result<File, KeyError> {
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).expect("open flags are small");
    OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|source| {
        let path = path.to_owned();
        match source.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
            Some(rustix::io::Errno::LOOP) => KeyError::SymbolicLink { path },
            Some(rustix::io::Errno::NOENT) => KeyError::Missing { path },
            _ => KeyError::Io { action: "open", path, source },
        }
    })
}

/// A file of root's is as safe as one's own: root reads everything anyway, and service managers hand over credentials
/// that way.
pub(super) fn check_guarded(path: &Path, mode: u32, owner: u32, user: u32) -> Result<(), KeyError> {
    if owner != user && owner != 0 {
        return Err(KeyError::WrongOwner { path: path.to_owned(), owner, user });
    }
    if mode & 0o077 != 0 {
        return Err(KeyError::OpenToOthers { path: path.to_owned(), mode: mode & 0o7777 });
    }
    Ok(())
}

/// Writes a new file that only this user may read, durably. Never overwrites, never follows a link.
pub(super) fn create(path: &Path, content: &[u8]) -> Result<(), KeyError> {
    let failed = |action| move |source| KeyError::Io { action, path: path.to_owned(), source };
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(KeyError::Exists { path: path.to_owned() });
        }
        Err(error) => return Err(failed("create")(error)),
    };
    file.write_all(content).map_err(failed("write"))?;
    file.sync_all().map_err(failed("sync"))?;
    sync_dir(path)
}

/// Replaces a file whole or not at all, durably: written aside with mode 0600, synced, and moved over the old one.
/// `before_move` is the last moment at which nothing has changed; tests fail there.
pub(super) fn replace(
    path: &Path,
    content: &[u8],
    before_move: &mut dyn FnMut(&Path) -> io::Result<()>,
) -> Result<(), KeyError> {
    let failed = |action| move |source| KeyError::Io { action, path: path.to_owned(), source };
    let mut aside =
        tempfile::Builder::new().prefix(".aldis-key-").tempfile_in(directory(path)).map_err(failed("write beside"))?;
    aside.write_all(content).map_err(failed("write beside"))?;
    aside.as_file().sync_all().map_err(failed("sync beside"))?;
    before_move(path).map_err(failed("replace"))?;
    aside.persist(path).map_err(|error| failed("replace")(error.error))?;
    sync_dir(path)
}

/// The directory a file is in.
pub(super) fn directory(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

fn sync_dir(path: &Path) -> Result<(), KeyError> {
    let dir = directory(path);
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|source| KeyError::Io { action: "sync", path: dir.to_owned(), source })
}
