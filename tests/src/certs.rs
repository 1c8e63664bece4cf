//! What system tests share: whole nodes in this process, on port 0, with fresh keys, in temporary directories.
//!
//! A test reads as a sketch of the topology and what people do in it; nothing here sleeps, it waits for conditions with a
//! bound.

use crate::raw_peer::RawPeer;
use aldis_core::Order;
use aldis_core::effect::{Delivery, Done};
use aldis_core::input::Submission;
use aldis_core::ladder::Ladder;
use aldis_core::limits::Limits;
use aldis_core::record::{Received, Record};
use aldis_core::trust::{Act, Person, Trust};
use aldis_node::clock::{self, Clock};
use aldis_node::config::Config;
use aldis_node::demo::port::HeldPort;
use aldis_node::event_loop::{LinkStatus, NodeView, PeerStatus, Request, RequestError};
use aldis_node::keys::{Sealer, Secret, Stretch};
use aldis_node::link::LinkTimes;
use aldis_node::revocation::CrlFiles;
use aldis_node::rotation::KeyFiles;
use aldis_node::tls::{self, OwnIdentity};
use aldis_node::{Node, Setup, journal, scrub};
use aldis_wire::card::{CARD_VERSION, Card, VerifiedCard};
use aldis_wire::codec::{Blob, List, Text};
use aldis_wire::codes::{Code, Desk, Extensions, Tlp};
use aldis_wire::digest::Digest;
use aldis_wire::header::{Reference, ReferenceRole};
use aldis_wire::ids::{CaseId, EnvelopeId, NodeId};
use aldis_wire::kinds;
use aldis_wire::lane::Lane;
use aldis_wire::signing::IdentityKey;
use bytes::Bytes;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a test waits for anything before it fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// One CERT: its keys, its directory, and its node while it runs.
pub struct Cert {
    /// Its id.
    pub id: NodeId,
    /// Its card.
    pub card: VerifiedCard,
    /// Its clock, which survives restarts.
    pub clock: Clock,
    seed: [u8; 32],
    port: HeldPort,
    dir: TempDir,
    node: Option<Node>,
}

impl Cert {
    /// A CERT that was set up but does not run.
    pub fn new(id: &str) -> Self {
        let clock = Clock::system();
        let dir = tempfile::tempdir().expect("a temporary directory");
        let seed = clock::random();
        let key = IdentityKey::from_seed(&seed);
        let (certificate, tls_key) = tls::generate(id, 300, clock.system_time()).expect("a certificate");
        let (certificate_path, key_path) = (dir.path().join("tls.crt"), dir.path().join("tls.key"));
        std::fs::write(&certificate_path, &certificate).expect("writes");
        std::fs::write(&key_path, tls_key.expose()).expect("writes");
        std::fs::set_permissions(&key_path, std::fs::Permissions::from_mode(0o600)).expect("sets the mode");
        let der = tls::Certificate::from_pem(&certificate).expect("a certificate").der().to_vec();
        // The port must be in the card before the node runs, and the same after a restart.
        let port = held_port();
        let now = clock.wall();
        let card = Card {
            version: CARD_VERSION,
            id: NodeId::new(id).expect("an id"),
            name: Text::cut(id),
            country: Text::cut("XX"),
            identity_key: *key.public().as_bytes(),
            tls_certificate: Blob::new(der).expect("short"),
            tls_name: None,
            endpoints: List::new(vec![Text::cut(&port.address().to_string())]).expect("one"),
            contacts: List::empty(),
            kinds: kinds::kind_versions(),
            issued_at: now,
            valid_until: now.plus_ms(300 * 86_400_000),
            sequence: 1,
            extensions: Extensions::default(),
        };
        let id = card.id.clone();
        Self { id, card: card.sign(&key), clock, seed, port, dir, node: None }
    }

    /// A CERT whose node runs in another process, by its card; its keys are not here.
    #[must_use]
    pub fn elsewhere(card: VerifiedCard) -> Self {
        let other = Self::new(card.card().id.as_str());
        Self { card, ..other }
    }

