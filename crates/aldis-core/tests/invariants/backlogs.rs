//! I7, I8, I14: more than may wait for an answer, both ways at once: what must be refused waits instead of costing the link, what
//! people answer makes room, and neither steps of the ladder nor recalls and calls take what is meant for others.

use crate::ladder::ladder;
use crate::pair::{World, answer, calm, notice};
use aldis_core::hotline::SessionState;
use aldis_core::input::Input;
use aldis_core::limits::{FLASH_RESERVE, Limits};
use aldis_core::peer::FlowIn;
use aldis_core::record::{Outcome, Record};
use aldis_core::trust::Act;
use aldis_wire::codec::List;
use aldis_wire::codes::Code;
use aldis_wire::digest::Digest;
use aldis_wire::frame::{Goodbye, GoodbyeCode};
use aldis_wire::header::{Reference, ReferenceRole};
use aldis_wire::hello::Hello;
use aldis_wire::ids::{CaseId, EnvelopeId, Incarnation, Seq, UnixMillis};
use aldis_wire::kinds::{Bearing, HotlineLine, HotlineSummary, LinePart, RefusalCode, from_json};
use aldis_wire::lane::{Lane, Marks};
use serde_json::json;
use std::sync::Arc;

const MINUTE_MS: u64 = 60_000;
const ROUTINE: usize = 3;

fn small() -> Limits {
    Limits { credit_window: 4, unanswered_per_peer: 20, refusals_per_peer: 40, ..calm() }
}

fn flow(world: &World, lane: Lane) -> FlowIn {
    let id = world.id(1);
    world.nodes[0].core.peer(&id).unwrap().up().expect("a link").from[lane.index()]
}

fn send_all(world: &mut World, lane: Lane) -> u64 {
    let before = flow(world, lane).came;
    while flow(world, lane).came < flow(world, lane).promised && flow(world, lane).came < before + 200 {
        world.inject(world.forged(lane));
    }
    flow(world, lane).came - before
}

fn is_alarmed(world: &World, code: &str) -> bool {
    world.nodes[0].alarms().iter().any(|alarm| alarm == code)
}

/// The puppet receipts all that was signed for it.
fn receipt_all(world: &mut World) {
    let marks = world.nodes[0].core.peer(&world.id(1)).unwrap().sent_marks();
    world.receipt(marks);
    world.tick();
    world.run();
}

fn refused(world: &World, code: RefusalCode) -> usize {
    let outcomes = world.nodes[0].records().iter().filter_map(|record| match record {
        Record::Received(received) => Some(received.outcome),
        _ => None,
    });
    outcomes.filter(|outcome| *outcome == Outcome::refused(code)).count()
}

/// What the machine of node 0 has signed for the puppet: refusals, and steps of the ladder.
fn words(world: &World) -> (usize, usize) {
    let mut words = (0, 0);
    for record in world.nodes[0].records() {
        let Record::Sent(sent) = record else { continue };
        match sent.draft.bearing.get() {
            Bearing::Refusal(_) => words.0 += 1,
            Bearing::Step(_) => words.1 += 1,
            _ => {}
        }
    }
    words
}

#[test]
fn i7_a_peer_whose_mail_must_be_refused_waits_for_credit_and_keeps_its_link() {
    let (mut world, _) = World::with_puppet_and(&small());
    let sent = send_all(&mut world, Lane::Routine) + send_all(&mut world, Lane::Priority);
    assert!(
        (45..=60).contains(&sent),
        "{sent}: what may wait for an answer there, and as many refusals as are sure to have room"
    );
    assert!(world.nodes[0].closed.is_empty(), "no goodbye: {:?}", world.nodes[0].closed);
    assert!(is_alarmed(&world, "too-many-refusals"), "{:?}", world.nodes[0].alarms());
    assert_eq!(send_all(&mut world, Lane::Flash), 200, "FLASH goes on");
    // Another link brings one envelope a lane, and no more.
    world.puppet_up(|_| ());
    assert_eq!(send_all(&mut world, Lane::Routine), 1);
    // Its receipt does: by itself, and all of it.
    receipt_all(&mut world);
    assert!(!is_alarmed(&world, "too-many-refusals"), "{:?}", world.nodes[0].alarms());
    assert!(send_all(&mut world, Lane::Routine) >= 4);
    assert!(world.nodes[0].closed.is_empty(), "{:?}", world.nodes[0].closed);
}

