//! `aldis send`: where the text comes from, and that nothing is lost or guessed.

use std::sync::{Arc, Mutex};

use aldis_control::{Exit, routes};
use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use serde_json::json;

use crate::daemon::{Daemon, answers, healthy};
use crate::{finish, finish_with_input};

const ENOUGH: [&str; 9] = ["send", "--to", "cert.br", "--precedence", "priority", "--tlp", "amber", "--subject", "C2"];

#[tokio::test]
async fn the_text_comes_from_standard_input_or_a_file() {
    let daemon = healthy();
    let ended = finish_with_input(&mut daemon.aldis(&ENOUGH), "Line one\nção\n".as_bytes()).await;
    assert!(ended.expect_done().contains("cert.cl/cert.br/P4"), "{ended:?}");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("text");
    std::fs::write(&path, "from a file").unwrap();
    finish(daemon.aldis(&ENOUGH).arg("--body").arg(&path).arg("--wait")).await.expect_done();
    let asked = daemon.asked();
    let first = json!({
        "to": ["cert.br"], "kind": "incident", "precedence": "priority", "tlp": "amber",
        "body": { "subject": "C2", "class": "other", "type": "undetermined", "narrative": "Line one\nção\n" },
    });
    assert_eq!(asked[0].1, first);
    assert_eq!((&asked[1].1["body"]["narrative"], &asked[1].1["wait"]), (&json!("from a file"), &json!("stored")));
}

#[tokio::test]
async fn i13_without_a_marking_nothing_is_sent() {
    let daemon = healthy();
    let words = ["send", "--to", "cert.br", "--precedence", "flash", "--subject", "S"];
    let ended = finish_with_input(&mut daemon.aldis(&words), b"text").await;
    ended.expect(2, &["no TLP marking was given", "--tlp red|amber+strict|amber|green|clear"]);
    assert!(daemon.asked().is_empty());
}

#[tokio::test]
async fn a_text_that_cannot_be_sent_is_refused_before_the_daemon_is_asked() {
    let daemon = healthy();
    let ended = finish_with_input(&mut daemon.aldis(&ENOUGH), b"abc\xff").await;
    ended.expect(2, &["is not UTF-8 text: byte 3"]);
    finish_with_input(&mut daemon.aldis(&ENOUGH), b" \n").await.expect(2, &["the notice has no narrative"]);
    let ended = finish_with_input(&mut daemon.aldis(&ENOUGH), &vec![b'x'; 1024 * 1024 + 1]).await;
    ended.expect(2, &["larger than 1048576 bytes"]);
    let ended = finish(daemon.aldis(&ENOUGH).args(["--body", "/nonexistent/text"])).await;
    ended.expect(1, &["cannot read /nonexistent/text"]);
    let ended = finish(daemon.aldis(&["answer", "cert.br/P1", "decline"]).arg("--json")).await;
    ended.expect(2, &["\"exit\":2"]);
    assert!(daemon.asked().is_empty());
}

#[tokio::test]
async fn a_complete_notice_comes_from_a_file() {
    let daemon = healthy();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notice.toml");
    let toml =
        "to = ['cert.br']\nprecedence = 'flash'\ntlp = 'red'\n[body]\nsubject = 'S'\nclass = 'test'\nnarrative = 'N'\n";
    std::fs::write(&path, toml).unwrap();
    finish(daemon.aldis(&["send", "--notice"]).arg(&path)).await.expect_done();
    assert_eq!(daemon.asked()[0].1["body"], json!({ "subject": "S", "class": "test", "narrative": "N" }));
    std::fs::write(&path, format!("{toml}surprise = 1\n")).unwrap();
    finish(daemon.aldis(&["send", "--notice"]).arg(&path)).await.expect(2, &["surprise"]);
}

#[tokio::test]
async fn the_text_can_be_written_in_an_editor() {
    let daemon = healthy();
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("text");
    std::fs::write(&text, "edited\n").unwrap();
    let editor = format!("cp '{}'", text.display());
    finish(daemon.aldis(&ENOUGH).arg("--edit").env("EDITOR", &editor)).await.expect_done();
    assert_eq!(daemon.asked()[0].1["body"]["narrative"], "edited");
    finish(daemon.aldis(&ENOUGH).arg("--edit").env("EDITOR", "true")).await.expect(2, &["no narrative"]);
    let ended = finish(daemon.aldis(&ENOUGH).arg("--edit").env("EDITOR", "exit 3;")).await;
    ended.expect(1, &["cannot run exit 3;", "nothing was sent"]);
    let ended = finish(daemon.aldis(&ENOUGH[..5]).arg("--edit").env("EDITOR", "exit 3;")).await;
    ended.expect(2, &["TLP"]);
    assert_eq!(daemon.asked().len(), 1);
}

