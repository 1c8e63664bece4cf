//! Opening, creating, setting aside, and what a failure leaves behind; also with real processes that are killed or
//! whose writes fail.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::damage_tests::copy_dir;
use super::durable::Durable;
use super::store::{Direction, Position, Store, StoreError, StoreOptions};
use super::store_tests::{OPTIONS, all_rows, at, check, open, set};

/// Set in a child process, to the directory of its store.
const CHILD_DIR: &str = "ALDIS_TEST_CHILD_DIR";

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn leftover_or_damaged_snapshots_are_no_obstacle() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("log");
    let opened = open(&dir);
    opened.store.apply(&[set("a", "1")], at(1)).unwrap();
    opened.store.flush().unwrap();
    drop(opened);
    for name in ["snap.00000000FFFFFFFF", "snap.0000000000000001", "snap.0000000000000002.generating"] {
        fs::write(dir.join(name), "damaged snapshot").unwrap();
    }
    let opened = open(&dir);
    check(&opened.store).unwrap();
    assert_eq!(opened.store.get(b"a").unwrap().unwrap(), b"1");
    assert!(!names(&dir).iter().any(|name| name.ends_with("FFFFFFFF") || name.ends_with(".generating")));
}

#[test]
fn a_store_in_use_is_refused_and_left_alone() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("log");
    let first = open(&dir);
    fs::write(dir.join("snap.0000000000000002.generating"), "being written").unwrap();
    let before = names(&dir);
    let error = Store::open_or_create(&dir, OPTIONS).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("stop the other daemon"), "{error}");
    assert_eq!(names(&dir), before);
    assert_eq!(names(home.path()), ["log"]);
    first.store.apply(&[set("a", "1")], at(1)).unwrap();
}

#[test]
fn a_creation_cut_short_is_done_again() {
    let home = TempDir::new().unwrap();
    let (dir, aside) = (home.path().join("log"), home.path().join("log.new"));
    drop(open(&dir));
    fs::rename(&dir, &aside).unwrap();
    fs::remove_file(aside.join("conf")).unwrap();
    assert!(open(&dir).is_new);
    assert_eq!(names(home.path()), ["log"]);
}

#[test]
fn an_empty_directory_becomes_a_store() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("log");
    fs::create_dir(&dir).unwrap();
    let opened = open(&dir);
    assert!(opened.is_new);
    assert_eq!(opened.position, Position::default());
}

#[test]
fn nothing_set_aside_is_ever_deleted() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("log");
    for number in 1..=6 {
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("db"), number.to_string()).unwrap();
        let aside = Store::set_aside(&dir).unwrap();
        assert_eq!(aside, home.path().join(format!("log.damaged-{number}")));
    }
    fs::rename(home.path().join("log.damaged-6"), home.path().join("log.damaged-12")).unwrap();
    fs::create_dir(&dir).unwrap();
    assert_eq!(Store::set_aside(&dir).unwrap(), home.path().join("log.damaged-13"));
    assert_eq!(fs::read(home.path().join("log.damaged-2/db")).unwrap(), b"2");
    assert!(matches!(Store::set_aside(&dir), Err(StoreError::Io { .. })));
}

#[test]
fn a_full_disk_is_refused_before_sled_meets_it() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("log");
    let full = StoreOptions { free_space_floor_bytes: u64::MAX, ..OPTIONS };
    let error = Store::open_or_create(&dir, full).unwrap_err();
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
    assert_eq!(names(home.path()), [""; 0]);

    let mut store = open(&dir).store;
    store.options = full;
    let error = store.apply(&[set("a", "1")], at(1)).unwrap_err();
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
    assert_eq!(store.get(b"a").unwrap(), None);
    store.options = OPTIONS;
    store.apply(&[set("a", "1")], at(1)).unwrap();
    check(&store).unwrap();
}

#[test]
fn a_fault_of_the_machine_is_not_called_damage() {
    let home = TempDir::new().unwrap();
    let error = Store::open_or_create(&home.path().join("missing/log"), OPTIONS).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }) && !error.is_rebuild_needed(), "{error}");
}

#[test]
fn openings_that_never_end_are_damage_in_the_end() {
    let home = TempDir::new().unwrap();
    let (dir, mark) = (home.path().join("log"), home.path().join("log.opening"));
    drop(open(&dir));
    fs::write(&mark, "4\n").unwrap();
    drop(open(&dir));
    assert!(!mark.exists());
    fs::write(&mark, "5\n").unwrap();
    let error = Store::open_or_create(&dir, OPTIONS).unwrap_err();
    assert!(error.is_rebuild_needed(), "{error}");
    assert!(!mark.exists());
    fs::write(&mark, "garbage").unwrap();
    drop(open(&dir));
}

