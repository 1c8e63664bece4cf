//! A backlog: the memory of a node that holds many notices for a peer that is down.

use crate::daemons::{self, Pair};
use crate::load;
use crate::results::{Results, number};
use crate::{Bench, Failure, machine};
use aldis_control::{DeliveryState, Precedence};

/// How many notices are queued in a full run.
const FULL: u64 = 1_000_000;
/// How many otherwise.
const SHORT: u64 = 50_000;
/// How many are without an answer at each moment while they are handed in.
const IN_FLIGHT: usize = 1_024;

/// Each run has daemons of its own.
pub(crate) async fn measure(bench: &Bench, results: &mut Results) -> Result<(), Failure> {
    let count = if bench.full { FULL } else { SHORT };
    for run in 0..bench.runs {
        bench.progress(&format!("queued, {count} notices for a peer that is down"), run);
        let dir = bench.run_dir()?;
        results.add("queued", Some(("notices", count)), &once(bench, dir.path(), count).await?);
    }
    Ok(())
}

async fn once(bench: &Bench, dir: &std::path::Path, count: u64) -> Result<Vec<(&'static str, f64)>, Failure> {
    let mut pair = Pair::start(&bench.daemon, dir).await?;
    pair.cl.stop().await?;
    let pid = daemons::pid(&pair.br)?;
    let before_mib = machine::resident_mib(pid)?;
    let mut notice = load::notice(&["cert.cl"], Precedence::Routine);
    (notice.wait, notice.wait_ms) = (None, None);
    let line = load::line(&notice);
    let next = |number| (number < count).then(|| line.clone());
    let loaded = load::bulk(&pair.br.client(), IN_FLIGHT, DeliveryState::Submitted, next).await?;
    let status = pair.br.client().status().await?;
    if status.waiting_out != count {
        return Err(format!("{} of {count} notices wait", status.waiting_out).into());
    }
    let at_once_mib = machine::resident_mib(pid)?;
    if let Some(last) = &loaded.last {
        // The state of these stays `submitted`, so that it is enough for the log to have them.
        let query = aldis_control::MessageQuery { id: last.to_string() };
        let client = pair.br.client();
        let applied = async || client.message(&query).await.is_ok();
        daemons::eventually("the log has the backlog", std::time::Duration::from_mins(30), applied).await?;
    }
    let after_mib = at_once_mib.max(machine::resident_mib(pid)?);
    pair.stop().await?;
    let per_notice_mib = (after_mib - before_mib) / number(count);
    let mut figures = vec![("resident_mib", after_mib), ("bytes_per_notice", per_notice_mib * 1_048_576.0)];
    if count != FULL {
        figures.push(("scaled_to_a_million_mib", before_mib + per_notice_mib * number(FULL)));
    }
    Ok(figures)
}
