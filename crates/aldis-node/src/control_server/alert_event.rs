//! Alerts in the event stream: for whom one is, and what it says there.

use super::{Server, review};
use crate::access::Desks;
use crate::alerts;
use crate::log::query::QueryError;
use aldis_core::ladder::Alert;
use aldis_wire::ids::EnvelopeId;

/// The most messages that are looked up for one listener.
const LOOKED_UP_MAX: usize = 64;

/// Whether an alert is about a message for one of these desks. Where the log does not know, it is taken to be: an alert
/// says nothing of what a message is about, and silence is worse.
pub(super) async fn concerns(server: &Server, desks: &Desks, alert: &Alert) -> bool {
    if *desks == Desks::All || alert.messages.len() > LOOKED_UP_MAX {
        return true;
    }
    let ids: Vec<EnvelopeId> = alert.messages.clone();
    let looked_up = review::read(server, desks.clone(), move |log| {
        Ok(ids.iter().any(|id| !matches!(log.message_row(id), Err(QueryError::MissingDesk(..)))))
    });
    looked_up.await.unwrap_or(true)
}

/// An alert in one line.
pub(super) fn text(alert: &Alert) -> String {
    let again = if alert.again { " (told before the node was restarted)" } else { "" };
    format!("alert {}: {}; {}{again}", alert.id, alerts::title(alert), alerts::next_step(alert))
}
