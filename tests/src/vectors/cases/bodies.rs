//! Bodies of each kind.

use super::super::raw::{Raw, RawExtensions};
use super::{NOW, Set, extensions, longer, shorter};

pub(super) fn add(set: &mut Set) {
    incidents(set);
    incident_defects(set);
    incidents_with_files(set);
    incident_defects_of_files(set);
    acknowledgements(set);
    refusals(set);
    let inputs = [("check", "body"), ("kind", "poem"), ("kind-version", "1")];
    set.add("body-unknown-kind", "unknown-kind", "no such kind", &inputs, vec![0]);
    let inputs = [("check", "body"), ("kind", "incident"), ("kind-version", "3")];
    set.add("body-unknown-version", "unknown-version", "no such version", &inputs, incident(&Incident::default()));
}

/// The body of an incident without any optional field.
pub(super) fn plain_incident() -> Vec<u8> {
    incident(&Incident::default())
}

/// An incident's plain fields, as far as the cases change them.
struct Incident {
    subject: String,
    class: String,
    rsit_type: Option<String>,
    severity: String,
    /// Sectors, assets' kinds, indicators' values: how many entries.
    entries: usize,
    started_at: Option<u64>,
    ended_at: Option<u64>,
    attribution: Option<(String, String)>,
    narrative: String,
    extensions: RawExtensions,
}

impl Default for Incident {
    fn default() -> Self {
        Self {
            subject: "C2 server at a provider".into(),
            class: "malicious-code".into(),
            rsit_type: None,
            severity: "medium".into(),
            entries: 0,
            started_at: None,
            ended_at: None,
            attribution: None,
            narrative: String::new(),
            extensions: Vec::new(),
        }
    }
}

fn incident(one: &Incident) -> Vec<u8> {
    let entries: Vec<usize> = (0..one.entries).collect();
    let time = |raw: Raw, time: Option<u64>| raw.optional(time.as_ref(), |raw, time| raw.number(*time));
    let full = one.entries > 0;
    let raw = Raw::default().text(&one.subject).text(&one.class).optional_text(one.rsit_type.as_deref());
    let raw =
        raw.list(&entries[..entries.len().min(8)], |raw, i| raw.text("csirtamericas").text(&format!("botnet{i}")));
    let raw = raw.text(&one.severity).text("early-warning").text("yes").text("unknown");
    let raw = raw.list(&entries[..entries.len().min(18)], |raw, _| raw.text("energy"));
    let raw = time(raw, one.started_at);
    let raw = time(raw, full.then_some(NOW + 1));
    let raw = time(raw, full.then_some(NOW + 2));
    let raw = time(raw, one.ended_at);
    let raw = raw.list(&entries[..entries.len().min(64)], |raw, i| {
        raw.text(&format!("host {i}")).text("host").optional_text((i % 2 == 0).then_some("banking")).text("exposed")
    });
    let raw = raw.list(&entries, |raw, i| raw.text("ip").text(&format!("192.0.2.{i}")).text("beacon"));
    let raw = raw.text("investigate");
    let raw = time(raw, full.then_some(NOW + 3));
    let raw = raw.text("B").text("2").text("likely").text("criminal");
    let raw = raw.optional(one.attribution.as_ref(), |raw, (text, confidence)| raw.text(text).text(confidence));
    raw.text(&one.narrative).text("pt-BR").extensions(&one.extensions).0
}

fn body(set: &mut Set, kind: &str, name: &str, outcome: &str, what: &str, bytes: Vec<u8>) {
    let inputs = [("check", "body"), ("kind", kind), ("kind-version", "1")];
    set.add(&format!("body-{kind}-{name}"), outcome, what, &inputs, bytes);
}

