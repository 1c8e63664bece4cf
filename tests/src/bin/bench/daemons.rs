//! The daemons that are measured: real processes of the program as it is built now, with the bounds lifted that are not
//! what is measured.

use crate::load::{self, Loaded};
use crate::{Failure, machine};
use aldis_control::{Client, DeliveryState, MessageId, MessageQuery, Precedence};
use aldis_node::demo::process::{self, Process};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// What is lifted: a peer may send whatever it has, and peers all come from one address here.
const LIFTED: &str = "[limits]\nintake_kib_s = 1048576\nintake_burst_kib = 67108864\nunanswered_per_peer = 10000000\n\
    connections = 1024\nconnections_per_address = 1024";
/// How long the message log may take to catch up.
const PATIENCE: Duration = Duration::from_mins(5);
/// How often what is waited for is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Two daemons that know each other and have a link.
pub(crate) struct Pair {
    /// The sender.
    pub(crate) br: Process,
    /// The receiver.
    pub(crate) cl: Process,
}

impl Pair {
    /// Starts both in `dir`. The first notice has gone over, for it waits for the link.
    pub(crate) async fn start(program: &Path, dir: &Path) -> Result<Self, Failure> {
        let mut br = made(program, dir, "cert.br", "BR").await?;
        let mut cl = made(program, dir, "cert.cl", "CL").await?;
        br.start().await?;
        cl.start().await?;
        process::introduce(&br.client(), &cl.client()).await?;
        br.client().send(&load::notice(&["cert.cl"], Precedence::Routine)).await?;
        Ok(Self { br, cl })
    }

    /// CPU seconds that both have used.
    pub(crate) fn cpu_seconds(&self) -> Result<f64, Failure> {
        Ok(machine::cpu_seconds(pid(&self.br)?)? + machine::cpu_seconds(pid(&self.cl)?)?)
    }

    /// Waits until the message logs of both hold what was sent last.
    pub(crate) async fn caught_up(&self, loaded: &Loaded) -> Result<(), Failure> {
        let Some(last) = &loaded.last else { return Ok(()) };
        logged(&self.br.client(), last).await?;
        logged(&self.cl.client(), last).await
    }

    /// Stops both.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        self.br.stop().await?;
        Ok(self.cl.stop().await?)
    }
}

/// A daemon that was initialised, with the bounds lifted, and does not run.
pub(crate) async fn made(program: &Path, dir: &Path, id: &str, country: &str) -> Result<Process, Failure> {
    let node = Process::init(program, dir, id, "bench", country).await?;
    let text = std::fs::read_to_string(node.config())?;
    if !text.contains("\n[limits]\n") {
        return Err("the configuration has no [limits]".into());
    }
    std::fs::write(node.config(), text.replacen("[limits]", LIFTED, 1))?;
    Ok(node)
}

/// The number of a daemon's process.
pub(crate) fn pid(node: &Process) -> Result<u32, Failure> {
    node.pid().ok_or_else(|| format!("{} does not run", node.id).into())
}

/// Waits until a message log shows a message as stored at its recipient, which is true at both ends once the log has
/// applied all before it.
pub(crate) async fn logged(client: &Client, id: &MessageId) -> Result<(), Failure> {
    let query = MessageQuery { id: id.to_string() };
    let shown = async || {
        // A log that is opening has no answer yet.
        let view = client.message(&query).await.ok();
        view.is_some_and(|view| !matches!(view.row.state, DeliveryState::Submitted | DeliveryState::Relayed))
    };
    eventually(&format!("the log has {id}"), PATIENCE, shown).await
}

/// Waits until something is so, looking often.
pub(crate) async fn eventually(what: &str, patience: Duration, so: impl AsyncFn() -> bool) -> Result<(), Failure> {
    let (begun, mut pause) = (Instant::now(), tokio::time::interval(LOOK));
    while !so().await {
        if begun.elapsed() > patience {
            return Err(format!("this did not come true within {} s: {what}", patience.as_secs()).into());
        }
        pause.tick().await;
    }
    Ok(())
}

/// Lets what was just done settle.
pub(crate) async fn settled() {
    let mut pause = tokio::time::interval(Duration::from_secs(2));
    pause.tick().await;
    pause.tick().await;
}

/// The daemon as the tree is now. Cargo, if it runs this program, builds it beside this one first, so that no older one is
/// measured.
pub(crate) fn built() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe()?.with_file_name("aldisd");
    if let Some(cargo) = std::env::var_os("CARGO") {
        eprintln!("bench: building aldisd");
        // Both packages, so that the libraries have the features they were built with for this program.
        let mut build = Command::new(cargo);
        build.args(["build", "--package", "aldis-tests", "--package", "aldis-node", "--bin", "aldisd"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        if !build.status()?.success() {
            return Err("aldisd cannot be built".into());
        }
    }
    if !program.exists() {
        return Err(format!("{} is missing; build it first: cargo build --release", program.display()).into());
    }
    Ok(program)
}
