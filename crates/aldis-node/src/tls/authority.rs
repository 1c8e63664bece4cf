//! Peers whose certificates an authority issues: the card names the authority's certificate and the name that the node's
//! own certificate carries. The pair of the two is the peer.
//!
//! Every check of a chain is the TLS library's: signatures, dates, purposes, name constraints, revocation of every
//! certificate below the authority, by lists that have not expired. What is added here only ever refuses: a list of the
//! authority must be there, the authority's own certificate must be within its dates, and the name must be that of
//! exactly one peer.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::{
    CertificateError, Error as RustlsError,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier, verify_server_name},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{ParsedCertificate, VerifierBuilderError, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Certificate, Crls, SetupError, config, pins::roots};

/// The most certificates between a node's own and its authority's.
pub const MAX_INTERMEDIATES: usize = 3;

/// The name in a certificate that an authority issued: a DNS name without wildcards, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TlsName(String);

impl TlsName {
    /// Checks and takes a name; the error is the rule it breaks.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        match ServerName::try_from(text) {
            Ok(ServerName::DnsName(_)) if !text.ends_with('.') && text.len() <= 253 => {
                Ok(Self(text.to_ascii_lowercase()))
            }
            _ => Err("is no DNS name, such as aldis.cert.example, without wildcard and final dot, at most 253 bytes"),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn to_server_name(&self) -> ServerName<'static> {
        ServerName::try_from(self.0.clone()).expect("a name that was checked is a DNS name")
    }
}

impl fmt::Display for TlsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who issues, as far as verification tells authorities apart: subject and key. A certificate that was renewed for the
/// same key is the same authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AuthorityId([u8; 32]);

/// An authority's certificate.
#[derive(Clone, Debug)]
pub(super) struct Authority {
    certificate: Certificate,
    id: AuthorityId,
    subject: Vec<u8>,
}

impl Authority {
    /// Takes a certificate that may issue others; the error says why it may not.
    pub(super) fn new(certificate: Certificate) -> Result<Self, &'static str> {
        let (_, parsed) = X509Certificate::from_der(certificate.der()).map_err(|_| "it does not parse as X.509 DER")?;
        let constraints = parsed.basic_constraints().map_err(|_| "its basic constraints do not parse")?;
        if !constraints.is_some_and(|found| found.value.ca) {
            return Err("it is no authority's: its basic constraints do not say CA");
        }
        let usage = parsed.key_usage().map_err(|_| "its key usage does not parse")?;
        if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
            return Err("its key usage does not let it sign certificates");
        }
        let (subject, key) = (parsed.subject().as_raw().to_vec(), parsed.public_key().raw);
        let mut hash = Sha256::new();
        hash.update((subject.len() as u64).to_be_bytes());
        hash.update(&subject);
        hash.update(key);
        let id = AuthorityId(hash.finalize().into());
        Ok(Self { certificate, id, subject })
    }

    pub(super) fn certificate(&self) -> &Certificate {
        &self.certificate
    }
}

/// What tells an authority's certificates from others, with the lists of one moment.
#[derive(Debug)]
struct Verifiers {
    of_clients: Arc<dyn ClientCertVerifier>,
    of_servers: Arc<WebPkiServerVerifier>,
}

/// The peers that have an authority and a name, with the revocation lists in force. A peer has several of the two while it
/// goes from one to the next, in the order in which they were added; never none.
#[derive(Clone, Debug, Default)]
pub(super) struct Issued {
    peers: BTreeMap<String, Vec<IssuedName>>,
    crls: Arc<Crls>,
}

/// A name that an authority issues certificates for.
#[derive(Clone, Debug)]
struct IssuedName {
    authority: Authority,
    name: TlsName,
    /// None where no list says anything about what the authority has revoked.
    verifiers: Option<Arc<Verifiers>>,
}

impl Issued {
    /// Takes in a name of a peer. Refuses one that another peer of the same authority has.
    pub(super) fn add(&mut self, peer: &str, authority: Authority, name: TlsName) -> Result<(), SetupError> {
        let same = |known: &IssuedName| known.authority.id == authority.id && known.name == name;
        if let Some((other, _)) = self.names().find(|(other, known)| *other != peer && same(known)) {
            return Err(SetupError::NameTaken {
                peer: peer.to_owned(),
                other: other.to_owned(),
                name: name.to_string(),
            });
        }
        // Under a renewed certificate of the authority it stands once more, for the dates are others.
        let again = |known: &IssuedName| same(known) && known.authority.certificate == authority.certificate;
        if self.names().any(|(_, known)| again(known)) {
            return Ok(());
        }
        let verifiers = self.verifiers(&authority)?;
        self.peers.entry(peer.to_owned()).or_default().push(IssuedName { authority, name, verifiers });
        Ok(())
    }

