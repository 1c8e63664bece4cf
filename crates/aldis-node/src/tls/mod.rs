//! The secured channel between two nodes: own certificate and key, pinned peers, and the handshake.
//!
//! Everything TLS is decided here and nowhere else: version 1.3 only, X25519MLKEM768 only, both sides present
//! a certificate, the certificate is pinned byte for byte or issued by a peer's own authority for that peer's name
//! and not revoked, no session is ever resumed and nothing is sent early. What comes out is a [`Secured`] stream with the
//! peer's id and the exporter value that the Hello signs.
//!
//! This module never looks into what travels over the stream, never decides whether a peer may talk (that is
//! the Hello and the core), and never skips certificate verification. No other module imports rustls or rcgen.
//!
//! A handshake that [`connect`] completes is not yet an accepted one: in TLS 1.3 the server judges the
//! client's certificate afterwards, and its verdict arrives as an alert at the first read. Hand such a read
//! error to [`TlsError::from_stream`] to learn what the other side said.

mod authority;
mod certificate;
mod config;
mod crls;
mod error;
mod generate;
mod handshake;
mod identity;
mod outside;
mod pins;
pub mod socket;
mod verifier;

pub use authority::{MAX_INTERMEDIATES, TlsName};
pub use certificate::{Certificate, MAX_CERTIFICATE_BYTES};
pub use config::{ClientConfig, ServerConfig, client_configs, server_config};
pub use crls::{CrlFault, Crls, MAX_CRL_BYTES, MAX_CRL_FILES};
pub use error::{Blame, SetupError, TlsError};
pub use generate::{DEFAULT_VALID_DAYS, KeyPem, MAX_VALID_DAYS, generate};
pub use handshake::{EXPORTER_BYTES, Presented, Secured, accept, connect};
pub use identity::{AuthorityFile, OwnIdentity, is_one_private_key};
pub use outside::{OutsideError, bare_host, connect_outside};
pub use pins::{MAX_PINS, Pins};
pub use tokio_rustls::TlsStream;

/// The application protocol both sides must name: this wire format, first version.
pub const ALPN: &[u8] = b"aldis/1";

/// The subject alternative name in every certificate that no authority issued, the same everywhere, so that nothing
/// about who talks to whom can be read from a name. `.invalid` never resolves (RFC 2606).
pub const SERVER_NAME: &str = "aldis.invalid";

#[cfg(test)]
mod tests;
