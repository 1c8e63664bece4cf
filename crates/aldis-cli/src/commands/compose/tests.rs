use clap::Parser;

use super::*;
use crate::args::{Cli, Command};
use crate::paint::Paint;

const PAGE: Page = Page { now: UnixMillis(1_795_316_400_000), paint: Paint::off() };

fn options(words: &[&str]) -> SendArgs {
    let words = ["aldis", "send"].iter().chain(words);
    match Cli::try_parse_from(words).unwrap().command {
        Command::Send(args) => *args,
        other => panic!("{other:?}"),
    }
}

fn build(notice: &str, words: &[&str], text: Option<&str>) -> Result<SendRequest, Failure> {
    let notice = if notice.is_empty() { Map::new() } else { parse_notice(notice, "notice").unwrap() };
    request(notice, options(words), text.map(str::to_owned), PAGE)
}

fn refusal(notice: &str, words: &[&str], text: Option<&str>) -> String {
    let failure = build(notice, words, text).unwrap_err();
    assert_eq!(failure.exit_code(), 2);
    format!("{failure:?}")
}

const ENOUGH: [&str; 8] = ["--to", "cert.cl", "--precedence", "priority", "--tlp", "TLP:AMBER", "--subject", "C2"];

#[test]
fn the_shortest_notice_is_completed_but_not_guessed() {
    let request = build("", &ENOUGH, Some("text")).unwrap();
    assert_eq!(
        (request.kind.as_str(), request.tlp, request.precedence),
        ("incident", Tlp::Amber, Precedence::Priority)
    );
    let body = json!({ "subject": "C2", "narrative": "text", "class": "other", "type": "undetermined" });
    assert_eq!(request.body, body);
    assert_eq!((request.wait, request.expires_in_s, request.references.len()), (None, None, 0));
}

#[test]
fn every_option_finds_its_field() {
    let more = [
        "--class",
        "availability",
        "--type",
        "ddos",
        "--severity",
        "high",
        "--stage",
        "early-warning",
        "--sector",
        "energy",
        "--sector",
        "health",
        "--indicator",
        "ip:192.0.2.7#seen",
        "--asset",
        "grid,sector=energy",
        "--action",
        "block-host",
        "--reply-by",
        "4h",
        "--source",
        "B",
        "--credibility",
        "2",
        "--likelihood",
        "likely",
        "--intent",
        "sabotage",
        "--attribution",
        "nobody",
        "--confidence",
        "low",
        "--language",
        "pt-BR",
        "--case",
        "abcdef",
        "--desk",
        "technical",
        "--exercise",
        "BLUE OLEX",
        "--on-behalf-of",
        "a bank",
        "--expires-in",
        "2d",
        "--wait",
        "--wait-limit",
        "5s",
        "--supersedes",
        "cert.br/cert.cl/P1",
        "--relates",
        "cert.cl/P2",
        "--detected-at",
        "2h",
        "--author",
        "duty officer",
    ];
    let words: Vec<&str> = ENOUGH.into_iter().chain(more).collect();
    let request = build("", &words, Some("text")).unwrap();
    assert_eq!(request.expires_in_s, Some(172_800));
    assert_eq!((request.wait, request.wait_ms), (Some(Wait::Stored), Some(5_000)));
    assert_eq!(request.references[0], Reference { role: "supersedes".into(), id: "cert.br/cert.cl/P1".into() });
    assert_eq!(request.references[1], Reference { role: "relates".into(), id: "cert.cl/P2".into() });
    let body = &request.body;
    assert_eq!(body["sectors"], json!(["energy", "health"]));
    assert_eq!(body["reply_by"], "2026-11-22T07:00:00.000Z");
    assert_eq!(body["detected_at"], "2026-11-22T01:00:00.000Z");
    assert_eq!(body["indicators"], json!([{ "kind": "ip", "value": "192.0.2.7", "comment": "seen" }]));
    assert_eq!(body["assets"], json!([{ "name": "grid", "sector": "energy" }]));
    assert_eq!(body["attribution"], json!({ "text": "nobody", "confidence": "low" }));
    assert_eq!(body["type"], "ddos");
}

#[test]
fn i13_the_marking_is_never_defaulted_and_its_values_are_listed() {
    let words = ["--to", "cert.cl", "--precedence", "priority", "--subject", "S"];
    let refused = refusal("", &words, Some("text"));
    assert!(refused.contains("red|amber+strict|amber|green|clear"), "{refused}");
    let refused = refusal("to = ['cert.cl']\nprecedence = 'flash'\n[body]\nsubject = 'S'\nnarrative = 'N'", &[], None);
    assert!(refused.contains("TLP"), "{refused}");
}

#[test]
fn what_is_missing_is_named() {
    assert!(refusal("", &ENOUGH[2..], Some("text")).contains("recipient"));
    assert!(
        refusal("", &["--to", "a", "--tlp", "red", "-s", "S"], Some("text"))
            .contains("flash|immediate|priority|routine")
    );
    assert!(refusal("", &ENOUGH[..6], Some("text")).contains("subject"));
    assert!(refusal("", &ENOUGH, Some(" \n")).contains("narrative"));
    assert!(refusal("", &ENOUGH, None).contains("narrative"));
}

#[test]
fn a_complete_notice_needs_no_options_and_options_go_before_it() {
    let toml = "to = ['cert.cl']\nprecedence = 'routine'\ntlp = 'green'\n[body]\nsubject = 'S'\nclass = 'test'\n\
                narrative = 'N'\ndetected_at = 2026-11-22T00:00:00Z\nsectors = ['energy']\n";
    let request = build(toml, &[], None).unwrap();
    assert_eq!(request.body["detected_at"], "2026-11-22T00:00:00Z");
    assert_eq!(request.tlp, Tlp::Green);
    let request =
        build(toml, &["--tlp", "red", "--subject", "T", "--sector", "health", "--to", "cert.ar"], None).unwrap();
    assert_eq!((request.tlp, request.to), (Tlp::Red, vec!["cert.ar".to_owned()]));
    assert_eq!((&request.body["subject"], &request.body["sectors"]), (&json!("T"), &json!(["energy", "health"])));
    let json =
        r#"{"to":["cert.cl"],"precedence":"flash","tlp":"red","body":{"subject":"S","class":"test","narrative":"N"}}"#;
    assert_eq!(build(json, &[], None).unwrap().precedence, Precedence::Flash);
}

#[test]
fn a_notice_of_another_kind_is_passed_on_as_it_is() {
    let json = r#"{"kind":"comm-check","to":["cert.cl"],"precedence":"routine","tlp":"clear","body":{"nonce":7}}"#;
    assert_eq!(build(json, &[], None).unwrap().body, json!({ "nonce": 7 }));
}

#[test]
fn a_wrong_notice_is_refused_with_its_place() {
    for text in ["{", "[1", "to = ", "body = 2026-11-22", "{\"a\":1} x"] {
        let failure = parse_notice(text, "n.toml").unwrap_err();
        assert!(failure.exit_code() == 2 && failure.to_string().contains("n.toml"), "{text}: {failure}");
    }
    let full = ENOUGH;
    assert!(refusal("surprise = 1", &full, Some("text")).contains("surprise"));
    assert!(refusal("[body]\nsurprise = 1", &full, Some("text")).contains("surprise"));
    assert!(refusal("body = 1", &full, Some("text")).contains("body"));
    assert!(refusal("references = 1", &[&full[..], &["--relates", "a/P1"]].concat(), Some("text")).contains("list"));
}
