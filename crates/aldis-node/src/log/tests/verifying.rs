//! What holding the log against the journal finds, and that it finds nothing where nothing is wrong.

use aldis_wire::ids::{EnvelopeId, Seq};
use aldis_wire::lane::Lane;

use super::following::conversation;
use super::pair::{BR, CL, Pair, STORE};
use crate::log::rows::{Moment, message_key, name, time_prefix, value};
use crate::log::store::{Change, Store};

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
