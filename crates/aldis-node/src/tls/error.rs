//! What can go wrong, who is to blame and what to do about it.
//!
//! [`SetupError`] is the operator's: files, pins, options, found before any link exists. [`TlsError`] is one
//! handshake's: it never stops the node. Neither ever contains key material or bytes that a peer chose,
//! except the fingerprint of a certificate.

use std::{io, path::PathBuf};

use rustls::{AlertDescription, CertificateError, Error as RustlsError};
use thiserror::Error;

use super::certificate::{Fingerprint, hex};

/// Whose turn it is to act on a [`TlsError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The other side sent what no correct node sends: an attack, a scanner or a defect.
    Peer,
    /// The other side is sound but too old or set up differently; its administrator must upgrade.
    Incompatible,
    /// A certificate is unknown, expired or replaced: the two administrators must exchange cards.
    Operator,
    /// Network, clock or system resources; trying again may help by itself.
    Environment,
}

/// A handshake, or the stream after it, that failed. The link closes; everyone else is served on.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The handshake bytes broke TLS, or a property that both sides promised does not hold.
    #[error("the other side broke the TLS protocol")]
    Misbehaved(#[source] RustlsError),
    /// The handshake ended in a state that must not be reached, such as a resumed session.
    #[error("the other side completed a handshake this node must not accept: {0}")]
    Unacceptable(&'static str),
    /// No common version, key exchange or application protocol.
    #[error("no common ground with the other side: this node speaks TLS 1.3, X25519MLKEM768 and aldis/1 only")]
    Incompatible(#[source] RustlsError),
    /// The handshake completed without something this node insists on.
    #[error("the handshake ended without {0}")]
    Missing(&'static str),
    /// The other side presented no certificate.
    #[error("the other side presented no certificate")]
    NoCertificate,
    /// The certificate presented is not one that is pinned.
    #[error("the certificate presented is not pinned here (SHA-256 {})", hex(fingerprint))]
    NotPinned {
        /// SHA-256 of the certificate that was presented.
        fingerprint: Fingerprint,
    },
    /// The certificate presented does not verify against the pins.
    #[error("the certificate presented does not verify against the pins")]
    Certificate(#[source] RustlsError),
    /// The other side refused this node's certificate.
    #[error("the other side refused this node's certificate")]
    RefusedByPeer(#[source] RustlsError),
    /// The connection broke during the handshake.
    #[error("the connection broke during the handshake")]
    Connection(#[source] io::Error),
    /// The TLS library failed for a reason of this machine: no clock, no randomness.
    #[error("the TLS library failed on this machine")]
    Local(#[source] RustlsError),
}

impl TlsError {
    /// Classifies an error that reading, writing or handshaking on a TLS stream returned.
    pub fn from_stream(error: io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<RustlsError>());
        match inner {
            Some(inner) => Self::from_rustls(inner.clone()),
            None => Self::Connection(error),
        }
    }

    /// Whose turn it is to act.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Misbehaved(_) | Self::Unacceptable(_) => Blame::Peer,
            Self::Incompatible(_) | Self::Missing(_) => Blame::Incompatible,
            Self::NoCertificate | Self::NotPinned { .. } | Self::Certificate(_) | Self::RefusedByPeer(_) => {
                Blame::Operator
            }
            Self::Connection(_) | Self::Local(_) => Blame::Environment,
        }
    }

    /// A stable word for logs and counters.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Misbehaved(_) => "tls-misbehaved",
            Self::Unacceptable(_) => "tls-unacceptable",
            Self::Incompatible(_) | Self::Missing(_) => "tls-incompatible",
            Self::NoCertificate => "tls-no-certificate",
            Self::NotPinned { .. } => "tls-not-pinned",
            Self::Certificate(error) => certificate_code(error),
            Self::RefusedByPeer(_) => "tls-refused-by-peer",
            Self::Connection(_) => "tls-connection",
            Self::Local(_) => "tls-local",
        }
    }

    /// What a person should do, in one sentence.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Misbehaved(_) | Self::Unacceptable(_) => {
                "if this address belongs to a peer, report it to them; otherwise it is a scanner \
                    and nothing is lost"
            }
            Self::Incompatible(_) | Self::Missing(_) => {
                "ask the peer to upgrade, or check that the address is an Aldis node's and no proxy \
                    ends TLS in between"
            }
            Self::NoCertificate => "nothing, unless the address is a peer's: then it runs something other than Aldis",
            Self::Certificate(RustlsError::InvalidCertificate(reason)) if is_expiry(reason) => {
                "compare the clocks of both nodes; if they are right the peer must rotate its \
                    certificate and send its card"
            }
            Self::Certificate(error) if certificate_code(error) == "tls-revoked" => {
                "the peer's authority has withdrawn the certificate: call them, for somebody may have their TLS key"
            }
            Self::Certificate(error)
                if ["tls-no-crl", "tls-crl-expired", "tls-bad-crl"].contains(&certificate_code(error)) =>
            {
                "put the current revocation lists of the peer's authority, and of those it lets issue, at the paths in \
                    `tls.crls`, each with its nextUpdate in the future"
            }
            Self::Certificate(error) if ["tls-wrong-name", "tls-two-names"].contains(&certificate_code(error)) => {
                "another node of the same authority answers there, or the certificate was issued for another name than the \
                    peer's card says: ask the peer"
            }
            Self::NotPinned { .. } | Self::Certificate(_) => {
                "if the peer has rotated its certificate, obtain its new card and verify it by telephone; \
                 otherwise somebody else answers at that address"
            }
            Self::RefusedByPeer(_) => {
                "the peer does not hold this node's current certificate, or holds it as expired: \
                    send it the card \
                 (`aldis card export`)"
            }
            Self::Connection(_) => {
                "the node tries again by itself; if it goes on, check network, firewall and the peer's endpoint"
            }
            Self::Local(_) => "check this machine's clock and randomness, then restart the node",
        }
    }

    fn from_rustls(error: RustlsError) -> Self {
        match &error {
            RustlsError::NoCertificatesPresented => Self::NoCertificate,
            RustlsError::InvalidCertificate(_) | RustlsError::InvalidCertRevocationList(_) => Self::Certificate(error),
            RustlsError::PeerIncompatible(_) | RustlsError::NoApplicationProtocol => Self::Incompatible(error),
            RustlsError::AlertReceived(alert) => Self::from_alert(*alert, error),
            RustlsError::FailedToGetCurrentTime | RustlsError::FailedToGetRandomBytes | RustlsError::EncryptError => {
                Self::Local(error)
            }
            _ => Self::Misbehaved(error),
        }
    }

    fn from_alert(alert: AlertDescription, error: RustlsError) -> Self {
        match alert {
            AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity
            | AlertDescription::MissingExtension
            | AlertDescription::NoApplicationProtocol => Self::Incompatible(error),
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError => Self::RefusedByPeer(error),
            _ => Self::Misbehaved(error),
        }
    }
}

