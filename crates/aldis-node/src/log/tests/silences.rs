//! What silences leave in the history of a message, at both ends, and what is never shown among messages.

use aldis_control::{DeliveryState, HistoryEntry, ListQuery, LogQuery, MessageView};
use aldis_core::input::Input;
use aldis_core::ladder::{AlertId, AlertOutcome};
use aldis_core::record::{Record, RecordSeq};
use aldis_wire::codec::Text;
use aldis_wire::ids::EnvelopeId;
use aldis_wire::lane::Lane;

use super::pair::{BR, CL, HOUR_MS, Pair};

/// The alerts that were decided on and not yet ended, oldest first.
fn open_alerts(pair: &Pair, place: usize) -> Vec<AlertId> {
    let reader = pair.certs[place].journal.reader();
    let mut open = Vec::new();
    for number in 0..pair.certs[place].journal.size() {
        let record = reader.read(crate::journal::RecordSeq(number)).unwrap();
        match Record::decode(&record.record).unwrap() {
            Record::Climbed(climbed) if !climbed.people.is_empty() => open.push(AlertId(RecordSeq(number))),
            Record::Alerted(alerted) => open.retain(|id| *id != alerted.alert),
            _ => {}
        }
    }
    open
}

fn alerted(pair: &mut Pair, place: usize, alert: AlertId, reached: bool) {
    let (who, channel) = (Text::cut("Ana"), Text::cut("pager"));
    let outcome = match reached {
        true => AlertOutcome { reached: vec![(who, channel)], failed: Vec::new() },
        false => AlertOutcome { reached: Vec::new(), failed: vec![(who, channel, Text::cut("no answer"))] },
    };
    pair.input(place, Input::Alerted { alert, outcome: Box::new(outcome) });
}

fn view(pair: &Pair, place: usize, id: &EnvelopeId) -> MessageView {
    let log = pair.log(place, &format!("views-{place}"));
    let view = log.query().unwrap().message(id).unwrap().broken().0;
    log.stop();
    view
}

fn has(view: &MessageView, step: Option<u8>, state: DeliveryState, words: &str) {
    let fits = |entry: &HistoryEntry| entry.step == step && entry.state == state && entry.cause.contains(words);
    let found = view.history.iter().any(fits);
    assert!(found, "{step:?} {state:?} `{words}` in {:#?}", view.history);
}

#[test]
fn i8_each_step_stands_in_the_history_with_its_time_and_cause_at_both_ends() {
    let mut pair = Pair::linked();
    let (id, _) = pair.notice(BR, Lane::Flash, "who is there?");
    let [arrived] = open_alerts(&pair, CL)[..] else { panic!("one alert at arrival") };
    alerted(&mut pair, CL, arrived, true);
    pair.pass(HOUR_MS / 6 + 1);
    let [first] = open_alerts(&pair, CL)[..] else { panic!("one alert of the first step") };
    alerted(&mut pair, CL, first, false);
    let there = view(&pair, CL, &id);
    assert_eq!(there.row.state, DeliveryState::Notified);
    has(&there, Some(0), DeliveryState::Stored, "it came: step 0 of 1 here, duty officer: duty officer");
    has(&there, Some(0), DeliveryState::Notified, "alert of step 0: Ana by pager");
    has(&there, Some(1), DeliveryState::Notified, "nobody acknowledged it in time: step 1 of 1 here");
    has(&there, Some(1), DeliveryState::Notified, "not Ana by pager: no answer");
    let here = view(&pair, BR, &id);
    assert_eq!(here.row.state, DeliveryState::Notified);
    has(&here, Some(0), DeliveryState::Notified, "it came: step 0 of 1 at cert.cl, alerted, 1 reached");
    has(&here, Some(1), DeliveryState::Notified, "step 1 of 1 at cert.cl, channels-failed, 0 reached");
    assert!(here.answers.is_empty() && there.answers.is_empty(), "a machine's word is no answer");
    let step = here.history.iter().find(|entry| entry.step == Some(1)).unwrap();
    assert!(step.at.0 >= pair.now_ms && step.by.as_deref() == Some("cert.cl"), "{step:?}");
}

#[test]
fn i8_a_case_that_nobody_attended_to_is_reopened_at_both_ends_until_somebody_takes_it_on_again() {
    let mut pair = Pair::linked();
    let notice = pair.notice(BR, Lane::Flash, "who is there?");
    let [arrived] = open_alerts(&pair, CL)[..] else { panic!("one alert at arrival") };
    alerted(&mut pair, CL, arrived, true);
    for says in ["acknowledged", "pending"] {
        pair.answer(CL, &notice, says);
        pair.pass(2 * HOUR_MS + 1);
        let [step] = open_alerts(&pair, CL)[..] else { panic!("one alert, for nobody attended to it") };
        alerted(&mut pair, CL, step, true);
        for place in [BR, CL] {
            let view = view(&pair, place, &notice.0);
            assert_eq!((view.row.state, view.row.status), (DeliveryState::Reopened, None), "{says}");
            has(&view, Some(1), DeliveryState::Reopened, "it is open again");
        }
    }
    for (says, state) in [("acknowledged", DeliveryState::Acknowledged), ("approved", DeliveryState::Decided)] {
        pair.answer(CL, &notice, says);
        for place in [BR, CL] {
            assert_eq!(view(&pair, place, &notice.0).row.state, state, "{says}");
        }
    }
}

