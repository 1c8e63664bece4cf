//! Verification: answers in lines of JSON, progress first, one report last. One walk at a time; it ends when whoever asked
//! goes away.

use super::failure::Failure;
use super::{Context, Shared};
use crate::journal::TreeHead;
use crate::verification::{self, Abandoned};
use aldis_control::{Exit, VerifyLine, VerifyProgress};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// How many lines may wait for the client. Progress that finds no room is left out.
const LINES_WAITING_MAX: usize = 16;

/// How long a verification waits for the log to catch up with the journal before it begins.
const LOG_WAIT: Duration = Duration::from_secs(10);

/// Walks journal and log.
pub(super) async fn verify(State(server): Shared) -> Result<Response, Failure> {
    let place = Arc::clone(&server.verification).try_acquire_owned().map_err(|_| {
        let message = "a verification is under way already";
        Failure::new(Exit::Refused, "busy", message, "wait for it to end").with_status(StatusCode::CONFLICT)
    })?;
    // The running node is itself an anchor: the journal on disk must hold all that it holds.
    let floor = server.context.loop_handle.view().await?.journal;
    // A log that only just opens is waited for; one that cannot be had is told of at the end.
    server.context.log.wake();
    let _behind = server.context.log.caught_up(floor.size, LOG_WAIT).await;
    let (lines, waiting) = mpsc::channel(LINES_WAITING_MAX);
    let context = server.context.clone();
    let walk = tokio::task::spawn_blocking({
        let lines = lines.clone();
        move || {
            let _place = place;
            walk(&context, floor, &lines)
        }
    });
    tokio::spawn(async move {
        let last = match walk.await {
            Ok(last) => last,
            Err(ended) => match ended.try_into_panic() {
                Ok(unwound) if unwound.is::<Abandoned>() => return,
                _ => VerifyLine::Error(Failure::internal("the verification broke off").into_error()),
            },
        };
        // Whoever asked may have gone at the very end; the report is for nobody else.
        let _gone = lines.send(last).await;
    });
    let stopping = server.stopping.clone();
    let lines = ReceiverStream::new(waiting).map(|line| Ok::<_, Infallible>(written(&line)));
    let body = Body::from_stream(lines.take_until(stopping.cancelled_owned()));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// The walk itself, first through the journal, then along the log; returns the last line.
fn walk(context: &Context, floor: TreeHead, lines: &mpsc::Sender<VerifyLine>) -> VerifyLine {
    let walked = verification::walk(&context.journal_dir, &context.log, floor, &mut |done, total, what| {
        let progress = VerifyProgress { done, total, what: what.to_owned() };
        if matches!(lines.try_send(VerifyLine::Progress(progress)), Err(mpsc::error::TrySendError::Closed(_))) {
            Abandoned::unwind();
        }
    });
    match walked {
        Ok(report) => VerifyLine::Report(report),
        Err(error) => VerifyLine::Error(error),
    }
}

fn written(line: &VerifyLine) -> Bytes {
    let mut text = serde_json::to_string(line).expect("a line is made of strings and numbers");
    text.push('\n');
    text.into()
}
