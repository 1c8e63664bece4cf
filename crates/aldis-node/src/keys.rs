//! The node's keys on disk: makes and loads the identity key file, loads it together with the TLS pair, and refuses keys
//! that everybody knows.
//!
//! The file is text: a comment, the scheme that protects the seed, the public key (so that damage shows), and the seed.
//! Nothing here prints or logs a key, changes a file's mode, or overwrites anything; every buffer that held a seed is wiped.

use crate::config::{Config, KeyPaths};
use crate::tls::{OwnIdentity, SetupError};
use aldis_wire::ids::{KeyId, NodeId};
use aldis_wire::signing::{IdentityKey, PublicKey};
use data_encoding::{BASE64, HEXLOWER};
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use zeroize::Zeroizing;

/// The identity keys published in `certs-example/`: whoever has this repository can sign with them.
pub const EXAMPLE_KEY_IDS: [KeyId; 1] =
    [KeyId([0x1f, 0x16, 0xc3, 0xd5, 0x5f, 0xa5, 0x6c, 0xd1, 0xef, 0x01, 0x96, 0x2b, 0x22, 0x75, 0x73, 0x1c])];

/// The SHA-256 of the TLS certificates published there.
pub const EXAMPLE_CERTIFICATES: [[u8; 32]; 1] = [[
    0x03, 0xf8, 0xd6, 0xd5, 0xb4, 0x15, 0x5d, 0x1f, 0xe2, 0xf9, 0x63, 0x50, 0x6c, 0x48, 0x24, 0xe5, 0x17, 0x81, 0x07,
    0xcc, 0x2c, 0xa4, 0xf0, 0xba, 0xda, 0xb1, 0x85, 0xed, 0xd6, 0xc8, 0xe7, 0x0e,
]];

const BEGIN: &str = "-----BEGIN ALDIS IDENTITY KEY-----";
const END: &str = "-----END ALDIS IDENTITY KEY-----";
/// The only scheme this program reads: the seed stands in the file as it is.
const PLAIN: &str = "plain";
/// The most that is read of a key file, in bytes; ours have about 400.
const MAX_FILE_BYTES: usize = 8_192;

/// Everything a node signs and speaks TLS with. Not printable on purpose.
pub struct OwnKeys {
    /// The identity key.
    pub identity: IdentityKey,
    /// The TLS certificate and its key.
    pub tls: OwnIdentity,
}

/// Why a key is not used, or not made. The administrator is to blame, apart from [`Self::Io`].
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file is not there.
    #[error("there is no key at {}: correct `keys.identity` in the configuration, or make a node with `aldisd init`", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A symbolic link, which somebody else could point elsewhere.
    #[error("{} is a symbolic link: name the key file itself in the configuration", path.display())]
    SymbolicLink {
        /// The link.
        path: PathBuf,
    },
    /// A directory, a pipe, a device.
    #[error("{} is not a regular file: put the key file there", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Others may read or write the file.
    #[error("{} has mode {mode:04o}, so others may use the key: run `chmod 600 {}`, and if others had access, \
        make new keys", path.display(), path.display())]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file belongs to somebody who is neither this user nor root.
    #[error("{} belongs to user {owner} and the node runs as user {user}: run `chown {user} {}`", path.display(),
        path.display())]
    WrongOwner {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The node's user.
        user: u32,
    },
    /// The file is there already; keys are never overwritten.
    #[error("{} exists already and keys are never overwritten: choose another place", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The text is no key file, or was damaged.
    #[error("{} is not a good identity key: {problem}; restore it from its copy", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong. Never holds what stood in the file.
        problem: &'static str,
    },
    /// The seed is protected in a way this program does not know.
    #[error("{} is protected by a scheme this program does not read; it reads `{PLAIN}`: use a newer aldisd",
        path.display())]
    UnknownScheme {
        /// The file.
        path: PathBuf,
    },
    /// The TLS pair.
    #[error(transparent)]
    Tls(#[from] SetupError),
    /// Keys that everybody knows, where somebody else could use them.
    #[error(
        "{what} comes from certs-example, whose private keys are public, so it is used on loopback only; \
        `{field}` says {address}: make keys of your own with `aldisd init`"
    )]
    Published {
        /// Which key or certificate.
        what: &'static str,
        /// Which key of the configuration leads outside.
        field: &'static str,
        /// Where to.
        address: String,
    },
}

