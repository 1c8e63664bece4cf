//! What `aldisd run` does: from a configuration to a running node, until a signal ends it. Nothing here touches a
//! message.

use crate::check;
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::event_loop::Request;
use crate::keys::{KeyError, Keyring, OwnKeys, Sealer, Source};
use crate::memory::{self, Locked};
use crate::node::{self, Node, Setup, StartError};
use crate::own_card::{self, OwnCardError};
use crate::reporting::{Reporting, ReportingError};
use crate::revocation::CrlFiles;
use crate::rotation::KeyFiles;
use crate::tls::SetupError;
use aldis_wire::codec::Text;
use aldis_wire::ids::NodeId;
use sd_notify::NotifyState;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long links have to say goodbye.
const GOODBYE_LIMIT: Duration = Duration::from_secs(5);
/// How long stopping may take in all. What is not done by then was never confirmed to anybody.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Why the node did not start, or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The process cannot be kept private.
    #[error("cannot forbid core dumps and debuggers: {0}; the keys would not be safe, so the node does not start")]
    Memory(io::Error),
    /// The own card.
    #[error(transparent)]
    Card(#[from] OwnCardError),
    /// The data directory.
    #[error("{0}")]
    DataDir(String),
    /// A reload found another node's configuration.
    #[error(
        "the running node is {running}, the configuration says otherwise, and a node keeps its id for ever: put \
        `node.id` back"
    )]
    IdChanged {
        /// The running node.
        running: NodeId,
    },
    /// A reload found another rule about persons; the card must not say what the core does not do.
    #[error("`administration.two_persons` has changed: restart the node, everything else is not reloaded either")]
    RuleChanged,
    /// The node does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The reports of the daemon.
    #[error(transparent)]
    Reporting(#[from] ReportingError),
    /// The system gives no signals.
    #[error("cannot listen for signals: {0}")]
    Signals(io::Error),
    /// The node stopped by itself. Everything confirmed before holds.
    #[error("the node cannot go on: {0}; everything it confirmed is safe, and a new start reads it back")]
    Failed(String),
}

impl RunError {
    /// The exit code: 2 for what the administrator wrote, 6 for a damaged journal, 1 for the machine.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Start(error) if error.is_integrity_failure() => 6,
            Self::Config(_)
            | Self::Keys(_)
            | Self::Card(_)
            | Self::DataDir(_)
            | Self::IdChanged { .. }
            | Self::RuleChanged => 2,
            Self::Start(_) | Self::Reporting(_) | Self::Signals(_) | Self::Failed(_) | Self::Memory(_) => 1,
        }
    }
}

/// Everything a node is started from, checked as `config` says, with `keys` as they were loaded for it. Writes the node's
/// card if it says something new.
pub fn setup(config: &Config, keys: OwnKeys, sealer: Option<Arc<Sealer>>, clock: Clock) -> Result<Setup, RunError> {
    if let Some(fault) = check::data_dir_fault(&config.node.data_dir) {
        return Err(RunError::DataDir(fault));
    }
    let card = own_card::refresh(config, &keys, clock.wall())?;
    Ok(Setup {
        identities: keys.identities.with_newest(card.key().id()),
        tls: keys.tls,
        key_files: Some(KeyFiles { config: config.clone(), sealer }),
        card,
        data_dir: config.node.data_dir.clone(),
        listen: config.network.listen.clone(),
        control_socket: Some(config.control_socket.clone()),
        access: config.access.clone(),
        limits: config.limits.core.clone(),
        alerts: config.alerts.clone(),
        admission: config.limits.admission,
        times: config.limits.link,
        journal: config.journal.clone(),
        log: config.log,
        crls: CrlFiles { paths: config.crls.clone(), ..CrlFiles::default() },
        scrub: config.scrub,
        backup: config.backup.clone(),
        clock,
    })
}

