//! The handshake itself, and the checks after it that a configuration alone cannot promise.
//!
//! Each property is asserted on the finished connection, not inferred from what was configured: version, key
//! exchange group, full handshake, application protocol, exact certificate. There is no time limit here: the
//! caller has one that also covers the Hello (see [`crate::admission`]).

use std::sync::Arc;

use rustls::{
    CertificateError, HandshakeKind, NamedGroup, ProtocolVersion, crypto::SupportedKxGroup, pki_types::CertificateDer,
    time_provider::TimeProvider as _,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::{ALPN, ClientConfig, ServerConfig, TlsError, authority::MAX_INTERMEDIATES, certificate::fingerprint};

/// Length of the exporter value, in bytes.
pub const EXPORTER_BYTES: usize = 32;

/// The label RFC 9266 registers for binding something to a TLS 1.3 channel.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// How much may wait inside the TLS library for the socket, in bytes: one frame. Whatever stands here stands
/// before a FLASH frame (I14), so it must not grow with what the link would like to send.
const WRITE_BUFFER_BYTES: usize = 64 * 1024;

/// What the other side presented, so that it can be judged again while the link lives.
#[derive(Clone, Debug)]
pub struct Presented {
    pub(super) chain: Arc<[CertificateDer<'static>]>,
    /// Whether the other side was the one dialled.
    pub(super) as_server: bool,
}

/// A stream whose other end holds the private key of a certificate of `peer`.
///
/// That is the channel only: the peer itself has spoken when its Hello over `exporter` has verified.
#[derive(Debug)]
pub struct Secured<S> {
    /// The peer's id, from the pins and never from the certificate.
    pub peer: String,
    /// SHA-256 of the certificate that was presented.
    pub fingerprint: [u8; 32],
    /// All of what was presented.
    pub presented: Presented,
    /// The channel binding (RFC 9266): the same at both ends of this connection, and on no other.
    pub exporter: [u8; EXPORTER_BYTES],
    /// The stream to read and write.
    pub stream: TlsStream<S>,
}

/// Performs the handshake as the side that was dialled, with the configuration of this moment.
pub async fn accept<S>(stream: S, config: &ServerConfig) -> Result<Secured<S>, TlsError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let acceptor = TlsAcceptor::from(Arc::clone(&config.rustls));
    let stream = acceptor.accept(stream).await.map_err(TlsError::from_stream)?;
    secure(TlsStream::from(stream), |presented| {
        let fingerprint = fingerprint(&presented.chain[0]);
        if let Some(peer) = config.peers.get(&fingerprint) {
            return Ok(peer.clone());
        }
        // The verifier has found this peer before, and cannot hand it on: so it is found once more.
        let now = config.clock.current_time().ok_or(TlsError::Missing("a clock after 1970"))?;
        let found = config.issued.client(&presented.chain, now);
        found.map(ToOwned::to_owned).map_err(|_| TlsError::NotPinned { fingerprint })
    })
}

/// Performs the handshake as the side that dials. See the module's note: the other side may still refuse our
/// certificate, which the first read then reports.
pub async fn connect<S>(stream: S, config: &ClientConfig) -> Result<Secured<S>, TlsError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let connector = TlsConnector::from(Arc::clone(&config.rustls));
    let stream = connector.connect(config.name.clone(), stream).await.map_err(TlsError::from_stream)?;
    secure(TlsStream::from(stream), |presented| {
        let fingerprint = fingerprint(&presented.chain[0]);
        match &config.pins {
            Some(pins) if !pins.contains(&fingerprint) => Err(TlsError::NotPinned { fingerprint }),
            None if config.issued.is_shared(&config.peer, &presented.chain[0]) => {
                Err(TlsError::Certificate(CertificateError::ApplicationVerificationFailure.into()))
            }
            _ => Ok(config.peer.clone()),
        }
    })
}

fn secure<S>(
    mut stream: TlsStream<S>,
    peer_of: impl FnOnce(&Presented) -> Result<String, TlsError>,
) -> Result<Secured<S>, TlsError> {
    let state = stream.get_ref().1;
    if state.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return Err(TlsError::Missing("TLS 1.3"));
    }
    if state.negotiated_key_exchange_group().map(SupportedKxGroup::name) != Some(NamedGroup::X25519MLKEM768) {
        return Err(TlsError::Missing("the X25519MLKEM768 key exchange"));
    }
    if state.alpn_protocol() != Some(ALPN) {
        return Err(TlsError::Missing("the application protocol aldis/1"));
    }
    match state.handshake_kind() {
        Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest) => {}
        Some(HandshakeKind::Resumed) | None => {
            return Err(TlsError::Unacceptable("a resumed session"));
        }
    }
    let chain = state.peer_certificates().filter(|chain| !chain.is_empty()).ok_or(TlsError::NoCertificate)?;
    if chain.len() > 1 + MAX_INTERMEDIATES {
        return Err(TlsError::Unacceptable("more than three certificates between its own and its authority's"));
    }
    let presented = Presented { chain: chain.into(), as_server: matches!(stream, TlsStream::Client(_)) };
    // A pinned leaf in the root store could still issue certificates of its own; only the exact bytes count.
    let peer = peer_of(&presented)?;
    let exporter = export(&stream)?;
    set_buffer_limit(&mut stream);
    Ok(Secured { peer, fingerprint: fingerprint(&presented.chain[0]), presented, exporter, stream })
}

fn export<S>(stream: &TlsStream<S>) -> Result<[u8; EXPORTER_BYTES], TlsError> {
    let output = [0; EXPORTER_BYTES];
    match stream {
        TlsStream::Client(stream) => stream.get_ref().1.export_keying_material(output, EXPORTER_LABEL, Some(b"")),
        TlsStream::Server(stream) => stream.get_ref().1.export_keying_material(output, EXPORTER_LABEL, Some(b"")),
    }
    .map_err(TlsError::Local)
}

fn set_buffer_limit<S>(stream: &mut TlsStream<S>) {
    match stream {
        TlsStream::Client(stream) => stream.get_mut().1.set_buffer_limit(Some(WRITE_BUFFER_BYTES)),
        TlsStream::Server(stream) => stream.get_mut().1.set_buffer_limit(Some(WRITE_BUFFER_BYTES)),
    }
}
