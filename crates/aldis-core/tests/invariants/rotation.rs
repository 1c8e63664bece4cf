//! Cards and keys that change while traffic flows: what came before verifies for ever, what an ended key signs after its
//! place never does, and nothing queued jams.

use crate::pair::{World, notice, person, text};
use aldis_core::Order;
use aldis_core::effect::Done;
use aldis_core::input::Input;
use aldis_core::record::Record;
use aldis_core::trust::{Act, Trust};
use aldis_wire::card::VerifiedCard;
use aldis_wire::ids::Seq;
use aldis_wire::lane::Lane;
use std::collections::BTreeSet;

/// Tells a node of its own card, as a start and a rotation do.
pub(crate) fn own_card(world: &mut World, place: usize) {
    let token = Some(world.token());
    let node = &mut world.nodes[place];
    let (card, usable) = (Box::new(node.card.clone()), node.usable());
    node.inbox.push_back(Input::OwnCard { token, card, usable, by: text("admin") });
    world.run();
}

pub(crate) fn rotate(world: &mut World, place: usize) -> VerifiedCard {
    let card = world.nodes[place].next_key();
    own_card(world, place);
    card
}

pub(crate) fn accept(world: &mut World, place: usize, other: usize) {
    let token = world.order(place, Act::AcceptKey, other);
    world.run();
    assert!(
        matches!(world.nodes[place].replies[&token], Ok(Done::Requested(_))),
        "{:?}",
        world.nodes[place].replies[&token]
    );
    world.approve_all(place);
    world.run();
}

pub(crate) fn linked() -> World {
    let mut world = World::linked();
    for place in 0..2 {
        own_card(&mut world, place);
    }
    world.dials = true;
    world
}

/// Lets links come up again and everything drain.
pub(crate) fn settle(world: &mut World) {
    for _ in 0..20 {
        world.advance(5_000);
    }
}

pub(crate) fn send(world: &mut World, place: usize, lane: Lane) {
    let to = world.id(1 - place);
    let token = world.submit(place, notice(&to, lane));
    world.run();
    assert!(world.nodes[place].replies[&token].is_ok(), "{:?}", world.nodes[place].replies[&token]);
}

pub(crate) fn key_ids_received(world: &World, place: usize, lane: Lane) -> Vec<(u64, aldis_wire::ids::KeyId)> {
    let received = world.nodes[place].records().iter().filter_map(|record| match record {
        Record::Received(received) if received.header.lane == lane => {
            Some((received.header.seq.get(), received.header.key_id))
        }
        _ => None,
    });
    received.collect()
}

#[test]
fn a_new_card_reaches_the_peer_by_itself_and_applies_at_once() {
    let mut world = linked();
    let mut card = crate::pair::card(&world.id(0), &world.nodes[0].key);
    (card.sequence, card.name) = (9, text("another name"));
    world.nodes[0].card = card.sign(&world.nodes[0].key);
    own_card(&mut world, 0);
    let known = world.nodes[1].core.peer(&world.id(0)).unwrap();
    assert_eq!(known.card().card().name.as_str(), "another name");
    assert_eq!(known.durable.trust, Trust::Verified);
    world.tick();
    assert!(world.nodes[0].core.own_card().unwrap().1, "every peer has it, and the node knows");
}

#[test]
fn a_peer_that_may_still_have_the_card_before_keeps_it_in_use_until_it_is_revoked() {
    let mut world = World::unverified(2, 0, &aldis_core::limits::Limits::default());
    own_card(&mut world, 0);
    let known = |world: &World| world.nodes[0].core.own_card().unwrap().1;
    assert!(!known(&world), "a pending peer may have been given another card by hand");
    world.order(0, Act::Revoke, 1);
    world.run();
    world.tick();
    assert!(known(&world));
}

