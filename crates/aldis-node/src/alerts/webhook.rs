//! The channel `webhook`: a document posted over HTTPS and signed with a shared secret, so that whoever takes it knows that
//! this node sent it, and when. Tried again while the server is busy, unreachable or broken; a redirect is never followed,
//! and nothing the server says in a body is read.

use super::secret::{self, FileError, Secret};
use crate::clock::Clock;
use crate::tls::{OutsideError, bare_host, connect_outside};
use aws_lc_rs::hmac;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{Method, Request, StatusCode, Uri};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// The first wait before a document is posted again; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The most of a response's head that is read, in bytes.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// Where to post, and with what to sign.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Where.
    pub url: Url,
    /// The shared secret.
    pub secret_file: PathBuf,
    /// The authorities of which one issued the server's certificate.
    pub ca_file: PathBuf,
}

/// An `https` address without a user in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    uri: Uri,
    host: String,
    port: u16,
}

/// Why nobody took a document.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The administrator must correct a file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The server cannot be reached.
    #[error("cannot reach {host}: {source}")]
    Unreachable {
        /// The server.
        host: String,
        /// What the system says.
        source: io::Error,
    },
    /// The server does not prove who it is.
    #[error(transparent)]
    Tls(#[from] OutsideError),
    /// The connection broke before there was an answer.
    #[error("no answer: {0}")]
    Broken(hyper::Error),
    /// The server sends us elsewhere, where an alert does not go.
    #[error("the server answers {0}, a redirect; write the address it leads to")]
    Redirect(u16),
    /// The server does not take it.
    #[error("the server answers {0}")]
    Refused(u16),
    /// The time is over.
    #[error("not taken within the time, after {tries} tries{}", .last.as_ref().map(|last| format!("; latest: {last}")).unwrap_or_default())]
    TimedOut {
        /// How often it was tried.
        tries: u32,
        /// What the latest finished try came to.
        last: Option<Box<WebhookError>>,
    },
}

impl Webhook {
    /// What makes it one that cannot be used, with what to do.
    pub fn fault(&self) -> Option<String> {
        let faults = [secret::read_secret(&self.secret_file).err(), secret::read_authorities(&self.ca_file).err()];
        faults.into_iter().flatten().next().map(|fault| fault.to_string())
    }

    /// Posts a document until it is taken, until there is no sense in it, or until the time is over.
    pub(super) async fn post(&self, post: &Post, clock: &Clock, until: Instant) -> Result<(), WebhookError> {
        let (mut wait, mut tries, mut last) = (FIRST_WAIT, 0, None);
        loop {
            tries += 1;
            match tokio::time::timeout_at(until, self.once(post, clock)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) if !error.may_pass() => return Err(error),
                Ok(Err(error)) => last = Some(Box::new(error)),
                Err(_) => return Err(WebhookError::TimedOut { tries, last }),
            }
            if Instant::now() + wait >= until {
                return Err(WebhookError::TimedOut { tries, last });
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
    }

    async fn once(&self, post: &Post, clock: &Clock) -> Result<(), WebhookError> {
        let secret = secret::secret(&self.secret_file).await?;
        let authorities = secret::authorities(&self.ca_file).await?;
        let (host, port) = (&self.url.host, self.url.port);
        let stream = TcpStream::connect((bare_host(host), port)).await;
        let stream = stream.map_err(|source| WebhookError::Unreachable { host: host.clone(), source })?;
        let stream = connect_outside(stream, host, &authorities).await?;
        let request = self.request(post, clock.wall().get() / 1_000, &secret);
        drop(secret);
        let connected = http1::Builder::new().max_buf_size(MAX_HEAD_BYTES).handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = connected.map_err(WebhookError::Broken)?;
        let mut connection = std::pin::pin!(connection);
        let mut answer = std::pin::pin!(sender.send_request(request));
        let answer = tokio::select! {
            biased;
            answer = &mut answer => answer,
            // What became of the request is known as soon as the connection has ended.
            _ended = &mut connection => answer.await,
        };
        judge(answer.map_err(WebhookError::Broken)?.status())
    }

    fn request(&self, post: &Post, timestamp_s: u64, secret: &Secret) -> Request<Body> {
        let path = self.url.uri.path_and_query().map_or("/", |path| path.as_str());
        let host = self.url.uri.authority().map_or(self.url.host.as_str(), |authority| authority.as_str());
        Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, host)
            .header(CONTENT_TYPE, "application/json")
            .header("Aldis-Alert", &post.id)
            .header("Aldis-Timestamp", timestamp_s)
            .header("Aldis-Signature", signature(secret, timestamp_s, &post.document))
            .header("Idempotency-Key", &post.key)
            .body(Body::from(post.document.clone()))
            .expect("an address that was read before and plain header values make a request")
    }
}

/// Something to post.
pub(super) struct Post {
    /// The alert, or `probe`.
    pub(super) id: String,
    /// The same for every try, also after a restart.
    pub(super) key: String,
    /// The document.
    pub(super) document: Bytes,
}

/// `v1=` and HMAC-SHA-256 over the timestamp, a full stop and the body, in hexadecimal digits.
fn signature(secret: &Secret, timestamp_s: u64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.expose()));
    context.update(format!("{timestamp_s}.").as_bytes());
    context.update(body);
    format!("v1={}", HEXLOWER.encode(context.sign().as_ref()))
}

fn judge(status: StatusCode) -> Result<(), WebhookError> {
    match status {
        _ if status.is_success() => Ok(()),
        _ if status.is_redirection() => Err(WebhookError::Redirect(status.as_u16())),
        _ => Err(WebhookError::Refused(status.as_u16())),
    }
}

impl WebhookError {
    /// Whether the same again may do better.
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken(_) | Self::Tls(OutsideError::Handshake(_)) => true,
            Self::Refused(status) => matches!(status, 408 | 425 | 429 | 500..),
            Self::File(_) | Self::Tls(_) | Self::Redirect(_) | Self::TimedOut { .. } => false,
        }
    }
}

impl FromStr for Url {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write an address such as https://alerts.cert.example/aldis, without a user in it".to_owned();
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let is_https = uri.scheme_str() == Some("https");
        let authority = uri.authority().filter(|authority| is_https && !authority.as_str().contains('@'));
        let host = authority.map(|authority| authority.host().to_owned()).filter(|host| !host.is_empty());
        let host = host.ok_or_else(wrong)?;
        let port = uri.port_u16().unwrap_or(443);
        Ok(Self { uri, host, port })
    }
}
