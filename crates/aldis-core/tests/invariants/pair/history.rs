//! Histories: how a node answers a fetch from its journal, and how the asking node verifies what comes, as link tasks do.

use super::{Node, Wired, World};
use aldis_core::input::{Input, Regained};
use aldis_core::peer::LinkId;
use aldis_core::record::{Outcome, Record, RecordSeq};
use aldis_wire::envelope::{Body, EnvelopeError, EnvelopeVerifier, WithheldReason, assemble, claimed_key};
use aldis_wire::frame::Fetch;
use aldis_wire::header::{ExactHeader, ReferenceRole};
use aldis_wire::ids::{EnvelopeId, NodeId, Seq};
use aldis_wire::kinds::{self, Reading};
use aldis_wire::lane::Lane;
use aldis_wire::signing::IdentityKey;
use bytes::Bytes;
use std::collections::BTreeMap;

/// One place of a history; without bytes it is not held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) from: NodeId,
    pub(crate) lane: Lane,
    pub(crate) seq: u64,
    pub(crate) bytes: Option<Bytes>,
}

/// An envelope as a journal holds it: header, proof, and the body if it is there.
pub(crate) type Kept = (Bytes, Vec<u8>, Option<Body>);

impl Node {
    /// Every envelope between this node and another, as the journal holds it.
    pub(crate) fn envelopes_with(&self, other: &NodeId) -> BTreeMap<String, Kept> {
        let mut found = BTreeMap::new();
        for (record, entry) in self.records().iter().zip(&self.journal) {
            let (header, proof) = match record {
                Record::Sent(sent) => (&sent.draft.header, &sent.proof),
                Record::Received(received) | Record::Recovered(received) => (&received.header, &received.proof),
                _ => continue,
            };
            if header.from == *other || header.to == *other {
                let body = entry.body.clone().filter(|body| matches!(body, Body::Present { .. }));
                let known = found.insert(header.id().to_string(), (header.bytes().clone(), proof.to_vec(), body));
                assert!(known.is_none(), "i5: {} stands twice in the journal of {}", header.id(), self.id);
            }
        }
        found
    }

    /// Where the message stands that a tombstone of ours says is erased.
    fn erases(&self, header: &ExactHeader) -> Option<RecordSeq> {
        let named = header.reference(ReferenceRole::RECALLS)?;
        let is_it = |record: &Record| match record {
            Record::Received(found) | Record::Recovered(found) => found.header.id() == named.envelope,
            _ => false,
        };
        let at = self.records().iter().position(is_it).filter(|_| header.kind.as_str() == "tombstone")?;
        Some(RecordSeq(at as u64))
    }

    /// One place as it is served.
    fn held(&self, id: &EnvelopeId) -> Option<Bytes> {
        let at = self.records().iter().position(|record| match record {
            Record::Sent(sent) => sent.draft.header.id() == *id,
            Record::Received(received) | Record::Recovered(received) => received.header.id() == *id,
            _ => false,
        })?;
        let (header, proof, outcome) = match &self.records()[at] {
            Record::Sent(sent) => (&sent.draft.header, &sent.proof, Outcome::Accepted),
            Record::Received(found) | Record::Recovered(found) => (&found.header, &found.proof, found.outcome),
            _ => return None,
        };
        let left_out = |record: &Record| match record {
            Record::Expired(expired) if id.from == self.id => ((&expired.peer, expired.lane, expired.seq)
                == (&id.to, id.lane, id.seq))
                .then_some(WithheldReason::EXPIRED),
            Record::Recalled(recalled) if id.from == self.id => ((&recalled.peer, recalled.lane, recalled.seq)
                == (&id.to, id.lane, id.seq))
                .then_some(WithheldReason::RECALLED),
            // Whoever said that it has erased it does not get it back.
            Record::Received(said) | Record::Recovered(said) if said.header.kind.as_str() == "tombstone" => {
                let named = said.header.reference(ReferenceRole::RECALLS)?;
                (named.envelope == *id && said.outcome == Outcome::Accepted).then_some(WithheldReason::ERASED)
            }
            _ => None,
        };
        let receipted = |id: &EnvelopeId| {
            let known = self.core.peer(&id.to).expect("the peer is enrolled");
            known.durable.out[id.lane.index()].receipted_seq()
        };
        // What the asker never had is not its history.
        if id.from == self.id && id.seq.get() > receipted(id) {
            return None;
        }
        let body = match (outcome, self.records().iter().find_map(left_out), &self.journal[at].body) {
            (Outcome::Withheld(reason), ..) => Body::Withheld(WithheldReason(reason)),
            (_, Some(reason), _) => Body::Withheld(reason),
            (_, None, Some(Body::Present { salt, bytes })) => Body::Present { salt: *salt, bytes: bytes.clone() },
            (_, None, _) => Body::Withheld(WithheldReason::ERASED),
        };
        Some(assemble(header.bytes(), &body, proof))
    }
}

impl World {
    /// Answers a fetch that came to `place` over a link.
    pub(super) fn serve(&mut self, place: usize, other: usize, link: LinkId, fetch: &Fetch) {
        self.fetched.push(fetch.clone());
        let (node, asker) = (&self.nodes[place], self.id(other));
        let to = if fetch.from == node.id { asker.clone() } else { node.id.clone() };
        let places = (fetch.first..=fetch.last).map(|seq| {
            let named = Seq::new(seq).expect("places begin at 1");
            let id = EnvelopeId { from: fetch.from.clone(), to: to.clone(), lane: fetch.lane, seq: named };
            Held { from: fetch.from.clone(), lane: fetch.lane, seq, bytes: node.held(&id) }
        });
        let places: Vec<Held> = places.collect();
        for held in self.falsify.map_or(places.clone(), |falsify| falsify(places)) {
            self.network.send(link, place, Wired::History(held));
        }
    }

    /// A frame of a history, verified as the node's link verifies it: by our own keys, or by the peer's at its places.
    pub(super) fn read_history(&mut self, place: usize, other: usize, link: LinkId, held: Held) -> Input {
        let (own, peer) = (&self.nodes[place], self.id(other));
        let Held { from, lane, seq, bytes } = held;
        let ours = from == own.id;
        let Some(bytes) = bytes else { return Input::History { peer, link, ours, lane, seq, found: None } };
        let verified = if ours {
            let key = claimed_key(&bytes).and_then(|key| own.identities.get(key).map(IdentityKey::public));
            let key = key.unwrap_or_else(|| own.key.public());
            EnvelopeVerifier::new(own.id.clone(), peer.clone(), key).verify(&bytes)
        } else {
            let keys = own.core.peer(&peer).expect("an enrolled peer").durable.keys.clone();
            EnvelopeVerifier::new(peer.clone(), own.id.clone(), keys).verify(&bytes)
        };
        match verified {
            Ok(envelope) => {
                let header = envelope.header();
                let reading = match envelope.body() {
                    Body::Present { bytes, .. } => kinds::read(&header.kind, header.kind_version, bytes),
                    Body::Withheld(_) => Reading::UnknownKind,
                };
                let erases = own.erases(header).filter(|_| ours);
                let found = Some(Box::new(Regained { envelope, reading, erases }));
                Input::History { peer, link, ours, lane, seq, found }
            }
            Err(EnvelopeError::UnknownKey) => {
                let key = claimed_key(&bytes).expect("its header was read");
                Input::HistoryUnread { peer, link, ours, lane, seq, key }
            }
            Err(error) => {
                let what = super::text(&error.to_string());
                Input::Unverifiable { peer, link, lane: Some(lane), what }
            }
        }
    }
}
