//! What people see, to the letter, at 80 columns and without colour.

use aldis_control::{
    Alarm, DeliveryState, Event, EventKind, LogPage, MessageRow, MessageView, PeerSummary, Status, VerifyReport,
};
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use super::*;

pub(super) const PAGE: Page = Page { now: UnixMillis(1_795_316_400_000), paint: Paint::off() };

pub(super) fn row(id: &str, changes: Value) -> MessageRow {
    let mut fields = json!({
        "id": id, "direction": "in", "peer": "cert.br", "kind": "incident", "precedence": "priority", "tlp": "amber",
        "desk": "technical", "case": "mfrggzdfmztwq2lknnwg23tpoa", "subject": "C2 server in a bank",
        "sent_at": "2026-11-22T02:56:00.000Z", "received_at": "2026-11-22T02:56:01.000Z", "state": "stored",
        "expires_at": "2026-11-25T02:56:00.000Z",
    });
    merge(&mut fields, changes);
    serde_json::from_value(fields).unwrap()
}

pub(super) fn merge(fields: &mut Value, changes: Value) {
    let Value::Object(changes) = changes else { panic!("changes are an object") };
    fields.as_object_mut().unwrap().extend(changes);
}

pub(super) fn view(changes: Value) -> MessageView {
    let mut fields = serde_json::to_value(row("cert.br/cert.cl/P17", json!({}))).unwrap();
    merge(
        &mut fields,
        json!({
            "author": "duty officer", "also_to": ["cert.ar"], "digest": "ab".repeat(32),
            "proof": { "batch_size": 4, "index": 1 },
            "body": {
                "narrative": "First line.\nSecond line.", "subject": "C2 server in a bank", "class": "malicious-code",
                "type": "c2-server", "severity": "high", "indicators": [{ "kind": "ip", "value": "192.0.2.7" }],
                "zzz_new_field": "kept",
            },
            "history": [{ "at": "2026-11-22T02:56:01.000Z", "state": "stored", "cause": "received" }],
        }),
    );
    merge(&mut fields, changes);
    serde_json::from_value(fields).unwrap()
}

pub(super) fn summary(changes: Value) -> PeerSummary {
    let mut fields = json!({
        "id": "cert.cl", "name": "CSIRT Chile", "country": "CL", "state": "verified", "link": "up",
        "link_since": "2026-11-22T00:00:00.000Z", "latency_ms": 12, "clock_difference_ms": -40,
        "fingerprint": "1a2b 3c4d", "queued": { "flash": 0, "immediate": 0, "priority": 2, "routine": 0 },
        "unanswered": 1,
    });
    merge(&mut fields, changes);
    serde_json::from_value(fields).unwrap()
}

/// Compares to the letter, and checks the width that every golden text shares.
pub(super) fn assert_shown(shown: &str, expected: &str) {
    assert_fits(shown);
    assert_eq!(shown, expected, "\n{shown}");
}

pub(super) fn assert_fits(shown: &str) {
    for line in shown.lines() {
        assert!(line.width() <= WIDTH, "{} columns: {line}", line.width());
        assert_eq!(line, line.trim_end(), "blanks at the end");
    }
}

#[test]
fn the_inbox_puts_what_needs_an_answer_first() {
    let rows = [
        row("cert.br/cert.cl/P16", json!({ "state": "decided", "status": "approved", "tlp": "green" })),
        row("cert.br/cert.cl/P17", json!({})),
        row(
            "cert.br/cert.cl/F3",
            json!({ "precedence": "flash", "tlp": "amber+strict", "late": true, "sent_at": "2026-11-22T02:58:00.000Z",
                "subject": "Power grid control systems are being wiped in three regions" }),
        ),
    ];
    let expected = "\
2 messages wait for an answer
ID           PRECEDENCE  TLP               STATE        SENT
    SUBJECT
cert.br/F3   FLASH       TLP:AMBER+STRICT  stored LATE  02:58Z 2m
    Power grid control systems are being wiped in three regions
cert.br/P17  PRIORITY    TLP:AMBER         stored       02:56Z 4m
    C2 server in a bank

Nothing more to do here
ID           PRECEDENCE  TLP        STATE     SENT       SUBJECT
cert.br/P16  PRIORITY    TLP:GREEN  accepted  02:56Z 4m  C2 server in a bank
";
    assert_shown(&inbox(&rows, PAGE), expected);
    assert_shown(&inbox(&[], PAGE), "Nothing waits for an answer.\n");
}

