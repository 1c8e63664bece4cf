//! The node's clocks and its random source: the only place that asks the operating system for either. Tests shift the
//! wall clock; nothing shifts the monotonic one, which also runs while the machine is suspended (`CLOCK_BOOTTIME`): what is
//! due meanwhile is due when it wakes.

use aldis_core::Moment;
use aldis_wire::ids::UnixMillis;
use rustix::time::{ClockId, clock_gettime};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};
use zeroize::Zeroize;

/// A clock; clones share their shift.
#[derive(Clone, Debug)]
pub struct Clock {
    /// When this clock was made, on the clock that counts since the machine booted.
    started: Duration,
    shift_ms: Arc<AtomicI64>,
}

impl Clock {
    /// The system's clocks.
    pub fn system() -> Self {
        Self { started: since_boot(), shift_ms: Arc::new(AtomicI64::new(0)) }
    }

    /// Moves the wall clock by `shift_ms` milliseconds against the system's, for tests.
    pub fn shift(&self, shift_ms: i64) {
        self.shift_ms.store(shift_ms, Ordering::Relaxed);
    }

    /// The wall clock. A clock before 1970 reads as 1970.
    pub fn wall(&self) -> UnixMillis {
        let since = self.system_time().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        UnixMillis::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// The wall clock, for libraries that want it in this form.
    #[expect(clippy::disallowed_methods, reason = "this is the module that may read the clock")]
    pub fn system_time(&self) -> SystemTime {
        let shift_ms = self.shift_ms.load(Ordering::Relaxed);
        let shift = Duration::from_millis(shift_ms.unsigned_abs());
        let now = SystemTime::now();
        let shifted = if shift_ms < 0 { now.checked_sub(shift) } else { now.checked_add(shift) };
        shifted.unwrap_or(now)
    }

    /// Milliseconds since this clock was made, those in which the machine was suspended included; never goes back.
    pub fn monotonic_ms(&self) -> u64 {
        let elapsed = since_boot().saturating_sub(self.started);
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }

    /// The monotonic clock's `at_ms` as an instant to wait for, at most `most` from now. Timers stand still while the
    /// machine is suspended, so whoever waits for a long time must look again now and then.
    pub fn instant(&self, at_ms: u64, most: Duration) -> Instant {
        let wait = Duration::from_millis(at_ms.saturating_sub(self.monotonic_ms()));
        Instant::now() + wait.min(most)
    }

    /// The moment of one input.
    pub fn moment(&self) -> Moment {
        Moment { wall: self.wall(), monotonic_ms: self.monotonic_ms(), entropy: random_for_each() }
    }
}

fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    // Neither part is ever negative on this clock.
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Random bytes from the operating system.
pub fn random<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    fill_random(&mut bytes);
    bytes
}

/// Random bytes for what is drawn for each message: a salt, the id of a case, the core's entropy. The operating system is
/// asked for many at once, because asking takes longer than what it gives. At most 64; keys are drawn with [`random`].
pub fn random_for_each<const BYTES: usize>() -> [u8; BYTES] {
    const { assert!(BYTES <= 64, "few are drawn at once") };
    DRAWN.with_borrow_mut(|drawn| {
        if drawn.used + BYTES > drawn.bytes.len() {
            fill_random(&mut drawn.bytes);
            drawn.used = 0;
        }
        let taken = &mut drawn.bytes[drawn.used..drawn.used + BYTES];
        let bytes = taken.try_into().expect("so many were taken");
        taken.zeroize();
        drawn.used += BYTES;
        bytes
    })
}

/// Random bytes that a thread has in store; those that were given away are wiped.
struct Drawn {
    bytes: [u8; DRAWN_BYTES],
    used: usize,
}

/// How many random bytes a thread asks for at once.
const DRAWN_BYTES: usize = 1_024;

thread_local! {
    static DRAWN: RefCell<Drawn> = const { RefCell::new(Drawn { bytes: [0; DRAWN_BYTES], used: DRAWN_BYTES }) };
}

/// Fills a piece of memory with random bytes of the operating system.
pub fn fill_random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system gives random bytes once it has booted");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_for_each_message_never_comes_twice() {
        let drawn: std::collections::BTreeSet<[u8; 24]> = (0..1_000).map(|_| random_for_each()).collect();
        assert_eq!(drawn.len(), 1_000);
        DRAWN.with_borrow(|store| {
            assert!(store.bytes[..store.used].iter().all(|byte| *byte == 0), "given away and kept")
        });
    }

    #[test]
    fn a_wait_is_for_what_is_left_and_never_longer_than_allowed() {
        let clock = Clock::system();
        let (before, most) = (Instant::now(), Duration::from_secs(1));
        assert!(clock.instant(0, most) <= Instant::now(), "what is past is due");
        assert!(clock.instant(u64::MAX, most) <= Instant::now() + most);
        let soon = clock.instant(clock.monotonic_ms() + 500, most);
        assert!(soon >= before + Duration::from_millis(400) && soon <= Instant::now() + Duration::from_millis(500));
    }

    #[test]
    fn the_clock_runs_with_the_time_since_the_machine_booted() {
        let clock = Clock { started: Duration::ZERO, shift_ms: Arc::default() };
        let text = std::fs::read_to_string("/proc/uptime").unwrap();
        let uptime_s: f64 = text.split_whitespace().next().unwrap().parse().unwrap();
        let boot_s = Duration::from_millis(clock.monotonic_ms()).as_secs_f64();
        // /proc/uptime counts suspended time too; CLOCK_MONOTONIC does not.
        assert!((boot_s - uptime_s).abs() < 5.0, "{boot_s} and {uptime_s}");
    }
}
