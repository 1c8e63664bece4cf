//! Our own cards on their way: one that a peer refused, or that expired before it left, is not there, and everybody who
//! must know it does.

use crate::pair::{World, answer, card, notice, person};
use crate::recalls::said;
use crate::rotation::{accept, linked, own_card, rotate, settle};
use aldis_core::input::Input;
use aldis_core::record::Record;
use aldis_wire::hello::Role;
use aldis_wire::ids::UnixMillis;
use aldis_wire::kinds::{Refusal, RefusalCode};
use aldis_wire::lane::{Lane, Marks};

const DAY_MS: u64 = 24 * 3_600_000;

/// Gives node 0 a card with the same key.
fn renew(world: &mut World, sequence: u64, valid_until: Option<UnixMillis>) {
    let node = &mut world.nodes[0];
    let mut next = card(&node.id, &node.key);
    next.sequence = sequence;
    next.valid_until = valid_until.unwrap_or(next.valid_until);
    node.card = next.sign(&node.key);
    own_card(world, 0);
}

fn cards_sent(world: &World, kind: &str) -> usize {
    let sent = |record: &&Record| matches!(record, Record::Sent(sent) if sent.draft.header.kind.as_str() == kind);
    world.nodes[0].records().iter().filter(sent).count()
}

fn alarmed(world: &World, code: &str) -> bool {
    world.nodes[0].alarms().iter().any(|alarm| alarm == code)
}

fn is_everywhere(world: &mut World) -> bool {
    world.tick();
    world.nodes[0].core.own_card().unwrap().1
}

#[test]
fn i8_a_card_the_peer_refused_is_not_there_and_is_sent_once_more_on_each_link() {
    let mut world = linked();
    assert!(is_everywhere(&mut world));
    renew(&mut world, 9, Some(UnixMillis::new(1)));
    assert!(!is_everywhere(&mut world), "a refused card counts as known");
    assert!(alarmed(&world, "own-card-not-taken"));
    assert_eq!(cards_sent(&world, "card"), 1);
    own_card(&mut world, 0);
    world.advance(60_000);
    assert_eq!(cards_sent(&world, "card"), 1, "refused, and sent again on the same link");
    for round in 2..4 {
        world.break_all();
        settle(&mut world);
        assert_eq!(cards_sent(&world, "card"), round);
        assert!(alarmed(&world, "own-card-not-taken"));
    }
    // A restart forgets nothing of it.
    world.restart(0);
    assert!(!is_everywhere(&mut world) && alarmed(&world, "own-card-not-taken"));
    settle(&mut world);
    renew(&mut world, 10, None);
    assert!(is_everywhere(&mut world));
    assert!(!alarmed(&world, "own-card-not-taken"));
}

#[test]
fn a_refused_card_that_the_peer_then_has_by_hand_is_there() {
    let mut world = linked();
    renew(&mut world, 9, Some(UnixMillis::new(1)));
    assert!(alarmed(&world, "own-card-not-taken"));
    let good = {
        let node = &world.nodes[0];
        let mut good = card(&node.id, &node.key);
        good.sequence = 10;
        good.sign(&node.key)
    };
    world.dials = false;
    world.break_all();
    world.run();
    world.nodes[0].card = good.clone();
    own_card(&mut world, 0);
    let token = world.token();
    world.nodes[1].inbox.push_back(Input::AddPeer { token, card: Box::new(good), by: crate::pair::text("admin") });
    world.run();
    world.dials = true;
    settle(&mut world);
    assert!(is_everywhere(&mut world) && !alarmed(&world, "own-card-not-taken"));
    assert_eq!(cards_sent(&world, "card"), 1);
}

/// A refusal is signed in the commit that is receipted, but the receipt may overtake it.
#[test]
fn i8_a_receipt_that_overtook_a_refusal_does_not_make_the_card_known() {
    for refuses in [true, false] {
        let (mut world, _) = World::with_puppet();
        world.allow(10);
        own_card(&mut world, 0);
        renew(&mut world, 9, None);
        let peer = world.id(1);
        let out = world.nodes[0].core.peer(&peer).unwrap().sent_marks();
        let card =
            *world.nodes[0].transmitted.iter().map(|(lane, seq, _)| (*lane, *seq)).collect::<Vec<_>>().last().unwrap();
        let mut forged = world.forged(card.0);
        if refuses {
            let digest = out.get(card.0).unwrap().1;
            let id = aldis_wire::ids::EnvelopeId { from: world.id(0), to: peer.clone(), lane: card.0, seq: card.1 };
            let reference = aldis_wire::header::Reference {
                role: aldis_wire::header::ReferenceRole::ANSWERS,
                envelope: id,
                digest,
            };
            forged.header.references = aldis_wire::codec::List::new(vec![reference]).unwrap();
            forged.carry("refusal", &Refusal::body(RefusalCode::CardNotTaken, ""));
        }
        let mut sent = Marks::default();
        sent.set(card.0, forged.header.seq, aldis_wire::digest::Digest::of(&[b"the refusal"]));
        world.receipt_having_sent(out, sent);
        assert!(!is_everywhere(&mut world), "known before the refusal could come");
        world.inject(forged);
        assert_eq!(is_everywhere(&mut world), !refuses);
        assert_eq!(alarmed(&world, "own-card-not-taken"), refuses);
    }
}