#[test]
fn a_red_row_says_how_to_open_it_and_who_did() {
    let opened = json!([
        { "at": "2026-11-22T02:57:00.000Z", "by": "bob (uid 1002)" },
        { "at": "2026-11-22T02:58:00.000Z", "by": "ana (uid 1001)" },
    ]);
    let red = |opened: &Value| row("cert.br/cert.cl/P18", json!({ "tlp": "red", "subject": "", "opened": opened }));
    let expected = "\
ID           PRECEDENCE  TLP      STATE   SENT       SUBJECT
cert.br/P18  PRIORITY    TLP:RED  stored  02:56Z 4m  (RED: aldis show opens it)
cert.br/P18  PRIORITY    TLP:RED  stored  02:56Z 4m  (RED: aldis show opens it)
Opened        cert.br/P18 by bob (uid 1002) 02:57Z 3m, ana (uid 1001) 02:58Z 2m
";
    let page = LogPage { rows: vec![red(&json!([])), red(&opened)], next: None };
    assert_shown(&log(&page, PAGE), expected);
    let shown = message(&view(json!({ "tlp": "red", "opened": opened })), PAGE);
    assert!(shown.contains("\nOpened        2026-11-22 02:58:00Z (2m ago) by ana (uid 1001)\n"), "{shown}");
}

#[test]
fn an_outbox_row_names_why_it_was_refused_and_that_it_is_an_exercise() {
    let changes = json!({
        "direction": "out", "state": "refused", "exercise": "BLUE",
        "refusal": { "code": "unknown-kind", "text": "not read here" },
    });
    let expected = "\
ID                   PRECEDENCE  TLP        STATE    SENT
    SUBJECT
cert.br/cert.cl/P17  EXERCISE/P  TLP:AMBER  refused  02:56Z 4m
    BLUE: [unknown-kind] C2 server in a bank
";
    assert_shown(&outbox(&[row("cert.br/cert.cl/P17", changes)], PAGE), expected);
}

#[test]
fn what_a_peer_that_was_cut_off_holds_up_or_sent_before_says_so() {
    let held = json!({ "direction": "out", "state": "submitted", "held": "peer-revoked" });
    let shown = outbox(&[row("cert.br/cert.cl/P17", held.clone())], PAGE);
    assert!(shown.contains("submitted HELD"), "{shown}");
    let shown = message(&view(held), PAGE);
    assert!(shown.contains("Held          peer-revoked: it is not sent now\n"), "{shown}");
    let shown = message(&view(json!({ "sender_revoked_at": "2026-11-22T02:59:00.000Z" })), PAGE);
    assert_fits(&shown);
    assert!(
        shown.contains("From before   its sender was revoked 2026-11-22 02:59:00Z (1m ago); this came\n"),
        "{shown}"
    );
}

#[test]
fn a_message_is_shown_in_full() {
    let expected = format!(
        "\
cert.br/cert.cl/P17  PRIORITY  TLP:AMBER  stored
Subject       C2 server in a bank
From          cert.br
Also to       cert.ar
Author        duty officer
Sent          2026-11-22 02:56:00Z (4m ago)
Received      2026-11-22 02:56:01Z (3m ago)
Expires       2026-11-25 02:56:00Z (in 2d)
Kind          incident, desk technical
Case          mfrggzdfmztwq2lknnwg23tpoa

Class         malicious-code
Type          c2-server
Severity      high
Indicator     kind ip, value 192.0.2.7
Zzz new field kept

  | First line.
  | Second line.

Digest        {}
Signed        as 2 of 4 in its batch
History       2026-11-22 02:56:01Z (3m ago) stored: received
",
        "ab".repeat(32)
    );
    assert_shown(&message(&view(json!({})), PAGE), &expected);
}

#[test]
fn i8_a_message_without_a_body_says_why() {
    let absent = json!({ "body": null, "body_absent": { "code": "erased", "text": "its time is over" } });
    let shown = message(&view(absent), PAGE);
    assert!(shown.contains("No body       erased: its time is over\n"), "{shown}");
}

#[test]
fn i12_an_exercise_is_named_before_anything_else() {
    let shown = message(&view(json!({ "exercise": "BLUE OLEX" })), PAGE);
    assert_eq!(shown.lines().nth(1), Some("EXERCISE      BLUE OLEX"), "{shown}");
}

