//! That nothing is grossly slow with 10,000 messages. The figures are printed; the bounds are far above them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use aldis_control::{LogQuery, MessageId};
use aldis_core::input::{Input, Token};
use aldis_wire::ids::CaseId;
use aldis_wire::lane::Lane;

use super::pair::{BR, Pair, caught_up};

const MESSAGES: u32 = 10_000;

#[test]
fn ten_thousand_messages_are_built_listed_and_searched_in_seconds() {
    let mut pair = Pair::new();
    for number in 0..MESSAGES / 100 {
        let inputs = (0..100).map(|place| {
            let submission = pair.incident(BR, Lane::ALL[place % 4], &format!("notice {number} {place}"));
            Input::Submit(Token(1), Box::new(submission))
        });
        let inputs: Vec<Input> = inputs.collect();
        pair.inputs(BR, inputs);
    }
    let records = pair.certs[BR].journal.size();
    let begun = Instant::now();
    let log = pair.start_log(BR, "log");
    caught_up(&log, records);
    let built = begun.elapsed();
    let query = log.query().unwrap();
    let timed = |what: &str, rows: usize, limit_s: u64, act: &dyn Fn() -> usize| {
        let begun = Instant::now();
        assert_eq!(act(), rows, "{what}");
        let took = begun.elapsed();
        println!("{what}: {} ms", took.as_millis());
        assert!(took < Duration::from_secs(limit_s), "{what} took {took:?}");
    };
    println!("built from {records} records: {} ms", built.as_millis());
    assert!(built < Duration::from_mins(1), "{built:?}");
    let page = LogQuery { limit: Some(200), ..LogQuery::default() };
    timed("200 latest", 200, 5, &|| query.log(&page).unwrap().rows.len());
    timed("outbox of 500", 500, 5, &|| query.outbox(&aldis_control::ListQuery::default()).unwrap().len());
    let text = LogQuery { text: Some("nowhere".into()), ..page };
    timed("5,000 searched for a text", 0, 20, &|| query.log(&text).unwrap().rows.len());
    assert!(query.log(&text).unwrap().next.is_some(), "a search without a match says where to go on");
    // The index by case is divided by records: the pages cross from each part into the one before.
    let case = CaseId([5; 16]).to_string();
    timed("a case page by page", 10_000, 20, &|| {
        let (mut ids, mut before) = (Vec::new(), None);
        loop {
            let page = LogQuery { case: Some(case[..6].into()), limit: Some(500), before, ..LogQuery::default() };
            let page = query.log(&page).unwrap();
            ids.extend(page.rows.into_iter().map(|row| row.id));
            before = page.next;
            if before.is_none() {
                let is_newest = |id: &MessageId| query.log(&LogQuery::default()).unwrap().rows[0].id == *id;
                assert!(is_newest(&ids[0]), "the latest first");
                return ids.into_iter().collect::<BTreeSet<_>>().len();
            }
        }
    });
    timed("counted", 10_000, 5, &|| usize::try_from(query.counts().unwrap().waiting_out).unwrap());
    drop(query);
    log.stop();
    let begun = Instant::now();
    let log = pair.start_log(BR, "log");
    caught_up(&log, records);
    println!("opened and checked: {} ms", begun.elapsed().as_millis());
}
