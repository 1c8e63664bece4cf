//! Files over the control API: handed in whole or not at all, within bounds.

use super::support::{Cert, PATIENCE, api, eventually, failure, notice, two};
use crate::access::Desks;
use crate::attachments::UNNAMED_MAX_BYTES;
use crate::control_server::accept::Limits;
use aldis_control::{
    ATTACHMENT_MAX_BYTES, AttachmentQuery, AttachmentState, AttachmentToSend, ListQuery, Role, SendRequest, Tlp,
    UploadedAttachment,
};
use aldis_wire::codes::Desk;
use aldis_wire::digest::Digest;
use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

async fn hand_in(cert: &Cert, bytes: &[u8]) -> UploadedAttachment {
    let pieces: Vec<io::Result<Bytes>> = bytes.chunks(300_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    cert.client.attachment_upload(bytes.len() as u64, stream::iter(pieces)).await.unwrap()
}

/// The head of a request that hands in a file.
fn head(length: impl ToString) -> String {
    format!(
        "POST /v1/attachments HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/octet-stream\r\n\
         content-length: {}\r\n\r\n",
        length.to_string()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_handed_in_is_here_under_its_digest() {
    let br = Cert::new("cert.br").await;
    let bytes: Vec<u8> = (0..5_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let uploaded = hand_in(&br, &bytes).await;
    assert_eq!((uploaded.digest.as_str(), uploaded.size), (Digest::of(&[&bytes]).to_hex().as_str(), 20_000_000));
    assert_eq!(
        br.context.attachments.read_ours(Digest::of(&[&bytes])).unwrap().map(|file| file.size()),
        Some(20_000_000)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_what_is_no_file_is_refused_before_a_byte_of_it_is_read() {
    let br = Cert::new("cert.br").await;
    let no_length = head(1).replace("content-length: 1", "transfer-encoding: chunked");
    for (request, status, code) in [
        (head(0), 400, "empty-file"),
        (head(ATTACHMENT_MAX_BYTES + 1), 413, "too-long"),
        (head(1).replace("octet-stream", "json"), 415, "not-json"),
        (no_length, 411, "no-length"),
    ] {
        let (found, error) = failure(&br.raw(request.as_bytes()).await);
        assert_eq!((found, error.code.as_str()), (status, code), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_ends_early_or_stops_coming_leaves_nothing() {
    let limits = Limits { stall: Duration::from_millis(200), ..Limits::default() };
    let br = Cert::within(limits, "cert.br").await;
    let mut stream = UnixStream::connect(&br.socket).await.unwrap();
    stream.write_all(format!("{}only this", head(100)).as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("it gives up");
    read.unwrap();
    assert_eq!(failure(&answer).1.code, "too-slow");
    let mut stream = UnixStream::connect(&br.socket).await.unwrap();
    stream.write_all(format!("{}only this", head(100)).as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    // A client that went away may get no answer; what counts is that nothing stays.
    let _cut = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("it ends");
    let whole_room = async || br.context.attachments.upload(UNNAMED_MAX_BYTES).is_ok();
    eventually("what did not come whole is not counted", whole_room).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_files_that_are_here_can_be_named_and_each_once() {
    let br = Cert::new("cert.br").await;
    let uploaded = hand_in(&br, b"evidence").await;
    let file = |digest: &str| AttachmentToSend {
        digest: digest.to_owned(),
        name: "evidence.txt".to_owned(),
        media_type: "text/plain".to_owned(),
    };
    let here = file(&uploaded.digest);
    for (attachments, code) in [
        (vec![file(&"ab".repeat(32))], "no-such-file"),
        (vec![file("ab")], "bad-field"),
        (vec![here.clone(), here.clone()], "bad-field"),
        (vec![here.clone(); 17], "bad-field"),
        // The file is here; that the peer is not known comes to light afterwards, and the file can be named again.
        (vec![here.clone()], "no-such-peer"),
        (vec![here.clone()], "no-such-peer"),
    ] {
        let request = SendRequest { attachments, ..notice(&["cert.cl"]) };
        let error = api(br.client.send(&request).await);
        assert_eq!(error.code, code, "{error:?}");
    }
    let (desk, attachments) = (Some("no such".to_owned()), vec![here]);
    let error = api(br.client.send(&SendRequest { desk, attachments, ..notice(&["cert.cl"]) }).await);
    assert!(error.message.contains("no desk"), "{error:?}");
    let mut request = notice(&["cert.cl"]);
    request.body["attachments"] = serde_json::json!([]);
    assert_eq!(api(br.client.send(&request).await).code, "bad-field");
    assert_eq!(br.context.attachments.forget_unnamed(Duration::ZERO).unwrap(), 1, "no message names it");
}

/// A notice with one file, on its way to `cert.cl`.
async fn sent_with(br: &Cert, tlp: Tlp, bytes: &[u8]) -> String {
    let uploaded = hand_in(br, bytes).await;
    let (name, media_type) = ("plan.txt".to_owned(), "text/plain".to_owned());
    let attachments = vec![AttachmentToSend { digest: uploaded.digest, name, media_type }];
    br.send_stored(SendRequest { tlp, attachments, ..notice(&["cert.cl"]) }).await.id.to_string()
}

async fn downloaded(cert: &Cert, id: &str, number: u32) -> Result<Vec<u8>, aldis_control::ClientError> {
    let query = AttachmentQuery { id: id.to_owned(), number };
    let mut coming = cert.client.attachment(&query).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = coming.pieces.try_next().await? {
        bytes.extend_from_slice(&piece);
    }
    assert_eq!((coming.size, coming.digest), (bytes.len() as u64, Digest::of(&[&bytes]).to_hex()));
    Ok(bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_given_to_whoever_may_read_its_message_and_arrives_at_the_other_end() {
    let (br, cl) = two().await;
    let bytes: Vec<u8> = (0..700_000_u32).flat_map(u32::to_le_bytes).collect();
    let id = sent_with(&br, Tlp::Amber, &bytes).await;
    assert!(downloaded(&br, &id, 1).await.unwrap() == bytes);
    let state = async |cert: &Cert| cert.message(&id).await.row.attachments[0].state;
    eventually("it is held there", async || state(&cl).await == AttachmentState::Held).await;
    eventually("its sender knows it", async || state(&br).await == AttachmentState::Held).await;
    assert!(downloaded(&cl, &id, 1).await.unwrap() == bytes);
    let view = cl.message(&id).await;
    assert!(view.body.unwrap().get("attachments").is_none(), "files have a place of their own");
    assert_eq!(api(downloaded(&cl, &id, 2).await).code, "no-such-file");
    assert_eq!(api(downloaded(&cl, &id, 0).await).code, "no-such-file");
    cl.give(&[(Role::Auditor, Desks::Only([Desk::DIPLOMATIC].into()))]);
    assert_eq!(api(downloaded(&cl, &id, 1).await).code, "missing-desk");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_a_red_file_is_on_record_and_lists_do_not_say_what_it_is() {
    let (br, _cl) = two().await;
    let id = sent_with(&br, Tlp::Red, b"secret").await;
    let row = async || {
        let rows = br.client.outbox(&ListQuery { all: true, ..ListQuery::default() }).await.unwrap();
        rows.into_iter().find(|row| row.id.to_string() == id).unwrap()
    };
    let before = row().await;
    let file = &before.attachments[0];
    assert_eq!((file.name.as_str(), file.media_type.as_str(), file.digest.as_str(), file.size), ("", "", "", 6));
    assert!(before.opened.is_empty());
    assert_eq!(downloaded(&br, &id, 1).await.unwrap(), b"secret");
    assert_eq!(row().await.opened.len(), 1, "before a byte of it left");
}
