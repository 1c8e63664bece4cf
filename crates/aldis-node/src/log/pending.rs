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
    changed: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    bytes: usize,
    /// Whether the store has messages that wait for another, once it was looked.
    waiting_before: OnceCell<bool>,
}

impl<'a> Pending<'a> {
    pub(super) fn new(store: &'a Store) -> Self {
        Self { store, changed: BTreeMap::new(), bytes: 0, waiting_before: OnceCell::new() }
    }

    /// How many rows change.
    pub(super) fn len(&self) -> usize {
        self.changed.len()
    }

    /// At least the bytes of all changes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A row as it will be.
    pub(super) fn get<T: Encode + Decode<()>>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        let value = match self.changed.get(key) {
            Some(value) => value.clone(),
            None => self.store.get(key)?,
        };
        value.map(|value| decode(self.store, key, &value)).transpose()
    }

    /// Whether a row will be there.
    pub(super) fn has(&self, key: &[u8]) -> Result<bool, StoreError> {
        match self.changed.get(key) {
            Some(value) => Ok(value.is_some()),
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
        let set = |(_, value): (_, &Option<Vec<u8>>)| value.is_some();
        Ok(before || self.changed.range(vec![WAITING]..vec![WAITING + 1]).any(set))
    }

    pub(super) fn put<T: Encode>(&mut self, key: Vec<u8>, row: &T) {
        self.put_bytes(key, rows::value(row));
    }

    pub(super) fn put_bytes(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.bytes += key.len() + value.len();
        self.changed.insert(key, Some(value));
    }

    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.bytes += key.len();
        self.changed.insert(key, None);
    }

    /// The rows that begin with `prefix`, ascending, at most about `limit` of them.
    pub(super) fn scan<T: Encode + Decode<()>>(
        &self,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, T)>, StoreError> {
        let page = self.store.scan_prefix(prefix, None, Direction::Ascending, limit)?;
        let mut found: BTreeMap<Vec<u8>, Option<Vec<u8>>> =
            page.rows.into_iter().map(|row| (row.key, Some(row.value))).collect();
        let ours = self.changed.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        found.extend(ours.map(|(key, value)| (key.clone(), value.clone())));
        let rows = found.into_iter().filter_map(|(key, value)| Some((key, value?)));
        rows.map(|(key, value)| decode(self.store, &key, &value).map(|row| (key, row))).collect()
    }

    /// Everything that changes, by key.
    pub(super) fn into_changes(self) -> Vec<Change> {
        self.changed.into_iter().map(|(key, value)| Change { key, value }).collect()
    }
}

/// Reads a row of this program. One that does not decode was not written by it: the store must be built again.
pub(super) fn decode<T: Encode + Decode<()>>(store: &Store, key: &[u8], value: &[u8]) -> Result<T, StoreError> {
    codec::decode(value).map_err(|error| unexpected(store, key, error.to_string()))
}

/// A row that this program cannot have written.
pub(super) fn unexpected(store: &Store, key: &[u8], found: String) -> StoreError {
    let expected = format!("a row of format {} under {}", rows::FORMAT, data_encoding::HEXLOWER.encode(key));
    StoreError::Disagrees { dir: store.dir.clone(), what: "row", expected, found }
}
