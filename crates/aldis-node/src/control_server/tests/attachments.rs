//! Files over the control API: handed in whole or not at all, within bounds.

use super::support::{Cert, PATIENCE, api, eventually, failure, notice};
use crate::attachments::UNNAMED_MAX_BYTES;
use crate::control_server::accept::Limits;
use aldis_control::{ATTACHMENT_MAX_BYTES, AttachmentToSend, SendRequest, UploadedAttachment};
use aldis_wire::digest::Digest;
use bytes::Bytes;
use futures_util::stream;
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
    assert_eq!(br.context.attachments.has_ours(Digest::of(&[&bytes])), Some(20_000_000));
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
    let mut request = notice(&["cert.cl"]);
    request.body["attachments"] = serde_json::json!([]);
    assert_eq!(api(br.client.send(&request).await).code, "bad-field");
    assert_eq!(br.context.attachments.forget_unnamed(Duration::ZERO).unwrap(), 1, "no message names it");
}
