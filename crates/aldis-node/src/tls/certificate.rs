//! One TLS certificate as it stands in a card: its exact bytes, its fingerprint and its validity.
//!
//! Identity is the SHA-256 of the whole DER, never a name inside it. This file never decides trust.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::{CertificateDer, pem::PemObject};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{SetupError, generate::BACKDATED_DAYS};

/// SHA-256 of a certificate's DER.
pub(super) type Fingerprint = [u8; 32];

/// The largest certificate that is accepted, in bytes. Ours have about 400.
pub const MAX_CERTIFICATE_BYTES: usize = 8 * 1024;

/// A certificate in DER that has parsed as X.509, with nothing behind it.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: CertificateDer<'static>,
    not_before_s: i64,
    not_after_s: i64,
}

impl Certificate {
    /// Takes the bytes of a certificate, for example from a card. Checks size and form, not trust.
    pub fn from_der(der: &[u8]) -> Result<Self, SetupError> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(SetupError::NotACertificate { reason: "it is larger than 8 KiB" });
        }
        let (rest, parsed) = X509Certificate::from_der(der)
            .map_err(|_| SetupError::NotACertificate { reason: "it does not parse as X.509 DER" })?;
        if !rest.is_empty() {
            return Err(SetupError::NotACertificate { reason: "bytes follow it" });
        }
        let validity = parsed.validity();
        Ok(Self {
            not_before_s: validity.not_before.timestamp(),
            not_after_s: validity.not_after.timestamp(),
            der: CertificateDer::from(der.to_vec()),
        })
    }

    /// Takes the one certificate in a PEM text.
    pub fn from_pem(pem: &str) -> Result<Self, SetupError> {
        let mut sections = CertificateDer::pem_slice_iter(pem.as_bytes());
        match (sections.next(), sections.next()) {
            (Some(Ok(der)), None) => Self::from_der(&der),
            _ => Err(SetupError::NotACertificate { reason: "the text does not hold exactly one certificate in PEM" }),
        }
    }

    /// The exact bytes, as they go into a card.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of the exact bytes: what people compare, and what the handshake compares.
    pub fn fingerprint(&self) -> [u8; 32] {
        fingerprint(&self.der)
    }

    /// First instant of validity.
    pub fn not_before(&self) -> SystemTime {
        at(self.not_before_s)
    }

    /// Last instant of validity.
    pub fn not_after(&self) -> SystemTime {
        at(self.not_after_s)
    }

    /// Whole days until the certificate expires; negative once it has expired.
    pub fn remaining_days(&self, now: SystemTime) -> i64 {
        (self.not_after_s - unix_s(now)).div_euclid(86_400)
    }

    /// For how many days it was made. What reaches back before its making, as in [`generate`](super::generate), does not
    /// count.
    pub fn life_days(&self) -> i64 {
        let days = (self.not_after_s - self.not_before_s) / 86_400;
        if days > BACKDATED_DAYS { days - BACKDATED_DAYS } else { days }
    }

    /// Whether the certificate is valid at `now`, both ends included.
    pub fn is_valid_at(&self, now: SystemTime) -> bool {
        (self.not_before_s..=self.not_after_s).contains(&unix_s(now))
    }

    pub(super) fn as_der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// Both ends of validity for an error message, as seconds turned into RFC 3339 by the X.509 library.
    pub(super) fn validity_text(&self) -> (String, String) {
        let text = |seconds| {
            x509_parser::time::ASN1Time::from_timestamp(seconds).map_or_else(|_| seconds.to_string(), |t| t.to_string())
        };
        (text(self.not_before_s), text(self.not_after_s))
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({})", hex(&self.fingerprint()))
    }
}

pub(super) fn fingerprint(der: &[u8]) -> Fingerprint {
    Sha256::digest(der).into()
}

pub(super) fn hex(fingerprint: &Fingerprint) -> String {
    data_encoding::HEXLOWER.encode(fingerprint)
}

/// Seconds since 1970; a clock before that counts as 1970, which no certificate of ours reaches back to.
pub(super) fn unix_s(time: SystemTime) -> i64 {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

fn at(seconds: i64) -> SystemTime {
    let magnitude = Duration::from_secs(seconds.unsigned_abs());
    let shifted = if seconds < 0 { UNIX_EPOCH.checked_sub(magnitude) } else { UNIX_EPOCH.checked_add(magnitude) };
    shifted.unwrap_or(UNIX_EPOCH)
}
