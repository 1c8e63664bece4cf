//! Around every request: who asked for what, what came of it, and a limit on how long it may take. Bodies, subjects and
//! queries are never logged.

use super::caller::Caller;
use super::failure::{Failure, FailureCode};
use super::send::WAIT_MAX;
use aldis_control::routes;
use axum::Extension;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::time::Duration;
use tokio::time::Instant;

/// How long a request may take. The client waits a minute; it should hear of a slow node rather than give up on it.
pub(super) const REQUEST_LIMIT: Duration = Duration::from_secs(45);

/// Logs a request with its caller and outcome, and ends it when its time is over.
pub(super) async fn audit(Extension(caller): Extension<Caller>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let known = routes::ALL.iter().find(|(path, _)| *path == request.uri().path());
    let route = known.map_or("-", |(path, _)| path);
    let began = Instant::now();
    let response = match limit_of(route) {
        Some(limit) => {
            let answer = tokio::time::timeout(limit, next.run(request)).await;
            answer.unwrap_or_else(|_| Failure::late().into_response())
        }
        None => next.run(request).await,
    };
    let outcome = response.extensions().get::<FailureCode>().map_or("done", |code| code.0.as_str());
    tracing::info!(
        %method,
        route,
        user = %caller.name,
        uid = caller.uid,
        gid = caller.gid,
        pid = caller.pid.unwrap_or_default(),
        status = response.status().as_u16(),
        outcome,
        took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        "control"
    );
    response
}

/// How long a request to a route may take until its answer begins; `None` where either streams.
fn limit_of(route: &str) -> Option<Duration> {
    match route {
        routes::EVENTS
        | routes::EVIDENCE
        | routes::VERIFY
        | routes::BACKUP
        | routes::MESSAGES_BULK
        | routes::ATTACHMENTS => None,
        routes::MESSAGES | routes::DRILL => Some(REQUEST_LIMIT + WAIT_MAX),
        _ => Some(REQUEST_LIMIT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// Whether the body of a request to this route has a field that says how long to wait.
    fn takes_wait(document: &Value, route: &str) -> bool {
        let bodies = document["paths"][route]["post"]["requestBody"]["content"].as_object();
        bodies.into_iter().flatten().any(|(_, body)| {
            let named = body["schema"]["$ref"].as_str().and_then(|name| name.strip_prefix("#/components/schemas/"));
            named.is_some_and(|name| document["components"]["schemas"][name]["properties"].get("wait_ms").is_some())
        })
    }

    #[test]
    fn whoever_may_ask_to_wait_is_given_that_time() {
        let document: Value = serde_json::from_str(&aldis_control::openapi_json()).unwrap();
        let waiting: Vec<&str> =
            routes::ALL.iter().map(|(route, _)| *route).filter(|route| takes_wait(&document, route)).collect();
        assert_eq!(waiting, [routes::MESSAGES, routes::MESSAGES_BULK, routes::DRILL]);
        for (route, _) in routes::ALL {
            let allowed = if takes_wait(&document, route) { REQUEST_LIMIT + WAIT_MAX } else { REQUEST_LIMIT };
            assert!(limit_of(route).is_none_or(|limit| limit == allowed), "{route}: {:?}", limit_of(route));
        }
    }
}
