//! Two whole nodes, one with a certificate of an authority: its link comes up under a current list, and a new list cuts it.

use super::*;
use crate::access::Rules;
use crate::admission;
use crate::alerts;
use crate::card_text;
use crate::check;
use crate::config::Config;
use crate::demo::port::HeldPort;
use crate::event_loop::{LinkStatus, NodeView, Request};
use crate::init::{self, NewNode};
use crate::keys::{self, KeyError, OwnKeys, Stretch, fixtures};
use crate::link::LinkTimes;
use crate::log::store::StoreOptions;
use crate::own_card;
use crate::rotation::RotationError;
use crate::run;
use crate::tls::{self, AuthorityFile, OwnIdentity, TlsName};
use crate::{Node, Setup, journal, start};
use aldis_core::Order;
use aldis_core::effect::Done;
use aldis_core::limits::Limits;
use aldis_core::trust::{Act, Person};
use aldis_wire::card::{CARD_VERSION, Card, VerifiedCard};
use aldis_wire::codec::{Blob, List};
use aldis_wire::codes::Extensions;
use aldis_wire::ids::NodeId;
use aldis_wire::kinds;
use aldis_wire::signing::IdentityKey;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Instant, UNIX_EPOCH};
use tempfile::TempDir;

const NAME: &str = "aldis.cert.cl";
const SERIAL: u64 = 7;
const PATIENCE: Duration = Duration::from_secs(30);

/// The authority of cert.cl, and the file in which cert.br has its list.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
    dir: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Authority of Chile");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { issuer: Issuer::new(params, key), certificate, dir: TempDir::new().unwrap() }
    }

    fn list_path(&self) -> PathBuf {
        self.dir.path().join("chile.crl")
    }

    /// Puts a list in place whole, as an administrator's tool does, good for a week from `days_ago`.
    fn publish(&self, revoked: &[u64], days_ago: u64) {
        let now = Clock::system().system_time().duration_since(UNIX_EPOCH).unwrap();
        let at = |days: u64| rcgen::date_time_ymd(1970, 1, 1) + now.saturating_sub(Duration::from_secs(days * 86_400));
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: at(1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: at(days_ago),
            next_update: at(days_ago) + Duration::from_secs(7 * 86_400),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).unwrap().pem().unwrap();
        let aside = self.dir.path().join("aside");
        fs::write(&aside, list).unwrap();
        fs::rename(aside, self.list_path()).unwrap();
    }

    /// The certificate and key that it issues to cert.cl, loaded as that node does.
    fn issue(&self, dir: &TempDir) -> OwnIdentity {
        let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(SERIAL));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = |name: &str| dir.path().join(name);
        write(&path("tls.key"), &key.serialize_pem());
        write(&path("tls.crt"), &certificate.pem());
        write(&path("authority.crt"), &self.certificate.pem());
        let authority = AuthorityFile { path: path("authority.crt"), name: TlsName::new(NAME).unwrap() };
        let now = Clock::system().system_time();
        OwnIdentity::load_issued(&path("tls.crt"), &path("tls.key"), &authority, now).unwrap()
    }
}

