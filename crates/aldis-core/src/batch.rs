//! A batch: the decisions of one group commit. "Persist, then send" is a type here: effects go into a batch, and come
//! out of it only through [`Complete::commit`], which first seals (signs) the batch and hands its records to be persisted.

use crate::effect::{Effect, Happening, Outgoing};
use crate::peer::LinkId;
use crate::record::{Record, RecordSeq, Sent, SentDraft};
use aldis_wire::codec::{self, Blob};
use aldis_wire::digest::Digest;
use aldis_wire::envelope::{self, Body};
use aldis_wire::header::ExactHeader;
use aldis_wire::ids::{KeyId, NodeId};
use aldis_wire::proof::{Proof, sign_batch};
use aldis_wire::signing::Identities;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// A group commit is closed when it reaches this many bytes, so that FLASH never waits for more (I14).
pub const BATCH_MAX_BYTES: usize = 1 << 20;

/// A group commit is closed at this many records: each takes its time too, however short it is.
pub const BATCH_MAX_RECORDS: usize = 128;

/// Decisions that are applied to the core but not yet on disk.
#[derive(Debug)]
pub struct Batch {
    /// Tells this run's batches apart, also those without records.
    serial: u64,
    first: RecordSeq,
    drafts: Vec<Draft>,
    effects: Vec<Effect>,
    /// Told with the rest, but nobody waits for it.
    notes: Vec<Happening>,
    /// One receipt per peer and batch, however many envelopes came.
    receipts: BTreeMap<NodeId, LinkId>,
    /// To whom something may go now, of this batch or of what waited before it.
    peers: BTreeSet<NodeId>,
    bytes: usize,
    urgent: bool,
}

/// A batch to which nothing is added any more; made by [`Core::complete`](crate::Core::complete).
#[derive(Debug)]
pub struct Complete(pub(crate) Batch);

/// One journal entry of a sealed batch.
#[derive(Debug)]
pub struct Entry {
    /// The record's bytes.
    pub record: Vec<u8>,
    /// What lies beside it, erasable: salt and body.
    pub body: Option<Body>,
}

#[derive(Debug)]
enum Draft {
    Plain(Box<Record>, Option<Body>),
    Outgoing(Box<SentDraft>, Body),
}

impl Batch {
    /// An empty batch whose first record will be number `first`.
    pub(crate) fn new(serial: u64, first: RecordSeq) -> Self {
        Self {
            serial,
            first,
            drafts: Vec::new(),
            effects: Vec::new(),
            notes: Vec::new(),
            receipts: BTreeMap::new(),
            peers: BTreeSet::new(),
            bytes: 0,
            urgent: false,
        }
    }

    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }

    /// Whether nothing was decided.
    pub fn is_empty(&self) -> bool {
        self.drafts.is_empty() && self.effects.is_empty() && self.receipts.is_empty() && self.peers.is_empty()
    }

    /// Whether the batch has grown to its limit.
    pub fn is_full(&self) -> bool {
        self.bytes >= BATCH_MAX_BYTES || self.drafts.len() >= BATCH_MAX_RECORDS
    }

    /// Whether somebody waits for this batch. Records that only note something may wait a few milliseconds for company.
    pub fn is_urgent(&self) -> bool {
        self.urgent || !self.effects.is_empty() || !self.receipts.is_empty() || !self.peers.is_empty()
    }

    pub(crate) fn push(&mut self, record: Record, body: Option<Body>) {
        self.bytes += 512 + body.as_ref().map_or(0, body_bytes);
        self.drafts.push(Draft::Plain(Box::new(record), body));
    }

    pub(crate) fn push_outgoing(&mut self, draft: SentDraft, body: Body) {
        self.bytes += 512 + draft.header.bytes().len() + body_bytes(&body);
        self.urgent = true;
        self.drafts.push(Draft::Outgoing(Box::new(draft), body));
    }

    pub(crate) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(crate) fn tell_later(&mut self, happening: Happening) {
        self.notes.push(happening);
    }

    pub(crate) fn owe_receipt(&mut self, peer: &NodeId, link: LinkId) {
        self.receipts.insert(peer.clone(), link);
    }

    /// Once the batch is whole, what may go to this peer is handed to its link.
    pub(crate) fn transmit_to(&mut self, peer: &NodeId) {
        if !self.peers.contains(peer) {
            self.peers.insert(peer.clone());
        }
    }

    pub(crate) fn take_peers(&mut self) -> BTreeSet<NodeId> {
        std::mem::take(&mut self.peers)
    }
}

