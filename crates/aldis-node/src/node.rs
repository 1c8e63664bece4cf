//! A whole node: recovered from its journal, then its loop, links, message log and control API, started in this order and
//! stopped in the reverse one. It is what `aldisd run` runs and what system tests start in-process.

mod alarms;
mod recovery;
pub mod restored;
mod shown;
mod starting;

use crate::access::{Access, Rules};
use crate::admission::{self, Admission};
use crate::alerts::{self, Alerts, Bell, Carrier, Surroundings};
use crate::attachments::{self, Attachments, StoreError};
use crate::backup::{self, BackupState};
use crate::clock::Clock;
use crate::control_server::{self, BindError, ControlSocket};
use crate::directory::Directory;
use crate::event_loop::{EventLoop, LoopHandle, Message, QUEUE_LENGTH, Replies, Space};
use crate::events::Events;
use crate::expiry::Watch;
use crate::journal::{self, CommitError, OpenError, ReadError};
use crate::link::{self, AheadRoom, LinkContext, LinkTimes, Links};
use crate::log::LogHandle;
use crate::log::store::StoreOptions;
use crate::notes::Notes;
use crate::own::Own;
use crate::revocation::{CrlFiles, Revocation};
use crate::right_of_way::RightOfWay;
use crate::rotation::{KeyFiles, KeyMaker};
use crate::scrub::{self, Scrub, ScrubState};
use crate::tls::{OwnIdentity, SetupError};
use aldis_core::SnapshotError;
use aldis_core::input::Input;
use aldis_core::limits::{Discipline, Limits};
use aldis_wire::card::VerifiedCard;
use aldis_wire::ids::NodeId;
use aldis_wire::signing::Identities;
use recovery::Run;
use starting::{listen, start_log};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
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
    /// When the node verifies itself.
    pub scrub: scrub::Settings,
    /// Where backups go.
    pub backup: backup::Settings,
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
    /// What FLASH has.
    pub right_of_way: RightOfWay,
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
    /// What its site asks of its own people.
    pub discipline: Discipline,
    /// Who heard of its alerts.
    pub bell: Bell,
    /// What brings its alerts to people.
    pub carrier: Arc<Carrier>,
    /// The files its messages name.
    pub attachments: Attachments,
    /// Who may do what over its control API.
    pub access: Access,
    /// When it verified itself, and what came of it.
    pub scrubs: ScrubState,
    /// When it was backed up, and what came of it.
    pub backups: BackupState,
    /// Where it listens.
    pub listening: Vec<SocketAddr>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    control: Option<tokio::task::JoinHandle<()>>,
    stopping: CancellationToken,
    connections: TaskTracker,
    walks: TaskTracker,
    ended: oneshot::Receiver<Result<(), CommitError>>,
    log_failed: oneshot::Receiver<String>,
}

/// What waits for the loop.
struct Inbox {
    urgent: mpsc::Receiver<Message>,
    normal: mpsc::Receiver<Message>,
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
    /// What a restore left behind cannot be read or removed.
    #[error("`restored` in the data directory: {0}; make it readable, for it keeps this node from signing too early")]
    Marker(#[source] std::io::Error),
    /// The place of the files that messages name cannot be used.
    #[error(transparent)]
    Attachments(#[from] StoreError),
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
            | Self::Marker(_)
            | Self::Attachments(_)
            | Self::ControlSocket(_)
            | Self::Thread(_) => false,
        }
    }
}

/// Starts a node. When this returns it is ready: journal, core and links are up.
pub async fn start(setup: Setup) -> Result<Node, StartError> {
    // Boxed, for it holds everything a node is made of, and whoever starts one would hold that too.
    Box::pin(begin(setup)).await
}

