//! Agreements: what breaks the terms of either side is declined before it is signed, and refused where it comes from a
//! node that does not hold itself to them; what answers is never held up.

use crate::pair::{Forged, World, answer, notice, person, text};
use aldis_core::agreement::{Breach, REMEMBERED_HOURS, difference};
use aldis_core::effect::{Declined, Done};
use aldis_core::input::{Input, Submission, Token};
use aldis_core::record::{Outcome, Record, RefusedAs};
use aldis_wire::codec::List;
use aldis_wire::codes::{Code, Extensions, Tlp};
use aldis_wire::digest::Digest;
use aldis_wire::ids::{EnvelopeId, UnixMillis};
use aldis_wire::kinds::{RefusalCode, Terms};
use aldis_wire::lane::Lane;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Terms that allow whatever the tests send.
fn wide(sequence: u64) -> Terms {
    Terms {
        sequence,
        kinds: List::empty(),
        highest_tlp: Tlp::RED,
        flash_per_day: 1_000,
        messages_per_hour: 1_000,
        bytes_per_hour: 10_000_000,
        acknowledge_within_s: [0; 4],
        expires_at: UnixMillis::new(crate::pair::START_MS + 90 * DAY_MS),
        extensions: Extensions::default(),
    }
}

pub(crate) fn with(change: impl FnOnce(&mut Terms)) -> Terms {
    let mut terms = wide(1);
    change(&mut terms);
    terms
}

