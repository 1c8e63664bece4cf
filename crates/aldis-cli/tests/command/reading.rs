//! Commands that only ask and show.

use aldis_control::MessageRow;
use serde_json::{Value, json};

use crate::daemon::healthy;
use crate::finish;

#[tokio::test]
async fn every_reading_command_shows_text_and_json() {
    let daemon = healthy();
    let commands: [(&[&str], &str); 17] = [
        (&["status"], "1 waits for a second administrator"),
        (&["requests"], "ana (uid 1001)"),
        (&["key", "list"], "k9, the newest"),
        (&["peer", "verify", "cert.br", "--show"], "1-5  ABSURD      ADVISER"),
        (&["peer", "suspend", "cert.br", "--why", "maintenance"], "aldis approve 12"),
        (&["approve", "12", "--withdraw"], "Nothing waits for a second administrator."),
        (&["card", "export"], "-----BEGIN ALDIS CARD-----"),
        (&["peer", "list"], "cert.br"),
        (&["peer", "show", "cert.br"], "Fingerprint   1a2b 3c4d"),
        (&["peer", "unblock", "cert.br", "flash"], "cert.br"),
        (&["inbox"], "1 message waits for an answer"),
        (&["outbox"], "Everything that was sent is finished."),
        (&["show", "cert.br/P17"], "  | Account."),
        (&["case", "mfrggz"], "Case mfrggzdfmztwq2lknnwg23tpoa: 1 message"),
        (&["log"], "More: repeat with --before n1"),
        (&["vocabulary"], "fraud: phishing"),
        (&["answer", "cert.br/P17", "seen"], "with cert.cl/cert.br/P4"),
    ];
    for (words, expected) in commands {
        let ended = finish(&mut daemon.aldis(words)).await;
        assert!(ended.expect_done().contains(expected), "{words:?}: {ended:?}");
        assert!(!ended.stdout.contains('\u{202e}'), "{words:?}: {ended:?}");
        let ended = finish(daemon.aldis(words).arg("--json")).await;
        serde_json::from_str::<Value>(ended.expect_done()).unwrap();
        assert!(!ended.stdout.contains('\u{202e}'), "{words:?}: {ended:?}");
    }
}

#[tokio::test]
async fn json_keeps_what_text_escapes() {
    let daemon = healthy();
    let ended = finish(&mut daemon.aldis(&["inbox", "--json"])).await;
    let rows: Vec<MessageRow> = serde_json::from_str(ended.expect_done()).unwrap();
    assert_eq!(rows[0].subject, "C2 \u{202e}server");
}

#[tokio::test]
async fn what_is_asked_is_what_was_typed() {
    let daemon = healthy();
    let text = ["log", "--text", "a&b", "--since", "2026-11-22", "--peer", "cert.br", "--limit", "5", "--before", "n1"];
    for words in [&text[..], &["inbox", "--all"], &["show", "cert.br/P17"], &["case", "mfrggz"]] {
        finish(&mut daemon.aldis(words)).await.expect_done();
    }
    let words = ["answer", "cert.br/P17", "decline", "--reason", "cannot-process", "--text", "no", "--author", "Ana"];
    finish(&mut daemon.aldis(&words)).await.expect_done();
    finish(&mut daemon.aldis(&["answer", "cert.br/P17", "pending", "--until", "2026-12-01"])).await.expect_done();
    let asked = daemon.asked();
    let paths: Vec<&str> = asked.iter().map(|(path, _)| path.as_str()).collect();
    let expected = [
        "get /v1/log?peer=cert.br&real=false&since=2026-11-22T00%3A00%3A00.000Z&text=a%26b&limit=5&before=n1",
        "get /v1/inbox?all=true&real=false",
        "get /v1/message?id=cert.br%2FP17",
        "get /v1/case?id=mfrggz",
        "post /v1/answers",
        "post /v1/answers",
    ];
    assert_eq!(paths, expected);
    let declined = json!({
        "id": "cert.br/P17", "state": "decided", "status": "denied", "justification": "cannot-process", "text": "no",
        "author": "Ana",
    });
    assert_eq!(asked[4].1, declined);
    let pending = json!({
        "id": "cert.br/P17", "state": "decided", "status": "pending", "until": "2026-12-01T00:00:00.000Z",
    });
    assert_eq!(asked[5].1, pending);
}

#[tokio::test]
async fn a_card_is_exported_to_a_new_file_only() {
    let daemon = healthy();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("card");
    let words = ["card", "export", "--output", path.to_str().unwrap()];
    finish(&mut daemon.aldis(&words)).await.expect_done();
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("-----BEGIN ALDIS CARD-----\n"));
    finish(&mut daemon.aldis(&words)).await.expect(1, &["cannot create", path.to_str().unwrap()]);
}

#[tokio::test]
async fn a_peer_is_enrolled_from_its_card_file() {
    let daemon = healthy();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("card");
    std::fs::write(&path, "the card").unwrap();
    let ended = finish(&mut daemon.aldis(&["peer", "add", path.to_str().unwrap()])).await;
    assert!(ended.expect_done().contains("1a2b 3c4d"), "{ended:?}");
    assert_eq!(daemon.asked()[0].1, json!({ "card": "the card" }));
    let ended = finish(&mut daemon.aldis(&["peer", "add", "/nonexistent/card"])).await;
    ended.expect(1, &["cannot read /nonexistent/card", "check the name"]);
}
