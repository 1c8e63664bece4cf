//! I7: nothing a peer or an operator does grows without bound.

use crate::pair::{Wired, World, notice};
use aldis_core::effect::Declined;
use aldis_core::inbound::REMEMBERED;
use aldis_core::input::Input;
use aldis_core::limits::Limits;
use aldis_core::record::Record;
use aldis_wire::frame::GoodbyeCode;
use aldis_wire::lane::{Lane, Marks};
use bytes::Bytes;

#[test]
fn i7_envelopes_beyond_the_credit_end_the_link() {
    let limits = Limits { credit_window: 8, ..Limits::default() };
    let mut world = World::with(2, 0, &limits);
    world.nodes[1].puppet = true;
    let link = world.puppet_up(|_| ());
    // A peer that waits for credit gets on for ever.
    for _ in 0..5 {
        send_at_once(&mut world, link, 8);
    }
    assert!(world.nodes[0].closed.is_empty());
    // One that does not is stopped at the window, before its envelopes take places.
    send_at_once(&mut world, link, 9);
    assert!(world.nodes[0].closed.contains(&(link, GoodbyeCode::NO_CREDIT)));
    assert_eq!(received(&world), 48);
}

#[test]
fn duplicates_do_not_use_up_the_credit_for_good() {
    let limits = Limits { credit_window: 8, ..Limits::default() };
    let mut world = World::with(2, 0, &limits);
    let cl = world.id(1);
    world.connect(0, 1);
    world.run();
    world.advance(60_000);
    // The Hellos of a second link are old when it comes up: a whole window comes twice.
    let [first, second] = world.hellos(0, 1);
    for _ in 0..8 {
        world.submit(0, notice(&cl, Lane::Routine));
    }
    world.network.held_from = Some(1);
    world.run();
    world.network.held_from = None;
    let link = world.open_wire(0, 1);
    world.link_up_at(1, 0, link, first);
    world.link_up_at(0, 1, link, second);
    world.run();
    for _ in 0..20 {
        world.submit(0, notice(&cl, Lane::Routine));
    }
    world.run();
    assert_eq!(world.nodes[1].shown().len(), 28);
    assert_eq!(world.nodes[0].core.peer(&cl).unwrap().durable.out[3].receipted_seq(), 28);
}

#[test]
fn i7_a_peer_that_allows_everything_is_not_sent_everything_at_once() {
    let mut world = World::new(2);
    world.nodes[0].replays = false;
    world.nodes[1].puppet = true;
    let cl = world.id(1);
    for _ in 0..3_000 {
        world.submit(0, notice(&cl, Lane::Routine));
    }
    world.run();
    world.puppet_up(|_| ());
    world.allow(u64::MAX);
    let transmitted = world.nodes[0].transmitted.len();
    assert!(transmitted <= REMEMBERED, "{transmitted} are on their way; the other side remembers {REMEMBERED}");
    // Receipts let the rest follow, without anybody writing again.
    while world.nodes[0].core.peer(&cl).unwrap().durable.out[3].undelivered() > 0 {
        let marks = latest_transmitted(&mut world);
        world.receipt(marks);
    }
    assert_eq!(world.nodes[0].transmitted.len(), 3_000);
}

#[test]
fn i7_open_messages_per_peer_are_bounded() {
    let limits = Limits { open_per_peer: 5, ..Limits::default() };
    let mut world = World::with(3, 0, &limits);
    let (cl, uy) = (world.id(1), world.id(2));
    for round in 0..8 {
        let token = world.submit(0, notice(&cl, Lane::ALL[round % 4]));
        world.run();
        match round < 5 {
            true => drop(world.nodes[0].submitted(token)),
            false => assert_eq!(world.nodes[0].declined(token), Declined::QueueFull(cl.clone())),
        }
    }
    let token = world.submit(0, notice(&uy, Lane::Flash));
    world.run();
    world.nodes[0].submitted(token);
}

