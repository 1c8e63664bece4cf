//! Our own cards on their way to the peers: each verified peer is sent the newest one by itself. One with the same
//! identity key is only told; one with the next identity key asks the peer's administrators, and for each peer we go on
//! signing with the old key until they have taken it. The old key ends at a position, which the next Hello names.

use super::envelopes::close;
use super::submit::Letter;
use super::{reply, tell};
use crate::batch::Batch;
use crate::effect::{Declined, Done, Happening};
use crate::input::Token;
use crate::moment::Moment;
use crate::peer::{Announced, Link, StoredCard};
use crate::record::{OwnCardAnnounced, OwnCardKnown, OwnCardMade, OwnKeySwitched, Record, Standing};
use crate::state::{Core, words};
use crate::trust::Trust;
use aldis_wire::card::VerifiedCard;
use aldis_wire::codec::{Blob, List, Text};
use aldis_wire::codes::{Code, Desk, Tlp};
use aldis_wire::digest::Digest;
use aldis_wire::frame::GoodbyeCode;
use aldis_wire::ids::{CaseId, EnvelopeId, KeyId, NodeId};
use aldis_wire::kinds::{Bearing, KeyRotation, NewCard};
use aldis_wire::lane::Lane;
use bytes::Bytes;

/// The lane in which cards travel: above traffic, below what cannot wait.
const CARD_LANE: Lane = Lane::Immediate;

impl Core {
    /// The node has a new card of its own, with its newest identity key. `usable` are the keys it can still sign with.
    pub(super) fn own_card_came(
        &mut self,
        moment: Moment,
        token: Option<Token>,
        card: &VerifiedCard,
        usable: &[KeyId],
        by: Text<128>,
        batch: &mut Batch,
    ) {
        let result = self.take_own_card(moment, card, usable, by, batch);
        if let Some(token) = token {
            reply(batch, token, result.map(|()| Done::OwnCardTaken));
        }
    }

    fn take_own_card(
        &mut self,
        moment: Moment,
        card: &VerifiedCard,
        usable: &[KeyId],
        by: Text<128>,
        batch: &mut Batch,
    ) -> Result<(), Declined> {
        let known = self.own_card.as_ref().map(|known| &known.0);
        if card.card().id != self.own {
            return Err(Declined::Card("this is another node's card".into()));
        }
        if !usable.contains(&card.key().id()) {
            return Err(Declined::Card("the node does not have the key of this card".into()));
        }
        if known.is_none_or(|known| known.digest() != card.digest()) {
            if known.is_some_and(|known| known.card().sequence >= card.card().sequence) {
                return Err(Declined::Card("a card of ours with this number, or a higher one, is in force".into()));
            }
            let stored = Blob::new(card.signed_bytes().to_vec()).expect("a verified card is bounded");
            self.decided(batch, Record::OwnCardMade(OwnCardMade { card: stored, by, at: moment.wall }));
            tell(batch, Happening::OwnCard(card.digest()));
        }
        self.end_unusable_keys(moment, usable, batch);
        let peers: Vec<NodeId> = self.peers.keys().cloned().collect();
        for peer in peers {
            self.announce(moment, &peer, batch);
        }
        Ok(())
    }

    /// A key that was lost signs no more, for anybody: the newest takes its place, and the peers' administrators must
    /// compare it by voice.
    fn end_unusable_keys(&mut self, moment: Moment, usable: &[KeyId], batch: &mut Batch) {
        let lost = self.peers.iter().filter(|(_, peer)| !usable.contains(&peer.durable.own_key));
        let lost: Vec<NodeId> = lost.map(|(id, _)| id.clone()).collect();
        for peer in lost {
            self.switch_own_key(moment, &peer, batch);
        }
    }

    /// Sends our newest card to a peer that is there and does not have it, unless that was done.
    pub(super) fn announce(&mut self, moment: Moment, peer: &NodeId, batch: &mut Batch) {
        let (Some(own), Some(known)) = (self.own_card.clone(), self.peers.get(peer)) else { return };
        let own = own.0;
        let Some(up) = known.up() else { return };
        if up.own_card == own.digest() {
            return self.note_card_is_there(moment, peer, own.digest(), batch);
        }
        // One that did not get there is sent again, once on each link.
        let sent = |announced: &Announced| announced.card == own.digest() && (!announced.failed || up.card_sent);
        let told = known.durable.announced.as_ref().is_some_and(sent);
        if told || !up.lets_us_in() || known.durable.standing != Standing::Good {
            return;
        }
        let rotates = known.durable.own_key != own.key().id();
        let (kind, body, bearing) = match rotates {
            true => (Code::known("key-rotation"), KeyRotation::body(&own), Bearing::Rotation),
            false => (Code::known("card"), NewCard::body(&own), Bearing::Card),
        };
        // A peer that does not read the kind gets the card by hand; its own card says so.
        if !known.reads(&kind) {
            return;
        }
        let letter = Letter {
            to: peer,
            also_to: List::empty(),
            desk: Desk::TECHNICAL,
            lane: CARD_LANE,
            expires_at: moment.wall.plus_ms(self.limits.refusal_lifetime_ms),
            case: CaseId(moment.salt(own.digest().as_bytes())),
            references: List::empty(),
            author: self.machine(),
            on_behalf_of: None,
            tlp: Tlp::GREEN,
            exercise: None,
            kind,
            kind_version: 1,
            salt: moment.salt(peer.as_str().as_bytes()),
            body: Bytes::from(body),
            bearing,
            by: words("node"),
            acknowledge_within_s: None,
        };
        if let Ok((draft, body)) = self.draft(moment, letter) {
            let place = Some((draft.header.lane, draft.header.seq));
            let digest = own.digest();
            self.decided_to_send(moment, batch, draft, body);
            let announced = OwnCardAnnounced { peer: peer.clone(), card: digest, place };
            self.decided(batch, Record::OwnCardAnnounced(announced));
            if let Some(Link::Up(up)) = self.peers.get_mut(peer).map(|known| &mut known.link) {
                up.card_sent = true;
            }
            for code in ["own-card-not-taken", "key-rotation-declined"] {
                self.clear(moment, code, Some(peer), batch);
            }
            batch.transmit_to(peer);
        }
    }

