//! Whole nodes with a control socket, and the ways of asking them something.

use crate::access::{Desks, Entry, Name, Rules};
use crate::clock::{self, Clock};
use crate::control_server::accept::{Limits, serve_within};
use crate::control_server::{Context, bind};
use crate::demo::port::HeldPort;
use crate::event_loop::Request;
use crate::link::LinkTimes;
use crate::log::store::StoreOptions;
use crate::revocation::CrlFiles;
use crate::tls::{self, OwnIdentity};
use crate::{Node, Setup, admission, alerts, journal, scrub, start};
use aldis_control::{
    ApiError, Client, ClientError, DeliveryState, ListQuery, MessageRow, MessageView, PeerAddRequest, Precedence, Role,
    SendRequest, SentMessage, Tlp, Wait,
};
use aldis_core::Order;
use aldis_core::checks::Drill;
use aldis_core::effect::Done;
use aldis_core::ladder::Ladder;
use aldis_core::limits::{Discipline, Limits as CoreLimits};
use aldis_core::trust::{Act, Person};
use aldis_wire::card::{CARD_VERSION, Card};
use aldis_wire::codec::{Blob, List, Text};
use aldis_wire::codes::Extensions;
use aldis_wire::ids::NodeId;
use aldis_wire::kinds;
use aldis_wire::signing::IdentityKey;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long a test waits for anything before it fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A running node with its control socket.
pub(super) struct Cert {
    pub(super) id: String,
    pub(super) client: Client,
    pub(super) context: Context,
    pub(super) socket: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
    node: Option<Node>,
    _dir: TempDir,
}

impl Cert {
    /// A new node that runs and knows nobody.
    pub(super) async fn new(id: &str) -> Self {
        Self::within(Limits::default(), id).await
    }

    /// The same, with other bounds on connections.
    pub(super) async fn within(limits: Limits, id: &str) -> Self {
        Self::changed(limits, id, |_, _| {}).await
    }

    /// The same, with changes to what the server asks; the change also gets the node's directory.
    pub(super) async fn changed(limits: Limits, id: &str, change: impl FnOnce(&mut Context, &Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let setup = setup(id, &dir, &Clock::system());
        Self::serving(limits, setup, dir, change).await
    }

    /// A new node with these rules for its own people.
    pub(super) async fn disciplined(id: &str, discipline: Discipline) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let setup = setup(id, &dir, &Clock::system());
        let setup = Setup { limits: CoreLimits { discipline, ..setup.limits }, ..setup };
        Self::serving(Limits::default(), setup, dir, |_, _| {}).await
    }

    async fn serving(limits: Limits, setup: Setup, dir: TempDir, change: impl FnOnce(&mut Context, &Path)) -> Self {
        let (id, clock) = (setup.card.card().id.to_string(), setup.clock.clone());
        let node = start(setup).await.unwrap_or_else(|error| panic!("{id}: {error}"));
        let mut context = Context {
            loop_handle: node.handle.clone(),
            events: node.events.clone(),
            notes: node.notes.clone(),
            right_of_way: node.right_of_way.clone(),
            log: node.log.clone(),
            journal: node.journal.clone(),
            journal_dir: dir.path().join("journal"),
            own: node.own.clone(),
            directory: node.directory.clone(),
            key_maker: node.key_maker.clone(),
            clock,
            access: node.access.clone(),
            discipline: node.discipline,
            bell: node.bell.clone(),
            carrier: Arc::clone(&node.carrier),
            attachments: node.attachments.clone(),
            scrubs: node.scrubs.clone(),
            backups: node.backups.clone(),
        };
        change(&mut context, dir.path());
        let path = dir.path().join("aldis.sock");
        let socket = bind(&path).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async move {
            // Dropping the sender stops the server too.
            let _stop = stopped.await;
        };
        let serving = tokio::spawn(serve_within(limits, socket, context.clone(), stopped));
        Self {
            id,
            client: Client::new(&path),
            context,
            socket: path,
            stop: Some(stop),
            serving: Some(serving),
            node: Some(node),
            _dir: dir,
        }
    }

