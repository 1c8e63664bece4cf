//! Taking a message back: what was not relayed goes without its body, of the rest each recipient is asked. And the
//! other side of it: an operator here accepts a peer's recall, and the body is erased.

use super::caller::Caller;
use super::extract::{Asked, Body};
use super::failure::Failure;
use super::quoted::{self, Quoted};
use super::send::{author_of, bad_field, bodies, default_lifetime_ms, request_of};
use super::{Server, Shared, convert, peers, permits, review};
use crate::access::Grant;
use crate::clock;
use crate::event_loop::{Request, RequestError};
use aldis_control::{
    AnswerRequest, AnswerState, AnswerStatus, Exit, MessageQuery, RecallRecipient, RecallRequest, RecallState,
    RecallView,
};
use aldis_core::effect::{Declined, Done};
use aldis_core::input::{Acceptance, Submission};
use aldis_core::limits::Discipline;
use aldis_core::record::RecordSeq;
use aldis_wire::codec::{List, Text};
use aldis_wire::codes::{Code, Desk};
use aldis_wire::digest::Digest;
use aldis_wire::header::ReferenceRole;
use aldis_wire::ids::{EnvelopeId, NodeId};
use aldis_wire::kinds::KINDS;
use axum::extract::State;
use axum::{Extension, Json};
use serde_json::json;

const KIND: &str = "recall";
/// How often the log is asked again whether a message was given out, while others are.
const LOOKS_MAX: u32 = 3;

/// Takes a message back from all its recipients, or from some.
pub(super) async fn recall(
    State(server): Shared,
    Extension(caller): Extension<Caller>,
    Extension(grant): Extension<Grant>,
    Body(request): Body<RecallRequest>,
) -> Result<Json<RecallView>, Failure> {
    let only = request.to.iter().map(|name| convert::node_id("to", name)).collect::<Result<Vec<NodeId>, Failure>>()?;
    let id = sent_here(&server, &request.id)?;
    // What cannot be said is said before anything is done.
    let named = quoted::one(&server, &grant.reads(), id.clone()).await?;
    submission(&request, &caller, &named, &server.context.discipline)?;
    let all = review::read(&server, grant.reads(), move |log| log.recalls(&id)).await?;
    if let Some(stranger) = only.iter().find(|peer| all.iter().all(|(id, _)| id.to != **peer)) {
        return Err(bad_field("to", format!("the message did not go to {stranger}")));
    }
    let mut recipients = Vec::new();
    let mut failures = Vec::new();
    for (id, known) in all.into_iter().filter(|(id, _)| only.is_empty() || only.contains(&id.to)) {
        let asked = match known.state {
            RecallState::Erased => Err(not_recallable(format!("{id} is erased there already"))),
            _ => recall_one(&server, &caller, &grant, &request, id.clone()).await,
        };
        recipients.push(asked.unwrap_or_else(|failure| {
            failures.push(failure.clone());
            RecallRecipient { text: failure.into_error().message, ..of(&id, RecallState::NotPossible) }
        }));
    }
    match failures.pop() {
        Some(failure) if failures.len() + 1 == recipients.len() => Err(failure),
        _ => Ok(Json(RecallView { recipients })),
    }
}

/// What became of the recall of a message at each recipient.
pub(super) async fn state(
    State(server): Shared,
    Extension(grant): Extension<Grant>,
    Asked(query): Asked<MessageQuery>,
) -> Result<Json<RecallView>, Failure> {
    let id = sent_here(&server, &query.id)?;
    let recipients = review::read(&server, grant.reads(), move |log| log.recalls(&id)).await?;
    Ok(Json(RecallView { recipients: recipients.into_iter().map(|(_, recipient)| recipient).collect() }))
}

async fn recall_one(
    server: &Server,
    caller: &Caller,
    grant: &Grant,
    request: &RecallRequest,
    id: EnvelopeId,
) -> Result<RecallRecipient, Failure> {
    let message = quoted::one(server, &grant.reads(), id).await?;
    permits::check_writes(caller, grant, "recall", message.desk)?;
    if !KINDS.iter().any(|kind| kind.is_notice && kind.name == message.kind) {
        let what = format!("{}: only a notice can be recalled; this is a message of kind {}", message.id, message.kind);
        return Err(not_recallable(what));
    }
    let submission = submission(request, caller, &message, &server.context.discipline)?;
    match request_of(server, Request::Submit(Box::new(submission))).await? {
        Done::Recalled(id) => Ok(of(&id, RecallState::Withheld)),
        Done::Submitted(sent) => {
            let request = sent.first().map(|(recall, _)| convert::message_id(recall));
            Ok(RecallRecipient { request, ..of(&message.id, RecallState::Waiting) })
        }
        other => Err(Failure::internal(format!("a recall came to {other:?}"))),
    }
}

