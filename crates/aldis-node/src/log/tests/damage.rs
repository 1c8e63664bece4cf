//! Whatever happens to the files of the log, every notice is there after it is opened again; and damage in the journal is
//! told, never passed over.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use aldis_control::LogQuery;
use aldis_wire::lane::Lane;

use super::pair::{BR, Pair, STORE, caught_up};
use crate::log::rows::stream_key;
use crate::log::store::{Change, StoreOptions};
use crate::log::{LogHandle, LogSettings, LogStatus};

/// Notices in the log that is damaged.
const NOTICES: usize = 60;

/// splitmix64: repeatable numbers, not good ones.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (word ^ (word >> 31)) % limit
    }
}

/// Two hundred times: the directory deleted, a file truncated or removed, or bits flipped. Every notice is there after
/// the log is opened again, in the state it had.
#[test]
fn i9_every_notice_is_there_whatever_happens_to_the_store() {
    let mut pair = Pair::linked();
    let seed = 0x00A1_D150;
    println!("seed {seed}");
    for number in 0..NOTICES {
        let notice = pair.notice(BR, Lane::ALL[number % 4], &format!("notice {number}"));
        if number % 5 == 0 {
            pair.answer(1 - BR, &notice, "acknowledged");
        }
    }
    pair.log(BR, "whole").stop();
    let log = pair.log(BR, "log");
    let expected = everything(&log);
    log.stop();
    drop(log);
    let mut random = Random(seed);
    let mut rebuilt = 0;
    for trial in 0..200 {
        fs::remove_dir_all(pair.dir("log")).unwrap();
        copy_dir(&pair.dir("whole"), &pair.dir("log"));
        let what = damage(&pair.dir("log"), &mut random);
        let before = aside(&pair);
        let log = pair.log(BR, "log");
        assert_eq!(log.status(), LogStatus::Following, "trial {trial}: {what}");
        assert_eq!(everything(&log), expected, "trial {trial}: {what}");
        log.stop();
        rebuilt += usize::from(aside(&pair) > before || what.starts_with("deleted"));
    }
    println!("built again in {rebuilt} of 200 trials");
    assert!(rebuilt > 40, "the damage did no harm");
}

#[test]
fn a_damaged_journal_degrades_the_log_and_hides_no_more_than_the_damage() {
    let mut pair = Pair::linked();
    // Bodies are large enough that the journal has several segments, so that the damage lies in an old one.
    let body = "x".repeat(20_000);
    let mut notices = Vec::new();
    for number in 0..40 {
        let mut incident = pair.incident(BR, Lane::Routine, &format!("notice {number}"));
        let json = serde_json::json!({"subject": format!("notice {number}"), "class": "fraud", "narrative": body});
        incident.bodies = vec![(1, aldis_wire::kinds::from_json("incident", 1, json).unwrap().bytes.into())];
        notices.push(pair.send(BR, incident));
    }
    let reader = pair.certs[BR].journal.reader();
    let hit = reader.iter_from(crate::journal::RecordSeq(0)).map(Result::unwrap);
    let hit = hit.filter(|record| record.body != crate::journal::Body::None).nth(3).unwrap();
    let first = pair.dir("journal-0").join("00000000000000000000.seg");
    let bytes = fs::read(&first).unwrap();
    let at = bytes.windows(hit.record.len()).position(|window| window == &hit.record[..]).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&first).unwrap();
    file.write_all_at(&[bytes[at] ^ 1], at as u64).unwrap();

    let log = pair.log(BR, "log");
    let LogStatus::Degraded { reason, searchable: true } = log.status() else { panic!("{:?}", log.status()) };
    assert!(reason.contains(&format!("record {}", hit.seq)), "{reason}");
    assert!(log.status().alarm().unwrap().contains("incomplete"));
    let all = LogQuery { limit: Some(500), ..LogQuery::default() };
    assert_eq!(log.query().unwrap().log(&all).unwrap().rows.len(), 39);
    log.stop();
    drop(log);
    let log = pair.log(BR, "log");
    assert!(matches!(log.status(), LogStatus::Degraded { .. }), "a restart forgets the gap: {:?}", log.status());
    log.stop();
    drop(log);

    file.write_all_at(&[bytes[at]], at as u64).unwrap();
    let log = pair.log(BR, "log");
    assert_eq!(log.status(), LogStatus::Following);
    assert_eq!(log.query().unwrap().log(&all).unwrap().rows.len(), 40, "the record can be read again");
}

