//! Answers and refusals: I8 (a code at both ends), I10 (the unknown is refused, never dropped), I12 (exercises), and answers
//! that overtake what they answer.

use crate::pair::{Forged, Wired, World, answer, incident, notice, text};
use aldis_core::effect::{Declined, Delivery};
use aldis_core::limits::Limits;
use aldis_core::outbound::OutState;
use aldis_core::record::{Outcome, Received, Record, RefusedAs};
use aldis_wire::codec::List;
use aldis_wire::codes::{Code, Desk, Extension, Extensions, Tlp};
use aldis_wire::digest::Digest;
use aldis_wire::header::{Reference, ReferenceRole};
use aldis_wire::ids::{EnvelopeId, Seq};
use aldis_wire::kinds::{self, Bearing, Reading, Refusal, RefusalCode, from_json};
use aldis_wire::lane::{Lane, LaneMark};
use serde_json::json;

#[test]
fn i10_i8_the_unknown_is_stored_and_refused_with_its_code() {
    type Edit<'a> = &'a dyn Fn(&mut Forged);
    let cases: [(RefusalCode, Edit<'_>); 4] = [
        (RefusalCode::UnknownKind, &|forged| _ = forged.carry("poem", b"roses")),
        (RefusalCode::UnknownKindVersion, &|forged| forged.header.kind_version = 7),
        (RefusalCode::MalformedBody, &|forged| _ = forged.carry("incident", b"\xff\xff")),
        (RefusalCode::UnknownDesk, &|forged| forged.header.desk = Desk(77)),
    ];
    for (code, edit) in cases {
        let (mut world, _) = World::with_puppet();
        world.allow(10);
        let mut forged = world.forged(Lane::Immediate);
        edit(&mut forged);
        let sent = world.inject(forged);
        assert_refused(&mut world, &sent, code);
    }
}

#[test]
fn i10_unknown_extensions_and_codes_are_kept_as_they_came() {
    let (mut world, _) = World::with_puppet();
    let mut forged = world.forged(Lane::Immediate);
    let extension = Extension { tag: 4_000, bytes: aldis_wire::codec::Blob::new(vec![1, 2, 3]).unwrap() };
    forged.header.extensions = Extensions::new(vec![extension.clone()]).unwrap();
    forged.header.tlp = Tlp(900);
    let role = ReferenceRole(900);
    let other = EnvelopeId { from: world.id(1), to: world.id(0), lane: Lane::Flash, seq: Seq::FIRST };
    forged.header.references = List::new(vec![Reference { role, envelope: other, digest: Digest::ZERO }]).unwrap();
    world.inject(forged);
    let received = last_received(&world);
    assert_eq!(received.outcome, Outcome::Accepted);
    assert_eq!(received.header.extensions.iter().collect::<Vec<_>>(), [&extension]);
    assert_eq!((received.header.tlp, received.header.references[0].role), (Tlp(900), role));
}

#[test]
fn i10_an_answer_with_an_unknown_state_is_kept_and_changes_nothing() {
    let (mut world, sent) = with_notice(None);
    let mut body: kinds::Acknowledgement = aldis_wire::codec::decode(&seen().bytes).unwrap();
    body.state = Code::known("pondered");
    let mut forged = world.forged(Lane::Flash);
    forged.answers(&sent, &seen()).carry("acknowledgement", &aldis_wire::codec::encode(&body));
    world.inject(forged);
    assert_eq!(last_received(&world).outcome, Outcome::Accepted);
    assert_eq!(out_state(&world, &sent), Some(OutState::Stored));
}

#[test]
fn i8_answers_to_nothing_are_refused() {
    let elsewhere = |world: &World, sent: &(EnvelopeId, Digest)| {
        let never = EnvelopeId { seq: Seq::new(9).unwrap(), ..sent.0.clone() };
        let own = EnvelopeId { from: world.id(1), to: world.id(0), ..sent.0.clone() };
        [(never, sent.1), (own, sent.1), (sent.0.clone(), Digest::of(&[b"another"]))]
    };
    for case in 0..3 {
        let (mut world, sent) = with_notice(None);
        let about = elsewhere(&world, &sent)[case].clone();
        let mut forged = world.forged(Lane::Flash);
        forged.answers(&about, &seen());
        let about = world.inject(forged);
        assert_refused(&mut world, &about, RefusalCode::UnknownReference);
        assert_eq!(out_state(&world, &sent), Some(OutState::Stored), "case {case}");
    }
    let (mut world, _) = with_notice(None);
    let mut forged = world.forged(Lane::Flash);
    forged.carry("acknowledgement", &seen().bytes);
    let about = world.inject(forged);
    assert_refused(&mut world, &about, RefusalCode::UnknownReference);
}

#[test]
fn i8_an_answer_after_the_decision_is_refused() {
    let (mut world, sent) = with_notice(None);
    let mut forged = world.forged(Lane::Flash);
    forged.answers(&sent, &decided("approved"));
    world.inject(forged);
    assert_eq!(last_received(&world).outcome, Outcome::Accepted);
    let mut forged = world.forged(Lane::Flash);
    forged.answers(&sent, &decided("denied"));
    let about = world.inject(forged);
    assert_refused(&mut world, &about, RefusalCode::AlreadyDecided);
}

#[test]
fn i8_an_answer_before_our_receipt_closes_once_only() {
    // The decision comes before the receipt: the entry stays until the receipt, but takes no second decision.
    let (mut world, _) = World::with_puppet();
    world.allow(10);
    let cl = world.id(1);
    let token = world.submit(0, notice(&cl, Lane::Flash));
    world.run();
    let sent = world.nodes[0].submitted(token).remove(0);
    let mut forged = world.forged(Lane::Flash);
    forged.answers(&sent, &decided("approved"));
    world.inject(forged);
    assert_eq!(last_received(&world).outcome, Outcome::Accepted);
    let mut forged = world.forged(Lane::Flash);
    forged.answers(&sent, &decided("denied"));
    let about = world.inject(forged);
    assert_refused(&mut world, &about, RefusalCode::AlreadyDecided);
}

#[test]
fn i8_our_own_operator_is_held_to_the_same() {
    let mut world = World::linked();
    let cl = world.id(1);
    let token = world.submit(0, notice(&cl, Lane::Flash));
    world.run();
    let sent = world.nodes[0].submitted(token).remove(0);
    let mut decline = |about: &(EnvelopeId, Digest), state: &str| {
        let token = world.submit(1, answer(about, state));
        world.run();
        world.nodes[1].replies[&token].clone()
    };
    let why = |result: Result<_, Declined>| match result {
        Err(Declined::Answer { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    let never = (EnvelopeId { seq: Seq::new(5).unwrap(), ..sent.0.clone() }, sent.1);
    assert_eq!(why(decline(&never, "seen")), RefusalCode::UnknownReference);
    let other = (sent.0.clone(), Digest::of(&[b"other"]));
    assert_eq!(why(decline(&other, "seen")), RefusalCode::UnknownReference);
    assert!(decline(&sent, "acknowledged").is_ok());
    assert!(matches!(decline(&sent, "seen"), Err(Declined::Message(_))), "an answer never goes back");
    assert!(decline(&sent, "approved").is_ok());
    assert_eq!(why(decline(&sent, "denied")), RefusalCode::AlreadyDecided);
    let records = world.nodes[1].records();
    assert_eq!(
        records.iter().filter(|record| matches!(record, Record::Sent(_))).count(),
        2,
        "what is declined is not signed"
    );
}

#[test]
fn i8_a_refusal_of_the_peer_is_told_with_its_code_and_never_refused() {
    for code in RefusalCode::ALL {
        let (mut world, sent) = with_notice(None);
        let mut forged = world.forged(Lane::Flash);
        forged.answers(&sent, &seen()).carry("refusal", &Refusal::body(code, ""));
        world.inject(forged);
        assert_eq!(last_received(&world).outcome, Outcome::Accepted);
        assert!(world.nodes[0].deliveries().contains(&(sent.0.clone(), Delivery::Refused(code.code()))));
        assert_eq!(out_state(&world, &sent), None, "nothing more is expected");
    }
    // Refusals that fit nothing, or are malformed: kept, receipted, not answered.
    let (mut world, sent) = with_notice(None);
    let never = (EnvelopeId { seq: Seq::new(9).unwrap(), ..sent.0.clone() }, sent.1);
    let before = sent_count(&world);
    let mut forged = world.forged(Lane::Flash);
    forged.answers(&never, &seen()).carry("refusal", &Refusal::body(RefusalCode::UnknownKind, ""));
    world.inject(forged);
    assert_eq!(last_received(&world).outcome, Outcome::Unmatched);
    let mut forged = world.forged(Lane::Flash);
    forged.answers(&never, &seen()).carry("ladder-step", &step());
    world.inject(forged);
    assert_eq!(last_received(&world).outcome, Outcome::Unmatched, "a step about what was never sent");
    let mut forged = world.forged(Lane::Flash);
    forged.carry("refusal", b"\xff");
    world.inject(forged);
    assert_eq!(last_received(&world).outcome, Outcome::Refused(RefusedAs(RefusalCode::MalformedBody)));
    assert_eq!(sent_count(&world), before, "two machines never quarrel");
}

#[test]
fn i8_a_refusal_goes_from_core_to_core() {
    let mut world = World::linked();
    let cl = world.id(1);
    let mut submission = notice(&cl, Lane::Priority);
    submission.desk = Desk(55);
    let token = world.submit(0, submission);
    world.run();
    let sent = world.nodes[0].submitted(token).remove(0);
    let refused = Delivery::Refused(RefusalCode::UnknownDesk.code());
    assert!(world.nodes[0].deliveries().contains(&(sent.0, refused)));
    let closed = |place: usize, other: usize| {
        let peer = world.nodes[place].core.peer(&world.id(other)).unwrap();
        peer.durable.out.iter().all(|lane| lane.open.is_empty())
            && peer.durable.inbound.iter().all(|lane| lane.open.is_empty())
    };
    assert!(closed(0, 1) && closed(1, 0));
}

#[test]
fn i12_an_exercise_is_answered_only_by_the_exercise_and_real_only_by_real() {
    let names = [None, Some("shield 26"), Some("shield 27")];
    for ours in names {
        for theirs in names {
            let (mut world, sent) = with_notice(ours);
            let mut forged = world.forged(Lane::Flash);
            forged.answers(&sent, &seen());
            forged.header.exercise = theirs.map(text);
            let about = world.inject(forged);
            match ours == theirs {
                true => assert_eq!(last_received(&world).outcome, Outcome::Accepted),
                false => assert_refused(&mut world, &about, RefusalCode::ExerciseMismatch),
            }
            // The same for a refusal: one of an exercise must not close a real message, or the reverse.
            let (mut world, sent) = with_notice(ours);
            let mut forged = world.forged(Lane::Flash);
            forged.answers(&sent, &seen()).carry("refusal", &Refusal::body(RefusalCode::UnknownKind, ""));
            forged.header.exercise = theirs.map(text);
            world.inject(forged);
            assert_eq!(out_state(&world, &sent).is_none(), ours == theirs, "{ours:?} refused by {theirs:?}");
            // And for our own operator.
            let (mut world, _) = World::with_puppet();
            let mut forged = world.forged(Lane::Flash);
            forged.header.exercise = ours.map(text);
            let about = world.inject(forged);
            let mut submission = answer(&about, "seen");
            submission.exercise = theirs.map(text);
            let token = world.submit(0, submission);
            world.run();
            assert_eq!(world.nodes[0].replies[&token].is_ok(), ours == theirs);
        }
    }
}

#[test]
fn i12_i13_a_refusal_carries_the_exercise_and_the_label_of_what_it_refuses() {
    let (mut world, _) = World::with_puppet();
    let mut forged = world.forged(Lane::Flash);
    forged.header.exercise = Some(text("shield 26"));
    forged.header.tlp = Tlp::AMBER_STRICT;
    forged.header.desk = Desk(70);
    world.inject(forged);
    let records = world.nodes[0].records();
    let Some(Record::Sent(sent)) = records.last() else { panic!("the refusal is the last record") };
    assert_eq!(sent.draft.header.exercise, Some(text("shield 26")));
    assert_eq!(sent.draft.header.tlp, Tlp::AMBER_STRICT);
}

#[test]
fn i13_nothing_is_signed_without_a_label() {
    let mut world = World::linked();
    let cl = world.id(1);
    let mut submission = notice(&cl, Lane::Flash);
    submission.tlp = Tlp(0);
    let token = world.submit(0, submission);
    world.run();
    assert!(world.nodes[0].declined(token).to_string().contains("TLP"));
    assert_eq!(sent_count(&world), 0);
}

#[test]
fn an_overtaking_answer_is_held_and_joins_when_our_record_shows_up() {
    let (mut world, lost, notice) = overtaken(&Limits::default());
    assert_eq!(last_received(&world).outcome, Outcome::Held);
    let cl = world.id(1);
    assert_eq!(world.nodes[0].core.peer(&cl).unwrap().durable.held.len(), 1);
    // What was lost shows up again, as a restored journal would replay it.
    world.nodes[0].core.apply(&lost);
    let peer = world.nodes[0].core.peer(&cl).unwrap();
    assert!(peer.durable.held.is_empty());
    assert_eq!(out_state(&world, &notice), Some(OutState::Acknowledged));
}

#[test]
fn i8_a_held_answer_is_refused_when_its_time_is_over() {
    let (mut world, ..) = overtaken(&Limits::default());
    let cl = world.id(1);
    let header = last_received(&world).header;
    let day = 24 * 3_600_000;
    world.advance(7 * day - 1_000);
    assert_eq!(world.nodes[0].core.peer(&cl).unwrap().durable.held.len(), 1);
    world.puppet_up(|_| ());
    world.allow(10);
    world.advance(2_000);
    assert!(world.nodes[0].core.peer(&cl).unwrap().durable.held.is_empty());
    assert_refusal_sent(&mut world, &(header.id(), header.digest()), RefusalCode::HeldTooLong);
}

#[test]
fn i8_an_answer_whose_sender_cannot_show_that_it_received_is_refused() {
    let (mut world, _) = World::with_puppet();
    world.allow(10);
    let id = EnvelopeId { from: world.id(0), to: world.id(1), lane: Lane::Flash, seq: Seq::FIRST };
    let digest = Digest::of(&[b"imagined"]);
    // A mark of another lane shows nothing.
    let mut forged = world.forged(Lane::Flash);
    forged.answers(&(id, digest), &seen());
    forged.header.received = Some(LaneMark { lane: Lane::Routine, seq: Seq::new(9).unwrap(), digest });
    let about = world.inject(forged);
    assert_refused(&mut world, &about, RefusalCode::UnknownReference);
}

#[test]
fn i7_held_answers_are_bounded() {
    let limits = Limits { held_per_peer: 3, ..Limits::default() };
    let (mut world, _, notice) = overtaken(&limits);
    let cl = world.id(1);
    for _ in 0..4 {
        let mut forged = world.forged(Lane::Flash);
        forged.answers(&notice, &seen());
        forged.header.received = Some(LaneMark { lane: notice.0.lane, seq: notice.0.seq, digest: notice.1 });
        world.inject(forged);
    }
    assert_eq!(world.nodes[0].core.peer(&cl).unwrap().durable.held.len(), 3);
    assert_eq!(last_received(&world).outcome, Outcome::Refused(RefusedAs(RefusalCode::UnknownReference)));
}

#[test]
fn a_kind_goes_in_the_highest_version_both_know_or_not_at_all() {
    let versions = |versions: Vec<u16>| {
        let mut world = World::new(2);
        let mut card = crate::pair::card(&world.id(1), &world.nodes[1].key);
        card.sequence = 2;
        card.kinds = List::new(vec![aldis_wire::card::KindVersions {
            kind: Code::known("incident"),
            versions: List::new(versions).unwrap(),
        }])
        .unwrap();
        let card = Box::new(card.sign(&world.nodes[1].key));
        let token = world.token();
        world.nodes[0].inbox.push_back(aldis_core::input::Input::AddPeer { token, card, by: text("admin") });
        world.run();
        let cl = world.id(1);
        let mut submission = notice(&cl, Lane::Flash);
        let body = submission.bodies[0].1.clone();
        submission.bodies = vec![(1, body.clone()), (2, body.clone()), (4, body)];
        let token = world.submit(0, submission);
        world.run();
        let signed = world.nodes[0].records().iter().find_map(|record| match record {
            Record::Sent(sent) => Some(sent.draft.header.kind_version),
            _ => None,
        });
        signed.ok_or_else(|| world.nodes[0].declined(token))
    };
    assert_eq!(versions(vec![1]), Ok(1));
    assert_eq!(versions(vec![1, 2, 3]), Ok(2));
    assert_eq!(versions(vec![4, 5]), Ok(4));
    assert!(matches!(versions(vec![3, 5]), Err(Declined::NoCommonKindVersion { .. })));
    assert!(matches!(versions(vec![]), Err(Declined::NoCommonKindVersion { .. })));
}

#[test]
fn a_message_to_several_is_signed_for_all_or_for_none() {
    let mut world = World::with(3, 0, &Limits::default());
    let (br, cl, uy) = (world.id(0), world.id(1), world.id(2));
    let to = |to: &[&aldis_wire::ids::NodeId]| {
        let to: Vec<_> = to.iter().map(|id| (*id).clone()).collect();
        crate::pair::submission(&to, Lane::Priority, "incident", &incident("to several"))
    };
    let token = world.submit(0, to(&[&cl, &uy]));
    world.run();
    assert_eq!(world.nodes[0].submitted(token).len(), 2);
    let mut wrong = vec![to(&[]), to(&[&cl, &cl]), to(&[&cl, &br])];
    let mut salts = to(&[&cl, &uy]);
    salts.salts.pop();
    wrong.push(salts);
    let before = sent_count(&world);
    for submission in wrong {
        let token = world.submit(0, submission);
        world.run();
        world.nodes[0].declined(token);
    }
    assert_eq!(sent_count(&world), before);
}

/// A node 0 with one notice to the puppet, transmitted and receipted.
pub(crate) fn with_notice(exercise: Option<&str>) -> (World, (EnvelopeId, Digest)) {
    let (mut world, _) = World::with_puppet();
    world.allow(10);
    let cl = world.id(1);
    let mut submission = notice(&cl, Lane::Flash);
    submission.exercise = exercise.map(text);
    let token = world.submit(0, submission);
    world.run();
    let sent = world.nodes[0].submitted(token).remove(0);
    let marks = world.nodes[0].core.peer(&cl).unwrap().sent_marks();
    world.receipt(marks);
    (world, sent)
}

/// A node 0 that lost its record of a notice, and has an answer to it from the puppet, which received it.
fn overtaken(limits: &Limits) -> (World, Record, (EnvelopeId, Digest)) {
    let mut world = World::with(2, 0, limits);
    world.nodes[1].puppet = true;
    world.puppet_up(|_| ());
    world.allow(10);
    let cl = world.id(1);
    let length = world.nodes[0].journal.len();
    let token = world.submit(0, notice(&cl, Lane::Flash));
    world.run();
    let notice = world.nodes[0].submitted(token).remove(0);
    let lost = world.nodes[0].records()[length].clone();
    world.crash(0);
    world.nodes[0].roll_back(length);
    world.restart(0);
    world.puppet_up(|_| ());
    world.allow(10);
    let mut forged = world.forged(Lane::Routine);
    let body = from_json("acknowledgement", 1, json!({"state": "acknowledged"})).unwrap();
    forged.answers(&notice, &body);
    forged.header.received = Some(LaneMark { lane: notice.0.lane, seq: notice.0.seq, digest: notice.1 });
    world.inject(forged);
    (world, lost, notice)
}

fn assert_refused(world: &mut World, about: &(EnvelopeId, Digest), code: RefusalCode) {
    assert_eq!(last_received(world).outcome, Outcome::Refused(RefusedAs(code)));
    assert_refusal_sent(world, about, code);
}

/// The refusal is on its way to the puppet, signed, and says why and about what.
fn assert_refusal_sent(world: &mut World, about: &(EnvelopeId, Digest), code: RefusalCode) {
    let key = world.nodes[0].key.public();
    let mut verifier = aldis_wire::envelope::EnvelopeVerifier::new(world.id(0), world.id(1), key);
    let frames = world.network.take_for(1);
    let refusal = frames.into_iter().rev().find_map(|frame| match frame {
        Wired::Envelope(bytes) => Some(verifier.verify(&bytes).unwrap()),
        _ => None,
    });
    let refusal = refusal.unwrap_or_else(|| panic!("no refusal with {code:?} left"));
    let aldis_wire::envelope::Body::Present { bytes, .. } = refusal.body() else { panic!("a refusal has a body") };
    let header = refusal.header();
    let Reading::Understood(summary) = kinds::read(&header.kind, header.kind_version, bytes) else {
        panic!("unreadable")
    };
    assert_eq!(summary.bearing, Bearing::Refusal(code.code()));
    let reference = header.reference(ReferenceRole::ANSWERS).unwrap();
    assert_eq!((&reference.envelope, reference.digest), (&about.0, about.1));
}

pub(crate) fn last_received(world: &World) -> Received {
    let records = world.nodes[0].records().iter().rev();
    let mut received = records.filter_map(|record| match record {
        Record::Received(received) => Some(received),
        _ => None,
    });
    received.next().expect("something was received").clone()
}

pub(crate) fn sent_count(world: &World) -> usize {
    world.nodes[0].records().iter().filter(|record| matches!(record, Record::Sent(_))).count()
}

pub(crate) fn out_state(world: &World, sent: &(EnvelopeId, Digest)) -> Option<OutState> {
    let peer = world.nodes[0].core.peer(&sent.0.to).expect("an enrolled peer");
    peer.durable.out[sent.0.lane.index()].open.get(&sent.0.seq.get()).map(|open| open.state)
}

pub(crate) fn seen() -> kinds::Written {
    from_json("acknowledgement", 1, json!({"state": "seen"})).expect("an acknowledgement")
}

pub(crate) fn decided(status: &str) -> kinds::Written {
    from_json("acknowledgement", 1, json!({"state": "decided", "status": status})).expect("an acknowledgement")
}

fn step() -> Vec<u8> {
    let value = json!({"cause": "unacknowledged", "step": 1, "of": 2, "name": "deputy", "outcome": "alerted", "reached": 1,
                       "at": "2026-11-22T03:15:00.000Z", "next_within_s": 60});
    from_json("ladder-step", 1, value).unwrap().bytes
}
