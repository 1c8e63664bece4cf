//! The judge: it reads every journal and everything that leaves the nodes, in order, and asks the invariants. One thing it
//! cannot see: that a duplicate gets its receipt again, for no node here sends anything twice on one link; that is asked by
//! `i5_a_duplicate_gets_a_receipt_again_and_no_second_record`.

use super::coverage::Coverage;
use super::invariants;
use super::ledger::Ledger;
use crate::pair::{Tap, Tapped, World};
use aldis_core::effect::{Delivery, Done, Happening};
use aldis_core::input::Token;
use aldis_core::peer::LinkId;
use aldis_wire::codes::Tlp;
use aldis_wire::digest::Digest;
use aldis_wire::ids::{EnvelopeId, NodeId};
use aldis_wire::lane::Lane;
use std::collections::{BTreeMap, BTreeSet};

/// Everything the judge remembers.
#[derive(Default)]
pub(super) struct Oracle {
    pub(super) ledgers: Vec<Ledger>,
    pub(super) ids: Vec<NodeId>,
    /// What was confirmed to people, per node.
    pub(super) confirmed: Vec<Vec<(EnvelopeId, Digest)>>,
    /// Which label each submission was given.
    pub(super) labels: BTreeMap<Token, Tlp>,
    /// Whatever a node ever signed and had on its disk, also what a restored backup no longer has.
    pub(super) signed: BTreeSet<(EnvelopeId, Digest)>,
    /// A hash of the bytes in which an envelope left.
    pub(super) left: BTreeMap<Digest, u64>,
    /// Nodes that run.
    pub(super) running: Vec<bool>,
    /// The puppet, which speaks without a journal.
    pub(super) puppet: Option<usize>,
    /// The node whose disk was replaced by an older copy.
    pub(super) restored: Option<usize>,
    /// What went first on each link from each node.
    first: BTreeMap<(LinkId, usize), (u64, Lane)>,
}

impl Oracle {
    pub(super) fn new(world: &World) -> Self {
        let count = world.nodes.len();
        Self {
            ledgers: (0..count).map(|_| Ledger::default()).collect(),
            ids: (0..count).map(|place| world.id(place)).collect(),
            confirmed: vec![Vec::new(); count],
            running: vec![true; count],
            ..Self::default()
        }
    }

    /// Reads what is new, and judges it.
    pub(super) fn look(&mut self, world: &mut World, coverage: &mut Coverage) {
        let grown: Vec<usize> = (0..self.ledgers.len()).map(|place| self.read(world, place)).collect();
        for (place, from) in grown.iter().enumerate() {
            if *from < self.ledgers[place].read {
                invariants::at("i4 i10 i12 i13");
                invariants::new_records(self, world, place, *from, coverage);
            }
        }
        for tap in world.taps.as_mut().map(std::mem::take).into_iter().flatten() {
            self.judge(world, &tap, coverage);
        }
        for (place, from) in grown.iter().enumerate() {
            if *from < self.ledgers[place].read {
                invariants::i7_bounds(world, place);
            }
        }
    }

    /// Reads what is new in a journal; from where.
    fn read(&mut self, world: &World, place: usize) -> usize {
        let (node, ledger) = (&world.nodes[place], &mut self.ledgers[place]);
        let (from, records) = (ledger.read, node.records());
        invariants::at("i9");
        assert!(records.len() >= from, "i9: the journal of {} has shrunk", node.id);
        for (at, record) in records.iter().enumerate().skip(from) {
            ledger.take(&node.journal[at].record, record);
            if let aldis_core::record::Record::Sent(sent) = record {
                self.signed.insert((sent.draft.header.id(), sent.draft.header.digest()));
            }
        }
        from
    }

    fn judge(&mut self, world: &World, tap: &Tap, coverage: &mut Coverage) {
        let place = tap.place;
        match &tap.what {
            Tapped::Started => {
                self.running[place] = true;
                invariants::at("i9");
                invariants::i9_the_journal_is_as_it_was(self, world, place);
                invariants::i1_all_that_was_confirmed_is_there(self, place, coverage);
                return;
            }
            Tapped::Ended => return self.running[place] = false,
            _ => {}
        }
        invariants::at("i1");
        assert!(self.running[place], "i1: {} let something out after its disk had failed", self.ids[place]);
        match &tap.what {
            Tapped::Envelope { link, lane, seq, bytes } => {
                let header = invariants::header_of(bytes);
                invariants::i1_on_disk_and_relayed_before_it_leaves(self, tap, &header);
                invariants::i4_leaves_for_a_verified_peer(self, tap, &header);
                invariants::i6_the_same_bytes_again(self, &header, bytes, coverage);
                let first = self.first.entry((*link, place)).or_insert((tap.turn, *lane));
                invariants::i14_flash_goes_first(&self.ledgers[place], tap, first, *lane, *seq, &header.to);
            }
            Tapped::Receipt { peer, bytes } => invariants::i2_only_what_is_on_disk(self, tap, peer, bytes),
            Tapped::Replied(token, Ok(Done::Submitted(ids))) => {
                invariants::i1_confirmed_is_on_disk(self, tap, ids);
                invariants::i13_the_label_somebody_chose(self, place, *token, ids);
                self.confirmed[place].extend(ids.iter().cloned());
            }
            Tapped::Told(Happening::Delivery(id, Delivery::Stored)) => {
                invariants::i3_stored_is_told_by_a_receipt_on_disk(self, tap, id);
            }
            Tapped::Told(Happening::Received(id)) => {
                invariants::at("i5");
                let row = self.ledgers[place].row(&self.ids[place], id);
                assert!(row.is_some_and(|row| row.at < tap.disk), "i5: {id} is shown and not on the disk");
            }
            _ => {}
        }
    }

    /// An older copy of a node's disk takes the place of its own; whose records can tell.
    pub(super) fn restore(&mut self, world: &World, place: usize) -> Vec<usize> {
        self.restored = Some(place);
        self.confirmed[place].clear();
        self.ledgers[place] = Ledger::default();
        self.read(world, place);
        let own = self.ids[place].clone();
        let others = (0..self.ids.len()).filter(|other| *other != place && Some(*other) != self.puppet);
        others.filter(|other| self.knows_more(place, &own, *other)).collect()
    }

    /// Whether another node's journal shows more of an exchange than the restored one's.
    fn knows_more(&self, place: usize, own: &NodeId, other: usize) -> bool {
        let theirs = self.ledgers[other].account(own);
        let ours = self.ledgers[place].account(&self.ids[other]);
        let (Some(theirs), Some(ours)) = (theirs, ours) else { return theirs.is_some() };
        (0..4).any(|lane| {
            let (theirs, ours) = (&theirs.lanes[lane], &ours.lanes[lane]);
            let receipted = theirs.receipted.last_key_value().map_or(0, |(seq, _)| *seq);
            theirs.received.len() > ours.sent.len() || receipted > ours.received.len() as u64
        })
    }
}
