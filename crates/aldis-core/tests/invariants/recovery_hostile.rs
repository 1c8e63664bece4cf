//! A peer that is asked for history and answers with something else: what does not verify, does not follow, or was not asked for
//! is not taken, and an honest peer heals it all.

use crate::pair::{Held, Scene, Wired, World, calm, notice};
use aldis_core::batch::BATCH_MAX_BYTES;
use aldis_core::effect::Declined;
use aldis_core::input::Input;
use aldis_core::ladder::{Ladder, Wants};
use aldis_core::limits::Limits;
use aldis_core::outbound::OutState;
use aldis_core::peer::LinkId;
use aldis_core::record::{Record, RecoveryEnd, Standing};
use aldis_core::recovery::FETCH_WINDOW;
use aldis_core::trust::Act;
use aldis_wire::digest::Digest;
use aldis_wire::envelope::{Body, EnvelopeVerifier, WithheldReason, assemble};
use aldis_wire::frame::GoodbyeCode;
use aldis_wire::hello::Hello;
use aldis_wire::ids::{NodeId, Seq, UnixMillis};
use aldis_wire::lane::{Lane, Marks};
use aldis_wire::signing::IdentityKey;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;

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
    let RecoveryEnd::NotHeld(ids) = &ended.end else { panic!("{ended:?}") };
    let id = ids.first().expect("one is missing");
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

#[test]
fn i8_a_hole_in_one_lane_keeps_nothing_back_of_the_others() {
    let mut scene = Scene::new(2, 7);
    let (backup, cl) = (scene.world.nodes[0].backup(), scene.world.id(1));
    for _ in 0..40 {
        for lane in [Lane::Flash, Lane::Routine] {
            scene.world.submit(0, notice(&cl, lane));
        }
        scene.world.run();
    }
    scene.lose(0, &backup);
    scene.world.falsify = Some(|mut places| {
        let is_hole = |place: &Held| place.lane == Lane::Routine && place.seq == 5;
        places.iter_mut().filter(|place| is_hole(place)).for_each(|place| place.bytes = None);
        places
    });
    for _ in 0..2 {
        scene.world.connect(0, 1);
        scene.world.run();
        scene.confirm(0, 1).expect("there is a history to fetch");
        let ended = scene.ended(0).pop().expect("it ended");
        let RecoveryEnd::NotHeld(ids) = &ended.end else { panic!("{ended:?}") };
        let named: Vec<_> = ids.iter().map(|id| (id.lane, id.seq.get())).collect();
        assert_eq!(named, [(Lane::Routine, 5)]);
        let out = &scene.world.nodes[0].core.peer(&cl).unwrap().durable.out;
        let here = [Lane::Flash, Lane::Routine].map(|lane| out[lane.index()].last_seq());
        assert_eq!(here, [40, 4], "all of FLASH is here");
        assert_eq!(scene.standing(0, 1), Standing::WeLostHistory);
    }
    heals(&mut scene);
}

/// What a peer gives back with the bodies of ours left out, for a reason of its choice.
fn without_bodies(mut places: Vec<Held>, reason: WithheldReason) -> Vec<Held> {
    let key = IdentityKey::from_seed(&[1; 32]).public();
    let [br, cl] = ["cert.br", "cert.cl"].map(|id| NodeId::new(id).unwrap());
    let mut verifier = EnvelopeVerifier::new(br.clone(), cl, key);
    for place in places.iter_mut().filter(|place| place.from == br) {
        let Some(bytes) = &place.bytes else { continue };
        let envelope = verifier.verify(bytes).unwrap();
        place.bytes = Some(assemble(envelope.header().bytes(), &Body::Withheld(reason), envelope.proof_bytes()));
    }
    places
}

#[test]
fn i8_a_false_reason_for_a_missing_body_erases_and_silences_nothing() {
    let falsifications: [fn(Vec<Held>) -> Vec<Held>; 2] = [
        |places| without_bodies(places, WithheldReason::RECALLED),
        |places| without_bodies(places, WithheldReason::EXPIRED),
    ];
    for falsify in falsifications {
        let mut scene = Scene::new(2, 7);
        let cl = scene.world.id(1);
        scene.world.break_all();
        scene.world.run();
        scene.world.submit(0, notice(&cl, Lane::Flash));
        scene.world.run();
        let backup = scene.world.nodes[0].backup();
        scene.world.connect(0, 1);
        scene.world.run();
        scene.world.submit(0, notice(&cl, Lane::Flash));
        scene.world.run();
        scene.lose(0, &backup);
        scene.mark_restored(0);
        scene.world.falsify = Some(falsify);
        scene.world.connect(0, 1);
        scene.world.run();
        scene.confirm(0, 1).expect("there is a history to fetch");
        scene.world.connect(0, 1);
        scene.world.run();
        assert_eq!(scene.standing(0, 1), Standing::Good);
        let node = &scene.world.nodes[0];
        let ends = |record: &Record| matches!(record, Record::Recalled(_) | Record::Expired(_) | Record::BodyErased(_));
        assert!(!node.records().iter().any(ends));
        let body = node.envelopes_with(&cl).into_values().filter(|(_, _, body)| body.is_some()).count();
        assert_eq!(body, 1, "the body that is here stays");
        // Both wait for an answer, as they did.
        let open = &node.core.peer(&cl).unwrap().durable.out[Lane::Flash.index()].open;
        let open: Vec<_> = open.iter().map(|(seq, open)| (*seq, open.state, open.wants)).collect();
        assert_eq!(open, [1, 2].map(|seq| (seq, OutState::Stored, Wants::Person)));
        let ended = scene.ended(0).pop().unwrap();
        let named: Vec<_> = ended.bodiless_first.iter().map(|id| id.seq.get()).collect();
        assert_eq!((named, ended.bodiless), (vec![1, 2], 2), "{}", ended.words());
    }
}

