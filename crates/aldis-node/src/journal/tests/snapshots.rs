//! Snapshots, which are written beside the commits: whatever becomes of them, a start knows every record.

use super::super::*;
use super::support::*;
use aldis_wire::digest::Digest;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

/// A journal of several segments, closed, and the segments' first records.
fn several(world: &World) -> Vec<u64> {
    let mut journal = Journal::create(&world.dir(), small()).unwrap();
    fill(&mut journal, 300, &mut Rng(11));
    journal.stop_cleanly().unwrap();
    let firsts = segment::list(&world.dir()).unwrap();
    assert!(firsts.len() > 3);
    firsts
}

/// Opens the journal: everything is known, and the replay began with the snapshot before record `first`.
fn assert_begins_with(dir: &Path, first: Option<u64>) -> RecoveryReport {
    let (recovered, replica) = open(dir).unwrap();
    assert_eq!(replica.snapshot, first.map(snapshot_at));
    assert_whole(&replica, recovered.journal.size());
    let Recovered { mut journal, report } = recovered;
    commit(&mut journal, 1).unwrap();
    assert_eq!(journal.reader().read(RecordSeq(1)).unwrap().record, content(1).0);
    report
}

fn snapshot_files(dir: &Path, firsts: &[u64]) -> Vec<PathBuf> {
    firsts.iter().map(|first| snapshot::path(dir, *first)).collect()
}

#[test]
fn i9_without_the_latest_snapshots_a_start_replays_from_an_earlier_one_or_from_the_first_record() {
    let world = World::new();
    let firsts = several(&world);
    for (index, first) in firsts.iter().enumerate().skip(1).rev() {
        let report = assert_begins_with(&world.dir(), Some(*first));
        assert_eq!(report.degraded, []);
        fs::remove_file(&snapshot_files(&world.dir(), &firsts)[index]).unwrap();
    }
    assert_begins_with(&world.dir(), None);
    assert_eq!(verify(&world.dir(), None, &told(&|_| false), &mut |_, _, _| {}).unwrap().findings, []);
}

#[test]
fn i9_a_snapshot_that_is_damaged_anywhere_is_named_and_an_earlier_one_serves() {
    let world = World::new();
    let firsts = several(&world);
    let [.., before, last] = firsts[..] else { panic!("there are several") };
    let path = snapshot::path(&world.dir(), last);
    let sound = fs::read(&path).unwrap();
    let flipped = (0..sound.len()).map(|at| {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x10;
        bytes
    });
    let cut = (0..sound.len()).map(|length| sound[..length].to_vec());
    let longer = [sound.clone(), vec![0; 8]].concat();
    let another = fs::read(snapshot::path(&world.dir(), before)).unwrap();
    for bytes in flipped.chain(cut).chain([longer, another]) {
        fs::write(&path, &bytes).unwrap();
        let (recovered, replica) = open(&world.dir()).unwrap();
        assert_eq!(replica.snapshot, Some(snapshot_at(before)));
        assert_whole(&replica, recovered.journal.size());
        let names: Vec<&str> = recovered.report.degraded.iter().map(|finding| finding.file.as_str()).collect();
        assert_eq!(names, [snapshot::name(last)]);
    }
    let report = verify(&world.dir(), None, &told(&|_| false), &mut |_, _, _| {}).unwrap();
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.findings[0].file, snapshot::name(last));
}

#[test]
fn i9_damage_behind_the_snapshot_that_is_used_refuses_a_start_and_before_it_does_not() {
    let world = World::new();
    let firsts = several(&world);
    let [.., before, last] = firsts[..] else { panic!("there are several") };
    let path = segment::path(&world.dir(), before);
    let mut bytes = fs::read(&path).unwrap();
    bytes[600] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_begins_with(&world.dir(), Some(last));
    fs::remove_file(snapshot::path(&world.dir(), last)).unwrap();
    let error = open(&world.dir()).unwrap_err();
    assert!(matches!(&error, OpenError::Damaged(finding) if finding.file == segment::name(before)), "{error}");
    fs::remove_file(&path).unwrap();
    let error = open(&world.dir()).unwrap_err();
    assert!(matches!(&error, OpenError::Damaged(_)), "{error}");
}

#[test]
fn i9_an_anchor_in_a_sealed_segment_that_is_replayed_is_held_against_it() {
    let world = World::new();
    let firsts = several(&world);
    let [.., before, last] = firsts[..] else { panic!("there are several") };
    // Any size that a commit ended with.
    let head = |size| history::root_at(&world.dir(), &firsts, size).map(|root| TreeHead { size, root });
    let right = (before + 1..last).find_map(|size| head(size).ok()).unwrap();
    fs::remove_file(snapshot::path(&world.dir(), last)).unwrap();
    open_with(&world.dir(), small(), Some(right)).unwrap();
    let wrong = TreeHead { root: Digest::ZERO, ..right };
    let error = open_with(&world.dir(), small(), Some(wrong)).unwrap_err();
    assert!(matches!(error, OpenError::BehindAnchor { .. }), "{error}");
}

#[test]
fn i14_commits_wait_for_no_snapshot_and_no_segment_follows_before_it_is_written() {
    let world = World::new();
    let options = Options { prepare_ahead: true, ..small() };
    let mut journal = Journal::create(&world.dir(), options).unwrap();
    commit(&mut journal, 3).unwrap();
    let (go_on, waits) = mpsc::channel::<()>();
    let make = move || {
        waits.recv().unwrap();
        snapshot_at(3)
    };
    journal.rotate(Box::new(make)).unwrap();
    while journal.live_offset() < SEGMENT_BYTES + 4096 {
        commit(&mut journal, 4).unwrap();
    }
    assert!(!journal.should_rotate() && !snapshot::path(&world.dir(), 3).exists());
    let size = journal.size();
    go_on.send(()).unwrap();
    wait_until(|| journal.should_rotate());
    assert!(snapshot::path(&world.dir(), 3).exists());
    drop(journal);
    let (recovered, replica) = open(&world.dir()).unwrap();
    assert_eq!((replica.snapshot.clone(), recovered.journal.size()), (Some(snapshot_at(3)), size));
    assert_whole(&replica, size);
}

#[test]
fn a_snapshot_that_fails_beside_the_commits_fails_the_journal() {
    let world = World::new();
    let options = Options { prepare_ahead: true, ..small() };
    let mut journal = Journal::create(&world.dir(), options).unwrap();
    commit(&mut journal, 3).unwrap();
    // A directory where the file should be: it cannot be removed as a file is.
    fs::create_dir(snapshot::aside_path(&world.dir())).unwrap();
    journal.rotate(Box::new(|| snapshot_at(3))).unwrap();
    let begun = std::time::Instant::now();
    let error = loop {
        match commit(&mut journal, 1) {
            Ok(_) => assert!(begun.elapsed() < std::time::Duration::from_secs(60)),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, CommitError::Io { what: "write a snapshot in", .. }), "{error}");
    assert!(matches!(commit(&mut journal, 1), Err(CommitError::Poisoned)));
}
