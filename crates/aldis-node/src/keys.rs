//! The node's own keys: sealed on disk, opened once at the start, refused if everybody knows them.
//!
//! A key file is text: comments, how it is sealed, and the key under a cipher that covers all of it. Beside the
//! configured keys others may lie: what a rotation or renewal made, or left. Nothing here prints or logs a key, changes
//! a file's mode, or overwrites a key unasked; every buffer that held one is wiped.

mod armour;
mod error;
mod files;
#[cfg(test)]
pub(crate) mod fixtures;
mod keyring;
mod replace_lost;
mod reseal;
mod sealer;
mod secret;
mod siblings;
mod stretch;
mod terminal;

pub use error::{KeyError, SecretError};
pub use keyring::{FIRST_WAIT, Keyring, TRIES};
pub use replace_lost::replace_lost;
pub use reseal::{files_to_copy, reseal, seal};
pub use sealer::Sealer;
pub use secret::{
    MAX_CREDENTIAL_BYTES, MAX_PASSPHRASE_BYTES, MIN_CREDENTIAL_BYTES, MIN_PASSPHRASE_CHARS, Secret, Source,
};
pub use siblings::{MAX_KEYS, count_identities, count_pairs, identity_name, tls_names};
pub use stretch::Stretch;
pub use terminal::Terminal;

use crate::config::{Config, KeyPaths};
use crate::tls::{AuthorityFile, OwnIdentity, SetupError};
use aldis_wire::ids::{KeyId, NodeId};
use aldis_wire::signing::IdentityKey;
use armour::{Content, Kind, Unfit};
use std::path::Path;
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

/// Everything a node signs and speaks TLS with. Not printable on purpose.
pub struct OwnKeys {
    /// The identity keys.
    pub identities: Identities,
    /// The TLS certificates, each with its key: the configured pair first, then those beside it by name. Never empty.
    pub tls: Vec<OwnIdentity>,
}

/// The node's identity keys: the configured one, and those of the files beside it.
pub struct Identities {
    configured: IdentityKey,
    others: Vec<IdentityKey>,
}

impl OwnKeys {
    /// Loads and checks all keys that `config` names, and those beside them, at `now`. Asks for the secret through
    /// `keyring` when it meets the first sealed file. A pair beside the configured one whose certificate is not valid
    /// at `now` is left out; everything else that cannot be used is an error that names it.
    pub fn load(config: &Config, keyring: &mut Keyring, now: SystemTime) -> Result<Self, KeyError> {
        let node = &config.node.id;
        let configured = load_identity(&config.keys.identity, node, keyring)?;
        let others = siblings::identities(&config.keys, node, keyring, configured.id())?;
        let pair = PairFiles::configured(&config.keys);
        let (mut tls, expired) = match load_pair(&pair, node, keyring, now) {
            Ok(pair) => (vec![pair], None),
            // Once it has run out, one that a renewal made beside it goes on. An authority's has no such successor.
            Err(error @ KeyError::Tls(SetupError::OutsideValidity { .. })) if pair.authority.is_none() => {
                (Vec::new(), Some(error))
            }
            Err(error) => return Err(error),
        };
        siblings::add_pairs(&mut tls, &config.keys, node, keyring, now)?;
        if let Some(error) = expired.filter(|_| tls.is_empty()) {
            return Err(error);
        }
        let keys = Self { identities: Identities { configured, others }, tls };
        keys.refuse_published(config)?;
        Ok(keys)
    }

    /// The pair that the configuration names.
    pub fn configured_tls(&self) -> &OwnIdentity {
        &self.tls[0]
    }

    /// Whether any of them is published: the whole node then is the example.
    pub fn is_published(&self) -> bool {
        self.published().is_some()
    }

    fn published(&self) -> Option<&'static str> {
        let known = |key: &IdentityKey| EXAMPLE_KEY_IDS.contains(&key.id());
        if self.identities.iter().any(known) {
            return Some("the identity key");
        }
        let known = |pair: &OwnIdentity| EXAMPLE_CERTIFICATES.contains(&pair.certificate().fingerprint());
        self.tls.iter().any(known).then_some("the TLS certificate")
    }

    /// Refuses published keys unless everything the node listens on and advertises is loopback.
    fn refuse_published(&self, config: &Config) -> Result<(), KeyError> {
        let Some(what) = self.published() else { return Ok(()) };
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
}

impl Identities {
    /// The key with this id.
    pub fn get(&self, id: KeyId) -> Option<&IdentityKey> {
        self.iter().find(|key| key.id() == id)
    }

    /// The key that the configuration names, with which the node signs.
    pub fn newest_configured(&self) -> &IdentityKey {
        &self.configured
    }

