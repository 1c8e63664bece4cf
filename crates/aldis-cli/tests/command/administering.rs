//! What administrators do, without a terminal: everything is on the command line, or nothing is done.

use aldis_control::{ApiError, Exit, routes};
use serde_json::{Value, json};

use crate::daemon::{Daemon, answers, healthy, own_keys, peer_summary, pending_request, phrases};
use crate::finish;

const WORDS: &str = "absurd adviser aardvark bodyguard acme bookseller adrift bottomless adult bradbury";

/// A daemon that knows these phrases and takes whatever is asked.
fn daemon_with(phrases: Value) -> Daemon {
    Daemon::answering(answers(&[
        ("get", routes::PEER_PHRASES, phrases),
        ("get", routes::REQUESTS, json!([pending_request()])),
        ("post", routes::PEER_ACT, json!({ "peer": peer_summary() })),
        ("post", routes::REQUEST_APPROVE, json!({ "peer": peer_summary() })),
    ]))
}

/// The bodies that were posted, with their routes.
fn posted(daemon: &Daemon) -> Vec<(String, Value)> {
    daemon.asked().into_iter().filter(|(route, _)| route.starts_with("post ")).collect()
}

#[tokio::test]
async fn each_act_sends_what_was_typed() {
    let lines: [(&[&str], Value); 7] = [
        (&["verify", "cert.br", "--phrase", WORDS], json!({ "act": "verify", "phrase": WORDS })),
        (&["rotate", "cert.br", "--phrase", WORDS], json!({ "act": "accept-key", "phrase": WORDS })),
        (&["rotate", "cert.br", "--decline"], json!({ "act": "decline-key" })),
        (&["suspend", "cert.br"], json!({ "act": "suspend" })),
        (&["resume", "cert.br"], json!({ "act": "resume" })),
        (&["revoke", "cert.br"], json!({ "act": "revoke" })),
        (&["revoke", "cert.br", "--undo"], json!({ "act": "undo-revoke" })),
    ];
    for (words, mut expected) in lines {
        let daemon = daemon_with(phrases(json!({ "is_next_key": words[0] == "rotate" })));
        let mut command = daemon.aldis(&["peer"]);
        let ended = finish(command.args(words).args(["--why", "they said so"])).await;
        assert!(ended.expect_done().starts_with("cert.br is verified\n"), "{words:?}: {ended:?}");
        expected
            .as_object_mut()
            .unwrap()
            .extend([("id".to_owned(), "cert.br".into()), ("why".to_owned(), "they said so".into())]);
        if ["verify", "accept-key"].contains(&expected["act"].as_str().unwrap()) {
            expected["key"] = "k1".into();
        }
        assert_eq!(posted(&daemon), [("post /v1/peer/act".to_owned(), expected)], "{words:?}");
    }
}

#[tokio::test]
async fn an_act_that_waits_names_the_request_and_its_time() {
    let daemon = healthy();
    let words = ["peer", "verify", "cert.br", "--phrase", WORDS, "--why", "called"];
    let ended = finish(&mut daemon.aldis(&words)).await;
    for said in ["Request 12 waits for a second administrator", "`aldis approve 12`", "2026-11-23 02:00:00Z"] {
        assert!(ended.expect_done().contains(said), "{said}: {ended:?}");
    }
    let ended = finish(daemon.aldis(&words).arg("--json")).await;
    assert_eq!(serde_json::from_str::<Value>(ended.expect_done()).unwrap()["request"], 12);
}

