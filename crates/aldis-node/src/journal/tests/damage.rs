//! Damage and edits behind the anchors: never silent, always placed.

use super::super::*;
use super::forging::forge;
use super::script::copy_dir;
use super::support::*;
use crate::journal::ReadError;
use std::fs;
use std::path::{Path, PathBuf};

/// A journal of several segments, closed as by a kill.
struct Base {
    world: World,
    size: u64,
    firsts: Vec<u64>,
    /// Where the data of the last segment end.
    end: u64,
    /// All places where commits start or end in each segment.
    commits: Vec<Vec<u64>>,
}

impl Base {
    fn new() -> Self {
        let world = World::new();
        let mut journal = Journal::create(&world.dir(), small()).unwrap();
        let (mut rng, mut commits) = (Rng(11), vec![vec![journal.live_offset()]]);
        for _ in 0..190 {
            commit(&mut journal, 1 + rng.below(4)).unwrap();
            commits.last_mut().unwrap().push(journal.live_offset());
            if journal.should_rotate() {
                rotate(&mut journal).unwrap();
                commits.push(vec![journal.live_offset()]);
            }
        }
        let (size, end) = (journal.size(), journal.live_offset());
        drop(journal);
        let firsts = segment::list(&world.dir()).unwrap();
        assert!(firsts.len() >= 3 && commits.last().unwrap().len() > 20, "{firsts:?}");
        Self { world, size, firsts, end, commits }
    }

    fn copy(&self) -> PathBuf {
        let dir = self.world.path("trial");
        let _ = fs::remove_dir_all(&dir);
        copy_dir(&self.world.dir(), &dir);
        dir
    }

    /// Asserts that nothing stays silent: `verify` must find something in one of `files`, and opening must refuse if
    /// the last segment is concerned, else start degraded or whole.
    fn assert_detected(&self, dir: &Path, files: &[String], last_is_hit: bool, what: &str) {
        let report = verify_quietly(dir);
        assert!(
            report.findings.iter().any(|finding| files.contains(&finding.file)),
            "{what}: not found in {files:?}: {:?}",
            report.findings
        );
        match open(dir) {
            Err(OpenError::Damaged(_) | OpenError::BehindAnchor { .. }) => assert!(last_is_hit, "{what}"),
            Err(error) => panic!("{what}: {error}"),
            Ok((recovered, replica)) => {
                assert!(!last_is_hit, "{what}: opened silently");
                assert_eq!(recovered.journal.size(), self.size);
                assert_whole(&replica, self.size);
            }
        }
    }
}

fn verify_quietly(dir: &Path) -> VerifyReport {
    verify(dir, None, &told(&|_| false), &mut |_, _, _| {}).unwrap()
}

#[test]
fn an_undamaged_journal_verifies_clean_and_progress_reaches_the_end() {
    let base = Base::new();
    let mut progress = Vec::new();
    let report = verify(&base.world.dir(), None, &told(&|_| false), &mut |done, total, name| {
        progress.push((done, total, name.to_owned()));
    })
    .unwrap();
    assert_eq!(report.findings, vec![]);
    assert_eq!((report.records, report.segments, report.head.size), (base.size, base.firsts.len() as u64, base.size));
    assert!(progress.windows(2).all(|pair| pair[0].0 <= pair[1].0), "{progress:?}");
    assert!(progress.iter().all(|(done, total, _)| done <= total));
    assert_eq!(progress.last().unwrap().2, segment::name(*base.firsts.last().unwrap()));
}

#[test]
fn i9_no_flipped_bit_behind_the_anchor_stays_silent() {
    let base = Base::new();
    for seed in 0..flips() * 2 / 5 {
        let (dir, mut rng) = (base.copy(), Rng(seed));
        let which = rng.below(base.firsts.len() as u64) as usize;
        let last = which + 1 == base.firsts.len();
        let path = segment::path(&dir, base.firsts[which]);
        let mut bytes = fs::read(&path).unwrap();
        let limit = if last { base.end } else { bytes.len() as u64 };
        let (at, bit) = (rng.below(limit), rng.below(8));
        bytes[at as usize] ^= 1 << bit;
        fs::write(&path, bytes).unwrap();
        let what = format!("seed {seed}: bit {bit} of byte {at} of segment {which}");
        base.assert_detected(&dir, &[segment::name(base.firsts[which])], last, &what);
    }
}