    /// All of them for a running node, with the key of its card as the newest.
    pub fn with_newest(self, newest: KeyId) -> aldis_wire::signing::Identities {
        let mut keys: Vec<IdentityKey> = std::iter::once(self.configured).chain(self.others).collect();
        let at = keys.iter().position(|key| key.id() == newest).unwrap_or(0);
        let newest = keys.swap_remove(at);
        aldis_wire::signing::Identities::new(newest, keys)
    }

    /// All keys, the configured one first.
    pub fn iter(&self) -> impl Iterator<Item = &IdentityKey> {
        std::iter::once(&self.configured).chain(&self.others)
    }
}

/// Writes a new certificate file, durably; it is nobody else's business, though it is no secret. Never overwrites.
pub(crate) fn create_certificate(path: &Path, pem: &[u8]) -> Result<(), KeyError> {
    files::create(path, pem)
}

/// Loads an identity key file. A plain one is taken only if everybody has it anyway.
fn load_identity(path: &Path, node: &NodeId, keyring: &mut Keyring) -> Result<IdentityKey, KeyError> {
    let damaged = |problem| KeyError::Damaged { path: path.to_owned(), problem };
    let (content, public) = match open(path, Kind::Identity, node, keyring)? {
        Opened::Plain(seed) => (seed, None),
        Opened::Sealed(seed, public) => (seed, public),
    };
    let seed: &[u8; 32] = content.as_slice().try_into().map_err(|_| damaged("its seed is not 32 bytes"))?;
    let key = IdentityKey::from_seed(seed);
    match public {
        None if EXAMPLE_KEY_IDS.contains(&key.id()) => Ok(key),
        None => Err(KeyError::NotSealed { path: path.to_owned() }),
        Some(public) if public == *key.public().as_bytes() => Ok(key),
        Some(_) => Err(damaged("its seed and its public key do not belong together")),
    }
}

/// Where a certificate, its key, and the authority that issued it are, if one did.
struct PairFiles<'a> {
    certificate: &'a Path,
    key: &'a Path,
    authority: Option<&'a AuthorityFile>,
}

impl<'a> PairFiles<'a> {
    /// Those that the configuration names.
    fn configured(paths: &'a KeyPaths) -> Self {
        let authority = paths.tls_authority.as_ref();
        Self { certificate: &paths.tls_certificate, key: &paths.tls_key, authority }
    }

    fn with_key(&self, pem: &[u8], now: SystemTime) -> Result<OwnIdentity, SetupError> {
        match self.authority {
            Some(authority) => OwnIdentity::issued_from_pem(self.certificate, self.key, pem, authority, now),
            None => OwnIdentity::from_pem(self.certificate, self.key, pem, now),
        }
    }
}

/// Loads a certificate and its key file. A plain key is taken only if its certificate is the published one.
fn load_pair(
    files: &PairFiles<'_>,
    node: &NodeId,
    keyring: &mut Keyring,
    now: SystemTime,
) -> Result<OwnIdentity, KeyError> {
    match open(files.key, Kind::Tls, node, keyring)? {
        Opened::Sealed(pem, _) => Ok(files.with_key(&pem, now)?),
        Opened::Plain(pem) => {
            let pair = files.with_key(&pem, now)?;
            if !EXAMPLE_CERTIFICATES.contains(&pair.certificate().fingerprint()) {
                return Err(KeyError::NotSealed { path: files.key.to_owned() });
            }
            Ok(pair)
        }
    }
}

/// A key as it came out of its file.
enum Opened {
    /// It stood there as it is.
    Plain(Zeroizing<Vec<u8>>),
    /// It was sealed; with its public half, for an identity key.
    Sealed(Zeroizing<Vec<u8>>, Option<[u8; 32]>),
}

/// Reads and opens a key file of `node`.
fn open(path: &Path, kind: Kind, node: &NodeId, keyring: &mut Keyring) -> Result<Opened, KeyError> {
    let content = files::read_guarded(path)?;
    let damaged = |problem| KeyError::Damaged { path: path.to_owned(), problem };
    let text = std::str::from_utf8(&content).map_err(|_| damaged("it is not text"))?;
    match armour::read(kind, text) {
        Ok(Content::Plain(key)) => Ok(Opened::Plain(key)),
        Ok(Content::Sealed(sealed)) => {
            let key = keyring.open(path, &sealed)?;
            if sealed.node != *node {
                let (path, found, own) = (path.to_owned(), sealed.node, node.clone());
                return Err(KeyError::OfAnotherNode { path, found, own });
            }
            Ok(Opened::Sealed(key, sealed.public))
        }
        Err(Unfit::Scheme) => Err(KeyError::UnknownScheme { path: path.to_owned() }),
        Err(Unfit::Damaged(problem)) => Err(damaged(problem)),
    }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "keys/published_tests.rs"]
mod published_tests;
