//! Recalls: before a message was relayed its body never leaves (I5); afterwards the peer is asked, what it erased it
//! says signed, and whatever was not complied with has a code at both ends (I8).

use crate::answers::{decided, last_received, out_state, seen};
use crate::pair::{Forged, World, answer, notice, notice_of, recall, text};
use aldis_core::effect::{Declined, Delivery, Done};
use aldis_core::input::{Acceptance, Input, Submission, Token};
use aldis_core::limits::Limits;
use aldis_core::outbound::OutState;
use aldis_core::record::{Outcome, Received, Record, RecordSeq, RefusedAs};
use aldis_wire::codec::List;
use aldis_wire::codes::Code;
use aldis_wire::digest::Digest;
use aldis_wire::envelope::{Body, WithheldReason};
use aldis_wire::header::{Reference, ReferenceRole};
use aldis_wire::ids::{EnvelopeId, Seq, UnixMillis};
use aldis_wire::kinds::{RefusalCode, Tombstone, from_json};
use aldis_wire::lane::Lane;
use serde_json::json;

pub(crate) type Named = (EnvelopeId, Digest);

#[test]
fn i5_what_is_recalled_before_it_was_relayed_goes_without_its_body_and_the_lane_goes_on() {
    let mut world = World::new(2);
    let cl = world.id(1);
    let sent: Vec<Named> =
        (0..3).map(|round| said(&mut world, 0, notice_of(&cl, Lane::Priority, &format!("notice {round}")))).collect();
    let token = world.submit(0, recall(&sent[1]));
    world.run();
    assert_eq!(world.nodes[0].replies[&token], Ok(Done::Recalled(sent[1].0.clone())));
    assert!(world.nodes[0].deliveries().contains(&(sent[1].0.clone(), Delivery::Recalled)));
    let bodies = bodies(&world, 0, |record| matches!(record, Record::Sent(_)));
    assert_eq!(bodies, [true, false, true], "its body is erased here");
    let why = world.nodes[0].records().iter().find_map(|record| match record {
        Record::Recalled(recalled) => Some((recalled.why.to_string(), recalled.by.to_string())),
        _ => None,
    });
    assert_eq!(why, Some(("recall: wrong-recipient: sorry".to_owned(), "ana".to_owned())));
    not_recallable(&mut world, recall(&sent[1]), "already");
    world.restart(0);
    world.connect(0, 1);
    world.run();
    let outcomes: Vec<Outcome> = received(&world, 1).into_iter().map(|(_, received)| received.outcome).collect();
    assert_eq!(outcomes, [Outcome::Accepted, Outcome::Withheld(WithheldReason::RECALLED.0), Outcome::Accepted]);
    let out = &world.nodes[0].core.peer(&cl).unwrap().durable.out[Lane::Priority.index()];
    assert_eq!(out.receipted_seq(), 3);
    assert_eq!(out.open.keys().copied().collect::<Vec<_>>(), [1, 3], "nobody will answer what was taken back");
}

#[test]
fn what_is_not_relayed_is_taken_back_also_from_a_peer_that_is_put_aside() {
    let mut world = World::new(2);
    let cl = world.id(1);
    let sent = said(&mut world, 0, notice(&cl, Lane::Routine));
    world.order(0, aldis_core::trust::Act::Suspend, 1);
    let token = world.submit(0, recall(&sent));
    world.run();
    assert_eq!(world.nodes[0].replies[&token], Ok(Done::Recalled(sent.0)));
}

#[test]
fn a_recall_that_is_accepted_erases_the_body_there_and_a_tombstone_says_so() {
    let (mut world, sent, asked) = asked();
    let before = world.nodes[1].transmitted.len();
    let token = accept(&mut world, &sent, &asked);
    let tombstone = world.nodes[1].submitted(token).remove(0);
    let erased = bodies(&world, 1, |record| matches!(record, Record::Received(_)));
    assert_eq!(erased, [false, true], "the notice's body is gone, the recall's is not");
    assert_eq!(world.nodes[1].transmitted.len(), before + 1);
    for place in 0..2 {
        assert!(world.nodes[place].deliveries().contains(&(sent.0.clone(), Delivery::Recalled)), "at node {place}");
    }
    let came = received(&world, 0).pop().unwrap().1;
    assert_eq!((came.header.id(), came.outcome), (tombstone.0, Outcome::Accepted));
    assert_eq!((out_state(&world, &sent), out_state(&world, &asked)), (None, None), "nothing is waited for any more");
    let br = world.id(0);
    let inbound = &world.nodes[1].core.peer(&br).unwrap().durable.inbound[Lane::Immediate.index()];
    assert!(inbound.open.is_empty(), "and nobody has to answer");
    let late = answer(&sent, "approved");
    let token = world.submit(1, late);
    world.run();
    let why = RefusalCode::AlreadyDecided;
    assert_eq!(world.nodes[1].declined(token), Declined::Answer { message: sent.0.clone(), why });
    // What is erased cannot be recalled again: the peer says so.
    let again = said(&mut world, 0, recall(&sent));
    assert!(world.nodes[0].deliveries().contains(&(again.0, Delivery::Refused(Code::known("not-recallable")))));
    world.restart(0);
    world.restart(1);
}

