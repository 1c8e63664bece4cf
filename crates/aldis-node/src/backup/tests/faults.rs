//! A disk that fails at every single call, of a backup and of a restore. Neither cleans up after an error, so what an
//! error leaves is what a crash at that call would leave.

use super::super::restore::restore_with;
use super::*;
use crate::journal::tests::script::{Failure, Script};
use std::sync::Arc;

const FAILURES: [Failure; 4] = [Failure::Io, Failure::NoSpace, Failure::ShortWrite, Failure::Late];

fn failing_at(call: u64, failure: Failure) -> Disk {
    let script = Arc::new(Script::default());
    script.fail_at(call, failure);
    Disk { script: Some(script) }
}

#[test]
fn i1_a_backup_broken_off_at_any_call_leaves_the_one_before_whole() {
    for failure in FAILURES {
        let world = World::new();
        let mut journal = world.create();
        commit(&mut journal, 60);
        world.back_up(&journal).unwrap();
        for call in 0.. {
            commit(&mut journal, 2);
            let job = Job { disk: failing_at(call, failure), ..world.job(&journal) };
            let before = world.checked().manifest;
            let broken = write(&job, &mut |_, _, _| {});
            let what = format!("{failure:?} at call {call}");
            let after = world.checked();
            assert_eq!(after.findings, Vec::<String>::new(), "{what}");
            assert!(after.manifest.records >= before.records, "{what}");
            if broken.is_ok() {
                assert!(call > 25, "the script reached every call, {call} in all");
                break;
            }
            // The next one is made as if nothing had been.
            assert_eq!(world.back_up(&journal).unwrap().head.size, journal.size(), "{what}");
        }
    }
}

#[test]
fn i9_a_restore_broken_off_at_any_call_never_leaves_a_journal_without_its_marker() {
    let world = World::new();
    let mut journal = world.create();
    commit(&mut journal, 30);
    world.back_up(&journal).unwrap();
    commit(&mut journal, 5);
    let (newer, size) = (journal.root(), journal.size());
    drop(journal);
    for failure in FAILURES {
        for call in 0.. {
            let to = world.path(&format!("{failure:?}-{call}"));
            private_dir(&to);
            private_dir(&to.join("journal"));
            for path in files(&world.journal_dir()) {
                fs::copy(&path, to.join("journal").join(path.file_name().unwrap())).unwrap();
            }
            let wanted = Restore { to: to.clone(), set_aside: true, ..world.wanted("") };
            let broken = restore_with(&failing_at(call, failure), &wanted, &mut |_, _, _| {});
            let what = format!("{failure:?} at call {call}: {:?}", broken.as_ref().err());
            if to.join("journal").exists() {
                let journal = opened(&to.join("journal"));
                let is_old = (journal.root(), journal.size()) == (newer, size);
                assert!(is_old || to.join("restored").exists(), "{what}");
            } else {
                assert!(to.join("restored").exists(), "a start would make a new journal: {what}");
            }
            if broken.is_ok() {
                assert!(call > 15, "the script reached every call, {call} in all");
                break;
            }
            restore_with(&Disk::default(), &Restore { now: now().plus_ms(1), ..wanted }, &mut |_, _, _| {}).unwrap();
            assert_eq!(opened(&to.join("journal")).size(), 30, "{what}");
        }
    }
}
