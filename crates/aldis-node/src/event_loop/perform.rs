//! Carrying out effects. Every one of them was set free by a commit; none of them can fail the loop, for a link that is
//! gone is told of by its own end.

use super::EventLoop;
use crate::link::LinkId;
use aldis_core::effect::{AttachmentNews, Effect, Happening};
use aldis_core::record::LostReason;
use aldis_wire::digest::Digest;
use aldis_wire::frame::GoodbyeCode;
use aldis_wire::ids::NodeId;
use aldis_wire::lane::Lane;
use aldis_wire::receipt::journal_commitment;

pub(super) fn perform(node: &mut EventLoop, effect: Effect) {
    match effect {
        Effect::Transmit { link, lane, seq, bytes } => {
            if lane == Lane::Flash {
                node.right_of_way.take();
            }
            node.links.with(link, |queue| queue.transmit(lane, seq, bytes));
        }
        Effect::Receipt { peer, link } => receipt(node, &peer, link),
        Effect::Fetch { link, fetch } => node.links.with(link, |queue| queue.ask_history(fetch)),
        Effect::Obtain { link, attachment, size, lane, .. } => {
            node.links.with(link, |queue| queue.fetch_file(lane, attachment, size));
        }
        Effect::Serve { link, want, size } => node.links.with(link, |queue| queue.serve_file(want, size)),
        Effect::Want { link, want } => node.links.with(link, |queue| queue.want(want)),
        Effect::EraseAttachment { peer, attachment } => erase_file(node, peer, attachment),
        Effect::Grant { link, credit } => node.links.with(link, |queue| queue.grant(credit)),
        Effect::Close { link, goodbye } => {
            tracing::info!(link = link.0, code = goodbye.code.name(), text = goodbye.text.as_str(), "closing the link");
            node.links.with(link, |queue| match goodbye.code {
                // Such a peer may be a thief, who holds the link open by not reading.
                GoodbyeCode::NOT_ADMITTED | GoodbyeCode::DOES_NOT_VERIFY => queue.sever(goodbye),
                _ => queue.close(goodbye),
            });
        }
        Effect::Dial { peer } => {
            // One dial per peer is under way at most and the queue holds that many; a full one means a dialler that
            // has ended, and with it the node.
            if node.dials.try_send(peer.clone()).is_err() {
                tracing::error!(%peer, "cannot dial: the dialler does not take it");
            }
        }
        Effect::Reply { token, result } => {
            if let Some(reply) = node.replies.waiting.remove(&token) {
                reply.answer(result, &node.events);
            }
        }
        Effect::Tell(happening) => tell(node, happening),
        Effect::Alert(alert) => {
            let id = alert.id;
            tracing::warn!(alert = %id, peer = %alert.peer, cause = alert.cause.name(), step = alert.step, "alert");
            if let Err(outcome) = node.alerts.bring(alert) {
                node.unalerted.push((id, outcome));
            }
        }
        // The loop has taken it already: it is the one effect that can fail the journal.
        Effect::Erase { .. } => {}
    }
}

/// Removes a file where that keeps nobody waiting. One that stays is removed by the next start.
fn erase_file(node: &EventLoop, peer: Option<NodeId>, attachment: Digest) {
    let store = node.attachments.clone();
    node.runtime.spawn_blocking(move || {
        let erased = match &peer {
            Some(peer) => store.erase_from(peer, attachment),
            None => store.erase_ours(attachment),
        };
        if let Err(error) = erased {
            tracing::error!(%attachment, %error, "a file that no message names stays until the next start");
        }
    });
}

/// The receipt says what is on disk now, for this runs right behind a commit; the link signs it.
fn receipt(node: &mut EventLoop, peer: &NodeId, link: LinkId) {
    // The first commit of a journal has none before it: then the commitment is to nothing.
    let commitment =
        node.commitments.earlier.map_or(Digest::ZERO, |(salt, head)| journal_commitment(&salt, head.size, &head.root));
    if let Some(receipt) = node.core.receipt(peer, node.clock.wall(), commitment) {
        node.links.with(link, |queue| queue.receipt(receipt));
    }
}

