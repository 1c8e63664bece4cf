//! Two evidence files side by side: whether anybody told the two sides different things. Each file is good by itself.

use crate::evidence::{Evidence, Opened, Signed};
use crate::facts::How;
use crate::name::EntryName;
use aldis_wire::digest::Digest;
use aldis_wire::ids::{EnvelopeId, NodeId, Seq};
use aldis_wire::lane::Lane;
use aldis_wire::merkle;
use aldis_wire::opening::RecordOpening;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Something that both files prove and that cannot both be so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "fork")]
pub enum Fork {
    /// One node signed two headers for one place.
    Headers {
        /// The place.
        id: String,
        /// How it can be.
        how: How,
    },
    /// A receipt names another header than the other file shows at that place.
    Receipt {
        /// The place.
        id: String,
        /// The receipt.
        file: String,
    },
    /// One node showed two different journals.
    Journal {
        /// The node.
        node: NodeId,
        /// At how many records they differ, or which record differs.
        at: u64,
    },
    /// One node used two different keys at one place, or says so.
    Keys {
        /// The node.
        node: NodeId,
        /// Towards whom.
        towards: NodeId,
    },
}

impl fmt::Display for Fork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Headers { id, how: How::Equivocation } => {
                write!(
                    f,
                    "EQUIVOCATION: two different messages {id} were signed, in one run of the node that signed them"
                )
            }
            Self::Headers { id, how: How::Restored } => {
                write!(f, "two different messages {id} were signed, in two runs: that node was restored or cloned")
            }
            Self::Receipt { id, file } => {
                write!(f, "FORK: {file} confirms another {id} than the one in the other file")
            }
            Self::Journal { node, at } => {
                write!(f, "FORK: {node} shows two different journals; they differ at record {at} or before")
            }
            Self::Keys { node, towards } => {
                write!(f, "the two files say different things about which keys {node} used towards {towards}")
            }
        }
    }
}

/// Every fork between two files.
pub fn compare(one: &Opened, other: &Opened) -> Vec<Fork> {
    let mut forks = Vec::new();
    headers(&one.evidence, &other.evidence, &mut forks);
    receipts(&one.evidence, &other.evidence, &mut forks);
    receipts(&other.evidence, &one.evidence, &mut forks);
    keys(&one.evidence, &other.evidence, &mut forks);
    if one.evidence.exporter == other.evidence.exporter {
        journals(one, other, &mut forks);
    }
    forks
}

fn headers(one: &Evidence, other: &Evidence, forks: &mut Vec<Fork>) {
    let others = signed(other);
    for (id, headers) in signed(one) {
        let there = others.get(id).map_or(&[][..], Vec::as_slice);
        let differing = headers.iter().flat_map(|here| there.iter().map(move |there| (here, there)));
        let mut differing = differing.filter(|(here, there)| here.header.digest() != there.header.digest());
        if let Some((here, there)) = differing.next() {
            let is_one_run = here.header.incarnation == there.header.incarnation;
            let how = if is_one_run { How::Equivocation } else { How::Restored };
            forks.push(Fork::Headers { id: id.to_string(), how });
        }
    }
}

/// All headers with a proof, by place.
fn signed(evidence: &Evidence) -> BTreeMap<&EnvelopeId, Vec<&Signed>> {
    let mut all: BTreeMap<&EnvelopeId, Vec<&Signed>> = BTreeMap::new();
    for (id, message) in &evidence.messages {
        all.entry(id).or_default().push(&message.signed);
    }
    for (id, pair) in &evidence.contradictions {
        all.entry(id).or_default().extend(pair);
    }
    all
}

fn receipts(receipts: &Evidence, headers: &Evidence, forks: &mut Vec<Fork>) {
    for ((from, to, digest), receipt) in &receipts.receipts {
        for mark in receipt.said.stored.iter() {
            let id = EnvelopeId { from: to.clone(), to: from.clone(), lane: mark.lane, seq: mark.seq };
            let message = headers.messages.get(&id);
            if message.is_some_and(|message| message.signed.header.digest() != mark.digest) {
                let file = EntryName::Receipt(from.clone(), to.clone(), digest.clone()).to_string();
                forks.push(Fork::Receipt { id: id.to_string(), file });
            }
        }
    }
}

/// Two files of one node made at different times differ in where its last key ends, and in nothing before.
fn keys(one: &Evidence, other: &Evidence, forks: &mut Vec<Fork>) {
    for ((from, to), ring) in &one.keys {
        let Some(there) = other.keys.get(&(from.clone(), to.clone())) else { continue };
        let places = [&one.messages, &other.messages].into_iter().flat_map(BTreeMap::keys);
        let mut places = places.filter(|id| id.from == *from && id.to == *to);
        let differs = |lane: Lane, seq: Seq| ring.key_at(lane, seq) != there.key_at(lane, seq);
        if places.any(|id| differs(id.lane, id.seq)) {
            forks.push(Fork::Keys { node: from.clone(), towards: to.clone() });
        }
    }
}

/// Journals of one size have one root, and one record at each place.
fn journals(one: &Opened, other: &Opened, forks: &mut Vec<Fork>) {
    let differing = |here: BTreeMap<u64, Digest>, there: BTreeMap<u64, Digest>| {
        here.into_iter().find(|(at, digest)| there.get(at).is_some_and(|other| other != digest)).map(|(at, _)| at)
    };
    let by_root = differing(roots(one), roots(other));
    if let Some(at) = differing(leaves(&one.evidence), leaves(&other.evidence)).or(by_root) {
        forks.push(Fork::Journal { node: one.evidence.exporter.clone(), at });
    }
}

/// The sizes at which a file shows its journal's root.
fn roots(opened: &Opened) -> BTreeMap<u64, Digest> {
    let checkpoint = opened.checkpoint.claims();
    let witnesses = opened.evidence.witnesses.values().map(|opening| (opening.size, opening.root));
    witnesses.chain([(checkpoint.size, checkpoint.root)]).collect()
}

fn leaves(evidence: &Evidence) -> BTreeMap<u64, Digest> {
    let leaf = |opening: &RecordOpening| (opening.index, merkle::leaf_hash_of(&[&opening.nonce, &opening.record]));
    evidence.records.values().map(leaf).collect()
}