fn incidents(set: &mut Set) {
    let mut one = |name: &str, what: &str, incident: &Incident| {
        body(set, "incident", name, "ok", what, self::incident(incident));
    };
    one("plain", "no optional field", &Incident::default());
    let full = Incident {
        rsit_type: Some("c2-server".into()),
        entries: 3,
        started_at: Some(NOW),
        ended_at: Some(NOW),
        attribution: Some(("a known group".into(), "low".into())),
        narrative: "Três sistemas.\nمثال\u{202e}\u{7}".into(),
        ..Incident::default()
    };
    one("full", "every field, and text with control and bidirectional characters", &full);
    let most = Incident { entries: 256, ..Incident::default() };
    let trimmed = incident(&most);
    assert!(trimmed.len() < 49_152);
    one("most", "every list as long as allowed", &most);
    one(
        "unknown-code",
        "a severity of a newer version is kept",
        &Incident { severity: "apocalyptic".into(), ..Incident::default() },
    );
    let newer = Incident { class: "psychic".into(), rsit_type: Some("phishing".into()), ..Incident::default() };
    one("unknown-class", "a known type in an unknown class", &newer);
    let newer = Incident { rsit_type: Some("time-travel".into()), ..Incident::default() };
    one("unknown-type", "an unknown type in a known class", &newer);
    let newer = Incident { extensions: extensions(&[900, 901], &[1, 2]), ..Incident::default() };
    one("unknown-extension", "fields of a newer version are kept", &newer);
    one("epoch", "a time at the beginning of 1970", &Incident { started_at: Some(0), ..Incident::default() });
    one("year-9999", "the last time", &Incident { started_at: Some(253_402_128_000_000), ..Incident::default() });
}

fn incident_defects(set: &mut Set) {
    let mut one = |name: &str, what: &str, bytes: Vec<u8>| {
        body(set, "incident", name, "malformed", what, bytes);
    };
    let good = incident(&Incident::default());
    let changed = |change: fn(&mut Incident)| {
        let mut one = Incident::default();
        change(&mut one);
        incident(&one)
    };
    one("cut", "the last byte is missing", shorter(&good));
    one("trailing", "a byte follows", longer(&good));
    one("empty", "no bytes", Vec::new());
    one("no-subject", "no subject", changed(|i| i.subject.clear()));
    one("blank-subject", "a subject of white space", changed(|i| i.subject = " \t\u{a0}\u{2003}\u{3000}".into()));
    one("long-subject", "a subject of 201 bytes", changed(|i| i.subject = "s".repeat(201)));
    one("class", "a class that is no code", changed(|i| i.class = "malicious code".into()));
    one("type", "a type of another class", changed(|i| i.rsit_type = Some("phishing".into())));
    one("ended", "an end before the beginning", changed(|i| (i.started_at, i.ended_at) = (Some(NOW), Some(NOW - 1))));
    one("far", "a time beyond the year 9999", changed(|i| i.started_at = Some(253_402_300_800_000)));
    one("indicators-257", "257 indicators", changed(|i| i.entries = 257));
    one("long-narrative", "a narrative of 32,769 bytes", changed(|i| i.narrative = "n".repeat(32_769)));
    one("extension-order", "tags out of order", changed(|i| i.extensions = extensions(&[9, 8], b"x")));
}

/// A file's plain fields.
type File = ([u8; 32], u64, String, String);

fn file(byte: u8) -> File {
    ([byte; 32], 1_048_577, format!("image {byte}.bin"), "application/octet-stream".into())
}

fn with_files(files: &[File]) -> Vec<u8> {
    let raw = Raw::default().fixed(&plain_incident());
    raw.list(files, |raw, (digest, size, name, kind)| raw.fixed(digest).number(*size).text(name).text(kind)).0
}

fn files_body(set: &mut Set, name: &str, outcome: &str, what: &str, bytes: Vec<u8>) {
    let inputs = [("check", "body"), ("kind", "incident"), ("kind-version", "2")];
    set.add(&format!("body-incident-files-{name}"), outcome, what, &inputs, bytes);
}

fn incidents_with_files(set: &mut Set) {
    let mut one = |name: &str, what: &str, files: &[File]| files_body(set, name, "ok", what, with_files(files));
    one("one", "one file", &[file(1)]);
    let most: Vec<File> = (1..=16).map(|n| (file(n).0, 1, "n".repeat(255), format!("a/{}", "t".repeat(125)))).collect();
    one("most", "as many as allowed, with names and media types as long as allowed", &most);
    one("largest", "a file of 4 GiB", &[(file(1).0, 4_294_967_296, "a".into(), "a/b".into())]);
    let odd = ([0; 32], 1, "تقرير\u{202e}fdp.exe".into(), "x-!#$&^_.+-/9".into());
    one("odd", "a name that displays otherwise, and odd letters in a media type", &[odd]);
}