#[test]
fn i8_a_silent_machine_is_in_the_history_of_every_message_it_concerns_and_of_no_other() {
    let mut pair = Pair::linked();
    let delivered = pair.notice(BR, Lane::Flash, "delivered").0;
    pair.unlink();
    let waiting: Vec<EnvelopeId> =
        ["one", "two", "three"].map(|subject| pair.notice(BR, Lane::Flash, subject).0).to_vec();
    pair.pass(61_000);
    let later = pair.notice(BR, Lane::Flash, "after the step").0;
    pair.link();
    for id in &waiting {
        let view = view(&pair, BR, id);
        has(&view, Some(1), DeliveryState::Submitted, "the peer's node has not receipted it in time: step 1 of 1 here");
        assert_eq!(view.history.last().unwrap().state, DeliveryState::Stored, "{:?}", view.history);
    }
    for id in [&delivered, &later] {
        let view = view(&pair, BR, id);
        assert!(view.history.iter().all(|entry| !entry.cause.contains("has not receipted")), "{:?}", view.history);
    }
}

#[test]
fn i8_an_end_stays_what_it_was_whatever_is_told_later() {
    let mut pair = Pair::linked();
    let notice = pair.notice(BR, Lane::Flash, "decided");
    let alerts = open_alerts(&pair, CL);
    pair.answer(CL, &notice, "denied");
    alerted(&mut pair, CL, alerts[0], true);
    for place in [BR, CL] {
        let view = view(&pair, place, &notice.0);
        assert_eq!(view.row.state, DeliveryState::Decided, "{:?}", view.history);
    }
}

#[test]
fn what_machines_tell_each_other_is_in_no_list_and_a_search_for_its_kind_finds_it() {
    let mut pair = Pair::linked();
    let (id, _) = pair.notice(BR, Lane::Flash, "a notice");
    let arrived = open_alerts(&pair, CL)[0];
    alerted(&mut pair, CL, arrived, true);
    pair.unlink();
    pair.pass(HOUR_MS / 6 + 1);
    for alert in open_alerts(&pair, CL) {
        alerted(&mut pair, CL, alert, false);
    }
    let all = ListQuery { all: true, ..ListQuery::default() };
    let steps = LogQuery { kind: Some("ladder-step".into()), ..LogQuery::default() };
    let (here, there) = (pair.log(BR, "here"), pair.log(CL, "there"));
    let (here, there) = (here.query().unwrap(), there.query().unwrap());
    let inbox = here.inbox(&all).unwrap();
    assert!(inbox.is_empty(), "{inbox:?}");
    let outbox = there.outbox(&all).unwrap();
    assert!(outbox.is_empty(), "a step that is not delivered is no message of ours: {outbox:?}");
    assert_eq!((here.log(&steps).unwrap().rows.len(), there.log(&steps).unwrap().rows.len()), (1, 2));
    assert_eq!(there.inbox(&all).unwrap()[0].id.to_string(), id.to_string());
}

#[test]
fn i12_exercise_and_real_have_lists_and_searches_of_their_own() {
    let mut pair = Pair::linked();
    let mut ids = Vec::new();
    for exercise in [None, Some("BLUE"), Some("RED SEA")] {
        let mut submission = pair.incident(BR, Lane::Priority, "a notice");
        submission.exercise = exercise.map(Text::cut);
        ids.push(pair.send(BR, submission).0.to_string());
    }
    let (here, there) = (pair.log(BR, "here"), pair.log(CL, "there"));
    let cases: [(Option<&str>, bool, &[usize]); 5] = [
        (None, false, &[0, 1, 2]),
        (None, true, &[0]),
        (Some(""), false, &[1, 2]),
        (Some("BLUE"), false, &[1]),
        (Some("GREEN"), false, &[]),
    ];
    for (exercise, real, expected) in cases {
        let exercise = exercise.map(str::to_owned);
        let list = ListQuery { all: true, peer: None, exercise: exercise.clone(), real };
        let search = LogQuery { exercise, real, ..LogQuery::default() };
        let expected: Vec<&String> = expected.iter().map(|place| &ids[*place]).collect();
        let names = |rows: Vec<aldis_control::MessageRow>| {
            let mut names: Vec<String> = rows.iter().map(|row| row.id.to_string()).collect();
            names.sort();
            names
        };
        assert_eq!(names(there.query().unwrap().inbox(&list).unwrap()).iter().collect::<Vec<_>>(), expected);
        assert_eq!(names(here.query().unwrap().outbox(&list).unwrap()).iter().collect::<Vec<_>>(), expected);
        assert_eq!(names(here.query().unwrap().log(&search).unwrap().rows).iter().collect::<Vec<_>>(), expected);
    }
    let both = ListQuery { exercise: Some(String::new()), real: true, ..ListQuery::default() };
    assert!(here.query().unwrap().inbox(&both).is_err());
}
