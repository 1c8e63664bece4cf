//! How a case is found: its messages lie in the index by case, which is divided by the journal's records (see
//! `case_index`), so that it grows at its end although cases have random ids. A case is looked for in each division: one
//! look for each 16,384 records, a few milliseconds for two million messages.

use std::collections::BTreeSet;
use std::str::FromStr;

use aldis_wire::ids::CaseId;
use data_encoding::BASE32_NOPAD;

use super::{CASE_PREFIX_MIN, Order, Query, QueryError, SEARCH_ROWS_MAX};
use crate::access::Desks;
use crate::log::case_index::{Epoch, case_prefix, parse_case_key};
use crate::log::rows::Moment;

/// The length of a case in base 32.
const CASE_CHARACTERS: usize = 26;
/// The most cases with one prefix that are looked at for one that may be read.
const CASES_LOOKED_AT_MAX: usize = 1_000;

impl Query {
    /// The case a person means.
    pub fn resolve_case(&self, text: &str) -> Result<CaseId, QueryError> {
        let text = text.trim().to_ascii_lowercase();
        let invalid = || QueryError::InvalidCase(text.chars().take(80).collect());
        if !(CASE_PREFIX_MIN..=CASE_CHARACTERS).contains(&text.len()) || !text.bytes().all(is_base32) {
            return Err(invalid());
        }
        // The first case that can begin so: the characters that are missing stand for zero bits.
        let padded = format!("{text:a<CASE_CHARACTERS$}");
        let first = CaseId::from_str(&padded).or_else(|_| lowest(&padded).ok_or_else(invalid))?;
        let (mut one, mut unreadable) = (None, None);
        for case in self.cases_from(first, |case| case.to_string().starts_with(&text))? {
            match (self.shows_any_of(case)?, one) {
                (false, _) => unreadable = Some(case),
                (true, None) => one = Some(case),
                (true, Some(one)) => return Err(QueryError::AmbiguousCase { prefix: text, one, other: case }),
            }
        }
        one.ok_or_else(|| unreadable.map_or(QueryError::NoCase(text), QueryError::CaseMissingDesk))
    }

    /// All index rows of a case; `take` gets key and value, and says whether to go on.
    pub(super) fn walk_case(
        &self,
        case: CaseId,
        order: Order,
        take: impl FnMut(&[u8], &[u8]) -> Result<bool, QueryError>,
    ) -> Result<(), QueryError> {
        let epochs = Epoch::FIRST.through(self.latest_epoch());
        match order {
            Order::Ascending => self.walk_epochs(case, epochs, None, order, take),
            Order::Descending => self.walk_epochs(case, epochs.rev(), None, order, take),
        }
    }

    /// The same of those up to a moment, the latest first.
    pub(super) fn walk_case_back(
        &self,
        case: CaseId,
        last: Moment,
        take: impl FnMut(&[u8], &[u8]) -> Result<bool, QueryError>,
    ) -> Result<(), QueryError> {
        let epochs = Epoch::FIRST.through(Epoch::of(last.record).min(self.latest_epoch()));
        self.walk_epochs(case, epochs.rev(), Some(last), Order::Descending, take)
    }

    /// The same of those from a time on that were recorded near a record.
    pub(super) fn walk_case_near(
        &self,
        case: CaseId,
        near: Moment,
        take: impl FnMut(&[u8], &[u8]) -> Result<bool, QueryError>,
    ) -> Result<(), QueryError> {
        let from = Moment { at: near.at, record: 0 };
        self.walk_epochs(case, Epoch::of(near.record).with_neighbours(), Some(from), Order::Ascending, take)
    }

    fn walk_epochs(
        &self,
        case: CaseId,
        epochs: impl Iterator<Item = Epoch>,
        from: Option<Moment>,
        order: Order,
        mut take: impl FnMut(&[u8], &[u8]) -> Result<bool, QueryError>,
    ) -> Result<(), QueryError> {
        let mut goes_on = true;
        for epoch in epochs {
            let prefix = case_prefix(epoch, case);
            let from = from.map(|from| from.under(prefix.clone()));
            self.walk(&prefix, from, order, |key, name| {
                goes_on = take(key, name)?;
                Ok(goes_on)
            })?;
            if !goes_on {
                break;
            }
        }
        Ok(())
    }

    /// At most [`CASES_LOOKED_AT_MAX`] cases from `first` on, in order, for as long as they fit.
    fn cases_from(&self, first: CaseId, fits: impl Fn(&CaseId) -> bool) -> Result<BTreeSet<CaseId>, QueryError> {
        let mut cases = BTreeSet::new();
        for epoch in Epoch::FIRST.through(self.latest_epoch()) {
            let mut next = Some(first);
            while let Some(from) = next
                && let Some(case) = self.next_case(epoch, from)?.filter(&fits)
                && cases.len() < CASES_LOOKED_AT_MAX
            {
                cases.insert(case);
                next = after(case);
            }
        }
        Ok(cases)
    }

    /// The first case from `case` on in one division of the index.
    fn next_case(&self, epoch: Epoch, case: CaseId) -> Result<Option<CaseId>, QueryError> {
        let from = case_prefix(epoch, case);
        let page = self.store.scan_prefix(&epoch.prefix(), Some(&from), Order::Ascending, 1)?;
        Ok(page.rows.first().and_then(|row| parse_case_key(&row.key)))
    }

    /// Whether a message of the case may be read, among the latest [`SEARCH_ROWS_MAX`].
    fn shows_any_of(&self, case: CaseId) -> Result<bool, QueryError> {
        if self.desks == Desks::All {
            return Ok(true);
        }
        let (mut shows, mut looked_at) = (false, 0);
        self.walk_case(case, Order::Descending, |key, name| {
            shows = self.found(key, name)?.is_some();
            looked_at += 1;
            Ok(!shows && looked_at < SEARCH_ROWS_MAX)
        })?;
        Ok(shows)
    }

    fn latest_epoch(&self) -> Epoch {
        Epoch::of(self.store.position().records_applied)
    }
}

fn is_base32(byte: u8) -> bool {
    byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte)
}

/// 26 characters hold two bits more than a case has: a text that sets them names no case, but may be a prefix of none too.
fn lowest(padded: &str) -> Option<CaseId> {
    let bits = BASE32_NOPAD.decode(format!("{}a", &padded[..CASE_CHARACTERS - 1]).to_ascii_uppercase().as_bytes());
    bits.ok().and_then(|bytes| bytes.try_into().ok()).map(CaseId)
}

/// The case that follows in order.
fn after(case: CaseId) -> Option<CaseId> {
    u128::from_be_bytes(case.0).checked_add(1).map(|next| CaseId(next.to_be_bytes()))
}
