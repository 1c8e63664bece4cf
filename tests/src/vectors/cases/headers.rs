//! Headers.

use super::super::raw::{Raw, RawHeader};
use super::{Set, extensions, header, longer, replaced, shorter};

const BODY: &[u8] = b"body";

pub(super) fn add(set: &mut Set) {
    valid(set);
    contradictions(set);
    malformed(set);
    lengths(set);
    wanted(set);
}

fn one(set: &mut Set, name: &str, outcome: &str, what: &str, bytes: Vec<u8>) {
    set.add(&format!("header-{name}"), outcome, what, &[("check", "header")], bytes);
}

fn changed(set: &mut Set, name: &str, outcome: &str, what: &str, change: impl FnOnce(&mut RawHeader)) {
    let mut header = header(BODY);
    change(&mut header);
    one(set, name, outcome, what, header.encode());
}

fn valid(set: &mut Set) {
    changed(set, "full", "ok", "every field set", |_| ());
    changed(set, "plain", "ok", "every optional field absent, the first of its lane", |h| {
        h.also_to.clear();
        h.lane = 0;
        h.seq = 1;
        h.previous = [0; 32];
        h.received = None;
        h.references.clear();
        h.released_by = None;
        h.on_behalf_of = None;
        h.exercise = None;
    });
    changed(set, "unknown-extension", "ok", "extensions of a newer version are kept", |h| {
        h.extensions = vec![(900, vec![1, 2]), (901, vec![])];
    });
    changed(set, "recalls", "ok", "it recalls a message", |h| h.references[0].0 = 4);
    changed(set, "unknown-codes", "ok", "an unknown desk, TLP, kind and reference role are kept", |h| {
        h.desk = 77;
        h.tlp = 999;
        h.kind = "poem".into();
        h.kind_version = 9;
        h.references[0].0 = 12;
    });
    changed(set, "references", "ok", "as many references as allowed", |h| {
        h.references = vec![h.references[0].clone(); 8];
    });
}

fn contradictions(set: &mut Set) {
    let mut one = |name: &str, what: &str, change: fn(&mut RawHeader)| {
        changed(set, name, "contradiction", what, change);
    };
    one("to-self", "sender and recipient are the same", |h| h.to.clone_from(&h.from));
    one("to-twice", "the recipient stands among the others", |h| h.also_to[1].clone_from(&h.to));
    one("first-with-previous", "the first of a lane names a previous", |h| h.seq = 1);
    one("previous-missing", "a later one names none", |h| h.previous = [0; 32]);
    one("incarnation-zero", "incarnation 0", |h| h.incarnation = 0);
    one("kind-version-zero", "kind version 0", |h| h.kind_version = 0);
    one("no-tlp", "no TLP label", |h| h.tlp = 0);
    one("no-author", "no author", |h| h.author.clear());
    one("exercise-unnamed", "an exercise without a name", |h| h.exercise = Some(String::new()));
    one("body-long", "a body of one byte over the bound", |h| h.body_length = 49_153);
    changed(set, "version-2", "version", "another protocol version", |h| h.version = 2);
    changed(set, "version-0", "version", "protocol version 0", |h| h.version = 0);
}

fn malformed(set: &mut Set) {
    let good = header(BODY).encode();
    one(set, "cut", "malformed", "the last byte is missing", shorter(&good));
    one(set, "trailing", "malformed", "a byte follows", longer(&good));
    one(set, "empty", "malformed", "no bytes", Vec::new());
    one(set, "wide-version", "malformed", "the version in a wider form", [&[251, 0, 1], &good[1..]].concat());
    let accented = replaced(&good, b"duty officer", b"duty\xffofficer");
    one(set, "author-not-utf8", "malformed", "an author that is not UTF-8", accented);
    // The digest of the mark stands behind its seq; the byte before the lane says that there is a mark.
    let no_option =
        replaced(&good, &[&[1, 0, 4], [4; 32].as_slice()].concat(), &[&[2, 0, 4], [4; 32].as_slice()].concat());
    one(set, "option-2", "malformed", "an optional that begins with 2", no_option);
    let mut one = |name: &str, what: &str, change: fn(&mut RawHeader)| {
        changed(set, name, "malformed", what, change);
    };
    one("lane-5", "no such lane", |h| h.lane = 5);
    one("seq-zero", "sequence number 0", |h| h.seq = 0);
    one("time-far", "a time beyond the year 9999", |h| h.expires_at = 253_402_300_800_000);
    one("id-upper", "a node id with a capital", |h| h.from = "Cert.br".into());
    one("kind-empty", "no kind", |h| h.kind.clear());
    one("author-long", "an author one byte over the bound", |h| h.author = "a".repeat(129));
    one("exercise-long", "an exercise one byte over the bound", |h| h.exercise = Some("a".repeat(65)));
    one("references-nine", "nine references", |h| h.references = vec![h.references[0].clone(); 9]);
    one("also-to-256", "256 other recipients", |h| h.also_to = (0..256).map(|i| format!("n{i}")).collect());
    one("desk-wide", "a desk over 65,535", |h| h.desk = 65_536);
    one("extension-order", "extension tags that do not ascend", |h| h.extensions = extensions(&[9, 8], b"x"));
    one("extension-long", "an extension one byte over the bound", |h| h.extensions = extensions(&[9], &[0; 1025]));
}

fn lengths(set: &mut Set) {
    let sized = |length: usize| {
        let mut sample = header(BODY);
        sample.extensions = extensions(&[1, 2, 3, 4, 5, 6, 7], &[0; 1024]);
        let rest = length - sample.encode().len() - 4;
        sample.extensions.push((8, vec![0; rest]));
        let bytes = sample.encode();
        assert_eq!(bytes.len(), length);
        bytes
    };
    one(set, "longest", "ok", "8,192 bytes", sized(8_192));
    one(set, "long", "too-long", "8,193 bytes", sized(8_193));
}

/// The extension that wants an acknowledgement: whatever stands in it, the header is good.
fn wanted(set: &mut Set) {
    let year = 366 * 86_400_u32;
    let number = |number: u32| Raw::default().number(number.into()).0;
    let cases = [
        ("least", "an acknowledgement is wanted within one second", number(1)),
        ("most", "within a year", number(year)),
        ("zero", "within no time: says nothing", number(0)),
        ("late", "within more than a year: says nothing", number(year + 1)),
        ("nothing", "no bytes: says nothing", Vec::new()),
        ("wide", "in a wider form than it needs: says nothing", vec![251, 0, 9]),
        ("cut", "ends early: says nothing", vec![252, 0, 0, 3]),
        ("trailing", "a byte follows: says nothing", vec![9, 9]),
        ("u64", "of 64 bits: says nothing", vec![253, 0, 0, 0, 1, 0, 0, 0, 0]),
    ];
    for (name, what, bytes) in cases {
        changed(set, &format!("wanted-{name}"), "ok", what, |h| h.extensions = vec![(1, bytes), (900, vec![7])]);
    }
}
