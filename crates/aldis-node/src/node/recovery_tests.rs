//! What a start finishes.

use super::*;
use aldis_core::record::BodyErased;
use aldis_wire::card::{CARD_VERSION, Card, VerifiedCard};
use aldis_wire::codec::{Blob, List};
use aldis_wire::codes::Extensions;
use aldis_wire::ids::{NodeId, UnixMillis};
use aldis_wire::signing::IdentityKey;

fn own() -> Own {
    let key = IdentityKey::from_seed(&[1; 32]);
    let card = Card {
        version: CARD_VERSION,
        id: NodeId::new("cert.br").unwrap(),
        name: Text::cut("CERT"),
        country: Text::cut("XX"),
        identity_key: *key.public().as_bytes(),
        tls_certificate: Blob::default(),
        tls_name: None,
        endpoints: List::empty(),
        contacts: List::empty(),
        kinds: List::empty(),
        issued_at: UnixMillis::new(0),
        valid_until: UnixMillis::new(0),
        sequence: 1,
        extensions: Extensions::default(),
    };
    let card: VerifiedCard = card.sign(&key);
    Own::new(key.into(), card)
}

#[test]
fn a_start_finishes_an_erasure_that_was_on_record_and_not_done() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = journal::Options::default();
    (options.segment_bytes, options.reserve_bytes, options.prepare_ahead) = (1 << 20, 0, false);
    let mut journal = Journal::create(&dir.path().join(JOURNAL_DIR), options.clone()).unwrap();
    let at = UnixMillis::new(1);
    let erased = Record::BodyErased(BodyErased { record: RecordSeq(0), at }).encode();
    let stopped = Record::Stopped(at).encode();
    let parts: [&[u8]; 1] = [b"salt and body"];
    let entry = |record, body| journal::Entry { nonce: [1; journal::NONCE_BYTES], record, body };
    journal.commit(&[entry(&stopped, Some(&parts[..])), entry(&stopped, Some(&parts[..]))]).unwrap();
    journal.commit(&[entry(&erased, None)]).unwrap();
    drop(journal);

    let (journal, _, findings) = recover(dir.path(), options, &Limits::default(), &own()).unwrap();
    let body_of = |record| journal.reader().read(journal::RecordSeq(record)).unwrap().body;
    assert_eq!(body_of(0), journal::Body::Erased);
    assert!(matches!(body_of(1), journal::Body::Present(_)), "only what is on record is erased");
    assert_eq!(findings, vec![]);
}
