//! The client against a server on a real Unix socket: right answers, errors, and every way an answer can be wrong.

#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic like the test itself")]

use std::path::{Path, PathBuf};

use aldis_control::{
    ApiError, Client, ClientError, EventsQuery, Exit, ListQuery, LogQuery, MessageQuery, UnixMillis, VerifyLine, routes,
};
use axum::Router;
use axum::body::Body;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json};
use axum::routing::{get, post};
use futures_util::StreamExt;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

/// Serves the router on a socket in a fresh directory, which lives as long as the first part.
fn serve(router: Router) -> (TempDir, Client) {
    let (directory, path) = fresh_socket();
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (directory, Client::new(path))
}

/// Answers one connection with exactly these bytes, then closes it.
fn serve_bytes(answer: &'static [u8]) -> (TempDir, Client) {
    let (directory, path) = fresh_socket();
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(answer).await;
    });
    (directory, Client::new(path))
}

fn fresh_socket() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("aldis.sock");
    (directory, path)
}

#[tokio::test]
async fn a_query_arrives_as_it_was_asked() {
    let router = Router::new()
        .route(
            routes::LOG,
            get(async |Query(query): Query<LogQuery>| {
                assert_eq!(query.text.as_deref(), Some("a&b=c/ü"));
                assert_eq!(query.since, Some(UnixMillis(1_795_316_400_000)));
                assert_eq!((query.limit, query.peer), (Some(5), None));
                Json(serde_json::json!({ "rows": [] }))
            }),
        )
        .route(
            routes::INBOX,
            get(async |Query(query): Query<ListQuery>| {
                assert!(query.all);
                Json(serde_json::json!([]))
            }),
        );
    let (_directory, client) = serve(router);
    let query = LogQuery {
        text: Some("a&b=c/ü".into()),
        since: Some(UnixMillis(1_795_316_400_000)),
        limit: Some(5),
        ..LogQuery::default()
    };
    assert_eq!(client.log(&query).await.unwrap().next, None);
    assert!(client.inbox(&ListQuery { all: true, ..ListQuery::default() }).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_error_of_the_daemon_keeps_its_words_and_exit_code() {
    let router = Router::new().route(
        routes::MESSAGE,
        get(async || {
            let error = ApiError::new(Exit::NotFound, "no-such-message", "there is no cert.br/P9", "look in the inbox");
            (StatusCode::NOT_FOUND, Json(error))
        }),
    );
    let (_directory, client) = serve(router);
    let error = client.message(&MessageQuery { id: "cert.br/P9".into() }).await.unwrap_err();
    assert_eq!(error.exit(), Exit::NotFound);
    assert_eq!(error.advice(), "look in the inbox");
    assert_eq!(error.to_string(), "there is no cert.br/P9");
}

#[tokio::test]
async fn a_socket_that_is_not_there_says_what_to_do() {
    let client = Client::new(Path::new("/nonexistent/aldis.sock"));
    let error = client.status().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
    assert_eq!(error.exit(), Exit::Unreachable);
    assert!(error.to_string().contains("/nonexistent/aldis.sock"), "{error}");
    assert!(error.advice().contains("aldisd run"), "{}", error.advice());
}

#[tokio::test]
async fn a_socket_nobody_listens_on_says_what_to_do() {
    let (_directory, path) = fresh_socket();
    drop(UnixListener::bind(&path).unwrap());
    let error = Client::new(path).status().await.unwrap_err();
    assert!(error.advice().contains("no daemon listens"), "{error:?}");
}

#[tokio::test]
async fn wrong_answers_are_told_apart() {
    let unusable: [&'static [u8]; 4] = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 500 Oops\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 302 Found\r\nlocation: http://example.org/\r\ncontent-length: 0\r\n\r\n",
    ];
    for answer in unusable {
        let (_directory, client) = serve_bytes(answer);
        let error = client.status().await.unwrap_err();
        assert!(matches!(error, ClientError::Protocol { .. }), "{} gave {error:?}", answer.escape_ascii());
    }
    let broken: [&'static [u8]; 3] = [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"];
    for answer in broken {
        let (_directory, client) = serve_bytes(answer);
        let error = client.status().await.unwrap_err();
        assert!(matches!(error, ClientError::Broken { .. }), "{} gave {error:?}", answer.escape_ascii());
        assert_eq!(error.exit(), Exit::Unreachable);
    }
}

#[tokio::test]
async fn i7_an_answer_without_an_end_is_given_up() {
    let router = Router::new().route(
        routes::STATUS,
        get(async || {
            let chunk = axum::body::Bytes::from(vec![b' '; 1024 * 1024]);
            let endless = futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
            Body::from_stream(endless).into_response()
        }),
    );
    let (_directory, client) = serve(router);
    let error = client.status().await.unwrap_err();
    assert!(matches!(error, ClientError::Protocol { .. }), "{error:?}");
}

#[tokio::test]
async fn events_and_verification_stream() {
    let event = r#"{"at":"2026-11-22T03:00:00.000Z","what":"alarm","text":"lane blocked"}"#;
    let sse = format!(": keep\n\nid: 4\ndata: {event}\n\n");
    let ndjson = concat!(
        r#"{"progress":{"done":1,"total":1,"what":"journal"}}"#,
        "\n",
        r#"{"report":{"ok":false,"records":1,"segments":1,"log_rows":0,"findings":[]}}"#,
        "\n"
    );
    let router = Router::new()
        .route(
            routes::EVENTS,
            get(async move |Query(query): Query<EventsQuery>| {
                assert_eq!(query.since.as_deref(), Some("3"));
                sse
            }),
        )
        .route(routes::VERIFY, post(async move || ndjson));
    let (_directory, client) = serve(router);
    let mut events = client.events(&EventsQuery { since: Some("3".into()) }).await.unwrap();
    let first = events.next().await.unwrap().unwrap();
    assert_eq!((first.id.as_str(), first.event.text.as_str()), ("4", "lane blocked"));
    assert!(events.next().await.is_none());
    let lines: Vec<_> = client.verify().await.unwrap().collect().await;
    assert!(matches!(&lines[..], [Ok(VerifyLine::Progress(_)), Ok(VerifyLine::Report(report))] if !report.ok));
}
