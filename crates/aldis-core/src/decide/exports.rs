//! Exports: that messages leave the node's care is on record before a byte of them does.

use super::reply;
use crate::batch::Batch;
use crate::effect::{Declined, Done, ExportFault};
use crate::input::{Acceptance, Token};
use crate::moment::Moment;
use crate::record::{EXPORTED_MAX, Exported, Record};
use crate::state::Core;
use aldis_wire::codec::{List, Text};
use aldis_wire::ids::EnvelopeId;
use std::collections::BTreeSet;

impl Core {
    /// The core keeps no closed messages, so it cannot know whether there are such: whoever asks found them in the log,
    /// with their bodies if these are to go too.
    pub(super) fn export(
        &mut self,
        moment: Moment,
        token: Token,
        messages: Vec<EnvelopeId>,
        bodies: bool,
        by: Text<128>,
        batch: &mut Batch,
    ) {
        if let Some(fault) = self.export_fault(&messages) {
            return reply(batch, token, Err(Declined::Export(fault)));
        }
        let messages = List::new(messages).expect("their number was checked");
        self.decided(batch, Record::Exported(Exported { messages, bodies, by, at: moment.wall }));
        reply(batch, token, Ok(Done::Exported));
    }

    fn export_fault(&self, messages: &[EnvelopeId]) -> Option<ExportFault> {
        if messages.is_empty() {
            return Some(ExportFault::Nothing);
        }
        if messages.len() > EXPORTED_MAX {
            return Some(ExportFault::TooMany(messages.len()));
        }
        if messages.iter().any(|id| id.from != self.own && id.to != self.own) {
            return Some(ExportFault::NotOurs);
        }
        let mut named = BTreeSet::new();
        let is_twice = messages.iter().any(|id| !named.insert(id));
        is_twice.then_some(ExportFault::Twice)
    }

    /// Whether something was given out since somebody looked whether the message was: then a tombstone could say that
    /// it was not, and be wrong. One number is enough to find out, for exports are rare and looking again is cheap.
    pub(super) fn exported_since(&self, acceptance: &Acceptance) -> bool {
        self.last_export.is_some_and(|last| last >= acceptance.looked_at)
    }
}
