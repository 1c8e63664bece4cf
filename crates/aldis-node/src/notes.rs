//! What links notice about their peers and nobody decides on: latency, the other clock, the last thing that went wrong.
//! Kept in memory, one entry per peer, for `status` only.

use aldis_wire::ids::{NodeId, UnixMillis};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What was noticed about one peer.
#[derive(Clone, Debug, Default)]
pub struct PeerNote {
    /// Since when its link is up or down.
    pub link_since: Option<UnixMillis>,
    /// The round trip of the last heartbeat, in milliseconds.
    pub latency_ms: Option<u64>,
    /// The peer's clock minus ours, in milliseconds.
    pub clock_difference_ms: Option<i64>,
    /// The last thing that went wrong: a code, what happened and what to do, and when.
    pub last_error: Option<(String, String, UnixMillis)>,
}

/// The notes on all peers; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Notes(Arc<Mutex<BTreeMap<NodeId, PeerNote>>>);

impl Notes {
    /// Changes the note on an enrolled peer.
    pub fn change(&self, peer: &NodeId, change: impl FnOnce(&mut PeerNote)) {
        change(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(peer.clone()).or_default());
    }

    /// The note on a peer.
    pub fn of(&self, peer: &NodeId) -> PeerNote {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(peer).cloned().unwrap_or_default()
    }
}
