//! Links: dialling and backing off, two links at once, flow control, blocked lanes, links that stall.

use crate::pair::{Wired, World, card, notice, text};
use aldis_core::effect::{Declined, Done};
use aldis_core::input::Input;
use aldis_core::limits::Limits;
use aldis_core::peer::LinkId;
use aldis_core::record::Record;
use aldis_wire::codec::List;
use aldis_wire::frame::{Goodbye, GoodbyeCode};
use aldis_wire::lane::Lane;

const SECOND: u64 = 1_000;

#[test]
fn dials_back_off_from_5_s_doubling_to_15_min_with_jitter_in_the_upper_half() {
    let mut spread = Vec::new();
    for seed in 0..40 {
        let mut world = World::with(2, seed, &Limits::default());
        world.dials = true;
        world.reachable = false;
        world.nodes[1].puppet = true;
        world.restart(0);
        let mut expected = 5 * SECOND;
        for round in 0..12 {
            let wait = world.jump().expect("a dial is due");
            if round == 0 {
                assert_eq!(wait, 0, "the first dial comes at once");
                continue;
            }
            assert!((expected / 2..=expected).contains(&wait), "seed {seed} round {round}: {wait} of {expected}");
            if round == 11 {
                spread.push(wait);
            }
            expected = (expected * 2).min(15 * 60 * SECOND);
        }
    }
    assert!(spread.iter().max().unwrap() - spread.iter().min().unwrap() > 200 * SECOND, "{spread:?}");
}

#[test]
fn i14_flash_does_not_wait_for_the_end_of_a_backoff() {
    let mut world = World::new(2);
    world.dials = true;
    world.reachable = false;
    world.restart(0);
    for _ in 0..8 {
        world.jump();
    }
    world.advance(1);
    let (before, cl) = (world.nodes[0].dialled.len(), world.id(1));
    world.submit(0, notice(&cl, Lane::Immediate));
    world.run();
    assert_eq!(world.nodes[0].dialled.len(), before, "all else waits");
    world.submit(0, notice(&cl, Lane::Flash));
    world.run();
    assert_eq!(world.nodes[0].dialled.len(), before + 1);
    // The backoff goes on from where it was.
    assert!(until_dialled(&mut world) > 100 * SECOND);
}

#[test]
fn a_link_that_breaks_at_once_backs_off_like_a_dial_that_fails() {
    let mut world = World::new(2);
    world.nodes[1].puppet = true;
    world.tick();
    let mut expected = 5 * SECOND;
    for round in 0..12 {
        world.puppet_up(|_| ());
        world.break_all();
        world.run();
        let wait = until_dialled(&mut world);
        assert!((expected / 2..=expected).contains(&wait), "round {round}: {wait} of {expected}");
        expected = (expected * 2).min(15 * 60 * SECOND);
    }
    // One that held is dialled again at once.
    world.puppet_up(|_| ());
    world.advance(10 * SECOND);
    world.break_all();
    world.run();
    assert!(until_dialled(&mut world) <= SECOND);
}

#[test]
fn a_peer_without_an_endpoint_is_never_dialled_and_nothing_is_due_for_it() {
    let mut world = World::new(2);
    let mut card = card(&world.id(1), &world.nodes[1].key);
    (card.sequence, card.endpoints) = (2, List::empty());
    let card = Box::new(card.sign(&world.nodes[1].key));
    let token = world.token();
    world.nodes[0].dialled.clear();
    world.restart(0);
    world.nodes[0].inbox.push_back(Input::AddPeer { token, card, by: text("admin") });
    world.run();
    world.advance(10);
    assert!(world.nodes[0].dialled.is_empty());
    let moment = world.moment();
    assert_eq!(world.nodes[0].core.next_deadline(moment), None);
}