impl OwnKeys {
    /// Loads and checks all keys that `config` names, at `now`.
    pub fn load(config: &Config, now: SystemTime) -> Result<Self, KeyError> {
        let identity = load_identity(&config.keys.identity)?;
        let KeyPaths { tls_certificate, tls_key, tls_authority, .. } = &config.keys;
        let tls = match tls_authority {
            Some(authority) => OwnIdentity::load_issued(tls_certificate, tls_key, authority, now)?,
            None => OwnIdentity::load(tls_certificate, tls_key, now)?,
        };
        refuse_published(config, identity.id(), tls.certificate().fingerprint())?;
        Ok(Self { identity, tls })
    }
}

/// Writes a new identity key file for `seed`, with mode 0600, durably. Never overwrites.
pub fn create_identity(path: &Path, node: &NodeId, seed: &[u8; 32]) -> Result<IdentityKey, KeyError> {
    let key = IdentityKey::from_seed(seed);
    let text = armoured(node, seed, &key.public());
    create_secret(path, text.as_bytes())?;
    Ok(key)
}

/// Writes a new file that only this user may read, durably. Never overwrites, never follows a link.
pub(crate) fn create_secret(path: &Path, content: &[u8]) -> Result<(), KeyError> {
    let failed = |action| move |source| KeyError::Io { action, path: path.to_owned(), source };
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(KeyError::Exists { path: path.to_owned() });
        }
        Err(error) => return Err(failed("create")(error)),
    };
    file.write_all(content).map_err(failed("write"))?;
    file.sync_all().map_err(failed("sync"))
}

/// Loads an identity key file: a regular file, no link, of this user or root, for nobody else to read.
pub fn load_identity(path: &Path) -> Result<IdentityKey, KeyError> {
    let content = read_guarded(path)?;
    let damaged = |problem| KeyError::Damaged { path: path.to_owned(), problem };
    let text = std::str::from_utf8(&content).map_err(|_| damaged("it is not text"))?;
    match parse(text) {
        Ok(key) => Ok(key),
        Err(Unfit::Scheme) => Err(KeyError::UnknownScheme { path: path.to_owned() }),
        Err(Unfit::Damaged(problem)) => Err(damaged(problem)),
    }
}

/// Whether a node with this identity key or certificate is the published example.
pub fn is_published(identity: KeyId, certificate: [u8; 32]) -> bool {
    EXAMPLE_KEY_IDS.contains(&identity) || EXAMPLE_CERTIFICATES.contains(&certificate)
}

/// Refuses published keys unless everything the node listens on and advertises is loopback.
fn refuse_published(config: &Config, identity: KeyId, certificate: [u8; 32]) -> Result<(), KeyError> {
    if !is_published(identity, certificate) {
        return Ok(());
    }
    let what = if EXAMPLE_KEY_IDS.contains(&identity) { "the identity key" } else { "the TLS certificate" };
    let refused = |field, address| Err(KeyError::Published { what, field, address });
    let listen = config.network.listen.iter().find(|address| !address.ip().to_canonical().is_loopback());
    if let Some(address) = listen {
        return refused("network.listen", address.to_string());
    }
    match config.network.endpoints.iter().find(|endpoint| !endpoint.is_loopback()) {
        Some(endpoint) => refused("network.endpoints", endpoint.to_string()),
        None => Ok(()),
    }
}

