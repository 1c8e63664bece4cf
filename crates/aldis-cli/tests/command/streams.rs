//! `aldis verify`, `aldis backup` and `aldis watch`: answers that come line by line.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aldis_control::{EventsQuery, routes};
use axum::Router;
use axum::extract::Query;
use axum::routing::{get, post};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::daemon::Daemon;
use crate::finish;

/// How long a test waits for something that has to happen.
const PATIENCE: Duration = Duration::from_secs(30);

fn verifying(lines: &'static str) -> Daemon {
    Daemon::serving(Router::new().route(routes::VERIFY, post(async move || lines)))
}

#[tokio::test]
async fn a_clean_verification_exits_0() {
    let daemon = verifying(concat!(
        r#"{"progress":{"done":1,"total":2,"what":"journal"}}"#,
        "\n",
        r#"{"report":{"ok":true,"records":2,"segments":1,"log_rows":2,"findings":[]}}"#,
        "\n"
    ));
    let ended = finish(&mut daemon.aldis(&["verify"])).await;
    assert!(ended.expect_done().contains("everything verifies"), "{ended:?}");
}

#[tokio::test]
async fn i9_damage_exits_6_with_its_place_named() {
    let lines = concat!(
        r#"{"report":{"ok":false,"records":2,"segments":1,"log_rows":2,"findings":["#,
        r#"{"place":"journal/0001.seg, byte 4096","what":"CRC differs","advice":"restore"}]}}"#,
        "\n"
    );
    let daemon = verifying(lines);
    let ended = finish(&mut daemon.aldis(&["verify"])).await;
    ended.expect(6, &["what is stored does not verify (1 findings)"]);
    assert!(ended.stdout.contains("Place         journal/0001.seg, byte 4096\n"), "{ended:?}");
    let ended = finish(&mut daemon.aldis(&["verify", "--json"])).await;
    ended.expect(6, &["\"integrity\""]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&ended.stdout).unwrap()["ok"], false);
    // A report that says it is not well, but not where, is no success either.
    let daemon = verifying("{\"report\":{\"ok\":false,\"records\":0,\"segments\":0,\"log_rows\":0}}\n");
    finish(&mut daemon.aldis(&["verify"])).await.expect(6, &[]);
}

fn backing_up(lines: &'static str) -> Daemon {
    Daemon::serving(Router::new().route(routes::BACKUP, post(async move || lines)))
}

#[tokio::test]
async fn a_backup_ends_with_what_was_written_or_with_why_there_is_none() {
    let daemon = backing_up(concat!(
        r#"{"progress":{"done":1,"total":2,"what":"copy"}}"#,
        "\n",
        r#"{"report":{"generation":"/b/00000003","records":9,"root":"ef","files":4,"bytes":4096,"written_bytes":128}}"#,
        "\n"
    ));
    let ended = finish(&mut daemon.aldis(&["backup"])).await;
    let shown = ended.expect_done();
    assert!(shown.contains("Verified      /b/00000003\n") && shown.contains("9 records, 4 files, 4.0 KiB"), "{shown}");
    let ended = finish(&mut daemon.aldis(&["--json", "backup"])).await;
    let report: serde_json::Value = serde_json::from_str(ended.expect_done()).unwrap();
    assert_eq!(report["written_bytes"], 128);
    for (exit, said) in [(2, "nowhere to put it"), (6, "it does not verify")] {
        let line = format!(
            "{{\"error\":{{\"code\":\"no-backup\",\"message\":\"{said}\",\"advice\":\"x\",\"exit\":{exit}}}}}\n"
        );
        finish(&mut backing_up(line.leak()).aldis(&["backup"])).await.expect(exit, &[said]);
    }
    finish(&mut backing_up("").aldis(&["backup"])).await.expect(1, &["the backup ended without a report"]);
}

#[tokio::test]
async fn a_verification_that_breaks_off_is_no_success() {
    let daemon = verifying("{\"progress\":{\"done\":1,\"total\":2,\"what\":\"journal\"}}\n");
    finish(&mut daemon.aldis(&["verify"])).await.expect(1, &["without a report"]);
    let daemon =
        verifying("{\"error\":{\"code\":\"opening\",\"message\":\"not yet\",\"advice\":\"wait\",\"exit\":4}}\n");
    finish(&mut daemon.aldis(&["verify"])).await.expect(4, &["not yet", "wait"]);
}

#[tokio::test]
async fn i7_a_line_without_an_end_is_given_up() {
    let endless = || "x".repeat(3 * 1024 * 1024);
    let router = Router::new().route(routes::VERIFY, post(async move || endless()));
    let daemon = Daemon::serving(router);
    finish(&mut daemon.aldis(&["verify"])).await.expect(1, &["longer than 1048576 bytes"]);
}

/// The daemon closes the stream after every event; the watcher comes back and asks for what it has not seen.
#[tokio::test]
async fn watching_goes_on_where_it_was_when_the_daemon_comes_back() {
    let since = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&since);
    let turn = AtomicUsize::new(0);
    let turn = Arc::new(turn);
    let events = async move |Query(query): Query<EventsQuery>| {
        asked.lock().unwrap().push(query.since);
        let number = turn.fetch_add(1, Ordering::SeqCst) + 1;
        let event = format!(r#"{{"at":"2026-11-22T03:00:00.000Z","what":"alarm","text":"event {number}"}}"#);
        format!(": comment\n\nid: e{number}\ndata: {event}\n\n")
    };
    let daemon = Daemon::serving(Router::new().route(routes::EVENTS, get(events)));
    let mut child = daemon.aldis(&["watch", "--since", "e0"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for number in 1..=2 {
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
        assert_eq!(line, Some(format!("03:00:00Z alarm    event {number}")));
    }
    child.kill().await.unwrap();
    let since = since.lock().unwrap();
    assert_eq!(since[..2], [Some("e0".to_owned()), Some("e1".to_owned())]);
}
