//! Silence climbs: a step at a time, each once, told to the other side; whatever the clock, the network and the process do
//! meanwhile (I8, I11, I12).

use crate::pair::{Channels, World, answer, notice, text};
use aldis_core::effect::{Delivery, Happening};
use aldis_core::inbound::InState;
use aldis_core::input::Submission;
use aldis_core::ladder::{AnswerBy, Calendar, Cause, Deadlines, Hours, Ladder, OnCall, Serves, Silence, Step};
use aldis_core::limits::Limits;
use aldis_core::outbound::OutState;
use aldis_core::record::{Climbed, Record};
use aldis_core::trust::Act;
use aldis_wire::digest::Digest;
use aldis_wire::ids::{EnvelopeId, UnixMillis};
use aldis_wire::kinds::{StepTold, from_json};
use aldis_wire::lane::Lane;
use serde_json::json;
use std::sync::Arc;

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const YEAR_MS: i64 = 365 * 86_400_000;

/// Three steps of five minutes, everybody always on duty; ten minutes to acknowledge, an hour to decide.
pub(crate) fn ladder() -> Ladder {
    let step = |name: &str| Step {
        name: text(name),
        people: vec![OnCall { name: text(name), hours: None, channels: vec![text("pager"), text("mail")] }],
        wait_ms: [5 * MINUTE_MS; 4],
        serves: Serves::All,
    };
    Ladder {
        steps: vec![step("duty officer"), step("deputy"), step("head")],
        deadlines: Deadlines {
            receipt_ms: [MINUTE_MS; 4],
            acknowledge: [AnswerBy::Within(10 * MINUTE_MS); 4],
            attend_ms: [60 * MINUTE_MS; 4],
            pick_up_ms: MINUTE_MS,
        },
        on_arrival: [true, false, false, false],
        ..Ladder::default()
    }
}

fn world(ladder: Ladder) -> World {
    let mut world = World::with(2, 0, &Limits { ladder: Arc::new(ladder), ..Limits::default() });
    world.connect(0, 1);
    world.run();
    world
}

fn send(world: &mut World, submission: Submission) -> (EnvelopeId, Digest) {
    let token = world.submit(0, submission);
    world.run();
    world.nodes[0].submitted(token)[0].clone()
}

fn say(world: &mut World, sent: &(EnvelopeId, Digest), state: &str) {
    world.submit(1, answer(sent, state));
    world.run();
}

/// The steps in a node's journal: silence, cause, step and how many messages.
fn steps(world: &World, place: usize) -> Vec<(Silence, Cause, u8, u64)> {
    climbs(world, place).iter().map(|climbed| (climbed.silence, climbed.cause, climbed.step, climbed.count)).collect()
}

pub(crate) fn climbs(world: &World, place: usize) -> Vec<Climbed> {
    let climbs = world.nodes[place].records().iter().filter_map(|record| match record {
        Record::Climbed(climbed) => Some(climbed.clone()),
        _ => None,
    });
    climbs.collect()
}

fn told(world: &World) -> Vec<StepTold> {
    let told = world.nodes[0].told.iter().filter_map(|happening| match happening {
        Happening::StepTold(_, told) => Some((**told).clone()),
        _ => None,
    });
    told.collect()
}

fn out_state(world: &World, id: &EnvelopeId) -> Option<OutState> {
    let peer = world.nodes[0].core.peer(&id.to).unwrap();
    peer.durable.out[id.lane.index()].open.get(&id.seq.get()).map(|open| open.state)
}

fn in_state(world: &World, id: &EnvelopeId) -> Option<InState> {
    let peer = world.nodes[1].core.peer(&id.from).unwrap();
    peer.durable.inbound[id.lane.index()].open.get(&id.seq.get()).map(|open| open.state)
}

/// Lets minutes pass one by one, as the loop would look.
fn minutes(world: &mut World, minutes: u64) {
    for _ in 0..minutes {
        world.advance(MINUTE_MS);
    }
}

const RECEIVED: Silence = Silence::Received;
const SENT: Silence = Silence::Sent;