    /// Where its node is reached: where it listens, or by its card if it does not run in this process.
    pub fn address(&self) -> SocketAddr {
        let in_card = || self.card.card().endpoints[0].parse().expect("an address");
        self.node.as_ref().map_or_else(in_card, |node| node.listening[0])
    }

    /// The same CERT, keys and card, set up a second time with what its journal holds now.
    #[must_use]
    pub fn twin(&self) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        copy_dir(self.dir.path(), dir.path());
        let (id, card, clock) = (self.id.clone(), self.card.clone(), self.clock.clone());
        Self { id, card, clock, seed: self.seed, port: held_port(), dir, node: None }
    }

    /// Puts back what a twin's journal held when it was made, as an administrator restores a backup.
    pub fn restore(&mut self, backup: &Self) {
        assert!(self.node.is_none(), "{} runs", self.id);
        // The whole machine goes back, its message log too: one that stayed would vouch for what the journal lost.
        for dir in ["journal", "log"] {
            std::fs::remove_dir_all(self.dir.path().join(dir)).expect("removes");
        }
        std::fs::remove_file(self.dir.path().join("log.position")).expect("removes");
        copy_dir(backup.dir.path(), self.dir.path());
    }

    /// Gives its card other endpoints, before anybody has it.
    pub fn reached_at(&mut self, endpoints: &[SocketAddr]) {
        let mut card = self.card.card().clone();
        let texts = endpoints.iter().map(|address| Text::cut(&address.to_string())).collect();
        card.endpoints = List::new(texts).expect("few");
        self.card = card.sign(&self.key());
    }

    /// The identity key, for tests that play the peer themselves.
    pub fn key(&self) -> IdentityKey {
        IdentityKey::from_seed(&self.seed)
    }

    /// Where its files are.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its TLS identity.
    pub fn tls(&self) -> OwnIdentity {
        let (certificate, key) = (self.dir.path().join("tls.crt"), self.dir.path().join("tls.key"));
        OwnIdentity::load(&certificate, &key, self.clock.system_time()).expect("the files just written")
    }

    /// What the node is started from: short times, small segments.
    pub fn setup(&self) -> Setup {
        Setup {
            identities: self.key().into(),
            tls: vec![self.tls()],
            key_files: None,
            card: self.card.clone(),
            data_dir: self.dir.path().to_owned(),
            listen: vec![self.port.address()],
            control_socket: Some(self.dir.path().join("aldis.sock")),
            access: aldis_node::access::Rules::default(),
            limits: Limits {
                retry_initial_ms: 50,
                retry_max_ms: 400,
                receipt_wait_ms: 10_000,
                // Without a word when a message comes, so that the record holds what a test sends and no more.
                ladder: Arc::new(Ladder { on_arrival: [false; 4], ..Ladder::default() }),
                ..Limits::default()
            },
            alerts: aldis_node::alerts::Settings::default(),
            admission: aldis_node::admission::Limits::default(),
            times: LinkTimes { heartbeat: Duration::from_millis(500), ..LinkTimes::default() },
            journal: small_segments(),
            log: aldis_node::log::store::StoreOptions { free_space_floor_bytes: 0, ..Default::default() },
            crls: CrlFiles::default(),
            scrub: scrub::Settings::default(),
            backup: aldis_node::backup::Settings::default(),
            clock: self.clock.clone(),
        }
    }

    /// The same for a node that makes new keys while it runs, and looks often whether anything runs out.
    pub fn setup_with_key_files(&self) -> Setup {
        let text = format!(
            "node = {{ id = \"{0}\", name = \"{0}\", country = \"XX\" }}\nnetwork.listen = [\"{1}\"]\n\
             network.endpoints = [\"{1}\"]\nkeys.identity = \"identity.key\"\nkeys.tls_key = \"tls.key\"\n\
             keys.tls_certificate = \"tls.crt\"\n",
            self.id,
            self.port.address()
        );
        let config = Config::parse(&text, &self.dir.path().join("aldisd.toml")).expect("a good configuration");
        let sealer = Sealer::new(&Secret::new(b"a passphrase of a test".to_vec()), Stretch::THROWAWAY);
        let sealer = Some(Arc::new(sealer.expect("argon2id has the memory it needs")));
        let mut setup = self.setup();
        setup.key_files = Some(KeyFiles { config, sealer });
        setup.times.expiry_look = Duration::from_millis(100);
        setup
    }

    /// Starts the node.
    pub async fn start(&mut self) {
        self.start_with(self.setup()).await;
    }

    /// Starts the node from a changed setup.
    pub async fn start_with(&mut self, setup: Setup) {
        assert!(self.node.is_none(), "{} runs already", self.id);
        self.node = Some(aldis_node::start(setup).await.unwrap_or_else(|error| panic!("{}: {error}", self.id)));
    }

    /// Stops the node in good order.
    pub async fn stop(&mut self) {
        let node = self.node.take().expect("it runs");
        node.stop(PATIENCE).await;
    }

    /// The running node.
    pub fn node(&self) -> &Node {
        self.node.as_ref().expect("it runs")
    }

    /// Enrols another CERT.
    pub async fn enrol(&self, other: &Cert) {
        self.enrol_card(other, other.card.clone()).await;
    }

    /// The same with a card that the CERT made while it ran.
    pub async fn enrol_card(&self, other: &Cert, card: VerifiedCard) {
        let card = Box::new(card);
        let request = Request::AddPeer { card, by: Text::cut("test") };
        self.node().handle.request(request).await.unwrap_or_else(|error| panic!("{}: {error}", self.id));
        if self.peer(other).await.trust == Trust::Pending {
            self.decide(other, Act::Verify).await;
        }
    }

    /// Two administrators do something to a peer.
    pub async fn decide(&self, other: &Cert, act: Act) {
        let order = Order { act, peer: other.id.clone(), key: None, by: administrator(1), why: Text::cut("a test") };
        let asked = self.node().handle.request(Request::Administer(Box::new(order))).await;
        if let Done::Requested(request) = asked.unwrap_or_else(|error| panic!("{}: {error}", self.id)) {
            let approve = Request::Approve { request, by: administrator(2) };
            self.node().handle.request(approve).await.unwrap_or_else(|error| panic!("{}: {error}", self.id));
        }
    }

    /// The state of the node.
    pub async fn view(&self) -> NodeView {
        self.node().handle.view().await.expect("the node runs")
    }

    /// What the node knows of a peer.
    pub async fn peer(&self, other: &Cert) -> PeerStatus {
        let view = self.view().await;
        let found = view.peers.into_iter().find(|peer| peer.card.card().id == other.id);
        found.unwrap_or_else(|| panic!("{} has not enrolled {}", self.id, other.id))
    }

    /// Waits until the link to a peer is up.
    pub async fn linked(&self, other: &Cert) {
        eventually(&format!("{} linked to {}", self.id, other.id), || async {
            self.peer(other).await.link == LinkStatus::Up
        })
        .await;
    }

    /// Sends a notice.
    pub async fn send(&self, to: &Cert, lane: Lane, subject: &str) -> EnvelopeId {
        self.try_send(to, lane, subject).await.unwrap_or_else(|error| panic!("{}: {error}", self.id))
    }

    /// Sends a notice, or gives the reason why not.
    pub async fn try_send(&self, to: &Cert, lane: Lane, subject: &str) -> Result<EnvelopeId, RequestError> {
        let sent = self.node().handle.submit(notice(&to.id, lane, subject)).await?;
        Ok(sent.into_iter().next().expect("one recipient").0)
    }

    /// Answers a notice of a peer.
    pub async fn answer(&self, notice: &EnvelopeId, digest: Digest, json: serde_json::Value) -> EnvelopeId {
        let submission = answer(notice, digest, json);
        let sent = self.node().handle.submit(submission).await.unwrap_or_else(|error| panic!("{}: {error}", self.id));
        sent.into_iter().next().expect("one recipient").0
    }

    /// Waits until a message of ours has come as far as `delivery`.
    pub async fn delivered(&self, id: &EnvelopeId, delivery: &Delivery) {
        use aldis_core::effect::Happening;
        let (kept, mut live) = self.node().events.listen(Some(0));
        let fits = |happening: &Happening| matches!(happening, Happening::Delivery(i, d) if i == id && d == delivery);
        if kept.iter().any(|told| fits(&told.happening)) {
            return;
        }
        let wait = async {
            while let Ok(told) = live.recv().await {
                if fits(&told.happening) {
                    return;
                }
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        assert!(waited.is_ok(), "{}: {id} never became {delivery:?}", self.id);
    }
}

impl Cert {
    /// Opens a blocked lane.
    pub async fn unblock(&self, other: &Cert, lane: Lane) -> Result<(), RequestError> {
        let request = Request::Unblock { peer: other.id.clone(), lane, by: Text::cut("test") };
        self.node().handle.request(request).await.map(|_| ())
    }

    /// Every record of the journal, with what lies beside it, oldest first.
    pub fn records(&self) -> Vec<(Record, journal::Body)> {
        let records = self.node().journal.iter_from(journal::RecordSeq(0));
        let committed = usize::try_from(self.node().journal.committed()).expect("few");
        let whole = records.take(committed).map(|record| record.expect("a whole journal"));
        whole.map(|found| (Record::decode(&found.record).expect("a record"), found.body)).collect()
    }

    /// The headers of everything received, in the order in which it was stored.
    pub fn received(&self) -> Vec<Received> {
        let records = self.records().into_iter();
        records
            .filter_map(|(record, _)| if let Record::Received(found) = record { Some(found) } else { None })
            .collect()
    }
}

impl Cert {
    /// The digests of everything signed, in the order of signing.
    pub fn sent_digests(&self) -> Vec<Digest> {
        let records = self.records().into_iter();
        let sent = records.filter_map(|(record, _)| match record {
            Record::Sent(sent) => Some(sent.draft.header.digest()),
            _ => None,
        });
        sent.collect()
    }
}

/// A node between an honest CERT, whose traffic must go on, and one that a test plays.
pub struct Scene {
    /// The node under attack.
    pub node: Cert,
    /// The honest peer of it, which runs too.
    pub other: Cert,
    /// The hostile peer.
    pub raw: RawPeer,
}

impl Scene {
    /// All three, enrolled with the node.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// The same, with the node's setup changed.
    pub async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let (mut node, mut other, raw) = (Cert::new("cert.br"), Cert::new("cert.ar"), RawPeer::new("cert.cl"));
        let mut setup = node.setup();
        change(&mut setup);
        node.start_with(setup).await;
        other.start().await;
        node.enrol(&other).await;
        other.enrol(&node).await;
        node.enrol(&raw.cert).await;
        node.linked(&other).await;
        Self { node, other, raw }
    }

    /// The codes of the node's alarms.
    pub async fn alarms(&self) -> Vec<String> {
        self.node.view().await.alarms.iter().map(|alarm| alarm.code.as_str().to_owned()).collect()
    }

    /// Fails unless the node and its honest peer exchange notices both ways now.
    pub async fn unharmed(&self, after: &str) {
        let (there, back) = tokio::join!(
            self.node.send(&self.other, Lane::Priority, after),
            self.other.send(&self.node, Lane::Flash, after)
        );
        tokio::join!(self.node.delivered(&there, &Delivery::Stored), self.other.delivered(&back, &Delivery::Stored));
    }
}