/// Links from now on go by what the core knows of the peer.
fn follow(node: &EventLoop, peer: &NodeId) {
    if let Some(known) = node.core.peer(peer)
        && let Err(error) = node.directory.follow(known)
    {
        tracing::error!(%peer, %error, "the peer's certificate cannot be used; links go by what was known before");
    }
}

/// Every peer knows the certificate in our newest card now: it is shown from here on. Links are made anew, so that the
/// one before is in use nowhere.
fn show_own_certificate(node: &EventLoop) {
    match node.directory.show(node.own.card().card()) {
        Ok(false) => {}
        Ok(true) => {
            tracing::info!("the new TLS certificate is in use");
            node.links.close_all(GoodbyeCode::REPLACED, "our certificate has changed");
        }
        Err(error) => tracing::error!(%error, "the new TLS certificate cannot be used; the one before stays"),
    }
}

fn tell(node: &mut EventLoop, happening: Happening) {
    match &happening {
        Happening::PeerAdded(peer) | Happening::CardTaken(peer) => follow(node, peer),
        Happening::TrustChanged(peer, act, trust) => {
            tracing::info!(%peer, act = act.name(), trust = trust.name(), "an administrator changed a peer");
            follow(node, peer);
        }
        Happening::OwnCard(_) => {
            if let Some((card, _)) = node.core.own_card() {
                node.own.set_card(card.clone());
            }
        }
        Happening::OwnCardKnown(_) => show_own_certificate(node),
        Happening::OwnKeySwitched(peer) => tracing::info!(%peer, "our next identity key signs what goes to the peer"),
        Happening::KeyOffered(peer) => tracing::warn!(%peer, "the peer's next identity key waits for administrators"),
        Happening::AgreementChanged(peer) => tracing::info!(%peer, "the agreement with the peer changed"),
        Happening::Requested(id, request) => {
            tracing::info!(%id, peer = %request.peer, act = request.act.name(), by = %request.by, "waits for a second person");
        }
        Happening::RequestEnded(id, end) => tracing::info!(%id, ?end, "a request ended"),
        Happening::Drafted(id, draft) => {
            tracing::info!(%id, by = %draft.by, lane = draft.lane.name(), "waits for another person to release it");
        }
        Happening::DraftEnded(id, end, _, by) => {
            let by = by.as_ref().map(ToString::to_string);
            tracing::info!(%id, end = end.name(), by, "a draft ended");
        }
        Happening::LinkUp(peer) => tracing::info!(%peer, "link up"),
        Happening::LinkDown(peer, cause) => tracing::info!(%peer, cause, "link down"),
        Happening::AlarmRaised(code, peer, text) => tracing::warn!(%code, ?peer, text, "alarm"),
        Happening::AlarmCleared(code, peer) => tracing::info!(%code, ?peer, "alarm ended"),
        Happening::Climbed(climbed) => {
            let (peer, step, silence) = (&climbed.peer, climbed.step, climbed.silence.name());
            tracing::warn!(%peer, step, silence, count = climbed.count, "a step of the ladder");
        }
        Happening::Checked(checked) => {
            let (peer, human, end) = (&checked.peer, checked.human, &checked.end);
            tracing::info!(%peer, human, ?end, round_trip_ms = checked.round_trip_ms, "a comm check ended");
        }
        Happening::StepTold(id, told) => {
            tracing::info!(%id, step = told.step, outcome = %told.outcome, "the peer's ladder");
        }
        Happening::Hotline(peer, state, ..) => tracing::info!(%peer, state = state.name(), "hotline"),
        Happening::Received(id) => tracing::debug!(%id, "received"),
        Happening::Delivery(id, delivery) => tracing::debug!(%id, ?delivery, "delivery"),
        Happening::Attachment(peer, attachment, news) => {
            tracing::info!(%peer, %attachment, ?news, "a file");
            if matches!(news, AttachmentNews::Taken | AttachmentNews::Lost(LostReason::ByPeer)) {
                node.attachments.forget_sent(peer, *attachment);
            }
        }
        Happening::Alerted(alert) => tracing::debug!(alert = %alert.id, "alert"),
    }
    node.events.tell(node.clock.wall(), happening);
}