/// Each has far more for the other than may wait for an answer there, so the refusals of each wait behind its own backlog. No receipt
/// ends that; people who answer do.
#[test]
fn i8_two_backlogs_that_wait_for_each_other_drain_as_people_answer() {
    let mut world = World::with(2, 0, &small());
    for place in [0, 1] {
        for _ in 0..150 {
            world.submit(place, notice(&world.id(1 - place), Lane::Routine));
        }
    }
    world.run();
    world.connect(0, 1);
    world.run();
    let undelivered = |world: &World, place: usize| {
        world.nodes[place].core.peer(&world.id(1 - place)).unwrap().durable.out[ROUTINE].undelivered()
    };
    assert!(undelivered(&world, 0) > 50 && undelivered(&world, 1) > 50, "both wait");
    for _ in 0..60 {
        for place in [0, 1] {
            answer_all(&mut world, place);
        }
        world.tick();
        world.run();
    }
    assert_eq!((undelivered(&world, 0), undelivered(&world, 1)), (0, 0));
    for node in &world.nodes {
        assert!(node.closed.is_empty(), "{}: {:?}", node.id, node.closed);
        assert!(!node.alarms().iter().any(|code| code.starts_with("too-many")), "{:?}", node.alarms());
    }
}

/// Everybody at a node answers what is open.
fn answer_all(world: &mut World, place: usize) {
    let other = world.id(1 - place);
    let lane = &world.nodes[place].core.peer(&other).unwrap().durable.inbound[ROUTINE];
    let open: Vec<(u64, Digest)> = lane.open.iter().map(|(place, open)| (*place, open.digest)).collect();
    for (seq, digest) in open {
        let id =
            EnvelopeId { from: other.clone(), to: world.id(place), lane: Lane::Routine, seq: Seq::new(seq).unwrap() };
        world.submit(place, answer(&(id, digest), "approved"));
    }
    world.run();
}

#[test]
fn i7_a_peer_with_too_many_unanswered_gets_no_recall_and_no_call_in_either() {
    let (mut world, _) = World::with_puppet_and(&Limits { unanswered_per_peer: 3, ..calm() });
    world.nodes[0].replays = false;
    let first = world.inject(world.forged(Lane::Routine));
    let mut recall = world.forged(Lane::Routine);
    recall.carry("recall", &from_json("recall", 1, json!({"reason": "wrong-recipient"})).unwrap().bytes);
    recall.header.references = named(ReferenceRole::RECALLS, &first);
    world.inject(recall);
    let second = world.inject(world.forged(Lane::Routine));
    assert_eq!(refused(&world, RefusalCode::TooManyUnanswered), 0, "a recall waits for an answer like any other");
    let mut recall = world.forged(Lane::Routine);
    recall.carry("recall", &from_json("recall", 1, json!({"reason": "wrong-recipient"})).unwrap().bytes);
    recall.header.references = named(ReferenceRole::RECALLS, &second);
    world.inject(recall);
    assert_eq!(refused(&world, RefusalCode::TooManyUnanswered), 1);
    for _ in 0..FLASH_RESERVE {
        world.inject(world.forged(Lane::Flash));
    }
    assert_eq!(refused(&world, RefusalCode::TooManyUnanswered), 1, "FLASH has room of its own");
    let mut call = world.forged(Lane::Flash);
    call.carry("hotline", &from_json("hotline", 1, json!({"subject": "a worm"})).unwrap().bytes);
    world.inject(call);
    assert_eq!(refused(&world, RefusalCode::TooManyUnanswered), 2, "and its end");
}

