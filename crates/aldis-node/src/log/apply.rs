//! Batches: some records of the journal, turned into row changes that are applied at once. A batch ends where a commit
//! does, so that the log's position can be held against the journal's root; what the journal cannot read is noted as a
//! gap, never passed over in silence.

use aldis_core::record::Record;
use aldis_wire::codec::Text;
use aldis_wire::ids::NodeId;

use super::changes::{CHANGES_PER_RECORD_MAX, change_rows};
use super::pending::Pending;
use super::rows::{GAP, Gap, Meta, gap_key, meta_key};
use super::scan::Direction;
use super::store::{APPLY_BYTES_MAX, APPLY_CHANGES_MAX, JournalPosition, Store, StoreError};
use crate::journal::{ReadError, Reader, RecordSeq, TreeHead};

/// A batch ends with the first commit that brings it to this many records. What a block takes is shared by those that fall
/// into it, and sled keeps what a batch replaces until the batch is applied.
pub(super) const BATCH_RECORDS: u64 = 4_096;
/// A batch ends with the first commit that brings it to this many bytes of rows.
const BATCH_BYTES: usize = 2 << 20;

/// Why a batch could not be applied.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApplyError {
    /// The store is at fault.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal could not be read just now; its damage is a gap, not an error.
    #[error(transparent)]
    Journal(#[from] ReadError),
}

/// Applies the records from the store's position on, at most those below `end` and at most a batch of them; returns the
/// new position.
pub(super) fn apply_some(
    store: &Store,
    reader: &Reader,
    own: &NodeId,
    end: u64,
) -> Result<JournalPosition, ApplyError> {
    let first = store.position().records_applied;
    let mut rows = Pending::new(store);
    if first == 0 {
        rows.put(meta_key(), &Meta { format: super::rows::FORMAT, own: own.clone() });
    }
    let mut records = reader.iter_from(RecordSeq(first));
    let mut next = first;
    let mut root = [0; 32];
    while next < end {
        match records.next() {
            Some(Ok(found)) => match Record::decode(&found.record) {
                Ok(record) => change_rows(own, next, &record, &mut rows)?,
                Err(error) => note_gap(&mut rows, next, &format!("record {next} cannot be read: {error}"))?,
            },
            Some(Err(ReadError::Damaged(finding))) => {
                note_gap(&mut rows, next, &finding.to_string())?;
                records = reader.iter_from(RecordSeq(next + 1));
            }
            Some(Err(error)) => return Err(error.into()),
            None => break,
        }
        next += 1;
        let ended = whole_commit(records.commit_end())?;
        root = ended.map_or([0; 32], |(_, root)| root);
        if ended.is_some() && (next - first >= BATCH_RECORDS || rows.bytes() >= BATCH_BYTES) {
            break;
        }
        // No commit of this program is so long; a batch may then end in the middle of one, and its position is without a root.
        if rows.len() + CHANGES_PER_RECORD_MAX >= APPLY_CHANGES_MAX || rows.bytes() >= APPLY_BYTES_MAX / 2 {
            break;
        }
    }
    let position = JournalPosition { records_applied: next, journal_root: root };
    store.apply(&rows.into_changes(), position)?;
    Ok(position)
}

/// The first gap in the log: which record could not be read, and why.
pub(super) fn first_gap(store: &Store) -> Result<Option<(u64, String)>, StoreError> {
    let page = store.scan_prefix(&[GAP], None, Direction::Ascending, 1)?;
    let Some(row) = page.rows.first() else { return Ok(None) };
    let gap: Gap = super::pending::decode(store, &row.key, &row.value)?;
    let first = row.key.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    Ok(Some((first, gap.what.to_string())))
}

/// How the position of a store compares with the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// It is one the journal had, as far as can be told.
    Agrees,
    /// The journal never had it: the log is another journal's, or the journal was rolled back or changed.
    Disagrees(String),
}

/// Compares a position with the journal. Where the journal is damaged there nothing can be said, and what the log holds
/// is worth keeping.
pub(super) fn compare(position: JournalPosition, reader: &Reader) -> Result<Comparison, ReadError> {
    let (applied, committed) = (position.records_applied, reader.committed());
    if applied > committed {
        let what = format!("the log has {applied} records applied and the journal has {committed}");
        return Ok(Comparison::Disagrees(what));
    }
    let Some((size, root)) = (match applied.checked_sub(1) {
        Some(last) => commit_end(reader, last)?,
        None => None,
    }) else {
        return Ok(Comparison::Agrees);
    };
    let expected = if size == applied { root } else { [0; 32] };
    let without_root = position.journal_root == [0; 32];
    if expected == position.journal_root || without_root {
        return Ok(Comparison::Agrees);
    }
    Ok(Comparison::Disagrees(format!("the journal's root at record {applied} is another than the log's")))
}

/// Size and root of the journal where the commit of record `seq` ends; `None` if it is damaged there.
fn commit_end(reader: &Reader, seq: u64) -> Result<Option<(u64, [u8; 32])>, ReadError> {
    whole_commit(reader.commit_of(RecordSeq(seq)).map(Some))
}

/// Size and root of a commit as it was found; `None` if it is damaged or not at its end.
fn whole_commit(found: Result<Option<TreeHead>, ReadError>) -> Result<Option<(u64, [u8; 32])>, ReadError> {
    match found {
        Ok(head) => Ok(head.map(|head| (head.size, *head.root.as_bytes()))),
        Err(ReadError::Damaged(_) | ReadError::NotCommitted { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Notes that a record is missing; neighbours share a row.
fn note_gap(rows: &mut Pending<'_>, record: u64, what: &str) -> Result<(), StoreError> {
    let before = rows.scan::<Gap>(&[GAP], super::scan::PAGE_ROWS_MAX)?;
    if let Some((key, mut gap)) = before.into_iter().find(|(_, gap)| gap.end == record) {
        gap.end = record + 1;
        rows.put(key, &gap);
    } else {
        rows.put(gap_key(record), &Gap { end: record + 1, what: Text::cut(what) });
    }
    Ok(())
}
