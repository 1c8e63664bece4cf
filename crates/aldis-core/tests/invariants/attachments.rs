//! Files that messages name: each is fetched, held or given up, and told at both ends (I8); none beyond the terms and the
//! quota (I7); none stays when nobody names it any more (I9); and all of it follows from the journal.

use crate::agreement::{must_set, with};
use crate::pair::{World, file, notice_with, recall};
use crate::recalls::{acceptance, hand_in, received, said};
use aldis_core::agreement::Breach;
use aldis_core::attachments::FileState;
use aldis_core::effect::{AttachmentNews, Declined, Happening};
use aldis_core::input::Input;
use aldis_core::limits::Limits;
use aldis_core::record::{LostReason, Named, Outcome, Record};
use aldis_wire::digest::Digest;
use aldis_wire::frame::Want;
use aldis_wire::kinds::RefusalCode;
use aldis_wire::lane::Lane;

/// Where a file is by the word of the sender's core, and of the receiver's.
fn states(world: &World, from: usize, to: usize, one: &Named) -> [Option<FileState>; 2] {
    let ours = world.nodes[from].core.peer(&world.id(to)).unwrap().durable.attachments.ours.get(&one.digest);
    let theirs = world.nodes[to].core.peer(&world.id(from)).unwrap().durable.attachments.theirs.get(&one.digest);
    [ours.map(|file| file.state), theirs.map(|file| file.state)]
}

const HELD: [Option<FileState>; 2] = [Some(FileState::Held); 2];
const LOST: [Option<FileState>; 2] = [Some(FileState::Lost); 2];

fn outcomes(world: &World, place: usize) -> Vec<Outcome> {
    received(world, place).into_iter().map(|(_, received)| received.outcome).collect()
}

#[test]
fn i8_a_file_is_fetched_and_both_ends_know_also_after_a_restart() {
    let mut world = World::linked();
    let (br, cl) = (world.id(0), world.id(1));
    let one = file(1, 5);
    said(&mut world, 0, notice_with(&cl, Lane::Routine, &[one]));
    assert_eq!(states(&world, 0, 1, &one), HELD);
    assert!(world.nodes[1].told.contains(&Happening::Attachment(br.clone(), one.digest, AttachmentNews::Held)));
    assert!(world.nodes[0].told.contains(&Happening::Attachment(cl, one.digest, AttachmentNews::Taken)));
    assert!(world.nodes[1].files.contains(&(br, one.digest)));
    world.restart(0);
    world.restart(1);
    assert_eq!(states(&world, 0, 1, &one), HELD);
}

#[test]
fn i8_a_link_that_breaks_on_the_way_loses_nothing() {
    // Whichever frame is the last that comes through, the file is fetched in the end and its sender hears of it.
    for frames in 0..12 {
        let mut world = World::linked();
        let cl = world.id(1);
        let one = file(1, 5);
        world.submit(0, notice_with(&cl, Lane::Routine, &[one]));
        for _ in 0..frames {
            world.run_once();
        }
        world.break_all();
        world.run();
        world.connect(0, 1);
        world.run();
        assert_eq!(states(&world, 0, 1, &one), HELD, "broken after {frames} turns");
    }
}

#[test]
fn i8_other_bytes_are_given_up_the_third_time_and_both_ends_are_alarmed_until_nobody_names_them() {
    let mut world = World::linked();
    let cl = world.id(1);
    let one = file(1, 5);
    world.nodes[0].spoiled.insert(one.digest);
    let sent = said(&mut world, 0, notice_with(&cl, Lane::Immediate, &[one]));
    assert_eq!(states(&world, 0, 1, &one), LOST);
    let reasons = |world: &World, place: usize| -> Vec<LostReason> {
        let lost = |record: &Record| if let Record::AttachmentLost(lost) = record { Some(lost.reason) } else { None };
        world.nodes[place].records().iter().filter_map(lost).collect()
    };
    assert_eq!(reasons(&world, 1), [LostReason::Mismatch]);
    assert_eq!(reasons(&world, 0), [LostReason::ByPeer]);
    assert!(is_alarmed_at(&world, 0) && is_alarmed_at(&world, 1));
    // Its message is taken back: nothing is left over, and the alarms end.
    let asked = said(&mut world, 0, recall(&sent));
    let acceptance = acceptance(&world, &sent, &asked);
    hand_in(&mut world, acceptance);
    assert_eq!(states(&world, 0, 1, &one), [None, None]);
    assert!(!is_alarmed_at(&world, 0) && !is_alarmed_at(&world, 1));
    assert_eq!(world.nodes[0].erased_files, [one.digest]);
}

fn is_alarmed_at(world: &World, place: usize) -> bool {
    world.nodes[place].core.alarms().any(|alarm| alarm.code.as_str() == "attachment-lost")
}

#[test]
fn i8_what_is_not_held_is_given_up_and_comes_when_it_is_sent_again() {
    let mut world = World::linked();
    let cl = world.id(1);
    let one = file(1, 5);
    world.nodes[0].lacking.insert(one.digest);
    said(&mut world, 0, notice_with(&cl, Lane::Routine, &[one]));
    assert_eq!(states(&world, 0, 1, &one), LOST);
    world.nodes[0].lacking.clear();
    said(&mut world, 0, notice_with(&cl, Lane::Routine, &[one]));
    assert_eq!(states(&world, 0, 1, &one), HELD);
    assert!(!is_alarmed_at(&world, 0) && !is_alarmed_at(&world, 1));
}

