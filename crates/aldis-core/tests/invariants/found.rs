//! What the simulation of many cores has found, each as a test of its own: calls that cross, queues that are full at both
//! ends, steps of the ladder while a peer is put aside, copies of a disk from before a change of keys.

use crate::ladder::ladder;
use crate::pair::{Channels, World, answer, notice, submission, text};
use crate::rotation::{accept, linked, own_card, rotate, send, settle};
use aldis_core::effect::{Done, Happening};
use aldis_core::hotline::{DeskOrder, SessionState, Turn};
use aldis_core::inbound::InState;
use aldis_core::input::Input;
use aldis_core::limits::Limits;
use aldis_core::outbound::OutState;
use aldis_core::record::{Record, Standing};
use aldis_core::trust::Act;
use aldis_wire::card::VerifiedCard;
use aldis_wire::codes::Desk;
use aldis_wire::digest::Digest;
use aldis_wire::frame::GoodbyeCode;
use aldis_wire::hello::Hello;
use aldis_wire::ids::{CaseId, EnvelopeId, Incarnation};
use aldis_wire::kinds::{Bearing, from_json};
use aldis_wire::lane::{Lane, Marks};
use serde_json::json;
use std::sync::Arc;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

/// Two nodes that are linked; of two calls that cross, that of node 0 stays.
fn world() -> World {
    let mut world = World::with(2, 0, &Limits { ladder: Arc::new(ladder()), ..Limits::default() });
    world.connect(0, 1);
    world.run();
    world
}

fn call(world: &mut World, place: usize, case: u8) -> EnvelopeId {
    let body = from_json("hotline", 1, json!({"subject": "a worm"})).unwrap();
    let mut opening = submission(&[world.id(1 - place)], Lane::Flash, "hotline", &body);
    opening.case = CaseId([case; 16]);
    let token = world.submit(place, opening);
    world.run();
    world.nodes[place].submitted(token)[0].0.clone()
}

fn turn(world: &mut World, place: usize, turn: Turn) {
    let token = world.token();
    let order = DeskOrder { peer: world.id(1 - place), turn, author: text("ana"), by: text("uid 7") };
    world.nodes[place].inbox.push_back(Input::Hotline { token, order: Box::new(order) });
    world.run();
    assert!(world.nodes[place].replies[&token].is_ok(), "{:?}", world.nodes[place].replies[&token]);
}

/// What is on its way from one node to the other waits, or arrives.
fn hold(world: &mut World, from: usize, held: bool) {
    let way = (from, 1 - from);
    if held {
        world.network.held.insert(way);
    } else {
        world.network.held.remove(&way);
    }
    world.run();
}

/// How far an opening is: at who opened it, and at the other.
fn ends(world: &World, opening: &EnvelopeId) -> (Option<OutState>, Option<InState>) {
    let (from, to) = (world.place(&opening.from), world.place(&opening.to));
    let known = |place: usize, id| &world.nodes[place].core.peer(id).unwrap().durable;
    let seq = opening.seq.get();
    let out = known(from, &opening.to).out[0].open.get(&seq).map(|open| open.state);
    (out, known(to, &opening.from).inbound[0].open.get(&seq).map(|open| open.state))
}

/// Node 1 has given way, and what it gave way to was over already.
#[test]
fn i8_a_call_that_gives_way_to_one_that_is_over_ends_at_both_ends() {
    for says in [None, Some("pending"), Some("acknowledged")] {
        let mut world = world();
        hold(&mut world, 0, true);
        let first = call(&mut world, 0, 1);
        turn(&mut world, 0, Turn::Close);
        let second = call(&mut world, 1, 2);
        assert_eq!(ends(&world, &second).1, Some(InState::Notified), "it rings where nobody calls any more");
        if let Some(state) = says {
            let digest = world.nodes[1].core.peer(&world.id(0)).unwrap().durable.out[0].digest_at(second.seq).unwrap();
            world.submit(0, answer(&(second.clone(), digest), state));
            world.run();
        }
        hold(&mut world, 0, false);
        assert_eq!(ends(&world, &second), (None, None), "{says:?}: one end waits for an answer alone");
        assert_eq!(ends(&world, &first), (Some(OutState::Notified), Some(InState::Notified)), "nobody picked it up");
    }
}

