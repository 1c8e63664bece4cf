//! What the store promises while nothing goes wrong, against a plain map, and which calls it refuses.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use super::blocks;
use super::layout::{CHUNK_BYTES, Head, POSITION_KEY, block_key, chunk_key};
use super::store::{
    APPLY_CHANGES_MAX, Change, Direction, JournalPosition, KEY_BYTES_MAX, Opened, PAGE_ROWS_MAX, Position, Row, Store,
    StoreError, StoreOptions, VALUE_BYTES_MAX,
};

pub(super) type Model = BTreeMap<Vec<u8>, Vec<u8>>;

pub(super) const OPTIONS: StoreOptions = StoreOptions { cache_bytes: 8 << 20, free_space_floor_bytes: 1 << 20 };

pub(super) fn open(dir: &Path) -> Opened {
    Store::open_or_create(dir, OPTIONS).unwrap()
}

pub(super) fn set(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Change {
    Change { key: key.into(), value: Some(value.into()) }
}

pub(super) fn remove(key: impl Into<Vec<u8>>) -> Change {
    Change { key: key.into(), value: None }
}

pub(super) fn at(records_applied: u64) -> JournalPosition {
    let mut journal_root = [0; 32];
    journal_root[..8].copy_from_slice(&records_applied.to_be_bytes());
    JournalPosition { records_applied, journal_root }
}

pub(super) fn check(store: &Store) -> Result<(), StoreError> {
    store.check(&mut |_, _| ())
}

/// What [`Store::apply`] does, to a plain map.
pub(super) fn apply_to(model: &mut Model, changes: Vec<Change>) {
    for Change { key, value } in changes {
        match value {
            Some(value) => drop(model.insert(key, value)),
            None => drop(model.remove(&key)),
        }
    }
}

/// A value in chunks.
const LONG: &[u8] = &[7; 20_000];

/// Changes sled's entries behind the store's back.
type Tamper = fn(&sled::Db);

/// Puts a block of these rows there.
fn put_block(db: &sled::Db, bound: &[u8], rows: &[(&[u8], &[u8])]) {
    let mut unpacked = blocks::Unpacked::default();
    rows.iter().for_each(|(key, value)| unpacked.push_with(key, |head| Head::of(value).write(head)));
    let entries: Vec<_> = (0..rows.len()).map(|place| unpacked.row(place)).collect();
    let [(_, block)] = &blocks::pack(&entries, 0)[..] else { panic!("one block") };
    drop(db.insert(block_key(bound), &block[..]).unwrap());
}

/// Every row, page by page.
pub(super) fn all_rows(store: &Store) -> Result<Model, StoreError> {
    let (mut rows, mut from) = (Model::new(), None);
    loop {
        let page = store.scan_prefix(b"", from.as_deref(), Direction::Ascending, PAGE_ROWS_MAX)?;
        rows.extend(page.rows.into_iter().map(|row| (row.key, row.value)));
        match page.next {
            Some(next) => from = Some(next),
            None => return Ok(rows),
        }
    }
}

#[test]
fn rows_survive_a_reopening() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("log");
    let opened = open(&dir);
    assert!(opened.is_new);
    assert_eq!(opened.position, Position::default());
    opened.store.apply(&[set("a", "1"), set("b", vec![7; 20_000])], at(2)).unwrap();
    let position = opened.store.flush().unwrap();
    drop(opened);

    let again = open(&dir);
    assert!(!again.is_new);
    assert_eq!((again.position, again.position.rows, again.position.records_applied), (position, 2, 2));
    assert_eq!(again.store.get(b"a").unwrap().unwrap(), b"1");
    assert_eq!(again.store.get(b"b").unwrap().unwrap(), vec![7; 20_000]);
    assert_eq!(again.store.get(b"c").unwrap(), None);
    check(&again.store).unwrap();
}

#[test]
fn the_last_change_of_a_key_in_one_apply_wins() {
    let home = TempDir::new().unwrap();
    let store = open(&home.path().join("log")).store;
    store.apply(&[set("a", "old"), set("b", "kept")], at(1)).unwrap();
    store
        .apply(&[set("a", "x"), remove("a"), set("a", "new"), set("c", "y"), remove("c"), remove("no")], at(2))
        .unwrap();
    let model = Model::from([(b"a".to_vec(), b"new".to_vec()), (b"b".to_vec(), b"kept".to_vec())]);
    assert_eq!(all_rows(&store).unwrap(), model);
    assert_eq!(store.position().rows, 2);
    check(&store).unwrap();
}

