//! Envelopes: header, erasable body, proof. Bytes from a peer become a [`VerifiedEnvelope`] in one way only, through
//! [`EnvelopeVerifier::verify`]; nothing else makes one from the wire. The body is never decoded here.

use crate::codec::{self, BorrowDecode, Encode};
use crate::digest::Digest;
use crate::header::{self, ExactHeader, HeaderError};
use crate::ids::NodeId;
use crate::keyring::KeyRing;
use crate::proof::{PROOF_MAX_BYTES, Proof, ProofError, ProofVerifier};
use bytes::Bytes;

/// The longest body, in bytes. With the longest header and proof an envelope still fits one frame.
pub const BODY_MAX_BYTES: usize = 49_152;

/// The salt that hides a short body behind its commitment: 16 random bytes.
pub type Salt = [u8; 16];

/// Why a header came without its body. Not signed: it explains, it proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, codec::Decode)]
pub struct WithheldReason(pub u16);

impl WithheldReason {
    /// It expired before it was relayed.
    pub const EXPIRED: Self = Self(1);
    /// It was recalled before it was relayed.
    pub const RECALLED: Self = Self(2);
    /// It was erased at the sender.
    pub const ERASED: Self = Self(3);
}

/// The erasable part of an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Salt and body as they came.
    Present {
        /// The salt of the commitment.
        salt: Salt,
        /// The body, opaque here.
        bytes: Bytes,
    },
    /// The header travels alone.
    Withheld(WithheldReason),
}

/// An envelope whose signature, addressing and body commitment were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedEnvelope {
    header: ExactHeader,
    body: Body,
    proof: Bytes,
}

/// Why bytes are not an envelope of this peer for us. The peer is to blame; the bytes take no place in any lane.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not the structure of an envelope.
    #[error("envelope: {0}")]
    Malformed(String),
    /// The header is wrong.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// From or to somebody else than this link's ends.
    #[error("misrouted: from {from} to {to}")]
    Misrouted {
        /// The sender it names.
        from: NodeId,
        /// The recipient it names.
        to: NodeId,
    },
    /// Signed with a key that is not on record for the peer.
    #[error("signed with a key that is not on record for that place in the peer's lane")]
    UnknownKey,
    /// The proof does not hold.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The body is not the one the header commits to.
    #[error("the body does not match the header's commitment")]
    Body,
}

/// Verifies the envelopes of one direction of one link.
#[derive(Debug)]
pub struct EnvelopeVerifier {
    from: NodeId,
    to: NodeId,
    keys: KeyRing,
    proofs: ProofVerifier,
}

impl EnvelopeVerifier {
    /// A verifier for envelopes from one node, signed with its keys on record, to another.
    pub fn new(from: NodeId, to: NodeId, keys: impl Into<KeyRing>) -> Self {
        Self { from, to, keys: keys.into(), proofs: ProofVerifier::default() }
    }

    /// Checks everything about an envelope that needs no memory of earlier ones. The parts share the memory of
    /// `bytes`; nothing is copied but the parsed header.
    pub fn verify(&mut self, bytes: &Bytes) -> Result<VerifiedEnvelope, EnvelopeError> {
        let parts: Parts<'_> =
            codec::decode_borrowed(bytes).map_err(|error| EnvelopeError::Malformed(error.to_string()))?;
        parts.check()?;
        let header = ExactHeader::parse(bytes.slice_ref(parts.header))?;
        if header.from != self.from || header.to != self.to {
            return Err(EnvelopeError::Misrouted { from: header.from.clone(), to: header.to.clone() });
        }
        // The place decides which key it must be, so that an ended key can add nothing (I4).
        let key = self.keys.key_at(header.lane, header.seq);
        if header.key_id != key.id() {
            return Err(EnvelopeError::UnknownKey);
        }
        let proof: Proof = codec::decode(parts.proof).map_err(|error| EnvelopeError::Malformed(error.to_string()))?;
        self.proofs.verify(key, &header, &proof)?;
        let body = parts.body(bytes, &header)?;
        Ok(VerifiedEnvelope { proof: bytes.slice_ref(parts.proof), header, body })
    }
}

