//! Probing: each channel is tried on its schedule, so that one that is broken is known before it is needed.

use super::channel::{DeliveryError, Line, Means};
use super::health::Health;
use crate::clock;
use std::sync::Arc;
use std::time::Duration;

/// The longest wait before the first probe of a run.
pub(super) const FIRST_PROBE: Duration = Duration::from_secs(60);

/// Probes a channel for as long as the node runs.
pub(super) async fn probe(line: Line, means: Arc<Means>, health: Health, first: Duration) {
    let mut wait = random_part(first);
    loop {
        tokio::time::sleep(wait).await;
        let name = &line.channel().name;
        match line.probe(&means).await {
            Ok(()) => {
                tracing::debug!(channel = name.as_str(), "the channel answers");
                health.note(name, means.clock.wall(), None);
            }
            // The alerts that it brings meanwhile say whether it works.
            Err(DeliveryError::Busy) => tracing::debug!(channel = name.as_str(), "the channel is busy; not probed"),
            Err(error) => {
                let why = error.to_string();
                tracing::warn!(channel = name.as_str(), why, "the channel fails");
                health.note(name, means.clock.wall(), Some(&why));
            }
        }
        // From nine tenths of the interval to all of it, so that channels do not come in step with each other or with
        // anything else.
        let every = line.channel().probe_every;
        wait = every.saturating_sub(random_part(every / 10));
    }
}

fn random_part(of: Duration) -> Duration {
    let share = f64::from(u32::from_be_bytes(clock::random())) / f64::from(u32::MAX);
    of.mul_f64(share)
}
