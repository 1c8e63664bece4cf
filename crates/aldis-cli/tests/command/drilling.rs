//! `aldis drill` against a played daemon: what is asked, what is shown, and how it ends.

use aldis_control::routes;
use serde_json::{Value, json};

use crate::daemon::{Daemon, answers};
use crate::finish;

fn drilled(ends: &[(&str, &str)]) -> Daemon {
    let views = ends.iter().map(|(peer, end)| {
        let result = json!({
            "human": false, "sent_at": "2026-11-22T02:56:00.000Z", "at": "2026-11-22T02:56:00.012Z", "end": end,
            "round_trip_ms": 12, "clock_difference_ms": -3, "certificate_days": 90,
        });
        json!({ "peer": peer, "id": format!("cert.br/{peer}/I7"), "result": result })
    });
    let figures = json!({ "count": 40, "missed": 2, "refused": 0, "missed_in_a_row": 2, "p50_ms": 12, "p95_ms": 30 });
    let none = json!({ "count": 0, "missed": 0, "refused": 0, "missed_in_a_row": 0 });
    let checks = json!([{ "peer": "cert.cl", "machine": figures, "human": none }]);
    Daemon::answering(answers(&[
        ("post", routes::DRILL, Value::Array(views.collect())),
        ("get", routes::DRILL, checks),
    ]))
}

#[tokio::test]
async fn what_is_asked_of_peers_is_what_was_typed() {
    let daemon = drilled(&[("cert.cl", "replied")]);
    let words = ["drill", "cert.cl", "cert.uy", "--human", "--wake", "--text", "hello", "--author", "Ana", "--wait=30"];
    finish(&mut daemon.aldis(&words)).await.expect_done();
    finish(&mut daemon.aldis(&["drill", "--wait"])).await.expect_done();
    finish(&mut daemon.aldis(&["drill", "--human"])).await.expect_done();
    let asked = daemon.asked();
    let first = json!({
        "peers": ["cert.cl", "cert.uy"], "part": "wake", "text": "hello", "author": "Ana", "wait_ms": 30_000,
    });
    assert_eq!(asked[0].1, first);
    assert_eq!(asked[1].1, json!({ "peers": [], "part": "machine", "wait_ms": 600_000 }));
    assert_eq!(asked[2].1, json!({ "peers": [], "part": "human" }));
}

#[tokio::test]
async fn a_drill_shows_what_came_of_it_and_ends_with_the_worst() {
    for (ends, code) in [
        (&[("cert.cl", "replied")][..], 0),
        (&[("cert.cl", "replied"), ("cert.uy", "missed")], 1),
        (&[("cert.cl", "missed"), ("cert.uy", "refused")], 3),
    ] {
        let daemon = drilled(ends);
        let ended = finish(&mut daemon.aldis(&["drill", "--wait"])).await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ends.iter().all(|(peer, end)| ended.stdout.contains(peer) && ended.stdout.contains(end)), "{ended:?}");
        assert!(ended.stdout.contains("12 ms") && ended.stdout.contains("90 days"), "{ended:?}");
        let ended = finish(&mut daemon.aldis(&["drill", "--wait", "--json"])).await;
        serde_json::from_str::<Value>(&ended.stdout).unwrap();
    }
}

#[tokio::test]
async fn the_figures_are_a_table_and_json() {
    let daemon = drilled(&[]);
    let ended = finish(&mut daemon.aldis(&["drill", "--statistics"])).await;
    let shown = ended.expect_done();
    assert!(shown.contains("P95") && shown.contains("40") && shown.contains("30 ms"), "{shown}");
    let ended = finish(&mut daemon.aldis(&["drill", "--statistics", "cert.cl", "--json"])).await;
    let figures: Value = serde_json::from_str(ended.expect_done()).unwrap();
    assert_eq!(figures[0]["machine"]["p50_ms"], 12);
    assert_eq!(daemon.asked()[1].0, "get /v1/drill?peer=cert.cl");
}