    /// The peer's signed Hello says that it has our newest card, and has taken its key, whether an answer has reached us or
    /// not, and whatever became of the records: a Hello with the key before would be refused for ever.
    fn note_card_is_there(&mut self, moment: Moment, peer: &NodeId, card: Digest, batch: &mut Batch) {
        let Some(known) = self.peers.get(peer) else { return };
        if !known.has_our_card(card) {
            let announced = OwnCardAnnounced { peer: peer.clone(), card, place: None };
            self.decided(batch, Record::OwnCardAnnounced(announced));
        }
        self.clear(moment, "own-card-not-taken", Some(peer), batch);
        self.switch_own_key(moment, peer, batch);
    }

    /// An envelope of ours came to nothing; if it was our newest card, that is an alarm.
    pub(super) fn card_failed(&mut self, moment: Moment, envelope: &EnvelopeId, why: &str, batch: &mut Batch) {
        let peer = &envelope.to;
        let announced = self.peers.get(peer).and_then(|known| known.durable.announced.as_ref());
        if announced.is_some_and(|announced| announced.is_at(envelope.lane, envelope.seq)) {
            let text = format!(
                "{peer} does not have our newest card: {why}. It is sent again with the next link; ask its \
                 administrators, or give them the card by hand"
            );
            self.clear(moment, "own-card-not-taken", Some(peer), batch);
            self.raise(moment, "own-card-not-taken", Some(peer), &text, batch);
        }
    }

    /// A peer's administrators have answered our key rotation.
    pub(super) fn rotation_answered(&mut self, moment: Moment, peer: &NodeId, taken: bool, batch: &mut Batch) {
        if taken {
            return self.switch_own_key(moment, peer, batch);
        }
        let text =
            format!("the administrators of {peer} did not take our next identity key; ask them, then rotate again");
        self.raise(moment, "key-rotation-declined", Some(peer), &text, batch);
    }

    /// From here on the newest key signs what goes to the peer. The link is made anew, so that the Hello says where the
    /// old key ended before anything signed with the new one travels.
    fn switch_own_key(&mut self, moment: Moment, peer: &NodeId, batch: &mut Batch) {
        let (Some(own), Some(known)) = (self.own_card.clone(), self.peers.get(peer)) else { return };
        let (ended, key) = (known.durable.own_key, own.0.key().id());
        if ended == key {
            return;
        }
        let last = Lane::ALL.map(|lane| known.durable.out[lane.index()].last_seq());
        let switched = OwnKeySwitched { peer: peer.clone(), ended, key, last, at: moment.wall };
        self.decided(batch, Record::OwnKeySwitched(switched));
        self.clear(moment, "key-rotation-declined", Some(peer), batch);
        if let Some(Link::Up(up)) = self.peers.get_mut(peer).map(|known| &mut known.link) {
            up.comes_back = true;
            close(batch, up.id, GoodbyeCode::REPLACED, None, "our identity key has changed");
        }
        tell(batch, Happening::OwnKeySwitched(peer.clone()));
    }

    /// Whether every peer has our newest card on its disk, so that what only the one before vouched for can go. One that is
    /// not verified yet counts as not having it: it may have been given the card before by hand.
    pub fn own_card_is_everywhere(&self) -> bool {
        let Some(own) = &self.own_card else { return true };
        let digest: Digest = own.0.digest();
        self.peers.values().filter(|peer| peer.durable.trust != Trust::Revoked).all(|peer| {
            // A card with another key is on the peer's disk, and not in use there, until people have taken it.
            peer.durable.own_key == own.0.key().id() && peer.has_our_card(digest)
        })
    }

    /// Notes once that every peer has the newest card.
    pub(super) fn note_own_card_known(&mut self, moment: Moment, batch: &mut Batch) {
        let Some(card) = self.own_card.as_ref().map(|own| own.0.digest()) else { return };
        if !self.own_card_known && self.own_card_is_everywhere() {
            self.decided(batch, Record::OwnCardKnown(OwnCardKnown { card, at: moment.wall }));
            tell(batch, Happening::OwnCardKnown(card));
            // If it tells of another certificate, the node closes every link now, to show that one from here on.
            for peer in self.peers.values_mut() {
                if let Link::Up(up) = &mut peer.link {
                    up.comes_back = true;
                }
            }
        }
    }

    pub(crate) fn apply_own_card(&mut self, made: &OwnCardMade) {
        // It verified when it was written.
        if let Ok(card) = VerifiedCard::from_signed_bytes(&made.card) {
            self.own_card = Some(StoredCard(card));
            self.own_card_known = false;
        }
    }
}
