//! The part of the daemon, played: fixed answers for each route, and a record of what was asked.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use aldis_control::{ApiError, Exit, routes};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::process::Command;

pub(crate) type Answers = HashMap<String, (u16, String)>;
type Asked = Arc<Mutex<Vec<(String, Value)>>>;

/// A played daemon; it ends with the test.
pub(crate) struct Daemon {
    directory: TempDir,
    asked: Asked,
}

impl Daemon {
    /// Answers `"get /v1/status"` and so on with a status and a body.
    pub(crate) fn answering(answers: Answers) -> Self {
        let asked = Asked::default();
        let router = Router::new().fallback(answer).with_state((Arc::new(answers), asked.clone()));
        Self { asked, ..Self::serving(router) }
    }

    /// Serves any router.
    pub(crate) fn serving(router: Router) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("aldis.sock")).unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { directory, asked: Asked::default() }
    }

    /// One answer, the same whatever is asked.
    pub(crate) fn refusing(exit: Exit) -> Self {
        let error = ApiError::new(exit, "some-code", "it \u{202e}cannot be", "do \u{1b}[2Jthat");
        let body = serde_json::to_string(&error).unwrap();
        Self::serving(
            Router::new().fallback(async move || (StatusCode::from_u16(error.http_status()).unwrap(), body.clone())),
        )
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("aldis.sock")
    }

    /// The program, asking this daemon.
    pub(crate) fn aldis(&self, words: &[&str]) -> Command {
        let mut command = super::aldis();
        command.env("ALDIS_SOCKET", self.socket()).args(words);
        command
    }

    /// What was asked so far: method, path and query; and the body.
    pub(crate) fn asked(&self) -> Vec<(String, Value)> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(
    State((answers, asked)): State<(Arc<Answers>, Asked)>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> (StatusCode, String) {
    let method = method.as_str().to_lowercase();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    asked.lock().unwrap().push((format!("{method} {uri}"), body));
    let (status, text) =
        answers.get(&format!("{method} {}", uri.path())).cloned().unwrap_or_else(|| (418, String::new()));
    (StatusCode::from_u16(status).unwrap(), text)
}

/// An answer to one route.
pub(crate) fn answers(list: &[(&str, &str, Value)]) -> Answers {
    list.iter().map(|(method, route, body)| (format!("{method} {route}"), (200, body.to_string()))).collect()
}

pub(crate) fn message_row() -> Value {
    json!({
        "id": "cert.br/cert.cl/P17", "direction": "in", "peer": "cert.br", "kind": "incident", "precedence": "priority",
        "tlp": "amber", "desk": "technical", "case": "mfrggzdfmztwq2lknnwg23tpoa", "subject": "C2 \u{202e}server",
        "sent_at": "2026-11-22T02:56:00.000Z", "state": "stored", "expires_at": "2026-11-25T02:56:00.000Z",
    })
}

pub(crate) fn message_view() -> Value {
    let mut view = message_row();
    let more = json!({
        "digest": "abab", "proof": { "batch_size": 1, "index": 0 }, "body": { "subject": "C2", "narrative": "Account." },
    });
    view.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    view
}

pub(crate) fn peer_summary() -> Value {
    json!({
        "id": "cert.br", "name": "CERT Brazil", "country": "BR", "state": "verified", "link": "up",
        "fingerprint": "1a2b 3c4d", "queued": { "flash": 0, "immediate": 0, "priority": 0, "routine": 0 }, "unanswered": 1,
    })
}

/// The words of both sides; by default over the key of a peer that waits to be verified.
pub(crate) fn phrases(changes: Value) -> Value {
    let mut fields = json!({
        "id": "cert.br",
        "ours": "tissue disruptive snapshot vagabond tempest\nhideaway aimless atmosphere ahead applicant",
        "theirs": "absurd adviser aardvark bodyguard acme\nbookseller adrift bottomless adult bradbury",
        "key": "k1", "is_next_key": false, "is_vouched": false,
    });
    fields.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    fields
}

pub(crate) fn pending_request() -> Value {
    json!({
        "request": 12, "act": "verify", "peer": "cert.br", "key": "k1", "by": "ana (uid 1001)",
        "why": "called \u{202e}Rui", "at": "2026-11-22T02:00:00.000Z", "expires_at": "2026-11-23T02:00:00.000Z",
    })
}

pub(crate) fn own_keys() -> Value {
    json!({
        "identities": [{ "key": "k9", "signs_for": [] }, { "key": "k8", "signs_for": ["cert.br"] }],
        "tls_certificate": "77", "tls_valid_until": "2029-11-22T00:00:00.000Z", "tls_successor_waits": true,
        "card_valid_until": "2027-11-22T00:00:00.000Z", "card_is_known": false,
    })
}

pub(crate) fn sent() -> Value {
    json!({ "id": "cert.cl/cert.br/P4", "to": "cert.br", "state": "submitted", "digest": "cdcd" })
}

pub(crate) fn peer_card() -> Value {
    json!({
        "id": "cert.br", "name": "CERT Brazil", "country": "BR", "serial": 1, "issued_at": "2026-11-22T00:00:00.000Z",
        "valid_until": "2027-11-22T00:00:00.000Z",
        "fingerprint": "1a2b 3c4d", "identity_key": "00", "certificate_digest": "11", "endpoints": ["127.0.0.1:7430"],
        "contacts": [{ "name": "duty officer", "reach": "+55 1" }], "kinds": [{ "kind": "incident", "versions": [1] }],
        "warnings": [],
    })
}

/// A daemon on which everything works.
pub(crate) fn healthy() -> Daemon {
    let card = peer_card();
    let status = json!({
        "node": "cert.cl", "version": "0.1.0", "incarnation": "00ff", "started_at": "2026-11-22T00:00:00.000Z",
        "ready": true, "log": { "state": "following" }, "journal": { "records": 1, "bytes": 2, "root": "33" },
        "waiting_in": 1, "waiting_out": 0, "peers": [peer_summary()], "alarms": [],
    });
    Daemon::answering(answers(&[
        ("get", routes::STATUS, status),
        ("get", routes::CARD, json!({ "text": "-----BEGIN ALDIS CARD-----\nabc\n-----END ALDIS CARD-----\n" })),
        ("get", routes::PEERS, json!([peer_summary()])),
        ("post", routes::PEERS, peer_summary()),
        ("get", routes::PEER, json!({ "summary": peer_summary(), "card": card, "marks": [] })),
        ("post", routes::PEER_UNBLOCK, peer_summary()),
        ("get", routes::PEER_PHRASES, phrases(json!({}))),
        ("post", routes::PEER_ACT, json!({ "peer": peer_summary(), "request": 12 })),
        ("get", routes::REQUESTS, json!([pending_request()])),
        ("post", routes::REQUEST_APPROVE, json!({ "peer": peer_summary() })),
        ("post", routes::REQUEST_WITHDRAW, json!([])),
        ("get", routes::KEYS, own_keys()),
        ("post", routes::KEYS_ROTATE, own_keys()),
        ("post", routes::MESSAGES, json!({ "messages": [sent()], "case": "mfrggzdfmztwq2lknnwg23tpoa" })),
        ("get", routes::INBOX, json!([message_row()])),
        ("get", routes::OUTBOX, json!([])),
        ("get", routes::MESSAGE, message_view()),
        ("get", routes::CASE, json!({ "case": "mfrggzdfmztwq2lknnwg23tpoa", "messages": [message_view()] })),
        ("post", routes::ANSWERS, json!({ "message": sent() })),
        ("get", routes::LOG, json!({ "rows": [message_row()], "next": "n1" })),
        ("get", routes::VOCABULARY, json!({ "classes": [{ "code": "fraud", "types": ["phishing"] }], "tlp": ["red"] })),
    ]))
}