    pub(super) fn remove(&mut self, peer: &str) {
        self.peers.remove(peer);
    }

    pub(super) fn len(&self) -> usize {
        self.peers.values().map(Vec::len).sum()
    }

    pub(super) fn has(&self, peer: &str) -> bool {
        self.peers.contains_key(peer)
    }

    /// Puts these lists in force. On an error nothing has changed.
    pub(super) fn set_crls(&mut self, crls: Arc<Crls>) -> Result<(), SetupError> {
        let mut changed = Self { peers: BTreeMap::new(), crls };
        for (peer, known) in self.names() {
            let verifiers = changed.verifiers(&known.authority)?;
            let names = changed.peers.entry(peer.to_owned()).or_default();
            names.push(IssuedName { verifiers, ..known.clone() });
        }
        *self = changed;
        Ok(())
    }

    pub(super) fn crls(&self) -> &Arc<Crls> {
        &self.crls
    }

    /// The peers that cannot come up at `now` by the name that was added first, because nothing says what its authority has
    /// revoked or it has expired.
    pub(super) fn shut_out(&self, now: SystemTime) -> impl Iterator<Item = (&str, &'static str)> {
        let first = self.peers.iter().filter_map(|(peer, names)| Some((peer, names.first()?)));
        first.filter_map(move |(peer, known)| {
            let why = if known.verifiers.is_none() {
                "no revocation list of its authority"
            } else if !known.authority.certificate.is_valid_at(now) {
                "its authority's certificate is outside its dates"
            } else {
                return None;
            };
            Some((peer.as_str(), why))
        })
    }

    /// The verifiers for dialling `peer`, each with the name it must find, or why there is none.
    pub(super) fn server_verifiers(
        &self,
        peer: &str,
        now: SystemTime,
    ) -> impl Iterator<Item = Result<(Arc<WebPkiServerVerifier>, TlsName), SetupError>> {
        self.names_of(peer).iter().map(move |known| {
            let verifiers = known.verifiers.as_ref().ok_or_else(|| SetupError::NoCrl { peer: peer.to_owned() })?;
            if !known.authority.certificate.is_valid_at(now) {
                return Err(SetupError::AuthorityOutsideValidity { peer: peer.to_owned() });
            }
            Ok((Arc::clone(&verifiers.of_servers), known.name.clone()))
        })
    }

    /// The one peer that this chain makes a client. The error is the library's own where a chain leads to an authority,
    /// and `UnknownIssuer` where none does.
    pub(super) fn client(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<&str, RustlsError> {
        let (leaf, intermediates) = chain.split_first().ok_or(RustlsError::NoCertificatesPresented)?;
        let mut best = CertificateError::UnknownIssuer.into();
        let mut found = None;
        for (peer, known) in self.names() {
            match known.client(leaf, intermediates, now) {
                // Whoever holds a certificate for the names of two peers is neither.
                Ok(()) if found.is_some_and(|found| found != peer) => {
                    return Err(CertificateError::ApplicationVerificationFailure.into());
                }
                Ok(()) => found = Some(peer),
                Err(error) => best = more_telling(best, error),
            }
        }
        found.ok_or(best)
    }

    /// Whether the certificate is also for the name of another peer of the same authority. Whoever holds one for two peers
    /// is neither, in either direction.
    pub(super) fn is_shared(&self, peer: &str, leaf: &CertificateDer<'_>) -> bool {
        let Ok(leaf) = ParsedCertificate::try_from(leaf) else { return false };
        let own = self.names_of(peer);
        let mut others = self.names().filter(|(other, _)| *other != peer);
        others.any(|(_, other)| {
            own.iter().any(|known| known.authority.id == other.authority.id)
                && verify_server_name(&leaf, &other.name.to_server_name()).is_ok()
        })
    }

    /// Whether what `peer` presented when its link began would be taken at `now`.
    pub(super) fn recheck(
        &self,
        peer: &str,
        chain: &[CertificateDer<'_>],
        as_server: bool,
        now: UnixTime,
    ) -> Result<(), RustlsError> {
        let (leaf, intermediates) = chain.split_first().ok_or(RustlsError::NoCertificatesPresented)?;
        let mut best = CertificateError::UnknownIssuer.into();
        for known in self.names_of(peer) {
            let judge = if as_server { IssuedName::server } else { IssuedName::client };
            match judge(known, leaf, intermediates, now) {
                Ok(()) => return Ok(()),
                Err(error) => best = more_telling(best, error),
            }
        }
        Err(best)
    }

    fn names(&self) -> impl Iterator<Item = (&str, &IssuedName)> {
        self.peers.iter().flat_map(|(peer, names)| names.iter().map(move |known| (peer.as_str(), known)))
    }

    fn names_of(&self, peer: &str) -> &[IssuedName] {
        self.peers.get(peer).map_or(&[], Vec::as_slice)
    }

    /// Verifiers with all lists, shared by peers of one certificate. With no list of the authority at all there are none:
    /// the library checks nothing when it is given nothing.
    fn verifiers(&self, authority: &Authority) -> Result<Option<Arc<Verifiers>>, SetupError> {
        if self.crls.is_empty() || !self.crls.has_issuer(&authority.subject) {
            return Ok(None);
        }
        let shared = self.names().find(|(_, known)| known.authority.certificate == authority.certificate);
        if let Some(verifiers) = shared.and_then(|(_, known)| known.verifiers.clone()) {
            return Ok(Some(verifiers));
        }
        let roots = roots(std::iter::once(&authority.certificate)).map_err(SetupError::Library)?;
        let unfit = |error: VerifierBuilderError| SetupError::Library(RustlsError::General(error.to_string()));
        let of_clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), config::provider())
            .clear_root_hint_subjects()
            .with_crls(self.crls.ders())
            .enforce_revocation_expiration()
            .build()
            .map_err(unfit)?;
        let of_servers = WebPkiServerVerifier::builder_with_provider(roots, config::provider())
            .with_crls(self.crls.ders())
            .enforce_revocation_expiration()
            .build()
            .map_err(unfit)?;
        Ok(Some(Arc::new(Verifiers { of_clients, of_servers })))
    }
}

