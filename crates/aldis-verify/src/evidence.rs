//! What an evidence file holds, entry by entry in its own types. Reading takes a file only if writing what was read
//! gives the same bytes again, so nothing can stand in a file that this program does not see.

use crate::container::{self, ContainerError, Entries};
use crate::index::{BodyGiven, FORMAT, Index, IndexedFile, IndexedMessage};
use crate::name::{EntryName, Part, ShortDigest, Side};
use crate::{keys, timeline};
use aldis_wire::card::VerifiedCard;
use aldis_wire::checkpoint::{CHECKPOINT_MAX_BYTES, Checkpoint, SignedCheckpoint};
use aldis_wire::codec;
use aldis_wire::digest::Digest;
use aldis_wire::envelope::{BODY_MAX_BYTES, Salt};
use aldis_wire::header::ExactHeader;
use aldis_wire::ids::{EnvelopeId, NodeId, UnixMillis};
use aldis_wire::keyring::KeyRing;
use aldis_wire::opening::{CommitmentOpening, RecordOpening};
use aldis_wire::proof::Proof;
use aldis_wire::receipt::Receipt;
use aldis_wire::signing::IdentityKey;
use bytes::Bytes;
use std::collections::BTreeMap;

/// What the file says about itself, word for word.
pub const README: &str = include_str!("readme.txt");

/// Everything an evidence file holds but the checkpoint.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The node that makes the file.
    pub exporter: NodeId,
    /// When, by its clock.
    pub exported_at: UnixMillis,
    /// The program that makes it: at most [`crate::index::PROGRAM_MAX_BYTES`] letters, digits, blanks and `+-._`.
    pub program: String,
    /// The cards, by node and sequence.
    pub cards: BTreeMap<(NodeId, u64), VerifiedCard>,
    /// The keys, by who used them towards whom.
    pub keys: BTreeMap<(NodeId, NodeId), KeyRing>,
    /// The messages.
    pub messages: BTreeMap<EnvelopeId, Message>,
    /// Headers that only link messages to what a receipt names.
    pub links: BTreeMap<EnvelopeId, ExactHeader>,
    /// The receipts, by what names them.
    pub receipts: BTreeMap<(NodeId, NodeId, ShortDigest), SignedReceipt>,
    /// That the exporting node's journal holds a message.
    pub records: BTreeMap<EnvelopeId, RecordOpening>,
    /// What the witness in a receipt stands for.
    pub witnesses: BTreeMap<ShortDigest, CommitmentOpening>,
    /// By the place of the first, two headers of one node that cannot both be meant: two for one place, or one and the
    /// next, which names another before it.
    pub contradictions: BTreeMap<EnvelopeId, [Signed; 2]>,
}

/// A header with its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The exact header.
    pub header: ExactHeader,
    /// Its proof.
    pub proof: Proof,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its header and proof.
    pub signed: Signed,
    /// Its body with the salt of the commitment, if it was chosen.
    pub body: Option<(Salt, Vec<u8>)>,
}

/// A receipt, not verified here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedReceipt {
    /// The exact signed bytes.
    pub bytes: Vec<u8>,
    /// What it says.
    pub said: Receipt,
}

/// An evidence file as it was read: whole and in order, nothing of it checked against a key yet but cards.
#[derive(Clone, Debug)]
pub struct Opened {
    /// What it holds.
    pub evidence: Evidence,
    /// The checkpoint.
    pub checkpoint: SignedCheckpoint,
    /// The digest of its index.
    pub index: Digest,
}

/// Why bytes are no evidence file. Whoever gave it is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not the zip of one.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// An entry whose name no evidence file has.
    #[error("an entry `{0}`, which no evidence file has")]
    Name(String),
    /// An entry is not what its name says.
    #[error("{0} is not what its name says")]
    Entry(String),
    /// An entry is missing.
    #[error("{0} is missing")]
    Missing(String),
    /// An entry was changed after the file was made, or does not follow from the others.
    #[error("{0} is not the one that belongs to this file")]
    Differs(String),
}

/// Why evidence cannot be written. The program that writes it is to blame, or there is too much of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It does not fit a file.
    #[error(transparent)]
    Container(#[from] ContainerError),
}

impl Evidence {
    /// An evidence file with nothing in it yet.
    pub fn new(exporter: NodeId, exported_at: UnixMillis, program: impl Into<String>) -> Self {
        Self {
            exporter,
            exported_at,
            program: program.into(),
            cards: BTreeMap::new(),
            keys: BTreeMap::new(),
            messages: BTreeMap::new(),
            links: BTreeMap::new(),
            receipts: BTreeMap::new(),
            records: BTreeMap::new(),
            witnesses: BTreeMap::new(),
            contradictions: BTreeMap::new(),
        }
    }

    /// Adds a receipt; `None` if the bytes are no receipt. The answer names it.
    pub fn add_receipt(&mut self, bytes: Vec<u8>) -> Option<ShortDigest> {
        let said = Receipt::from_journal(&bytes).ok()?;
        let name = ShortDigest::of(&bytes);
        self.receipts.insert((said.from.clone(), said.to.clone(), name.clone()), SignedReceipt { bytes, said });
        Some(name)
    }

