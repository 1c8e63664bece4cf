//! Seen: when an operator opens a received message, its sender learns so without another command. It is signed and sent
//! as an answer in the caller's name, beside the showing: whoever reads never waits for it, and a message can be read
//! while nothing can be signed. An auditor and a releaser open messages unseen.

use super::caller::Caller;
use super::{Server, answer};
use crate::access::Grant;
use aldis_control::{AnswerRequest, AnswerState, DeliveryState, Direction, MessageView};
use std::sync::Arc;

/// Tells the sender of a message that this caller has opened it, unless somebody here did before.
pub(super) fn note(server: &Arc<Server>, caller: &Caller, grant: &Grant, view: &MessageView) {
    if !is_news(view) {
        return;
    }
    let (server, caller, grant) = (Arc::clone(server), caller.clone(), grant.clone());
    let request = AnswerRequest {
        id: view.row.id.to_string(),
        state: AnswerState::Seen,
        status: None,
        justification: None,
        until: None,
        text: None,
        author: None,
    };
    tokio::spawn(async move {
        let id = request.id.clone();
        // Somebody may have answered meanwhile, or nothing is signed for the peer now: it was read all the same.
        if let Err(failure) = answer::take(&server, &caller, &grant, request).await {
            tracing::info!(opened = id, by = %caller.by(), code = failure.code(), "its sender is not told");
        }
    });
}

/// Whether people here owe its sender an answer, and none has opened the message before. Whether this caller may answer it
/// is asked where every answer is.
fn is_news(view: &MessageView) -> bool {
    let row = &view.row;
    let is_open = matches!(row.state, DeliveryState::Stored | DeliveryState::Notified) && row.ladder.is_some();
    row.direction == Direction::In && is_open
}