fn named<const MAX: usize>(role: ReferenceRole, message: &(EnvelopeId, Digest)) -> List<Reference, MAX> {
    let (envelope, digest) = message.clone();
    List::new(vec![Reference { role, envelope, digest }]).expect("one fits")
}

#[test]
fn i8_the_alarm_about_too_many_unanswered_outlasts_a_single_answer() {
    let (mut world, _) = World::with_puppet_and(&Limits { unanswered_per_peer: 16, ..calm() });
    let all: Vec<(EnvelopeId, Digest)> = (0..17).map(|_| world.inject(world.forged(Lane::Routine))).collect();
    let lasts = all.iter().take(3).map(|message| {
        world.submit(0, answer(message, "approved"));
        world.run();
        world.tick();
        is_alarmed(&world, "too-many-unanswered")
    });
    assert_eq!(lasts.collect::<Vec<_>>(), [true, true, false], "15, 14 and 13 wait");
}

/// The puppet says that it has lost what it sent: nothing new is signed for it.
fn lost_history(hello: &mut Hello) {
    (hello.sent, hello.incarnation) = (Marks::default(), Incarnation(999));
}

#[test]
fn i8_steps_of_the_ladder_leave_room_for_refusals() {
    let limits = Limits { refusals_per_peer: 10, ladder: Arc::new(ladder()), ..Limits::default() };
    let (mut world, _) = World::with_puppet_and(&limits);
    for _ in 0..12 {
        world.inject(world.forged(Lane::Routine));
    }
    world.advance(24 * 60 * MINUTE_MS);
    assert_eq!(words(&world), (0, 5), "half of the room");
    for _ in 0..5 {
        let mut poem = world.forged(Lane::Routine);
        poem.carry("poem", b"");
        world.inject(poem);
    }
    assert_eq!(words(&world), (5, 5));
    assert!(world.nodes[0].closed.is_empty(), "{:?}", world.nodes[0].closed);
    for told in [10, 12, 12] {
        receipt_all(&mut world);
        assert_eq!(words(&world), (5, told));
    }
}

#[test]
fn i7_a_receipt_brings_a_bounded_number_of_steps_that_had_to_wait() {
    let (mut world, _) = World::with_puppet_and(&Limits { ladder: Arc::new(ladder()), ..Limits::default() });
    world.nodes[0].replays = false;
    for _ in 0..600 {
        world.inject(world.forged(Lane::Routine));
    }
    world.puppet_up(lost_history);
    world.advance(24 * 60 * MINUTE_MS);
    assert_eq!(words(&world), (0, 0));
    // The places are known again after a start.
    world.restart(0);
    world.puppet_up(|_| ());
    for told in [256, 512, 600, 600] {
        assert_eq!(words(&world), (0, told));
        receipt_all(&mut world);
    }
}

#[test]
fn i7_a_blocked_lane_gets_no_more_credit_when_others_do() {
    let (mut world, link) = World::with_puppet_and(&small());
    for _ in 0..3 {
        let (peer, what) = (world.id(1), crate::pair::text("bits were flipped"));
        world.step(0, vec![Input::Unverifiable { peer, link, lane: Some(Lane::Routine), what }]);
        world.run();
    }
    world.puppet_up(|_| ());
    send_all(&mut world, Lane::Priority);
    world.puppet_up(|_| ());
    let allowed = |world: &World| (flow(world, Lane::Routine).promised, flow(world, Lane::Priority).promised);
    assert_eq!(allowed(&world), (1, 1), "for it would else never learn that the lane is blocked");
    receipt_all(&mut world);
    assert_eq!(allowed(&world), (1, 4));
}

