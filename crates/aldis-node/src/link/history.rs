//! Histories: what a peer that lost its part of the record asks for is read from our journal, place by place, and what comes
//! when we ask is verified: envelopes of ours by our own keys, the peer's by its keys at their places.

use crate::journal::{self, Body, ReadError, RecordSeq};
use crate::log::LogHandle;
use crate::log::query::{Query, QueryError};
use crate::own::Own;
use aldis_core::record::{Outcome, Received, Record};
use aldis_wire::envelope::{self, EnvelopeError, EnvelopeVerifier, VerifiedEnvelope, WithheldReason, claimed_key};
use aldis_wire::frame::{Fetch, History};
use aldis_wire::header::{ExactHeader, ReferenceRole};
use aldis_wire::ids::{EnvelopeId, KeyId, NodeId};
use aldis_wire::lane::Lane;
use bytes::Bytes;
use std::collections::HashMap;
use std::time::Duration;

/// The most places that one fetch may name.
pub(super) const FETCH_PLACES_MAX: u64 = 64;
/// The least time between two places of a history on one link: whoever asks without end costs little.
pub(super) const PACE: Duration = Duration::from_millis(1);
/// When to look again if the message log, whose index says where envelopes stand, is not there.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Whether a fetch is one that this node answers: about envelopes between the two ends, and not too many.
pub(super) fn is_answered(fetch: &Fetch, own: &NodeId, peer: &NodeId) -> bool {
    let between = fetch.from == *own || fetch.from == *peer;
    between && fetch.first > 0 && fetch.last.checked_sub(fetch.first).is_some_and(|more| more < FETCH_PLACES_MAX)
}

/// Why a place cannot be looked up now.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookError {
    /// The log is opening, or built again. It will be there.
    #[error("the message log is not there yet")]
    NotYet,
    /// The log or the journal is at fault.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// The message that a tombstone says is erased; `None` for anything else.
pub(super) fn erased(header: &ExactHeader) -> Option<EnvelopeId> {
    let named = header.reference(ReferenceRole::RECALLS).filter(|_| header.kind.as_str() == "tombstone")?;
    Some(named.envelope.clone())
}

/// Where an envelope stands in our journal, if it does. Blocks on the disk. `records` are those that the log must have come to.
pub(super) fn place_of(
    log: &LogHandle,
    id: &EnvelopeId,
    records: u64,
) -> Result<Option<aldis_core::record::RecordSeq>, LookError> {
    let query = query_of(log, records)?;
    Ok(query.past(id)?.map(|(record, _)| aldis_core::record::RecordSeq(record)))
}

/// The log, if it has come to so many records.
fn query_of(log: &LogHandle, records: u64) -> Result<Query, LookError> {
    if log.records_applied() < records {
        return Err(LookError::NotYet);
    }
    log.query().map_err(|_| LookError::NotYet)
}

/// The bytes of one place, as they were signed, the body left out where it is erased; nothing where the place is not held, or
/// damaged. Blocks on the disk. `records` are those that the log must have come to.
pub(super) fn look_up(
    log: &LogHandle,
    journal: &journal::Reader,
    id: &EnvelopeId,
    records: u64,
) -> Result<Option<Bytes>, LookError> {
    let query = query_of(log, records)?;
    let Some((record, left_out)) = query.past(id)? else { return Ok(None) };
    let stored = match journal.read(RecordSeq(record)) {
        Ok(stored) => stored,
        Err(ReadError::Damaged(_)) => return Ok(None),
        Err(error) => return Err(QueryError::from(error).into()),
    };
    let (header, proof, outcome) = match Record::decode(&stored.record) {
        Ok(Record::Sent(sent)) => (sent.draft.header, sent.proof, Outcome::Accepted),
        Ok(Record::Received(found) | Record::Recovered(found)) => {
            let Received { header, proof, outcome, .. } = found;
            (header, proof, outcome)
        }
        _ => return Ok(None),
    };
    let body = match (outcome, left_out, &stored.body) {
        (Outcome::Withheld(reason), ..) => envelope::Body::Withheld(WithheldReason(reason)),
        (_, Some(reason), _) => envelope::Body::Withheld(reason),
        (_, None, Body::Present(beside)) => match beside.first_chunk() {
            Some(salt) => envelope::Body::Present { salt: *salt, bytes: beside.slice(salt.len()..) },
            None => envelope::Body::Withheld(WithheldReason::ERASED),
        },
        (_, None, Body::Erased | Body::None) => envelope::Body::Withheld(WithheldReason::ERASED),
    };
    Ok(Some(envelope::assemble(header.bytes(), &body, &proof)))
}