/// A mistake in this node's own files, pins or options. Each names the place and the remedy.
#[derive(Debug, Error)]
pub enum SetupError {
    /// The file is not there or cannot be read.
    #[error("cannot read {}: make it with `aldis init`, or correct the path in the configuration",
        path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A directory, pipe or device stands where a file should.
    #[error("{} is not a regular file: put the PEM file itself there", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The key file belongs to another user.
    #[error("{} belongs to user {owner}, the node runs as user {user}: run `chown {user} {}`",
        path.display(), path.display())]
    WrongOwner {
        /// The key file.
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
        /// The user id the node runs as.
        user: u32,
    },
    /// Others can read the key file.
    #[error("{} has mode {mode:04o}, others may have read the key: run `chmod 0600 {}` and consider \
        a new key", path.display(), path.display())]
    OpenToOthers {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is larger than any certificate or key.
    #[error("{} is larger than {limit_bytes} bytes: it is no certificate or key", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        limit_bytes: u64,
    },
    /// The file holds no, or more than one, PEM section of the kind wanted.
    #[error("{} does not hold exactly one {what} in PEM: make it with `aldis init`", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// `certificate` or `private key`.
        what: &'static str,
    },
    /// The key cannot be used.
    #[error("{} holds a private key that cannot be used: make a new one with `aldis init`", path.display())]
    BadKey {
        /// The key file.
        path: PathBuf,
        /// Why.
        #[source]
        source: RustlsError,
    },
    /// The certificate was made for another key.
    #[error("{} was not made for the key in {}: put the matching pair there",
        certificate.display(), key.display())]
    Mismatch {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
    },
    /// The own certificate has expired or is not valid yet.
    #[error("{} is valid from {from} to {until} and this node's clock is outside: check the clock, \
        then rotate the certificate", path.display())]
    OutsideValidity {
        /// The certificate file.
        path: PathBuf,
        /// First instant of validity, UTC.
        from: String,
        /// Last instant of validity, UTC.
        until: String,
    },
    /// Peers would refuse the own certificate.
    #[error("peers would refuse the certificate in {}: it must be self-signed, no CA, for both TLS \
        roles and the name aldis.invalid; make it with `aldis init`", path.display())]
    UnfitCertificate {
        /// The certificate file.
        path: PathBuf,
        /// Why.
        #[source]
        source: RustlsError,
    },
    /// Bytes that should be a certificate are not.
    #[error("not a certificate: {reason}; ask for the card again")]
    NotACertificate {
        /// What is wrong.
        reason: &'static str,
    },
    /// A pin that no handshake could ever satisfy.
    #[error(
        "the certificate of {peer} cannot be pinned: it must be a self-signed leaf, no CA, for both \
            TLS roles and the name aldis.invalid; ask the peer for a new card"
    )]
    UnfitPin {
        /// The peer's id.
        peer: String,
        /// Why.
        #[source]
        source: RustlsError,
    },
    /// Two peers with one certificate: the identity would be ambiguous.
    #[error(
        "{peer} has the same certificate as {other}: one of the two cards is wrong, compare \
            fingerprints by telephone"
    )]
    PinTaken {
        /// The peer being added.
        peer: String,
        /// The peer that has it already.
        other: String,
    },
    /// What a card names as an authority's certificate is none.
    #[error("the authority's certificate of {peer} cannot be used: {reason}; ask the peer for a new card")]
    NotAnAuthority {
        /// The peer's id.
        peer: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A card names something that no certificate can be issued for.
    #[error("the TLS name on the card of {peer} {rule}; ask the peer for a new card")]
    BadTlsName {
        /// The peer's id.
        peer: String,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// Two peers with one name of one authority: the identity would be ambiguous.
    #[error("{peer} has the name {name} of the same authority as {other}: one of the two cards is wrong, ask both")]
    NameTaken {
        /// The peer being added.
        peer: String,
        /// The peer that has it already.
        other: String,
        /// The name.
        name: String,
    },
    /// Nothing says what the peer's authority has revoked.
    #[error("there is no revocation list of the authority of {peer}: put its path into `tls.crls` and send SIGHUP")]
    NoCrl {
        /// The peer's id.
        peer: String,
    },
    /// The certificate of a peer's authority has run out or is not valid yet.
    #[error(
        "the certificate of the authority of {peer} is outside its dates: check the clock, then ask for a new card"
    )]
    AuthorityOutsideValidity {
        /// The peer's id.
        peer: String,
    },
    /// The own authority's certificate cannot be used.
    #[error("{} cannot be this node's authority: {reason}; correct `keys.tls_authority`", path.display())]
    UnfitAuthority {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// The file holds no certificate, or more than a chain may have.
    #[error("{} does not hold 1 to 4 certificates in PEM, the node's own first", path.display())]
    NotAChain {
        /// The file.
        path: PathBuf,
    },
    /// Peers would refuse the own certificate under the own authority.
    #[error("peers would refuse the certificates in {}: the first must be issued by the authority in {}, through those that \
        follow it (at most 3), for both TLS roles and the name {name}", path.display(), authority.display())]
    UnfitChain {
        /// The certificate file.
        path: PathBuf,
        /// The authority's file.
        authority: PathBuf,
        /// The name.
        name: String,
        /// Why.
        #[source]
        source: RustlsError,
    },
    /// More pins than a node may hold.
    #[error("more than {limit} pinned certificates: remove peers that are no longer used")]
    TooManyPins {
        /// The most there may be.
        limit: usize,
    },
    /// No certificate is pinned for the peer that should be dialled.
    #[error("no certificate is pinned for {peer}: enrol it with `aldis peer add`")]
    NoPin {
        /// The peer's id.
        peer: String,
    },
    /// An option of [`generate`](super::generate) outside its limits.
    #[error("cannot make a certificate: {reason}")]
    BadOption {
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// The TLS library refused the set-up.
    #[error("the TLS library refused the set-up; this is a defect of the node, please report it")]
    Library(#[source] RustlsError),
}

impl SetupError {
    /// A stable word for a dial that came to nothing because of it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoCrl { .. } => "tls-no-crl",
            _ => "certificate-unusable",
        }
    }
}

/// Which check of the peer's certificate failed.
fn certificate_code(error: &RustlsError) -> &'static str {
    match error {
        RustlsError::InvalidCertificate(reason) if is_expiry(reason) => "tls-peer-expired",
        RustlsError::InvalidCertificate(CertificateError::Revoked) => "tls-revoked",
        RustlsError::InvalidCertificate(CertificateError::UnknownRevocationStatus) => "tls-no-crl",
        RustlsError::InvalidCertificate(
            CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. },
        ) => "tls-crl-expired",
        RustlsError::InvalidCertRevocationList(_) => "tls-bad-crl",
        RustlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "tls-wrong-name",
        RustlsError::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => "tls-two-names",
        _ => "tls-bad-certificate",
    }
}

fn is_expiry(reason: &CertificateError) -> bool {
    matches!(
        reason,
        CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
    )
}
