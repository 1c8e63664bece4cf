//! The hotline: one conversation with a peer, which both ends see alike, whatever the link and the process do meanwhile.

use crate::ladder::{climbs, ladder};
use crate::pair::{Forged, World, answer, submission, text};
use aldis_core::effect::{Declined, Done, Happening};
use aldis_core::hotline::{DeskOrder, Session, SessionState, Turn};
use aldis_core::inbound::InState;
use aldis_core::input::{Input, Submission, Token};
use aldis_core::ladder::{Cause, Silence};
use aldis_core::limits::{Limits, TURNS_PER_HOUR};
use aldis_core::outbound::OutState;
use aldis_core::record::{Outcome, Record, RefusedAs};
use aldis_wire::codec::List;
use aldis_wire::digest::Digest;
use aldis_wire::header::{Reference, ReferenceRole};
use aldis_wire::ids::{CaseId, EnvelopeId, NodeId, Seq};
use aldis_wire::kinds::{HotlineLine, LinePart, RefusalCode, from_json};
use aldis_wire::lane::Lane;
use serde_json::json;
use std::sync::Arc;

fn world() -> World {
    let mut world = World::with(2, 0, &Limits { ladder: Arc::new(ladder()), ..Limits::default() });
    world.connect(0, 1);
    world.run();
    world
}

fn opening(to: &NodeId, case: u8) -> Submission {
    let body = from_json("hotline", 1, json!({"subject": "a worm"})).unwrap();
    let opening = submission(std::slice::from_ref(to), Lane::Flash, "hotline", &body);
    Submission { case: CaseId([case; 16]), ..opening }
}

/// A turn as the puppet signs it, about an opening of its own or ours.
fn forged_turn(world: &World, part: &LinePart, words: &str, opening: &(EnvelopeId, Digest)) -> Forged {
    let mut forged: Forged = world.forged(Lane::Flash);
    forged.carry("hotline-line", &HotlineLine::body(part, text(words), None));
    let (envelope, digest) = opening.clone();
    let names = Reference { role: ReferenceRole::RELATES, envelope, digest };
    forged.header.references = List::new(vec![names]).unwrap();
    forged
}

fn last_signed(world: &World) -> u64 {
    world.nodes[0].core.peer(&world.id(1)).unwrap().durable.out[0].last_seq()
}

fn id_of(forged: &Forged) -> EnvelopeId {
    let header = &forged.header;
    EnvelopeId { from: header.from.clone(), to: header.to.clone(), lane: header.lane, seq: header.seq }
}

fn forged_call(world: &World, case: u8) -> Forged {
    let mut call = world.forged(Lane::Flash);
    call.carry("hotline", &from_json("hotline", 1, json!({"subject": "a worm"})).unwrap().bytes);
    call.header.case = CaseId([case; 16]);
    call
}

/// Opens a hotline at `place` with the other of two nodes.
fn open(world: &mut World, place: usize) -> Token {
    let to = world.id(1 - place);
    world.submit(place, opening(&to, u8::try_from(place).unwrap() + 1))
}

fn turn(world: &mut World, place: usize, turn: Turn) -> Token {
    let token = world.token();
    let author = text(if place == 0 { "ana" } else { "rui" });
    let order = DeskOrder { peer: world.id(1 - place), turn, author, by: text("uid 7") };
    world.nodes[place].inbox.push_back(Input::Hotline { token, order: Box::new(order) });
    token
}

/// Rings at node 0, and says a line; declined if either was.
pub(crate) fn ring(world: &mut World) -> Result<(), Declined> {
    open(world, 0);
    world.run();
    let line = says(world, 0, "hello");
    match world.nodes[0].replies.get(&line).expect("an answer") {
        Ok(_) => Ok(()),
        Err(declined) => Err(declined.clone()),
    }
}

fn says(world: &mut World, place: usize, words: &str) -> Token {
    let case = session(world, place).case;
    says_in(world, place, case, words)
}

fn says_in(world: &mut World, place: usize, case: CaseId, words: &str) -> Token {
    let token = turn(world, place, Turn::Line(case, text(words)));
    world.run();
    token
}

fn session(world: &World, place: usize) -> Session {
    let other = world.id(1 - place);
    world.nodes[place].core.peer(&other).unwrap().durable.hotline.clone().expect("a session")
}

