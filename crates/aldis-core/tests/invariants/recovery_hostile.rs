//! A peer that is asked for history and answers with something else: what does not verify, does not follow, or was not asked for
//! is not taken, and an honest peer heals it all.

use crate::pair::{Held, Scene, notice};
use aldis_core::record::{Record, RecoveryEnd, Standing};
use aldis_core::recovery::FETCH_WINDOW;
use aldis_wire::digest::Digest;
use aldis_wire::frame::GoodbyeCode;
use aldis_wire::hello::Hello;
use aldis_wire::ids::{NodeId, Seq};
use aldis_wire::lane::Lane;

/// A node that has lost history, its peer that will answer as `falsify` makes it, and how many records of it came back.
fn hostile(falsify: fn(Vec<Held>) -> Vec<Held>) -> Scene {
    let mut scene = Scene::new(2, 7);
    scene.talk(20);
    let backup = scene.world.nodes[0].backup();
    scene.talk(60);
    scene.lose(0, &backup);
    scene.world.falsify = Some(falsify);
    scene.world.connect(0, 1);
    scene.world.run();
    scene.confirm(0, 1).expect("there is a history to fetch");
    scene
}

fn last_goodbye(scene: &Scene) -> Option<GoodbyeCode> {
    scene.world.nodes[0].closed.last().map(|(_, code)| *code)
}

/// With an honest peer everything comes back.
fn heals(scene: &mut Scene) {
    scene.world.falsify = None;
    for _ in 0..2 {
        let _not_needed_everywhere = scene.confirm(0, 1);
        scene.world.connect(0, 1);
        scene.world.run();
    }
    assert_eq!((scene.standing(0, 1), scene.standing(1, 0)), (Standing::Good, Standing::Good));
    scene.assert_same(0, 1);
}

#[test]
fn i4_bytes_that_do_not_verify_end_the_link_and_nothing_is_taken() {
    // One is enough: whoever reads a link stops at the first.
    let mut scene = hostile(|mut places| {
        places.truncate(usize::from(places.iter().any(|place| place.lane == Lane::Flash)));
        for bytes in places.iter_mut().filter_map(|place| place.bytes.as_mut()) {
            let mut changed = bytes.to_vec();
            let at = changed.len() / 2;
            changed[at] ^= 1;
            *bytes = changed.into();
        }
        places
    });
    assert_eq!(last_goodbye(&scene), Some(GoodbyeCode::DOES_NOT_VERIFY));
    let records = scene.world.nodes[0].records();
    assert!(!records.iter().any(|record| matches!(record, Record::Recovered(_))));
    assert!(records.iter().any(|record| matches!(record, Record::Strike(_))), "it is charged as always");
    assert_eq!(scene.standing(0, 1), Standing::WeLostHistory);
    heals(&mut scene);
}

#[test]
fn i4_an_envelope_that_we_never_signed_is_not_ours_whoever_says_so() {
    // The peer's own envelope in the place of one of ours: it is signed, but not by us.
    let mut scene = hostile(|mut places| {
        places.truncate(1);
        places.retain(|place| place.lane == Lane::Priority && place.from.as_str() == "cert.cl");
        places.iter_mut().for_each(|place| place.from = NodeId::new("cert.br").unwrap());
        places
    });
    assert!(
        [Some(GoodbyeCode::DOES_NOT_VERIFY), Some(GoodbyeCode::PROTOCOL_ERROR)].contains(&last_goodbye(&scene)),
        "{:?}",
        last_goodbye(&scene)
    );
    heals(&mut scene);
}

#[test]
fn i5_places_in_another_order_or_unasked_end_the_link() {
    let reversed = |mut places: Vec<Held>| {
        places.reverse();
        places
    };
    let doubled = |places: Vec<Held>| places.iter().flat_map(|place| [place.clone(), place.clone()]).collect();
    let endless = |places: Vec<Held>| {
        let last = places.last().cloned();
        let more =
            last.into_iter().flat_map(|last| (1..500).map(move |more| Held { seq: last.seq + more, ..last.clone() }));
        places.iter().cloned().chain(more).collect()
    };
    let falsifications: [fn(Vec<Held>) -> Vec<Held>; 3] = [reversed, doubled, endless];
    for (number, falsify) in falsifications.into_iter().enumerate() {
        let mut scene = hostile(falsify);
        assert_eq!(last_goodbye(&scene), Some(GoodbyeCode::PROTOCOL_ERROR), "{number}");
        heals(&mut scene);
    }
}