impl VerifiedEnvelope {
    /// The signed header.
    pub fn header(&self) -> &ExactHeader {
        &self.header
    }

    /// The body, or why it is not there.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The exact bytes of the proof.
    pub fn proof_bytes(&self) -> &Bytes {
        &self.proof
    }
}

/// The lane an envelope claims, as far as it can be read, although it does not verify. For counting only: nothing else may
/// rest on it.
pub fn claimed_lane(bytes: &[u8]) -> Option<crate::lane::Lane> {
    let parts: Parts<'_> = codec::decode_borrowed(bytes).ok()?;
    ExactHeader::parse(Bytes::copy_from_slice(parts.header)).ok().map(|header| header.lane)
}

/// The lane that an envelope's beginning names, whatever follows. For the order in which envelopes are verified: nothing else
/// may rest on it.
pub fn lane_at_start(bytes: &[u8]) -> Option<crate::lane::Lane> {
    let EnvelopeStart { header } = codec::decode_start(bytes).ok()?;
    header::lane_at_start(header)
}

/// The key an envelope claims to be signed with, as far as it can be read. It says with which of one's own keys to verify;
/// nothing else may rest on it.
pub fn claimed_key(bytes: &[u8]) -> Option<crate::ids::KeyId> {
    let parts: Parts<'_> = codec::decode_borrowed(bytes).ok()?;
    ExactHeader::parse(Bytes::copy_from_slice(parts.header)).ok().map(|header| header.key_id)
}

/// The commitment a header makes to its body: SHA-256(salt || body).
pub fn commitment(salt: &Salt, body: &[u8]) -> Digest {
    Digest::of(&[salt, body])
}

/// Puts an envelope together from the exact bytes of its parts, as stored; a retry is therefore byte-identical (I6).
pub fn assemble(header: &[u8], body: &Body, proof: &[u8]) -> Bytes {
    let (withheld, salt, body) = match body {
        Body::Present { salt, bytes } => (0, *salt, bytes.as_ref()),
        Body::Withheld(reason) => (reason.0, [0; 16], &[][..]),
    };
    Bytes::from(codec::encode(&Parts { header, withheld, salt, body, proof }))
}

/// An envelope's structure on the wire. `withheld` is 0 when the body is there; otherwise salt and body are empty.
#[derive(Encode, BorrowDecode)]
struct Parts<'a> {
    header: &'a [u8],
    withheld: u16,
    salt: Salt,
    body: &'a [u8],
    proof: &'a [u8],
}

/// What an envelope begins with.
#[derive(BorrowDecode)]
struct EnvelopeStart<'a> {
    header: &'a [u8],
}

impl Parts<'_> {
    fn check(&self) -> Result<(), EnvelopeError> {
        let malformed = |what: &str| Err(EnvelopeError::Malformed(what.into()));
        if self.body.len() > BODY_MAX_BYTES {
            return malformed("the body is longer than allowed");
        }
        if self.proof.len() > PROOF_MAX_BYTES {
            return malformed("the proof is longer than allowed");
        }
        if self.withheld != 0 && (self.salt != [0; 16] || !self.body.is_empty()) {
            return malformed("a withheld body has bytes");
        }
        Ok(())
    }

    fn body(&self, whole: &Bytes, header: &ExactHeader) -> Result<Body, EnvelopeError> {
        if self.withheld != 0 {
            return Ok(Body::Withheld(WithheldReason(self.withheld)));
        }
        if self.body.len() != header.body_length as usize || commitment(&self.salt, self.body) != header.body_commitment
        {
            return Err(EnvelopeError::Body);
        }
        Ok(Body::Present { salt: self.salt, bytes: whole.slice_ref(self.body) })
    }
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