fn states(world: &World) -> [SessionState; 2] {
    [0, 1].map(|place| session(world, place).state)
}

/// How far the opening of node 0 is: there, and here.
fn opening_states(world: &World) -> (Option<InState>, Option<OutState>) {
    let opening = session(world, 0).opening;
    let [ours, theirs] = [0, 1].map(|place| &world.nodes[place].core.peer(&world.id(1 - place)).unwrap().durable);
    let open_in = theirs.inbound[0].open.get(&opening.seq.get()).map(|open| open.state);
    (open_in, ours.out[0].open.get(&opening.seq.get()).map(|open| open.state))
}

fn picked_up() -> World {
    let mut world = world();
    open(&mut world, 0);
    world.run();
    turn(&mut world, 1, Turn::Join);
    world.run();
    world
}

#[test]
fn a_conversation_rings_is_picked_up_and_ends_at_both_ends() {
    let mut world = world();
    open(&mut world, 0);
    world.run();
    assert_eq!(states(&world), [SessionState::Ringing; 2]);
    let token = turn(&mut world, 1, Turn::Join);
    world.run();
    assert_eq!(world.nodes[1].submitted(token).len(), 2, "an acknowledgement, and who came");
    assert_eq!(states(&world), [SessionState::Open; 2]);
    assert_eq!(opening_states(&world), (Some(InState::Acknowledged), Some(OutState::Acknowledged)));
    says(&mut world, 0, "do you see it?");
    says(&mut world, 1, "yes");
    let there = world.nodes[1].core.peer(&world.id(0)).unwrap().durable.inbound[0].last_seq();
    turn(&mut world, 1, Turn::Read(there));
    world.run();
    let [ana, rui] = [0, 1].map(|place| session(&world, place));
    assert_eq!((ana.lines, rui.lines), ([1, 1], [1, 1]));
    assert_eq!((ana.read_there, rui.read_here), (there, there));
    assert_eq!((&ana.here, &ana.there), (&rui.there, &rui.here));
    assert_eq!((ana.here.len(), ana.there.len()), (1, 1));
    turn(&mut world, 0, Turn::Close);
    world.run();
    assert_eq!(states(&world), [SessionState::Closed; 2]);
    assert_eq!(opening_states(&world), (None, None));
    let late = says(&mut world, 1, "too late");
    assert!(matches!(world.nodes[1].declined(late), Declined::NoHotline(_)));
}

#[test]
fn i12_a_line_is_said_in_the_conversation_it_was_typed_for_and_in_no_other() {
    let mut world = picked_up();
    let typed_for = session(&world, 0).case;
    turn(&mut world, 0, Turn::Close);
    world.run();
    let to = world.id(1);
    let exercise = Submission { exercise: Some(text("BLUE")), ..opening(&to, 9) };
    world.submit(0, exercise);
    world.run();
    let there = session(&world, 0).case;
    let late = says_in(&mut world, 0, typed_for, "meant for the real one");
    assert_eq!(world.nodes[0].declined(late), Declined::OtherHotline { peer: to, there });
    assert_eq!(session(&world, 0).lines, [0, 0]);
    let now = says(&mut world, 0, "meant for the exercise");
    assert_eq!(world.nodes[0].submitted(now).len(), 1);
}

#[test]
fn i8_a_call_that_nobody_takes_climbs_and_goes_on_climbing_when_the_caller_hangs_up() {
    let mut world = world();
    open(&mut world, 0);
    world.run();
    world.advance(61_000);
    let first = climbs(&world, 1);
    let last = first.last().unwrap();
    assert_eq!((last.silence, last.cause, last.step), (Silence::Received, Cause::Unacknowledged, 1));
    turn(&mut world, 0, Turn::Close);
    world.run();
    assert_eq!(states(&world), [SessionState::Closed; 2]);
    world.advance(301_000);
    assert!(climbs(&world, 1).len() > first.len(), "a call that nobody took is forgotten");
    let opening = (session(&world, 0).opening, session(&world, 0).digest);
    world.submit(1, answer(&opening, "approved"));
    world.run();
    assert_eq!((opening_states(&world), states(&world)), ((None, None), [SessionState::Closed; 2]));
}