/// The two files that are small and read before all else: their damage is said, and costs no record.
#[test]
fn i9_a_flipped_bit_in_an_anchor_is_named_and_costs_nothing() {
    let world = World::new();
    let mut journal = Journal::create(&world.dir(), small()).unwrap();
    fill(&mut journal, 6, &mut Rng(6));
    let size = journal.size();
    journal.stop_cleanly().unwrap();
    for seed in 0..flips() / 10 {
        let (dir, mut rng) = (world.path("trial"), Rng(5000 + seed));
        let _ = fs::remove_dir_all(&dir);
        copy_dir(&world.dir(), &dir);
        let name = ["anchor", "clean-stop"][rng.below(2) as usize];
        let mut bytes = fs::read(dir.join(name)).unwrap();
        let (at, bit) = (rng.below(bytes.len() as u64) as usize, rng.below(8));
        bytes[at] ^= 1 << bit;
        fs::write(dir.join(name), bytes).unwrap();
        let what = format!("seed {seed}: bit {bit} of byte {at} of {name}");
        let (recovered, replica) = open(&dir).unwrap_or_else(|error| panic!("{what}: {error}"));
        let places: Vec<_> = recovered.report.degraded.iter().map(|at| (&at.file[..], at.offset)).collect();
        assert_eq!(places, [(name, at as u64 / 64 * 64)], "{what}");
        assert_eq!(recovered.report.clean_stop, name == "anchor", "{what}");
        assert_whole(&replica, size);
    }
}

/// Bits to flip in the whole project: two fifths here in segments and a tenth in anchors, the rest in the message log
/// and in keys, card and configuration.
fn flips() -> u64 {
    std::env::var("ALDIS_BIT_FLIPS").map_or(500, |text| text.parse().unwrap())
}

#[test]
fn a_flipped_bit_is_placed_at_its_record_and_the_others_can_be_read() {
    let base = Base::new();
    for seed in 0..40 {
        let (dir, mut rng) = (base.copy(), Rng(1000 + seed));
        let path = segment::path(&dir, 0);
        let mut bytes = fs::read(&path).unwrap();
        let commits = &base.commits[0];
        let at = commits[0] + rng.below(commits.last().unwrap() - commits[0]);
        bytes[at as usize] ^= 4;
        fs::write(&path, bytes).unwrap();
        let report = verify_quietly(&dir);
        let finding = &report.findings[0];
        let commit = commits.partition_point(|start| *start <= at) - 1;
        assert!(
            finding.offset >= commits[commit] && finding.offset <= at.max(commits[commit]),
            "seed {seed}: byte {at}: {finding}"
        );
        assert!(base.size - report.records <= 8, "seed {seed}: only the damaged commit is lost");
        let (recovered, _) = open(&dir).unwrap();
        let reader = recovered.journal.reader();
        let unread = (0..base.size).filter(|seq| reader.read(RecordSeq(*seq)).is_err()).count();
        assert!(unread <= 70, "seed {seed}: {unread} records cannot be read");
        for seq in (0..base.size).step_by(7) {
            if let Ok(found) = reader.read(RecordSeq(seq)) {
                assert_eq!(found.record, content(seq).0, "seed {seed}: a wrong record");
            }
        }
    }
}

#[test]
fn i9_damage_hides_no_more_from_readers_than_its_own_commit() {
    let base = Base::new();
    for (begin, end) in base.commits[0].iter().zip(&base.commits[0][1..]) {
        // The mark, the two lengths of the first record, and the mark of the end.
        for (at, hidden) in [(*begin, 4), (begin + 9, 4), (begin + 13, 4), (end - format::TRAILER_BYTES as u64, 0)] {
            let dir = base.copy();
            let path = segment::path(&dir, 0);
            let mut bytes = fs::read(&path).unwrap();
            bytes[at as usize] ^= 4;
            fs::write(&path, bytes).unwrap();
            let reader = open(&dir).unwrap().0.journal.reader();
            let unread = (0..base.size).filter(|seq| reader.read(RecordSeq(*seq)).is_err()).count();
            assert!(unread <= hidden, "byte {at} hides {unread} records");
            let (mut records, mut unread) = (reader.iter_from(RecordSeq(0)), 0);
            for next in 1..=base.size {
                if records.next().expect("all are committed").is_err() {
                    unread += 1;
                    records = reader.iter_from(RecordSeq(next));
                }
            }
            assert!(unread <= hidden, "byte {at} hides {unread} records from who reads one after the other");
            let mut some = reader.iter_from(RecordSeq(0));
            let unread = (0..base.size).step_by(3).filter(|seq| some.read_at(RecordSeq(*seq)).is_err()).count();
            assert!(unread <= hidden, "byte {at} hides {unread} records from who reads every third");
            assert!(matches!(some.read_at(RecordSeq(base.size)), Err(ReadError::NotCommitted { .. })));
        }
    }
}

