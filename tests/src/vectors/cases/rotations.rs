//! Keys that change: where a Hello says the key before ended, and which key must have signed which place.

use super::super::hex;
use super::super::raw::{Raw, RawEnvelope, signed};
use super::envelopes::prove;
use super::signed::hello;
use super::{EXPORTER, SALT, Set, br_key, extensions, header, longer, public, shorter};
use aldis_wire::signing::{Context, IdentityKey};

const BODY: &[u8] = b"what happened";

pub(super) fn add(set: &mut Set) {
    switches(set);
    receipted(set);
    places(set);
}

/// The key of cert.br after its first.
fn next_key() -> IdentityKey {
    IdentityKey::from_seed(&[11; 32])
}

/// The one after that.
fn third_key() -> IdentityKey {
    IdentityKey::from_seed(&[21; 32])
}

fn switches(set: &mut Set) {
    let (key, exporter) = (public(&next_key()), hex(&EXPORTER));
    let mut one = |name: &str, outcome: &str, what: &str, tags: &[u64], extension: &[u8]| {
        let mut hello = hello();
        hello.key_id = next_key().id().0;
        hello.extensions = extensions(tags, extension);
        let inputs = [
            ("check", "hello"),
            ("from", "cert.br"),
            ("to", "cert.cl"),
            ("key", &*key),
            ("role", "dialler"),
            ("exporter", &*exporter),
        ];
        let bytes = signed(&hello.encode(), Context::Hello, &next_key());
        set.add(&format!("hello-switch-{name}"), outcome, what, &inputs, bytes);
    };
    let switch = |last: &[u64]| {
        let raw = Raw::default().fixed(&br_key().id().0);
        last.iter().fold(raw, |raw, last| raw.number(*last)).0
    };
    let good = switch(&[0, 2, 300, 0]);
    one("good", "ok", "the key before signed I2 and P300 last", &[1], &good);
    one("nothing", "ok", "the key before signed nothing", &[1], &switch(&[0; 4]));
    one("three-lanes", "malformed", "a lane is missing", &[1], &switch(&[0, 2, 17]));
    one("five-lanes", "malformed", "a lane too many", &[1], &switch(&[0, 2, 17, 0, 0]));
    one("cut", "malformed", "the last byte is missing", &[1], &shorter(&good));
    one("trailing", "malformed", "a byte follows", &[1], &longer(&good));
    one("empty", "malformed", "an empty extension", &[1], &[]);
    let wide = [&br_key().id().0[..], &[0, 0xfb, 0, 2, 17, 0]].concat();
    one("wide", "malformed", "a number wider than it needs", &[1], &wide);
    one("other-tag", "ok", "another extension is no switch, whatever it holds", &[3], &[]);
}

/// What a Hello says the signer holds receipts for.
fn receipted(set: &mut Set) {
    let (key, exporter) = (public(&br_key()), hex(&EXPORTER));
    let mut one = |name: &str, outcome: &str, what: &str, extension: &[u8]| {
        let mut hello = hello();
        hello.extensions = extensions(&[2], extension);
        let inputs = [
            ("check", "hello"),
            ("from", "cert.br"),
            ("to", "cert.cl"),
            ("key", &*key),
            ("role", "dialler"),
            ("exporter", &*exporter),
        ];
        let bytes = signed(&hello.encode(), Context::Hello, &br_key());
        set.add(&format!("hello-receipted-{name}"), outcome, what, &inputs, bytes);
    };
    let mark = |raw: Raw, lane: u8, seq: u64| raw.fixed(&[lane]).number(seq).fixed(&[7; 32]);
    let good = mark(mark(Raw::default().number(2), 0, 4), 3, 300).0;
    one("good", "ok", "it holds receipts for F4 and R300", &good);
    one("nothing", "ok", "it holds none", &Raw::default().number(0).0);
    one("order", "malformed", "the lanes are not in order", &mark(mark(Raw::default().number(2), 3, 4), 0, 3).0);
    one("lane", "malformed", "a lane that is none", &mark(Raw::default().number(1), 4, 4).0);
    one("cut", "malformed", "the last byte is missing", &shorter(&good));
    one("trailing", "malformed", "a byte follows", &longer(&good));
    one("empty", "malformed", "an empty extension", &[]);
}

fn places(set: &mut Set) {
    let (first, next, third) = (br_key(), next_key(), third_key());
    let mut one = |name: &str, outcome: &str, what: &str, signer: &IdentityKey, ended: &[(&IdentityKey, [u64; 4])]| {
        let mut header = header(BODY);
        header.key_id = signer.id().0;
        let header = header.encode();
        let proof = prove(signer, std::slice::from_ref(&header), 0).encode();
        let bytes = RawEnvelope { header, withheld: 0, salt: SALT, body: BODY.to_vec(), proof }.encode();
        let current = if ended.len() < 2 { next_key() } else { third_key() };
        let ended: Vec<String> = ended.iter().map(|(key, last)| ended_key(key, last)).collect();
        let inputs = [
            ("check", "envelope"),
            ("from", "cert.br"),
            ("to", "cert.cl"),
            ("key", &*public(&current)),
            ("ended", &*ended.join("; ")),
        ];
        set.add(&format!("envelope-key-{name}"), outcome, what, &inputs, bytes);
    };
    one("old-last", "ok", "P17 by the ended key, whose last place it is", &first, &[(&first, [0, 0, 17, 0])]);
    one("old-before", "ok", "P17 by the ended key, which went on", &first, &[(&first, [0, 0, 300, 0])]);
    one("old-after", "unknown-key", "P17 by a key that ended at P16", &first, &[(&first, [9, 9, 16, 300])]);
    one("old-none", "unknown-key", "P17 by a key that signed nothing there", &first, &[(&first, [9, 9, 0, 300])]);
    one("new-first", "ok", "P17 by the key that began there", &next, &[(&first, [9, 9, 16, 300])]);
    one("new-before", "unknown-key", "P17 by a key that began at P18", &next, &[(&first, [0, 0, 17, 0])]);
    let two = |a, b| [(&first, [0, 0, a, 0]), (&next, [0, 0, b, 0])];
    one("middle", "ok", "P17 by the second of three keys", &next, &two(16, 17));
    one("middle-idle", "ok", "P17 by the third, the second signed nothing", &third, &two(16, 16));
    one("third-early", "unknown-key", "P17 by the third, at a place of the second", &third, &two(16, 17));
    one("first-late", "unknown-key", "P17 by the first, at a place of the second", &first, &two(16, 17));
}

/// An ended key and its last place per lane, as files name it.
fn ended_key(key: &IdentityKey, last: &[u64; 4]) -> String {
    let last = last.map(|last| last.to_string());
    format!("{} {}", public(key), last.join(" "))
}
