//! Reads many rows: pages of a prefix for search and review, and the walk that proves the content complete. A page
//! is bounded in rows and bytes, and no lock is held between two pages.

use std::ops::Bound;

use super::blocks::{Rows, Torn};
use super::error::StoreError;
use super::layout::{BLOCK_TAG, CHUNK_TAG, Head, POSITION_KEY, Position, block_key};
use super::store::{Store, refuse_above};

/// The most rows of one page.
pub const PAGE_ROWS_MAX: usize = 1_000;
/// A page ends with the row that reaches this many bytes of keys and values.
pub const PAGE_BYTES_MAX: usize = 4 << 20;
/// How many sled entries of at most 4 KiB the walk reads at a time, and between two calls of the progress.
const WALK_ENTRIES: usize = 64;

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

        let _view = self.view();
        let mut blocks = self.blocks_at(prefix, from, direction)?;
        let mut page = Page { rows: Vec::new(), next: None };
        let mut page_bytes = 0;
        loop {
            let block = self.in_sled("reading", |_| match direction {
                Direction::Ascending => blocks.next().transpose(),
                Direction::Descending => blocks.next_back().transpose(),
            })?;
            let Some((block_key, block)) = block else { return Ok(page) };
            let rows = self.unpack(&block_key, &block)?;
            for number in 0..rows.len() {
                let (key, head) = match direction {
                    Direction::Ascending => rows.row(number),
                    Direction::Descending => rows.row(rows.len() - 1 - number),
                };
                match place(key, prefix, from, direction) {
                    Place::Before => continue,
                    Place::Behind => return Ok(page),
                    Place::Within => {}
                }
                if page.rows.len() == limit || page_bytes >= PAGE_BYTES_MAX {
                    page.next = Some(key.to_vec());
                    return Ok(page);
                }
                let value = self.value_of(key, head)?;
                page_bytes += key.len() + value.len();
                page.rows.push(Row { key: key.to_vec(), value });
            }
        }
    }

    /// The blocks from where a page starts on, to the end of all blocks.
    fn blocks_at(&self, prefix: &[u8], from: Option<&[u8]>, direction: Direction) -> Result<sled::Iter, StoreError> {
        let all = (Bound::Included(block_key(&[])), Bound::Excluded(vec![BLOCK_TAG + 1]));
        let range = match direction {
            Direction::Ascending => {
                let start = self.block_of(from.unwrap_or(prefix))?;
                (start.map_or(all.0, |(key, _)| Bound::Included(key.to_vec())), all.1)
            }
            Direction::Descending => match from {
                Some(from) => (all.0, Bound::Included(block_key(from))),
                None => (all.0, Bound::Excluded(after_prefix(&block_key(prefix)))),
            },
        };
        self.in_sled("reading", |db| Ok(db.range(range)))
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
        let found = Position { rows: 0, digest: [0; 16], ..promised };
        let mut walk = Walk { found, chunks_missing: 0, last_key: None };
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
        self.require_same("chunks beyond those of the rows", &-walk.chunks_missing, &0)?;
        self.require_same(
            "digest of all rows",
            &u128::from_be_bytes(walk.found.digest),
            &u128::from_be_bytes(promised.digest),
        )
    }

    fn visit(&self, walk: &mut Walk, promised: &Position, sled_key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        match sled_key.split_first() {
            Some((&BLOCK_TAG, bound)) => {
                walk.found.add(sled_key, value);
                self.visit_rows(walk, bound, sled_key, value)
            }
            Some((&CHUNK_TAG, _)) => {
                walk.found.add(sled_key, value);
                walk.chunks_missing -= 1;
                Ok(())
            }
            _ if sled_key == POSITION_KEY => self.require_same("position", &Position::decode(value), &Some(*promised)),
            _ => self.require_same("key", &sled_key, &&POSITION_KEY[..]),
        }
    }

    /// Every row of a block lies behind the block's bound and behind the rows of the block before it.
    fn visit_rows(&self, walk: &mut Walk, bound: &[u8], block_key: &[u8], block: &[u8]) -> Result<(), StoreError> {
        let is_behind = walk.last_key.as_ref().is_none_or(|last| last[..] < *bound);
        self.require_same("block's place", &is_behind, &true)?;
        let (mut rows, mut is_first) = (Rows::of(block), true);
        while let Some((key, head)) = rows.next().map_err(|Torn| self.torn_block(block_key))? {
            self.require_same("row's place", &(!is_first || key >= bound), &true)?;
            is_first = false;
            walk.found.rows += 1;
            walk.chunks_missing += Head::decode(head).map_or(0, |head| i64::from(head.chunks()));
            walk.last_key = Some(key.to_vec());
        }
        Ok(())
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
    /// The last row.
    last_key: Option<Vec<u8>>,
}

/// Where a row stands to a page.
enum Place {
    Before,
    Within,
    Behind,
}

/// Where a row stands to a page that starts at `from`, in the order of the page.
fn place(key: &[u8], prefix: &[u8], from: Option<&[u8]>, direction: Direction) -> Place {
    let begins = key.starts_with(prefix);
    match direction {
        Direction::Ascending if key < from.unwrap_or(prefix) => Place::Before,
        Direction::Descending if from.is_some_and(|from| key > from) || (!begins && key > prefix) => Place::Before,
        _ if begins => Place::Within,
        _ => Place::Behind,
    }
}

/// The first sled key after all that begin with `sled_prefix`, which begins with a tag and so is never all `ff`.
fn after_prefix(sled_prefix: &[u8]) -> Vec<u8> {
    let mut end = sled_prefix.to_vec();
    while end.pop_if(|byte| *byte == u8::MAX).is_some() {}
    let last = end.last_mut().expect("a prefix begins with a tag");
    *last += 1;
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_excludes_the_next_tag() {
        assert_eq!(after_prefix(&[1]), [2]);
        assert_eq!(after_prefix(&[1, 7]), [1, 8]);
        assert_eq!(after_prefix(&[1, 7, 255, 255]), [1, 8]);
        assert_eq!(after_prefix(&[1, 255]), [2]);
    }
}
