//! The two TLS set-ups, accepting and connecting, both as strict as the library allows.
//!
//! A configuration is a value made from an identity and pins. When peers change, make a new one and hand it
//! to the next [`accept`](super::accept) or [`connect`](super::connect); running links are not touched.
//! Nothing here replaces the library's own certificate verification.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, LazyLock},
    time::SystemTime,
};

use rustls::{
    ClientConfig as RustlsClientConfig, Error as RustlsError, NoKeyLog, ServerConfig as RustlsServerConfig,
    client::{Resumption, WebPkiServerVerifier},
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{ServerName, UnixTime},
    server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier},
    sign::SingleCertAndKey,
    time_provider::TimeProvider,
    version::TLS13,
};

use super::{
    ALPN, OwnIdentity, Pins, SERVER_NAME, SetupError, authority::Issued, certificate::Fingerprint, pins::roots,
    verifier::PeerVerifier,
};
use crate::clock::Clock;

/// How this node answers whoever connects, with the pins of one moment.
pub struct ServerConfig {
    pub(super) rustls: Arc<RustlsServerConfig>,
    pub(super) peers: Arc<HashMap<Fingerprint, String>>,
    pub(super) issued: Arc<Issued>,
    pub(super) clock: Clock,
}

/// How this node dials one peer.
pub struct ClientConfig {
    pub(super) rustls: Arc<RustlsClientConfig>,
    pub(super) peer: String,
    /// What the certificate must be for; never sent.
    pub(super) name: ServerName<'static>,
    /// The certificates that the peer has; none where an authority issues them, and the name decides.
    pub(super) pins: Option<HashSet<Fingerprint>>,
    pub(super) issued: Arc<Issued>,
}

/// The set-up for accepting connections from the peers in `pins`; `clock` says at each handshake what has expired.
///
/// Takes time in proportion to the number of pins, so make it when peers change and not per connection.
pub fn server_config(own: &OwnIdentity, pins: &Pins, clock: &Clock) -> Result<Arc<ServerConfig>, SetupError> {
    // The library wants at least one root. A node without peers trusts its own certificate there, which the
    // pins then map to nobody: all are refused, and the node can run before its first peer is enrolled.
    let peers = Arc::new(pins.owners());
    let roots = if peers.is_empty() { roots(std::iter::once(own.certificate())) } else { roots(pins.certificates()) };
    let pinned = WebPkiClientVerifier::builder_with_provider(roots.map_err(SetupError::Library)?, provider())
        // By default the server would send the subject of every root, that is the list of our peers, to
        // whoever connects, before knowing who it is.
        .clear_root_hint_subjects()
        .build()
        .map_err(|error| SetupError::Library(from_builder(&error)))?;
    let issued = Arc::clone(pins.issued());
    let verifier = PeerVerifier { pinned, owners: Arc::clone(&peers), issued: Arc::clone(&issued) };
    let mut config = RustlsServerConfig::builder_with_details(provider(), Arc::new(clock.clone()))
        .with_protocol_versions(&[&TLS13])
        .map_err(SetupError::Library)?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(own.pair())));
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A resumed session would skip the pins, and with them a revocation.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.key_log = Arc::new(NoKeyLog {});
    Ok(Arc::new(ServerConfig { rustls: Arc::new(config), peers, issued, clock: clock.clone() }))
}

/// The set-ups for dialling `peer` now, one for each authority and name that it has, and a last one for the
/// certificates pinned for it, if there are any: one of the library's verifiers judges by one of them. Never empty; one that
/// cannot be used stands there as its error.
pub fn client_configs(
    own: &OwnIdentity,
    pins: &Pins,
    peer: &str,
    clock: &Clock,
) -> Vec<Result<Arc<ClientConfig>, SetupError>> {
    let by_authority = pins.issued().server_verifiers(peer, clock.system_time());
    let expected = by_authority.map(|found| found.map(|(verifier, name)| (verifier, name.to_server_name(), None)));
    let exact = (pins.certificates_of(peer).next().is_some()).then(|| expect_exact(pins, peer));
    let expected = expected.chain(exact);
    let mut configs: Vec<_> = expected.map(|expected| dialling(own, pins, peer, clock, expected?)).collect();
    if configs.is_empty() {
        configs.push(Err(SetupError::NoPin { peer: peer.to_owned() }));
    }
    configs
}

/// What judges the certificate of whoever is dialled, what it must be for, and which alone are taken, if it is not the
/// name that decides.
type Expected = (Arc<WebPkiServerVerifier>, ServerName<'static>, Option<HashSet<Fingerprint>>);

/// Expects one of the certificates pinned for `peer`, of which there is at least one.
fn expect_exact(pins: &Pins, peer: &str) -> Result<Expected, SetupError> {
    let fingerprints = pins.certificates_of(peer).map(super::Certificate::fingerprint).collect();
    let roots = roots(pins.certificates_of(peer)).map_err(SetupError::Library)?;
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider())
        .build()
        .map_err(|error| SetupError::Library(from_builder(&error)))?;
    let name = ServerName::try_from(SERVER_NAME).expect("the constant is a valid DNS name");
    Ok((verifier, name, Some(fingerprints)))
}

fn dialling(
    own: &OwnIdentity,
    pins: &Pins,
    peer: &str,
    clock: &Clock,
    (verifier, name, exact): Expected,
) -> Result<Arc<ClientConfig>, SetupError> {
    let issued = Arc::clone(pins.issued());
    let mut config = RustlsClientConfig::builder_with_details(provider(), Arc::new(clock.clone()))
        .with_protocol_versions(&[&TLS13])
        .map_err(SetupError::Library)?
        .with_webpki_verifier(verifier)
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own.pair())));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.enable_sni = false;
    config.key_log = Arc::new(NoKeyLog {});
    Ok(Arc::new(ClientConfig { rustls: Arc::new(config), peer: peer.to_owned(), name, pins: exact, issued }))
}

/// The library asks the node's clock, as everything else here does: two clocks would renew a certificate by one and refuse
/// it by the other.
impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        self.system_time().duration_since(SystemTime::UNIX_EPOCH).ok().map(UnixTime::since_unix_epoch)
    }
}

/// The cryptography of every handshake: the library's TLS 1.3 suites and one key exchange, the hybrid that a
/// recorded session keeps its secrecy with when large quantum computers exist.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = aws_lc_rs::default_provider();
        provider.kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768];
        Arc::new(provider)
    });
    Arc::clone(&PROVIDER)
}

fn from_builder(error: &VerifierBuilderError) -> RustlsError {
    RustlsError::General(error.to_string())
}
