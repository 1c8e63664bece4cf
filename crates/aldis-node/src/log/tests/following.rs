//! A log that followed, one that was built at once, and one that was stopped midway are the same log.

use aldis_wire::codes::Code;
use aldis_wire::header::ReferenceRole;
use aldis_wire::lane::Lane;

use super::pair::{BR, CL, HOUR_MS, Pair, caught_up, reference, rows_in};
use crate::log::store::{Row, Store};
use crate::log::{LogHandle, LogStatus, durable_position};

/// A conversation with one of everything; after each step `step` is told.
pub(super) fn conversation(pair: &mut Pair, mut step: impl FnMut(&Pair)) {
    let answered = pair.notice(BR, Lane::Priority, "answered");
    step(pair);
    for says in ["seen", "acknowledged", "pending", "approved"] {
        pair.answer(CL, &answered, says);
        step(pair);
    }
    let mut refused = pair.incident(BR, Lane::Flash, "refused");
    refused.desk = aldis_wire::codes::Desk(77);
    pair.send(BR, refused);
    step(pair);
    let early = pair.notice(BR, Lane::Routine, "early warning");
    let mut later = pair.incident(BR, Lane::Immediate, "final report");
    later.references = reference(ReferenceRole::SUPERSEDES, &early);
    pair.send(BR, later);
    step(pair);
    pair.unlink();
    for number in 0..20 {
        pair.notice(BR, Lane::Routine, &format!("queued {number}"));
    }
    let mut short = pair.incident(BR, Lane::Priority, "expires");
    short.lifetime_ms = HOUR_MS;
    pair.send(BR, short);
    step(pair);
    pair.pass(2 * HOUR_MS);
    step(pair);
    pair.link();
    let question = pair.notice(CL, Lane::Priority, "a question the other way");
    step(pair);
    pair.answer(BR, &question, "denied");
    let text = Some(aldis_wire::codec::Text::cut("half of the disk is gone"));
    pair.input(BR, aldis_core::input::Input::NodeAlarm { code: Code::known("low-space"), peer: None, text });
    pair.input(BR, aldis_core::input::Input::Stop);
    step(pair);
}

#[test]
fn a_log_built_again_equals_the_one_that_followed() {
    let mut pair = Pair::linked();
    let logs = [BR, CL].map(|place| pair.log(place, &format!("followed-{place}")));
    let sizes = |pair: &Pair| [BR, CL].map(|place| pair.certs[place].journal.size());
    conversation(&mut pair, |pair| {
        for (log, size) in logs.iter().zip(sizes(pair)) {
            log.wake();
            caught_up(log, size);
        }
    });
    logs.iter().for_each(LogHandle::stop);
    drop(logs);
    for place in [BR, CL] {
        pair.log(place, &format!("built-{place}")).stop();
        let followed = rows_in(&pair.dir(&format!("followed-{place}")));
        let built = rows_in(&pair.dir(&format!("built-{place}")));
        assert!(followed.len() > 100, "only {} rows", followed.len());
        assert_eq!(followed, built);
        assert!(built.iter().all(|row| row.value.len() <= 4_096), "a row is longer than sled likes");
        let body = b"a question the other way";
        let holds_content = |row: &Row| row.value.windows(body.len()).any(|window| window == body);
        assert!(!built.iter().any(holds_content), "a row holds what must be erasable");
    }
}

#[test]
fn a_log_goes_on_where_it_stopped() {
    let mut pair = Pair::linked();
    conversation(&mut pair, |pair| pair.log(BR, "stopped").stop());
    pair.log(BR, "built").stop();
    assert_eq!(rows_in(&pair.dir("stopped")), rows_in(&pair.dir("built")));
    let position = durable_position(&pair.dir("stopped")).unwrap();
    assert_eq!((position.size, position.root), (pair.certs[BR].journal.size(), pair.certs[BR].journal.root()));
}

#[test]
fn a_log_ahead_of_its_journal_or_of_another_node_is_built_again() {
    let (mut ahead, mut behind) = (Pair::linked(), Pair::linked());
    for number in 0..10 {
        ahead.notice(BR, Lane::Routine, &format!("notice {number}"));
    }
    let only = behind.notice(BR, Lane::Routine, "the only one");
    for (place, name) in [(BR, "ahead"), (CL, "the other node's")] {
        ahead.log(place, "log").stop();
        std::fs::rename(ahead.dir("log"), behind.dir("log")).unwrap();
        let log = behind.log(BR, "log");
        assert_eq!(log.status(), LogStatus::Following, "{name}");
        assert_eq!(log.query().unwrap().counts().unwrap().waiting_in, 0, "{name}");
        assert_eq!(log.query().unwrap().message_row(&only.0).unwrap().subject, "the only one", "{name}");
        log.stop();
        let aside = std::fs::read_dir(behind.home.path()).unwrap();
        let aside = aside.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains(".damaged-"));
        assert!(aside.count() > 0, "{name}: it was not set aside");
        std::fs::remove_dir_all(behind.dir("log")).unwrap();
    }
}

#[test]
fn a_log_of_another_format_is_built_again() {
    let mut pair = Pair::linked();
    pair.notice(BR, Lane::Routine, "kept");
    pair.log(BR, "log").stop();
    {
        let opened = Store::open_or_create(&pair.dir("log"), super::pair::STORE).unwrap();
        let meta = crate::log::rows::Meta { format: 999, own: pair.certs[BR].id.clone() };
        let change = crate::log::store::Change {
            key: crate::log::rows::meta_key(),
            value: Some(crate::log::rows::value(&meta)),
        };
        opened.store.apply(&[change], opened.position.into()).unwrap();
        opened.store.flush().unwrap();
    }
    let log = pair.log(BR, "log");
    assert!(pair.dir("log.damaged-1").exists());
    assert_eq!(log.query().unwrap().log(&aldis_control::LogQuery::default()).unwrap().rows.len(), 1);
}

#[test]
fn nobody_searches_before_the_log_is_whole_and_waiting_is_bounded() {
    let mut pair = Pair::linked();
    pair.notice(BR, Lane::Routine, "kept");
    let log = pair.log(BR, "log");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let never = log.caught_up(1_000_000, std::time::Duration::from_millis(1));
    assert_eq!(runtime.block_on(never), Err(crate::log::NotCaughtUp::Behind(1_000_000)));
    let state = aldis_control::LogState::from(LogStatus::Rebuilding { done: 1, total: 2, cause: String::new() });
    assert_eq!(state, aldis_control::LogState::Rebuilding { done: 1, total: 2 });
    log.stop();
    log.stop();
}