#[test]
fn i8_a_place_that_the_peer_does_not_hold_is_named() {
    let mut scene = hostile(|mut places| {
        for place in &mut places {
            place.bytes = place.bytes.take().filter(|_| place.seq % 3 != 0);
        }
        places
    });
    let ended = scene.ended(0).pop().expect("it ended");
    let RecoveryEnd::NotHeld(id) = &ended.end else { panic!("{ended:?}") };
    assert!(ended.words().contains(&id.to_string()) && ended.words().contains("aldis verify"), "{}", ended.words());
    let alarms: Vec<_> = scene.world.nodes[0].core.alarms().map(|alarm| alarm.text.to_string()).collect();
    assert!(alarms.iter().any(|text| text.contains(&id.to_string())), "{alarms:?}");
    assert_eq!(scene.standing(0, 1), Standing::WeLostHistory);
    heals(&mut scene);
}

#[test]
fn i7_a_peer_that_never_answers_ends_the_link_in_time() {
    let mut scene = hostile(|_| Vec::new());
    let before = scene.world.nodes[0].closed.len();
    for _ in 0..4 {
        scene.world.jump();
    }
    assert!(scene.world.nodes[0].closed[before..].iter().any(|(_, code)| *code == GoodbyeCode::SILENT));
    heals(&mut scene);
}

#[test]
fn i5_the_last_place_must_be_the_one_that_the_hello_named() {
    let ours: fn(&mut Hello) = |hello| {
        if let Some((seq, _)) = hello.received.get(Lane::Routine) {
            hello.received.set(Lane::Routine, seq, Digest::of(&[b"another"]));
        }
    };
    let theirs: fn(&mut Hello) = |hello| {
        let mut receipted = hello.receipted().unwrap();
        if let Some((seq, _)) = receipted.get(Lane::Routine) {
            receipted.set(Lane::Routine, seq, Digest::of(&[b"another"]));
            hello.extensions = Hello::extensions_with(None, &receipted);
        }
    };
    for (from, falsify) in [(0, ours), (1, theirs)] {
        let mut scene = Scene::new(2, 7);
        let backup = scene.world.nodes[0].backup();
        for place in [0, 1] {
            let to = scene.world.id(1 - place);
            for _ in 0..3 {
                scene.world.submit(place, notice(&to, Lane::Routine));
                scene.world.run();
            }
        }
        scene.lose(0, &backup);
        scene.world.falsify_hello = Some(falsify);
        scene.world.connect(0, 1);
        scene.world.run();
        scene.confirm(0, 1).expect("there is a history to fetch");
        let ended = scene.ended(0).pop().expect("it ended");
        let RecoveryEnd::Contradicts(id) = &ended.end else { panic!("{ended:?}") };
        assert_eq!((&id.from, id.seq), (&scene.world.id(from), Seq::new(3).unwrap()));
        let is_it = |record: &Record| matches!(record, Record::Recovered(found) if found.header.id() == *id);
        assert!(!scene.world.nodes[0].records().iter().any(is_it), "it is not taken in");
    }
}

#[test]
fn i7_no_more_than_a_window_of_each_lane_is_asked_for_ahead() {
    let mut scene = Scene::new(2, 7);
    let (backup, cl) = (scene.world.nodes[0].backup(), scene.world.id(1));
    for _ in 0..50 {
        scene.world.submit(0, notice(&cl, Lane::Routine));
    }
    scene.world.run();
    scene.lose(0, &backup);
    scene.world.falsify = Some(|_| Vec::new());
    scene.world.connect(0, 1);
    scene.world.run();
    scene.confirm(0, 1).expect("there is a history to fetch");
    let asked: Vec<_> = scene.world.fetched.iter().filter(|fetch| fetch.lane == Lane::Routine).collect();
    assert_eq!(asked.iter().map(|fetch| fetch.last - fetch.first + 1).sum::<u64>(), FETCH_WINDOW, "{asked:?}");
    scene.world.fetched.clear();
    heals(&mut scene);
    let longest = scene.world.fetched.iter().map(|fetch| fetch.last - fetch.first + 1).max();
    assert_eq!(longest, Some(FETCH_WINDOW));
    let of_routine = scene.world.fetched.iter().filter(|fetch| fetch.lane == Lane::Routine);
    assert_eq!(of_routine.map(|fetch| fetch.last - fetch.first + 1).sum::<u64>(), 50, "each is asked for once");
}
