//! Bodies about what nodes and people do while somebody waits: ladder steps, hotlines, comm checks, recalls, tombstones.

use super::super::raw::{Raw, RawExtensions};
use super::{NOW, Set, extensions, longer, shorter};

/// The last sequence number, 2^63 - 1.
const SEQ_MAX: u64 = u64::MAX / 2;

/// A year, in seconds.
const YEAR_S: u64 = 366 * 86_400;

pub(super) fn add(set: &mut Set) {
    steps(set);
    hotlines(set);
    lines(set);
    line_defects(set);
    checks(set);
    recalls(set);
    tombstones(set);
}

fn body(set: &mut Set, kind: &str, name: &str, outcome: &str, what: &str, bytes: Vec<u8>) {
    let inputs = [("check", "body"), ("kind", kind), ("kind-version", "1")];
    set.add(&format!("body-{kind}-{name}"), outcome, what, &inputs, bytes);
}

/// What every kind refuses: bytes that end early, and bytes that follow.
fn ends(set: &mut Set, kind: &str, good: &[u8]) {
    body(set, kind, "cut", "malformed", "the last byte is missing", shorter(good));
    body(set, kind, "trailing", "malformed", "a byte follows", longer(good));
}

/// A ladder step, as far as the cases change it.
struct Step {
    words: [&'static str; 2],
    step: u8,
    of: u8,
    name: String,
    reached: u64,
    next_within_s: u64,
    extensions: RawExtensions,
}

fn steps(set: &mut Set) {
    let step = |change: fn(&mut Step)| {
        let mut one = Step {
            words: ["unacknowledged", "alerted"],
            step: 2,
            of: 5,
            name: "deputy".into(),
            reached: 3,
            next_within_s: 600,
            extensions: Vec::new(),
        };
        change(&mut one);
        let raw = Raw::default().text(one.words[0]).fixed(&[one.step, one.of]).text(&one.name).text(one.words[1]);
        raw.number(one.reached).number(NOW).number(one.next_within_s).extensions(&one.extensions).0
    };
    ends(set, "ladder-step", &step(|_| ()));
    let mut one = |name: &str, outcome: &str, what: &str, change: fn(&mut Step)| {
        body(set, "ladder-step", name, outcome, what, step(change));
    };
    one("good", "ok", "the second of five steps", |_| ());
    one("arrival", "ok", "the alert at arrival where there is no ladder", |s| {
        (s.words, s.step, s.of, s.reached) = (["arrived", "nobody-on-duty"], 0, 0, 0);
    });
    one("last", "ok", "the last step there can be, the most people, the longest wait", |s| {
        (s.step, s.of, s.reached, s.next_within_s) = (16, 16, 65_535, YEAR_S);
        s.name = "n".repeat(64);
    });
    one("unknown-code", "ok", "a cause and an outcome of a newer version", |s| s.words = ["eclipse", "pigeon-sent"]);
    one("unknown-extension", "ok", "a field of a newer version", |s| s.extensions = extensions(&[900], b"x"));
    one("beyond", "malformed", "the sixth of five steps", |s| s.step = 6);
    one("too-many", "malformed", "a ladder of seventeen steps", |s| s.of = 17);
    one("no-next", "malformed", "no time for the next word", |s| s.next_within_s = 0);
    one("next-late", "malformed", "the next word after more than a year", |s| s.next_within_s = YEAR_S + 1);
    one("name-long", "malformed", "a name of 65 bytes", |s| s.name = "n".repeat(65));
    one("reached-wide", "malformed", "more people than 16 bits count", |s| s.reached = 65_536);
    one("no-cause", "malformed", "no cause", |s| s.words[0] = "");
}

fn hotlines(set: &mut Set) {
    let hotline = |subject: &str, text: &str| Raw::default().text(subject).text(text).extensions(&[]).0;
    let good = hotline("the bank's outage", "are you there?");
    ends(set, "hotline", &good);
    let mut one = |name: &str, outcome: &str, what: &str, bytes: Vec<u8>| {
        body(set, "hotline", name, outcome, what, bytes);
    };
    one("good", "ok", "an opening", good);
    one("longest", "ok", "as long as allowed", hotline(&"s".repeat(200), &"t".repeat(1_000)));
    one("no-subject", "malformed", "no subject", hotline("", "hello"));
    one("blank-subject", "malformed", "a subject of white space", hotline("\u{2003}\t", "hello"));
    one("long-subject", "malformed", "a subject of 201 bytes", hotline(&"s".repeat(201), ""));
    one("long", "malformed", "a text of 1,001 bytes", hotline("s", &"t".repeat(1_001)));
}

/// The end's reason and the lines each way.
type Ended = (&'static str, [u64; 2]);

fn line(part: &str, text: &str, through: u64, ended: Option<Ended>) -> Vec<u8> {
    let raw = Raw::default().text(part).text(text).number(through);
    let raw = raw.optional(ended.as_ref(), |raw, (reason, lines)| {
        raw.number(NOW - 60_000).number(NOW).number(lines[0]).number(lines[1]).text(reason)
    });
    raw.extensions(&[]).0
}

fn lines(set: &mut Set) {
    let ended = Some(("ended", [7, 5]));
    ends(set, "hotline-line", &line("closed", "good night", 0, ended));
    let mut one = |name: &str, what: &str, bytes: Vec<u8>| body(set, "hotline-line", name, "ok", what, bytes);
    one("line", "words", line("line", "we see it too\nsince noon", 0, None));
    one("longest", "as many words as allowed", line("line", &"l".repeat(4_000), 0, None));
    one("read", "a person was shown what came", line("read", "", 41, None));
    one("read-last", "the last place there can be", line("read", "", SEQ_MAX, None));
    one("joined", "somebody came to the desk", line("joined", "duty officer", 0, None));
    one("left", "somebody left it", line("left", "", 0, None));
    one("closed", "the end, with its summary", line("closed", "good night", 0, ended));
    let most = Some(("crossed", [u64::from(u32::MAX); 2]));
    one("crossed", "the end, with the most lines", line("closed", "", 0, most));
    let newer = Some(("applause", [0, 0]));
    one("unknown-reason", "a reason of a newer version", line("closed", "", 0, newer));
    one("unknown-part", "a part of a newer version, with any field", line("sung", "", 3, newer));
}

fn line_defects(set: &mut Set) {
    let ended = Some(("ended", [7, 5]));
    let mut one = |name: &str, what: &str, bytes: Vec<u8>| {
        body(set, "hotline-line", name, "malformed", what, bytes);
    };
    one("no-words", "a line without words", line("line", "", 0, None));
    one("long", "a line of 4,001 bytes", line("line", &"l".repeat(4_001), 0, None));
    one("line-through", "a line that says what was read", line("line", "words", 3, None));
    one("joined-through", "who comes says what was read", line("joined", "", 3, None));
    one("closed-through", "the end says what was read", line("closed", "", 3, ended));
    one("read-nothing", "nothing was read", line("read", "", 0, None));
    one("read-over", "a place beyond the last", line("read", "", SEQ_MAX + 1, None));
    one("read-summary", "what was read, with a summary", line("read", "", 41, ended));
    one("line-summary", "a line with a summary", line("line", "words", 0, ended));
    one("left-summary", "who leaves gives a summary", line("left", "", 0, ended));
    one("closed-bare", "the end without a summary", line("closed", "", 0, None));
    one("lines-wide", "more lines than 32 bits count", line("closed", "", 0, Some(("ended", [1 << 32, 0]))));
    one("no-part", "no part", line("", "words", 0, None));
}

fn checks(set: &mut Set) {
    let check = |part: &str, text: &str, reply: Option<u64>| {
        let raw = Raw::default().text(part).text(text);
        let raw = raw.optional(reply.as_ref(), |raw, until| raw.number(NOW).number(NOW + 4).number(*until));
        raw.extensions(&[]).0
    };
    let until = Some(NOW + 86_400_000);
    let reply = check("reply", "", until);
    ends(set, "comm-check", &reply);
    let mut one = |name: &str, outcome: &str, what: &str, bytes: Vec<u8>| {
        body(set, "comm-check", name, outcome, what, bytes);
    };
    one("machine", "ok", "the other node is to reply", check("machine", "", None));
    one("human", "ok", "a person is to answer", check("human", "please confirm", None));
    one("wake", "ok", "a person is to answer, at any hour", check("wake", "please confirm", None));
    one("reply", "ok", "the reply", reply);
    one("longest", "ok", "as long as allowed", check("human", &"t".repeat(200), None));
    one("unknown-part", "ok", "a part of a newer version", check("telepathy", "", until));
    one("reply-bare", "malformed", "a reply that says nothing", check("reply", "", None));
    one("machine-reply", "malformed", "a machine check with a reply", check("machine", "", until));
    one("human-reply", "malformed", "a human check with a reply", check("human", "", until));
    one("wake-reply", "malformed", "a wake check with a reply", check("wake", "", until));
    one("far", "malformed", "a time beyond the year 9999", check("reply", "", Some(253_402_300_800_000)));
    one("long", "malformed", "a text of 201 bytes", check("human", &"t".repeat(201), None));
}

fn recalls(set: &mut Set) {
    let recall = |reason: &str, text: &str| Raw::default().text(reason).text(text).extensions(&[]).0;
    let good = recall("wrong-recipient", "meant for another");
    ends(set, "recall", &good);
    let mut one = |name: &str, outcome: &str, what: &str, bytes: Vec<u8>| {
        body(set, "recall", name, outcome, what, bytes);
    };
    one("good", "ok", "a recall", good);
    one("longest", "ok", "as long as allowed", recall("other", &"t".repeat(1_000)));
    one("unknown-reason", "ok", "a reason of a newer version", recall("regret", ""));
    one("no-reason", "malformed", "no reason", recall("", "because"));
    one("long", "malformed", "a text of 1,001 bytes", recall("other", &"t".repeat(1_001)));
}

fn tombstones(set: &mut Set) {
    let tombstone = |reached: &str, exported: u8, text: &str| {
        Raw::default().number(NOW).text(reached).fixed(&[exported]).text(text).extensions(&[]).0
    };
    let good = tombstone("seen", 0, "");
    ends(set, "tombstone", &good);
    let mut one = |name: &str, outcome: &str, what: &str, bytes: Vec<u8>| {
        body(set, "tombstone", name, outcome, what, bytes);
    };
    one("good", "ok", "what was seen is erased", good);
    one("exported", "ok", "what was exported is erased here", tombstone("decided", 1, "it stands in our ticket 4711"));
    one("longest", "ok", "as long as allowed", tombstone("stored", 0, &"t".repeat(1_000)));
    one("unknown-state", "ok", "a state of a newer version", tombstone("framed", 0, ""));
    one("exported-2", "malformed", "neither exported nor not", tombstone("seen", 2, ""));
    one("no-state", "malformed", "no state", tombstone("", 0, ""));
    one("long", "malformed", "a text of 1,001 bytes", tombstone("seen", 0, &"t".repeat(1_001)));
}
