//! Trying a channel of alerts by hand: whoever has it on the ladder is told, marked as an exercise, that it is a test.

use super::Shared;
use super::caller::Caller;
use super::extract::Body;
use super::failure::Failure;
use aldis_control::{AlertTestRequest, AlertTestResponse, Exit, NotReached};
use axum::extract::State;
use axum::{Extension, Json};
use std::time::Duration;

/// How long a test may take; a request as a whole has a little more.
const LIMIT: Duration = Duration::from_secs(40);

/// Tries a channel.
pub(super) async fn test(
    State(server): Shared,
    Extension(caller): Extension<Caller>,
    Body(request): Body<AlertTestRequest>,
) -> Result<Json<AlertTestResponse>, Failure> {
    let tested = server.context.carrier.test(&request.channel, request.person.as_deref(), LIMIT).await;
    let outcome = tested.map_err(|error| {
        let advice = "see [[alerts]] and [[ladder]] in aldisd.toml; after a change the daemon must be restarted";
        Failure::new(Exit::NotFound, "nobody-to-test", error.to_string(), advice)
    })?;
    tracing::info!(by = %caller.by(), channel = request.channel, reached = outcome.reached.len(), "tested a channel");
    let failed = outcome.failed.iter();
    Ok(Json(AlertTestResponse {
        reached: outcome.reached.iter().map(|(person, _)| person.to_string()).collect(),
        failed: failed.map(|(who, _, why)| NotReached { person: who.to_string(), why: why.to_string() }).collect(),
    }))
}
