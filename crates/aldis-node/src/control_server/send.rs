//! Sending: checks what a person wrote, field by field, and hands it to the core to be signed and stored. Nothing is
//! filled in that a person must choose: not the marking, not the precedence, not the kind.

use super::caller::Caller;
use super::extract::Body;
use super::failure::Failure;
use super::named::{self, NamedFiles};
use super::quoted::{self, Quoted};
use super::{Server, Shared, convert, peers, permits};
use crate::access::{Desks, Grant, WHO_CHANGES_IT};
use crate::clock;
use crate::event_loop::{Answered, HandedIn, Request, RequestError};
use aldis_control::{DeliveryState, Exit, Precedence, SendRequest, SendResponse, SentMessage, Wait};
use aldis_core::effect::{Delivery, Done};
use aldis_core::input::{Composed, Submission};
use aldis_core::record::Named;
use aldis_wire::codec::{List, Text};
use aldis_wire::codes::{Code, Desk};
use aldis_wire::digest::Digest;
use aldis_wire::header::{ACKNOWLEDGE_WITHIN_MAX_S, Reference, ReferenceRole};
use aldis_wire::ids::{CaseId, EnvelopeId, NodeId};
use aldis_wire::kinds::{self, Bearing, Summary, WriteError};
use aldis_wire::lane::Lane;
use axum::extract::State;
use axum::{Extension, Json};
use bytes::Bytes;
use serde_json::Value;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// The longest a message may wait to be delivered, in seconds: a year. Beyond that nobody remembers what it was about.
pub(super) const EXPIRES_MAX_S: u64 = 365 * 24 * 3_600;

/// The longest a request may wait for receipts. Whoever wants to wait longer watches the events.
pub(super) const WAIT_MAX: Duration = Duration::from_mins(10);

/// How long a request waits for receipts unless it says how long: longer than a link takes to come back once.
const WAIT_DEFAULT_MS: u64 = 30_000;

/// The most recipients of one message, as the header allows.
const RECIPIENTS_MAX: usize = 256;

/// How long a message is good unless its author says otherwise, in milliseconds. Each is far longer than its precedence
/// allows for an answer, so that a message outlives a weekend's outage, and short enough that nobody acts on what is
/// over: a FLASH that could not be delivered in a day was said by telephone.
pub(super) const fn default_lifetime_ms(lane: Lane) -> u64 {
    match lane {
        Lane::Flash => DAY_MS,
        Lane::Immediate => 3 * DAY_MS,
        Lane::Priority => 7 * DAY_MS,
        Lane::Routine => 30 * DAY_MS,
    }
}

/// What a sender is told once the core has answered, and until when it waits for receipts.
#[derive(Debug)]
pub(super) struct Expected {
    case: CaseId,
    to: Vec<NodeId>,
    until: Option<Instant>,
    files: NamedFiles,
}

impl Expected {
    /// Whether the sender waits for receipts.
    pub(super) fn follows(&self) -> bool {
        self.until.is_some()
    }
}

/// Signs, stores and sends a message; the answer comes when it is on stable storage here (I1), or with `wait` when every
/// receipt is (I3).
pub(super) async fn send(
    State(server): Shared,
    Extension(caller): Extension<Caller>,
    Extension(grant): Extension<Grant>,
    Body(request): Body<SendRequest>,
) -> Result<Json<SendResponse>, Failure> {
    let (composed, expected) = prepare(&server, &caller, &grant, request).await?;
    let handed_in = in_time(&server, server.context.loop_handle.compose(composed, expected.follows())).await?;
    answer(&server, handed_in, expected).await.map(Json)
}