#[tokio::test]
async fn without_a_terminal_nothing_is_guessed() {
    let daemon = daemon_with(phrases(json!({})));
    finish(&mut daemon.aldis(&["peer", "verify", "cert.br", "--why", "x"])).await.expect(2, &["add --phrase with"]);
    finish(&mut daemon.aldis(&["peer", "verify", "cert.br", "--phrase", WORDS])).await.expect(2, &["add --why TEXT"]);
    assert_eq!(posted(&daemon), []);
    let daemon = daemon_with(phrases(json!({ "is_next_key": true })));
    let lines: [(&[&str], &str); 5] = [
        (&["peer", "rotate", "cert.br", "--why", "x"], "add --phrase with the words"),
        (&["peer", "rotate", "cert.br", "--decline"], "add --why TEXT"),
        (&["peer", "suspend", "cert.br"], "add --why TEXT"),
        (&["peer", "revoke", "cert.br", "--why", "  "], "add --why TEXT"),
        (&["approve", "12"], "add --yes"),
    ];
    for (words, said) in lines {
        finish(&mut daemon.aldis(words)).await.expect(2, &[said]);
        let ended = finish(daemon.aldis(words).arg("--json")).await;
        ended.expect(2, &[]);
        assert_eq!(serde_json::from_str::<Value>(&ended.stderr).unwrap()["error"]["code"], "usage");
    }
    assert_eq!(posted(&daemon), []);
    let daemon = healthy();
    finish(&mut daemon.aldis(&["key", "rotate", "tls"])).await.expect(2, &["add --yes"]);
    assert_eq!(posted(&daemon), []);
}

#[tokio::test]
async fn a_next_key_that_is_vouched_for_needs_no_words() {
    let daemon = daemon_with(phrases(json!({ "is_next_key": true, "is_vouched": true })));
    finish(&mut daemon.aldis(&["peer", "rotate", "cert.br", "--why", "yearly"])).await.expect_done();
    let expected = json!({ "id": "cert.br", "act": "accept-key", "key": "k1", "why": "yearly" });
    assert_eq!(posted(&daemon), [("post /v1/peer/act".to_owned(), expected)]);
}

#[tokio::test]
async fn where_no_next_key_waits_none_is_taken() {
    let daemon = daemon_with(phrases(json!({})));
    let words = ["peer", "rotate", "cert.br", "--phrase", WORDS, "--why", "x"];
    finish(&mut daemon.aldis(&words)).await.expect(5, &["no next identity key of cert.br waits", "aldis peer list"]);
    finish(&mut daemon.aldis(&["peer", "rotate", "cert.br", "--show"])).await.expect(5, &[]);
    assert_eq!(posted(&daemon), []);
}

/// The daemon compares words with the key that waits, and verifies the key on record: they must be the same.
#[tokio::test]
async fn nothing_is_verified_while_another_key_waits() {
    let daemon = daemon_with(phrases(json!({ "is_next_key": true })));
    let words = ["peer", "verify", "cert.br", "--phrase", WORDS, "--why", "x"];
    finish(&mut daemon.aldis(&words)).await.expect(2, &["another key of cert.br waits", "aldis peer rotate cert.br"]);
    assert_eq!(posted(&daemon), []);
}

#[tokio::test]
async fn wrong_words_are_named_by_their_place_and_exit_3() {
    let error = ApiError::new(Exit::Refused, "phrase-differs", "word 7 differs", "have them read \u{202e}again");
    let mut all = answers(&[("get", routes::PEER_PHRASES, phrases(json!({})))]);
    all.insert(format!("post {}", routes::PEER_ACT), (403, serde_json::to_string(&error).unwrap()));
    let daemon = Daemon::answering(all);
    let words = ["peer", "verify", "cert.br", "--phrase", WORDS, "--why", "x"];
    finish(&mut daemon.aldis(&words)).await.expect(3, &["aldis: word 7 differs\n", "read \\u{202e}again"]);
}

#[tokio::test]
async fn both_phrases_can_be_shown_and_nothing_is_done() {
    let daemon = daemon_with(phrases(json!({ "is_next_key": true })));
    for command in ["verify", "rotate"] {
        let ended = finish(&mut daemon.aldis(&["peer", command, "cert.br", "--show"])).await;
        for said in ["TISSUE", "BRADBURY", "by NOBODY"] {
            assert!(ended.expect_done().contains(said), "{said}: {ended:?}");
        }
        let ended = finish(&mut daemon.aldis(&["peer", command, "cert.br", "--show", "--json"])).await;
        let shown: Value = serde_json::from_str(ended.expect_done()).unwrap();
        assert_eq!(shown, phrases(json!({ "is_next_key": true })));
    }
    assert_eq!(posted(&daemon), []);
}

