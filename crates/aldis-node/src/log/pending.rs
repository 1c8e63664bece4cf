//! Row changes that are not applied yet, in front of the store: later records of a batch see what earlier ones changed.
//! Nothing here writes.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use aldis_wire::codec::{self, Decode, Encode};

use super::rows::{self, WAITING};
use super::scan::Direction;
use super::store::{Change, Store, StoreError};

/// The rows as they will be.
pub(super) struct Pending<'a> {
    store: &'a Store,
    changed: Changed,
    bytes: usize,
    /// Whether the store has messages that wait for another, once it was looked.
    waiting_before: OnceCell<bool>,
}

/// What changes, by key. Rows of one table, which is the first byte of their keys, come in order as a rule: each table is a
/// sorted list that is added to at its end, which costs a tenth of a tree.
#[derive(Default)]
struct Changed {
    tables: BTreeMap<u8, Vec<Change>>,
}

impl<'a> Pending<'a> {
    pub(super) fn new(store: &'a Store) -> Self {
        Self { store, changed: Changed::default(), bytes: 0, waiting_before: OnceCell::new() }
    }

    /// How many rows change.
    pub(super) fn len(&self) -> usize {
        self.changed.tables.values().map(Vec::len).sum()
    }

    /// At least the bytes of all changes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A row as it will be.
    pub(super) fn get<T: Decode<()>>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        match self.changed.get(key) {
            Some(change) => change.value.as_ref().map(|value| decode(self.store, key, value)).transpose(),
            None => self.store.get(key)?.map(|value| decode(self.store, key, &value)).transpose(),
        }
    }

    /// Whether a row will be there.
    pub(super) fn has(&self, key: &[u8]) -> Result<bool, StoreError> {
        match self.changed.get(key) {
            Some(change) => Ok(change.value.is_some()),
            None => Ok(self.store.get(key)?.is_some()),
        }
    }

    /// Whether any message may wait for another. Few ever do, and every message would look for its own.
    pub(super) fn has_waiting(&self) -> Result<bool, StoreError> {
        let before = if let Some(before) = self.waiting_before.get() {
            *before
        } else {
            let page = self.store.scan_prefix(&[WAITING], None, Direction::Ascending, 1)?;
            *self.waiting_before.get_or_init(|| !page.rows.is_empty())
        };
        Ok(before || self.changed.starting_with(&[WAITING]).any(|change| change.value.is_some()))
    }

    pub(super) fn put<T: Encode>(&mut self, key: Vec<u8>, row: &T) {
        self.put_bytes(key, rows::value(row));
    }

    pub(super) fn put_bytes(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.bytes += key.len() + value.len();
        self.changed.insert(Change { key, value: Some(value) });
    }

    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.bytes += key.len();
        self.changed.insert(Change { key, value: None });
    }

    /// The rows that begin with `prefix`, ascending, at most about `limit` of them.
    pub(super) fn scan<T: Decode<()>>(&self, prefix: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, T)>, StoreError> {
        let page = self.store.scan_prefix(prefix, None, Direction::Ascending, limit)?;
        let mut found: BTreeMap<Vec<u8>, Option<Vec<u8>>> =
            page.rows.into_iter().map(|row| (row.key, Some(row.value))).collect();
        found.extend(self.changed.starting_with(prefix).map(|change| (change.key.clone(), change.value.clone())));
        let rows = found.into_iter().filter_map(|(key, value)| Some((key, value?)));
        rows.map(|(key, value)| decode(self.store, &key, &value).map(|row| (key, row))).collect()
    }

    /// Everything that changes, by key.
    pub(super) fn into_changes(self) -> Vec<Change> {
        self.changed.tables.into_values().flatten().collect()
    }
}

impl Changed {
    /// What becomes of the row `key`, if it changes.
    fn get(&self, key: &[u8]) -> Option<&Change> {
        let table = self.tables.get(key.first()?)?;
        place(table, key).ok().map(|found| &table[found])
    }

    /// Takes the place of an earlier change of the same row.
    fn insert(&mut self, change: Change) {
        let tag = *change.key.first().expect("every key begins with the tag of its table");
        let table = self.tables.entry(tag).or_default();
        match place(table, &change.key) {
            Ok(found) => table[found] = change,
            Err(gap) => table.insert(gap, change),
        }
    }

    /// The changes of rows whose keys begin with `prefix`, ascending.
    fn starting_with(&self, prefix: &[u8]) -> impl Iterator<Item = &Change> {
        let table = prefix.first().and_then(|tag| self.tables.get(tag));
        let behind = table.map_or(&[][..], |table| &table[table.partition_point(|change| &change.key[..] < prefix)..]);
        behind.iter().take_while(move |change| change.key.starts_with(prefix))
    }
}

/// Where a key is in a table, or where it would be; most come behind all others.
fn place(table: &[Change], key: &[u8]) -> Result<usize, usize> {
    match table.last() {
        Some(last) if &last.key[..] >= key => table.binary_search_by(|change| change.key[..].cmp(key)),
        _ => Err(table.len()),
    }
}

/// Reads a row of this program. One that does not decode was not written by it: the store must be built again.
pub(super) fn decode<T: Decode<()>>(store: &Store, key: &[u8], value: &[u8]) -> Result<T, StoreError> {
    codec::decode_stored(value).map_err(|error| unexpected(store, key, error.to_string()))
}

/// A row that this program cannot have written.
pub(super) fn unexpected(store: &Store, key: &[u8], found: String) -> StoreError {
    let expected = format!("a row of format {} under {}", rows::FORMAT, data_encoding::HEXLOWER.encode(key));
    StoreError::Disagrees { dir: store.dir.clone(), what: "row", expected, found }
}
