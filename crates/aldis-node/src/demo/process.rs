//! A real daemon as a child process: made, started, asked, killed. The demonstration, the kill test and the benchmark
//! drive nodes this way, from outside, as a person would. Their keys are sealed with a credential that lies beside them
//! in a directory of its own, so that they start without a person; stretching it is cheap, for these nodes live for
//! minutes.

use super::port::HeldPort;
use crate::clock::{self, Clock};
use crate::config::SealedBy;
use crate::init::{self, InitError, NewNode, Sealing};
use crate::keys::{Source, Stretch};
use aldis_control::{Client, ClientError, PeerAct, PeerActRequest, PeerAddRequest, PeerQuery, Status};
use aldis_wire::ids::NodeId;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// How long a daemon may take to become ready, or to stop.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What the unit in docs/administration.md says to the memory allocator: to give back what a burst of work has left, in the
/// place of keeping it for each thread.
const MEMORY: [(&str, &str); 3] =
    [("MALLOC_ARENA_MAX", "2"), ("MALLOC_TRIM_THRESHOLD_", "131072"), ("MALLOC_MMAP_THRESHOLD_", "131072")];

/// One node of this machine, running or not.
#[derive(Debug)]
pub struct Process {
    /// Its id.
    pub id: String,
    dir: PathBuf,
    credentials: PathBuf,
    program: PathBuf,
    /// Where it listens; nobody else is given it for as long as this value lives.
    _port: HeldPort,
    child: Option<Child>,
    keep: bool,
}

/// What went wrong with a child process. The environment, or the daemon, is to blame; its output is in the named file.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started or waited for.
    #[error("cannot run {}: {source}", .program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its credential cannot be written.
    #[error("cannot make {}: {source}; choose an empty directory", .path.display())]
    Credential {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The node cannot be made.
    #[error("cannot make the node {id}: {source}")]
    Init {
        /// The node.
        id: String,
        /// Why.
        source: Box<InitError>,
    },
    /// It ended, or did not become ready in time.
    #[error("{id} did not become ready: {why}; see {}", .log.display())]
    NotReady {
        /// The node.
        id: String,
        /// In words.
        why: String,
        /// Its output.
        log: PathBuf,
    },
}

/// Has two nodes of one person enrol and verify each other, as two administrators would over the telephone. Gives the words
/// that each read out.
pub async fn introduce(one: &Client, other: &Client) -> Result<[String; 2], ClientError> {
    let ids = [one.status().await?.node, other.status().await?.node];
    for (node, of) in [(one, other), (other, one)] {
        node.peer_add(&PeerAddRequest { card: of.card().await?.text }).await?;
    }
    let read_out = [
        one.peer_phrases(&PeerQuery { id: ids[1].clone() }).await?.ours,
        other.peer_phrases(&PeerQuery { id: ids[0].clone() }).await?.ours,
    ];
    for (node, id, heard) in [(one, &ids[1], &read_out[1]), (other, &ids[0], &read_out[0])] {
        let why = "compared by voice".to_owned();
        let request =
            PeerActRequest { id: id.clone(), act: PeerAct::Verify, phrase: Some(heard.clone()), key: None, why };
        node.peer_act(&request).await?;
    }
    Ok(read_out)
}

impl Process {
    /// Initialises a node on loopback in `parent`, with keys of its own and a free port.
    pub async fn init(
        program: &Path,
        parent: &Path,
        id: &str,
        name: &str,
        country: &str,
    ) -> Result<Self, ProcessError> {
        let failed = |source| ProcessError::Run { program: program.to_owned(), source };
        let dir = parent.join(id);
        let port = HeldPort::take().map_err(failed)?;
        let credentials = parent.join(format!("{id}.credentials"));
        write_credential(&credentials)
            .map_err(|source| ProcessError::Credential { path: credentials.clone(), source })?;
        let node = NewNode {
            dir: dir.clone(),
            id: NodeId::new(id).expect("whoever calls this names a good id"),
            name: name.to_owned(),
            country: country.parse().expect("whoever calls this names a good country"),
            listen: vec![port.address()],
            endpoints: Vec::new(),
            // These nodes have one user.
            single_administrator: true,
        };
        let source = Source::credential_in(&credentials);
        let sealing = Sealing { by: SealedBy::Credential, source, stretch: Stretch::THROWAWAY };
        // Making a node waits for the disk.
        let making = tokio::task::spawn_blocking(move || init::init(&node, &sealing, &Clock::system()));
        making
            .await
            .expect("making a node does not panic")
            .map_err(|source| ProcessError::Init { id: id.to_owned(), source: Box::new(source) })?;
        Ok(Self {
            id: id.to_owned(),
            dir,
            credentials,
            program: program.to_owned(),
            _port: port,
            child: None,
            keep: false,
        })
    }

