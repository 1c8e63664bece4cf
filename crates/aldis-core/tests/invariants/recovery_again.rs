//! I9: what comes back is taken in without being done again, and what was done about it once holds.

use crate::pair::{Channels, Scene, answer, calm, notice, recall, text};
use crate::recalls::{Named, acceptance, hand_in, received, received_at, said};
use aldis_core::batch::Entry;
use aldis_core::checks::{CheckEnd, Drill};
use aldis_core::effect::{Declined, Done};
use aldis_core::input::{CheckOrder, Input};
use aldis_core::ladder::Ladder;
use aldis_core::limits::Limits;
use aldis_core::outbound::OutState;
use aldis_core::record::{Outcome, Record, RecoveryEnd, Standing};
use aldis_core::trust::Act;
use aldis_wire::envelope::{Body, WithheldReason};
use aldis_wire::kinds::CheckPart;
use aldis_wire::lane::Lane;
use std::sync::Arc;

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

/// The second node erases what the first has asked it to.
fn comply(scene: &mut Scene, sent: &Named, asked: &Named) {
    let acceptance = acceptance(&scene.world, sent, asked);
    let token = hand_in(&mut scene.world, acceptance);
    scene.world.nodes[1].submitted(token);
}

/// A node loses what came after a backup, and gets it back from the other.
fn lose_and_get_back(scene: &mut Scene, place: usize, backup: &[Entry]) {
    scene.lose(place, backup);
    scene.mark_restored(place);
    scene.get_back(place, 1 - place);
}

/// The second node erases what the first has asked it to, loses that and gets it back; whether the body, which a backup
/// brought back, is gone again then.
fn is_erased_again(scene: &mut Scene, sent: &Named, asked: &Named, backup: &[Entry]) -> bool {
    let (record, _) = received_at(&scene.world, sent);
    let is_here = |scene: &Scene| matches!(scene.world.nodes[1].journal[record].body, Some(Body::Present { .. }));
    comply(scene, sent, asked);
    assert!(!is_here(scene));
    scene.lose(1, backup);
    assert!(is_here(scene), "the backup brings it back");
    scene.mark_restored(1);
    scene.get_back(1, 0);
    !is_here(scene)
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
        let asked = said(&mut scene.world, 0, recall(&sent));
        assert!(is_erased_again(&mut scene, &sent, &asked, &backup), "answered: {answered}");
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
    comply(&mut scene, &sent, &asked);
    let told = scene.world.nodes[0].deliveries().len();
    lose_and_get_back(&mut scene, 1, &backup);
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
    lose_and_get_back(&mut scene, 1, &backup);
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
        if standing == Standing::Good {
            scene.world.nodes[0].submitted(token);
            continue;
        }
        let declined = scene.world.nodes[0].declined(token);
        assert!(matches!(declined, Declined::RecordsDisagree(..)), "{declined:?}");
        // Its first link ends that by itself: there was nothing to lose.
        scene.world.connect(0, 1);
        scene.world.run();
        assert_eq!(scene.standing(0, 1), Standing::Good);
        assert!(scene.world.nodes[0].alarms().is_empty());
    }
}

#[test]
fn i9_a_tombstone_erases_also_what_is_older_than_what_the_core_remembers() {
    let mut scene = Scene::new(2, 0);
    let cl = scene.world.id(1);
    let sent = said(&mut scene.world, 0, notice(&cl, Lane::Routine));
    let asked = said(&mut scene.world, 0, recall(&sent));
    for place in [0, 1] {
        scene.world.nodes[place].replays = false;
    }
    // A lane remembers its latest 1,024.
    for _ in 0..1_030 {
        scene.world.submit(0, notice(&cl, Lane::Routine));
    }
    scene.world.run();
    let backup = scene.world.nodes[1].backup();
    assert!(is_erased_again(&mut scene, &sent, &asked, &backup));
}

