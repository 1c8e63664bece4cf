//! The figures over a peer's latest checks.

use super::{CheckEnd, CheckResult};

/// How many results the trend compares with as many before.
const TREND_RESULTS: usize = 10;

/// What the latest checks of one sort came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// How many there are.
    pub count: usize,
    /// How many were missed.
    pub missed: usize,
    /// How many the peer's node refused.
    pub refused: usize,
    /// Half of the round trips took at most so long, in milliseconds.
    pub p50_ms: Option<u64>,
    /// Nineteen of twenty round trips took at most so long, in milliseconds.
    pub p95_ms: Option<u64>,
    /// How the latest round trips compare with those before.
    pub trend: Option<Trend>,
}

/// The middle of the latest ten round trips, and of the ten before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trend {
    /// Of the latest ten, in milliseconds.
    pub latest_ms: u64,
    /// Of the ten before, in milliseconds.
    pub before_ms: u64,
}

impl Statistics {
    /// The figures over some results, oldest first.
    pub(super) fn over<'a>(results: impl Iterator<Item = &'a CheckResult>) -> Self {
        let mut statistics = Self::default();
        let mut trips = Vec::new();
        for result in results {
            statistics.count += 1;
            match result.end {
                CheckEnd::Missed => statistics.missed += 1,
                CheckEnd::Refused(_) => statistics.refused += 1,
                CheckEnd::Replied | CheckEnd::Answered => trips.extend(result.round_trip_ms),
            }
        }
        statistics.trend = trend(&trips);
        (statistics.p50_ms, statistics.p95_ms) = (percentile(&trips, 50), percentile(&trips, 95));
        statistics
    }
}

fn trend(trips: &[u64]) -> Option<Trend> {
    let (earlier, latest) = trips.split_at_checked(trips.len().checked_sub(TREND_RESULTS)?)?;
    let (_, before) = earlier.split_at_checked(earlier.len().checked_sub(TREND_RESULTS)?)?;
    Some(Trend { latest_ms: percentile(latest, 50)?, before_ms: percentile(before, 50)? })
}

/// The smallest value that so many hundredths of the values do not exceed.
fn percentile(values: &[u64], hundredths: usize) -> Option<u64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * hundredths).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}