/// The recall as it is to be signed. It waits for nobody, so where what it names took a second person it has no free
/// words, which would leave in the same lane under the same marking: the coded reason says why at once.
fn submission(
    request: &RecallRequest,
    caller: &Caller,
    message: &Quoted,
    discipline: &Discipline,
) -> Result<Submission, Failure> {
    let text = request.text.as_deref().unwrap_or_default();
    if !text.is_empty() && discipline.wants_release(message.id.lane, convert::tlp(message.tlp)) {
        let what =
            format!("the words of a recall of {} would take a second person, and a recall waits for none", message.id);
        let advice =
            "leave out --text: the reason says why at once; say more with `aldis send`, which another releases";
        return Err(Failure::new(Exit::Refused, "needs-release", what, advice));
    }
    let (bodies, bearing) = bodies(KIND, &json!({"reason": request.reason, "text": text}))?;
    let exercise = message.exercise.as_deref().map(Text::new).transpose();
    let exercise = exercise.map_err(|error| Failure::internal(format!("the exercise on record: {error}")))?;
    Ok(Submission {
        by: caller.by(),
        to: vec![message.id.to.clone()],
        salts: vec![clock::random()],
        desk: if message.desk.is_known() { message.desk } else { Desk::TECHNICAL },
        // In the lane of what it names, so that it never comes there before it.
        lane: message.id.lane,
        case: message.case,
        references: List::new(vec![message.reference(ReferenceRole::RECALLS)]).expect("one is fewer than eight"),
        author: author_of(request.author.clone(), caller)?,
        on_behalf_of: None,
        tlp: convert::tlp(message.tlp),
        exercise,
        kind: Code::known(KIND),
        bodies,
        bearing,
        attachments: Vec::new(),
        lifetime_ms: default_lifetime_ms(message.id.lane),
        acknowledge_within_s: None,
    })
}

/// Whether an answer accepts a peer's recall, and so erases what it names.
pub(super) fn accepts(request: &AnswerRequest, answered: &Quoted) -> bool {
    let approves = request.state == AnswerState::Decided && request.status == Some(AnswerStatus::Approved);
    approves && answered.kind == KIND
}

/// Erases what a peer's recall names, and has a tombstone say so.
pub(super) async fn accept(
    server: &Server,
    caller: &Caller,
    grant: &Grant,
    request: AnswerRequest,
    recall: &Quoted,
) -> Result<Vec<(EnvelopeId, Digest)>, Failure> {
    if request.justification.is_some() {
        return Err(bad_field("justification", "only what is declined or pending has one"));
    }
    permits::check_writes(caller, grant, "accept a recall", recall.desk)?;
    let author = author_of(request.author, caller)?;
    let text = Text::new(request.text.unwrap_or_default()).map_err(|error| bad_field("text", error))?;
    let lifetime_ms = default_lifetime_ms(recall.id.lane);
    let mut looks = 1..=LOOKS_MAX;
    loop {
        let id = recall.id.clone();
        let named = review::read(server, grant.reads(), move |log| log.recalled(&id)).await?;
        let acceptance = Acceptance {
            by: caller.by(),
            author: author.clone(),
            salt: clock::random(),
            recall: named.recall,
            message: Box::new(named.message),
            record: RecordSeq(named.record),
            reached: Code::known(named.reached),
            exported: named.exported,
            looked_at: RecordSeq(named.looked_at),
            text: text.clone(),
            lifetime_ms,
        };
        let erased = server.context.loop_handle.request(Request::EraseRecalled(Box::new(acceptance)));
        return match tokio::time::timeout(super::audit::REQUEST_LIMIT, erased).await {
            Ok(Ok(Done::Submitted(sent))) => Ok(sent),
            Ok(Ok(other)) => Err(Failure::internal(format!("accepting a recall came to {other:?}"))),
            // Somebody gave messages out since the log was asked: it may be this one.
            Ok(Err(RequestError::Declined(Declined::ExportedMeanwhile))) if looks.next().is_some() => continue,
            Ok(Err(error)) => Err(peers::explained(server, error).await),
            Err(_) => Err(Failure::late()),
        };
    }
}

fn not_recallable(what: String) -> Failure {
    Failure::new(Exit::Refused, "not-recallable", what, "see what became of it with `aldis recall ID`")
}

fn sent_here(server: &Server, text: &str) -> Result<EnvelopeId, Failure> {
    let id = convert::envelope_id(text, server.own())?;
    if id.from != *server.own() {
        let message = format!("{id} was not sent here, and only its sender can recall it");
        return Err(Failure::usage("not-sent-here", message, "recall what stands in `aldis outbox --all`"));
    }
    Ok(id)
}

fn of(id: &EnvelopeId, state: RecallState) -> RecallRecipient {
    RecallRecipient {
        message: convert::message_id(id),
        to: id.to.to_string(),
        state,
        request: None,
        at: None,
        by: None,
        text: String::new(),
        reached: None,
        exported: None,
    }
}