async fn begin(setup: Setup) -> Result<Node, StartError> {
    let own = Own::new(setup.identities, setup.card);
    let (ladder, discipline) = (Arc::clone(&setup.limits.ladder), setup.limits.discipline);
    // Text goes on for as long as the journal's reserve is free; files stop well before.
    let attachments = Attachments::open(&setup.data_dir, setup.journal.reserve_bytes.saturating_mul(2))?;
    let right_of_way = RightOfWay::new(setup.clock.clone());
    let options = setup.journal.giving_way(right_of_way.clone());
    let run = recovery::begin(&setup.data_dir, options, setup.limits, &own, &setup.clock)?;
    run.keep_named(&attachments)?;
    let gone = run.gone(&attachments);
    let journal = run.journal.reader();
    let directory = shown::directory(setup.tls, &setup.crls, &own, &run.core, &setup.clock)?;
    let listeners = listen(&setup.listen).await?;
    let control_socket = match &setup.control_socket {
        Some(path) => Some(control_server::bind(path).await?),
        None => None,
    };
    let (log, log_failed) = start_log(&setup.data_dir, setup.log, own.id(), &journal, &attachments, &setup.clock)?;
    let (handle, inbox) = queues();
    let (dials, dial_requests) = mpsc::channel(DIALS_MAX);
    let links = LinkContext {
        node: handle.clone(),
        own: own.clone(),
        directory: directory.clone(),
        links: Links::default(),
        journal: journal.clone(),
        log: log.clone(),
        attachments: attachments.clone(),
        clock: setup.clock.clone(),
        notes: Notes::default(),
        right_of_way,
        ahead_room: AheadRoom::default(),
        times: setup.times,
    };
    let events = Events::new();
    let findings = run.findings.clone();
    let (alerts, handed_over) = Alerts::new();
    let bell = Bell::new(events.clone());
    let surroundings = Surroundings {
        id: own.id().clone(),
        clock: setup.clock.clone(),
        bell: bell.clone(),
        log: log.clone(),
        node: handle.clone(),
    };
    let carrier = Arc::new(Carrier::new(setup.alerts, ladder, surroundings));
    let ended = spawn_loop(run, inbox, dials, &links, &events, &log, alerts)?;
    alarms::report_damage(&handle, &findings).await;
    for (peer, attachment) in gone {
        // An error means that the loop has ended, which is told by itself.
        let _ended = handle.input(Input::AttachmentGone { peer, attachment }).await;
    }
    let config_path = setup.key_files.as_ref().map(|files| files.config.path.clone());
    let key_maker = setup.key_files.map(|files| {
        let maker = KeyMaker::new(files, own.clone(), directory.clone(), setup.clock.clone(), handle.clone());
        Arc::new(maker)
    });
    let mut node = Node {
        handle,
        events,
        notes: links.notes.clone(),
        right_of_way: links.right_of_way.clone(),
        journal,
        log,
        directory,
        own,
        key_maker,
        revocation: Revocation::new(setup.crls, &links),
        clock: setup.clock,
        discipline,
        bell,
        carrier,
        attachments,
        access: Access::new(setup.access),
        scrubs: ScrubState::default(),
        backups: BackupState::load(setup.backup, &setup.data_dir, config_path),
        listening: listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect(),
        tasks: Vec::new(),
        control: None,
        stopping: CancellationToken::new(),
        connections: TaskTracker::new(),
        walks: TaskTracker::new(),
        ended,
        log_failed,
    };
    node.tasks.push(tokio::spawn(Arc::clone(&node.carrier).run(handed_over)));
    node.keep_watch(setup.times.expiry_look);
    node.keep_scrubbing(setup.scrub, &setup.data_dir);
    node.connect(listeners, dial_requests, setup.admission, &links);
    node.control = control_socket.map(|socket| node.serve(socket, setup.data_dir.join(JOURNAL_DIR)));
    Ok(node)
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

    /// Begins to look after what fails or runs out without anybody's doing.
    fn keep_watch(&mut self, expiry_look: Duration) {
        let watch = Watch {
            own: self.own.clone(),
            directory: self.directory.clone(),
            clock: self.clock.clone(),
            node: self.handle.clone(),
            key_maker: self.key_maker.clone(),
            interval: expiry_look,
        };
        let (state, clock, node) = (self.backups.clone(), self.clock.clone(), self.handle.clone());
        let backups = backup::Watch { state, clock, node };
        self.tasks.extend([
            tokio::spawn(alarms::alarm_about_log(self.log.clone(), self.handle.clone())),
            tokio::spawn(self.revocation.clone().watch()),
            tokio::spawn(watch.run()),
            tokio::spawn(backups.run()),
            tokio::spawn(attachments::forget_unnamed(self.attachments.clone())),
        ]);
    }

    /// Begins to verify what is on the disk, every night.
    fn keep_scrubbing(&mut self, settings: scrub::Settings, data_dir: &Path) {
        let scrub = Scrub {
            settings,
            own: self.own.id().clone(),
            clock: self.clock.clone(),
            node: self.handle.clone(),
            log: self.log.clone(),
            data_dir: data_dir.to_owned(),
            journal_dir: data_dir.join(JOURNAL_DIR),
            state: self.scrubs.clone(),
            walks: self.walks.clone(),
        };
        self.tasks.push(tokio::spawn(scrub.run()));
    }

    /// Begins to dial and to accept.
    fn connect(
        &mut self,
        listeners: Vec<TcpListener>,
        dials: mpsc::Receiver<NodeId>,
        limits: admission::Limits,
        links: &LinkContext,
    ) {
        let admission = Admission::new(limits);
        self.tasks.push(tokio::spawn(link::dial(dials, links.clone(), self.connections.clone())));
        self.tasks.extend(listeners.into_iter().map(|listener| {
            tokio::spawn(link::accept(listener, admission.clone(), links.clone(), self.connections.clone()))
        }));
    }

    /// Begins to answer operators.
    fn serve(&self, socket: ControlSocket, journal_dir: PathBuf) -> tokio::task::JoinHandle<()> {
        let context = control_server::Context {
            loop_handle: self.handle.clone(),
            events: self.events.clone(),
            notes: self.notes.clone(),
            right_of_way: self.right_of_way.clone(),
            log: self.log.clone(),
            journal: self.journal.clone(),
            journal_dir,
            own: self.own.clone(),
            directory: self.directory.clone(),
            key_maker: self.key_maker.clone(),
            clock: self.clock.clone(),
            access: self.access.clone(),
            discipline: self.discipline,
            bell: self.bell.clone(),
            carrier: Arc::clone(&self.carrier),
            attachments: self.attachments.clone(),
            scrubs: self.scrubs.clone(),
            backups: self.backups.clone(),
        };
        let stopping = self.stopping.clone().cancelled_owned();
        tokio::spawn(async { control_server::serve(socket, context, stopping).await })
    }

    /// Stops in good order: no new connections, everything committed, goodbyes said. Links that hang are cut after
    /// `patience`.
    pub async fn stop(self, patience: Duration) {
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
        self.walks.close();
        if tokio::time::timeout(patience, self.walks.wait()).await.is_err() {
            tracing::warn!("the scrub did not end in time");
        }
        let log = self.log;
        // Flushing blocks on the disk. If the task cannot be joined the log is rebuilt from the journal at the next start.
        let _stopped = tokio::task::spawn_blocking(move || log.stop()).await;
    }
}