/// What a peer writes into a subject must not pass for what only the daemon may say.
#[test]
fn i12_a_subject_cannot_make_a_real_message_look_like_an_exercise() {
    let forged = row("cert.br/cert.cl/F1", json!({ "subject": "[EXERCISE] superseded", "precedence": "flash" }));
    let shown = inbox(&[forged], PAGE);
    assert!(shown.contains("cert.br/F1  FLASH       TLP:AMBER  stored  02:56Z 4m  [EXERCISE] superseded"), "{shown}");
    let real =
        row("cert.br/cert.cl/F1", json!({ "exercise": "BLUE", "precedence": "flash", "superseded_by": "a/b/F2" }));
    let shown = inbox(&[real], PAGE);
    assert!(shown.contains("cert.br/F1  EXERCISE/F  TLP:AMBER  superseded  02:56Z 4m"), "{shown}");
}

#[test]
fn answers_and_receipts_stand_under_the_message() {
    let shown = message(
        &view(json!({
            "direction": "out", "state": "decided", "status": "denied",
            "answers": [{
                "id": "cert.cl/cert.br/P4", "at": "2026-11-22T02:59:00.000Z", "by": "Ana", "peer": "cert.cl",
                "state": "decided", "status": "denied", "justification": "cannot-process", "text": "The law forbids it.",
            }],
            "receipt": { "stored_at": "2026-11-22T02:56:01.000Z", "lane": "priority", "seq": 19, "digest": "cd".repeat(32) },
        })),
        PAGE,
    );
    assert_fits(&shown);
    assert!(shown.starts_with("cert.br/cert.cl/P17  PRIORITY  TLP:AMBER  declined\n"), "{shown}");
    assert!(shown.contains("\nAnswer        declined by Ana at cert.cl, 2026-11-22 02:59:00Z (1m ago)\n"), "{shown}");
    assert!(shown.contains("\nReason        cannot-process\n  | The law forbids it.\n"), "{shown}");
    assert!(shown.contains("\nReceipt       on disk at 2026-11-22 02:56:01Z (3m ago), up to P19\n"), "{shown}");
}

#[test]
fn the_status_shows_alarms_before_all_is_well() {
    let status: Status = serde_json::from_value(json!({
        "node": "cert.br", "version": "0.1.0", "incarnation": "00ff", "started_at": "2026-11-22T00:00:00.000Z",
        "ready": true, "log": { "state": "rebuilding", "done": 5, "total": 9 },
        "journal": { "records": 1234, "bytes": 5_452_595, "root": "ef".repeat(32) }, "waiting_in": 1, "waiting_out": 2,
        "peers": [summary(json!({ "blocked_lanes": ["routine"] }))],
        "alarms": [Alarm { code: "lane-blocked".into(), peer: Some("cert.cl".into()), text: "bad bytes".into(),
            raised_at: UnixMillis(1_795_316_340_000) }],
        "you": { "user": "ana (uid 1001)", "roles": ["auditor", "operator"], "desks": ["technical", "diplomatic"],
            "sends_for": ["technical"] },
    }))
    .unwrap();
    let expected = format!(
        "\
cert.br  aldisd 0.1.0
ALARM         lane-blocked cert.cl: bad bytes 2026-11-22 02:59:00Z (1m ago)
REQUESTS      2 wait for a second administrator: `aldis requests`
Ready         yes
Started       2026-11-22 00:00:00Z (3h ago)
Incarnation   00ff
Log           is being rebuilt, 5 of 9 records
Journal       1234 records, 5.1 MiB
Root          {}
Waiting       1 to answer, 2 to deliver
Scrub         none yet; switched off
Backup        none configured
You           ana (uid 1001): auditor, operator; reads technical, diplomatic;
              sends for technical

PEER     STATE     LINK   LATENCY   CLOCK  QUEUED  TO ANSWER  LAST ERROR
cert.cl  verified  up 3h    12 ms  -40 ms       2          1  ROUTINE BLOCKED
",
        "ef".repeat(32)
    );
    assert_shown(&super::status(&status, 2, PAGE), &expected);
    assert!(!super::status(&status, 0, PAGE).contains("REQUESTS"));
    assert!(super::status(&status, 1, PAGE).contains("1 waits"));
}

