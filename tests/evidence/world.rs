//! Two nodes that exchange signed messages and receipts, each with a journal, made from the primitives of the wire:
//! what real nodes do, a thousand times faster, with every key at hand.

use crate::chance::Chance;
use aldis_verify::evidence::{Message, Signed};
use aldis_wire::card::{Card, VerifiedCard};
use aldis_wire::codec::{self, Blob, List, Text};
use aldis_wire::codes::{Code, Desk, Extension, Extensions, Tlp};
use aldis_wire::digest::Digest;
use aldis_wire::envelope::commitment;
use aldis_wire::header::{ExactHeader, Header, Reference, ReferenceRole};
use aldis_wire::ids::{CaseId, EnvelopeId, Incarnation, NodeId, Seq, UnixMillis};
use aldis_wire::keyring::KeyRing;
use aldis_wire::kinds::from_json;
use aldis_wire::lane::{Lane, LaneMark, Marks};
use aldis_wire::merkle::Frontier;
use aldis_wire::proof::sign_batch;
use aldis_wire::receipt::{Receipt, journal_commitment};
use aldis_wire::signing::IdentityKey;
use serde_json::json;
use std::collections::BTreeMap;

/// One of the two nodes.
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) keys: Vec<IdentityKey>,
    pub(crate) cards: Vec<VerifiedCard>,
    pub(crate) ring: KeyRing,
    pub(crate) journal: Journal,
    /// What it has sent, per lane.
    sent: Marks,
    /// The commitment of the other's that it holds.
    held: Option<Digest>,
}

/// A journal: the leaves' parts, and its state at the end of each commit.
#[derive(Default)]
pub(crate) struct Journal {
    pub(crate) records: Vec<([u8; 16], Vec<u8>)>,
    pub(crate) of_message: BTreeMap<EnvelopeId, u64>,
    pub(crate) commits: Vec<([u8; 16], u64, Digest)>,
    tree: Frontier,
}

/// Everything that happened between the two.
pub(crate) struct World {
    pub(crate) nodes: [Node; 2],
    /// Every message with its body, in the order of signing.
    pub(crate) messages: Vec<Message>,
    /// By signer, its receipts.
    pub(crate) receipts: [Vec<Vec<u8>>; 2],
    pub(crate) now: u64,
}

impl Journal {
    pub(crate) fn leaf_hashes(&self) -> impl Iterator<Item = Digest> + '_ {
        self.records.iter().map(|(nonce, record)| aldis_wire::merkle::leaf_hash_of(&[nonce, record]))
    }

    fn append(&mut self, chance: &mut Chance, record: Vec<u8>) {
        let nonce = chance.bytes();
        self.tree.append(aldis_wire::merkle::leaf_hash_of(&[&nonce, &record]));
        self.records.push((nonce, record));
    }

    fn commit(&mut self) {
        if let Some((nonce, _)) = self.records.last() {
            self.commits.push((*nonce, self.tree.size(), self.tree.root()));
        }
    }

    fn commitment(&self, earlier: usize) -> Option<Digest> {
        let at = self.commits.len().checked_sub(1 + earlier)?;
        let (salt, size, root) = &self.commits[at];
        Some(journal_commitment(salt, *size, root))
    }
}

impl Node {
    fn new(chance: &mut Chance, id: &str) -> Self {
        let key = IdentityKey::from_seed(&chance.bytes());
        let id = NodeId::new(id).unwrap();
        let card = card(&id, &key, 1);
        let ring = KeyRing::from(key.public());
        let (journal, sent) = (Journal::default(), Marks::default());
        Self { id, keys: vec![key], cards: vec![card], ring, journal, sent, held: None }
    }

    fn key(&self) -> &IdentityKey {
        self.keys.last().unwrap()
    }

    fn rotate(&mut self, chance: &mut Chance) {
        let key = IdentityKey::from_seed(&chance.bytes());
        let last = Lane::ALL.map(|lane| self.sent.seq(lane));
        self.ring.switch(last, key.public());
        let sequence = self.cards.len() as u64 + 1;
        self.cards.push(card(&self.id, &key, sequence));
        self.keys.push(key);
    }
}

/// A card of a node with a key.
pub(crate) fn card(id: &NodeId, key: &IdentityKey, sequence: u64) -> VerifiedCard {
    let card = Card {
        version: 1,
        id: id.clone(),
        name: Text::new("A CERT").unwrap(),
        country: Text::new("XX").unwrap(),
        identity_key: *key.public().as_bytes(),
        tls_certificate: Blob::new(vec![0x30; 20]).unwrap(),
        tls_name: None,
        endpoints: List::default(),
        contacts: List::default(),
        kinds: List::default(),
        issued_at: UnixMillis::new(1_795_000_000_000),
        valid_until: UnixMillis::new(1_826_536_000_000),
        sequence,
        extensions: Extensions::default(),
    };
    card.sign(key)
}

impl World {
    /// A world in which `events` things happen.
    pub(crate) fn new(chance: &mut Chance, events: usize) -> Self {
        let nodes = [Node::new(chance, "cert.aa"), Node::new(chance, "cert.bb")];
        let mut world =
            Self { nodes, messages: Vec::new(), receipts: [Vec::new(), Vec::new()], now: 1_795_316_400_000 };
        for _ in 0..events {
            world.now += chance.number() % 100_000;
            let who = chance.below(2);
            match chance.below(12) {
                0..5 => world.send(chance, who),
                5..10 => world.receipt(chance, who),
                10 => world.nodes[who].rotate(chance),
                _ => {
                    let record = chance.some_bytes(60);
                    world.nodes[who].journal.append(chance, record);
                    world.nodes[who].journal.commit();
                }
            }
        }
        world
    }

