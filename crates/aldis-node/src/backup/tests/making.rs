//! What a backup holds, what it writes, and what it refuses.

use super::*;
use crate::journal::tests::script::Script;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[test]
fn i1_a_backup_made_beside_a_writer_holds_everything_committed_before_it() {
    let world = World::new();
    let mut journal = world.create();
    commit(&mut journal, 500);
    let job = world.job(&journal);
    let (stop, committed) = (AtomicBool::new(false), AtomicU64::new(500));
    let mut at_begin = Vec::new();
    let journal = std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            // Bounded, so that a failure outside ends the test and does not keep it writing.
            while !stop.load(Ordering::SeqCst) && journal.size() < 50_000 {
                commit(&mut journal, 1);
                committed.store(journal.size(), Ordering::SeqCst);
            }
            journal
        });
        while at_begin.len() < 6 || committed.load(Ordering::SeqCst) < 3_000 {
            at_begin.push(committed.load(Ordering::SeqCst));
            let written = write(&job, &mut |_, _, _| {}).unwrap();
            assert!(written.head.size >= *at_begin.last().unwrap(), "{written:?}");
        }
        stop.store(true, Ordering::SeqCst);
        writing.join().unwrap()
    });
    let checked = world.checked();
    assert_eq!(checked.findings, Vec::<String>::new());
    assert!(checked.manifest.records >= *at_begin.last().unwrap() && checked.manifest.records <= journal.size());
    super::super::restore(&world.wanted("again"), &mut |_, _, _| {}).unwrap();
    let mut again = opened(&world.path("again/journal"));
    assert_eq!((again.size(), again.root()), (checked.manifest.records, checked.manifest.root.0));
    // It ended there, and goes on from there.
    commit(&mut again, 100);
    drop(again);
    assert!(opened(&world.path("again/journal")).size() > checked.manifest.records);
}

#[test]
fn what_has_not_changed_is_not_written_again() {
    let world = World::new();
    let mut journal = world.create();
    commit(&mut journal, 300);
    let first = world.back_up(&journal).unwrap();
    assert_eq!(first.written_bytes, first.bytes);
    let second = world.back_up(&journal).unwrap();
    // The anchor alone is made anew.
    assert_eq!((second.written_bytes, second.bytes, second.head), (128, first.bytes, first.head));
    commit(&mut journal, 3);
    let third = world.back_up(&journal).unwrap();
    assert!(third.written_bytes < 10_000 && third.bytes > 60_000, "{third:?}");
    let inode = |written: &Written| {
        files(&written.generation.join("journal"))[0]
            .metadata()
            .map(|metadata| (metadata.ino(), metadata.nlink()))
            .unwrap()
    };
    assert_eq!(inode(&second), inode(&third), "one file, two names");
    let kept: Vec<_> = fs::read_dir(world.path("backups")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!first.generation.exists() && kept.len() == 3, "two generations and the lock: {kept:?}");
    assert_eq!(world.checked().generation, third.generation);
}

#[test]
fn an_erased_body_is_gone_from_the_next_backup() {
    let world = World::new();
    let mut journal = world.create();
    commit(&mut journal, 100);
    let words = content(7).1;
    let first = world.back_up(&journal).unwrap();
    assert!(files(&first.generation).iter().any(|path| holds(path, &words)));
    erase(&mut journal, 7);
    let mut job = world.job(&journal);
    job.keep = 1;
    write(&job, &mut |_, _, _| {}).unwrap();
    assert_eq!(world.checked().findings, Vec::<String>::new());
    assert!(!files(&world.path("backups")).iter().any(|path| holds(path, &words)), "it is gone from all of them");
}

#[test]
fn a_body_that_is_erased_while_it_is_copied_is_copied_once_more() {
    let world = World::new();
    let mut options = small();
    options.segment_bytes = 4 << 20;
    let mut journal = Journal::create(&world.journal_dir(), options).unwrap();
    let body = vec![b'x'; 10_000];
    let record = received(now(), &body).encode();
    for _ in 0..60 {
        journal.commit(&[Entry { nonce: [1; 16], record: &record, body: Some(&[&SALT, &body]) }]).unwrap();
    }
    let job = world.job(&journal);
    let mut erased = false;
    let written = write(&job, &mut |_, _, what| {
        if what == "copy" && !std::mem::replace(&mut erased, true) {
            erase(&mut journal, 55);
        }
    });
    assert_eq!(written.unwrap().head.size, 61, "the second try has the word for it");
    assert_eq!(world.checked().findings, Vec::<String>::new());
}

