//! What is due when, towards one peer, on the clock that never goes back. It lives as long as the run: a start builds it
//! from what is open.

use super::{NextStep, Silence};
use aldis_wire::ids::{Seq, UnixMillis};
use aldis_wire::lane::Lane;
use std::collections::{BTreeMap, BTreeSet};

/// Something that must have happened by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Duty {
    /// The peer's machine receipts the oldest of our messages in this lane.
    Receipt(Lane),
    /// The peer's people, or the word of its node, answer this message of ours.
    Answer(Lane, Seq),
    /// Our people answer this message of the peer's.
    Attend(Lane, Seq),
}

impl Duty {
    /// The silence it is about, once it is late.
    pub(crate) fn silence(self) -> Silence {
        match self {
            Self::Receipt(_) => Silence::Undelivered,
            Self::Answer(..) => Silence::Sent,
            Self::Attend(..) => Silence::Received,
        }
    }
}

/// Duties by their time, in milliseconds of the monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    by_time: BTreeSet<(u64, Duty)>,
    times: BTreeMap<Duty, (u64, Wait)>,
}

/// What a time was computed from: since when which step is waited for.
pub(crate) type Wait = (UnixMillis, NextStep);

impl Agenda {
    /// Puts a duty down. A wait that runs already goes on, also where it has become longer or shorter meanwhile; another
    /// one takes its place, due at `due_ms`.
    pub(crate) fn set(&mut self, duty: Duty, wait: Wait, due_ms: u64) {
        let due_ms = match self.times.get(&duty) {
            Some((_, running)) if *running == wait => return,
            Some((running_ms, running)) if is_same(running, &wait) => {
                running_ms.saturating_add(wait.1.wait_ms).saturating_sub(running.1.wait_ms)
            }
            _ => due_ms,
        };
        if let Some((before_ms, _)) = self.times.insert(duty, (due_ms, wait)) {
            self.by_time.remove(&(before_ms, duty));
        }
        self.by_time.insert((due_ms, duty));
    }

    pub(crate) fn remove(&mut self, duty: Duty) {
        if let Some((due_ms, _)) = self.times.remove(&duty) {
            self.by_time.remove(&(due_ms, duty));
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The time of a duty.
    pub(crate) fn due_ms(&self, duty: Duty) -> Option<u64> {
        self.times.get(&duty).map(|(due_ms, _)| *due_ms)
    }

    /// The time of the first duty.
    pub(crate) fn first_ms(&self) -> Option<u64> {
        self.by_time.first().map(|(due_ms, _)| *due_ms)
    }

    /// Takes the duties whose time has come, in the order of their times, at most `most`.
    pub(crate) fn take_due(&mut self, now_ms: u64, most: usize) -> Vec<Duty> {
        let due: Vec<Duty> =
            self.by_time.iter().take_while(|(due_ms, _)| *due_ms <= now_ms).take(most).map(|(_, duty)| *duty).collect();
        for duty in &due {
            self.remove(*duty);
        }
        due
    }
}

/// Whether two waits are for the same, however long.
fn is_same((since, next): &Wait, (other_since, other): &Wait) -> bool {
    (since, next.cause, next.step) == (other_since, other.cause, other.step)
}

#[cfg(test)]
mod tests {
    use super::super::Cause;
    use super::*;

    #[test]
    fn a_duty_has_one_time_and_is_taken_once() {
        let mut agenda = Agenda::default();
        let [one, other] = [1, 2].map(|seq| Duty::Attend(Lane::Flash, Seq::new(seq).unwrap()));
        let wait = |since, step| (UnixMillis::new(since), NextStep { cause: Cause::Unacknowledged, step, wait_ms: 10 });
        agenda.set(one, wait(0, 1), 50);
        agenda.set(other, wait(0, 1), 20);
        agenda.set(one, wait(0, 1), 60);
        assert_eq!(agenda.first_ms(), Some(20));
        agenda.set(one, wait(0, 2), 10);
        assert_eq!(agenda.first_ms(), Some(10));
        let shorter = |wait_ms| (UnixMillis::new(0), NextStep { cause: Cause::Unacknowledged, step: 2, wait_ms });
        agenda.set(one, shorter(7), 1_000);
        assert_eq!(agenda.first_ms(), Some(7), "i8: terms that change do not begin a wait anew");
        agenda.set(one, shorter(10), 1_000);
        assert!(agenda.take_due(9, 8).is_empty());
        assert_eq!(agenda.take_due(20, 1), [one]);
        assert_eq!(agenda.take_due(20, 8), [other]);
        agenda.set(one, wait(0, 2), 5);
        agenda.remove(one);
        assert_eq!(agenda.first_ms(), None);
    }
}
