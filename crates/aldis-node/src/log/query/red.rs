//! TLP:RED: what lists show of such a message, and the lock on what only its opening shows.

use aldis_control::{BodyAbsence, MessageView, Opening, Tlp};
use aldis_wire::ids::EnvelopeId;
use futures_util::future::try_join_all;

use super::{Found, Order, Query, QueryError, shown, tlp};
use crate::log::rows::{self, OPENING, of_message_prefix};

/// The most openings that are shown of a message: the latest.
const OPENINGS_SHOWN_MAX: usize = 20;

/// Whether the contents of TLP:RED messages are shown or left out. An unknown marking is handled as RED.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Red {
    Shown,
    Withheld,
}

/// A message in full, locked until the opening of everything TLP:RED in it is on record.
#[derive(Debug)]
pub struct Locked {
    view: MessageView,
    red: Vec<EnvelopeId>,
}

impl Red {
    pub(super) fn withholds(self, found: &Found) -> bool {
        self == Self::Withheld && is_red(found)
    }
}

impl Locked {
    pub(super) fn new(view: MessageView, red: Vec<EnvelopeId>) -> Self {
        Self { view, red }
    }

    /// The message without its lock, and what is TLP:RED in it.
    #[cfg(test)]
    pub(crate) fn broken(self) -> (MessageView, Vec<EnvelopeId>) {
        (self.view, self.red)
    }

    /// The message, once `journal` has put the opening of each TLP:RED message in it on stable storage.
    pub async fn open<E, F>(self, journal: impl Fn(EnvelopeId) -> F) -> Result<MessageView, E>
    where
        F: Future<Output = Result<(), E>>,
    {
        try_join_all(self.red.into_iter().map(journal)).await?;
        Ok(self.view)
    }
}

impl Query {
    /// Who opened a message here, oldest first.
    pub(super) fn openings(&self, found: &Found) -> Result<Vec<Opening>, QueryError> {
        let mut openings = Vec::new();
        if !is_red(found) {
            return Ok(openings);
        }
        self.walk(&of_message_prefix(OPENING, &found.id), None, Order::Descending, |key, value| {
            let row: rows::Opening = super::decode(&self.store, key, value)?;
            openings.push(Opening { at: shown(row.at), by: row.by.to_string() });
            Ok(openings.len() < OPENINGS_SHOWN_MAX)
        })?;
        openings.reverse();
        Ok(openings)
    }
}

pub(super) fn is_red(found: &Found) -> bool {
    tlp(found.message.tlp) == Tlp::Red
}

/// Why a list has no body of a TLP:RED message.
pub(super) fn withheld(id: &EnvelopeId) -> BodyAbsence {
    BodyAbsence { code: "tlp-red".to_owned(), text: hint(id) }
}

/// What stands where the words of a TLP:RED message would.
pub(super) fn hint(id: &EnvelopeId) -> String {
    format!("TLP:RED: open it with `aldis show {id}`, which is put on record")
}
