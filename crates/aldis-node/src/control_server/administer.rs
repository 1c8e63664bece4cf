//! Acts of administrators: on peers, on requests that wait for a second person, and on this node's own keys. Who acts is
//! the Unix user the kernel names; the words that were read over the telephone are compared here, on this machine.

use super::caller::Caller;
use super::extract::{Asked, Body};
use super::failure::Failure;
use super::{Server, Shared, convert, peers};
use crate::event_loop::{PeerStatus, Request};
use crate::own_card;
use aldis_control::{
    Exit, IdentityKeyView, KeyRotateRequest, OwnKey, OwnKeys, PeerAct, PeerActRequest, PeerActResponse, PeerPhrases,
    PeerQuery, PendingRequest, RequestName,
};
use aldis_core::Order;
use aldis_core::effect::{Declined, Done};
use aldis_core::record::RecordSeq;
use aldis_core::trust::{Act, RequestId};
use aldis_wire::card::VerifiedCard;
use aldis_wire::codec::Text;
use aldis_wire::ids::NodeId;
use aldis_wire::phrase::Phrase;
use aldis_wire::signing::PublicKey;
use axum::extract::State;
use axum::{Extension, Json};

/// The words for the telephone.
pub(super) async fn phrases(
    State(server): Shared,
    Asked(query): Asked<PeerQuery>,
) -> Result<Json<PeerPhrases>, Failure> {
    let id = convert::node_id("id", &query.id)?;
    let peer = peers::status_of(&server, &id).await?;
    let waiting = waiting_card(&peer);
    let own = server.context.own.card();
    let (ours, theirs) = tokio::join!(spoken(own.card().id.clone(), own.key().clone()), spoken_of(waiting));
    Ok(Json(PeerPhrases {
        id: id.to_string(),
        ours: ours?.to_string(),
        theirs: theirs?.to_string(),
        key: waiting.key().id().to_string(),
        is_next_key: peer.offered.is_some(),
        is_vouched: peer.offered.as_ref().is_some_and(|offered| offered.announced.is_some()),
    }))
}

/// Does something to a peer.
pub(super) async fn act(
    State(server): Shared,
    Extension(caller): Extension<Caller>,
    Body(request): Body<PeerActRequest>,
) -> Result<Json<PeerActResponse>, Failure> {
    let id = convert::node_id("id", &request.id)?;
    let why = Text::new(request.why).map_err(|error| super::send::bad_field("why", error))?;
    if why.trim().is_empty() {
        return Err(super::send::bad_field("why", "say why, for those who review the record"));
    }
    let Some(act) = core_act(request.act) else {
        let decline = Request::DeclineKey { peer: id.clone(), by: caller.person() };
        return done(&server, &id, server.context.loop_handle.request(decline).await?).await;
    };
    let peer = peers::status_of(&server, &id).await?;
    // The words, the key the person names and the key of the order are all of this one card.
    let subject = subject_card(act, &peer);
    if request.key.is_some_and(|seen| seen != subject.key().id().to_string()) {
        return Err(Declined::KeyChanged(id).into());
    }
    match request.phrase {
        Some(typed) => {
            let phrase = spoken_of(subject).await?;
            phrase.matches_typed(&typed).map_err(|mismatch| wrong_phrase(&id, &mismatch))?;
        }
        None if needs_phrase(act, &peer) => return Err(missing_phrase(&id)),
        None => {}
    }
    let key = act.takes_two().then(|| subject.key().id());
    let order = Order { act, peer: id.clone(), key, by: caller.person(), why };
    let result = server.context.loop_handle.request(Request::Administer(Box::new(order))).await;
    match result {
        Ok(result) => done(&server, &id, result).await,
        Err(error) => Err(peers::explained(&server, error).await),
    }
}

/// What waits for a second administrator.
pub(super) async fn requests(State(server): Shared) -> Result<Json<Vec<PendingRequest>>, Failure> {
    let view = server.context.loop_handle.view().await?;
    let shown = view.requests.iter().map(|(id, request)| PendingRequest {
        request: id.0.0,
        act: control_act(request.act),
        peer: request.peer.to_string(),
        key: request.key.to_string(),
        by: request.by.to_string(),
        why: request.why.to_string(),
        at: convert::time(request.at),
        expires_at: convert::time(request.expires_at),
    });
    Ok(Json(shown.collect()))
}

/// A second administrator approves.
pub(super) async fn approve(
    State(server): Shared,
    Extension(caller): Extension<Caller>,
    Body(name): Body<RequestName>,
) -> Result<Json<PeerActResponse>, Failure> {
    let request = RequestId(RecordSeq(name.request));
    let approve = Request::Approve { request, by: caller.person() };
    match server.context.loop_handle.request(approve).await? {
        Done::TrustChanged(peer, trust) => done(&server, &peer.clone(), Done::TrustChanged(peer, trust)).await,
        other => Err(Failure::internal(format!("approving a request came to {other:?}"))),
    }
}

/// An administrator takes a request back.
pub(super) async fn withdraw(
    State(server): Shared,
    Extension(caller): Extension<Caller>,
    Body(name): Body<RequestName>,
) -> Result<Json<Vec<PendingRequest>>, Failure> {
    let request = RequestId(RecordSeq(name.request));
    server.context.loop_handle.request(Request::Withdraw { request, by: caller.person() }).await?;
    requests(State(server)).await
}

