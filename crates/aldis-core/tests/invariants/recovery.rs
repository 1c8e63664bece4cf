//! I9 and what follows: a node that lost history gets it back from its peers, envelope by envelope, after an administrator's
//! word; nothing is signed before both sides agree again, and nothing is done a second time.

use crate::pair::{Fault, Kept, Scene, notice, text};
use aldis_core::effect::{Declined, Done};
use aldis_core::input::Input;
use aldis_core::record::{Record, RecoveryEnd, Standing};
use aldis_core::trust::Act;
use aldis_wire::ids::UnixMillis;
use aldis_wire::lane::Lane;
use std::collections::BTreeMap;

const DAY_MS: u64 = 24 * 3_600_000;

#[test]
fn i9_a_day_old_backup_gets_its_history_back_and_signs_nothing_meanwhile() {
    for seed in 0..40 {
        let mut scene = Scene::new(2, seed);
        scene.talk(40);
        let backup = scene.world.nodes[0].backup();
        let since = scene.world.wall_ms;
        scene.talk(80);
        scene.world.advance(DAY_MS);
        let before = scene.world.nodes[0].envelopes_with(&scene.world.id(1));
        let open = scene.open(0, 1);
        let hotline = |scene: &Scene| {
            let known = scene.world.nodes[0].core.peer(&scene.world.id(1)).unwrap();
            known.durable.hotline.as_ref().map(|session| (session.case, session.state, session.lines))
        };
        let said = hotline(&scene);
        scene.lose(0, &backup);
        scene.mark_restored(0);
        // What was open in the backup is late by now, and people hear of it; that they did before is lost.
        scene.world.tick();
        let signed = scene.signed(0);
        let (alerts, steps) = (scene.world.nodes[0].alerts.len(), scene.signed(1));
        scene.world.connect(0, 1);
        scene.world.run();
        assert_eq!((scene.standing(0, 1), scene.standing(1, 0)), (Standing::WeLostHistory, Standing::PeerLostHistory));
        assert!(scene.ended(0).is_empty(), "nothing is fetched before somebody says so");
        assert_eq!(scene.world.nodes[0].records().iter().filter(|r| matches!(r, Record::Recovered(_))).count(), 0);
        let done = scene.confirm(0, 1);
        assert!(matches!(done, Ok(Done::Requested(_))), "{done:?}");
        let ended = scene.ended(0).pop().expect("it ended");
        assert_eq!(ended.end, RecoveryEnd::Complete, "seed {seed}");
        assert_eq!(
            (scene.signed(0), scene.signed(1)),
            (signed, steps),
            "i9: nothing is signed meanwhile (seed {seed})"
        );
        let gap = ended.gap.expect("the time that is lost");
        assert!(gap.after <= UnixMillis::new(since) && gap.until == UnixMillis::new(scene.world.wall_ms), "{gap:?}");
        assert!(ended.words().contains(&format!("between {} and {}", gap.after, gap.until)));
        scene.world.connect(0, 1);
        scene.world.run();
        assert_eq!((scene.standing(0, 1), scene.standing(1, 0)), (Standing::Good, Standing::Good), "seed {seed}");
        assert!(scene.world.nodes[0].alarms().is_empty() && scene.world.nodes[1].alarms().is_empty());
        let after = scene.world.nodes[0].envelopes_with(&scene.world.id(1));
        let headers = |kept: &BTreeMap<String, Kept>| {
            kept.iter().map(|(id, (header, proof, _))| (id.clone(), header.clone(), proof.clone())).collect::<Vec<_>>()
        };
        // Also nothing is there that was not: nobody is refused, answered or told a second time.
        assert_eq!(headers(&after), headers(&before), "seed {seed}: not what it was before");
        assert_eq!(scene.world.nodes[0].alerts.len(), alerts, "seed {seed}: the recovery alerts nobody");
        scene.assert_same(0, 1);
        assert_eq!(scene.open(0, 1), open, "seed {seed}: something else is open than before");
        assert_eq!(hotline(&scene), said, "seed {seed}");
        let lanes = |scene: &Scene, place: usize, other: usize| {
            let known = scene.world.nodes[place].core.peer(&scene.world.id(other)).unwrap();
            (known.sent_marks(), known.receipted_marks())
        };
        let (sent, receipted) = lanes(&scene, 0, 1);
        assert_eq!(sent, receipted, "the receipt was exchanged");
        scene.world.advance(DAY_MS);
        assert_eq!(scene.signed(0), signed, "seed {seed}: a step that the peer was told of is taken again");
        scene.talk(30);
        scene.assert_same(0, 1);
        scene.world.restart(0);
        scene.world.restart(1);
    }
}

