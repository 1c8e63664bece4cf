//! What evidence is made of, found through the log's rows: messages with their records, answers, receipts, the headers
//! between, and the records about cards and keys. No walk over the journal is needed for any of it.

use std::collections::BTreeSet;

use aldis_core::record::{Receipted, Received, Record, Sent, StandingChanged};
use aldis_wire::codec;
use aldis_wire::envelope::Salt;
use aldis_wire::header::ExactHeader;
use aldis_wire::ids::{EnvelopeId, NodeId, Seq};
use aldis_wire::proof::Proof;
use bytes::Bytes;

use super::red::is_red;
use super::{Found, Order, Query, QueryError};
use crate::journal::{Body, NONCE_BYTES, RecordSeq};
use crate::log::rows::{Mark, MarkWay, NODE_EVENT, NodeEvent, mark_key, mark_prefix};

/// What of the node's happenings is about cards, keys and what peers signed twice.
const KEY_EVENTS: [&str; 7] =
    ["own-card", "own-key-switched", "peer-added", "card-taken", "key-offered", "peer-key-switched", "offer-ended"];

/// A message as the journal holds it.
#[derive(Clone, Debug)]
pub struct Exhibit {
    /// Which.
    pub id: EnvelopeId,
    /// The number of its record.
    pub record: u64,
    /// The random bytes in front of the record in its leaf.
    pub nonce: [u8; NONCE_BYTES],
    /// The record.
    pub bytes: Bytes,
    /// Its header.
    pub header: ExactHeader,
    /// Its proof.
    pub proof: Proof,
    /// Salt and body, if they are here.
    pub body: Option<(Salt, Bytes)>,
    /// Whether opening its body goes on record.
    pub is_red: bool,
}

impl Query {
    /// Every message of a case, oldest first, as far as it is for desks that are read.
    pub fn ids_of_case(&self, text: &str, most: usize) -> Result<Vec<EnvelopeId>, QueryError> {
        let case = self.resolve_case(text)?;
        let mut ids = Vec::new();
        self.walk_case(case, Order::Ascending, |key, name| {
            ids.extend(self.found(key, name)?.map(|found| found.id));
            Ok(ids.len() <= most)
        })?;
        Ok(ids)
    }

    /// The messages that answer or refuse a message, at most 200, as far as they are for desks that are read.
    pub fn answer_ids(&self, id: &EnvelopeId) -> Result<Vec<EnvelopeId>, QueryError> {
        Ok(self.answers(&self.find(id)?)?.into_iter().map(|found| found.id).collect())
    }

    /// Whether opening a message's body goes on record.
    pub fn is_red(&self, id: &EnvelopeId) -> Result<bool, QueryError> {
        Ok(is_red(&self.find(id)?))
    }

    /// A message with its record.
    pub fn exhibit(&self, id: &EnvelopeId) -> Result<Exhibit, QueryError> {
        let found = self.find(id)?;
        let unreadable = || QueryError::Unprovable(format!("the record of {id} is not that of a message"));
        let record = self.reader.read(RecordSeq(found.message.record))?;
        let (header, proof) = header_and_proof(&record.record).ok_or_else(unreadable)?;
        let body = match &record.body {
            Body::Present(bytes) => bytes.split_first_chunk().map(|(salt, body)| (*salt, bytes.slice_ref(body))),
            Body::None | Body::Erased => None,
        };
        let Found { id, message } = &found;
        Ok(Exhibit {
            id: id.clone(),
            record: message.record,
            nonce: record.nonce,
            bytes: record.record.clone(),
            header,
            proof,
            body,
            is_red: is_red(&found),
        })
    }

    /// Receipts from the one that covers a place on, at most `most`: exact signed bytes.
    pub fn receipts_from(&self, id: &EnvelopeId, most: usize) -> Result<Vec<Vec<u8>>, QueryError> {
        let prefix = mark_prefix(&id.from, &id.to, id.lane, MarkWay::Receipted);
        let from = mark_key(&id.from, &id.to, id.lane, MarkWay::Receipted, id.seq);
        let page = self.store.scan_prefix(&prefix, Some(&from), Order::Ascending, most)?;
        let mut receipts = Vec::new();
        for row in page.rows {
            let mark: Mark = super::decode(&self.store, &row.key, &row.value)?;
            let record = self.reader.read(RecordSeq(mark.record))?;
            if let Ok(Record::Receipted(Receipted { receipt, .. })) = Record::decode(&record.record) {
                receipts.push(receipt.to_vec());
            }
        }
        Ok(receipts)
    }

    /// The headers behind a place up to another, as far as the journal has them.
    pub fn headers_behind(&self, id: &EnvelopeId, last: Seq) -> Result<Vec<ExactHeader>, QueryError> {
        let mut headers = Vec::new();
        for seq in (id.seq.get() + 1..=last.get()).filter_map(Seq::new) {
            let place = EnvelopeId { seq, ..id.clone() };
            let Some(message) = self.get::<super::Message>(&super::message_key(&place))? else { break };
            let record = self.reader.read(RecordSeq(message.record))?;
            let Some((header, _)) = header_and_proof(&record.record) else { break };
            headers.push(header);
        }
        Ok(headers)
    }

    /// The records about cards and keys, in their order.
    pub fn key_records(&self) -> Result<Vec<Record>, QueryError> {
        self.happenings(|event| KEY_EVENTS.contains(&event.what.as_str()))
    }

    /// The headers that a peer signed and that contradict what it had signed before, each behind the one it contradicts:
    /// that of the same place, or the one a place before, which it does not name.
    pub fn contradictions_of(&self, peer: &NodeId) -> Result<Vec<[(ExactHeader, Proof); 2]>, QueryError> {
        let changes = self.happenings(|event| event.peer.as_ref() == Some(peer))?;
        let mut found = Vec::new();
        for change in changes {
            let Record::Standing(StandingChanged { evidence: Some((header, proof)), .. }) = change else { continue };
            let Ok(proof) = codec::decode(&proof) else { continue };
            let before = Seq::new(header.seq.get() - 1).map(|seq| EnvelopeId { seq, ..header.id() });
            for id in std::iter::once(header.id()).chain(before) {
                let known = match self.exhibit(&id) {
                    Ok(known) => known,
                    Err(QueryError::NoMessage(_)) => continue,
                    Err(error) => return Err(error),
                };
                let named = if id.seq == header.seq { header.digest() } else { header.previous };
                if known.header.digest() != named {
                    found.push([(known.header, known.proof), (header, proof)]);
                    break;
                }
            }
        }
        Ok(found)
    }

    fn happenings(&self, wanted: impl Fn(&NodeEvent) -> bool) -> Result<Vec<Record>, QueryError> {
        let mut numbers = BTreeSet::new();
        self.walk(&[NODE_EVENT], None, Order::Ascending, |key, value| {
            let event: NodeEvent = super::decode(&self.store, key, value)?;
            if wanted(&event) {
                numbers.insert(super::view::record_of(key));
            }
            Ok(true)
        })?;
        let read = |number| Ok(Record::decode(&self.reader.read(RecordSeq(number))?.record).ok());
        numbers.into_iter().filter_map(|number| read(number).transpose()).collect()
    }
}

fn header_and_proof(record: &[u8]) -> Option<(ExactHeader, Proof)> {
    let (header, proof) = match Record::decode(record).ok()? {
        Record::Sent(Sent { draft, proof }) => (draft.header, proof),
        Record::Received(Received { header, proof, .. }) | Record::Recovered(Received { header, proof, .. }) => {
            (header, proof)
        }
        _ => return None,
    };
    Some((header, codec::decode(&proof).ok()?))
}
