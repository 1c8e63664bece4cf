//! Peers with an authority: who is let in as whom, in both directions, and every way in which a certificate must not hold.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use rustls::{
    pki_types::{PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};

use super::{forged::resolver, *};

mod files;

pub(super) const CHILE: &str = "aldis.cert.cl";
const PERU: &str = "aldis.cert.pe";

/// An authority, or one below it, that issues what a test asks for.
pub(super) struct Ca {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
    /// From this one up to the one below the root, as it stands behind a leaf.
    chain: Vec<Vec<u8>>,
}

/// What a node presents.
pub(super) struct Leaf {
    chain: Vec<Vec<u8>>,
    key: KeyPair,
}

impl Ca {
    pub(super) fn root(name: &str) -> Self {
        let (params, key) = (ca_params(name), KeyPair::generate().unwrap());
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key), chain: Vec::new() }
    }

    fn below(&self, name: &str, serial: u64, alter: impl FnOnce(&mut CertificateParams)) -> Self {
        let (mut params, key) = (ca_params(name), KeyPair::generate().unwrap());
        params.serial_number = Some(SerialNumber::from(serial));
        alter(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let chain = [vec![certificate.der().to_vec()], self.chain.clone()].concat();
        Self { certificate, issuer: Issuer::new(params, key), chain }
    }

    pub(super) fn leaf(&self, names: &[&str], alter: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = leaf_params(names);
        alter(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf { chain: [vec![certificate.der().to_vec()], self.chain.clone()].concat(), key }
    }

    pub(super) fn proper(&self, name: &str) -> Leaf {
        self.leaf(&[name], |_| {})
    }

    pub(super) fn crl_until(&self, revoked: &[u64], until: SystemTime) -> rcgen::CertificateRevocationList {
        let at = |time: SystemTime| rcgen::date_time_ymd(1970, 1, 1) + time.duration_since(UNIX_EPOCH).unwrap();
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: at(now() - days(1)),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: at(now() - days(10)),
            next_update: at(until),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap()
    }

    pub(super) fn crl(&self, revoked: &[u64]) -> rcgen::CertificateRevocationList {
        self.crl_until(revoked, now() + days(7))
    }

    fn as_pin(&self) -> Certificate {
        Certificate::from_der(self.certificate.der()).unwrap()
    }
}

impl Leaf {
    fn pair(&self) -> Arc<CertifiedKey> {
        let private = PrivateKeyDer::from_pem_slice(self.key.serialize_pem().as_bytes()).unwrap();
        let chain = self.chain.iter().map(|der| der.clone().into()).collect();
        Arc::new(CertifiedKey::from_der(chain, private, &config::provider()).unwrap())
    }
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf_params(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.serial_number = Some(SerialNumber::from(7));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

pub(super) fn expired(params: &mut CertificateParams) {
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
}

fn crls(lists: &[rcgen::CertificateRevocationList]) -> Arc<Crls> {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("all.crl");
    fs::write(&path, lists.iter().map(|list| list.pem().unwrap()).collect::<String>()).unwrap();
    let crls = Crls::load(&[path], &Crls::default());
    assert_eq!(crls.faults().count(), 0, "{:?}", crls.faults().collect::<Vec<_>>());
    Arc::new(crls)
}

pub(super) fn issued(ca: &Ca, lists: &[rcgen::CertificateRevocationList]) -> Pins {
    let mut pins = Pins::new();
    pins.add_issued("cert.cl", ca.as_pin(), TlsName::new(CHILE).unwrap()).unwrap();
    if !lists.is_empty() {
        pins.set_crls(crls(lists)).unwrap();
    }
    pins
}

/// The peer that a node with these pins takes the holder of `leaf` for when it is dialled, or the code of the refusal.
pub(super) async fn as_client(pins: &Pins, leaf: &Leaf) -> Result<String, &'static str> {
    let (ours, theirs) = (Node::new("cert.br"), Node::new("cert.cl"));
    let server = server_config(&ours.own, pins).unwrap();
    let plain = client_config(&theirs.own, &super::pins(&[("cert.br", &ours)]), "cert.br").unwrap();
    let client = altered_client(&plain, |client| client.client_auth_cert_resolver = resolver(leaf.pair()));
    handshake(&server, &client).await.server.map(|secured| secured.peer).map_err(|error| error.code())
}

/// The same when it dials `cert.cl`.
pub(super) async fn as_server(pins: &Pins, leaf: &Leaf) -> Result<String, &'static str> {
    let (ours, theirs) = (Node::new("cert.br"), Node::new("cert.cl"));
    let client = client_config(&ours.own, pins, "cert.cl").map_err(|error| error.code())?;
    let plain = server_config(&theirs.own, &super::pins(&[("cert.br", &ours)])).unwrap();
    let server = altered_server(&plain, |server| server.cert_resolver = resolver(leaf.pair()));
    handshake(&server, &client).await.client.map(|secured| secured.peer).map_err(|error| error.code())
}

/// Both directions come to the same refusal.
async fn refused(pins: &Pins, leaf: &Leaf) -> &'static str {
    let (client, server) = (as_client(pins, leaf).await, as_server(pins, leaf).await);
    assert_eq!(client, server);
    client.expect_err("it is refused")
}