#[test]
fn the_tombstone_says_how_far_the_message_had_come() {
    for (alerts, reached, says) in [(false, "stored", "stored"), (true, "stored", "notified"), (true, "seen", "seen")] {
        // With the default limits people are alerted when it comes.
        let mut world = if alerts { World::with(2, 0, &Limits::default()) } else { World::new(2) };
        world.connect(0, 1);
        world.run();
        let (mut world, sent, asked) = asked_in(world);
        let mut acceptance = acceptance(&world, &sent, &asked);
        acceptance.reached = Code::known(reached);
        let token = hand_in(&mut world, acceptance);
        world.nodes[1].submitted(token);
        let (record, _) = received(&world, 0).pop().unwrap();
        let Some(Body::Present { bytes, .. }) = &world.nodes[0].journal[record].body else { panic!("no body") };
        let tombstone: Tombstone = aldis_wire::codec::decode(bytes).unwrap();
        assert_eq!(tombstone.reached.as_str(), says);
        assert_eq!(tombstone.erased_at, UnixMillis::new(world.wall_ms));
    }
}

#[test]
fn i8_a_recall_that_is_declined_leaves_the_message_as_it_was_and_can_be_asked_again() {
    let (mut world, sent, asked) = asked();
    not_recallable(&mut world, recall(&sent), "waits for an answer");
    said(&mut world, 1, answer(&asked, "denied"));
    let denied = Delivery::Decided(Code::known("denied"));
    assert!(world.nodes[0].deliveries().contains(&(asked.0.clone(), denied)));
    assert_eq!(out_state(&world, &sent), Some(OutState::Stored), "the notice waits for an answer as before");
    assert_eq!(bodies(&world, 1, |record| matches!(record, Record::Received(_))), [true, true]);
    said(&mut world, 0, recall(&sent));
    assert_eq!(received(&world, 1).pop().unwrap().1.outcome, Outcome::Accepted);
}

#[test]
fn i8_our_operator_can_take_back_only_notices_of_this_node() {
    let (mut world, sent, asked) = asked();
    let (br, cl) = (world.id(0), world.id(1));
    let theirs = said(&mut world, 1, notice(&br, Lane::Immediate));
    let said_of_it = said(&mut world, 0, answer(&theirs, "seen"));
    let never = (EnvelopeId { seq: Seq::new(99).unwrap(), ..sent.0.clone() }, sent.1);
    let elsewhere = (EnvelopeId { to: aldis_wire::ids::NodeId::new("cert.zz").unwrap(), ..sent.0.clone() }, sent.1);
    let cases = [
        (recall(&asked), "only a notice"),
        (recall(&never), "no such message"),
        (recall(&(sent.0.clone(), Digest::of(&[b"another"]))), "no such message"),
        (Submission { lane: Lane::Routine, ..recall(&sent) }, "no such message"),
        (Submission { to: vec![br.clone()], ..recall(&theirs) }, "only what this node sent"),
        (recall(&elsewhere), "only what this node sent"),
        (Submission { to: vec![cl.clone(), br], salts: vec![[1; 16]; 2], ..recall(&sent) }, "only what this node sent"),
        (Submission { exercise: Some(text("E")), ..recall(&sent) }, "an exercise"),
    ];
    for (submission, why) in cases {
        not_recallable(&mut world, submission, why);
    }
    let token = world.submit(0, Submission { references: List::empty(), ..recall(&sent) });
    world.run();
    assert!(matches!(world.nodes[0].declined(token), Declined::Message(_)));
    // What is not open any more the core has forgotten: the peer knows what it was.
    let forgotten = said(&mut world, 0, recall(&said_of_it));
    assert!(world.nodes[0].deliveries().contains(&(forgotten.0, Delivery::Refused(Code::known("not-recallable")))));
}

