//! Every action is logged with who did it and what came of it; what it was about never is.

use super::support::{Cert, api, notice};
use aldis_control::{SendRequest, routes};
use serde_json::json;
use std::io;
use std::sync::{Arc, Mutex};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// On one thread, so that the subscriber sees what the server logs.
#[tokio::test]
async fn actions_are_logged_with_the_caller_and_without_what_they_are_about() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt().with_writer(lines.clone()).with_ansi(false);
    // With a single subscriber in the process, statements first met by another test's thread would stay switched off.
    let _second = tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(io::sink).finish());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let br = Cert::new("cert.br").await;
    let body = json!({ "subject": "canary-subject", "class": "fraud", "narrative": "canary-narrative" });
    let author = Some("canary-author".to_owned());
    let error = api(br.client.send(&SendRequest { body, author, ..notice(&["cert.cl"]) }).await);
    assert_eq!(error.code, "no-such-peer");
    let query = aldis_control::LogQuery { text: Some("canary-search".to_owned()), ..Default::default() };
    br.client.log(&query).await.unwrap();
    br.raw(b"GET /canary-path HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;

    let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let uid = nix::unistd::getuid();
    for (method, route, outcome) in
        [("POST", routes::MESSAGES, "no-such-peer"), ("GET", routes::LOG, "done"), ("GET", "-", "no-such-route")]
    {
        let fits = |line: &&str| {
            line.contains(&format!("method={method} route=\"{route}\""))
                && line.contains(&format!("outcome=\"{outcome}\""))
        };
        let line = logged.lines().find(fits).unwrap_or_else(|| panic!("{method} {route} {outcome}: {logged}"));
        assert!(line.contains(&format!("uid={uid} ")) && line.contains("pid="), "{line}");
    }
    assert!(!logged.contains("canary"), "{logged}");
}
