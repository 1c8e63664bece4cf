//! Reading the message log: inbox, outbox, one message, a case, a search. Reads block on the disk, so they run beside the
//! runtime and only a few at a time; each sees at least what was committed before it was asked.

use super::caller::Caller;
use super::extract::Asked;
use super::failure::Failure;
use super::{Server, Shared, ladder_marks, seen, trust_marks};
use crate::access::{Desks, Grant};
use crate::event_loop::Request;
use crate::log::LogStatus;
use crate::log::query::{Query, QueryError};
use aldis_control::{CaseQuery, CaseView, Exit, ListQuery, LogPage, LogQuery, MessageQuery, MessageRow, MessageView};
use aldis_core::effect::Done;
use aldis_wire::ids::EnvelopeId;
use axum::extract::State;
use axum::{Extension, Json};
use std::sync::Arc;
use std::time::Duration;

/// How many reads run at once; the rest wait their turn.
pub(super) const READS_MAX: usize = 8;

/// How long a read waits for the log to catch up with the journal.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(2);

/// What was received; what needs an answer stands first.
pub(super) async fn inbox(
    State(server): Shared,
    Extension(grant): Extension<Grant>,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<Vec<MessageRow>>, Failure> {
    let mut rows = read(&server, grant.reads(), move |log| log.inbox(&query)).await?;
    mark(&server, &mut rows).await;
    Ok(Json(rows))
}

/// What was sent and is not finished.
pub(super) async fn outbox(
    State(server): Shared,
    Extension(grant): Extension<Grant>,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<Vec<MessageRow>>, Failure> {
    let mut rows = read(&server, grant.reads(), move |log| log.outbox(&query)).await?;
    mark(&server, &mut rows).await;
    Ok(Json(rows))
}

/// One message in full. Whoever opens TLP:RED is on record before they see it.
pub(super) async fn message(
    State(server): Shared,
    Extension(caller): Extension<Caller>,
    Extension(grant): Extension<Grant>,
    Asked(query): Asked<MessageQuery>,
) -> Result<Json<MessageView>, Failure> {
    let locked = read(&server, grant.reads(), move |log| log.message(&log.resolve(&query.id)?)).await?;
    let mut view = locked.open(|message| opened(&server, message, &caller)).await?;
    mark(&server, std::slice::from_mut(&mut view.row)).await;
    seen::note(&server, &caller, &grant, &view);
    Ok(Json(view))
}

/// Says beside the messages what follows from what their peers are now. A node that stops still shows its messages.
async fn mark(server: &Server, rows: &mut [MessageRow]) {
    if let Ok(view) = server.context.loop_handle.view().await {
        rows.iter_mut().for_each(|row| trust_marks::mark(&view, row));
    }
    ladder_marks::mark(server, rows).await;
}

/// Puts an opening on stable storage.
pub(super) async fn opened(server: &Server, message: EnvelopeId, caller: &Caller) -> Result<(), Failure> {
    match server.context.loop_handle.request(Request::Open { message, by: caller.by() }).await? {
        Done::Opened => Ok(()),
        other => Err(Failure::internal(format!("opening a message came to {other:?}"))),
    }
}

/// One case with its messages.
pub(super) async fn case(
    State(server): Shared,
    Extension(grant): Extension<Grant>,
    Asked(query): Asked<CaseQuery>,
) -> Result<Json<CaseView>, Failure> {
    read(&server, grant.reads(), move |log| log.case(&query.id)).await.map(Json)
}

/// A page of the log.
pub(super) async fn log(
    State(server): Shared,
    Extension(grant): Extension<Grant>,
    Asked(query): Asked<LogQuery>,
) -> Result<Json<LogPage>, Failure> {
    read(&server, grant.reads(), move |log| log.log(&query)).await.map(Json)
}

/// Reads in the log, as far as messages are for these desks. A log that cannot catch up in time is read as it is; only what it does not have is then in doubt.
pub(super) async fn read<T: Send + 'static>(
    server: &Server,
    desks: Desks,
    reading: impl FnOnce(&Query) -> Result<T, QueryError> + Send + 'static,
) -> Result<T, Failure> {
    let log = server.context.log.clone();
    log.wake();
    let may_catch_up =
        !matches!(log.status(), LogStatus::Failed { .. } | LogStatus::Degraded { searchable: false, .. });
    let behind = may_catch_up && log.caught_up(server.context.journal.committed(), CATCH_UP_LIMIT).await.is_err();
    let place = Arc::clone(&server.reads).acquire_owned().await.expect("the semaphore is never closed");
    let reading = tokio::task::spawn_blocking(move || {
        let _place = place;
        reading(&log.query()?.within(desks))
    });
    match reading.await {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(QueryError::NoMessage(_) | QueryError::NoCase(_))) if behind => Err(Failure::new(
            Exit::Unreachable,
            "log-behind",
            "the message log has not caught up with the journal, and does not have this yet",
            "try again in a moment",
        )),
        Ok(Err(error)) => Err(Failure::from_api(error.into())),
        Err(panic) => Err(Failure::internal(format!("reading the message log failed: {panic}"))),
    }
}