#[test]
fn i8_a_call_that_gives_way_ends_at_both_ends_though_another_is_there_by_then() {
    let mut world = world();
    hold(&mut world, 0, true);
    call(&mut world, 0, 1);
    turn(&mut world, 0, Turn::Close);
    let second = call(&mut world, 1, 2);
    turn(&mut world, 0, Turn::Close);
    let third = call(&mut world, 0, 3);
    hold(&mut world, 0, false);
    assert_eq!(ends(&world, &second), (None, None));
    assert_eq!(ends(&world, &third), (Some(OutState::Notified), Some(InState::Notified)));
}

#[test]
fn i8_a_call_that_is_picked_up_while_its_caller_hangs_up_is_as_far_at_both_ends() {
    for ended_there in [false, true] {
        let mut world = world();
        let opening = call(&mut world, 0, 1);
        hold(&mut world, 0, true);
        hold(&mut world, 1, true);
        turn(&mut world, 0, Turn::Close);
        turn(&mut world, 1, Turn::Join);
        if ended_there {
            turn(&mut world, 1, Turn::Close);
        }
        hold(&mut world, 0, false);
        hold(&mut world, 1, false);
        let expected = match ended_there {
            true => (None, None),
            false => (Some(OutState::Acknowledged), Some(InState::Acknowledged)),
        };
        assert_eq!(ends(&world, &opening), expected);
    }
}

/// Thirty-one days later the word that a conversation is over would have expired.
#[test]
fn i8_the_end_of_a_conversation_is_never_too_late() {
    let mut world = world();
    let opening = call(&mut world, 0, 1);
    turn(&mut world, 1, Turn::Join);
    world.break_all();
    world.run();
    turn(&mut world, 0, Turn::Close);
    world.advance(31 * DAY_MS);
    world.connect(0, 1);
    world.run();
    assert_eq!(ends(&world, &opening), (None, None));
    let there = world.nodes[1].core.peer(&world.id(0)).unwrap().durable.hotline.clone().unwrap();
    assert_eq!(there.state, SessionState::Closed);
}

/// Each has more open than both its limits together, and something the other must refuse.
#[test]
fn i7_two_nodes_with_full_queues_do_not_keep_each_other_from_refusing() {
    let limits = Limits { open_per_peer: 5, refusals_per_peer: 10, ..Limits::default() };
    let mut world = World::with(2, 0, &limits);
    for place in [0, 1] {
        for number in 0..20 {
            let mut letter = notice(&world.id(1 - place), Lane::Flash);
            if number < 8 {
                letter.desk = Desk(50);
            }
            world.submit(place, letter);
        }
    }
    world.run();
    for _ in 0..4 {
        world.connect(0, 1);
        world.run();
    }
    for place in [0, 1] {
        let durable = &world.nodes[place].core.peer(&world.id(1 - place)).unwrap().durable;
        let (out, inbound) = (&durable.out[0], &durable.inbound[0]);
        assert_eq!(out.undelivered(), 0, "node {place} does not get rid of its queue");
        assert_eq!((out.open.len(), inbound.open.len()), (12, 12), "all but the eight that were refused");
    }
}

fn told(world: &World) -> Vec<(String, u8, u16)> {
    let told = world.nodes[0].told.iter().filter_map(|happening| match happening {
        Happening::StepTold(_, told) => Some((told.cause.to_string(), told.step, told.reached)),
        _ => None,
    });
    told.collect()
}

