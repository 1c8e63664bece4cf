//! Messages as an operator would submit them.

use super::text;
use aldis_core::input::Submission;
use aldis_core::record::Named;
use aldis_wire::codec::List;
use aldis_wire::codes::{Code, Desk, Tlp};
use aldis_wire::digest::Digest;
use aldis_wire::header::{Reference, ReferenceRole};
use aldis_wire::ids::{CaseId, EnvelopeId, NodeId};
use aldis_wire::kinds::{Written, from_json};
use aldis_wire::lane::Lane;
use bytes::Bytes;
use serde_json::json;

/// A small incident to one peer, good for a week.
pub(crate) fn notice(to: &NodeId, lane: Lane) -> Submission {
    submission(std::slice::from_ref(to), lane, "incident", &incident("a notice"))
}

/// The same with a subject of its own.
pub(crate) fn notice_of(to: &NodeId, lane: Lane, subject: &str) -> Submission {
    submission(std::slice::from_ref(to), lane, "incident", &incident(subject))
}

/// The same with files, of which only digest and size count here.
pub(crate) fn notice_with(to: &NodeId, lane: Lane, files: &[Named]) -> Submission {
    let mut letter = notice(to, lane);
    name_files(&mut letter, files);
    letter
}

/// Has a notice name files.
pub(crate) fn name_files(letter: &mut Submission, files: &[Named]) {
    let file =
        |one: &Named| json!({"digest": one.digest.to_hex(), "size": one.size, "name": "probe", "media_type": "a/b"});
    let files_json: Vec<_> = files.iter().map(file).collect();
    let value = json!({"subject": "with files", "class": "malicious-code", "attachments": files_json});
    let body = from_json("incident", 2, value).expect("an incident with files");
    (letter.bodies, letter.attachments) = (vec![(2, Bytes::from(body.bytes))], files.to_vec());
}

/// A file of which nothing but its number and size is known.
pub(crate) fn file(number: u8, size: u64) -> Named {
    Named { digest: Digest::of(&[b"file", &[number]]), size }
}

/// The body of an incident.
pub(crate) fn incident(subject: &str) -> Written {
    let value = json!({"subject": subject, "class": "malicious-code", "type": "c2-server"});
    from_json("incident", 1, value).expect("an incident")
}

/// An answer: `state` is `seen`, `acknowledged`, or a status of a decision.
pub(crate) fn answer(message: &(EnvelopeId, Digest), state: &str) -> Submission {
    let value = match state {
        "seen" | "acknowledged" => json!({"state": state}),
        status => json!({"state": "decided", "status": status}),
    };
    let body = from_json("acknowledgement", 1, value).expect("an acknowledgement");
    let (id, digest) = message;
    let mut submission = submission(std::slice::from_ref(&id.from), id.lane, "acknowledgement", &body);
    let reference = Reference { role: ReferenceRole::ANSWERS, envelope: id.clone(), digest: *digest };
    submission.references = List::new(vec![reference]).expect("one fits");
    submission
}

/// A request to erase a message of ours.
pub(crate) fn recall(message: &(EnvelopeId, Digest)) -> Submission {
    let body = from_json("recall", 1, json!({"reason": "wrong-recipient", "text": "sorry"})).expect("a recall");
    let (id, digest) = message;
    let mut submission = submission(std::slice::from_ref(&id.to), id.lane, "recall", &body);
    let reference = Reference { role: ReferenceRole::RECALLS, envelope: id.clone(), digest: *digest };
    submission.references = List::new(vec![reference]).expect("one fits");
    submission
}

/// Any message.
pub(crate) fn submission(to: &[NodeId], lane: Lane, kind: &'static str, body: &Written) -> Submission {
    Submission {
        by: text("ana"),
        to: to.to_vec(),
        salts: vec![[7; 16]; to.len()],
        desk: Desk::TECHNICAL,
        lane,
        case: CaseId([5; 16]),
        references: List::empty(),
        author: text("duty officer"),
        on_behalf_of: None,
        tlp: Tlp::AMBER,
        exercise: None,
        kind: Code::known(kind),
        bodies: vec![(1, Bytes::from(body.bytes.clone()))],
        bearing: body.summary.bearing.clone(),
        attachments: Vec::new(),
        lifetime_ms: 7 * 24 * 3_600_000,
        acknowledge_within_s: None,
    }
}