    /// Signs it with a checkpoint of the journal's size and root, and packs it into one file.
    pub fn seal(&self, size: u64, root: Digest, key: &IdentityKey) -> Result<Vec<u8>, SealError> {
        let files = self.files();
        let index = self.index(&files);
        let made_for = Index::digest(&index);
        let checkpoint = Checkpoint { node: self.exporter.clone(), size, root, made_for }.sign(key);
        let mut entries: Entries<'_> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        let (index_name, checkpoint_name) = (EntryName::Index.to_string(), EntryName::Checkpoint.to_string());
        entries.insert(&index_name, &index);
        entries.insert(&checkpoint_name, checkpoint.as_bytes());
        Ok(container::pack(&entries)?)
    }

    /// Every entry but index and checkpoint.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut add = |name: EntryName, bytes: Vec<u8>| drop(files.insert(name.to_string(), bytes));
        add(EntryName::Readme, README.as_bytes().to_vec());
        add(EntryName::Timeline, timeline::write(self).into_bytes());
        for ((node, sequence), card) in &self.cards {
            add(EntryName::Card(node.clone(), *sequence), card.signed_bytes().to_vec());
        }
        for ((from, to), ring) in &self.keys {
            add(EntryName::Keys(from.clone(), to.clone()), keys::write(ring).into_bytes());
        }
        for (id, Message { signed, body }) in &self.messages {
            add(EntryName::Envelope(id.clone(), Part::Header), signed.header.bytes().to_vec());
            add(EntryName::Envelope(id.clone(), Part::Proof), codec::encode(&signed.proof));
            if let Some((salt, body)) = body {
                add(EntryName::Envelope(id.clone(), Part::Body), [&salt[..], body].concat());
            }
        }
        for (id, header) in &self.links {
            add(EntryName::Link(id.clone()), header.bytes().to_vec());
        }
        for ((from, to, digest), receipt) in &self.receipts {
            add(EntryName::Receipt(from.clone(), to.clone(), digest.clone()), receipt.bytes.clone());
        }
        for (id, opening) in &self.records {
            add(EntryName::Record(id.clone()), codec::encode(opening));
        }
        for (digest, opening) in &self.witnesses {
            add(EntryName::Witness(digest.clone()), codec::encode(opening));
        }
        for (id, pair) in &self.contradictions {
            for (side, signed) in [Side::One, Side::Two].into_iter().zip(pair) {
                add(EntryName::Contradiction(id.clone(), side, Part::Header), signed.header.bytes().to_vec());
                add(EntryName::Contradiction(id.clone(), side, Part::Proof), codec::encode(&signed.proof));
            }
        }
        files
    }

    fn index(&self, files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
        let given = |message: &Message| if message.body.is_some() { BodyGiven::Given } else { BodyGiven::Withheld };
        let messages = self.messages.iter();
        let messages = messages.map(|(id, message)| IndexedMessage { id: id.to_string(), body: given(message) });
        let digested = |(name, bytes): (&String, &Vec<u8>)| IndexedFile {
            name: name.clone(),
            sha256: Digest::of(&[bytes]).to_hex(),
        };
        let index = Index {
            format: FORMAT.to_owned(),
            exporter: self.exporter.clone(),
            exported_at: self.exported_at,
            program: self.program.clone(),
            messages: messages.collect(),
            files: files.iter().map(digested).collect(),
        };
        index.write()
    }
}

impl Opened {
    /// Reads a file. What it holds is bounded by [`container::FILE_MAX_BYTES`] before anything is allocated for it.
    pub fn read(file: &[u8]) -> Result<Self, OpenError> {
        let reading = Reading::new(container::unpack(file)?)?;
        let index_bytes = reading.take(&EntryName::Index)?;
        let index = Index::read(index_bytes).ok_or_else(|| OpenError::Entry(EntryName::Index.to_string()))?;
        let note = reading.take(&EntryName::Checkpoint)?;
        let checkpoint = Some(note).filter(|note| note.len() <= CHECKPOINT_MAX_BYTES);
        let checkpoint = checkpoint.and_then(|note| SignedCheckpoint::parse(note).ok());
        let checkpoint = checkpoint.ok_or_else(|| OpenError::Entry(EntryName::Checkpoint.to_string()))?;
        let evidence = reading.evidence(&index)?;
        reading.compare(&evidence, index_bytes)?;
        Ok(Self { evidence, checkpoint, index: Index::digest(index_bytes) })
    }
}

/// A file being read.
struct Reading<'a> {
    entries: BTreeMap<EntryName, &'a [u8]>,
}

impl<'a> Reading<'a> {
    fn new(entries: Entries<'a>) -> Result<Self, OpenError> {
        let named = entries.into_iter().map(|(name, bytes)| match EntryName::parse(name) {
            Some(parsed) => Ok((parsed, bytes)),
            None => Err(OpenError::Name(name.to_owned())),
        });
        Ok(Self { entries: named.collect::<Result<_, _>>()? })
    }

