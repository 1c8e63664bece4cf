//! I1, I2, I3: nothing is said before it is on disk.

use crate::pair::{Fault, World, answer, notice};
use aldis_core::effect::{Delivery, Done};
use aldis_core::input::{Input, Token};
use aldis_core::outbound::OutState;
use aldis_core::record::Record;
use aldis_core::{Core, SnapshotError};
use aldis_wire::codec::Text;
use aldis_wire::lane::Lane;

#[test]
fn a_notice_is_delivered_answered_and_closed_at_both_ends() {
    let mut world = World::linked();
    let (br, cl) = (world.id(0), world.id(1));
    let token = world.submit(0, notice(&cl, Lane::Priority));
    world.run();
    let sent = world.nodes[0].submitted(token);
    assert_eq!(sent[0].0.to_string(), "cert.br/cert.cl/P1");
    assert_eq!(world.nodes[1].shown(), [sent[0].0.clone()]);
    for state in ["seen", "acknowledged", "pending", "approved"] {
        let token = world.submit(1, answer(&sent[0], state));
        world.run();
        world.nodes[1].submitted(token);
    }
    let told: Vec<Delivery> = world.nodes[0].deliveries().into_iter().map(|(_, delivery)| delivery).collect();
    let decided = |status| Delivery::Decided(aldis_wire::codes::Code::known(status));
    let expected = [
        Delivery::Submitted,
        Delivery::Relayed,
        Delivery::Stored,
        Delivery::Seen,
        Delivery::Acknowledged,
        decided("pending"),
        decided("approved"),
    ];
    assert_eq!(told, expected);
    assert!(world.nodes[0].core.peer(&cl).unwrap().durable.out.iter().all(|lane| lane.open.is_empty()));
    assert!(world.nodes[1].core.peer(&br).unwrap().durable.inbound.iter().all(|lane| lane.open.is_empty()));
}

#[test]
fn i1_a_submission_is_confirmed_only_after_it_is_on_disk() {
    for fault in [Fault::BeforeDisk, Fault::AfterDisk] {
        let mut world = World::linked();
        let cl = world.id(1);
        world.nodes[0].fault = Some(fault);
        let token = world.submit(0, notice(&cl, Lane::Flash));
        world.run();
        assert!(!world.nodes[0].up, "a failed persist ends the process");
        assert!(world.nodes[0].replies.is_empty() || !world.nodes[0].replies.contains_key(&token));
        assert!(world.nodes[0].transmitted.is_empty() && world.nodes[1].shown().is_empty());
        world.restart(0);
        world.connect(0, 1);
        world.run();
        // Not confirmed: it may exist or not, but it exists at both ends or at none.
        let expected = usize::from(fault == Fault::AfterDisk);
        assert_eq!(world.nodes[1].shown().len(), expected, "{fault:?}");
    }
}

#[test]
fn i2_a_receipt_leaves_only_after_the_envelope_is_on_disk() {
    for fault in [Fault::BeforeDisk, Fault::AfterDisk] {
        let mut world = World::linked();
        let cl = world.id(1);
        world.nodes[1].fault = Some(fault);
        world.submit(0, notice(&cl, Lane::Flash));
        world.run();
        assert!(!world.nodes[1].up);
        let stored = |world: &World| world.nodes[0].deliveries().iter().any(|(_, to)| *to == Delivery::Stored);
        assert!(!stored(&world), "{fault:?}: no effect of a failed batch may leave");
        world.restart(1);
        world.connect(1, 0);
        world.run();
        assert!(stored(&world));
        assert_eq!(received(&world, 1), 1, "{fault:?}: one record, however often it was sent");
    }
}

#[test]
fn i3_stored_is_told_only_after_the_receipt_is_on_disk() {
    for fault in [Fault::BeforeDisk, Fault::AfterDisk] {
        let mut world = World::linked();
        let cl = world.id(1);
        world.submit(0, notice(&cl, Lane::Flash));
        world.network.held_from = Some(1);
        world.run();
        world.nodes[0].fault = Some(fault);
        world.network.held_from = None;
        world.run();
        assert!(!world.nodes[0].up);
        assert!(!world.nodes[0].deliveries().iter().any(|(_, to)| *to == Delivery::Stored));
        world.restart(0);
        world.connect(0, 1);
        world.run();
        let out = &world.nodes[0].core.peer(&cl).unwrap().durable.out[0];
        assert_eq!((out.receipted_seq(), out.open[&1].state), (1, OutState::Stored), "{fault:?}");
        let receipts = world.nodes[0].records().iter().filter(|r| matches!(r, Record::Receipted(_))).count();
        assert_eq!(receipts, 1, "{fault:?}");
        assert_eq!(received(&world, 1), 1);
    }
}

