//! Keys that were lost while the records went apart as well: the next key is let in once two persons have taken it, the
//! record says what contradicts, and nothing that the lost key signs later is ever taken.

use crate::pair::{Forged, World, notice, person, text};
use crate::rotation::{accept, key_ids_received, linked, own_card, rotate, send, settle};
use aldis_core::effect::{Declined, Done};
use aldis_core::input::Input;
use aldis_core::record::Standing;
use aldis_core::trust::Act;
use aldis_wire::card::VerifiedCard;
use aldis_wire::frame::GoodbyeCode;
use aldis_wire::hello::Role;
use aldis_wire::ids::{Incarnation, KeyId, Seq};
use aldis_wire::lane::Lane;
use aldis_wire::signing::IdentityKey;

/// Node 0 has lost every key and starts with a new one.
fn lose(world: &mut World) -> VerifiedCard {
    let card = world.nodes[0].next_key();
    world.nodes[0].lose_earlier_keys();
    world.restart(0);
    own_card(world, 0);
    card
}

/// Two administrators of node 1 take a card of node 0 that was brought by hand.
fn take_by_hand(world: &mut World, card: &VerifiedCard) {
    let token = world.token();
    let card = Box::new(card.clone());
    world.nodes[1].inbox.push_back(Input::AddPeer { token, card, by: text("admin") });
    world.run();
    assert!(matches!(world.nodes[1].replies[&token], Ok(Done::KeyOffered(_))), "{:?}", world.nodes[1].replies[&token]);
    accept(world, 1, 0);
}

/// No links until the test wants them.
fn apart(world: &mut World) {
    world.dials = false;
    world.break_all();
    world.run();
}

fn together(world: &mut World) {
    world.dials = true;
    world.connect(0, 1);
    settle(world);
}

/// A thief sends node 1 an envelope, signed with the first key of node 0.
fn inject_with_first_key(world: &mut World, mut forged: Forged) {
    let newest = std::mem::replace(&mut world.nodes[0].key, IdentityKey::from_seed(&[1; 32]));
    forged.header.key_id = world.nodes[0].key.id();
    world.inject_by(0, 1, forged);
    world.nodes[0].key = newest;
}

/// The records disagree at both ends, both know it, a link is up, and neither signs anything new.
fn assert_found(world: &mut World, newest: KeyId) {
    let (br, cl) = (world.id(0), world.id(1));
    let known = world.nodes[1].core.peer(&br).unwrap();
    assert_eq!(known.card().key().id(), newest, "the key that two persons took is refused");
    assert!(known.up().is_some(), "no link: {:?}", world.nodes[1].closed);
    assert_eq!(known.durable.standing, Standing::PeerLostHistory);
    for lane in Lane::ALL {
        let next = Seq::new(known.durable.inbound[lane.index()].last_seq() + 1).unwrap();
        assert_eq!(known.durable.keys.key_at(lane, next).id(), newest, "the lost key may still sign in {lane:?}");
    }
    assert!(world.nodes[1].alarms().contains(&"peer-lost-history".to_owned()));
    assert_eq!(world.nodes[0].core.peer(&cl).unwrap().durable.standing, Standing::WeLostHistory);
    assert!(world.nodes[0].alarms().contains(&"we-lost-history".to_owned()));
    for (place, other) in [(0, &cl), (1, &br)] {
        let token = world.submit(place, notice(other, Lane::Flash));
        world.run();
        assert!(matches!(world.nodes[place].declined(token), Declined::RecordsDisagree(..)));
    }
}

