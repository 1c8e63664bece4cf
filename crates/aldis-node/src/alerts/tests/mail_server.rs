//! A real mail server on loopback, with TLS from the first byte or after STARTTLS, that does as its script says and keeps
//! every byte it was sent.

use super::certificate::server_certificate;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What the server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Takes letters.
    Takes,
    /// Knows nobody.
    RejectsRecipient,
    /// Lets nobody in.
    RejectsLogin,
    /// Takes the text and ends the connection instead of saying that it has it.
    DropsLetter,
    /// Takes the connection and says nothing.
    Hangs,
    /// Takes the connection and ends it.
    Closes,
    /// Greets without end.
    Floods,
    /// Does not offer STARTTLS.
    NoStartTls,
    /// Says more in the clear than it was asked, so that it may be taken for what it says under TLS.
    Injects,
}

pub(super) struct MailServer {
    pub(super) port: u16,
    pub(super) ca_file: PathBuf,
    heard: Arc<Mutex<Vec<u8>>>,
    task: tokio::task::JoinHandle<()>,
}

impl MailServer {
    pub(super) async fn new(dir: &Path, manner: Manner, starttls: bool) -> Self {
        let (acceptor, ca_file) = server_certificate(dir);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let kept = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, kept) = (acceptor.clone(), Arc::clone(&kept));
                tokio::spawn(async move {
                    // A client that goes away in the middle ends only its own connection.
                    let _gone = serve(stream, acceptor, manner, starttls, &kept).await;
                });
            }
        });
        Self { port, ca_file, heard, task }
    }

    /// Everything that clients said, also in the clear.
    pub(super) fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap()).into_owned()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    acceptor: TlsAcceptor,
    manner: Manner,
    starttls: bool,
    kept: &Mutex<Vec<u8>>,
) -> std::io::Result<()> {
    match manner {
        Manner::Hangs => std::future::pending().await,
        Manner::Closes => return Ok(()),
        _ => {}
    }
    if !starttls {
        let mut stream = acceptor.accept(stream).await?;
        greet(&mut stream, manner).await?;
        return converse(&mut stream, manner, kept).await;
    }
    greet(&mut stream, manner).await?;
    line(&mut stream, kept).await?;
    let offer = if manner == Manner::NoStartTls { "8BITMIME" } else { "STARTTLS" };
    stream.write_all(format!("250-localhost\r\n250 {offer}\r\n").as_bytes()).await?;
    line(&mut stream, kept).await?;
    let more = if manner == Manner::Injects { "250 ok\r\n250 ok\r\n250 ok\r\n" } else { "" };
    stream.write_all(format!("220 go\r\n{more}").as_bytes()).await?;
    converse(&mut acceptor.accept(stream).await?, manner, kept).await
}

async fn greet(stream: &mut (impl AsyncWrite + Unpin), manner: Manner) -> std::io::Result<()> {
    if manner != Manner::Floods {
        stream.write_all(b"220 localhost\r\n").await?;
        return stream.flush().await;
    }
    loop {
        stream.write_all(&[b'2'; 16 << 10]).await?;
        stream.flush().await?;
    }
}

async fn converse(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    manner: Manner,
    kept: &Mutex<Vec<u8>>,
) -> std::io::Result<()> {
    loop {
        let said = line(stream, kept).await?;
        let answer = match said.get(..4).unwrap_or_default() {
            "EHLO" => "250-localhost\r\n250-8BITMIME\r\n250 AUTH PLAIN\r\n",
            "AUTH" if manner == Manner::RejectsLogin => "535 no \u{1b}[31mentry\r\n",
            "AUTH" => "235 ok\r\n",
            "RCPT" if manner == Manner::RejectsRecipient => "550 nobody of that name\r\n",
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                stream.flush().await?;
                while line(stream, kept).await? != ".\r\n" {}
                if manner == Manner::DropsLetter {
                    return Ok(());
                }
                "250 taken\r\n"
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return stream.flush().await;
            }
            _ => "250 ok\r\n",
        };
        stream.write_all(answer.as_bytes()).await?;
        stream.flush().await?;
    }
}

async fn line(stream: &mut (impl AsyncRead + Unpin), kept: &Mutex<Vec<u8>>) -> std::io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        line.push(stream.read_u8().await?);
    }
    kept.lock().unwrap().extend_from_slice(&line);
    Ok(String::from_utf8_lossy(&line).into_owned())
}