#[test]
fn i3_stored_stands_in_the_batch_of_its_receipt() {
    let mut world = World::linked();
    let cl = world.id(1);
    world.submit(0, notice(&cl, Lane::Routine));
    world.run();
    let records = world.nodes[0].records();
    let Some(Record::Receipted(receipted)) = records.last() else { panic!("the last record is the receipt") };
    let receipt = aldis_wire::receipt::Receipt::from_journal(&receipted.receipt).unwrap();
    assert_eq!(receipt.stored.seq(Lane::Routine), 1);
    // The bytes kept are the ones the peer signed: they verify for anybody.
    let key = world.nodes[1].key.public();
    aldis_wire::receipt::VerifiedReceipt::verify(&receipted.receipt, &cl, &world.id(0), &key).unwrap();
}

#[test]
fn i11_the_same_inputs_give_the_same_outputs() {
    let run = |seed| {
        let mut world = World::with(3, seed, &aldis_core::limits::Limits::default());
        world.tracing = true;
        world.dials = true;
        world.advance(10);
        for round in 0..20 {
            let (from, to) = (round % 3, (round + 1) % 3);
            let lane = Lane::ALL[round % 4];
            let to = world.id(to);
            world.submit(from, notice(&to, lane));
            if round % 5 == 4 {
                world.break_all();
            }
            if round == 11 {
                world.restart(1);
            }
            world.jump();
        }
        let journals = world.nodes.iter().flat_map(|node| &node.journal).map(|entry| entry.record.clone());
        (journals.collect::<Vec<_>>(), std::mem::take(&mut world.trace))
    };
    assert!(run(1) == run(1));
    assert!(run(1) != run(2), "entropy matters, so the comparison above compares something");
}

#[test]
fn i11_a_snapshot_and_the_records_after_it_give_the_state() {
    let mut world = World::linked();
    let cl = world.id(1);
    for round in 0..12 {
        world.submit(0, notice(&cl, Lane::ALL[round % 4]));
        world.run();
        if round == 5 {
            world.nodes[0].take_snapshot();
            world.nodes[1].take_snapshot();
        }
    }
    // Recovery compares with the state that every record gave.
    world.restart(0);
    world.restart(1);
}

#[test]
fn a_snapshot_of_another_node_or_version_or_damaged_is_refused() {
    let world = World::linked();
    let node = &world.nodes[0];
    let bytes = node.core.snapshot();
    let read = |bytes: &[u8], own| Core::from_snapshot(bytes, own, node.key.id(), node.limits.clone());
    assert!(matches!(read(&bytes, world.id(1)), Err(SnapshotError::OtherNode { .. })));
    assert!(matches!(read(&bytes[..bytes.len() - 1], world.id(0)), Err(SnapshotError::Malformed(_))));
    let mut newer = bytes.clone();
    newer[0] = 9;
    assert!(matches!(read(&newer, world.id(0)), Err(SnapshotError::Version(9))));
}

fn received(world: &World, place: usize) -> usize {
    world.nodes[place].records().iter().filter(|record| matches!(record, Record::Received(_))).count()
}

#[test]
fn i1_an_opening_is_confirmed_only_after_it_is_on_disk() {
    for fault in [None, Some(Fault::BeforeDisk), Some(Fault::AfterDisk)] {
        let mut world = World::linked();
        let cl = world.id(1);
        let token = world.submit(0, notice(&cl, Lane::Flash));
        world.run();
        let (message, _) = world.nodes[0].submitted(token)[0].clone();
        world.nodes[0].fault = fault;
        let (token, by) = (Token(77), Text::cut("ana (uid 1001)"));
        world.nodes[0].inbox.push_back(Input::Opened { token, message: message.clone(), by });
        world.run();
        assert_eq!(world.nodes[0].replies.get(&token), fault.is_none().then_some(&Ok(Done::Opened)));
        world.restart(0);
        let opened = world.nodes[0].records().iter().filter_map(|record| match record {
            Record::Opened(opened) => Some(&opened.message),
            _ => None,
        });
        let expected = usize::from(fault != Some(Fault::BeforeDisk));
        assert_eq!(opened.filter(|opened| **opened == message).count(), expected, "{fault:?}");
    }
}
