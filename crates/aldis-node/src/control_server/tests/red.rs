//! TLP:RED: lists, searches and events never carry what such a message says, and whoever opens one is in the journal
//! before they see it.

use super::support::{Cert, PATIENCE, api, notice, two};
use aldis_control::{AnswerRequest, AnswerState, AnswerStatus, MessageQuery, SendRequest, SentMessage, Tlp, routes};
use aldis_core::record::{Opened, Record};
use aldis_wire::ids::EnvelopeId;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Stands in every text of the RED messages, in several places a list might take words from.
const CANARY: &str = "canary";

fn red() -> SendRequest {
    let body = json!({
        "subject": "canary-subject", "class": "fraud", "narrative": "canary-narrative",
        "assets": [{ "name": "canary-asset" }],
    });
    SendRequest { body, tlp: Tlp::Red, ..notice(&["cert.cl"]) }
}

/// A RED notice from `br`, answered in RED words by `cl`.
async fn scene() -> (Cert, Cert, SentMessage, SentMessage) {
    let (br, cl) = two().await;
    let sent = br.send_stored(red()).await;
    let answer = AnswerRequest {
        id: sent.id.to_string(),
        state: AnswerState::Decided,
        status: Some(AnswerStatus::Pending),
        justification: None,
        until: None,
        text: Some("canary-answer".to_owned()),
        author: None,
    };
    let answered = cl.client.answer(&answer).await.unwrap().message;
    super::support::eventually("the answer is there", || async {
        br.client.message(&MessageQuery { id: answered.id.to_string() }).await.is_ok()
    })
    .await;
    (br, cl, sent, answered)
}

async fn get(cert: &Cert, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let answer = cert.raw(request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    answer
}

async fn hear_until(stream: &mut UnixStream, heard: &mut String, word: &str) {
    while !heard.contains(word) {
        let mut bytes = [0; 4_096];
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut bytes)).await.expect("an event comes").unwrap();
        assert!(read > 0, "the stream ended: {heard}");
        heard.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
}

/// Every opening in the journal, oldest first.
fn openings(cert: &Cert) -> Vec<Opened> {
    let records = cert.context.journal.iter_from(crate::journal::RecordSeq(0)).map(Result::unwrap);
    let opened = records.filter_map(|record| match Record::decode(&record.record).unwrap() {
        Record::Opened(opened) => Some(opened),
        _ => None,
    });
    opened.collect()
}

fn named(openings: &[Opened]) -> Vec<String> {
    openings.iter().map(|opened| opened.message.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_list_search_or_case_carries_what_a_red_message_says() {
    let (br, cl, sent, _) = scene().await;
    let before = openings(&cl).len();
    let case = cl.message(&sent.id).await.row.case;
    for cert in [&br, &cl] {
        for path in [
            "/v1/inbox?all=true",
            "/v1/outbox?all=true",
            "/v1/log",
            &format!("/v1/log?case={case}"),
            &format!("/v1/case?id={case}"),
        ] {
            let answer = get(cert, path).await;
            assert!(!answer.contains(CANARY), "{} {path}: {answer}", cert.id);
        }
        for text in ["canary", "CANARY-SUBJECT", "fraud", "canary-answer", "canary-asset"] {
            let page = get(cert, &format!("/v1/log?text={text}")).await;
            assert!(page.contains("\"rows\":[]"), "{} finds {text}: {page}", cert.id);
        }
        let shown = get(cert, &format!("/v1/case?id={case}")).await;
        assert!(shown.contains("tlp-red") && shown.contains("aldis show"), "{shown}");
    }
    assert_eq!(openings(&cl).len(), before + 2, "only showing it, with its answer, opened anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_event_carries_what_a_red_message_says() {
    let (br, cl) = two().await;
    let mut stream = UnixStream::connect(&cl.socket).await.unwrap();
    stream.write_all(format!("GET {} HTTP/1.1\r\nhost: a\r\n\r\n", routes::EVENTS).as_bytes()).await.unwrap();
    let mut heard = String::new();
    hear_until(&mut stream, &mut heard, "\r\n\r\n").await;
    // A message that is not RED comes after the RED one and ends the wait.
    br.send_stored(red()).await;
    br.send_stored(notice(&["cert.cl"])).await;
    hear_until(&mut stream, &mut heard, "C2 at a provider").await;
    assert!(heard.contains("\"red\"") && !heard.contains(CANARY), "{heard}");
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_whoever_opens_a_red_message_is_in_the_journal_before_the_answer_and_in_the_log() {
    let (br, _cl, sent, answered) = scene().await;
    let before = openings(&br).len();
    let shown = br.message(&sent.id).await;
    let opened = openings(&br);
    assert_eq!(shown.row.subject, "canary-subject");
    assert_eq!(shown.answers[0].text, "canary-answer");
    let expected = [sent.id.to_string(), answered.id.to_string()];
    assert_eq!(named(&opened[before..]), expected, "the message, and the RED answer shown with it");
    let uid = format!("(uid {})", nix::unistd::getuid());
    assert!(opened.iter().all(|opened| opened.by.ends_with(&uid)), "{opened:?}");

    let page = br.client.log(&aldis_control::LogQuery::default()).await.unwrap();
    let row = page.rows.iter().find(|row| row.id == sent.id).unwrap();
    assert_eq!(row.opened.len(), 1, "{row:?}");
    assert!(row.opened[0].by.ends_with(&uid) && row.opened[0].at.0 == opened[before].at.get(), "{row:?}");
    assert_eq!(br.message(&sent.id).await.row.opened.len(), 1, "what was on record when it was opened");
    assert_eq!(br.message(&sent.id).await.row.opened.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_red_is_shown_without_a_record() {
    let (br, _cl) = two().await;
    let sent = br.send_stored(notice(&["cert.cl"])).await;
    assert_eq!(br.message(&sent.id).await.row.subject, "C2 at a provider");
    assert_eq!(openings(&br), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_a_journal_that_takes_no_opening_keeps_the_message_closed() {
    let (br, _cl, sent, _) = scene().await;
    let other = br.send_stored(notice(&["cert.cl"])).await;
    br.context.loop_handle.stop().await;
    let path = format!("GET /v1/message?id={} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", sent.id);
    let answer = br.raw(path.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 503") && !answer.contains(CANARY), "{answer}");
    assert_eq!(api(br.client.message(&MessageQuery { id: sent.id.to_string() }).await).code, "stopping");
    // The log itself can still be read: nothing but the journal was missing.
    assert_eq!(br.message(&other.id).await.row.subject, "C2 at a provider");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_or_not_there_opens_nothing() {
    let (br, _cl, sent, _) = scene().await;
    let before = openings(&br).len();
    let none = EnvelopeId { seq: aldis_wire::ids::Seq::new(99).unwrap(), ..openings(&br)[0].message.clone() };
    assert_eq!(api(br.client.message(&MessageQuery { id: none.to_string() }).await).exit, 5);
    br.give(&[(aldis_control::Role::Admin, crate::access::Desks::All)]);
    assert_eq!(api(br.client.message(&MessageQuery { id: sent.id.to_string() }).await).code, "missing-role");
    let desks = crate::access::Desks::Only([aldis_wire::codes::Desk::DIPLOMATIC].into());
    br.give(&[(aldis_control::Role::Auditor, desks)]);
    assert_eq!(api(br.client.message(&MessageQuery { id: sent.id.to_string() }).await).code, "missing-desk");
    assert_eq!(openings(&br).len(), before);
}
