//! What holding the log against the journal finds, and that it finds nothing where nothing is wrong.

use super::following::conversation;
use super::pair::{BR, CL, Pair, STORE};
use crate::journal::{self, tests::forging::change_body};
use crate::log::rows::{Moment, message_key, name, time_prefix, value};
use crate::log::store::{Change, Store};
use crate::verification;
use aldis_core::record::{BodyErased, Record, RecordSeq};
use aldis_wire::ids::{EnvelopeId, Seq, UnixMillis};
use aldis_wire::lane::Lane;

/// The journal of `CL`, as `aldisd verify` reads it.
const JOURNAL: &str = "journal-1";

fn findings(pair: &Pair) -> Vec<journal::Finding> {
    verification::of_journal(&pair.dir(JOURNAL), None, &mut |_, _, _| {}).unwrap().findings
}

#[test]
fn a_log_that_followed_agrees_with_its_journal() {
    let mut pair = Pair::linked();
    conversation(&mut pair, |_| ());
    for place in [BR, CL] {
        let log = pair.log(place, &format!("log-{place}"));
        let (mut last, mut calls) = ((0, 0), 0);
        let found = log.query().unwrap().verify(&mut |done, total| {
            assert!(done >= last.0 && done <= total);
            (last, calls) = ((done, total), calls + 1);
            true
        });
        let found = found.unwrap();
        assert_eq!(found.findings, []);
        assert_eq!(found.records, pair.certs[place].journal.size());
        assert!(found.rows > 20 && last.0 == last.1 && calls > 1);
    }
}

#[test]
fn i9_each_difference_is_found_with_its_place() {
    let mut pair = Pair::linked();
    let messages: Vec<_> = (0..5).map(|number| pair.notice(BR, Lane::Flash, &format!("{number}")).0).collect();
    pair.log(BR, "log").stop();
    {
        // Written through the store, so that only the journal can tell.
        let opened = Store::open_or_create(&pair.dir("log"), STORE).unwrap();
        let row = |at: usize| {
            let key = message_key(&messages[at]);
            let bytes = opened.store.get(&key).unwrap().unwrap();
            (key, crate::log::pending::decode::<crate::log::rows::Message>(&opened.store, &[], &bytes).unwrap())
        };
        let (removed, _) = row(0);
        let (altered, mut other) = row(1);
        other.tlp = 5;
        let (_, hidden) = row(2);
        let index = Moment { at: hidden.at, record: hidden.record }.under(time_prefix());
        let mut invented = messages[4].clone();
        invented.seq = Seq::new(99).unwrap();
        let (_, row_of_another) = row(3);
        let changes = [
            Change { key: message_key(&invented), value: Some(value(&row_of_another)) },
            Change {
                key: message_key(&EnvelopeId { seq: Seq::new(98).unwrap(), ..invented.clone() }),
                value: Some(value(&row_of_another)),
            },
            Change { key: removed, value: None },
            Change { key: altered, value: Some(value(&other)) },
            Change { key: index, value: Some(name(&messages[3])) },
        ];
        opened.store.apply(&changes, opened.position.into()).unwrap();
        opened.store.flush().unwrap();
    }
    let log = pair.log(BR, "log");
    let found = log.query().unwrap().verify(&mut |_, _| true).unwrap();
    let told: Vec<String> = found.findings.iter().map(|one| format!("{}: {}", one.place, one.what)).collect();
    let expected = [
        (messages[0].to_string(), "missing in the log"),
        (messages[1].to_string(), "another marking or desk"),
        (messages[2].to_string(), "index by time"),
        ("the log".to_owned(), "the log has 6 messages"),
    ];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for (told, (place, what)) in told.iter().zip(expected) {
        assert!(told.contains(&place) && told.contains(what), "{told}");
    }
}

#[test]
fn whoever_asked_can_stop_it() {
    let mut pair = Pair::linked();
    for number in 0..300 {
        pair.notice(BR, Lane::Routine, &format!("{number}"));
    }
    let log = pair.log(BR, "log");
    let mut calls = 0;
    let found = log.query().unwrap().verify(&mut |_, _| {
        calls += 1;
        false
    });
    assert_eq!((calls, found.unwrap().records), (1, 0));
}

/// Neither checksums nor the tree of records speak of bodies; only what the sender signed does.
#[test]
fn i9_a_body_changed_on_the_disk_is_found_and_never_shown() {
    let mut pair = Pair::linked();
    let notices: Vec<_> = (0..3).map(|number| pair.notice(BR, Lane::Flash, &format!("{number}")).0).collect();
    let log = pair.log(CL, "log");
    let record = log.query().unwrap().exhibit(&notices[1]).unwrap().record;
    assert_eq!(findings(&pair), []);
    change_body(&pair.dir(JOURNAL), record, |body| *body.last_mut().unwrap() ^= 1);
    let found = findings(&pair);
    let [finding] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(finding.record.unwrap().0, record);
    assert!(finding.what.contains("not what the record committed to"), "{finding}");
    let shown = |id| log.query().unwrap().message(id).unwrap().broken().0;
    let (changed, other) = (shown(&notices[1]), shown(&notices[2]));
    assert_eq!((changed.body, changed.body_absent.unwrap().code.as_str()), (None, "journal-damaged"));
    assert!(other.body.is_some());
}

#[test]
fn a_body_that_was_erased_with_a_word_is_no_finding() {
    let mut pair = Pair::linked();
    let notices: Vec<_> = (0..2).map(|number| pair.notice(BR, Lane::Flash, &format!("{number}")).0).collect();
    let log = pair.log(CL, "log");
    let [erased, silently] = [0, 1].map(|at| log.query().unwrap().exhibit(&notices[at]).unwrap().record);
    let word = BodyErased { record: RecordSeq(erased), at: UnixMillis::new(2) };
    pair.journal(CL, vec![(Record::BodyErased(word), None)]);
    pair.certs[CL].journal.erase_body(journal::RecordSeq(erased)).unwrap();
    assert_eq!(findings(&pair), []);
    pair.certs[CL].journal.erase_body(journal::RecordSeq(silently)).unwrap();
    let found = findings(&pair);
    let [finding] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(finding.record.unwrap().0, silently);
    assert_eq!(finding.what, "the body was erased, and no record says so");
}
