use super::*;
use crate::samples::{self, br, br_key, cl, cl_key, damaged, encodes_to_itself, list, longest_extensions, marks, node};
use proptest::prelude::*;

type Change = fn(&mut Hello);

fn verify(bytes: &[u8]) -> Result<Hello, HelloError> {
    let key = br_key().public();
    let (from, to) = (br(), cl());
    let expected =
        Expected { role: Role::DIALLER, from: &from, to: &to, exporter: &[0xab; 32], keys: std::slice::from_ref(&key) };
    Hello::verify(bytes, &expected)
}

/// What is wrong with a well-signed Hello that differs from the sample by `change`.
fn broken(change: impl FnOnce(&mut Hello)) -> HelloError {
    let mut hello = samples::hello();
    change(&mut hello);
    verify(&hello.sign(&br_key())).expect_err("it must not be taken")
}

#[test]
fn i4_a_hello_survives_its_bytes() {
    assert_eq!(verify(&samples::hello().sign(&br_key())).unwrap(), samples::hello());
}

#[test]
fn i4_a_hello_is_of_this_link_end_and_node() {
    let defects: [(&str, Change); 8] = [
        ("other end", |hello| hello.role = Role::LISTENER),
        ("other end", |hello| hello.role = Role(9)),
        ("certificate", |hello| hello.from = node("cert.uy")),
        ("another node", |hello| hello.to = node("cert.uy")),
        ("TLS connection", |hello| hello.exporter[31] ^= 1),
        ("another key", |hello| hello.key_id = cl_key().id()),
        ("incarnation", |hello| hello.incarnation = Incarnation(0)),
        ("ascend", |hello| hello.versions = list(vec![1, 1])),
    ];
    for (word, change) in defects {
        let error = broken(change);
        assert!(matches!(error, HelloError::NotThisLink(what) if what.contains(word)), "{word}: {error}");
    }
}

#[test]
fn i4_a_stolen_tls_key_alone_speaks_for_nobody() {
    let by_another = samples::hello().sign(&cl_key());
    assert_eq!(verify(&by_another), Err(HelloError::Signature(SigningError::DoesNotVerify)));
    let bytes = codec::encode(&samples::hello());
    let signature = br_key().sign(Context::Receipt, &bytes);
    let signed = Signed::<HELLO_MAX_BYTES> { bytes: Blob::new(bytes).unwrap(), signature };
    assert_eq!(verify(&codec::encode(&signed)), Err(HelloError::Signature(SigningError::DoesNotVerify)));
}

#[test]
fn versions_in_common_are_needed() {
    assert_eq!(broken(|hello| hello.versions = list(vec![2, 3])), HelloError::NoCommonVersion { theirs: vec![2, 3] });
    assert_eq!(broken(|hello| hello.versions = list(vec![])), HelloError::NoCommonVersion { theirs: vec![] });
    assert_eq!(highest_common(&[1, 2, 3], &[2, 3, 4]), Some(3));
    assert_eq!(highest_common(&[3, 1], &[1, 3]), Some(3));
    assert_eq!(highest_common(&[1], &[2]), None);
}

#[test]
fn i4_no_byte_of_a_hello_can_change() {
    let bytes = samples::hello().sign(&br_key());
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(verify(&changed).is_err(), "byte {at}");
        assert!(verify(&bytes[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn i7_the_longest_hello_fits_its_limit_and_a_frame() {
    let longest = Hello {
        versions: list((1..=16).chain([]).map(|v| if v == 1 { 1 } else { 60_000 + v }).collect()),
        from: node(&"a".repeat(63)),
        to: node(&"b".repeat(63)),
        incarnation: Incarnation(u64::MAX),
        received: marks([u64::MAX / 2; 4]),
        sent: marks([u64::MAX / 2; 4]),
        sent_at: UnixMillis::MAX,
        extensions: longest_extensions(),
        ..samples::hello()
    };
    let bytes = longest.sign(&br_key());
    assert!(bytes.len() < crate::frame::FRAME_MAX_BYTES);
    let key = br_key().public();
    let (from, to) = (&longest.from, &longest.to);
    let expected = Expected { role: Role::DIALLER, from, to, exporter: &[0xab; 32], keys: std::slice::from_ref(&key) };
    assert_eq!(Hello::verify(&bytes, &expected).unwrap(), longest);
}

proptest! {
    #[test]
    fn i6_whatever_decodes_encodes_to_the_same_bytes(bytes in damaged(codec::encode(&samples::hello()))) {
        encodes_to_itself::<Hello>(&bytes);
    }
}