#[test]
fn i4_a_next_key_waits_for_two_administrators_and_nothing_jams_meanwhile() {
    let mut world = linked();
    let old = world.nodes[0].key.id();
    let card = rotate(&mut world, 0);
    let offered = |world: &World| world.nodes[1].core.peer(&world.id(0)).unwrap().durable.offered.clone();
    assert_eq!(offered(&world).unwrap().card.0, card);
    assert!(world.nodes[1].alarms().contains(&"peer-key-change".to_owned()));
    send(&mut world, 0, Lane::Flash);
    send(&mut world, 0, Lane::Routine);
    assert!(key_ids_received(&world, 1, Lane::Flash).iter().all(|(_, key)| *key == old), "signed with the old key");
    accept(&mut world, 1, 0);
    assert!(offered(&world).is_none());
    settle(&mut world);
    send(&mut world, 0, Lane::Flash);
    let flash = key_ids_received(&world, 1, Lane::Flash);
    assert_eq!(flash.last(), Some(&(2, card.key().id())), "{flash:?}");
    let known = world.nodes[1].core.peer(&world.id(0)).unwrap();
    assert_eq!(known.card().key(), card.key());
    assert_eq!(known.durable.keys.ended()[0].key.id(), old);
    assert!(!world.nodes[1].alarms().contains(&"peer-key-change".to_owned()));
    assert!(world.nodes[0].alarms().is_empty() && world.nodes[1].alarms().is_empty());
}

#[test]
fn i5_both_ends_rotate_at_once_under_traffic_and_lose_nothing() {
    for seed in 0..20 {
        let mut world = linked();
        let mut sent = [0; 2];
        for step in 0..60_u64 {
            let lane = Lane::ALL[usize::try_from((step + seed) % 4).unwrap()];
            for (place, count) in sent.iter_mut().enumerate() {
                send(&mut world, place, lane);
                *count += 1;
            }
            match step {
                10 => drop(rotate(&mut world, 0)),
                11 => drop(rotate(&mut world, 1)),
                x if x == 15 + seed % 3 => accept(&mut world, 0, 1),
                20 => accept(&mut world, 1, 0),
                _ => world.advance(seed * 50),
            }
        }
        settle(&mut world);
        for place in 0..2 {
            let shown: BTreeSet<_> = world.nodes[place].shown().into_iter().collect();
            let notices = world.nodes[place].records().iter().filter(
                |record| matches!(record, Record::Received(received) if received.header.kind.as_str() == "incident"),
            );
            assert_eq!(notices.count(), sent[1 - place], "seed {seed}: lost or refused");
            assert_eq!(shown.len(), world.nodes[place].shown().len(), "seed {seed}: shown twice");
            let other = world.id(1 - place);
            assert_eq!(world.nodes[place].core.peer(&other).unwrap().durable.keys.ended().len(), 1, "seed {seed}");
            assert!(world.nodes[place].alarms().is_empty(), "seed {seed}: {:?}", world.nodes[place].alarms());
        }
    }
}

#[test]
fn i5_a_backlog_signed_with_the_old_key_arrives_after_the_switch() {
    let mut world = linked();
    let card = rotate(&mut world, 0);
    accept(&mut world, 1, 0);
    // Before the link is back: signed with the new key already, behind what the old one signed.
    world.dials = false;
    world.break_all();
    world.run();
    send(&mut world, 0, Lane::Routine);
    world.dials = true;
    settle(&mut world);
    assert_eq!(key_ids_received(&world, 1, Lane::Routine), [(1, card.key().id())]);
    let mut world = linked();
    world.dials = false;
    world.break_all();
    world.run();
    let old = world.nodes[0].key.id();
    send(&mut world, 0, Lane::Routine);
    let card = rotate(&mut world, 0);
    world.dials = true;
    settle(&mut world);
    accept(&mut world, 1, 0);
    settle(&mut world);
    send(&mut world, 0, Lane::Routine);
    assert_eq!(key_ids_received(&world, 1, Lane::Routine), [(1, old), (2, card.key().id())]);
}

#[test]
fn i4_after_its_place_an_ended_key_opens_no_link_and_signs_nothing() {
    let mut world = linked();
    let old = world.nodes[0].key.id();
    rotate(&mut world, 0);
    accept(&mut world, 1, 0);
    settle(&mut world);
    let known = world.nodes[1].core.peer(&world.id(0)).unwrap();
    assert!(known.hello_keys().iter().all(|key| key.id() != old), "the old key still opens a link");
    for lane in Lane::ALL {
        let next = Seq::new(known.durable.inbound[lane.index()].last_seq() + 1).unwrap();
        assert_ne!(known.durable.keys.key_at(lane, next).id(), old, "{lane:?}");
    }
}