/// What a person wrote, checked field by field; what comes of it is for the core to say. Its time to wait begins now.
pub(super) async fn prepare(
    server: &Server,
    caller: &Caller,
    grant: &Grant,
    mut request: SendRequest,
) -> Result<(Composed, Expected), Failure> {
    let until = wait_of(&request)?.map(|wait| Instant::now() + wait);
    let long = request.long.clone().map(|why| text("long", why)).transpose()?;
    // Only a FLASH must be short.
    let words = if request.precedence == Precedence::Flash { words_in(&request.body) } else { 0 };
    let mut files = named::take(server, &mut request).await?;
    let submission = submission(server, caller, grant, request).await?;
    if submission.lane == Lane::Flash && !grant.sends_flash() {
        let message = format!("{} may not send FLASH", caller.by());
        return Err(Failure::new(Exit::Refused, "missing-flash", message, WHO_CHANGES_IT));
    }
    files.keep();
    let expected = Expected { case: submission.case, to: submission.to.clone(), until, files };
    Ok((Composed { submission, by: caller.person(), words, long }, expected))
}

/// What became of it, once the core has answered and, for whoever waits, the receipts are there or the time is over.
pub(super) async fn answer(server: &Server, handed_in: HandedIn, expected: Expected) -> Result<SendResponse, Failure> {
    let Expected { case, to, until, files } = expected;
    let answer = async {
        let answer = handed_in.answer().await;
        if matches!(answer, Err(RequestError::Declined(_))) {
            files.release();
        }
        answer
    };
    let Answered { done, stored } = in_time(server, answer).await?;
    match done {
        Done::Drafted(draft, until) => Ok(SendResponse {
            messages: Vec::new(),
            case: case.to_string(),
            draft: Some(draft.0.0),
            release_by: Some(convert::time(until)),
        }),
        Done::Submitted(submitted) => {
            let states = match until {
                Some(until) => stored_states(server, stored, until).await,
                None => vec![DeliveryState::Submitted; submitted.len()],
            };
            Ok(sent(&submitted, &states, case, &to))
        }
        other => Err(Failure::internal(format!("composing a message came to {other:?}"))),
    }
}

/// What was signed and stored, in the order of its recipients.
pub(super) fn sent(
    submitted: &[(EnvelopeId, Digest)],
    states: &[DeliveryState],
    case: CaseId,
    to: &[NodeId],
) -> SendResponse {
    let messages = submitted.iter().zip(states).map(|((id, digest), state)| sent_message(id, digest, *state));
    let mut messages: Vec<SentMessage> = messages.collect();
    messages.sort_by_key(|message| to.iter().position(|peer| peer.as_str() == message.to));
    SendResponse { messages, case: case.to_string(), draft: None, release_by: None }
}

/// How many words people have to read: those of every text in the body.
pub(super) fn words_in(body: &Value) -> u32 {
    let words = match body {
        Value::String(text) => text.split_whitespace().count(),
        Value::Array(values) => return values.iter().map(words_in).fold(0, u32::saturating_add),
        Value::Object(fields) => return fields.values().map(words_in).fold(0, u32::saturating_add),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    u32::try_from(words).unwrap_or(u32::MAX)
}

/// Asks the core for something a person may do only once.
pub(super) async fn request_of(server: &Server, request: Request) -> Result<Done, Failure> {
    in_time(server, server.context.loop_handle.request(request)).await
}

/// The loop's answer, or that it came too late.
pub(super) async fn in_time<T>(
    server: &Server,
    answer: impl Future<Output = Result<T, RequestError>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(super::audit::REQUEST_LIMIT, answer).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(peers::explained(server, error).await),
        Err(_) => Err(Failure::late()),
    }
}

/// Hands a message to the core; when this succeeds it is on stable storage here (I1).
pub(super) async fn submit(server: &Server, submission: Submission) -> Result<Vec<(EnvelopeId, Digest)>, Failure> {
    match request_of(server, Request::Submit(Box::new(submission))).await? {
        Done::Submitted(submitted) => Ok(submitted),
        other => Err(Failure::internal(format!("submitting a message came to {other:?}"))),
    }
}

/// One signed and stored envelope, as it is answered.
pub(super) fn sent_message(id: &EnvelopeId, digest: &Digest, state: DeliveryState) -> SentMessage {
    SentMessage { id: convert::message_id(id), to: id.to.to_string(), state, digest: digest.to_hex() }
}

/// Who wrote a message: whom the caller names, or the caller.
pub(super) fn author_of(named: Option<String>, caller: &Caller) -> Result<Text<128>, Failure> {
    match named {
        Some(author) => text("author", author),
        None => Ok(Text::cut(&caller.name)),
    }
}