#[test]
fn i4_what_a_thief_got_in_with_a_lost_key_stays_is_told_and_is_the_last_of_it() {
    let mut world = linked();
    let old = world.nodes[0].key.id();
    send(&mut world, 0, Lane::Routine);
    // The thief says that it is the run which the honest node will only begin.
    apart(&mut world);
    let mut hello = world.hello(0, 1, Role::DIALLER);
    hello.incarnation = Incarnation(201);
    let stolen = world.open_wire(0, 1);
    world.link_up_at(1, 0, stolen, hello.clone());
    world.run();
    let forged = world.forged_by(0, 1, Lane::Flash);
    world.inject_by(0, 1, forged);
    assert_eq!(key_ids_received(&world, 1, Lane::Flash), [(1, old)]);
    let another = world.forged_by(0, 1, Lane::Flash);
    apart(&mut world);
    let card = lose(&mut world);
    assert_eq!(world.nodes[0].core.incarnation(), Incarnation(201));
    take_by_hand(&mut world, &card);
    // Before the honest node has come back, the thief does.
    let stolen = world.open_wire(0, 1);
    world.link_up_at(1, 0, stolen, hello.clone());
    world.run();
    assert_eq!(world.nodes[1].closed.last(), Some(&(stolen, GoodbyeCode::DOES_NOT_VERIFY)));
    together(&mut world);
    assert_found(&mut world, card.key().id());
    assert!(world.nodes[1].alarms().contains(&"peer-key-switch".to_owned()));
    // The thief comes again: no link, and no envelope over whatever link it finds.
    let stolen = world.open_wire(0, 1);
    world.link_up_at(1, 0, stolen, hello);
    world.run();
    assert_eq!(world.nodes[1].closed.last(), Some(&(stolen, GoodbyeCode::DOES_NOT_VERIFY)));
    inject_with_first_key(&mut world, another);
    assert_eq!(key_ids_received(&world, 1, Lane::Flash), [(1, old)], "a lost key signed something new");
}

#[test]
fn i9_a_lost_key_and_a_restored_journal_come_to_records_that_disagree() {
    let mut world = linked();
    send(&mut world, 0, Lane::Routine);
    let backup = world.nodes[0].journal.len();
    send(&mut world, 0, Lane::Routine);
    send(&mut world, 0, Lane::Flash);
    apart(&mut world);
    world.crash(0);
    world.nodes[0].roll_back(backup);
    let card = lose(&mut world);
    take_by_hand(&mut world, &card);
    together(&mut world);
    assert_found(&mut world, card.key().id());
    // Also after a restart of both, and on every later link.
    world.restart(0);
    own_card(&mut world, 0);
    world.restart(1);
    settle(&mut world);
    assert_found(&mut world, card.key().id());
}

#[test]
fn i5_two_losses_in_a_row_lose_nothing_of_what_waited() {
    let mut world = linked();
    let old = world.nodes[0].key.id();
    apart(&mut world);
    send(&mut world, 0, Lane::Routine);
    lose(&mut world);
    // The key between knocks, and is refused: nothing is signed for a link that the peer does not take.
    together(&mut world);
    assert!(world.nodes[1].core.peer(&world.id(0)).unwrap().up().is_none());
    apart(&mut world);
    let card = lose(&mut world);
    take_by_hand(&mut world, &card);
    together(&mut world);
    send(&mut world, 0, Lane::Routine);
    assert_eq!(key_ids_received(&world, 1, Lane::Routine), [(1, old), (2, card.key().id())]);
    assert_eq!(world.nodes[1].core.peer(&world.id(0)).unwrap().durable.standing, Standing::Good);
    assert_eq!(world.nodes[1].alarms(), ["peer-key-switch"], "not silently");
    apart(&mut world);
    together(&mut world);
    assert!(world.nodes[1].alarms().is_empty(), "the records agree, and nothing contradicts any more");
    assert!(world.nodes[0].alarms().is_empty());
}

#[test]
fn i8_what_a_key_signed_that_nobody_took_blocks_its_lane_with_an_alarm_at_both_ends() {
    let mut world = linked();
    apart(&mut world);
    let between = lose(&mut world);
    send(&mut world, 0, Lane::Routine);
    let card = lose(&mut world);
    take_by_hand(&mut world, &card);
    together(&mut world);
    for _ in 0..10 {
        settle(&mut world);
    }
    let received = key_ids_received(&world, 1, Lane::Routine);
    assert!(received.iter().all(|(_, key)| *key != between.key().id()), "{received:?}");
    assert!(world.nodes[1].alarms().contains(&"lane-blocked".to_owned()));
    assert!(world.nodes[0].alarms().contains(&"lane-blocked-by-peer".to_owned()));
    send(&mut world, 0, Lane::Flash);
    assert_eq!(key_ids_received(&world, 1, Lane::Flash), [(1, card.key().id())], "the other lanes flow");
}