#[test]
fn i9_of_five_nodes_one_gets_its_history_back_from_all_the_others() {
    for seed in 0..6 {
        let mut scene = Scene::new(5, seed);
        scene.talk(60);
        let backup = scene.world.nodes[2].backup();
        scene.talk(160);
        scene.world.advance(DAY_MS);
        let others: Vec<usize> = (0..5).filter(|other| *other != 2).collect();
        let before: Vec<_> = others.iter().map(|other| scene.open(2, *other)).collect();
        scene.lose(2, &backup);
        let signed = scene.signed(2);
        for other in &others {
            scene.world.connect(2, *other);
        }
        scene.world.run();
        for other in &others {
            if scene.standing(2, *other) == Standing::WeLostHistory {
                scene.confirm(2, *other).expect("there is a history to fetch");
            }
        }
        assert_eq!(scene.signed(2), signed, "i9: nothing is signed meanwhile (seed {seed})");
        for other in &others {
            scene.world.connect(2, *other);
        }
        scene.world.run();
        for (other, open) in others.iter().zip(before) {
            let standing = (scene.standing(2, *other), scene.standing(*other, 2));
            assert_eq!(standing, (Standing::Good, Standing::Good), "seed {seed}, {other}");
            scene.assert_same(2, *other);
            assert_eq!(scene.open(2, *other), open, "seed {seed}, {other}");
        }
        scene.talk(40);
        for place in 0..5 {
            scene.world.restart(place);
        }
    }
}

#[test]
fn i9_a_node_with_an_empty_journal_and_its_old_keys_gets_all_of_it_back() {
    for seed in 0..10 {
        let mut scene = Scene::new(2, seed);
        scene.talk(80);
        scene.world.crash(0);
        scene.world.run();
        scene.world.nodes[0].put_back(&[]);
        scene.world.restart(0);
        scene.mark_restored(0);
        let (token, card) = (scene.world.token(), Box::new(scene.world.nodes[1].card.clone()));
        scene.world.nodes[0].inbox.push_back(Input::AddPeer { token, card, by: text("ana") });
        scene.world.run();
        scene.world.order(0, Act::Verify, 1);
        scene.world.run();
        scene.world.approve_all(0);
        scene.world.run();
        let cl = scene.world.id(1);
        let token = scene.world.submit(0, notice(&cl, Lane::Flash));
        scene.world.run();
        assert!(
            matches!(scene.world.nodes[0].declined(token), Declined::RecordsDisagree(..)),
            "it would be signed twice"
        );
        assert_eq!(scene.standing(0, 1), Standing::NotCompared);
        assert_eq!(scene.world.nodes[0].alarms(), ["not-compared"]);
        scene.world.connect(0, 1);
        scene.world.run();
        assert_eq!(scene.world.nodes[0].alarms(), ["we-lost-history"]);
        scene.confirm(0, 1).expect("there is a history to fetch");
        let ended = scene.ended(0).pop().expect("it ended");
        assert_eq!(ended.gap.map(|gap| gap.after), Some(UnixMillis::new(0)));
        assert!(ended.words().contains("submitted here before "), "{}", ended.words());
        scene.world.connect(0, 1);
        scene.world.run();
        assert_eq!((scene.standing(0, 1), scene.standing(1, 0)), (Standing::Good, Standing::Good), "seed {seed}");
        scene.assert_same(0, 1);
        scene.talk(20);
    }
}

#[test]
fn i9_a_restored_node_signs_nothing_until_the_peer_has_told_what_it_holds() {
    let mut scene = Scene::new(2, 1);
    scene.talk(20);
    let backup = scene.world.nodes[0].backup();
    scene.lose(0, &backup);
    scene.mark_restored(0);
    let (signed, cl) = (scene.signed(0), scene.world.id(1));
    for _ in 0..2 {
        let token = scene.world.submit(0, notice(&cl, Lane::Flash));
        scene.world.run();
        assert!(matches!(scene.world.nodes[0].declined(token), Declined::RecordsDisagree(..)));
        assert_eq!(scene.world.nodes[0].alarms(), ["not-compared"]);
        let refused = scene.confirm(0, 1);
        assert!(matches!(refused, Err(Declined::NothingToRecover(..))), "{refused:?}");
        // A restart forgets nothing of that.
        scene.world.restart(0);
        scene.world.run();
    }
    assert_eq!(scene.signed(0), signed);
    // Nothing was lost after all: the peer says so, and all goes on.
    scene.world.connect(0, 1);
    scene.world.run();
    assert_eq!(scene.standing(0, 1), Standing::Good);
    assert!(scene.world.nodes[0].alarms().is_empty());
    let refused = scene.confirm(0, 1);
    assert!(matches!(refused, Err(Declined::NothingToRecover(..))), "{refused:?}");
    let token = scene.world.submit(0, notice(&cl, Lane::Flash));
    scene.world.run();
    scene.world.nodes[0].submitted(token);
}

