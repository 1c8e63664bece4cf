use super::*;
use crate::header::Header;
use crate::proof::sign_batch;
use crate::samples::{self, SALT, br, br_key, cl, cl_key, damaged, envelope_of, exact_header, node, present};
use crate::signing::SigningError;
use proptest::prelude::*;

const BODY: &[u8] = b"what happened";
const LONG: &[u8] = &[b'x'; BODY_MAX_BYTES + 1];

fn verifier() -> EnvelopeVerifier {
    EnvelopeVerifier::new(br(), cl(), br_key().public())
}

fn verify(bytes: &Bytes) -> Result<VerifiedEnvelope, EnvelopeError> {
    verifier().verify(bytes)
}

/// A well-signed envelope whose header differs from the sample by `change`.
fn with_header(change: impl FnOnce(&mut Header)) -> Bytes {
    let mut header = samples::header(BODY);
    change(&mut header);
    envelope_of(&ExactHeader::encode(header).unwrap(), &present(BODY))
}

/// An envelope whose parts differ from the sample by `change`, signed as the sample is.
fn with_parts(change: impl FnOnce(&mut Parts<'_>)) -> Bytes {
    let header = exact_header(BODY);
    let proof = codec::encode(&sign_batch(&br_key(), &[header.digest()])[0]);
    let mut parts = Parts { header: header.bytes(), withheld: 0, salt: SALT, body: BODY, proof: &proof };
    change(&mut parts);
    Bytes::from(codec::encode(&parts))
}

#[test]
fn i6_an_envelope_survives_its_bytes_and_is_put_together_again_byte_for_byte() {
    let bytes = envelope_of(&exact_header(BODY), &present(BODY));
    let envelope = verify(&bytes).unwrap();
    assert_eq!(*envelope.header(), exact_header(BODY));
    assert_eq!(*envelope.body(), present(BODY));
    assert_eq!(assemble(envelope.header().bytes(), envelope.body(), envelope.proof_bytes()), bytes);
}

#[test]
fn nothing_of_an_envelope_is_copied() {
    let bytes = envelope_of(&exact_header(BODY), &present(BODY));
    let envelope = verify(&bytes).unwrap();
    let Body::Present { bytes: body, .. } = envelope.body() else { panic!("the body is there") };
    for part in [envelope.header().bytes(), body, envelope.proof_bytes()] {
        assert!(bytes.as_ptr_range().contains(&part.as_ptr()));
    }
}

#[test]
fn i5_a_withheld_body_leaves_the_proof_whole() {
    for reason in [WithheldReason::EXPIRED, WithheldReason::RECALLED, WithheldReason::ERASED, WithheldReason(900)] {
        let bytes = envelope_of(&exact_header(BODY), &Body::Withheld(reason));
        assert_eq!(*verify(&bytes).unwrap().body(), Body::Withheld(reason));
    }
    for change in [
        |parts: &mut Parts<'_>| parts.withheld = 1,
        |parts: &mut Parts<'_>| {
            (parts.withheld, parts.body) = (1, b"");
        },
    ] {
        assert!(
            matches!(verify(&with_parts(change)), Err(EnvelopeError::Malformed(_))),
            "a withheld body has no bytes"
        );
    }
}

#[test]
fn i4_an_envelope_is_of_one_peer_for_us_by_its_key() {
    let misrouted = [with_header(|header| header.from = node("cert.uy")), {
        with_header(|header| (header.to, header.also_to) = (node("cert.ar"), codec::List::empty()))
    }];
    for bytes in misrouted {
        assert!(matches!(verify(&bytes), Err(EnvelopeError::Misrouted { .. })));
    }
    let other_key = with_header(|header| header.key_id = cl_key().id());
    assert_eq!(verify(&other_key), Err(EnvelopeError::UnknownKey));
    let mut of_another = EnvelopeVerifier::new(br(), cl(), cl_key().public());
    let ours = envelope_of(&exact_header(BODY), &present(BODY));
    assert_eq!(of_another.verify(&ours), Err(EnvelopeError::UnknownKey));
}

