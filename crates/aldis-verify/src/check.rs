//! Checks an evidence file against the keys in it. What does not verify is a problem, and a file with one proves
//! nothing; what is merely not there proves less.

use crate::evidence::{Evidence, Opened, Signed};
use crate::facts::{
    CheckpointFact, ContradictionFact, Facts, How, KeyFact, MessageFact, NamedFact, ReceiptFact, WitnessFact,
};
use crate::index::BodyGiven;
use crate::name::{EntryName, Part, Side};
use crate::receipts::{Cover, Covers};
use aldis_wire::checkpoint::Checkpoint;
use aldis_wire::codec::{self, Blob};
use aldis_wire::envelope::commitment;
use aldis_wire::header::{ExactHeader, HEADER_MAX_BYTES};
use aldis_wire::ids::{EnvelopeId, KeyId, NodeId};
use aldis_wire::keyring::KeyRing;
use aldis_wire::lane::LaneMark;
use aldis_wire::opening::RecordOpening;
use aldis_wire::proof::ProofVerifier;
use aldis_wire::receipt::VerifiedReceipt;
use aldis_wire::signing::PublicKey;
use std::collections::{BTreeMap, BTreeSet};

/// Something in a file that does not verify. Whoever made or passed on the file is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {what}")]
pub struct Problem {
    /// The entry.
    pub file: String,
    /// What is wrong with it.
    pub what: &'static str,
}

/// What the file proves, or everything in it that does not verify.
pub fn check(opened: &Opened) -> Result<Facts, Vec<Problem>> {
    let mut checking = Checking { evidence: &opened.evidence, problems: Vec::new() };
    let facts = checking.facts(opened);
    match facts {
        Some(facts) if checking.problems.is_empty() => Ok(facts),
        _ => Err(checking.problems),
    }
}

struct Checking<'a> {
    evidence: &'a Evidence,
    problems: Vec<Problem>,
}

