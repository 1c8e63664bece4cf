//! What happens on a connection to a mail server before TLS, and the bound on everything it sends. The library that speaks
//! SMTP is handed the connection only when it is secured: so nothing that came in the clear is ever taken for something that
//! the server said under TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// The most that is read on one connection, in bytes.
const MAX_READ_BYTES: usize = 256 << 10;
/// The longest reply before TLS, in bytes.
const MAX_REPLY_BYTES: usize = 4 << 10;

/// What stands for the greeting that a server gives only before STARTTLS, and the library expects.
pub(super) const GREETING: &[u8] = b"220 secured\r\n";

/// Why a server does not begin TLS. The server is to blame, or whoever wrote its address.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The connection broke.
    #[error("the connection broke before TLS: {0}")]
    Broken(#[from] io::Error),
    /// A reply without an end.
    #[error("the server sends more than {MAX_REPLY_BYTES} bytes before TLS")]
    TooLong,
    /// The server refuses.
    #[error("the server answers `{}` to {command}", super::message::shown(.reply))]
    Refused {
        /// To what.
        command: &'static str,
        /// The first line of the answer.
        reply: String,
    },
    /// The server does not know the command.
    #[error("the server offers no STARTTLS: write tls = \"tls\" and its port for it, or use another server")]
    NotOffered,
}

/// Asks the server to begin TLS: what it sends next is its part of the handshake.
pub(super) async fn begin(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), node: &str) -> Result<(), StartError> {
    expect(stream, "the connection", "220").await?;
    stream.write_all(format!("EHLO {node}\r\n").as_bytes()).await?;
    let offers = expect(stream, "EHLO", "250").await?;
    let is_offered = |line: &&str| line.get(4..).is_some_and(|word| word.trim_end().eq_ignore_ascii_case("STARTTLS"));
    if offers.lines().find(is_offered).is_none() {
        return Err(StartError::NotOffered);
    }
    stream.write_all(b"STARTTLS\r\n").await?;
    expect(stream, "STARTTLS", "220").await.map(|_| ())
}

async fn expect(
    stream: &mut (impl AsyncRead + Unpin),
    command: &'static str,
    code: &str,
) -> Result<String, StartError> {
    let reply = reply(stream).await?;
    if reply.starts_with(code) {
        return Ok(reply);
    }
    let reply = reply.lines().next().unwrap_or_default().chars().take(80).collect();
    Err(StartError::Refused { command, reply })
}

/// A reply with all its lines. Byte by byte, so that nothing behind it is taken off the connection.
async fn reply(stream: &mut (impl AsyncRead + Unpin)) -> Result<String, StartError> {
    let (mut reply, mut line_start) = (Vec::new(), 0);
    while reply.len() < MAX_REPLY_BYTES {
        let byte = stream.read_u8().await?;
        reply.push(byte);
        if byte == b'\n' {
            let is_last = reply.get(line_start + 3) != Some(&b'-');
            if is_last {
                return Ok(String::from_utf8_lossy(&reply).into_owned());
            }
            line_start = reply.len();
        }
    }
    Err(StartError::TooLong)
}

/// A connection from which only so much is read.
#[derive(Debug)]
pub(super) struct Bounded<S> {
    inner: S,
    left_bytes: usize,
}

impl<S> Bounded<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, left_bytes: MAX_READ_BYTES }
    }

    pub(super) fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        let came = buffer.filled().len() - before;
        if came > self.left_bytes {
            return Poll::Ready(Err(io::Error::other("the server sends more than a mail server has to say")));
        }
        self.left_bytes -= came;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// A connection that begins with a greeting of our own.
#[derive(Debug)]
pub(super) struct Greeted<S> {
    greeting: &'static [u8],
    inner: S,
}

impl<S> Greeted<S> {
    pub(super) fn new(inner: S, greeting: &'static [u8]) -> Self {
        Self { greeting, inner }
    }

    pub(super) fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.greeting.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, buffer);
        }
        let (now, later) = self.greeting.split_at(self.greeting.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.greeting = later;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
