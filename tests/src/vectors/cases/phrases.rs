//! Spoken phrases: those of two nodes, and the ten bytes that come of each step of the recipe left out. All bytes were
//! made outside, with another implementation of argon2id.

use super::{Set, br_key, cl_key, public};

pub(super) fn add(set: &mut Set) {
    let (br, cl) = (public(&br_key()), public(&cl_key()));
    let longest = "a".repeat(63);
    let mut add = |name: &str, outcome: &str, what: &str, id: &str, key: &str, bytes: &str| {
        let bytes = data_encoding::HEXLOWER.decode(bytes.as_bytes()).expect("it is hexadecimal");
        set.add(&format!("phrase-{name}"), outcome, what, &[("check", "phrase"), ("id", id), ("key", key)], bytes);
    };
    add("good", "ok", "the phrase of cert.br", "cert.br", &br, "221d9aa6e760d1354232");
    add("other-key", "phrase", "the phrase of cert.br for another key", "cert.br", &cl, "221d9aa6e760d1354232");
    add("other-id", "phrase", "the phrase of cert.br for another id", "cert.cl", &br, "221d9aa6e760d1354232");
    add("longest-id", "ok", "an id of 63 bytes", &longest, &br, "b53ca98e9bdebf2825e6");
    add("no-label", "phrase", "stretched without the label", "cert.br", &br, "6b055b580556f62c1419");
    add("no-length", "phrase", "the id without its length", "cert.br", &br, "ef8e0b8c1be9f1c4ad87");
    add("other-salt", "phrase", "stretched with another salt", "cert.br", &br, "232487233a6ad534755c");
    add("two-passes", "phrase", "stretched with two passes", "cert.br", &br, "41ec68986ede89d36556");
}
