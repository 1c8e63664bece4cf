use super::*;
use crate::codec;
use crate::header::{ExactHeader, Header};
use crate::samples::{self, br_key, cl_key, damaged, digest, encodes_to_itself, list};
use proptest::prelude::*;

fn headers(count: u32) -> Vec<ExactHeader> {
    (0..count).map(|i| ExactHeader::encode(Header { body_length: i, ..samples::header(b"") }).unwrap()).collect()
}

fn batch(count: u32) -> (Vec<ExactHeader>, Vec<Proof>) {
    let headers = headers(count);
    let digests: Vec<Digest> = headers.iter().map(ExactHeader::digest).collect();
    let proofs = sign_batch(&br_key(), &digests);
    (headers, proofs)
}

/// Without memory of earlier batches.
fn verify(header: &ExactHeader, proof: &Proof) -> Result<(), ProofError> {
    ProofVerifier::default().verify(&br_key().public(), header, proof)
}

#[test]
fn i4_each_header_of_a_batch_verifies_alone_and_with_no_other_proof() {
    for size in [1, 2, 3, 4, 7, 8, 13] {
        let (headers, proofs) = batch(size);
        assert_eq!(proofs.len(), headers.len());
        for (i, header) in headers.iter().enumerate() {
            for (j, proof) in proofs.iter().enumerate() {
                let decoded: Proof = codec::decode(&codec::encode(proof)).unwrap();
                assert_eq!(verify(header, &decoded).is_ok(), i == j, "header {i}, proof {j} of {size}");
            }
        }
    }
}

#[test]
fn i4_every_defect_is_seen() {
    let (headers, proofs) = batch(7);
    let good = &proofs[2];
    let path = |change: fn(&mut Vec<Digest>)| {
        let mut path = good.path.to_vec();
        change(&mut path);
        Proof { path: list(path), ..good.clone() }
    };
    let signature = br_key().sign(Context::Receipt, b"");
    let does_not_verify = Err(ProofError::Signature(SigningError::DoesNotVerify));
    let cases = [
        (Proof { batch_size: 0, ..good.clone() }, Err(ProofError::Path)),
        (Proof { index: 7, ..good.clone() }, Err(ProofError::Path)),
        (Proof { index: u32::MAX, ..good.clone() }, Err(ProofError::Path)),
        (Proof { batch_size: BATCH_MAX + 1, ..good.clone() }, Err(ProofError::Path)),
        (path(|path| path.truncate(path.len() - 1)), Err(ProofError::Path)),
        (path(|path| path.push(digest(1))), Err(ProofError::Path)),
        (path(|path| path[1] = digest(1)), does_not_verify),
        (path(|path| path.swap(0, 1)), does_not_verify),
        (Proof { batch_size: 8, ..good.clone() }, does_not_verify),
        (Proof { index: 3, ..good.clone() }, does_not_verify),
        (Proof { signature, ..good.clone() }, does_not_verify),
    ];
    for (i, (proof, expected)) in cases.into_iter().enumerate() {
        assert_eq!(verify(&headers[2], &proof), expected, "case {i}");
    }
    assert_eq!(verify(&headers[3], good), does_not_verify);
    assert_eq!(ProofVerifier::default().verify(&cl_key().public(), &headers[2], good), does_not_verify);
}

#[test]
fn i4_a_remembered_batch_vouches_for_nothing_else() {
    let (headers, proofs) = batch(3);
    let mut verifier = ProofVerifier::default();
    verifier.verify(&br_key().public(), &headers[0], &proofs[0]).unwrap();
    verifier.verify(&br_key().public(), &headers[1], &proofs[1]).unwrap();
    assert!(verifier.verify(&br_key().public(), &headers[0], &proofs[1]).is_err(), "another root");
    let mut forged = proofs[2].clone();
    forged.signature.0[5] ^= 1;
    assert!(
        verifier.verify(&br_key().public(), &headers[2], &forged).is_err(),
        "the same root under another signature"
    );
    verifier.verify(&br_key().public(), &headers[2], &proofs[2]).unwrap();
}

#[test]
fn i4_size_and_root_are_what_is_signed() {
    let (headers, proofs) = batch(1);
    let mut payload = vec![0, 0, 0, 1];
    payload.extend_from_slice(headers[0].digest().as_bytes());
    assert_eq!(proofs[0].signature, br_key().sign(Context::Envelope, &payload));
    let other_context = br_key().sign(Context::Card, &payload);
    assert!(verify(&headers[0], &Proof { signature: other_context, ..proofs[0].clone() }).is_err());
}

#[test]
fn i7_the_longest_proof_fits_and_a_longer_path_does_not_decode() {
    let signature = br_key().sign(Context::Envelope, b"");
    let proof = Proof { batch_size: BATCH_MAX, index: BATCH_MAX - 1, path: list(vec![digest(1); 20]), signature };
    let mut bytes = codec::encode(&proof);
    assert!(bytes.len() <= PROOF_MAX_BYTES);
    assert_eq!(codec::decode::<Proof>(&bytes).unwrap(), proof);
    let count_at = 5 + 5;
    assert_eq!(bytes[count_at], 20);
    bytes[count_at] = 21;
    bytes.extend([1; 32]);
    assert!(codec::decode::<Proof>(&bytes).is_err());
}

#[test]
fn i7_the_largest_batch_verifies_and_a_larger_one_does_not() {
    let (headers, _) = batch(1);
    for (size, height, expected) in [(BATCH_MAX, 20, Ok(())), (BATCH_MAX + 1, 1, Err(ProofError::Path))] {
        let path = vec![digest(1); height];
        let root = merkle::root_from_path(headers[0].digest(), u64::from(size - 1), u64::from(size), &path).unwrap();
        let signature = br_key().sign(Context::Envelope, &signed_payload(size, &root));
        let proof = Proof { batch_size: size, index: size - 1, path: list(path), signature };
        assert_eq!(verify(&headers[0], &proof), expected, "{size}");
    }
}

proptest! {
    #[test]
    fn i6_whatever_decodes_encodes_to_the_same_bytes(bytes in damaged(codec::encode(&batch(3).1[1]))) {
        encodes_to_itself::<Proof>(&bytes);
    }
}