#[test]
fn large_values_never_become_blob_files() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("log");
    let opened = open(&dir);
    let sizes = [CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 6_000, 20_000, VALUE_BYTES_MAX];
    let mut model = Model::new();
    for (round, size) in (1_u64..).zip(sizes.into_iter().cycle().take(24)) {
        // The longest keys, all neighbours, so that leaves and index nodes grow as large as they can.
        let changes: Vec<Change> = (0..40_u8)
            .map(|number| {
                let mut key = vec![b'k'; KEY_BYTES_MAX];
                key[200] = number;
                key[201] = u8::try_from(round % 3).unwrap();
                let value = vec![number; size.min(VALUE_BYTES_MAX)];
                model.insert(key.clone(), value.clone());
                set(key, value)
            })
            .collect();
        opened.store.apply(&changes, at(round)).unwrap();
        // Fails if blobs/ holds anything.
        opened.store.flush().unwrap();
    }
    assert_eq!(std::fs::read_dir(dir.join("blobs")).unwrap().count(), 0);
    drop(opened);
    let store = open(&dir).store;
    assert_eq!(all_rows(&store).unwrap(), model);
    check(&store).unwrap();
}

#[test]
fn i7_whatever_is_over_a_limit_is_refused_and_nothing_changes() {
    let home = TempDir::new().unwrap();
    let store = open(&home.path().join("log")).store;
    store.apply(&[set("a", "1")], at(5)).unwrap();
    let before = store.position();
    let refused = [
        store.apply(&[set(vec![0; KEY_BYTES_MAX + 1], "")], at(6)),
        store.apply(&[set("b", vec![0; VALUE_BYTES_MAX + 1])], at(6)),
        store.apply(&vec![set("b", vec![0; VALUE_BYTES_MAX]); 257], at(6)),
        store.apply(&vec![remove("b"); APPLY_CHANGES_MAX + 1], at(6)),
        store.apply(&[set("b", "2")], at(4)),
        store.scan_prefix(b"", None, Direction::Ascending, PAGE_ROWS_MAX + 1).map(|_| ()),
        store.scan_prefix(b"a", Some(b"b"), Direction::Ascending, 1).map(|_| ()),
    ];
    for (number, outcome) in refused.into_iter().enumerate() {
        assert!(matches!(outcome, Err(StoreError::Refused { .. })), "{number}: {outcome:?}");
    }
    assert_eq!(store.position(), before);
    assert_eq!(store.get(b"b").unwrap(), None);
    store.apply(&[set(vec![0; KEY_BYTES_MAX], vec![0; VALUE_BYTES_MAX])], at(5)).unwrap();
}

#[test]
fn i7_a_page_ends_at_its_row_and_byte_limits() {
    let home = TempDir::new().unwrap();
    let store = open(&home.path().join("log")).store;
    let changes: Vec<Change> = (0..100_u8).map(|number| set([b'p', number], vec![number; VALUE_BYTES_MAX])).collect();
    store.apply(&changes, at(1)).unwrap();
    store.apply(&[set("o", "before"), set("q", "after")], at(2)).unwrap();
    let first = store.scan_prefix(b"p", None, Direction::Descending, 3).unwrap();
    assert_eq!(first.rows.iter().map(|row| row.key[1]).collect::<Vec<_>>(), [99, 98, 97]);
    assert_eq!(first.next, Some(vec![b'p', 96]));
    let bytes = store.scan_prefix(b"p", first.next.as_deref(), Direction::Descending, PAGE_ROWS_MAX).unwrap();
    assert_eq!(bytes.rows.len(), 64);
    assert_eq!(bytes.rows[0].key, [b'p', 96]);
    let last = store.scan_prefix(b"p", bytes.next.as_deref(), Direction::Descending, PAGE_ROWS_MAX).unwrap();
    assert_eq!((last.rows.len(), last.next), (33, None));
}

#[test]
fn the_check_finds_a_lost_row_a_lost_chunk_a_stray_chunk_and_a_changed_value() {
    let tampered: [(&str, Tamper); 8] = [
        ("rows", |db| drop(db.remove(block_key(b"a")).unwrap())),
        ("rows", |db| put_block(db, b"a", &[(b"b", b"2"), (b"c", LONG)])),
        ("chunks", |db| drop(db.remove(chunk_key(b"c", 2)).unwrap())),
        ("chunks", |db| {
            drop(db.insert(chunk_key(b"a", 0), "stray").unwrap());
        }),
        ("digest", |db| put_block(db, b"a", &[(b"a", b"1"), (b"b", b"3"), (b"c", LONG)])),
        ("row's place", |db| put_block(db, b"d", &[(b"a", b"1")])),
        ("block's place", |db| put_block(db, b"b", &[(b"d", b"1")])),
        ("torn", |db| drop(db.insert(block_key(b"a"), &[9][..]).unwrap())),
    ];
    let also: [(&str, Tamper); 1] = [("position", |db| {
        drop(db.insert(POSITION_KEY, &Position::default().encode()[..]).unwrap());
    })];
    for (what, tamper) in tampered.into_iter().chain(also) {
        let home = TempDir::new().unwrap();
        let store = open(&home.path().join("log")).store;
        store.apply(&[set("a", "1"), set("b", "2"), set("c", LONG)], at(2)).unwrap();
        check(&store).unwrap();
        store
            .in_sled("tampering", |db| {
                tamper(db);
                Ok(())
            })
            .unwrap();
        let error = check(&store).unwrap_err();
        assert!(error.is_rebuild_needed() && error.to_string().contains(what), "{what}: {error}");
    }
}

