//! Messages that were given out of the node's care.

use aldis_wire::codec::{Decode, Encode, List, Text};
use aldis_wire::ids::{EnvelopeId, UnixMillis};

/// The most messages one export names. A longer one is several, each on record before it leaves.
pub const EXPORTED_MAX: usize = 1_000;

/// Somebody here took messages out of the node's care; from then on nobody can say where they are. It stands in the
/// journal before the first byte leaves.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Exported {
    /// Which, at least one, each once.
    pub messages: List<EnvelopeId, EXPORTED_MAX>,
    /// Whether their bodies went with them, and not only headers and proofs.
    pub bodies: bool,
    /// Who.
    pub by: Text<128>,
    /// When.
    pub at: UnixMillis,
}