/// Verifies what a peer gives back of our own envelopes. Any key of ours may have signed them, for where one ended towards
/// this peer is part of what was lost; the chain of digests is compared by the core.
#[derive(Debug, Default)]
pub(super) struct OwnEnvelopes(HashMap<KeyId, EnvelopeVerifier>);

impl OwnEnvelopes {
    pub(super) fn verify(
        &mut self,
        bytes: &Bytes,
        own: &Own,
        peer: &NodeId,
    ) -> Result<VerifiedEnvelope, EnvelopeError> {
        let identities = own.identities();
        let claimed = claimed_key(bytes).ok_or_else(|| EnvelopeError::Malformed("no header can be read".to_owned()))?;
        let key = identities.get(claimed).ok_or(EnvelopeError::UnknownKey)?.public();
        let verifier = self.0.entry(claimed);
        verifier.or_insert_with(|| EnvelopeVerifier::new(own.id().clone(), peer.clone(), key)).verify(bytes)
    }
}

/// One place of a history that waits to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) from: NodeId,
    pub(super) lane: Lane,
    pub(super) seq: u64,
    /// How many records the journal had when it was asked for.
    pub(super) records: u64,
}

impl Place {
    /// The frame that answers it.
    pub(super) fn answer(&self, bytes: Option<Bytes>) -> History {
        let bytes = bytes.map(|bytes| bytes.to_vec()).unwrap_or_default();
        History {
            from: self.from.clone(),
            lane: self.lane,
            seq: self.seq,
            bytes: aldis_wire::codec::Blob::new(bytes).expect("the longest envelope fits a history frame"),
            extensions: aldis_wire::codes::Extensions::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, SEED, own};
    use aldis_wire::codec::encode;
    use aldis_wire::header::Header;
    use aldis_wire::ids::UnixMillis;
    use aldis_wire::proof::sign_batch;
    use aldis_wire::signing::IdentityKey;

    /// What `from` is said to have sent to `to`, with a key that it claims and a signature.
    fn envelope(from: &str, to: &str, claimed: &IdentityKey, signer: &IdentityKey) -> Bytes {
        let header = Header {
            key_id: claimed.id(),
            from: NodeId::new(from).unwrap(),
            to: NodeId::new(to).unwrap(),
            ..fixtures::header(UnixMillis::new(1), b"body")
        };
        let header = ExactHeader::encode(header).unwrap();
        let proof = encode(&sign_batch(signer, &[header.digest()])[0]);
        let body = envelope::Body::Present { salt: fixtures::SALT, bytes: Bytes::from_static(b"body") };
        envelope::assemble(header.bytes(), &body, &proof)
    }

    #[test]
    fn i4_only_what_a_key_of_ours_signed_comes_back_as_ours() {
        let (own, peer) = (own(), NodeId::new("cert.cl").unwrap());
        let [ours, theirs] = [SEED, [9; 32]].map(|seed| IdentityKey::from_seed(&seed));
        let mut verifier = OwnEnvelopes::default();
        let mut verify = |bytes: &Bytes| verifier.verify(bytes, &own, &peer);
        verify(&envelope("cert.br", "cert.cl", &ours, &ours)).unwrap();
        let forged = verify(&envelope("cert.br", "cert.cl", &ours, &theirs));
        assert!(matches!(forged, Err(EnvelopeError::Proof(_))), "{forged:?}");
        let of_theirs = verify(&envelope("cert.br", "cert.cl", &theirs, &theirs));
        assert!(matches!(of_theirs, Err(EnvelopeError::UnknownKey)), "{of_theirs:?}");
        for (from, to) in [("cert.cl", "cert.br"), ("cert.br", "cert.uy")] {
            let misrouted = verify(&envelope(from, to, &ours, &ours));
            assert!(matches!(misrouted, Err(EnvelopeError::Misrouted { .. })), "{misrouted:?}");
        }
        assert!(matches!(verify(&Bytes::from_static(b"no")), Err(EnvelopeError::Malformed(_))));
    }

    #[test]
    fn i7_a_fetch_names_few_places_between_the_two_ends() {
        let [own, peer, other] = ["cert.br", "cert.cl", "cert.uy"].map(|id| NodeId::new(id).unwrap());
        let fetch = |from: &NodeId, first, last| Fetch { from: from.clone(), lane: Lane::Flash, first, last };
        for (fetch, answered) in [
            (fetch(&own, 1, 1), true),
            (fetch(&peer, 5, 4 + FETCH_PLACES_MAX), true),
            (fetch(&peer, 5, 5 + FETCH_PLACES_MAX), false),
            (fetch(&other, 1, 1), false),
            (fetch(&own, 0, 1), false),
            (fetch(&own, 2, 1), false),
            (fetch(&own, 1, u64::MAX), false),
        ] {
            assert_eq!(is_answered(&fetch, &own, &peer), answered, "{fetch:?}");
        }
    }
}