    fn take(&self, name: &EntryName) -> Result<&'a [u8], OpenError> {
        self.entries.get(name).copied().ok_or_else(|| OpenError::Missing(name.to_string()))
    }

    fn evidence(&self, index: &Index) -> Result<Evidence, OpenError> {
        let mut evidence = Evidence::new(index.exporter.clone(), index.exported_at, index.program.clone());
        for (name, bytes) in &self.entries {
            self.add(&mut evidence, name, bytes)?.ok_or_else(|| OpenError::Entry(name.to_string()))?;
        }
        Ok(evidence)
    }

    /// Adds one entry; `None` inside if it is not what its name says. Parts that belong to a header are taken with it,
    /// and parts without one are missed when the whole is compared.
    fn add(&self, evidence: &mut Evidence, name: &EntryName, bytes: &[u8]) -> Result<Option<()>, OpenError> {
        let found = match name {
            EntryName::Card(node, sequence) => {
                let card = VerifiedCard::from_signed_bytes(bytes).ok();
                let card = card.filter(|card| card.card().id == *node && card.card().sequence == *sequence);
                card.map(|card| drop(evidence.cards.insert((node.clone(), *sequence), card)))
            }
            EntryName::Keys(from, to) => {
                keys::read(bytes).map(|ring| drop(evidence.keys.insert((from.clone(), to.clone()), ring)))
            }
            EntryName::Envelope(id, Part::Header) => {
                let signed = self.signed(id, bytes, EntryName::Envelope(id.clone(), Part::Proof))?;
                let body = self.entries.get(&EntryName::Envelope(id.clone(), Part::Body));
                match (signed, body.map(|body| salted(body))) {
                    (None, _) | (_, Some(None)) => None,
                    (Some(signed), body) => {
                        evidence.messages.insert(id.clone(), Message { signed, body: body.flatten() });
                        Some(())
                    }
                }
            }
            EntryName::Link(id) => header(id, bytes).map(|header| drop(evidence.links.insert(id.clone(), header))),
            EntryName::Receipt(..) => evidence.add_receipt(bytes.to_vec()).map(drop),
            EntryName::Record(id) => {
                codec::decode(bytes).ok().map(|opening| drop(evidence.records.insert(id.clone(), opening)))
            }
            EntryName::Witness(digest) => {
                codec::decode(bytes).ok().map(|opening| drop(evidence.witnesses.insert(digest.clone(), opening)))
            }
            EntryName::Contradiction(id, Side::One, Part::Header) => {
                let part = |side, part| EntryName::Contradiction(id.clone(), side, part);
                let one = self.signed(id, bytes, part(Side::One, Part::Proof))?;
                let other = self.take(&part(Side::Two, Part::Header))?;
                let next = EnvelopeId { seq: id.seq.next(), ..id.clone() };
                let same = self.signed(id, other, part(Side::Two, Part::Proof))?;
                let two = same.or(self.signed(&next, other, part(Side::Two, Part::Proof))?);
                one.zip(two).map(|(one, two)| drop(evidence.contradictions.insert(id.clone(), [one, two])))
            }
            EntryName::Readme
            | EntryName::Index
            | EntryName::Timeline
            | EntryName::Checkpoint
            | EntryName::Envelope(..)
            | EntryName::Contradiction(..) => Some(()),
        };
        Ok(found)
    }

    fn signed(&self, id: &EnvelopeId, bytes: &[u8], proof: EntryName) -> Result<Option<Signed>, OpenError> {
        let proof = codec::decode(self.take(&proof)?).ok();
        Ok(header(id, bytes).zip(proof).map(|(header, proof)| Signed { header, proof }))
    }

    /// The file is what writing its contents gives.
    fn compare(&self, evidence: &Evidence, index: &[u8]) -> Result<(), OpenError> {
        let files = evidence.files();
        for (name, bytes) in &self.entries {
            let is_signed = matches!(name, EntryName::Index | EntryName::Checkpoint);
            if !is_signed && files.get(&name.to_string()).map(Vec::as_slice) != Some(*bytes) {
                return Err(OpenError::Differs(name.to_string()));
            }
        }
        if let Some(missing) = files.keys().find(|name| !self.has(name)) {
            return Err(OpenError::Missing(missing.clone()));
        }
        if evidence.index(&files) == index { Ok(()) } else { Err(OpenError::Differs(EntryName::Index.to_string())) }
    }

    fn has(&self, name: &str) -> bool {
        EntryName::parse(name).is_some_and(|name| self.entries.contains_key(&name))
    }
}

fn header(id: &EnvelopeId, bytes: &[u8]) -> Option<ExactHeader> {
    ExactHeader::parse(Bytes::copy_from_slice(bytes)).ok().filter(|header| header.id() == *id)
}

fn salted(bytes: &[u8]) -> Option<(Salt, Vec<u8>)> {
    let (salt, body) = bytes.split_first_chunk::<16>()?;
    (body.len() <= BODY_MAX_BYTES).then(|| (*salt, body.to_vec()))
}
