//! kill -9 of either real daemon at random moments under load (I1, I2, I5, I9): nothing confirmed is lost, nothing is
//! shown twice, every restart is ready within the bound, and both records verify at the end.
//!
//! `ALDIS_KILLS` sets the number of kills (100), `ALDIS_KILL_SEED` repeats a run.

mod chance;

use aldis_control::{Client, MessageId, PeerQuery, Precedence, SendRequest, Tlp};
use aldis_node::demo::process::{self, Process};
use aldis_node::demo::{held, verified};
use chance::{Random, setting};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Half of the starts are ready within this time, also of an unoptimised daemon.
const READY_WITHIN: Duration = Duration::from_secs(2);
/// And all of them within this, on a machine that is busy with something else.
const READY_AT_LAST: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_mins(1);
/// How much longer the end of a run may take for each notice: an unoptimised daemon opens its whole log, and then all of it
/// is read.
const PATIENCE_PER_NOTICE: Duration = Duration::from_millis(4);
/// How often a log is read whole while something is missing in it.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Senders per daemon.
const SENDERS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn i1_i2_i5_kills_at_random_moments_lose_nothing_and_repeat_nothing() {
    let cycles: u32 = setting("ALDIS_KILLS").unwrap_or(100);
    let seed = setting("ALDIS_KILL_SEED").unwrap_or_else(|| u64::from(std::process::id()) ^ 0x5eed_a1d1_5000);
    println!("seed {seed}, {cycles} kills");
    let dir = tempfile::tempdir().unwrap();
    let mut nodes = [daemon(dir.path(), "cert.br").await, daemon(dir.path(), "cert.cl").await];
    for node in &mut nodes {
        node.start().await.unwrap();
    }
    introduce(&nodes).await;
    let (running, stopped) = watch::channel(true);
    let confirmed = Arc::new(Confirmed::default());
    let senders = start_senders(&nodes, &stopped, &confirmed);
    let mut random = Random(seed);
    let mut starts = Vec::new();
    for cycle in 0..cycles {
        // A random amount of traffic later, so that the kill falls anywhere in the work.
        let target = confirmed.count.load(Ordering::Relaxed) + 1 + random.below(60);
        confirmed.reaches(target).await;
        let victim = &mut nodes[usize::try_from(random.below(2)).unwrap()];
        victim.kill().await.unwrap();
        let ready = victim.start().await.unwrap_or_else(|error| panic!("seed {seed}, cycle {cycle}: {error}"));
        assert!(ready < READY_AT_LAST, "seed {seed}, cycle {cycle}: ready only after {ready:?}");
        starts.push(ready);
    }
    running.send(false).unwrap();
    for sender in senders {
        sender.await.unwrap();
    }
    let ids = confirmed.ids.lock().unwrap().clone();
    starts.sort();
    let (usual, slowest) = (starts[starts.len() / 2], starts[starts.len() - 1]);
    println!("{} notices confirmed; starts: half within {usual:?}, slowest {slowest:?}", ids.len());
    assert!(usual < READY_WITHIN, "seed {seed}: half of the starts took more than {usual:?}");
    for (here, there) in [(0, 1), (1, 0)] {
        let sent = ids.iter().filter(|id| id.from == nodes[here].id).cloned().collect();
        everything_arrived(&nodes[there].client(), &sent, seed).await;
    }
    for node in &nodes {
        let report = verified(&node.client()).await.unwrap();
        assert!(report.ok, "seed {seed}: {}: {:?}", node.id, report.findings);
    }
}

#[derive(Default)]
struct Confirmed {
    count: AtomicU64,
    ids: Mutex<BTreeSet<MessageId>>,
}

impl Confirmed {
    async fn reaches(&self, target: u64) {
        let begun = Instant::now();
        while self.count.load(Ordering::Relaxed) < target {
            assert!(begun.elapsed() < PATIENCE, "no notice is confirmed any more");
            tokio::task::yield_now().await;
        }
    }
}

async fn daemon(parent: &Path, id: &str) -> Process {
    let program = Path::new(env!("CARGO_BIN_EXE_aldisd"));
    Process::init(program, parent, id, id, "XX").await.unwrap()
}

async fn introduce(nodes: &[Process; 2]) {
    process::introduce(&nodes[0].client(), &nodes[1].client()).await.unwrap();
    let peer = nodes[0].client().peer(&PeerQuery { id: nodes[1].id.clone() }).await.unwrap();
    assert_eq!(peer.summary.id, nodes[1].id);
}

fn start_senders(
    nodes: &[Process; 2],
    running: &watch::Receiver<bool>,
    confirmed: &Arc<Confirmed>,
) -> Vec<tokio::task::JoinHandle<()>> {
    let ends = [(&nodes[0], &nodes[1]), (&nodes[1], &nodes[0])];
    let pairs = ends.into_iter().flat_map(|ends| [ends; SENDERS]);
    pairs
        .enumerate()
        .map(|(number, (from, to))| {
            let (client, to) = (from.client(), to.id.clone());
            tokio::spawn(send_while(running.clone(), client, to, number, Arc::clone(confirmed)))
        })
        .collect()
}

/// Sends one notice after the other. Only what the daemon confirmed counts; what failed may or may not have been taken.
async fn send_while(
    running: watch::Receiver<bool>,
    client: Client,
    to: String,
    number: usize,
    confirmed: Arc<Confirmed>,
) {
    let lane = Precedence::ALL[number % Precedence::ALL.len()];
    let mut count = 0_u64;
    while *running.borrow() {
        count += 1;
        let request = notice(&to, lane, &format!("sender {number}, notice {count}"));
        if let Ok(sent) = client.send(&request).await {
            let new = confirmed.ids.lock().unwrap().insert(sent.messages[0].id.clone());
            assert!(new, "{} was given twice", sent.messages[0].id);
            confirmed.count.fetch_add(1, Ordering::Relaxed);
        } else {
            tokio::task::yield_now().await;
        }
    }
}

/// Every confirmed notice stands in the other side's log, and nothing stands there twice.
async fn everything_arrived(client: &Client, sent: &BTreeSet<MessageId>, seed: u64) {
    let patience = PATIENCE + PATIENCE_PER_NOTICE * u32::try_from(sent.len()).unwrap();
    let (begun, mut looks) = (Instant::now(), tokio::time::interval(LOOK_EVERY));
    loop {
        looks.tick().await;
        let over = begun.elapsed() > patience;
        let Some(held) = held(client, None).await.unwrap() else {
            assert!(!over, "seed {seed}: the log is not open after {patience:?}");
            continue;
        };
        let missing: Vec<_> = sent.iter().filter(|id| !held.contains_key(*id)).collect();
        let twice: Vec<_> = held.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "seed {seed}: shown twice: {twice:?}");
        if missing.is_empty() {
            return;
        }
        assert!(!over, "seed {seed}: {} lost, such as {:?}", missing.len(), missing.first());
    }
}

fn notice(to: &str, precedence: Precedence, subject: &str) -> SendRequest {
    let body = json!({ "subject": subject, "class": "test", "type": "test", "narrative": "x".repeat(700) });
    SendRequest::new(&[to], "incident", precedence, Tlp::Green, body)
}
