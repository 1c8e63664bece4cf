//! One notice to all peers: from handing it in until the receipts of all of them are verified and on the sender's disk.

use crate::crowd::{self, Crowd};
use crate::{Bench, Failure, daemons, load, machine, results::Results};
use aldis_control::{DeliveryState, Precedence};
use std::time::Instant;

/// A first notice, which is not counted, goes before the others.
pub(crate) async fn measure(bench: &Bench, crowd: &Crowd, results: &mut Results) -> Result<(), Failure> {
    once(crowd).await?;
    for run in 0..bench.runs {
        bench.progress("fanout", run);
        results.add("fanout", crowd::SETTING, &once(crowd).await?);
    }
    results.add("fanout", crowd::SETTING, &[("enrolment_ms", crowd.enrolment_ms)]);
    Ok(())
}

async fn once(crowd: &Crowd) -> Result<Vec<(&'static str, f64)>, Failure> {
    let ids = Crowd::ids();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let notice = load::notice(&ids, Precedence::Priority);
    let pid = daemons::pid(&crowd.node)?;
    let (cpu_before, begun) = (machine::cpu_seconds(pid)?, Instant::now());
    let sent = crowd.node.client().send(&notice).await?;
    let all_receipts_ms = begun.elapsed().as_secs_f64() * 1_000.0;
    if sent.messages.len() != ids.len() || sent.messages.iter().any(|message| message.state != DeliveryState::Stored) {
        return Err("not all peers have stored the notice".into());
    }
    let sender_cpu_ms = (machine::cpu_seconds(pid)? - cpu_before) * 1_000.0;
    Ok(vec![("all_receipts_ms", all_receipts_ms), ("sender_cpu_ms", sender_cpu_ms)])
}