/// Runs the node until SIGTERM or SIGINT, or until its disk fails. The keys are opened with what `source` gives.
pub async fn run(config: Config, source: Source) -> Result<(), RunError> {
    memory::keep_private().map_err(RunError::Memory)?;
    let reporting = Reporting::begin(&config.logging)?;
    lock_memory();
    let clock = Clock::system();
    // Before signals are listened for, so that Ctrl-C at the question for the passphrase ends the program.
    let mut keyring = Keyring::new(source);
    let keys = OwnKeys::load(&config, &mut keyring, clock.system_time())?;
    keyring.forget_secret();
    // Before the node starts: a signal that comes early must not end the process half-way.
    let mut signals = Signals::new().map_err(RunError::Signals)?;
    let mut node = node::start(setup(&config, keys, keyring.sealer(), clock)?).await?;
    tracing::info!(node = %config.node.id, listening = ?node.listening, "ready");
    tell_supervisor(&[NotifyState::Ready]);
    loop {
        tokio::select! {
            reason = node.failed() => return Err(RunError::Failed(reason)),
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
            _ = signals.reload.recv() => match reload(&config, &reporting, &node, &mut keyring).await {
                Ok(()) => tracing::info!("reloaded the configuration"),
                Err(error) => tracing::error!(%error, "not reloaded; everything goes on as before"),
            },
        }
    }
    tracing::info!("stopping");
    tell_supervisor(&[NotifyState::Stopping]);
    if tokio::time::timeout(STOP_LIMIT, node.stop(GOODBYE_LIMIT)).await.is_err() {
        tracing::warn!("stopping took too long and was cut short");
    } else {
        tracing::info!("stopped");
    }
    Ok(())
}

/// Keeps memory out of swap if it can; the node runs either way.
fn lock_memory() {
    match memory::lock() {
        Ok(Locked::Yes) => tracing::debug!("memory is locked: nothing of it is swapped out"),
        Ok(Locked::Limited { bytes }) => {
            tracing::info!(
                limit_bytes = bytes,
                "memory is not locked; set LimitMEMLOCK=infinity or encrypt the swap space"
            );
        }
        Err(error) => tracing::warn!(%error, "memory is not locked; encrypt the swap space"),
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
        })
    }
}

/// Reads again what can change while the node runs: filter, TLS files, revocation lists, card, who may do what. All of it is checked before
/// any of it is used; links that are up stay up.
async fn reload(running: &Config, reporting: &Reporting, node: &Node, keyring: &mut Keyring) -> Result<(), RunError> {
    let config = Config::load(&running.path)?;
    if config.node.id != running.node.id {
        return Err(RunError::IdChanged { running: running.node.id.clone() });
    }
    let keys = OwnKeys::load(&config, keyring, node.clock.system_time())?;
    if config.limits.core.two_persons != running.limits.core.two_persons {
        return Err(RunError::RuleChanged);
    }
    let card = own_card::refresh(&config, &keys, node.clock.wall())?;
    if !node.own.usable().contains(&card.key().id()) {
        let what = "its identity key came while the node ran: restart the node".to_owned();
        return Err(RunError::Card(OwnCardError::NotInForce(what)));
    }
    let shown = node.directory.shown();
    let mut pairs = keys.tls;
    // What is shown goes on being shown until every peer knows its successor, unless its files are gone.
    let at = pairs.iter().position(|pair| pair.certificate().der() == shown.certificate().der()).unwrap_or(0);
    let shown = pairs.swap_remove(at);
    node.directory.replace_own(shown, pairs).map_err(|error: SetupError| RunError::Keys(error.into()))?;
    if card.digest() != node.own.card().digest() {
        tracing::info!("the card says something new; the peers are told");
        let request = Request::OwnCard { card: Box::new(card), by: Text::cut("a reload of the configuration") };
        node.handle
            .request(request)
            .await
            .map_err(|error| RunError::Card(OwnCardError::NotInForce(error.to_string())))?;
    }
    reporting.change_filter(&config.logging.filter)?;
    node.revocation.look_at(config.crls.clone());
    node.access.replace(config.access.clone());
    if let Some(maker) = &node.key_maker {
        maker.reconfigure(config);
    }
    Ok(())
}

/// Tells systemd, if it started us; a supervisor that does not listen is no reason to stop.
fn tell_supervisor(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot tell the supervisor");
    }
}
