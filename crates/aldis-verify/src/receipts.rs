//! Which receipt covers which message: the one that names the least place at or above it, if the headers in between are
//! there and lead down to it, each by the digest in the next.

use crate::evidence::{Evidence, SignedReceipt};
use crate::name::{EntryName, Part};
use aldis_wire::header::ExactHeader;
use aldis_wire::ids::{EnvelopeId, NodeId, Seq};
use aldis_wire::lane::Lane;
use std::collections::BTreeMap;

/// A receipt that covers a message.
pub(crate) struct Cover<'a> {
    pub(crate) name: EntryName,
    pub(crate) receipt: &'a SignedReceipt,
    /// How many headers lead from the one it names to the message.
    pub(crate) links: u64,
}

/// The receipt for each place that one covers.
pub(crate) struct Covers<'a>(BTreeMap<EnvelopeId, Cover<'a>>);

impl<'a> Covers<'a> {
    /// Finds them; `differs` is told of each receipt, link or message that a chain of digests shows to be another one
    /// than what was signed for.
    pub(crate) fn of(evidence: &'a Evidence, differs: &mut impl FnMut(EntryName)) -> Self {
        let mut covers = Self(BTreeMap::new());
        let mut marks: Vec<_> = evidence.receipts.iter().flat_map(marks_of).collect();
        // The least place first, so that each message gets the receipt nearest to it and no place is walked twice.
        marks.sort_by(|one, other| one.order().cmp(&other.order()));
        for mark in marks {
            covers.walk(evidence, &mark, differs);
        }
        covers
    }

    /// The receipt that covers a message.
    pub(crate) fn get(&self, id: &EnvelopeId) -> Option<&Cover<'a>> {
        self.0.get(id)
    }

    fn walk(&mut self, evidence: &'a Evidence, mark: &Marked<'a>, differs: &mut impl FnMut(EntryName)) {
        let (mut seq, mut expected, mut links) = (mark.seq, mark.digest, 0);
        loop {
            let id = EnvelopeId { from: mark.sender.clone(), to: mark.signer.clone(), lane: mark.lane, seq };
            let Some(header) = header_at(evidence, &id) else { return };
            if header.digest() != expected {
                return differs(if links == 0 { mark.name.clone() } else { EntryName::Envelope(id, Part::Header) });
            }
            if self.0.contains_key(&id) {
                return;
            }
            self.0.insert(id, Cover { name: mark.name.clone(), receipt: mark.receipt, links });
            let Some(before) = Seq::new(seq.get() - 1) else { return };
            (seq, expected, links) = (before, header.previous, links + 1);
        }
    }
}

/// One mark of one receipt.
struct Marked<'a> {
    signer: &'a NodeId,
    sender: &'a NodeId,
    lane: Lane,
    seq: Seq,
    digest: aldis_wire::digest::Digest,
    name: EntryName,
    receipt: &'a SignedReceipt,
}

impl Marked<'_> {
    fn order(&self) -> impl Ord {
        (self.seq, self.receipt.said.stored_at, self.name.clone())
    }
}

fn marks_of<'a>(
    ((from, to, digest), receipt): (&'a (NodeId, NodeId, crate::name::ShortDigest), &'a SignedReceipt),
) -> impl Iterator<Item = Marked<'a>> {
    receipt.said.stored.iter().map(move |mark| Marked {
        signer: from,
        sender: to,
        lane: mark.lane,
        seq: mark.seq,
        digest: mark.digest,
        name: EntryName::Receipt(from.clone(), to.clone(), digest.clone()),
        receipt,
    })
}

fn header_at<'a>(evidence: &'a Evidence, id: &EnvelopeId) -> Option<&'a ExactHeader> {
    let message = evidence.messages.get(id).map(|message| &message.signed.header);
    message.or_else(|| evidence.links.get(id))
}
