//! What tests of the node's parts begin with: a node's own key and card, and a journal that stays small.

use crate::journal;
use crate::own::Own;
use aldis_wire::card::{CARD_VERSION, Card, VerifiedCard};
use aldis_wire::codec::{Blob, List, Text};
use aldis_wire::codes::Extensions;
use aldis_wire::ids::{NodeId, UnixMillis};
use aldis_wire::signing::IdentityKey;

/// `cert.br`, whose key is made from [`SEED`].
pub(crate) fn own() -> Own {
    let key = IdentityKey::from_seed(&SEED);
    let card = Card {
        version: CARD_VERSION,
        id: NodeId::new("cert.br").unwrap(),
        name: Text::cut("CERT"),
        country: Text::cut("XX"),
        identity_key: *key.public().as_bytes(),
        tls_certificate: Blob::default(),
        tls_name: None,
        endpoints: List::empty(),
        contacts: List::empty(),
        kinds: List::empty(),
        issued_at: UnixMillis::new(0),
        valid_until: UnixMillis::new(0),
        sequence: 1,
        extensions: Extensions::default(),
    };
    let card: VerifiedCard = card.sign(&key);
    Own::new(key.into(), card)
}

/// The seed of its identity key.
pub(crate) const SEED: [u8; 32] = [1; 32];

/// A journal without a reserve, whose segments are made when they are needed.
pub(crate) fn small_journal() -> journal::Options {
    let mut options = journal::Options::default();
    (options.segment_bytes, options.reserve_bytes, options.prepare_ahead) = (1 << 20, 0, false);
    options
}
