//! The channel `smtp`: a letter through a mail server, always over TLS 1.3, from the first byte or after STARTTLS, and never
//! without. It has reached somebody when the server has taken the letter: what the server does with it is not known here.

use super::secret::{self, FileError, Secret};
use super::starttls::{self, Bounded, Greeted, StartError};
use crate::tls::{OutsideError, TlsStream, bare_host, connect_outside};
use aldis_wire::ids::NodeId;
use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::extension::ClientId;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use tokio::net::TcpStream;

pub use lettre::Address;

/// How long a server may take to answer the goodbye, once it has taken the letter.
const GOODBYE_LIMIT: Duration = Duration::from_millis(500);

/// A mail server, and for whom letters are.
#[derive(Clone, Debug)]
pub struct Smtp {
    /// Its name, which its certificate carries, or its address.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// When TLS begins.
    pub begin: TlsBegins,
    /// The authorities of which one issued the server's certificate.
    pub ca_file: PathBuf,
    /// The sender.
    pub from: Address,
    /// Where letters go for people without an address of their own.
    pub to: Option<Address>,
    /// The user name, and the file that holds the password.
    pub login: Option<(String, PathBuf)>,
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsBegins {
    /// With the first byte.
    AtOnce,
    /// After the command STARTTLS, which the server must know.
    AfterCommand,
}

/// Why a server has not taken a letter.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    /// The administrator must correct a file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The server cannot be reached.
    #[error("cannot reach {server}: {source}")]
    Unreachable {
        /// The server.
        server: String,
        /// What the system says.
        source: io::Error,
    },
    /// The server does not prove who it is.
    #[error(transparent)]
    Tls(#[from] OutsideError),
    /// The server does not begin TLS.
    #[error(transparent)]
    StartTls(#[from] StartError),
    /// The password is no text.
    #[error("the password is not UTF-8")]
    Password,
    /// Our own letter cannot be written.
    #[error("cannot write the letter: {0}")]
    Letter(lettre::error::Error),
    /// The server refuses, says something that makes no sense, or is gone.
    #[error("{}: {}", .doing, told(.source))]
    Server {
        /// What was being done.
        doing: &'static str,
        /// What came of it.
        source: lettre::transport::smtp::Error,
    },
}

/// A letter.
pub(super) struct Letter {
    /// For whom.
    pub(super) to: Address,
    /// Its subject.
    pub(super) subject: String,
    /// Its text.
    pub(super) text: String,
    /// What makes its message id one of its own.
    pub(super) id: String,
}

impl Smtp {
    /// What makes it one that cannot be used, with what to do.
    pub fn fault(&self) -> Option<String> {
        let password = self.login.as_ref().and_then(|(_, path)| secret::read_secret(path).err());
        password.or(secret::read_authorities(&self.ca_file).err()).map(|fault| fault.to_string())
    }

    /// Hands a letter to the server. Without a limit of time.
    pub(super) async fn send(&self, letter: &Letter, node: &NodeId, now: SystemTime) -> Result<(), SmtpError> {
        let bytes = self.written(letter, node, now)?;
        let envelope = Envelope::new(Some(self.from.clone()), vec![letter.to.clone()]).map_err(SmtpError::Letter)?;
        let mut connection = self.connect(node).await?;
        connection.send(&envelope, &bytes).await.map_err(failed("the letter"))?;
        // The letter is the server's now, whatever it says to the goodbye.
        let _goodbye = tokio::time::timeout(GOODBYE_LIMIT, connection.quit()).await;
        Ok(())
    }

    /// Connects and logs in, and sends nothing. Without a limit of time.
    pub(super) async fn probe(&self, node: &NodeId) -> Result<(), SmtpError> {
        let mut connection = self.connect(node).await?;
        let noop = lettre::transport::smtp::commands::Noop;
        connection.command(noop).await.map_err(failed("the probe"))?;
        let _goodbye = tokio::time::timeout(GOODBYE_LIMIT, connection.quit()).await;
        Ok(())
    }

    async fn connect(&self, node: &NodeId) -> Result<AsyncSmtpConnection, SmtpError> {
        let authorities = secret::authorities(&self.ca_file).await?;
        let stream = TcpStream::connect((bare_host(&self.server), self.port)).await;
        let stream = stream.map_err(|source| SmtpError::Unreachable { server: self.server.clone(), source })?;
        let mut stream = Bounded::new(stream);
        let greeting = match self.begin {
            TlsBegins::AtOnce => &b""[..],
            TlsBegins::AfterCommand => {
                starttls::begin(&mut stream, node.as_str()).await?;
                starttls::GREETING
            }
        };
        let stream = connect_outside(stream, &self.server, &authorities).await?;
        let stream = Box::new(Greeted::new(stream, greeting));
        let hello = ClientId::Domain(node.to_string());
        let mut connection =
            AsyncSmtpConnection::connect_with_transport(stream, &hello).await.map_err(failed("the greeting"))?;
        if let Some((user, file)) = &self.login {
            let credentials = credentials(user, &secret::secret(file).await?)?;
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            connection.auth(&mechanisms, &credentials).await.map_err(failed("the login"))?;
        }
        Ok(connection)
    }

    fn written(&self, letter: &Letter, node: &NodeId, now: SystemTime) -> Result<Vec<u8>, SmtpError> {
        // Nobody's holiday notice should answer.
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        let message = Message::builder()
            .from(Mailbox::new(Some(format!("Aldis {node}")), self.from.clone()))
            .to(Mailbox::new(None, letter.to.clone()))
            .subject(letter.subject.clone())
            .date(now)
            .message_id(Some(format!("<{}@{node}>", letter.id)))
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .body(letter.text.clone())
            .map_err(SmtpError::Letter)?;
        Ok(message.formatted())
    }
}

fn failed(doing: &'static str) -> impl FnOnce(lettre::transport::smtp::Error) -> SmtpError {
    move |source| SmtpError::Server { doing, source }
}

fn credentials(user: &str, password: &Secret) -> Result<Credentials, SmtpError> {
    let password = std::str::from_utf8(password.expose()).map_err(|_| SmtpError::Password)?;
    Ok(Credentials::new(user.to_owned(), password.to_owned()))
}

/// What the server said is the server's text.
fn told(error: &lettre::transport::smtp::Error) -> String {
    super::message::shown(&error.to_string())
}

/// A secured connection is what the library talks over.
impl AsyncTokioStream for Greeted<TlsStream<Bounded<TcpStream>>> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner().get_ref().0.inner().peer_addr()
    }
}
