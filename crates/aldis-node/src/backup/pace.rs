//! How much of a core a backup takes: a fifth at most, so that messages do not wait for it.

use crate::clock::Clock;
use std::time::Duration;

/// After how much work it pauses; shorter pieces are not worth the timer.
const WORK_MS: u64 = 5;
/// How much longer than the work before it a pause is.
const PAUSE_SHARE: u64 = 4;
/// The longest pause, after a disk that answered slowly.
const PAUSE_MAX_MS: u64 = 2_000;

/// Keeps a backup to its share.
pub(crate) struct Pace {
    clock: Clock,
    worked_since_ms: u64,
}

impl Pace {
    /// Begins now.
    pub(crate) fn new(clock: Clock) -> Self {
        Self { worked_since_ms: clock.monotonic_ms(), clock }
    }

    /// Pauses if it is time.
    pub(crate) fn keep(&mut self) {
        let worked_ms = self.clock.monotonic_ms().saturating_sub(self.worked_since_ms);
        if worked_ms >= WORK_MS {
            std::thread::sleep(Duration::from_millis((worked_ms * PAUSE_SHARE).min(PAUSE_MAX_MS)));
            self.worked_since_ms = self.clock.monotonic_ms();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_fifths_of_the_time_are_pauses() {
        let clock = Clock::system();
        let (mut pace, began, mut worked_ms) = (Pace::new(clock.clone()), clock.monotonic_ms(), 0);
        for _ in 0..5 {
            let begun = clock.monotonic_ms();
            while clock.monotonic_ms() < begun + 2 * WORK_MS {
                std::hint::spin_loop();
            }
            worked_ms += clock.monotonic_ms() - begun;
            pace.keep();
        }
        let all_ms = clock.monotonic_ms() - began;
        assert!(all_ms >= worked_ms * (PAUSE_SHARE + 1), "{worked_ms} of {all_ms} ms are work");
    }
}
