//! What this node is to its peers at the moment: its identity keys and its newest card. Clones share both. Keys are added
//! and never taken away while the node runs, because a peer may still expect an earlier one.

use aldis_wire::card::VerifiedCard;
use aldis_wire::ids::{KeyId, NodeId};
use aldis_wire::signing::{Identities, IdentityKey};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// The node's keys and card.
#[derive(Clone)]
pub struct Own {
    id: NodeId,
    identities: Arc<RwLock<Identities>>,
    card: Arc<RwLock<Arc<VerifiedCard>>>,
}

impl Own {
    /// A node with these keys and this card, which the newest key signed.
    pub fn new(identities: Identities, card: VerifiedCard) -> Self {
        let id = card.card().id.clone();
        Self { id, identities: Arc::new(RwLock::new(identities)), card: Arc::new(RwLock::new(Arc::new(card))) }
    }

    /// The node's id, which never changes.
    pub fn id(&self) -> &NodeId {
        &self.id
    }

    /// The newest card.
    pub fn card(&self) -> Arc<VerifiedCard> {
        Arc::clone(&self.card.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the card; Hellos from now on name it.
    pub fn set_card(&self, card: VerifiedCard) {
        *self.card.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(card);
    }

    /// The keys, for signing. Held only as long as a signature or a commit takes.
    pub fn identities(&self) -> RwLockReadGuard<'_, Identities> {
        self.identities.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a key, which is the newest from now on.
    pub fn add_key(&self, key: IdentityKey) {
        self.identities.write().unwrap_or_else(PoisonError::into_inner).add(key);
    }

    /// The ids of the keys this node can sign with.
    pub fn usable(&self) -> Vec<KeyId> {
        self.identities().ids()
    }
}

impl std::fmt::Debug for Own {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Own").field("id", &self.id).finish_non_exhaustive()
    }
}
