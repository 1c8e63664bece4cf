//! Links that end on purpose, for a new key or certificate: whoever dials comes back at once, and nobody can make a node spin.

use crate::pair::{World, card, text};
use crate::rotation::{accept, linked, own_card, rotate, send};
use aldis_core::input::Input;
use aldis_core::peer::LinkId;
use aldis_wire::frame::{Goodbye, GoodbyeCode};
use aldis_wire::ids::EnvelopeId;
use aldis_wire::lane::Lane;

/// Both ends change their identity keys at once, with default times, while mail flows: no end is without a link for more
/// than two seconds, though each change closes it within five seconds of the one before. No FLASH is among the mail: one
/// would have its sender dial at once anyway.
#[test]
fn i14_keys_that_change_at_both_ends_at_once_leave_no_end_without_a_link_for_two_seconds() {
    for pause_ms in [0, 100, 700, 1_500, 4_000] {
        let mut world = linked();
        let mut down_since = [None; 2];
        let (mut longest, mut closed) = (0, 0);
        let newest = [0, 1].map(|place| rotate(&mut world, place).key().id());
        for step in 0..300_u64 {
            world.advance(50);
            if step * 50 == 500 {
                accept(&mut world, 1, 0);
            }
            if step * 50 == 500 + pause_ms {
                accept(&mut world, 0, 1);
            }
            for (place, down_since) in down_since.iter_mut().enumerate() {
                if step % 5 == 0 {
                    send(&mut world, place, Lane::ALL[1 + usize::try_from(step % 3).unwrap()]);
                }
                let up = world.nodes[place].core.peer(&world.id(1 - place)).unwrap().up().is_some();
                let since = down_since.get_or_insert(world.monotonic_ms);
                longest = longest.max(world.monotonic_ms - *since);
                if up {
                    *down_since = None;
                }
            }
            closed = world.nodes.iter().map(|node| node.closed.len()).max().unwrap();
        }
        assert!(closed > 0, "nothing was tested");
        assert!(longest <= 2_000, "{pause_ms}: {longest} ms without a link");
        for (place, newest) in newest.into_iter().enumerate() {
            let known = world.nodes[place].core.peer(&world.id(1 - place)).unwrap();
            assert_eq!(known.durable.own_key, newest, "{pause_ms}");
            assert_eq!(known.durable.keys.ended().len(), 1, "{pause_ms}");
            assert!(world.nodes[place].alarms().is_empty());
        }
    }
}

/// The puppet says goodbye, if it does, and the link breaks; how long node 0 waits until it dials, in milliseconds.
fn wait_after(world: &mut World, link: LinkId, goodbye: Option<GoodbyeCode>) -> u64 {
    if let Some(code) = goodbye {
        let (peer, goodbye) = (world.id(1), Goodbye { code, lane: None, text: text("a new certificate") });
        world.nodes[0].inbox.push_back(Input::Goodbye { peer, link, goodbye });
        world.run();
    }
    let (dialled, since) = (world.nodes[0].dialled.len(), world.monotonic_ms);
    world.break_all();
    world.run();
    while world.nodes[0].dialled.len() == dialled {
        world.jump().unwrap();
    }
    world.monotonic_ms - since
}

/// A peer that closes every link at once and says that it will be back is dialled again at once four times, then waits.
#[test]
fn i7_a_peer_that_always_says_it_comes_back_cannot_make_us_spin() {
    let mut world = World::new(2);
    world.nodes[1].puppet = true;
    let mut waits = Vec::new();
    for _ in 0..30 {
        let link = world.puppet_up(|_| ());
        waits.push(wait_after(&mut world, link, Some(GoodbyeCode::REPLACED)));
    }
    assert!(waits[..4].iter().all(|wait| *wait <= 1_000), "{waits:?}");
    assert!(waits[4..].iter().all(|wait| *wait >= 2_500), "{waits:?}");
    // Once a link has held, a change may come again.
    let link = world.puppet_up(|_| ());
    world.advance(5_000);
    assert!(wait_after(&mut world, link, None) <= 1_000);
    let link = world.puppet_up(|_| ());
    assert!(wait_after(&mut world, link, Some(GoodbyeCode::REPLACED)) <= 1_000);
    // Other goodbyes, and none at all, wait as ever.
    for goodbye in [Some(GoodbyeCode::STOPPING), Some(GoodbyeCode::NOT_ADMITTED), None] {
        let link = world.puppet_up(|_| ());
        assert!(wait_after(&mut world, link, goodbye) >= 2_500, "{goodbye:?}");
    }
}

#[test]
fn i14_the_end_that_changes_its_identity_key_dials_again_at_once() {
    let (mut world, link) = World::with_puppet();
    world.allow(10);
    own_card(&mut world, 0);
    rotate(&mut world, 0);
    let (lane, seq, _) = world.nodes[0].transmitted.last().cloned().unwrap();
    let (_, digest) = world.nodes[0].core.peer(&world.id(1)).unwrap().sent_marks().get(lane).unwrap();
    let id = EnvelopeId { from: world.id(0), to: world.id(1), lane, seq };
    let body = aldis_wire::kinds::from_json(
        "acknowledgement",
        1,
        serde_json::json!({"state": "decided", "status": "approved"}),
    );
    let mut approved = world.forged(lane);
    approved.answers(&(id, digest), &body.unwrap());
    let (dialled, since) = (world.nodes[0].dialled.len(), world.monotonic_ms);
    world.inject(approved);
    assert_eq!(world.nodes[0].closed, [(link, GoodbyeCode::REPLACED)]);
    while world.nodes[0].dialled.len() == dialled {
        world.jump().unwrap();
    }
    assert!(world.monotonic_ms - since <= 1_000);
}

/// The node closes its links once its new certificate is known everywhere, and shows it from then on.
#[test]
fn i14_the_end_that_changes_its_certificate_dials_again_at_once() {
    let (mut world, link) = World::with_puppet();
    world.allow(10);
    own_card(&mut world, 0);
    let node = &mut world.nodes[0];
    let mut renewed = card(&node.id, &node.key);
    renewed.sequence = 9;
    node.card = renewed.sign(&node.key);
    own_card(&mut world, 0);
    let marks = world.nodes[0].core.peer(&world.id(1)).unwrap().sent_marks();
    world.receipt(marks);
    world.tick();
    assert!(world.nodes[0].core.own_card().unwrap().1);
    assert!(wait_after(&mut world, link, None) <= 1_000);
}
