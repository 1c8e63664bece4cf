//! Alerts and steps of the ladder in the event stream: for whom one is, and what an alert says there.

use super::{Server, review};
use crate::access::Desks;
use crate::alerts;
use crate::log::query::QueryError;
use aldis_core::ladder::{Alert, Silence};
use aldis_core::record::Climbed;
use aldis_wire::ids::{EnvelopeId, Seq};

/// The most messages that are looked up for one listener.
const LOOKED_UP_MAX: usize = 64;

/// Whether one of these messages, which an alert or a step is about, is for one of these desks. Where the log does not
/// know, it is taken to be: an alert says nothing of what a message is about, and silence is worse.
pub(super) async fn concerns(server: &Server, desks: &Desks, messages: &[EnvelopeId]) -> bool {
    // An alert about a draft names no message: whoever hears of it finds somebody to release it.
    if *desks == Desks::All || messages.is_empty() || messages.len() > LOOKED_UP_MAX {
        return true;
    }
    let ids = messages.to_vec();
    let looked_up = review::read(server, desks.clone(), move |log| {
        Ok(ids.iter().any(|id| !matches!(log.message_row(id), Err(QueryError::MissingDesk(..)))))
    });
    looked_up.await.unwrap_or(true)
}

/// The same of a step of the ladder. A silence of a peer's machine is about a whole lane, so it concerns everybody.
pub(super) async fn step_concerns(server: &Server, desks: &Desks, climbed: &Climbed) -> bool {
    let (from, to) = match climbed.silence {
        Silence::Received => (&climbed.peer, server.own()),
        Silence::Sent => (server.own(), &climbed.peer),
        // Nothing is said of what a draft is about, and whoever hears of it finds somebody to release it.
        Silence::Undelivered | Silence::Draft => return true,
    };
    let id = |seq: &Seq| EnvelopeId { from: from.clone(), to: to.clone(), lane: climbed.lane, seq: *seq };
    let ids: Vec<EnvelopeId> = climbed.messages.iter().map(id).collect();
    concerns(server, desks, &ids).await
}

/// An alert in one line.
pub(super) fn text(alert: &Alert) -> String {
    let again = if alert.again { " (told before the node was restarted)" } else { "" };
    format!("alert {}: {}; {}{again}", alert.id, alerts::title(alert), alerts::next_step(alert))
}