#[test]
fn picking_up_ends_the_ladder_however_long_they_talk() {
    let mut world = picked_up();
    let before = [0, 1].map(|place| climbs(&world, place).len());
    for _ in 0..20 {
        world.advance(30 * 60_000);
    }
    assert_eq!([0, 1].map(|place| climbs(&world, place).len()), before);
    assert_eq!(states(&world), [SessionState::Open; 2]);
}

#[test]
fn when_both_open_at_once_the_one_of_the_first_id_stays() {
    for link_first in [true, false] {
        let mut world = world();
        if !link_first {
            world.break_all();
        }
        open(&mut world, 0);
        open(&mut world, 1);
        world.run();
        if !link_first {
            world.connect(0, 1);
            world.run();
        }
        let [ana, rui] = [0, 1].map(|place| session(&world, place));
        assert_eq!((ana.case, rui.case), (CaseId([1; 16]), CaseId([1; 16])));
        assert_eq!(states(&world), [SessionState::Ringing; 2]);
        let lost: Vec<Outcome> = received(&world, 0).into_iter().map(|(_, outcome)| outcome).collect();
        assert_eq!(lost[0], Outcome::Refused(RefusedAs(RefusalCode::Crossed)), "the other opening is refused by code");
        turn(&mut world, 1, Turn::Join);
        world.run();
        assert_eq!(states(&world), [SessionState::Open; 2]);
        let rest = [0, 1].map(|place| {
            let durable = &world.nodes[place].core.peer(&world.id(1 - place)).unwrap().durable;
            durable.out[0].open.len() + durable.inbound[0].open.len()
        });
        assert_eq!(rest, [1, 1], "only the opening that stays is open");
    }
}

/// What a node received: kind, and what became of it.
fn received(world: &World, place: usize) -> Vec<(String, Outcome)> {
    let records = world.nodes[place].records().iter().filter_map(|record| match record {
        Record::Received(received) => Some((received.header.kind.to_string(), received.outcome)),
        _ => None,
    });
    records.collect()
}

#[test]
fn a_conversation_outlives_links_and_restarts_and_lines_come_once_and_in_order() {
    let mut world = picked_up();
    for place in [0, 1] {
        says(&mut world, place, "before");
        world.break_all();
        world.run();
        for number in 0..5 {
            says(&mut world, place, &format!("cut {number}"));
        }
        world.restart(place);
        world.restart(1 - place);
        world.connect(0, 1);
        world.run();
        assert_eq!(states(&world), [SessionState::Open; 2]);
    }
    let [ana, rui] = [0, 1].map(|place| session(&world, place));
    assert_eq!((ana.lines, rui.lines), ([6, 6], [6, 6]));
    for place in [0, 1] {
        let lines = received(&world, place).into_iter().filter(|(kind, _)| kind == "hotline-line");
        assert!(lines.clone().all(|(_, outcome)| outcome == Outcome::Accepted));
    }
}

#[test]
fn nobody_opens_a_second_hotline_or_writes_where_none_is_open() {
    let mut world = world();
    let none = says_in(&mut world, 0, CaseId([1; 16]), "hello?");
    assert!(matches!(world.nodes[0].declined(none), Declined::NoHotline(_)));
    open(&mut world, 0);
    world.run();
    for place in [0, 1] {
        let second = open(&mut world, place);
        world.run();
        assert!(matches!(world.nodes[place].declined(second), Declined::HotlineAlive(_)));
    }
    let unpicked = says(&mut world, 1, "before picking up");
    assert!(matches!(world.nodes[1].declined(unpicked), Declined::NoHotline(_)));
    let early = says(&mut world, 0, "while it rings");
    assert_eq!(world.nodes[0].submitted(early).len(), 1);
    let routine = Submission { lane: Lane::Routine, ..opening(&world.id(1), 9) };
    let routine = world.submit(0, routine);
    world.run();
    assert!(matches!(world.nodes[0].declined(routine), Declined::Message(_)));
    let nothing = turn(&mut world, 0, Turn::Read(9_999));
    world.run();
    assert_eq!(world.nodes[0].replies.get(&nothing), Some(&Ok(Done::Submitted(Vec::new()))), "nobody was shown that");
}

