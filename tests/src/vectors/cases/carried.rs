//! Bodies that carry what the machine acts upon: cards, and terms.

use super::super::raw::{Raw, RawExtensions, signed};
use super::signed::card;
use super::{NOW, Set, br_key, cl_key, extensions, flipped, longer, shorter};
use aldis_wire::signing::Context;

pub(super) fn add(set: &mut Set) {
    for kind in ["card", "key-rotation"] {
        cards(set, kind);
    }
    agreements(set);
    agreement_defects(set);
}

fn cards(set: &mut Set, kind: &str) {
    let body = |card: &[u8], extensions: &RawExtensions| Raw::default().bytes(card).extensions(extensions).0;
    let mut one = |name: &str, outcome: &str, what: &str, bytes: Vec<u8>| {
        let inputs = [("check", "body"), ("kind", kind), ("kind-version", "1")];
        set.add(&format!("body-{kind}-{name}"), outcome, what, &inputs, bytes);
    };
    let inner = card().encode();
    let card = signed(&inner, Context::Card, &br_key());
    let good = body(&card, &Vec::new());
    one("good", "ok", "a card", good.clone());
    let newer = extensions(&[900], b"x");
    one("unknown-extension", "ok", "a field of a newer version is kept", body(&card, &newer));
    let by_another = signed(&inner, Context::Card, &cl_key());
    one("not-its-own", "malformed", "a card signed by another key", body(&by_another, &Vec::new()));
    let changed = body(&flipped(&card, 40), &Vec::new());
    one("changed", "malformed", "a card changed after signing", changed);
    one("card-trailing", "malformed", "a byte follows within the card", body(&longer(&card), &Vec::new()));
    one("no-card", "malformed", "no card", body(&[], &Vec::new()));
    one("bare", "malformed", "a card without its length before it", [&card[..], &[0]].concat());
    one("long", "malformed", "41,089 bytes where a card should be", body(&vec![0; 41_089], &Vec::new()));
    one("cut", "malformed", "the last byte is missing", shorter(&good));
    one("trailing", "malformed", "a byte follows", longer(&good));
}

/// Terms, as far as the cases change them.
#[derive(Clone)]
struct Terms {
    sequence: u64,
    kinds: Vec<String>,
    highest_tlp: u64,
    flash_per_day: u64,
    messages_per_hour: u64,
    bytes_per_hour: u64,
    acknowledge_within_s: Vec<u64>,
    expires_at: u64,
    extensions: RawExtensions,
}

fn terms() -> Terms {
    Terms {
        sequence: 3,
        kinds: vec!["incident".into(), "hotline".into()],
        highest_tlp: 3,
        flash_per_day: 5,
        messages_per_hour: 300,
        bytes_per_hour: 10_000_000,
        acknowledge_within_s: vec![900, 3_600, 0, 0],
        expires_at: NOW + 31_536_000_000,
        extensions: Vec::new(),
    }
}

fn agreement(terms: &Terms) -> Vec<u8> {
    let raw = Raw::default().number(terms.sequence).list(&terms.kinds, |raw, kind| raw.text(kind));
    let raw = raw.number(terms.highest_tlp).number(terms.flash_per_day).number(terms.messages_per_hour);
    let raw = raw.number(terms.bytes_per_hour);
    let raw = terms.acknowledge_within_s.iter().fold(raw, |raw, within| raw.number(*within));
    raw.number(terms.expires_at).extensions(&terms.extensions).0
}

fn one(set: &mut Set, name: &str, outcome: &str, what: &str, bytes: Vec<u8>) {
    let inputs = [("check", "body"), ("kind", "agreement"), ("kind-version", "1")];
    set.add(&format!("body-agreement-{name}"), outcome, what, &inputs, bytes);
}

fn changed(set: &mut Set, name: &str, outcome: &str, what: &str, change: impl FnOnce(&mut Terms)) {
    let mut terms = terms();
    change(&mut terms);
    one(set, name, outcome, what, agreement(&terms));
}

fn agreements(set: &mut Set) {
    changed(set, "good", "ok", "two kinds, and two lanes with a time", |_| ());
    changed(set, "every-kind", "ok", "no kind named: every kind", |t| t.kinds.clear());
    changed(set, "kinds-64", "ok", "as many kinds as allowed, one unknown to most", |t| {
        t.kinds = (0..64).map(|number| format!("kind-{number}")).collect();
    });
    changed(set, "no-flash", "ok", "no FLASH", |t| t.flash_per_day = 0);
    changed(set, "red", "ok", "every label", |t| t.highest_tlp = 1);
    changed(set, "least", "ok", "one message and one byte an hour", |t| {
        (t.messages_per_hour, t.bytes_per_hour) = (1, 1);
    });
    changed(set, "most", "ok", "the highest numbers", |t| {
        (t.flash_per_day, t.messages_per_hour) = (u64::from(u32::MAX), u64::from(u32::MAX));
        (t.sequence, t.bytes_per_hour) = (u64::MAX, u64::MAX);
        t.acknowledge_within_s = vec![366 * 86_400; 4];
    });
    changed(set, "unknown-extension", "ok", "a field of a newer version is kept", |t| {
        t.extensions = extensions(&[900], b"x");
    });
    changed(set, "attachment-max", "ok", "no attachment over 5 GiB, which is more than there can be", |t| {
        t.extensions = vec![(1, 5_368_709_120_u64.to_be_bytes().to_vec())];
    });
    changed(set, "no-attachment", "ok", "no attachment", |t| t.extensions = vec![(1, vec![0; 8])]);
}

fn agreement_defects(set: &mut Set) {
    let mut bad = |name: &str, what: &str, change: fn(&mut Terms)| changed(set, name, "malformed", what, change);
    bad("sequence-zero", "sequence 0", |t| t.sequence = 0);
    bad("kinds-65", "65 kinds", |t| t.kinds = (0..65).map(|number| format!("kind-{number}")).collect());
    bad("kind-twice", "a kind twice", |t| t.kinds.push("incident".into()));
    bad("kind", "a kind that is no code", |t| t.kinds.push("two words".into()));
    bad("label-zero", "label 0", |t| t.highest_tlp = 0);
    bad("label-unknown", "a label this version does not know", |t| t.highest_tlp = 6);
    bad("messages-zero", "no messages", |t| t.messages_per_hour = 0);
    bad("bytes-zero", "no bytes", |t| t.bytes_per_hour = 0);
    bad("flash-wide", "a number over 32 bits", |t| t.flash_per_day = 1 << 32);
    bad("within-long", "more than a year", |t| t.acknowledge_within_s[3] = 366 * 86_400 + 1);
    bad("within-three", "a lane is missing", |t| t.acknowledge_within_s.truncate(3));
    bad("far", "a time beyond the year 9999", |t| t.expires_at = 253_402_300_800_000);
    bad("attachment-max-short", "a largest attachment of seven bytes", |t| t.extensions = vec![(1, vec![0; 7])]);
    bad("attachment-max-long", "a largest attachment of nine bytes", |t| t.extensions = vec![(1, vec![0; 9])]);
    let good = agreement(&terms());
    one(set, "cut", "malformed", "the last byte is missing", shorter(&good));
    one(set, "trailing", "malformed", "a byte follows", longer(&good));
}
