//! I9: a record that went back is found by the peers, stands as an alarm at both ends, and nothing new is signed meanwhile.

use crate::pair::{World, notice};
use aldis_core::effect::Declined;
use aldis_core::record::{Outcome, Record, Standing};
use aldis_core::trust::Act;
use aldis_wire::digest::Digest;
use aldis_wire::frame::GoodbyeCode;
use aldis_wire::hello::Role;
use aldis_wire::ids::{Incarnation, Seq};
use aldis_wire::lane::{Lane, Marks};

#[test]
fn i9_a_restored_backup_alarms_both_ends_and_signs_nothing_new() {
    let mut world = World::linked();
    let (br, cl) = (world.id(0), world.id(1));
    world.submit(0, notice(&cl, Lane::Priority));
    world.run();
    let backup = world.nodes[0].journal.len();
    for _ in 0..3 {
        world.submit(0, notice(&cl, Lane::Priority));
        world.run();
    }
    world.crash(0);
    let lost: Vec<Record> = world.nodes[0].records()[backup..].to_vec();
    world.nodes[0].roll_back(backup);
    world.restart(0);
    world.connect(0, 1);
    world.run();
    let standing = |world: &World, place: usize, of: &_| world.nodes[place].core.peer(of).unwrap().durable.standing;
    assert_eq!(standing(&world, 0, &cl), Standing::WeLostHistory);
    assert_eq!(standing(&world, 1, &br), Standing::PeerLostHistory);
    assert_eq!(world.nodes[0].alarms(), ["we-lost-history"]);
    assert_eq!(world.nodes[1].alarms(), ["peer-lost-history"]);
    for (place, other) in [(0, &cl), (1, &br)] {
        let token = world.submit(place, notice(other, Lane::Flash));
        world.run();
        assert!(matches!(world.nodes[place].declined(token), Declined::RecordsDisagree(..)));
    }
    let sent = world.nodes[0].records().iter().filter(|record| matches!(record, Record::Sent(_))).count();
    assert_eq!(sent, 1);
    // A restart forgets neither.
    world.restart(0);
    world.restart(1);
    assert_eq!(standing(&world, 0, &cl), Standing::WeLostHistory);
    assert_eq!(standing(&world, 1, &br), Standing::PeerLostHistory);
    // The lost part of the journal is found again: the marks agree, the alarms end, everything goes on.
    let started = lost.iter().find(|record| matches!(record, Record::Started(_)));
    assert!(started.is_none(), "the lost part is of one run");
    world.crash(0);
    world.nodes[0].roll_back(backup);
    world.nodes[0].append(&lost);
    world.restart(0);
    world.connect(0, 1);
    world.run();
    assert_eq!((standing(&world, 0, &cl), standing(&world, 1, &br)), (Standing::Good, Standing::Good));
    assert!(world.nodes[0].alarms().is_empty() && world.nodes[1].alarms().is_empty());
    world.submit(0, notice(&cl, Lane::Priority));
    world.run();
    assert_eq!(world.nodes[1].shown().len(), 5);
}

#[test]
fn i9_a_peer_that_lost_what_it_had_receipted_is_found_by_its_hello() {
    let mut world = World::linked();
    let cl = world.id(1);
    let backup = world.nodes[1].journal.len();
    world.submit(0, notice(&cl, Lane::Priority));
    world.run();
    world.crash(1);
    world.nodes[1].roll_back(backup);
    world.restart(1);
    world.submit(0, notice(&cl, Lane::Flash));
    world.run();
    world.connect(0, 1);
    world.run();
    assert_eq!(world.nodes[0].alarms(), ["peer-lost-history"]);
    assert_eq!(world.nodes[0].transmitted.len(), 1, "nothing is sent over another history");
}

#[test]
fn i9_a_fork_after_a_restore_is_found_by_the_digests_in_the_hello() {
    // The restored node signed something new before it met its peer: as many places, another history.
    let mut world = World::linked();
    let (br, cl) = (world.id(0), world.id(1));
    let backup = world.nodes[0].journal.len();
    world.submit(0, notice(&cl, Lane::Priority));
    world.run();
    world.crash(0);
    world.nodes[0].roll_back(backup);
    world.restart(0);
    world.advance(1_000);
    world.submit(0, notice(&cl, Lane::Priority));
    world.run();
    world.connect(0, 1);
    world.run();
    assert_eq!(world.nodes[0].alarms(), ["we-lost-history"]);
    assert_eq!(world.nodes[1].alarms(), ["peer-lost-history"]);
    assert_eq!(world.nodes[1].core.peer(&br).unwrap().durable.standing, Standing::PeerLostHistory);
    assert_eq!(world.nodes[1].shown().len(), 1);
}

