//! Questions about the state, answered after a commit so that nobody sees what is not on disk.

use super::{AgreementStatus, EventLoop, LadderView, LaneStatus, LinkStatus, NodeView, PeerStatus, SilencesView};
use crate::journal::TreeHead;
use crate::link::LinkFacts;
use aldis_core::checks::CHECK_LANE;
use aldis_core::peer::{Link, Peer};
use aldis_wire::ids::{EnvelopeId, NodeId, UnixMillis};
use aldis_wire::lane::Lane;
use std::sync::Arc;

impl EventLoop {
    pub(super) fn answer_questions(&mut self) {
        if !self.replies.views.is_empty() {
            let view = self.view();
            for reply in self.replies.views.drain(..) {
                // Whoever asked may have gone.
                let _gone = reply.send(view.clone());
            }
        }
        for (messages, reply) in std::mem::take(&mut self.replies.ladders) {
            let _gone = reply.send(messages.iter().map(|message| self.on_ladder(message)).collect());
        }
        for reply in std::mem::take(&mut self.replies.silences) {
            let _gone = reply.send(self.silences());
        }
        for (peer, reply) in std::mem::take(&mut self.replies.facts) {
            let _gone = reply.send(self.link_facts(&peer));
        }
        for reply in self.replies.settled.drain(..) {
            let _gone = reply.send(());
        }
    }

    fn view(&self) -> NodeView {
        NodeView {
            own: self.core.own().clone(),
            incarnation: self.core.incarnation(),
            started_at: self.started_at,
            journal: TreeHead { size: self.journal.size(), root: self.journal.root() },
            peers: self.core.peers().map(|(_, peer)| peer_status(peer)).collect(),
            alarms: self.core.alarms().cloned().collect(),
            requests: self.core.requests().map(|(id, request)| (id, request.clone())).collect(),
            drafts: self.core.drafts().map(|(id, draft)| (id, draft.clone())).collect(),
            own_card_known: self.core.own_card().is_none_or(|(_, known)| known),
        }
    }

    fn on_ladder(&self, message: &EnvelopeId) -> Option<LadderView> {
        let stands = self.core.on_ladder(message)?;
        let moment = self.clock.moment();
        let rest_ms = |due_ms: u64| due_ms.saturating_sub(moment.monotonic_ms);
        let next_at = stands.next.as_ref().map(|next| moment.wall.plus_ms(rest_ms(next.due_ms)));
        Some(LadderView { stands, next_at })
    }

    fn silences(&self) -> SilencesView {
        let peers = self.core.peers().map(|(id, _)| id);
        let exercises = peers.map(|peer| (peer.clone(), self.core.exercises(peer))).collect();
        SilencesView { climbing: self.core.climbing(), exercises }
    }

    fn link_facts(&self, peer: &NodeId) -> Option<LinkFacts> {
        let known = self.core.peer(peer)?;
        Some(LinkFacts {
            incarnation: self.core.incarnation(),
            received: known.received_marks(),
            sent: known.sent_marks(),
            key_id: known.durable.own_key,
            switch: known.durable.own_switch,
        })
    }
}

fn peer_status(peer: &Peer) -> PeerStatus {
    PeerStatus {
        card: peer.card().clone(),
        trust: peer.durable.trust,
        trusted: peer.durable.trusted.clone(),
        offered: peer.durable.offered.clone(),
        accepted: peer.durable.accepted.as_ref().map(|accepted| accepted.card.0.key().id()),
        keys: peer.durable.keys.clone(),
        own_key: peer.durable.own_key,
        agreement: AgreementStatus {
            ours: peer.durable.agreement.ours.clone(),
            theirs: peer.durable.agreement.theirs.clone(),
            is_known: peer.has_our_terms(),
        },
        hotline: peer.durable.hotline.clone(),
        standing: peer.durable.standing,
        link: match peer.link {
            Link::Up(_) => LinkStatus::Up,
            Link::Dialling { .. } => LinkStatus::Connecting,
            Link::Down { .. } => LinkStatus::Down,
        },
        lanes: Lane::ALL.map(|lane| lane_status(peer, lane)),
        checks: Arc::clone(&peer.durable.checks),
        check_until: open_check_until(peer),
        check_waits: Lane::ALL.into_iter().any(|lane| check_waits(peer, lane)),
    }
}

/// Whether a human check of the peer's is open in a lane. At most one is, and none of its machine.
fn check_waits(peer: &Peer, lane: Lane) -> bool {
    let asked = peer.durable.checks.asked.as_ref().filter(|asked| asked.lane == lane);
    asked.is_some_and(|asked| peer.durable.inbound[lane.index()].open.get(&asked.seq.get()).is_some())
}

fn open_check_until(peer: &Peer) -> Option<UnixMillis> {
    let open = peer.durable.checks.open.as_ref()?;
    let entry = peer.durable.out[CHECK_LANE.index()].open.get(&open.seq.get())?;
    entry.expires_at
}

fn lane_status(peer: &Peer, lane: Lane) -> LaneStatus {
    let (out, inbound) = (&peer.durable.out[lane.index()], &peer.durable.inbound[lane.index()]);
    LaneStatus {
        sent: out.last_seq(),
        sent_digest: out.last.map(|(_, digest)| digest),
        receipted: out.receipted_seq(),
        received: inbound.last_seq(),
        received_digest: inbound.last.map(|(_, digest)| digest),
        unanswered: inbound.open.len() as u64 - u64::from(check_waits(peer, lane)),
        blocked_here: inbound.is_blocked(),
        blocked_there: out.blocked_by_peer,
    }
}