#[test]
fn i9_what_was_only_received_is_found_lost_by_our_own_receipts() {
    let mut scene = Scene::new(2, 3);
    let (backup, br) = (scene.world.nodes[0].backup(), scene.world.id(0));
    scene.world.submit(1, notice(&br, Lane::Priority));
    scene.world.run();
    scene.lose(0, &backup);
    scene.world.connect(0, 1);
    scene.world.run();
    assert_eq!((scene.standing(0, 1), scene.standing(1, 0)), (Standing::WeLostHistory, Standing::PeerLostHistory));
    scene.confirm(0, 1).expect("there is a history to fetch");
    scene.world.connect(0, 1);
    scene.world.run();
    scene.assert_same(0, 1);
    assert_eq!(scene.world.nodes[0].shown().len(), 1, "shown when it came, and not a second time");
}

#[test]
fn i9_a_recovery_goes_on_where_a_crash_at_any_commit_left_it() {
    for after_disk in [false, true] {
        for crash_at in 0..60 {
            let mut scene = Scene::new(2, 11);
            scene.talk(20);
            let backup = scene.world.nodes[0].backup();
            scene.talk(40);
            let open = scene.open(0, 1);
            scene.lose(0, &backup);
            scene.world.connect(0, 1);
            scene.world.run();
            scene.world.order(0, Act::Recover, 1);
            scene.world.run();
            scene.world.approve_all(0);
            for _ in 0..crash_at {
                scene.world.run_once();
            }
            let fault = if after_disk { Fault::AfterDisk } else { Fault::BeforeDisk };
            scene.world.nodes[0].fault = Some(fault);
            scene.world.run();
            if scene.world.nodes[0].up {
                scene.world.crash(0);
            }
            scene.world.run();
            scene.world.restart(0);
            scene.world.approve_all(0);
            for _ in 0..3 {
                scene.world.connect(0, 1);
                scene.world.run();
            }
            let standing = (scene.standing(0, 1), scene.standing(1, 0));
            assert_eq!(standing, (Standing::Good, Standing::Good), "crash {crash_at}, {after_disk}");
            scene.assert_same(0, 1);
            assert_eq!(scene.open(0, 1), open, "crash {crash_at}, {after_disk}");
        }
    }
}

#[test]
fn i9_both_ends_lose_a_part_and_each_gets_back_what_the_other_has() {
    let mut scene = Scene::new(2, 5);
    scene.talk(20);
    let older = scene.world.nodes[0].backup();
    scene.talk(20);
    let newer = scene.world.nodes[1].backup();
    scene.talk(20);
    scene.lose(1, &newer);
    scene.lose(0, &older);
    for _ in 0..6 {
        scene.world.connect(0, 1);
        scene.world.run();
        for place in 0..2 {
            if scene.standing(place, 1 - place) == Standing::WeLostHistory {
                let _already = scene.confirm(place, 1 - place);
            }
        }
    }
    assert_eq!((scene.standing(0, 1), scene.standing(1, 0)), (Standing::Good, Standing::Good));
    scene.assert_same(0, 1);
    scene.talk(20);
}

#[test]
fn i9_what_was_signed_after_the_restore_contradicts_and_says_what_to_do() {
    let mut scene = Scene::new(2, 9);
    scene.talk(20);
    let (backup, cl) = (scene.world.nodes[0].backup(), scene.world.id(1));
    for _ in 0..3 {
        scene.world.submit(0, notice(&cl, Lane::Priority));
        scene.world.run();
    }
    scene.lose(0, &backup);
    scene.world.advance(1_000);
    scene.world.submit(0, notice(&cl, Lane::Priority));
    scene.world.run();
    scene.world.connect(0, 1);
    scene.world.run();
    assert_eq!(scene.standing(0, 1), Standing::WeLostHistory);
    // The peer holds more, so that it shows only when the first of it is here.
    scene.confirm(0, 1).expect("nobody can know yet");
    let ended = scene.ended(0).pop().expect("it ended");
    assert!(matches!(ended.end, RecoveryEnd::Contradicts(_)), "{ended:?}");
    assert!(ended.words().contains("aldis restore"));
    let refused = scene.confirm(0, 1);
    assert!(matches!(refused, Err(Declined::HistoriesContradict(_))), "{refused:?}");
    let signed = scene.signed(0);
    // Restored again, and kept from signing by the marker: all comes back, but for what was signed in between.
    scene.lose(0, &backup);
    scene.mark_restored(0);
    assert!(scene.signed(0) < signed);
    scene.world.connect(0, 1);
    scene.world.run();
    scene.confirm(0, 1).expect("there is a history to fetch");
    scene.world.connect(0, 1);
    scene.world.run();
    assert_eq!((scene.standing(0, 1), scene.standing(1, 0)), (Standing::Good, Standing::Good));
    scene.assert_same(0, 1);
}