/// This node's own keys.
pub(super) async fn own_keys(State(server): Shared) -> Result<Json<OwnKeys>, Failure> {
    let view = server.context.loop_handle.view().await?;
    let own = &server.context.own;
    let (card, shown) = (own.card(), server.context.directory.shown());
    let signs_for = |key| {
        let peers = view.peers.iter().filter(|peer| peer.own_key == key);
        peers.map(|peer| peer.card.card().id.to_string()).collect()
    };
    let keys = own.usable().into_iter().map(|key| IdentityKeyView { key: key.to_string(), signs_for: signs_for(key) });
    Ok(Json(OwnKeys {
        identities: keys.collect(),
        tls_certificate: data_encoding::HEXLOWER.encode(&shown.certificate().fingerprint()),
        tls_valid_until: convert::system_time(shown.certificate().not_after()),
        tls_successor_waits: !own_card::tells_of(card.card(), &shown),
        card_valid_until: convert::time(card.card().valid_until),
        card_is_known: view.own_card_known,
    }))
}

/// Makes a new key of our own.
pub(super) async fn rotate(
    State(server): Shared,
    Extension(caller): Extension<Caller>,
    Body(request): Body<KeyRotateRequest>,
) -> Result<Json<OwnKeys>, Failure> {
    let refused = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::Refused, "not-rotated", error.to_string(), "nothing was announced; see `aldis key list`")
    };
    let Some(maker) = &server.context.key_maker else { return Err(refused(&"this node makes no keys")) };
    let rotated = match request.key {
        OwnKey::Identity => maker.rotate_identity(caller.by()).await.map(|_| ()),
        OwnKey::Tls => maker.rotate_tls(caller.by()).await.map(|_| ()),
    };
    rotated.map_err(|error| refused(&error))?;
    own_keys(State(server)).await
}

async fn done(server: &Server, id: &NodeId, done: Done) -> Result<Json<PeerActResponse>, Failure> {
    let request = match done {
        Done::Requested(request) => Some(request.0.0),
        _ => None,
    };
    let peer = peers::status_of(server, id).await?;
    Ok(Json(PeerActResponse {
        peer: peers::summary(&peer, &server.context.notes, server.context.clock.wall()),
        request,
    }))
}

/// The card whose key waits to be compared: the next one, or the one that was added.
fn waiting_card(peer: &PeerStatus) -> &VerifiedCard {
    peer.offered.as_ref().map_or(&peer.card, |offered| &offered.card.0)
}

/// The card an act is about: the next one only where the next key is taken.
fn subject_card(act: Act, peer: &PeerStatus) -> &VerifiedCard {
    if act == Act::AcceptKey { waiting_card(peer) } else { &peer.card }
}

/// A first key, and one that the key before does not vouch for, rest on the voice alone.
fn needs_phrase(act: Act, peer: &PeerStatus) -> bool {
    match act {
        Act::Verify => true,
        Act::AcceptKey => peer.offered.as_ref().is_some_and(|offered| offered.announced.is_none()),
        Act::Suspend | Act::Resume | Act::Revoke | Act::UndoRevoke | Act::Recover => false,
    }
}

async fn spoken_of(card: &VerifiedCard) -> Result<Phrase, Failure> {
    spoken(card.card().id.clone(), card.key().clone()).await
}

/// Stretching takes a good part of a second on purpose.
async fn spoken(id: NodeId, key: PublicKey) -> Result<Phrase, Failure> {
    let phrase = tokio::task::spawn_blocking(move || Phrase::of(&id, &key)).await;
    phrase.map_err(|error| Failure::internal(format!("stretching the phrase: {error}")))
}

fn missing_phrase(id: &NodeId) -> Failure {
    let message = format!("phrase: the words that the administrator of {id} read out are missing");
    Failure::usage("phrase-missing", message, format!("run `aldis peer verify {id}` with that person on the telephone"))
}

fn wrong_phrase(id: &NodeId, mismatch: &aldis_wire::phrase::Mismatch) -> Failure {
    let advice = format!(
        "have them read again; if it stays different, the card is not theirs: `aldis peer revoke {id}` and get it anew"
    );
    Failure::new(Exit::Refused, "phrase-differs", format!("these are not the words of {id}: {mismatch}"), advice)
}

fn core_act(act: PeerAct) -> Option<Act> {
    match act {
        PeerAct::Verify => Some(Act::Verify),
        PeerAct::Suspend => Some(Act::Suspend),
        PeerAct::Resume => Some(Act::Resume),
        PeerAct::Revoke => Some(Act::Revoke),
        PeerAct::UndoRevoke => Some(Act::UndoRevoke),
        PeerAct::AcceptKey => Some(Act::AcceptKey),
        PeerAct::Recover => Some(Act::Recover),
        PeerAct::DeclineKey => None,
    }
}

fn control_act(act: Act) -> PeerAct {
    match act {
        Act::Verify => PeerAct::Verify,
        Act::Suspend => PeerAct::Suspend,
        Act::Resume => PeerAct::Resume,
        Act::Revoke => PeerAct::Revoke,
        Act::UndoRevoke => PeerAct::UndoRevoke,
        Act::AcceptKey => PeerAct::AcceptKey,
        Act::Recover => PeerAct::Recover,
    }
}
