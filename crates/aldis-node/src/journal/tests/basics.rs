//! Create, commit, read, rotate, erase, reopen, and everything that is refused.

use super::super::*;
use super::support::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

#[test]
fn i1_what_was_committed_is_there_after_reopening() {
    let world = World::new();
    let mut journal = Journal::create(&world.dir(), small()).unwrap();
    fill(&mut journal, 300, &mut Rng(1));
    let (size, root) = (journal.size(), journal.root());
    let reader = journal.reader();
    for seq in 0..size {
        let found = reader.read(RecordSeq(seq)).unwrap();
        let (record, body) = content(seq);
        assert_eq!(found.record, record);
        assert_eq!(found.body, body.map_or(Body::None, |body| Body::Present(body.into())));
    }
    assert!(matches!(reader.read(RecordSeq(size)), Err(ReadError::NotCommitted { .. })));
    drop(journal);
    let (recovered, replica) = open(&world.dir()).unwrap();
    assert_eq!((recovered.journal.size(), recovered.journal.root()), (size, root));
    assert!(recovered.report.degraded.is_empty(), "{:?}", recovered.report);
    assert_whole(&replica, size);
    assert!(replica.snapshot.is_some() && replica.records.len() < 300, "only what follows the snapshot is replayed");
    let all: Vec<_> = recovered.journal.reader().iter_from(RecordSeq(0)).map(|record| record.unwrap().seq.0).collect();
    assert_eq!(all, (0..size).collect::<Vec<_>>());
}

#[test]
fn roots_of_earlier_commits_and_leaves_can_be_had_for_proofs() {
    let world = World::new();
    let mut journal = Journal::create(&world.dir(), small()).unwrap();
    let (mut commits, mut rng) = (Vec::new(), Rng(2));
    for _ in 0..200 {
        commits.push(commit(&mut journal, 1 + rng.below(4)).unwrap());
        if journal.should_rotate() {
            journal.rotate(Box::new(|| b"s".to_vec())).unwrap();
        }
    }
    let reader = journal.reader();
    let leaves: Vec<_> = reader.leaf_hashes_from(RecordSeq(0)).map(Result::unwrap).collect();
    for made in &commits {
        let head = TreeHead { size: made.size, root: made.root };
        assert_eq!(reader.commit_of(made.first).unwrap(), head);
        assert_eq!(reader.commit_of(RecordSeq(made.size - 1)).unwrap(), head);
        assert_eq!(aldis_wire::merkle::root(&leaves[..made.size as usize]), made.root);
    }
}

#[test]
fn readers_see_committed_records_whole_beside_the_writer_and_so_does_verify() {
    let world = World::new();
    let options = Options { prepare_ahead: true, ..small() };
    let mut journal = Journal::create(&world.dir(), options).unwrap();
    let (reader, dir) = (journal.reader(), world.dir());
    let target = 1200;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let reader = reader.clone();
            scope.spawn(move || {
                let mut records = reader.iter_from(RecordSeq(0));
                let mut next = 0;
                while next < target {
                    if let Some(record) = records.next() {
                        let record = record.unwrap();
                        assert_eq!((record.seq.0, &record.record[..]), (next, &content(next).0[..]));
                        next += 1;
                    } else {
                        std::thread::yield_now();
                    }
                }
            });
        }
        let watcher = reader.clone();
        scope.spawn(move || {
            while watcher.committed() < target {
                let report = verify(&dir, None, &told(&|_| false), &mut |_, _, _| {}).unwrap();
                assert_eq!(report.findings, vec![]);
            }
        });
        let mut rng = Rng(7);
        while journal.size() < target {
            fill(&mut journal, 1, &mut rng);
        }
    });
    assert!(segment::list(&world.dir()).unwrap().len() > 3);
}

#[test]
fn i9_an_erased_body_is_gone_for_good_and_every_root_stays() {
    let world = World::new();
    let mut journal = Journal::create(&world.dir(), small()).unwrap();
    fill(&mut journal, 150, &mut Rng(8));
    let (root, erased) = (journal.root(), [1, 2, 4, journal.size() - 1 - u64::from(journal.size() % 3 == 1)]);
    let secret = content(4).1.unwrap();
    for seq in erased {
        journal.erase_body(RecordSeq(seq)).unwrap();
        journal.erase_body(RecordSeq(seq)).unwrap();
        assert_eq!(journal.reader().read(RecordSeq(seq)).unwrap().body, Body::Erased);
        assert_eq!(journal.reader().read(RecordSeq(seq)).unwrap().record, content(seq).0);
    }
    journal.erase_body(RecordSeq(3)).unwrap();
    assert_eq!(journal.reader().read(RecordSeq(3)).unwrap().body, Body::None);
    assert_eq!(journal.root(), root);
    drop(journal);
    let bytes = fs::read(segment::path(&world.dir(), 0)).unwrap();
    assert!(!bytes.windows(16).any(|window| window == &secret[..16]), "nothing of the body is left");
    let clean = verify(&world.dir(), None, &told(&|seq| erased.contains(&seq.0)), &mut |_, _, _| {}).unwrap();
    assert_eq!((clean.findings, clean.head.root), (vec![], root));
    let strict =
        verify(&world.dir(), None, &told(&|seq| seq.0 != 2 && erased.contains(&seq.0)), &mut |_, _, _| {}).unwrap();
    assert_eq!(strict.findings.len(), 1);
    assert_eq!(strict.findings[0].record, Some(RecordSeq(2)));
    assert_eq!(open(&world.dir()).unwrap().0.journal.root(), root);
}

