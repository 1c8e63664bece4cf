//! How silences and exercises show, to the letter: at a glance in lists and status, in full with a message.

use aldis_control::{Event, EventKind, MessageRow, MessageView, Status};
use serde_json::{Value, json};

use super::golden_tests::{PAGE, assert_fits, assert_shown, merge, row, view};
use super::*;

fn mark(step: u8, next: Value) -> Value {
    let mut mark = json!({ "silence": "no-acknowledgement", "step": step, "of": 3, "next": next });
    if step > 0 {
        merge(&mut mark, json!({ "name": "duty officer" }));
    }
    mark
}

fn next(step: u8) -> Value {
    json!({ "at": "2026-11-22T03:05:00.000Z", "step": step, "name": "deputy", "cause": "unacknowledged" })
}

fn out(id: &str, changes: Value) -> MessageRow {
    let mut fields = json!({ "direction": "out", "peer": "cert.cl" });
    merge(&mut fields, changes);
    row(id, fields)
}

#[test]
fn the_outbox_has_a_line_per_recipient_and_says_how_many_climb() {
    let rows = [
        out("cert.br/cert.cl/F3", json!({ "state": "notified", "late": true, "ladder": mark(2, next(3)) })),
        out("cert.br/cert.ar/F7", json!({ "peer": "cert.ar", "sent_at": "2026-11-22T02:57:00.000Z" })),
        out("cert.br/cert.uy/F9", json!({ "peer": "cert.uy", "state": "seen", "ladder": mark(0, next(1)) })),
    ];
    // The copies of one message stand together, whatever the daemon put between them.
    let expected = "\
Not finished, 1 climbs, at step 2 of 3
ID                    PRECEDENCE  TLP        STATE              SENT
    SUBJECT
cert.br/cert.cl/F3    PRIORITY    TLP:AMBER  notified STEP 2/3  02:56Z 4m
    C2 server in a bank
+ cert.br/cert.uy/F9  PRIORITY    TLP:AMBER  seen               02:56Z 4m
    C2 server in a bank
cert.br/cert.ar/F7    PRIORITY    TLP:AMBER  stored             02:57Z 3m
    C2 server in a bank
";
    assert_shown(&outbox(&rows, PAGE), expected);
}

#[test]
fn a_case_that_nobody_attended_to_waits_for_an_answer_again() {
    let reopened = row("cert.br/cert.cl/P17", json!({ "state": "reopened", "ladder": mark(1, next(2)) }));
    let shown = inbox(&[reopened], PAGE);
    assert!(shown.starts_with("1 message waits for an answer, 1 climbs, at step 1 of 3\n"), "{shown}");
    assert!(shown.contains("reopened STEP 1/3"), "{shown}");
    let quiet = row("cert.br/cert.cl/P17", json!({ "state": "acknowledged", "ladder": mark(0, next(1)) }));
    assert!(inbox(&[quiet], PAGE).starts_with("Nothing more to do here\n"));
}

#[test]
fn a_message_says_what_happens_next_and_when() {
    let shown = |mark: Value| {
        let view: MessageView = view(json!({ "ladder": mark }));
        let shown = message(&view, PAGE);
        assert_fits(&shown);
        shown
    };
    let climbing = shown(mark(1, next(2)));
    assert!(climbing.contains("\nSILENCE       no-acknowledgement: step 1 of 3, duty officer\n"), "{climbing}");
    assert!(
        climbing.contains("\nNext          2026-11-22 03:05:00Z (in 5m) step 2 of 3, deputy, if nothing\n"),
        "{climbing}"
    );
    let in_time = shown(mark(0, next(1)));
    assert!(!in_time.contains("SILENCE") && in_time.contains("\nNext          2026-11-22 03:05:00Z"), "{in_time}");
    assert!(shown(mark(3, Value::Null)).contains("\nNext          nobody else: that was the last step\n"));
}

#[test]
fn i12_every_line_of_an_exercise_says_so_and_which() {
    let exercise = json!({ "exercise": "BLUE OLEX", "state": "seen", "ladder": mark(1, next(2)) });
    let listed = row("cert.br/cert.cl/P17", exercise.clone());
    for shown in [
        inbox(std::slice::from_ref(&listed), PAGE),
        log(&aldis_control::LogPage { rows: vec![listed.clone()], next: None }, PAGE),
    ] {
        assert!(shown.contains("EXERCISE/P") && shown.contains("BLUE OLEX: C2 server in a bank"), "{shown}");
    }
    let shown = message(&view(exercise), PAGE);
    assert!(shown.starts_with("cert.br/cert.cl/P17  EXERCISE PRIORITY  TLP:AMBER  seen\n"), "{shown}");
    let happened = Event {
        at: UnixMillis(1_795_316_400_000),
        what: EventKind::Ladder,
        message: Some(listed),
        peer: Some("cert.cl".into()),
        state: None,
        text: "step 1 of 3 was taken at cert.cl".into(),
    };
    let shown = event(&happened, PAGE);
    assert!(shown.starts_with("03:00:00Z ladder   cert.br/P17  EXERCISE/P  TLP:AMBER  seen STEP 1/3\n"), "{shown}");
    assert!(shown.contains("step 1 of 3 was taken at cert.cl: BLUE OLEX: C2"), "{shown}");
}

#[test]
fn i12_the_status_names_silences_and_keeps_exercises_apart() {
    let status: Status = serde_json::from_value(json!({
        "node": "cert.br", "version": "0.1.0", "incarnation": "00ff", "started_at": "2026-11-22T00:00:00.000Z",
        "ready": true, "log": { "state": "following" },
        "journal": { "records": 1, "bytes": 1, "root": "ef".repeat(32) }, "waiting_in": 3, "waiting_out": 0,
        "exercise_in": 2, "exercise_out": 1, "peers": [], "alarms": [],
        "silences": [
            { "peer": "cert.cl", "silence": "unanswered-here", "messages": 3, "step": 2, "of": 4 },
            { "peer": "cert.cl", "silence": "no-acknowledgement", "messages": 1, "step": 1, "of": 4,
              "exercise": "BLUE" },
            { "peer": "cert.uy", "silence": "no-receipt", "messages": 7, "step": 4, "of": 4 },
        ],
    }))
    .unwrap();
    let shown = super::status(&status, 0, PAGE);
    assert_fits(&shown);
    let expected = "\
cert.br  aldisd 0.1.0
SILENCE       nobody here answers 3 messages of cert.cl: step 2 of 4
EXERCISE      BLUE: nobody at cert.cl answers 1 message of ours: step 1 of 4
SILENCE       the node of cert.uy does not receipt 7 messages of ours: step 4
              of 4
Ready         yes
";
    assert!(shown.starts_with(expected), "{shown}");
    assert!(
        shown.contains("\nWaiting       3 to answer, 0 to deliver\nEXERCISE      2 to answer, 1 to deliver\n"),
        "{shown}"
    );
}