#[test]
fn i8_a_notice_nobody_answers_climbs_step_by_step_and_its_sender_is_told_each() {
    let mut world = world(ladder());
    let (to, lane) = (world.id(1), Lane::Priority);
    let sent = send(&mut world, notice(&to, lane));
    world.advance(10 * MINUTE_MS - 1);
    assert_eq!(steps(&world, 1), []);
    world.advance(1);
    assert_eq!(steps(&world, 1), [(RECEIVED, Cause::Unacknowledged, 1, 1)]);
    assert_eq!(world.nodes[1].alerts[0].people[0].0.as_str(), "duty officer");
    assert_eq!(
        (out_state(&world, &sent.0), in_state(&world, &sent.0)),
        (Some(OutState::Notified), Some(InState::Notified))
    );
    minutes(&mut world, 60);
    let expected = [1, 2, 3].map(|step| (RECEIVED, Cause::Unacknowledged, step, 1));
    assert_eq!(steps(&world, 1), expected);
    let heard: Vec<(u8, String, u32)> =
        told(&world).into_iter().map(|told| (told.step, told.outcome.to_string(), told.next_within_s)).collect();
    assert_eq!(heard, [1, 2, 3].map(|step| (step, "alerted".to_owned(), 6 * 60)));
    // The peer's ladder has ended, and so has its word: ours begins.
    assert_eq!(steps(&world, 0), [1, 2, 3].map(|step| (SENT, Cause::Unacknowledged, step, 1)));
    let alarms = [0, 1].map(|place| world.nodes[place].all_alarms());
    assert_eq!(alarms, [["no-acknowledgement"], ["unanswered-here"]]);
    say(&mut world, &sent, "approved");
    assert_eq!([0, 1].map(|place| world.nodes[place].all_alarms()), [Vec::<String>::new(), Vec::new()]);
    minutes(&mut world, 300);
    assert_eq!(steps(&world, 1).len(), 3, "what was decided climbs no more");
}

#[test]
fn a_flash_alerts_people_as_soon_as_it_comes_and_its_sender_learns_it() {
    let mut world = world(ladder());
    let to = world.id(1);
    let sent = send(&mut world, notice(&to, Lane::Flash));
    assert_eq!(steps(&world, 1), [(RECEIVED, Cause::Arrived, 0, 1)]);
    assert_eq!(out_state(&world, &sent.0), Some(OutState::Notified));
    assert_eq!(world.nodes[1].all_alarms(), Vec::<String>::new(), "it came; nobody is late");
    // The time to acknowledge runs from the arrival, whatever the alert took.
    world.advance(10 * MINUTE_MS - 1);
    assert_eq!(steps(&world, 1).len(), 1);
    world.advance(1);
    assert_eq!(steps(&world, 1).len(), 2);
    let again = send(&mut world, notice(&to, Lane::Priority));
    assert_eq!(in_state(&world, &again.0), Some(InState::Stored), "no alert for that lane");
}

#[test]
fn an_answer_ends_the_climb_and_seen_does_not() {
    let mut world = world(ladder());
    let to = world.id(1);
    let sent = send(&mut world, notice(&to, Lane::Priority));
    world.advance(9 * MINUTE_MS);
    say(&mut world, &sent, "seen");
    world.advance(MINUTE_MS);
    assert_eq!(steps(&world, 1).len(), 1, "to open it is not to answer it");
    say(&mut world, &sent, "acknowledged");
    minutes(&mut world, 59);
    assert_eq!((steps(&world, 1).len(), steps(&world, 0).len()), (1, 0));
}

#[test]
fn i8_what_was_acknowledged_and_then_left_is_open_again_at_both_ends() {
    let mut world = world(ladder());
    let to = world.id(1);
    let sent = send(&mut world, notice(&to, Lane::Priority));
    say(&mut world, &sent, "acknowledged");
    world.advance(60 * MINUTE_MS - 1);
    assert_eq!((steps(&world, 1).len(), out_state(&world, &sent.0)), (0, Some(OutState::Acknowledged)));
    world.advance(1);
    assert_eq!(steps(&world, 1), [(RECEIVED, Cause::Unattended, 1, 1)]);
    assert_eq!((out_state(&world, &sent.0), in_state(&world, &sent.0)), (Some(OutState::Seen), Some(InState::Seen)));
    // And it goes on from there, until somebody takes it on again.
    world.advance(5 * MINUTE_MS);
    assert_eq!(steps(&world, 1).last(), Some(&(RECEIVED, Cause::Unacknowledged, 2, 1)));
    say(&mut world, &sent, "acknowledged");
    assert_eq!(out_state(&world, &sent.0), Some(OutState::Acknowledged));
    minutes(&mut world, 50);
    assert_eq!((steps(&world, 1).len(), steps(&world, 0)), (2, vec![]));
}

