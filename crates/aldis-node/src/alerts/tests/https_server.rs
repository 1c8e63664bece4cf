//! A real HTTPS server on loopback that answers as its script says and keeps what it was sent.

use super::certificate::server_certificate;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// A status without a body.
    Status(u16),
    /// A redirect to itself.
    Redirect,
    /// A success, with a body that never ends.
    Endless,
    /// Nothing, for ever.
    Hang,
    /// The connection ends.
    Drop,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Received {
    pub(super) fn header(&self, name: &str) -> &str {
        let found = self.head.lines().filter_map(|line| line.split_once(": "));
        found.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).next().unwrap_or("")
    }
}

pub(super) struct HttpsServer {
    pub(super) port: u16,
    pub(super) ca_file: PathBuf,
    received: Arc<Mutex<Vec<Received>>>,
    task: tokio::task::JoinHandle<()>,
}

impl HttpsServer {
    /// A server with a certificate of its own, which gives these answers and then the last of them again.
    pub(super) async fn new(dir: &Path, answers: &[Answer]) -> Self {
        let (acceptor, ca_file) = server_certificate(dir);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::<Mutex<Vec<Received>>>::default();
        let script = Arc::new(Mutex::new(answers.iter().cloned().collect::<VecDeque<_>>()));
        let kept = Arc::clone(&received);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let next = || {
                    let mut script = script.lock().unwrap();
                    if script.len() > 1 { script.pop_front().unwrap() } else { script[0].clone() }
                };
                tokio::spawn(serve(acceptor.clone(), stream, next(), Arc::clone(&kept)));
            }
        });
        Self { port, ca_file, received, task }
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

impl Drop for HttpsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(acceptor: TlsAcceptor, stream: tokio::net::TcpStream, answer: Answer, kept: Arc<Mutex<Vec<Received>>>) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let mut stream = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    kept.lock().unwrap().push(Received { head, body });
    match answer {
        Answer::Status(status) => {
            let _gone = stream.write_all(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").as_bytes()).await;
            let _gone = stream.flush().await;
        }
        Answer::Redirect => {
            let head = "HTTP/1.1 307 X\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n";
            let _gone = stream.write_all(head.as_bytes()).await;
            let _gone = stream.flush().await;
        }
        Answer::Endless => {
            let _gone = stream.write_all(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            while stream.write_all(b"4\r\nmore\r\n").await.is_ok() && stream.flush().await.is_ok() {}
        }
        Answer::Hang => std::future::pending().await,
        Answer::Drop => {}
    }
}
