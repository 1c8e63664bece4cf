//! I9: what comes back is taken in without being done again, and what was done about it once holds.

use crate::pair::{Scene, answer, notice, recall, text};
use crate::recalls::{Named, acceptance, hand_in, received_at, said};
use aldis_core::effect::Declined;
use aldis_core::input::Input;
use aldis_core::record::{Record, Standing};
use aldis_core::trust::Act;
use aldis_wire::envelope::Body;
use aldis_wire::lane::Lane;

const DAY_MS: u64 = 24 * 3_600_000;

/// How many envelopes of a kind a node has signed, what came back of its own included.
fn said_of(scene: &Scene, place: usize, kind: &str) -> usize {
    let own = scene.world.id(place);
    let envelopes = scene.world.nodes[place].records().iter().filter_map(|record| match record {
        Record::Sent(sent) => Some(&sent.draft.header),
        Record::Recovered(found) => Some(&found.header),
        _ => None,
    });
    envelopes.filter(|header| header.from == own && header.kind.as_str() == kind).count()
}

#[test]
fn i9_a_tombstone_that_comes_back_erases_what_the_backup_brought_back() {
    for answered in [true, false] {
        let mut scene = Scene::new(2, 0);
        let cl = scene.world.id(1);
        let sent = said(&mut scene.world, 0, notice(&cl, Lane::Immediate));
        if answered {
            // It is not open any more: nothing waits for it, and its body is to go all the same.
            said(&mut scene.world, 1, answer(&sent, "approved"));
        }
        let backup = scene.world.nodes[1].backup();
        let (record, _) = received_at(&scene.world, &sent);
        let asked = said(&mut scene.world, 0, recall(&sent));
        let acceptance = acceptance(&scene.world, &sent, &asked);
        let token = hand_in(&mut scene.world, acceptance);
        scene.world.nodes[1].submitted(token);
        let is_here = |scene: &Scene| matches!(scene.world.nodes[1].journal[record].body, Some(Body::Present { .. }));
        assert!(!is_here(&scene));
        scene.lose(1, &backup);
        assert!(is_here(&scene), "the backup brings it back");
        scene.mark_restored(1);
        scene.get_back(1, 0);
        assert!(!is_here(&scene), "answered: {answered}");
        let erased = |record: &Record| matches!(record, Record::BodyErased(erased) if erased.record.0 == record_number(&scene, &sent));
        assert!(scene.world.nodes[1].records().iter().any(erased), "on record, so that a restart does it too");
    }
}

fn record_number(scene: &Scene, sent: &Named) -> u64 {
    received_at(&scene.world, sent).0 as u64
}

#[test]
fn i8_a_recall_that_was_complied_with_is_not_refused_when_it_comes_back() {
    let mut scene = Scene::new(2, 0);
    let cl = scene.world.id(1);
    let backup = scene.world.nodes[1].backup();
    let sent = said(&mut scene.world, 0, notice(&cl, Lane::Immediate));
    let asked = said(&mut scene.world, 0, recall(&sent));
    let acceptance = acceptance(&scene.world, &sent, &asked);
    let token = hand_in(&mut scene.world, acceptance);
    scene.world.nodes[1].submitted(token);
    let told = scene.world.nodes[0].deliveries().len();
    scene.lose(1, &backup);
    scene.mark_restored(1);
    scene.get_back(1, 0);
    assert_eq!(said_of(&scene, 1, "refusal"), 0, "its message comes back without a body, for it was erased");
    assert_eq!(scene.world.nodes[0].deliveries().len(), told, "its sender hears nothing more");
    // What is erased cannot be recalled again, as before.
    said(&mut scene.world, 0, recall(&sent));
    assert_eq!(said_of(&scene, 1, "refusal"), 1);
}

#[test]
fn i8_a_step_that_the_peer_was_told_of_is_not_taken_again() {
    let mut scene = Scene::new(2, 0);
    let cl = scene.world.id(1);
    let backup = scene.world.nodes[1].backup();
    said(&mut scene.world, 0, notice(&cl, Lane::Immediate));
    scene.world.advance(DAY_MS);
    assert_eq!(said_of(&scene, 1, "ladder-step"), 1);
    scene.lose(1, &backup);
    scene.mark_restored(1);
    scene.get_back(1, 0);
    let alerts = scene.world.nodes[1].alerts.len();
    for _ in 0..3 {
        scene.world.advance(DAY_MS);
        scene.world.restart(1);
    }
    assert_eq!((said_of(&scene, 1, "ladder-step"), scene.world.nodes[1].alerts.len()), (1, alerts));
    // Silence about what comes now climbs as ever.
    scene.world.connect(0, 1);
    said(&mut scene.world, 0, notice(&cl, Lane::Immediate));
    scene.world.advance(DAY_MS);
    assert_eq!(said_of(&scene, 1, "ladder-step"), 2);
}

#[test]
fn i9_a_peer_that_is_added_soon_after_a_restore_is_compared_with_and_one_long_after_is_as_any_other() {
    for (days, standing) in [(0, Standing::NotCompared), (89, Standing::NotCompared), (91, Standing::Good)] {
        let mut scene = Scene::new(2, 4);
        scene.lose(0, &[]);
        scene.mark_restored(0);
        scene.world.advance(days * DAY_MS);
        scene.world.restart(0);
        let (token, card) = (scene.world.token(), Box::new(scene.world.nodes[1].card.clone()));
        scene.world.nodes[0].inbox.push_back(Input::AddPeer { token, card, by: text("ana") });
        scene.world.run();
        scene.world.order(0, Act::Verify, 1);
        scene.world.run();
        scene.world.approve_all(0);
        scene.world.run();
        assert_eq!(scene.standing(0, 1), standing, "{days} days");
        let cl = scene.world.id(1);
        let token = scene.world.submit(0, notice(&cl, Lane::Routine));
        scene.world.run();
        match standing {
            Standing::Good => drop(scene.world.nodes[0].submitted(token)),
            _ => {
                let declined = scene.world.nodes[0].declined(token);
                assert!(matches!(declined, Declined::RecordsDisagree(..)), "{declined:?}");
                // Its first link ends that by itself: there was nothing to lose.
                scene.world.connect(0, 1);
                scene.world.run();
                assert_eq!(scene.standing(0, 1), Standing::Good);
                assert!(scene.world.nodes[0].alarms().is_empty());
            }
        }
    }
}
