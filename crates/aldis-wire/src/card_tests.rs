use super::*;
use crate::samples::{self, br_key, cl_key, damaged, encodes_to_itself, list, longest_extensions, node, text};
use proptest::prelude::*;

fn signed() -> VerifiedCard {
    samples::card().sign(&br_key())
}

#[test]
fn a_card_survives_its_bytes_and_its_text() {
    let card = signed();
    assert_eq!(VerifiedCard::from_signed_bytes(card.signed_bytes()).unwrap(), card);
    let armoured = card.to_text();
    assert!(armoured.lines().all(|line| line.len() <= 64), "{armoured}");
    assert_eq!(VerifiedCard::from_text(&armoured).unwrap(), card);
}

#[test]
fn a_card_survives_what_mail_does_to_it() {
    let card = signed();
    let quoted = card.to_text().lines().collect::<Vec<_>>().join("\r\n> ");
    let mail = format!("Dear colleague,\nour card:\n\n> {quoted}\nRegards\n");
    assert_eq!(VerifiedCard::from_text(&mail).unwrap(), card);
}

#[test]
fn a_damaged_text_is_told_apart_from_a_changed_card() {
    let good = signed().to_text();
    assert_eq!(VerifiedCard::from_text("no card here"), Err(CardError::NoArmour));
    assert_eq!(VerifiedCard::from_text(good.trim_end().trim_end_matches('-')), Err(CardError::NoArmour));
    let not_base64 = good.replacen("-----\n", "-----\n!", 1);
    assert_eq!(VerifiedCard::from_text(&not_base64), Err(CardError::NotBase64));
    let longer = good.replacen("-----\n", &format!("-----\n{}", "A".repeat(CARD_MAX_BYTES * 2)), 1);
    assert!(matches!(VerifiedCard::from_text(&longer), Err(CardError::Malformed(_))));
}

#[test]
fn i4_a_card_is_signed_by_the_key_it_names() {
    let bytes = codec::encode(&samples::card());
    let sign = |bytes: &[u8], signature| {
        codec::encode(&Signed::<CARD_MAX_BYTES> { bytes: Blob::new(bytes.to_vec()).unwrap(), signature })
    };
    let by_another = sign(&bytes, cl_key().sign(Context::Card, &bytes));
    assert_eq!(VerifiedCard::from_signed_bytes(&by_another), Err(CardError::Signature));
    let for_another_purpose = sign(&bytes, br_key().sign(Context::Hello, &bytes));
    assert_eq!(VerifiedCard::from_signed_bytes(&for_another_purpose), Err(CardError::Signature));

    let weak = codec::encode(&Card { identity_key: [0; 32], ..samples::card() });
    let weak = sign(&weak, br_key().sign(Context::Card, &weak));
    assert_eq!(VerifiedCard::from_signed_bytes(&weak), Err(CardError::Key(SigningError::WeakKey)));

    let newer = codec::encode(&Card { version: 2, ..samples::card() });
    let newer = sign(&newer, br_key().sign(Context::Card, &newer));
    assert_eq!(VerifiedCard::from_signed_bytes(&newer), Err(CardError::Version(2)));
}

#[test]
fn i4_no_byte_of_a_card_can_change() {
    let bytes = signed().signed_bytes().to_vec();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(VerifiedCard::from_signed_bytes(&changed).is_err(), "byte {at}");
        assert!(VerifiedCard::from_signed_bytes(&bytes[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn i7_a_card_with_every_field_at_its_longest_can_be_signed_and_read() {
    let contact = Contact {
        desk: Desk(u16::MAX),
        name: text(&"a".repeat(128)),
        telephone: text(&"1".repeat(64)),
        email: text(&"e".repeat(254)),
        hours: text(&"h".repeat(128)),
        languages: list(vec![text(&"l".repeat(35)); 8]),
    };
    let kind =
        |i| KindVersions { kind: Code::new(&format!("{i:064}")).unwrap(), versions: list((60_000..60_016).collect()) };
    let longest = Card {
        id: node(&"a".repeat(63)),
        name: text(&"a".repeat(200)),
        country: text(&"a".repeat(16)),
        tls_certificate: Blob::new(vec![0x30; 4096]).unwrap(),
        tls_name: Some(text(&"a".repeat(253))),
        endpoints: list(vec![text(&"e".repeat(260)); 8]),
        contacts: list(vec![contact; 16]),
        kinds: list((0..64).map(kind).collect()),
        issued_at: UnixMillis::MAX,
        valid_until: UnixMillis::MAX,
        sequence: u64::MAX,
        extensions: longest_extensions(),
        ..samples::card()
    };
    assert_eq!(codec::encode(&longest).len(), 36_294, "as CARD_MAX_BYTES says");
    let card = longest.sign(&br_key());
    assert_eq!(VerifiedCard::from_text(&card.to_text()).unwrap(), card);
}

#[test]
fn the_fingerprint_is_of_id_and_key() {
    let fingerprint = signed().fingerprint();
    assert_eq!(fingerprint.split(' ').count(), 16);
    assert_eq!(Card { sequence: 9, ..samples::card() }.sign(&br_key()).fingerprint(), fingerprint);
    assert_ne!(Card { id: samples::cl(), ..samples::card() }.sign(&br_key()).fingerprint(), fingerprint);
}

#[test]
fn versions_of_a_kind_are_the_cards() {
    let card = samples::card();
    assert_eq!(card.versions_of(&Code::known("incident")), [1, 2]);
    assert!(card.versions_of(&Code::known("poem")).is_empty());
}

proptest! {
    #[test]
    fn i6_whatever_decodes_encodes_to_the_same_bytes(bytes in damaged(codec::encode(&samples::card()))) {
        encodes_to_itself::<Card>(&bytes);
    }

    #[test]
    fn no_text_panics(text in "(-----BEGIN ALDIS CARD-----)?[A-Za-z0-9+/=\n> é]{0,80}(-----END ALDIS CARD-----)?") {
        let _ = VerifiedCard::from_text(&text);
    }
}
