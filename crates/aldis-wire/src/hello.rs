//! The Hello: the first frame each way, signed by the identity key over the TLS channel it travels in, so that a stolen
//! TLS key alone speaks for nobody. It carries how far each side is; it never carries messages.

use crate::codec::{self, Blob, Decode, Encode, List};
use crate::codes::{Extension, Extensions};
use crate::digest::Digest;
use crate::header::PROTOCOL_VERSION;
use crate::ids::{Incarnation, KeyId, NodeId, UnixMillis};
use crate::keyring::KeySwitch;
use crate::lane::Marks;
use crate::receipt::Signed;
use crate::signing::{Context, IdentityKey, PublicKey, SigningError};

/// The longest encoded Hello without its signature, in bytes.
pub const HELLO_MAX_BYTES: usize = 16_384;

/// The extension that says where the signer's key before this one ended.
const SWITCH_TAG: u16 = 1;

/// The extension that says for which places of its own the signer holds receipts of the other side.
const RECEIPTED_TAG: u16 = 2;

/// Which end of the connection signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Role(pub u16);

impl Role {
    /// The end that opened the connection.
    pub const DIALLER: Self = Self(1);
    /// The end that accepted it.
    pub const LISTENER: Self = Self(2);
}

/// What each side says first.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
    /// The protocol versions the signer speaks, ascending, at least one.
    pub versions: List<u16, 16>,
    /// Which end of the connection signs.
    pub role: Role,
    /// The signer.
    pub from: NodeId,
    /// The other side.
    pub to: NodeId,
    /// The keying material exported from this TLS connection (RFC 9266).
    pub exporter: [u8; 32],
    /// The identity key that signs.
    pub key_id: KeyId,
    /// The signer's incarnation.
    pub incarnation: Incarnation,
    /// The digest of the signer's own card.
    pub card: Digest,
    /// The digest of the card the signer holds of the other side.
    pub peer_card: Digest,
    /// Per lane, how far the signer has the other side's envelopes on disk.
    pub received: Marks,
    /// Per lane, the latest the signer has sent.
    pub sent: Marks,
    /// The signer's clock.
    pub sent_at: UnixMillis,
    /// Fields of newer versions.
    pub extensions: Extensions,
}

/// What a Hello must be about.
#[derive(Debug)]
pub struct Expected<'a> {
    /// The end that must have signed.
    pub role: Role,
    /// The peer the TLS certificate was mapped to.
    pub from: &'a NodeId,
    /// Ourselves.
    pub to: &'a NodeId,
    /// Our side's exported keying material.
    pub exporter: &'a [u8; 32],
    /// The peer's keys on record that may sign: the one in force, and the next one once it is accepted.
    pub keys: &'a [PublicKey],
}

/// Why a Hello is not taken. The peer is to blame, or somebody between us.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// Not the structure of a Hello.
    #[error("hello: {0}")]
    Malformed(String),
    /// It is about another link, end or node.
    #[error("hello: {0}")]
    NotThisLink(&'static str),
    /// The signature does not verify.
    #[error("hello: {0}")]
    Signature(#[from] SigningError),
    /// No protocol version in common.
    #[error("hello: no protocol version in common (the peer speaks {theirs:?}, we speak {PROTOCOL_VERSION})")]
    NoCommonVersion {
        /// What the peer speaks.
        theirs: Vec<u16>,
    },
}

impl Hello {
    /// Signs the Hello; the result is the payload of a hello frame.
    pub fn sign(&self, key: &IdentityKey) -> Vec<u8> {
        let bytes = codec::encode(self);
        let signature = key.sign(Context::Hello, &bytes);
        let bytes = Blob::new(bytes).expect("a hello is short: names and marks are bounded");
        codec::encode(&Signed::<HELLO_MAX_BYTES> { bytes, signature })
    }

    /// Checks a peer's Hello against what this link must be.
    pub fn verify(bytes: &[u8], expected: &Expected<'_>) -> Result<Self, HelloError> {
        let malformed = |error: codec::CodecError| HelloError::Malformed(error.to_string());
        let signed: Signed<HELLO_MAX_BYTES> = codec::decode(bytes).map_err(malformed)?;
        let verifies = |key: &&PublicKey| key.verify(Context::Hello, &signed.bytes, &signed.signature).is_ok();
        let key = expected.keys.iter().find(verifies).ok_or(SigningError::DoesNotVerify)?;
        let hello: Self = codec::decode(&signed.bytes).map_err(malformed)?;
        let rules = [
            (hello.role == expected.role, "signed for the other end of the connection"),
            (hello.from == *expected.from, "from another node than the certificate's"),
            (hello.to == *expected.to, "meant for another node"),
            (hello.exporter == *expected.exporter, "signed over another TLS connection"),
            (hello.key_id == key.id(), "names another key than the one that signed it"),
            (hello.incarnation.0 != 0, "incarnation zero"),
            (hello.versions.windows(2).all(|pair| pair[0] < pair[1]), "versions do not ascend"),
        ];
        if let Some((_, broken)) = rules.iter().find(|(holds, _)| !holds) {
            return Err(HelloError::NotThisLink(broken));
        }
        hello.switch().map_err(HelloError::Malformed)?;
        hello.receipted().map_err(HelloError::Malformed)?;
        if highest_common(&[PROTOCOL_VERSION], &hello.versions).is_none() {
            return Err(HelloError::NoCommonVersion { theirs: hello.versions.into_vec() });
        }
        Ok(hello)
    }
}

impl Hello {
    /// Where the signer's key before this one ended, if it says so.
    ///
    /// `Err` says what is wrong with it; a verified Hello has none such.
    pub fn switch(&self) -> Result<Option<KeySwitch>, String> {
        let Some(extension) = self.extensions.iter().find(|extension| extension.tag == SWITCH_TAG) else {
            return Ok(None);
        };
        codec::decode(&extension.bytes).map(Some).map_err(|error| format!("key switch: {error}"))
    }

    /// Per lane, the latest place of the signer's own for which it holds a receipt of the other side: what the other side
    /// had on its disk, by its own signature. Empty if it does not say so.
    ///
    /// `Err` says what is wrong with it; a verified Hello has none such.
    pub fn receipted(&self) -> Result<Marks, String> {
        let Some(extension) = self.extensions.iter().find(|extension| extension.tag == RECEIPTED_TAG) else {
            return Ok(Marks::default());
        };
        codec::decode(&extension.bytes).map_err(|error| format!("receipted marks: {error}"))
    }

    /// The extensions that say where the key before this one ended, and what was receipted.
    pub fn extensions_with(switch: Option<KeySwitch>, receipted: &Marks) -> Extensions {
        let extension = |tag: u16, bytes: Vec<u8>| Extension {
            tag,
            bytes: Blob::new(bytes).expect("a key switch has 50 bytes, and there are four marks"),
        };
        let switch = switch.map(|switch| extension(SWITCH_TAG, codec::encode(&switch)));
        let has_marks = receipted.iter().next().is_some();
        let receipted = has_marks.then(|| extension(RECEIPTED_TAG, codec::encode(receipted)));
        Extensions::new(switch.into_iter().chain(receipted).collect()).expect("two extensions fit")
    }
}

/// The highest version both lists hold. Serves protocol versions and kind versions alike.
pub fn highest_common(ours: &[u16], theirs: &[u16]) -> Option<u16> {
    ours.iter().copied().filter(|version| theirs.contains(version)).max()
}

#[cfg(test)]
#[path = "hello_tests.rs"]
mod tests;
