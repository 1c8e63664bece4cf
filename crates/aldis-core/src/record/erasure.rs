//! Erasures: bodies are the one thing the journal can lose, and only after a record says so.

use super::RecordSeq;
use aldis_wire::codec::{Decode, Encode};
use aldis_wire::ids::UnixMillis;

/// The body beside a record was erased. Why stands in a record of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BodyErased {
    /// Beside which record it lay.
    pub record: RecordSeq,
    /// When.
    pub at: UnixMillis,
}
