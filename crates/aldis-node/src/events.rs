//! Happenings, told to whoever watches: the event stream, and requests that wait for one envelope to be stored. What is
//! told here is already journalled. A slow listener loses events and is told so; it never holds anything up.

use aldis_core::effect::{Delivery, Happening};
use aldis_wire::ids::{EnvelopeId, UnixMillis};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{broadcast, oneshot};

/// How many events a listener may lag, and how many are kept for one that comes back.
pub const KEPT_EVENTS: usize = 4_096;
/// How many requests may wait for a receipt at once.
const WAITERS_MAX: usize = 65_536;
/// How many more are turned away before those that have given up are looked for again: the loop's thread looks for them.
const TURNED_AWAY: usize = 1_024;

/// One event.
#[derive(Clone, Debug)]
pub struct Told {
    /// Counts the events of this run from 1.
    pub number: u64,
    /// When.
    pub at: UnixMillis,
    /// What.
    pub happening: Happening,
}

/// The place where events are told.
#[derive(Clone, Debug)]
pub struct Events {
    live: broadcast::Sender<Arc<Told>>,
    kept: Arc<Mutex<Kept>>,
    waiters: Arc<Mutex<Waiters>>,
}

#[derive(Debug, Default)]
struct Waiters {
    by_envelope: HashMap<EnvelopeId, oneshot::Sender<Delivery>>,
    /// How many are still turned away without looking who has given up.
    turned_away: usize,
}

#[derive(Debug, Default)]
struct Kept {
    last: u64,
    events: VecDeque<Arc<Told>>,
}

impl Events {
    /// A place where nothing was told yet.
    pub fn new() -> Self {
        Self { live: broadcast::channel(KEPT_EVENTS).0, kept: Arc::default(), waiters: Arc::default() }
    }

    /// Tells an event.
    pub fn tell(&self, at: UnixMillis, happening: Happening) {
        if let Happening::Delivery(id, delivery) = &happening
            && ends_waiting(delivery)
            && let Some(waiter) = lock(&self.waiters).by_envelope.remove(id)
        {
            // Whoever waited may have given up; that is theirs to know.
            let _gone = waiter.send(delivery.clone());
        }
        let mut kept = lock(&self.kept);
        kept.last += 1;
        let told = Arc::new(Told { number: kept.last, at, happening });
        if kept.events.len() == KEPT_EVENTS {
            kept.events.pop_front();
        }
        kept.events.push_back(Arc::clone(&told));
        // Sent under the lock, so that `listen` neither misses nor repeats one. No listener is no error.
        let _listeners = self.live.send(told);
    }

    /// The kept events after number `after`, and all that come.
    pub fn listen(&self, after: Option<u64>) -> (Vec<Arc<Told>>, broadcast::Receiver<Arc<Told>>) {
        let kept = lock(&self.kept);
        let missed =
            after.map_or(Vec::new(), |after| kept.events.iter().filter(|told| told.number > after).cloned().collect());
        (missed, self.live.subscribe())
    }

    /// How many listen at this moment.
    pub fn listeners(&self) -> usize {
        self.live.receiver_count()
    }

    /// Becomes ready when the envelope is stored at the peer, or will never be. Ask before the envelope can have got that
    /// far. `None` if too many wait already.
    pub fn stored(&self, id: EnvelopeId) -> Option<oneshot::Receiver<Delivery>> {
        let mut waiters = lock(&self.waiters);
        if !waiters.have_room() {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        waiters.by_envelope.insert(id, sender);
        Some(receiver)
    }
}

impl Waiters {
    /// Whether one more may wait.
    fn have_room(&mut self) -> bool {
        if self.by_envelope.len() < WAITERS_MAX {
            return true;
        }
        if self.turned_away > 0 {
            self.turned_away -= 1;
            return false;
        }
        self.by_envelope.retain(|_, waiter| !waiter.is_closed());
        if self.by_envelope.len() + TURNED_AWAY > WAITERS_MAX {
            self.turned_away = TURNED_AWAY;
        }
        self.by_envelope.len() < WAITERS_MAX
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

fn ends_waiting(delivery: &Delivery) -> bool {
    !matches!(delivery, Delivery::Submitted | Delivery::Relayed)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aldis_wire::ids::{NodeId, Seq};
    use aldis_wire::lane::Lane;

    #[test]
    fn i7_those_who_wait_are_bounded_and_whoever_gave_up_makes_room() {
        let events = Events::new();
        let id = |place: usize| EnvelopeId {
            from: NodeId::new("cert.br").unwrap(),
            to: NodeId::new("cert.cl").unwrap(),
            lane: Lane::Routine,
            seq: Seq::new(place as u64 + 1).unwrap(),
        };
        let mut waiting: Vec<_> = (0..WAITERS_MAX).map(|place| events.stored(id(place)).unwrap()).collect();
        assert!(events.stored(id(WAITERS_MAX)).is_none());
        waiting.truncate(1);
        let tries = (0..=TURNED_AWAY).filter(|_| events.stored(id(WAITERS_MAX)).is_none()).count();
        assert_eq!(tries, TURNED_AWAY, "they are looked for again, and not each time");
        events.tell(UnixMillis::new(1), Happening::Delivery(id(0), Delivery::Stored));
        assert_eq!(waiting[0].try_recv(), Ok(Delivery::Stored), "whoever still waits has kept the place");
    }
}
