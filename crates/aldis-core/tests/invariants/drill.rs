//! Comm checks: a reply ends a check and nothing else, people are told once and only in their hours, what is missed is
//! counted and becomes an alarm, and checks by themselves keep their distance (I7, I8, I11).

use crate::pair::{World, answer, notice, text};
use aldis_core::checks::{CheckEnd, CheckResult, Drill};
use aldis_core::effect::{Declined, Done, Happening};
use aldis_core::input::{CheckOrder, Input, Token};
use aldis_core::ladder::{Cause, Ladder, Wants};
use aldis_core::limits::Limits;
use aldis_core::outbound::OutState;
use aldis_core::record::{Outcome, Received, Record, RefusedAs};
use aldis_core::trust::Act;
use aldis_wire::codes::Code;
use aldis_wire::digest::Digest;
use aldis_wire::ids::{EnvelopeId, UnixMillis};
use aldis_wire::kinds::{Bearing, CheckPart, CheckReply, CommCheck, RefusalCode, StepTold, from_json};
use aldis_wire::lane::Lane;
use serde_json::json;
use std::sync::Arc;

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// People may be checked at any hour, and nobody is by itself.
fn any_hour() -> Drill {
    Drill { human_hours: None, ..Drill::default() }
}

fn world_of(count: usize, drill: Drill) -> World {
    // What is tried here is no silence, so no ladder is given time to climb.
    let ladder = Arc::new(Ladder { on_arrival: [false; 4], ..Ladder::default() });
    World::with(count, 1, &Limits { drill, ladder, ..Limits::default() })
}

fn linked(drill: Drill) -> World {
    let mut world = world_of(2, drill);
    world.connect(0, 1);
    world.run();
    world
}

fn ask(world: &mut World, part: CheckPart) -> Token {
    let token = world.token();
    let order = CheckOrder { peer: world.id(1), part, text: text("hello"), author: text("ana"), by: text("ana") };
    world.nodes[0].inbox.push_back(Input::Check { token, order: Box::new(order) });
    world.run();
    token
}

/// The message of a check, with its digest.
fn asked(world: &World, token: Token) -> (EnvelopeId, Digest) {
    let Some(Ok(Done::Checking(id))) = world.nodes[0].replies.get(&token) else { panic!("no check was sent") };
    let sent = world.nodes[0].records().iter().rev().find_map(|record| match record {
        Record::Sent(sent) if sent.draft.header.id() == *id => Some(sent.draft.header.digest()),
        _ => None,
    });
    (id.clone(), sent.unwrap())
}

fn results(world: &World, place: usize, other: usize) -> Vec<CheckResult> {
    let peer = world.id(other);
    world.nodes[place].core.peer(&peer).unwrap().durable.checks.results.iter().cloned().collect()
}

fn ends(world: &World) -> Vec<CheckEnd> {
    results(world, 0, 1).into_iter().map(|result| result.end).collect()
}

/// What waits for an answer, ours and theirs, in all lanes of both nodes.
fn open(world: &World) -> (usize, usize) {
    let peers = || world.nodes.iter().flat_map(|node| node.core.peers().map(|(_, peer)| &peer.durable));
    let out = peers().flat_map(|known| &known.out).map(|lane| lane.open.len()).sum();
    (out, peers().flat_map(|known| &known.inbound).map(|lane| lane.open.len()).sum())
}

fn received(world: &World, place: usize) -> Received {
    let record = world.nodes[place].records().iter().rev().find_map(|record| match record {
        Record::Received(received) => Some(received.clone()),
        _ => None,
    });
    record.unwrap()
}

fn reply() -> Vec<u8> {
    let at = UnixMillis::new(crate::pair::START_MS);
    CommCheck::reply_body(CheckReply { received_at: at, clock: at, certificate_valid_until: at })
}

