//! A node's identity keys, made and lost, and the card and the proofs that they sign.

use super::Node;
use aldis_wire::card::{CARD_VERSION, Card, VerifiedCard};
use aldis_wire::codec::{self, Blob, List};
use aldis_wire::codes::Extensions;
use aldis_wire::digest::Digest;
use aldis_wire::ids::{KeyId, NodeId, UnixMillis};
use aldis_wire::signing::{Identities, IdentityKey};

impl Node {
    /// Makes a next identity key and a card with it.
    pub(crate) fn next_key(&mut self) -> VerifiedCard {
        let seed = [self.seeds[0][0] + 16 * u8::try_from(self.seeds.len()).expect("few keys"); 32];
        self.seeds.push(seed);
        let (newest, earlier) = self.seeds.split_last().expect("a node has a key");
        let earlier = earlier.iter().map(IdentityKey::from_seed).collect();
        self.identities = Identities::new(IdentityKey::from_seed(newest), earlier);
        self.key = IdentityKey::from_seed(newest);
        let mut card = card(&self.id, &self.key);
        card.sequence = self.card.card().sequence + 1;
        self.card = card.sign(&self.key);
        self.card.clone()
    }

    /// Forgets every key but the newest: they were lost.
    pub(crate) fn lose_earlier_keys(&mut self) {
        let newest = *self.seeds.last().expect("a node has a key");
        self.seeds = vec![newest];
        self.identities = IdentityKey::from_seed(&newest).into();
    }

    /// Has the key before again, and the card of then: the files are of that time.
    pub(crate) fn lose_newest_key(&mut self, card: VerifiedCard) {
        self.seeds.pop();
        let (newest, earlier) = self.seeds.split_last().expect("there was a key before");
        let earlier = earlier.iter().map(IdentityKey::from_seed).collect();
        self.identities = Identities::new(IdentityKey::from_seed(newest), earlier);
        (self.key, self.card) = (IdentityKey::from_seed(newest), card);
    }

    /// The ids of the keys this node signs with.
    pub(crate) fn usable(&self) -> Vec<KeyId> {
        self.seeds.iter().map(|seed| IdentityKey::from_seed(seed).id()).collect()
    }
}

/// A card that reads what this program writes.
pub(crate) fn card(id: &NodeId, key: &IdentityKey) -> Card {
    Card {
        version: CARD_VERSION,
        id: id.clone(),
        name: super::text("a CERT"),
        country: super::text("XX"),
        identity_key: *key.public().as_bytes(),
        // One of its own: two peers never have one.
        tls_certificate: Blob::new(id.as_str().as_bytes().to_vec()).expect("short"),
        tls_name: None,
        endpoints: List::new(vec![super::text("192.0.2.1:7744")]).expect("short"),
        contacts: List::empty(),
        kinds: aldis_wire::kinds::kind_versions(),
        issued_at: UnixMillis::new(super::START_MS - 1_000),
        valid_until: UnixMillis::new(super::START_MS + 4_000 * 24 * 3_600_000),
        sequence: 1,
        extensions: Extensions::default(),
    }
}

/// The proof's bytes of a batch of one.
pub(crate) fn proof_of(key: &IdentityKey, header: Digest) -> Vec<u8> {
    codec::encode(&aldis_wire::proof::sign_batch(key, &[header])[0])
}
