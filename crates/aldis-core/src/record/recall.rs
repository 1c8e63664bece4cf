//! Messages taken back before they left.

use aldis_wire::codec::{Decode, Encode, Text};
use aldis_wire::ids::{NodeId, Seq, UnixMillis};
use aldis_wire::lane::Lane;

/// An operator took a message back before it was relayed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Recalled {
    /// For whom it was.
    pub peer: NodeId,
    /// In which lane.
    pub lane: Lane,
    /// At which place.
    pub seq: Seq,
    /// Why, as the recall would have said it.
    pub why: Text<200>,
    /// Who did it.
    pub by: Text<128>,
    /// When.
    pub at: UnixMillis,
}