#[test]
fn one_administrator_alone_fetches_nothing_where_the_site_wants_two() {
    let mut scene = Scene::new(2, 2);
    scene.talk(10);
    let backup = scene.world.nodes[0].backup();
    scene.talk(30);
    scene.lose(0, &backup);
    scene.world.connect(0, 1);
    scene.world.run();
    scene.world.order(0, Act::Recover, 1);
    scene.world.run();
    scene.world.advance(60_000);
    let peer = scene.world.nodes[0].core.peer(&scene.world.id(1)).unwrap();
    assert!(peer.recovery().recovery.confirmed.is_none() && !peer.recovery().is_fetching);
    scene.world.approve_all(0);
    scene.world.run();
    let ended = scene.ended(0);
    assert_eq!(ended.len(), 1);
    let confirmed = scene.world.nodes[0].core.peer(&scene.world.id(1)).unwrap().recovery().recovery.confirmed.unwrap();
    assert_eq!((confirmed.by.uid, confirmed.approved_by.map(|person| person.uid)), (1, Some(2)));
}

#[test]
fn i8_the_time_that_is_lost_is_named_also_where_the_peer_holds_nothing_more() {
    let mut scene = Scene::new(2, 6);
    scene.talk(10);
    let (backup, cl) = (scene.world.nodes[0].backup(), scene.world.id(1));
    scene.world.break_all();
    scene.world.run();
    scene.world.advance(DAY_MS);
    scene.world.submit(0, notice(&cl, Lane::Flash));
    scene.world.run();
    scene.lose(0, &backup);
    let restored_at = scene.world.wall_ms;
    // A crash leaves the marker there: the next start reads it once more, and was away for a second.
    let marker = || Input::Restored { by: text("ana"), at: UnixMillis::new(restored_at - 1_000) };
    for _ in 0..2 {
        scene.world.nodes[0].inbox.push_back(marker());
        scene.world.run();
        let alarm = scene.world.nodes[0].core.alarms().find(|alarm| alarm.code.as_str() == "not-compared").cloned();
        let alarm = alarm.expect("it waits for the comparison");
        assert!(alarm.text.contains("between "), "{}", alarm.text);
        scene.world.advance(1_000);
        scene.world.restart(0);
        scene.world.run();
    }
    scene.world.connect(0, 1);
    scene.world.run();
    assert_eq!(scene.standing(0, 1), Standing::Good);
    let gap = |scene: &Scene| scene.world.nodes[0].core.peer(&cl).unwrap().recovery().recovery.gap;
    let lost = gap(&scene).expect("FLASH was lost then");
    assert!(lost.after.get() + DAY_MS <= lost.until.get() && lost.until.get() >= restored_at, "{lost:?}");
    // Also for one that is added after it.
    let mut added = Scene::new(2, 4);
    added.lose(0, &[]);
    added.mark_restored(0);
    added.world.advance(DAY_MS);
    added.world.restart(0);
    let (token, card) = (added.world.token(), Box::new(added.world.nodes[1].card.clone()));
    added.world.nodes[0].inbox.push_back(Input::AddPeer { token, card, by: text("ana") });
    added.world.run();
    assert_eq!(gap(&added).map(|gap| gap.after), Some(UnixMillis::new(0)));
}

#[test]
fn i9_a_second_loss_is_not_shown_as_recovered() {
    let mut scene = Scene::new(2, 8);
    scene.talk(10);
    let backup = scene.world.nodes[0].backup();
    scene.talk(20);
    for is_marked in [false, true] {
        scene.lose(0, &backup);
        if is_marked {
            scene.mark_restored(0);
        }
        scene.world.connect(0, 1);
        scene.world.run();
        assert_eq!(scene.standing(0, 1), Standing::WeLostHistory);
        let progress = scene.world.nodes[0].core.peer(&scene.world.id(1)).unwrap().recovery();
        assert_eq!(progress.recovery.ended, None);
        scene.get_back(0, 1);
        // The backup of the recovered node: what it ended with is in it.
        let recovered = scene.world.nodes[0].backup();
        let br = scene.world.id(0);
        scene.world.submit(1, notice(&br, Lane::Flash));
        scene.world.run();
        scene.lose(0, &recovered);
        scene.world.connect(0, 1);
        scene.world.run();
        let progress = scene.world.nodes[0].core.peer(&scene.world.id(1)).unwrap().recovery();
        assert_eq!((scene.standing(0, 1), progress.recovery.ended), (Standing::WeLostHistory, None));
        scene.get_back(0, 1);
    }
}