enum Unfit {
    Scheme,
    Damaged(&'static str),
}

fn armoured(node: &NodeId, seed: &[u8; 32], public: &PublicKey) -> Zeroizing<String> {
    let encoded = Zeroizing::new(BASE64.encode(seed));
    let public_hex = HEXLOWER.encode(public.as_bytes());
    // One allocation of more than the final size: a growing buffer would leave a copy behind, unwiped.
    let mut text = Zeroizing::new(String::with_capacity(1_024));
    let parts = [
        "# The identity key of ",
        node.as_str(),
        ". Whoever has this file can sign as this node.\n",
        "# Keep it at mode 0600, and one copy offline: without it the node's name must be enrolled anew.\n",
        BEGIN,
        "\nscheme = ",
        PLAIN,
        "\npublic = ",
        public_hex.as_str(),
        "\nseed = ",
        encoded.as_str(),
        "\n",
        END,
        "\n",
    ];
    text.extend(parts);
    text
}

fn parse(text: &str) -> Result<IdentityKey, Unfit> {
    let (_, rest) = text.split_once(BEGIN).ok_or(Unfit::Damaged("its first line is missing"))?;
    let (inside, _) = rest.split_once(END).ok_or(Unfit::Damaged("its last line is missing"))?;
    let field = |name: &str| {
        let mut values = inside.lines().filter_map(|line| line.split_once('=')).filter(|(key, _)| key.trim() == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value.trim()),
            _ => None,
        }
    };
    let scheme = field("scheme").ok_or(Unfit::Damaged("it does not name its scheme once"))?;
    if scheme != PLAIN {
        return Err(Unfit::Scheme);
    }
    let encoded = field("seed").ok_or(Unfit::Damaged("it does not hold one seed"))?;
    let seed = decode_seed(encoded).ok_or(Unfit::Damaged("its seed is not 32 bytes in base 64"))?;
    let key = IdentityKey::from_seed(&seed);
    let public = field("public").ok_or(Unfit::Damaged("it does not hold one public key"))?;
    if public != HEXLOWER.encode(key.public().as_bytes()) {
        return Err(Unfit::Damaged("its seed and its public key do not belong together"));
    }
    Ok(key)
}

fn decode_seed(encoded: &str) -> Option<Zeroizing<[u8; 32]>> {
    // 44 characters decode to at most 33 bytes; anything else is refused before it is decoded.
    let mut decoded = Zeroizing::new([0; 33]);
    if encoded.len() != 44 || BASE64.decode_mut(encoded.as_bytes(), &mut *decoded).ok()? != 32 {
        return None;
    }
    let mut seed = Zeroizing::new([0; 32]);
    seed.copy_from_slice(&decoded[..32]);
    Some(seed)
}

/// Reads a bounded file after checking the open file itself, so that it cannot be exchanged in between.
fn read_guarded(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let failed = |source| KeyError::Io { action: "read", path: path.to_owned(), source };
    let mut file = open_guarded(path)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(KeyError::NotAFile { path: path.to_owned() });
    }
    check_guarded(path, metadata.mode(), metadata.uid(), rustix::process::geteuid().as_raw())?;
    // One allocation of the final size, for the same reason as above.
    let mut content = Zeroizing::new(Vec::with_capacity(MAX_FILE_BYTES + 1));
    Read::by_ref(&mut file).take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut content).map_err(failed)?;
    if content.len() > MAX_FILE_BYTES {
        return Err(KeyError::Damaged { path: path.to_owned(), problem: "it is far too long" });
    }
    Ok(content)
}

/// Opens without following a link, and without waiting for the writer of a pipe.
fn open_guarded(path: &Path) -> Result<File, KeyError> {
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
fn check_guarded(path: &Path, mode: u32, owner: u32, user: u32) -> Result<(), KeyError> {
    if owner != user && owner != 0 {
        return Err(KeyError::WrongOwner { path: path.to_owned(), owner, user });
    }
    if mode & 0o077 != 0 {
        return Err(KeyError::OpenToOthers { path: path.to_owned(), mode: mode & 0o7777 });
    }
    Ok(())
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