#[test]
fn i8_a_promise_is_a_deadline() {
    let mut world = world(ladder());
    let to = world.id(1);
    let sent = send(&mut world, notice(&to, Lane::Priority));
    let until = UnixMillis::new(world.wall_ms + 30 * MINUTE_MS);
    let value = json!({"state": "decided", "status": "pending", "until": until});
    let body = from_json("acknowledgement", 1, value).unwrap();
    let mut promise = answer(&sent, "pending");
    promise.bodies = vec![(1, body.bytes.into())];
    promise.bearing = body.summary.bearing;
    world.submit(1, promise);
    world.run();
    assert_eq!(out_state(&world, &sent.0), Some(OutState::Pending));
    world.advance(30 * MINUTE_MS - 1);
    assert_eq!(steps(&world, 1), []);
    world.advance(1);
    assert_eq!(steps(&world, 1), [(RECEIVED, Cause::PromisePassed, 1, 1)]);
    assert_eq!(out_state(&world, &sent.0), Some(OutState::Seen));
}

#[test]
fn i8_when_the_peers_word_stops_coming_our_own_ladder_climbs() {
    let mut world = world(ladder());
    let to = world.id(1);
    let sent = send(&mut world, notice(&to, Lane::Priority));
    world.advance(10 * MINUTE_MS);
    assert_eq!(told(&world).len(), 1);
    world.reachable = false;
    world.break_all();
    world.run();
    // It promised its next word within six minutes; with the grace of two, ours climbs after eight.
    world.advance(8 * MINUTE_MS - 1);
    assert_eq!(steps(&world, 0), []);
    world.advance(1);
    assert_eq!(steps(&world, 0), [(SENT, Cause::Unacknowledged, 1, 1)]);
    assert_eq!(world.nodes[0].alerts[0].messages, std::slice::from_ref(&sent.0));
    assert_eq!(world.nodes[0].all_alarms(), ["no-acknowledgement"]);
    world.connect(0, 1);
    world.run();
    assert_eq!(world.nodes[0].all_alarms(), Vec::<String>::new(), "its word came");
    assert!(told(&world).len() > 1);
}

#[test]
fn i8_a_machine_that_does_not_receipt_climbs_once_for_all_that_waits() {
    let mut world = World::with(2, 0, &Limits { ladder: Arc::new(ladder()), ..Limits::default() });
    let to = world.id(1);
    for _ in 0..5 {
        send(&mut world, notice(&to, Lane::Flash));
    }
    world.advance(MINUTE_MS - 1);
    assert_eq!(steps(&world, 0), []);
    world.advance(1);
    assert_eq!(steps(&world, 0), [(Silence::Undelivered, Cause::NoReceipt, 1, 5)]);
    assert_eq!(world.nodes[0].alerts[0].messages.len(), 2, "the first and the last of five");
    assert_eq!(world.nodes[0].all_alarms(), ["no-receipt"]);
    minutes(&mut world, 60);
    assert_eq!(steps(&world, 0).len(), 3);
    world.connect(0, 1);
    world.run();
    assert_eq!(world.nodes[0].all_alarms(), Vec::<String>::new());
    // All five came in one batch: one alert tells of them.
    assert_eq!(steps(&world, 1), [(RECEIVED, Cause::Arrived, 0, 5)]);
}

#[test]
fn i8_a_restart_skips_no_step_and_repeats_none() {
    let mut world = world(ladder());
    let to = world.id(1);
    send(&mut world, notice(&to, Lane::Priority));
    for snapshot in [false, true] {
        world.advance(4 * MINUTE_MS);
        if snapshot {
            world.nodes[1].take_snapshot();
        }
        world.restart(1);
        world.tick();
    }
    world.advance(2 * MINUTE_MS - 1);
    assert_eq!(steps(&world, 1), []);
    world.advance(1);
    assert_eq!(steps(&world, 1).len(), 1);
    // Away for longer than the rest of the ladder: one step at once, the next after its whole wait.
    world.crash(1);
    minutes(&mut world, 60);
    world.restart(1);
    world.tick();
    assert_eq!(steps(&world, 1).len(), 2);
    world.advance(5 * MINUTE_MS - 1);
    assert_eq!(steps(&world, 1).len(), 2);
    world.advance(1);
    assert_eq!(steps(&world, 1).len(), 3);
}

#[test]
fn i8_an_alert_whose_outcome_a_crash_swallowed_is_brought_again_under_its_name() {
    let mut world = world(ladder());
    let to = world.id(1);
    world.nodes[1].channels = Channels::Hang;
    send(&mut world, notice(&to, Lane::Flash));
    assert_eq!(world.nodes[1].alerts.len(), 1);
    world.restart(1);
    world.nodes[1].channels = Channels::Work;
    world.restart(1);
    world.connect(0, 1);
    world.run();
    let alerts = &world.nodes[1].alerts;
    assert_eq!(alerts.iter().map(|alert| alert.again).collect::<Vec<_>>(), [false, true, true]);
    assert!(alerts.iter().all(|alert| alert.id == alerts[0].id));
    assert_eq!((steps(&world, 1).len(), told(&world).len()), (1, 1), "one step, told once");
    world.restart(1);
    world.tick();
    assert_eq!(world.nodes[1].alerts.len(), 3, "its outcome is on record");
}