#[test]
fn i10_a_peers_line_without_a_session_is_stored_and_refused_and_its_other_words_are_kept() {
    let (mut world, _) = World::with_puppet();
    world.allow(100);
    let nothing = (id_of(&world.forged(Lane::Flash)), Digest::of(&[b"never"]));
    let forged = |world: &World, part: LinePart, opening: &(EnvelopeId, Digest)| {
        let words = if part == LinePart::Line { "psst" } else { "" };
        forged_turn(world, &part, words, opening)
    };
    let outcome = |world: &mut World, forged: Forged| {
        world.inject(forged);
        received(world, 0).pop().unwrap().1
    };
    let refused = |code| Outcome::Refused(RefusedAs(code));
    let line = forged(&world, LinePart::Line, &nothing);
    assert_eq!(outcome(&mut world, line), refused(RefusalCode::NoSession));
    for part in [LinePart::Joined, LinePart::Left, LinePart::Read(u64::MAX >> 1)] {
        let part = forged(&world, part, &nothing);
        assert_eq!(outcome(&mut world, part), Outcome::Unmatched);
    }
    let mut slow = forged_call(&world, 6);
    (slow.header.lane, slow.header.seq, slow.header.previous) = (Lane::Routine, Seq::FIRST, Digest::ZERO);
    assert_eq!(outcome(&mut world, slow), refused(RefusalCode::MalformedBody), "a hotline is FLASH, or none");
    let call = forged_call(&world, 6);
    assert_eq!(outcome(&mut world, call), Outcome::Accepted);
    let opening = (session(&world, 0).opening, session(&world, 0).digest);
    let line = forged(&world, LinePart::Line, &opening);
    assert_eq!(outcome(&mut world, line), Outcome::Accepted, "who rings may write");
    let mut exercise = forged(&world, LinePart::Line, &opening);
    exercise.header.exercise = Some(text("BLUE"));
    assert_eq!(outcome(&mut world, exercise), refused(RefusalCode::ExerciseMismatch));
    let mut other = forged(&world, LinePart::Line, &opening);
    other.header.case = CaseId([99; 16]);
    assert_eq!(outcome(&mut world, other), refused(RefusalCode::NoSession));
    let mut left = forged(&world, LinePart::Left, &(opening.0.clone(), nothing.1));
    left.header.author = session(&world, 0).there[0].clone();
    assert_eq!(outcome(&mut world, left), Outcome::Unmatched, "it names another opening");
    assert_eq!(session(&world, 0).there.len(), 1);
    let read = forged(&world, LinePart::Read(1_000_000), &opening);
    outcome(&mut world, read);
    assert_eq!(session(&world, 0).read_there, last_signed(&world), "what was not signed yet cannot have been read");
}

#[test]
fn i7_a_peer_says_only_so_much_in_an_hour_whatever_it_says() {
    let (mut world, _) = World::with_puppet_and(&Limits { receipt_wait_ms: u64::MAX / 4, ..Limits::default() });
    world.allow(1_000_000);
    let call = forged_call(&world, 6);
    world.inject(call);
    let opening = (session(&world, 0).opening, session(&world, 0).digest);
    let mut outcomes = Vec::new();
    for number in 0..TURNS_PER_HOUR + 2 {
        let part = if number % 2 == 0 { LinePart::Line } else { LinePart::Read(u64::from(number)) };
        let turn = forged_turn(&world, &part, if number % 2 == 0 { "again" } else { "" }, &opening);
        world.inject(turn);
        if number >= TURNS_PER_HOUR - 1 {
            outcomes.push(received(&world, 0).pop().unwrap().1);
        }
    }
    let over = Outcome::refused(RefusalCode::OverRate);
    assert_eq!(outcomes, [Outcome::Accepted, over, over]);
    world.advance(3_600_000);
    let line = forged_turn(&world, &LinePart::Line, "still here", &opening);
    world.inject(line);
    assert_eq!(received(&world, 0).pop().unwrap().1, Outcome::Accepted);
}