#[test]
fn a_machine_check_tells_round_trip_clock_certificate_and_commitment() {
    let mut world = world_of(2, any_hour());
    let valid_until = UnixMillis::new(crate::pair::START_MS + 90 * 24 * HOUR_MS);
    world.nodes[1].inbox.push_back(Input::CertificateShown { valid_until });
    world.nodes[1].shift_ms = 7_000;
    world.run();
    let token = ask(&mut world, CheckPart::Machine);
    world.advance(3 * SECOND_MS);
    world.connect(0, 1);
    world.run();
    let [result]: [CheckResult; 1] = results(&world, 0, 1).try_into().unwrap();
    assert_eq!((result.end, result.human, result.round_trip_ms), (CheckEnd::Replied, false, Some(3_000)));
    // The way there took three seconds and the way back none: that much the difference cannot tell.
    assert_eq!(result.clock_difference_ms, Some(7_000 + 1_500));
    assert_eq!(result.certificate_valid_until, Some(valid_until));
    let committed = (0..=world.nodes[1].journal.len()).map(|size| Some(world.nodes[1].commitment_at(size)));
    assert_eq!(result.seq, asked(&world, token).0.seq);
    assert!(committed.rev().any(|commitment| commitment == result.commitment), "its journal's commitment");
    assert_eq!(open(&world), (0, 0), "nothing waits for anybody");
    let told = world.nodes[0].told.iter().filter(|told| matches!(told, Happening::Checked(_))).count();
    assert_eq!((told, world.nodes[1].alerts.len()), (1, 0));
    assert_eq!(world.nodes[1].records().iter().filter(|record| matches!(record, Record::Climbed(_))).count(), 0);
}

#[test]
fn i8_a_reply_ends_an_open_machine_check_and_nothing_else() {
    let (mut world, _) = World::with_puppet();
    world.allow(10);
    let cl = world.id(1);
    let token = world.submit(0, notice(&cl, Lane::Immediate));
    world.run();
    let sent = world.nodes[0].submitted(token).remove(0);
    let reply_to = |world: &mut World, about: &(EnvelopeId, Digest)| {
        let mut forged = world.forged(Lane::Immediate);
        forged.answers(about, &crate::pair::incident("none")).carry("comm-check", &reply());
        world.inject(forged);
        received(world, 0).outcome
    };
    assert_eq!(reply_to(&mut world, &sent), Outcome::Unmatched, "a notice is no check");
    let human = ask(&mut world, CheckPart::Human);
    let human = asked(&world, human);
    assert_eq!(reply_to(&mut world, &human), Outcome::Unmatched, "people answer for themselves");
    assert_eq!(ends(&world), []);
    world.advance(HOUR_MS);
    // The puppet receipts nothing, so its link ended meanwhile.
    world.puppet_up(|_| ());
    world.allow(10);
    let machine = ask(&mut world, CheckPart::Machine);
    let machine = asked(&world, machine);
    let other = (machine.0.clone(), Digest::of(&[b"another"]));
    assert_eq!(reply_to(&mut world, &other), Outcome::Unmatched, "it names another message at that place");
    assert_eq!(reply_to(&mut world, &machine), Outcome::Accepted);
    assert_eq!(reply_to(&mut world, &machine), Outcome::Unmatched, "once");
    assert_eq!(ends(&world), [CheckEnd::Missed, CheckEnd::Replied]);
    let lane = &world.nodes[0].core.peer(&cl).unwrap().durable.out[Lane::Immediate.index()];
    let states: Vec<_> = lane.open.iter().map(|(_, open)| (open.wants, open.state)).collect();
    assert_eq!(states[0], (Wants::Person, OutState::Relayed));
}

#[test]
fn i8_no_person_answers_a_machine_check() {
    let (mut world, _) = World::with_puppet();
    world.allow(10);
    let token = ask(&mut world, CheckPart::Machine);
    let check = asked(&world, token);
    let mut forged = world.forged(Lane::Immediate);
    forged.answers(&check, &from_json("acknowledgement", 1, json!({"state": "acknowledged"})).unwrap());
    world.inject(forged);
    assert_eq!(received(&world, 0).outcome, Outcome::Refused(RefusedAs(RefusalCode::UnknownReference)));
    assert_eq!(ends(&world), []);
}

