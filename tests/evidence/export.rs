//! Evidence as one of the two nodes would make it, of messages chosen by chance.

use crate::chance::Chance;
use crate::world::World;
use aldis_verify::Evidence;
use aldis_verify::evidence::Message;
use aldis_wire::codec::{Blob, List};
use aldis_wire::digest::Digest;
use aldis_wire::ids::UnixMillis;
use aldis_wire::merkle::{RangeRoots, audit_ranges, consistency_ranges};
use aldis_wire::opening::{CommitmentOpening, RecordOpening};
use aldis_wire::receipt::{Receipt, journal_commitment};
use std::ops::Range;

/// Evidence and what it is sealed with.
#[derive(Clone)]
pub(crate) struct Export {
    pub(crate) evidence: Evidence,
    pub(crate) size: u64,
    pub(crate) root: Digest,
}

/// What one node shows of the world.
pub(crate) fn export(chance: &mut Chance, world: &World, who: usize) -> Export {
    let node = &world.nodes[who];
    let mut evidence = Evidence::new(node.id.clone(), UnixMillis::new(world.now + 5), "aldisd 0.1.0");
    for node in &world.nodes {
        for card in &node.cards {
            evidence.cards.insert((node.id.clone(), card.card().sequence), card.clone());
        }
    }
    for (from, to) in [(0, 1), (1, 0)] {
        let between = (world.nodes[from].id.clone(), world.nodes[to].id.clone());
        evidence.keys.insert(between, world.nodes[from].ring.clone());
    }
    let with_links = chance.once_in(3);
    for message in &world.messages {
        let id = message.signed.header.id();
        if chance.once_in(2) {
            let body = message.body.clone().filter(|_| chance.once_in(2));
            evidence.messages.insert(id, Message { signed: message.signed.clone(), body });
        } else if with_links {
            evidence.links.insert(id, message.signed.header.clone());
        }
    }
    let receipts = &world.receipts[1 - who];
    receipts.iter().filter(|_| !chance.once_in(3)).for_each(|bytes| drop(evidence.add_receipt(bytes.clone())));
    open(chance, world, who, evidence)
}

/// Adds the openings, computed in one pass over the leaves.
fn open(chance: &mut Chance, world: &World, who: usize, mut evidence: Evidence) -> Export {
    let journal = &world.nodes[who].journal;
    let size = journal.records.len() as u64;
    let chosen: Vec<_> = evidence.messages.keys().filter(|_| !chance.once_in(4)).cloned().collect();
    let witnesses = evidence.receipts.iter().filter_map(|((_, _, name), receipt)| {
        let witness = witness(&receipt.said)?;
        let named = journal.commits.iter().find(|(salt, size, root)| journal_commitment(salt, *size, root) == witness);
        Some((name.clone(), *named?))
    });
    let witnesses: Vec<_> = witnesses.collect();
    let records = chosen.iter().map(|id| audit_ranges(journal.of_message[id], size));
    let consistencies = witnesses.iter().map(|(_, (_, first, _))| consistency_ranges(*first, size));
    let whole: Range<u64> = 0..size;
    let mut roots = RangeRoots::new(records.chain(consistencies).flatten().chain([whole.clone()]));
    journal.leaf_hashes().for_each(|leaf| roots.add(leaf));
    for id in chosen {
        let index = journal.of_message[&id];
        let (nonce, record) = &journal.records[usize::try_from(index).unwrap()];
        let path = List::new(roots.roots(&audit_ranges(index, size)).unwrap()).unwrap();
        let record = Blob::new(record.clone()).unwrap();
        evidence.records.insert(id, RecordOpening { index, nonce: *nonce, record, path });
    }
    for (name, (salt, first, root)) in witnesses {
        let path = List::new(roots.roots(&consistency_ranges(first, size)).unwrap()).unwrap();
        evidence.witnesses.insert(name, CommitmentOpening { salt, size: first, root, path });
    }
    let root = roots.root(&whole).unwrap_or_else(|| Digest::of(&[]));
    Export { evidence, size, root }
}

fn witness(receipt: &Receipt) -> Option<Digest> {
    Some(Digest::from_bytes(receipt.extensions.get(1)?.try_into().ok()?))
}

impl Export {
    /// The file as the node would write it.
    pub(crate) fn seal(&self, world: &World, who: usize) -> Vec<u8> {
        self.evidence.seal(self.size, self.root, world.nodes[who].keys.last().unwrap()).unwrap()
    }
}
