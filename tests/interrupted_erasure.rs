//! A node is killed when the acceptance of a recall is on record and the body is not erased yet: its next start erases it,
//! and the sender hears of it once.

use aldis_control::{AnswerRequest, AnswerState, AnswerStatus, Client, DeliveryState, MessageQuery, RecallRequest};
use aldis_core::effect::Delivery;
use aldis_core::record::Record;
use aldis_node::journal::Body;
use aldis_tests::certs::{Cert, eventually, two_certs};
use aldis_wire::ids::EnvelopeId;
use aldis_wire::lane::Lane;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What only the body says.
const SECRET: &str = "the-reactor-of-the-old-town";

fn client(cert: &Cert) -> Client {
    Client::new(cert.dir().join("aldis.sock"))
}

/// The journal's segments with their bytes.
fn segments(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(dir.join("journal")).unwrap().map(|entry| entry.unwrap().path());
    let segments = entries.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().contains("seg")));
    segments.map(|path| (path.clone(), std::fs::read(&path).unwrap())).collect()
}

fn holds_secret(dir: &Path) -> bool {
    segments(dir).values().any(|bytes| bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()))
}

/// Puts the bytes back that an erasure has overwritten: all that was written before it. What came after it stays.
fn undo_erasure(dir: &Path, before: &BTreeMap<PathBuf, Vec<u8>>) {
    for (path, was) in before {
        let path = dir.join("journal").join(path.file_name().unwrap());
        let written = was.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[..written].copy_from_slice(&was[..written]);
        std::fs::write(&path, bytes).unwrap();
    }
}

fn approval(recall: &str) -> AnswerRequest {
    AnswerRequest {
        id: recall.to_owned(),
        state: AnswerState::Decided,
        status: Some(AnswerStatus::Approved),
        justification: None,
        until: None,
        text: None,
        author: None,
    }
}

/// A recall of a message of `br` that waits at `cl`; `br` is away, so it hears nothing yet. The message and the recall.
async fn recalled(br: &mut Cert, cl: &Cert) -> (EnvelopeId, String) {
    let sent = br.send(cl, Lane::Priority, SECRET).await;
    br.delivered(&sent, &Delivery::Stored).await;
    let (id, reason, text) = (sent.to_string(), "sent-in-error".to_owned(), None);
    let asked = client(br).recall(&RecallRequest { id, to: Vec::new(), reason, text, author: None }).await.unwrap();
    let recall = asked.recipients[0].request.clone().unwrap();
    let place: EnvelopeId = recall.to_string().parse().unwrap();
    br.delivered(&place, &Delivery::Stored).await;
    br.stop().await;
    (sent, recall.to_string())
}

/// The body beside the record of a message that was received.
fn body_of(cert: &Cert, message: &EnvelopeId) -> Body {
    let found = cert.records().into_iter().find_map(|(record, body)| match record {
        Record::Received(received) if received.header.id() == *message => Some(body),
        _ => None,
    });
    found.expect("it was received")
}

fn tombstones(br: &Cert) -> usize {
    br.received().iter().filter(|found| found.header.kind.as_str() == "tombstone").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_a_recall_that_was_accepted_before_a_kill_is_carried_out_after_it_and_told_once() {
    let (mut br, mut cl) = two_certs().await;
    let (sent, recall) = recalled(&mut br, &cl).await;
    let before = segments(cl.dir());
    client(&cl).answer(&approval(&recall)).await.unwrap();
    assert!(!holds_secret(cl.dir()), "it is erased here");

    // The same machine, killed between the commit and the erasure.
    let mut killed = cl.twin();
    undo_erasure(killed.dir(), &before);
    assert!(holds_secret(killed.dir()), "the body is there, and the record that it is erased");
    cl.stop().await;
    killed.start().await;
    assert!(!holds_secret(killed.dir()), "the start erased it");
    assert_eq!(body_of(&killed, &sent), Body::Erased);
    let shown = eventually_shown(&killed, &sent).await;
    assert_eq!(shown, (DeliveryState::Recalled, Some("erased".to_owned()), String::new()), "nor does the log have it");

    br.start().await;
    killed.linked(&br).await;
    br.delivered(&sent, &Delivery::Recalled).await;
    // Another start finds it done: nothing is said twice. What is sent after it shows that all before has come.
    killed.stop().await;
    killed.start().await;
    killed.linked(&br).await;
    let last = killed.send(&br, Lane::Routine, "the last word").await;
    killed.delivered(&last, &Delivery::Stored).await;
    assert_eq!(tombstones(&br), 1);
}

/// State, what stands in place of the body, and subject of a message, once the log has followed the journal.
async fn eventually_shown(cert: &Cert, id: &EnvelopeId) -> (DeliveryState, Option<String>, String) {
    let (client, query) = (client(cert), MessageQuery { id: id.to_string() });
    eventually("the log knows it", || async {
        let view = client.message(&query).await;
        view.is_ok_and(|view| view.row.state == DeliveryState::Recalled)
    })
    .await;
    let view = client.message(&query).await.unwrap();
    (view.row.state, view.body_absent.map(|absence| absence.code), view.row.subject)
}
