//! Drafts: what waits for another person, shown to whoever may read the desk, released by one who did not compose it.

use super::caller::Caller;
use super::extract::{Asked, Body};
use super::failure::Failure;
use super::{Server, Shared, convert, send};
use crate::access::{Desks, Grant, WHO_CHANGES_IT};
use crate::clock;
use crate::event_loop::Request;
use crate::journal::{self, RecordSeq};
use aldis_control::{DeliveryState, DraftName, DraftQuery, DraftRow, DraftView, Exit, SendResponse, Tlp};
use aldis_core::effect::{Declined, Done};
use aldis_core::input::DraftBodies;
use aldis_core::record::{DraftBody, DraftEnd, DraftId, Drafted};
use aldis_core::trust::Person;
use aldis_wire::envelope::Salt;
use aldis_wire::ids::NodeId;
use aldis_wire::kinds::{self, Reading};
use axum::extract::State;
use axum::{Extension, Json};
use bytes::Bytes;

/// What waits, as far as it is for a desk the caller reads.
pub(super) async fn list(
    State(server): Shared,
    Extension(grant): Extension<Grant>,
) -> Result<Json<Vec<DraftRow>>, Failure> {
    rows(&server, &grant.reads()).await.map(Json)
}

/// One draft in full. Whoever opens TLP:RED is on record before they see it.
pub(super) async fn one(
    State(server): Shared,
    Extension(caller): Extension<Caller>,
    Extension(grant): Extension<Grant>,
    Asked(query): Asked<DraftQuery>,
) -> Result<Json<DraftView>, Failure> {
    let (id, draft) = find(&server, query.draft, &grant.reads()).await?;
    if convert::tlp_shown(draft.tlp) == Tlp::Red {
        server.context.loop_handle.request(Request::OpenDraft { draft: id, by: caller.person() }).await?;
    }
    let (_, bytes) = beside(&server, id).await?;
    let (version, body) = newest(&bytes).ok_or_else(|| gone(id))?;
    let body = kinds::to_json(&draft.kind, version, &body).ok_or_else(|| gone(id))?;
    Ok(Json(DraftView { row: row(id, &draft, subject(&draft, &bytes)), body }))
}

/// Another person releases a draft.
pub(super) async fn release(
    State(server): Shared,
    Extension(caller): Extension<Caller>,
    Extension(grant): Extension<Grant>,
    Body(name): Body<DraftName>,
) -> Result<Json<SendResponse>, Failure> {
    let (id, draft) = find(&server, name.draft, &grant.releases()).await?;
    let bodies = Box::new(bodies(&server, id, draft.to.len()).await?);
    match send::request_of(&server, Request::Release { draft: id, bodies, by: caller.person() }).await? {
        Done::Submitted(submitted) => {
            let (states, to) = (vec![DeliveryState::Submitted; submitted.len()], draft.to.iter().cloned());
            Ok(Json(send::sent(&submitted, &states, draft.case, &to.collect::<Vec<NodeId>>())))
        }
        other => Err(Failure::internal(format!("releasing a draft came to {other:?}"))),
    }
}

/// The drafter takes a draft back, or a releaser will not have it. Answers with what still waits.
pub(super) async fn discard(
    State(server): Shared,
    Extension(caller): Extension<Caller>,
    Extension(grant): Extension<Grant>,
    Body(name): Body<DraftName>,
) -> Result<Json<Vec<DraftRow>>, Failure> {
    let (draft, drafted) = find(&server, name.draft, &grant.reads()).await?;
    let is_releaser = grant.releases().contains(drafted.desk);
    send::request_of(&server, Request::Discard { draft, by: caller.person(), is_releaser }).await?;
    rows(&server, &grant.reads()).await.map(Json)
}

/// What a release needs beside the draft's record: its bodies, and salts nobody has seen.
pub(super) async fn bodies(server: &Server, id: DraftId, recipients: usize) -> Result<DraftBodies, Failure> {
    let (salt, bytes) = beside(server, id).await?;
    Ok(DraftBodies { salt, bytes, salts: (0..recipients).map(|_| clock::random()).collect() })
}

/// A draft in one line, for whoever watches. It says nothing of what it is about.
pub(super) fn waits_text(id: DraftId, draft: &Drafted) -> String {
    let until = draft.expires_at;
    format!("draft {id}: {} waits for another person, until {until}: `aldis release {id}`", what(draft))
}