#[test]
fn i9_no_refusal_is_signed_while_the_records_disagree_but_it_is_owed() {
    let (mut world, _) = World::with_puppet();
    world.puppet_up(|hello| hello.received.set(Lane::Flash, Seq::new(4).unwrap(), Digest::of(&[b"lost"])));
    world.allow(10);
    assert_eq!(world.nodes[0].alarms(), ["we-lost-history"]);
    for round in 0..3 {
        let mut forged = world.forged(Lane::Flash);
        forged.carry("poem", format!("verse {round}").as_bytes());
        world.inject(forged);
    }
    let sent = |world: &World| {
        let records = world.nodes[0].records().iter();
        records.filter(|record| matches!(record, Record::Sent(_))).count()
    };
    let received = world.nodes[0].records().iter().filter_map(|record| match record {
        Record::Received(received) => Some(received.outcome),
        _ => None,
    });
    assert!(received.into_iter().all(|outcome| matches!(outcome, Outcome::Refused(_))));
    assert_eq!(sent(&world), 0, "a new envelope would contradict the ones that were lost");
    world.restart(0);
    // What it named it no longer names: people say that this is all, and then that it may be.
    for _ in 0..2 {
        world.puppet_up(|_| ());
        assert_eq!((world.nodes[0].alarms(), sent(&world)), (vec!["we-lost-history".to_owned()], 0));
        world.order(0, Act::Recover, 1);
        world.run();
        world.approve_all(0);
        world.run();
    }
    world.puppet_up(|_| ());
    assert!(world.nodes[0].alarms().is_empty());
    assert_eq!(sent(&world), 3, "the refusals follow as soon as the records agree");
    world.puppet_up(|_| ());
    assert_eq!(sent(&world), 3, "once");
}

#[test]
fn i9_a_receipt_for_what_was_never_sent_is_an_alarm() {
    let (mut world, link) = World::with_puppet();
    let mut marks = Marks::default();
    marks.set(Lane::Routine, Seq::new(2).unwrap(), Digest::of(&[b"x"]));
    world.receipt(marks);
    assert_eq!(world.nodes[0].alarms(), ["we-lost-history"]);
    assert_eq!(world.nodes[0].closed, [(link, GoodbyeCode::RECORDS_DISAGREE)]);
}

#[test]
fn i3_a_receipt_over_another_digest_moves_nothing() {
    let (mut world, link) = World::with_puppet();
    let cl = world.id(1);
    world.allow(10);
    world.submit(0, notice(&cl, Lane::Routine));
    world.run();
    let mut marks = Marks::default();
    marks.set(Lane::Routine, Seq::FIRST, Digest::of(&[b"another message"]));
    world.receipt(marks);
    let out = &world.nodes[0].core.peer(&cl).unwrap().durable.out[Lane::Routine.index()];
    assert_eq!(out.receipted_seq(), 0);
    assert_eq!(world.nodes[0].closed, [(link, GoodbyeCode::RECORDS_DISAGREE)]);
    assert_eq!(world.nodes[0].alarms(), ["we-lost-history"]);
}

#[test]
fn an_old_receipt_that_a_newer_one_overtook_says_nothing_new() {
    let (mut world, _) = World::with_puppet();
    let cl = world.id(1);
    world.allow(10);
    let mut all = Vec::new();
    for _ in 0..3 {
        world.submit(0, notice(&cl, Lane::Routine));
        world.run();
        all.push(world.nodes[0].core.peer(&cl).unwrap().sent_marks());
    }
    for marks in all.into_iter().rev() {
        world.receipt(marks);
    }
    let out = &world.nodes[0].core.peer(&cl).unwrap().durable.out[Lane::Routine.index()];
    assert_eq!(out.receipted_seq(), 3);
    assert!(world.nodes[0].alarms().is_empty() && world.nodes[0].closed.is_empty());
    let receipts = world.nodes[0].records().iter().filter(|record| matches!(record, Record::Receipted(_))).count();
    assert_eq!(receipts, 1);
}

