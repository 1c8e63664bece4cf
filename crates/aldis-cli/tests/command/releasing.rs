//! Drafts: what waits is listed, and the second person sees it whole before it is sent.

use aldis_control::routes;
use serde_json::{Value, json};

use crate::daemon::{Daemon, answers, sent};
use crate::finish;

fn draft() -> Value {
    json!({
        "draft": 4711, "to": ["cert.br"], "kind": "incident", "precedence": "flash", "tlp": "amber",
        "desk": "technical", "case": "mfrggzdfmztwq2lknnwg23tpoa", "subject": "C2 \u{202e}server",
        "by": "ana (uid 1001)", "author": "duty officer", "at": "2026-11-22T02:56:00.000Z",
        "expires_at": "2026-11-22T03:56:00.000Z",
    })
}

fn daemon() -> Daemon {
    let case = "mfrggzdfmztwq2lknnwg23tpoa";
    Daemon::answering(answers(&[
        (
            "post",
            routes::MESSAGES,
            json!({
                "messages": [], "case": case, "draft": 4711, "release_by": "2026-11-22T03:56:00.000Z",
            }),
        ),
        ("get", routes::DRAFTS, json!([draft()])),
        ("get", routes::DRAFT, json!({ "row": draft(), "body": { "subject": "C2", "narrative": "Account." } })),
        ("post", routes::DRAFT_RELEASE, json!({ "messages": [sent()], "case": case })),
        ("post", routes::DRAFT_DISCARD, json!([])),
    ]))
}

#[tokio::test]
async fn a_message_that_waits_says_so_and_who_must_do_what() {
    let words = ["send", "--to", "cert.br", "--precedence", "flash", "--tlp", "amber", "--subject", "a", "--long", "b"];
    let daemon = daemon();
    let notice = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(notice.path(), "the text").unwrap();
    let ended = finish(daemon.aldis(&words).arg("--body").arg(notice.path())).await;
    for said in ["Draft 4711 waits for another person; nothing was signed or sent yet", "`aldis release 4711`"] {
        assert!(ended.expect_done().contains(said), "{said}: {ended:?}");
    }
    assert_eq!(daemon.asked()[0].1["long"], "b");
    let ended = finish(daemon.aldis(&words).arg("--wait").arg("--body").arg(notice.path())).await;
    ended.expect(3, &["draft 4711 waits for another person", "`aldis release 4711`"]);
    assert!(ended.stdout.contains("NOT SENT"), "{ended:?}");
}

#[tokio::test]
async fn drafts_are_listed_released_and_thrown_away() {
    let daemon = daemon();
    let ended = finish(&mut daemon.aldis(&["drafts"])).await;
    assert!(ended.expect_done().contains("4711") && !ended.expect_done().contains('\u{202e}'), "{ended:?}");
    let ended = finish(&mut daemon.aldis(&["release", "4711"])).await;
    assert!(daemon.asked().iter().all(|(route, _)| !route.starts_with("post")), "nobody was asked: {ended:?}");
    let ended = finish(&mut daemon.aldis(&["release", "4711", "--yes"])).await;
    assert!(ended.expect_done().contains("cert.cl/cert.br/P4"), "{ended:?}");
    let ended = finish(&mut daemon.aldis(&["release", "4711", "--discard"])).await;
    assert_eq!(ended.expect_done(), "No draft waits.\n");
    let posted: Vec<_> = daemon.asked().into_iter().filter(|(route, _)| route.starts_with("post")).collect();
    let name = json!({ "draft": 4711 });
    let expected = [("post /v1/drafts/release".to_owned(), name.clone()), ("post /v1/drafts/discard".to_owned(), name)];
    assert_eq!(posted, expected);
}