async fn is_chile(pins: &Pins, leaf: &Leaf) {
    assert_eq!(as_client(pins, leaf).await.as_deref(), Ok("cert.cl"));
    assert_eq!(as_server(pins, leaf).await.as_deref(), Ok("cert.cl"));
}

#[tokio::test]
async fn i4_a_certificate_of_the_authority_for_the_name_is_the_peer_in_both_directions() {
    let root = Ca::root("Root");
    is_chile(&issued(&root, &[root.crl(&[])]), &root.proper(CHILE)).await;

    let below = root.below("Below", 2, |_| {});
    is_chile(&issued(&root, &[root.crl(&[]), below.crl(&[])]), &below.proper(CHILE)).await;
}

#[tokio::test]
async fn i4_another_name_or_another_authority_is_refused() {
    let (root, stranger) = (Ca::root("Root"), Ca::root("Stranger"));
    let pins = issued(&root, &[root.crl(&[]), stranger.crl(&[])]);
    assert_eq!(refused(&pins, &root.proper(PERU)).await, "tls-wrong-name");
    assert_eq!(refused(&pins, &root.proper(&format!("x.{CHILE}"))).await, "tls-wrong-name");
    assert_eq!(refused(&pins, &stranger.proper(CHILE)).await, "tls-bad-certificate");
    // An authority of the same name with another key is another one.
    assert_eq!(refused(&pins, &Ca::root("Root").proper(CHILE)).await, "tls-bad-certificate");
}

#[tokio::test]
async fn i4_one_peer_of_an_authority_cannot_be_another() {
    let root = Ca::root("Root");
    let mut pins = issued(&root, &[root.crl(&[])]);
    pins.add_issued("cert.pe", root.as_pin(), TlsName::new(PERU).unwrap()).unwrap();
    assert_eq!(as_client(&pins, &root.proper(PERU)).await.as_deref(), Ok("cert.pe"));
    assert_eq!(as_server(&pins, &root.proper(PERU)).await, Err("tls-wrong-name"));
    is_chile(&pins, &root.proper(CHILE)).await;
    // A certificate for both names is neither's.
    assert_eq!(refused(&pins, &root.leaf(&[CHILE, PERU], |_| {})).await, "tls-two-names");
    assert_eq!(refused(&pins, &root.leaf(&[CHILE, "*.cert.pe"], |_| {})).await, "tls-two-names");
}

#[tokio::test]
async fn i4_expired_certificates_of_a_chain_are_refused() {
    let root = Ca::root("Root");
    let below = root.below("Below", 2, expired);
    let pins = issued(&root, &[root.crl(&[]), below.crl(&[])]);
    assert_eq!(refused(&pins, &root.leaf(&[CHILE], expired)).await, "tls-peer-expired");
    assert_eq!(refused(&pins, &below.proper(CHILE)).await, "tls-peer-expired");
}

#[tokio::test]
async fn i4_an_authority_outside_its_dates_issues_nothing() {
    let key = KeyPair::generate().unwrap();
    let mut params = ca_params("Root");
    expired(&mut params);
    let certificate = params.self_signed(&key).unwrap();
    let root = Ca { certificate, issuer: Issuer::new(params, key), chain: Vec::new() };
    let pins = issued(&root, &[root.crl(&[])]);
    assert_eq!(as_client(&pins, &root.proper(CHILE)).await, Err("tls-peer-expired"));
    assert_eq!(as_server(&pins, &root.proper(CHILE)).await, Err("certificate-unusable"));
    assert_eq!(pins.shut_out(now()).count(), 1);
}