#[test]
fn the_check_tells_its_progress() {
    let home = TempDir::new().unwrap();
    let store = open(&home.path().join("log")).store;
    // Long values that share nothing, so that they take many blocks.
    let value = |number: u16| [&number.to_le_bytes(), &[7; 900][..]].concat();
    let changes: Vec<Change> = (0..2_000_u16).map(|number| set(number.to_be_bytes(), value(number))).collect();
    store.apply(&changes, at(2_000)).unwrap();
    let mut told = Vec::new();
    store.check(&mut |done, expected| told.push((done, expected))).unwrap();
    assert!(told.len() >= 4 && told.is_sorted(), "{told:?}");
    assert_eq!(told.last(), Some(&(2_000, 2_000)));
}

#[test]
fn reads_see_an_apply_whole_or_not_at_all() {
    let home = TempDir::new().unwrap();
    let store = open(&home.path().join("log")).store;
    let both = |byte: u8| [set("a", vec![byte; 9_000]), set("b", vec![byte; 9_000])];
    store.apply(&both(0), at(0)).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            (1..200_u8).for_each(|byte| store.apply(&both(byte), at(byte.into())).unwrap());
        });
        while !writer.is_finished() {
            let rows = store.scan_prefix(b"", None, Direction::Ascending, 2).unwrap().rows;
            assert!(rows[0].value == rows[1].value && rows[0].value.iter().all(|byte| *byte == rows[0].value[0]));
            let value = store.get(b"b").unwrap().unwrap();
            assert!(value.iter().all(|byte| *byte == value[0]));
        }
    });
    check(&store).unwrap();
}

/// Few distinct keys, so that they are often overwritten and removed, and some are prefixes of others.
fn changes() -> impl Strategy<Value = Vec<Change>> {
    let key = prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(255)], 0..4);
    let bytes = prop_oneof![4 => 0..40_usize, 4 => 900..1_030_usize, 2 => 4_090..4_100_usize, 1 => 8_000..9_000_usize];
    let value = prop::option::weighted(0.7, (bytes, any::<u8>()).prop_map(|(bytes, byte)| vec![byte; bytes]));
    prop::collection::vec((key, value).prop_map(|(key, value)| Change { key, value }), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// Also shows that rows and digest kept up to date block by block are those of what is there.
    #[test]
    fn the_store_is_a_sorted_map(applies in prop::collection::vec(changes(), 1..8), reopen_at in 0..8_usize) {
        let home = TempDir::new().unwrap();
        let dir = home.path().join("log");
        let mut store = open(&dir).store;
        let mut model = Model::new();
        for (number, changes) in applies.iter().enumerate() {
            let position = at(u64::try_from(number).unwrap());
            store.apply(changes, position).unwrap();
            apply_to(&mut model, changes.clone());
            prop_assert_eq!(store.position().rows, u64::try_from(model.len()).unwrap());
            check(&store).unwrap();
            if number == reopen_at {
                drop(store);
                store = open(&dir).store;
            }
        }
        check(&store).unwrap();
        for prefix in [&[][..], &[0], &[255], &[255, 255], &[1, 0]] {
            assert_pages(&store, &model, prefix, Direction::Ascending);
            assert_pages(&store, &model, prefix, Direction::Descending);
        }
    }
}

fn assert_pages(store: &Store, model: &Model, prefix: &[u8], direction: Direction) {
    let mut expected: Vec<Row> = model
        .iter()
        .filter(|(key, _)| key.starts_with(prefix))
        .map(|(key, value)| Row { key: key.clone(), value: value.clone() })
        .collect();
    if direction == Direction::Descending {
        expected.reverse();
    }
    let (mut found, mut from) = (Vec::new(), None);
    loop {
        let page = store.scan_prefix(prefix, from.as_deref(), direction, 2).unwrap();
        assert!(page.rows.len() <= 2);
        found.extend(page.rows);
        match page.next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    assert_eq!(found, expected, "{prefix:?} {direction:?}");
}