#[tokio::test]
async fn who_approves_sees_who_asked_and_the_words() {
    let daemon = daemon_with(phrases(json!({})));
    let ended = finish(&mut daemon.aldis(&["approve", "12", "--yes"])).await;
    for said in ["Request 12: verify cert.br", "ana (uid 1001)", "called \\u{202e}Rui", "ABSURD", "cert.br is verified"]
    {
        assert!(ended.expect_done().contains(said), "{said}: {ended:?}");
    }
    assert_eq!(posted(&daemon), [("post /v1/requests/approve".to_owned(), json!({ "request": 12 }))]);
    let ended = finish(&mut daemon.aldis(&["approve", "12", "--yes", "--json"])).await;
    assert_eq!(serde_json::from_str::<Value>(ended.expect_done()).unwrap()["peer"]["id"], "cert.br");
}

#[tokio::test]
async fn a_request_that_does_not_wait_is_not_approved() {
    let daemon = healthy();
    finish(&mut daemon.aldis(&["approve", "13", "--yes"])).await.expect(5, &["no request 13 waits", "aldis requests"]);
    assert_eq!(posted(&daemon), []);
    finish(&mut daemon.aldis(&["approve", "13", "--withdraw"])).await.expect_done();
    assert_eq!(posted(&daemon), [("post /v1/requests/withdraw".to_owned(), json!({ "request": 13 }))]);
}

#[tokio::test]
async fn a_new_key_says_who_must_do_what() {
    let daemon = healthy();
    let ended = finish(&mut daemon.aldis(&["key", "rotate", "identity", "--yes"])).await;
    for said in ["k9", "Waits for     cert.br", "aldis peer rotate cert.cl"] {
        assert!(ended.expect_done().contains(said), "{said}: {ended:?}");
    }
    let ended = finish(&mut daemon.aldis(&["key", "rotate", "tls", "--yes", "--json"])).await;
    assert_eq!(serde_json::from_str::<Value>(ended.expect_done()).unwrap(), own_keys());
    let asked: Vec<Value> = posted(&daemon).into_iter().map(|(_, body)| body).collect();
    assert_eq!(asked, [json!({ "key": "identity" }), json!({ "key": "tls" })]);
}

#[tokio::test]
async fn a_test_of_a_channel_says_whom_it_reached_and_whom_not_escaped() {
    let answer = json!({ "reached": ["Ana"], "failed": [{ "person": "Rui", "why": "exit code 2: \u{202e}no line" }] });
    let daemon = Daemon::answering(answers(&[("post", routes::ALERTS_TEST, answer)]));
    let ended = finish(&mut daemon.aldis(&["alerts", "test", "pager", "--person", "Ana"])).await;
    let shown = ended.expect_done();
    assert!(shown.contains("Ana") && shown.contains("Rui: exit code 2: \\u{202e}no line"), "{shown}");
    assert_eq!(daemon.asked()[0].1, json!({ "channel": "pager", "person": "Ana" }));
}

#[tokio::test]
async fn a_test_of_a_channel_that_reaches_nobody_fails_and_says_what_to_do() {
    let failed = json!([{ "person": "Rui", "why": "exit code 2" }]);
    for failed in [failed, json!([])] {
        let answer = json!({ "reached": [], "failed": failed });
        let daemon = Daemon::answering(answers(&[("post", routes::ALERTS_TEST, answer.clone())]));
        let ended = finish(&mut daemon.aldis(&["alerts", "test", "pager"])).await;
        ended.expect(1, &["the test of the channel pager reached nobody", "[[alerts]] in aldisd.toml", "test again"]);
        let ended = finish(&mut daemon.aldis(&["alerts", "test", "pager", "--json"])).await;
        ended.expect(1, &["\"code\":\"nobody-reached\""]);
        assert_eq!(
            serde_json::from_str::<Value>(&ended.stdout).unwrap(),
            answer,
            "what was found is shown all the same"
        );
    }
}
