//! The daemon pair: what a load of notices from one to the other comes to, with 1, 32 and 1,024 in flight. A run ends when
//! the message logs of both have applied it all, so that nothing is put off to after the end.

use crate::daemons::{self, Pair};
use crate::load;
use crate::results::{Results, length, number, percentile};
use crate::{Bench, Failure, limits, machine};
use aldis_control::{DeliveryState, Precedence};
use std::time::Instant;

/// How many notices are on their way at once.
pub(crate) const IN_FLIGHT: [u64; 3] = [1, 32, 1_024];

/// Each run has daemons of its own, and takes the bare limits in turn with them if they are asked for.
pub(crate) async fn measure(bench: &Bench, results: &mut Results) -> Result<(), Failure> {
    for run in 0..bench.runs {
        let dir = bench.run_dir()?;
        let pair = Pair::start(&bench.daemon, dir.path()).await?;
        for in_flight in IN_FLIGHT {
            bench.progress(&format!("pair, {in_flight} in flight"), run);
            let figures = once(bench, &pair, in_flight).await?;
            results.add("pair", Some(("in_flight", in_flight)), &figures);
        }
        pair.stop().await?;
        if bench.limits {
            limits::measure_once(bench, run, results)?;
        }
    }
    Ok(())
}

async fn once(bench: &Bench, pair: &Pair, in_flight: u64) -> Result<Vec<(&'static str, f64)>, Failure> {
    let line = load::line(&load::notice(&["cert.cl"], Precedence::Routine));
    let (cpu_before, begun) = (pair.cpu_seconds()?, Instant::now());
    let next = |_| (begun.elapsed() < bench.length).then(|| line.clone());
    let loaded = load::bulk(&pair.br.client(), usize::try_from(in_flight)?, DeliveryState::Stored, next).await?;
    let receipted_s = begun.elapsed().as_secs_f64();
    pair.caught_up(&loaded).await?;
    let applied_s = begun.elapsed().as_secs_f64();
    let cpu_s = pair.cpu_seconds()? - cpu_before;
    let count = length(loaded.latencies_us.len());
    let at = |percent| number(percentile(&loaded.latencies_us, percent));
    Ok(vec![
        ("notices_per_s", count / applied_s),
        ("receipted_per_s", count / receipted_s),
        ("p50_us", at(50)),
        ("p99_us", at(99)),
        ("cpu_s_per_1000", cpu_s * 1_000.0 / count),
        ("sender_resident_mib", machine::resident_mib(daemons::pid(&pair.br)?)?),
        ("receiver_resident_mib", machine::resident_mib(daemons::pid(&pair.cl)?)?),
    ])
}