/// Node 1 suspends node 0 while an alert is on its way to its people, and lets it in again.
#[test]
fn i8_a_step_taken_while_a_peer_is_put_aside_is_told_when_it_comes_back() {
    for restarts in [false, true] {
        let mut world = world();
        let sent = accepted(&mut world, Lane::Routine);
        world.nodes[1].channels = Channels::Hang;
        world.advance(61 * MINUTE_MS);
        assert_eq!(told(&world), [], "nobody knows yet whom the alert has reached");
        world.order(1, Act::Suspend, 0);
        world.run();
        world.advance(5 * MINUTE_MS);
        assert_eq!(states(&world, &sent), (Some(OutState::Acknowledged), Some(InState::Seen)), "open again here alone");
        if restarts {
            world.restart(1);
        }
        world.order(1, Act::Resume, 0);
        world.run();
        world.approve_all(1);
        world.connect(0, 1);
        world.run();
        assert_eq!(told(&world), [("unattended".to_owned(), 1, 0)], "restarts: {restarts}");
        assert_eq!(states(&world, &sent), (Some(OutState::Seen), Some(InState::Seen)));
        // It is told once.
        world.order(1, Act::Suspend, 0);
        world.run();
        world.order(1, Act::Resume, 0);
        world.run();
        world.approve_all(1);
        world.connect(0, 1);
        world.run();
        assert_eq!(told(&world).len(), 1);
    }
}

/// The word that a case is open again waits longer than such words are good for.
#[test]
fn i8_that_a_case_is_open_again_is_never_too_late() {
    let mut world = world();
    let sent = accepted(&mut world, Lane::Routine);
    world.break_all();
    world.run();
    world.advance(61 * MINUTE_MS);
    assert_eq!(states(&world, &sent).1, Some(InState::Seen));
    world.advance(31 * DAY_MS);
    world.connect(0, 1);
    world.run();
    assert_eq!(states(&world, &sent), (Some(OutState::Seen), Some(InState::Seen)));
}

/// A notice of node 0 that somebody at node 1 has acknowledged.
fn accepted(world: &mut World, lane: Lane) -> (EnvelopeId, Digest) {
    let token = world.submit(0, notice(&world.id(1), lane));
    world.run();
    let sent = world.nodes[0].submitted(token)[0].clone();
    world.submit(1, answer(&sent, "acknowledged"));
    world.run();
    sent
}

fn states(world: &World, (id, _): &(EnvelopeId, Digest)) -> (Option<OutState>, Option<InState>) {
    let known = |place: usize, id| &world.nodes[place].core.peer(id).unwrap().durable;
    let (lane, seq) = (id.lane.index(), id.seq.get());
    let out = known(0, &id.to).out[lane].open.get(&seq).map(|open| open.state);
    (out, known(1, &id.from).inbound[lane].open.get(&seq).map(|open| open.state))
}

/// What stands on the disk of a node is from before node 0 changed its key, with the key file of then or of now.
#[test]
fn i9_a_copy_from_before_a_change_of_keys_is_an_alarm_at_both_ends() {
    for (older, with_keys) in [(0, false), (0, true), (1, false)] {
        let mut world = linked();
        send(&mut world, 0, Lane::Routine);
        let (copy, old_card) = (world.nodes[older].journal.len(), world.nodes[0].card.clone());
        let card = rotate(&mut world, 0);
        accept(&mut world, 1, 0);
        settle(&mut world);
        send(&mut world, 0, Lane::Flash);
        assert_eq!(world.nodes[1].core.peer(&world.id(0)).unwrap().card().key().id(), world.nodes[0].key.id());
        world.crash(older);
        world.run();
        world.nodes[older].roll_back(copy);
        if with_keys {
            world.nodes[0].lose_newest_key(old_card);
        }
        world.restart(older);
        own_card(&mut world, older);
        settle(&mut world);
        // The peer's Hello tells a node that has its newest key that this one is known there.
        let by_itself = older == 0 && !with_keys;
        if !by_itself {
            for (place, code) in [(0, "own-hello-not-taken"), (1, "peer-hello-not-taken")] {
                let alarms = world.nodes[place].alarms();
                assert!(alarms.contains(&code.to_owned()), "older: {older}, node {place}: {alarms:?}");
            }
        }
        if older == 1 {
            take_by_hand(&mut world, &card);
        }
        if !with_keys {
            assert_compared(&world, older);
        }
    }
}

/// Whoever does not know the key takes it by hand.
fn take_by_hand(world: &mut World, card: &VerifiedCard) {
    let token = world.token();
    let card = Box::new(card.clone());
    world.nodes[1].inbox.push_back(Input::AddPeer { token, card, by: text("admin") });
    world.run();
    assert!(matches!(world.nodes[1].replies[&token], Ok(Done::KeyOffered(_))));
    accept(world, 1, 0);
    settle(world);
}