#[test]
fn i4_a_declined_key_is_never_taken_and_the_old_one_goes_on() {
    let mut world = linked();
    let old = world.nodes[0].key.id();
    rotate(&mut world, 0);
    let (token, peer) = (world.token(), world.id(0));
    world.nodes[1].inbox.push_back(Input::DeclineKey { token, peer, by: person(1) });
    world.run();
    assert!(world.nodes[0].alarms().contains(&"key-rotation-declined".to_owned()));
    send(&mut world, 0, Lane::Flash);
    assert_eq!(key_ids_received(&world, 1, Lane::Flash), [(1, old)]);
}

#[test]
fn i4_an_approval_is_of_the_key_that_was_looked_at_and_of_no_later_one() {
    let mut world = linked();
    rotate(&mut world, 0);
    let token = world.order(1, Act::AcceptKey, 0);
    world.run();
    assert!(matches!(world.nodes[1].replies[&token], Ok(Done::Requested(_))));
    let latest = rotate(&mut world, 0);
    world.approve_all(1);
    world.run();
    let known = world.nodes[1].core.peer(&world.id(0)).unwrap();
    assert!(known.durable.accepted.is_none(), "a key that nobody looked at was taken");
    assert_eq!(known.durable.offered.as_ref().unwrap().card.0, latest);
}

#[test]
fn i4_a_card_that_is_older_foreign_or_misplaced_changes_nothing() {
    let mut world = linked();
    let own = world.nodes[0].card.clone();
    let refused = |world: &World| {
        let count = world.nodes[1].records().iter().filter(|record| {
            matches!(record, Record::Received(received) if matches!(received.outcome,
                aldis_core::record::Outcome::Refused(aldis_core::record::RefusedAs(
                    aldis_wire::kinds::RefusalCode::CardNotTaken))))
        });
        count.count()
    };
    let before = world.nodes[1].core.peer(&world.id(0)).unwrap().card().clone();
    let mut expired = crate::pair::card(&world.id(0), &world.nodes[0].key);
    (expired.sequence, expired.valid_until) = (9, aldis_wire::ids::UnixMillis::new(1));
    let key = &world.nodes[0].key;
    let same = own.clone();
    let another_key = aldis_wire::signing::IdentityKey::from_seed(&[77; 32]);
    let mut with_another = crate::pair::card(&world.id(0), &another_key);
    with_another.sequence = 9;
    let cases = [
        ("card", expired.sign(key)),
        ("card", same.clone()),
        ("key-rotation", same),
        ("card", with_another.sign(&another_key)),
    ];
    for (number, (kind, card)) in cases.into_iter().enumerate() {
        let body = match kind {
            "card" => aldis_wire::kinds::NewCard::body(&card),
            _ => aldis_wire::kinds::KeyRotation::body(&card),
        };
        let to = world.id(1);
        let mut submission = notice(&to, Lane::Immediate);
        submission.kind = aldis_wire::codes::Code::known(kind);
        submission.bodies = vec![(1, body.into())];
        world.submit(0, submission);
        world.run();
        assert_eq!(refused(&world), number + 1, "case {number}");
    }
    let known = world.nodes[1].core.peer(&world.id(0)).unwrap();
    assert_eq!(*known.card(), before);
    assert!(known.durable.offered.is_none());
}

/// The ceremony for a lost key: the new card comes by hand, two persons take it, and the old key opens no link any more.
#[test]
fn i4_a_lost_key_is_replaced_by_hand_and_what_it_signed_still_arrives() {
    let mut world = linked();
    let old = world.nodes[0].key.id();
    world.dials = false;
    world.break_all();
    world.run();
    send(&mut world, 0, Lane::Routine);
    let card = world.nodes[0].next_key();
    world.nodes[0].lose_earlier_keys();
    world.restart(0);
    own_card(&mut world, 0);
    let token = world.token();
    let by_hand = Box::new(card.clone());
    world.nodes[1].inbox.push_back(Input::AddPeer { token, card: by_hand, by: text("admin") });
    world.run();
    assert!(matches!(world.nodes[1].replies[&token], Ok(Done::KeyOffered(_))));
    let order = Order { act: Act::AcceptKey, peer: world.id(0), key: Some(old), by: person(1), why: text("x") };
    let token = world.token();
    world.nodes[1].inbox.push_back(Input::Administer { token, order: Box::new(order) });
    world.run();
    assert!(world.nodes[1].replies[&token].is_err(), "another key than the one on offer");
    accept(&mut world, 1, 0);
    assert!(world.nodes[1].core.peer(&world.id(0)).unwrap().hello_keys().iter().all(|key| key.id() != old));
    world.connect(0, 1);
    world.run();
    settle(&mut world);
    send(&mut world, 0, Lane::Routine);
    assert_eq!(key_ids_received(&world, 1, Lane::Routine), [(1, old), (2, card.key().id())]);
    assert!(world.nodes[0].alarms().is_empty() && world.nodes[1].alarms().is_empty());
}