    /// Where everything of the node is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its configuration.
    pub fn config(&self) -> PathBuf {
        self.dir.join("aldisd.toml")
    }

    /// Its control socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("aldis.sock")
    }

    /// The file its output goes to.
    pub fn output(&self) -> PathBuf {
        self.dir.join("aldisd.log")
    }

    /// A client of its control API.
    pub fn client(&self) -> Client {
        Client::new(self.socket())
    }

    /// The process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Starts the daemon and returns how long it took to become ready.
    pub async fn start(&mut self) -> Result<Duration, ProcessError> {
        let failed = |source| ProcessError::Run { program: self.program.clone(), source };
        let output = File::options().create(true).append(true).open(self.output()).map_err(failed)?;
        let errors = output.try_clone().map_err(failed)?;
        let begun = Instant::now();
        let child = Command::new(&self.program)
            .arg("run")
            .arg("--config")
            .arg(self.config())
            .env("CREDENTIALS_DIRECTORY", &self.credentials)
            .envs(MEMORY)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .kill_on_drop(!self.keep)
            .spawn()
            .map_err(failed)?;
        self.child = Some(child);
        self.ready(begun).await?;
        Ok(begun.elapsed())
    }

    /// Lets the daemon run on when this value is dropped; to be said before [`Self::start`].
    pub fn keep_running(&mut self) {
        self.keep = true;
    }

    /// Kills the daemon as `kill -9` does, and waits until it is gone.
    pub async fn kill(&mut self) -> Result<(), ProcessError> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill().await.map_err(|source| ProcessError::Run { program: self.program.clone(), source })
    }

    /// Asks the daemon to stop (SIGTERM) and waits until it is gone.
    pub async fn stop(&mut self) -> Result<(), ProcessError> {
        let failed = |source| ProcessError::Run { program: self.program.clone(), source };
        let Some(mut child) = self.child.take() else { return Ok(()) };
        if let Some(pid) = child.id().and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed())) {
            let sent = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            sent.map_err(|error| failed(error.into()))?;
        }
        match tokio::time::timeout(PATIENCE, child.wait()).await {
            Ok(status) => status.map(|_| ()).map_err(failed),
            Err(_) => child.kill().await.map_err(failed),
        }
    }

    /// Waits until the daemon answers and says that it is ready.
    async fn ready(&mut self, begun: Instant) -> Result<Status, ProcessError> {
        let client = self.client();
        let mut pause = tokio::time::interval(Duration::from_millis(2));
        loop {
            pause.tick().await;
            if let Ok(status) = client.status().await
                && status.ready
            {
                return Ok(status);
            }
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if let Some(status) = ended {
                return Err(self.not_ready(format!("it ended with {status}")));
            }
            if begun.elapsed() > PATIENCE {
                return Err(self.not_ready(format!("it took more than {} s", PATIENCE.as_secs())));
            }
        }
    }

    fn not_ready(&self, why: String) -> ProcessError {
        ProcessError::NotReady { id: self.id.clone(), why, log: self.output() }
    }
}

/// Makes a credential as systemd would hand it over.
fn write_credential(dir: &Path) -> std::io::Result<()> {
    DirBuilder::new().mode(0o700).create(dir)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(dir.join("aldis-seal"))?;
    file.write_all(&clock::random::<32>())
}