impl Complete {
    /// Whether nothing was decided.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many records the batch holds.
    pub fn len(&self) -> usize {
        self.0.drafts.len()
    }

    /// Seals each envelope with the key its header names, has `persist` put it on stable storage, and only then gives the effects. If `persist`
    /// fails nothing may leave: the effects are gone, and the process must end.
    pub fn commit<E>(
        self,
        keys: &Identities,
        persist: impl FnOnce(&[Entry]) -> Result<(), E>,
    ) -> Result<Vec<Effect>, E> {
        let Batch { first, drafts, mut effects, notes, receipts, .. } = self.0;
        let mut proofs = seal(keys, &drafts);
        let leaving: BTreeSet<u64> = effects.iter().filter_map(leaving).collect();
        let mut fresh = BTreeMap::new();
        let mut entries = Vec::with_capacity(drafts.len());
        for (number, draft) in (first.0..).zip(drafts) {
            entries.push(match draft {
                Draft::Plain(record, body) => Entry { record: record.encode(), body },
                Draft::Outgoing(draft, body) => {
                    let proof = proofs.next_for(&draft.header);
                    // The rest is read back from the journal when its time comes, and is not copied now.
                    if leaving.contains(&number) {
                        fresh.insert(number, envelope::assemble(draft.header.bytes(), &body, &proof));
                    }
                    let proof = Blob::new(proof).expect("a proof is bounded by its batch");
                    let record = Record::Sent(Sent { draft: *draft, proof });
                    Entry { record: record.encode(), body: Some(body) }
                }
            });
        }
        if !entries.is_empty() {
            persist(&entries)?;
        }
        for effect in &mut effects {
            attach(effect, &fresh);
        }
        effects.extend(receipts.into_iter().map(|(peer, link)| Effect::Receipt { peer, link }));
        effects.extend(notes.into_iter().map(Effect::Tell));
        Ok(effects)
    }
}

/// The proofs of a batch, per peer and key in the order of its headers: one tree per peer, so a path tells nothing about
/// other traffic.
struct Proofs(BTreeMap<(NodeId, KeyId), std::vec::IntoIter<Proof>>);

impl Proofs {
    fn next_for(&mut self, header: &ExactHeader) -> Vec<u8> {
        let proof = self.0.get_mut(&(header.to.clone(), header.key_id)).and_then(Iterator::next);
        codec::encode(&proof.expect("every header of the batch was signed"))
    }
}

fn seal(keys: &Identities, drafts: &[Draft]) -> Proofs {
    let mut headers: BTreeMap<(NodeId, KeyId), Vec<Digest>> = BTreeMap::new();
    for draft in drafts {
        if let Draft::Outgoing(draft, _) = draft {
            let header = &draft.header;
            headers.entry((header.to.clone(), header.key_id)).or_default().push(header.digest());
        }
    }
    let sealed = headers.into_iter().map(|((peer, id), digests)| {
        let key = keys.get(id).expect("the core signs only with keys it was told are usable");
        ((peer, id), sign_batch(key, &digests).into_iter())
    });
    Proofs(sealed.collect())
}

/// The record whose envelope an effect puts on a link as it is.
fn leaving(effect: &Effect) -> Option<u64> {
    match effect {
        Effect::Transmit { bytes: Outgoing::Stored { record, withhold: None }, .. } => Some(record.0),
        _ => None,
    }
}

/// An envelope of this very batch is at hand and need not be read back from the journal.
fn attach(effect: &mut Effect, fresh: &BTreeMap<u64, Bytes>) {
    if let Effect::Transmit { bytes, .. } = effect
        && let Outgoing::Stored { record, withhold: None } = bytes
        && let Some(envelope) = fresh.get(&record.0)
    {
        *bytes = Outgoing::Fresh { record: *record, bytes: envelope.clone() };
    }
}

fn body_bytes(body: &Body) -> usize {
    match body {
        Body::Present { bytes, .. } => bytes.len(),
        Body::Withheld(_) => 0,
    }
}