fn write(path: &std::path::Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn self_signed(id: &str, dir: &TempDir) -> OwnIdentity {
    let now = Clock::system().system_time();
    let (certificate, key) = tls::generate(id, 365, now).unwrap();
    let path = |name: &str| dir.path().join(name);
    write(&path("tls.key"), key.expose());
    write(&path("tls.crt"), &certificate);
    OwnIdentity::load(&path("tls.crt"), &path("tls.key"), now).unwrap()
}

/// A node whose card, the higher numbered the more certificates it has, tells of the first of them.
fn setup(id: &str, dir: &TempDir, pairs: Vec<OwnIdentity>, paths: Vec<PathBuf>) -> Setup {
    let seed = [id.as_bytes()[id.len() - 1]; 32];
    let (clock, key, tls) = (Clock::system(), IdentityKey::from_seed(&seed), &pairs[0]);
    let address = HeldPort::take().unwrap().for_good();
    let now = clock.wall();
    let card = Card {
        version: CARD_VERSION,
        id: NodeId::new(id).unwrap(),
        name: Text::cut(id),
        country: Text::cut("XX"),
        identity_key: *key.public().as_bytes(),
        tls_certificate: Blob::new(tls.card_certificate().der().to_vec()).unwrap(),
        tls_name: tls.card_name().map(|name| Text::cut(name.as_str())),
        endpoints: List::new(vec![Text::cut(&address.to_string())]).unwrap(),
        contacts: List::empty(),
        kinds: kinds::kind_versions(),
        issued_at: now,
        valid_until: now.plus_ms(365 * 86_400_000),
        sequence: pairs.len() as u64,
        extensions: Extensions::default(),
    };
    let mut journal = journal::Options::default();
    journal.segment_bytes = 1 << 20;
    journal.reserve_bytes = 0;
    journal.prepare_ahead = false;
    Setup {
        card: card.sign(&key),
        identities: key.into(),
        tls: pairs,
        key_files: None,
        data_dir: dir.path().to_owned(),
        listen: vec![address],
        control_socket: None,
        access: Rules::default(),
        limits: Limits { retry_initial_ms: 50, retry_max_ms: 200, ..Limits::default() },
        alerts: alerts::Settings::default(),
        admission: admission::Limits::default(),
        times: LinkTimes { heartbeat: Duration::from_millis(500), ..LinkTimes::default() },
        journal,
        log: StoreOptions { cache_bytes: 1 << 20, free_space_floor_bytes: 0 },
        crls: CrlFiles { paths, look_every: Duration::from_millis(50) },
        scrub: crate::scrub::Settings::default(),
        backup: crate::backup::Settings::default(),
        clock,
    }
}

async fn enrol(node: &Node, card: &VerifiedCard) {
    let request = Request::AddPeer { card: Box::new(card.clone()), by: Text::cut("test") };
    node.handle.request(request).await.unwrap();
    let person = |uid| Person { uid, name: Text::cut(&format!("admin-{uid}")) };
    let peer = card.card().id.clone();
    let order = Order { act: Act::Verify, peer, key: None, by: person(1), why: Text::cut("a test") };
    let asked = node.handle.request(Request::Administer(Box::new(order))).await.unwrap();
    let Done::Requested(request) = asked else { panic!("a second person is asked for") };
    node.handle.request(Request::Approve { request, by: person(2) }).await.unwrap();
}

async fn eventually(what: &str, node: &Node, holds: impl Fn(&NodeView) -> bool) {
    let start = Instant::now();
    while !holds(&node.handle.view().await.unwrap()) {
        assert!(start.elapsed() < PATIENCE, "this did not come true in time: {what}");
        tokio::task::yield_now().await;
    }
}

fn is_up(view: &NodeView) -> bool {
    view.peers[0].link == LinkStatus::Up
}

fn alarms(view: &NodeView) -> Vec<&str> {
    view.alarms.iter().map(|alarm| alarm.code.as_str()).collect()
}

/// Makes the node cert.cl with a certificate of the authority, its keys not sealed yet.
fn made(authority: &Authority, dir: &TempDir, clock: &Clock) -> PathBuf {
    let node = NewNode {
        dir: dir.path().to_owned(),
        id: NodeId::new("cert.cl").unwrap(),
        name: "CERT".to_owned(),
        country: "CL".parse().unwrap(),
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        endpoints: Vec::new(),
        single_administrator: false,
    };
    init::init(&node, &fixtures::sealing(), clock).unwrap();
    authority.issue(dir);
    let path = dir.path().join(init::CONFIG_FILE);
    let keys = "tls_key = \"tls.key\"\ntls_certificate = \"tls.crt\"\ntls_authority = \"authority.crt\"";
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replacen("[keys]\n", &format!("[keys]\n{keys}\ntls_name = \"{NAME}\"\n"), 1);
    let list = authority.list_path();
    fs::write(&path, text.replacen("[tls]\n", &format!("[tls]\ncrls = [\"{}\"]\n", list.display()), 1)).unwrap();
    path
}

#[test]
fn a_node_with_an_authority_is_fit_and_check_names_an_old_list() {
    let (authority, dir, clock) = (Authority::new(), TempDir::new().unwrap(), Clock::system());
    let path = made(&authority, &dir, &clock);
    let config = Config::load(&path).unwrap();
    let load = || OwnKeys::load(&config, &mut fixtures::keyring(), clock.system_time());
    assert!(matches!(load().err(), Some(KeyError::NotSealed { .. })), "an authority's certificate is no excuse");
    keys::seal(&config, fixtures::given(), Stretch::THROWAWAY).unwrap();
    let keys = load().unwrap();
    let card = own_card::refresh(&config, &keys, clock.wall()).unwrap();
    assert_eq!(&card.card().tls_certificate[..], &authority.certificate.der()[..]);
    assert_eq!(card.card().tls_name.as_deref(), Some(NAME));

    let problems = || {
        let findings = check::check(&path, |_| fixtures::given(), &clock).unwrap();
        let problems = findings.into_iter().filter(|finding| finding.level == check::Level::Problem);
        problems.map(|finding| finding.text).collect::<Vec<_>>().join("\n")
    };
    assert!(problems().contains("chile.crl cannot be read"), "{}", problems());
    authority.publish(&[], 1);
    assert_eq!(problems(), "");
    authority.publish(&[], 8);
    assert!(problems().contains("Authority of Chile") && problems().contains("has expired"), "{}", problems());
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_a_new_revocation_list_cuts_the_link_and_a_newer_one_lets_it_come_back() {
    let (authority, of_br, of_cl) = (Authority::new(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let chile = setup("cert.cl", &of_cl, vec![authority.issue(&of_cl)], Vec::new());
    let brazil = setup("cert.br", &of_br, vec![self_signed("cert.br", &of_br)], vec![authority.list_path()]);
    let (cl_card, br_card) = (chile.card.clone(), brazil.card.clone());
    let cl = start(chile).await.unwrap();
    let br = start(brazil).await.unwrap();
    enrol(&cl, &br_card).await;
    enrol(&br, &cl_card).await;
    let id = &cl_card.card().id;
    let last_code = || br.notes.of(id).last_error.map(|(code, ..)| code);

    eventually("an alarm says that there is no list", &br, |view| alarms(view).contains(&"revocation-unknown")).await;
    eventually("the dial was refused for want of a list", &br, |_| last_code().as_deref() == Some("tls-no-crl")).await;
    assert!(!is_up(&br.handle.view().await.unwrap()));

    authority.publish(&[], 1);
    eventually("the link comes up under a current list", &br, is_up).await;
    eventually("the alarm has ended", &br, |view| alarms(view).is_empty()).await;

    authority.publish(&[SERIAL], 1);
    eventually("the revocation cuts the link", &br, |view| !is_up(view)).await;
    eventually("and is named", &br, |_| last_code().as_deref() == Some("tls-revoked")).await;

    authority.publish(&[], 1);
    eventually("the link comes back", &br, is_up).await;

    authority.publish(&[], 8);
    eventually("an expired list cuts the link", &br, |view| !is_up(view)).await;
    eventually("with an alarm", &br, |view| alarms(view).contains(&"revocation-unknown")).await;
    eventually("and its own code", &br, |_| last_code().as_deref() == Some("tls-crl-expired")).await;

    // As SIGHUP does after `tls.crls` was changed.
    let elsewhere = authority.dir.path().join("elsewhere.crl");
    authority.publish(&[], 1);
    fs::rename(authority.list_path(), &elsewhere).unwrap();
    br.revocation.look_at(vec![elsewhere]);
    eventually("a list at another path is found", &br, is_up).await;
    br.stop(PATIENCE).await;
    cl.stop(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_identity_key_keeps_the_authority_which_alone_makes_the_next_certificate() {
    let (authority, dir, clock) = (Authority::new(), TempDir::new().unwrap(), Clock::system());
    let config = Config::load(&made(&authority, &dir, &clock)).unwrap();
    keys::seal(&config, fixtures::given(), Stretch::THROWAWAY).unwrap();
    let mut keyring = fixtures::keyring();
    let keys = OwnKeys::load(&config, &mut keyring, clock.system_time()).unwrap();
    let node = start(run::setup(&config, keys, keyring.sealer(), clock.clone()).unwrap()).await.unwrap();
    let maker = node.key_maker.clone().unwrap();
    let refused = maker.rotate_tls(Text::cut("a test")).await.unwrap_err();
    assert!(matches!(refused, RotationError::OfAuthority { .. }), "{refused}");

    let key = maker.rotate_identity(Text::cut("a test")).await.unwrap();
    let written = |key| {
        let card = card_text::load(&config.node.card).unwrap();
        assert_eq!(card.key().id(), key);
        assert_eq!(&card.card().tls_certificate[..], &authority.certificate.der()[..]);
        assert_eq!(card.card().tls_name.as_deref(), Some(NAME));
        card
    };
    let first = written(key);
    eventually("the card is in force", &node, |_| node.own.card().digest() == first.digest()).await;
    maker.renew_card(Text::cut("a test")).await.unwrap();
    assert!(written(key).card().sequence > first.card().sequence);
    node.stop(PATIENCE).await;

    let keys = OwnKeys::load(&config, &mut fixtures::keyring(), clock.system_time()).unwrap();
    let card = own_card::refresh(&config, &keys, clock.wall()).unwrap();
    assert_eq!(card.digest(), written(key).digest(), "a start finds nothing new to say");
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_a_node_goes_from_its_own_certificate_to_its_authoritys_without_being_shut_out() {
    let (authority, of_br, of_cl) = (Authority::new(), TempDir::new().unwrap(), TempDir::new().unwrap());
    authority.publish(&[], 1);
    let before = self_signed("cert.cl", &of_cl);
    let chile = setup("cert.cl", &of_cl, vec![before.clone()], Vec::new());
    let brazil = setup("cert.br", &of_br, vec![self_signed("cert.br", &of_br)], vec![authority.list_path()]);
    let (cl_card, br_card) = (chile.card.clone(), brazil.card.clone());
    let cl = start(chile).await.unwrap();
    let br = start(brazil).await.unwrap();
    enrol(&cl, &br_card).await;
    enrol(&br, &cl_card).await;
    eventually("the link comes up", &br, is_up).await;
    cl.stop(PATIENCE).await;

    // cert.br knows nothing of the authority until the card has come over a link, which only the one before makes.
    let moved = setup("cert.cl", &of_cl, vec![authority.issue(&of_cl), before], Vec::new());
    let cl = start(moved).await.unwrap();
    eventually("the certificate of the authority is shown", &cl, |_| cl.directory.shown().card_name().is_some()).await;
    let id = &cl_card.card().id;
    assert_eq!(br.directory.clients(id).len(), 2, "what was before still holds, beside the authority");
    eventually("the link comes up with it", &br, |view| is_up(view) && view.peers[0].card.card().tls_name.is_some())
        .await;
    assert!(alarms(&br.handle.view().await.unwrap()).is_empty());

    authority.publish(&[SERIAL], 1);
    eventually("what is revoked does not go on", &br, |view| !is_up(view)).await;
    br.stop(PATIENCE).await;
    cl.stop(PATIENCE).await;
}
