//! What takes a second person waits for one, and what a FLASH may be: the site's own rules.

use crate::pair::{World, answer, incident, notice, person, submission};
use aldis_core::effect::{Declined, Done, Happening};
use aldis_core::input::{Composed, DraftBodies, Input, Submission, Token};
use aldis_core::ladder::{Cause, Ladder, Silence};
use aldis_core::limits::{DRAFTS_MAX, Discipline, Limits};
use aldis_core::record::{DraftEnd, DraftId, LongFlash, Record};
use aldis_wire::codec::Text;
use aldis_wire::codes::Tlp;
use aldis_wire::envelope::{Body, WithheldReason};
use aldis_wire::lane::Lane;
use std::sync::Arc;

const ANA: u32 = 1_000;
const RUI: u32 = 1_001;

fn world(discipline: Discipline) -> World {
    let mut world = World::with(2, 0, &Limits { discipline, ..Limits::default() });
    world.connect(0, 1);
    world.run();
    world
}

fn strict() -> World {
    world(Discipline { release_flash: true, release_red: true, ..Discipline::default() })
}

fn compose(world: &mut World, submission: Submission) -> Token {
    composed(world, submission, 20, None)
}

fn composed(world: &mut World, submission: Submission, words: u32, long: Option<&str>) -> Token {
    let token = world.token();
    let composed = Composed { submission, by: person(ANA), words, long: long.map(Text::cut) };
    world.nodes[0].inbox.push_back(Input::Compose { token, composed: Box::new(composed) });
    world.run();
    token
}

fn flash(world: &World) -> Submission {
    notice(&world.id(1), Lane::Flash)
}

fn draft(world: &World, token: Token) -> DraftId {
    match world.nodes[0].replies.get(&token) {
        Some(Ok(Done::Drafted(id, _))) => *id,
        other => panic!("no draft: {other:?}"),
    }
}

/// What the node reads from its journal for a release.
fn beside(world: &World, id: DraftId) -> DraftBodies {
    let entry = &world.nodes[0].journal[usize::try_from(id.0.0).unwrap()];
    let Some(Body::Present { salt, bytes }) = entry.body.clone() else { panic!("{:?}", entry.body) };
    DraftBodies { salt, bytes, salts: vec![[8; 16]] }
}

fn release(world: &mut World, draft: DraftId, bodies: DraftBodies, uid: u32) -> Token {
    let token = world.token();
    let (bodies, by) = (Box::new(bodies), person(uid));
    world.nodes[0].inbox.push_back(Input::Release { token, draft, bodies, by });
    world.run();
    token
}

fn discard(world: &mut World, draft: DraftId, uid: u32, is_releaser: bool) -> Token {
    let token = world.token();
    world.nodes[0].inbox.push_back(Input::Discard { token, draft, by: person(uid), is_releaser });
    world.run();
    token
}

fn is_erased(world: &World, draft: DraftId) -> bool {
    let entry = &world.nodes[0].journal[usize::try_from(draft.0.0).unwrap()];
    matches!(entry.body, Some(Body::Withheld(WithheldReason::ERASED)))
}

#[test]
fn what_takes_a_second_person_is_signed_only_when_another_one_releases_it() {
    let mut world = strict();
    let flash = flash(&world);
    let red = Submission { tlp: Tlp::RED, ..notice(&world.id(1), Lane::Routine) };
    for submission in [flash, red] {
        let token = compose(&mut world, submission.clone());
        let id = draft(&world, token);
        assert_eq!(world.nodes[1].shown().len(), 0, "nothing leaves before it is released");
        let bodies = beside(&world, id);
        let own = release(&mut world, id, bodies.clone(), ANA);
        assert_eq!(world.nodes[0].declined(own), Declined::OwnDraft(id), "whoever drafted never releases");
        let token = release(&mut world, id, bodies.clone(), RUI);
        let sent = world.nodes[0].submitted(token);
        assert_eq!(world.nodes[1].shown(), vec![sent[0].0.clone()]);
        assert!(is_erased(&world, id), "the copy beside the draft is erased");
        let headers = world.nodes[1].records().iter().filter_map(|record| match record {
            Record::Received(received) => Some(received.header.clone()),
            _ => None,
        });
        let header = headers.last().unwrap();
        assert_eq!(header.released_by, Some(person(RUI).by()));
        assert_eq!((header.tlp, header.lane, &header.author), (submission.tlp, submission.lane, &submission.author));
        let again = release(&mut world, id, bodies, RUI);
        assert_eq!(world.nodes[0].declined(again), Declined::NoSuchDraft(id));
        world.nodes[1].told.clear();
    }
}

