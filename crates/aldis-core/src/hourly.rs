//! How often something happened in the latest hour in which it did: what bounds a peer's machine where no terms do.

use aldis_wire::codec::{Decode, Encode};
use aldis_wire::ids::UnixMillis;

const HOUR_MS: u64 = 3_600_000;

/// A count that begins anew with each hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Hourly {
    /// The hour, since 1970.
    hour: u64,
    count: u32,
}

impl Hourly {
    /// How many there were in the hour of a time.
    pub(crate) fn in_hour(self, at: UnixMillis) -> u32 {
        let hour = at.get() / HOUR_MS;
        // A clock that went back a little begins no new hour; one that had jumped ahead must not lock the count for as long.
        if hour > self.hour || self.hour - hour > 1 { 0 } else { self.count }
    }

    /// Counts one more.
    pub(crate) fn count(&mut self, at: UnixMillis) {
        let (before, hour) = (self.in_hour(at), at.get() / HOUR_MS);
        self.hour = if before == 0 { hour } else { self.hour };
        self.count = before.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: u64) -> UnixMillis {
        UnixMillis::new(hours * HOUR_MS)
    }

    #[test]
    fn i7_a_count_holds_for_its_hour_whatever_the_clock_does() {
        let mut hourly = Hourly::default();
        for _ in 0..3 {
            hourly.count(at(1_000));
        }
        assert_eq!([999, 1_000, 1_001, 998].map(|hours| hourly.in_hour(at(hours))), [3, 3, 0, 0]);
        hourly.count(at(999));
        assert_eq!(hourly.in_hour(at(1_000)), 4, "a clock that went back begins no new hour");
        hourly.count(at(9_000));
        hourly.count(at(1_000));
        assert_eq!(hourly.in_hour(at(1_000)), 1, "nor does one that was a year ahead count for as long");
    }
}
