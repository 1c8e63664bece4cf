//! The channel `webhook`, against a real HTTPS server.

use super::https_server::{Answer, HttpsServer};
use super::support::{PATIENCE, secret_file};
use crate::alerts::webhook::Post;
use crate::alerts::{Webhook, WebhookError};
use crate::clock::Clock;
use crate::tls::OutsideError;
use aws_lc_rs::hmac;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

const SECRET: &str = "a secret that both know";

fn webhook(server: &HttpsServer, dir: &Path, host: &str) -> Webhook {
    Webhook {
        url: format!("https://{host}:{}/in?x=1", server.port).parse().unwrap(),
        secret_file: secret_file(dir, &format!("{SECRET}\n")),
        ca_file: server.ca_file.clone(),
    }
}

fn post() -> Post {
    Post { id: "41".to_owned(), key: "cert.br/41".to_owned(), document: (&b"{\"v\":1}"[..]).into() }
}

async fn posted(webhook: &Webhook, limit: Duration) -> Result<(), WebhookError> {
    let clock = Clock::system();
    tokio::time::timeout(PATIENCE, webhook.post(&post(), &clock, Instant::now() + limit))
        .await
        .expect("it ends in time")
}

#[tokio::test]
async fn a_document_is_signed_and_tried_again_until_it_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let answers = [Answer::Status(500), Answer::Drop, Answer::Status(429), Answer::Status(204)];
    let server = HttpsServer::new(dir.path(), &answers).await;
    posted(&webhook(&server, dir.path(), "localhost"), PATIENCE).await.unwrap();
    let received = server.received();
    assert_eq!(received.len(), 4);
    for request in received {
        assert!(request.head.starts_with("POST /in?x=1 HTTP/1.1\r\n"), "{}", request.head);
        assert_eq!(request.body, b"{\"v\":1}");
        assert_eq!((request.header("aldis-alert"), request.header("idempotency-key")), ("41", "cert.br/41"));
        assert_eq!(request.header("host"), format!("localhost:{}", server.port));
        let timestamp = request.header("aldis-timestamp");
        assert!(timestamp.parse::<u64>().unwrap() > 1_700_000_000);
        let signature = request.header("aldis-signature").strip_prefix("v1=").unwrap();
        let signature = data_encoding::HEXLOWER.decode(signature.as_bytes()).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        hmac::verify(&key, format!("{timestamp}.{{\"v\":1}}").as_bytes(), &signature).unwrap();
    }
}

#[tokio::test]
async fn what_will_not_change_is_not_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = HttpsServer::new(dir.path(), &[Answer::Redirect, Answer::Status(403), Answer::Status(200)]).await;
    let webhook = webhook(&server, dir.path(), "localhost");
    assert!(matches!(posted(&webhook, PATIENCE).await, Err(WebhookError::Redirect(307))));
    assert!(matches!(posted(&webhook, PATIENCE).await, Err(WebhookError::Refused(403))));
    assert_eq!(server.received().len(), 2, "no redirect is followed");
    fs::write(&webhook.secret_file, "short").unwrap();
    assert!(matches!(posted(&webhook, PATIENCE).await, Err(WebhookError::File(_))));
    fs::write(&webhook.secret_file, SECRET).unwrap();
    fs::write(&webhook.ca_file, "no certificate").unwrap();
    let error = posted(&webhook, PATIENCE).await;
    assert!(matches!(error, Err(WebhookError::Tls(OutsideError::NoAuthorities))), "{error:?}");
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn a_server_that_hangs_or_is_not_there_costs_the_time_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let server = HttpsServer::new(dir.path(), &[Answer::Status(503), Answer::Hang]).await;
    let mut webhook = webhook(&server, dir.path(), "localhost");
    let error = posted(&webhook, Duration::from_secs(1)).await.unwrap_err().to_string();
    assert_eq!(error, "not taken within the time, after 2 tries; latest: the server answers 503");
    drop(server);
    webhook.url = "https://localhost:1/".parse().unwrap();
    let error = posted(&webhook, Duration::from_secs(1)).await.unwrap_err().to_string();
    assert!(error.contains("cannot reach localhost"), "{error}");
}

#[tokio::test]
async fn a_body_without_end_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let server = HttpsServer::new(dir.path(), &[Answer::Endless]).await;
    posted(&webhook(&server, dir.path(), "localhost"), Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn a_server_of_another_name_or_another_authority_gets_nothing() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = HttpsServer::new(dir.path(), &[Answer::Status(200)]).await;
    let stranger = HttpsServer::new(other.path(), &[Answer::Status(200)]).await;
    let by_address = webhook(&server, dir.path(), "127.0.0.1");
    let mut foreign = webhook(&server, dir.path(), "localhost");
    foreign.ca_file = stranger.ca_file.clone();
    for webhook in [by_address, foreign] {
        let error = posted(&webhook, Duration::from_millis(300)).await.unwrap_err().to_string();
        assert!(error.contains("no TLS 1.3 connection"), "{error}");
    }
    assert!(server.received().is_empty());
}

#[test]
fn only_https_addresses_without_a_user_are_taken() {
    use crate::alerts::Url;
    for good in ["https://a.example", "https://a.example:8443/x?y=z", "https://[::1]/", "https://127.0.0.1/a"] {
        assert!(good.parse::<Url>().is_ok(), "{good}");
    }
    for bad in ["http://a.example/", "https://user:word@a.example/", "a.example", "https://", "/x", "", "https:///x"] {
        assert!(bad.parse::<Url>().is_err(), "{bad}");
    }
}
