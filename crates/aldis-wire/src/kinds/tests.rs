use super::*;
use serde_json::json;

fn incident() -> Value {
    json!({"subject": "C2 at a provider", "class": "malicious-code", "type": "c2-server",
           "indicators": [{"kind": "ip", "value": "192.0.2.7", "comment": "beacon"}]})
}

#[test]
fn an_incident_survives_json_and_bytes_and_has_its_defaults() {
    let written = from_json("incident", 1, incident()).unwrap();
    let kind = Code::known("incident");
    let Reading::Understood(summary) = read(&kind, 1, &written.bytes) else { panic!("not understood") };
    assert_eq!(summary.bearing, Bearing::Notice);
    assert_eq!(summary, written.summary);
    let shown = to_json(&kind, 1, &written.bytes).unwrap();
    assert_eq!(shown["intent"], "unknown");
    assert_eq!(shown["source_reliability"], "F");
    assert_eq!(from_json("incident", 1, shown).unwrap().bytes, written.bytes);
}

#[test]
fn we_send_only_known_codes_and_name_the_choices() {
    let mut value = incident();
    value["severity"] = json!("enormous");
    let error = from_json("incident", 1, value).unwrap_err().to_string();
    assert!(error.contains("severity") && error.contains("critical"), "{error}");
    let mut value = incident();
    value["colour"] = json!("red");
    assert!(from_json("incident", 1, value).unwrap_err().to_string().contains("colour"));
    let mut value = incident();
    value["type"] = json!("phishing");
    assert!(from_json("incident", 1, value).is_err(), "a type of another class");
    assert!(from_json("poem", 1, incident()).unwrap_err().to_string().contains("incident"));
}

#[test]
fn i10_an_unknown_code_is_read_and_named() {
    let written = from_json("incident", 1, incident()).unwrap();
    let mut body: Incident = codec::decode(&written.bytes).unwrap();
    body.severity = Code::known("apocalyptic");
    let bytes = codec::encode(&body);
    let kind = Code::known("incident");
    assert!(matches!(read(&kind, 1, &bytes), Reading::Understood(_)));
    assert_eq!(unknown_codes(&kind, 1, &bytes), ["severity: apocalyptic"]);
}

#[test]
fn i10_unknown_kinds_versions_and_malformed_bodies_are_told_apart() {
    assert_eq!(read(&Code::known("poem"), 1, b""), Reading::UnknownKind);
    assert_eq!(read(&Code::known("incident"), 9, b""), Reading::UnknownVersion);
    assert!(matches!(read(&Code::known("incident"), 1, b"\x01"), Reading::Malformed(_)));
}

#[test]
fn a_decision_has_a_status_and_nothing_else_has() {
    assert!(from_json("acknowledgement", 1, json!({"state": "decided"})).is_err());
    assert!(from_json("acknowledgement", 1, json!({"state": "seen", "status": "approved"})).is_err());
    let written = from_json("acknowledgement", 1, json!({"state": "decided", "status": "denied"})).unwrap();
    assert_eq!(written.summary.bearing, Bearing::Answer(Answer::Decided(Code::known("denied"))));
}

#[test]
fn pending_is_no_decision_and_says_until_when() {
    let until = "2026-11-22T14:00:00.000Z";
    for (until, promised) in [(json!(null), None), (json!(until), Some(until.parse().unwrap()))] {
        let body = json!({"state": "decided", "status": "pending", "until": until});
        let written = from_json("acknowledgement", 1, body).unwrap();
        assert_eq!(written.summary.bearing, Bearing::Answer(Answer::Pending(promised)));
    }
}

#[test]
fn only_incidents_are_sent_as_they_are_and_every_kind_stands_in_cards() {
    let notices: Vec<_> = KINDS.iter().filter(|entry| entry.is_notice).map(|entry| entry.name).collect();
    assert_eq!(notices, ["incident", "incident"], "two versions");
    assert_eq!(kind_versions().iter().map(|kind| kind.versions.len()).sum::<usize>(), KINDS.len());
}

#[test]
fn no_terms_concern_answers_and_what_machines_and_recalls_need() {
    let concerned: Vec<_> = KINDS.iter().map(|entry| Code::known(entry.name)).filter(Terms::concern).collect();
    assert_eq!(concerned, ["incident", "incident", "hotline"].map(Code::known));
}

#[test]
fn refusal_codes_are_the_vocabulary() {
    let words: Vec<_> = RefusalCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(Refusal::CHOICES[0].1, words);
    for code in RefusalCode::ALL {
        let body = Refusal::body(code, &"x".repeat(2000));
        let reading = read(&Code::known("refusal"), 1, &body);
        assert!(
            matches!(reading, Reading::Understood(Summary { bearing: Bearing::Refusal(c), .. }) if c == code.code())
        );
    }
}
