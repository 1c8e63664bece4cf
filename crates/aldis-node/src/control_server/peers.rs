//! Peers: who is enrolled, how their links and lanes stand, and enrolling one from its card.

use super::caller::Caller;
use super::cards::read;
use super::extract::{Asked, Body};
use super::failure::Failure;
use super::{Server, Shared, convert};
use crate::card_text;
use crate::event_loop::{LinkStatus, NodeView, PeerStatus, Request};
use crate::expiry;
use crate::notes::Notes;
use aldis_control::{
    LaneMarks, LinkState, PeerAddRequest, PeerError, PeerQuery, PeerSummary, PeerUnblockRequest, PeerView, PerLane,
    TrustView,
};
use aldis_core::effect::{Declined, Done};
use aldis_core::trust::TrustChanged;
use aldis_wire::ids::{NodeId, UnixMillis};
use aldis_wire::lane::Lane;
use axum::extract::State;
use axum::{Extension, Json};

/// All peers, by id.
pub(super) async fn list(State(server): Shared) -> Result<Json<Vec<PeerSummary>>, Failure> {
    let view = server.context.loop_handle.view().await?;
    let now = server.context.clock.wall();
    Ok(Json(view.peers.iter().map(|peer| summary(peer, &server.context.notes, now)).collect()))
}

/// One peer in full.
pub(super) async fn one(State(server): Shared, Asked(query): Asked<PeerQuery>) -> Result<Json<PeerView>, Failure> {
    let id = convert::node_id("id", &query.id)?;
    let view = server.context.loop_handle.view().await?;
    let peer = find(&view, id.as_str())?;
    let marks = Lane::ALL.into_iter().zip(&peer.lanes).map(|(lane, status)| LaneMarks {
        lane: convert::precedence(lane),
        sent: status.sent,
        receipted: status.receipted,
        received: status.received,
        sent_digest: status.sent_digest.map(|digest| digest.to_hex()),
        received_digest: status.received_digest.map(|digest| digest.to_hex()),
    });
    Ok(Json(PeerView {
        summary: summary(peer, &server.context.notes, server.context.clock.wall()),
        trust: peer.trusted.as_ref().map(trust),
        card: card_text::view(&peer.card, server.context.clock.wall()),
        marks: marks.collect(),
        recovery: super::recovery::view(peer),
    }))
}

/// Enrols a peer from its card.
pub(super) async fn add(
    State(server): Shared,
    Extension(caller): Extension<Caller>,
    Body(request): Body<PeerAddRequest>,
) -> Result<Json<PeerSummary>, Failure> {
    let card = Box::new(read(&request.card)?);
    match server.context.loop_handle.request(Request::AddPeer { card, by: caller.by() }).await? {
        Done::PeerAdded(id) | Done::KeyOffered(id) => shown(&server, id.as_str()).await,
        other => Err(Failure::internal(format!("enrolling a peer came to {other:?}"))),
    }
}

/// Lets a blocked lane flow again.
pub(super) async fn unblock(
    State(server): Shared,
    Extension(caller): Extension<Caller>,
    Body(request): Body<PeerUnblockRequest>,
) -> Result<Json<PeerSummary>, Failure> {
    let peer = convert::node_id("id", &request.id)?;
    let lane = convert::lane(request.lane);
    let unblock = Request::Unblock { peer: peer.clone(), lane, by: caller.by() };
    server.context.loop_handle.request(unblock).await?;
    shown(&server, peer.as_str()).await
}

/// A peer at a glance.
pub(super) fn summary(peer: &PeerStatus, notes: &Notes, now: UnixMillis) -> PeerSummary {
    let card = peer.card.card();
    let note = notes.of(&card.id);
    let mut queued = PerLane::default();
    let mut blocked_lanes = Vec::new();
    for (lane, status) in Lane::ALL.into_iter().zip(&peer.lanes) {
        let precedence = convert::precedence(lane);
        *queued.get_mut(precedence) = status.sent.saturating_sub(status.receipted);
        if status.blocked_here {
            blocked_lanes.push(precedence);
        }
    }
    PeerSummary {
        id: card.id.to_string(),
        name: card.name.to_string(),
        country: card.country.to_string(),
        state: peer.trust.name().to_owned(),
        next_key_waits: peer.offered.is_some(),
        single_administrator: card.is_single_administrator(),
        card_is_stale: expiry::is_stale(card, now),
        link: match peer.link {
            LinkStatus::Up => LinkState::Up,
            LinkStatus::Connecting => LinkState::Connecting,
            LinkStatus::Down => LinkState::Down,
        },
        link_since: note.link_since.map(convert::time),
        latency_ms: note.latency_ms,
        clock_difference_ms: note.clock_difference_ms,
        fingerprint: peer.card.fingerprint(),
        queued,
        unanswered: peer.lanes.iter().map(|lane| lane.unanswered).sum(),
        last_error: note.last_error.map(|(code, text, at)| PeerError { code, text, at: convert::time(at) }),
        blocked_lanes,
    }
}

fn trust(changed: &TrustChanged) -> TrustView {
    TrustView {
        act: changed.act.name().to_owned(),
        by: changed.by.to_string(),
        approved_by: changed.approved_by.as_ref().map(ToString::to_string),
        why: changed.why.to_string(),
        at: convert::time(changed.at),
        received: changed.received,
    }
}

/// What the node knows of one peer.
pub(super) async fn status_of(server: &Server, id: &NodeId) -> Result<PeerStatus, Failure> {
    let view = server.context.loop_handle.view().await?;
    find(&view, id.as_str()).cloned()
}

async fn shown(server: &Server, id: &str) -> Result<Json<PeerSummary>, Failure> {
    let view = server.context.loop_handle.view().await?;
    Ok(Json(summary(find(&view, id)?, &server.context.notes, server.context.clock.wall())))
}

fn find<'a>(view: &'a NodeView, id: &str) -> Result<&'a PeerStatus, Failure> {
    let found = view.peers.iter().find(|peer| peer.card.card().id.as_str() == id);
    found.ok_or_else(|| no_such_peer(view, id))
}

/// What is said when a peer is not enrolled: with those that are.
pub(super) fn no_such_peer(view: &NodeView, id: &str) -> Failure {
    let known: Vec<&str> = view.peers.iter().take(20).map(|peer| peer.card.card().id.as_str()).collect();
    let enrolled = match known.as_slice() {
        [] => "nobody is enrolled yet".to_owned(),
        known => format!("enrolled are {}", known.join(", ")),
    };
    Failure::no_such_peer(id, format!("{enrolled}; enrol a peer with `aldis peer add FILE`"))
}

/// A refusal of the loop; one about an unknown peer names those that are known.
pub(super) async fn explained(server: &Server, error: crate::event_loop::RequestError) -> Failure {
    if let crate::event_loop::RequestError::Declined(Declined::UnknownPeer(peer)) = &error
        && let Ok(view) = server.context.loop_handle.view().await
    {
        return no_such_peer(&view, peer.as_str());
    }
    error.into()
}