/// The link that the lost key opened is told goodbye, and until it has ended nothing is taken from it.
#[test]
fn i4_a_key_that_was_given_up_is_not_heard_on_the_link_it_opened() {
    let (mut world, link) = World::with_puppet();
    let (_, _, thief) = world.seal(world.forged(Lane::Flash));
    let thief = world.read(0, 1, link, crate::pair::Wired::Envelope(thief));
    let card = Box::new(world.nodes[1].next_key());
    let token = world.token();
    world.nodes[0].inbox.push_back(Input::AddPeer { token, card, by: text("admin") });
    world.run();
    world.order(0, Act::AcceptKey, 1);
    world.run();
    world.approve_all(0);
    world.nodes[0].inbox.push_back(thief);
    world.run();
    assert_eq!(world.nodes[0].closed, [(link, aldis_wire::frame::GoodbyeCode::DOES_NOT_VERIFY)]);
    assert!(world.nodes[0].shown().is_empty(), "a key that was given up was heard");
}

/// A peer whose identity and TLS key were stolen: revoked at once, given its new key by hand, and taken back.
#[test]
fn a_revoked_peer_comes_back_with_another_key_where_it_was_before() {
    let mut world = linked();
    world.order(1, Act::Revoke, 0);
    world.run();
    let card = world.nodes[0].next_key();
    world.nodes[0].lose_earlier_keys();
    world.restart(0);
    own_card(&mut world, 0);
    let token = world.token();
    world.nodes[1].inbox.push_back(Input::AddPeer { token, card: Box::new(card.clone()), by: text("admin") });
    world.run();
    accept(&mut world, 1, 0);
    let trust = |world: &World| world.nodes[1].core.peer(&world.id(0)).unwrap().durable.trust;
    assert_eq!(trust(&world), Trust::Revoked, "taking a key lets nobody in");
    world.order(1, Act::UndoRevoke, 0);
    world.run();
    world.approve_all(1);
    world.run();
    assert_eq!(trust(&world), Trust::Verified);
    world.connect(0, 1);
    world.run();
    settle(&mut world);
    send(&mut world, 0, Lane::Flash);
    assert_eq!(key_ids_received(&world, 1, Lane::Flash), [(1, card.key().id())]);
}

/// The card comes by hand although the key is not lost, and no answer reaches the one that rotates: the Hello says it.
#[test]
fn a_key_that_was_taken_from_a_card_by_hand_is_used_all_the_same() {
    let mut world = linked();
    world.dials = false;
    world.break_all();
    world.run();
    let card = rotate(&mut world, 0);
    let token = world.token();
    world.nodes[1].inbox.push_back(Input::AddPeer { token, card: Box::new(card.clone()), by: text("admin") });
    world.run();
    accept(&mut world, 1, 0);
    world.dials = true;
    for _ in 0..3 {
        world.connect(0, 1);
        world.run();
    }
    settle(&mut world);
    assert_eq!(world.nodes[0].core.peer(&world.id(1)).unwrap().durable.own_key, card.key().id());
    send(&mut world, 0, Lane::Flash);
    assert_eq!(key_ids_received(&world, 1, Lane::Flash), [(1, card.key().id())]);
}

