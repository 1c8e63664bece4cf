//! Verification: answers in lines of JSON, progress first, one report last. One walk at a time; it ends when whoever asked
//! goes away.

use super::failure::Failure;
use super::{Context, Shared, lines};
use crate::journal::TreeHead;
use crate::verification;
use aldis_control::{Exit, VerifyLine, VerifyProgress};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

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
    let (lines, waiting) = mpsc::channel(lines::LINES_WAITING_MAX);
    let context = server.context.clone();
    let walk = tokio::task::spawn_blocking({
        let lines = lines.clone();
        move || {
            let _place = place;
            walk(&context, floor, &lines)
        }
    });
    let broke_off = VerifyLine::Error(Failure::internal("the verification broke off").into_error());
    Ok(lines::answer(walk, lines, waiting, broke_off, server.stopping.clone()))
}

/// The walk itself, first through the journal, then along the log; returns the last line.
fn walk(context: &Context, floor: TreeHead, lines: &mpsc::Sender<VerifyLine>) -> VerifyLine {
    let walked = verification::walk(&context.journal_dir, &context.log, floor, &mut |done, total, what| {
        let progress = VerifyProgress { done, total, what: what.to_owned() };
        lines::tell(lines, VerifyLine::Progress(progress));
    });
    match walked {
        Ok(report) => VerifyLine::Report(report),
        Err(error) => VerifyLine::Error(error),
    }
}
