//! The channel `watch`: whoever has `aldis watch` open. It reaches somebody when the event stream of an operator, as the
//! rules stand at that moment, has taken the alert; that a stream is merely open is not enough.

use crate::events::Events;
use aldis_core::effect::Happening;
use aldis_core::ladder::{Alert, AlertId};
use aldis_wire::ids::UnixMillis;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a stream may take to take the alert.
const TAKE_LIMIT: Duration = Duration::from_secs(5);

/// Tells of alerts in the event stream, and knows who took them. Clones are the same.
#[derive(Clone, Debug)]
pub struct Bell {
    events: Events,
    waiting: Arc<Mutex<HashMap<AlertId, oneshot::Sender<()>>>>,
}

/// No operator's stream took the alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no operator has `aldis watch` open")]
pub struct NobodyWatches;

impl Bell {
    /// A bell in this event stream.
    pub fn new(events: Events) -> Self {
        Self { events, waiting: Arc::default() }
    }

    /// An operator's stream has taken an alert.
    pub fn heard(&self, alert: AlertId) {
        if let Some(waiting) = self.waiting().remove(&alert) {
            // Whoever waited may have given up.
            let _gone = waiting.send(());
        }
    }

    /// Rings, and waits until somebody has heard it.
    pub(crate) async fn ring(&self, at: UnixMillis, alert: Box<Alert>) -> Result<(), NobodyWatches> {
        let (id, (heard, hearing)) = (alert.id, oneshot::channel());
        {
            let mut waiting = self.waiting();
            // Whoever rang and was given up left its place behind (I7).
            waiting.retain(|_, other| !other.is_closed());
            waiting.insert(id, heard);
        }
        let somebody = self.events.listeners() > 0;
        // Told in any case: whoever comes back soon still sees it.
        self.events.tell(at, Happening::Alerted(alert));
        let taken = somebody && matches!(tokio::time::timeout(TAKE_LIMIT, hearing).await, Ok(Ok(())));
        self.waiting().remove(&id);
        if taken { Ok(()) } else { Err(NobodyWatches) }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<AlertId, oneshot::Sender<()>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::message::test_alert;
    use aldis_core::record::RecordSeq;
    use aldis_wire::ids::NodeId;

    #[tokio::test]
    async fn i7_alerts_that_were_given_up_leave_nothing_behind() {
        let (bell, at) = (Bell::new(Events::new()), UnixMillis::new(1));
        let (_kept, _live) = bell.events.listen(Some(0));
        for number in 0..10 {
            let mut alert = test_alert(&NodeId::new("cert.br").unwrap(), at, Vec::new());
            alert.id = AlertId(RecordSeq(number));
            tokio::select! {
                biased;
                _ = bell.ring(at, Box::new(alert)) => panic!("nobody has taken it"),
                () = std::future::ready(()) => {}
            }
        }
        assert_eq!(bell.waiting().len(), 1, "the latest alone");
    }
}
