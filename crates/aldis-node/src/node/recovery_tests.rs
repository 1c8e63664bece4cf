//! What a start finishes.

use super::*;
use crate::fixtures::{own, small_journal};
use aldis_core::record::BodyErased;
use aldis_wire::ids::UnixMillis;

#[test]
fn a_start_finishes_an_erasure_that_was_on_record_and_not_done() {
    let dir = tempfile::tempdir().unwrap();
    let options = small_journal();
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