#[test]
fn a_hello_that_the_old_link_overtook_is_no_lost_history() {
    // Both Hellos of a second link are signed; before they are taken in, the first link still carries mail both ways.
    for (dialler, listener) in [(0, 1), (1, 0)] {
        let mut world = World::linked();
        let (br, cl) = (world.id(0), world.id(1));
        world.advance(60_000);
        let [first, second] = world.hellos(dialler, listener);
        for _ in 0..5 {
            world.submit(0, notice(&cl, Lane::Priority));
            world.submit(1, notice(&br, Lane::Priority));
            world.run();
        }
        let link = world.open_wire(dialler, listener);
        world.link_up_at(listener, dialler, link, first);
        world.link_up_at(dialler, listener, link, second);
        world.run();
        assert!(world.nodes[0].alarms().is_empty(), "{:?}", world.nodes[0].alarms());
        assert!(world.nodes[1].alarms().is_empty());
        world.submit(0, notice(&cl, Lane::Priority));
        world.run();
        assert_eq!((world.nodes[0].shown().len(), world.nodes[1].shown().len()), (5, 6));
        assert_eq!(world.nodes[0].core.peer(&cl).unwrap().durable.out[2].receipted_seq(), 6);
    }
}

#[test]
fn i9_an_overtaken_hello_never_excuses_another_run() {
    // The excuse is for the same run of the peer only: a restored node has another incarnation.
    let (mut world, _) = World::with_puppet();
    world.inject(world.forged(Lane::Flash));
    world.puppet_up(|hello| {
        hello.incarnation = Incarnation(9_999);
        hello.sent = Marks::default();
    });
    assert_eq!(world.nodes[0].alarms(), ["peer-lost-history"]);
    // Nor does it heal what was found: the same run says the same again.
    world.puppet_up(|hello| {
        hello.incarnation = Incarnation(9_999);
        hello.sent = Marks::default();
    });
    assert_eq!(world.nodes[0].alarms(), ["peer-lost-history"]);
}

#[test]
fn an_alarm_over_the_clocks_is_raised_once_and_cleared() {
    use aldis_core::effect::Happening;
    use aldis_core::input::Input;
    let mut world = World::linked();
    let cl = world.id(1);
    let minute = 60_000;
    for (difference_ms, lasts) in
        [(minute, false), (6 * minute, true), (-6 * minute, true), (5 * minute, false), (i64::MIN, true), (0, false)]
    {
        world.nodes[0].inbox.push_back(Input::ClockDifference { peer: cl.clone(), difference_ms });
        world.run();
        assert_eq!(!world.nodes[0].alarms().is_empty(), lasts, "{difference_ms}");
    }
    let raised = world.nodes[0].told.iter().filter(|told| matches!(told, Happening::AlarmRaised(..))).count();
    let cleared = world.nodes[0].told.iter().filter(|told| matches!(told, Happening::AlarmCleared(..))).count();
    assert_eq!((raised, cleared), (2, 2));
}

#[test]
fn i8_what_the_peer_says_of_our_records_is_an_alarm_here_until_it_receipts_again() {
    let mut world = World::linked();
    let (br, cl) = (world.id(0), world.id(1));
    // The peer quarantines us: our end learns why its mail stays.
    let mut forged = world.forged_by(0, 1, Lane::Flash);
    forged.header.seq = Seq::new(7).unwrap();
    forged.header.previous = Digest::of(&[b"a place that never was"]);
    world.inject_by(0, 1, forged);
    assert_eq!(world.nodes[0].alarms(), ["peer-finds-records-disagree"]);
    world.advance(10_000);
    world.connect(0, 1);
    world.submit(0, notice(&cl, Lane::Flash));
    world.run();
    assert!(world.nodes[0].alarms().is_empty(), "the peer took mail again");
    assert_eq!(world.hello(1, 0, Role::LISTENER).received.seq(Lane::Flash), 1);
    assert_eq!(world.nodes[1].core.peer(&br).unwrap().durable.standing, Standing::Good);
}
