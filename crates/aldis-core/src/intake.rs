//! How fast a peer may send for long: a bucket of bytes for FLASH and one for the other lanes. What comes fills it, time
//! empties it. Over a full bucket no more credit is given, so the peer waits with what it has; nothing is lost or refused
//! by that, and its FLASH never waits for the rest.

use aldis_wire::lane::Lane;

/// How fast each peer may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intake {
    /// How many bytes of envelopes a second for long, in FLASH and in the other lanes each.
    pub bytes_per_s: u64,
    /// How many bytes at once before that counts.
    pub burst_bytes: u64,
}

impl Default for Intake {
    fn default() -> Self {
        Self { bytes_per_s: 1 << 20, burst_bytes: 64 << 20 }
    }
}

/// The buckets of one peer. They outlive its links, so that coming again brings nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Buckets {
    flash: Bucket,
    rest: Bucket,
    /// Whether credit was withheld and has to be given when the time comes.
    pub(crate) withheld: bool,
}

/// Thousandths of a byte, so that no millisecond is lost to rounding.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    filled: u64,
    at_ms: u64,
}

impl Buckets {
    /// Counts what came; gives whether it is still within `overdraft` bytes over a full bucket: the credit that was given
    /// before the bucket was full.
    pub(crate) fn take(&mut self, intake: &Intake, lane: Lane, bytes: u64, overdraft: u64, now_ms: u64) -> bool {
        let bucket = self.of_mut(lane);
        bucket.filled = bucket.level(intake, now_ms).saturating_add(bytes.saturating_mul(1_000));
        bucket.at_ms = now_ms;
        bucket.filled <= thousandths(intake.burst_bytes.saturating_add(overdraft))
    }

    /// Whether a lane gets no more credit for now.
    pub(crate) fn is_over(&self, intake: &Intake, lane: Lane, now_ms: u64) -> bool {
        self.of(lane).level(intake, now_ms) > thousandths(intake.burst_bytes)
    }

    /// Whether no bucket is more than half full.
    pub(crate) fn has_rested(&self, intake: &Intake, now_ms: u64) -> bool {
        [self.flash, self.rest].iter().all(|bucket| bucket.level(intake, now_ms) <= thousandths(intake.burst_bytes / 2))
    }

    /// When the first bucket that is over is not any more.
    pub(crate) fn next_ms(&self, intake: &Intake, now_ms: u64) -> Option<u64> {
        let wait = |bucket: &Bucket| bucket.wait_ms(intake, intake.burst_bytes, now_ms);
        [self.flash, self.rest].iter().filter_map(wait).min().map(|wait_ms| now_ms.saturating_add(wait_ms))
    }

    /// When no bucket is more than half full any more; now, if none is.
    pub(crate) fn rested_ms(&self, intake: &Intake, now_ms: u64) -> u64 {
        let wait = |bucket: &Bucket| bucket.wait_ms(intake, intake.burst_bytes / 2, now_ms);
        now_ms.saturating_add([self.flash, self.rest].iter().filter_map(wait).max().unwrap_or(0))
    }

    fn of(&self, lane: Lane) -> &Bucket {
        if lane == Lane::Flash { &self.flash } else { &self.rest }
    }

    fn of_mut(&mut self, lane: Lane) -> &mut Bucket {
        if lane == Lane::Flash { &mut self.flash } else { &mut self.rest }
    }
}

impl Bucket {
    fn level(&self, intake: &Intake, now_ms: u64) -> u64 {
        self.filled.saturating_sub(now_ms.saturating_sub(self.at_ms).saturating_mul(intake.bytes_per_s))
    }

    /// How long until it holds no more than `bytes`; `None` if it does not.
    fn wait_ms(&self, intake: &Intake, bytes: u64, now_ms: u64) -> Option<u64> {
        let over = self.level(intake, now_ms).checked_sub(thousandths(bytes)).filter(|over| *over > 0)?;
        Some(over.div_ceil(intake.bytes_per_s.max(1)))
    }
}

fn thousandths(bytes: u64) -> u64 {
    bytes.saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTAKE: Intake = Intake { bytes_per_s: 1_000, burst_bytes: 10_000 };

    #[test]
    fn i7_a_bucket_is_full_after_its_burst_and_empties_by_the_millisecond() {
        let mut buckets = Buckets::default();
        assert!(buckets.take(&INTAKE, Lane::Routine, 10_000, 0, 5));
        assert!(!buckets.is_over(&INTAKE, Lane::Routine, 5) && buckets.next_ms(&INTAKE, 5).is_none());
        assert!(buckets.take(&INTAKE, Lane::Priority, 3, 3, 5), "within what was allowed before");
        assert!(!buckets.take(&INTAKE, Lane::Priority, 1, 3, 5), "and not beyond it");
        assert!(buckets.is_over(&INTAKE, Lane::Immediate, 5), "all lanes but FLASH share one");
        assert_eq!(buckets.next_ms(&INTAKE, 5), Some(9));
        assert!(buckets.is_over(&INTAKE, Lane::Routine, 8) && !buckets.is_over(&INTAKE, Lane::Routine, 9));
        assert_eq!(buckets.rested_ms(&INTAKE, 9), 5_009);
        assert!(!buckets.has_rested(&INTAKE, 5_008) && buckets.has_rested(&INTAKE, 5_009));
    }

    #[test]
    fn i14_a_flood_in_the_other_lanes_takes_nothing_from_flash() {
        let mut buckets = Buckets::default();
        buckets.take(&INTAKE, Lane::Routine, 1_000_000, 0, 0);
        assert!(!buckets.is_over(&INTAKE, Lane::Flash, 0));
        buckets.take(&INTAKE, Lane::Flash, 10_001, 0, 0);
        assert!(buckets.is_over(&INTAKE, Lane::Flash, 0));
        assert_eq!(buckets.next_ms(&INTAKE, 0), Some(1));
    }
}