#[test]
fn i5_a_lost_key_whose_next_was_rotated_before_anybody_took_it_loses_nothing() {
    let mut world = linked();
    let old = world.nodes[0].key.id();
    apart(&mut world);
    send(&mut world, 0, Lane::Routine);
    lose(&mut world);
    let card = rotate(&mut world, 0);
    take_by_hand(&mut world, &card);
    together(&mut world);
    send(&mut world, 0, Lane::Routine);
    assert_eq!(key_ids_received(&world, 1, Lane::Routine), [(1, old), (2, card.key().id())]);
    assert_eq!(world.nodes[1].alarms(), ["peer-key-switch"], "not silently");
    assert_eq!(world.nodes[1].core.peer(&world.id(0)).unwrap().durable.standing, Standing::Good);
}

#[test]
fn i9_a_node_restored_to_before_a_completed_switch_speaks_with_the_key_its_peer_has() {
    let mut world = linked();
    send(&mut world, 0, Lane::Routine);
    let backup = world.nodes[0].journal.len();
    let card = rotate(&mut world, 0);
    accept(&mut world, 1, 0);
    settle(&mut world);
    send(&mut world, 0, Lane::Routine);
    apart(&mut world);
    world.crash(0);
    world.nodes[0].roll_back(backup);
    world.restart(0);
    own_card(&mut world, 0);
    together(&mut world);
    assert_found(&mut world, card.key().id());
}

/// The key was announced and taken; then its owner was restored to before it had announced anything.
#[test]
fn i9_an_announced_key_of_a_restored_node_is_let_in_and_the_records_disagree() {
    let mut world = linked();
    let backup = world.nodes[0].journal.len();
    send(&mut world, 0, Lane::Routine);
    let card = rotate(&mut world, 0);
    apart(&mut world);
    accept(&mut world, 1, 0);
    world.crash(0);
    world.nodes[0].roll_back(backup);
    world.restart(0);
    own_card(&mut world, 0);
    together(&mut world);
    assert_found(&mut world, card.key().id());
    assert!(world.nodes[1].alarms().contains(&"peer-key-switch".to_owned()));
}

/// A Hello of a next key names places that were never sent, or none at all.
#[test]
fn i4_a_hello_cannot_leave_places_to_a_lost_key_that_were_never_sent() {
    for names in [true, false] {
        let mut world = linked();
        apart(&mut world);
        let card = lose(&mut world);
        take_by_hand(&mut world, &card);
        let mut hello = world.hello(0, 1, Role::DIALLER);
        let mut switch = hello.switch().unwrap().unwrap();
        switch.last = [50; 4];
        hello.extensions =
            aldis_wire::hello::Hello::extensions_with(names.then_some(switch), &aldis_wire::lane::Marks::default());
        let link = world.open_wire(0, 1);
        world.link_up_at(1, 0, link, hello);
        world.run();
        let known = world.nodes[1].core.peer(&world.id(0)).unwrap();
        for lane in Lane::ALL {
            let next = Seq::new(known.durable.inbound[lane.index()].last_seq() + 1).unwrap();
            assert_eq!(known.durable.keys.key_at(lane, next), card.key(), "{lane:?}");
        }
        assert!(world.nodes[1].alarms().contains(&"peer-key-switch".to_owned()));
    }
}

/// Approving is of the key; declining an offered key stays possible for one person.
#[test]
fn i4_a_key_brought_by_hand_and_declined_opens_nothing() {
    let mut world = linked();
    apart(&mut world);
    let card = lose(&mut world);
    let token = world.token();
    world.nodes[1].inbox.push_back(Input::AddPeer { token, card: Box::new(card.clone()), by: text("admin") });
    let (token, peer) = (world.token(), world.id(0));
    world.nodes[1].inbox.push_back(Input::DeclineKey { token, peer, by: person(1) });
    world.run();
    together(&mut world);
    let known = world.nodes[1].core.peer(&world.id(0)).unwrap();
    assert!(known.up().is_none() && known.card().key() != card.key());
}