/// The ways into the loop, and the other end of them.
fn queues() -> (LoopHandle, Inbox) {
    let (urgent, urgent_messages) = mpsc::channel(QUEUE_LENGTH);
    let (normal, normal_messages) = mpsc::channel(QUEUE_LENGTH);
    (LoopHandle { urgent, normal }, Inbox { urgent: urgent_messages, normal: normal_messages })
}

fn spawn_loop(
    run: Run,
    inbox: Inbox,
    dials: mpsc::Sender<NodeId>,
    links: &LinkContext,
    events: &Events,
    log: &LogHandle,
    alerts: Alerts,
) -> Result<oneshot::Receiver<Result<(), CommitError>>, StartError> {
    let event_loop = EventLoop {
        core: run.core,
        journal: run.journal,
        own: links.own.clone(),
        clock: links.clock.clone(),
        started_at: links.clock.wall(),
        urgent: inbox.urgent,
        normal: inbox.normal,
        links: links.links.clone(),
        dials,
        directory: links.directory.clone(),
        events: events.clone(),
        committed: Box::new(log.waker()),
        commitments: run.commitments,
        replies: Replies::default(),
        space: Space::default(),
        alerts,
        attachments: links.attachments.clone(),
        right_of_way: links.right_of_way.clone(),
        runtime: Handle::current(),
        unalerted: Vec::new(),
        first: run.first,
    };
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