/// What may be looked for among the events of a node.
pub mod told {
    use aldis_core::effect::Happening;
    use aldis_node::events::Told;
    use aldis_wire::ids::NodeId;

    /// Whether a link with this peer came up.
    pub fn is_link_up(told: &Told, peer: &NodeId) -> bool {
        matches!(&told.happening, Happening::LinkUp(up) if up == peer)
    }
}

/// Whether a line holds no character that could move a cursor, end the line or turn the text around.
pub fn is_escaped(line: &str) -> bool {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !line.chars().any(|c| c.is_control() || turns(c))
}

/// Two CERTs that run and know each other.
pub async fn two_certs() -> (Cert, Cert) {
    let (mut br, mut cl) = (Cert::new("cert.br"), Cert::new("cert.cl"));
    br.start().await;
    cl.start().await;
    br.enrol(&cl).await;
    cl.enrol(&br).await;
    (br, cl)
}

/// A notice to one node.
pub fn notice(to: &NodeId, lane: Lane, subject: &str) -> Submission {
    let json =
        serde_json::json!({ "subject": subject, "class": "malicious-code", "type": "c2-server", "narrative": subject });
    submission(to, lane, "incident", json)
}

/// An answer to a notice.
pub fn answer(notice: &EnvelopeId, digest: Digest, json: serde_json::Value) -> Submission {
    let reference = Reference { role: ReferenceRole::ANSWERS, envelope: notice.clone(), digest };
    let references = List::new(vec![reference]).expect("one reference fits");
    Submission { references, ..submission(&notice.from, notice.lane, "acknowledgement", json) }
}