#[test]
fn i8_what_is_missed_is_counted_is_an_alarm_after_some_and_never_goes_late() {
    let mut world = world_of(2, Drill { missed_alarm: 2, ..any_hour() });
    for missed in 1..=2 {
        ask(&mut world, CheckPart::Machine);
        assert_eq!(ends(&world).len(), missed - 1);
        let token = ask(&mut world, CheckPart::Machine);
        assert_eq!(world.nodes[0].declined(token), Declined::CheckOpen(world.id(1)), "one at a time");
        world.advance(MINUTE_MS);
        assert_eq!(ends(&world), vec![CheckEnd::Missed; missed]);
        assert_eq!(world.nodes[0].alarms().len(), missed - 1);
    }
    assert_eq!(world.nodes[0].alarms(), ["comm-check-missed"]);
    world.restart(0);
    world.tick();
    assert_eq!(world.nodes[0].alarms(), ["comm-check-missed"], "a restart forgets no alarm");
    world.connect(0, 1);
    world.run();
    assert_eq!(open(&world), (0, 0));
    assert_eq!(ends(&world).len(), 2, "their headers went alone, and were not replied to");
    let alone = world.nodes[1].records().iter().filter(
        |record| matches!(record, Record::Received(received) if matches!(received.outcome, Outcome::Withheld(_))),
    );
    assert_eq!(alone.count(), 2);
    ask(&mut world, CheckPart::Machine);
    assert_eq!(ends(&world).last(), Some(&CheckEnd::Replied));
    assert_eq!(world.nodes[0].alarms(), Vec::<String>::new());
}

#[test]
fn i8_a_missed_check_never_goes_late_even_if_the_wall_clock_went_back() {
    let mut world = world_of(2, any_hour());
    ask(&mut world, CheckPart::Machine);
    // By this clock the check has a day left; by the one that never goes back its time is over.
    world.nodes[0].shift_ms = -24 * HOUR_MS.cast_signed();
    world.advance(MINUTE_MS);
    assert_eq!(ends(&world), [CheckEnd::Missed]);
    world.connect(0, 1);
    world.run();
    assert!(matches!(received(&world, 1).outcome, Outcome::Withheld(_)), "its header goes alone");
    assert_eq!(ends(&world), [CheckEnd::Missed], "and is not replied to");
}

#[test]
fn people_are_told_once_of_a_human_check_and_any_answer_but_seen_ends_it() {
    for state in ["acknowledged", "approved", "denied"] {
        let mut world = linked(any_hour());
        let token = ask(&mut world, CheckPart::Human);
        let check = asked(&world, token);
        assert_eq!(world.nodes[1].alerts.len(), 1);
        assert_eq!((world.nodes[1].alerts[0].cause, world.nodes[1].alerts[0].step), (Cause::Checked, 0));
        world.advance(20 * MINUTE_MS);
        world.submit(1, answer(&check, "seen"));
        world.run();
        assert_eq!(ends(&world), []);
        world.submit(1, answer(&check, state));
        world.run();
        let [result]: [CheckResult; 1] = results(&world, 0, 1).try_into().unwrap();
        let expected = (CheckEnd::Answered, true, Some(20 * MINUTE_MS));
        assert_eq!((result.end, result.human, result.round_trip_ms), expected, "{state}");
        assert_eq!(open(&world), (0, 0), "{state}");
        world.advance(24 * HOUR_MS);
        assert_eq!(world.nodes[1].alerts.len(), 1, "{state}");
    }
}

#[test]
fn i8_a_human_check_nobody_answers_is_missed_at_both_ends_and_climbs_nothing() {
    let mut world = linked(any_hour());
    let token = ask(&mut world, CheckPart::Human);
    let check = asked(&world, token);
    let told = |world: &World| {
        let told = world.nodes[0].told.iter().filter_map(|happening| match happening {
            Happening::StepTold(_, told) => Some((**told).clone()),
            _ => None,
        });
        told.collect::<Vec<StepTold>>()
    };
    assert_eq!(told(&world).iter().map(|told| (told.step, told.reached)).collect::<Vec<_>>(), [(0, 1)]);
    for _ in 0..48 {
        world.advance(HOUR_MS);
    }
    assert_eq!(ends(&world), [CheckEnd::Missed]);
    let climbed = |place: usize| {
        let records = world.nodes[place].records().iter();
        records.filter(|record| matches!(record, Record::Climbed(climbed) if climbed.step > 0)).count()
    };
    assert_eq!((climbed(0), climbed(1), told(&world).len()), (0, 0, 1));
    assert_eq!(world.nodes[1].all_alarms(), Vec::<String>::new());
    let late = world.submit(1, answer(&check, "acknowledged"));
    world.run();
    assert_eq!(world.nodes[1].declined(late), Declined::CheckOver(check.0));
    // The next one takes its place, so that no more than one is ever open.
    ask(&mut world, CheckPart::Human);
    assert_eq!(open(&world).1, 1);
}

