//! What goes out on a link: as much of each lane as the peer allows, the most urgent lane first, straight from the journal
//! where it is not at hand. Coming up drains a backlog by itself; nobody has to write again.

use super::tell;
use crate::batch::{Batch, Complete};
use crate::effect::{Delivery, Effect, Happening, Outgoing};
use crate::inbound::REMEMBERED;
use crate::moment::Moment;
use crate::outbound::{OutLane, OutState};
use crate::peer::{Link, LinkId, UpLink};
use crate::record::{Record, Relayed, Standing};
use crate::state::Core;
use crate::trust::Trust;
use aldis_wire::envelope::WithheldReason;
use aldis_wire::frame::Credit;
use aldis_wire::ids::{EnvelopeId, NodeId, Seq};
use aldis_wire::lane::Lane;

impl Core {
    /// Ends a batch: what it lets go to peers is handed to their links now, all of it at once, so that it is noted with one
    /// record for each lane, however many messages were decided.
    pub fn complete(&mut self, moment: Moment, mut batch: Batch) -> Complete {
        for peer in batch.take_peers() {
            self.transmit(moment, &peer, &mut batch);
        }
        Complete(batch)
    }

    /// Whether a FLASH was handed to a link that is up, and the peer has not receipted it.
    pub fn has_flash_on_its_way(&self) -> bool {
        self.peers.values().any(|peer| {
            let flash = &peer.durable.out[Lane::Flash.index()];
            matches!(peer.link, Link::Up(_)) && flash.relayed > flash.receipted_seq()
        })
    }

    /// Transmits what may go to a peer now.
    fn transmit(&mut self, moment: Moment, peer: &NodeId, batch: &mut Batch) {
        let Some(known) = self.peers.get_mut(peer) else { return };
        let Link::Up(up) = &mut known.link else { return };
        if known.durable.standing != Standing::Good || known.durable.trust != Trust::Verified {
            return;
        }
        let mut any = false;
        for lane in Lane::ALL {
            any |= transmit_lane(up, &known.durable.out[lane.index()], lane, batch);
        }
        if any && up.receipt_due_since_ms.is_none() {
            up.receipt_due_since_ms = Some(moment.monotonic_ms);
        }
        if any {
            let through = up.towards.map(|flow| flow.next.saturating_sub(1));
            self.relayed(moment, peer, through, batch);
        }
    }

    pub(super) fn credit(&mut self, moment: Moment, peer: &NodeId, link: LinkId, credit: Credit, batch: &mut Batch) {
        let Some(up) = self.peers.get_mut(peer).and_then(|peer| peer.up_as(link)) else { return };
        let lets_us_in = up.lets_us_in();
        let flow = &mut up.towards[credit.lane.index()];
        // A running total: it never goes back, and an old frame says nothing new.
        flow.credit = flow.credit.max(credit.total);
        if !lets_us_in {
            self.own_hello_taken(moment, peer, batch);
            self.announce(moment, peer, batch);
            self.tell_terms(moment, peer, batch);
        }
        batch.transmit_to(peer);
    }

    /// What is handed to a link is relayed, and on record as such before a byte of it leaves: the peer may have it, so it no
    /// longer expires, whatever becomes of the link or of this process.
    fn relayed(&mut self, moment: Moment, peer: &NodeId, through: [u64; 4], batch: &mut Batch) {
        for lane in Lane::ALL {
            let Some(known) = self.peers.get(peer) else { return };
            let through = through[lane.index()].min(known.durable.out[lane.index()].last_seq());
            let first = known.durable.out[lane.index()].relayed + 1;
            let Some(seq) = Seq::new(through).filter(|_| through >= first) else { continue };
            let relayed = Relayed { peer: peer.clone(), lane, through: seq, at: moment.wall };
            self.decided(batch, Record::Relayed(relayed));
            for seq in (first..=through).filter_map(Seq::new) {
                let id = EnvelopeId { from: self.own.clone(), to: peer.clone(), lane, seq };
                batch.tell_later(Happening::Delivery(id, Delivery::Relayed));
            }
        }
    }

    /// An envelope whose time is over before it was relayed goes without its body, so that no lane jams (I5).
    pub(super) fn expire_due(&mut self, moment: Moment, batch: &mut Batch) {
        let ids: Vec<NodeId> = self.peers.keys().cloned().collect();
        for peer in ids {
            for lane in Lane::ALL {
                let Some(known) = self.peers.get(&peer).filter(|known| !known.durable.standing.may_have_relayed())
                else {
                    continue;
                };
                // What is on its way on the link of the moment is no longer ours to hold back.
                let next = known.up().map_or(0, |up| up.towards[lane.index()].next);
                let (over, _) = known.durable.out[lane.index()].expiring(moment.wall);
                for seq in over.into_iter().filter(|seq| seq.get() >= next) {
                    let expired = crate::record::Expired { peer: peer.clone(), lane, seq, at: moment.wall };
                    let named = self.named_by(&peer, true, lane, seq);
                    self.decided(batch, Record::Expired(expired));
                    self.unnamed(moment, &peer, true, &named, batch);
                    let id = EnvelopeId { from: self.own.clone(), to: peer.clone(), lane, seq };
                    self.card_failed(moment, &id, "it expired before it was relayed", batch);
                    tell(batch, Happening::Delivery(id, Delivery::Expired));
                }
            }
        }
    }
}

fn transmit_lane(up: &mut UpLink, out: &OutLane, lane: Lane, batch: &mut Batch) -> bool {
    let flow = &mut up.towards[lane.index()];
    let before = flow.sent;
    if out.blocked_by_peer {
        return false;
    }
    // However much the peer allows: beyond this it could not tell a duplicate, and one batch would have no bound.
    let last = up.peer_received.seq(lane).max(out.receipted_seq()) + REMEMBERED as u64;
    while flow.sent < flow.credit && flow.next <= last {
        let (Some(seq), Some(open)) = (Seq::new(flow.next), out.open.get(&flow.next)) else { break };
        let withhold = match open.state {
            OutState::Expired => Some(WithheldReason::EXPIRED),
            OutState::Recalled => Some(WithheldReason::RECALLED),
            _ => None,
        };
        let bytes = Outgoing::Stored { record: open.record, withhold };
        batch.effect(Effect::Transmit { link: up.id, lane, seq, bytes });
        flow.next += 1;
        flow.sent += 1;
    }
    flow.sent > before
}
