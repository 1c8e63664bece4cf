//! What happens to a store that a power cut, a kill or a bad disk got at: it opens and proves complete, or it says
//! that it must be rebuilt. It never panics into us and never loses a row in silence.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::store::{Change, Position, Store, StoreError};
use super::store_tests::{Model, OPTIONS, all_rows, apply_to, at, check, open, remove, set};

/// Does something bad to the files of a store in this directory.
type Damage = fn(&Path);

/// Records applied to a sample.
const RECORDS: u64 = 60;

/// sled's own unit of `db`.
const SEGMENT_BYTES: usize = 512 << 10;

/// A store's files, and what its rows were after each number of records applied.
struct Sample {
    home: TempDir,
    history: BTreeMap<u64, Model>,
}

impl Sample {
    fn dir(&self) -> PathBuf {
        self.home.path().join("log")
    }

    /// A store that was written in many steps and flushed at each tenth.
    fn make(random: &mut Random) -> Self {
        let home = TempDir::new().unwrap();
        let store = open(&home.path().join("log")).store;
        let mut model = Model::new();
        let mut history = BTreeMap::from([(0, Model::new())]);
        for records_applied in 1..=RECORDS {
            let changes = random_changes(random);
            store.apply(&changes, at(records_applied)).unwrap();
            apply_to(&mut model, changes);
            history.insert(records_applied, model.clone());
            if records_applied % 10 == 0 {
                store.flush().unwrap();
            }
        }
        drop(store);
        Self { home, history }
    }

    /// Opens a copy of the store after `damage`, and holds it to the promise.
    fn trial(&self, what: &str, damage: impl FnOnce(&Path)) -> Outcome {
        let home = TempDir::new().unwrap();
        let dir = home.path().join("log");
        copy_dir(&self.dir(), &dir);
        damage(&dir);
        match open_and_read(&dir) {
            Ok((position, rows)) => {
                let expected = self.history.get(&position.records_applied);
                assert_eq!(Some(&rows), expected, "{what}: silent loss at record {}", position.records_applied);
                assert_eq!(position.journal_root, at(position.records_applied).journal_root, "{what}");
                if position.records_applied < RECORDS { Outcome::Behind } else { Outcome::Unharmed }
            }
            Err(error) => {
                assert!(error.is_rebuild_needed(), "{what}: {error:?}");
                let aside = Store::set_aside(&dir).unwrap();
                assert!(aside.exists() && !dir.exists());
                let again = open(&dir);
                assert_eq!((again.is_new, again.position), (true, Position::default()), "{what}");
                again.store.apply(&[set("rebuilt", "1")], at(1)).unwrap();
                again.store.flush().unwrap();
                Outcome::Rebuilt
            }
        }
    }
}

/// What a trial may end in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// It opened, complete.
    Unharmed,
    /// It opened as it was at an earlier record, complete for that, and says so: the journal is applied from there.
    Behind,
    /// It said that it must be rebuilt, and could be.
    Rebuilt,
}

pub(super) fn open_and_read(dir: &Path) -> Result<(Position, Model), StoreError> {
    let opened = Store::open_or_create(dir, OPTIONS)?;
    check(&opened.store)?;
    Ok((opened.position, all_rows(&opened.store)?))
}

pub(super) fn random_changes(random: &mut Random) -> Vec<Change> {
    let change = |random: &mut Random| {
        let key = u16::try_from(random.below(600)).unwrap().to_be_bytes();
        let value_bytes = [random.below(60), 300, 5_000][usize::try_from(random.below(21)).unwrap() / 10];
        let byte = random.next().to_be_bytes()[0];
        match random.below(4) {
            0 => remove(key),
            _ => set(key, vec![byte; usize::try_from(value_bytes).unwrap()]),
        }
    };
    (0..40).map(|_| change(random)).collect()
}