/// The records speak, and nothing is said of Hellos any more.
fn assert_compared(world: &World, older: usize) {
    let standing = |place: usize| world.nodes[place].core.peer(&world.id(1 - place)).unwrap().durable.standing;
    assert_eq!(standing(older), Standing::WeLostHistory);
    assert_eq!(standing(1 - older), Standing::PeerLostHistory);
    for node in &world.nodes {
        assert!(!node.alarms().iter().any(|code| code.contains("hello")), "{}: {:?}", node.id, node.alarms());
    }
}

/// A Hello that is late was signed with the key before, and the link of now goes on.
#[test]
fn a_late_hello_with_the_key_before_is_no_alarm_while_a_link_is_up() {
    let mut world = linked();
    let [late, _] = world.hellos(0, 1);
    rotate(&mut world, 0);
    accept(&mut world, 1, 0);
    settle(&mut world);
    let link = world.open_wire(0, 1);
    world.link_up_at(1, 0, link, late);
    world.run();
    assert!(world.nodes[1].closed.contains(&(link, GoodbyeCode::DOES_NOT_VERIFY)));
    assert!(world.nodes[1].alarms().is_empty(), "{:?}", world.nodes[1].alarms());
}

/// The puppet says that it has lost what it sent: nothing new is signed for it.
fn lost_history(hello: &mut Hello) {
    (hello.sent, hello.incarnation) = (Marks::default(), Incarnation(999));
}

fn standing(world: &World) -> Standing {
    world.nodes[0].core.peer(&world.id(1)).unwrap().durable.standing
}

/// What node 0 has told the puppet of its ladder.
fn steps(world: &World) -> Vec<(String, u8)> {
    let steps = world.nodes[0].records().iter().filter_map(|record| match record {
        Record::Sent(sent) => match sent.draft.bearing.get() {
            Bearing::Step(told) => Some((told.cause.to_string(), told.step)),
            _ => None,
        },
        _ => None,
    });
    steps.collect()
}

#[test]
fn i8_steps_taken_while_the_records_disagree_are_told_in_one_word_once_they_agree() {
    let (mut world, _) = World::with_puppet_and(&Limits { ladder: Arc::new(ladder()), ..Limits::default() });
    let sent = world.inject(world.forged(Lane::Routine));
    world.submit(0, answer(&sent, "acknowledged"));
    world.run();
    world.puppet_up(lost_history);
    assert_eq!(standing(&world), Standing::PeerLostHistory);
    world.advance(61 * MINUTE_MS);
    world.advance(6 * MINUTE_MS);
    assert_eq!(steps(&world), [], "nothing new is signed");
    world.puppet_up(|_| ());
    assert_eq!(standing(&world), Standing::Good);
    assert_eq!(
        steps(&world),
        [("unattended".to_owned(), 2)],
        "that the case is open again is news after the next step too"
    );
}

/// A real call takes the place of an exercise of ours while nothing may be signed: ours goes on waiting at both ends, or
/// is refused there.
#[test]
fn i9_a_call_that_gives_way_while_the_records_disagree_signs_nothing_and_waits() {
    let (mut world, _) = World::with_puppet_and(&Limits { ladder: Arc::new(ladder()), ..Limits::default() });
    world.inject(world.forged(Lane::Routine));
    let body = from_json("hotline", 1, json!({"subject": "a worm"})).unwrap();
    let mut opening = submission(&[world.id(1)], Lane::Flash, "hotline", &body);
    opening.exercise = Some(text("exercise north"));
    let token = world.submit(0, opening);
    world.run();
    let ours = world.nodes[0].submitted(token)[0].0.clone();
    world.puppet_up(lost_history);
    let mut call = world.forged(Lane::Flash);
    call.carry("hotline", &body.bytes);
    let (theirs, _) = world.inject(call);
    let durable = &world.nodes[0].core.peer(&world.id(1)).unwrap().durable;
    assert_eq!(durable.hotline.as_ref().unwrap().opening, theirs, "theirs is real and stays");
    assert_eq!(durable.out[0].last_seq(), ours.seq.get(), "nothing new is signed");
    assert_eq!(durable.out[0].open.get(&ours.seq.get()).unwrap().state, OutState::Submitted);
}
