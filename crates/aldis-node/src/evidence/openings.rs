//! Openings of our own journal: that it holds the exported records, and what the commitments stand for that peers held.
//! Two passes over the leaves at most, each with bounded memory: which commits the peers name is found in the first,
//! every path in the second.

use super::{EvidenceError, Exhibit, Receipts};
use crate::journal::{NONCE_BYTES, Reader, RecordSeq, TreeHead};
use crate::log::query::QueryError;
use aldis_verify::Evidence;
use aldis_wire::codec::{Blob, List};
use aldis_wire::digest::Digest;
use aldis_wire::merkle::{Frontier, RangeRoots, audit_ranges, consistency_ranges};
use aldis_wire::opening::{CommitmentOpening, RecordOpening};
use aldis_wire::receipt::{Receipt, journal_commitment};
use std::collections::BTreeMap;

/// A commitment that a peer held, found in the journal.
#[derive(Clone, Copy)]
struct Found {
    salt: [u8; NONCE_BYTES],
    size: u64,
    root: Digest,
}

/// Adds the receipts that prove something, and every opening, to evidence of these messages.
pub(super) fn add(
    journal: &Reader,
    head: TreeHead,
    exhibits: &[Exhibit],
    receipts: Receipts,
    evidence: &mut Evidence,
) -> Result<(), EvidenceError> {
    let found = commitments(journal, head, receipts.all.values().filter_map(Receipt::witness))?;
    let mut witnesses = BTreeMap::new();
    for exhibit in exhibits {
        // The earliest by the peer's clock, which is what is shown.
        let opened = receipts.all.iter().filter_map(|(bytes, said)| Some((bytes, said, *found.get(&said.witness()?)?)));
        let opened = opened.filter(|(_, said, found)| {
            let is_peers = said.from == exhibit.id.to || said.from == exhibit.id.from;
            is_peers && found.size > exhibit.record
        });
        if let Some((bytes, _, found)) = opened.min_by_key(|(_, said, _)| said.stored_at) {
            witnesses.insert(bytes.clone(), found);
        }
    }
    let records = exhibits.iter().map(|exhibit| audit_ranges(exhibit.record, head.size));
    let consistencies = witnesses.values().map(|found| consistency_ranges(found.size, head.size));
    let whole = 0..head.size;
    let mut roots = RangeRoots::new(records.chain(consistencies).flatten().chain([whole.clone()]));
    for_each_leaf(journal, head.size, |_, leaf| roots.add(leaf))?;
    if roots.root(&whole) != Some(head.root) {
        return Err(EvidenceError::Journal);
    }
    for exhibit in exhibits {
        evidence.records.insert(exhibit.id.clone(), record_opening(exhibit, head.size, &roots)?);
    }
    for bytes in receipts.covering {
        evidence.add_receipt(bytes);
    }
    for (bytes, Found { salt, size, root }) in witnesses {
        let path = roots.roots(&consistency_ranges(size, head.size)).and_then(List::new);
        let path = path.ok_or(EvidenceError::Journal)?;
        if let Some(name) = evidence.add_receipt(bytes) {
            evidence.witnesses.insert(name, CommitmentOpening { salt, size, root, path });
        }
    }
    Ok(())
}

fn record_opening(exhibit: &Exhibit, size: u64, roots: &RangeRoots) -> Result<RecordOpening, EvidenceError> {
    let path = roots.roots(&audit_ranges(exhibit.record, size)).and_then(List::new).ok_or(EvidenceError::Journal)?;
    let unfit = || QueryError::Unprovable(format!("the record of {} is longer than an opening may be", exhibit.id));
    let record = Blob::new(exhibit.bytes.to_vec()).ok_or_else(unfit)?;
    Ok(RecordOpening { index: exhibit.record, nonce: exhibit.nonce, record, path })
}

/// Which commits these commitments are of. Every record may be the last of its commit: the one that is has the nonce
/// and the root that were committed to.
fn commitments(
    journal: &Reader,
    head: TreeHead,
    wanted: impl Iterator<Item = Digest>,
) -> Result<BTreeMap<Digest, Found>, EvidenceError> {
    let mut wanted: Vec<Digest> = wanted.collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut found = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let mut tree = Frontier::new();
    for_each_leaf(journal, head.size, |nonce, leaf| {
        tree.append(leaf);
        let (size, root) = (tree.size(), tree.root());
        let commitment = journal_commitment(&nonce, size, &root);
        if wanted.binary_search(&commitment).is_ok() {
            found.insert(commitment, Found { salt: nonce, size, root });
        }
    })?;
    Ok(found)
}

fn for_each_leaf(
    journal: &Reader,
    size: u64,
    mut take: impl FnMut([u8; NONCE_BYTES], Digest),
) -> Result<(), QueryError> {
    for record in journal.iter_from(RecordSeq(0)) {
        let record = record?;
        if record.seq.0 >= size {
            break;
        }
        take(record.nonce, record.leaf_hash());
    }
    Ok(())
}
