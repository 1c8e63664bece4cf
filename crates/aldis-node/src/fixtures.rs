//! What tests of the node's parts begin with: a node's own key and card, and a journal that stays small.

use crate::journal;
use crate::own::Own;
use aldis_core::input::Submission;
use aldis_core::record::{Outcome, Received, Record};
use aldis_wire::card::{CARD_VERSION, Card, VerifiedCard};
use aldis_wire::codec::{Blob, List, Text};
use aldis_wire::codes::{Code, Desk, Extensions, Tlp};
use aldis_wire::digest::Digest;
use aldis_wire::envelope::{Salt, commitment};
use aldis_wire::header::{ExactHeader, Header};
use aldis_wire::ids::{CaseId, Incarnation, NodeId, Seq, UnixMillis};
use aldis_wire::kinds::from_json;
use aldis_wire::lane::Lane;
use aldis_wire::signing::IdentityKey;
use bytes::Bytes;

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

/// The salt of [`header`].
pub(crate) const SALT: Salt = *b"a salt, 16 bytes";

/// The header of a notice of `cert.cl` to `cert.br`, the first in its lane, sent at this time: what belongs to it are
/// [`SALT`] and this body.
pub(crate) fn header(sent_at: UnixMillis, body: &[u8]) -> Header {
    Header {
        version: 1,
        key_id: IdentityKey::from_seed(&[2; 32]).id(),
        incarnation: Incarnation(7),
        from: NodeId::new("cert.cl").unwrap(),
        to: NodeId::new("cert.br").unwrap(),
        also_to: List::empty(),
        desk: Desk::TECHNICAL,
        lane: Lane::Routine,
        seq: Seq::FIRST,
        previous: Digest::ZERO,
        received: None,
        sent_at,
        expires_at: UnixMillis::new(sent_at.get() + 1_000),
        case: CaseId([5; 16]),
        references: List::empty(),
        author: Text::cut("duty officer"),
        released_by: None,
        on_behalf_of: None,
        tlp: Tlp::AMBER,
        exercise: None,
        kind: Code::known("incident"),
        kind_version: 1,
        body_length: u32::try_from(body.len()).unwrap(),
        body_commitment: commitment(&SALT, body),
        extensions: Extensions::default(),
    }
}

/// A notice of `cert.cl` that came at this time: what lies beside it are [`SALT`] and this body.
pub(crate) fn received(at: UnixMillis, body: &[u8]) -> Record {
    let header = ExactHeader::encode(header(at, body)).unwrap();
    Record::Received(Received { header, proof: Blob::default(), bearing: None, outcome: Outcome::Accepted, at })
}

/// What an operator submits to one peer: a body of version 1, good for a day, in the case of [`header`].
pub(crate) fn submission(to: &NodeId, lane: Lane, kind: &'static str, body: serde_json::Value) -> Submission {
    let body = from_json(kind, 1, body).unwrap();
    Submission {
        by: Text::cut("ana (uid 1000)"),
        to: vec![to.clone()],
        salts: vec![SALT],
        desk: Desk::TECHNICAL,
        lane,
        case: CaseId([5; 16]),
        references: List::empty(),
        author: Text::cut("duty officer"),
        on_behalf_of: None,
        tlp: Tlp::AMBER,
        exercise: None,
        kind: Code::known(kind),
        bodies: vec![(1, Bytes::from(body.bytes))],
        bearing: body.summary.bearing,
        attachments: Vec::new(),
        lifetime_ms: 24 * 3_600_000,
        acknowledge_within_s: None,
    }
}