#[test]
fn the_status_says_what_the_scrub_came_to_and_when_the_next_is() {
    let shown = |scrub: Value| {
        let status: Status = serde_json::from_value(json!({
            "node": "cert.br", "version": "0.1.0", "incarnation": "00ff", "started_at": "2026-11-22T00:00:00.000Z",
            "ready": true, "log": { "state": "following" }, "journal": { "records": 1, "bytes": 1, "root": "" },
            "waiting_in": 0, "waiting_out": 0, "peers": [], "alarms": [], "scrub": scrub,
        }))
        .unwrap();
        let shown = super::status(&status, 0, PAGE);
        assert_fits(&shown);
        shown.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let next = "2026-11-23T03:20:00.000Z";
    let latest = json!({ "at": "2026-11-22T02:50:00.000Z", "records": 9, "witnesses": 2, "findings": 0 });
    assert!(shown(json!({ "next_at": next })).contains("Scrub none yet; next 2026-11-23 03:20:00Z (in 1d)"));
    let good = shown(json!({ "next_at": next, "latest": latest }));
    assert!(good.contains("Scrub everything verified 2026-11-22 02:50:00Z (10m ago); next 2026-11-23"), "{good}");
    let mut bad = latest;
    merge(&mut bad, json!({ "findings": 2, "first": "00.seg at byte 7: checksum" }));
    let bad = shown(json!({ "latest": bad }));
    let said = "Scrub 2 places do not verify 2026-11-22 02:50:00Z (10m ago): 00.seg at byte 7: checksum; switched off";
    assert!(bad.contains(said), "{bad}");
}

#[test]
fn a_message_that_was_exported_says_by_whom_in_the_log() {
    let exported = json!([
        { "at": "2026-11-22T02:57:00.000Z", "by": "rui (uid 1004)", "bodies": true },
        { "at": "2026-11-22T02:58:00.000Z", "by": "ana (uid 1001)", "bodies": false },
    ]);
    let page = LogPage { rows: vec![row("cert.br/cert.cl/P18", json!({ "exported": exported }))], next: None };
    let shown = log(&page, PAGE);
    assert_fits(&shown);
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = "Exported cert.br/P18 by rui (uid 1004) 02:57Z 3m, ana (uid 1001) 02:58Z 2m without its body";
    assert!(shown.contains(said), "{shown}");
}

#[test]
fn a_verification_names_every_place() {
    let report: VerifyReport = serde_json::from_value(json!({
        "ok": false, "records": 10, "segments": 1, "log_rows": 9, "witnesses": 3, "witness_peers": 1,
        "findings": [{ "place": "journal/0001.seg, byte 4096, record 7", "what": "CRC differs", "advice": "restore it" }],
    }))
    .unwrap();
    let expected = "\
Walked        10 records in 1 segments, 9 log rows
Witnesses     3 checked, by 1 peer
Result        1 place does not verify

Place         journal/0001.seg, byte 4096, record 7
What          CRC differs
Advice        restore it
";
    assert_shown(&verify_report(&report, PAGE), expected);
}

#[test]
fn the_live_view_has_a_line_for_each_event() {
    let mut happened = Event {
        at: UnixMillis(1_795_316_400_000),
        what: EventKind::Received,
        message: Some(row("cert.br/cert.cl/P17", json!({}))),
        peer: None,
        state: None,
        text: "received".into(),
    };
    let expected = "\
03:00:00Z received cert.br/P17  PRIORITY  TLP:AMBER  stored
                   C2 server in a bank
";
    assert_shown(&event(&happened, PAGE), expected);
    happened.message = None;
    happened.what = EventKind::Link;
    happened.peer = Some("cert.cl".into());
    happened.text = "link is up".into();
    assert_shown(&event(&happened, PAGE), "03:00:00Z link     cert.cl: link is up\n");
}

/// A peer that writes escapes, direction marks and line ends wherever it can.
#[test]
fn hostile_text_drives_nothing_wherever_it_stands() {
    const HOSTILE: &str = "x\u{1b}[2J\u{202e}\u{200b}\ncert.us/F1  FLASH  all clear\r\u{9b}31m";
    let next = json!({ "at": "2026-11-22T02:59:00.000Z", "step": 2, "name": HOSTILE, "cause": HOSTILE });
    let ladder = json!({ "silence": HOSTILE, "step": 1, "of": 2, "name": HOSTILE, "next": next });
    let hostile_row = row(
        "cert.br/cert.cl/P17",
        json!({
            "subject": HOSTILE, "kind": HOSTILE, "desk": HOSTILE, "peer": HOSTILE, "case": HOSTILE, "exercise": HOSTILE,
            "stage": HOSTILE, "held": HOSTILE, "ladder": ladder, "refusal": { "code": HOSTILE, "text": HOSTILE },
        }),
    );
    let hostile_view = view(json!({
        "ladder": ladder, "subject": HOSTILE, "kind": HOSTILE, "held": HOSTILE, "author": HOSTILE,
        "on_behalf_of": HOSTILE, "also_to": [HOSTILE],
        "released_by": HOSTILE, "references": [{ "role": HOSTILE, "id": HOSTILE }], "digest": HOSTILE,
        "exercise": HOSTILE, "unknown_codes": [HOSTILE], "extensions": [{ "tag": 1, "hex": HOSTILE }],
        "body": { "narrative": HOSTILE, "text": HOSTILE, HOSTILE: HOSTILE, "assets": [{ HOSTILE: [HOSTILE] }] },
        "body_absent": { "code": HOSTILE, "text": HOSTILE },
        "history": [{ "at": "2026-11-22T02:56:01.000Z", "state": "stored", "cause": HOSTILE, "by": HOSTILE }],
        "answers": [{ "id": "a/b/P1", "at": "2026-11-22T02:59:00.000Z", "by": HOSTILE, "peer": HOSTILE,
            "state": "seen", "justification": HOSTILE, "text": HOSTILE }],
        "receipt": { "stored_at": "2026-11-22T02:56:01.000Z", "lane": "flash", "seq": 1, "digest": HOSTILE },
    }));
    let hostile_peer = summary(json!({
        "id": HOSTILE, "name": HOSTILE, "state": HOSTILE, "fingerprint": HOSTILE,
        "last_error": { "code": HOSTILE, "text": HOSTILE, "at": "2026-11-22T02:59:00.000Z" },
    }));
    let hostile_event = Event {
        at: PAGE.now,
        what: EventKind::Alarm,
        message: None,
        peer: Some(HOSTILE.into()),
        state: None,
        text: HOSTILE.into(),
    };
    let texts = [
        inbox(std::slice::from_ref(&hostile_row), PAGE),
        log(&LogPage { rows: vec![hostile_row], next: Some(HOSTILE.into()) }, PAGE),
        message(&hostile_view, PAGE),
        peers(std::slice::from_ref(&hostile_peer), PAGE),
        peer_added(&hostile_peer, PAGE),
        event(&hostile_event, PAGE),
    ];
    for text in texts {
        let forbidden =
            |character: char| character.is_control() && character != '\n' || "\u{202e}\u{200b}".contains(character);
        assert!(!text.contains(forbidden), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("cert.us")), "a forged line: {text}");
    }
}