#[test]
fn i7_more_than_the_quota_is_refused_and_nothing_of_it_is_fetched() {
    let limits = Limits { attachment_quota_bytes: 100, attachments_per_peer: 3, ..Limits::default() };
    let mut world = World::with(2, 0, &limits);
    world.connect(0, 1);
    world.run();
    let cl = world.id(1);
    for files in [&[file(1, 60)][..], &[file(2, 41)], &[file(1, 60), file(2, 40)], &[file(3, 0)]] {
        let files: Vec<Named> = files.iter().map(|one| Named { size: one.size.max(1), ..*one }).collect();
        said(&mut world, 0, notice_with(&cl, Lane::Routine, &files));
    }
    let quota = Outcome::refused(RefusalCode::AttachmentQuota);
    assert_eq!(outcomes(&world, 1), [Outcome::Accepted, quota, Outcome::Accepted, quota]);
    let theirs = &world.nodes[1].core.peer(&world.id(0)).unwrap().durable.attachments.theirs;
    assert_eq!((theirs.len(), theirs.bytes()), (2, 100));
}

#[test]
fn i7_a_file_larger_than_the_terms_allow_is_not_signed_and_not_taken() {
    let mut world = World::linked();
    let cl = world.id(1);
    must_set(&mut world, 1, with(|terms| *terms = terms.clone().with_attachment_max_bytes(100)));
    let token = world.submit(0, notice_with(&cl, Lane::Routine, &[file(1, 101)]));
    world.run();
    let declined = world.nodes[0].declined(token);
    assert!(matches!(declined, Declined::NotAgreed { what: Breach::Attachment(101, 100), .. }), "{declined}");
    said(&mut world, 0, notice_with(&cl, Lane::Routine, &[file(1, 100)]));
    assert_eq!(states(&world, 0, 1, &file(1, 100)), HELD);
}

#[test]
fn i7_one_digest_of_two_sizes_is_refused() {
    let mut world = World::linked();
    let cl = world.id(1);
    said(&mut world, 0, notice_with(&cl, Lane::Routine, &[file(1, 5)]));
    said(&mut world, 0, notice_with(&cl, Lane::Routine, &[file(1, 6)]));
    assert_eq!(outcomes(&world, 1), [Outcome::Accepted, Outcome::refused(RefusalCode::MalformedBody)]);
}

#[test]
fn i9_a_file_goes_with_the_last_message_that_names_it_at_both_ends() {
    let mut world = World::linked();
    let (br, cl) = (world.id(0), world.id(1));
    let (one, other) = (file(1, 5), file(2, 5));
    let sent = said(&mut world, 0, notice_with(&cl, Lane::Immediate, &[one, other]));
    said(&mut world, 0, notice_with(&cl, Lane::Routine, &[other]));
    let asked = said(&mut world, 0, recall(&sent));
    let acceptance = acceptance(&world, &sent, &asked);
    hand_in(&mut world, acceptance);
    assert_eq!((states(&world, 0, 1, &one), states(&world, 0, 1, &other)), ([None, None], HELD));
    assert_eq!(world.nodes[0].erased_files, [one.digest]);
    assert_eq!(world.nodes[1].files.iter().collect::<Vec<_>>(), [&(br, other.digest)]);
    world.restart(0);
    world.restart(1);
}

#[test]
fn i9_what_is_taken_back_or_expires_before_it_was_relayed_takes_its_files_along() {
    let mut world = World::new(2);
    let cl = world.id(1);
    let sent = said(&mut world, 0, notice_with(&cl, Lane::Routine, &[file(1, 5)]));
    let token = world.submit(0, recall(&sent));
    let mut short = notice_with(&cl, Lane::Routine, &[file(2, 5)]);
    short.lifetime_ms = 1_000;
    said(&mut world, 0, short);
    assert!(world.nodes[0].replies[&token].is_ok());
    world.advance(2_000);
    world.run();
    let mut erased = world.nodes[0].erased_files.clone();
    erased.sort_unstable();
    let mut expected = [file(1, 5).digest, file(2, 5).digest];
    expected.sort_unstable();
    assert_eq!(erased, expected);
    assert!(world.nodes[0].core.peer(&cl).unwrap().durable.attachments.ours.is_empty());
}

#[test]
fn i4_a_peer_is_served_only_what_was_named_to_it() {
    let mut world = World::linked();
    let cl = world.id(1);
    said(&mut world, 0, notice_with(&cl, Lane::Routine, &[file(1, 5)]));
    let link = world.network.open_at(0)[0];
    let served = |world: &mut World, attachment: Digest| {
        let want = Want { attachment, offset: 0, bytes: 1 };
        world.nodes[0].inbox.push_back(Input::AttachmentWanted { peer: cl.clone(), link, want });
        let before = world.served.len();
        world.run();
        world.served[before..].to_vec()
    };
    assert_eq!(served(&mut world, file(1, 5).digest), [Some(5)]);
    assert_eq!(served(&mut world, file(2, 5).digest), [None]);
}

#[test]
fn i7_a_peer_that_changes_its_mind_writes_two_records_at_most() {
    let mut world = World::linked();
    let cl = world.id(1);
    let one = file(1, 5);
    world.nodes[0].lacking.insert(one.digest);
    said(&mut world, 0, notice_with(&cl, Lane::Routine, &[one]));
    let link = world.network.open_at(0)[0];
    let before = world.nodes[0].journal.len();
    for offset in [u64::MAX, 4, 6, 5, u64::MAX, 5, u64::MAX] {
        let want = Want { attachment: one.digest, offset, bytes: 0 };
        world.nodes[0].inbox.push_back(Input::AttachmentWanted { peer: cl.clone(), link, want });
    }
    world.run();
    let about = |record: &Record| matches!(record, Record::AttachmentTaken(_) | Record::AttachmentLost(_));
    assert_eq!(world.nodes[0].records()[before..].iter().filter(|record| about(record)).count(), 1);
}
