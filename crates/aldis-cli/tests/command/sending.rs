//! `aldis send`: where the text comes from, and that nothing is lost or guessed.

use aldis_control::{Exit, routes};
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