#[test]
fn i8_nothing_is_erased_or_over_because_a_peer_gives_it_back_without_its_body() {
    let mut scene = Scene::new(2, 0);
    let cl = scene.world.id(1);
    scene.world.break_all();
    scene.world.run();
    let [taken_back, left, answered, over] = [0, 1, 2, 3].map(|number| {
        let mut submission = notice(&cl, Lane::Priority);
        submission.lifetime_ms = if number == 3 { 1_000 } else { submission.lifetime_ms };
        said(&mut scene.world, 0, submission)
    });
    let backup = scene.world.nodes[0].backup();
    let token = scene.world.submit(0, recall(&taken_back));
    scene.world.run();
    assert_eq!(scene.world.nodes[0].replies[&token], Ok(Done::Recalled(taken_back.0.clone())));
    scene.world.advance(DAY_MS / 24);
    scene.world.connect(0, 1);
    scene.world.run();
    said(&mut scene.world, 1, answer(&answered, "approved"));
    let body_of = |scene: &Scene, named: &Named| {
        let at = scene.world.nodes[0].records().iter().position(|record| match record {
            Record::Sent(sent) => sent.draft.header.id() == named.0,
            _ => false,
        });
        matches!(scene.world.nodes[0].journal[at.unwrap()].body, Some(Body::Present { .. }))
    };
    for is_marked in [true, false] {
        scene.lose(0, &backup);
        if is_marked {
            scene.mark_restored(0);
            // Nobody knows yet what has left, so nothing of it is over, and nothing is taken back without a word to the peer.
            scene.world.advance(DAY_MS / 24);
            let token = scene.world.submit(0, recall(&left));
            scene.world.run();
            assert!(matches!(scene.world.nodes[0].declined(token), Declined::RecordsDisagree(..)));
        }
        assert!(body_of(&scene, &taken_back), "the backup brings it back");
        scene.get_back(0, 1);
        let bodies = [&taken_back, &left, &answered].map(|named| body_of(&scene, named));
        // That it was taken back, or expired, only the peer says now: nothing is erased, and it is open until people end it.
        assert_eq!(bodies, [true, true, true], "marked: {is_marked}");
        let out = &scene.world.nodes[0].core.peer(&cl).unwrap().durable.out[Lane::Priority.index()];
        assert_eq!(out.open.keys().copied().collect::<Vec<_>>(), [1, 2, 4], "the third is answered");
        assert!(out.open.iter().all(|(_, open)| open.state == OutState::Stored));
        let is_fate = |record: &Record| match record {
            Record::Recalled(_) | Record::BodyErased(_) => true,
            Record::Expired(expired) => expired.seq == over.0.seq,
            _ => false,
        };
        assert!(!scene.world.nodes[0].records().iter().any(is_fate));
        let words = scene.ended(0).pop().unwrap().words();
        assert!([&taken_back, &over].iter().all(|named| words.contains(&named.0.to_string())), "{words}");
    }
}

#[test]
fn i8_that_what_waited_has_left_is_enough_to_know_that_history_is_lost() {
    let mut scene = Scene::new(2, 0);
    let cl = scene.world.id(1);
    scene.world.break_all();
    scene.world.run();
    let taken_back = said(&mut scene.world, 0, notice(&cl, Lane::Priority));
    let backup = scene.world.nodes[0].backup();
    scene.world.submit(0, recall(&taken_back));
    scene.world.run();
    scene.world.connect(0, 1);
    scene.world.run();
    scene.lose(0, &backup);
    // Both sides' marks are the same, and still something was lost: that it was taken back.
    scene.get_back(0, 1);
    let out = &scene.world.nodes[0].core.peer(&cl).unwrap().durable.out[Lane::Priority.index()];
    assert_eq!((out.receipted_seq(), out.open.len()), (1, 1));
    assert!(scene.ended(0).pop().unwrap().words().contains(&taken_back.0.to_string()), "it is named");
}

#[test]
fn i9_what_the_peer_holds_in_the_place_of_what_waited_here_contradicts_and_changes_nothing() {
    let mut scene = Scene::new(2, 0);
    let cl = scene.world.id(1);
    scene.world.break_all();
    scene.world.run();
    let nothing = scene.world.nodes[0].backup();
    said(&mut scene.world, 0, notice(&cl, Lane::Priority));
    let backup = scene.world.nodes[0].backup();
    scene.lose(0, &nothing);
    scene.world.advance(1_000);
    let another = said(&mut scene.world, 0, notice(&cl, Lane::Priority));
    scene.world.submit(0, recall(&another));
    said(&mut scene.world, 0, notice(&cl, Lane::Priority));
    scene.world.connect(0, 1);
    scene.world.run();
    scene.lose(0, &backup);
    scene.mark_restored(0);
    scene.world.connect(0, 1);
    scene.world.run();
    scene.confirm(0, 1).expect("nobody can know yet");
    let ended = scene.ended(0).pop().expect("it ended");
    assert_eq!(ended.end, RecoveryEnd::Contradicts(another.0));
    let records = scene.world.nodes[0].records();
    assert!(!records.iter().any(|record| matches!(record, Record::Recalled(_) | Record::BodyErased(_))));
}

#[test]
fn i5_what_waited_for_the_comparison_past_its_time_goes_without_its_body() {
    let mut scene = Scene::new(2, 0);
    let (br, cl) = (scene.world.id(0), scene.world.id(1));
    scene.world.break_all();
    scene.world.run();
    let mut submission = notice(&cl, Lane::Priority);
    submission.lifetime_ms = 1_000;
    said(&mut scene.world, 0, submission);
    let backup = scene.world.nodes[0].backup();
    scene.lose(0, &backup);
    scene.mark_restored(0);
    scene.world.advance(DAY_MS);
    let expired = |scene: &Scene| scene.world.nodes[0].records().iter().any(|r| matches!(r, Record::Expired(_)));
    assert!(!expired(&scene), "cert.cl may have it");
    scene.world.connect(0, 1);
    scene.world.run();
    assert_eq!(scene.standing(0, 1), Standing::Good);
    assert!(expired(&scene));
    let withheld = received(&scene.world, 1).into_iter().filter(|(_, found)| found.header.from == br);
    let outcomes: Vec<Outcome> = withheld.map(|(_, found)| found.outcome).collect();
    assert_eq!(outcomes, [Outcome::Withheld(WithheldReason::EXPIRED.0)]);
}

