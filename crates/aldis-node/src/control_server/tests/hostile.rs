//! Whoever may open the socket may still send anything, slowly, or too much of it. Each gets one answer in JSON or a closed
//! connection, and nobody else notices.

use super::support::{Cert, PATIENCE, eventually, failure, notice, read_to_end};
use crate::control_server::BODY_MAX_BYTES;
use crate::control_server::accept::Limits;
use aldis_control::routes;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

#[tokio::test(flavor = "multi_thread")]
async fn wrong_routes_and_methods_are_answered_in_json() {
    let br = Cert::new("cert.br").await;
    for (method, path, expected) in [
        ("GET", "/", 404),
        ("GET", "/v1/statuses", 404),
        ("GET", "/v1/../v1/status", 404),
        ("GET", "/v1/status/", 404),
        ("DELETE", routes::STATUS, 405),
        ("GET", routes::MESSAGES, 405),
        ("BREW", routes::PEERS, 405),
    ] {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: aldis\r\nconnection: close\r\n\r\n");
        let (status, error) = failure(&br.raw(request.as_bytes()).await);
        assert!(status == expected && error.exit == 2, "{method} {path}: {status} {error:?}");
    }
    let unknown = "GET /v1/inbox?everything=1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let (status, error) = failure(&br.raw(unknown.as_bytes()).await);
    assert!(status == 400 && error.message.contains("everything"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_bodies_that_are_no_request_are_refused() {
    let br = Cert::new("cert.br").await;
    let deep = format!("{{\"body\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for body in ["", "{", "null", "[]", "7", "{\"to\":[}", "{\"to\":\"\\ud800\"}", &deep] {
        let (status, error) = br.post(routes::MESSAGES, body).await;
        assert!(matches!(status, 400 | 422) && error.code == "bad-request", "{body:.40}: {status} {error:?}");
    }
    let twice = serde_json::to_string(&notice(&["cert.cl"])).unwrap().replacen('{', "{\"tlp\":\"clear\",", 1);
    let (_, error) = br.post(routes::MESSAGES, &twice).await;
    assert!(error.message.contains("duplicate field `tlp`"), "{error:?}");

    let mut invalid = b"POST /v1/messages HTTP/1.1\r\nhost: a\r\nconnection: close\r\n".to_vec();
    invalid.extend_from_slice(b"content-type: application/json\r\ncontent-length: 4\r\n\r\n\"\xff\xfe\"");
    assert_eq!(failure(&br.raw(&invalid).await).0, 400);

    let form = "POST /v1/messages HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
                content-type: application/x-www-form-urlencoded\r\ncontent-length: 2\r\n\r\n{}";
    let (status, error) = failure(&br.raw(form.as_bytes()).await);
    assert_eq!((status, error.code.as_str()), (415, "not-json"));
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_what_is_too_long_is_refused_before_it_is_read() {
    let br = Cert::new("cert.br").await;
    let announced = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        BODY_MAX_BYTES + 1
    );
    let (status, error) = failure(&br.raw(announced.as_bytes()).await);
    assert_eq!((status, error.code.as_str()), (413, "too-long"));

    let mut chunked = b"POST /v1/messages HTTP/1.1\r\nhost: a\r\nconnection: close\r\n".to_vec();
    chunked.extend_from_slice(b"content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n");
    for _ in 0..17 {
        chunked.extend_from_slice(b"10000\r\n");
        chunked.extend(std::iter::repeat_n(b' ', 0x10000));
        chunked.extend_from_slice(b"\r\n");
    }
    let mut stream = UnixStream::connect(&br.socket).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let mut answer = vec![0; 4_096];
    let (_written, read) = tokio::join!(writer.write_all(&chunked), reader.read(&mut answer));
    let answer = String::from_utf8_lossy(&answer[..read.unwrap()]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");

    let head = format!("GET /v1/status HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(200_000));
    assert!(br.raw(head.as_bytes()).await.starts_with("HTTP/1.1 431"));
    let lines = "a: b\r\n".repeat(100);
    let head = format!("GET /v1/status HTTP/1.1\r\nhost: a\r\n{lines}\r\n");
    assert!(br.raw(head.as_bytes()).await.starts_with("HTTP/1.1 431"));
    assert!(br.raw(b"\x16\x03\x01 not http\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    assert!(br.client.status().await.unwrap().ready, "it still serves everybody else");
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_slow_clients_are_given_up_and_others_are_served() {
    let short = Duration::from_millis(100);
    let limits = Limits { head: short, body: short, ..Limits::default() };
    let br = Cert::within(limits, "cert.br").await;
    let mut silent = UnixStream::connect(&br.socket).await.unwrap();
    let mut dribbling = UnixStream::connect(&br.socket).await.unwrap();
    dribbling.write_all(b"GET /v1/sta").await.unwrap();
    let mut half = UnixStream::connect(&br.socket).await.unwrap();
    let head = "POST /v1/messages HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    half.write_all(head.as_bytes()).await.unwrap();
    assert!(br.client.status().await.unwrap().ready);
    assert!(!read_to_end(&mut silent).await.contains("200"));
    assert!(!read_to_end(&mut dribbling).await.contains("200"));
    let (status, error) = failure(&read_to_end(&mut half).await);
    assert_eq!((status, error.code.as_str()), (408, "too-slow"));
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_a_client_too_many_is_told_so_and_a_free_place_is_used_again() {
    let limits = Limits { connections: 2, head: PATIENCE, turned_away_head: PATIENCE, ..Limits::default() };
    let br = Cert::within(limits, "cert.br").await;
    let first = UnixStream::connect(&br.socket).await.unwrap();
    let second = UnixStream::connect(&br.socket).await.unwrap();
    // Connections are accepted in the order in which they came, so both places are taken.
    let asked = b"GET /v1/status HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let (status, error) = failure(&br.raw(asked).await);
    assert_eq!((status, error.code.as_str(), error.exit), (503, "busy", 4));
    drop((first, second));
    eventually("a place is free again", || async { br.client.status().await.is_ok() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_ends_idle_and_streaming_connections_and_removes_the_socket() {
    let mut br = Cert::new("cert.br").await;
    let mut idle = UnixStream::connect(&br.socket).await.unwrap();
    let mut streaming = UnixStream::connect(&br.socket).await.unwrap();
    streaming.write_all(b"GET /v1/events HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut head = [0; 12];
    streaming.read_exact(&mut head).await.unwrap();
    br.stop_serving().await;
    assert!(!br.socket.exists());
    read_to_end(&mut idle).await;
    read_to_end(&mut streaming).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_a_node_that_stops_under_a_request_says_that_nothing_is_known() {
    let mut br = Cert::new("cert.br").await;
    br.stop_node().await;
    let error = super::support::api(br.client.status().await);
    assert_eq!((error.code.as_str(), error.exit), ("stopping", 4));
    let error = super::support::api(br.client.send(&notice(&["cert.cl"])).await);
    assert!(error.message.contains("not known") && error.exit == 4, "{error:?}");
}
