use super::*;
use crate::samples::{self, br, br_key, cl, cl_key, damaged, encodes_to_itself, longest_extensions, marks, node};
use proptest::prelude::*;

fn verify(bytes: &[u8]) -> Result<VerifiedReceipt, ReceiptError> {
    VerifiedReceipt::verify(bytes, &cl(), &br(), &cl_key().public())
}

/// What is wrong with a well-signed receipt that differs from the sample by `change`.
fn broken(change: impl FnOnce(&mut Receipt)) -> ReceiptError {
    let mut receipt = samples::receipt();
    change(&mut receipt);
    verify(&receipt.sign(&cl_key())).expect_err("it must not be taken")
}

#[test]
fn i3_a_receipt_survives_its_bytes_and_keeps_them() {
    let bytes = samples::receipt().sign(&cl_key());
    let verified = verify(&bytes).unwrap();
    assert_eq!(*verified.receipt(), samples::receipt());
    assert_eq!(verified.bytes(), bytes);
}

#[test]
fn i4_a_receipt_is_of_one_peer_for_one_peer_by_its_key() {
    assert_eq!(broken(|receipt| receipt.from = node("cert.uy")), ReceiptError::NotOurs("misrouted"));
    assert_eq!(broken(|receipt| receipt.to = node("cert.uy")), ReceiptError::NotOurs("misrouted"));
    assert!(matches!(broken(|receipt| receipt.key_id = br_key().id()), ReceiptError::NotOurs(_)));
    assert!(matches!(broken(|receipt| receipt.version = 2), ReceiptError::NotOurs(_)));
    assert!(matches!(broken(|receipt| receipt.incarnation = Incarnation(0)), ReceiptError::NotOurs(_)));
    let by_another = samples::receipt().sign(&br_key());
    assert_eq!(verify(&by_another), Err(ReceiptError::Signature(SigningError::DoesNotVerify)));
}

#[test]
fn i4_a_signature_for_another_purpose_is_no_receipt() {
    let bytes = codec::encode(&samples::receipt());
    let signature = cl_key().sign(Context::Hello, &bytes);
    let signed = Signed::<RECEIPT_MAX_BYTES> { bytes: Blob::new(bytes).unwrap(), signature };
    assert_eq!(verify(&codec::encode(&signed)), Err(ReceiptError::Signature(SigningError::DoesNotVerify)));
}

#[test]
fn i3_no_byte_of_a_receipt_can_change() {
    let bytes = samples::receipt().sign(&cl_key());
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(verify(&changed).is_err(), "byte {at}");
        assert!(verify(&bytes[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn i7_the_longest_receipt_fits_its_limit_and_a_frame() {
    let longest = Receipt {
        from: node(&"a".repeat(63)),
        to: node(&"b".repeat(63)),
        stored: marks([u64::MAX / 2; 4]),
        sent: marks([u64::MAX / 2; 4]),
        incarnation: Incarnation(u64::MAX),
        stored_at: UnixMillis::MAX,
        extensions: longest_extensions(),
        ..samples::receipt()
    };
    let bytes = longest.sign(&cl_key());
    assert!(bytes.len() < crate::frame::FRAME_MAX_BYTES);
    let verified = VerifiedReceipt::verify(&bytes, &longest.from, &longest.to, &cl_key().public()).unwrap();
    assert_eq!(*verified.receipt(), longest);
}

#[test]
fn a_witness_is_a_digest_or_nothing() {
    let witness = samples::digest(7);
    let with = |extensions| Receipt { extensions, ..samples::receipt() };
    let named = with(Receipt::extensions_with(Some(witness)));
    let verified = verify(&named.sign(&cl_key())).unwrap();
    assert_eq!(verified.receipt().witness(), Some(witness));
    assert_eq!(Receipt::from_journal(verified.bytes()).unwrap().witness(), Some(witness));
    for none in [None, Some(Digest::ZERO)] {
        let none = with(Receipt::extensions_with(none));
        assert_eq!((none.extensions.iter().count(), none.witness()), (0, None));
    }
    assert_eq!(samples::receipt().witness(), None, "an older program names none, and its receipt is as good");
    assert!(verify(&samples::receipt().sign(&cl_key())).is_ok());
    let raw = |bytes: Vec<u8>| {
        let extension = Extension { tag: WITNESS_TAG, bytes: Blob::new(bytes).unwrap() };
        Extensions::new(vec![extension]).unwrap()
    };
    for length in [0, 31, 33, 1024] {
        let error = broken(|receipt| receipt.extensions = raw(vec![7; length]));
        assert_eq!(error, ReceiptError::Witness(length));
    }
    let zero = verify(&with(raw(vec![0; 32])).sign(&cl_key())).unwrap();
    assert_eq!(zero.receipt().witness(), None, "a commitment to nothing witnesses nothing");
}

#[test]
fn a_journal_commitment_fixes_salt_size_and_root() {
    let root = samples::digest(1);
    let commitment = journal_commitment(&[1; 16], 5, &root);
    assert_eq!(commitment, Digest::of(&[&[1; 16], &[0, 0, 0, 0, 0, 0, 0, 5], &[1; 32]]));
    let others = [
        journal_commitment(&[2; 16], 5, &root),
        journal_commitment(&[1; 16], 6, &root),
        journal_commitment(&[1; 16], 5, &samples::digest(2)),
    ];
    assert!(others.iter().all(|other| *other != commitment));
}

proptest! {
    #[test]
    fn i6_whatever_decodes_encodes_to_the_same_bytes(bytes in damaged(codec::encode(&samples::receipt()))) {
        encodes_to_itself::<Receipt>(&bytes);
    }

    #[test]
    fn every_witness_survives_its_bytes(bytes in prop::array::uniform32(1_u8..)) {
        let witness = Some(Digest::from_bytes(bytes));
        let receipt = Receipt { extensions: Receipt::extensions_with(witness), ..samples::receipt() };
        prop_assert_eq!(verify(&receipt.sign(&cl_key())).unwrap().receipt().witness(), witness);
    }

    #[test]
    fn marks_survive_their_bytes_in_every_combination(seqs in prop::array::uniform4(0..=u64::MAX / 2)) {
        let marks = marks(seqs);
        prop_assert_eq!(codec::decode::<Marks>(&codec::encode(&marks)).unwrap(), marks);
    }
}