#[test]
fn i8_what_came_back_has_left_and_never_expires_as_if_it_had_not() {
    let mut scene = Scene::new(2, 0);
    let (backup, cl) = (scene.world.nodes[0].backup(), scene.world.id(1));
    let sent = said(&mut scene.world, 0, notice(&cl, Lane::Priority));
    scene.lose(0, &backup);
    scene.mark_restored(0);
    scene.world.connect(0, 1);
    scene.world.run();
    scene.confirm(0, 1).expect("there is a history to fetch");
    // The link that would bring its receipt is long in coming.
    let lane = |scene: &Scene| scene.world.nodes[0].core.peer(&cl).unwrap().durable.out[sent.0.lane.index()].clone();
    assert_eq!(lane(&scene).open.get(&1).unwrap().state, OutState::Relayed);
    scene.world.advance(30 * DAY_MS);
    assert!(!scene.world.nodes[0].records().iter().any(|record| matches!(record, Record::Expired(_))));
    scene.world.connect(0, 1);
    scene.world.run();
    assert_eq!(lane(&scene).receipted_seq(), 1);
}

#[test]
fn i8_nobody_is_alerted_a_second_time_of_what_our_own_words_show_was_told() {
    let ladder = Arc::new(Ladder { on_arrival: [true; 4], ..Ladder::default() });
    let mut scene = Scene::with(2, 0, &Limits { ladder, ..calm() });
    let (backup, br) = (scene.world.nodes[0].backup(), scene.world.id(0));
    let [answered, ..] = Lane::ALL.map(|lane| said(&mut scene.world, 1, notice(&br, lane)));
    let alerts = scene.world.nodes[0].alerts.len();
    assert_eq!(alerts, 4, "once for each");
    said(&mut scene.world, 0, answer(&answered, "approved"));
    lose_and_get_back(&mut scene, 0, &backup);
    scene.world.advance(1_000);
    // Of the three that are open, our own words to the peer came back, and they say that people were told.
    assert_eq!(scene.world.nodes[0].alerts.len(), alerts);
    said(&mut scene.world, 1, notice(&br, Lane::Routine));
    assert_eq!(scene.world.nodes[0].alerts.len(), alerts + 1, "of what comes now they are, as ever");
}

#[test]
fn i8_nobody_is_alerted_of_the_arrival_of_what_was_acknowledged_before_it_was_lost() {
    let ladder = Arc::new(Ladder { on_arrival: [true; 4], ..Ladder::default() });
    let mut scene = Scene::with(2, 0, &Limits { ladder, ..calm() });
    let (backup, br) = (scene.world.nodes[0].backup(), scene.world.id(0));
    // Somebody is quicker than the channels, so that the sender never gets a word of the alert.
    scene.world.nodes[0].channels = Channels::Hang;
    let sent = said(&mut scene.world, 1, notice(&br, Lane::Priority));
    said(&mut scene.world, 0, answer(&sent, "acknowledged"));
    assert_eq!((scene.world.nodes[0].alerts.len(), said_of(&scene, 0, "ladder-step")), (1, 0));
    scene.world.nodes[0].channels = Channels::Work;
    lose_and_get_back(&mut scene, 0, &backup);
    scene.world.advance(1_000);
    assert_eq!(scene.world.nodes[0].alerts.len(), 1);
}

#[test]
fn i7_checks_that_come_back_count_against_no_rate_of_this_hour() {
    let drill = Drill { machine_per_hour: 2, human_hours: None, ..Drill::default() };
    let mut scene = Scene::with(2, 0, &Limits { drill, ..calm() });
    let (backup, peer) = (scene.world.nodes[1].backup(), scene.world.id(1));
    let check = |scene: &mut Scene, part: CheckPart| {
        let token = scene.world.token();
        let (peer, text_, who) = (peer.clone(), text("hello"), text("ana"));
        let order = CheckOrder { peer, part, text: text_, author: who, by: text("ana") };
        scene.world.nodes[0].inbox.push_back(Input::Check { token, order: Box::new(order) });
        scene.world.run();
    };
    let last = |scene: &Scene| {
        let known = &scene.world.nodes[0].core.peer(&scene.world.id(1)).unwrap().durable;
        known.checks.results.back().map(|result| result.end.clone())
    };
    for _ in 0..2 {
        check(&mut scene, CheckPart::Machine);
        assert_eq!(last(&scene), Some(CheckEnd::Replied));
        scene.world.advance(DAY_MS / 12);
    }
    check(&mut scene, CheckPart::Human);
    scene.world.advance(DAY_MS / 12);
    lose_and_get_back(&mut scene, 1, &backup);
    let known = &scene.world.nodes[1].core.peer(&scene.world.id(0)).unwrap().durable;
    assert!(known.checks.asked.is_none(), "nobody is asked a second time whether he is there");
    check(&mut scene, CheckPart::Machine);
    assert_eq!(last(&scene), Some(CheckEnd::Replied));
}