pub(super) fn copy_dir(from: &Path, to: &Path) {
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

/// `SplitMix64`; the seed is printed with every failure.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn seeded(test: &str) -> Self {
        let seed =
            std::env::var("ALDIS_TEST_SEED").map_or_else(|_| getrandom::u64().unwrap(), |text| text.parse().unwrap());
        // Captured, and so shown only if the test fails.
        println!("{test}: ALDIS_TEST_SEED={seed}");
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// A random byte of the file that is not zero, and so most likely written by sled and not just reserved.
fn random_place(random: &mut Random, path: &Path) -> usize {
    let bytes = fs::read(path).unwrap();
    let end = u64::try_from(bytes.len()).unwrap();
    let places = std::iter::repeat_with(|| usize::try_from(random.below(end)).unwrap());
    places.take(10_000).find(|place| bytes[*place] != 0).expect("the file is not all zeros")
}

fn change_file(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn i9_a_flipped_bit_is_harmless_or_found() {
    let mut random = Random::seeded("flipped bit");
    let sample = Sample::make(&mut random);
    let mut outcomes: BTreeMap<Outcome, u32> = BTreeMap::new();
    // Two fifths of all flips; the journal has as many, what stands in few bytes the rest.
    let flips = std::env::var("ALDIS_BIT_FLIPS").map_or(500, |text| text.parse::<u64>().unwrap()) * 2 / 5;
    for trial in 0..flips {
        let file = if random.below(20) == 0 { "conf" } else { "db" };
        let place = random_place(&mut random, &sample.dir().join(file));
        let bit = random.below(8);
        let outcome = sample.trial(&format!("trial {trial}: bit {bit} of byte {place} of {file}"), |dir| {
            change_file(&dir.join(file), |bytes| bytes[place] ^= 1 << bit);
        });
        *outcomes.entry(outcome).or_default() += 1;
    }
    let noticed: u32 = outcomes.range(Outcome::Behind..).map(|(_, count)| count).sum();
    println!("{flips} bits flipped in the log: {outcomes:?}");
    assert!(u64::from(noticed) * 10 >= flips, "{outcomes:?}: the flips do not reach the data");
}

#[test]
fn i9_a_truncated_or_wiped_file_is_harmless_or_found() {
    let mut random = Random::seeded("truncated or wiped");
    let sample = Sample::make(&mut random);
    for trial in 0..40 {
        let file = if random.below(5) == 0 { "conf" } else { "db" };
        let place = random_place(&mut random, &sample.dir().join(file));
        sample.trial(&format!("trial {trial}: {file} cut at {place}"), |dir| {
            change_file(&dir.join(file), |bytes| bytes.truncate(place));
        });
        let place = random_place(&mut random, &sample.dir().join("db"));
        sample.trial(&format!("trial {trial}: the 4 KiB of db at {place} wiped"), |dir| {
            change_file(&dir.join("db"), |bytes| {
                bytes.iter_mut().skip(place / 4096 * 4096).take(4096).for_each(|byte| *byte = 0);
            });
        });
    }
}

/// A whole unit of sled's log is gone, wherever it lay.
#[test]
fn i9_a_lost_segment_is_found() {
    let sample = Sample::make(&mut Random::seeded("lost segment"));
    let length = fs::metadata(sample.dir().join("db")).unwrap().len();
    let segments = usize::try_from(length).unwrap() / SEGMENT_BYTES;
    assert!(segments >= 2, "{length} bytes are too few for this test");
    for segment in 0..segments {
        sample.trial(&format!("segment {segment} of {segments} wiped"), |dir| {
            change_file(&dir.join("db"), |bytes| {
                bytes[segment * SEGMENT_BYTES..][..SEGMENT_BYTES].fill(0);
            });
        });
    }
}

#[test]
fn a_panic_of_sled_while_opening_is_damage() {
    let sample = Sample::make(&mut Random::seeded("panic"));
    let dir = sample.dir();
    // Two segments that claim the same place in sled's log: it asserts that this cannot be.
    change_file(&dir.join("db"), |bytes| {
        bytes.resize(bytes.len().next_multiple_of(SEGMENT_BYTES), 0);
        bytes.extend_from_within(..SEGMENT_BYTES);
    });
    let error = Store::open_or_create(&dir, OPTIONS).unwrap_err();
    assert!(error.is_rebuild_needed() && error.to_string().contains("sled panicked at"), "{error}");
    assert_eq!(sample.trial("the same on a copy", |_| ()), Outcome::Rebuilt);
}

#[test]
fn a_missing_or_foreign_file_is_damage_and_never_an_empty_store() {
    let sample = Sample::make(&mut Random::seeded("missing"));
    let damages: [(&str, Damage); 7] = [
        ("no db", |dir| fs::remove_file(dir.join("db")).unwrap()),
        ("an empty db", |dir| fs::write(dir.join("db"), "").unwrap()),
        ("no conf", |dir| fs::remove_file(dir.join("conf")).unwrap()),
        ("no blobs/", |dir| {
            fs::remove_dir(dir.join("blobs")).unwrap();
        }),
        ("a blob file", |dir| {
            fs::write(dir.join("blobs/77"), "unsynced").unwrap();
        }),
        ("another database", |dir| {
            change_file(&dir.join("db"), |bytes| bytes.fill(7));
        }),
        ("a file in its place", |dir| {
            fs::remove_dir_all(dir).unwrap();
            fs::write(dir, "not a store").unwrap();
        }),
    ];
    for (what, damage) in damages {
        assert_eq!(sample.trial(what, damage), Outcome::Rebuilt, "{what}");
    }
}

/// What the kernel has when a process is killed is what it handed over: the files as they are between two calls.
#[test]
fn a_kill_between_two_applies_loses_nothing_that_was_flushed() {
    let mut random = Random::seeded("kill");
    let home = TempDir::new().unwrap();
    let dir = home.path().join("log");
    let store = open(&dir).store;
    let mut sample = Sample { home: TempDir::new().unwrap(), history: BTreeMap::from([(0, Model::new())]) };
    let mut model = Model::new();
    let mut flushed = 0;
    for records_applied in 1..=60 {
        let changes = random_changes(&mut random);
        store.apply(&changes, at(records_applied)).unwrap();
        apply_to(&mut model, changes);
        sample.history.insert(records_applied, model.clone());
        if random.below(3) == 0 {
            flushed = store.flush().unwrap().records_applied;
        }
        let copy = sample.home.path().join(format!("copy-{records_applied}"));
        copy_dir(&dir, &copy);
        let (position, rows) = open_and_read(&copy).unwrap();
        assert!(position.records_applied >= flushed, "{} < {flushed}", position.records_applied);
        assert_eq!(rows, sample.history[&position.records_applied]);
    }
}

/// After a power cut the disk has what was synced, and any of the blocks that were written since. When many applies
/// were not flushed yet, their blocks mix so that even sled's batches are torn: the check finds that, and it costs a
/// rebuild. With one, as the node flushes, it costs none.
#[test]
fn a_power_cut_loses_nothing_that_was_flushed() {
    let mut random = Random::seeded("power cut");
    for unflushed_max in [1, 20].repeat(20) {
        let home = TempDir::new().unwrap();
        let (dir, cut) = (home.path().join("log"), home.path().join("cut"));
        let store = open(&dir).store;
        let mut history = BTreeMap::new();
        let mut model = Model::new();
        let flush_at = 1 + random.below(20);
        for records_applied in 1..=flush_at + random.below(unflushed_max + 1) {
            let changes = random_changes(&mut random);
            store.apply(&changes, at(records_applied)).unwrap();
            apply_to(&mut model, changes);
            history.insert(records_applied, model.clone());
            if records_applied == flush_at {
                store.flush().unwrap();
                copy_dir(&dir, &cut);
            }
        }
        let since = fs::read(dir.join("db")).unwrap();
        change_file(&cut.join("db"), |bytes| {
            bytes.resize(since.len().max(bytes.len()), 0);
            for (block, new) in bytes.chunks_mut(4096).zip(since.chunks(4096)) {
                if random.below(2) == 0 && block.len() == new.len() {
                    block.copy_from_slice(new);
                }
            }
        });
        match open_and_read(&cut) {
            Ok((position, rows)) => {
                let reached = position.records_applied;
                assert!(reached >= flush_at, "{reached} < {flush_at}");
                assert_eq!(rows, history[&reached]);
            }
            Err(error) => {
                assert!(error.is_rebuild_needed(), "{error:?}");
                assert!(unflushed_max > 1, "one apply cost a rebuild: {error}");
            }
        }
    }
}
