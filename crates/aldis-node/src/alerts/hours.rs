//! Whether somebody on the ladder is on duty at every moment of the coming year, asked each day: holidays that were given
//! for this year say nothing about the next, and nobody looks at a calendar that has always been right.

use crate::clock::Clock;
use crate::event_loop::LoopHandle;
use aldis_core::input::Input;
use aldis_core::ladder::Ladder;
use aldis_wire::codec::Text;
use aldis_wire::codes::Code;
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// Raises an alarm for as long as the ladder has a gap, until the node stops.
pub(super) async fn watch(ladder: Arc<Ladder>, clock: Clock, node: LoopHandle) {
    loop {
        let (looked_at, now) = (Arc::clone(&ladder), clock.wall());
        // Every change of hours in a year takes a moment.
        let checked = tokio::task::spawn_blocking(move || looked_at.check(now)).await;
        let text = match checked {
            Ok(Err(fault)) => Some(Text::cut(&format!("{fault} (aldisd.toml, [[ladder]] and [[calendars]])"))),
            Ok(Ok(())) | Err(_) => None,
        };
        let alarm = Input::NodeAlarm { code: Code::known("ladder-gap"), peer: None, text };
        if node.input(alarm).await.is_err() {
            return;
        }
        tokio::time::sleep(DAY).await;
    }
}
