//! The bare limits: the least program that does on this machine what two nodes must do, without a product around it. What
//! is not here is what Aldis adds: lanes, credit, the core's decisions, the message log, the control API.
//!
//! The sender links headers by digest, signs them per batch with a Merkle path each, appends envelopes to its journal and
//! syncs it, and sends them over mutual TLS 1.3. The receiver verifies each and its link, appends and syncs, and sends one
//! signed cumulative receipt per commit. The sender verifies that, appends and syncs it; then the notices are done. Both
//! journals are Merkle trees of their records. Each stage is a thread that takes whatever is there, so that commits grow
//! with load alone.

mod channel;
mod journal;
mod receiver;
mod sender;

use crate::results::{Results, length, number, percentile};
use crate::{Bench, Failure, machine, pair};
use aldis_wire::ids::NodeId;
use aldis_wire::signing::IdentityKey;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// The length of a body, as of the notices that the daemons are measured with.
const BODY_BYTES: usize = 1_024;
/// How many messages a stage takes at once.
const TAKEN_MAX: usize = 512;
/// How many pieces of work may wait between two stages.
const WAITING_MAX: usize = 1_024;

/// The two ends of the job.
struct Ends {
    sender: NodeId,
    receiver: NodeId,
    sender_key: IdentityKey,
    receiver_key: IdentityKey,
}

/// Takes them once for each number in flight and each run.
pub(crate) fn measure(bench: &Bench, results: &mut Results) -> Result<(), Failure> {
    (0..bench.runs).try_for_each(|run| measure_once(bench, run, results))
}

/// Takes them once for each number in flight.
pub(crate) fn measure_once(bench: &Bench, run: u32, results: &mut Results) -> Result<(), Failure> {
    for in_flight in pair::IN_FLIGHT {
        bench.progress(&format!("limits, {in_flight} in flight"), run);
        let dir = bench.run_dir()?;
        let figures = once(dir.path(), usize::try_from(in_flight)?, &Until::Elapsed(bench.length))?;
        results.add("limits", Some(("in_flight", in_flight)), &figures);
    }
    Ok(())
}

/// When no more notices are made.
enum Until {
    Elapsed(Duration),
    #[cfg_attr(not(test), expect(dead_code, reason = "a test wants to know how many there were"))]
    Count(u64),
}

impl Until {
    fn is_over(&self, begun: Instant, made: u64) -> bool {
        match self {
            Self::Elapsed(length) => begun.elapsed() >= *length,
            Self::Count(count) => made >= *count,
        }
    }
}

fn once(dir: &Path, in_flight: usize, until: &Until) -> Result<Vec<(&'static str, f64)>, Failure> {
    let own = std::process::id();
    let links = channel::Links::open()?;
    let ends = Ends {
        sender: NodeId::new("cert.br")?,
        receiver: NodeId::new("cert.cl")?,
        sender_key: IdentityKey::from_seed(&aldis_node::clock::random()),
        receiver_key: IdentityKey::from_seed(&aldis_node::clock::random()),
    };
    let [outgoing, incoming, receipts] =
        ["outgoing", "incoming", "receipts"].map(|name| journal::Journal::new(dir, name));
    let (outgoing, incoming, receipts) = (outgoing?, incoming?, receipts?);
    let window = sender::Window::new(in_flight);
    let (to_commit, drafts) = sync_channel(WAITING_MAX);
    let (to_store, verified) = sync_channel(WAITING_MAX);
    let (cpu_before, begun) = (machine::cpu_seconds(own)?, Instant::now());
    let latencies_us = thread::scope(|scope| {
        let stages = [
            scope.spawn(|| sender::draft(&window, until, begun, to_commit)),
            scope.spawn(|| sender::commit(&ends, drafts, outgoing, links.notices_out)),
            scope.spawn(|| receiver::verify(&ends, links.notices_in, to_store)),
            scope.spawn(|| receiver::commit(&ends, verified, incoming, links.receipts_out)),
        ];
        let latencies_us = sender::take_receipts(&ends, links.receipts_in, receipts, &window);
        // A stage that failed has ended those behind it, and is who knows why.
        for stage in stages {
            stage.join().map_err(|_| "a stage of the bare job panicked")??;
        }
        latencies_us
    });
    let mut latencies_us = latencies_us?;
    if latencies_us.is_empty() || window.made() != u64::try_from(latencies_us.len())? {
        return Err(format!("{} of {} notices were receipted", latencies_us.len(), window.made()).into());
    }
    let elapsed_s = begun.elapsed().as_secs_f64();
    let cpu_s = machine::cpu_seconds(own)? - cpu_before;
    latencies_us.sort_unstable();
    let count = length(latencies_us.len());
    let at = |percent| number(percentile(&latencies_us, percent));
    let figures = [count / elapsed_s, at(50), at(99), cpu_s * 1_000.0 / count];
    Ok(["notices_per_s", "p50_us", "p99_us", "cpu_s_per_1000"].into_iter().zip(figures).collect())
}

/// Waits for work and takes what else is there, up to a bound. `None` when the stage before has ended.
fn taken<T>(waiting: &Receiver<T>) -> Option<Vec<T>> {
    let mut taken = vec![waiting.recv().ok()?];
    taken.extend(waiting.try_iter().take(TAKEN_MAX - 1));
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bare_job_ends_with_every_notice_receipted() {
        let dir = tempfile::tempdir().unwrap();
        for in_flight in [1, 32] {
            let figures = once(dir.path(), in_flight, &Until::Count(100)).unwrap();
            assert!(figures.iter().all(|(_, value)| value.is_finite()), "{figures:?}");
            assert!(figures[0].1 > 0.0 && figures[1].1 > 0.0 && figures[2].1 >= figures[1].1, "{figures:?}");
        }
    }
}