#[test]
fn i8_a_card_that_expired_before_it_left_is_not_there_and_is_sent_with_the_next_link() {
    let (mut world, _) = World::with_puppet();
    own_card(&mut world, 0);
    assert_eq!(cards_sent(&world, "card"), 0, "the Hello says that it is there");
    // The credit of the lane is used up, so the card waits here.
    world.allow(1);
    let cl = world.id(1);
    world.submit(0, notice(&cl, Lane::Immediate));
    world.run();
    renew(&mut world, 9, None);
    assert_eq!(cards_sent(&world, "card"), 1);
    world.break_all();
    world.run();
    for _ in 0..31 {
        world.advance(DAY_MS);
    }
    assert!(alarmed(&world, "own-card-not-taken"));
    world.puppet_up(|hello| hello.peer_card = aldis_wire::digest::Digest::of(&[b"the one before"]));
    world.allow(10);
    assert_eq!(cards_sent(&world, "card"), 2);
    assert!(!alarmed(&world, "own-card-not-taken"));
    let first = *world.nodes[0].core.peer(&world.id(1)).unwrap().sent_marks().get(Lane::Immediate).as_ref().unwrap();
    let mut marks = Marks::default();
    marks.set(Lane::Immediate, first.0, first.1);
    assert!(!is_everywhere(&mut world));
    world.receipt(marks);
    assert!(is_everywhere(&mut world));
}

#[test]
fn i8_a_refused_key_rotation_is_announced_again_with_the_next_link() {
    let mut world = linked();
    let good = world.nodes[0].next_key();
    let mut bad = good.card().clone();
    bad.valid_until = UnixMillis::new(1);
    world.nodes[0].card = bad.sign(&world.nodes[0].key);
    own_card(&mut world, 0);
    assert!(alarmed(&world, "own-card-not-taken"));
    assert_eq!(cards_sent(&world, "key-rotation"), 1);
    world.break_all();
    settle(&mut world);
    assert_eq!(cards_sent(&world, "key-rotation"), 2);
    assert!(world.nodes[1].core.peer(&world.id(0)).unwrap().durable.offered.is_none());
}

#[test]
fn i8_a_declined_rotation_is_an_alarm_until_a_newer_card_or_the_key_is_taken() {
    for newer in [true, false] {
        let mut world = linked();
        let next = rotate(&mut world, 0);
        let (token, peer) = (world.token(), world.id(0));
        world.nodes[1].inbox.push_back(Input::DeclineKey { token, peer, by: person(1) });
        world.run();
        assert!(alarmed(&world, "key-rotation-declined"));
        world.restart(0);
        own_card(&mut world, 0);
        settle(&mut world);
        assert!(alarmed(&world, "key-rotation-declined"), "people declined it; no link changes that");
        assert_eq!(cards_sent(&world, "key-rotation"), 1, "and it is not asked for again");
        if newer {
            rotate(&mut world, 0);
            assert!(!alarmed(&world, "key-rotation-declined"));
            assert_eq!(cards_sent(&world, "key-rotation"), 2);
        } else {
            let token = world.token();
            let card = Box::new(next);
            world.nodes[1].inbox.push_back(Input::AddPeer { token, card, by: crate::pair::text("admin") });
            world.run();
        }
        accept(&mut world, 1, 0);
        if !newer {
            world.break_all();
        }
        settle(&mut world);
        assert!(!alarmed(&world, "key-rotation-declined"));
        assert!(is_everywhere(&mut world));
    }
}

#[test]
fn i4_what_people_decide_about_something_else_decides_no_rotation() {
    for status in ["approved", "denied"] {
        let mut world = linked();
        let peer = world.id(1);
        let sent = said(&mut world, 0, notice(&peer, Lane::Routine));
        rotate(&mut world, 0);
        said(&mut world, 1, answer(&sent, status));
        let switched = |record: &Record| matches!(record, Record::OwnKeySwitched(_));
        assert!(!world.nodes[0].records().iter().any(switched), "{status}: nobody there took the key yet");
        assert!(!alarmed(&world, "key-rotation-declined"), "{status}");
        accept(&mut world, 1, 0);
        settle(&mut world);
        assert!(world.nodes[0].records().iter().any(switched), "{status}: now they did");
    }
}

/// A peer that was restored from a backup may have lost our card: what its Hello says then counts.
#[test]
fn i9_a_peer_that_lost_history_is_sent_our_card_again() {
    let mut world = linked();
    let backup = world.nodes[1].journal.len();
    renew(&mut world, 9, None);
    let lost: Vec<Record> = world.nodes[1].records()[backup..].to_vec();
    world.crash(1);
    world.nodes[1].roll_back(backup);
    world.restart(1);
    settle(&mut world);
    assert!(world.nodes[0].alarms().contains(&"peer-lost-history".to_owned()));
    assert_ne!(world.hello(1, 0, Role::DIALLER).peer_card, world.nodes[0].card.digest());
    assert!(world.nodes[0].core.peer(&world.id(1)).unwrap().durable.announced.is_none());
    world.crash(1);
    world.nodes[1].roll_back(backup);
    world.nodes[1].append(&lost);
    world.restart(1);
    settle(&mut world);
    assert!(world.nodes[0].core.peer(&world.id(1)).unwrap().durable.announced.is_some());
    assert!(is_everywhere(&mut world));
}
