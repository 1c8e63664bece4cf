//! The hotline: coming to the desk, saying something, saying what was read, leaving and ending; and how it looks now. The
//! core says what may be said; the words are read back from the message log.

use super::caller::Caller;
use super::extract::{Asked, Body};
use super::failure::Failure;
use super::send::{author_of, bad_field, bodies, default_lifetime_ms, desk, request_of, sent_message, text, words_in};
use super::{Server, Shared, convert, permits, review};
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
use aldis_core::record::{DraftId, Drafted};
use aldis_wire::codec::{List, Text};
use aldis_wire::codes::{Code, Desk, Tlp};
use aldis_wire::digest::Digest;
use aldis_wire::ids::{CaseId, EnvelopeId, NodeId, UnixMillis};
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
        check_marking(&session, request.tlp)?;
        turn(&server, &caller, &peer, Turn::Join, request.author).await?;
    } else {
        let composed = opening(&caller, &grant, &peer, request)?;
        open(&server, &caller, &grant, composed).await?;
    }
    view(&server, &grant.reads(), peer, TURNS_SHOWN_MAX).await.map(Json)
}

/// Rings. Where the site wants a second person for a FLASH, the opening waits for one; the lines then need nobody.
async fn open(server: &Server, caller: &Caller, grant: &Grant, composed: Composed) -> Result<(), Failure> {
    if !grant.sends_flash() {
        let message = format!("{} may not send FLASH, and a hotline is one", caller.by());
        return Err(Failure::new(Exit::Refused, "missing-flash", message, WHO_CHANGES_IT));
    }
    // Whoever comes again while it waits wants to know that it waits, and no second call beside it.
    let drafts = server.context.loop_handle.view().await?.drafts;
    let same = drafts.iter().find(|(_, draft)| is_opening(draft, &composed.submission));
    if let Some((draft, drafted)) = same {
        return Err(waits_for_release(*draft, drafted.expires_at));
    }
    match request_of(server, Request::Compose(Box::new(composed))).await {
        Ok(Done::Drafted(draft, until)) => Err(waits_for_release(draft, until)),
        Ok(_) => Ok(()),
        Err(failure) if failure.code() == "too-long" => {
            let advice = "say less with --subject and --text; the rest goes in lines; nothing was sent";
            Err(Failure::new(Exit::Refused, "too-long", failure.into_error().message, advice))
        }
        Err(failure) => Err(failure),
    }
}

/// Whether a draft is this very call: with the same peer, for the same desk, under the same marking.
fn is_opening(draft: &Drafted, wanted: &Submission) -> bool {
    draft.kind.as_str() == KIND
        && draft.to.iter().eq(&wanted.to)
        && draft.exercise == wanted.exercise
        && (draft.desk, draft.tlp) == (wanted.desk, wanted.tlp)
}

fn waits_for_release(draft: DraftId, until: UnixMillis) -> Failure {
    let message = format!("draft {draft} waits until {until} for another person to release it");
    let advice = format!("have a releaser run `aldis release {draft}`, then run this command again");
    Failure::new(Exit::Refused, "waits-for-release", message, advice)
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
    let case: CaseId =
        request.case.parse().map_err(|_| bad_field("case", "it is not the 26 characters of a hotline's case"))?;
    let sent = turn(&server, &caller, &peer, Turn::Line(case, words), request.author).await?;
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

/// Whoever names a marking means to speak under it, and not under another (I13).
fn check_marking(session: &Session, named: Option<aldis_control::Tlp>) -> Result<(), Failure> {
    let there = convert::tlp_shown(session.tlp);
    if named.is_none_or(|named| named == there) {
        return Ok(());
    }
    let message = format!("the hotline that is there is {}", there.label());
    let advice = format!("join it without --tlp, or with --tlp {}; or end it first", there.as_str());
    Err(Failure::new(Exit::Refused, "marking-mismatch", message, advice))
}

async fn turn(
    server: &Server,
    caller: &Caller,
    peer: &NodeId,
    turn: Turn,
    author: Option<String>,
) -> Result<Vec<(EnvelopeId, Digest)>, Failure> {
    let order = DeskOrder { peer: peer.clone(), turn, author: author_of(author, caller)?, by: caller.by() };
    match request_of(server, Request::Hotline(Box::new(order))).await? {
        Done::Submitted(sent) => Ok(sent),
        other => Err(Failure::internal(format!("a turn of a hotline came to {other:?}"))),
    }
}

fn opening(caller: &Caller, grant: &Grant, peer: &NodeId, request: HotlineRequest) -> Result<Composed, Failure> {
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
    let submission = Submission {
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
        attachments: Vec::new(),
        lifetime_ms: default_lifetime_ms(Lane::Flash),
        acknowledge_within_s: None,
    };
    Ok(Composed { submission, by: caller.person(), words: words_in(&body), long: None })
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
