//! Tails that a crash leaves: cut cleanly when nothing in them was confirmed, and never otherwise.

use super::super::format::TRAILER_BYTES;
use super::super::*;
use super::script::copy_dir;
use super::support::*;
use std::fs;
use std::path::Path;

/// A journal of a few commits, its directory without and with one more commit of which no anchor knows.
struct Torn {
    world: World,
    before: TreeHead,
    /// Where the last commit stands.
    from: usize,
    to: usize,
    whole: Vec<u8>,
}

impl Torn {
    fn new() -> Self {
        let world = World::new();
        let mut journal = Journal::create(&world.dir(), small()).unwrap();
        fill(&mut journal, 5, &mut Rng(3));
        let before = TreeHead { size: journal.size(), root: journal.root() };
        let anchor = fs::read(world.dir().join("anchor")).unwrap();
        let from = end_of_data(&world.dir());
        commit(&mut journal, 2).unwrap();
        drop(journal);
        let to = end_of_data(&world.dir());
        fs::write(world.dir().join("anchor"), anchor).unwrap();
        let whole = fs::read(segment(&world.dir())).unwrap();
        Self { world, before, from, to, whole }
    }

    fn open_with_segment(&self, bytes: &[u8]) -> Result<(Recovered, Replica), OpenError> {
        let dir = self.world.path("trial");
        let _ = fs::remove_dir_all(&dir);
        copy_dir(&self.world.dir(), &dir);
        fs::write(segment(&dir), bytes).unwrap();
        open(&dir)
    }
}

fn segment(dir: &Path) -> std::path::PathBuf {
    dir.join("00000000000000000000.seg")
}

/// Where the last commit ends: its last four bytes are zero, and the CRC before them ends at a multiple of 8 less 4.
fn end_of_data(dir: &Path) -> usize {
    let bytes = fs::read(segment(dir)).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).unwrap().next_multiple_of(8)
}

#[test]
fn i9_a_tail_torn_at_any_byte_is_cut_and_the_rest_stays() {
    let torn = Torn::new();
    for cut in torn.from..torn.to - 8 {
        let mut bytes = torn.whole.clone();
        bytes[cut..].fill(0);
        let (mut recovered, replica) = torn.open_with_segment(&bytes).unwrap_or_else(|error| panic!("{cut}: {error}"));
        assert_eq!(recovered.journal.size(), torn.before.size, "cut at {cut}");
        assert_eq!(recovered.journal.root(), torn.before.root);
        assert_whole(&replica, torn.before.size);
        let left = bytes[torn.from..].iter().any(|byte| *byte != 0);
        assert_eq!(recovered.report.torn_bytes_cut > 0, left, "cut at {cut}");
        // What is appended instead must stand on clean ground.
        let ground = fs::read(segment(&torn.world.path("trial"))).unwrap();
        assert!(ground[torn.from..].iter().all(|byte| *byte == 0), "cut at {cut}");
        commit(&mut recovered.journal, 1).unwrap();
        drop(recovered);
        let (recovered, replica) = open(&torn.world.path("trial")).unwrap();
        assert_eq!(recovered.journal.size(), torn.before.size + 1);
        assert_whole(&replica, torn.before.size + 1);
    }
}

#[test]
fn i9_a_tail_of_which_any_words_are_missing_is_cut() {
    let torn = Torn::new();
    for seed in 0..200 {
        let (mut rng, mut bytes) = (Rng(seed), torn.whole.clone());
        // Whole sectors reach the disk in any order; words are a finer grain of the same.
        for word in (torn.from..torn.to - TRAILER_BYTES).step_by(8) {
            if rng.below(4) == 0 {
                bytes[word..word + 8].fill(0);
            }
        }
        bytes[torn.from + 48] ^= 1;
        let (recovered, replica) =
            torn.open_with_segment(&bytes).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(recovered.journal.size(), torn.before.size, "seed {seed}");
        assert_whole(&replica, torn.before.size);
    }
}

#[test]
fn a_whole_last_commit_that_no_anchor_knows_is_kept() {
    let torn = Torn::new();
    let (recovered, replica) = torn.open_with_segment(&torn.whole).unwrap();
    assert_eq!(recovered.journal.size(), torn.before.size + 2);
    assert_whole(&replica, torn.before.size + 2);
}

#[test]
fn i9_a_file_cut_short_at_any_byte_of_the_last_commit_opens_without_it() {
    let torn = Torn::new();
    for cut in (torn.from..torn.to - 8).step_by(3) {
        let (mut recovered, replica) = torn.open_with_segment(&torn.whole[..cut]).unwrap();
        assert_eq!(recovered.journal.size(), torn.before.size, "cut at {cut}");
        assert_whole(&replica, torn.before.size);
        commit(&mut recovered.journal, 3).unwrap();
        drop(recovered);
        assert_whole(&open(&torn.world.path("trial")).unwrap().1, torn.before.size + 3);
    }
}

#[test]
fn i9_damage_before_another_commit_is_no_torn_tail() {
    let world = World::new();
    let mut journal = Journal::create(&world.dir(), small()).unwrap();
    let anchor = fs::read(world.dir().join("anchor")).unwrap();
    fill(&mut journal, 3, &mut Rng(4));
    let from = end_of_data(&world.dir());
    let damaged = RecordSeq(journal.size());
    commit(&mut journal, 2).unwrap();
    let to = end_of_data(&world.dir());
    commit(&mut journal, 1).unwrap();
    let end = end_of_data(&world.dir());
    drop(journal);
    // No anchor helps here: the later commit alone must prove that the one before was complete.
    fs::write(world.dir().join("anchor"), anchor).unwrap();
    let whole = fs::read(segment(&world.dir())).unwrap();
    for at in (from..to).step_by(5) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        // The later commit may itself be torn.
        bytes[end - 40..end].fill(0);
        fs::write(segment(&world.dir()), &bytes).unwrap();
        let error = open(&world.dir()).unwrap_err();
        let OpenError::Damaged(finding) = error else { panic!("byte {at}: {error}") };
        assert_eq!(finding.file, "00000000000000000000.seg");
        assert!(finding.offset >= from as u64 && finding.offset <= at as u64, "byte {at}: {finding}");
        assert!(finding.record >= Some(damaged) && finding.record <= Some(RecordSeq(damaged.0 + 2)), "{finding}");
    }
}

#[test]
fn bytes_in_a_body_cannot_pass_for_a_later_commit() {
    let other = World::new();
    let mut stranger = Journal::create(&other.dir(), small()).unwrap();
    fill(&mut stranger, 8, &mut Rng(5));
    let bytes = fs::read(segment(&other.dir())).unwrap();
    let body = &bytes[152..4152];
    let world = World::new();
    let mut journal = Journal::create(&world.dir(), small()).unwrap();
    let from = end_of_data(&world.dir());
    let anchor = fs::read(world.dir().join("anchor")).unwrap();
    journal.commit(&[Entry { nonce: [1; NONCE_BYTES], record: b"hostile", body: Some(&[body]) }]).unwrap();
    drop(journal);
    fs::write(world.dir().join("anchor"), anchor).unwrap();
    let mut bytes = fs::read(segment(&world.dir())).unwrap();
    bytes[from + 48] ^= 1;
    fs::write(segment(&world.dir()), bytes).unwrap();
    let (recovered, _) = open(&world.dir()).unwrap();
    assert_eq!(recovered.journal.size(), 0);
    assert!(recovered.report.torn_bytes_cut > 4000);
}
