//! What a world's nodes let out, noted as it leaves, with how much was on the sender's disk at that moment: an oracle reads
//! it later and judges.

use super::World;
use aldis_core::effect::{Declined, Done, Happening};
use aldis_core::input::Token;
use aldis_core::peer::LinkId;
use aldis_wire::ids::{NodeId, Seq};
use aldis_wire::lane::Lane;
use bytes::Bytes;

/// One thing that left a node, or became of it.
pub(crate) struct Tap {
    pub(crate) place: usize,
    /// How many records were on its disk by then.
    pub(crate) disk: usize,
    /// How many were before the turn.
    pub(crate) before: usize,
    /// Which turn of the node it was.
    pub(crate) turn: u64,
    pub(crate) what: Tapped,
}

/// What it was.
pub(crate) enum Tapped {
    Envelope { link: LinkId, lane: Lane, seq: Seq, bytes: Bytes },
    Receipt { peer: NodeId, bytes: Vec<u8> },
    Replied(Token, Result<Done, Declined>),
    Told(Happening),
    Started,
    Ended,
}

impl World {
    pub(super) fn tap(&mut self, place: usize, what: impl FnOnce() -> Tapped) {
        let node = &self.nodes[place];
        let (disk, before, turn) = (node.records().len(), node.before, node.turns);
        if let Some(taps) = &mut self.taps {
            taps.push(Tap { place, disk, before, turn, what: what() });
        }
    }
}
