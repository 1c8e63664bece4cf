//! What came of a comm check of ours.

use crate::checks::CheckEnd;
use aldis_wire::codec::{Decode, Encode};
use aldis_wire::ids::{NodeId, Seq, UnixMillis};

/// A comm check of ours ended. Who sent it, and when, stands in the record of its envelope.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Checked {
    /// Who was checked.
    pub peer: NodeId,
    /// The check's place in the lane of checks.
    pub seq: Seq,
    /// Whether it was for people.
    pub human: bool,
    /// What came of it.
    pub end: CheckEnd,
    /// How long it took, in milliseconds; `None` if nothing came, or the node was restarted meanwhile.
    pub round_trip_ms: Option<u64>,
    /// The peer's clock minus ours, in milliseconds, as far as a reply tells.
    pub clock_difference_ms: Option<i64>,
    /// Until when the peer's certificate is good, as its reply says.
    pub certificate_valid_until: Option<UnixMillis>,
    /// When.
    pub at: UnixMillis,
}