    /// Stops the control server and returns when it has ended.
    pub(super) async fn stop_serving(&mut self) {
        drop(self.stop.take());
        let ended = tokio::time::timeout(PATIENCE, self.serving.take().unwrap()).await;
        ended.expect("the server ends").unwrap();
    }

    /// Stops the node behind the socket, which goes on answering.
    pub(super) async fn stop_node(&mut self) {
        self.node.take().unwrap().stop(PATIENCE).await;
    }

    /// From now on this process's user has these roles with these desks, and nobody else has any.
    pub(super) fn give(&self, roles: &[(Role, Desks)]) {
        let me = Name::Number(nix::unistd::getuid().as_raw());
        let entry = |(role, desks): &(Role, Desks)| Entry {
            role: *role,
            users: vec![me.clone()],
            groups: Vec::new(),
            desks: desks.clone(),
            flash: true,
        };
        self.context.access.replace(Rules::new(roles.iter().map(entry).chain([foreign_admin()]).collect()));
    }

    /// Enrols another node through the API.
    pub(super) async fn enrol(&self, other: &Cert) {
        let card = other.client.card().await.unwrap().text;
        let peer = self.client.peer_add(&PeerAddRequest { card }).await.unwrap();
        assert_eq!((&peer.id, peer.state.as_str()), (&other.id, "pending"));
        let by = |uid| Person { uid, name: Text::cut(&format!("admin-{uid}")) };
        let id = NodeId::new(&other.id).unwrap();
        let order = Order { act: Act::Verify, peer: id, key: None, by: by(1), why: Text::cut("a test") };
        let node = &self.context.loop_handle;
        let asked = node.request(Request::Administer(Box::new(order))).await.unwrap();
        let Done::Requested(request) = asked else { panic!("{asked:?}") };
        node.request(Request::Approve { request, by: by(2) }).await.unwrap();
    }

    /// Sends a notice and waits until it is stored at the peer.
    pub(super) async fn send_stored(&self, request: SendRequest) -> SentMessage {
        let wait_ms = Some(u64::try_from(PATIENCE.as_millis()).unwrap());
        let response = self.client.send(&SendRequest { wait: Some(Wait::Stored), wait_ms, ..request }).await.unwrap();
        assert!(response.messages.iter().all(|message| message.state == DeliveryState::Stored), "{response:?}");
        response.messages.into_iter().next().unwrap()
    }

    pub(super) async fn inbox(&self) -> Vec<MessageRow> {
        self.client.inbox(&ListQuery::default()).await.unwrap()
    }

    pub(super) async fn message(&self, id: &impl ToString) -> MessageView {
        self.client.message(&aldis_control::MessageQuery { id: id.to_string() }).await.unwrap()
    }

    /// Sends exactly these bytes and returns everything that comes back until the connection ends.
    pub(super) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(&self.socket).await.unwrap();
        // A server that has heard enough may close before everything is written.
        let _cut = stream.write_all(bytes).await;
        read_to_end(&mut stream).await
    }

    /// Posts this text as JSON and returns the status and the error.
    pub(super) async fn post(&self, route: &str, body: &str) -> (u16, ApiError) {
        let head = format!(
            "POST {route} HTTP/1.1\r\nhost: aldis\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        failure(&self.raw(format!("{head}{body}").as_bytes()).await)
    }
}

/// An admin that no test is.
fn foreign_admin() -> Entry {
    let users = vec![Name::Number(4_000_000_999)];
    Entry { role: Role::Admin, users, groups: Vec::new(), desks: Desks::All, flash: true }
}

/// Two nodes that know each other.
pub(super) async fn two() -> (Cert, Cert) {
    let (br, cl) = (Cert::new("cert.br").await, Cert::new("cert.cl").await);
    br.enrol(&cl).await;
    cl.enrol(&br).await;
    (br, cl)
}

/// A notice about an incident, with nothing in it that has a default.
pub(super) fn notice(to: &[&str]) -> SendRequest {
    SendRequest::new(to, "incident", Precedence::Priority, Tlp::Amber, incident())
}

