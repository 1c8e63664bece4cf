//! The right of way that a FLASH has on a node: while one is on its way, from this node or to it, whatever keeps processor,
//! disk and link busy and can wait stands still for a moment. New lines of bulk submissions wait, and chunks of files, and
//! what is written of them; commits stay short (I14).
//!
//! Nobody waits for long: a FLASH holds the way for a moment only, and over time the way is free for as long as it was held,
//! so that neither a flood of FLASH nor a peer that answers none keeps anything from going on (I7). Nothing is decided here,
//! and nothing is lost: who stands still goes on with what it has.

use crate::clock::Clock;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How long a FLASH holds the way at most, in milliseconds: several times what one takes where nothing else is done.
const HOLD_MS: u64 = 20;

/// For how long in all the way is held at most, where many FLASH follow each other, before it is free for as long as it is
/// held.
const SPARE_MAX_MS: u64 = 200;

/// Who has the right of way on a node; clones share it.
#[derive(Clone, Debug)]
pub struct RightOfWay {
    clock: Clock,
    held: Arc<Mutex<Held>>,
    freed: Arc<Notify>,
    /// The same for threads.
    freed_for_threads: Arc<Condvar>,
}

/// Times are those of the monotonic clock, in milliseconds.
#[derive(Debug)]
struct Held {
    until_ms: u64,
    /// For how long it may be held, as of `at_ms`.
    spare_ms: u64,
    at_ms: u64,
}

impl RightOfWay {
    /// A way that is free.
    pub fn new(clock: Clock) -> Self {
        let at_ms = clock.monotonic_ms();
        let held = Held { until_ms: at_ms, spare_ms: SPARE_MAX_MS, at_ms };
        Self { clock, held: Arc::new(Mutex::new(held)), freed: Arc::default(), freed_for_threads: Arc::default() }
    }

    /// A FLASH is on its way.
    pub(crate) fn take(&self) {
        let mut held = self.lock();
        held.take(self.clock.monotonic_ms());
    }

    /// None is any more.
    pub(crate) fn give_back(&self) {
        let was_held = {
            let mut held = self.lock();
            held.give_back(self.clock.monotonic_ms())
        };
        if was_held {
            self.freed.notify_waiters();
            self.freed_for_threads.notify_all();
        }
    }

    /// Whether what can wait stands still now.
    pub(crate) fn is_taken(&self) -> bool {
        self.left().is_some()
    }

    /// Waits until the way is free.
    pub(crate) async fn free(&self) {
        loop {
            // Begun before the look, so that who gives it back in between is heard.
            let freed = self.freed.notified();
            let Some(left) = self.left() else { return };
            // That it was given back is seen by the next look.
            let _elapsed = tokio::time::timeout(left, freed).await;
        }
    }

    /// Has a thread wait until the way is free.
    pub(crate) fn wait_until_free(&self) {
        let mut held = self.lock();
        while let Some(left) = held.left(self.clock.monotonic_ms()) {
            let freed = self.freed_for_threads.wait_timeout(held, left);
            (held, _) = freed.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn left(&self) -> Option<Duration> {
        self.lock().left(self.clock.monotonic_ms())
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// For how long it is held from now on.
    fn left(&self, now_ms: u64) -> Option<Duration> {
        let left_ms = self.until_ms.saturating_sub(now_ms);
        (left_ms > 0).then(|| Duration::from_millis(left_ms))
    }

    fn take(&mut self, now_ms: u64) {
        self.settle(now_ms);
        self.until_ms = self.until_ms.max(now_ms + HOLD_MS.min(self.spare_ms));
    }

    /// Whether it was held.
    fn give_back(&mut self, now_ms: u64) -> bool {
        self.settle(now_ms);
        let was_held = self.until_ms > now_ms;
        self.until_ms = self.until_ms.min(now_ms);
        was_held
    }

    /// The time since the last look is taken from what is spare where the way was held, and added where it was free.
    fn settle(&mut self, now_ms: u64) {
        let passed_ms = now_ms - self.at_ms;
        let held_ms = self.until_ms.saturating_sub(self.at_ms).min(passed_ms);
        self.spare_ms = (self.spare_ms + (passed_ms - held_ms)).saturating_sub(held_ms).min(SPARE_MAX_MS);
        self.at_ms = now_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held_of(flashes: impl IntoIterator<Item = u64>, through_ms: u64) -> Vec<u64> {
        let mut held = Held { until_ms: 0, spare_ms: SPARE_MAX_MS, at_ms: 0 };
        let mut flashes = flashes.into_iter().peekable();
        let is_held = |now_ms: &u64| {
            while flashes.next_if_eq(now_ms).is_some() {
                held.take(*now_ms);
            }
            held.until_ms > *now_ms
        };
        (0..through_ms).filter(is_held).collect()
    }

    #[test]
    fn i14_a_flash_holds_the_way_for_a_moment() {
        assert_eq!(held_of([5], 1_000), (5..5 + HOLD_MS).collect::<Vec<_>>());
        assert_eq!(held_of([5, 10], 1_000), (5..10 + HOLD_MS).collect::<Vec<_>>());
        let mut held = Held { until_ms: 0, spare_ms: SPARE_MAX_MS, at_ms: 0 };
        held.take(7);
        assert!(held.give_back(9) && !held.give_back(9));
        assert_eq!((held.until_ms, held.spare_ms), (9, SPARE_MAX_MS - 2), "what was not needed stays spare");
    }

    #[test]
    fn i14_a_thread_that_waits_goes_on_when_the_way_is_given_back_or_was_held_for_long_enough() {
        let right_of_way = RightOfWay::new(Clock::system());
        right_of_way.wait_until_free();
        for gives_back in [true, false] {
            right_of_way.take();
            let waiting = right_of_way.clone();
            let thread = std::thread::spawn(move || waiting.wait_until_free());
            if gives_back {
                right_of_way.give_back();
            }
            thread.join().unwrap();
            assert!(!right_of_way.is_taken());
        }
    }

    #[test]
    fn i7_a_flood_of_flash_holds_the_way_half_of_the_time() {
        let through_ms = 100 * SPARE_MAX_MS;
        let held_ms = held_of(0..through_ms, through_ms).len() as u64;
        assert!((through_ms / 2..=through_ms / 2 + SPARE_MAX_MS).contains(&held_ms), "{held_ms} of {through_ms}");
        assert_eq!(
            held_of(0..SPARE_MAX_MS, SPARE_MAX_MS).len() as u64,
            SPARE_MAX_MS,
            "a few do not wait for each other"
        );
    }

    #[tokio::test]
    async fn i14_who_waits_goes_on_when_the_way_is_given_back_and_at_the_latest_when_its_time_is_over() {
        let way = RightOfWay::new(Clock::system());
        way.free().await;
        way.take();
        let started = tokio::time::Instant::now();
        assert!(way.is_taken());
        way.free().await;
        assert!(!way.is_taken() && started.elapsed() >= Duration::from_millis(HOLD_MS - 1));
        way.take();
        let waiting = tokio::spawn({
            let way = way.clone();
            async move { way.free().await }
        });
        way.give_back();
        waiting.await.unwrap();
        assert!(!way.is_taken());
    }
}
