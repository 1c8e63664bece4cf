//! Proofs and envelopes.

use super::super::hex;
use super::super::raw::{RawEnvelope, RawHeader, RawProof};
use super::{SALT, Set, br_key, cl_key, flipped, header, longer, public, replaced, sha256, shorter};
use aldis_wire::digest::Digest;
use aldis_wire::merkle;
use aldis_wire::signing::{Context, IdentityKey};

const BODY: &[u8] = b"what happened";

pub(super) fn add(set: &mut Set) {
    batches(set);
    broken_proofs(set);
    valid(set);
    misdirected(set);
    broken_parts(set);
    lengths(set);
}

/// The headers of a batch, as bytes.
fn batch(size: usize) -> Vec<Vec<u8>> {
    let of = |seq| RawHeader { seq, ..header(BODY) }.encode();
    (17..).map(of).take(size).collect()
}

fn leaf(header: &[u8]) -> Digest {
    Digest::from_bytes(sha256(&[&[0], header]))
}

/// The proof of the header at `index`.
pub(super) fn prove(key: &IdentityKey, headers: &[Vec<u8>], index: usize) -> RawProof {
    let leaves: Vec<Digest> = headers.iter().map(|header| leaf(header)).collect();
    let size = u32::try_from(headers.len()).expect("the batch is small");
    let payload = [&size.to_be_bytes(), merkle::root(&leaves).as_bytes().as_slice()].concat();
    RawProof {
        size: size.into(),
        index: index as u64,
        path: merkle::audit_path(&leaves, index),
        signature: key.sign(Context::Envelope, &payload).0,
    }
}

fn proof_case(set: &mut Set, name: &str, outcome: &str, what: &str, header: &[u8], bytes: Vec<u8>) {
    let inputs = [("check", "proof"), ("key", &*public(&br_key())), ("header", &*hex(header))];
    set.add(&format!("proof-{name}"), outcome, what, &inputs, bytes);
}

fn batches(set: &mut Set) {
    for (size, indexes) in [(1, vec![0]), (2, vec![0, 1]), (3, vec![0, 2]), (7, vec![0, 3, 5, 6])] {
        let headers = batch(size);
        for index in indexes {
            let bytes = prove(&br_key(), &headers, index).encode();
            let what = format!("header {index} of a batch of {size}");
            proof_case(set, &format!("{index}-of-{size}"), "ok", &what, &headers[index], bytes);
        }
    }
}

fn broken_proofs(set: &mut Set) {
    let headers = batch(7);
    let mut one = |name: &str, outcome: &str, what: &str, change: &dyn Fn(&mut RawProof)| {
        let mut proof = prove(&br_key(), &headers, 2);
        change(&mut proof);
        proof_case(set, name, outcome, what, &headers[2], proof.encode());
    };
    one("index-over", "path", "a place outside the batch", &|proof| proof.index = 7);
    one("size-zero", "path", "an empty batch", &|proof| proof.size = 0);
    one("size-over", "path", "a batch over 2^20", &|proof| proof.size = (1 << 20) + 1);
    one("path-short", "path", "a path that ends below the root", &|proof| proof.path.truncate(2));
    one("path-long", "path", "a path that goes on above the root", &|proof| proof.path.push(Digest::ZERO));
    one("path-changed", "signature", "a path that leads to another root", &|proof| proof.path[1] = Digest::ZERO);
    one("path-swapped", "signature", "the path in another order", &|proof| proof.path.swap(0, 1));
    one("index-other", "signature", "another place in the batch", &|proof| proof.index = 3);
    one("size-other", "signature", "another size, with which the path fits", &|proof| proof.size = 8);
    one("wrong-key", "signature", "signed by another node", &|proof| {
        proof.signature = prove(&cl_key(), &headers, 2).signature;
    });
    one("wrong-context", "signature", "signed for a receipt", &|proof| {
        proof.signature = br_key().sign(Context::Receipt, b"").0;
    });
    one("path-21", "malformed", "a path of 21 digests", &|proof| proof.path = vec![Digest::ZERO; 21]);
    one("index-wide", "malformed", "a place over 32 bits", &|proof| proof.index = 1 << 32);
    let good = prove(&br_key(), &headers, 2).encode();
    proof_case(set, "cut", "malformed", "the last byte of the signature is missing", &headers[2], shorter(&good));
    proof_case(set, "trailing", "malformed", "a byte follows", &headers[2], longer(&good));
    proof_case(set, "other-header", "signature", "the proof of another header of the batch", &headers[3], good);
    // Without the size in the signature, a root of two leaves could pass for a leaf of another tree.
    let inner = prove(&br_key(), &headers[..2], 0);
    proof_case(
        set,
        "unsigned-size",
        "path",
        "size 1 with the path of a batch of 2",
        &headers[0],
        RawProof { size: 1, ..inner }.encode(),
    );
}

