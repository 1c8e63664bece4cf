//! Sealing and opening keys: ChaCha20-Poly1305 with everything else in the file as associated data, so that no part of
//! a file can be exchanged. Poly1305's tag is compared in constant time by the library, and that comparison is the only
//! check of the secret: a wrong one and a changed file fail alike.

use super::armour::{self, Kind, NONCE_BYTES, Sealed};
use super::stretch::{KEY_BYTES, SALT_BYTES, Stretch};
use super::{KeyError, Secret, files};
use crate::clock;
use aldis_wire::ids::NodeId;
use aldis_wire::signing::IdentityKey;
use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use std::path::Path;
use zeroize::Zeroizing;

/// Stands before the associated data, so that nothing else this program ever encrypts opens as a key.
const CONTEXT: &str = "aldis/v1/sealed-key";
/// The length of the tag, in bytes.
const TAG_BYTES: usize = 16;

/// What a running node keeps of its passphrase or credential: the key made from it, with which files are opened and new
/// ones sealed. Wiped when dropped; cannot be printed or serialized. The passphrase cannot be computed from it.
pub struct Sealer {
    key: Zeroizing<[u8; KEY_BYTES]>,
    salt: [u8; SALT_BYTES],
    stretch: Stretch,
}

impl Sealer {
    /// A sealer with a salt of its own. Takes as long as `stretch` says.
    pub fn new(secret: &Secret, stretch: Stretch) -> Result<Self, KeyError> {
        Self::of(secret, clock::random(), stretch)
    }

    pub(super) fn of(secret: &Secret, salt: [u8; SALT_BYTES], stretch: Stretch) -> Result<Self, KeyError> {
        Ok(Self { key: stretch.derive(secret, &salt)?, salt, stretch })
    }

    /// Writes a new sealed identity key file for `seed`, with mode 0600, durably. Never overwrites.
    pub fn create_identity(&self, path: &Path, node: &NodeId, seed: &[u8; 32]) -> Result<IdentityKey, KeyError> {
        let text = self.seal(Kind::Identity, node, seed);
        files::create(path, text.as_bytes())?;
        Ok(IdentityKey::from_seed(seed))
    }

    /// Writes a new sealed file for a TLS key in PEM, with mode 0600, durably. Never overwrites.
    pub fn create_tls_key(&self, path: &Path, node: &NodeId, pem: &str) -> Result<(), KeyError> {
        let text = self.seal(Kind::Tls, node, pem.as_bytes());
        files::create(path, text.as_bytes())
    }

    /// Whether a file was sealed by this sealer or one of the same secret, salt and cost.
    pub(super) fn fits(&self, sealed: &Sealed) -> bool {
        self.salt == sealed.salt && self.stretch == sealed.stretch
    }

    /// The text of a key file.
    pub(super) fn seal(&self, kind: Kind, node: &NodeId, key: &[u8]) -> String {
        let nonce: [u8; NONCE_BYTES] = clock::random();
        let public = match kind {
            Kind::Identity => {
                let seed = key.try_into().expect("an identity key is its seed of 32 bytes");
                Some(*IdentityKey::from_seed(seed).public().as_bytes())
            }
            Kind::Tls => None,
        };
        let head = armour::head(kind, node, public.as_ref(), self.stretch, &self.salt, &nonce);
        let mut content = Zeroizing::new(Vec::with_capacity(key.len() + TAG_BYTES));
        content.extend_from_slice(key);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.cipher().seal_in_place_separate_tag(nonce, bound(&head), &mut content);
        content.extend_from_slice(tag.expect("a key file is far shorter than the cipher's limit").as_ref());
        armour::whole(kind, &head, &content)
    }

    /// The key in a file; none if the secret is not the one it was sealed with, or anything in the file was changed.
    pub(super) fn open(&self, sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
        let mut content = Zeroizing::new(sealed.sealed.clone());
        let nonce = Nonce::assume_unique_for_key(sealed.nonce);
        let opened = self.cipher().open_in_place(nonce, bound(sealed.bound), &mut content).ok()?;
        let length = opened.len();
        content.truncate(length);
        Some(content)
    }

    fn cipher(&self) -> LessSafeKey {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &*self.key);
        LessSafeKey::new(key.expect("the key has the cipher's length"))
    }
}

fn bound(head: &str) -> Aad<Vec<u8>> {
    Aad::from([CONTEXT.as_bytes(), &[0], head.as_bytes()].concat())
}
