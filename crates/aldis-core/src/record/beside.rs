//! What lies beside a record in the journal: a salt and a body. It is outside the tree of records, so that it can be
//! erased, and bound by a commitment inside the record, so that it cannot be changed.

use super::{Outcome, Record};
use aldis_wire::digest::Digest;
use aldis_wire::envelope::{Salt, commitment};

impl Record {
    /// Whether salt and body are what this record committed to, as the journal keeps them one behind the other; `None`
    /// is nothing at all. Of a body that was erased nobody can say, so it is not asked about.
    pub fn commits_to(&self, beside: Option<&[u8]>) -> bool {
        let committed = match self {
            Self::Sent(sent) => Some(sent.draft.header.body_commitment),
            // The header travelled alone.
            Self::Received(received) if matches!(received.outcome, Outcome::Withheld(_)) => None,
            Self::Received(received) => Some(received.header.body_commitment),
            Self::Drafted(drafted) => Some(drafted.commitment),
            _ => None,
        };
        committed == beside.map(|bytes| committed_by(bytes).unwrap_or(Digest::ZERO))
    }
}

/// The commitment to a salt with a body behind it; `None` where there is not even a salt.
fn committed_by(beside: &[u8]) -> Option<Digest> {
    let (salt, body) = beside.split_first_chunk::<{ size_of::<Salt>() }>()?;
    Some(commitment(salt, body))
}