fn kinds(names: &[&'static str]) -> List<Code, 64> {
    List::new(names.iter().map(|name| Code::known(name)).collect()).unwrap()
}

fn set(world: &mut World, place: usize, terms: Terms) -> Token {
    let (token, peer) = (world.token(), world.id(1 - place));
    let terms = Box::new(terms);
    world.nodes[place].inbox.push_back(Input::SetAgreement { token, peer, terms, by: person(1) });
    world.run();
    token
}

pub(crate) fn must_set(world: &mut World, place: usize, terms: Terms) {
    let token = set(world, place, terms);
    assert!(matches!(world.nodes[place].replies[&token], Ok(Done::AgreementSet(_))));
}

fn theirs(world: &World, place: usize) -> Option<Terms> {
    let peer = world.nodes[place].core.peer(&world.id(1 - place)).unwrap();
    peer.durable.agreement.theirs.clone()
}

fn submit(world: &mut World, place: usize, submission: Submission) -> Result<(EnvelopeId, Digest), Declined> {
    let token = world.submit(place, submission);
    world.run();
    match &world.nodes[place].replies[&token] {
        Ok(Done::Submitted(ids)) => Ok(ids[0].clone()),
        Err(declined) => Err(declined.clone()),
        other => panic!("{other:?}"),
    }
}

/// What became of the latest envelope of a peer.
fn outcome(world: &World, place: usize) -> Outcome {
    let received = world.nodes[place].records().iter().rev().find_map(|record| match record {
        Record::Received(received) => Some(received.outcome),
        _ => None,
    });
    received.expect("something came")
}

/// The refusals a node sent, with their texts.
fn refusals(world: &World, place: usize) -> Vec<String> {
    let sent = world.nodes[place].records().iter().zip(&world.nodes[place].journal).filter_map(|(record, entry)| {
        let Record::Sent(sent) = record else { return None };
        let Some(aldis_wire::envelope::Body::Present { bytes, .. }) = &entry.body else { return None };
        let header = &sent.draft.header;
        (header.kind.as_str() == "refusal").then(|| {
            let shown = aldis_wire::kinds::to_json(&header.kind, 1, bytes).unwrap();
            shown["text"].as_str().unwrap().to_owned()
        })
    });
    sent.collect()
}

/// A message, and terms it breaks.
type Broken = (Terms, fn(&mut Forged), fn(&mut Submission), Lane, RefusalCode, &'static str);

fn broken() -> Vec<Broken> {
    vec![
        (with(|t| t.kinds = kinds(&["hotline"])), |_| (), |_| (), Lane::Routine, RefusalCode::NotAgreed, "`incident`"),
        (
            with(|t| t.highest_tlp = Tlp::AMBER),
            |forged| forged.header.tlp = Tlp::RED,
            |submission| submission.tlp = Tlp::AMBER_STRICT,
            Lane::Routine,
            RefusalCode::NotAgreed,
            "TLP:AMBER",
        ),
        (with(|t| t.flash_per_day = 0), |_| (), |_| (), Lane::Flash, RefusalCode::NotAgreed, "FLASH is not agreed"),
        (with(|t| t.bytes_per_hour = 100), |_| (), |_| (), Lane::Routine, RefusalCode::OverRate, "bytes an hour"),
    ]
}

#[test]
fn i8_what_breaks_either_sides_terms_is_declined_before_it_is_signed() {
    for (number, (terms, _, change, lane, code, words)) in broken().into_iter().enumerate() {
        for owner in 0..2 {
            let mut world = World::linked();
            must_set(&mut world, owner, terms.clone());
            let signed = world.nodes[0].records().len();
            let mut submission = notice(&world.id(1), lane);
            change(&mut submission);
            let declined = submit(&mut world, 0, submission).unwrap_err();
            let Declined::NotAgreed { peer, whose, sequence: 1, what } = &declined else { panic!("{declined}") };
            assert_eq!((peer, whose), (&world.id(1), &world.id(owner)), "case {number}");
            assert_eq!(what.code(), code, "case {number}");
            assert!(declined.to_string().contains(words), "case {number}: {declined}");
            assert_eq!(world.nodes[0].records().len(), signed, "case {number}: something was signed or journalled");
        }
    }
}

#[test]
fn i8_a_peer_that_does_not_hold_itself_to_the_terms_gets_one_signed_refusal_each() {
    for (number, (terms, forge, _, lane, code, words)) in broken().into_iter().enumerate() {
        let (mut world, _) = World::with_puppet();
        must_set(&mut world, 0, terms);
        for count in 1..=2 {
            let mut forged = world.forged(lane);
            forge(&mut forged);
            world.inject(forged);
            assert_eq!(outcome(&world, 0), Outcome::Refused(RefusedAs(code)), "case {number}");
            let texts = refusals(&world, 0);
            assert_eq!(texts.len(), count, "case {number}");
            assert!(texts[0].contains(words) && texts[0].contains("terms 1 of cert.br"), "case {number}: {texts:?}");
        }
    }
}

#[test]
fn i8_the_sender_learns_the_code_when_only_the_other_side_knows_the_terms() {
    let mut world = World::linked();
    world.network.held_from = Some(1);
    must_set(&mut world, 1, with(|terms| terms.kinds = kinds(&["hotline"])));
    let to = world.id(1);
    let (id, _) = submit(&mut world, 0, notice(&to, Lane::Routine)).expect("the terms are not known here yet");
    world.network.held_from = None;
    world.run();
    let refused = aldis_core::effect::Delivery::Refused(Code::known("not-agreed"));
    assert!(world.nodes[0].deliveries().contains(&(id, refused)));
    assert!(theirs(&world, 0).is_some(), "and now they are known");
    assert!(submit(&mut world, 0, notice(&to, Lane::Routine)).is_err());
}

#[test]
fn i11_rates_roll_over_with_the_hour_and_the_day() {
    let mut world = World::linked();
    must_set(&mut world, 0, with(|terms| (terms.messages_per_hour, terms.flash_per_day) = (3, 1)));
    let to = world.id(1);
    submit(&mut world, 0, notice(&to, Lane::Flash)).unwrap();
    let flash = submit(&mut world, 0, notice(&to, Lane::Flash)).unwrap_err();
    assert!(matches!(flash, Declined::NotAgreed { what: Breach::Flash(1, _), .. }), "{flash}");
    submit(&mut world, 0, notice(&to, Lane::Routine)).unwrap();
    submit(&mut world, 0, notice(&to, Lane::Routine)).unwrap();
    let full = submit(&mut world, 0, notice(&to, Lane::Routine)).unwrap_err();
    let Declined::NotAgreed { what: Breach::Messages(3, next), .. } = full else { panic!("{full}") };
    assert_eq!(next.get() % HOUR_MS, 0);
    world.advance(next.get() - world.wall_ms - 1);
    assert!(submit(&mut world, 0, notice(&to, Lane::Routine)).is_err(), "the hour is not over");
    world.advance(1);
    submit(&mut world, 0, notice(&to, Lane::Routine)).expect("the next hour");
    assert!(submit(&mut world, 0, notice(&to, Lane::Flash)).is_err(), "the day is not over");
    world.restart(0);
    assert!(submit(&mut world, 0, notice(&to, Lane::Flash)).is_err(), "a restart forgets nothing");
    world.advance(DAY_MS);
    submit(&mut world, 0, notice(&to, Lane::Flash)).expect("the next day");
}

#[test]
fn i14_what_the_other_lanes_used_up_of_an_hour_keeps_no_flash_back_at_either_end() {
    for place in [0, 1] {
        let mut world = World::linked();
        must_set(&mut world, place, with(|terms| (terms.messages_per_hour, terms.flash_per_day) = (1, 3)));
        let to = world.id(1);
        submit(&mut world, 0, notice(&to, Lane::Routine)).unwrap();
        submit(&mut world, 0, notice(&to, Lane::Priority)).unwrap_err();
        for _ in 0..3 {
            submit(&mut world, 0, notice(&to, Lane::Flash)).expect("the day's number alone bounds FLASH");
        }
        let over = submit(&mut world, 0, notice(&to, Lane::Flash)).unwrap_err();
        assert!(matches!(over, Declined::NotAgreed { what: Breach::Flash(3, _), .. }), "{over}");
        let arrived = world.nodes[1].shown().into_iter().filter(|id| id.lane == Lane::Flash).count();
        assert_eq!((arrived, refusals(&world, 1).len()), (3, 0));
    }
}

#[test]
fn i5_a_flood_over_the_rate_takes_places_and_each_is_refused() {
    let (mut world, _) = World::with_puppet();
    must_set(&mut world, 0, with(|terms| terms.messages_per_hour = 2));
    for count in 1..=5_usize {
        let mut forged = world.forged(Lane::Routine);
        forged.header.exercise = (count == 1).then(|| text("an exercise counts as well"));
        world.inject(forged);
        let over = Outcome::Refused(RefusedAs(RefusalCode::OverRate));
        assert_eq!(outcome(&world, 0), if count <= 2 { Outcome::Accepted } else { over }, "number {count}");
    }
    assert_eq!(refusals(&world, 0).len(), 3);
    let known = world.nodes[0].core.peer(&world.id(1)).unwrap();
    assert_eq!(known.durable.inbound[Lane::Routine.index()].last_seq(), 5);
    let to = world.id(1);
    submit(&mut world, 0, notice(&to, Lane::Routine)).expect("what comes does not count for what goes");
}

/// An outage must not turn what was agreed into refusals: the hour that counts is that of the signature.
#[test]
fn i5_a_backlog_within_the_terms_is_not_refused_when_it_arrives_at_once() {
    let mut world = World::linked();
    must_set(&mut world, 1, with(|terms| terms.messages_per_hour = 2));
    world.break_all();
    world.run();
    let to = world.id(1);
    for _ in 0..5 {
        for lane in [Lane::Routine, Lane::Priority] {
            submit(&mut world, 0, notice(&to, lane)).unwrap();
        }
        world.advance(HOUR_MS);
    }
    submit(&mut world, 0, notice(&to, Lane::Flash)).expect("it overtakes what waits");
    world.connect(0, 1);
    world.run();
    assert_eq!(world.nodes[1].shown().len(), 11);
    assert!(refusals(&world, 1).is_empty(), "{:?}", refusals(&world, 1));
}

#[test]
fn i7_a_sender_that_lies_about_the_hour_gains_only_what_is_remembered() {
    let (mut world, _) = World::with_puppet();
    must_set(&mut world, 0, with(|terms| terms.messages_per_hour = 1));
    let now = world.wall_ms;
    let said = [now, now, 0, now - REMEMBERED_HOURS * HOUR_MS, now + DAY_MS, now + 2 * DAY_MS];
    let accepted = said.map(|at| {
        let mut forged = world.forged(Lane::Routine);
        forged.header.sent_at = UnixMillis::new(at);
        world.inject(forged);
        outcome(&world, 0) == Outcome::Accepted
    });
    assert_eq!(accepted, [true, false, true, false, true, false]);
}

#[test]
fn answers_refusals_and_terms_are_never_held_up() {
    let mut world = World::linked();
    let to = world.id(1);
    let sent = submit(&mut world, 0, notice(&to, Lane::Flash)).unwrap();
    for place in 0..2 {
        let narrow = with(|terms| {
            (terms.messages_per_hour, terms.bytes_per_hour, terms.flash_per_day) = (1, 1, 0);
            (terms.kinds, terms.highest_tlp) = (kinds(&["hotline"]), Tlp::CLEAR);
        });
        must_set(&mut world, place, narrow);
    }
    for state in ["seen", "acknowledged", "approved"] {
        submit(&mut world, 1, answer(&sent, state)).unwrap();
    }
    assert_eq!(outcome(&world, 0), Outcome::Accepted);
    for place in 0..2 {
        must_set(&mut world, place, wide(2));
        assert_eq!(theirs(&world, 1 - place).unwrap().sequence, 2);
    }
    submit(&mut world, 0, notice(&to, Lane::Flash)).expect("the new terms are in force on both sides");
    let known = world.nodes[1].core.peer(&world.id(0)).unwrap();
    let flash = known.durable.agreement.received.flash_in_day(UnixMillis::new(world.wall_ms));
    assert_eq!(flash, 2, "answers do not count");
}

#[test]
fn terms_are_sent_once_the_peer_is_there_and_only_newer_ones_are_taken() {
    let mut world = World::new(2);
    must_set(&mut world, 0, wide(4));
    assert!(theirs(&world, 1).is_none());
    assert!(!world.nodes[0].core.peer(&world.id(1)).unwrap().has_our_terms());
    world.connect(0, 1);
    world.run();
    assert_eq!(theirs(&world, 1), Some(wide(4)));
    assert!(world.nodes[0].core.peer(&world.id(1)).unwrap().has_our_terms());
    let agreements = |world: &World| {
        let sent = world.nodes[0].records().iter();
        sent.filter(|record| matches!(record, Record::Sent(sent) if sent.draft.header.kind.as_str() == "agreement"))
            .count()
    };
    world.break_all();
    world.run();
    world.connect(0, 1);
    world.run();
    assert_eq!(agreements(&world), 1, "sent twice");
    let nothing = with(|terms| (terms.sequence, terms.messages_per_hour) = (9, 0));
    for terms in [wide(3), wide(4), nothing] {
        let token = set(&mut world, 0, terms);
        assert!(matches!(world.nodes[0].declined(token), Declined::Terms(_)));
    }
    assert_eq!(agreements(&world), 1);
}

#[test]
fn i8_terms_that_were_lost_on_their_way_go_again_however_late() {
    let mut world = World::linked();
    world.network.held_from = Some(0);
    must_set(&mut world, 0, wide(4));
    world.break_all();
    world.network.held_from = None;
    world.run();
    world.advance(31 * DAY_MS);
    world.connect(0, 1);
    world.run();
    assert_eq!(theirs(&world, 1), Some(wide(4)));
}

#[test]
fn i8_older_terms_of_a_peer_change_nothing_and_are_refused() {
    let (mut world, _) = World::with_puppet();
    let send = |world: &mut World, terms: &Terms| {
        let mut forged = world.forged(Lane::Immediate);
        forged.carry("agreement", &terms.body());
        world.inject(forged);
        outcome(world, 0)
    };
    assert_eq!(send(&mut world, &wide(5)), Outcome::Accepted);
    assert_eq!(send(&mut world, &wide(5)), Outcome::Accepted, "the same again says nothing new");
    let not_taken = Outcome::Refused(RefusedAs(RefusalCode::TermsNotTaken));
    assert_eq!(send(&mut world, &wide(4)), not_taken);
    let mut changed = wide(5);
    changed.flash_per_day = 0;
    assert_eq!(send(&mut world, &changed), not_taken);
    let mut over = wide(6);
    over.expires_at = UnixMillis::new(world.wall_ms);
    assert_eq!(send(&mut world, &over), not_taken);
    assert_eq!(theirs(&world, 0), Some(wide(5)));
    let taken = |record: &&Record| matches!(record, Record::AgreementTaken(_));
    assert_eq!(world.nodes[0].records().iter().filter(taken).count(), 1);
}

#[test]
fn i8_terms_the_other_side_does_not_take_are_an_alarm() {
    let mut world = World::linked();
    must_set(&mut world, 0, wide(5));
    world.break_all();
    world.run();
    // The clock of node 1 is right, and the terms wait for the link until they have run out.
    let mut short = wide(6);
    short.expires_at = UnixMillis::new(crate::pair::START_MS + HOUR_MS);
    must_set(&mut world, 0, short);
    world.advance(2 * HOUR_MS);
    world.connect(0, 1);
    world.run();
    assert!(world.nodes[0].alarms().contains(&"agreement-not-taken".to_owned()), "{:?}", world.nodes[0].alarms());
    must_set(&mut world, 0, wide(7));
    assert!(world.nodes[0].alarms().is_empty(), "{:?}", world.nodes[0].alarms());
    assert_eq!(theirs(&world, 1), Some(wide(7)));
}

#[test]
fn i8_an_agreement_warns_a_fortnight_ahead_and_then_stops_all_but_answers() {
    let mut world = World::linked();
    let to = world.id(1);
    let sent = submit(&mut world, 0, notice(&to, Lane::Routine)).unwrap();
    must_set(&mut world, 0, with(|terms| terms.expires_at = UnixMillis::new(crate::pair::START_MS + 20 * DAY_MS)));
    let alarms = |world: &World| [0, 1].map(|place| world.nodes[place].alarms());
    world.advance(6 * DAY_MS - 1);
    assert_eq!(alarms(&world), [Vec::<String>::new(), Vec::new()]);
    world.nodes[0].take_snapshot();
    world.restart(0);
    world.connect(0, 1);
    world.run();
    world.advance(1);
    assert_eq!(alarms(&world), [["agreement-expires"], ["agreement-expires"]]);
    world.restart(0);
    world.connect(0, 1);
    world.run();
    world.advance(14 * DAY_MS);
    assert_eq!(alarms(&world), [["agreement-expired"], ["agreement-expired"]]);
    let declined = submit(&mut world, 0, notice(&to, Lane::Flash)).unwrap_err();
    assert!(matches!(declined, Declined::NotAgreed { what: Breach::Expired(_), .. }), "{declined}");
    submit(&mut world, 1, answer(&sent, "approved")).expect("answers go on");
    world.break_all();
    world.run();
    world.nodes[1].puppet = true;
    world.puppet_up(|_| ());
    let forged = world.forged(Lane::Flash);
    world.inject(forged);
    assert_eq!(outcome(&world, 0), Outcome::Refused(RefusedAs(RefusalCode::NotAgreed)));
    must_set(&mut world, 0, wide(2));
    assert!(world.nodes[0].alarms().is_empty());
}

#[test]
fn the_difference_shows_every_field_and_the_stricter_side_holds() {
    let ours = with(|terms| {
        terms.kinds = kinds(&["incident", "hotline"]);
        terms.highest_tlp = Tlp::AMBER;
        terms.acknowledge_within_s = [900, 0, 0, 0];
    });
    let theirs = with(|terms| {
        terms.kinds = kinds(&["incident", "comm-check"]);
        (terms.highest_tlp, terms.flash_per_day) = (Tlp::RED, 2);
        terms.acknowledge_within_s = [600, 3_600, 0, 0];
    });
    let rows = difference(Some(&ours), Some(&theirs));
    let in_force = |field: &str| {
        let row = rows.iter().find(|row| row.field == field).unwrap();
        (row.in_force.clone().unwrap(), row.differs())
    };
    assert_eq!(rows.len(), 10);
    assert_eq!(in_force("kinds"), ("incident".into(), true));
    assert_eq!(in_force("highest-tlp"), ("TLP:AMBER".into(), true));
    assert_eq!(in_force("flash-per-day"), ("2".into(), true));
    assert_eq!(in_force("messages-per-hour"), ("1000".into(), false));
    assert_eq!(in_force("acknowledge-within flash"), ("600 s".into(), true));
    assert_eq!(in_force("acknowledge-within immediate"), ("3600 s".into(), true));
    assert_eq!(in_force("acknowledge-within routine"), ("the default".into(), false));
    let apart = [with(|terms| terms.kinds = kinds(&["incident"])), with(|terms| terms.kinds = kinds(&["hotline"]))];
    assert_eq!(difference(Some(&apart[0]), Some(&apart[1]))[0].in_force.as_deref(), Some("no kind"));
    let alone = difference(Some(&ours), None);
    assert!(alone.iter().all(|row| row.theirs.is_none() && row.in_force == row.ours));
    assert!(difference(None, None).iter().all(|row| row.in_force.is_none()));
}

/// What we sign with a key that the peer then refuses could never be verified there.
#[test]
fn i5_terms_are_signed_only_once_the_peer_has_let_us_in_on_the_link() {
    let (mut world, _) = World::with_puppet();
    must_set(&mut world, 0, wide(4));
    let sent = |world: &World| world.nodes[0].core.peer(&world.id(1)).unwrap().sent_marks().iter().count();
    assert_eq!(sent(&world), 0, "signed before the peer took our Hello");
    world.allow(10);
    assert_eq!(sent(&world), 1);
}