/// The body in every version of the kind in which this node writes it, and what it does.
pub(super) fn bodies(kind: &str, body: &Value) -> Result<(Vec<(u16, Bytes)>, Bearing), Failure> {
    let (bodies, summary) = written(kind, body)?;
    Ok((bodies, summary.bearing))
}

/// The same, with all that the body says to the machine.
fn written(kind: &str, body: &Value) -> Result<(Vec<(u16, Bytes)>, Summary), Failure> {
    let mut bodies = Vec::new();
    let mut summary = None;
    for version in kinds::versions_for(kind, body) {
        let written = kinds::from_json(kind, version, body.clone());
        let written = written.map_err(|error| bad_body(&error, blamed_field(kind, version, body, &error)))?;
        bodies.push((version, Bytes::from(written.bytes)));
        summary = Some(written.summary);
    }
    match summary {
        Some(summary) => Ok((bodies, summary)),
        None => Err(bad_body(&WriteError::UnknownKind(Text::<80>::cut(kind).to_string()), None)),
    }
}

async fn submission(
    server: &Server,
    caller: &Caller,
    grant: &Grant,
    request: SendRequest,
) -> Result<Submission, Failure> {
    let to = recipients(server, &request.to)?;
    let (bodies, summary) = written(&request.kind, &numbers_as_codes(request.body))?;
    let bearing = summary.bearing;
    if bearing != Bearing::Notice {
        let message = format!("kind: {} is not sent like this", request.kind);
        let advice = "answer with `aldis answer ID`; the other kinds have commands of their own or are the node's";
        return Err(Failure::usage("not-a-notice", message, advice));
    }
    let lane = convert::lane(request.precedence);
    let desk = request.desk.as_deref().map_or(Ok(Desk::TECHNICAL), desk)?;
    permits::check_writes(caller, grant, "send", desk)?;
    let author = author_of(request.author, caller)?;
    let on_behalf_of = request.on_behalf_of.map(|name| text("on_behalf_of", name)).transpose()?;
    let exercise = request.exercise.map(|name| text("exercise", name)).transpose()?;
    let lifetime_ms = lifetime_ms(request.expires_in_s, lane)?;
    let named = quoted::all(server, &grant.reads(), &request.references).await?;
    for (role, quoted) in &named {
        check_reference(server, *role, quoted, &to, &request.kind, exercise.as_ref())?;
        if *role != ReferenceRole::RELATES {
            permits::check_writes(caller, grant, "supersede or answer a message", quoted.desk)?;
        }
    }
    check_superseded_for_all(&named, &to)?;
    let case = case(server, grant.reads(), request.case, &named).await?;
    let references = named.iter().map(|(role, quoted)| quoted.reference(*role)).collect();
    Ok(Submission {
        by: caller.by(),
        salts: to.iter().map(|_| clock::random_for_each()).collect(),
        to,
        desk,
        lane,
        case,
        references: references_list(references)?,
        author,
        on_behalf_of,
        tlp: convert::tlp(request.tlp),
        exercise,
        kind: Code::new(&request.kind).map_err(|what| bad_field("kind", what))?,
        bodies,
        bearing,
        attachments: Named::all(&summary.attachments),
        lifetime_ms,
        acknowledge_within_s: request.acknowledge_within_s.map(acknowledge_within_s).transpose()?,
    })
}

fn recipients(server: &Server, names: &[String]) -> Result<Vec<NodeId>, Failure> {
    if names.is_empty() || names.len() > RECIPIENTS_MAX {
        let what = format!("{} recipients where 1 to {RECIPIENTS_MAX} are allowed", names.len());
        return Err(bad_field("to", what));
    }
    let mut to: Vec<NodeId> = Vec::with_capacity(names.len());
    for name in names {
        let id = convert::node_id("to", name)?;
        if id == *server.own() {
            return Err(bad_field("to", format!("{id} is this node itself")));
        }
        if to.contains(&id) {
            return Err(bad_field("to", format!("{id} stands there twice")));
        }
        to.push(id);
    }
    Ok(to)
}

