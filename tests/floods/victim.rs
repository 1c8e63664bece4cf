//! The node that is flooded and its honest peer, two real daemons, and what they cost.

use aldis_control::{Client, DeliveryState, MessageId, PeerAct, PeerActRequest, PeerAddRequest, PeerQuery};
use aldis_control::{Precedence, SendRequest, Tlp, Wait};
use aldis_node::demo::held;
use aldis_node::demo::process::{self, Process};
use aldis_tests::certs::Cert;
use aldis_tests::raw_peer::RawPeer;
use aldis_wire::card::VerifiedCard;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::watch;

/// How fast a peer may send for long, in bytes a second, and how much at once: enough for line rate at first, little
/// enough that a short run is bounded by the rate.
pub(crate) const RATE: u64 = 256 << 10;
pub(crate) const BURST: u64 = 4 << 20;
/// How many envelopes a lane's credit is.
pub(crate) const WINDOW: u64 = 512;
/// The size of a journal's segment.
pub(crate) const SEGMENT: u64 = 4 << 20;
/// How many messages of one peer may wait for an answer, and what each takes in the snapshot that begins a segment, of
/// which a segment may hold four times as much.
pub(crate) const UNANSWERED: u64 = 2_000;
pub(crate) const OPEN_BYTES: u64 = 300;
/// How much memory the message log is given beside its indexes.
const CACHE_MIB: u64 = 8;
/// How often the honest peer sends at most, and how many in all: fewer than may wait for an answer.
const PACE: Duration = Duration::from_millis(100);
const FLASHES: u32 = 4_000;
/// What the flooded node and its honest peer are set to, beyond what every node is.
const LIMITS: &str = "retry_initial_ms = 500\nretry_max_ms = 2000\nreceipt_wait_ms = 4000\nheartbeat_ms = 1000\n\
                      silence_ms = 4000\nhandshake_s = 3\nopen_per_peer = 2000\n";

pub(crate) struct Scene {
    /// Who is flooded, `cert.br`.
    pub(crate) node: Process,
    /// The same as raw peers see it.
    pub(crate) door: Cert,
    /// Who is honest, `cert.cl`.
    pub(crate) honest: Process,
    /// The FLASH messages whose receipt the honest peer has verified.
    pub(crate) stored: Vec<MessageId>,
    /// The most memory the flooded node had in the moments in which a FLASH was stored, in KiB. What the kernel calls the
    /// peak would count what opening the keys took.
    pub(crate) peak_kib: u64,
    pace: Duration,
    _dir: TempDir,
}

