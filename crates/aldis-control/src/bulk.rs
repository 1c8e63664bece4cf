//! Sending in bulk: many messages over one connection, a line each, and a line of answer for each.

use std::io;

use futures_util::stream::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ApiError, SendRequest, SendResponse};

/// How many messages go into one piece of the request, if so many are there.
const PIECE_MESSAGES: usize = 64;

/// One line of the answer to `POST /v1/messages/bulk`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BulkLine {
    /// What became of one message. Messages whose sender waits may be overtaken by later ones.
    Answer(BulkAnswer),
    /// How far it has come; said at least every 15 s when nothing else is.
    Progress(BulkProgress),
    /// What came of all; no line follows.
    Report(BulkReport),
}

/// What became of one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BulkAnswer {
    /// Its line in the request, counted from 1, empty lines too.
    pub line: u64,
    /// Either the one or the other.
    #[serde(flatten)]
    pub outcome: BulkOutcome,
}

/// Whether a message was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BulkOutcome {
    /// It is on stable storage here (I1), as after a single send; or it waits for another person to release it.
    Sent(SendResponse),
    /// Nothing was sent; the other lines go on.
    Error(ApiError),
}

/// How far a bulk has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BulkProgress {
    /// Messages taken from the request.
    pub lines: u64,
    /// Messages answered as sent.
    pub sent: u64,
    /// Messages answered with an error.
    pub failed: u64,
}

/// What came of a bulk. Every message that was taken has been answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BulkReport {
    /// Messages taken from the request.
    pub lines: u64,
    /// Messages answered as sent.
    pub sent: u64,
    /// Messages answered with an error.
    pub failed: u64,
    /// Why the rest of the request was not taken, and from which line on; `null` if all of it was.
    pub stopped: Option<String>,
}

/// The request, in as few pieces as messages come.
pub(crate) fn pieces(
    requests: impl Stream<Item = SendRequest> + Send + 'static,
) -> impl Stream<Item = io::Result<Vec<u8>>> + Send + 'static {
    requests.ready_chunks(PIECE_MESSAGES).map(|requests| {
        let mut lines = Vec::new();
        for request in requests {
            serde_json::to_writer(&mut lines, &request)?;
            lines.push(b'\n');
        }
        Ok(lines)
    })
}