pub(super) fn desk(name: &str) -> Result<Desk, Failure> {
    Desk::from_name(name).ok_or_else(|| {
        let name = Text::<80>::cut(name);
        let what = format!("there is no desk `{name}`; there are: technical, diplomatic, law-enforcement");
        bad_field("desk", what)
    })
}

fn acknowledge_within_s(seconds: u64) -> Result<u32, Failure> {
    let taken = u32::try_from(seconds).ok().filter(|seconds| (1..=ACKNOWLEDGE_WITHIN_MAX_S).contains(seconds));
    taken.ok_or_else(|| {
        let what = format!("{seconds} where 1 to {ACKNOWLEDGE_WITHIN_MAX_S} (a year) are allowed");
        bad_field("acknowledge_within_s", what)
    })
}

fn lifetime_ms(expires_in_s: Option<u64>, lane: Lane) -> Result<u64, Failure> {
    match expires_in_s {
        None => Ok(default_lifetime_ms(lane)),
        Some(seconds) if (1..=EXPIRES_MAX_S).contains(&seconds) => Ok(seconds * 1_000),
        Some(seconds) => {
            Err(bad_field("expires_in_s", format!("{seconds} where 1 to {EXPIRES_MAX_S} (a year) are allowed")))
        }
    }
}

fn wait_of(request: &SendRequest) -> Result<Option<Duration>, Failure> {
    let wait = Duration::from_millis(request.wait_ms.unwrap_or(WAIT_DEFAULT_MS));
    if wait > WAIT_MAX {
        let what = format!("{} where at most {} are allowed", wait.as_millis(), WAIT_MAX.as_millis());
        return Err(bad_field("wait_ms", what));
    }
    Ok(request.wait.map(|Wait::Stored| wait))
}

/// Whether a message may name another in this role.
fn check_reference(
    server: &Server,
    role: ReferenceRole,
    quoted: &Quoted,
    to: &[NodeId],
    kind: &str,
    exercise: Option<&Text<64>>,
) -> Result<(), Failure> {
    let wrong = |what: &str| Err(bad_field("references", format!("{}: {what}", quoted.id)));
    if role == ReferenceRole::RELATES {
        return Ok(());
    }
    if quoted.exercise.as_deref() != exercise.map(Text::as_str) {
        return wrong("an exercise can supersede and answer only exercise, and real traffic only real");
    }
    if role == ReferenceRole::SUPERSEDES {
        if quoted.id.from != *server.own() {
            return wrong("only a message of our own can be superseded");
        }
        if !to.contains(&quoted.id.to) {
            return wrong("it went to a peer that is not among the recipients");
        }
        if quoted.kind != kind {
            return wrong("it is of another kind");
        }
    } else if quoted.id.to != *server.own() {
        return wrong("only a message received here can be answered");
    }
    Ok(())
}

/// What supersedes must say for every recipient what it supersedes, or one of them would keep the old one for valid.
fn check_superseded_for_all(named: &[(ReferenceRole, Quoted)], to: &[NodeId]) -> Result<(), Failure> {
    let superseded = || named.iter().filter(|(role, _)| *role == ReferenceRole::SUPERSEDES).map(|(_, quoted)| quoted);
    let missing = to.iter().find(|peer| superseded().all(|quoted| quoted.id.to != **peer));
    match missing {
        Some(peer) if superseded().next().is_some() => {
            let what = format!("{peer} was sent none of the superseded messages; send to it apart, or name its own");
            Err(bad_field("references", what))
        }
        _ => Ok(()),
    }
}

/// The case a person names, or that of what is superseded or answered, or a new one.
async fn case(
    server: &Server,
    desks: Desks,
    named: Option<String>,
    references: &[(ReferenceRole, Quoted)],
) -> Result<CaseId, Failure> {
    if let Some(text) = named {
        return match text.parse() {
            Ok(case) => Ok(case),
            Err(_) => quoted::case(server, desks, &text).await,
        };
    }
    let inherited = references.iter().find(|(role, _)| *role != ReferenceRole::RELATES);
    Ok(inherited.map_or_else(|| CaseId(clock::random_for_each()), |(_, quoted)| quoted.case))
}

