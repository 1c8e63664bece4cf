//! Proofs: one signature per batch of headers and a path from each header to it, so that every envelope verifies
//! alone and a path tells nothing about other traffic (the batch holds one peer's headers only).

use crate::codec::{Decode, Encode, List};
use crate::digest::Digest;
use crate::header::ExactHeader;
use crate::ids::KeyId;
use crate::merkle;
use crate::signing::{Context, IdentityKey, PublicKey, Signature, SigningError};

/// The most headers one batch may hold: 2^20.
pub const BATCH_MAX: u32 = 1 << 20;

/// The longest encoded proof, in bytes.
pub const PROOF_MAX_BYTES: usize = 1_024;

/// What proves one header: where it stands in its batch, the path to the root, and the signature over size and root.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Proof {
    /// How many headers the batch holds.
    pub batch_size: u32,
    /// The header's place in the batch, from 0.
    pub index: u32,
    /// The audit path of RFC 6962, from the leaf upwards.
    pub path: List<Digest, 20>,
    /// The signature, context `aldis/v1/envelope`, over size (32 bits, big-endian) and root.
    pub signature: Signature,
}

/// Why a proof does not prove a header. The signer, or whoever changed the bytes, is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The path does not fit the place and size.
    #[error("the proof's path does not fit its place in the batch")]
    Path,
    /// The signature over size and root does not verify.
    #[error("the batch signature: {0}")]
    Signature(#[from] SigningError),
}

/// Signs a batch of headers for one peer; the proofs come in the order of the headers.
///
/// # Panics
/// If the batch is empty or larger than [`BATCH_MAX`]; group commits are bounded far below.
pub fn sign_batch(key: &IdentityKey, headers: &[Digest]) -> Vec<Proof> {
    let size = u32::try_from(headers.len()).expect("a batch is bounded by its group commit");
    assert!((1..=BATCH_MAX).contains(&size), "a batch holds 1 to 2^20 headers");
    let (paths, root) = merkle::all_audit_paths(headers);
    let signature = key.sign(Context::Envelope, &signed_payload(size, &root));
    let proofs = paths.into_iter().zip(0..).map(|(path, index)| Proof {
        batch_size: size,
        index,
        path: List::new(path).expect("a tree of 2^20 leaves is 20 high"),
        signature,
    });
    proofs.collect()
}

/// Verifies proofs and remembers the last batch, so that a batch costs one signature check however many of
/// its envelopes arrive.
#[derive(Debug, Default)]
pub struct ProofVerifier {
    last_batch: Option<(KeyId, u32, Digest, Signature)>,
}

impl ProofVerifier {
    /// Checks that `proof` proves `header` with `key`.
    pub fn verify(&mut self, key: &PublicKey, header: &ExactHeader, proof: &Proof) -> Result<(), ProofError> {
        if proof.batch_size > BATCH_MAX {
            return Err(ProofError::Path);
        }
        let (index, size) = (u64::from(proof.index), u64::from(proof.batch_size));
        let root = merkle::root_from_path(header.digest(), index, size, &proof.path).ok_or(ProofError::Path)?;
        let batch = (key.id(), proof.batch_size, root, proof.signature);
        if self.last_batch != Some(batch) {
            key.verify(Context::Envelope, &signed_payload(proof.batch_size, &root), &proof.signature)?;
            self.last_batch = Some(batch);
        }
        Ok(())
    }
}

fn signed_payload(size: u32, root: &Digest) -> [u8; 36] {
    let mut payload = [0; 36];
    payload[..4].copy_from_slice(&size.to_be_bytes());
    payload[4..].copy_from_slice(root.as_bytes());
    payload
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
