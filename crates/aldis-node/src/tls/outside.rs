//! TLS towards servers that are no peers: those through which alerts leave. They are trusted by the authorities in a file
//! that the administrator names, never by those of the system; TLS 1.3 only, nothing is resumed, no certificate of ours is
//! shown.

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, TlsStream};

/// Why a server outside is not talked to.
#[derive(Debug, thiserror::Error)]
pub enum OutsideError {
    /// The file of authorities names none.
    #[error("the file of authorities holds no certificate that can be used: put one in, PEM")]
    NoAuthorities,
    /// The host is neither a DNS name nor an address.
    #[error("`{0}` is neither a name nor an address")]
    Host(String),
    /// The library cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Library(rustls::Error),
    /// The server has no certificate of those authorities for its name, speaks no TLS 1.3, or ended the connection.
    #[error("no TLS 1.3 connection: {0}")]
    Handshake(io::Error),
}

/// A host as a socket takes it: an IPv6 address stands in brackets only where a port may follow.
pub fn bare_host(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

/// Secures a connection to `host`, whose certificate an authority in `authorities`, PEM, must have issued. Without a limit
/// of time.
pub async fn connect_outside<S>(stream: S, host: &str, authorities: &[u8]) -> Result<TlsStream<S>, OutsideError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from(bare_host(host).to_owned()).map_err(|_| OutsideError::Host(host.to_owned()))?;
    let mut roots = RootCertStore::empty();
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(authorities).flatten().collect();
    let (usable, _unusable) = roots.add_parsable_certificates(certificates);
    if usable == 0 {
        return Err(OutsideError::NoAuthorities);
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(OutsideError::Library)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    connected.map(TlsStream::from).map_err(OutsideError::Handshake)
}
