//! The Unix socket of the control API: made so that it is never reachable with wrong permissions, never taken from a
//! daemon that still answers, and gone when the node has stopped. It knows nothing of what is said over it.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};

/// Who may connect: the owner and the group. Everything else is decided by who the kernel says is calling.
pub const SOCKET_MODE: u32 = 0o660;

/// How long another daemon may take to accept before it counts as answering anyway.
const PROBE_LIMIT: Duration = Duration::from_secs(1);

/// A bound socket. Dropping it removes the file, unless somebody else has put another one in its place.
#[derive(Debug)]
pub struct ControlSocket {
    pub(super) listener: UnixListener,
    file: SocketFile,
}

/// Why there is no socket to listen on. The administrator is to blame; nothing that was there was changed.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The directory is not there.
    #[error("there is no directory {} for the control socket; create it, owned by the daemon's user, or configure another path", .dir.display())]
    NoDirectory {
        /// The directory.
        dir: PathBuf,
    },
    /// Another daemon answers there.
    #[error("another daemon answers at {}; stop it first, or configure another path", .path.display())]
    Busy {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is not a socket is in the way.
    #[error("{} exists and is not a socket; move it away yourself, or configure another path", .path.display())]
    NotASocket {
        /// What is in the way.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot {what} {}: {source}; check the directory's owner and mode, and that the path is shorter than 100 bytes", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The file of a socket, known by device and inode.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl ControlSocket {
    /// The path of the socket.
    pub fn path(&self) -> &Path {
        &self.file.path
    }
}

/// Binds the socket at `path` with mode [`SOCKET_MODE`]. A socket that nobody answers on is replaced.
pub async fn bind(path: &Path) -> Result<ControlSocket, BindError> {
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    if !dir.is_dir() {
        return Err(BindError::NoDirectory { dir: dir.to_owned() });
    }
    refuse_what_is_in_use(path).await?;
    // Made in a directory only we can enter, given its mode there, then moved into place in one step: nobody ever finds
    // a socket with another mode, or none where a stale one was.
    let failed = |what, path: &Path| {
        let path = path.to_owned();
        move |source| BindError::Io { what, path, source }
    };
    let private = tempfile::Builder::new().prefix(".a").tempdir_in(dir).map_err(failed("write in", dir))?;
    let unborn = private.path().join("s");
    let listener = UnixListener::bind(&unborn).map_err(failed("bind a socket at", &unborn))?;
    fs::set_permissions(&unborn, Permissions::from_mode(SOCKET_MODE)).map_err(failed("set the mode of", &unborn))?;
    let metadata = fs::symlink_metadata(&unborn).map_err(failed("look at", &unborn))?;
    fs::rename(&unborn, path).map_err(failed("put a socket at", path))?;
    Ok(ControlSocket { listener, file: SocketFile { path: path.to_owned(), identity: identity(&metadata) } })
}

/// Lets only nothing, or a socket nobody answers on, stand at `path`.
async fn refuse_what_is_in_use(path: &Path) -> Result<(), BindError> {
    let failed = |source| BindError::Io { what: "look at", path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(BindError::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    match tokio::time::timeout(PROBE_LIMIT, UnixStream::connect(path)).await {
        Ok(Err(error)) if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => Ok(()),
        Ok(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => Err(failed(error)),
        // Connected, or somebody listens but is too busy to accept.
        _ => Err(BindError::Busy { path: path.to_owned() }),
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| identity(&found) == self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the control socket could not be removed");
        }
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_for_owner_and_group_only_and_goes_with_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("aldis.sock");
        let socket = bind(&path).await.unwrap();
        let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, SOCKET_MODE);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing but the socket is left");
        UnixStream::connect(&path).await.unwrap();
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_that_is_answered_is_left_alone_and_a_stale_one_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("aldis.sock");
        let first = bind(&path).await.unwrap();
        assert!(matches!(bind(&path).await, Err(BindError::Busy { .. })));
        assert!(path.exists());
        drop(first);
        // What a killed daemon leaves behind: the file, and nobody who listens.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let second = bind(&path).await.unwrap();
        UnixStream::connect(&path).await.unwrap();
        drop(second);
    }

    #[tokio::test]
    async fn what_is_not_ours_is_never_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("aldis.sock");
        fs::write(&path, "a letter").unwrap();
        assert!(matches!(bind(&path).await, Err(BindError::NotASocket { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "a letter");
        fs::remove_file(&path).unwrap();

        let socket = bind(&path).await.unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "put there meanwhile").unwrap();
        drop(socket);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn a_missing_directory_and_a_path_too_long_say_so() {
        let directory = tempfile::tempdir().unwrap();
        let error = bind(&directory.path().join("run/aldis.sock")).await.unwrap_err();
        assert!(matches!(error, BindError::NoDirectory { .. }));
        assert!(error.to_string().contains("create it"), "{error}");
        let deep = directory.path().join("x".repeat(120));
        fs::create_dir(&deep).unwrap();
        let error = bind(&deep.join("aldis.sock")).await.unwrap_err();
        assert!(error.to_string().contains("shorter than 100 bytes"), "{error}");
    }
}
