//! `aldis send --attach` and `aldis attachment`: nothing is sent that cannot go whole, and nothing is kept that did not
//! come whole.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use aldis_control::routes;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::daemon::{Daemon, healthy, message_view, sent};
use crate::{finish, finish_with_input};

const ENOUGH: [&str; 9] = ["send", "--to", "cert.br", "--precedence", "routine", "--tlp", "amber", "--subject", "C2"];
/// SHA-256 of `hello`.
const DIGEST: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const DIGEST_BASE64: &str = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";

type Taken = Arc<Mutex<Vec<(String, Bytes)>>>;

/// A daemon that takes files and messages, and what it was handed.
fn taking() -> (Daemon, Taken) {
    let taken = Taken::default();
    let (files, messages) = (Arc::clone(&taken), Arc::clone(&taken));
    let file = async move |headers: HeaderMap, body: Bytes| {
        assert_eq!(headers["content-type"], "application/octet-stream");
        assert_eq!(headers["content-length"], body.len().to_string());
        let size = body.len();
        files.lock().unwrap().push(("file".to_owned(), body));
        Json(json!({ "digest": format!("{size:064x}"), "size": size }))
    };
    let message = async move |body: Bytes| {
        messages.lock().unwrap().push(("message".to_owned(), body));
        Json(json!({ "messages": [sent()], "case": "mfrggzdfmztwq2lknnwg23tpoa" }))
    };
    let router = Router::new().route(routes::ATTACHMENTS, post(file)).route(routes::MESSAGES, post(message));
    (Daemon::serving(router.layer(DefaultBodyLimit::disable())), taken)
}

/// A daemon with one message, whose file has these bytes.
fn giving(bytes: &'static [u8]) -> Daemon {
    let message = async || {
        let mut view = message_view();
        view["attachments"] = json!([{
            "number": 1, "name": "..\u{202e}gpj.exe", "media_type": "image/png", "digest": DIGEST, "size": 5,
            "state": "held",
        }]);
        Json(view)
    };
    let file = async move || ([("content-digest", format!("sha-256=:{DIGEST_BASE64}:"))], bytes);
    Daemon::serving(Router::new().route(routes::MESSAGE, get(message)).route(routes::ATTACHMENT, get(file)))
}

#[tokio::test]
async fn files_are_handed_in_first_and_then_named_by_the_message() {
    let (daemon, taken) = taking();
    let directory = tempfile::tempdir().unwrap();
    let (large, small) = (directory.path().join("samples.7z"), directory.path().join("note.unknown"));
    let bytes: Vec<u8> = (0..3_000_001_u32).map(|at| at.to_le_bytes()[at as usize % 3]).collect();
    fs::write(&large, &bytes).unwrap();
    fs::write(&small, "x").unwrap();
    let mut command = daemon.aldis(&ENOUGH);
    let ended = finish_with_input(command.arg("--attach").arg(&large).arg("--attach").arg(&small), b"text").await;
    assert!(ended.expect_done().contains("cert.cl/cert.br/P4"), "{ended:?}");
    let taken = taken.lock().unwrap();
    let order: Vec<&str> = taken.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(order, ["file", "file", "message"]);
    assert!(taken[0].1 == bytes, "every byte, in order");
    let message: Value = serde_json::from_slice(&taken[2].1).unwrap();
    let expected = json!([
        { "digest": format!("{:064x}", 3_000_001), "name": "samples.7z", "media_type": "application/x-7z-compressed" },
        { "digest": format!("{:064x}", 1), "name": "note.unknown", "media_type": "application/octet-stream" },
    ]);
    assert_eq!(message["attachments"], expected);
}

#[tokio::test]
async fn what_cannot_be_attached_is_said_before_anything_is_sent() {
    let (daemon, taken) = taking();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("empty"), "").unwrap();
    fs::write(path("one"), "same").unwrap();
    fs::write(path("two"), "same").unwrap();
    fs::File::create(path("huge")).unwrap().set_len((4 << 30) + 1).unwrap();
    for (name, code, said) in [
        ("", 2, ["is a directory", "pack it"]),
        ("absent", 1, ["cannot read", "absent"]),
        ("empty", 2, ["is empty", "leave it out"]),
        ("huge", 2, ["larger than 4 GiB", "split"]),
        ("/dev/null", 2, ["is not a file", "write what it holds"]),
    ] {
        let mut command = daemon.aldis(&ENOUGH);
        finish_with_input(command.arg("--attach").arg(path(name)), b"text").await.expect(code, &said);
    }
    let mut command = daemon.aldis(&ENOUGH);
    (0..17).for_each(|_| {
        command.arg("--attach").arg(path("one"));
    });
    finish_with_input(&mut command, b"text").await.expect(2, &["17 files", "one archive"]);
    assert!(taken.lock().unwrap().is_empty());
    let mut command = daemon.aldis(&ENOUGH);
    let ended =
        finish_with_input(command.arg("--attach").arg(path("one")).arg("--attach").arg(path("two")), b"t").await;
    ended.expect(2, &["are the same bytes", "nothing was sent"]);
    assert!(taken.lock().unwrap().iter().all(|(what, _)| what == "file"));
}

#[tokio::test]
async fn a_file_is_described_and_its_name_cannot_deceive() {
    let daemon = giving(b"hello");
    let ended = finish(&mut daemon.aldis(&["attachment", "cert.br/P17", "1"])).await;
    let shown = ended.expect_done();
    for part in [DIGEST, "5 bytes", "..\\u{202e}gpj.exe", "image/png (as its sender says)", "--save FILE", "untrusted"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    finish(&mut daemon.aldis(&["attachment", "cert.br/P17", "2"])).await.expect(5, &["has no file 2"]);
}

#[tokio::test]
async fn a_file_is_saved_for_its_owner_alone_and_never_over_another() {
    let daemon = giving(b"hello");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kept");
    let words = ["attachment", "cert.br/P17", "1", "--save", file.to_str().unwrap()];
    let ended = finish(&mut daemon.aldis(&words)).await;
    assert!(ended.expect_done().contains(DIGEST), "{ended:?}");
    assert_eq!(fs::read(&file).unwrap(), b"hello");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    fs::write(&file, "mine").unwrap();
    finish(&mut daemon.aldis(&words)).await.expect(1, &["cannot create"]);
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    let ended = finish(&mut daemon.aldis(&["attachment", "cert.br/P17", "1", "--save", "-"])).await;
    assert_eq!(ended.expect_done(), "hello", "only the bytes go into a pipe");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing has the peer's name");
}

#[tokio::test]
async fn i4_a_file_with_other_bytes_than_were_signed_is_not_kept() {
    for bytes in [&b"hellO"[..], b"hell", b""] {
        let daemon = giving(bytes);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("kept");
        let ended =
            finish(&mut daemon.aldis(&["attachment", "cert.br/P17", "1", "--save", file.to_str().unwrap()])).await;
        ended.expect(6, &["its message names", "not kept"]);
        assert!(!file.exists());
    }
}

#[tokio::test]
async fn a_file_can_be_handed_in_by_itself_for_a_program() {
    let (daemon, taken) = taking();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.zip");
    fs::write(&file, "PK").unwrap();
    let ended = finish(daemon.aldis(&["--json", "attachment", "--upload"]).arg(&file)).await;
    let said: Value = serde_json::from_str(ended.expect_done()).unwrap();
    assert_eq!(said, json!({ "digest": format!("{:064x}", 2), "size": 2 }));
    assert_eq!(taken.lock().unwrap().len(), 1);
    finish(healthy().aldis(&["attachment", "--upload"]).arg(directory.path())).await.expect(2, &["is a directory"]);
}
