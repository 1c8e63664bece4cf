//! The hotline: coming to the desk, saying something, saying what was read, leaving and ending; and how it looks now. The
//! core says what may be said; the words are read back from the message log.

use super::caller::Caller;
use super::extract::{Asked, Body};
use super::failure::Failure;
use super::send::{author_of, bad_field, bodies, default_lifetime_ms, desk, request_of, sent_message, text};
use super::{Server, Shared, convert, peers, permits, review};
use crate::access::{Desks, Grant, WHO_CHANGES_IT};
use crate::clock;
use crate::event_loop::Request;
use crate::log::query::{TURNS_SHOWN_MAX, mark_read};
use aldis_control::{
    DeliveryState, Exit, HotlineCloseRequest, HotlineLineRequest, HotlineQuery, HotlineReadRequest, HotlineRequest,
    HotlineSession, HotlineState, HotlineView, SentMessage,
};
use aldis_core::effect::Done;
use aldis_core::hotline::{DeskOrder, Session, SessionState, Turn};
use aldis_core::input::{Composed, Submission};
use aldis_wire::codec::{List, Text};
use aldis_wire::codes::{Code, Desk, Tlp};
use aldis_wire::digest::Digest;
use aldis_wire::ids::{CaseId, EnvelopeId, NodeId};
use aldis_wire::lane::Lane;
use axum::extract::State;
use axum::{Extension, Json};
use serde_json::json;

const KIND: &str = "hotline";

/// The hotline with a peer, as it is now.
pub(super) async fn one(
    State(server): Shared,
    Extension(grant): Extension<Grant>,
    Asked(query): Asked<HotlineQuery>,
) -> Result<Json<HotlineView>, Failure> {
    let peer = convert::node_id("peer", &query.peer)?;
    let most = query.limit.map_or(TURNS_SHOWN_MAX, |limit| usize::try_from(limit).unwrap_or(TURNS_SHOWN_MAX));
    view(&server, &grant.reads(), peer, most).await.map(Json)
}

/// Comes to the desk: joins, picks up, or opens.
pub(super) async fn come(
    State(server): Shared,
    Extension(caller): Extension<Caller>,
    Extension(grant): Extension<Grant>,
    Body(request): Body<HotlineRequest>,
) -> Result<Json<HotlineView>, Failure> {
    let peer = convert::node_id("peer", &request.peer)?;
    if let Some(session) = session(&server, &peer).await?.filter(Session::is_alive) {
        permits::check_writes(&caller, &grant, "join a hotline", session.desk)?;
        check_exercise(&session, request.exercise.as_deref())?;
        turn(&server, &caller, &peer, Turn::Join, request.author).await?;
    } else {
        let submission = opening(&caller, &grant, &peer, request)?;
        open(&server, &caller, &grant, submission).await?;
    }
    view(&server, &grant.reads(), peer, TURNS_SHOWN_MAX).await.map(Json)
}

/// Rings. Where the site wants a second person for a FLASH, the opening waits for one; the lines then need nobody.
async fn open(server: &Server, caller: &Caller, grant: &Grant, submission: Submission) -> Result<(), Failure> {
    if !grant.sends_flash() {
        let message = format!("{} may not send FLASH, and a hotline is one", caller.by());
        return Err(Failure::new(Exit::Refused, "missing-flash", message, WHO_CHANGES_IT));
    }
    let composed = Composed { submission, by: caller.person(), words: 0, long: None };
    match request_of(server, Request::Compose(Box::new(composed))).await? {
        Done::Drafted(draft, until) => {
            let message = format!("draft {draft} waits until {until} for another person to release it");
            let advice = format!("have a releaser run `aldis release {draft}`, then run this command again");
            Err(Failure::new(Exit::Refused, "waits-for-release", message, advice))
        }
        _ => Ok(()),
    }
}

/// Says something.
pub(super) async fn say(
    State(server): Shared,
    Extension(caller): Extension<Caller>,
    Extension(grant): Extension<Grant>,
    Body(request): Body<HotlineLineRequest>,
) -> Result<Json<SentMessage>, Failure> {
    let peer = convert::node_id("peer", &request.peer)?;
    check_desk(&server, &caller, &grant, &peer).await?;
    let words = text("text", request.text)?;
    let sent = turn(&server, &caller, &peer, Turn::Line(words), request.author).await?;
    match sent.as_slice() {
        [(id, digest)] => Ok(Json(sent_message(id, digest, DeliveryState::Submitted))),
        other => Err(Failure::internal(format!("one line came to {} envelopes", other.len()))),
    }
}

/// Says what a person here was shown.
pub(super) async fn read(
    State(server): Shared,
    Extension(caller): Extension<Caller>,
    Extension(grant): Extension<Grant>,
    Body(request): Body<HotlineReadRequest>,
) -> Result<Json<HotlineView>, Failure> {
    let peer = convert::node_id("peer", &request.peer)?;
    check_desk(&server, &caller, &grant, &peer).await?;
    turn(&server, &caller, &peer, Turn::Read(request.through), request.author).await?;
    view(&server, &grant.reads(), peer, TURNS_SHOWN_MAX).await.map(Json)
}

/// Ends it, or leaves the desk.
pub(super) async fn close(
    State(server): Shared,
    Extension(caller): Extension<Caller>,
    Extension(grant): Extension<Grant>,
    Body(request): Body<HotlineCloseRequest>,
) -> Result<Json<HotlineView>, Failure> {
    let peer = convert::node_id("peer", &request.peer)?;
    check_desk(&server, &caller, &grant, &peer).await?;
    let what = if request.leave { Turn::Leave } else { Turn::Close };
    turn(&server, &caller, &peer, what, request.author).await?;
    view(&server, &grant.reads(), peer, TURNS_SHOWN_MAX).await.map(Json)
}