/// A whole envelope with this header and body, alone in its batch.
fn envelope(header: &RawHeader, body: &[u8]) -> RawEnvelope {
    let header = header.encode();
    let proof = prove(&br_key(), std::slice::from_ref(&header), 0).encode();
    RawEnvelope { header, withheld: 0, salt: SALT, body: body.to_vec(), proof }
}

fn one(set: &mut Set, name: &str, outcome: &str, what: &str, bytes: Vec<u8>) {
    let inputs = [("check", "envelope"), ("from", "cert.br"), ("to", "cert.cl"), ("key", &*public(&br_key()))];
    set.add(&format!("envelope-{name}"), outcome, what, &inputs, bytes);
}

fn with_header(set: &mut Set, name: &str, outcome: &str, what: &str, change: impl FnOnce(&mut RawHeader)) {
    let mut header = header(BODY);
    change(&mut header);
    one(set, name, outcome, what, envelope(&header, BODY).encode());
}

fn with_parts(set: &mut Set, name: &str, outcome: &str, what: &str, change: impl FnOnce(&mut RawEnvelope)) {
    let mut envelope = envelope(&header(BODY), BODY);
    change(&mut envelope);
    one(set, name, outcome, what, envelope.encode());
}

fn valid(set: &mut Set) {
    with_header(set, "alone", "ok", "an envelope alone in its batch", |_| ());
    let body = super::bodies::plain_incident();
    let example = RawHeader {
        also_to: Vec::new(),
        seq: 1,
        previous: [0; 32],
        received: None,
        references: Vec::new(),
        released_by: None,
        on_behalf_of: None,
        exercise: None,
        ..header(&body)
    };
    let bytes = envelope(&example, &body).encode();
    one(set, "example", "ok", "the first of a lane: docs/protocol.md, section 18", bytes);
    let headers = [header(BODY).encode(), RawHeader { seq: 18, ..header(BODY) }.encode()];
    with_parts(set, "batch", "ok", "an envelope of a batch of two", |envelope| {
        envelope.proof = prove(&br_key(), &headers, 0).encode();
    });
    for (reason, name) in [(1, "expired"), (2, "recalled"), (3, "erased"), (900, "unknown-reason")] {
        with_parts(set, &format!("withheld-{name}"), "ok", "a header without its body", |envelope| {
            (envelope.withheld, envelope.salt, envelope.body) = (reason, [0; 16], Vec::new());
        });
    }
    one(set, "empty-body", "ok", "a body of no bytes", envelope(&header(b""), b"").encode());
    with_header(set, "unknown-kind", "ok", "a kind nobody knows: stored, receipted, then refused", |h| {
        h.kind = "poem".into();
    });
    with_header(set, "unknown-kind-version", "ok", "stored, receipted, then refused", |h| h.kind_version = 99);
    with_header(set, "unknown-desk", "ok", "stored, receipted, then refused", |h| h.desk = 99);
    with_header(set, "unknown-extension", "ok", "a field of a newer version is kept", |h| {
        h.extensions = vec![(900, vec![1])];
    });
}

