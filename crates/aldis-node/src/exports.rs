//! Giving messages out of the node's care: everything that does it says so here first, and gives out nothing before
//! this has returned. From then on a tombstone for one of them says that its content had left.

use crate::access::Desks;
use crate::event_loop::{LoopHandle, Request, RequestError};
use crate::journal;
use crate::log::LogHandle;
use crate::log::query::QueryError;
use aldis_core::effect::{Declined, ExportFault};
use aldis_core::record::EXPORTED_MAX;
use aldis_wire::codec::Text;
use aldis_wire::ids::EnvelopeId;
use std::time::Duration;

/// How long it waits for the log to have what the journal has.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(2);

/// What messages are given out of.
#[derive(Clone, Debug)]
pub struct Exports {
    /// The way to the core.
    pub node: LoopHandle,
    /// The message log.
    pub log: LogHandle,
    /// The journal.
    pub journal: journal::Reader,
}

/// Why nothing may be given out. Nothing was put on record.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A message is not here or not for whoever asks, or the log cannot be searched.
    #[error(transparent)]
    Log(#[from] QueryError),
    /// A body is wanted that was erased.
    #[error("the body of {0} was erased here; export it without bodies, or leave it out")]
    Erased(EnvelopeId),
    /// The node declined it, or is stopping.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The log could not be read.
    #[error("reading the message log failed: {0}")]
    Reading(String),
}

impl Exports {
    /// Puts on record that `by` gives out these messages, at least one, at most 1,000, each once, with their bodies or
    /// without, as far as they are for these desks. When this succeeds it is on stable storage. Read bodies after it,
    /// not before: one that a recall erases meanwhile then stays here.
    pub async fn export(
        &self,
        messages: Vec<EnvelopeId>,
        bodies: bool,
        desks: Desks,
        by: Text<128>,
    ) -> Result<(), ExportError> {
        if messages.len() > EXPORTED_MAX {
            let fault = Declined::Export(ExportFault::TooMany(messages.len()));
            return Err(RequestError::Declined(fault).into());
        }
        self.log.wake();
        // A log that is behind does not have a message yet, and then says so.
        let _behind = self.log.caught_up(self.journal.committed(), CATCH_UP_LIMIT).await;
        let (log, asked) = (self.log.clone(), messages.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let log = log.query()?.within(desks);
            if bodies { log.first_erased(&asked) } else { log.all_known(&asked).map(|()| None) }
        });
        if let Some(id) = looked.await.map_err(|panic| ExportError::Reading(panic.to_string()))?? {
            return Err(ExportError::Erased(id));
        }
        self.node.request(Request::Export { messages, bodies, by }).await?;
        Ok(())
    }
}