#[test]
fn i9_a_cut_within_the_end_of_a_commit_is_named_with_its_last_record() {
    let base = Base::new();
    let size = open(&base.world.dir()).unwrap().0.journal.reader().commit_of(RecordSeq(0)).unwrap().size;
    let dir = base.copy();
    let file = fs::File::options().write(true).open(segment::path(&dir, 0)).unwrap();
    file.set_len(base.commits[0][1] - 8).unwrap();
    assert_eq!(verify_quietly(&dir).findings[0].record, Some(RecordSeq(size - 1)));
}

#[test]
fn i9_a_segment_that_begins_with_another_tree_of_the_same_size_is_named() {
    let base = Base::new();
    let (dir, first) = (base.copy(), base.firsts[1]);
    let path = segment::path(&dir, first);
    let mut bytes = fs::read(&path).unwrap();
    // The last of the peaks, and the checksum behind it made right again.
    let (start, length) = (segment::SEGMENT_HEADER_BYTES, 16 + first.count_ones() as usize * 32);
    let mut head = bytes[start..start + length].to_vec();
    head[length - 1] ^= 1;
    format::seal(&mut head, 0);
    bytes[start..start + head.len()].copy_from_slice(&head);
    fs::write(&path, bytes).unwrap();
    let found = verify_quietly(&dir).findings;
    assert!(found.iter().any(|finding| finding.file == segment::name(first)), "{found:?}");
    let error = open(&dir).unwrap().0.journal.reader().read(RecordSeq(first)).unwrap_err();
    assert!(error.to_string().contains("is not the one its header names"), "{error}");
}

#[test]
fn i9_a_forged_record_with_right_checksums_is_placed_at_its_commit() {
    let base = Base::new();
    for (which, first) in base.firsts.iter().enumerate() {
        let (dir, commits) = (base.copy(), &base.commits[which]);
        let path = segment::path(&dir, *first);
        let mut bytes = fs::read(&path).unwrap();
        let (a, b) = (commits[3] as usize, commits[4] as usize);
        let forged = forge(&bytes, a..b);
        bytes[a..b].copy_from_slice(&forged);
        fs::write(&path, bytes).unwrap();
        let finding = &verify_quietly(&dir).findings[0];
        assert_eq!((&finding.file, finding.offset), (&segment::name(*first), (b - format::TRAILER_BYTES) as u64));
        match open(&dir) {
            Err(OpenError::Damaged(place)) => assert_eq!(place.offset, finding.offset),
            Err(error) => panic!("segment {which}: {error}"),
            Ok(_) => assert!(which + 1 < base.firsts.len(), "opened silently"),
        }
    }
}

#[test]
fn i9_missing_and_exchanged_segments_are_named() {
    let base = Base::new();
    for (index, first) in base.firsts.iter().enumerate() {
        let dir = base.copy();
        fs::remove_file(segment::path(&dir, *first)).unwrap();
        let report = verify_quietly(&dir);
        assert!(!report.findings.is_empty(), "segment {index} gone");
        match open(&dir) {
            Err(OpenError::BehindAnchor { which, expected, .. }) => {
                assert_eq!((index + 1, which, expected.size), (base.firsts.len(), Anchor::File, base.size));
            }
            Err(error) => panic!("segment {index} gone: {error}"),
            Ok((recovered, _)) => {
                let degraded = &recovered.report.degraded;
                assert!(degraded.iter().any(|finding| finding.file == segment::name(*first)), "{degraded:?}");
            }
        }
    }
    let dir = base.copy();
    let (a, b) = (segment::path(&dir, base.firsts[0]), segment::path(&dir, base.firsts[1]));
    fs::rename(&a, dir.join("x")).unwrap();
    fs::rename(&b, &a).unwrap();
    fs::rename(dir.join("x"), &b).unwrap();
    let files: Vec<_> = base.firsts[..2].iter().map(|first| segment::name(*first)).collect();
    let found: Vec<_> = verify_quietly(&dir).findings.into_iter().map(|finding| finding.file).collect();
    assert!(files.iter().all(|file| found.contains(file)), "{found:?}");
    assert_eq!(open(&dir).unwrap().0.report.degraded.len(), 2);
}