#[test]
fn a_row_that_cannot_be_read_while_the_log_follows_has_it_built_again_in_place() {
    let mut pair = Pair::linked();
    let notice = pair.notice(BR, Lane::Flash, "before").0;
    let log = pair.log(BR, "log");
    {
        let query = log.query().unwrap();
        let key = stream_key(&notice.from, &notice.to, notice.lane);
        let garbage = Change { key, value: Some(vec![0xFF; 40]) };
        query.store().apply(&[garbage], query.store().position().into()).unwrap();
    }
    pair.notice(BR, Lane::Flash, "after");
    log.wake();
    caught_up(&log, pair.certs[BR].journal.size());
    assert_eq!(log.status(), LogStatus::Following);
    assert!(pair.dir("log.damaged-1").exists());
    assert_eq!(everything(&log).len(), 2);
}

#[test]
fn a_failed_flush_ends_the_log_and_tells_the_node_once() {
    let mut pair = Pair::linked();
    let (failed, causes) = mpsc::channel();
    let cert = &pair.certs[BR];
    let settings = pair.log_settings(BR, "log");
    let tell = move |cause| failed.send(cause).unwrap();
    let log = LogHandle::start(settings, cert.journal.reader(), pair.clock(), tell).unwrap();
    caught_up(&log, cert.journal.size());
    // What sled would write there is never synced, so the store takes it for a failure.
    fs::write(pair.dir("log").join("blobs/1"), "x").unwrap();
    pair.notice(BR, Lane::Flash, "after");
    log.wake();
    let cause = causes.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(cause.contains("blobs") && cause.contains("must restart"), "{cause}");
    assert_eq!(log.status(), LogStatus::Failed { reason: cause });
    assert!(log.query().is_err());
    log.stop();
    assert!(causes.recv().is_err(), "told twice");
    fs::remove_file(pair.dir("log").join("blobs/1")).unwrap();
    assert_eq!(everything(&pair.log(BR, "log")).len(), 1, "a fresh start has everything");
}

#[test]
fn a_full_disk_degrades_the_log_and_does_not_hold_up_the_stop() {
    let pair = Pair::linked();
    let cert = &pair.certs[BR];
    let store = StoreOptions { free_space_floor_bytes: u64::MAX, ..STORE };
    let settings = LogSettings { store, ..pair.log_settings(BR, "log") };
    let failed = |cause| panic!("{cause}");
    let log = LogHandle::start(settings, cert.journal.reader(), pair.clock(), failed).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let mut status = log.watch_status();
        let degraded = status.wait_for(|status| matches!(status, LogStatus::Degraded { searchable: false, .. }));
        let degraded = tokio::time::timeout(Duration::from_secs(30), degraded).await.unwrap().unwrap().clone();
        assert!(degraded.alarm().unwrap().contains("must stay free"), "{degraded:?}");
    });
    let error = aldis_control::ApiError::from(log.query().unwrap_err());
    assert_eq!((error.exit, &error.code[..]), (4, "log-not-ready"));
    let begun = std::time::Instant::now();
    log.stop();
    assert!(begun.elapsed() < Duration::from_secs(4), "the stop waits for the next try");
}

/// All messages as they are shown, in pages.
fn everything(log: &LogHandle) -> Vec<String> {
    let query = log.query().unwrap();
    let mut search = LogQuery { limit: Some(50), ..LogQuery::default() };
    let mut rows = Vec::new();
    loop {
        let page = query.log(&search).unwrap();
        rows.extend(page.rows.iter().map(|row| serde_json::to_string(row).unwrap()));
        search.before = page.next;
        if search.before.is_none() {
            return rows;
        }
    }
}

fn damage(dir: &Path, random: &mut Random) -> String {
    let db = dir.join("db");
    let length = fs::metadata(&db).unwrap().len();
    match random.below(10) {
        0 => {
            fs::remove_dir_all(dir).unwrap();
            fs::create_dir(dir).unwrap();
            "deleted".to_owned()
        }
        1 => {
            let name = ["db", "conf", "blobs"][usize::try_from(random.below(3)).unwrap()];
            let path = dir.join(name);
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
            format!("{name} removed")
        }
        2 | 3 => {
            let to = random.below(length);
            fs::OpenOptions::new().write(true).open(&db).unwrap().set_len(to).unwrap();
            format!("db truncated to {to}")
        }
        _ => {
            let mut bytes = fs::read(&db).unwrap();
            let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) as u64 + 1;
            let flips: Vec<u64> = (0..=random.below(32)).map(|_| random.below(used * 8)).collect();
            for flip in &flips {
                bytes[usize::try_from(flip / 8).unwrap()] ^= 1 << (flip % 8);
            }
            fs::write(&db, bytes).unwrap();
            format!("{} bits flipped", flips.len())
        }
    }
}

/// How many damaged logs were set aside.
fn aside(pair: &Pair) -> usize {
    let entries = fs::read_dir(pair.home.path()).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains(".damaged-")).count()
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
