//! Ed25519 signatures (RFC 8032) with a context string each; the one place that calls ed25519-dalek. Verification is
//! `verify_strict`, and weak keys are refused when a key is taken. A private key here never prints and never serializes.

use crate::codec::{Decode, Encode};
use crate::ids::KeyId;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

/// What a signature is for. The label and a zero byte stand before every signed message, so that no signature can be
/// shown as one of another purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// The root over a batch of envelope headers.
    Envelope,
    /// A cumulative receipt.
    Receipt,
    /// The first frame of a link.
    Hello,
    /// A node's public description.
    Card,
}

impl Context {
    /// The context string.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Envelope => "aldis/v1/envelope",
            Self::Receipt => "aldis/v1/receipt",
            Self::Hello => "aldis/v1/hello",
            Self::Card => "aldis/v1/card",
        }
    }

    fn message(self, payload: &[u8]) -> Vec<u8> {
        let mut message = Vec::with_capacity(self.label().len() + 1 + payload.len());
        message.extend_from_slice(self.label().as_bytes());
        message.push(0);
        message.extend_from_slice(payload);
        message
    }
}

/// A text that is signed as it stands, without a context in front of it, because that is how C2SP signed notes are. It
/// ends with a line feed and holds no other control character; every context's message has a zero byte behind its label,
/// so a note's signature is never one of another purpose, nor the other way round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteText(String);

impl NoteText {
    /// Takes a text; `None` if it is no note's.
    pub fn new(text: String) -> Option<Self> {
        let allowed = |byte: u8| byte == b'\n' || byte >= 0x20;
        (text.ends_with('\n') && !text.contains("\n\n") && text.bytes().all(allowed)).then_some(Self(text))
    }

    /// The text, its last line feed included.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An Ed25519 signature: 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Encode, Decode, Debug)]
pub struct Signature(pub [u8; 64]);

/// A node's private identity key. Wiped from memory when dropped; has no `Debug` and no serde on purpose.
pub struct IdentityKey {
    key: SigningKey,
    id: KeyId,
}

/// A node's public identity key, checked not to be weak.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublicKey {
    key: VerifyingKey,
    id: KeyId,
}

/// Why a key or signature is not taken. The peer that gave it is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// The bytes are not the one encoding of a point on the curve.
    #[error("not an Ed25519 public key")]
    NotAKey,
    /// The key has small order: signatures by it prove nothing.
    #[error("a weak (small-order) public key")]
    WeakKey,
    /// The signature is not of this key, context and message.
    #[error("the signature does not verify")]
    DoesNotVerify,
}

impl IdentityKey {
    /// The key of a 32-byte seed that came from the operating system's random source or from the key file.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let id = KeyId::of(key.verifying_key().as_bytes());
        Self { key, id }
    }

    /// The seed, for writing the key file.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey { key: self.key.verifying_key(), id: self.id }
    }

    /// The id of the public half.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Signs `payload` for `context`. Deterministic (RFC 8032).
    pub fn sign(&self, context: Context, payload: &[u8]) -> Signature {
        Signature(self.key.sign(&context.message(payload)).to_bytes())
    }

    /// Signs a note. Deterministic (RFC 8032).
    pub fn sign_note(&self, text: &NoteText) -> Signature {
        Signature(self.key.sign(text.as_str().as_bytes()).to_bytes())
    }
}

/// A node's private identity keys: the newest, and earlier ones that some peers still expect. Never empty.
pub struct Identities {
    newest: IdentityKey,
    earlier: Vec<IdentityKey>,
}

impl Identities {
    /// The newest key and those before it.
    pub fn new(newest: IdentityKey, earlier: Vec<IdentityKey>) -> Self {
        Self { newest, earlier }
    }

    /// The newest key: what new peers are given.
    pub fn newest(&self) -> &IdentityKey {
        &self.newest
    }

    /// Adds a key, which is the newest from now on.
    pub fn add(&mut self, key: IdentityKey) {
        self.earlier.push(std::mem::replace(&mut self.newest, key));
    }

    /// The ids of all keys, the newest first.
    pub fn ids(&self) -> Vec<KeyId> {
        std::iter::once(&self.newest).chain(&self.earlier).map(IdentityKey::id).collect()
    }

    /// The key of an id, if it is there.
    pub fn get(&self, id: KeyId) -> Option<&IdentityKey> {
        std::iter::once(&self.newest).chain(&self.earlier).find(|key| key.id() == id)
    }
}

impl From<IdentityKey> for Identities {
    fn from(newest: IdentityKey) -> Self {
        Self::new(newest, Vec::new())
    }
}