#[test]
fn i4_a_proof_of_another_header_or_by_another_key_is_refused() {
    let other = ExactHeader::encode(Header { body_length: 1, ..samples::header(BODY) }).unwrap();
    let header = exact_header(BODY);
    let does_not_verify = Err(EnvelopeError::Proof(ProofError::Signature(SigningError::DoesNotVerify)));
    let proof = codec::encode(&sign_batch(&br_key(), &[other.digest()])[0]);
    assert_eq!(verify(&assemble(header.bytes(), &present(BODY), &proof)), does_not_verify);
    let proof = codec::encode(&sign_batch(&cl_key(), &[header.digest()])[0]);
    assert_eq!(verify(&assemble(header.bytes(), &present(BODY), &proof)), does_not_verify);
}

#[test]
fn i8_the_lane_that_broken_bytes_claim_is_told_where_it_can_be_read() {
    let unproven = with_parts(|parts| parts.proof = b"");
    assert!(verify(&unproven).is_err());
    assert_eq!(claimed_lane(&unproven), Some(crate::lane::Lane::Priority));
    assert_eq!(lane_at_start(&unproven), Some(crate::lane::Lane::Priority));
    assert_eq!(lane_at_start(&with_parts(|parts| parts.header = b"?")), None);
    assert_eq!(lane_at_start(&unproven[..100]), None, "the header's length goes beyond the bytes");
    assert_eq!(claimed_lane(&with_parts(|parts| parts.header = b"?")), None);
    assert_eq!(claimed_lane(b"?"), None);
}

#[test]
fn i4_the_body_is_the_one_the_header_commits_to() {
    assert_eq!(verify(&with_parts(|parts| parts.body = b"what happenex")), Err(EnvelopeError::Body));
    assert_eq!(verify(&with_parts(|parts| parts.body = b"")), Err(EnvelopeError::Body));
    assert_eq!(verify(&with_parts(|parts| parts.salt = [8; 16])), Err(EnvelopeError::Body));
    let bytes = with_header(|header| header.body_length += 1);
    assert_eq!(verify(&bytes), Err(EnvelopeError::Body), "the length is signed too");
}

#[test]
fn i7_the_longest_envelope_fits_a_frame_and_longer_parts_are_refused() {
    let body = vec![b'x'; BODY_MAX_BYTES];
    let bytes = envelope_of(&exact_header(&body), &present(&body));
    assert_eq!(*verify(&bytes).unwrap().body(), present(&body));
    let room = header::HEADER_MAX_BYTES + PROOF_MAX_BYTES + BODY_MAX_BYTES + 16 + 4 * 3;
    assert!(room < crate::frame::FRAME_MAX_BYTES, "{room}");

    assert!(matches!(verify(&with_parts(|parts| parts.body = LONG)), Err(EnvelopeError::Malformed(_))));
    let proof = verify(&with_parts(|parts| parts.proof = &LONG[..=PROOF_MAX_BYTES]));
    assert_eq!(proof, Err(EnvelopeError::Malformed("the proof is longer than allowed".into())));
    let error = verify(&with_parts(|parts| parts.header = &LONG[..=header::HEADER_MAX_BYTES])).unwrap_err();
    assert!(matches!(error, EnvelopeError::Header(HeaderError::TooLong(_))), "{error}");
}

#[test]
fn i4_no_byte_of_an_envelope_can_change() {
    let bytes = envelope_of(&exact_header(BODY), &present(BODY));
    for at in 0..bytes.len() {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        assert!(verify(&Bytes::from(changed)).is_err(), "byte {at}");
        assert!(verify(&bytes.slice(..at)).is_err(), "cut at {at}");
    }
    let mut longer = bytes.to_vec();
    longer.push(0);
    assert!(matches!(verify(&Bytes::from(longer)), Err(EnvelopeError::Malformed(_))));
}

proptest! {
    #[test]
    fn i4_no_damaged_envelope_verifies(bytes in damaged(envelope_of(&exact_header(BODY), &present(BODY)).to_vec())) {
        let whole = envelope_of(&exact_header(BODY), &present(BODY));
        prop_assert_eq!(verify(&Bytes::from(bytes.clone())).is_ok(), bytes == whole);
    }

    #[test]
    fn i6_whatever_splits_is_put_together_the_same_way(
        bytes in damaged(envelope_of(&exact_header(BODY), &present(BODY)).to_vec())
    ) {
        if let Ok(parts) = codec::decode_borrowed::<Parts<'_>>(&bytes) {
            prop_assert_eq!(codec::encode(&parts), bytes);
        }
    }
}
