//! What the tests share: an alert, a message as the log shows it, a node.

use crate::alerts::message::Telling;
use crate::clock::Clock;
use crate::config::Config;
use crate::event_loop::Message;
use crate::init::{self, CONFIG_FILE, NewNode};
use crate::keys::{OwnKeys, fixtures};
use crate::{Node, Setup, run, start};
use aldis_control::MessageRow;
use aldis_core::input::Input;
use aldis_core::ladder::{Alert, AlertId, AlertOutcome, Cause, Silence};
use aldis_core::record::RecordSeq;
use aldis_wire::codec::Text;
use aldis_wire::ids::{EnvelopeId, NodeId, UnixMillis};
use aldis_wire::lane::Lane;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// How long anything may take that a test waits for.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A subject that must not leave, and one that may.
pub(super) const SECRET_SUBJECT: &str = "reactor-compromised";
pub(super) const OPEN_SUBJECT: &str = "phishing-wave";

/// A file that only this user may read.
pub(super) fn secret_file(dir: &Path, content: &str) -> PathBuf {
    let path = dir.join("secret");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path
}

pub(super) fn id() -> NodeId {
    NodeId::new("cert.br").unwrap()
}

/// An alert about one message, for people with their channels.
pub(super) fn alert(number: u64, people: &[(&str, &[&str])]) -> Alert {
    let message: EnvelopeId = "cert.cl/cert.br/F7".parse().unwrap();
    let channels = |names: &[&str]| names.iter().map(|name| Text::cut(name)).collect();
    Alert {
        id: AlertId(RecordSeq(number)),
        silence: Silence::Received,
        cause: Cause::Unacknowledged,
        step: 1,
        of: 3,
        step_name: Text::cut("duty officer"),
        peer: NodeId::new("cert.cl").unwrap(),
        lane: Lane::Flash,
        exercise: None,
        messages: vec![message],
        count: 1,
        since: UnixMillis::new(1_790_000_000_000),
        people: people.iter().map(|(name, names)| (Text::cut(name), channels(names))).collect(),
        draft: None,
        again: false,
    }
}

/// A message as the log shows it.
pub(super) fn row(number: u64, tlp: &str, subject: &str) -> MessageRow {
    let row = serde_json::json!({
        "id": format!("cert.cl/cert.br/F{number}"), "direction": "in", "peer": "cert.cl", "kind": "incident",
        "precedence": "flash", "tlp": tlp, "desk": "technical", "case": "abcdefghijklmnopqrstuvwxyz", "subject": subject,
        "sent_at": "2026-11-22T10:00:00.000Z", "state": "stored", "expires_at": "2026-12-22T10:00:00.000Z",
    });
    serde_json::from_value(row).unwrap()
}

/// What there is to say about an alert on a message of each label.
pub(super) fn telling(number: u64) -> Telling {
    let rows = [row(7, "red", SECRET_SUBJECT), row(8, "amber", SECRET_SUBJECT), row(9, "green", OPEN_SUBJECT)];
    Telling::with_rows(alert(number, &[]), &id(), &rows)
}

/// A node of the test's own.
pub(super) async fn node(dir: &Path, change: impl FnOnce(&mut Setup)) -> Node {
    let node = NewNode {
        dir: dir.join("node"),
        id: id(),
        name: "CERT".to_owned(),
        country: "BR".parse().unwrap(),
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        endpoints: vec!["127.0.0.1:7443".parse().unwrap()],
        single_administrator: false,
    };
    let clock = Clock::system();
    init::init(&node, &fixtures::sealing(), &clock).unwrap();
    let config = Config::load(&node.dir.join(CONFIG_FILE)).unwrap();
    let keys = OwnKeys::load(&config, &mut fixtures::keyring(), clock.system_time()).unwrap();
    let mut setup = run::setup(&config, keys, None, clock).unwrap();
    setup.journal.prepare_ahead = false;
    change(&mut setup);
    start(setup).await.unwrap()
}

/// What the loop would be told of an alert.
pub(super) async fn outcome(messages: &mut mpsc::Receiver<Message>) -> (AlertId, AlertOutcome) {
    loop {
        let message = tokio::time::timeout(PATIENCE, messages.recv()).await.expect("the outcome is told").unwrap();
        if let Message::Input(Input::Alerted { alert, outcome }) = message {
            return (alert, *outcome);
        }
    }
}

/// A script of a test's own.
pub(super) fn script(dir: &Path, name: &str, lines: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    path
}

/// Waits until a condition holds, and fails the test if it does not within [`PATIENCE`].
pub(super) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "this did not come true in time: {what}");
        tokio::task::yield_now().await;
    }
}