#[test]
fn i9_an_interrupted_erasure_is_finished_on_opening_and_shown_by_verify() {
    let world = World::new();
    let mut journal = Journal::create(&world.dir(), small()).unwrap();
    commit(&mut journal, 4).unwrap();
    let (segment, offset) = journal.reader().locate(RecordSeq(2)).unwrap();
    let head = segment.head(offset, RecordSeq(2)).unwrap();
    journal.erase_body(RecordSeq(2)).unwrap();
    drop(journal);
    let path = segment::path(&world.dir(), 0);
    let mut bytes = fs::read(&path).unwrap();
    bytes[offset as usize + head.leaf_part_len() + 3] = 9;
    fs::write(&path, &bytes).unwrap();
    let report = verify(&world.dir(), None, &told(&|_| true), &mut |_, _, _| {}).unwrap();
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert_eq!(report.findings[0].record, Some(RecordSeq(2)));
    open(&world.dir()).unwrap();
    assert_eq!(verify(&world.dir(), None, &told(&|_| true), &mut |_, _, _| {}).unwrap().findings, vec![]);
}

#[test]
fn a_second_daemon_on_the_same_data_is_refused() {
    let world = World::new();
    let journal = Journal::create(&world.dir(), small()).unwrap();
    assert!(matches!(open(&world.dir()), Err(OpenError::Locked { .. })));
    drop(journal);
    let first = open(&world.dir()).unwrap();
    assert!(matches!(open(&world.dir()), Err(OpenError::Locked { .. })));
    drop(first);
    open(&world.dir()).unwrap();
}

#[test]
fn what_is_not_there_or_there_already_is_refused() {
    let world = World::new();
    assert!(matches!(open(&world.dir()), Err(OpenError::Missing { .. })));
    drop(Journal::create(&world.dir(), small()).unwrap());
    assert!(matches!(Journal::create(&world.dir(), small()), Err(OpenError::Exists { .. })));
    let nowhere = Journal::create(&world.path("no/such"), small()).unwrap_err();
    assert!(matches!(nowhere, OpenError::Io { .. }), "{nowhere}");
}

#[test]
fn files_are_for_the_owner_only_and_others_modes_are_refused() {
    let world = World::new();
    drop(Journal::create(&world.dir(), small()).unwrap());
    drop(open(&world.dir()).unwrap());
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&world.dir()), 0o700);
    for entry in fs::read_dir(world.dir()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    for path in [world.dir(), segment::path(&world.dir(), 0)] {
        let right = mode(&path);
        fs::set_permissions(&path, fs::Permissions::from_mode(right | 0o040)).unwrap();
        let error = open(&world.dir()).unwrap_err();
        assert!(matches!(&error, OpenError::Mode { path: named, .. } if *named == path), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(right)).unwrap();
    }
    open(&world.dir()).unwrap();
}

#[test]
fn segments_are_written_ahead_and_commits_do_not_grow_them() {
    let world = World::new();
    let options = Options { prepare_ahead: true, ..small() };
    let mut journal = Journal::create(&world.dir(), options).unwrap();
    let mut rng = Rng(9);
    for _ in 0..3 {
        let path = segment::path(&world.dir(), *segment::list(&world.dir()).unwrap().last().unwrap());
        let length = path.metadata().unwrap().len();
        assert!(
            length > SEGMENT_BYTES && path.metadata().unwrap().blocks() * 512 >= length,
            "written, not only allotted"
        );
        while journal.live_offset() < SEGMENT_BYTES + 4096 {
            commit(&mut journal, 1 + rng.below(4)).unwrap();
        }
        wait_until(|| journal.should_rotate());
        assert_eq!(path.metadata().unwrap().len(), length);
        rotate(&mut journal).unwrap();
    }
}

#[test]
fn what_is_written_ahead_holds_a_segment_and_not_much_more() {
    for snapshot in [0, 1, 8 << 10, 1 << 20] {
        let (ahead, data) =
            (segment::prepared_bytes(SEGMENT_BYTES, snapshot), segment::data_bytes(SEGMENT_BYTES, snapshot));
        assert!(ahead >= data * 9 / 8 + 4096, "{snapshot}: {ahead}");
        assert!(ahead <= data * 3 / 2 + 4096, "{snapshot}: {ahead}");
    }
}

