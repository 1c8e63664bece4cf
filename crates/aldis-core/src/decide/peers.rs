//! Enrolment and what we make of a peer's records.

use super::{reply, tell};
use crate::batch::Batch;
use crate::effect::{Declined, Done, Happening};
use crate::input::Token;
use crate::moment::Moment;
use crate::record::{LaneUnblocked, PeerAdded, Record, Standing, StandingChanged};
use crate::state::{Core, words};
use aldis_wire::card::VerifiedCard;
use aldis_wire::codec::{Blob, Text};
use aldis_wire::header::ExactHeader;
use aldis_wire::ids::{NodeId, UnixMillis};
use aldis_wire::lane::Lane;
use aldis_wire::proof::PROOF_MAX_BYTES;

impl Core {
    pub(super) fn add_peer(
        &mut self,
        moment: Moment,
        token: Token,
        card: &VerifiedCard,
        by: Text<128>,
        batch: &mut Batch,
    ) {
        if let Err(declined) = self.check_card(moment, card) {
            return reply(batch, token, Err(declined));
        }
        let id = card.card().id.clone();
        let is_next_key =
            self.peers.get(&id).is_some_and(|known| known.card().key() != card.key() && !known.was_never_let_in());
        if is_next_key {
            self.offer_key_by_hand(moment, card, batch);
            return reply(batch, token, Ok(Done::KeyOffered(id)));
        }
        let card = Blob::new(card.signed_bytes().to_vec()).expect("a verified card is bounded");
        self.decided(batch, Record::PeerAdded(PeerAdded { card, by, at: moment.wall }));
        self.void_requests(moment, &id, batch);
        self.tell_not_compared(moment, &id, batch);
        tell(batch, Happening::PeerAdded(id.clone()));
        self.tell_peer_rule(moment, &id, batch);
        reply(batch, token, Ok(Done::PeerAdded(id)));
    }

    fn check_card(&self, moment: Moment, card: &VerifiedCard) -> Result<(), Declined> {
        let (id, key) = (&card.card().id, card.key());
        let declined = |text: String| Err(Declined::Card(text));
        if *id == self.own || key.id() == self.key_id {
            return declined("this is the card of this node itself".into());
        }
        if card.card().valid_until < moment.wall {
            return declined(format!("the card ran out at {}; ask {id} for a new one", card.card().valid_until));
        }
        if let Some((other, _)) = self.peers.iter().find(|(other, peer)| *other != id && peer.card().key() == key) {
            return declined(format!("{other} is already enrolled with the same key"));
        }
        if let Some(other) = self.owner_of_certificate(id, card) {
            return declined(format!("{other} is already enrolled with the same TLS certificate"));
        }
        if let Some(known) = self.peers.get(id) {
            if known.card().key() != key {
                // One that the key before vouches for is not replaced by one for which nothing does.
                let offered = known.durable.offered.as_ref();
                let waits = offered.is_some_and(|offered| {
                    offered.card.0.digest() == card.digest()
                        || (offered.announced.is_some() && offered.card.0.key() == key)
                });
                return match waits {
                    true => declined(format!("that key of {id} waits already: see `aldis peer rotate {id}`")),
                    false => Ok(()),
                };
            }
            if known.card().card().sequence >= card.card().sequence {
                return declined(format!("{id} is already enrolled with this card or a newer one"));
            }
        }
        Ok(())
    }

    pub(super) fn unblock(
        &mut self,
        moment: Moment,
        token: Token,
        peer: NodeId,
        lane: Lane,
        by: Text<128>,
        batch: &mut Batch,
    ) {
        let Some(known) = self.peers.get(&peer) else {
            return reply(batch, token, Err(Declined::UnknownPeer(peer)));
        };
        let (ours, theirs) = (&known.durable.out[lane.index()], &known.durable.inbound[lane.index()]);
        if theirs.strikes == 0 && !ours.blocked_by_peer {
            return reply(batch, token, Err(Declined::NotBlocked));
        }
        let unblocked = LaneUnblocked { peer: peer.clone(), lane, by, at: moment.wall };
        self.decided(batch, Record::LaneUnblocked(unblocked));
        self.lanes_blocked(moment, &peer, "another lane was opened", batch);
        self.lanes_blocked_by_peer(moment, &peer, "another lane was opened", batch);
        batch.transmit_to(&peer);
        reply(batch, token, Ok(Done::Unblocked));
    }

    /// Journals what we make of a peer's records, with the alarm that goes with it.
    pub(super) fn change_standing(
        &mut self,
        moment: Moment,
        peer: &NodeId,
        standing: Standing,
        text: &str,
        evidence: Option<(ExactHeader, Blob<PROOF_MAX_BYTES>)>,
        batch: &mut Batch,
    ) {
        let Some(known) = self.peers.get(peer) else { return };
        // A quarantine is final until an administrator acts: nothing that comes from the peer may end it.
        if matches!(known.durable.standing, now if now == standing || now == Standing::Quarantined) {
            return;
        }
        let was_recovered = known.durable.recovery.confirmed.is_some();
        let changed = StandingChanged { peer: peer.clone(), standing, text: words(text), evidence, at: moment.wall };
        self.decided(batch, Record::Standing(changed));
        let code = |standing| match standing {
            Standing::Good => None,
            Standing::WeLostHistory => Some("we-lost-history"),
            Standing::PeerLostHistory => Some("peer-lost-history"),
            Standing::Quarantined => Some("quarantined"),
            Standing::NotCompared => Some("not-compared"),
        };
        let now = code(standing);
        for old in ["we-lost-history", "peer-lost-history", "not-compared"] {
            if now != Some(old) {
                self.clear(moment, old, Some(peer), batch);
            }
        }
        if let Some(code) = now {
            return self.raise(moment, code, Some(peer), text, batch);
        }
        // What came back and is open has its whole time from now on.
        if was_recovered {
            self.plan_again(moment, peer);
        }
        // What waited for this may have expired meanwhile.
        self.next_expiry = Some(UnixMillis::new(0));
        self.say_owed(moment, peer, batch);
    }
}
