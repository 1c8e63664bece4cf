//! Taking a request apart, with a limit on its size and on the time it may take, and an answer in JSON that names the
//! field whenever it cannot be taken apart.

use super::Server;
use super::failure::Failure;
use aldis_control::Precedence;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// The longest request body, in bytes.
pub const BODY_MAX_BYTES: usize = 1024 * 1024;

/// A request body that is the JSON form of `T`.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

/// The part of an address behind `?`, as `T`.
#[derive(Debug)]
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Server>> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, server: &Arc<Server>) -> Result<Self, Failure> {
        check_type(request.headers(), "application/json")?;
        let limit = server.limits.body;
        let bytes = tokio::time::timeout(limit, whole(request)).await.unwrap_or_else(|_| Err(slow(limit)))?;
        parsed(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let query: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        query.map(|Query(value)| Self(value)).map_err(|rejection| {
            let text = rejection.body_text();
            let message = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
            Failure::usage("bad-request", message, advice(message))
        })
    }
}

/// What JSON says, or what is wrong with it and where.
pub(super) fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    // Most of it is right: only what is wrong is read a second time, by what finds the place.
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Ok(value);
    }
    Json::<T>::from_bytes(bytes).map(|Json(value)| value).map_err(|rejection| {
        let text = rejection.body_text();
        let message = text.split_once("target type: ").map_or(text.as_str(), |(_, what)| what);
        Failure::usage("bad-request", message, advice(message)).with_status(rejection.status())
    })
}

/// Refuses a request whose body is of another type.
pub(super) fn check_type(headers: &HeaderMap, wanted: &str) -> Result<(), Failure> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if value.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case(wanted)) {
        return Ok(());
    }
    let message = format!("the request's content type is not {wanted}");
    let failure = Failure::usage("not-json", message, format!("send JSON, with `content-type: {wanted}`"));
    Err(failure.with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE))
}

/// Reads a body up to its limit.
async fn whole(request: Request) -> Result<Bytes, Failure> {
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced: Option<usize> = announced.and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes| bytes > BODY_MAX_BYTES) {
        return Err(too_long());
    }
    let mut bytes = Vec::with_capacity(announced.unwrap_or(0));
    let mut chunks = request.into_body().into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| {
            Failure::usage("cut-off", "the request's body ended too early", "send it again; nothing was done")
        })?;
        if bytes.len() + chunk.len() > BODY_MAX_BYTES {
            return Err(too_long());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}

fn too_long() -> Failure {
    let message = format!("the request is longer than {BODY_MAX_BYTES} bytes; nothing was done");
    Failure::usage("too-long", message, "shorten it").with_status(StatusCode::PAYLOAD_TOO_LARGE)
}

fn slow(limit: Duration) -> Failure {
    let message = format!("the request did not arrive whole within {limit:?}; nothing was done");
    Failure::usage("too-slow", message, "send it again").with_status(StatusCode::REQUEST_TIMEOUT)
}

/// What to do about a request that does not read. The field and the choices stand in the message.
fn advice(message: &str) -> String {
    let precedences = || Precedence::ALL.map(Precedence::as_str).join(", ");
    let fields = [
        ("`tlp`", "choose a TLP marking: red, amber+strict, amber, green or clear; it is never filled in".to_owned()),
        ("`precedence`", format!("choose a precedence: {}", precedences())),
        ("`to`", "name at least one enrolled peer; see `aldis peer list`".to_owned()),
        ("`kind`", "name a kind, such as incident; see `aldis vocabulary`".to_owned()),
    ];
    let named = fields.into_iter().find(|(field, _)| message.starts_with("missing field") && message.contains(field));
    let general =
        || "see the request's fields in the OpenAPI document at /v1/openapi.json; nothing was done".to_owned();
    named.map_or_else(general, |(_, advice)| advice)
}
