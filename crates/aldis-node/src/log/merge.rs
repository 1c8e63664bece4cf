//! From changed rows to changed blocks: a block that changes fall into is read once, gets all of them, and is written in
//! as many blocks as it then needs. What was not changed is not written. Nothing here writes; the caller applies the batch.

use sled::IVec;

use super::blocks::{self, Entry, Unpacked};
use super::error::StoreError;
use super::layout::{BLOCK_TAG, CHUNK_BYTES, Head, Position, block_key, chunk_key};
use super::store::{Change, Store};

/// A batch that is being made, and the position that it leads to.
struct Merge<'s> {
    store: &'s Store,
    batch: sled::Batch,
    after: &'s mut Position,
}

/// Where a row of a block that is written comes from.
enum Row {
    /// From the block as it was: its place there.
    Kept(usize),
    /// From the changes: its place among the rows that were set.
    Set(usize),
}

impl Store {
    /// The batch that makes these changes, each to another row, ascending; counts them into `after`. The caller holds the writer.
    pub(super) fn merged(&self, mut changes: &[&Change], after: &mut Position) -> Result<sled::Batch, StoreError> {
        let mut merge = Merge { store: self, batch: sled::Batch::default(), after };
        while let Some(first) = changes.first() {
            let (block, next) = (self.block_of(&first.key)?, self.block_behind(&first.key)?);
            let is_in_block = |change: &&Change| next.as_ref().is_none_or(|next| change.key[..] < next[1..]);
            let (of_block, rest) = changes.split_at(changes.partition_point(is_in_block));
            merge.change(block, of_block)?;
            changes = rest;
        }
        Ok(merge.batch)
    }

    /// The block that has the row `key`, if there is that row.
    pub(super) fn block_of(&self, key: &[u8]) -> Result<Option<(IVec, IVec)>, StoreError> {
        let covering = block_key(&[])..=block_key(key);
        self.in_sled("reading", |db| db.range(covering).next_back().transpose())
    }

    /// The sled key of the first block behind the one that has the row `key`.
    fn block_behind(&self, key: &[u8]) -> Result<Option<IVec>, StoreError> {
        let next = self.in_sled("reading", |db| db.get_gt(block_key(key)))?;
        Ok(next.map(|(next, _)| next).filter(|next| next.first() == Some(&BLOCK_TAG)))
    }
}

impl Merge<'_> {
    /// Makes changes in one block, or where none is yet.
    fn change(&mut self, block: Option<(IVec, IVec)>, changes: &[&Change]) -> Result<(), StoreError> {
        let before = match &block {
            Some((key, block)) => self.store.unpack(key, block)?,
            None => Unpacked::default(),
        };
        let (mut set, mut rows) = (Unpacked::default(), Vec::with_capacity(before.len() + changes.len()));
        let (mut at, mut is_changed, mut through) = (0, false, 0);
        let key_at = |at: usize| (at < before.len()).then(|| before.row(at).0);
        for Change { key, value } in changes.iter().copied() {
            let (key, value) = (&key[..], value.as_deref());
            while key_at(at).is_some_and(|there| there < key) {
                rows.push(Row::Kept(at));
                at += 1;
            }
            let old = key_at(at).filter(|there| *there == key).map(|_| before.row(at).1);
            if let Some(head) = old {
                at += 1;
                if self.is(key, head, value)? {
                    rows.push(Row::Kept(at - 1));
                    continue;
                }
                self.take_away(key, head)?;
            }
            is_changed |= old.is_some() || value.is_some();
            if let Some(value) = value {
                rows.push(Row::Set(set.len()));
                set.push_with(key, |head| self.add(key, value, head));
                through = rows.len();
            }
        }
        rows.extend((at..before.len()).map(Row::Kept));
        if is_changed {
            let entry = |row: &Row| match row {
                Row::Kept(place) => before.row(*place),
                Row::Set(place) => set.row(*place),
            };
            let entries: Vec<Entry<'_>> = rows.iter().map(entry).collect();
            self.write(block.as_ref(), &entries, through);
        }
        Ok(())
    }

    /// Whether a row has this value already.
    fn is(&self, key: &[u8], head: &[u8], value: Option<&[u8]>) -> Result<bool, StoreError> {
        match value {
            Some(value) if Head::of(value).is(head) => Ok(self.store.value_of(key, head)? == value),
            _ => Ok(false),
        }
    }

    /// A row goes, and what is stored beside its block.
    fn take_away(&mut self, key: &[u8], head: &[u8]) -> Result<(), StoreError> {
        self.after.rows = self.after.rows.wrapping_sub(1);
        let value = self.store.value_of(key, head)?;
        for (number, chunk) in (0..Head::of(&value).chunks()).zip(value.chunks(CHUNK_BYTES)) {
            let chunk_key = chunk_key(key, number);
            self.after.remove(&chunk_key, chunk);
            self.batch.remove(chunk_key);
        }
        Ok(())
    }

    /// A row comes; writes its head behind what is there.
    fn add(&mut self, key: &[u8], value: &[u8], into: &mut Vec<u8>) {
        self.after.rows = self.after.rows.wrapping_add(1);
        let head = Head::of(value);
        for (number, chunk) in (0..head.chunks()).zip(value.chunks(CHUNK_BYTES)) {
            let chunk_key = chunk_key(key, number);
            self.after.add(&chunk_key, chunk);
            self.batch.insert(chunk_key, chunk);
        }
        head.write(into);
    }

    /// Writes a block's rows anew: the first of its blocks keeps its bound, the others begin with their first row.
    fn write(&mut self, block: Option<&(IVec, IVec)>, entries: &[Entry<'_>], through: usize) {
        let mut bound = None;
        if let Some((key, old)) = block {
            self.after.remove(key, old);
            match entries.is_empty() {
                true => self.batch.remove(key),
                false => bound = Some(key.clone()),
            }
        }
        for (rows, packed) in blocks::pack(entries, through) {
            let (first, _) = rows.first().expect("a block has rows");
            let key = bound.take().unwrap_or_else(|| block_key(first).into());
            self.after.add(&key, &packed);
            self.batch.insert(key, packed);
        }
    }
}
