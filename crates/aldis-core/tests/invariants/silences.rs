//! What the core says about silences when it is asked: it must be what it then does.

use crate::ladder::ladder;
use crate::pair::{World, answer, notice, text};
use aldis_core::ladder::{Cause, Silence};
use aldis_core::limits::Limits;
use aldis_core::{Climbing, OnLadder};
use aldis_wire::digest::Digest;
use aldis_wire::ids::EnvelopeId;
use aldis_wire::lane::Lane;
use std::sync::Arc;

const MINUTE_MS: u64 = 60_000;

fn world() -> World {
    let mut world = World::with(2, 0, &Limits { ladder: Arc::new(ladder()), ..Limits::default() });
    world.connect(0, 1);
    world.run();
    world
}

fn send(world: &mut World, exercise: Option<&str>) -> (EnvelopeId, Digest) {
    let mut submission = notice(&world.id(1), Lane::Priority);
    submission.exercise = exercise.map(text);
    let token = world.submit(0, submission);
    world.run();
    world.nodes[0].submitted(token)[0].clone()
}

fn stands(world: &World, place: usize, id: &EnvelopeId) -> OnLadder {
    world.nodes[place].core.on_ladder(id).expect("somebody waits for something")
}

/// Silence, steps taken, and of the next step its number, cause and time.
fn shown(stands: &OnLadder) -> (Silence, u8, Option<(u8, Cause, u64)>) {
    let next = stands.next.as_ref().map(|next| (next.step, next.cause, next.due_ms));
    (stands.silence, stands.step, next)
}

#[test]
fn i8_what_is_said_to_come_next_comes_then() {
    let mut world = world();
    let (id, _) = send(&mut world, None);
    for taken in 0..3 {
        let before = stands(&world, 1, &id);
        let next = before.next.clone().expect("another step follows");
        assert_eq!((before.step, before.of, next.step, next.cause), (taken, 3, taken + 1, Cause::Unacknowledged));
        let wait_ms = next.due_ms - world.monotonic_ms;
        world.advance(wait_ms - 1);
        assert_eq!(stands(&world, 1, &id).step, taken);
        world.advance(1);
        let after = stands(&world, 1, &id);
        assert_eq!((after.step, after.name), (taken + 1, Some(next.name)));
    }
    assert_eq!(shown(&stands(&world, 1, &id)), (Silence::Received, 3, None), "the last step says so");
}

#[test]
fn a_message_that_is_not_delivered_waits_for_its_receipt_and_then_for_an_answer() {
    let mut world = world();
    let delivered = send(&mut world, None).0;
    world.break_all();
    world.run();
    let waiting = send(&mut world, None).0;
    let silence = |world: &World, id: &EnvelopeId| stands(world, 0, id).silence;
    assert_eq!((silence(&world, &delivered), silence(&world, &waiting)), (Silence::Sent, Silence::Undelivered));
    world.advance(MINUTE_MS);
    assert_eq!((stands(&world, 0, &waiting).step, stands(&world, 0, &delivered).step), (1, 0));
}

#[test]
fn i12_silences_are_counted_by_peer_and_exercises_apart() {
    let mut world = world();
    let sent = [None, None, Some("BLUE"), Some("GREEN")].map(|exercise| send(&mut world, exercise));
    assert_eq!(world.nodes[1].core.climbing(), [], "all is in time");
    let ids = [world.id(0), world.id(1)];
    assert_eq!(world.nodes[1].core.exercises(&ids[0]), (2, 0));
    assert_eq!(world.nodes[0].core.exercises(&ids[1]), (0, 0), "all of it is delivered");
    world.advance(10 * MINUTE_MS);
    let climbing = |exercise: Option<&str>, messages| Climbing {
        peer: ids[0].clone(),
        silence: Silence::Received,
        exercise: exercise.map(Into::into),
        messages,
        step: 1,
        of: 3,
    };
    let expected = [climbing(None, 2), climbing(Some("BLUE"), 1), climbing(Some("GREEN"), 1)];
    assert_eq!(world.nodes[1].core.climbing(), expected);
    assert!(world.nodes[1].all_alarms().contains(&"unanswered-here".to_owned()));
    for (sent, exercise) in sent[1..].iter().zip([None, Some("BLUE"), Some("GREEN")]) {
        let mut said = answer(sent, "approved");
        said.exercise = exercise.map(text);
        world.submit(1, said);
        world.run();
    }
    assert_eq!(world.nodes[1].core.climbing(), [climbing(None, 1)]);
    assert_eq!(world.nodes[1].core.on_ladder(&sent[1].0), None, "what is decided waits for nobody");
    assert_eq!(world.nodes[1].core.exercises(&ids[0]), (0, 0));
}

/// The exercises, or none, of the lanes in which the other machine is silent.
fn undelivered(world: &World) -> Vec<Option<Box<str>>> {
    let climbing = world.nodes[0].core.climbing().into_iter();
    climbing.filter(|one| one.silence == Silence::Undelivered).map(|one| one.exercise).collect()
}

#[test]
fn i12_a_real_message_that_was_delivered_makes_no_silence_of_an_exercise_real() {
    let mut world = world();
    send(&mut world, None);
    world.break_all();
    world.run();
    send(&mut world, Some("BLUE"));
    world.advance(10 * MINUTE_MS);
    assert_eq!(undelivered(&world), [Some("BLUE".into())], "the real one waits for people, not for the machine");
}

#[test]
fn i12_a_silence_in_an_exercise_alone_is_no_alarm_and_hides_no_real_one() {
    let mut world = world();
    send(&mut world, Some("BLUE"));
    world.advance(10 * MINUTE_MS);
    assert_eq!(world.nodes[1].core.climbing().len(), 1);
    assert_eq!([0, 1].map(|place| world.nodes[place].all_alarms()), [Vec::<String>::new(), Vec::new()]);
    world.break_all();
    world.run();
    send(&mut world, Some("BLUE"));
    world.advance(10 * MINUTE_MS);
    assert_eq!(undelivered(&world), [Some("BLUE".into())], "all that waits in the lane is an exercise");
    send(&mut world, None);
    assert_eq!(undelivered(&world), [None], "and now it is not");
}