/// A puppet that says it holds our receipts for so many messages of its own, signed long ago: none of that was ever here. Its
/// history as bytes, lane by lane.
fn claimant(lanes: &[(Lane, usize)], body: Option<Vec<u8>>, limits: &Limits) -> (World, LinkId, Vec<Bytes>) {
    let (mut world, _) = World::with_puppet_and(limits);
    let mut claimed = Marks::default();
    let mut bytes = Vec::new();
    for (lane, count) in lanes {
        let mut last = None;
        for _ in 0..*count {
            let mut forged = world.forged(*lane);
            forged.header.sent_at = UnixMillis::new(world.wall_ms - 200 * 24 * 3_600_000);
            if let (Some(body), false) = (&body, *lane == Lane::Flash) {
                forged.body.clone_from(body);
            }
            if let Some((seq, digest)) = last {
                let seq: Seq = seq;
                (forged.header.seq, forged.header.previous) = (seq.next(), digest);
            }
            let (id, digest, sealed) = world.seal(forged);
            last = Some((id.seq, digest));
            bytes.push(sealed);
        }
        let (seq, digest) = last.expect("there is one");
        claimed.set(*lane, seq, digest);
    }
    let link = world.puppet_up(|hello| {
        hello.sent = claimed.clone();
        hello.extensions = Hello::extensions_with(None, &claimed);
    });
    (world, link, bytes)
}

const THREE_AND_ONE: [(Lane, usize); 2] = [(Lane::Flash, 3), (Lane::Routine, 1)];

fn confirm(world: &mut World) {
    world.order(0, Act::Recover, 1);
    world.run();
    world.approve_all(0);
    world.run();
}

/// The puppet answers with one place of its own.
fn give(world: &mut World, link: LinkId, (lane, seq): (Lane, u64), bytes: &Bytes) {
    let held = Held { from: world.id(1), lane, seq, bytes: Some(bytes.clone()) };
    let input = world.read(0, 1, link, Wired::History(held));
    world.nodes[0].inbox.push_back(input);
    world.run();
}

#[test]
fn i5_live_envelopes_take_no_place_that_comes_back_as_history() {
    let (mut world, link, bytes) = claimant(&THREE_AND_ONE, None, &calm());
    confirm(&mut world);
    for (seq, bytes) in (1..).zip(&bytes[..3]) {
        give(&mut world, link, (Lane::Flash, seq), bytes);
    }
    // ROUTINE is held back, so nothing was taken in yet; now the same comes as if it were new.
    for bytes in &bytes[..3] {
        let input = world.read(0, 1, link, Wired::Envelope(bytes.clone()));
        world.nodes[0].inbox.push_back(input);
        world.run();
    }
    give(&mut world, link, (Lane::Routine, 1), &bytes[3]);
    let taken = world.nodes[0].records().iter().filter_map(|record| match record {
        Record::Received(found) | Record::Recovered(found) => Some((found.header.lane, found.header.seq)),
        _ => None,
    });
    let (taken, once): (Vec<_>, BTreeSet<_>) = (taken.clone().collect(), taken.collect());
    assert_eq!(taken.len(), once.len(), "{taken:?}");
    assert!(!world.nodes[0].records().iter().any(|record| matches!(record, Record::Received(_))));
    assert!(world.nodes[0].closed.contains(&(link, GoodbyeCode::RECORDS_DISAGREE)));
}