impl IssuedName {
    fn client(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), RustlsError> {
        let name = self.name.to_server_name();
        let Some(verifiers) = &self.verifiers else { return self.unlisted(leaf, &name) };
        verifiers.of_clients.verify_client_cert(leaf, intermediates, now)?;
        // The library looks at no name of a client.
        verify_server_name(&ParsedCertificate::try_from(leaf)?, &name)?;
        self.in_time(now)
    }

    fn server(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), RustlsError> {
        let name = self.name.to_server_name();
        let Some(verifiers) = &self.verifiers else { return self.unlisted(leaf, &name) };
        verifiers.of_servers.verify_server_cert(leaf, intermediates, &name, &[], now)?;
        self.in_time(now)
    }

    /// The library does not look at the dates of what it is told to trust.
    fn in_time(&self, now: UnixTime) -> Result<(), RustlsError> {
        let at = UNIX_EPOCH + Duration::from_secs(now.as_secs());
        if self.authority.certificate.is_valid_at(at) { Ok(()) } else { Err(CertificateError::Expired.into()) }
    }

    /// Always an error: it tells, from the name alone, whether a list would have been the peer's.
    fn unlisted(&self, leaf: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), RustlsError> {
        verify_server_name(&ParsedCertificate::try_from(leaf)?, name).map_err(|_| CertificateError::UnknownIssuer)?;
        Err(CertificateError::UnknownRevocationStatus.into())
    }
}

/// Whether peers would take this chain, the node's own certificate first, but for what has been revoked.
pub(super) fn check_chain(
    authority: &Authority,
    name: &TlsName,
    chain: &[Certificate],
    now: SystemTime,
) -> Result<(), RustlsError> {
    let ders: Vec<CertificateDer<'_>> = chain.iter().map(|certificate| certificate.as_der().clone()).collect();
    let (leaf, intermediates) = ders.split_first().ok_or(RustlsError::NoCertificatesPresented)?;
    let now = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or_default());
    let refuse = |error: VerifierBuilderError| RustlsError::General(error.to_string());
    let roots = roots(std::iter::once(&authority.certificate))?;
    let of_clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), config::provider());
    of_clients.build().map_err(refuse)?.verify_client_cert(leaf, intermediates, now)?;
    let of_servers = WebPkiServerVerifier::builder_with_provider(roots, config::provider()).build().map_err(refuse)?;
    of_servers.verify_server_cert(leaf, intermediates, &name.to_server_name(), &[], now).map(|_| ())
}

/// Of two refusals the one that comes of a chain that leads further: a wrong name, a revocation, an expiry, before an
/// issuer nobody knows.
fn more_telling(one: RustlsError, other: RustlsError) -> RustlsError {
    let rank = |error: &RustlsError| match error {
        RustlsError::InvalidCertificate(CertificateError::UnknownIssuer) => 0,
        RustlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => 1,
        _ => 2,
    };
    if rank(&other) > rank(&one) { other } else { one }
}