#[test]
fn after_a_failure_every_call_tells_the_first_cause() {
    let home = TempDir::new().unwrap();
    let store = open(&home.path().join("log")).store;
    store.apply(&[set("a", "1")], at(1)).unwrap();
    let broken = || Err::<(), _>(sled::Error::ReportableBug("the first cause".to_owned()));
    let error = store.in_sled("applying", |_| broken()).unwrap_err();
    assert!(matches!(error, StoreError::Failed { .. }) && error.is_restart_needed(), "{error}");
    assert_poisoned(&store, "the first cause");
    let store = open(&home.path().join("other")).store;
    let error = store.in_sled("reading", |_| -> sled::Result<()> { panic!("a lost page") }).unwrap_err();
    assert!(error.to_string().contains("a lost page"), "{error}");
    assert_poisoned(&store, "a lost page");
}

/// The proc file system refuses to be synced, and so shows which files a flush syncs.
#[test]
fn a_failed_sync_of_any_file_poisons_the_store() {
    for position in 0..4 {
        let home = TempDir::new().unwrap();
        let dir = home.path().join("log");
        let mut store = open(&dir).store;
        store.apply(&[set("a", "1")], at(1)).unwrap();
        store.flush().unwrap();
        let mut paths = Durable::paths(&dir);
        paths[position] = "/proc/self/status".into();
        store.durable = Durable::open(paths).unwrap();
        let error = store.flush().unwrap_err();
        assert!(matches!(error, StoreError::Failed { action: "syncing", .. }), "{position}: {error}");
        assert_poisoned(&store, "syncing");
    }
}

fn assert_poisoned(store: &Store, first_cause: &str) {
    let outcomes = [
        store.apply(&[set("b", "2")], at(2)),
        store.flush().map(|_| ()),
        store.get(b"a").map(|_| ()),
        store.scan_prefix(b"", None, Direction::Ascending, 1).map(|_| ()),
        check(store),
    ];
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(matches!(error, StoreError::Poisoned { .. }) && error.is_restart_needed(), "{error}");
        assert!(error.to_string().contains(first_cause), "{error}");
    }
}

/// Runs one test of this file in a process of its own, which finds its store's directory in [`CHILD_DIR`]. A `limit`
/// makes writes fail at that size of a file, in units of `ulimit -f`.
fn child(test: &str, dir: &Path, limit: Option<u32>) -> Child {
    let program = std::env::current_exe().unwrap();
    let limit = limit.map_or_else(String::new, |limit| format!("trap '' XFSZ; ulimit -f {limit}; "));
    let test = format!("log::open_tests::{test}");
    Command::new("sh")
        .args(["-c", &format!("{limit}exec \"$0\" \"$@\"")])
        .arg(program)
        .args(["--exact", &test, "--nocapture", "--test-threads", "1"])
        .env(CHILD_DIR, dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The child's side: applies and flushes for ever, or until a write fails, and prints each position it flushed.
#[test]
fn child_that_applies_and_flushes() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else {
        return;
    };
    let opened = open(Path::new(&dir));
    let mut records_applied = opened.position.records_applied;
    let error = loop {
        records_applied += 1;
        let changes =
            [set((records_applied % 500).to_be_bytes(), vec![7; 9_000]), set("last", records_applied.to_be_bytes())];
        match opened.store.apply(&changes, at(records_applied)).and_then(|()| opened.store.flush()) {
            Ok(position) => println!("\nflushed {}", position.records_applied),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Failed { .. }), "{error}");
    assert_poisoned(&opened.store, "");
    drop(opened);
    println!("\npoisoned");
}

/// The positions a child flushed; stops after `count`, and else with the child.
fn flushed(child: &mut Child, count: usize) -> (u64, bool) {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    let (mut last, mut is_poisoned) = (0, false);
    let told = lines.filter(|line| line.starts_with("flushed ") || line == "poisoned");
    for line in told.take(count) {
        match line.strip_prefix("flushed ") {
            Some(number) => last = number.parse().unwrap(),
            None => is_poisoned = true,
        }
    }
    (last, is_poisoned)
}

fn assert_holds(dir: &Path, flushed: u64) {
    let opened = open(dir);
    let reached = opened.position.records_applied;
    assert!(reached >= flushed, "{reached} < {flushed}");
    check(&opened.store).unwrap();
    assert_eq!(opened.store.get(b"last").unwrap().unwrap(), reached.to_be_bytes());
    assert_eq!(all_rows(&opened.store).unwrap().len(), usize::try_from(reached.min(500)).unwrap() + 1);
}

#[test]
fn a_killed_process_loses_nothing_that_was_flushed() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("log");
    for cycle in 0..10 {
        let mut child = child("child_that_applies_and_flushes", &dir, None);
        let (flushed, _) = flushed(&mut child, 1 + cycle * 7);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(flushed > 0);
        assert_holds(&dir, flushed);
    }
}

#[test]
fn a_failed_write_poisons_the_store_until_a_fresh_process_opens_it() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("log");
    let mut child = child("child_that_applies_and_flushes", &dir, Some(8_192));
    let (flushed, is_poisoned) = flushed(&mut child, usize::MAX);
    assert!(child.wait().unwrap().success());
    assert!(flushed > 0 && is_poisoned, "{flushed} {is_poisoned}");
    // A copy has no lock that the ended process might still hold.
    let copy = home.path().join("copy");
    copy_dir(&dir, &copy);
    assert_holds(&copy, flushed);
    assert_holds(&dir, flushed);
}