#[test]
fn i4_a_peer_cannot_put_the_certificate_of_another_on_its_card() {
    let mut world = World::with(3, 0, &aldis_core::limits::Limits::default());
    own_card(&mut world, 0);
    let mut card = crate::pair::card(&world.id(0), &world.nodes[0].key);
    card.sequence = 9;
    card.tls_certificate = world.nodes[2].card.card().tls_certificate.clone();
    let body = aldis_wire::kinds::NewCard::body(&card.sign(&world.nodes[0].key));
    world.connect(0, 1);
    world.run();
    let mut submission = notice(&world.id(1), Lane::Immediate);
    submission.kind = aldis_wire::codes::Code::known("card");
    submission.bodies = vec![(1, body.into())];
    world.submit(0, submission);
    world.run();
    let held = world.nodes[1].core.peer(&world.id(0)).unwrap().card().card().tls_certificate.clone();
    assert_ne!(held, world.nodes[2].card.card().tls_certificate, "one peer took the place of another");
}

#[test]
fn a_card_that_was_false_is_replaced_as_long_as_nobody_was_let_in_with_it() {
    let mut world = World::unverified(2, 0, &aldis_core::limits::Limits::default());
    let asked = world.order(0, Act::Verify, 1);
    world.run();
    assert!(matches!(world.nodes[0].replies[&asked], Ok(Done::Requested(_))));
    let genuine = aldis_wire::signing::IdentityKey::from_seed(&[66; 32]);
    let card = crate::pair::card(&world.id(1), &genuine).sign(&genuine);
    let token = world.token();
    world.nodes[0].inbox.push_back(Input::AddPeer { token, card: Box::new(card), by: text("admin") });
    world.run();
    assert!(matches!(world.nodes[0].replies[&token], Ok(Done::PeerAdded(_))), "{:?}", world.nodes[0].replies[&token]);
    let known = world.nodes[0].core.peer(&world.id(1)).unwrap();
    assert_eq!((known.card().key(), known.durable.trust), (&genuine.public(), Trust::Pending));
    world.approve_all(0);
    world.run();
    let known = world.nodes[0].core.peer(&world.id(1)).unwrap();
    assert_eq!(known.durable.trust, Trust::Pending, "the approval was of the card before");
}

#[test]
fn a_card_whose_key_the_node_does_not_have_is_not_its_own() {
    let mut world = linked();
    let before = world.nodes[0].core.own_card().unwrap().0.clone();
    let stranger = aldis_wire::signing::IdentityKey::from_seed(&[67; 32]);
    let mut card = crate::pair::card(&world.id(0), &stranger);
    card.sequence = 9;
    let (token, usable) = (world.token(), world.nodes[0].usable());
    let card = Box::new(card.sign(&stranger));
    world.nodes[0].inbox.push_back(Input::OwnCard { token: Some(token), card, usable, by: text("admin") });
    world.run();
    assert!(world.nodes[0].replies[&token].is_err());
    assert_eq!(*world.nodes[0].core.own_card().unwrap().0, before);
}

#[test]
fn i9_a_card_of_our_own_that_is_no_newer_is_not_put_in_force() {
    let mut world = linked();
    rotate(&mut world, 0);
    let newest = world.nodes[0].core.own_card().unwrap().0.clone();
    for sequence in [1, newest.card().sequence] {
        let mut card = newest.card().clone();
        (card.sequence, card.name) = (sequence, text("an older copy"));
        let card = Box::new(card.sign(&world.nodes[0].key));
        let (token, usable) = (world.token(), world.nodes[0].usable());
        world.nodes[0].inbox.push_back(Input::OwnCard { token: Some(token), card, usable, by: text("admin") });
        world.run();
        assert!(world.nodes[0].replies[&token].is_err(), "number {sequence}");
        assert_eq!(*world.nodes[0].core.own_card().unwrap().0, newest);
    }
}

/// A certificate that comes with a next identity key is in use at a peer only once people there have taken that key.
#[test]
fn a_card_with_a_key_that_nobody_took_yet_is_not_everywhere() {
    let mut world = linked();
    world.tick();
    assert!(world.nodes[0].core.own_card().unwrap().1);
    rotate(&mut world, 0);
    world.tick();
    assert!(!world.nodes[0].core.own_card().unwrap().1, "receipted is not taken");
    accept(&mut world, 1, 0);
    settle(&mut world);
    assert!(world.nodes[0].core.own_card().unwrap().1);
}