#[test]
fn what_is_answered_or_not_urgent_waits_for_nobody() {
    let mut world = strict();
    let plain = notice(&world.id(1), Lane::Immediate);
    let token = compose(&mut world, plain);
    world.nodes[0].submitted(token);
    let theirs = notice(&world.id(0), Lane::Flash);
    let declined = world.submit(1, theirs.clone());
    world.run();
    assert_eq!(world.nodes[1].declined(declined), Declined::NeedsRelease, "no way round the rule");

    let mut world = world_with_strict_answerer();
    let theirs = world.submit(1, notice(&world.id(0), Lane::Flash));
    world.run();
    let received = world.nodes[1].submitted(theirs)[0].clone();
    let token = compose(&mut world, answer(&received, "acknowledged"));
    world.nodes[0].submitted(token);
}

/// Only the first node has the rule.
fn world_with_strict_answerer() -> World {
    let mut world = World::linked();
    let discipline = Discipline { release_flash: true, ..Discipline::default() };
    world.nodes[0].limits.discipline = discipline;
    world.restart(0);
    world.connect(0, 1);
    world.run();
    world
}

#[test]
fn i8_half_way_through_its_time_a_draft_alerts_the_first_people_on_duty_once_and_without_its_text() {
    let mut ladder = Ladder::default();
    // It is a Sunday: nobody is on duty on the first step.
    let mut absent = ladder.steps[0].clone();
    absent.people[0].hours = Some(0);
    ladder.steps.insert(0, absent);
    ladder.steps[1].name = Text::cut("deputy");
    let discipline = Discipline { release_flash: true, ..Discipline::default() };
    let mut world = World::with(2, 0, &Limits { discipline, ladder: Arc::new(ladder), ..Limits::default() });
    let submission = flash(&world);
    let token = compose(&mut world, submission);
    let id = draft(&world, token);
    let half_ms = Discipline::default().release_within_ms / 2;
    world.advance(half_ms - 1);
    assert_eq!(world.nodes[0].alerts.len(), 0);
    world.advance(1);
    let [alert] = world.nodes[0].alerts.as_slice() else { panic!("{:?}", world.nodes[0].alerts) };
    assert_eq!((alert.silence, alert.cause, alert.draft), (Silence::Draft, Cause::Unreleased, Some(id)));
    assert_eq!((alert.step, alert.step_name.as_str(), alert.people.len()), (2, "deputy", 1));
    assert_eq!((alert.lane, alert.messages.len(), alert.exercise.is_some()), (Lane::Flash, 0, false));
    // Another draft is told of by itself; the first one never again, whatever is restarted.
    let submission = flash(&world);
    let second = compose(&mut world, submission);
    let second = draft(&world, second);
    for snapshot in [false, true] {
        if snapshot {
            world.nodes[0].take_snapshot();
        }
        world.restart(0);
        world.advance(half_ms / 2 - 1);
    }
    assert_eq!(world.nodes[0].alerts.len(), 1);
    world.advance(2);
    let told: Vec<_> = world.nodes[0].alerts.iter().map(|alert| alert.draft).collect();
    assert_eq!(told, [Some(id), Some(second)]);
}

#[test]
fn i8_a_draft_that_nobody_releases_ends_with_an_alarm_and_without_its_body() {
    let mut world = strict();
    let submission = flash(&world);
    let token = compose(&mut world, submission);
    let id = draft(&world, token);
    let within_ms = Discipline::default().release_within_ms;
    world.advance(within_ms / 2 - 1);
    assert_eq!(world.nodes[0].alarms(), Vec::<String>::new());
    world.advance(1);
    assert_eq!(world.nodes[0].alarms(), ["draft-waits"]);
    let bodies = beside(&world, id);
    world.restart(0);
    assert_eq!(world.nodes[0].core.drafts().count(), 1, "a draft survives a restart");
    world.advance(within_ms / 2);
    assert_eq!(world.nodes[0].alarms(), ["draft-not-released"]);
    assert!(is_erased(&world, id));
    assert!(
        world.nodes[0]
            .told
            .iter()
            .any(|told| matches!(told, Happening::DraftEnded(ended, DraftEnd::Expired, _, None) if *ended == id))
    );
    let late = release(&mut world, id, bodies, RUI);
    assert_eq!(world.nodes[0].declined(late), Declined::NoSuchDraft(id));
    let submission = flash(&world);
    compose(&mut world, submission);
    assert_eq!(world.nodes[0].alarms(), Vec::<String>::new(), "the next draft ends the alarm");
}

