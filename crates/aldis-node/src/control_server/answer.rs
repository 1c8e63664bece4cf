//! Answering: what a person says about a message received here, bound to that message by its digest. Case, marking,
//! exercise, desk and lane are those of what is answered; nobody can answer a RED message with less.

use super::caller::Caller;
use super::extract::Body;
use super::failure::Failure;
use super::quoted::{self, Quoted};
use super::send::{author_of, bad_field, bodies, default_lifetime_ms, sent_message, submit};
use super::{Server, Shared, convert, permits, recall};
use crate::access::Grant;
use crate::clock;
use aldis_control::{AnswerRequest, AnswerResponse, AnswerStatus, DeliveryState};
use aldis_core::input::Submission;
use aldis_wire::codec::{List, Text};
use aldis_wire::codes::{Code, Desk};
use aldis_wire::header::ReferenceRole;
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
    let answered = received_here(&server, &grant, &request).await?;
    let submitted = if recall::accepts(&request, &answered) {
        recall::accept(&server, &caller, &grant, request, &answered).await?
    } else {
        submit(&server, submission(&caller, &grant, request, &answered)?).await?
    };
    let [(id, digest)] = submitted.as_slice() else {
        return Err(Failure::internal(format!("one answer came to {} envelopes", submitted.len())));
    };
    Ok(Json(AnswerResponse { message: sent_message(id, digest, DeliveryState::Submitted) }))
}

/// The message that is answered.
pub(super) async fn received_here(server: &Server, grant: &Grant, request: &AnswerRequest) -> Result<Quoted, Failure> {
    if request.until.is_some() && request.status != Some(AnswerStatus::Pending) {
        return Err(bad_field("until", "only what is pending has a time until which it is"));
    }
    let id = convert::envelope_id(&request.id, server.own())?;
    if id.to != *server.own() {
        let advice = "answer what stands in `aldis inbox`";
        return Err(Failure::usage("not-received-here", format!("{id} was not received here"), advice));
    }
    // What cannot be said is said before anything is looked up.
    bodies(KIND, &body(request))?;
    quoted::one(server, &grant.reads(), id).await
}

/// An answer in this caller's name, checked and not yet signed.
pub(super) fn submission(
    caller: &Caller,
    grant: &Grant,
    request: AnswerRequest,
    answered: &Quoted,
) -> Result<Submission, Failure> {
    let (bodies, bearing) = bodies(KIND, &body(&request))?;
    let author = author_of(request.author, caller)?;
    let reference = answered.reference(ReferenceRole::ANSWERS);
    permits::check_writes(caller, grant, "answer", answered.desk)?;
    // A desk this node does not know was refused by machine already, and the core says so.
    let desk = if answered.desk.is_known() { answered.desk } else { Desk::TECHNICAL };
    let exercise = answered.exercise.as_deref().map(Text::new).transpose();
    let exercise = exercise.map_err(|error| Failure::internal(format!("the exercise on record: {error}")))?;
    Ok(Submission {
        by: caller.by(),
        to: vec![answered.id.from.clone()],
        salts: vec![clock::random()],
        desk,
        lane: answered.id.lane,
        case: answered.case,
        references: List::new(vec![reference]).expect("one reference is fewer than eight"),
        author,
        on_behalf_of: None,
        tlp: convert::tlp(answered.tlp),
        exercise,
        kind: Code::known(KIND),
        bodies,
        bearing,
        lifetime_ms: default_lifetime_ms(answered.id.lane),
        acknowledge_within_s: None,
    })
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