#[test]
fn of_two_links_that_cross_both_ends_keep_the_same() {
    for (orders, delay_ms) in [([0, 0], 0), ([0, 1], 0), ([1, 0], 0), ([1, 1], 0), ([0, 1], 4_000)] {
        let mut world = World::new(2);
        let (br, cl) = (world.id(0), world.id(1));
        // Both dialled; all four Hellos are signed before anybody is told.
        let hellos = [world.hellos(0, 1), world.hellos(1, 0)];
        let links = [world.open_wire(0, 1), world.open_wire(1, 0)];
        for second in [false, true] {
            for place in 0..2 {
                let wire = if second { 1 - orders[place] } else { orders[place] };
                // Side 0 of a wire dialled; a node takes in what the other side said.
                let said = &hellos[wire][usize::from(wire == place)];
                world.link_up_at(place, 1 - place, links[wire], said.clone());
            }
            if delay_ms > 0 && !second {
                let inputs: Vec<Input> = world.nodes[0].inbox.drain(..).collect();
                world.step(0, inputs);
                let inputs: Vec<Input> = world.nodes[1].inbox.drain(..).collect();
                world.step(1, inputs);
                world.monotonic_ms += delay_ms;
            }
        }
        world.run();
        let up =
            |world: &World, place: usize, peer: &_| world.nodes[place].core.peer(peer).unwrap().up().map(|up| up.id);
        assert_eq!(up(&world, 0, &cl), Some(links[0]), "dialled by the id that sorts first: {orders:?}");
        assert_eq!(up(&world, 1, &br), Some(links[0]), "{orders:?}");
        assert_eq!((world.network.open_at(0), world.network.open_at(1)), (vec![links[0]], vec![links[0]]));
        world.submit(0, notice(&cl, Lane::Flash));
        world.submit(1, notice(&br, Lane::Flash));
        world.run();
        assert_eq!((world.nodes[0].shown().len(), world.nodes[1].shown().len()), (1, 1));
    }
}

#[test]
fn a_later_link_takes_over() {
    let mut world = World::linked();
    let cl = world.id(1);
    world.advance(60 * SECOND);
    let link = world.connect(1, 0);
    world.submit(0, notice(&cl, Lane::Flash));
    world.run();
    assert_eq!(world.network.open_at(0), [link]);
    assert_eq!(world.nodes[1].shown().len(), 1);
}

#[test]
fn i4_a_link_that_was_refused_or_is_over_hands_in_nothing() {
    let (mut world, replaced) = World::with_puppet();
    let hand_in = |world: &mut World, link| {
        let (_, _, bytes) = world.seal(world.forged(Lane::Flash));
        let input = world.read(0, 1, link, Wired::Envelope(bytes));
        world.nodes[0].inbox.push_back(input);
        world.run();
    };
    world.advance(60 * SECOND);
    let mut hello = world.hello(1, 0, aldis_wire::hello::Role::DIALLER);
    let newer = world.open_wire(1, 0);
    world.link_up_at(0, 1, newer, hello.clone());
    world.run();
    assert_eq!(world.nodes[0].closed, [(replaced, GoodbyeCode::REPLACED)]);
    // A key that is not on record, and then a link that was never told of.
    hello.key_id = world.nodes[0].key.id();
    let refused = world.open_wire(1, 0);
    world.link_up_at(0, 1, refused, hello);
    let unknown = world.open_wire(1, 0);
    for link in [replaced, refused, unknown] {
        hand_in(&mut world, link);
        assert!(world.nodes[0].shown().is_empty(), "{link:?} was heard");
    }
    assert!(world.nodes[0].closed.contains(&(refused, GoodbyeCode::DOES_NOT_VERIFY)));
    hand_in(&mut world, newer);
    assert_eq!(world.nodes[0].shown().len(), 1, "the link that is up took nobody's place");
}

#[test]
fn a_link_that_owes_a_receipt_too_long_is_closed() {
    let (mut world, link) = World::with_puppet();
    let cl = world.id(1);
    world.allow(10);
    world.advance(600 * SECOND);
    assert!(world.nodes[0].closed.is_empty(), "an idle link owes nothing");
    world.submit(0, notice(&cl, Lane::Routine));
    world.run();
    world.advance(59 * SECOND);
    world.submit(0, notice(&cl, Lane::Routine));
    world.run();
    assert!(world.nodes[0].closed.is_empty());
    let wait = world.jump();
    assert_eq!(wait, Some(SECOND), "counted from the first that waits, and the deadline is exact");
    assert_eq!(world.nodes[0].closed, [(link, GoodbyeCode::SILENT)]);
}

#[test]
fn a_receipt_in_time_keeps_the_link() {
    let (mut world, _) = World::with_puppet();
    let cl = world.id(1);
    world.allow(10);
    for _ in 0..5 {
        world.submit(0, notice(&cl, Lane::Routine));
        world.run();
        world.advance(59 * SECOND);
        let marks = world.nodes[0].core.peer(&cl).unwrap().sent_marks();
        world.receipt(marks);
    }
    world.advance(600 * SECOND);
    assert!(world.nodes[0].closed.is_empty());
}

#[test]
fn a_receipt_that_got_lost_with_its_link_is_owed_on_the_next() {
    let (mut world, _) = World::with_puppet();
    let cl = world.id(1);
    world.allow(10);
    world.submit(0, notice(&cl, Lane::Routine));
    world.run();
    let marks = world.nodes[0].core.peer(&cl).unwrap().sent_marks();
    let link = world.puppet_up(|hello| hello.received = marks);
    world.advance(61 * SECOND);
    assert_eq!(world.nodes[0].closed, [(link, GoodbyeCode::SILENT)], "it says that it holds more than it receipted");
}