#[tokio::test]
async fn a_written_text_survives_a_failure_to_send_it() {
    let daemon = Daemon::refusing(Exit::Refused);
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("text");
    let drafts = tempfile::tempdir().unwrap();
    std::fs::write(&text, "an hour of work").unwrap();
    let editor = format!("cp '{}'", text.display());
    let ended = finish(daemon.aldis(&ENOUGH).arg("--edit").env("EDITOR", &editor).env("TMPDIR", drafts.path())).await;
    ended.expect(3, &["your text is kept in"]);
    let kept = std::fs::read_dir(drafts.path()).unwrap().next().unwrap().unwrap().path();
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "an hour of work");
}

#[tokio::test]
async fn a_recall_that_is_not_possible_somewhere_is_no_success() {
    for (state, code) in [("waiting", 0), ("not-possible", 3)] {
        let recipients = json!([
            { "message": "cert.cl/cert.br/P4", "to": "cert.br", "state": "withheld" },
            { "message": "cert.cl/cert.uy/P4", "to": "cert.uy", "state": state },
        ]);
        let answer = ("post", routes::RECALLS, json!({ "recipients": recipients }));
        let daemon = Daemon::answering(answers(&[answer]));
        let ended = finish(&mut daemon.aldis(&["recall", "cert.cl/cert.br/P4", "--reason", "other"])).await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stdout.contains(state), "{ended:?}");
    }
}

/// A daemon that answers a bulk so, and what it was sent.
fn bulk(answer: &'static str) -> (Daemon, Arc<Mutex<String>>) {
    let sent = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&sent);
    let taking = async move |headers: HeaderMap, body: String| {
        assert_eq!(headers["content-type"], "application/x-ndjson");
        seen.lock().unwrap().push_str(&body);
        answer
    };
    (Daemon::serving(Router::new().route(routes::MESSAGES_BULK, post(taking))), sent)
}

#[tokio::test]
async fn a_file_of_many_is_handed_over_as_it_is_and_each_failure_is_named() {
    let (daemon, sent) = bulk(concat!(
        r#"{"answer":{"line":3,"error":{"code":"x","message":"no \u001b[2Jsuch","advice":"see","exit":5}}}"#,
        "\n",
        r#"{"answer":{"line":1,"sent":{"messages":[{"id":"cert.br/cert.cl/P1","to":"cert.cl","state":"stored","digest":""}],"#,
        r#""case":"c"}}}"#,
        "\n",
        r#"{"progress":{"lines":3,"sent":1,"failed":1}}"#,
        "\n",
        r#"{"answer":{"line":2,"error":{"code":"bad-field","message":"tlp","advice":"choose","exit":2}}}"#,
        "\n",
        r#"{"report":{"lines":3,"sent":1,"failed":2,"stopped":null}}"#,
        "\n"
    ));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("many");
    let text = "{\"to\":[]}\nnot JSON, which is for the daemon to say\n{}";
    std::fs::write(&path, text).unwrap();
    let ended = finish(daemon.aldis(&["send", "--bulk"]).arg(&path)).await;
    // The exit code is that of the first line of the file that failed, whichever was answered first.
    ended.expect(2, &["2 of 3 messages were not sent"]);
    assert_eq!(
        ended.stdout,
        concat!(
            "line 3: no \\u{1b}[2Jsuch; see\n",
            "line 2: tlp; choose\n",
            "1 sent, 1 of them stored at every recipient, 2 failed\n"
        )
    );
    assert_eq!(*sent.lock().unwrap(), text);
    let ended = finish_with_input(&mut daemon.aldis(&["--json", "send", "--bulk", "-"]), b"{}\n").await;
    ended.expect(2, &["\"not-all-sent\""]);
    let lines: Vec<serde_json::Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[4]["report"]["failed"]), (5, &json!(2)));
    assert!(ended.stdout.is_ascii() && sent.lock().unwrap().ends_with("{}{}\n"));
}

#[tokio::test]
async fn a_bulk_that_was_stopped_or_broke_off_is_no_success() {
    let (daemon, _) = bulk(concat!(
        r#"{"report":{"lines":0,"sent":0,"failed":0,"stopped":"nothing was taken from line 1 on: the node is stopping"}}"#,
        "\n"
    ));
    let ended = finish_with_input(&mut daemon.aldis(&["send", "--bulk", "-"]), b"{}\n").await;
    ended.expect(1, &["nothing was taken from line 1 on"]);
    let (daemon, _) = bulk("");
    let ended = finish_with_input(&mut daemon.aldis(&["send", "--bulk", "-"]), b"{}\n").await;
    ended.expect(1, &["the bulk ended without a report"]);
    let (daemon, _) = bulk("{\"report\":{\"lines\":1,\"sent\":1,\"failed\":0,\"stopped\":null}}\n");
    finish_with_input(&mut daemon.aldis(&["send", "--bulk", "-"]), b"{}\n").await.expect_done();
    finish(&mut daemon.aldis(&["send", "--bulk", "/nonexistent/many"]))
        .await
        .expect(1, &["cannot read /nonexistent/many"]);
    finish(&mut daemon.aldis(&["send", "--bulk", "-", "--tlp", "red"])).await.expect(2, &["cannot be used with"]);
}
