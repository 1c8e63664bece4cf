//! I9: every receipt says, signed, what its signer held of the other side's journal, so that a journal that was rolled
//! back or rewritten is found out by the words of the peers that lie in it.

use crate::pair::{World, notice};
use aldis_core::record::Record;
use aldis_wire::digest::Digest;
use aldis_wire::lane::Lane;
use aldis_wire::receipt::Receipt;
use proptest::prelude::*;

/// The receipts in a node's journal, with their places.
fn receipts(world: &World, place: usize) -> Vec<(usize, Receipt)> {
    let records = world.nodes[place].records().iter().enumerate();
    let receipts = records.filter_map(|(at, record)| match record {
        Record::Receipted(receipted) => Some((at, Receipt::from_journal(&receipted.receipt).unwrap())),
        _ => None,
    });
    receipts.collect()
}

/// Every witness in a node's journal is a commitment to an earlier state of that very journal, and none is older than
/// the one before.
fn assert_opened(world: &World, place: usize) -> usize {
    let mut latest = 0;
    let mut named = 0;
    for (at, receipt) in receipts(world, place) {
        let Some(witness) = receipt.witness() else {
            assert_eq!(latest, 0, "who held a commitment once holds one for ever");
            continue;
        };
        let opened = (1..=at).find(|size| world.nodes[place].commitment_at(*size) == witness);
        let size = opened.unwrap_or_else(|| panic!("record {at} of node {place} names what was never committed to"));
        assert!(size >= latest, "record {at} of node {place} goes back from {latest} to {size}");
        (latest, named) = (size, named + 1);
    }
    named
}

#[test]
fn i9_a_receipt_names_the_commitment_its_signer_held_on_its_disk() {
    let mut world = World::linked();
    let (br, cl) = (world.id(0), world.id(1));
    world.submit(0, notice(&cl, Lane::Priority));
    world.run();
    let [(_, first)] = receipts(&world, 0).try_into().unwrap();
    assert_eq!(first.witness(), None, "cert.cl has no receipt of ours yet");
    world.submit(1, notice(&br, Lane::Priority));
    world.run();
    let [(_, held)] = receipts(&world, 1).try_into().unwrap();
    assert_eq!(held.witness(), Some(first.commitment), "we hold what the first receipt said");
    world.restart(1);
    world.connect(0, 1);
    world.submit(0, notice(&cl, Lane::Routine));
    world.run();
    let second = receipts(&world, 0).pop().unwrap().1;
    assert_eq!(second.witness(), Some(held.commitment), "a restart forgets nothing");
    assert_eq!((assert_opened(&world, 0), assert_opened(&world, 1)), (1, 1));
}

#[test]
fn i9_a_commitment_to_nothing_is_no_witness() {
    let (mut world, _) = World::with_puppet();
    world.allow(10);
    let cl = world.id(1);
    world.submit(0, notice(&cl, Lane::Priority));
    world.run();
    // The puppet's receipts commit to nothing.
    let marks = world.nodes[0].core.peer(&cl).unwrap().sent_marks();
    world.receipt(marks);
    assert_eq!(receipts(&world, 0).len(), 1);
    let receipt = world.nodes[0].core.receipt(&cl, world.wall_of(0), Digest::ZERO).unwrap();
    assert_eq!((receipt.witness(), receipt.extensions.iter().count()), (None, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn i9_every_witness_names_an_earlier_state_of_our_own_journal(steps in prop::collection::vec(0..7_u8, 1..24)) {
        let mut world = World::linked();
        let (br, cl) = (world.id(0), world.id(1));
        for step in steps {
            match step {
                0 => drop(world.submit(0, notice(&cl, Lane::Priority))),
                1 => drop(world.submit(1, notice(&br, Lane::Priority))),
                2 => drop(world.submit(0, notice(&cl, Lane::Flash))),
                3 => {
                    world.restart(0);
                    world.connect(0, 1);
                }
                4 => {
                    world.nodes[1].take_snapshot_if_up();
                    world.restart(1);
                    world.connect(0, 1);
                }
                _ => {}
            }
            if step != 5 {
                world.run();
            }
        }
        world.run();
        assert_opened(&world, 0);
        assert_opened(&world, 1);
    }
}