/// The latest conversation with a peer, as the core has it.
async fn session(server: &Server, peer: &NodeId) -> Result<Option<Session>, Failure> {
    let view = server.context.loop_handle.view().await?;
    let found = view.peers.into_iter().find(|status| status.card.card().id == *peer);
    match found {
        Some(status) => Ok(status.hotline),
        None => Err(Failure::no_such_peer(peer.as_str(), "see `aldis peer list`")),
    }
}

async fn check_desk(server: &Server, caller: &Caller, grant: &Grant, peer: &NodeId) -> Result<(), Failure> {
    match session(server, peer).await? {
        Some(session) => permits::check_writes(caller, grant, "speak in a hotline", session.desk),
        // The core says that there is none.
        None => Ok(()),
    }
}

fn check_exercise(session: &Session, named: Option<&str>) -> Result<(), Failure> {
    let there = session.exercise.as_deref();
    if named.is_none() && there.is_none() || named == there {
        return Ok(());
    }
    let is = there.map_or("real".to_owned(), |name| format!("of the exercise {name}"));
    let message = format!("the hotline that is there is {is}");
    let advice = match there {
        Some(name) => format!("join it with --exercise '{name}', or end it first"),
        None => "join it without --exercise, or end it first".to_owned(),
    };
    Err(Failure::new(Exit::Refused, "exercise-mismatch", message, advice))
}

async fn turn(
    server: &Server,
    caller: &Caller,
    peer: &NodeId,
    turn: Turn,
    author: Option<String>,
) -> Result<Vec<(EnvelopeId, Digest)>, Failure> {
    let order = DeskOrder { peer: peer.clone(), turn, author: author_of(author, caller)?, by: caller.by() };
    let asked = server.context.loop_handle.request(Request::Hotline(Box::new(order)));
    match tokio::time::timeout(super::audit::REQUEST_LIMIT, asked).await {
        Ok(Ok(Done::Submitted(sent))) => Ok(sent),
        Ok(Ok(other)) => Err(Failure::internal(format!("a turn of a hotline came to {other:?}"))),
        Ok(Err(error)) => Err(peers::explained(server, error).await),
        Err(_) => Err(Failure::late()),
    }
}

fn opening(caller: &Caller, grant: &Grant, peer: &NodeId, request: HotlineRequest) -> Result<Submission, Failure> {
    let Some(tlp) = request.tlp.map(convert::tlp) else {
        let message = format!("no hotline with {peer} is there, and to open one needs a TLP marking");
        return Err(Failure::usage("no-marking", message, "name it, such as with --tlp amber; it is never filled in"));
    };
    if tlp == Tlp::RED {
        return Err(bad_field("tlp", "what is TLP:RED is opened one by one, and cannot be said in a hotline"));
    }
    let subject = request.subject.unwrap_or_else(|| "hotline".to_owned());
    let body = json!({ "subject": subject, "text": request.text.unwrap_or_default() });
    let (bodies, bearing) = bodies(KIND, &body)?;
    let desk = request.desk.as_deref().map_or(Ok(Desk::TECHNICAL), desk)?;
    permits::check_writes(caller, grant, "open a hotline", desk)?;
    let exercise: Option<Text<64>> = request.exercise.map(|name| text("exercise", name)).transpose()?;
    Ok(Submission {
        by: caller.by(),
        to: vec![peer.clone()],
        salts: vec![clock::random()],
        desk,
        lane: Lane::Flash,
        case: CaseId(clock::random()),
        references: List::empty(),
        author: author_of(request.author, caller)?,
        on_behalf_of: None,
        tlp,
        exercise,
        kind: Code::known(KIND),
        bodies,
        bearing,
        lifetime_ms: default_lifetime_ms(Lane::Flash),
        acknowledge_within_s: None,
    })
}

async fn view(server: &Server, desks: &Desks, peer: NodeId, most: usize) -> Result<HotlineView, Failure> {
    let Some(session) = session(server, &peer).await? else {
        return Ok(HotlineView { peer: peer.to_string(), session: None });
    };
    if !desks.contains(session.desk) {
        let message = format!("the hotline with {peer} is for the desk {}", session.desk);
        return Err(Failure::new(Exit::Refused, "missing-desk", message, WHO_CHANGES_IT));
    }
    let (case, with) = (session.case, peer.clone());
    let conversation = review::read(server, desks.clone(), move |log| log.hotline(case, &with, most)).await?;
    let mut entries = conversation.entries;
    mark_read(&mut entries, session.read_here, session.read_there);
    let names = |names: &[Text<128>]| names.iter().map(ToString::to_string).collect();
    let session = HotlineSession {
        case: session.case.to_string(),
        opening: convert::message_id(&session.opening),
        state: match session.state {
            SessionState::Ringing => HotlineState::Ringing,
            SessionState::Open => HotlineState::Open,
            SessionState::Closed => HotlineState::Closed,
        },
        opened_at: convert::time(session.opened_at),
        tlp: convert::tlp_shown(session.tlp),
        desk: session.desk.to_string(),
        exercise: session.exercise.as_ref().map(ToString::to_string),
        here: names(&session.here),
        there: names(&session.there),
        read_here: session.read_here,
        read_there: session.read_there,
        entries,
        summary: conversation.summary,
    };
    Ok(HotlineView { peer: peer.to_string(), session: Some(session) })
}
