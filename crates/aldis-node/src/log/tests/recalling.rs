//! What headers with more references than one do to the rows: what they do in the core, and nothing else.

use super::pair::{BR, CL, Pair, START_MS, reference};
use aldis_control::DeliveryState;
use aldis_wire::codec::List;
use aldis_wire::codes::Code;
use aldis_wire::digest::Digest;
use aldis_wire::header::{ExactHeader, Header, Reference, ReferenceRole};
use aldis_wire::ids::{EnvelopeId, Seq, UnixMillis};
use aldis_wire::kinds::{Tombstone, from_json};
use aldis_wire::lane::Lane;
use serde_json::json;

type Named<'a> = (ReferenceRole, &'a (EnvelopeId, Digest));

/// Sends `BR` an envelope that names all of this, signed by `CL`; returns its header.
fn arrives(
    pair: &mut Pair,
    before: Option<&ExactHeader>,
    kind: &'static str,
    named: &[Named],
    body: &[u8],
) -> ExactHeader {
    let reference = |(role, message): &Named| Reference { role: *role, envelope: message.0.clone(), digest: message.1 };
    let header = Header {
        seq: before.map_or(Seq::FIRST, |before| before.seq.next()),
        previous: before.map_or(Digest::ZERO, ExactHeader::digest),
        references: List::new(named.iter().map(reference).collect()).unwrap(),
        kind: Code::known(kind),
        ..pair.header(CL, body)
    };
    let header = ExactHeader::encode(header).unwrap();
    pair.arrives(BR, &header, body);
    header
}

fn state(pair: &Pair, message: &(EnvelopeId, Digest)) -> DeliveryState {
    let log = pair.log(BR, "log");
    let state = log.query().unwrap().message_row(&message.0).unwrap().state;
    log.stop();
    state
}

#[test]
fn i9_a_message_acts_on_the_first_it_names_in_a_role_as_in_the_core_and_on_no_other() {
    let mut pair = Pair::linked();
    let [recalled, other, third] = ["recalled", "other", "third"].map(|text| pair.notice(BR, Lane::Priority, text));
    let mut recall = pair.submission(BR, Lane::Priority, "recall", json!({ "reason": "other", "text": "" }));
    recall.references = reference(ReferenceRole::RECALLS, &recalled);
    let recall = pair.send(BR, recall);
    let erased = Tombstone::body(UnixMillis::new(START_MS), Code::known("stored"), false, "");
    let named =
        [(ReferenceRole::ANSWERS, &recall), (ReferenceRole::RECALLS, &recalled), (ReferenceRole::RECALLS, &other)];
    let tombstone = arrives(&mut pair, None, "tombstone", &named, &erased);
    assert_eq!(state(&pair, &recalled), DeliveryState::Recalled);
    assert_eq!(state(&pair, &other), DeliveryState::Stored, "nothing was said about it");
    // The core takes an answer to it still, so it was open there too; and of two that are answered, one.
    let denied = from_json("acknowledgement", 1, json!({ "state": "decided", "status": "denied" })).unwrap().bytes;
    let named = [(ReferenceRole::ANSWERS, &other), (ReferenceRole::ANSWERS, &third)];
    let answer = arrives(&mut pair, Some(&tombstone), "acknowledgement", &named, &denied);
    assert_eq!([state(&pair, &other), state(&pair, &third)], [DeliveryState::Decided, DeliveryState::Stored]);
    arrives(&mut pair, Some(&answer), "acknowledgement", &[(ReferenceRole::ANSWERS, &third)], &denied);
    assert_eq!(state(&pair, &third), DeliveryState::Decided);
}
