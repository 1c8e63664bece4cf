//! What the store promises while nothing goes wrong, against a plain map, and which calls it refuses.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use super::layout::CHUNK_BYTES;
use super::store::{
    APPLY_CHANGES_MAX, Change, Direction, JournalPosition, KEY_BYTES_MAX, Opened, PAGE_ROWS_MAX, Position, Row, Store,
    StoreError, StoreOptions, VALUE_BYTES_MAX,
};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

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

/// The position computed from nothing but the rows.
fn recomputed(model: &Model, position: JournalPosition) -> Position {
    let JournalPosition { records_applied, journal_root } = position;
    let mut expected = Position { records_applied, journal_root, ..Position::default() };
    model.iter().for_each(|(key, value)| expected.add_row(key, value));
    expected
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