#[test]
fn i8_when_every_channel_fails_or_hangs_the_sender_is_told() {
    for channels in [Channels::Fail, Channels::Hang] {
        let mut world = world(ladder());
        let to = world.id(1);
        world.nodes[1].channels = channels;
        let sent = send(&mut world, notice(&to, Lane::Flash));
        world.advance(MINUTE_MS);
        let heard = told(&world);
        assert_eq!((heard[0].outcome.as_str(), heard[0].reached), ("channels-failed", 0), "{channels:?}");
        assert_eq!(out_state(&world, &sent.0), Some(OutState::Stored), "nobody was reached");
    }
}

#[test]
fn i8_a_step_on_which_nobody_is_on_duty_is_taken_and_told_and_the_next_one_at_once() {
    let mut ladder = ladder();
    let never = vec![Hours { from_min: 0, until_min: 1 }];
    // The world begins on a Sunday.
    let week = std::array::from_fn(|day| if day == 0 { never.clone() } else { Vec::new() });
    ladder.calendars = vec![Calendar::new("never", "UTC", week, &[]).unwrap()];
    ladder.steps[0].people[0].hours = Some(0);
    let mut world = world(ladder);
    let to = world.id(1);
    send(&mut world, notice(&to, Lane::Priority));
    world.advance(10 * MINUTE_MS);
    assert_eq!(steps(&world, 1), [1, 2].map(|step| (RECEIVED, Cause::Unacknowledged, step, 1)));
    let heard: Vec<String> = told(&world).iter().map(|told| told.outcome.to_string()).collect();
    assert_eq!(heard, ["nobody-on-duty", "alerted"]);
    assert_eq!(world.nodes[1].alerts.len(), 1);
}

#[test]
fn i8_a_wall_clock_that_jumps_while_the_node_runs_moves_no_deadline() {
    for shift_ms in [YEAR_MS, -YEAR_MS] {
        let mut world = world(ladder());
        let to = world.id(1);
        send(&mut world, notice(&to, Lane::Priority));
        world.advance(MINUTE_MS);
        world.nodes[1].shift_ms = shift_ms;
        world.advance(9 * MINUTE_MS - 1);
        assert_eq!(steps(&world, 1), [], "{shift_ms}");
        world.advance(1);
        assert_eq!(steps(&world, 1).len(), 1, "{shift_ms}");
        world.advance(5 * MINUTE_MS);
        assert_eq!(steps(&world, 1).len(), 2, "{shift_ms}");
    }
}

#[test]
fn i8_a_clock_behind_the_journal_at_a_start_takes_one_step_of_all_that_is_open() {
    let mut world = world(ladder());
    let to = world.id(1);
    send(&mut world, notice(&to, Lane::Priority));
    world.advance(MINUTE_MS);
    world.nodes[1].shift_ms = -YEAR_MS;
    world.restart(1);
    world.tick();
    assert_eq!(steps(&world, 1).len(), 1);
    assert!(world.nodes[1].alarms().contains(&"clock-behind-journal".to_owned()));
    world.advance(5 * MINUTE_MS - 1);
    assert_eq!(steps(&world, 1).len(), 1, "the next one has its whole wait");
    world.advance(1);
    assert_eq!(steps(&world, 1).len(), 2);
    // From here on the clock is where the journal is.
    world.restart(1);
    world.tick();
    assert_eq!((steps(&world, 1).len(), world.nodes[1].alarms()), (2, vec![]));
}

#[test]
fn i12_exercise_and_real_never_share_an_alert() {
    let mut world = World::with(2, 0, &Limits { ladder: Arc::new(ladder()), ..Limits::default() });
    let to = world.id(1);
    for exercise in [None, Some("CYBER-STORM"), None, Some("OTHER")] {
        let submission = Submission { exercise: exercise.map(text), ..notice(&to, Lane::Flash) };
        send(&mut world, submission);
    }
    world.connect(0, 1);
    world.run();
    let alerts = &world.nodes[1].alerts;
    let alerts: Vec<(Option<&str>, usize)> =
        alerts.iter().map(|alert| (alert.exercise.as_deref(), alert.messages.len())).collect();
    assert_eq!(alerts, [(None, 2), (Some("CYBER-STORM"), 1), (Some("OTHER"), 1)]);
    // Each word about an exercise is marked as such in the signed bytes, or it would not be taken.
    assert_eq!(told(&world).len(), 4);
}