impl Checking<'_> {
    fn facts(&mut self, opened: &Opened) -> Option<Facts> {
        let evidence = self.evidence;
        let (checkpoint, key) = self.checkpoint(opened)?;
        self.keys(key);
        self.messages();
        self.receipts();
        self.contradictions();
        self.records(checkpoint);
        self.witnesses(checkpoint);
        let covers =
            Covers::of(evidence, &mut |file| self.problem(file, "names another header at a place of this file"));
        if !self.problems.is_empty() {
            return None;
        }
        let named = named(evidence);
        let witnesses = witnesses(evidence);
        let messages = evidence.messages.iter().map(|(id, message)| {
            let header = &message.signed.header;
            let record = evidence.records.get(id).map(|opening| opening.index);
            MessageFact {
                id: id.to_string(),
                digest: header.digest().to_hex(),
                key: shown(header.key_id),
                sent_at: header.sent_at,
                kind: header.kind.to_string(),
                tlp: header.tlp.to_string(),
                body: if message.body.is_some() { BodyGiven::Given } else { BodyGiven::Withheld },
                receipt: covers.get(id).map(receipt_fact),
                named_by: named.get(id).cloned().unwrap_or_default(),
                record,
                witness: record.and_then(|index| witnesses.iter().find(|witness| witness.size > index).cloned()),
            }
        });
        Some(Facts {
            exporter: evidence.exporter.clone(),
            exported_at: evidence.exported_at,
            checkpoint: CheckpointFact { size: checkpoint.size, root: checkpoint.root.to_hex(), key: shown(key.id()) },
            keys: key_facts(evidence),
            messages: messages.collect(),
            contradictions: evidence.contradictions.iter().map(|(id, pair)| contradiction(id, pair)).collect(),
        })
    }

    fn problem(&mut self, file: EntryName, what: &'static str) {
        self.problems.push(Problem { file: file.to_string(), what });
    }

    /// The checkpoint is the exporting node's, and was signed over this very index.
    fn checkpoint<'o>(&mut self, opened: &'o Opened) -> Option<(&'o Checkpoint, &'o PublicKey)> {
        let evidence = &opened.evidence;
        let cards = evidence.cards.iter().filter(|((node, _), _)| *node == evidence.exporter);
        let verified = opened.checkpoint.verify(cards.map(|(_, card)| card.key()));
        match verified {
            Ok(verified) if verified.0.node == evidence.exporter && verified.0.made_for == opened.index => {
                Some(verified)
            }
            Ok(_) => {
                self.problem(EntryName::Checkpoint, "is of another node or another file");
                None
            }
            Err(_) => {
                self.problem(EntryName::Checkpoint, "is not signed by a key of the exporting node");
                None
            }
        }
    }

    /// Every key stands on a card of its node, every card is of a key that is used, and all is about the exporting
    /// node.
    fn keys(&mut self, of_checkpoint: &PublicKey) {
        let evidence = self.evidence;
        let mut used: BTreeSet<(&NodeId, KeyId)> = BTreeSet::from([(&evidence.exporter, of_checkpoint.id())]);
        for ((from, to), ring) in &evidence.keys {
            let name = || EntryName::Keys(from.clone(), to.clone());
            if from == to || (*from != evidence.exporter && *to != evidence.exporter) {
                self.problem(name(), "is not about the exporting node and another");
            }
            for key in keys_of(ring) {
                used.insert((from, key.id()));
                if !evidence.cards.iter().any(|((node, _), card)| node == from && card.key() == key) {
                    self.problem(name(), "has a key that stands on no card of its node");
                }
            }
        }
        for ((node, sequence), card) in &evidence.cards {
            if !used.contains(&(node, card.key().id())) {
                self.problem(EntryName::Card(node.clone(), *sequence), "has a key that nothing here uses");
            }
        }
    }

    fn messages(&mut self) {
        let mut proofs = ProofVerifier::default();
        for (id, message) in &self.evidence.messages {
            if let Some(what) = self.wrong_with(&message.signed, &mut proofs) {
                self.problem(EntryName::Envelope(id.clone(), Part::Header), what);
            }
            let header = &message.signed.header;
            if let Some((salt, body)) = &message.body
                && (body.len() != header.body_length as usize || commitment(salt, body) != header.body_commitment)
            {
                self.problem(EntryName::Envelope(id.clone(), Part::Body), "is not the body the header commits to");
            }
        }
    }

    /// What is wrong with a signature; the place says which key it must be of.
    fn wrong_with(&self, signed: &Signed, proofs: &mut ProofVerifier) -> Option<&'static str> {
        let Signed { header, proof } = signed;
        let Some(ring) = self.evidence.keys.get(&(header.from.clone(), header.to.clone())) else {
            return Some("no keys of its sender towards its recipient are in the file");
        };
        let key = ring.key_at(header.lane, header.seq);
        if header.key_id != key.id() {
            return Some("names another key than the one in force at its place");
        }
        proofs.verify(key, header, proof).is_err().then_some("is not signed by the key in force at its place")
    }

    fn receipts(&mut self) {
        for ((from, to, digest), receipt) in &self.evidence.receipts {
            let ring = self.evidence.keys.get(&(from.clone(), to.clone()));
            let key = ring.and_then(|ring| keys_of(ring).find(|key| key.id() == receipt.said.key_id));
            if key.is_none_or(|key| VerifiedReceipt::verify(&receipt.bytes, from, to, key).is_err()) {
                let name = EntryName::Receipt(from.clone(), to.clone(), digest.clone());
                self.problem(name, "is not signed by a key of its signer");
            }
        }
    }

    fn contradictions(&mut self) {
        let mut proofs = ProofVerifier::default();
        for (id, pair) in &self.evidence.contradictions {
            let name = |side| EntryName::Contradiction(id.clone(), side, Part::Header);
            for (side, signed) in [Side::One, Side::Two].into_iter().zip(pair) {
                if let Some(what) = self.wrong_with(signed, &mut proofs) {
                    self.problem(name(side), what);
                }
            }
            if !contradict(pair) {
                self.problem(name(Side::Two), "does not contradict the other, or stands before it");
            }
        }
    }

    fn records(&mut self, checkpoint: &Checkpoint) {
        for (id, opening) in &self.evidence.records {
            let message = self.evidence.messages.get(id);
            if !message.is_some_and(|message| is_record_of(opening, &message.signed.header, &self.evidence.exporter)) {
                self.problem(EntryName::Record(id.clone()), "is not the record of a message of this file");
            } else if !opening.holds(checkpoint.size, &checkpoint.root) {
                self.problem(EntryName::Record(id.clone()), "is not in the journal of the checkpoint");
            }
        }
    }

    fn witnesses(&mut self, checkpoint: &Checkpoint) {
        let exporter = &self.evidence.exporter;
        for (digest, opening) in &self.evidence.witnesses {
            let mut receipts = self.evidence.receipts.iter();
            let receipt = receipts.find(|((_, to, name), _)| to == exporter && name == digest);
            let named = receipt.and_then(|(_, receipt)| receipt.said.witness());
            if !named.is_some_and(|named| opening.holds(&named, checkpoint.size, &checkpoint.root)) {
                self.problem(EntryName::Witness(digest.clone()), "does not open what the receipt names");
            }
        }
    }
}

