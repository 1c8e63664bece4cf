//! The node's clocks and its random source: the only place that asks the operating system for either. Tests shift the
//! wall clock; nothing shifts the monotonic one.

use aldis_core::Moment;
use aldis_wire::ids::UnixMillis;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// A clock; clones share their shift.
#[derive(Clone, Debug)]
pub struct Clock {
    started: Instant,
    shift_ms: Arc<AtomicI64>,
}

impl Clock {
    /// The system's clocks.
    pub fn system() -> Self {
        Self { started: Instant::now(), shift_ms: Arc::new(AtomicI64::new(0)) }
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

    /// Milliseconds since this clock was made; never goes back.
    pub fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The monotonic clock's `at_ms` as an instant to wait for.
    pub fn instant(&self, at_ms: u64) -> Instant {
        self.started + Duration::from_millis(at_ms)
    }

    /// The moment of one input.
    pub fn moment(&self) -> Moment {
        Moment { wall: self.wall(), monotonic_ms: self.monotonic_ms(), entropy: random() }
    }
}

/// Random bytes from the operating system.
pub fn random<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes once it has booted");
    bytes
}