#[test]
fn a_draft_is_thrown_away_by_its_drafter_or_a_releaser_alone() {
    let mut world = strict();
    for (uid, is_releaser) in [(ANA, false), (RUI, true)] {
        let submission = flash(&world);
        let token = compose(&mut world, submission);
        let id = draft(&world, token);
        let other = discard(&mut world, id, 7, false);
        assert_eq!(world.nodes[0].declined(other), Declined::OthersDraft(id));
        let token = discard(&mut world, id, uid, is_releaser);
        assert_eq!(world.nodes[0].replies[&token], Ok(Done::Discarded));
        assert!(is_erased(&world, id));
    }
    assert_eq!(world.nodes[1].shown().len(), 0);
}

#[test]
fn what_is_released_is_what_was_composed_and_is_checked_again() {
    let mut world = strict();
    let submission = flash(&world);
    let token = compose(&mut world, submission);
    let id = draft(&world, token);
    let mut other = beside(&world, id);
    // The last byte is the body's own: everything reads as before and says something else.
    let (last, rest) = other.bytes.split_last().unwrap();
    other.bytes = [rest, &[last ^ 1]].concat().into();
    let token = release(&mut world, id, other, RUI);
    assert!(matches!(world.nodes[0].declined(token), Declined::Message(_)));
    world.order(0, aldis_core::trust::Act::Suspend, 1);
    world.run();
    let bodies = beside(&world, id);
    let token = release(&mut world, id, bodies, RUI);
    assert!(matches!(world.nodes[0].declined(token), Declined::NotVerified(..)), "the peer was suspended meanwhile");
    assert_eq!(world.nodes[0].core.drafts().count(), 1, "and it can be released once the peer is back");
}

#[test]
fn i7_only_so_many_drafts_wait() {
    let mut world = strict();
    for _ in 0..DRAFTS_MAX {
        let submission = flash(&world);
        let token = compose(&mut world, submission);
        draft(&world, token);
    }
    let submission = flash(&world);
    let token = compose(&mut world, submission);
    assert_eq!(world.nodes[0].declined(token), Declined::TooManyDrafts);
}

#[test]
fn a_long_flash_goes_only_with_a_reason_which_is_on_record() {
    let mut world = world(Discipline::default());
    let submission = flash(&world);
    let token = composed(&mut world, submission.clone(), 201, Some("  "));
    assert_eq!(world.nodes[0].declined(token), Declined::TooLong { words: 201, allowed: 200 });
    let token = composed(&mut world, submission, 201, Some("the list of hosts"));
    let sent = world.nodes[0].submitted(token);
    let on_record = world.nodes[0].records().iter().any(|record| {
        matches!(record, Record::LongFlash(LongFlash { message, long, by, .. })
            if *message == sent[0].0 && long.words == 201 && long.why.as_str() == "the list of hosts" && by.as_str() == "ana")
    });
    assert!(on_record);
    let routine = notice(&world.id(1), Lane::Routine);
    let token = composed(&mut world, routine, 5_000, None);
    world.nodes[0].submitted(token);
}

#[test]
fn the_site_sends_so_many_flash_messages_a_day_to_a_peer() {
    let mut world = world(Discipline { flash_per_day: 2, ..Discipline::default() });
    for _ in 0..2 {
        let submission = flash(&world);
        let token = compose(&mut world, submission);
        world.nodes[0].submitted(token);
    }
    let submission = flash(&world);
    let token = compose(&mut world, submission.clone());
    assert_eq!(world.nodes[0].declined(token), Declined::FlashUsedUp { peer: world.id(1), allowed: 2 });
    world.advance(24 * 3_600_000);
    let token = compose(&mut world, submission);
    world.nodes[0].submitted(token);
}

#[test]
fn i14_a_full_backlog_of_the_other_lanes_never_declines_a_flash() {
    let mut world = World::with(2, 0, &Limits { open_per_peer: 3, ..Limits::default() });
    let to = world.id(1);
    for lane in [Lane::Routine, Lane::Priority, Lane::Immediate] {
        let token = world.submit(0, submission(std::slice::from_ref(&to), lane, "incident", &incident("a backlog")));
        world.run();
        world.nodes[0].submitted(token);
    }
    let full = world.submit(0, notice(&to, Lane::Routine));
    let flash = world.submit(0, notice(&to, Lane::Flash));
    world.run();
    assert_eq!(world.nodes[0].declined(full), Declined::QueueFull(to));
    world.nodes[0].submitted(flash);
    let case = crate::hotline::ring(&mut world);
    assert_eq!(case, Ok(()), "nor a hotline and what is said in it");
}
