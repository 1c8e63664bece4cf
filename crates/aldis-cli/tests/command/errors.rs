//! Every way to fail: the exit code, what is said, and that it is safe to read.

use aldis_control::{Exit, routes};
use axum::Router;
use axum::routing::get;
use serde_json::Value;
use tokio::sync::Notify;

use std::sync::Arc;

use crate::daemon::{Daemon, answers, healthy};
use crate::{aldis, finish};

#[tokio::test]
async fn each_failure_of_the_daemon_has_its_exit_code() {
    for exit in Exit::ALL {
        let daemon = Daemon::refusing(exit);
        let code = i32::from(exit.code());
        let ended = finish(&mut daemon.aldis(&["show", "cert.br/P1"])).await;
        ended.expect(code, &["aldis: it \\u{202e}cannot be\n", "do \\u{1b}[2Jthat"]);
        assert_eq!(ended.stdout, "");
        let ended = finish(&mut daemon.aldis(&["show", "cert.br/P1", "--json"])).await;
        ended.expect(code, &[]);
        let error: Value = serde_json::from_str(&ended.stderr).unwrap();
        assert_eq!((&error["error"]["code"], &error["error"]["exit"]), (&"some-code".into(), &code.into()));
    }
}

#[tokio::test]
async fn a_socket_that_is_not_there_exits_4_and_says_what_to_do() {
    let ended = finish(aldis().args(["status", "--socket", "/nonexistent/aldis.sock"])).await;
    ended.expect(4, &["/nonexistent/aldis.sock", "start the daemon with `aldisd run`"]);
    let ended = finish(aldis().args(["status", "--json", "--socket", "/nonexistent/aldis.sock"])).await;
    let error: Value = serde_json::from_str(&ended.stderr).unwrap();
    assert_eq!(error["error"]["code"], "unreachable");
    let ended = finish(aldis().args(["watch", "--socket", "/nonexistent/aldis.sock"])).await;
    ended.expect(4, &["/nonexistent/aldis.sock"]);
}

#[tokio::test]
async fn an_answer_that_is_no_answer_exits_1() {
    let daemon = Daemon::answering(answers(&[("get", routes::STATUS, serde_json::json!({ "node": 1 }))]));
    finish(&mut daemon.aldis(&["status"])).await.expect(1, &["not as described", "same version"]);
    // Every other route of this daemon answers 418 without a word.
    finish(&mut daemon.aldis(&["inbox"])).await.expect(1, &["without a reason"]);
}

#[tokio::test]
async fn a_wrong_command_line_exits_2_in_text_and_in_json() {
    finish(aldis().arg("fly")).await.expect(2, &["unrecognized subcommand"]);
    let ended = finish(aldis().args(["fly", "--json"])).await;
    ended.expect(2, &[]);
    let error: Value = serde_json::from_str(&ended.stderr).unwrap();
    assert_eq!(error["error"]["code"], "usage");
    let daemon = healthy();
    finish(&mut daemon.aldis(&["log", "--since", "soon"])).await.expect(2, &["`soon` is not a time"]);
    finish(&mut daemon.aldis(&["send", "--tlp", "white"])).await.expect(2, &["is not a TLP marking"]);
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_failure() {
    let gate = Arc::new(Notify::new());
    let opened = Arc::clone(&gate);
    let router = Router::new().route(
        routes::OUTBOX,
        get(async move || {
            opened.notified().await;
            "[]"
        }),
    );
    let daemon = Daemon::serving(router);
    let mut child = daemon.aldis(&["outbox"]).spawn().unwrap();
    drop(child.stdout.take());
    gate.notify_one();
    let ended = crate::Ended::from(child.wait_with_output().await.unwrap());
    ended.expect_done();
}