#[test]
fn i8_a_call_that_takes_the_place_of_another_leaves_no_alarm_about_that_one() {
    let mut limits = Limits { ladder: Arc::new(ladder()), ..Limits::default() };
    limits.receipt_wait_ms = u64::MAX / 4;
    let (mut world, _) = World::with_puppet_and(&limits);
    world.allow(100);
    let first = forged_call(&world, 1);
    world.inject(first);
    world.advance(10 * 60_000);
    let alarms = |world: &World| world.nodes[0].all_alarms();
    assert!(alarms(&world).iter().any(|alarm| alarm == "unanswered-here"), "{:?}", alarms(&world));
    let second = forged_call(&world, 2);
    world.inject(second);
    assert!(!alarms(&world).iter().any(|alarm| alarm == "unanswered-here"), "{:?}", alarms(&world));
}

#[test]
fn i7_a_peer_that_rings_again_and_again_has_one_session_and_few_names() {
    let (mut world, _) = World::with_puppet();
    world.allow(1_000);
    for number in 0..40_u8 {
        let mut call = world.forged(Lane::Flash);
        call.carry("hotline", &from_json("hotline", 1, json!({"subject": "again"})).unwrap().bytes);
        call.header.case = CaseId([number; 16]);
        world.inject(call);
        let opening = (session(&world, 0).opening, session(&world, 0).digest);
        let mut joined = forged_turn(&world, &LinePart::Joined, "", &opening);
        joined.header.case = session(&world, 0).case;
        joined.header.author = text(&format!("name {number}"));
        world.inject(joined);
    }
    for number in 0..40 {
        let opening = (session(&world, 0).opening, session(&world, 0).digest);
        let mut joined = forged_turn(&world, &LinePart::Joined, "", &opening);
        joined.header.case = session(&world, 0).case;
        joined.header.author = text(&format!("name {number}"));
        world.inject(joined);
    }
    let there = &session(&world, 0).there;
    assert_eq!(there.len(), aldis_core::hotline::AT_DESK_MAX, "{there:?}");
    let open = world.nodes[0].core.peer(&world.id(1)).unwrap().durable.inbound[0].open.len();
    assert_eq!(open, 1, "each call takes the place of the one before");
}

#[test]
fn a_refused_call_is_over_and_a_declined_one_too() {
    let mut world = world();
    open(&mut world, 0);
    world.run();
    let opening: (EnvelopeId, Digest) = (session(&world, 0).opening, session(&world, 0).digest);
    world.submit(1, answer(&opening, "denied"));
    world.run();
    assert_eq!(states(&world), [SessionState::Closed; 2]);
}

#[test]
fn i12_no_exercise_takes_the_place_of_a_real_conversation_whoever_sorts_first() {
    for exercising in [0, 1] {
        let mut world = world();
        let (exercise_to, real_to) = (world.id(1 - exercising), world.id(exercising));
        world.submit(exercising, Submission { exercise: Some(text("BLUE")), ..opening(&exercise_to, 8) });
        world.submit(1 - exercising, opening(&real_to, 9));
        world.run();
        for place in [0, 1] {
            let session = session(&world, place);
            assert_eq!((session.case, session.exercise), (CaseId([9; 16]), None), "at {place}");
        }
    }
    let (mut world, _) = World::with_puppet();
    world.allow(100);
    let call = |world: &World, exercise: Option<&str>, case: u8| {
        let mut call = world.forged(Lane::Flash);
        call.carry("hotline", &from_json("hotline", 1, json!({"subject": "a worm"})).unwrap().bytes);
        (call.header.exercise, call.header.case) = (exercise.map(text), CaseId([case; 16]));
        call
    };
    let real = call(&world, None, 1);
    world.inject(real);
    let exercise = call(&world, Some("BLUE"), 2);
    world.inject(exercise);
    assert_eq!(session(&world, 0).case, CaseId([1; 16]));
    assert_eq!(received(&world, 0).pop().unwrap().1, Outcome::Refused(RefusedAs(RefusalCode::Crossed)));
}

#[test]
fn somebody_who_acknowledges_by_the_usual_command_has_picked_up() {
    let mut world = world();
    open(&mut world, 0);
    world.run();
    let opening: (EnvelopeId, Digest) = (session(&world, 0).opening, session(&world, 0).digest);
    world.submit(1, answer(&opening, "acknowledged"));
    world.run();
    assert_eq!(states(&world), [SessionState::Open; 2]);
    let told = |place: usize| {
        let told = &world.nodes[place].told;
        told.iter().any(|happening| matches!(happening, Happening::Hotline(_, SessionState::Open, ..)))
    };
    assert!(told(0) && told(1), "both are told");
}
