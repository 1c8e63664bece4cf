//! Floods against a real daemon: valid peers that send without end, read slowly or never receipt, and ten thousand
//! connections that are never finished. Its memory, files and disk stay within their bounds, every FLASH of an honest peer
//! is stored in time meanwhile, and nothing confirmed is lost.
//!
//! `ALDIS_FLOOD_SECONDS` says how long all floods take together (60).

mod attackers;
mod victim;

use aldis_control::{Precedence, SendRequest};
use aldis_core::limits::FLASH_RESERVE;
use aldis_node::demo::verified;
use attackers::{HalfOpen, Tally, half_open, reads_slowly, sends_without_end};
use futures_util::future::join_all;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use victim::{BURST, OPEN_BYTES, RATE, SEGMENT, Scene, UNANSWERED, WINDOW, notice};

/// How much more memory than at rest the daemon may ever have.
const MEMORY_MAX_KIB: u64 = 64 << 10;
/// Within what time each FLASH of the honest peer is stored.
const FLASH_MAX: Duration = Duration::from_secs(2);
/// How many connections are opened and never finished.
const HALF_OPEN: usize = 10_000;
/// How many file descriptors more than at rest the daemon may have: its limit on connections that are not
/// authenticated, and a few links.
const FILES_MAX: usize = 256 + 32;
/// Within what time a peer that starts anew while all that goes on is served.
const BACK_MAX: Duration = Duration::from_secs(15);
/// How many notices wait for each peer that does not take them.
const BACKLOG: usize = 1_500;

