//! Refusals we send: the machine's signed, coded answer to an envelope it will not process. They travel in the lane of
//! what they refuse, and refusals themselves are never refused.

use super::submit::Letter;
use crate::batch::Batch;
use crate::moment::Moment;
use crate::peer::Peer;
use crate::record::Standing;
use crate::state::{Core, words};
use aldis_wire::codec::List;
use aldis_wire::codes::{Code, Desk};
use aldis_wire::header::{ExactHeader, Reference, ReferenceRole};
use aldis_wire::ids::NodeId;
use aldis_wire::kinds::{Bearing, Refusal, RefusalCode};
use bytes::Bytes;

impl Core {
    /// Whether one more refusal for the peer may be signed or owed; if not, what would be refused takes no place yet (I7).
    /// They are counted by themselves: however much people have written, a machine can answer. Else two nodes with full
    /// queues would each keep the other from refusing, and neither queue would ever get shorter.
    pub(super) fn has_room_for_refusal(&self, peer: &Peer) -> bool {
        peer.machines_words < self.limits.refusals_per_peer && peer.durable.owed.len() < self.limits.held_per_peer
    }

    /// Whether one more word about a step of the ladder may be signed for the peer. They may take half of that room, so that
    /// they never keep the machine from refusing, or from replying to a check.
    pub(super) fn has_room_for_step(&self, peer: &Peer) -> bool {
        peer.machines_words < self.limits.refusals_per_peer.div_ceil(2)
    }

    /// Signs what waited until the records agreed: refusals, and what there is to tell of the ladder here.
    pub(super) fn say_owed(&mut self, moment: Moment, peer: &NodeId, batch: &mut Batch) {
        let owed = self.peers.get(peer).map(|known| known.durable.owed.clone()).unwrap_or_default();
        for one in owed {
            self.refuse(moment, &one.header, one.code.0, "", batch);
        }
        self.tell_untold(moment, peer, batch);
    }

    /// Signs a refusal of a peer's envelope; while the records disagree it stays owed.
    pub(super) fn refuse(
        &mut self,
        moment: Moment,
        header: &ExactHeader,
        code: RefusalCode,
        detail: &str,
        batch: &mut Batch,
    ) {
        let standing = self.peers.get(&header.from).map(|peer| peer.durable.standing);
        if header.kind.as_str() == "refusal" || standing != Some(Standing::Good) {
            return;
        }
        let references =
            vec![Reference { role: ReferenceRole::ANSWERS, envelope: header.id(), digest: header.digest() }];
        let letter = Letter {
            to: &header.from,
            also_to: List::empty(),
            desk: if header.desk.is_known() { header.desk } else { Desk::TECHNICAL },
            lane: header.lane,
            expires_at: moment.wall.plus_ms(self.limits.refusal_lifetime_ms),
            case: header.case,
            references: List::new(references).expect("one reference fits"),
            author: self.machine(),
            on_behalf_of: None,
            tlp: header.tlp,
            exercise: header.exercise.clone(),
            kind: Code::known("refusal"),
            kind_version: 1,
            salt: moment.salt(header.digest().as_bytes()),
            body: Bytes::from(Refusal::body(code, detail)),
            bearing: Bearing::Refusal(code.code()),
            by: words("node"),
            acknowledge_within_s: None,
        };
        // The parts come from a header that was checked and from texts of ours, so a draft cannot be declined; if it
        // were, the outcome in our journal would still name the refusal.
        if let Ok((draft, body)) = self.draft(moment, letter) {
            self.decided_to_send(moment, batch, draft, body);
            batch.transmit_to(&header.from);
        }
    }
}