pub(super) fn incident() -> Value {
    json!({ "subject": "C2 at a provider", "class": "malicious-code", "type": "c2-server", "narrative": "Beacons." })
}

/// The daemon's own error out of what a client got.
pub(super) fn api<T: std::fmt::Debug>(result: Result<T, ClientError>) -> ApiError {
    match result {
        Err(ClientError::Api(error)) => error,
        other => panic!("not an error of the daemon: {other:?}"),
    }
}

/// Status and error out of a raw answer, which must be JSON.
pub(super) fn failure(answer: &str) -> (u16, ApiError) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP answer: {answer:?}"));
    assert!(head.to_ascii_lowercase().contains("content-type: application/json"), "{head}");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}")))
}

pub(super) async fn read_to_end(stream: &mut UnixStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // A reset after the answer is as good as an end.
    let _reset = read.expect("the server ends the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Waits until a condition holds, and fails the test if it does not within [`PATIENCE`].
pub(super) async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < PATIENCE, "this did not come true in time: {what}");
        tokio::task::yield_now().await;
    }
}

/// The default ladder without a word when a message comes, so that the record holds what a test sends and no more.
fn patient() -> Arc<Ladder> {
    Arc::new(Ladder { on_arrival: [false; 4], ..Ladder::default() })
}

/// Quick to dial again, and people may be checked whatever the hour is when the test runs.
fn limits() -> CoreLimits {
    let drill = Drill { human_hours: None, ..Drill::default() };
    CoreLimits { retry_initial_ms: 50, retry_max_ms: 400, ladder: patient(), drill, ..CoreLimits::default() }
}

fn setup(id: &str, dir: &TempDir, clock: &Clock) -> Setup {
    let key = IdentityKey::from_seed(&clock::random());
    let (certificate, tls_key) = tls::generate(id, 300, clock.system_time()).unwrap();
    let (certificate_path, key_path) = (dir.path().join("tls.crt"), dir.path().join("tls.key"));
    std::fs::write(&certificate_path, &certificate).unwrap();
    std::fs::write(&key_path, tls_key.expose()).unwrap();
    std::fs::set_permissions(&key_path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let address = HeldPort::take().unwrap().for_good();
    let now = clock.wall();
    let card = Card {
        version: CARD_VERSION,
        id: NodeId::new(id).unwrap(),
        name: Text::cut(id),
        country: Text::cut("XX"),
        identity_key: *key.public().as_bytes(),
        tls_certificate: Blob::new(tls::Certificate::from_pem(&certificate).unwrap().der().to_vec()).unwrap(),
        tls_name: None,
        endpoints: List::new(vec![Text::cut(&address.to_string())]).unwrap(),
        contacts: List::empty(),
        kinds: kinds::kind_versions(),
        issued_at: now,
        valid_until: now.plus_ms(300 * 86_400_000),
        sequence: 1,
        extensions: Extensions::default(),
    };
    let card = card.sign(&key);
    let mut journal = journal::Options::default();
    journal.segment_bytes = 1 << 20;
    journal.reserve_bytes = 0;
    journal.prepare_ahead = false;
    Setup {
        identities: key.into(),
        tls: vec![OwnIdentity::load(&certificate_path, &key_path, clock.system_time()).unwrap()],
        key_files: None,
        card,
        data_dir: dir.path().to_owned(),
        listen: vec![address],
        control_socket: None,
        access: Rules::default(),
        limits: limits(),
        alerts: alerts::Settings::default(),
        admission: admission::Limits::default(),
        times: LinkTimes { heartbeat: Duration::from_millis(500), ..LinkTimes::default() },
        journal,
        log: StoreOptions { cache_bytes: 1 << 20, free_space_floor_bytes: 0 },
        crls: CrlFiles::default(),
        scrub: scrub::Settings { look: Duration::from_millis(20), ..scrub::Settings::default() },
        backup: crate::backup::Settings::default(),
        clock: clock.clone(),
    }
}