/// The end of a draft in one line.
pub(super) fn ended_text(id: DraftId, end: DraftEnd, draft: &Drafted, by: Option<&Person>) -> String {
    let by = by.map(|person| format!(" by {person}")).unwrap_or_default();
    format!("draft {id} is over: {}{by}: {}", end.name(), what(draft))
}

fn what(draft: &Drafted) -> String {
    let exercise = draft.exercise.as_ref().map(|name| format!("EXERCISE {name}: ")).unwrap_or_default();
    let (lane, kind, to) = (draft.lane.name(), &draft.kind, recipients(draft).join(", "));
    format!("{exercise}{lane} {kind} to {to}, of {}", draft.by)
}

async fn rows(server: &Server, desks: &Desks) -> Result<Vec<DraftRow>, Failure> {
    let view = server.context.loop_handle.view().await?;
    let mut rows = Vec::with_capacity(view.drafts.len());
    for (id, draft) in view.drafts.iter().filter(|(_, draft)| desks.contains(draft.desk)) {
        // A draft that ended meanwhile has no body any more; its row still says what it was.
        let subject = match (convert::tlp_shown(draft.tlp), beside(server, *id).await) {
            (Tlp::Red, _) | (_, Err(_)) => String::new(),
            (_, Ok((_, bytes))) => subject(draft, &bytes),
        };
        rows.push(row(*id, draft, subject));
    }
    Ok(rows)
}

async fn find(server: &Server, number: u64, desks: &Desks) -> Result<(DraftId, Drafted), Failure> {
    let id = DraftId(aldis_core::record::RecordSeq(number));
    let view = server.context.loop_handle.view().await?;
    let found = view.drafts.into_iter().find(|(known, _)| *known == id);
    let (id, draft) = found.ok_or_else(|| Failure::from(Declined::NoSuchDraft(id)))?;
    if !desks.contains(draft.desk) {
        let message = format!("draft {id} is for the desk {}, which is not among yours for this", draft.desk);
        return Err(Failure::new(Exit::Refused, "missing-desk", message, WHO_CHANGES_IT));
    }
    Ok((id, draft))
}

/// What lies beside a draft's record: salt and bodies.
async fn beside(server: &Server, id: DraftId) -> Result<(Salt, Bytes), Failure> {
    let reader = server.context.journal.clone();
    let read = tokio::task::spawn_blocking(move || reader.read(RecordSeq(id.0.0))).await;
    let record = read.map_err(|panic| Failure::internal(format!("reading the journal failed: {panic}")))?;
    match record.map(|record| record.body) {
        Ok(journal::Body::Present(bytes)) => {
            let salt = bytes.first_chunk::<{ size_of::<Salt>() }>().copied().ok_or_else(|| gone(id))?;
            Ok((salt, bytes.slice(size_of::<Salt>()..)))
        }
        _ => Err(gone(id)),
    }
}

fn newest(bytes: &[u8]) -> Option<(u16, Bytes)> {
    DraftBody::decode(bytes)?.into_iter().max_by_key(|(version, _)| *version)
}

fn subject(draft: &Drafted, bytes: &[u8]) -> String {
    let Some((version, body)) = newest(bytes) else { return String::new() };
    match kinds::read(&draft.kind, version, &body) {
        Reading::Understood(summary) => summary.subject.to_string(),
        Reading::UnknownKind | Reading::UnknownVersion | Reading::Malformed(_) => String::new(),
    }
}

fn row(id: DraftId, draft: &Drafted, subject: String) -> DraftRow {
    DraftRow {
        draft: id.0.0,
        to: recipients(draft),
        kind: draft.kind.to_string(),
        precedence: convert::precedence(draft.lane),
        tlp: convert::tlp_shown(draft.tlp),
        desk: draft.desk.to_string(),
        case: draft.case.to_string(),
        exercise: draft.exercise.as_ref().map(ToString::to_string),
        subject,
        by: draft.by.to_string(),
        author: draft.author.to_string(),
        at: convert::time(draft.at),
        expires_at: convert::time(draft.expires_at),
        long: draft.long.as_ref().map(|long| format!("{} words, because: {}", long.words, long.why)),
    }
}

fn recipients(draft: &Drafted) -> Vec<String> {
    draft.to.iter().map(ToString::to_string).collect()
}

fn gone(id: DraftId) -> Failure {
    let message = format!("the body of draft {id} cannot be read: it has ended, or the journal is damaged there");
    Failure::new(Exit::Refused, "no-draft-body", message, "see `aldis drafts`; if it still waits, run `aldis verify`")
}
