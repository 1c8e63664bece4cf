//! Which certificate belongs to which peer.
//!
//! A pin is the whole certificate, or an authority with a name. A peer may have several while it goes from one to the
//! next; a certificate belongs to one peer only, and so does a name of an authority. This file never learns a pin from
//! the network: pins come from enrolled cards.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    Error as RustlsError, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::{ServerName, UnixTime},
    server::WebPkiClientVerifier,
};

use super::{
    Certificate, Crls, Presented, SERVER_NAME, SetupError, TlsError, TlsName,
    authority::{Authority, Issued},
    certificate::{Fingerprint, fingerprint, unix_s},
    config,
};

/// The most certificates one node pins. Far above the number of national CERTs there are.
pub const MAX_PINS: usize = 4096;

/// The pinned certificates of the peers that may connect. A value: build a new one when peers change.
#[derive(Clone, Debug, Default)]
pub struct Pins {
    by_fingerprint: BTreeMap<Fingerprint, (String, Certificate)>,
    issued: Arc<Issued>,
}

impl Pins {
    /// No pins: nobody can connect.
    pub fn new() -> Self {
        Self::default()
    }

    /// Pins `certificate` for `peer`, beside what it may have already. Refuses a certificate no handshake
    /// could accept, one that another peer has, and more than [`MAX_PINS`]. An expired one is taken: the
    /// handshake refuses it, with a reason an operator understands, and the node starts.
    pub fn add(&mut self, peer: &str, certificate: Certificate) -> Result<(), SetupError> {
        check_fit(&certificate).map_err(|source| SetupError::UnfitPin { peer: peer.to_owned(), source })?;
        let fingerprint = certificate.fingerprint();
        match self.by_fingerprint.get(&fingerprint) {
            Some((other, _)) if other != peer => {
                return Err(SetupError::PinTaken { peer: peer.to_owned(), other: other.clone() });
            }
            None if self.len() >= MAX_PINS => {
                return Err(SetupError::TooManyPins { limit: MAX_PINS });
            }
            _ => {}
        }
        self.by_fingerprint.insert(fingerprint, (peer.to_owned(), certificate));
        Ok(())
    }

    /// Takes certificates that `authority` issues for `name` as `peer`'s, beside what it may have already. Refuses a
    /// certificate that cannot issue, a name that another peer of the same authority has, and more than [`MAX_PINS`].
    /// An authority about whose revocations nothing is known is taken; its peers are refused until there is a list.
    pub fn add_issued(&mut self, peer: &str, authority: Certificate, name: TlsName) -> Result<(), SetupError> {
        let authority =
            Authority::new(authority).map_err(|reason| SetupError::NotAnAuthority { peer: peer.to_owned(), reason })?;
        if self.len() >= MAX_PINS {
            return Err(SetupError::TooManyPins { limit: MAX_PINS });
        }
        Arc::make_mut(&mut self.issued).add(peer, authority, name)
    }

    /// Puts these revocation lists in force for connections from now on. On an error nothing has changed.
    pub fn set_crls(&mut self, crls: Arc<Crls>) -> Result<(), SetupError> {
        Arc::make_mut(&mut self.issued).set_crls(crls)
    }

    /// The revocation lists in force.
    pub fn crls(&self) -> &Arc<Crls> {
        self.issued.crls()
    }

    /// The peers that cannot come up at `now` under the authority that was added first for them, and why.
    pub fn shut_out(&self, now: SystemTime) -> impl Iterator<Item = (&str, &'static str)> {
        self.issued.shut_out(now)
    }

    /// Whether any peer has an authority.
    pub fn has_authorities(&self) -> bool {
        self.issued.len() > 0
    }

    /// Whether what `peer` presented when its link began would be taken now. Whole certificates do not change their
    /// meaning; those of an authority are judged anew, with the lists in force.
    pub fn recheck(&self, peer: &str, presented: &Presented, now: SystemTime) -> Result<(), TlsError> {
        let owner = self.by_fingerprint.get(&fingerprint(&presented.chain[0]));
        if !self.issued.has(peer) || owner.is_some_and(|(owner, _)| owner == peer) {
            return Ok(());
        }
        let now = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(unix_s(now)).unwrap_or(0)));
        self.issued.recheck(peer, &presented.chain, presented.as_server, now).map_err(TlsError::Certificate)
    }

    /// Forgets everything pinned for `peer`. Live links stay up: whoever removes a peer closes its link too.
    pub fn remove(&mut self, peer: &str) {
        self.by_fingerprint.retain(|_, (owner, _)| owner != peer);
        if self.issued.has(peer) {
            Arc::make_mut(&mut self.issued).remove(peer);
        }
    }

    /// How many certificates and authorities are pinned.
    pub fn len(&self) -> usize {
        self.by_fingerprint.len() + self.issued.len()
    }

    /// Whether nobody can connect.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The certificates pinned for `peer`, in no particular order.
    pub fn certificates_of(&self, peer: &str) -> impl Iterator<Item = &Certificate> {
        self.by_fingerprint.values().filter(move |(owner, _)| owner == peer).map(|(_, certificate)| certificate)
    }

    pub(super) fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.by_fingerprint.values().map(|(_, certificate)| certificate)
    }

    pub(super) fn issued(&self) -> &Arc<Issued> {
        &self.issued
    }

    pub(super) fn owners(&self) -> HashMap<Fingerprint, String> {
        self.by_fingerprint.iter().map(|(fingerprint, (peer, _))| (*fingerprint, peer.clone())).collect()
    }
}

/// A root store that holds exactly these certificates, so that standard verification is pinning.
pub(super) fn roots<'a>(
    certificates: impl Iterator<Item = &'a Certificate>,
) -> Result<Arc<RootCertStore>, RustlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate.as_der().clone())?;
    }
    Ok(Arc::new(roots))
}

/// Verifies a certificate against itself in both roles, at an instant inside its validity: exactly what the
/// other side will do, so what passes here is refused there only for its date.
pub(super) fn check_fit(certificate: &Certificate) -> Result<(), RustlsError> {
    let roots = roots(std::iter::once(certificate))?;
    let at_s = u64::try_from(unix_s(certificate.not_after())).unwrap_or(0);
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at_s));
    let refuse = |error: rustls::server::VerifierBuilderError| RustlsError::General(error.to_string());
    let name = ServerName::try_from(SERVER_NAME).expect("the constant is a valid DNS name");
    WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), config::provider())
        .build()
        .map_err(refuse)?
        .verify_server_cert(certificate.as_der(), &[], &name, &[], at)?;
    WebPkiClientVerifier::builder_with_provider(roots, config::provider())
        .build()
        .map_err(refuse)?
        .verify_client_cert(certificate.as_der(), &[], at)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn i7_pins_are_bounded() {
        let (pem, _) = super::super::generate("cert.br", 30, UNIX_EPOCH).unwrap();
        let certificate = Certificate::from_pem(&pem).unwrap();
        let mut pins = Pins::new();
        for number in 0..MAX_PINS {
            let mut fingerprint = [0; 32];
            fingerprint[..8].copy_from_slice(&number.to_be_bytes());
            pins.by_fingerprint.insert(fingerprint, ("cert.cl".to_owned(), certificate.clone()));
        }
        let refused = pins.add("cert.br", certificate).unwrap_err();
        assert!(matches!(refused, SetupError::TooManyPins { limit: MAX_PINS }));
        assert_eq!(pins.len(), MAX_PINS);
    }
}