fn references_list(references: Vec<Reference>) -> Result<List<Reference, 8>, Failure> {
    let count = references.len();
    List::new(references).ok_or_else(|| bad_field("references", format!("{count} where at most 8 are allowed")))
}

/// How far each envelope has come when the receipts are there or the time is over.
async fn stored_states(
    server: &Server,
    stored: Vec<Option<oneshot::Receiver<Delivery>>>,
    until: Instant,
) -> Vec<DeliveryState> {
    let mut states = Vec::with_capacity(stored.len());
    for waiting in stored {
        states.push(told(server, waiting, until).await.unwrap_or(DeliveryState::Submitted));
    }
    states
}

/// What we are told of one envelope before the time is over or the node stops.
async fn told(server: &Server, waiting: Option<oneshot::Receiver<Delivery>>, until: Instant) -> Option<DeliveryState> {
    let waiting = waiting?;
    tokio::select! {
        // What is known already is told whatever the time is.
        biased;
        told = waiting => told.ok().map(|delivery| delivery_state(&delivery)),
        () = tokio::time::sleep_until(until) => None,
        () = server.stopping.cancelled() => None,
    }
}

/// A delivery in the words of the API.
pub(super) fn delivery_state(delivery: &Delivery) -> DeliveryState {
    match delivery {
        Delivery::Submitted => DeliveryState::Submitted,
        Delivery::Relayed => DeliveryState::Relayed,
        Delivery::Stored => DeliveryState::Stored,
        Delivery::Notified => DeliveryState::Notified,
        Delivery::Seen => DeliveryState::Seen,
        Delivery::Acknowledged => DeliveryState::Acknowledged,
        Delivery::Decided(_) => DeliveryState::Decided,
        Delivery::Refused(_) => DeliveryState::Refused,
        Delivery::Expired => DeliveryState::Expired,
        Delivery::Recalled => DeliveryState::Recalled,
    }
}

/// A field of text that is neither empty nor too long.
pub(super) fn text<const MAX: usize>(field: &str, text: String) -> Result<Text<MAX>, Failure> {
    if text.trim().is_empty() {
        return Err(bad_field(field, "it is empty; leave it out instead".to_owned()));
    }
    Text::new(text).map_err(|error| bad_field(field, error.to_string()))
}

pub(super) fn bad_field(field: &str, what: impl std::fmt::Display) -> Failure {
    Failure::usage("bad-field", format!("{field}: {what}"), "correct the field; nothing was sent")
}

fn bad_body(error: &WriteError, field: Option<&str>) -> Failure {
    let (code, place) = match (error, field) {
        (WriteError::UnknownKind(_) | WriteError::UnknownVersion(..), _) => ("unknown-kind", "kind".to_owned()),
        (_, Some(field)) => ("bad-body", format!("body.{}", Text::<80>::cut(field))),
        (_, None) => ("bad-body", "body".to_owned()),
    };
    Failure::usage(code, format!("{place}: {error}"), "see the codes with `aldis vocabulary`; nothing was sent")
}

/// The field of a body that an error is about, where its words do not say so: the one without which it is another error.
fn blamed_field<'a>(kind: &str, version: u16, body: &'a Value, error: &WriteError) -> Option<&'a str> {
    let words = error.to_string();
    let fields = body.as_object()?;
    if !matches!(error, WriteError::Field(_)) || fields.keys().any(|field| words.contains(field.as_str())) {
        return None;
    }
    let is_blamed = |field: &&String| {
        let mut without = fields.clone();
        without.remove(field.as_str());
        kinds::from_json(kind, version, Value::Object(without)).err().as_ref() != Some(error)
    };
    // A person writes fewer fields than this; whoever writes more of them has no claim to be helped.
    fields.keys().take(64).find(is_blamed).map(String::as_str)
}

/// The API writes the credibility of information as the number it is, the wire as the code it is.
fn numbers_as_codes(mut body: Value) -> Value {
    if let Some(field) = body.get_mut("information_credibility")
        && let Some(number) = field.as_u64()
    {
        *field = Value::String(number.to_string());
    }
    body
}
