//! Reads many rows: pages of a prefix for search and review, and the walk that proves the content complete. A page
//! is bounded in rows and bytes, and no lock is held between two pages.

use std::ops::Bound;

use super::error::StoreError;
use super::layout::{CHUNK_TAG, Head, POSITION_KEY, Position, ROW_TAG, after_prefix, row_key};
use super::store::{Store, refuse_above};

/// The most rows of one page.
pub const PAGE_ROWS_MAX: usize = 1_000;
/// A page ends with the row that reaches this many bytes of keys and values.
pub const PAGE_BYTES_MAX: usize = 4 << 20;
/// How many sled entries of at most 4 KiB the walk reads at a time, and between two calls of the progress.
const WALK_ENTRIES: usize = 256;

/// The order of a page's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// By key, as bytes compare.
    Ascending,
    /// The reverse: the newest first, if keys begin with a number or a time.
    Descending,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its key, with the prefix.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// Some rows of a prefix, all of the same moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The rows, in the order asked for.
    pub rows: Vec<Row>,
    /// Where the next page starts; `None` if this was the last.
    pub next: Option<Vec<u8>>,
}

impl Store {
    /// The rows whose key begins with `prefix`, starting at `from` (inclusive, whether or not that row exists; `None`:
    /// at the end of the prefix where the direction starts), at most `limit` of them and about [`PAGE_BYTES_MAX`].
    ///
    /// Fails with [`StoreError::Refused`] if `limit` is over [`PAGE_ROWS_MAX`] or `from` does not begin with `prefix`.
    pub fn scan_prefix(
        &self,
        prefix: &[u8],
        from: Option<&[u8]>,
        direction: Direction,
        limit: usize,
    ) -> Result<Page, StoreError> {
        refuse_above("rows in one page", limit, PAGE_ROWS_MAX)?;
        let foreign = from.is_some_and(|from| !from.starts_with(prefix));
        refuse_above("keys outside the prefix to start a page at", usize::from(foreign), 0)?;

        let whole = row_key(prefix);
        let (mut start, mut end) = (Bound::Included(whole.clone()), Bound::Excluded(after_prefix(&whole)));
        match (from.map(row_key), direction) {
            (Some(from), Direction::Ascending) => start = Bound::Included(from),
            (Some(from), Direction::Descending) => end = Bound::Included(from),
            (None, _) => {}
        }
        let _view = self.view();
        let mut entries = self.in_sled("reading", |db| Ok(db.range((start, end))))?;
        let mut page = Page { rows: Vec::new(), next: None };
        let mut page_bytes = 0;
        loop {
            let entry = self.in_sled("reading", |_| match direction {
                Direction::Ascending => entries.next().transpose(),
                Direction::Descending => entries.next_back().transpose(),
            })?;
            let Some((sled_key, head)) = entry else {
                return Ok(page);
            };
            let key = sled_key[1..].to_vec();
            if page.rows.len() == limit || page_bytes >= PAGE_BYTES_MAX {
                page.next = Some(key);
                return Ok(page);
            }
            let value = self.value_of(&key, &head)?;
            page_bytes += key.len() + value.len();
            page.rows.push(Row { key, value });
        }
    }

    /// Reads everything and compares it with the position: sled opens a third of the files with a flipped bit without
    /// an error, and rows missing. `progress` gets rows read and rows expected, often and at the end. Reads go on
    /// meanwhile, an apply waits.
    ///
    /// Fails with [`StoreError::Disagrees`] if what is there is not what was written, and with
    /// [`StoreError::Damaged`] if it cannot be read: a restart would meet the same damage again, a rebuild does not.
    pub fn check(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<(), StoreError> {
        self.walk(progress).map_err(|error| match error {
            StoreError::Failed { dir, detail, .. } => StoreError::Damaged { dir, detail },
            other => other,
        })
    }

    fn walk(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<(), StoreError> {
        let _writer = self.stand_still();
        let promised = self.position();
        let mut walk = Walk { found: Position { rows: 0, digest: [0; 16], ..promised }, chunks_missing: 0 };
        let mut entries = self.in_sled("checking", |db| Ok(db.iter()))?;
        loop {
            let some: Vec<_> = self.in_sled("checking", |_| entries.by_ref().take(WALK_ENTRIES).collect())?;
            if some.is_empty() {
                break;
            }
            for (sled_key, value) in &some {
                self.visit(&mut walk, &promised, sled_key, value)?;
            }
            progress(walk.found.rows, promised.rows);
        }
        self.require_same("rows", &walk.found.rows, &promised.rows)?;
        self.require_same("chunks without a row", &-walk.chunks_missing, &0)?;
        self.require_same(
            "digest of all rows",
            &u128::from_be_bytes(walk.found.digest),
            &u128::from_be_bytes(promised.digest),
        )
    }

    fn visit(&self, walk: &mut Walk, promised: &Position, sled_key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        match sled_key.split_first() {
            Some((&ROW_TAG, key)) => {
                walk.chunks_missing += Head::decode(value).map_or(0, |head| i64::from(head.chunks()));
                walk.found.add_row(key, &self.value_of(key, value)?);
                Ok(())
            }
            Some((&CHUNK_TAG, _)) => {
                walk.chunks_missing -= 1;
                Ok(())
            }
            _ if sled_key == POSITION_KEY => self.require_same("position", &Position::decode(value), &Some(*promised)),
            _ => self.require_same("key", &sled_key, &&POSITION_KEY[..]),
        }
    }

    fn require_same<T: PartialEq + std::fmt::Debug>(
        &self,
        what: &'static str,
        found: &T,
        expected: &T,
    ) -> Result<(), StoreError> {
        if found == expected {
            return Ok(());
        }
        let (expected, found) = (format!("{expected:?}"), format!("{found:?}"));
        Err(StoreError::Disagrees { dir: self.dir.clone(), what, expected, found })
    }
}

/// What the walk has counted so far.
struct Walk {
    found: Position,
    /// Chunks that the rows promise less chunks that are there.
    chunks_missing: i64,
}