#[test]
fn i7_refusals_to_a_peer_that_never_receipts_are_bounded() {
    let limits = Limits { open_per_peer: 5, refusals_per_peer: 10, ..Limits::default() };
    let mut world = World::with(2, 0, &limits);
    world.nodes[1].puppet = true;
    for _ in 0..30 {
        world.puppet_up(|_| ());
        let mut forged = world.forged(Lane::Flash);
        forged.carry("poem", b"");
        world.inject(forged);
    }
    let sent = |world: &World| world.nodes[0].records().iter().filter(|r| matches!(r, Record::Sent(_))).count();
    assert_eq!((sent(&world), received(&world)), (10, 10), "what cannot be answered takes no place yet");
    assert_eq!(world.nodes[0].closed.last().map(|(_, code)| *code), Some(GoodbyeCode::NO_CREDIT));
    // What needs no refusal goes on.
    world.puppet_up(|_| ());
    world.inject(world.forged(Lane::Flash));
    assert_eq!(received(&world), 11);
    // And as soon as the peer receipts, it is told what it could not be told before, and answered again.
    world.puppet_up(|_| ());
    world.allow(100);
    let marks = latest_transmitted(&mut world);
    world.receipt(marks);
    let mut forged = world.forged(Lane::Flash);
    forged.carry("poem", b"");
    world.inject(forged);
    assert_eq!((sent(&world), received(&world)), (12, 12), "a step of the ladder, and the refusal");
}

#[test]
fn i7_the_remembered_past_of_a_lane_is_bounded_and_the_rest_is_forgotten() {
    let (mut world, link) = World::with_puppet();
    world.nodes[0].replays = false;
    let mut all: Vec<Bytes> = Vec::new();
    for _ in 0..REMEMBERED + 3 {
        let (_, _, bytes) = world.seal(world.forged(Lane::Flash));
        all.push(bytes.clone());
        let input = world.read(0, 1, link, Wired::Envelope(bytes));
        world.step(0, vec![input]);
    }
    let id = world.id(1);
    let lane = |world: &World| world.nodes[0].core.peer(&id).unwrap().durable.inbound[0].recent.len();
    assert_eq!(lane(&world), REMEMBERED);
    let before = world.nodes[0].journal.len();
    let mut replay = |at: usize| {
        let input = world.read(0, 1, link, Wired::Envelope(all[at].clone()));
        world.nodes[0].closed.clear();
        world.step(0, vec![input]);
        world.nodes[0].closed.clone()
    };
    assert!(replay(3).is_empty(), "the oldest that is remembered is a duplicate");
    assert_eq!(
        replay(2),
        [(link, GoodbyeCode::RECORDS_DISAGREE)],
        "one that is older takes no place and ends the link"
    );
    assert_eq!(world.nodes[0].journal.len(), before);
}

#[test]
fn i14_a_group_commit_ends_at_its_bound() {
    let mut world = World::new(2);
    world.nodes[0].replays = false;
    let cl = world.id(1);
    let mut inputs = std::collections::VecDeque::new();
    let mut submission = notice(&cl, Lane::Routine);
    submission.bodies[0].1 = Bytes::from(vec![7; 40_000]);
    for number in 0..100 {
        inputs.push_back(Input::Submit(aldis_core::input::Token(number), Box::new(submission.clone())));
    }
    let moment = world.moment();
    let mut batches = 0;
    while !inputs.is_empty() {
        let before = world.nodes[0].journal.len();
        world.nodes[0].turn(moment, &mut inputs).unwrap();
        let bytes: usize = world.nodes[0].journal[before..].iter().map(|entry| entry.record.len() + 40_000).sum();
        assert!(bytes <= aldis_core::batch::BATCH_MAX_BYTES + 42_000, "{bytes}");
        batches += 1;
    }
    assert!(batches >= 4, "{batches}");
}

/// `count` envelopes of the puppet's in one batch.
fn send_at_once(world: &mut World, link: aldis_core::peer::LinkId, count: usize) {
    let id = world.id(1);
    let mut last = world.nodes[0].core.peer(&id).unwrap().received_marks().get(Lane::Routine);
    let mut inputs = Vec::new();
    for _ in 0..count {
        let mut forged = world.forged(Lane::Routine);
        if let Some((seq, digest)) = last {
            (forged.header.seq, forged.header.previous) = (seq.next(), digest);
        }
        let (id, digest, bytes) = world.seal(forged);
        last = Some((id.seq, digest));
        inputs.push(world.read(0, 1, link, Wired::Envelope(bytes)));
    }
    world.step(0, inputs);
    world.run();
}

/// Marks over everything that was transmitted to the puppet.
fn latest_transmitted(world: &mut World) -> Marks {
    let cl = world.id(1);
    let mut marks = Marks::default();
    for (lane, seq, _) in &world.nodes[0].transmitted {
        if seq.get() > marks.seq(*lane) {
            let digest = world.nodes[0].core.peer(&cl).unwrap().durable.out[lane.index()].digest_at(*seq);
            marks.set(*lane, *seq, digest.expect("what is not receipted is known"));
        }
    }
    marks
}

fn received(world: &World) -> usize {
    world.nodes[0].records().iter().filter(|record| matches!(record, Record::Received(_))).count()
}
