//! Answers in lines of JSON, for work that takes long: progress first, one last line with what came of it. The work ends
//! when whoever asked goes away.

use crate::verification::Abandoned;
use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde::Serialize;
use std::convert::Infallible;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

/// How many lines may wait for the client. Progress that finds no room is left out.
pub(super) const LINES_WAITING_MAX: usize = 16;

/// Tells of progress; unwinds with [`Abandoned`] when nobody listens any more.
pub(super) fn tell<L>(lines: &mpsc::Sender<L>, line: L) {
    if matches!(lines.try_send(line), Err(mpsc::error::TrySendError::Closed(_))) {
        Abandoned::unwind();
    }
}

/// Answers with the lines that `work` sends and, when it has ended, its last one; `broke_off` stands for a last line if
/// it panicked.
pub(super) fn answer<L: Serialize + Send + 'static>(
    work: JoinHandle<L>,
    lines: mpsc::Sender<L>,
    waiting: mpsc::Receiver<L>,
    broke_off: L,
    stopping: CancellationToken,
) -> Response {
    tokio::spawn(async move {
        let last = match work.await {
            Ok(last) => last,
            Err(ended) => match ended.try_into_panic() {
                Ok(unwound) if unwound.is::<Abandoned>() => return,
                _ => broke_off,
            },
        };
        // Whoever asked may have gone at the very end; the report is for nobody else.
        let _gone = lines.send(last).await;
    });
    let lines = ReceiverStream::new(waiting).map(|line| Ok::<_, Infallible>(written(&line)));
    let body = Body::from_stream(lines.take_until(stopping.cancelled_owned()));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

fn written<L: Serialize>(line: &L) -> Bytes {
    let mut text = serde_json::to_string(line).expect("a line is made of strings and numbers");
    text.push('\n');
    text.into()
}