/// A message of any kind to one node.
pub fn submission(to: &NodeId, lane: Lane, kind: &str, json: serde_json::Value) -> Submission {
    let written = kinds::from_json(kind, 1, json).unwrap_or_else(|error| panic!("{kind}: {error}"));
    Submission {
        by: Text::cut("test"),
        to: vec![to.clone()],
        salts: vec![clock::random()],
        desk: Desk::TECHNICAL,
        lane,
        case: CaseId(clock::random()),
        references: List::empty(),
        author: Text::cut("duty officer"),
        on_behalf_of: None,
        tlp: Tlp::AMBER,
        exercise: None,
        kind: Code::new(kind).expect("a code"),
        bodies: vec![(1, Bytes::from(written.bytes))],
        bearing: written.summary.bearing,
        attachments: Vec::new(),
        lifetime_ms: 86_400_000,
        acknowledge_within_s: None,
    }
}

/// Waits until a condition holds, and fails the test if it does not within [`PATIENCE`].
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < PATIENCE, "this did not come true in time: {what}");
        tokio::task::yield_now().await;
    }
}

/// Copies a directory of files, without message logs (built again from the journal) and sockets. The segments come last, so that a journal in use is never behind its anchors.
fn copy_dir(from: &Path, to: &Path) {
    std::fs::set_permissions(to, std::fs::metadata(from).expect("it is there").permissions()).expect("sets the mode");
    let mut entries: Vec<_> =
        std::fs::read_dir(from).expect("a directory").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort_by_key(|path| path.file_name().is_some_and(|name| name.to_string_lossy().contains("seg")));
    for path in entries {
        let name = path.file_name().expect("a name").to_string_lossy();
        if name.starts_with("log") || name.ends_with(".sock") {
            continue;
        }
        let target = to.join(name.as_ref());
        if path.is_dir() {
            std::fs::create_dir_all(&target).expect("makes a directory");
            copy_dir(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("copies");
        }
    }
}

/// A loopback address where nobody listens, for as long as it is held.
pub fn held_port() -> HeldPort {
    HeldPort::take().expect("loopback has free ports")
}

/// Small segments without a reserve, so that tests rotate often and need little disk.
pub fn small_segments() -> journal::Options {
    let mut options = journal::Options::default();
    options.segment_bytes = 1 << 20;
    options.reserve_bytes = 0;
    options.prepare_ahead = false;
    options
}

/// An administrator with a Unix user of their own.
fn administrator(uid: u32) -> Person {
    Person { uid, name: Text::cut(&format!("admin-{uid}")) }
}