#[test]
fn i9_a_segment_that_goes_while_the_journal_is_open_is_named_to_readers() {
    let base = Base::new();
    let dir = base.copy();
    let reader = open(&dir).unwrap().0.journal.reader();
    fs::remove_file(segment::path(&dir, base.firsts[1])).unwrap();
    let error = reader.read(RecordSeq(base.firsts[1])).unwrap_err();
    let (first, last) = (base.firsts[1], base.firsts[2] - 1);
    assert!(error.to_string().contains(&format!("the segment is missing, and with it records {first} to {last}")));
    assert_eq!(reader.read(RecordSeq(0)).unwrap().record, content(0).0);
}

#[test]
fn i9_each_anchor_alone_refuses_a_journal_that_was_cut() {
    for which in [Anchor::File, Anchor::CleanStop, Anchor::Floor] {
        let world = World::new();
        let mut journal = Journal::create(&world.dir(), small()).unwrap();
        fill(&mut journal, 6, &mut Rng(6));
        let (cut_at, earlier) = (journal.live_offset(), fs::read(world.dir().join("anchor")).unwrap());
        commit(&mut journal, 3).unwrap();
        let expected = TreeHead { size: journal.size(), root: journal.root() };
        match which {
            Anchor::CleanStop => journal.stop_cleanly().unwrap(),
            _ => drop(journal),
        }
        if which != Anchor::File {
            fs::write(world.dir().join("anchor"), earlier).unwrap();
        }
        let path = segment::path(&world.dir(), 0);
        let mut bytes = fs::read(&path).unwrap();
        bytes[cut_at as usize..].fill(0);
        fs::write(&path, bytes).unwrap();
        let floor = (which == Anchor::Floor).then_some(expected);
        let error = open_with(&world.dir(), small(), floor).unwrap_err();
        let OpenError::BehindAnchor { which: named, expected: head, found, place } = error else { panic!("{error}") };
        assert_eq!((named, head, found.size, place.offset), (which, expected, expected.size - 3, cut_at));
        let report = verify(&world.dir(), floor, &told(&|_| false), &mut |_, _, _| {}).unwrap();
        assert_eq!(report.findings.len(), 1, "{which}: {:?}", report.findings);
    }
}

#[test]
fn i9_an_anchor_with_another_root_refuses_wherever_it_lies() {
    let base = Base::new();
    let reader = open(&base.world.dir()).unwrap().0.journal.reader();
    for seq in [0, 5, base.firsts[1] - 1, base.firsts[1], base.firsts[2] - 1, base.size - 1] {
        let dir = base.copy();
        let truth = reader.commit_of(RecordSeq(seq)).unwrap();
        open_with(&dir, small(), Some(truth)).unwrap();
        let wrong = TreeHead { root: aldis_wire::digest::Digest::ZERO, ..truth };
        let error = open_with(&dir, small(), Some(wrong)).unwrap_err();
        assert!(matches!(error, OpenError::BehindAnchor { which: Anchor::Floor, .. }), "{seq}: {error}");
        let report = verify(&dir, Some(wrong), &told(&|_| false), &mut |_, _, _| {}).unwrap();
        assert_eq!(report.findings.len(), 1, "{seq}: {:?}", report.findings);
    }
}

#[test]
fn unreadable_anchors_are_reported_and_one_good_slot_still_counts() {
    let base = Base::new();
    for at in [0, 20, 70, 127] {
        let dir = base.copy();
        let mut bytes = fs::read(dir.join("anchor")).unwrap();
        bytes[at] ^= 2;
        fs::write(dir.join("anchor"), bytes).unwrap();
        let (recovered, _) = open(&dir).unwrap();
        assert_eq!(recovered.report.degraded.len(), 1);
        assert_eq!(recovered.report.degraded[0].file, "anchor");
    }
    let dir = base.copy();
    fs::remove_file(dir.join("anchor")).unwrap();
    assert_eq!(open(&dir).unwrap().0.report.degraded[0].file, "anchor");
    assert!(open(&dir).unwrap().0.report.degraded.is_empty(), "opening makes the file anew");
}