#[test]
fn i9_a_copy_of_an_earlier_moment_holds_what_there_was_then_and_no_later_segment() {
    let world = World::new();
    let mut journal = Journal::create(&world.dir(), small()).unwrap();
    let none = TreeHead { size: 0, root: journal.root() };
    let empty = Part { name: segment::name(0), bytes: journal.live_offset() };
    commit(&mut journal, 3).unwrap();
    let head = TreeHead { size: journal.size(), root: journal.root() };
    let then = Part { name: segment::name(0), bytes: journal.live_offset() };
    fill(&mut journal, 150, &mut Rng(3));
    assert!(segment::list(&world.dir()).unwrap().len() > 1);
    assert_eq!(parts(&world.dir(), &none).unwrap(), [empty]);
    assert_eq!(parts(&world.dir(), &head).unwrap(), [then]);
    let another = TreeHead { root: none.root, ..head };
    let error = parts(&world.dir(), &another).unwrap_err();
    assert!(matches!(&error, OpenError::Damaged(_)) && error.to_string().contains("it was"), "{error}");
}

#[test]
fn i9_a_segment_longer_than_any_commit_is_read_to_its_end() {
    let world = World::new();
    let mut journal = Journal::create(&world.dir(), Options { segment_bytes: 128 << 20, ..small() }).unwrap();
    let record = vec![5; MAX_RECORD_BYTES];
    let entry = Entry { nonce: [0; NONCE_BYTES], record: &record, body: None };
    while journal.live_offset() <= MAX_COMMIT_BYTES as u64 {
        journal.commit(&[entry; 13]).unwrap();
    }
    let report = verify(&world.dir(), None, &told(&|_| false), &mut |_, _, _| {}).unwrap();
    assert_eq!((report.findings, report.head.size), (vec![], journal.size()));
}

#[test]
fn snapshots_cost_at_most_a_quarter() {
    let world = World::new();
    let mut journal = Journal::create(&world.dir(), small()).unwrap();
    commit(&mut journal, 1).unwrap();
    journal.rotate(Box::new(|| vec![5; SEGMENT_BYTES as usize])).unwrap();
    let start = journal.live_offset();
    while !journal.should_rotate() {
        commit(&mut journal, 20).unwrap();
    }
    assert!(journal.live_offset() - start >= 4 * SEGMENT_BYTES);
}

#[test]
fn a_clean_stop_is_seen_once_and_an_unclean_one_is_not_taken_for_it() {
    let world = World::new();
    let mut journal = Journal::create(&world.dir(), small()).unwrap();
    commit(&mut journal, 2).unwrap();
    journal.stop_cleanly().unwrap();
    let (mut recovered, _) = open(&world.dir()).unwrap();
    assert!(recovered.report.clean_stop);
    commit(&mut recovered.journal, 1).unwrap();
    drop(recovered);
    let (recovered, _) = open(&world.dir()).unwrap();
    assert!(!recovered.report.clean_stop && recovered.report.degraded.is_empty());
}

#[test]
fn i7_what_is_too_large_is_refused_before_anything_is_written() {
    let world = World::new();
    let mut journal = Journal::create(&world.dir(), small()).unwrap();
    let (record, body) = (vec![0; MAX_RECORD_BYTES + 1], vec![0; MAX_BODY_BYTES + 1]);
    let parts: &[&[u8]] = &[&body];
    let entry = Entry { nonce: [0; NONCE_BYTES], record: b"r", body: None };
    let full: &[&[u8]] = &[&body[1..]];
    for entries in [
        vec![Entry { record: &record, ..entry }],
        vec![Entry { body: Some(parts), ..entry }],
        vec![entry; MAX_COMMIT_RECORDS + 1],
        vec![Entry { body: Some(full), ..entry }; 4],
    ] {
        assert!(matches!(journal.commit(&entries), Err(CommitError::TooLarge { .. })));
    }
    assert_eq!(journal.commit(&[]).unwrap().count, 0);
    let largest = [Entry { record: &record[1..], body: Some(full), ..entry }];
    journal.commit(&largest).unwrap();
    let read = journal.reader().read(RecordSeq(0)).unwrap();
    assert_eq!((read.record.len(), read.body), (MAX_RECORD_BYTES, Body::Present(full[0].to_vec().into())));
    drop(journal);
    assert_eq!(open(&world.dir()).unwrap().1.records[0].2.as_ref().unwrap().len(), MAX_BODY_BYTES);
}

#[test]
fn a_caller_that_cannot_apply_a_record_stops_the_opening() {
    let world = World::new();
    let mut journal = Journal::create(&world.dir(), small()).unwrap();
    commit(&mut journal, 1).unwrap();
    drop(journal);
    let error = Journal::open(&world.dir(), small(), None, &mut |_| Err("unknown record".into())).unwrap_err();
    assert!(matches!(error, OpenError::Replay { .. }) && error.to_string().contains("record 0"), "{error}");
    assert_whole(&open(&world.dir()).unwrap().1, 1);
}
