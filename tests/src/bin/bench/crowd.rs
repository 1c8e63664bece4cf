//! One measured daemon and many peers, which live in one other process (see `peers`), all enrolled and linked.

use crate::daemons::{self, eventually};
use crate::peers;
use crate::results::{Setting, length};
use crate::{Bench, Failure};
use aldis_control::{Client, LinkState, PeerAct, PeerActRequest, PeerAddRequest};
use aldis_node::demo::process::Process;
use aldis_wire::card::VerifiedCard;
use aldis_wire::phrase::Phrase;
use futures_util::{TryStreamExt, stream};
use std::path::Path;
use std::pin::pin;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// How many peers there are.
pub(crate) const PEERS: usize = 200;
/// The setting of a measure with all of them.
pub(crate) const SETTING: Setting = Some(("peers", PEERS as u64));
/// How many are enrolled at once.
const ENROLLING: usize = 2;
/// How long all of them may take to have a link.
const PATIENCE: Duration = Duration::from_mins(2);

/// A daemon among its peers.
pub(crate) struct Crowd {
    /// The measured one.
    pub(crate) node: Process,
    /// How long an enrolment took the measured node, in milliseconds: the mean of all. A quarter of a second of it goes
    /// into stretching the words, by design.
    pub(crate) enrolment_ms: f64,
    played: Child,
}

impl Crowd {
    /// Starts all of them in `dir`. The peers take the measured node's card as their tests do; the node is told of each
    /// over the control API, as by a person who compared the words.
    pub(crate) async fn start(bench: &Bench, dir: &Path) -> Result<Self, Failure> {
        let mut node = daemons::made(&bench.daemon, dir, "cert.br", "BR").await?;
        node.start().await?;
        let card = dir.join("card.aldis");
        std::fs::write(&card, node.client().card().await?.text)?;
        let mut played = Command::new(std::env::current_exe()?)
            .args(["--play-peers", &PEERS.to_string(), "--play-peers-of"])
            .arg(&card)
            .env("TMPDIR", dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let said = played.stdout.take().ok_or("the peers have no output")?;
        let peers = BufReader::new(said).lines();
        let enrolments = stream::try_unfold((peers, 0), async |(mut peers, number)| {
            if number == PEERS {
                return Ok(None);
            }
            let peer = next_peer(&mut peers).await?;
            Ok(Some((enrol(node.client(), peer), (peers, number + 1))))
        });
        let took_ms: Vec<f64> = pin!(enrolments).try_buffer_unordered(ENROLLING).try_collect().await?;
        let enrolment_ms = took_ms.iter().sum::<f64>() / length(took_ms.len());
        let crowd = Self { node, enrolment_ms, played };
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

/// Kibibytes of so many mebibytes for each peer.
pub(crate) fn kib_per_peer(mib: f64) -> f64 {
    mib * 1_024.0 / length(PEERS)
}

/// Adds a peer and verifies it by its words, which are made here in the place of the telephone. Says how many milliseconds
/// that took the node.
async fn enrol(node: Client, peer: Client) -> Result<f64, Failure> {
    let text = peer.card().await?.text;
    let card = VerifiedCard::from_text(&text)?;
    let id = card.card().id.clone();
    let words = tokio::task::spawn_blocking(move || Phrase::of(&card.card().id, card.key()).words().join(" ")).await?;
    let begun = Instant::now();
    node.peer_add(&PeerAddRequest { card: text }).await?;
    let why = "compared by a bench".to_owned();
    let verify = PeerActRequest { id: id.to_string(), act: PeerAct::Verify, phrase: Some(words), key: None, why };
    node.peer_act(&verify).await?;
    Ok(begun.elapsed().as_secs_f64() * 1_000.0)
}

async fn next_peer(said: &mut Lines<BufReader<ChildStdout>>) -> Result<Client, Failure> {
    let socket = said.next_line().await?.ok_or("the peers ended before all of them ran")?;
    Ok(Client::new(socket))
}