impl Scene {
    /// Two daemons that know each other, for floods of this length in all.
    pub(crate) async fn new(length: Duration) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let [mut node, mut honest] = [daemon(dir.path(), "cert.br").await, daemon(dir.path(), "cert.cl").await];
        for process in [&mut node, &mut honest] {
            process.start().await.expect("it starts");
        }
        process::introduce(&node.client(), &honest.client()).await.expect("they are introduced");
        let card = node.client().card().await.expect("its card").text;
        let card = VerifiedCard::from_text(&card).expect("a good card");
        Self {
            node,
            door: Cert::elsewhere(card),
            honest,
            stored: Vec::new(),
            peak_kib: 0,
            pace: PACE.max(length / FLASHES),
            _dir: dir,
        }
    }

    /// A peer that the flooded node lets in, with keys of its own.
    pub(crate) async fn enrolled(&self, id: &str) -> RawPeer {
        let peer = RawPeer::new(id);
        let client = self.node.client();
        client.peer_add(&PeerAddRequest { card: peer.cert.card.to_text() }).await.expect("its card is taken");
        let phrase = client.peer_phrases(&PeerQuery { id: id.to_owned() }).await.expect("its words").theirs;
        let why = "a flood".to_owned();
        let request = PeerActRequest { id: id.to_owned(), act: PeerAct::Verify, phrase: Some(phrase), key: None, why };
        client.peer_act(&request).await.expect("it is let in");
        peer
    }

    /// Sends FLASH after FLASH from the honest peer, each when the one before is stored and its time has come, for as long as `running` says;
    /// gives how long each took, ascending.
    pub(crate) async fn flashes(&mut self, running: watch::Receiver<bool>) -> Vec<Duration> {
        let (client, mut took, mut pace) = (self.honest.client(), Vec::new(), tokio::time::interval(self.pace));
        while *running.borrow() {
            pace.tick().await;
            let begun = Instant::now();
            self.stored.push(send_stored(&client, &self.node.id).await);
            took.push(begun.elapsed());
            self.peak_kib = self.peak_kib.max(self.resident_kib());
        }
        took.sort();
        took
    }

    /// Sends one more of them.
    pub(crate) async fn flash(&mut self) {
        self.stored.push(send_stored(&self.honest.client(), &self.node.id).await);
    }

    /// The memory the flooded node has now, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(of_process(&self.node).join("status")).expect("Linux tells");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("the status names it");
        line.split_ascii_whitespace().nth(1).expect("a number").parse().expect("a number of KiB")
    }

    /// How many file descriptors it has open.
    pub(crate) fn open_files(&self) -> usize {
        std::fs::read_dir(of_process(&self.node).join("fd")).expect("Linux tells").count()
    }

    /// How many bytes its journal takes on the disk.
    pub(crate) fn journal_bytes(&self) -> u64 {
        let files = std::fs::read_dir(self.node.dir().join("data/journal")).expect("a journal");
        // A segment that is being made has another name in the next moment.
        files.filter_map(|file| file.ok()?.metadata().ok()).map(|file| file.len()).sum()
    }

    /// Whether an alarm of this code lasts there.
    pub(crate) async fn is_alarmed(&self, code: &str) -> bool {
        self.node.client().status().await.expect("it answers").alarms.iter().any(|alarm| alarm.code == code)
    }

    /// Every FLASH of the honest peer that was stored is in the node's log, once.
    pub(crate) async fn everything_is_there_once(&self) {
        let (client, begun) = (self.node.client(), Instant::now());
        loop {
            // A log that is being opened is behind, and nothing is missing for that.
            let held = held(&client, Some(&self.honest.id)).await.expect("it answers").unwrap_or_default();
            assert!(held.values().all(|times| *times == 1), "something is there twice");
            let missing = self.stored.iter().filter(|id| !held.contains_key(*id)).count();
            if missing == 0 {
                return;
            }
            // The message log follows the journal.
            assert!(begun.elapsed() < Duration::from_mins(1), "{missing} of {} are lost", self.stored.len());
        }
    }
}

/// A daemon that is made and does not run yet.
async fn daemon(parent: &Path, id: &str) -> Process {
    let process = Process::init(&program(), parent, id, id, "XX").await.expect("it is made");
    let mut text = std::fs::read_to_string(process.config()).expect("a configuration");
    for (section, lines) in [
        (
            "[limits]\n",
            format!(
                "{LIMITS}unanswered_per_peer = {UNANSWERED}\nintake_kib_s = {}\nintake_burst_kib = {}\n",
                RATE >> 10,
                BURST >> 10
            ),
        ),
        ("[log]\n", format!("cache_mib = {CACHE_MIB}\n")),
        ("[journal]\n", format!("segment_mib = {}\n", SEGMENT >> 20)),
    ] {
        match text.find(section) {
            Some(at) => text.insert_str(at + section.len(), &lines),
            None => text.push_str(&format!("\n{section}{lines}")),
        }
    }
    let mut file = std::fs::File::create(process.config()).expect("it can be written");
    file.write_all(text.as_bytes()).expect("it is written");
    process
}

/// The daemon that was built beside this test.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("this test has a path");
    let program = test.parent().and_then(Path::parent).expect("a build directory").join("aldisd");
    assert!(program.exists(), "{} is missing: cargo build -p aldis-node -p aldis-tests", program.display());
    program
}

/// Sends a FLASH and waits until its receipt is verified.
async fn send_stored(client: &Client, to: &str) -> MessageId {
    let request = SendRequest { wait: Some(Wait::Stored), wait_ms: Some(30_000), ..notice(to, Precedence::Flash, 100) };
    let sent = client.send(&request).await.expect("it is sent").messages.remove(0);
    assert_eq!(sent.state, DeliveryState::Stored, "{} is not stored within half a minute", sent.id);
    sent.id
}

/// A notice with so many bytes of narrative.
pub(crate) fn notice(to: &str, precedence: Precedence, bytes: usize) -> SendRequest {
    let body = json!({ "subject": "under flood", "class": "test", "type": "test", "narrative": "x".repeat(bytes) });
    SendRequest::new(&[to], "incident", precedence, Tlp::Green, body)
}

fn of_process(process: &Process) -> PathBuf {
    Path::new("/proc").join(process.pid().expect("it runs").to_string())
}
