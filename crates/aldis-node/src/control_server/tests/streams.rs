//! The two streaming answers: events, also after an absence, and verification.

use super::support::{Cert, PATIENCE, api, notice, two};
use crate::control_server::Server;
use crate::control_server::accept::Limits;
use crate::events::KEPT_EVENTS;
use aldis_control::{ClientError, DeliveryState, EventKind, EventsQuery, StreamedEvent, VerifyLine, VerifyReport};
use aldis_core::effect::Happening;
use aldis_wire::ids::NodeId;
use axum::extract::State;
use axum::response::IntoResponse;
use futures_util::{Stream, StreamExt};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

async fn events(cert: &Cert, since: Option<&str>) -> impl Stream<Item = Result<StreamedEvent, ClientError>> + Unpin {
    cert.client.events(&EventsQuery { since: since.map(str::to_owned) }).await.unwrap()
}

/// The next event that is not about the message log, which opens beside everything.
async fn next(events: &mut (impl Stream<Item = Result<StreamedEvent, ClientError>> + Unpin)) -> StreamedEvent {
    loop {
        let event = tokio::time::timeout(PATIENCE, events.next()).await.expect("an event comes");
        let event = event.expect("the stream goes on").unwrap();
        if event.event.what != EventKind::Log {
            return event;
        }
    }
}

fn tell(cert: &Cert, number: usize) {
    let peer = NodeId::new("cert.zz").unwrap();
    let happening = Happening::LinkDown(peer, format!("number {number}"));
    cert.context.events.tell(cert.context.clock.wall(), happening);
}