fn incident_defects_of_files(set: &mut Set) {
    let mut one = |name: &str, what: &str, files: &[File]| files_body(set, name, "malformed", what, with_files(files));
    let named = |name: &str| [(file(1).0, 1, name.into(), "a/b".into())];
    let typed = |kind: &str| [(file(1).0, 1, "a".into(), kind.into())];
    one("none", "no file", &[]);
    one("17", "17 files", &(1..=17).map(file).collect::<Vec<_>>());
    one("twice", "one digest twice, under two names", &[file(1), (file(1).0, 9, "other".into(), "a/b".into())]);
    one("empty", "a file of no bytes", &[(file(1).0, 0, "a".into(), "a/b".into())]);
    one("over", "a byte more than 4 GiB", &[(file(1).0, 4_294_967_297, "a".into(), "a/b".into())]);
    one("no-name", "a name of white space", &named(" \u{a0}"));
    one("long-name", "a name of 256 bytes", &named(&"n".repeat(256)));
    one("folder", "a name with a slash", &named("../etc/passwd"));
    one("backslash", "a name with a backslash", &named("c:\\probe"));
    one("above", "the folder above", &named(".."));
    one("control", "a name with a control character", &named("a\u{85}b"));
    one("no-type", "no media type", &typed(""));
    one("one-word", "a media type without a slash", &typed("text"));
    one("two-slashes", "a media type with two slashes", &typed("a/b/c"));
    one("parameter", "a media type with a parameter", &typed("text/html; charset=utf-8"));
    let plain = plain_incident();
    files_body(set, "version-1", "malformed", "a body of version 1", plain);
    files_body(set, "trailing", "malformed", "a byte follows", longer(&with_files(&[file(1)])));
}

fn acknowledgement(state: &str, status: Option<&str>, until: Option<u64>) -> Vec<u8> {
    let raw = Raw::default().text(state).optional_text(status).optional_text(status.map(|_| "cannot-process"));
    raw.optional(until.as_ref(), |raw, until| raw.number(*until)).text("a court order is needed").extensions(&[]).0
}

fn acknowledgements(set: &mut Set) {
    let mut one = |name: &str, outcome: &str, what: &str, bytes: Vec<u8>| {
        body(set, "acknowledgement", name, outcome, what, bytes);
    };
    one("seen", "ok", "somebody opened it", acknowledgement("seen", None, None));
    one("acknowledged", "ok", "somebody deals with it", acknowledgement("acknowledged", None, None));
    one("denied", "ok", "declined, because", acknowledgement("decided", Some("denied"), None));
    one("pending", "ok", "a decision is promised", acknowledgement("decided", Some("pending"), Some(NOW)));
    one("unknown-status", "ok", "a status of a newer version", acknowledgement("decided", Some("delegated"), None));
    one("unknown-state", "ok", "a state of a newer version", acknowledgement("snoozed", None, None));
    one("undecided", "malformed", "decided without a status", acknowledgement("decided", None, None));
    one("seen-status", "malformed", "seen with a status", acknowledgement("seen", Some("approved"), None));
    let long = Raw::default().text("seen").fixed(&[0, 0, 0]).text(&"t".repeat(4_001)).extensions(&[]).0;
    one("long", "malformed", "a text of 4,001 bytes", long);
    one("trailing", "malformed", "a byte follows", longer(&acknowledgement("seen", None, None)));
}

fn refusals(set: &mut Set) {
    let refusal = |code: &str, text: &str| Raw::default().text(code).text(text).extensions(&[]).0;
    let mut one = |name: &str, outcome: &str, what: &str, bytes: Vec<u8>| {
        body(set, "refusal", name, outcome, what, bytes);
    };
    one("unknown-kind", "ok", "a refusal", refusal("unknown-kind", "this node does not know that kind of message"));
    one("no-text", "ok", "the code is enough", refusal("unknown-desk", ""));
    one("unknown-code", "ok", "a reason of a newer version", refusal("quota", "later"));
    one("no-code", "malformed", "no code", refusal("", ""));
    one("long", "malformed", "a text of 501 bytes", refusal("unknown-kind", &"t".repeat(501)));
    one("trailing", "malformed", "a byte follows", longer(&refusal("unknown-kind", "")));
}
