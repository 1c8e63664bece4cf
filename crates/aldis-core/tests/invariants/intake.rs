//! I7, I14: a peer that sends without end is slowed down, and what waits for an answer here is bounded; neither touches
//! its FLASH, loses anything, or stays untold.

use crate::pair::{World, answer};
use aldis_core::intake::Intake;
use aldis_core::limits::Limits;
use aldis_core::peer::{FlowIn, LinkId};
use aldis_core::record::{Outcome, Record};
use aldis_wire::digest::Digest;
use aldis_wire::frame::GoodbyeCode;
use aldis_wire::ids::EnvelopeId;
use aldis_wire::kinds::RefusalCode;
use aldis_wire::lane::Lane;

fn slow() -> Limits {
    let intake = Intake { bytes_per_s: 1_000, burst_bytes: 8_000 };
    Limits { credit_window: 4, intake, ..crate::pair::calm() }
}

fn flow(world: &World, lane: Lane) -> FlowIn {
    let id = world.id(1);
    world.nodes[0].core.peer(&id).unwrap().up().expect("a link").from[lane.index()]
}

/// Sends as long as there is credit; gives how many went.
fn send_all(world: &mut World, lane: Lane) -> u64 {
    let before = flow(world, lane).came;
    while flow(world, lane).came < flow(world, lane).promised {
        assert!(flow(world, lane).came < before + 1_000, "it can send without end");
        world.inject(world.forged(lane));
    }
    flow(world, lane).came - before
}

fn is_alarmed(world: &World, code: &str) -> bool {
    world.nodes[0].alarms().iter().any(|alarm| alarm == code)
}

#[test]
fn i7_a_peer_over_its_rate_gets_no_credit_until_it_has_rested_and_loses_nothing() {
    let (mut world, _) = World::with_puppet_and(&slow());
    let sent = send_all(&mut world, Lane::Routine);
    assert!(sent > 8 && is_alarmed(&world, "peer-over-rate"), "{sent}: {:?}", world.nodes[0].alarms());
    assert!(world.nodes[0].closed.is_empty(), "waiting for credit is no offence");
    // Neither the other lanes nor another link bring more than was promised before.
    let others = send_all(&mut world, Lane::Priority) + send_all(&mut world, Lane::Immediate);
    assert!(others <= 8, "{others}");
    for _ in 0..3 {
        world.puppet_up(|_| ());
        assert_eq!(send_all(&mut world, Lane::Routine), 1, "only credit says that a peer is let in");
    }
    // Time does, by itself; and the alarm ends once it has rested.
    for _ in 0..60 {
        world.advance(1_000);
        world.run();
    }
    assert!(!is_alarmed(&world, "peer-over-rate"));
    assert!(send_all(&mut world, Lane::Routine) > 4);
}

#[test]
fn i14_a_flood_in_the_other_lanes_withholds_no_credit_for_flash() {
    let (mut world, _) = World::with_puppet_and(&slow());
    send_all(&mut world, Lane::Routine);
    for _ in 0..8 {
        world.inject(world.forged(Lane::Flash));
    }
    let flash = flow(&world, Lane::Flash);
    assert!(flash.promised >= flash.came + 3, "{flash:?}");
}

#[test]
fn i7_a_peer_that_takes_more_links_than_credit_is_turned_away() {
    let (mut world, _) = World::with_puppet_and(&slow());
    send_all(&mut world, Lane::Routine);
    let overdraft = 4 * 4 * aldis_wire::frame::FRAME_MAX_BYTES as u64;
    let mut links = 0;
    while world.nodes[0].closed.is_empty() {
        let link: LinkId = world.puppet_up(|_| ());
        world.inject({
            let mut forged = world.forged(Lane::Routine);
            forged.carry("poem", &vec![7; 40_000]);
            forged
        });
        links += 1;
        let turned_away = world.nodes[0].closed.contains(&(link, GoodbyeCode::NO_CREDIT));
        assert!(turned_away || links * 40_000 <= overdraft, "{links} links");
    }
}

#[test]
fn i7_messages_that_wait_for_an_answer_are_bounded_refused_and_told_and_flash_has_room() {
    let limits = Limits { unanswered_per_peer: 5, ..crate::pair::calm() };
    let (mut world, _) = World::with_puppet_and(&limits);
    for _ in 0..7 {
        world.inject(world.forged(Lane::Routine));
    }
    let refused = |world: &World| {
        let outcomes = world.nodes[0].records().iter().filter_map(|record| match record {
            Record::Received(received) => Some(received.outcome),
            _ => None,
        });
        outcomes.filter(|outcome| *outcome == Outcome::refused(RefusalCode::TooManyUnanswered)).count()
    };
    assert_eq!((refused(&world), world.nodes[0].closed.len()), (2, 0), "each takes its place, two are refused");
    assert!(is_alarmed(&world, "too-many-unanswered"));
    for _ in 0..10 {
        world.inject(world.forged(Lane::Flash));
    }
    assert_eq!(refused(&world), 2, "FLASH has room of its own");
}

#[test]
fn i8_an_answer_makes_room_and_ends_the_alarm() {
    let limits = Limits { unanswered_per_peer: 3, ..crate::pair::calm() };
    let (mut world, _) = World::with_puppet_and(&limits);
    let all: Vec<(EnvelopeId, Digest)> = (0..4).map(|_| world.inject(world.forged(Lane::Routine))).collect();
    assert!(is_alarmed(&world, "too-many-unanswered"));
    let token = world.submit(0, answer(&all[0], "approved"));
    world.run();
    world.nodes[0].submitted(token);
    world.tick();
    assert!(!is_alarmed(&world, "too-many-unanswered"), "{:?}", world.nodes[0].alarms());
}
