//! A small world for the journal's tests: directories, seeded random numbers, records that can be told apart.

use super::super::*;
use std::path::{Path, PathBuf};

pub(super) const SEGMENT_BYTES: u64 = 64 << 10;

/// A directory for one test, removed at its end.
pub(super) struct World {
    temp: tempfile::TempDir,
}

impl World {
    pub(super) fn new() -> Self {
        Self { temp: tempfile::tempdir().unwrap() }
    }

    pub(super) fn dir(&self) -> PathBuf {
        self.temp.path().join("journal")
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }
}

/// Options for small, deterministic journals.
pub(super) fn small() -> Options {
    Options { segment_bytes: SEGMENT_BYTES, reserve_bytes: 0, prepare_ahead: false, ..Options::default() }
}

/// What a replay handed over.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
pub(super) struct Replica {
    pub(super) snapshot: Option<Vec<u8>>,
    pub(super) records: Vec<(u64, Vec<u8>, Option<Vec<u8>>)>,
}

pub(super) fn open(dir: &Path) -> Result<(Recovered, Replica), OpenError> {
    open_with(dir, small(), None)
}

pub(super) fn open_with(
    dir: &Path,
    options: Options,
    floor: Option<TreeHead>,
) -> Result<(Recovered, Replica), OpenError> {
    let mut replica = Replica::default();
    let recovered = Journal::open(dir, options, floor, &mut |replayed| {
        match replayed {
            Replayed::Snapshot(bytes) => replica.snapshot = Some(bytes.to_vec()),
            Replayed::Record { seq, record, body } => {
                let body = match body {
                    BodyRef::Present(bytes) => Some(bytes.to_vec()),
                    BodyRef::None | BodyRef::Erased => None,
                };
                replica.records.push((seq.0, record.to_vec(), body));
            }
        }
        Ok(())
    })?;
    Ok((recovered, replica))
}

/// A small seeded generator (splitmix64): the tests need repeatable numbers, not good ones.
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// The record and body that stand at `seq` in every test journal; every third record has no body.
pub(super) fn content(seq: u64) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut rng = Rng(seq);
    let length = 20 + rng.below(200);
    let record = (0..length).map(|_| rng.next().to_le_bytes()[0] | 1).collect();
    let body_length = rng.below(900);
    let body = (!seq.is_multiple_of(3)).then(|| (0..body_length).map(|_| rng.next().to_le_bytes()[0] | 1).collect());
    (record, body)
}

/// Commits the next `count` records in one commit.
pub(super) fn commit(journal: &mut Journal, count: u64) -> Result<Committed, CommitError> {
    let first = journal.size();
    let contents: Vec<_> = (first..first + count).map(content).collect();
    let bodies: Vec<Vec<&[u8]>> = contents.iter().map(|(_, body)| body.as_deref().into_iter().collect()).collect();
    let entries: Vec<Entry<'_>> = (first..)
        .zip(contents.iter().zip(&bodies))
        .map(|(seq, ((record, body), parts))| {
            let mut nonce = [7; NONCE_BYTES];
            nonce[..8].copy_from_slice(&seq.to_le_bytes());
            Entry { nonce, record, body: body.as_ref().map(|_| parts.as_slice()) }
        })
        .collect();
    journal.commit(&entries)
}

/// Fills a journal: `commits` commits of 1 to 4 records, rotating as it should, with the size as snapshot.
pub(super) fn fill(journal: &mut Journal, commits: u64, rng: &mut Rng) {
    for _ in 0..commits {
        commit(journal, 1 + rng.below(4)).unwrap();
        if journal.should_rotate() {
            rotate(journal).unwrap();
        }
    }
}

/// Rotates with the snapshot that the tests take.
pub(super) fn rotate(journal: &mut Journal) -> Result<(), CommitError> {
    let size = journal.size();
    journal.rotate(Box::new(move || snapshot_at(size)))
}

/// Waits until something holds, which threads bring about.
pub(super) fn wait_until(holds: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "it does not come about");
        std::thread::yield_now();
    }
}

/// The snapshot the tests take at `size`.
pub(super) fn snapshot_at(size: u64) -> Vec<u8> {
    format!("everything below {size}").into_bytes()
}

/// Asserts that a replica is exactly what the last snapshot and the records up to `size` should be.
pub(super) fn assert_whole(replica: &Replica, size: u64) {
    let first = replica.snapshot.as_ref().map_or(0, |snapshot| {
        let text = String::from_utf8(snapshot.clone()).unwrap();
        text.rsplit(' ').next().unwrap().parse().unwrap()
    });
    let expected: Vec<_> = (first..size)
        .map(|seq| {
            let (record, body) = content(seq);
            (seq, record, body)
        })
        .collect();
    assert_eq!(replica.records, expected);
}

/// Records of which a reader knows nothing but whose bodies were erased.
pub(super) fn told(is_erased: &dyn Fn(RecordSeq) -> bool) -> Reading<'_> {
    Reading { is_erased, witness: &|_| None, commits_to: &|_, _| true }
}