#[test]
fn sizes_and_states_have_words() {
    assert_eq!([bytes(0), bytes(1023), bytes(1024), bytes(u64::MAX)], ["0 B", "1023 B", "1.0 KiB", "16777215.9 TiB"]);
    assert_eq!(rows::state_word(DeliveryState::Decided, None), "decided");
}

fn agreed(changes: Value) -> aldis_control::AgreementView {
    let mut fields = json!({
        "peer": "cert.cl", "ours_are_known": true,
        "ours": {
            "sequence": 1, "terms": {
                "highest_tlp": "amber", "flash_per_day": 3, "messages_per_hour": 100, "bytes_per_hour": 1_000_000,
                "expires_at": "2027-11-22T00:00:00.000Z",
            },
        },
        "fields": [
            { "field": "kinds", "ours": "incident, acknowledgement", "theirs": "incident", "in_force": "incident",
              "differs": true },
            { "field": "highest-tlp", "ours": "TLP:AMBER", "theirs": "TLP:RED", "in_force": "TLP:AMBER",
              "differs": true },
            { "field": "acknowledge-within flash", "ours": "900 s", "theirs": "900 s", "in_force": "900 s",
              "differs": false },
            { "field": "expires", "ours": "2027-11-22T00:00:00.000Z", "in_force": "2027-11-22T00:00:00.000Z",
              "differs": true },
        ],
    });
    merge(&mut fields, changes);
    serde_json::from_value(fields).unwrap()
}

#[test]
fn an_agreement_stands_in_three_columns() {
    let expected = "\
Agreement with cert.cl
TERM                      OURS        THEIRS    IN FORCE
kinds                     2 kinds     incident  incident
highest-tlp               TLP:AMBER   TLP:RED   TLP:AMBER
acknowledge-within flash  900 s       900 s     900 s
expires                   2027-11-22  -         2027-11-22
kinds, ours   incident, acknowledgement
";
    assert_shown(&agreement(&agreed(json!({})), PAGE), expected);
    let waits = agreement(&agreed(json!({ "ours_are_known": false })), PAGE);
    assert!(waits.ends_with("WAITS         the peer does not have our terms yet\n"), "{waits}");
    let none = agreement(&agreed(json!({ "ours": null, "fields": [] })), PAGE);
    assert_shown(&none, "Agreement with cert.cl\nNeither side has set terms, so nothing is limited.\n");
}
