//! A long life: a node that has received many messages, in many cases, of two peers. How soon it is ready after a clean
//! stop and after a kill under load, how fast it finds things, and how much disk a notice takes.

use crate::daemons::{self, eventually, logged, made};
use crate::load::{self, Loaded};
use crate::results::{Results, number};
use crate::searches::{self, Held};
use crate::{Bench, Failure, machine};
use aldis_control::{DeliveryState, LinkState, LogState, Precedence, UnixMillis};
use aldis_node::clock::Clock;
use aldis_node::demo::process::{self, Process};
use aldis_wire::digest::Digest;
use aldis_wire::ids::CaseId;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many messages a node holds in a full run, the smaller first, to show how things grow.
const FULL: [u64; 2] = [500_000, 2_000_000];
/// How many otherwise.
const SHORT: [u64; 1] = [20_000];
/// How many messages a case has.
pub(crate) const PER_CASE: u64 = 10;
/// How many notices of each peer are unanswered at each moment while the node is filled.
const IN_FLIGHT: usize = 512;
/// How many messages a peer sends before the node is killed under their load.
const BEFORE_KILL: u64 = 500;
/// How long a link, and a message log that is behind, may take to be there.
const PATIENCE: Duration = Duration::from_mins(30);

/// Each size is filled once, for all runs.
pub(crate) async fn measure(bench: &Bench, results: &mut Results) -> Result<(), Failure> {
    let sizes = if bench.full { FULL.as_slice() } else { SHORT.as_slice() };
    for size in sizes {
        let dir = bench.run_dir()?;
        eprintln!("bench: size, {size} messages are sent");
        let mut scene = Scene::filled(bench, dir.path(), *size).await?;
        let setting = Some(("messages", *size));
        results.add("size", setting, &scene.disk()?);
        for run in 0..bench.runs {
            bench.progress(&format!("size, {size} messages"), run);
            results.add("size", setting, &scene.starts().await?);
            results.add("size", setting, &searches::once(&scene.cl.client(), &scene.held).await?);
        }
        scene.stop().await?;
    }
    Ok(())
}

/// The case of the message of that number.
pub(crate) fn case_of(number: u64) -> CaseId {
    let digest = Digest::of(&[&(number / PER_CASE).to_be_bytes()]);
    CaseId(*digest.as_bytes().first_chunk().expect("a digest is longer than a case"))
}

/// The node that is measured, and its two peers.
struct Scene {
    cl: Process,
    senders: [Process; 2],
    held: Held,
}

impl Scene {
    async fn filled(bench: &Bench, dir: &Path, size: u64) -> Result<Self, Failure> {
        let mut cl = made(&bench.daemon, dir, "cert.cl", "CL").await?;
        cl.start().await?;
        let mut senders =
            [made(&bench.daemon, dir, "cert.ar", "AR").await?, made(&bench.daemon, dir, "cert.br", "BR").await?];
        for sender in &mut senders {
            sender.start().await?;
            process::introduce(&sender.client(), &cl.client()).await?;
        }
        let since = now();
        let (one, other) = tokio::try_join!(fill(&senders[0], 0, size), fill(&senders[1], 1, size))?;
        for (sender, loaded) in senders.iter().zip([one, other]) {
            let last = loaded.last.ok_or("nothing was sent")?;
            logged(&sender.client(), &last).await?;
            logged(&cl.client(), &last).await?;
        }
        let peers = senders.each_ref().map(|sender| sender.id.clone());
        let held = Held { messages: size, peers, since, until: now() };
        Ok(Self { cl, senders, held })
    }

    /// Bytes of disk for each notice: at the node that received all, and at one that sent half of them.
    fn disk(&self) -> Result<Vec<(&'static str, f64)>, Failure> {
        let all = number(self.held.messages);
        let received = number(machine::disk_bytes(self.cl.dir())?);
        let sent = number(machine::disk_bytes(self.senders[0].dir())?);
        Ok(vec![
            ("receiver_disk_kib_per_notice", received / 1_024.0 / all),
            ("sender_disk_kib_per_notice", sent / 512.0 / all),
        ])
    }

    /// Starts the node after a clean stop, and after a kill while a peer sends.
    async fn starts(&mut self) -> Result<Vec<(&'static str, f64)>, Failure> {
        self.linked().await?;
        self.cl.stop().await?;
        let clean = self.start().await?;
        self.linked().await?;
        self.kill_under_load().await?;
        let killed = self.start().await?;
        let resident_mib = machine::resident_mib(daemons::pid(&self.cl)?)?;
        Ok(vec![
            ("ready_after_stop_ms", clean[0]),
            ("searchable_after_stop_ms", clean[1]),
            ("ready_after_kill_ms", killed[0]),
            ("searchable_after_kill_ms", killed[1]),
            ("resident_mib", resident_mib),
        ])
    }

    /// How many milliseconds it took until the node was ready, and until its log could be searched.
    async fn start(&mut self) -> Result<[f64; 2], Failure> {
        let begun = Instant::now();
        let ready = self.cl.start().await?;
        let client = self.cl.client();
        let follows = async || client.status().await.is_ok_and(|status| status.log == LogState::Following);
        eventually("the log follows", PATIENCE, follows).await?;
        Ok([ready, begun.elapsed()].map(|took| took.as_secs_f64() * 1_000.0))
    }

    async fn linked(&self) -> Result<(), Failure> {
        let client = self.cl.client();
        let both_up = async || {
            let status = client.status().await;
            status.is_ok_and(|status| status.peers.iter().all(|peer| peer.link == LinkState::Up))
        };
        eventually("both links are up", PATIENCE, both_up).await
    }

    async fn kill_under_load(&mut self) -> Result<(), Failure> {
        let (over, handed_in) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ends, counted, sender) = (Arc::clone(&over), Arc::clone(&handed_in), self.senders[0].client());
        let mut notice = load::notice(&["cert.cl"], Precedence::Routine);
        // It goes on while its recipient is away.
        (notice.wait, notice.wait_ms) = (None, None);
        let line = load::line(&notice);
        let beside = tokio::spawn(async move {
            let next = |number| {
                counted.store(number, Ordering::Relaxed);
                (!ends.load(Ordering::Relaxed)).then(|| line.clone())
            };
            load::bulk(&sender, IN_FLIGHT, DeliveryState::Submitted, next).await.map(|_| ())
        });
        let under_way = async || handed_in.load(Ordering::Relaxed) >= BEFORE_KILL || beside.is_finished();
        eventually("the load is under way", PATIENCE, under_way).await?;
        self.cl.kill().await?;
        over.store(true, Ordering::Relaxed);
        beside.await?
    }

    async fn stop(mut self) -> Result<(), Failure> {
        self.cl.stop().await?;
        for mut sender in self.senders {
            sender.stop().await?;
        }
        Ok(())
    }
}

/// Sends every second message of so many, from the first or from the second on.
async fn fill(sender: &Process, first: u64, size: u64) -> Result<Loaded, Failure> {
    let mut notice = load::notice(&["cert.cl"], Precedence::Routine);
    let next = |number: u64| {
        let number = first + 2 * number;
        notice.case = Some(case_of(number).to_string());
        (number < size).then(|| load::line(&notice))
    };
    load::bulk(&sender.client(), IN_FLIGHT, DeliveryState::Stored, next).await
}

fn now() -> UnixMillis {
    UnixMillis(Clock::system().wall().get())
}