#[test]
fn three_strikes_block_the_lane_at_both_ends_until_both_open_it() {
    let mut world = World::linked();
    let (br, cl) = (world.id(0), world.id(1));
    let mut strikes = 0;
    for round in 1..=3 {
        let link = world.network.open_at(0)[0];
        strike(&mut world, link, Lane::Priority);
        strikes += 1;
        assert_eq!(world.nodes[1].alarms().len(), usize::from(round == 3), "strike {strikes}");
        world.advance(10 * SECOND);
        world.connect(0, 1);
        world.run();
    }
    assert_eq!(world.nodes[1].alarms(), ["lane-blocked"]);
    assert_eq!(world.nodes[0].alarms(), ["lane-blocked-by-peer"]);
    // The lane stands still, the others do not.
    world.submit(0, notice(&cl, Lane::Priority));
    world.submit(0, notice(&cl, Lane::Flash));
    world.run();
    assert_eq!(world.nodes[1].shown().iter().map(|id| id.lane).collect::<Vec<_>>(), [Lane::Flash]);
    world.restart(1);
    world.connect(0, 1);
    world.run();
    assert_eq!(world.nodes[1].shown().len(), 1, "a restart opens nothing");
    // The receiver opens it first, then the sender; the link stays up and the lane drains over it.
    for (place, peer) in [(1, &br), (0, &cl)] {
        assert_eq!(unblock(&mut world, place, peer, Lane::Priority), Ok(Done::Unblocked));
    }
    assert_eq!(world.nodes[1].shown().len(), 2);
    assert!(world.nodes[0].alarms().is_empty() && world.nodes[1].alarms().is_empty());
    assert_eq!(unblock(&mut world, 1, &br, Lane::Priority), Err(Declined::NotBlocked));
}

#[test]
fn i8_a_sender_that_opens_too_early_is_told_again() {
    let mut world = World::linked();
    let cl = world.id(1);
    block(&mut world, Lane::Priority);
    assert_eq!(unblock(&mut world, 0, &cl, Lane::Priority), Ok(Done::Unblocked));
    world.submit(0, notice(&cl, Lane::Priority));
    world.run();
    assert_eq!(world.nodes[0].alarms(), ["lane-blocked-by-peer"]);
    assert!(world.nodes[1].shown().is_empty());
}

#[test]
fn two_blocked_lanes_are_two_alarms() {
    let mut world = World::linked();
    let (br, cl) = (world.id(0), world.id(1));
    block(&mut world, Lane::Priority);
    block(&mut world, Lane::Flash);
    assert!(unblock(&mut world, 1, &br, Lane::Priority).is_ok());
    assert!(unblock(&mut world, 0, &cl, Lane::Priority).is_ok());
    assert_eq!(world.nodes[1].alarms(), ["lane-blocked"], "FLASH is blocked still");
    assert_eq!(world.nodes[0].alarms(), ["lane-blocked-by-peer"]);
    assert!(unblock(&mut world, 1, &br, Lane::Flash).is_ok());
    assert!(unblock(&mut world, 0, &cl, Lane::Flash).is_ok());
    assert!(world.nodes[0].alarms().is_empty() && world.nodes[1].alarms().is_empty());
}

#[test]
fn strikes_count_only_in_a_row_and_a_blocked_lane_writes_no_more_records() {
    let (mut world, _) = World::with_puppet();
    for _ in 0..5 {
        for _ in 0..2 {
            let link = world.puppet_up(|_| ());
            strike_at(&mut world, 0, link, Lane::Flash);
        }
        world.puppet_up(|_| ());
        world.inject(world.forged(Lane::Flash));
    }
    assert!(world.nodes[0].alarms().is_empty());
    let strikes =
        |world: &World| world.nodes[0].records().iter().filter(|record| matches!(record, Record::Strike(_))).count();
    let before = strikes(&world);
    for _ in 0..20 {
        let link = world.puppet_up(|_| ());
        strike_at(&mut world, 0, link, Lane::Flash);
    }
    assert_eq!(strikes(&world) - before, 3);
    assert_eq!(world.nodes[0].closed.last().map(|(_, code)| *code), Some(GoodbyeCode::LANE_BLOCKED));
}