/// Whether two signed headers cannot both be what their sender meant: two for one place, the lower digest first, or one
/// and the next, which names another before it.
fn contradict(pair: &[Signed; 2]) -> bool {
    let [one, two] = pair;
    if one.header.seq == two.header.seq {
        one.header.digest() < two.header.digest()
    } else {
        two.header.previous != one.header.digest()
    }
}

/// All keys of a ring, the oldest first.
pub(crate) fn keys_of(ring: &KeyRing) -> impl Iterator<Item = &PublicKey> {
    ring.ended().iter().map(|ended| &ended.key).chain([ring.current()])
}

/// Whether a record is the one with which the exporting node put a message on record: it begins with its sort, 3 for
/// one it sent and 4 for one it received, and the exact header.
fn is_record_of(opening: &RecordOpening, header: &ExactHeader, exporter: &NodeId) -> bool {
    let sort = if header.from == *exporter { 3 } else { 4 };
    let blob = Blob::<HEADER_MAX_BYTES>::new(header.bytes().to_vec()).expect("a header was checked to be short enough");
    opening.record.starts_with(&[&[sort][..], &codec::encode(&blob)].concat())
}

/// The messages that name each message: signed by its recipient for its sender, with its digest.
fn named(evidence: &Evidence) -> BTreeMap<EnvelopeId, Vec<NamedFact>> {
    let mut named: BTreeMap<EnvelopeId, Vec<NamedFact>> = BTreeMap::new();
    for (id, message) in &evidence.messages {
        let header = &message.signed.header;
        let had = header.received.map(|LaneMark { lane, seq, digest }| {
            (EnvelopeId { from: header.to.clone(), to: header.from.clone(), lane, seq }, digest)
        });
        let references = header.references.iter().map(|reference| (reference.envelope.clone(), reference.digest));
        let all: BTreeSet<_> = references.chain(had).collect();
        for (other, digest) in all {
            let is_its = other.from == header.to && other.to == header.from;
            let known = evidence.messages.get(&other).filter(|_| is_its);
            if known.is_some_and(|known| known.signed.header.digest() == digest) {
                let fact = NamedFact { id: id.to_string(), kind: header.kind.to_string(), sent_at: header.sent_at };
                named.entry(other).or_default().push(fact);
            }
        }
    }
    named
}

/// What the witnesses prove, the earliest first.
fn witnesses(evidence: &Evidence) -> Vec<WitnessFact> {
    let opened = evidence.receipts.iter().filter_map(|((from, to, name), receipt)| {
        let opening = evidence.witnesses.get(name)?;
        let file = EntryName::Receipt(from.clone(), to.clone(), name.clone()).to_string();
        Some(WitnessFact { file, stored_at: receipt.said.stored_at, size: opening.size })
    });
    let mut facts: Vec<WitnessFact> = opened.collect();
    facts.sort_by(|one, other| (one.stored_at, &one.file).cmp(&(other.stored_at, &other.file)));
    facts
}

fn receipt_fact(cover: &Cover<'_>) -> ReceiptFact {
    ReceiptFact {
        file: cover.name.to_string(),
        key: shown(cover.receipt.said.key_id),
        stored_at: cover.receipt.said.stored_at,
        links: cover.links,
    }
}

fn key_facts(evidence: &Evidence) -> Vec<KeyFact> {
    let mut facts: Vec<KeyFact> = Vec::new();
    for ((node, _), card) in &evidence.cards {
        let fingerprint = card.fingerprint().replace(' ', "");
        if !facts.iter().any(|fact| fact.fingerprint == fingerprint) {
            facts.push(KeyFact { node: node.clone(), key: shown(card.key().id()), fingerprint });
        }
    }
    facts
}

fn contradiction(id: &EnvelopeId, pair: &[Signed; 2]) -> ContradictionFact {
    let is_one_run = pair[0].header.incarnation == pair[1].header.incarnation;
    let how = if is_one_run { How::Equivocation } else { How::Restored };
    ContradictionFact { id: id.to_string(), how }
}

fn shown(key: KeyId) -> String {
    data_encoding::HEXLOWER.encode(&key.0)
}
