//! `aldis export`: what is asked of the daemon, and what becomes of the file.

use super::daemon::{Answers, Daemon};
use aldis_control::{Exit, routes};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn answering(route: &str, answer: &str) -> Daemon {
    Daemon::answering(Answers::from([(route.to_owned(), (200, answer.to_owned()))]))
}

#[tokio::test]
async fn evidence_is_written_to_a_new_file_of_the_owner_alone() {
    let daemon = answering(&format!("post {}", routes::EVIDENCE), "PK-bytes");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("evidence.zip");
    let path = file.to_str().unwrap();
    let words = ["export", "--evidence", "cert.br/cert.cl/P17", "--body", "all", "--links", "-o", path];
    let output = daemon.aldis(&words).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::read(&file).unwrap(), b"PK-bytes");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let (_, asked) = daemon.asked().remove(0);
    assert_eq!(asked, json!({ "ids": ["cert.br/cert.cl/P17"], "all_bodies": true, "links": true }));

    let again = daemon.aldis(&words).output().await.unwrap();
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert_eq!(fs::read(&file).unwrap(), b"PK-bytes", "an existing file is not overwritten");
    assert_eq!(daemon.asked().len(), 1, "and the daemon is not even asked");
}

#[tokio::test]
async fn no_file_is_left_where_the_daemon_refuses() {
    let daemon = Daemon::refusing(Exit::Refused);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("evidence.zip");
    let words = ["export", "--evidence", "--case", "abcdef", "-o", file.to_str().unwrap()];
    let output = daemon.aldis(&words).output().await.unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(!file.exists());
}

#[tokio::test]
async fn the_log_comes_as_lines_of_json() {
    let row = json!({
        "id": "cert.br/cert.cl/P1", "direction": "out", "peer": "cert.cl", "kind": "incident",
        "precedence": "priority", "tlp": "TLP:AMBER", "desk": "technical", "case": "k", "subject": "a\u{1b}b",
        "sent_at": "2026-11-22T03:00:00.123Z", "state": "stored", "expires_at": "2026-11-23T03:00:00.123Z"
    });
    let daemon = answering(&format!("get {}", routes::LOG), &json!({ "rows": [row, row] }).to_string());
    let output = daemon.aldis(&["export"]).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 2);
    let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(line["id"], "cert.br/cert.cl/P1");
}