#[tokio::test]
async fn i4_revoked_certificates_of_a_chain_are_refused() {
    let root = Ca::root("Root");
    let below = root.below("Below", 2, |_| {});
    let pins = issued(&root, &[root.crl(&[7])]);
    assert_eq!(refused(&pins, &root.proper(CHILE)).await, "tls-revoked");
    is_chile(&pins, &root.leaf(&[CHILE], |params| params.serial_number = Some(SerialNumber::from(8)))).await;
    let pins = issued(&root, &[root.crl(&[2]), below.crl(&[])]);
    assert_eq!(refused(&pins, &below.proper(CHILE)).await, "tls-revoked");
}

#[tokio::test]
async fn i4_without_a_current_list_of_each_issuer_nobody_is_let_in() {
    let (root, stranger) = (Ca::root("Root"), Ca::root("Stranger"));
    let below = root.below("Below", 2, |_| {});
    let old = root.crl_until(&[], now() - days(1));
    assert_eq!(refused(&issued(&root, &[old]), &root.proper(CHILE)).await, "tls-crl-expired");
    assert_eq!(refused(&issued(&root, &[]), &root.proper(CHILE)).await, "tls-no-crl");
    assert_eq!(refused(&issued(&root, &[stranger.crl(&[])]), &root.proper(CHILE)).await, "tls-no-crl");
    // The root's list says nothing about what those below it have revoked.
    assert_eq!(refused(&issued(&root, &[root.crl(&[])]), &below.proper(CHILE)).await, "tls-no-crl");
    // A list in the root's name that the root did not sign.
    assert_eq!(refused(&issued(&root, &[Ca::root("Root").crl(&[])]), &root.proper(CHILE)).await, "tls-bad-crl");
}

#[tokio::test]
async fn i4_a_certificate_for_one_role_is_refused_in_the_other() {
    let root = Ca::root("Root");
    let pins = issued(&root, &[root.crl(&[])]);
    let only = |purpose| root.leaf(&[CHILE], |params| params.extended_key_usages = vec![purpose]);
    let (client, server) = (only(ExtendedKeyUsagePurpose::ClientAuth), only(ExtendedKeyUsagePurpose::ServerAuth));
    assert_eq!(as_server(&pins, &client).await, Err("tls-bad-certificate"));
    assert_eq!(as_client(&pins, &client).await.as_deref(), Ok("cert.cl"));
    assert_eq!(as_client(&pins, &server).await, Err("tls-bad-certificate"));
    assert_eq!(as_server(&pins, &server).await.as_deref(), Ok("cert.cl"));
}

#[tokio::test]
async fn i4_a_self_signed_certificate_is_nobodys_under_an_authority() {
    let root = Ca::root("Root");
    let key = KeyPair::generate().unwrap();
    let certificate = leaf_params(&[CHILE]).self_signed(&key).unwrap();
    let leaf = Leaf { chain: vec![certificate.der().to_vec()], key };
    assert_eq!(refused(&issued(&root, &[root.crl(&[])]), &leaf).await, "tls-bad-certificate");
}

#[tokio::test]
async fn i7_a_chain_has_three_certificates_between_at_most() {
    let root = Ca::root("Root");
    let first = root.below("First", 2, |_| {});
    let second = first.below("Second", 3, |_| {});
    let third = second.below("Third", 4, |_| {});
    let fourth = third.below("Fourth", 5, |_| {});
    let lists = [&root, &first, &second, &third, &fourth].map(|ca| ca.crl(&[]));
    let pins = issued(&root, &lists);
    is_chile(&pins, &third.proper(CHILE)).await;
    assert_eq!(refused(&pins, &fourth.proper(CHILE)).await, "tls-unacceptable");
}

#[tokio::test]
async fn i4_a_peer_without_a_list_keeps_nobody_else_out() {
    let (root, pinned) = (Ca::root("Root"), Node::new("cert.ar"));
    let mut pins = Pins::new();
    pins.add("cert.ar", pinned.certificate()).unwrap();
    // The name that every pinned certificate carries.
    pins.add_issued("cert.cl", root.as_pin(), TlsName::new(SERVER_NAME).unwrap()).unwrap();
    let leaf = Leaf {
        chain: vec![pinned.certificate().der().to_vec()],
        key: KeyPair::from_pem(&fs::read_to_string(pinned.key_path()).unwrap()).unwrap(),
    };
    assert_eq!(as_client(&pins, &leaf).await.as_deref(), Ok("cert.ar"));
}