#[test]
fn a_file_that_rotted_in_the_backup_before_is_copied_anew() {
    let world = World::new();
    let mut journal = world.create();
    commit(&mut journal, 100);
    let first = world.back_up(&journal).unwrap();
    let segment = &files(&first.generation.join("journal"))[0];
    let mut bytes = fs::read(segment).unwrap();
    bytes[1_000] ^= 1;
    fs::write(segment, &bytes).unwrap();
    assert!(!world.checked().findings.is_empty());
    let second = world.back_up(&journal).unwrap();
    assert!(second.written_bytes > 128, "{second:?}");
    assert_eq!(world.checked().findings, Vec::<String>::new());
}

#[test]
fn what_is_read_back_otherwise_than_it_was_written_is_no_backup() {
    let world = World::new();
    let mut journal = world.create();
    commit(&mut journal, 50);
    let before = world.back_up(&journal).unwrap();
    let anchor = world.path("backups/unfinished/journal/anchor");
    let error = write(&world.job(&journal), &mut |_, _, what| {
        if what == "read back" {
            fs::write(&anchor, [0; 128]).unwrap();
        }
    });
    assert!(matches!(error, Err(BackupError::Medium(path)) if path == anchor));
    assert_eq!(world.checked().generation, before.generation);
}

#[test]
fn a_damaged_journal_makes_no_backup_and_costs_none() {
    let world = World::new();
    let mut journal = world.create();
    commit(&mut journal, 100);
    let before = world.back_up(&journal).unwrap();
    let segment = &files(&world.journal_dir())[0];
    let mut bytes = fs::read(segment).unwrap();
    let at = bytes.windows(8).position(|window| window == b"the body").unwrap();
    bytes[at] ^= 1;
    fs::write(segment, &bytes).unwrap();
    for _ in 0..3 {
        let error = world.back_up(&journal).unwrap_err();
        assert!(matches!(&error, BackupError::Damaged(what) if what.contains("at byte")), "{error}");
        assert_eq!(error.exit(), aldis_control::Exit::Integrity);
    }
    assert_eq!((world.checked().generation, world.checked().findings), (before.generation, vec![]));
}

#[test]
fn a_directory_that_would_not_do_is_refused() {
    let world = World::new();
    let mut journal = world.create();
    commit(&mut journal, 5);
    let refused = |directory: PathBuf| match write(&Job { directory, ..world.job(&journal) }, &mut |_, _, _| {}) {
        Err(error @ BackupError::Directory { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    private_dir(&world.path("data/backups"));
    assert!(refused(world.path("data/backups")).contains("must not be in the data directory"));
    private_dir(&world.path("outer"));
    std::os::unix::fs::symlink(world.path("data/backups"), world.path("link")).unwrap();
    assert!(refused(world.path("link")).contains("must not be in the data directory"));
    fs::set_permissions(world.temp.path(), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(refused(world.temp.path().to_owned()).contains("nor hold it"));
    assert!(refused(world.path("nowhere")).contains("mount it"));
    assert!(refused(world.path("aldisd.toml")).contains("not a directory"));
    fs::set_permissions(world.path("outer"), fs::Permissions::from_mode(0o750)).unwrap();
    assert!(refused(world.path("outer")).contains("chmod 700"));
}

#[test]
fn i7_a_full_disk_another_writer_and_another_node_are_told_before_anything_is_written() {
    let world = World::new();
    let mut journal = world.create();
    commit(&mut journal, 100);
    let script = Arc::new(Script::default());
    script.set_free_bytes(1_000);
    let job = Job { disk: Disk { script: Some(script) }, ..world.job(&journal) };
    assert!(matches!(write(&job, &mut |_, _, _| {}), Err(BackupError::NoSpace { free_bytes: 1_000, .. })));
    let before = world.back_up(&journal).unwrap();
    let other = Job { node: NodeId::new("cert.cl").unwrap(), ..world.job(&journal) };
    assert!(matches!(write(&other, &mut |_, _, _| {}), Err(BackupError::OtherNode { found, .. }) if found == own()));
    let mut busy = None;
    write(&world.job(&journal), &mut |_, _, _| busy = Some(world.back_up(&journal))).unwrap();
    assert!(matches!(busy, Some(Err(BackupError::Busy { .. }))));
    assert!(before.generation.exists());
}