/// Whoever has stolen the key may hold a link open from before.
#[test]
fn i4_the_link_that_a_lost_key_opened_ends_when_the_next_key_is_taken() {
    let mut world = linked();
    let link = world.nodes[1].core.peer(&world.id(0)).unwrap().up().unwrap().id;
    world.dials = false;
    let card = world.nodes[0].next_key();
    take_by_hand(&mut world, &card);
    assert!(world.nodes[1].closed.contains(&(link, GoodbyeCode::DOES_NOT_VERIFY)), "a thief stays on its link");
    assert!(world.nodes[1].core.peer(&world.id(0)).unwrap().up().is_none());
}

/// An answer to an offered key is signed, and nothing new is while the records disagree; also not when the request was
/// made before they did.
#[test]
fn i9_an_offered_key_is_neither_taken_nor_declined_while_the_records_disagree() {
    let mut world = linked();
    rotate(&mut world, 0);
    let (asked, peer) = (world.order(1, Act::AcceptKey, 0), world.id(0));
    world.run();
    assert!(matches!(world.nodes[1].replies[&asked], Ok(Done::Requested(_))));
    let backup = world.nodes[0].journal.len();
    send(&mut world, 0, Lane::Flash);
    apart(&mut world);
    world.crash(0);
    world.nodes[0].roll_back(backup);
    world.restart(0);
    own_card(&mut world, 0);
    together(&mut world);
    assert_eq!(world.nodes[1].core.peer(&peer).unwrap().durable.standing, Standing::PeerLostHistory);
    let request = world.nodes[1].core.requests().next().unwrap().0;
    let approved = world.token();
    world.nodes[1].inbox.push_back(Input::Approve { token: approved, request, by: person(2) });
    let declined = world.token();
    world.nodes[1].inbox.push_back(Input::DeclineKey { token: declined, peer: peer.clone(), by: person(1) });
    let asked = world.order(1, Act::AcceptKey, 0);
    world.run();
    for token in [approved, declined, asked] {
        assert!(matches!(world.nodes[1].declined(token), Declined::RecordsDisagree(..)));
    }
    let known = world.nodes[1].core.peer(&peer).unwrap();
    assert!(known.durable.offered.is_some() && known.durable.accepted.is_none());
}

/// The thief's link still counts as up when the honest node comes back within five seconds: links that crossed.
#[test]
fn i9_the_link_of_a_lost_key_never_stays_beside_that_of_the_next_one() {
    let mut world = linked();
    apart(&mut world);
    let mut hello = world.hello(0, 1, Role::DIALLER);
    hello.incarnation = Incarnation(201);
    let card = lose(&mut world);
    // What travels on the thief's link is none of the honest node's.
    world.nodes[0].puppet = true;
    let token = world.token();
    world.nodes[1].inbox.push_back(Input::AddPeer { token, card: Box::new(card.clone()), by: text("admin") });
    world.order(1, Act::AcceptKey, 0);
    let stolen = world.open_wire(0, 1);
    world.link_up_at(1, 0, stolen, hello);
    world.run();
    let forged = world.forged_by(0, 1, Lane::Flash);
    inject_with_first_key(&mut world, forged);
    // In one batch: the approval, which closes the link, and the honest node's Hello, before the link has gone.
    world.approve_all(1);
    let hello = world.hello(0, 1, Role::LISTENER);
    let link = world.open_wire(1, 0);
    world.link_up_at(1, 0, link, hello);
    world.run();
    let known = world.nodes[1].core.peer(&world.id(0)).unwrap();
    assert_eq!(known.up().map(|up| up.id), Some(link));
    assert_eq!(known.durable.standing, Standing::PeerLostHistory);
    assert_eq!(known.card().key(), card.key());
}