#[tokio::test(flavor = "multi_thread")]
async fn i7_i14_floods_by_valid_peers_and_strangers_harm_nobody_and_cost_no_more_than_is_set() {
    let seconds = std::env::var("ALDIS_FLOOD_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let each = Duration::from_secs(seconds) / 4;
    let mut scene = Scene::new(4 * each).await;
    let hostile = [scene.enrolled("cert.uy").await, scene.enrolled("cert.ar").await, scene.enrolled("cert.py").await];
    let [sender, slow, silent] = hostile;
    for peer in [&slow, &silent] {
        backlog(&scene, peer.cert.id.as_str()).await;
    }
    let quiet = during(&mut scene, "quiet", each / 3, |_| std::future::ready(())).await;
    let (rest_kib, files) = (scene.peak_kib, scene.open_files());
    println!("at rest: {rest_kib} KiB resident, {files} files open");

    let (door, tally) = (aldis_tests::certs::Cert::elsewhere(scene.door.card.clone()), Tally::default());
    let (before, begun) = (scene.journal_bytes(), Instant::now());
    let lanes = [aldis_wire::lane::Lane::Routine, aldis_wire::lane::Lane::Flash];
    let line_rate = during(&mut scene, "line rate", each, |running| {
        sends_without_end(sender, &door, &lanes, "incident", running, &tally)
    })
    .await;
    let grown = scene.journal_bytes() - before;
    println!("  {tally:?}; the journal grew by {} KiB", grown >> 10);
    // What one peer may send in FLASH and in the other lanes each: its burst, its rate, and the credit it had in the moment
    // in which that was used up.
    let (largest, seconds) = (tally.largest.load(Relaxed), begun.elapsed().as_secs() + 1);
    let allowed = BURST + RATE * seconds + WINDOW * largest;
    for lane in lanes {
        let stored = tally.stored[lane.index()].load(Relaxed) * largest;
        assert!(stored <= allowed, "{stored} bytes of {} were stored where {allowed} are allowed", lane.name());
    }
    // On the disk half as much again for what stands around each message; of a FLASH four times as much, for the alert
    // about it, the word to its sender and who was reached are on record too.
    let segment = SEGMENT.max(4 * OPEN_BYTES * (UNANSWERED + FLASH_RESERVE));
    let most = allowed * 3 / 2 + allowed * 4 + 2 * segment;
    assert!(grown <= most, "the journal grew by {grown} bytes where {most} are allowed");
    assert!(scene.is_alarmed("peer-over-rate").await, "it never came to the bound: {tally:?}");
    assert!(tally.no_credit.load(Relaxed) > 0, "nothing went beyond the credit: {tally:?}");

    let (address, half_opened) = (door.address(), HalfOpen::default());
    let half =
        during(&mut scene, "half-open", each * 2 / 3, |running| half_open(address, HALF_OPEN, running, &half_opened))
            .await;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    println!("  of {HALF_OPEN}, with {limit:?} files allowed here: {half_opened:?}");
    assert_eq!(half_opened.most.load(Relaxed), HALF_OPEN, "{half_opened:?}");
    come_back(&mut scene, each / 3, files, address).await;
    let tally = Tally::default();
    let slow_reads =
        during(&mut scene, "slow reader", each, |running| reads_slowly(slow, &door, running, &tally)).await;
    println!("  {tally:?}");
    assert!(tally.links.load(Relaxed) > 0);
    let tally = Tally::default();
    let flash = [aldis_wire::lane::Lane::Flash];
    let no_receipts = during(&mut scene, "never receipts", each, |running| {
        sends_without_end(silent, &door, &flash, "poem", running, &tally)
    })
    .await;
    println!("  {tally:?}");
    assert!(tally.read.load(Relaxed) > 0, "it was never sent anything: {tally:?}");

    let peak_kib = scene.peak_kib;
    println!("at most: {peak_kib} KiB resident, {} KiB above rest", peak_kib - rest_kib);
    assert!(peak_kib <= rest_kib + MEMORY_MAX_KIB, "{peak_kib} KiB at most, {rest_kib} at rest");
    for (what, took) in
        [("line rate", line_rate), ("half-open", half), ("slow reader", slow_reads), ("never receipts", no_receipts)]
    {
        let slowest = took.last().expect("some were sent");
        assert!(*slowest <= FLASH_MAX, "{what}: a FLASH was stored only after {slowest:?}; quiet {:?}", quiet.last());
    }
    scene.everything_is_there_once().await;
    for client in [scene.node.client(), scene.honest.client()] {
        let report = verified(&client).await.expect("it verifies");
        assert!(report.ok, "{:?}", report.findings);
    }
}

/// The honest peer starts again in the middle of such a flood, and is served.
async fn come_back(scene: &mut Scene, time: Duration, files: usize, address: SocketAddr) {
    let (running, watched) = watch::channel(true);
    let half_opened = HalfOpen::default();
    let restart = async {
        scene.honest.kill().await.expect("killed");
        let begun = Instant::now();
        scene.honest.start().await.expect("it starts again");
        let started = begun.elapsed();
        scene.flash().await;
        println!("  started again within {started:?}, its first FLASH stored after {:?}", begun.elapsed());
        assert!(begun.elapsed() < BACK_MAX, "the honest peer was served only after {:?}", begun.elapsed());
        let _over = tokio::time::timeout(time.saturating_sub(begun.elapsed()), std::future::pending::<()>()).await;
        let open = scene.open_files();
        println!("  {open} files open there");
        assert!(open <= files + FILES_MAX, "{open} files are open, {files} at rest");
        running.send_replace(false);
    };
    tokio::join!(restart, half_open(address, HALF_OPEN, watched, &half_opened));
}

/// Runs an attack for a time while the honest peer sends FLASH after FLASH; gives how long each of them took, ascending.
async fn during<F: Future<Output = ()>>(
    scene: &mut Scene,
    what: &str,
    time: Duration,
    attack: impl FnOnce(watch::Receiver<bool>) -> F,
) -> Vec<Duration> {
    let (running, watched) = watch::channel(true);
    let attack = attack(watched.clone());
    let clock = async {
        // Nothing is waited for but the end of the flood.
        let _over = tokio::time::timeout(time, std::future::pending::<()>()).await;
        running.send_replace(false);
    };
    let (took, (), ()) = tokio::join!(scene.flashes(watched), clock, attack);
    let at = |percent: usize| took[(took.len() * percent / 100).min(took.len() - 1)];
    let (count, now_kib, peak_kib) = (took.len(), scene.resident_kib(), scene.peak_kib);
    println!("{what}: {count} FLASH stored, p50 {:?}, p99 {:?}, slowest {:?}", at(50), at(99), at(100));
    println!("  {now_kib} KiB resident, {peak_kib} at most until now");
    took
}

/// Notices of the flooded node's for a peer that will not take them.
async fn backlog(scene: &Scene, peer: &str) {
    let client = scene.node.client();
    let request: SendRequest = notice(peer, Precedence::Routine, 1_500);
    for _ in 0..BACKLOG / 50 {
        for sent in join_all((0..50).map(|_| client.send(&request))).await {
            sent.expect("it is sent");
        }
    }
}