impl PublicKey {
    /// Takes a public key; refuses bytes that are no key and keys of small order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, SigningError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| SigningError::NotAKey)?;
        // A point written in a second way would give one key two ids.
        if key.to_edwards().compress().as_bytes() != bytes {
            return Err(SigningError::NotAKey);
        }
        if key.is_weak() {
            return Err(SigningError::WeakKey);
        }
        Ok(Self { key, id: KeyId::of(bytes) })
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// The key's id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Checks a signature strictly.
    pub fn verify(&self, context: Context, payload: &[u8], signature: &Signature) -> Result<(), SigningError> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.key.verify_strict(&context.message(payload), &signature).map_err(|_| SigningError::DoesNotVerify)
    }

    /// Checks a note's signature strictly.
    pub fn verify_note(&self, text: &NoteText, signature: &Signature) -> Result<(), SigningError> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.key.verify_strict(text.as_str().as_bytes(), &signature).map_err(|_| SigningError::DoesNotVerify)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i4_a_signature_is_of_one_key_context_and_message() {
        let key = IdentityKey::from_seed(&[1; 32]);
        let other = IdentityKey::from_seed(&[2; 32]);
        let signature = key.sign(Context::Receipt, b"x");
        assert_eq!(key.public().verify(Context::Receipt, b"x", &signature), Ok(()));
        assert!(key.public().verify(Context::Envelope, b"x", &signature).is_err());
        assert!(key.public().verify(Context::Receipt, b"y", &signature).is_err());
        assert!(other.public().verify(Context::Receipt, b"x", &signature).is_err());
    }

    #[test]
    fn i4_each_key_of_a_node_is_found_by_its_own_id_and_the_newest_comes_first() {
        let [first, second, third] = [1, 2, 3].map(|seed| IdentityKey::from_seed(&[seed; 32]));
        let (first_id, second_id, third_id) = (first.id(), second.id(), third.id());
        let mut keys = Identities::new(second, vec![first]);
        assert_eq!((keys.newest().id(), keys.get(third_id).is_none()), (second_id, true));
        keys.add(third);
        assert_eq!((keys.newest().id(), keys.ids()), (third_id, vec![third_id, first_id, second_id]));
        for id in keys.ids() {
            assert_eq!(keys.get(id).unwrap().id(), id);
        }
    }

    #[test]
    fn i4_no_note_is_the_message_of_a_context() {
        for context in [Context::Envelope, Context::Receipt, Context::Hello, Context::Card] {
            let message = String::from_utf8(context.message(b"line\n")).unwrap();
            assert_eq!(NoteText::new(message), None, "{context:?}");
        }
        for bad in ["", "no end", "a\n\nb\n", "a\tb\n", "a\0b\n", "a\r\n"] {
            assert_eq!(NoteText::new(bad.to_owned()), None, "{bad:?}");
        }
        let key = IdentityKey::from_seed(&[1; 32]);
        let text = NoteText::new("aldis/cert.br\n1\n".to_owned()).unwrap();
        let signature = key.sign_note(&text);
        assert_eq!(key.public().verify_note(&text, &signature), Ok(()));
        assert!(key.public().verify(Context::Card, text.as_str().as_bytes(), &signature).is_err());
    }

    #[test]
    fn i4_weak_keys_are_refused() {
        // The eight small-order points; dalek's plain `verify` accepts such keys for any message.
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(PublicKey::from_bytes(&identity), Err(SigningError::WeakKey));
        assert_eq!(PublicKey::from_bytes(&[0; 32]), Err(SigningError::WeakKey));
        let mut minus_one = [0xff; 32];
        minus_one[0] = 0xec;
        minus_one[31] = 0x7f;
        assert_eq!(PublicKey::from_bytes(&minus_one), Err(SigningError::WeakKey));
    }

    #[test]
    fn i4_a_key_has_one_encoding() {
        // y = p + 3 stands for the same point as y = 3, which is on the curve and of large order.
        let mut longer = [0xff; 32];
        longer[0] = 0xf0;
        longer[31] = 0x7f;
        let mut plain = [0; 32];
        plain[0] = 3;
        assert!(PublicKey::from_bytes(&plain).is_ok());
        assert_eq!(PublicKey::from_bytes(&longer), Err(SigningError::NotAKey));
        // The identity with the sign of x set, though x is zero.
        let mut signed_zero = [0; 32];
        signed_zero[0] = 1;
        signed_zero[31] = 0x80;
        assert_eq!(PublicKey::from_bytes(&signed_zero), Err(SigningError::NotAKey));
    }

    #[test]
    fn i4_no_bit_of_a_signature_can_change() {
        let key = IdentityKey::from_seed(&[1; 32]);
        let signature = key.sign(Context::Card, b"x");
        for bit in 0..512 {
            let mut changed = signature;
            changed.0[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                key.public().verify(Context::Card, b"x", &changed),
                Err(SigningError::DoesNotVerify),
                "bit {bit}"
            );
        }
    }
}