#[test]
fn a_peer_that_is_put_aside_climbs_nothing_and_is_waited_for_anew_afterwards() {
    let mut world = world(ladder());
    let to = world.id(1);
    send(&mut world, notice(&to, Lane::Priority));
    world.advance(5 * MINUTE_MS);
    world.order(0, Act::Suspend, 1);
    world.order(1, Act::Suspend, 0);
    world.run();
    minutes(&mut world, 100);
    assert_eq!((steps(&world, 0), steps(&world, 1)), (vec![], vec![]));
    for (place, other) in [(0, 1), (1, 0)] {
        world.order(place, Act::Resume, other);
        world.run();
        world.approve_all(place);
    }
    world.run();
    world.connect(0, 1);
    world.run();
    world.advance(10 * MINUTE_MS);
    assert_eq!(steps(&world, 1).len(), 1);
}

#[test]
fn a_message_may_ask_for_its_acknowledgement_within_its_own_time() {
    let mut world = world(ladder());
    let to = world.id(1);
    send(&mut world, Submission { acknowledge_within_s: Some(90), ..notice(&to, Lane::Priority) });
    world.advance(90 * SECOND_MS - 1);
    assert_eq!(steps(&world, 1), []);
    world.advance(1);
    assert_eq!(steps(&world, 1).len(), 1);
}

#[test]
fn an_agreed_time_counts_before_the_nodes_own() {
    let mut world = world(ladder());
    let terms = crate::agreement::with(|terms| terms.acknowledge_within_s = [0, 0, 120, 0]);
    crate::agreement::must_set(&mut world, 0, terms);
    let to = world.id(1);
    send(&mut world, notice(&to, Lane::Priority));
    world.advance(2 * MINUTE_MS - 1);
    assert_eq!(steps(&world, 1), []);
    world.advance(1);
    assert_eq!(steps(&world, 1).len(), 1);
}

#[test]
fn i8_delivery_is_told_as_notified_only_once_people_were_reached() {
    let mut world = world(ladder());
    let to = world.id(1);
    let sent = send(&mut world, notice(&to, Lane::Flash));
    assert!(world.nodes[1].deliveries().contains(&(sent.0, Delivery::Notified)));
    world.nodes[1].channels = Channels::Fail;
    let unheard = send(&mut world, notice(&to, Lane::Flash));
    assert!(!world.nodes[1].deliveries().contains(&(unheard.0, Delivery::Notified)));
}

/// A peer's word about a step it took.
fn word(world: &mut World, about: &(EnvelopeId, Digest), step: u8, next_within_s: u32) {
    let value = json!({"cause": "unacknowledged", "step": step, "of": 16, "name": "x", "outcome": "alerted", "reached": 1,
                       "at": "2026-11-22T03:15:00.000Z", "next_within_s": next_within_s});
    let mut forged = world.forged(about.0.lane);
    let body = from_json("ladder-step", 1, value).unwrap();
    forged.answers(about, &body).carry("ladder-step", &body.bytes);
    world.inject(forged);
}

#[test]
fn i8_a_peer_that_tells_the_same_step_again_and_again_or_promises_years_does_not_put_us_off() {
    let limits = Limits { ladder: Arc::new(ladder()), receipt_wait_ms: u64::MAX / 4, ..Limits::default() };
    let (mut world, _) = World::with_puppet_and(&limits);
    world.allow(10);
    let to = world.id(1);
    let sent = send(&mut world, notice(&to, Lane::Priority));
    let marks = world.nodes[0].core.peer(&to).unwrap().sent_marks();
    world.receipt(marks);
    word(&mut world, &sent, 1, 300);
    for _ in 0..6 {
        world.advance(MINUTE_MS);
        word(&mut world, &sent, 1, 300);
    }
    assert_eq!(steps(&world, 0), []);
    world.advance(MINUTE_MS);
    assert_eq!(steps(&world, 0), [(SENT, Cause::Unacknowledged, 1, 1)], "five minutes and the grace of two");
    // A higher step is news; but not even it holds us for longer than a case may stay open.
    word(&mut world, &sent, 2, 366 * 86_400);
    assert_eq!(world.nodes[0].all_alarms(), Vec::<String>::new());
    world.advance(63 * MINUTE_MS - 1);
    assert_eq!(steps(&world, 0).len(), 1);
    world.advance(1);
    assert_eq!(steps(&world, 0).len(), 2);
}
