use super::*;
use crate::kinds::{Reading, from_json, read, to_json, unknown_codes};
use serde_json::{Value, json};

const KIND: &str = "hotline-line";

fn summary() -> Value {
    json!({"opened_at": "2026-11-22T03:00:00.000Z", "closed_at": "2026-11-22T03:20:00.000Z", "lines": [7, 5],
           "reason": "ended"})
}

/// One good body of every part, with what it does.
fn parts() -> [(Value, LinePart); 6] {
    let body = |part: &str, text: &str| json!({"part": part, "text": text, "through": 0});
    let mut read = body("read", "");
    read["through"] = json!(41);
    let mut closed = body("closed", "thank you, good night");
    closed["summary"] = summary();
    let mut unanswered = closed.clone();
    unanswered["summary"]["reason"] = json!("not-answered");
    [
        (body("line", "we see it too\nsince noon"), LinePart::Line),
        (read, LinePart::Read(41)),
        (body("joined", "duty officer"), LinePart::Joined),
        (body("left", ""), LinePart::Left),
        (closed, LinePart::Closed),
        (unanswered, LinePart::Unanswered),
    ]
}

/// What becomes of the bytes of `good` after `change`.
fn reading(good: &Value, change: impl FnOnce(&mut HotlineLine)) -> Reading {
    let written = from_json(KIND, 1, good.clone()).unwrap();
    let mut body: HotlineLine = crate::codec::decode(&written.bytes).unwrap();
    change(&mut body);
    read(&Code::known(KIND), 1, &crate::codec::encode(&body))
}

#[test]
fn an_opening_survives_json_and_bytes_and_wants_somebody_who_picks_up() {
    let opening = json!({"subject": "the bank's outage", "text": "are you there?"});
    let written = from_json("hotline", 1, opening.clone()).unwrap();
    assert_eq!(written.summary.bearing, Bearing::Hotline);
    assert!(written.summary.bearing.wants_answer());
    assert_eq!(to_json(&Code::known("hotline"), 1, &written.bytes).unwrap(), opening);
    let defects = [
        json!({}),
        json!({"subject": " \t"}),
        json!({"subject": "s".repeat(201)}),
        json!({"subject": "s", "text": "t".repeat(1001)}),
        json!({"subject": "s", "case": "c"}),
    ];
    for defect in defects {
        assert!(from_json("hotline", 1, defect.clone()).is_err(), "{defect}");
    }
    let longest = json!({"subject": "s".repeat(200), "text": "t".repeat(1000)});
    assert!(from_json("hotline", 1, longest).is_ok());
}

#[test]
fn every_part_survives_json_and_bytes_and_wants_no_answer() {
    for (body, part) in parts() {
        let written = from_json(KIND, 1, body.clone()).unwrap();
        let Reading::Understood(summary) = read(&Code::known(KIND), 1, &written.bytes) else { panic!("{body}") };
        assert_eq!(summary.bearing, Bearing::Line(part));
        assert!(!summary.bearing.wants_answer());
        assert_eq!(to_json(&Code::known(KIND), 1, &written.bytes).unwrap(), body);
    }
}

#[test]
fn a_turn_is_listed_with_its_first_line_or_its_part() {
    let subjects = parts().map(|(body, _)| from_json(KIND, 1, body).unwrap().summary.subject.to_string());
    assert_eq!(
        subjects,
        ["we see it too", "read", "duty officer", "left", "thank you, good night", "thank you, good night"]
    );
}

#[test]
fn i7_a_part_with_what_belongs_to_another_is_malformed() {
    let held: HotlineSummary = serde_json::from_value(summary()).unwrap();
    for (body, part) in parts() {
        let with_through = reading(&body, |line| line.through = 3);
        assert_eq!(matches!(with_through, Reading::Malformed(_)), part != LinePart::Read(41), "{part:?}");
        let ends = matches!(part, LinePart::Closed | LinePart::Unanswered);
        let with_summary = reading(&body, |line| line.summary = Some(held.clone()));
        assert_eq!(matches!(with_summary, Reading::Malformed(_)), !ends, "{part:?}");
        let with_neither = reading(&body, |line| (line.through, line.summary) = (0, None));
        let needs = ends || matches!(part, LinePart::Read(_));
        assert_eq!(matches!(with_neither, Reading::Malformed(_)), needs, "{part:?}");
        let without_text = reading(&body, |line| line.text = Text::cut(""));
        assert_eq!(matches!(without_text, Reading::Malformed(_)), part == LinePart::Line, "{part:?}");
    }
}

#[test]
fn i7_a_line_is_as_long_as_allowed_and_a_place_is_one_of_a_lane() {
    let line = |text: String| from_json(KIND, 1, json!({"part": "line", "text": text}));
    assert!(line("l".repeat(4000)).is_ok());
    assert!(line("l".repeat(4001)).is_err());
    let through = |through: u64| from_json(KIND, 1, json!({"part": "read", "through": through}));
    assert!(through(1).is_ok() && through(Seq::MAX.get()).is_ok());
    assert!(through(0).is_err() && through(Seq::MAX.get() + 1).is_err());
}

#[test]
fn i10_a_part_of_a_newer_version_is_kept_whatever_it_carries() {
    let kind = Code::known(KIND);
    for (body, _) in parts() {
        let understood = reading(&body, |line| line.part = Code::known("sung"));
        let Reading::Understood(summary) = understood else { panic!("{understood:?}") };
        assert_eq!(summary.bearing, Bearing::Line(LinePart::Other(Code::known("sung"))));
    }
    let (closed, _) = &parts()[4];
    let mut body: HotlineLine = crate::codec::decode(&from_json(KIND, 1, closed.clone()).unwrap().bytes).unwrap();
    body.part = Code::known("sung");
    body.summary.as_mut().unwrap().reason = Code::known("applause");
    assert_eq!(unknown_codes(&kind, 1, &crate::codec::encode(&body)), ["part: sung", "reason: applause"]);
    let unsent = from_json(KIND, 1, json!({"part": "sung", "text": "la"})).unwrap_err().to_string();
    assert!(unsent.contains("sung") && unsent.contains("joined"), "{unsent}");
}