#[test]
fn i8_a_recall_of_nothing_that_is_here_is_refused() {
    type Edit<'a> = &'a dyn Fn(&World, &mut Forged, &Named);
    let name = |forged: &mut Forged, about: Named| {
        let (envelope, digest) = about;
        let reference = Reference { role: ReferenceRole::RECALLS, envelope, digest };
        forged.header.references = List::new(vec![reference]).unwrap();
    };
    let not = RefusalCode::NotRecallable;
    let cases: [(RefusalCode, Edit<'_>); 7] = [
        (not, &|_, forged, _| forged.header.references = List::empty()),
        (not, &|_, forged, its| name(forged, (its.0.clone(), Digest::of(&[b"another"])))),
        (not, &|_, forged, its| name(forged, (EnvelopeId { seq: Seq::new(9).unwrap(), ..its.0.clone() }, its.1))),
        (not, &|_, forged, its| {
            name(forged, (EnvelopeId { from: its.0.to.clone(), to: its.0.from.clone(), ..its.0.clone() }, its.1));
        }),
        (not, &|_, forged, its| name(forged, (EnvelopeId { lane: Lane::Routine, ..its.0.clone() }, its.1))),
        (RefusalCode::ExerciseMismatch, &|_, forged, _| forged.header.exercise = Some(text("E"))),
        // The one before it in the lane is an answer.
        (not, &|world, forged, its| {
            let first = received(world, 0).remove(0).1.header;
            assert_ne!(first.id(), its.0);
            name(forged, (first.id(), first.digest()));
        }),
    ];
    for (place, (code, edit)) in cases.into_iter().enumerate() {
        let (mut world, its) = with_their_notice();
        let mut forged = recalling(&world, &its);
        edit(&world, &mut forged, &its);
        world.inject(forged);
        assert_eq!(last_received(&world).outcome, Outcome::Refused(RefusedAs(code)), "case {place}");
    }
    let (mut world, its) = with_their_notice();
    for outcome in [Outcome::Accepted, Outcome::Refused(RefusedAs(not))] {
        let forged = recalling(&world, &its);
        world.inject(forged);
        assert_eq!(last_received(&world).outcome, outcome, "a second recall of the same is refused");
    }
}

#[test]
fn i8_only_a_tombstone_of_what_was_recalled_complies_with_a_recall() {
    let (mut world, _) = World::with_puppet();
    world.allow(10);
    let cl = world.id(1);
    let other = said(&mut world, 0, notice(&cl, Lane::Flash));
    let sent = said(&mut world, 0, notice(&cl, Lane::Flash));
    let asked = said(&mut world, 0, recall(&sent));
    // At the same place of another lane.
    let _first = said(&mut world, 0, notice(&cl, Lane::Immediate));
    let elsewhere = said(&mut world, 0, notice(&cl, Lane::Immediate));
    assert_eq!(elsewhere.0.seq, sent.0.seq);
    let unknown = Outcome::Refused(RefusedAs(RefusalCode::UnknownReference));
    let mut bare = world.forged(Lane::Flash);
    bare.answers(&other, &seen())
        .carry("tombstone", &Tombstone::body(UnixMillis::new(1), Code::known("seen"), false, ""));
    world.inject(bare);
    assert_eq!(last_received(&world).outcome, unknown, "a tombstone that names nothing erased is no approval");
    let mut by_word = world.forged(Lane::Flash);
    by_word.answers(&asked, &decided("approved"));
    world.inject(by_word);
    assert_eq!(last_received(&world).outcome, unknown, "a word erases nothing");
    for (answers, erased, outcome) in [
        (&asked, &other, unknown),
        (&other, &other, unknown),
        (&asked, &(sent.0.clone(), other.1), unknown),
        (&asked, &(elsewhere.0.clone(), sent.1), unknown),
        (&asked, &sent, Outcome::Accepted),
    ] {
        let mut forged = world.forged(Lane::Flash);
        forged
            .answers(answers, &seen())
            .carry("tombstone", &Tombstone::body(UnixMillis::new(1), Code::known("seen"), false, ""));
        let mut references: Vec<Reference> = forged.header.references.iter().cloned().collect();
        references.push(Reference { role: ReferenceRole::RECALLS, envelope: erased.0.clone(), digest: erased.1 });
        forged.header.references = List::new(references).unwrap();
        world.inject(forged);
        assert_eq!(last_received(&world).outcome, outcome);
    }
    assert!(world.nodes[0].deliveries().contains(&(sent.0.clone(), Delivery::Recalled)));
    assert!(!world.nodes[0].deliveries().contains(&(other.0, Delivery::Recalled)));
    assert!(!world.nodes[0].deliveries().contains(&(elsewhere.0, Delivery::Recalled)));
}

#[test]
fn nothing_is_erased_but_what_an_open_recall_names() {
    let (mut world, sent, asked) = asked();
    let cl = world.id(1);
    let other = said(&mut world, 0, notice(&cl, Lane::Immediate));
    let by_word = world.submit(1, answer(&asked, "approved"));
    world.run();
    assert!(matches!(world.nodes[1].declined(by_word), Declined::Message(_)), "a word of ours erases nothing either");
    let good = acceptance(&world, &sent, &asked);
    let not_it = Acceptance { message: Box::new(received_at(&world, &other).1), ..good.clone() };
    let no_recall = Acceptance { recall: received_at(&world, &sent).1.header, ..good.clone() };
    let closed = Acceptance { recall: received_at(&world, &other).1.header, ..good.clone() };
    let mut withheld = received_at(&world, &sent).1;
    withheld.outcome = Outcome::Withheld(WithheldReason::EXPIRED.0);
    let not_here = Acceptance { message: Box::new(withheld), ..good.clone() };
    for wrong in [not_it, no_recall, closed, not_here] {
        let token = hand_in(&mut world, wrong);
        world.nodes[1].declined(token);
    }
    assert_eq!(bodies(&world, 1, |record| matches!(record, Record::Received(_))), [true; 3]);
    let token = hand_in(&mut world, good.clone());
    world.nodes[1].submitted(token);
    let token = hand_in(&mut world, good);
    assert!(matches!(world.nodes[1].declined(token), Declined::Answer { why: RefusalCode::AlreadyDecided, .. }));
}

/// A notice at the peer, and the recall that asks to erase it.
pub(crate) fn asked() -> (World, Named, Named) {
    asked_in(World::linked())
}

fn asked_in(mut world: World) -> (World, Named, Named) {
    let cl = world.id(1);
    let sent = said(&mut world, 0, notice(&cl, Lane::Immediate));
    let asked = said(&mut world, 0, recall(&sent));
    assert_eq!(received(&world, 1).pop().unwrap().1.outcome, Outcome::Accepted);
    (world, sent, asked)
}

/// A puppet that has sent an answer to nothing, then a notice.
fn with_their_notice() -> (World, Named) {
    let (mut world, _) = World::with_puppet();
    world.allow(10);
    let mut forged = world.forged(Lane::Flash);
    forged.carry("acknowledgement", &seen().bytes);
    world.inject(forged);
    let forged = world.forged(Lane::Flash);
    let its = world.inject(forged);
    (world, its)
}

fn recalling(world: &World, its: &Named) -> Forged {
    let mut forged = world.forged(Lane::Flash);
    forged.carry("recall", &from_json("recall", 1, json!({"reason": "overtaken"})).unwrap().bytes);
    let reference = Reference { role: ReferenceRole::RECALLS, envelope: its.0.clone(), digest: its.1 };
    forged.header.references = List::new(vec![reference]).unwrap();
    forged
}

/// Submits, and says under which name it went out.
pub(crate) fn said(world: &mut World, place: usize, submission: Submission) -> Named {
    let token = world.submit(place, submission);
    world.run();
    world.nodes[place].submitted(token).remove(0)
}

fn accept(world: &mut World, sent: &Named, asked: &Named) -> Token {
    let acceptance = acceptance(world, sent, asked);
    hand_in(world, acceptance)
}

pub(crate) fn hand_in(world: &mut World, acceptance: Acceptance) -> Token {
    let token = world.token();
    world.nodes[1].inbox.push_back(Input::EraseRecalled { token, acceptance: Box::new(acceptance) });
    world.run();
    token
}

pub(crate) fn acceptance(world: &World, sent: &Named, asked: &Named) -> Acceptance {
    let (record, message) = received_at(world, sent);
    Acceptance {
        by: text("bia"),
        author: text("duty officer"),
        salt: [9; 16],
        recall: received_at(world, asked).1.header,
        message: Box::new(message),
        record: RecordSeq(u64::try_from(record).unwrap()),
        reached: Code::known("stored"),
        exported: false,
        looked_at: RecordSeq(u64::try_from(world.nodes[1].records().len()).unwrap()),
        text: text("done"),
        lifetime_ms: 3_600_000,
    }
}

pub(crate) fn received_at(world: &World, named: &Named) -> (usize, Received) {
    received(world, 1).into_iter().find(|(_, received)| received.header.id() == named.0).unwrap()
}

pub(crate) fn received(world: &World, place: usize) -> Vec<(usize, Received)> {
    let records = world.nodes[place].records().iter().enumerate();
    let received = records.filter_map(|(at, record)| match record {
        Record::Received(received) => Some((at, received.clone())),
        _ => None,
    });
    received.collect()
}

/// Whether the bodies are there beside such records.
fn bodies(world: &World, place: usize, such: impl Fn(&Record) -> bool) -> Vec<bool> {
    let node = &world.nodes[place];
    let entries = node.journal.iter().zip(node.records()).filter(|(_, record)| such(record));
    entries.map(|(entry, _)| matches!(entry.body, Some(Body::Present { .. }))).collect()
}

fn not_recallable(world: &mut World, submission: Submission, words: &str) {
    let token = world.submit(0, submission);
    world.run();
    match world.nodes[0].declined(token) {
        Declined::NotRecallable { why, .. } => assert!(why.contains(words), "{why}"),
        other => panic!("{other:?} where `{words}` was expected"),
    }
}
