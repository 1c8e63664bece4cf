//! A backlog drains by itself when the link comes up: the most urgent lane first, each lane in order.

use crate::pair::{World, notice, notice_of};
use aldis_core::inbound::REMEMBERED;
use aldis_wire::lane::{Lane, Marks};

#[test]
fn ten_thousand_notices_drain_when_the_link_comes_up_flash_first_and_in_order() {
    let mut world = World::new(2);
    let cl = world.id(1);
    for node in &mut world.nodes {
        node.replays = false;
    }
    // ROUTINE was written first, FLASH last.
    for lane in Lane::ALL.into_iter().rev() {
        for _ in 0..2_500 {
            world.submit(0, notice(&cl, lane));
        }
    }
    world.run();
    world.connect(0, 1);
    world.run();
    let shown = world.nodes[1].shown();
    assert_eq!(shown.len(), 10_000);
    for lane in Lane::ALL {
        let seqs: Vec<u64> = shown.iter().filter(|id| id.lane == lane).map(|id| id.seq.get()).collect();
        assert_eq!(seqs, (1..=2_500).collect::<Vec<_>>(), "{lane:?}");
    }
    let first_window = &world.nodes[0].transmitted[..512];
    assert!(first_window.iter().all(|(lane, _, _)| *lane == Lane::Flash), "FLASH goes first");
    let last_flash = shown.iter().rposition(|id| id.lane == Lane::Flash).unwrap();
    let routine_before = shown[..last_flash].iter().filter(|id| id.lane == Lane::Routine).count();
    assert!(routine_before <= 2_500, "{routine_before}");
    let peer = world.nodes[0].core.peer(&cl).unwrap();
    assert!(peer.durable.out.iter().all(|lane| lane.undelivered() == 0));
    assert_eq!(world.nodes[0].transmitted.len(), 10_000, "nothing was sent twice");
    world.restart(0);
    world.restart(1);
}

#[test]
fn within_a_turn_the_urgent_lane_is_transmitted_first() {
    let mut world = World::new(2);
    let cl = world.id(1);
    for lane in Lane::ALL.into_iter().rev() {
        for _ in 0..3 {
            world.submit(0, notice(&cl, lane));
        }
    }
    world.run();
    world.connect(0, 1);
    world.run();
    let lanes: Vec<Lane> = world.nodes[0].transmitted.iter().map(|(lane, _, _)| *lane).collect();
    assert!(lanes.is_sorted(), "{lanes:?}");
}

#[test]
fn i14_when_several_lanes_may_go_on_at_once_flash_goes_first() {
    let mut world = World::new(2);
    world.nodes[0].replays = false;
    world.nodes[1].puppet = true;
    let cl = world.id(1);
    for _ in 0..REMEMBERED + 5 {
        world.submit(0, notice(&cl, Lane::Routine));
        world.submit(0, notice(&cl, Lane::Flash));
    }
    world.run();
    world.puppet_up(|_| ());
    world.allow(u64::MAX);
    // Both lanes stand still until a receipt; one receipt lets both go on.
    let mut marks = Marks::default();
    for (lane, seq, _) in std::mem::take(&mut world.nodes[0].transmitted) {
        let out = &world.nodes[0].core.peer(&cl).unwrap().durable.out[lane.index()];
        marks.set(lane, seq, out.digest_at(seq).unwrap());
    }
    world.receipt(marks);
    let lanes: Vec<Lane> = world.nodes[0].transmitted.iter().map(|(lane, _, _)| *lane).collect();
    assert_eq!(lanes, [[Lane::Flash; 5], [Lane::Routine; 5]].concat());
}

#[test]
fn a_backlog_survives_breaks_in_the_middle_of_draining() {
    let mut world = World::new(2);
    let cl = world.id(1);
    world.nodes[0].replays = false;
    world.nodes[1].replays = false;
    for number in 0..2_000 {
        world.submit(0, notice_of(&cl, Lane::ALL[number % 4], &format!("notice {number}")));
    }
    world.run();
    for round in 0..40 {
        world.connect(round % 2, 1 - round % 2);
        // A few turns only, then the link breaks with everything that is on its way.
        for _ in 0..3 {
            for place in 0..2 {
                let mut inputs: Vec<_> = world.nodes[place].inbox.drain(..).collect();
                inputs.extend(world.arrived(place));
                world.step(place, inputs);
            }
        }
        world.break_all();
        world.run();
    }
    world.connect(0, 1);
    world.run();
    for lane in Lane::ALL {
        let shown = world.nodes[1].shown();
        let seqs: Vec<u64> = shown.iter().filter(|id| id.lane == lane).map(|id| id.seq.get()).collect();
        assert_eq!(seqs, (1..=500).collect::<Vec<_>>(), "{lane:?}");
    }
}
