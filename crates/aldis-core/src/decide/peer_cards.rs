//! Cards that peers send of themselves. One with the identity key we know applies at once: endpoints, contacts, and the
//! TLS certificate that the key vouches for. One with another key waits for our administrators, and nothing it says
//! applies before. When the peer then speaks with the new key, its Hello names the places where the old one ended.

use super::submit::Letter;
use super::{reply, tell};
use crate::batch::Batch;
use crate::effect::{Declined, Done, Happening};
use crate::input::Token;
use crate::moment::Moment;
use crate::peer::Peer;
use crate::record::{Announcement, CardTaken, KeyOffered, OfferEnded, PeerKeySwitched, Record};
use crate::state::{Core, words};
use crate::trust::Person;
use aldis_wire::card::VerifiedCard;
use aldis_wire::codec::{Blob, List};
use aldis_wire::codes::Code;
use aldis_wire::header::{ExactHeader, Reference, ReferenceRole};
use aldis_wire::ids::NodeId;
use aldis_wire::kinds::{Acknowledgement, Answer, Bearing};
use bytes::Bytes;

impl Core {
    /// Why a card that a peer sends of itself is not taken; `None` if it is.
    pub(super) fn card_fault(
        &self,
        moment: Moment,
        from: &NodeId,
        card: &VerifiedCard,
        rotates: bool,
    ) -> Option<String> {
        let known = self.peers.get(from)?;
        let (said, held) = (card.card(), known.card());
        if said.id != *from {
            return Some(format!("the card is of {}", said.id));
        }
        if said.valid_until < moment.wall {
            return Some(format!("the card ran out at {}", said.valid_until));
        }
        let waiting = known.durable.offered.as_ref().map(|offered| &offered.card);
        let waiting = waiting.or(known.durable.accepted.as_ref().map(|accepted| &accepted.card));
        let newest = waiting.map_or(0, |waiting| waiting.0.card().sequence).max(held.card().sequence);
        if said.sequence <= newest {
            return Some(format!("card {} is not newer than the one known here", said.sequence));
        }
        if (card.key() != held.key()) != rotates {
            return Some(match rotates {
                true => "a key rotation with the key that is in force".to_owned(),
                false => "a card with another identity key; keys change by a key rotation".to_owned(),
            });
        }
        if self.owner_of_certificate(from, card).is_some() {
            return Some("another node has that TLS certificate".to_owned());
        }
        let taken = |(other, peer): (&NodeId, &Peer)| other != from && peer.card().key() == card.key();
        if rotates && (card.key().id() == self.key_id || self.peers.iter().any(taken)) {
            return Some("another node has that identity key".to_owned());
        }
        None
    }

    /// Which other peer has the TLS certificate of a card, or the same name of the same authority. Certificates are public:
    /// a peer could put another's on its card, and would stand where the other does.
    pub(super) fn owner_of_certificate(&self, of: &NodeId, card: &VerifiedCard) -> Option<&NodeId> {
        let tells = |known: &VerifiedCard| {
            let (one, other) = (known.card(), card.card());
            (&one.tls_certificate, &one.tls_name) == (&other.tls_certificate, &other.tls_name)
        };
        let has = |peer: &Peer| {
            peer.cards().any(tells) || peer.durable.offered.as_ref().is_some_and(|offered| tells(&offered.card.0))
        };
        self.peers.iter().find(|(id, peer)| *id != of && has(peer)).map(|(id, _)| id)
    }

    /// Takes a peer's card that was found good.
    pub(super) fn take_card(&mut self, moment: Moment, header: &ExactHeader, card: &VerifiedCard, batch: &mut Batch) {
        let stored = Blob::new(card.signed_bytes().to_vec()).expect("a verified card is bounded");
        self.decided(batch, Record::CardTaken(CardTaken { card: stored, at: moment.wall }));
        tell(batch, Happening::CardTaken(header.from.clone()));
        // It may read more kinds than before.
        self.tell_terms(moment, &header.from, batch);
        self.tell_peer_rule(moment, &header.from, batch);
    }

    /// While one person alone can let somebody in at a peer, that is an alarm here.
    pub(super) fn tell_peer_rule(&mut self, moment: Moment, peer: &NodeId, batch: &mut Batch) {
        let single = self.peers.get(peer).is_some_and(|known| known.card().card().is_single_administrator());
        if !single {
            return self.clear(moment, "peer-single-administrator", Some(peer), batch);
        }
        let text = format!("at {peer} one administrator alone can let others in, by its own signed card");
        self.raise(moment, "peer-single-administrator", Some(peer), &text, batch);
    }