pub(super) async fn verify(cert: &Cert) -> VerifyReport {
    let mut lines = cert.client.verify().await.unwrap();
    let mut last = None;
    while let Some(line) = lines.next().await {
        last = Some(line.unwrap());
    }
    match last {
        Some(VerifyLine::Report(report)) => report,
        other => panic!("no report: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_sees_a_message_come_further_with_its_row() {
    let (br, cl) = two().await;
    let (mut at_br, mut at_cl) = (events(&br, None).await, events(&cl, None).await);
    let sent = br.send_stored(notice(&["cert.cl"])).await;
    loop {
        let event = next(&mut at_br).await.event;
        if event.what == EventKind::Delivery && event.state.as_deref() == Some("stored") {
            let row = event.message.expect("the log knows it");
            assert_eq!((row.id, row.state), (sent.id.clone(), DeliveryState::Stored));
            break;
        }
    }
    loop {
        let event = next(&mut at_cl).await.event;
        if event.what == EventKind::Received {
            assert_eq!(event.message.expect("the log knows it").subject, "C2 at a provider");
            assert_eq!(event.peer.as_deref(), Some("cert.br"));
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_back_gets_what_it_missed_once_and_in_order() {
    let br = Cert::new("cert.br").await;
    let mut first = events(&br, None).await;
    tell(&br, 0);
    let seen = next(&mut first).await;
    drop(first);
    for number in 1..50 {
        tell(&br, number);
    }
    let mut again = events(&br, Some(&seen.id)).await;
    for number in 50..60 {
        tell(&br, number);
    }
    for number in 1..60 {
        let event = next(&mut again).await.event;
        assert!(event.text.ends_with(&format!("number {number}")), "{event:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_what_is_no_longer_held_is_counted_and_another_run_is_said() {
    let br = Cert::new("cert.br").await;
    let mut first = events(&br, None).await;
    tell(&br, 0);
    let seen = next(&mut first).await;
    drop(first);
    for number in 1..=KEPT_EVENTS + 7 {
        tell(&br, number);
    }
    let mut again = events(&br, Some(&seen.id)).await;
    let missed = next(&mut again).await.event;
    assert!(missed.what == EventKind::Other && missed.text.starts_with("7 events missed"), "{missed:?}");
    assert!(next(&mut again).await.event.text.ends_with("number 8"));

    let mut other_run = events(&br, Some("00000000000000aa-3")).await;
    assert!(next(&mut other_run).await.event.text.contains("started again"));
    let mut lag = events(&br, None).await;
    let flood = 3 * KEPT_EVENTS;
    let told = br.context.events.clone();
    for number in 0..flood {
        let happening = Happening::AlarmCleared(aldis_wire::codes::Code::known("x"), None);
        told.tell(br.context.clock.wall(), happening);
        if number == flood - 1 {
            break;
        }
    }
    let mut came = 0;
    let mut missed = 0;
    while came + missed < flood {
        let event = next(&mut lag).await.event;
        match event.text.split_once(" events missed") {
            Some((count, _)) => missed += count.parse::<usize>().unwrap(),
            None => came += 1,
        }
    }
    assert_eq!(came + missed, flood, "every event came or was counted");

    for wrong in ["7", "x-1", "00aa-", "00aa--1", ""] {
        let query = EventsQuery { since: Some(wrong.to_owned()) };
        let result = br.client.events(&query).await.map(|_| ());
        assert_eq!(api(result).code, "bad-event-id", "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_names_the_place_too() {
    let br = Cert::new("cert.br").await;
    let mut first = events(&br, None).await;
    tell(&br, 0);
    let seen = next(&mut first).await.id;
    tell(&br, 1);
    let mut stream = tokio::net::UnixStream::connect(&br.socket).await.unwrap();
    let request = format!("GET /v1/events HTTP/1.1\r\nhost: a\r\nlast-event-id: {seen}\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
    let mut text = String::new();
    let mut bytes = [0; 4_096];
    while !text.contains("number 1") {
        let read = tokio::io::AsyncReadExt::read(&mut stream, &mut bytes);
        let count = tokio::time::timeout(PATIENCE, read).await.expect("an event comes").unwrap();
        assert!(count > 0, "the stream ended: {text}");
        text.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    assert!(!text.contains("number 0"), "{text}");
    assert!(text.contains("text/event-stream"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn i9_verification_reports_what_it_walked_and_places_what_was_changed() {
    let (br, _cl) = two().await;
    br.send_stored(notice(&["cert.cl"])).await;
    let report = verify(&br).await;
    assert!(report.ok && report.findings.is_empty(), "{report:?}");
    assert!(report.records > 0 && report.segments > 0 && report.log_rows == 1, "{report:?}");

    let segment = std::fs::read_dir(&br.context.journal_dir).unwrap().map(|entry| entry.unwrap().path());
    let segment = segment.max_by_key(|path| std::fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.windows(12).rposition(|window| window == b"cert.br\x07cert".as_slice());
    let at =
        at.unwrap_or_else(|| bytes.windows(7).rposition(|window| window == b"cert.cl").expect("a record names it"));
    bytes[at] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let report = verify(&br).await;
    assert!(!report.ok && report.findings[0].place.contains("at byte"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn i9_a_journal_put_back_under_a_running_node_is_found() {
    let br = Cert::changed(Limits::default(), "cert.br", |context, dir| {
        // An older journal, whole in itself and with its own anchors.
        let old = dir.join("old");
        std::fs::create_dir(&old).unwrap();
        for entry in std::fs::read_dir(&context.journal_dir).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), old.join(entry.file_name())).unwrap();
        }
        context.journal_dir = old;
    })
    .await;
    let cl = Cert::new("cert.cl").await;
    br.enrol(&cl).await;
    br.client.send(&notice(&["cert.cl"])).await.unwrap();
    let report = verify(&br).await;
    assert!(!report.ok && !report.findings.is_empty(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_verification_at_a_time_and_the_place_is_free_when_it_ends() {
    let br = Cert::new("cert.br").await;
    let server = Arc::new(Server::new(br.context.clone(), Limits::default(), CancellationToken::new()));
    let place = Arc::clone(&server.verification).try_acquire_owned().unwrap();
    let busy = super::super::verify::verify(State(Arc::clone(&server))).await.unwrap_err();
    assert_eq!(busy.clone().into_response().status(), 409);
    assert_eq!(busy.into_error().code, "busy");
    drop(place);
    assert!(verify(&br).await.ok);
    drop(br.client.verify().await.unwrap());
    super::support::eventually("the abandoned walk gives its place back", || async {
        match br.client.verify().await {
            Ok(_) => true,
            Err(ClientError::Api(error)) => {
                assert_eq!(error.code, "busy");
                false
            }
            Err(error) => panic!("{error}"),
        }
    })
    .await;
}