/// Somebody who says that a hotline is over must mean that hotline: one of its case.
#[test]
fn i8_a_turn_of_another_case_ends_no_opening() {
    let (mut world, _) = World::with_puppet_and(&Limits { ladder: Arc::new(ladder()), ..Limits::default() });
    let body = from_json("hotline", 1, json!({"subject": "a worm"})).unwrap();
    let mut call = world.forged(Lane::Flash);
    call.carry("hotline", &body.bytes);
    let theirs = world.inject(call);
    let opening = crate::pair::submission(&[world.id(1)], Lane::Flash, "hotline", &body);
    for turn in [closing(&world, &theirs, 7), closing(&world, &theirs, 6)] {
        let before = known(&world).inbound[0].open.get(&theirs.0.seq.get()).is_some();
        assert!(before, "open until it is ended under its own case");
        let (mut turn, last) = (turn, known(&world).inbound[0].last.unwrap());
        (turn.header.seq, turn.header.previous) = (last.0.next(), last.1);
        world.inject(turn);
    }
    assert!(known(&world).inbound[0].open.get(&theirs.0.seq.get()).is_none());
    assert_eq!(known(&world).hotline.as_ref().unwrap().state, SessionState::Closed);
    let token = world.submit(0, opening);
    world.run();
    let ours = world.nodes[0].submitted(token)[0].clone();
    let case = known(&world).hotline.as_ref().unwrap().case;
    world.inject(closing(&world, &ours, case.0[0].wrapping_add(1)));
    assert!(is_waiting(&world, &ours.0), "nobody there means this one");
    let mut turn = closing(&world, &ours, 0);
    turn.header.case = case;
    world.inject(turn);
    assert!(!is_waiting(&world, &ours.0));
}

fn known(world: &World) -> &aldis_core::peer::Durable {
    &world.nodes[0].core.peer(&world.id(1)).unwrap().durable
}

fn is_waiting(world: &World, ours: &EnvelopeId) -> bool {
    let open = known(world).out[0].open.get(&ours.seq.get());
    open.is_some_and(|open| open.state < aldis_core::outbound::OutState::Closed)
}

fn closing(world: &World, opening: &(EnvelopeId, Digest), case: u8) -> crate::pair::Forged {
    let mut turn = world.forged(Lane::Flash);
    let at = UnixMillis::new(world.wall_ms);
    let summary = HotlineSummary { opened_at: at, closed_at: at, lines: [0; 2], reason: Code::known("ended") };
    turn.carry("hotline-line", &HotlineLine::body(&LinePart::Closed, crate::pair::text(""), Some(summary)));
    turn.header.case = CaseId([case; 16]);
    turn.header.references = named(ReferenceRole::RELATES, opening);
    turn
}

#[test]
fn i8_alarms_about_hellos_end_with_a_peer_that_is_put_aside() {
    for act in [Act::Suspend, Act::Revoke] {
        let (mut world, link) = World::with_puppet_and(&calm());
        let peer = world.id(1);
        let goodbye =
            Goodbye { code: GoodbyeCode::DOES_NOT_VERIFY, lane: None, text: crate::pair::text("other exporter") };
        world.step(0, vec![Input::Goodbye { peer: peer.clone(), link, goodbye }]);
        world.break_all();
        world.run();
        world.step(0, vec![Input::HelloNotTaken { peer }]);
        assert!(is_alarmed(&world, "own-hello-not-taken") && is_alarmed(&world, "peer-hello-not-taken"));
        // Other things than its key can be wrong with a Hello, so the alarm does not claim that it is the key.
        let texts: Vec<_> = world.nodes[0].core.alarms().map(|alarm| alarm.text.to_string()).collect();
        assert!(texts.iter().any(|text| text.ends_with("It says: other exporter")), "{texts:?}");
        world.order(0, act, 1);
        world.run();
        assert!(!world.nodes[0].alarms().iter().any(|code| code.contains("hello")), "{:?}", world.nodes[0].alarms());
    }
}
