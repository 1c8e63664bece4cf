//! Exports: whether messages can be given out, and who gave them out before.

use aldis_control::{DeliveryState, ExportMark, HistoryEntry};
use aldis_wire::ids::EnvelopeId;

use super::{Found, Order, Query, QueryError, shown};
use crate::journal::{Body, RecordSeq};
use crate::log::rows::{self, EXPORT, of_message_prefix};

/// The most exports that are shown of a message: the latest.
const EXPORTS_SHOWN_MAX: usize = 20;

impl Query {
    /// The first of these messages that is not here, or for a desk that is not read, is an error; the first whose body
    /// was erased is given back. One whose body never came has none that could leave.
    pub fn first_erased(&self, messages: &[EnvelopeId]) -> Result<Option<EnvelopeId>, QueryError> {
        let mut erased = None;
        for id in messages {
            let found = self.find(id)?;
            if erased.is_none() && self.reader.read(RecordSeq(found.message.record))?.body == Body::Erased {
                erased = Some(id.clone());
            }
        }
        Ok(erased)
    }

    /// Every one of these messages is here, and for a desk that is read.
    pub fn all_known(&self, messages: &[EnvelopeId]) -> Result<(), QueryError> {
        messages.iter().try_for_each(|id| self.find(id).map(|_| ()))
    }

    /// Who gave a message out, oldest first.
    pub(super) fn exports(&self, found: &Found) -> Result<Vec<ExportMark>, QueryError> {
        let rows = self.export_rows(found)?;
        let export = |(_, row): (u64, rows::Export)| ExportMark {
            at: shown(row.at),
            by: row.by.to_string(),
            bodies: row.bodies,
        };
        Ok(rows.into_iter().map(export).collect())
    }

    /// Adds the exports to a history that is in order. None of them changes how far the message has come.
    pub(super) fn add_exports(&self, found: &Found, history: &mut Vec<(u64, HistoryEntry)>) -> Result<(), QueryError> {
        for (record, row) in self.export_rows(found)? {
            let before = history.iter().rev().find(|(earlier, _)| *earlier < record);
            let state = before.map_or(DeliveryState::Stored, |(_, entry)| entry.state);
            let what = if row.bodies { "with its body" } else { "without its body" };
            let cause = format!("exported {what}; where it is now, this node cannot know");
            let entry = HistoryEntry { at: shown(row.at), state, step: None, cause, by: Some(row.by.to_string()) };
            let place = history.partition_point(|(earlier, _)| *earlier < record);
            history.insert(place, (record, entry));
        }
        Ok(())
    }

    fn export_rows(&self, found: &Found) -> Result<Vec<(u64, rows::Export)>, QueryError> {
        let mut exports = Vec::new();
        self.walk(&of_message_prefix(EXPORT, &found.id), None, Order::Descending, |key, value| {
            exports.push((super::view::record_of(key), super::decode(&self.store, key, value)?));
            Ok(exports.len() < EXPORTS_SHOWN_MAX)
        })?;
        exports.reverse();
        Ok(exports)
    }
}