#[test]
fn nobody_is_checked_outside_the_hours_unless_asked_and_allowed() {
    // It is a Sunday, 03:00; the first calendar has weekdays.
    let hours = |wake| Drill { human_hours: Some(0), wake, ..any_hour() };
    let not_now = || CheckEnd::Refused(Code::known("not-now"));
    let cases = [
        (CheckPart::Human, false, false),
        (CheckPart::Human, true, false),
        (CheckPart::Wake, false, false),
        (CheckPart::Wake, true, true),
    ];
    for (part, wake, reaches) in cases {
        let mut world = linked(hours(wake));
        ask(&mut world, part.clone());
        assert_eq!(world.nodes[1].alerts.len(), usize::from(reaches), "{part:?}, {wake}");
        assert_eq!(ends(&world), if reaches { vec![] } else { vec![not_now()] }, "{part:?}, {wake}");
        assert_eq!(world.nodes[0].alarms(), Vec::<String>::new(), "a refusal is no silence");
    }
    let mut world = linked(hours(false));
    world.advance(30 * HOUR_MS);
    ask(&mut world, CheckPart::Human);
    assert_eq!(world.nodes[1].alerts.len(), 1, "Monday, 09:00");
}

#[test]
fn i7_a_peer_that_checks_without_end_is_refused_and_replied_to_no_more() {
    let mut world = linked(Drill { machine_per_hour: 3, ..any_hour() });
    for _ in 0..5 {
        ask(&mut world, CheckPart::Machine);
        world.advance(MINUTE_MS);
    }
    let over = CheckEnd::Refused(Code::known("over-rate"));
    assert_eq!(ends(&world), [CheckEnd::Replied, CheckEnd::Replied, CheckEnd::Replied, over.clone(), over]);
    world.advance(HOUR_MS);
    ask(&mut world, CheckPart::Machine);
    assert_eq!(ends(&world).last(), Some(&CheckEnd::Replied));
}

#[test]
fn i7_a_peer_pages_people_only_so_often_and_in_the_lane_of_checks() {
    let drill = Drill { human_per_hour: 2, machine_per_hour: 1, ..any_hour() };
    let ladder = Arc::new(Ladder { on_arrival: [false; 4], ..Ladder::default() });
    let (mut world, _) = World::with_puppet_and(&Limits { drill, ladder, ..Limits::default() });
    world.allow(100);
    let check = |world: &mut World, lane: Lane, part: CheckPart| {
        let mut forged = world.forged(lane);
        forged.carry("comm-check", &CommCheck::check_body(&part, text("hello")));
        world.inject(forged);
        received(world, 0).outcome
    };
    let over = Outcome::refused(RefusalCode::OverRate);
    let [lane, flash] = [aldis_core::checks::CHECK_LANE, Lane::Flash];
    assert_eq!(check(&mut world, flash, CheckPart::Human), Outcome::refused(RefusalCode::MalformedBody));
    for outcome in [Outcome::Accepted, Outcome::Accepted, over] {
        assert_eq!(check(&mut world, lane, CheckPart::Human), outcome);
    }
    world.advance(SECOND_MS);
    let paged = world.nodes[0].alerts.len();
    assert!((1..=2).contains(&paged), "{paged} times");
    // What nobody here knows counts as a machine's.
    let other = || CheckPart::Other(Code::known("later"));
    assert_eq!(check(&mut world, lane, other()), Outcome::Accepted);
    assert_eq!(check(&mut world, lane, other()), over);
}

#[test]
fn a_reply_after_a_restart_counts_and_tells_no_round_trip() {
    let mut world = world_of(2, any_hour());
    ask(&mut world, CheckPart::Machine);
    world.advance(20 * SECOND_MS);
    world.restart(0);
    world.advance(20 * SECOND_MS);
    assert_eq!(ends(&world), []);
    world.connect(0, 1);
    world.run();
    let [result]: [CheckResult; 1] = results(&world, 0, 1).try_into().unwrap();
    assert_eq!((result.end, result.round_trip_ms), (CheckEnd::Replied, None));
}

