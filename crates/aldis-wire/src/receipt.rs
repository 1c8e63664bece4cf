//! Receipts: a node's signed proof that envelopes are on its disk. One receipt covers everything received so far, lane
//! by lane. It never says that anything was accepted, and never causes a message of its own.

use crate::codec::{self, Blob, Decode, Encode};
use crate::codes::{Extension, Extensions};
use crate::digest::Digest;
use crate::header::PROTOCOL_VERSION;
use crate::ids::{Incarnation, KeyId, NodeId, UnixMillis};
use crate::lane::Marks;
use crate::signing::{Context, IdentityKey, PublicKey, Signature, SigningError};

/// The longest encoded receipt without its signature, in bytes.
pub const RECEIPT_MAX_BYTES: usize = 16_384;

/// The extension of a receipt that holds its [`Receipt::witness`].
pub const WITNESS_TAG: u16 = 1;

const DIGEST_BYTES: usize = size_of::<Digest>();

/// What a receipt says.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Receipt {
    /// The protocol version.
    pub version: u16,
    /// The identity key that signs.
    pub key_id: KeyId,
    /// The signer's incarnation.
    pub incarnation: Incarnation,
    /// The signer, on whose disk the envelopes are.
    pub from: NodeId,
    /// The node that sent the envelopes.
    pub to: NodeId,
    /// Per lane, the highest contiguous place on disk and the digest of its header.
    pub stored: Marks,
    /// Per lane, the latest the signer has itself sent to the other side.
    pub sent: Marks,
    /// When the signer stored the latest of them.
    pub stored_at: UnixMillis,
    /// SHA-256(salt || size || root) over the signer's journal as of an earlier commit; see [`journal_commitment`].
    pub commitment: Digest,
    /// Fields that came later; see [`WITNESS_TAG`]. The rest are of newer versions.
    pub extensions: Extensions,
}

/// A receipt with the exact bytes that were signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedReceipt {
    receipt: Receipt,
    bytes: Vec<u8>,
}

/// Why bytes are not a receipt of this peer for us. The peer is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Not the structure of a receipt.
    #[error("receipt: {0}")]
    Malformed(String),
    /// From or to somebody else, of another version, or by a key not on record.
    #[error("receipt: {0}")]
    NotOurs(&'static str),
    /// Extension 1 is not a digest.
    #[error("receipt: the witness has {0} bytes; it is a digest of 32")]
    Witness(usize),
    /// The signature does not verify.
    #[error("receipt: {0}")]
    Signature(#[from] SigningError),
}

/// A signed structure on the wire: its exact bytes, then the signature over them.
#[derive(Encode, Decode)]
pub(crate) struct Signed<const MAX: usize> {
    pub(crate) bytes: Blob<MAX>,
    pub(crate) signature: Signature,
}

impl Receipt {
    /// Signs the receipt; the result is a receipt frame's payload, and what the other side journals.
    pub fn sign(&self, key: &IdentityKey) -> Vec<u8> {
        let bytes = codec::encode(self);
        let signature = key.sign(Context::Receipt, &bytes);
        let bytes = Blob::new(bytes).expect("a receipt is short: names and marks are bounded");
        codec::encode(&Signed::<RECEIPT_MAX_BYTES> { bytes, signature })
    }
}

impl Receipt {
    /// The commitment to the *other* side's journal that the signer held on its disk when it signed: the latest of the
    /// other side's receipts it has journalled says it. `None` if it held none, or is of a program that does not say.
    pub fn witness(&self) -> Option<Digest> {
        let bytes = self.extensions.get(WITNESS_TAG)?;
        Some(Digest::from_bytes(bytes.try_into().ok()?)).filter(|digest| *digest != Digest::ZERO)
    }

    /// The extensions of a receipt that names this witness. [`Digest::ZERO`] is a commitment to nothing, and not named.
    pub fn extensions_with(witness: Option<Digest>) -> Extensions {
        let named = witness.filter(|digest| *digest != Digest::ZERO).map(|digest| Extension {
            tag: WITNESS_TAG,
            bytes: Blob::new(digest.as_bytes().to_vec()).expect("a digest is short"),
        });
        Extensions::new(named.into_iter().collect()).expect("there is at most one")
    }

    /// Reads a receipt that was verified before it was journalled; its signature is not checked again.
    pub fn from_journal(bytes: &[u8]) -> Result<Self, codec::CodecError> {
        let signed: Signed<RECEIPT_MAX_BYTES> = codec::decode(bytes)?;
        codec::decode(&signed.bytes)
    }
}

impl VerifiedReceipt {
    /// Checks the bytes of a receipt by `from`, whose key on record is `key`, for envelopes of `to`.
    pub fn verify(bytes: &[u8], from: &NodeId, to: &NodeId, key: &PublicKey) -> Result<Self, ReceiptError> {
        let malformed = |error: codec::CodecError| ReceiptError::Malformed(error.to_string());
        let signed: Signed<RECEIPT_MAX_BYTES> = codec::decode(bytes).map_err(malformed)?;
        key.verify(Context::Receipt, &signed.bytes, &signed.signature)?;
        let receipt: Receipt = codec::decode(&signed.bytes).map_err(malformed)?;
        if let Some(bytes) = receipt.extensions.get(WITNESS_TAG).filter(|bytes| bytes.len() != DIGEST_BYTES) {
            return Err(ReceiptError::Witness(bytes.len()));
        }
        if receipt.version != PROTOCOL_VERSION {
            return Err(ReceiptError::NotOurs("of another protocol version"));
        }
        if receipt.from != *from || receipt.to != *to {
            return Err(ReceiptError::NotOurs("misrouted"));
        }
        if receipt.key_id != key.id() {
            return Err(ReceiptError::NotOurs("names another key than the one that signed it"));
        }
        if receipt.incarnation.0 == 0 {
            return Err(ReceiptError::NotOurs("incarnation zero"));
        }
        Ok(Self { receipt, bytes: bytes.to_vec() })
    }

    /// What it says.
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// The exact signed bytes, signature included.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A commitment to a journal of `size` records with `root`, hidden by `salt`: it fixes the journal at a moment without
/// revealing its size, and is opened by showing the three values.
pub fn journal_commitment(salt: &[u8; 16], size: u64, root: &Digest) -> Digest {
    Digest::of(&[salt, &size.to_be_bytes(), root.as_bytes()])
}

#[cfg(test)]
#[path = "receipt_tests.rs"]
mod tests;