#[test]
fn an_unknown_peer_gets_no_link() {
    let mut world = World::with(3, 0, &Limits::default());
    let mut stranger = World::with(3, 0, &Limits::default());
    stranger.nodes.remove(2);
    let hello = world.hello(2, 0, aldis_wire::hello::Role::DIALLER);
    world.nodes[0].core = aldis_core::Core::new(world.id(0), world.nodes[0].key.id(), Limits::default());
    world.nodes[0].replays = false;
    let link = world.open_wire(2, 0);
    world.link_up_at(0, 2, link, hello);
    world.run();
    assert_eq!(world.nodes[0].closed, [(link, GoodbyeCode::NOT_ADMITTED)]);
}

#[test]
fn cards_are_checked_before_a_peer_is_added() {
    let mut world = World::new(2);
    let key = |seed: u8| aldis_wire::signing::IdentityKey::from_seed(&[seed; 32]);
    let id = |id: &str| aldis_wire::ids::NodeId::new(id).unwrap();
    let mut cases: Vec<(bool, aldis_wire::card::VerifiedCard)> = Vec::new();
    let mut push = |good: bool, name: &str, seed: u8, sequence: u64, valid: bool| {
        let key = key(seed);
        let mut card = card(&id(name), &key);
        card.sequence = sequence;
        if !valid {
            card.valid_until = aldis_wire::ids::UnixMillis::new(crate::pair::START_MS - 1);
        }
        cases.push((good, card.sign(&key)));
    };
    push(false, "cert.br", 9, 5, true);
    push(false, "cert.xx", 1, 5, true);
    push(false, "cert.xx", 2, 5, true);
    push(true, "cert.cl", 9, 5, true);
    push(false, "cert.cl", 9, 5, true);
    push(false, "cert.cl", 2, 1, true);
    push(false, "cert.uy", 9, 1, false);
    push(true, "cert.cl", 2, 2, true);
    push(true, "cert.uy", 9, 1, true);
    for (number, (good, card)) in cases.into_iter().enumerate() {
        let token = world.token();
        world.nodes[0].inbox.push_back(Input::AddPeer { token, card: Box::new(card), by: text("admin") });
        world.run();
        assert_eq!(world.nodes[0].replies[&token].is_ok(), good, "case {number}: {:?}", world.nodes[0].replies[&token]);
    }
}

#[test]
fn a_link_that_comes_up_owes_a_receipt_for_what_came_before() {
    let (mut world, _) = World::with_puppet();
    world.inject(world.forged(Lane::Flash));
    world.break_all();
    world.run();
    world.puppet_up(|_| ());
    let receipts = world.network.take_for(1).into_iter().filter(|frame| matches!(frame, Wired::Receipt(_))).count();
    assert_eq!(receipts, 1);
}

/// How long it takes until node 0 dials again, in milliseconds.
fn until_dialled(world: &mut World) -> u64 {
    let (before, mut waited) = (world.nodes[0].dialled.len(), 0);
    while world.nodes[0].dialled.len() == before {
        waited += world.jump().expect("a dial is due");
    }
    waited
}

fn block(world: &mut World, lane: Lane) {
    for _ in 0..3 {
        let link = world.network.open_at(0)[0];
        strike(world, link, lane);
        world.advance(10 * SECOND);
        world.connect(0, 1);
        world.run();
    }
}

/// Bytes that do not verify reach node 1.
fn strike(world: &mut World, link: LinkId, lane: Lane) {
    strike_at(world, 1, link, lane);
}

fn strike_at(world: &mut World, place: usize, link: LinkId, lane: Lane) {
    let peer = world.id(1 - place);
    let input = Input::Unverifiable { peer, link, lane: Some(lane), what: text("the signature does not verify") };
    world.nodes[place].inbox.push_back(input);
    world.run();
}

fn unblock(world: &mut World, place: usize, peer: &aldis_wire::ids::NodeId, lane: Lane) -> Result<Done, Declined> {
    let token = world.token();
    world.nodes[place].inbox.push_back(Input::Unblock { token, peer: peer.clone(), lane, by: text("admin") });
    world.run();
    world.nodes[place].replies[&token].clone()
}

#[test]
fn an_unknown_goodbye_changes_nothing() {
    let (mut world, link) = World::with_puppet();
    for code in [0, 1, 2, 3, 999] {
        let goodbye = Goodbye { code: GoodbyeCode(code), lane: Some(Lane::Flash), text: text("?") };
        let input = world.read(0, 1, link, Wired::Goodbye(goodbye));
        world.nodes[0].inbox.push_back(input);
    }
    let before = world.nodes[0].journal.len();
    world.run();
    assert_eq!(world.nodes[0].journal.len(), before);
}