    /// One to three messages in one batch.
    fn send(&mut self, chance: &mut Chance, from: usize) {
        let drafts: Vec<_> = (0..=chance.below(3)).map(|_| self.header(chance, from)).collect();
        let digests: Vec<Digest> = drafts.iter().map(|(header, ..)| header.digest()).collect();
        let proofs = sign_batch(self.nodes[from].key(), &digests);
        for ((header, salt, body), proof) in drafts.into_iter().zip(proofs) {
            for (who, sort) in [(from, 3), (1 - from, 4)] {
                // Some were lost and came back from the other side.
                let sort = if chance.once_in(6) { 39 } else { sort };
                let blob = Blob::<8192>::new(header.bytes().to_vec()).unwrap();
                let record = [&[sort][..], &codec::encode(&blob), &chance.some_bytes(40)].concat();
                let journal = &mut self.nodes[who].journal;
                journal.of_message.insert(header.id(), journal.records.len() as u64);
                journal.append(chance, record);
            }
            self.messages.push(Message { signed: Signed { header, proof }, body: Some((salt, body)) });
        }
        self.nodes.iter_mut().for_each(|node| node.journal.commit());
    }

    /// A header at the next place of a lane, signed by nobody yet.
    pub(crate) fn header(&mut self, chance: &mut Chance, from: usize) -> (ExactHeader, [u8; 16], Vec<u8>) {
        let lane = chance.one_of(&Lane::ALL);
        let (salt, (kind, body)) = (chance.bytes(), body(chance));
        let (sender, recipient) = (&self.nodes[from], &self.nodes[1 - from]);
        let answered = self.messages.iter().rfind(|message| message.signed.header.from == recipient.id);
        let answered = answered.filter(|_| chance.once_in(2)).map(|message| &message.signed.header);
        let reference = answered.map(|header| Reference {
            role: ReferenceRole(chance.one_of(&[1, 2, 3, 4, 9])),
            envelope: header.id(),
            digest: if chance.once_in(8) { Digest::ZERO } else { header.digest() },
        });
        let (seq, previous) = match sender.sent.get(lane) {
            Some((seq, digest)) => (seq.next(), digest),
            None => (Seq::FIRST, Digest::ZERO),
        };
        let received: Option<LaneMark> = recipient.sent.iter().last().filter(|_| chance.once_in(2));
        let header = ExactHeader::encode(Header {
            version: 1,
            key_id: sender.key().id(),
            incarnation: Incarnation(7),
            from: sender.id.clone(),
            to: recipient.id.clone(),
            also_to: List::default(),
            desk: Desk::TECHNICAL,
            lane,
            seq,
            previous,
            received,
            sent_at: UnixMillis::new(self.now),
            expires_at: UnixMillis::new(self.now + 1_000),
            case: CaseId(chance.bytes()),
            references: List::new(reference.into_iter().collect()).unwrap(),
            author: Text::new(chance.one_of(&["duty officer", "José \u{202e}x"])).unwrap(),
            released_by: chance.once_in(4).then(|| Text::new("head of shift").unwrap()),
            on_behalf_of: chance.once_in(4).then(|| Text::new("another agency").unwrap()),
            tlp: chance.one_of(&[Tlp::AMBER, Tlp::RED, Tlp(77)]),
            exercise: chance.once_in(3).then(|| Text::new("drill").unwrap()),
            kind: Code::known(kind),
            kind_version: 1,
            body_length: u32::try_from(body.len()).unwrap(),
            body_commitment: commitment(&salt, &body),
            extensions: Extensions::default(),
        });
        let header = header.unwrap();
        let mark = (header.lane, header.seq, header.digest());
        self.nodes[from].sent.set(mark.0, mark.1, mark.2);
        (header, salt, body)
    }

    /// A receipt of everything so far.
    fn receipt(&mut self, chance: &mut Chance, from: usize) {
        let (signer, sender) = (&self.nodes[from], &self.nodes[1 - from]);
        let witness = signer.held.map(|held| Extension { tag: 1, bytes: Blob::new(held.as_bytes().to_vec()).unwrap() });
        let commitment = signer.journal.commitment(1).unwrap_or(Digest::ZERO);
        let receipt = Receipt {
            version: 1,
            key_id: signer.key().id(),
            incarnation: Incarnation(8),
            from: signer.id.clone(),
            to: sender.id.clone(),
            stored: sender.sent.clone(),
            sent: signer.sent.clone(),
            stored_at: UnixMillis::new(self.now),
            commitment,
            extensions: Extensions::new(witness.into_iter().collect()).unwrap(),
        };
        let bytes = receipt.sign(signer.key());
        self.receipts[from].push(bytes.clone());
        // The other side has it on its disk before it says anything more.
        let other = &mut self.nodes[1 - from];
        other.held = Some(commitment).filter(|commitment| *commitment != Digest::ZERO);
        other.journal.append(chance, [&[5][..], &bytes].concat());
        other.journal.commit();
    }
}

/// A body of a kind that can be shown, or of bytes that cannot.
fn body(chance: &mut Chance) -> (&'static str, Vec<u8>) {
    if chance.once_in(3) {
        let check = json!({ "part": "machine", "text": "after the move" });
        return ("comm-check", from_json("comm-check", 1, check).unwrap().bytes);
    }
    (chance.one_of(&["incident", "poem"]), chance.some_bytes(90))
}
