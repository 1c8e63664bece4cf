//! Records about agreements.

use crate::trust::Person;
use aldis_wire::codec::{Decode, Encode};
use aldis_wire::ids::{NodeId, UnixMillis};
use aldis_wire::kinds::Terms;

/// An administrator set our terms towards a peer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AgreementSet {
    /// Towards whom.
    pub peer: NodeId,
    /// The terms.
    pub terms: Terms,
    /// Who did it.
    pub by: Person,
    /// When.
    pub at: UnixMillis,
}

/// A peer's terms took the place of the ones before.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AgreementTaken {
    /// Whose.
    pub peer: NodeId,
    /// The terms.
    pub terms: Terms,
    /// When.
    pub at: UnixMillis,
}
