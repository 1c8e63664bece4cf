//! The identity keys in force between this node and its peers, and the cards they stand on, as the records say.

use super::EvidenceError;
use crate::event_loop::{NodeView, PeerStatus};
use crate::log::query::{Query, QueryError};
use aldis_core::record::{CardBytes, OwnKeySwitched, Record};
use aldis_verify::Evidence;
use aldis_wire::card::VerifiedCard;
use aldis_wire::ids::{EnvelopeId, KeyId, NodeId};
use aldis_wire::keyring::KeyRing;
use aldis_wire::signing::PublicKey;
use std::collections::BTreeSet;

/// Adds keys and cards for every two nodes between which the evidence holds anything.
pub(super) fn add(log: &Query, view: &NodeView, evidence: &mut Evidence) -> Result<(), EvidenceError> {
    let places = evidence.messages.keys().chain(evidence.contradictions.keys());
    let peers: BTreeSet<NodeId> = places.map(|id| other(id, &view.own).clone()).collect();
    let on_record = OnRecord::read(log)?;
    for id in peers {
        let peer = view.peers.iter().find(|peer| peer.card.card().id == id);
        let peer = peer.ok_or_else(|| QueryError::Unprovable(format!("{id} is not on record as a peer")))?;
        let ours = on_record.own_ring(&view.own, &id, peer)?;
        on_record.add_cards(&view.own, &ours, evidence)?;
        on_record.add_cards(&id, &peer.keys, evidence)?;
        evidence.keys.insert((view.own.clone(), id.clone()), ours);
        evidence.keys.insert((id, view.own.clone()), peer.keys.clone());
    }
    Ok(())
}

fn other<'a>(id: &'a EnvelopeId, own: &NodeId) -> &'a NodeId {
    if id.from == *own { &id.to } else { &id.from }
}

/// What the records say of cards and of our keys.
struct OnRecord {
    cards: Vec<VerifiedCard>,
    switches: Vec<OwnKeySwitched>,
}

impl OnRecord {
    fn read(log: &Query) -> Result<Self, QueryError> {
        let mut found = Self { cards: Vec::new(), switches: Vec::new() };
        for record in log.key_records()? {
            match record {
                Record::OwnCardMade(made) => found.take(&made.card),
                Record::PeerAdded(added) => found.take(&added.card),
                Record::CardTaken(taken) => found.take(&taken.card),
                Record::KeyOffered(offered) => found.take(&offered.card),
                Record::OwnKeySwitched(switched) => found.switches.push(switched),
                _ => {}
            }
        }
        Ok(found)
    }

    /// A card that does not verify any more is damage, which a walk over the journal reports; it proves nothing here.
    fn take(&mut self, card: &CardBytes) {
        self.cards.extend(VerifiedCard::from_signed_bytes(card));
    }

    /// Our keys towards a peer, the oldest first.
    fn own_ring(&self, own: &NodeId, peer: &NodeId, status: &PeerStatus) -> Result<KeyRing, QueryError> {
        let switches: Vec<_> = self.switches.iter().filter(|switched| switched.peer == *peer).collect();
        let first = switches.first().map_or(status.own_key, |switched| switched.ended);
        let mut ring = KeyRing::from(self.key(own, first)?.clone());
        for switched in switches {
            ring.switch(switched.last, self.key(own, switched.key)?.clone());
        }
        Ok(ring)
    }

    fn key(&self, own: &NodeId, id: KeyId) -> Result<&PublicKey, QueryError> {
        let mut cards = self.cards.iter().filter(|card| card.card().id == *own);
        let card = cards.find(|card| card.key().id() == id);
        card.map(VerifiedCard::key)
            .ok_or_else(|| QueryError::Unprovable("no card with a key that signed here is on record".to_owned()))
    }

    /// Adds every card of a node with one of these keys.
    fn add_cards(&self, node: &NodeId, ring: &KeyRing, evidence: &mut Evidence) -> Result<(), QueryError> {
        let keys = ring.ended().iter().map(|ended| &ended.key).chain([ring.current()]);
        for key in keys {
            let cards: Vec<_> = self.cards.iter().filter(|card| card.card().id == *node && card.key() == key).collect();
            if cards.is_empty() {
                return Err(QueryError::Unprovable(format!("no card of {node} with a key it used is on record")));
            }
            for card in cards {
                evidence.cards.insert((node.clone(), card.card().sequence), card.clone());
            }
        }
        Ok(())
    }
}
