//! Alarms about what the node finds of its own disk when it starts.

use crate::event_loop::{LoopHandle, RequestError};
use crate::journal;
use crate::log::LogHandle;
use aldis_core::input::Input;
use aldis_wire::codec::Text;
use aldis_wire::codes::Code;

/// Raises an alarm for as long as the message log is not whole.
pub(super) async fn alarm_about_log(log: LogHandle, handle: LoopHandle) {
    let mut status = log.watch_status();
    drop(log);
    loop {
        let text = status.borrow_and_update().alarm().map(|text| Text::cut(&text));
        let alarm = Input::NodeAlarm { code: Code::known("log-incomplete"), peer: None, text };
        if handle.input(alarm).await.is_err() || status.changed().await.is_err() {
            return;
        }
    }
}

/// Damage before the last snapshot does not stop a node, but it is an alarm until it is mended.
pub(super) async fn report_damage(handle: &LoopHandle, findings: &[journal::Finding]) {
    let text = findings.first().map(|first| {
        Text::cut(&format!(
            "{} place(s) of the journal's past are damaged, first: {first}; run `aldis verify`",
            findings.len()
        ))
    });
    let alarm = Input::NodeAlarm { code: Code::known("journal-degraded"), peer: None, text };
    if let Err(RequestError::Stopping | RequestError::Declined(_)) = handle.input(alarm).await {
        tracing::warn!("the loop ended before it could raise the alarm about the journal");
    }
}
