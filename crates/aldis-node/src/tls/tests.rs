//! Handshakes over real sockets: the one that must work, and every one that must not.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::{
    ClientConfig as RustlsClientConfig, ServerConfig as RustlsServerConfig,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{ServerName, UnixTime},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::*;
use crate::clock::Clock;

mod conformance;
mod files;
mod forged;
mod handshakes;
mod issued;
mod refusals;
mod resumption;

/// Far longer than any handshake takes; reaching it is a failure, never a pause.
const BOUND: Duration = Duration::from_secs(20);

/// A node's files and its loaded identity.
struct Node {
    dir: TempDir,
    own: OwnIdentity,
}

impl Node {
    fn new(id: &str) -> Self {
        Self::made_at(id, now())
    }

    /// A node whose certificate was made, and is loaded, at another time than now.
    fn made_at(id: &str, at: SystemTime) -> Self {
        let dir = TempDir::new().unwrap();
        let (certificate, key) = generate(id, 30, at).unwrap();
        fs::write(dir.path().join("tls.crt"), certificate).unwrap();
        write_key(&dir, key.expose());
        let own = OwnIdentity::load(&dir.path().join("tls.crt"), &dir.path().join("tls.key"), at).unwrap();
        Self { dir, own }
    }

    fn certificate_path(&self) -> PathBuf {
        self.dir.path().join("tls.crt")
    }

    fn key_path(&self) -> PathBuf {
        self.dir.path().join("tls.key")
    }

    fn certificate(&self) -> Certificate {
        self.own.certificate().clone()
    }
}

fn write_key(dir: &TempDir, pem: &str) {
    let path = dir.path().join("tls.key");
    fs::write(&path, pem).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The only set-up for dialling a peer, or the first.
fn client_config(own: &OwnIdentity, pins: &Pins, peer: &str) -> Result<Arc<ClientConfig>, SetupError> {
    client_configs(own, pins, peer, &Clock::system()).swap_remove(0)
}

/// The set-up for accepting.
fn server_config(own: &OwnIdentity, pins: &Pins) -> Result<Arc<ServerConfig>, SetupError> {
    super::server_config(own, pins, &Clock::system())
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(UnixTime::now().as_secs())
}

fn days(count: u64) -> Duration {
    Duration::from_secs(count * 86_400)
}

fn pins(of: &[(&str, &Node)]) -> Pins {
    let mut pins = Pins::new();
    for (peer, node) in of {
        pins.add(peer, node.certificate()).unwrap();
    }
    pins
}

/// The server configuration with something changed that our own code never changes.
fn altered_server(config: &ServerConfig, alter: impl FnOnce(&mut RustlsServerConfig)) -> Arc<ServerConfig> {
    let mut rustls = (*config.rustls).clone();
    alter(&mut rustls);
    let (peers, issued) = (Arc::clone(&config.peers), Arc::clone(&config.issued));
    Arc::new(ServerConfig { rustls: Arc::new(rustls), peers, issued, clock: config.clock.clone() })
}

/// The client configuration with something changed that our own code never changes.
fn altered_client(config: &ClientConfig, alter: impl FnOnce(&mut RustlsClientConfig)) -> Arc<ClientConfig> {
    let mut rustls = (*config.rustls).clone();
    alter(&mut rustls);
    let (peer, name, pins) = (config.peer.clone(), config.name.clone(), config.pins.clone());
    let issued = Arc::clone(&config.issued);
    Arc::new(ClientConfig { rustls: Arc::new(rustls), peer, name, pins, issued })
}

/// What came of one connection: at the server, and at the client after it also tried to read one byte.
struct Outcome {
    server: Result<Secured<TcpStream>, TlsError>,
    client: Result<Secured<TcpStream>, TlsError>,
}

/// Runs one handshake over loopback. A server that accepts sends one byte, so that the client learns the
/// verdict on its certificate.
async fn handshake(server: &ServerConfig, client: &ClientConfig) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    handshake_at(&listener, server, client).await
}

async fn handshake_at(listener: &TcpListener, server: &ServerConfig, client: &ClientConfig) -> Outcome {
    let address = listener.local_addr().unwrap();
    let (server, client) = timeout(BOUND, async { tokio::join!(serve(listener, server), dial(address, client)) })
        .await
        .expect("both sides come to an end");
    Outcome { server, client }
}

async fn serve(listener: &TcpListener, config: &ServerConfig) -> Result<Secured<TcpStream>, TlsError> {
    let (stream, _) = listener.accept().await.unwrap();
    let mut secured = accept(stream, config).await?;
    // The client may have refused us by now and be gone.
    secured.stream.write_all(b"!").await.map_err(TlsError::from_stream)?;
    secured.stream.flush().await.map_err(TlsError::from_stream)?;
    Ok(secured)
}

async fn dial(address: SocketAddr, config: &ClientConfig) -> Result<Secured<TcpStream>, TlsError> {
    let stream = TcpStream::connect(address).await.unwrap();
    let mut secured = connect(stream, config).await?;
    let mut byte = [0];
    match secured.stream.read(&mut byte).await {
        Ok(1) => Ok(secured),
        Ok(_) => Err(TlsError::Connection(io::ErrorKind::UnexpectedEof.into())),
        Err(error) => Err(TlsError::from_stream(error)),
    }
}
