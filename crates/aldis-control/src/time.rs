//! Wall-clock times on the API: milliseconds inside, an RFC 3339 UTC string outside.
//!
//! It never reads a clock; the caller brings the time.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// A moment in milliseconds since 1970-01-01T00:00:00Z, written as `2026-11-22T03:00:00.000Z`.
///
/// Any `u64` can be held, for a peer may claim any time; what lies beyond [`UnixMillis::MAX_SHOWN`] is written as
/// that last moment, so that writing never fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, format = DateTime, examples("2026-11-22T03:00:00.000Z"))]
pub struct UnixMillis(pub u64);

/// The text is not an RFC 3339 time at or after 1970.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time: write it as 2026-11-22T03:00:00Z")]
pub struct InvalidTime(pub String);

impl UnixMillis {
    /// The last moment that can be written: 9999-12-30T22:00:00.000Z.
    pub const MAX_SHOWN: Self = Self(253_402_207_200_000);

    /// The moment as an RFC 3339 library timestamp, clamped to [`UnixMillis::MAX_SHOWN`].
    fn timestamp(self) -> Timestamp {
        let shown_ms = i64::try_from(self.0.min(Self::MAX_SHOWN.0)).expect("MAX_SHOWN fits an i64");
        Timestamp::from_millisecond(shown_ms).expect("MAX_SHOWN is the last moment of the library's range")
    }
}

impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.timestamp())
    }
}

impl FromStr for UnixMillis {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        let invalid = || InvalidTime(text.chars().take(64).collect());
        let timestamp: Timestamp = text.parse().map_err(|_| invalid())?;
        u64::try_from(timestamp.as_millisecond()).map(Self).map_err(|_| invalid())
    }
}

impl Serialize for UnixMillis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UnixMillis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_utc_with_milliseconds() {
        assert_eq!(UnixMillis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(UnixMillis(1_795_316_400_007).to_string(), "2026-11-22T03:00:00.007Z");
        assert_eq!(UnixMillis(u64::MAX).to_string(), "9999-12-30T22:00:00.000Z");
    }

    #[test]
    fn reading_returns_what_was_written_and_takes_offsets() {
        for ms in [0, 1, 999, 1_795_316_400_007, 253_402_207_200_000] {
            let json = serde_json::to_string(&UnixMillis(ms)).unwrap();
            assert_eq!(serde_json::from_str::<UnixMillis>(&json).unwrap(), UnixMillis(ms));
        }
        assert_eq!("2026-11-22T00:00:00-03:00".parse(), Ok(UnixMillis(1_795_316_400_000)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "yesterday", "2026-13-01T00:00:00Z", "1969-12-31T23:59:59Z", "2026-11-22", "12"] {
            assert_eq!(text.parse::<UnixMillis>(), Err(InvalidTime(text.into())), "{text}");
        }
    }
}