fn misdirected(set: &mut Set) {
    with_header(set, "from-another", "misrouted", "from a third node", |h| h.from = "cert.ar".into());
    with_header(set, "to-another", "misrouted", "to a third node", |h| h.to = "cert.ar".into());
    with_header(set, "key-id", "unknown-key", "names another key", |h| h.key_id = cl_key().id().0);
    let headers = [header(BODY).encode()];
    with_parts(set, "wrong-key", "signature", "signed by another node", |envelope| {
        envelope.proof = prove(&cl_key(), &headers, 0).encode();
    });
    with_parts(set, "wrong-context", "signature", "signed for another purpose", |envelope| {
        let payload = [&[0, 0, 0, 1], leaf(&headers[0]).as_bytes().as_slice()].concat();
        let signature = br_key().sign(Context::Card, &payload).0;
        envelope.proof = RawProof { signature, ..prove(&br_key(), &headers, 0) }.encode();
    });
    with_parts(set, "no-context", "signature", "the root signed alone, without its size", |envelope| {
        let signature = br_key().sign(Context::Envelope, leaf(&headers[0]).as_bytes()).0;
        envelope.proof = RawProof { signature, ..prove(&br_key(), &headers, 0) }.encode();
    });
    with_parts(set, "path", "path", "a path in a batch of one", |envelope| {
        envelope.proof = RawProof { path: vec![Digest::ZERO], ..prove(&br_key(), &headers, 0) }.encode();
    });
}

fn broken_parts(set: &mut Set) {
    with_parts(set, "header-changed", "signature", "one letter of the author changed after signing", |envelope| {
        envelope.header = replaced(&envelope.header, b"duty officer", b"duty Officer");
    });
    with_parts(set, "body-changed", "body", "one bit of the body changed", |envelope| {
        envelope.body = flipped(&envelope.body, 0);
    });
    with_parts(set, "body-missing", "body", "no body, though it is not withheld", |envelope| envelope.body.clear());
    with_parts(set, "salt-changed", "body", "another salt", |envelope| envelope.salt[0] ^= 1);
    with_header(set, "commitment", "body", "a header that commits to another body", |h| h.body_commitment[0] ^= 1);
    with_header(set, "body-length", "body", "a header that gives another length", |h| h.body_length += 1);
    with_parts(set, "withheld-body", "malformed", "a withheld body that is there", |envelope| {
        (envelope.withheld, envelope.salt) = (1, [0; 16]);
    });
    with_parts(set, "withheld-salt", "malformed", "a withheld body with its salt", |envelope| {
        (envelope.withheld, envelope.body) = (1, Vec::new());
    });
    with_parts(set, "proof-empty", "malformed", "no proof", |envelope| envelope.proof.clear());
    with_parts(set, "proof-trailing", "malformed", "a byte follows the proof", |envelope| envelope.proof.push(0));
    with_parts(set, "header-empty", "malformed", "no header", |envelope| envelope.header.clear());
    with_parts(set, "header-trailing", "malformed", "a byte follows the header", |envelope| envelope.header.push(0));
    with_header(set, "header-version", "version", "a header of another protocol version", |h| h.version = 2);
    with_header(set, "contradiction", "contradiction", "a header without a TLP label", |h| h.tlp = 0);
    let good = envelope(&header(BODY), BODY).encode();
    one(set, "cut", "malformed", "the last byte is missing", shorter(&good));
    one(set, "trailing", "malformed", "a byte follows", longer(&good));
    one(set, "empty", "malformed", "no bytes", Vec::new());
    let salt_and_length = [SALT.as_slice(), &[13]].concat();
    let wide = replaced(&good, &salt_and_length, &[SALT.as_slice(), &[251, 0, 13]].concat());
    one(set, "wide-length", "malformed", "the body's length in a wider form", wide);
    let claim = replaced(&good, &salt_and_length, &[SALT.as_slice(), &[252, 0xff, 0xff, 0xff, 0xff]].concat());
    one(set, "claim", "malformed", "a body of 4 GiB is claimed", claim);
}

fn lengths(set: &mut Set) {
    let body = vec![b'x'; 49_152];
    one(set, "longest-body", "ok", "a body of 49,152 bytes", envelope(&header(&body), &body).encode());
    with_parts(set, "body-long", "malformed", "a body of one byte more", |envelope| envelope.body = vec![b'x'; 49_153]);
    with_parts(set, "proof-long", "malformed", "a proof of 1,025 bytes", |envelope| envelope.proof = vec![0; 1_025]);
    with_parts(set, "header-long", "too-long", "a header of 8,193 bytes", |envelope| envelope.header = vec![0; 8_193]);
}
