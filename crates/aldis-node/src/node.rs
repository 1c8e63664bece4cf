//! A whole node: recovered from its journal, then its loop, links, message log and control API, started in this order and
//! stopped in the reverse one. It is what `aldisd run` runs and what system tests start in-process.

use crate::access::{Access, Rules};
use crate::admission::{self, Admission};
use crate::alerts::{self, Alerts, Bell, Carrier, Surroundings};
use crate::clock::{self, Clock};
use crate::control_server::{self, BindError, ControlSocket};
use crate::directory::Directory;
use crate::event_loop::{Commitments, EventLoop, LoopHandle, QUEUE_LENGTH, Replies, RequestError, Space};
use crate::events::Events;
use crate::expiry::Watch;
use crate::journal::{self, BodyRef, CommitError, Journal, OpenError, ReadError, Recovered, Replayed, TreeHead};
use crate::link::{self, LinkContext, LinkTimes, Links};
use crate::log::store::StoreOptions;
use crate::log::{self, LogHandle, LogSettings};
use crate::notes::Notes;
use crate::own::Own;
use crate::own_card;
use crate::revocation::{CrlFiles, Revocation};
use crate::rotation::{KeyFiles, KeyMaker};
use crate::tls::{Crls, OwnIdentity, SetupError};
use aldis_core::input::Input;
use aldis_core::limits::Limits;
use aldis_core::record::Record;
use aldis_core::{Core, SnapshotError};
use aldis_wire::card::VerifiedCard;
use aldis_wire::codec::Text;
use aldis_wire::codes::Code;
use aldis_wire::ids::{Incarnation, NodeId};
use aldis_wire::signing::Identities;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The journal's directory within the data directory.
const JOURNAL_DIR: &str = "journal";
/// The message log's directory within the data directory.
const LOG_DIR: &str = "log";
/// The most peers that can wait to be dialled at once.
const DIALS_MAX: usize = 4_096;

/// Everything a node is started from.
pub struct Setup {
    /// The identity keys; the newest signed the card.
    pub identities: Identities,
    /// The TLS certificates with their keys, at least one.
    pub tls: Vec<OwnIdentity>,
    /// What new keys are made from while the node runs; none for nodes that never make any.
    pub key_files: Option<KeyFiles>,
    /// The node's own card, signed by the newest identity key.
    pub card: VerifiedCard,
    /// Where the journal and the message log live; must exist, with mode 0700.
    pub data_dir: PathBuf,
    /// Where to listen for peers; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Where the control API is; none for nodes that are driven in-process.
    pub control_socket: Option<PathBuf>,
    /// Who may do what there.
    pub access: Rules,
    /// Bounds and times of the core.
    pub limits: Limits,
    /// How alerts reach people, beside `limits.ladder`.
    pub alerts: alerts::Settings,
    /// Bounds on connections that are not authenticated.
    pub admission: admission::Limits,
    /// The times of links.
    pub times: LinkTimes,
    /// How the journal uses the disk.
    pub journal: journal::Options,
    /// How the message log uses memory and disk.
    pub log: StoreOptions,
    /// The revocation lists of peers' authorities.
    pub crls: CrlFiles,
    /// The clock.
    pub clock: Clock,
}

/// A running node.
pub struct Node {
    /// The way into its loop.
    pub handle: LoopHandle,
    /// What happens in it.
    pub events: Events,
    /// What links noticed.
    pub notes: Notes,
    /// Its journal, for reading.
    pub journal: journal::Reader,
    /// Its message log.
    pub log: LogHandle,
    /// The enrolled peers.
    pub directory: Directory,
    /// Its keys and its card.
    pub own: Own,
    /// What makes its new keys.
    pub key_maker: Option<Arc<KeyMaker>>,
    /// What watches over the revocation lists of peers' authorities.
    pub revocation: Revocation,
    /// Its clock.
    pub clock: Clock,
    /// Who heard of its alerts.
    pub bell: Bell,
    /// What brings its alerts to people.
    pub carrier: Arc<Carrier>,
    /// Who may do what over its control API.
    pub access: Access,
    /// Where it listens.
    pub listening: Vec<SocketAddr>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    control: Option<tokio::task::JoinHandle<()>>,
    stopping: CancellationToken,
    connections: TaskTracker,
    ended: oneshot::Receiver<Result<(), CommitError>>,
    log_failed: oneshot::Receiver<String>,
}

