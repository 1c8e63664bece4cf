//! The keys of the index by case. Cases have random ids: in one index for all, each new case would change another block
//! (see `blocks`). So the index is divided by the journal's records into epochs, and changes at its end; a case is looked
//! for in each epoch.

use super::rows::BY_CASE;
use aldis_wire::ids::CaseId;

/// A part of the index, by the records that its messages stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Epoch(u64);

impl Epoch {
    pub(super) const FIRST: Self = Self(0);
    const RECORDS: u64 = 16_384;

    /// That of a record.
    pub(super) fn of(record: u64) -> Self {
        Self(record / Self::RECORDS)
    }

    /// Where its rows begin.
    pub(super) fn prefix(self) -> Vec<u8> {
        [&[BY_CASE], &self.0.to_be_bytes()[..]].concat()
    }

    /// It and those up to another.
    pub(super) fn through(self, last: Self) -> impl DoubleEndedIterator<Item = Self> {
        (self.0..=last.0).map(Self)
    }

    /// It with the ones before and behind it.
    pub(super) fn with_neighbours(self) -> impl DoubleEndedIterator<Item = Self> {
        Self(self.0.saturating_sub(1)).through(Self(self.0 + 1))
    }
}

/// Where the rows of a case begin in one epoch.
pub(super) fn case_prefix(epoch: Epoch, case: CaseId) -> Vec<u8> {
    [&epoch.prefix()[..], &case.0].concat()
}

/// The case of a row of the index by case; `None` if this is no key of one.
pub(super) fn parse_case_key(key: &[u8]) -> Option<CaseId> {
    let case = key.get(1 + size_of::<u64>()..)?.first_chunk()?;
    Some(CaseId(*case))
}