#[test]
fn i8_an_open_check_is_missed_in_time_whatever_the_clock_does_at_a_restart() {
    for shift_ms in [0, -400 * 24 * HOUR_MS.cast_signed(), 400 * 24 * HOUR_MS.cast_signed()] {
        let mut world = world_of(2, any_hour());
        ask(&mut world, CheckPart::Machine);
        world.crash(0);
        world.nodes[0].shift_ms = shift_ms;
        world.restart(0);
        world.advance(MINUTE_MS);
        assert_eq!(ends(&world), [CheckEnd::Missed], "{shift_ms}");
    }
}

#[test]
fn a_check_of_a_peer_that_is_not_talked_to_is_declined_and_an_open_one_ends() {
    let mut world = linked(any_hour());
    ask(&mut world, CheckPart::Human);
    world.order(0, Act::Suspend, 1);
    world.run();
    let token = ask(&mut world, CheckPart::Machine);
    assert!(matches!(world.nodes[0].declined(token), Declined::NotVerified(..)));
    world.advance(HOUR_MS);
    assert_eq!(ends(&world), [CheckEnd::Missed]);
    assert!(!world.nodes[0].alarms().contains(&"comm-check-missed".to_owned()));
}

/// When checks of a node's sort were sent, by the records.
fn sent_at(world: &World, place: usize, sort: &CheckPart) -> Vec<u64> {
    let sent = world.nodes[place].records().iter().filter_map(|record| match record {
        Record::Sent(sent) if sent.draft.bearing.get() == Bearing::Check(sort.clone()) => {
            Some(sent.draft.header.sent_at.get())
        }
        _ => None,
    });
    sent.collect()
}

#[test]
fn i11_checks_by_themselves_keep_their_distance_over_restarts_and_never_go_in_step() {
    let every_ms = 6 * HOUR_MS;
    let drill = Drill {
        machine_every_ms: every_ms,
        human_every_ms: 7 * 24 * HOUR_MS,
        human_hours: Some(0),
        ..Drill::default()
    };
    let mut world = world_of(4, drill);
    for (one, other) in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)] {
        world.connect(one, other);
    }
    world.run();
    let until_ms = world.monotonic_ms + 20 * 24 * HOUR_MS;
    let mut steps = 0;
    while world.monotonic_ms < until_ms {
        steps += 1;
        assert!(steps < 20_000, "time does not pass");
        world.jump();
        if steps % 97 == 0 {
            world.restart(steps % 4);
            world.connect(steps % 4, (steps + 1) % 4);
            world.run();
        }
    }
    for place in 0..4 {
        let machine = sent_at(&world, place, &CheckPart::Machine);
        let each = machine.len() / 3;
        assert!((70..=92).contains(&each), "{each} checks of each peer in 20 days, at six hours");
        let people = sent_at(&world, place, &CheckPart::Human);
        assert!((3..=15).contains(&people.len()), "{} checks of people", people.len());
        let distinct: std::collections::BTreeSet<_> = machine.iter().collect();
        assert!(machine.len() - distinct.len() <= 2, "checks went in step: {machine:?}");
    }
}

#[test]
fn after_a_long_stop_peers_are_not_checked_all_at_once() {
    let mut world = world_of(6, Drill { machine_every_ms: 24 * HOUR_MS, ..any_hour() });
    world.crash(0);
    world.monotonic_ms += 400 * HOUR_MS;
    world.wall_ms += 400 * HOUR_MS;
    world.restart(0);
    world.tick();
    let began_ms = world.wall_ms;
    assert!(sent_at(&world, 0, &CheckPart::Machine).is_empty());
    while sent_at(&world, 0, &CheckPart::Machine).len() < 5 {
        world.jump().unwrap();
    }
    let sent: Vec<u64> = sent_at(&world, 0, &CheckPart::Machine);
    assert!(sent.iter().all(|at| *at - began_ms <= HOUR_MS), "{sent:?}");
    assert_eq!(sent.iter().collect::<std::collections::BTreeSet<_>>().len(), 5, "{sent:?}");
}