#[tokio::test]
async fn i4_a_new_list_judges_what_was_presented_before() {
    let root = Ca::root("Root");
    let mut pins = issued(&root, &[root.crl(&[])]);
    let (ours, theirs) = (Node::new("cert.br"), Node::new("cert.cl"));
    let plain = client_config(&theirs.own, &super::pins(&[("cert.br", &ours)]), "cert.br").unwrap();
    let client =
        altered_client(&plain, |client| client.client_auth_cert_resolver = resolver(root.proper(CHILE).pair()));
    let secured = handshake(&server_config(&ours.own, &pins).unwrap(), &client).await.server.unwrap();
    pins.recheck("cert.cl", &secured.presented, now()).unwrap();
    pins.set_crls(crls(&[root.crl(&[7])])).unwrap();
    assert_eq!(pins.recheck("cert.cl", &secured.presented, now()).unwrap_err().code(), "tls-revoked");
    pins.set_crls(crls(&[root.crl(&[])])).unwrap();
    assert_eq!(pins.recheck("cert.cl", &secured.presented, now() + days(8)).unwrap_err().code(), "tls-crl-expired");
}

#[tokio::test]
async fn i4_a_peer_has_all_its_ways_while_it_goes_from_one_to_the_next() {
    let (root, pinned, ours) = (Ca::root("Root"), Node::new("cert.cl"), Node::new("cert.br"));
    let mut pins = issued(&root, &[root.crl(&[])]);
    pins.add("cert.cl", pinned.certificate()).unwrap();
    pins.add_issued("cert.cl", root.as_pin(), TlsName::new("new.cert.cl").unwrap()).unwrap();
    let leaf = Leaf {
        chain: vec![pinned.certificate().der().to_vec()],
        key: KeyPair::from_pem(&fs::read_to_string(pinned.key_path()).unwrap()).unwrap(),
    };
    // A certificate for two names of the one peer is its own.
    let both = root.leaf(&[CHILE, "new.cert.cl"], |_| {});
    for taken in [&leaf, &root.proper(CHILE), &root.proper("new.cert.cl"), &both] {
        assert_eq!(as_client(&pins, taken).await.as_deref(), Ok("cert.cl"));
    }
    assert_eq!(as_client(&pins, &root.proper(PERU)).await, Err("tls-wrong-name"));
    let clients = client_configs(&ours.own, &pins, "cert.cl", &Clock::system());
    let names = clients.iter().map(|client| client.as_ref().unwrap().name.to_str().into_owned());
    assert_eq!(names.collect::<Vec<_>>(), [CHILE, "new.cert.cl", SERVER_NAME]);
    let server = server_config(&pinned.own, &super::pins(&[("cert.br", &ours)])).unwrap();
    let mut taken = Vec::new();
    for client in clients {
        taken.push(handshake(&server, &client.unwrap()).await.client.is_ok());
    }
    assert_eq!(taken, [false, false, true], "each way takes what it is for");
    pins.remove("cert.cl");
    assert!(pins.is_empty());
}

#[test]
fn i4_authorities_and_names_are_checked_at_enrolment() {
    let root = Ca::root("Root");
    let mut pins = issued(&root, &[]);
    let add = |pins: &mut Pins, peer: &str, certificate: Certificate, name: &str| {
        pins.add_issued(peer, certificate, TlsName::new(name).unwrap())
    };
    let taken = add(&mut pins, "cert.pe", root.as_pin(), "ALDIS.cert.CL").unwrap_err();
    assert!(matches!(&taken, SetupError::NameTaken { other, .. } if other == "cert.cl"), "{taken}");
    // Renewed for the same key, an authority is the same one.
    let mut renewed = ca_params("Root");
    renewed.not_after = rcgen::date_time_ymd(4000, 1, 1);
    let renewed = renewed.self_signed(root.issuer.key()).unwrap();
    let renewed = Certificate::from_der(renewed.der()).unwrap();
    assert!(matches!(add(&mut pins, "cert.pe", renewed.clone(), CHILE), Err(SetupError::NameTaken { .. })));
    add(&mut pins, "cert.cl", renewed, CHILE).unwrap();
    add(&mut pins, "cert.pe", Ca::root("Other").as_pin(), CHILE).unwrap();
    let leaf = Certificate::from_der(&root.proper(CHILE).chain[0]).unwrap();
    assert!(matches!(add(&mut pins, "cert.ar", leaf, "aldis.cert.ar"), Err(SetupError::NotAnAuthority { .. })));
    assert_eq!(pins.len(), 3);
    for bad in ["", "*.cert.cl", "192.0.2.1", "cert.cl.", "a b", "::1"] {
        assert!(TlsName::new(bad).is_err(), "{bad}");
    }
    pins.remove("cert.cl");
    assert_eq!(pins.len(), 1);
}
