//! One measured daemon and many peers, which live in one other process (see `peers`), all enrolled and linked.

use crate::daemons::{self, eventually};
use crate::peers;
use crate::results::{length, number};
use crate::{Bench, Failure};
use aldis_control::{Client, LinkState};
use aldis_node::demo::process::{self, Process};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// How many peers there are.
pub(crate) const PEERS: usize = 200;
/// How long all of them may take to have a link.
const PATIENCE: Duration = Duration::from_mins(2);

/// A daemon among its peers.
pub(crate) struct Crowd {
    /// The measured one.
    pub(crate) node: Process,
    /// How long an enrolment took at both ends, in milliseconds: the mean of all.
    pub(crate) enrolment_ms: f64,
    played: Child,
}

impl Crowd {
    /// Starts all of them in `dir`, and enrols each peer over the control API, at both ends.
    pub(crate) async fn start(bench: &Bench, dir: &Path) -> Result<Self, Failure> {
        let mut node = daemons::made(&bench.daemon, dir, "cert.br", "BR").await?;
        node.start().await?;
        let mut played = Command::new(std::env::current_exe()?)
            .args(["--play-peers", &PEERS.to_string()])
            .env("TMPDIR", dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let said = played.stdout.take().ok_or("the peers have no output")?;
        let mut said = BufReader::new(said).lines();
        let mut enrolling = Duration::ZERO;
        for _ in 0..PEERS {
            let peer = next_peer(&mut said).await?;
            let begun = Instant::now();
            process::introduce(&node.client(), &peer).await?;
            enrolling += begun.elapsed();
        }
        let crowd = Self { node, enrolment_ms: enrolling.as_secs_f64() * 1_000.0 / length(PEERS), played };
        crowd.linked().await?;
        Ok(crowd)
    }

    /// Waits until the link to every peer is up.
    pub(crate) async fn linked(&self) -> Result<(), Failure> {
        let client = self.node.client();
        let all_up = async || {
            let up = |status: aldis_control::Status| {
                status.peers.iter().filter(|peer| peer.link == LinkState::Up).count() == PEERS
            };
            client.status().await.is_ok_and(up)
        };
        eventually("all links are up", PATIENCE, all_up).await
    }

    /// The ids of all peers.
    pub(crate) fn ids() -> Vec<String> {
        (0..PEERS).map(peers::id).collect()
    }

    /// Stops all of them.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        self.node.stop().await?;
        // The end of their input ends the peers.
        drop(self.played.stdin.take());
        self.played.wait().await?;
        Ok(())
    }
}

/// The setting of a measure with all peers.
pub(crate) fn setting() -> crate::results::Setting {
    Some(("peers", u64::try_from(PEERS).expect("a small number")))
}

/// Kibibytes of so many mebibytes for each peer.
pub(crate) fn kib_per_peer(mib: f64) -> f64 {
    mib * 1_024.0 / number(u64::try_from(PEERS).expect("a small number"))
}

async fn next_peer(said: &mut Lines<BufReader<ChildStdout>>) -> Result<Client, Failure> {
    let socket = said.next_line().await?.ok_or("the peers ended before all of them ran")?;
    Ok(Client::new(socket))
}
