//! The links of the bare job: two loopback connections under mutual TLS 1.3 with the node's own cipher suites and key
//! exchange, one for each direction, so that no stage waits for another to let go of a connection.

use crate::Failure;
use aldis_node::clock::Clock;
use aldis_node::tls::{ALPN, SERVER_NAME, generate};
use aldis_wire::frame::{LENGTH_BYTES, checked_length};
use bytes::{Bytes, BytesMut};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;

/// How much is read from a connection at once.
const READ_BYTES: usize = 256 << 10;

/// A connection's writing end.
pub(super) struct Out(StreamOwned<ClientConnection, TcpStream>);

/// Its reading end.
pub(super) struct In(BufReader<StreamOwned<ServerConnection, TcpStream>>);

/// Both directions.
pub(super) struct Links {
    pub(super) notices_out: Out,
    pub(super) notices_in: In,
    pub(super) receipts_out: Out,
    pub(super) receipts_in: In,
}

impl Links {
    /// Connects both, handshakes included.
    pub(super) fn open() -> Result<Self, Failure> {
        let (client, server) = configs()?;
        let ((notices_out, notices_in), (receipts_out, receipts_in)) =
            (connected(&client, &server)?, connected(&client, &server)?);
        Ok(Self { notices_out, notices_in, receipts_out, receipts_in })
    }
}

impl Out {
    /// Sends whole frames in as few TLS records as they fit.
    pub(super) fn send(&mut self, frames: &[u8]) -> io::Result<()> {
        self.0.write_all(frames)?;
        self.0.flush()
    }

    /// Says that nothing more comes.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.0.conn.send_close_notify();
        self.0.flush()
    }
}

impl In {
    /// The next frame without its length, or `None` when the other end has said that nothing more comes.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let mut length = [0; LENGTH_BYTES];
        if self.0.read(&mut length[..1])? == 0 {
            return Ok(None);
        }
        self.0.read_exact(&mut length[1..])?;
        let mut frame = BytesMut::zeroed(checked_length(length)?);
        self.0.read_exact(&mut frame)?;
        Ok(Some(frame.freeze()))
    }
}

fn configs() -> Result<(Arc<ClientConfig>, Arc<ServerConfig>), Failure> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768];
    let provider = Arc::new(provider);
    let (certificate, key) = generate("cert.br", 1, Clock::system().system_time())?;
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone())?;
    let roots = Arc::new(roots);
    Ok((client(&provider, &roots, &certificate, &key)?, server(&provider, &roots, &certificate, &key)?))
}

fn client(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    certificate: &CertificateDer<'static>,
    key: &PrivateKeyDer<'static>,
) -> Result<Arc<ClientConfig>, Failure> {
    let config = ClientConfig::builder_with_provider(Arc::clone(provider)).with_protocol_versions(&[&TLS13])?;
    let config = config.with_root_certificates(Arc::clone(roots));
    let mut config = config.with_client_auth_cert(vec![certificate.clone()], key.clone_key())?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

fn server(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    certificate: &CertificateDer<'static>,
    key: &PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, Failure> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider)).build()?;
    let config = ServerConfig::builder_with_provider(Arc::clone(provider)).with_protocol_versions(&[&TLS13])?;
    let config = config.with_client_cert_verifier(verifier);
    let mut config = config.with_single_cert(vec![certificate.clone()], key.clone_key())?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn connected(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Result<(Out, In), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let dialled = TcpStream::connect(listener.local_addr()?)?;
    let (accepted, _) = listener.accept()?;
    dialled.set_nodelay(true)?;
    accepted.set_nodelay(true)?;
    let mut out = ClientConnection::new(Arc::clone(client), ServerName::try_from(SERVER_NAME)?)?;
    // What is written is written at once, and is bounded by the commit it is of.
    out.set_buffer_limit(None);
    let mut out = StreamOwned::new(out, dialled);
    let incoming = ServerConnection::new(Arc::clone(server))?;
    let answering = std::thread::spawn(move || {
        let mut incoming = StreamOwned::new(incoming, accepted);
        while incoming.conn.is_handshaking() {
            incoming.conn.complete_io(&mut incoming.sock)?;
        }
        Ok::<_, io::Error>(incoming)
    });
    while out.conn.is_handshaking() {
        out.conn.complete_io(&mut out.sock)?;
    }
    let incoming = answering.join().map_err(|_| "the accepting end panicked")??;
    Ok((Out(out), In(BufReader::with_capacity(READ_BYTES, incoming))))
}
