//! Answering: what a person says about a message received here, bound to that message by its digest. Case, marking,
//! exercise, desk and lane are those of what is answered; nobody can answer a RED message with less.

use super::caller::Caller;
use super::extract::Body;
use super::failure::Failure;
use super::send::{author_of, bad_field, bodies, sent_message, submit};
use super::{Server, Shared, convert, permits, quoted, recall};
use crate::access::Grant;
use aldis_control::{AnswerRequest, AnswerResponse, AnswerStatus, DeliveryState};
use aldis_wire::digest::Digest;
use aldis_wire::header::ReferenceRole;
use aldis_wire::ids::EnvelopeId;
use axum::extract::State;
use axum::{Extension, Json};
use serde_json::{Map, Value};

const KIND: &str = "acknowledgement";

/// Signs, stores and sends an answer.
pub(super) async fn answer(
    State(server): Shared,
    Extension(caller): Extension<Caller>,
    Extension(grant): Extension<Grant>,
    Body(request): Body<AnswerRequest>,
) -> Result<Json<AnswerResponse>, Failure> {
    let submitted = take(&server, &caller, &grant, request).await?;
    let [(id, digest)] = submitted.as_slice() else {
        return Err(Failure::internal(format!("one answer came to {} envelopes", submitted.len())));
    };
    Ok(Json(AnswerResponse { message: sent_message(id, digest, DeliveryState::Submitted) }))
}

/// Signs, stores and sends what this caller says about a message received here.
pub(super) async fn take(
    server: &Server,
    caller: &Caller,
    grant: &Grant,
    request: AnswerRequest,
) -> Result<Vec<(EnvelopeId, Digest)>, Failure> {
    if request.until.is_some() && request.status != Some(AnswerStatus::Pending) {
        return Err(bad_field("until", "only what is pending has a time until which it is"));
    }
    let id = convert::envelope_id(&request.id, server.own())?;
    if id.to != *server.own() {
        let advice = "answer what stands in `aldis inbox`";
        return Err(Failure::usage("not-received-here", format!("{id} was not received here"), advice));
    }
    // What cannot be said is said before anything is looked up.
    let said = bodies(KIND, &body(&request))?;
    let answered = quoted::one(server, &grant.reads(), id).await?;
    if recall::accepts(&request, &answered) {
        return recall::accept(server, caller, grant, request, &answered).await;
    }
    let author = author_of(request.author, caller)?;
    permits::check_writes(caller, grant, "answer", answered.desk)?;
    let to = answered.id.from.clone();
    let answer = answered.followed_by((caller, author), to, ReferenceRole::ANSWERS, KIND, said)?;
    submit(server, answer).await
}

/// The JSON form of the answer's body. Fields that are absent are left out.
fn body(request: &AnswerRequest) -> Value {
    let fields = [
        ("state", serde_json::to_value(request.state)),
        ("status", serde_json::to_value(request.status)),
        ("justification", serde_json::to_value(&request.justification)),
        ("until", serde_json::to_value(request.until)),
        ("text", serde_json::to_value(&request.text)),
    ];
    let mut body = Map::new();
    for (field, value) in fields {
        let value = value.expect("words and times have a JSON form");
        if !value.is_null() {
            body.insert(field.to_owned(), value);
        }
    }
    Value::Object(body)
}