/// Why a node does not start. Each says what, where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The journal opened but cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The first commit of the run failed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A journal that this node cannot go on from.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The card is older than the one in the journal.
    #[error(
        "the journal knows card {journal} of this node and the file holds card {file}: card and keys were put back from an older \
         copy; put back the newest ones, or move card.aldis away if the keys are the newest"
    )]
    OlderCard {
        /// The number of the card in the journal.
        journal: u64,
        /// The number of the card in the file.
        file: u64,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] SetupError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}; is another daemon running, or is the address not this machine's?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The control socket cannot be opened.
    #[error(transparent)]
    ControlSocket(#[from] BindError),
    /// The loop's thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

impl StartError {
    /// Whether the journal itself is at fault (exit code 6), so that a restart will not help.
    pub fn is_integrity_failure(&self) -> bool {
        match self {
            Self::Journal(error) => error.is_integrity_failure(),
            Self::Read(_) | Self::Snapshot(_) => true,
            Self::OlderCard { .. }
            | Self::Commit(_)
            | Self::Tls(_)
            | Self::Listen { .. }
            | Self::ControlSocket(_)
            | Self::Thread(_) => false,
        }
    }
}

/// Starts a node. When this returns it is ready: journal, core and links are up.
pub async fn start(setup: Setup) -> Result<Node, StartError> {
    let (journal, mut core, findings) = recover(&setup)?;
    let reader = journal.reader();
    let mut journal = journal;
    let own = Own::new(setup.identities, setup.card);
    refuse_older_card(&core, &own)?;
    let commitments = begin_run(&own, &setup.clock, &mut core, &mut journal)?;
    let (shown, others) = shown_first(setup.tls, &core, &own);
    let crls = Crls::load(&setup.crls.paths, &Crls::default());
    let (directory, left_out) = Directory::new(shown, others, core.peers().map(|(_, peer)| peer), crls)?;
    for (peer, error) in left_out {
        tracing::error!(%peer, %error, "the peer's certificate cannot be used; no link will come up");
    }
    let listeners = listen(&setup.listen).await?;
    let control_socket = match &setup.control_socket {
        Some(path) => Some(control_server::bind(path).await?),
        None => None,
    };
    let (log, log_failed) = start_log(&setup.data_dir, setup.log, own.id(), &reader, &setup.clock)?;
    let (urgent, urgent_messages) = mpsc::channel(QUEUE_LENGTH);
    let (normal, normal_messages) = mpsc::channel(QUEUE_LENGTH);
    let (dials, dial_requests) = mpsc::channel(DIALS_MAX);
    let handle = LoopHandle { urgent, normal };
    let key_maker = setup.key_files.map(|files| {
        let maker = KeyMaker::new(files, own.clone(), directory.clone(), setup.clock.clone(), handle.clone());
        Arc::new(maker)
    });
    let (events, notes, links) = (Events::new(), Notes::default(), Links::default());
    let context = LinkContext {
        node: handle.clone(),
        own: own.clone(),
        directory: directory.clone(),
        links: links.clone(),
        journal: reader.clone(),
        clock: setup.clock.clone(),
        notes: notes.clone(),
        times: setup.times,
    };
    let (alerts, handed_over) = Alerts::new();
    let bell = Bell::new(events.clone());
    let event_loop = EventLoop {
        core,
        journal,
        own: own.clone(),
        clock: setup.clock.clone(),
        started_at: setup.clock.wall(),
        urgent: urgent_messages,
        normal: normal_messages,
        links,
        dials,
        directory: directory.clone(),
        events: events.clone(),
        committed: Box::new(log.waker()),
        commitments,
        replies: Replies::default(),
        space: Space::default(),
        alerts,
        unalerted: Vec::new(),
    };
    let ended = spawn_loop(event_loop)?;
    report_damage(&handle, &findings).await;
    let revocation = Revocation::new(setup.crls, &context);
    let connections = TaskTracker::new();
    let listening = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
    let watch = Watch {
        own: own.clone(),
        directory: directory.clone(),
        clock: setup.clock.clone(),
        node: handle.clone(),
        key_maker: key_maker.clone(),
        interval: setup.times.expiry_look,
    };
    let surroundings = Surroundings {
        id: own.id().clone(),
        clock: setup.clock.clone(),
        bell: bell.clone(),
        log: log.clone(),
        node: handle.clone(),
    };
    let carrier = Arc::new(Carrier::new(setup.alerts, Arc::clone(&setup.limits.ladder), surroundings));
    let admission = Admission::new(setup.admission);
    let mut tasks = vec![
        tokio::spawn(link::dial(dial_requests, context.clone(), connections.clone())),
        tokio::spawn(alarm_about_log(log.clone(), handle.clone())),
        tokio::spawn(revocation.clone().watch()),
        tokio::spawn(watch.run()),
        tokio::spawn(Arc::clone(&carrier).run(handed_over)),
    ];
    for listener in listeners {
        let accepting = link::accept(listener, admission.clone(), context.clone(), connections.clone());
        tasks.push(tokio::spawn(accepting));
    }
    let stopping = CancellationToken::new();
    let access = Access::new(setup.access);
    let control = control_socket.map(|socket| {
        let context = control_server::Context {
            loop_handle: handle.clone(),
            events: events.clone(),
            notes: notes.clone(),
            log: log.clone(),
            journal: reader.clone(),
            journal_dir: setup.data_dir.join(JOURNAL_DIR),
            own: own.clone(),
            directory: directory.clone(),
            key_maker: key_maker.clone(),
            clock: setup.clock.clone(),
            access: access.clone(),
            bell: bell.clone(),
            carrier: Arc::clone(&carrier),
        };
        tokio::spawn(serve(socket, context, stopping.clone()))
    });
    Ok(Node {
        handle,
        events,
        notes,
        journal: reader,
        log,
        directory,
        own,
        key_maker,
        revocation,
        clock: setup.clock,
        bell,
        carrier,
        access,
        listening,
        tasks,
        control,
        stopping,
        connections,
        ended,
        log_failed,
    })
}

impl Node {
    /// Becomes ready when only a fresh process helps: the journal or the message log failed, which only the disk, or a bug,
    /// can cause. Gives the cause.
    pub async fn failed(&mut self) -> String {
        tokio::select! {
            ended = &mut self.ended => match ended {
                Ok(Ok(())) => "the event loop has ended".into(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the event loop has panicked".into(),
            },
            Ok(cause) = &mut self.log_failed => cause,
        }
    }

    /// Stops in good order: no new connections, everything committed, goodbyes said. Links that hang are cut after
    /// `patience`.
    pub async fn stop(self, patience: std::time::Duration) {
        for task in &self.tasks {
            task.abort();
        }
        self.stopping.cancel();
        if let Some(control) = self.control {
            // Bounded by the server itself; a server that panicked serves nobody either.
            let _ended = control.await;
        }
        self.handle.stop().await;
        self.connections.close();
        if tokio::time::timeout(patience, self.connections.wait()).await.is_err() {
            tracing::warn!("some links did not end in time");
        }
        let log = self.log;
        // Flushing blocks on the disk. If the task cannot be joined the log is rebuilt from the journal at the next start.
        let _stopped = tokio::task::spawn_blocking(move || log.stop()).await;
    }
}

/// Opens or creates the journal and replays it into a core.
fn recover(setup: &Setup) -> Result<(Journal, Core, Vec<journal::Finding>), StartError> {
    let dir = setup.data_dir.join(JOURNAL_DIR);
    let (own, key_id) = (setup.card.card().id.clone(), setup.identities.newest().id());
    let fresh = || Core::new(own.clone(), key_id, setup.limits.clone());
    if !dir.exists() {
        let journal = Journal::create(&dir, setup.journal.clone())?;
        return Ok((journal, fresh(), Vec::new()));
    }
    let mut core = fresh();
    let floor = log::durable_position(&setup.data_dir.join(LOG_DIR));
    let Recovered { journal, report } = Journal::open(&dir, setup.journal.clone(), floor, &mut |replayed| {
        match replayed {
            Replayed::Snapshot(bytes) => {
                core = Core::from_snapshot(bytes, own.clone(), key_id, setup.limits.clone())?;
            }
            Replayed::Record { record, body: BodyRef::None | BodyRef::Erased | BodyRef::Present(_), .. } => {
                core.apply(&Record::decode(record)?);
            }
        }
        Ok(())
    })?;
    if report.torn_bytes_cut > 0 {
        tracing::warn!(bytes = report.torn_bytes_cut, "cut a commit that was never confirmed off the journal");
    }
    Ok((journal, core, report.degraded))
}

/// The certificate to show first: the card's if every peer has that card, and otherwise the newest other one, which the
/// peers know; and the rest.
fn shown_first(mut pairs: Vec<OwnIdentity>, core: &Core, own: &Own) -> (OwnIdentity, Vec<OwnIdentity>) {
    let card = own.card();
    let is_cards = |pair: &OwnIdentity| own_card::tells_of(card.card(), pair);
    let known = core.own_card().is_some_and(|(_, known)| known) || core.own_card_is_everywhere();
    let newest = |(_, pair): &(usize, &OwnIdentity)| pair.certificate().not_before();
    let wanted = pairs.iter().enumerate().filter(|(_, pair)| is_cards(pair) == known).max_by_key(newest);
    let at = wanted.map_or(0, |(at, _)| at);
    let shown = pairs.swap_remove(at);
    (shown, pairs)
}

/// A card that is older than the one in the journal was put back with its keys from a copy; the keys that peers expect by now
/// may not be there.
fn refuse_older_card(core: &Core, own: &Own) -> Result<(), StartError> {
    let card = own.card();
    match core.own_card() {
        Some((known, _)) if known.digest() != card.digest() && known.card().sequence >= card.card().sequence => {
            Err(StartError::OlderCard { journal: known.card().sequence, file: card.card().sequence })
        }
        _ => Ok(()),
    }
}

/// Journals the beginning of this run. Its incarnation is in force only once it is on stable storage.
fn begin_run(own: &Own, clock: &Clock, core: &mut Core, journal: &mut Journal) -> Result<Commitments, StartError> {
    let mut commitments = Commitments { earlier: None, latest: last_commit(journal)? };
    let mut batch = core.batch();
    let incarnation = Incarnation(u64::from_be_bytes(clock::random()).max(1));
    core.start(clock.moment(), incarnation, env!("CARGO_PKG_VERSION"), &mut batch);
    let card = Box::new((*own.card()).clone());
    let own_card = Input::OwnCard { token: None, card, usable: own.usable(), by: Text::cut("the start of the node") };
    core.handle(clock.moment(), own_card, &mut batch);
    batch.commit(&own.identities(), |entries| crate::event_loop::persist(journal, &mut commitments, entries))?;
    Ok(commitments)
}

/// The journal's state as it was left, with the nonce of its last record.
fn last_commit(journal: &Journal) -> Result<Option<([u8; journal::NONCE_BYTES], TreeHead)>, StartError> {
    let Some(last) = journal.size().checked_sub(1) else { return Ok(None) };
    let record = journal.reader().read(journal::RecordSeq(last))?;
    Ok(Some((record.nonce, TreeHead { size: journal.size(), root: journal.root() })))
}

async fn serve(socket: ControlSocket, context: control_server::Context, stopping: CancellationToken) {
    control_server::serve(socket, context, stopping.cancelled_owned()).await;
}

fn start_log(
    data_dir: &Path,
    store: StoreOptions,
    own: &NodeId,
    reader: &journal::Reader,
    clock: &Clock,
) -> Result<(LogHandle, oneshot::Receiver<String>), StartError> {
    let (sender, failed) = oneshot::channel();
    let settings = LogSettings { dir: data_dir.join(LOG_DIR), store, own: own.clone() };
    let tell = move |cause| {
        // Nobody listens if the node was dropped.
        let _gone = sender.send(cause);
    };
    let log = LogHandle::start(settings, reader.clone(), clock.clone(), tell).map_err(StartError::Thread)?;
    Ok((log, failed))
}

/// Raises an alarm for as long as the message log is not whole.
async fn alarm_about_log(log: LogHandle, handle: LoopHandle) {
    let mut status = log.watch_status();
    drop(log);
    loop {
        let text = status.borrow_and_update().alarm().map(|text| Text::cut(&text));
        let alarm = Input::NodeAlarm { code: Code::known("log-incomplete"), peer: None, text };
        if handle.input(alarm).await.is_err() || status.changed().await.is_err() {
            return;
        }
    }
}

async fn listen(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, StartError> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        let listener = TcpListener::bind(address).await;
        listeners.push(listener.map_err(|source| StartError::Listen { address: *address, source })?);
    }
    Ok(listeners)
}

fn spawn_loop(event_loop: EventLoop) -> Result<oneshot::Receiver<Result<(), CommitError>>, StartError> {
    let (sender, ended) = oneshot::channel();
    let runtime = Handle::current();
    let run = move || {
        let result = event_loop.run(&runtime);
        if let Err(error) = &result {
            tracing::error!(%error, "the journal failed: nothing more is confirmed, the process must end");
        }
        // Nobody listens if the node was dropped.
        let _gone = sender.send(result);
    };
    std::thread::Builder::new().name("event-loop".into()).spawn(run).map_err(StartError::Thread)?;
    Ok(ended)
}

/// Damage before the last snapshot does not stop a node, but it is an alarm until it is mended.
async fn report_damage(handle: &LoopHandle, findings: &[journal::Finding]) {
    let text = findings.first().map(|first| {
        Text::cut(&format!(
            "{} place(s) of the journal's past are damaged, first: {first}; run `aldis verify`",
            findings.len()
        ))
    });
    let alarm = Input::NodeAlarm { code: Code::known("journal-degraded"), peer: None, text };
    if let Err(RequestError::Stopping | RequestError::Declined(_)) = handle.input(alarm).await {
        tracing::warn!("the loop ended before it could raise the alarm about the journal");
    }
}
