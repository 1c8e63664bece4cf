//! The cases, one file per layer. Each valid one has beside it the ones that differ by one defect.

mod bodies;
mod carried;
mod envelopes;
mod frames;
mod headers;
mod live;
mod phrases;
mod primitives;
mod rotations;
mod signed;

use super::raw::{RawExtensions, RawHeader};
use super::{Case, Data, hex, judge};
use aldis_wire::signing::IdentityKey;
use sha2::{Digest as _, Sha256};

/// Every case, always the same.
pub fn all() -> Vec<Case> {
    let mut set = Set(Vec::new());
    primitives::add(&mut set);
    headers::add(&mut set);
    envelopes::add(&mut set);
    signed::add(&mut set);
    frames::add(&mut set);
    bodies::add(&mut set);
    carried::add(&mut set);
    live::add(&mut set);
    rotations::add(&mut set);
    phrases::add(&mut set);
    set.0
}

/// The salt of the sample envelopes.
const SALT: [u8; 16] = [0x5a; 16];

/// The exported keying material of the sample link.
const EXPORTER: [u8; 32] = [0xe7; 32];

/// 2026-11-22T03:00:00.123Z.
const NOW: u64 = 1_795_316_400_123;

/// Cases in the making.
struct Set(Vec<Case>);

impl Set {
    fn add(&mut self, name: &str, outcome: &str, what: &str, inputs: &[(&str, &str)], bytes: Vec<u8>) {
        self.add_data(name, outcome, what, inputs, Data::Bytes(bytes));
    }

    fn add_data(&mut self, name: &str, outcome: &str, what: &str, inputs: &[(&str, &str)], data: Data) {
        let inputs = inputs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut case =
            Case { name: name.into(), outcome: outcome.into(), what: what.into(), inputs, shows: None, data };
        if outcome == "ok" {
            case.shows = judge(&case).ok().and_then(Result::ok).map(|shown| shown.to_string());
        }
        assert!(self.0.iter().all(|other| other.name != name), "two cases of the name {name}");
        self.0.push(case);
    }
}

/// The identity key of cert.br, the sender of the samples.
fn br_key() -> IdentityKey {
    IdentityKey::from_seed(&[1; 32])
}

/// The identity key of cert.cl, the recipient of the samples.
fn cl_key() -> IdentityKey {
    IdentityKey::from_seed(&[2; 32])
}

fn public(key: &IdentityKey) -> String {
    hex(key.public().as_bytes())
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// Extensions, each with the bytes given.
fn extensions(tags: &[u64], bytes: &[u8]) -> RawExtensions {
    tags.iter().map(|tag| (*tag, bytes.to_vec())).collect()
}

/// A header with every field set, over `body` and [`SALT`].
fn header(body: &[u8]) -> RawHeader {
    RawHeader {
        version: 1,
        key_id: br_key().id().0,
        incarnation: 0x1122_3344_5566_7788,
        from: "cert.br".into(),
        to: "cert.cl".into(),
        also_to: vec!["cert.uy".into(), "csirt-americas.oas.org".into()],
        desk: 1,
        lane: 2,
        seq: 17,
        previous: [0x16; 32],
        received: Some((0, 4, [0x04; 32])),
        sent_at: NOW,
        expires_at: NOW + 86_400_000,
        case: [0xca; 16],
        references: vec![(1, "cert.cl".into(), "cert.br".into(), (0, 4, [0x04; 32]))],
        author: "duty officer".into(),
        released_by: Some("head of shift".into()),
        on_behalf_of: Some("a provider".into()),
        tlp: 3,
        exercise: Some("cyber shield 26".into()),
        kind: "incident".into(),
        kind_version: 1,
        body_length: body.len() as u64,
        body_commitment: sha256(&[&SALT, body]),
        extensions: Vec::new(),
    }
}

/// `bytes` with the first `from` in them replaced by `to`.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).expect("the sample holds what is replaced");
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

/// `bytes` with one bit of the byte at `at` changed.
fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[at] ^= 1;
    changed
}

/// `bytes` and one more.
fn longer(bytes: &[u8]) -> Vec<u8> {
    [bytes, &[0]].concat()
}

/// `bytes` without the last.
fn shorter(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len() - 1].to_vec()
}