    /// A peer announces its next identity key.
    pub(super) fn offer_key(&mut self, moment: Moment, header: &ExactHeader, card: &VerifiedCard, batch: &mut Batch) {
        let reference = Reference { role: ReferenceRole::ANSWERS, envelope: header.id(), digest: header.digest() };
        let announced = Announcement { lane: header.lane, case: header.case, reference };
        self.record_offer(moment, &header.from, card, Some(announced), batch);
    }

    /// An administrator brings a card with another key of a peer that cannot announce it itself: its key was lost.
    pub(super) fn offer_key_by_hand(&mut self, moment: Moment, card: &VerifiedCard, batch: &mut Batch) {
        let from = card.card().id.clone();
        self.record_offer(moment, &from, card, None, batch);
    }

    fn record_offer(
        &mut self,
        moment: Moment,
        from: &NodeId,
        card: &VerifiedCard,
        announced: Option<Announcement>,
        batch: &mut Batch,
    ) {
        let stored = Blob::new(card.signed_bytes().to_vec()).expect("a verified card is bounded");
        let how = if announced.is_some() { "announces the" } else { "was given by hand an unannounced" };
        let offered = KeyOffered { card: stored, announced, at: moment.wall };
        self.decided(batch, Record::KeyOffered(offered));
        self.clear(moment, "peer-key-change", Some(from), batch);
        let text = format!(
            "{from} {how} identity key {}. Ask its administrators by voice, compare the words of `aldis peer rotate \
             {from}`, and have a second administrator approve it",
            card.key().id()
        );
        self.raise(moment, "peer-key-change", Some(from), &text, batch);
        tell(batch, Happening::KeyOffered(from.clone()));
    }

    /// The administrators took or declined the offered key: the peer is told, if it asked itself.
    pub(super) fn answer_offer(
        &mut self,
        moment: Moment,
        peer: &NodeId,
        by: Option<&Person>,
        taken: bool,
        batch: &mut Batch,
    ) {
        let Some(offered) = self.peers.get(peer).and_then(|known| known.durable.offered.clone()) else { return };
        self.decided(
            batch,
            Record::OfferEnded(OfferEnded { peer: peer.clone(), taken, by: by.cloned(), at: moment.wall }),
        );
        self.clear(moment, "peer-key-change", Some(peer), batch);
        tell(batch, Happening::CardTaken(peer.clone()));
        let Some(Announcement { lane, case, reference }) = offered.announced else { return };
        let status = if taken { "approved" } else { "denied" };
        let text = if taken { "the administrators have taken the key" } else { "the administrators declined the key" };
        let letter = Letter {
            to: peer,
            also_to: List::empty(),
            desk: aldis_wire::codes::Desk::TECHNICAL,
            lane,
            expires_at: moment.wall.plus_ms(self.limits.refusal_lifetime_ms),
            case,
            references: List::new(vec![reference]).expect("one reference fits"),
            author: self.machine(),
            on_behalf_of: None,
            tlp: aldis_wire::codes::Tlp::GREEN,
            exercise: None,
            kind: Code::known("acknowledgement"),
            kind_version: 1,
            salt: moment.salt(b"key answer"),
            body: Bytes::from(Acknowledgement::decided(status, text)),
            bearing: Bearing::Answer(Answer::Decided(Code::known(status))),
            by: words("node"),
            acknowledge_within_s: None,
        };
        if let Ok((draft, body)) = self.draft(moment, letter) {
            self.decided_to_send(moment, batch, draft, body);
            batch.transmit_to(peer);
        }
    }

    /// The peer speaks with its next key: behind these places that key signs.
    pub(super) fn switch_peer_key(&mut self, moment: Moment, peer: &NodeId, last: [u64; 4], batch: &mut Batch) {
        let switched = PeerKeySwitched { peer: peer.clone(), last, at: moment.wall };
        self.decided(batch, Record::PeerKeySwitched(switched));
        tell(batch, Happening::CardTaken(peer.clone()));
        self.tell_peer_rule(moment, peer, batch);
    }

    /// One administrator declines an offered key; nobody is let in by that.
    pub(super) fn decline_key(&mut self, moment: Moment, token: Token, peer: &NodeId, by: &Person, batch: &mut Batch) {
        if self.peers.get(peer).is_none_or(|known| known.durable.offered.is_none()) {
            return reply(batch, token, Err(Declined::NoNewKey(peer.clone())));
        }
        if let Err(declined) = self.records_agree(peer) {
            return reply(batch, token, Err(declined));
        }
        self.answer_offer(moment, peer, Some(by), false, batch);
        self.void_requests(moment, peer, batch);
        reply(batch, token, Ok(Done::KeyDeclined(peer.clone())));
    }
}
