//! `aldis peer recover`: what is asked for, how it is followed, and what the end says.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aldis_control::routes;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::daemon::{Daemon, answers, peer_card, peer_summary};
use crate::finish;

/// A peer whose recovery stands like this.
fn peer(state: &str, done: u64, text: &str) -> Value {
    let recovery = json!({
        "state": state, "by": "ana (uid 1001)", "approved_by": "rui (uid 1002)", "done": done, "total": 9, "ours": 5,
        "theirs": 4, "without_body": 0, "without_body_first": [], "lost_until": "2026-11-22T02:00:00.000Z", "text": text,
    });
    json!({ "summary": peer_summary(), "card": peer_card(), "marks": [], "recovery": recovery })
}

/// A daemon whose peer stands one further each time somebody looks, and what was posted to it.
fn stepping(states: Vec<Value>) -> (Daemon, Arc<Mutex<Vec<Value>>>) {
    let (looked, posted) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (orders, last) = (posted.clone(), states.len() - 1);
    let look = async move || Json(states[looked.fetch_add(1, Ordering::Relaxed).min(last)].clone());
    let act = async move |Json(order): Json<Value>| {
        orders.lock().unwrap().push(order);
        Json(json!({ "peer": peer_summary(), "request": 12 }))
    };
    let router = Router::new().route(routes::PEER, get(look)).route(routes::PEER_ACT, post(act));
    (Daemon::serving(router), posted)
}

#[tokio::test]
async fn a_recovery_is_asked_for_and_followed_to_its_end() {
    let said = "5 of ours and 4 of cert.br came back, each verified. What was submitted here before X is lost";
    let states = vec![peer("unconfirmed", 0, ""), peer("fetching", 3, ""), peer("complete", 9, said)];
    let words = ["peer", "recover", "cert.br", "--why", "disk replaced", "--wait"];
    let (daemon, posted) = stepping(states.clone());
    let ended = finish(&mut daemon.aldis(&words)).await;
    for part in ["recovered, 9 of 9", "ana (uid 1001), approved by rui", said] {
        let flat = ended.expect_done().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(part), "{part}: {ended:?}");
    }
    let order = json!({ "id": "cert.br", "act": "recover", "why": "disk replaced" });
    assert_eq!(*posted.lock().unwrap(), [order]);
    let (daemon, _) = stepping(states);
    let ended = finish(daemon.aldis(&words).arg("--json")).await;
    let last = ended.expect_done().lines().collect::<Vec<_>>().join("\n");
    assert!(last.contains("\"without_body\"") && last.contains("\"complete\""), "{last}");
}

#[tokio::test]
async fn one_that_cannot_go_on_exits_6_and_says_what_to_do() {
    let said = "cert.br does not hold a place any more: ask its administrators to run `aldis verify`";
    let (daemon, posted) = stepping(vec![peer("fetching", 3, ""), peer("failed", 3, said)]);
    // It was asked for before: without a reason it is only followed.
    let ended = finish(&mut daemon.aldis(&["peer", "recover", "cert.br", "--wait"])).await;
    ended.expect(6, &[]);
    assert!(ended.stdout.contains("NOT RECOVERED"), "{ended:?}");
    assert_eq!(*posted.lock().unwrap(), [] as [Value; 0]);
}

#[tokio::test]
async fn without_a_reason_nothing_is_asked_for() {
    for state in ["unconfirmed", "not-compared"] {
        let (daemon, posted) = stepping(vec![peer(state, 0, "")]);
        for words in [&["peer", "recover", "cert.br"][..], &["peer", "recover", "cert.br", "--wait"]] {
            finish(&mut daemon.aldis(words)).await.expect(2, &["add --why TEXT"]);
        }
        assert_eq!(*posted.lock().unwrap(), [] as [Value; 0]);
    }
}

#[tokio::test]
async fn where_nothing_was_lost_there_is_nothing_to_follow() {
    let view = json!({ "summary": peer_summary(), "card": peer_card(), "marks": [] });
    let summary = json!({ "peer": peer_summary() });
    let daemon = Daemon::answering(answers(&[("get", routes::PEER, view), ("post", routes::PEER_ACT, summary)]));
    let words = ["peer", "recover", "cert.br", "--why", "x", "--wait"];
    finish(&mut daemon.aldis(&words)).await.expect(5, &["nothing of cert.br was lost here", "aldis peer show"]);
}
