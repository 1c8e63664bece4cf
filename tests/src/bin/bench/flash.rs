//! FLASH under load: how long one takes from being submitted to its verified receipt, while routine notices, 1,024 of them
//! unanswered at each moment, and a file of 1 GiB saturate the link and both disks.

use crate::attachment;
use crate::daemons::Pair;
use crate::load;
use crate::results::{Results, length, number, percentile};
use crate::{Bench, Failure};
use aldis_control::{Client, DeliveryState, MessageId, Precedence};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many routine notices are unanswered at each moment.
const IN_FLIGHT: usize = 1_024;
/// How many of them are answered before the first FLASH, so that the load is under way.
const UNDER_WAY: u64 = 2 * 1_024;
/// How often it is looked how much of the file has arrived.
const LOOK: Duration = Duration::from_millis(100);
/// From one FLASH to the next, unless it took longer.
const EVERY: Duration = Duration::from_millis(20);

/// Each run has daemons of its own.
pub(crate) async fn measure(bench: &Bench, results: &mut Results) -> Result<(), Failure> {
    for run in 0..bench.runs {
        bench.progress("flash beside bulk and a file", run);
        let dir = bench.run_dir()?;
        let pair = Pair::start(&bench.daemon, dir.path()).await?;
        results.add("flash", Some(("bulk_in_flight", 1_024)), &once(bench, &pair).await?);
        pair.stop().await?;
    }
    Ok(())
}

async fn once(bench: &Bench, pair: &Pair) -> Result<Vec<(&'static str, f64)>, Failure> {
    let client = &pair.br.client();
    let file = attachment::hand_in(client).await?;
    let (over, under_way) = (Arc::new(AtomicBool::new(false)), Arc::new(tokio::sync::Notify::new()));
    let line = load::line(&load::notice(&["cert.cl"], Precedence::Routine));
    let (ends, told, sender, begun) = (Arc::clone(&over), Arc::clone(&under_way), client.clone(), Instant::now());
    let beside = tokio::spawn(async move {
        let next = |number| {
            if number == UNDER_WAY {
                told.notify_one();
            }
            (!ends.load(Ordering::Relaxed)).then(|| line.clone())
        };
        load::bulk(&sender, IN_FLIGHT, DeliveryState::Stored, next).await.map(|loaded| loaded.latencies_us.len())
    });
    // A load that ends before it is under way failed, and says why below.
    tokio::time::timeout(Duration::from_secs(60), under_way.notified()).await?;
    let message = attachment::send(client, file).await?;
    let (sent, arrived, at_most) = (Instant::now(), Arc::new(AtomicU64::new(0)), bench.length);
    let came = Arc::clone(&arrived);
    let last = move || sent.elapsed() < at_most && came.load(Ordering::Relaxed) < attachment::FILE_MIB << 20;
    let (officer, recipient) = (pair.br.client(), pair.cl.client());
    let (flashes, ()) =
        tokio::join!(apart(flashes(officer, last.clone())), look_at_file(&recipient, &message, &arrived, last));
    let file_mb_per_s = number(arrived.load(Ordering::Relaxed)) / 1_000_000.0 / sent.elapsed().as_secs_f64();
    over.store(true, Ordering::Relaxed);
    let routine = beside.await??;
    let routine_per_s = length(routine) / begun.elapsed().as_secs_f64();
    let mut took_us = flashes?;
    took_us.sort_unstable();
    let ms = |percent| number(percentile(&took_us, percent)) / 1_000.0;
    Ok(vec![
        ("p50_ms", ms(50)),
        ("p99_ms", ms(99)),
        ("max_ms", ms(100)),
        ("flashes", length(took_us.len())),
        ("routine_per_s", routine_per_s),
        ("file_mb_per_s", file_mb_per_s),
    ])
}

/// Does something on a thread of its own, as a person's own program would: how long this program, which is busy with the load,
/// takes to hear of an answer is no time that a FLASH takes.
async fn apart<T: Send + 'static>(
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    let alone = || tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work);
    tokio::task::spawn_blocking(alone).await?
}

/// Looks from time to time how much of the file has arrived.
async fn look_at_file(recipient: &Client, message: &MessageId, arrived: &AtomicU64, go_on: impl Fn() -> bool) {
    let mut looks = tokio::time::interval(LOOK);
    while go_on() {
        looks.tick().await;
        if let Some(bytes) = attachment::arrived_bytes(recipient, message).await {
            arrived.store(bytes, Ordering::Relaxed);
        }
    }
}

/// Sends one FLASH after the other, each as a person would, and says how many microseconds each took.
async fn flashes(client: Client, go_on: impl Fn() -> bool) -> Result<Vec<u64>, Failure> {
    let flash = load::notice(&["cert.cl"], Precedence::Flash);
    let mut took_us = Vec::new();
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while go_on() {
        every.tick().await;
        let submitted = Instant::now();
        let sent = client.send(&flash).await?;
        took_us.push(u64::try_from(submitted.elapsed().as_micros())?);
        if sent.messages.iter().any(|message| message.state != DeliveryState::Stored) {
            return Err(format!("the FLASH is not stored: {sent:?}").into());
        }
    }
    Ok(took_us)
}
