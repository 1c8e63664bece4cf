//! What a peer that lost its part of the record may have back of us.

use super::pair::{BR, CL, Pair};
use aldis_core::record::Record;
use aldis_wire::ids::EnvelopeId;
use aldis_wire::lane::Lane;

/// Where an envelope stands in the journal of a node, if the peer may have it; nothing is left out of it.
fn past(pair: &Pair, place: usize, id: &EnvelopeId) -> Option<u64> {
    let log = pair.log(place, &format!("past-{place}"));
    let past = log.query().unwrap().past(id).unwrap();
    log.stop();
    past.map(|(record, left_out)| {
        assert_eq!(left_out, None, "{id}");
        record
    })
}

/// The message that was sent with a record.
fn sent_with(pair: &Pair, place: usize, record: u64) -> EnvelopeId {
    let found = pair.certs[place].journal.reader().read(crate::journal::RecordSeq(record)).unwrap();
    let Record::Sent(sent) = Record::decode(&found.record).unwrap() else { panic!("record {record} sends nothing") };
    sent.draft.header.id()
}

#[test]
fn i5_what_the_peer_has_not_receipted_is_no_history_that_it_may_have_back() {
    let mut pair = Pair::linked();
    let (receipted, _) = pair.notice(BR, Lane::Priority, "receipted");
    pair.unlink();
    // One behind a receipt in its lane, and one in a lane without any: either may still be taken back or expire.
    let waiting = [Lane::Priority, Lane::Flash].map(|lane| pair.notice(BR, lane, "waiting").0);
    assert_eq!(past(&pair, BR, &receipted).map(|record| sent_with(&pair, BR, record)), Some(receipted));
    for id in &waiting {
        assert_eq!(past(&pair, BR, id), None, "{id}");
    }
    pair.link();
    for id in waiting {
        assert_eq!(past(&pair, BR, &id).map(|record| sent_with(&pair, BR, record)), Some(id.clone()));
        // What came from the peer is its history wherever it stands.
        assert!(past(&pair, CL, &id).is_some(), "{id}");
    }
}