#[test]
fn i8_what_a_peer_says_that_we_had_is_mail_of_now_and_people_are_told() {
    let ladder = Arc::new(Ladder { on_arrival: [true; 4], ..Ladder::default() });
    let (mut world, link, bytes) = claimant(&THREE_AND_ONE, None, &Limits { ladder, ..calm() });
    assert_eq!(world.nodes[0].alarms(), ["we-lost-history"]);
    confirm(&mut world);
    give(&mut world, link, (Lane::Routine, 1), &bytes[3]);
    for (seq, bytes) in (1..).zip(&bytes[..3]) {
        give(&mut world, link, (Lane::Flash, seq), bytes);
    }
    let now = UnixMillis::new(world.wall_ms);
    let recovered = |record: &&Record| matches!(record, Record::Recovered(found) if found.at == now);
    assert_eq!(world.nodes[0].records().iter().filter(recovered).count(), 4);
    world.puppet_up(|_| ());
    world.tick();
    let known = world.nodes[0].core.peer(&world.id(1)).unwrap();
    assert_eq!(known.durable.standing, Standing::Good);
    let told: usize = world.nodes[0].alerts.iter().map(|alert| alert.messages.len()).sum();
    assert_eq!(told, 4, "each");
}

#[test]
fn i9_a_peer_that_says_less_than_it_said_before_frees_no_place() {
    let (mut world, _) = World::with_puppet();
    let standing = |world: &World| world.nodes[0].core.peer(&world.id(1)).unwrap().durable.standing;
    world.puppet_up(|hello| hello.received.set(Lane::Routine, Seq::new(100).unwrap(), Digest::of(&[b"ours"])));
    assert_eq!(standing(&world), Standing::WeLostHistory);
    for _ in 0..2 {
        world.puppet_up(|_| ());
        assert_eq!(standing(&world), Standing::WeLostHistory);
        world.restart(0);
        world.run();
    }
    let cl = world.id(1);
    let token = world.submit(0, notice(&cl, Lane::Routine));
    world.run();
    assert!(matches!(world.nodes[0].declined(token), Declined::RecordsDisagree(..)));
    // A fetch that ends with less than was named ends nothing either; people who say it once more go on without the rest.
    world.puppet_up(|_| ());
    confirm(&mut world);
    world.puppet_up(|_| ());
    assert_eq!(standing(&world), Standing::WeLostHistory);
    assert!(world.nodes[0].core.alarms().any(|alarm| alarm.text.contains("said that it holds more")));
    assert!(world.nodes[0].core.peer(&cl).unwrap().recovery().is_short);
    confirm(&mut world);
    world.puppet_up(|_| ());
    assert_eq!(standing(&world), Standing::Good);
}

#[test]
fn i4_history_under_a_key_that_is_not_on_record_charges_nobody_and_names_the_key() {
    for ours in [true, false] {
        let (mut world, _) = World::with_puppet();
        let link = world.puppet_up(|hello| {
            hello.received.set(Lane::Flash, Seq::FIRST, Digest::of(&[b"ours"]));
            let mut receipted = Marks::default();
            receipted.set(Lane::Flash, Seq::FIRST, Digest::of(&[b"theirs"]));
            (hello.sent, hello.extensions) = (receipted.clone(), Hello::extensions_with(None, &receipted));
        });
        confirm(&mut world);
        let (peer, key) = (world.id(1), IdentityKey::from_seed(&[99; 32]).id());
        let unread = Input::HistoryUnread { peer: peer.clone(), link, ours, lane: Lane::Flash, seq: 1, key };
        world.nodes[0].inbox.push_back(unread);
        world.run();
        let records = world.nodes[0].records();
        assert!(!records.iter().any(|record| matches!(record, Record::Strike(_))));
        let ended = records.iter().find_map(|record| match record {
            Record::RecoveryEnded(ended) => Some(ended),
            _ => None,
        });
        let ended = ended.expect("it ended");
        let RecoveryEnd::UnknownKey(named) = &ended.end else { panic!("{ended:?}") };
        assert_eq!((named.key, named.envelope.from == peer), (key, !ours));
        assert!(ended.words().contains(&key.to_string()), "{}", ended.words());
        let known = world.nodes[0].core.peer(&peer).unwrap();
        assert_eq!(known.durable.standing, Standing::WeLostHistory);
    }
}

#[test]
fn i14_one_frame_that_sets_many_free_fills_no_batch_beyond_its_limit() {
    let lanes = [(Lane::Immediate, 16), (Lane::Priority, 16), (Lane::Routine, 16), (Lane::Flash, 1)];
    let (mut world, link, bytes) = claimant(&lanes, Some(vec![7; 49_000]), &calm());
    confirm(&mut world);
    let mut places = lanes.iter().flat_map(|(lane, count)| (1..=*count as u64).map(|seq| (*lane, seq)));
    for bytes in &bytes {
        give(&mut world, link, places.next().unwrap(), bytes);
    }
    for _ in 0..4 {
        world.tick();
    }
    let node = &world.nodes[0];
    let mut before = 0;
    let most = node.commits.iter().map(|len| {
        let records = &node.records()[before..*len];
        before = *len;
        records.iter().filter(|record| matches!(record, Record::Recovered(_))).count()
    });
    let most: Vec<usize> = most.filter(|count| *count > 0).collect();
    assert_eq!(most.iter().sum::<usize>(), 49);
    assert!(most.iter().all(|count| count * 49_000 <= BATCH_MAX_BYTES + 100_000), "{most:?}");
}
