//! Times and durations as people read and type them: always UTC, always with the age.
//!
//! The only place of this program that reads the clock.

use std::time::Duration;

use aldis_control::UnixMillis;
use jiff::Timestamp;

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// What a duration without a sign means where a moment is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bare {
    /// `2d` means two days ago.
    Ago,
    /// `2d` means in two days.
    Ahead,
}

/// The present moment.
pub(crate) fn now() -> UnixMillis {
    UnixMillis(u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0))
}

/// A moment for a table, at most 11 columns: `03:12Z 4m` within a day, then `20 Nov 2d`, then `2025-11-20`.
pub(crate) fn short(moment: UnixMillis, now: UnixMillis) -> String {
    let distance_ms = moment.0.abs_diff(now.0);
    let text = moment.to_string();
    if distance_ms < DAY_MS {
        return format!("{}Z {}", &text[11..16], age(moment, now));
    }
    if distance_ms < 300 * DAY_MS {
        let month: usize = text[5..7].parse().unwrap_or(1);
        return format!("{} {} {}", &text[8..10], MONTHS[(month - 1) % 12], age(moment, now));
    }
    text[..10].to_owned()
}

/// A moment in full: `2026-11-22 03:12:04Z (4m ago)`.
pub(crate) fn full(moment: UnixMillis, now: UnixMillis) -> String {
    let text = moment.to_string();
    let age = if moment > now { age(moment, now) } else { format!("{} ago", age(moment, now)) };
    format!("{} {}Z ({age})", &text[..10], &text[11..19])
}

/// How far a moment lies back: `4m`; or ahead: `in 4m`.
pub(crate) fn age(moment: UnixMillis, now: UnixMillis) -> String {
    let text = span(moment.0.abs_diff(now.0));
    if moment > now { format!("in {text}") } else { text }
}

/// A duration in its largest unit: `42s`, `4m`, `3h`, `2d`.
pub(crate) fn span(ms: u64) -> String {
    match ms {
        0..MINUTE_MS => format!("{}s", ms / SECOND_MS),
        MINUTE_MS..HOUR_MS => format!("{}m", ms / MINUTE_MS),
        HOUR_MS..DAY_MS => format!("{}h", ms / HOUR_MS),
        _ => format!("{}d", ms / DAY_MS),
    }
}

/// Reads `90s`, `15m`, `3h`, `2d`, `1w`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{}` is not a duration: write 90s, 15m, 3h, 2d or 1w", crate::screen::cell(text));
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let unit_ms = match &text[digits.len()..] {
        "s" => SECOND_MS,
        "m" => MINUTE_MS,
        "h" => HOUR_MS,
        "d" => DAY_MS,
        "w" => 7 * DAY_MS,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit_ms).filter(|_| !digits.starts_with('+')).map(Duration::from_millis).ok_or_else(wrong)
}

/// Reads a moment: RFC 3339, `2026-11-22` (its midnight in UTC), `2026-11-22T03:00Z`, or a duration from now.
pub(crate) fn parse_moment(text: &str, now: UnixMillis, bare: Bare) -> Result<UnixMillis, String> {
    let midnight = format!("{text}T00:00:00Z");
    for candidate in [text, &midnight] {
        if let Ok(moment) = candidate.parse() {
            return Ok(moment);
        }
    }
    let (sign, rest) = match text.as_bytes().first() {
        Some(b'+') => (Bare::Ahead, &text[1..]),
        Some(b'-') => (Bare::Ago, &text[1..]),
        _ => (bare, text),
    };
    let wrong = "write 2026-11-22T03:00:00Z, 2026-11-22, or a duration such as 2d";
    let duration =
        parse_duration(rest).map_err(|_| format!("`{}` is not a time: {wrong}", crate::screen::cell(text)))?;
    let distance_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Ok(UnixMillis(match sign {
        Bare::Ahead => now.0.saturating_add(distance_ms),
        Bare::Ago => now.0.saturating_sub(distance_ms),
    }))
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_795_316_400_000);

    fn ago(ms: u64) -> UnixMillis {
        UnixMillis(NOW.0 - ms)
    }

    #[test]
    fn a_moment_is_short_and_has_its_age() {
        assert_eq!(short(ago(4 * MINUTE_MS), NOW), "02:56Z 4m");
        assert_eq!(short(ago(2 * DAY_MS), NOW), "20 Nov 2d");
        assert_eq!(short(ago(400 * DAY_MS), NOW), "2025-10-18");
        assert_eq!(short(UnixMillis(NOW.0 + 90 * SECOND_MS), NOW), "03:01Z in 1m");
        assert_eq!(short(UnixMillis(u64::MAX), NOW), "9999-12-30");
        assert_eq!(full(ago(0), NOW), "2026-11-22 03:00:00Z (0s ago)");
    }

    #[test]
    fn moments_can_be_typed_in_every_usual_way() {
        let parse = |text| parse_moment(text, NOW, Bare::Ago).unwrap();
        assert_eq!(parse("2026-11-22T03:00:00Z"), NOW);
        assert_eq!(parse("2026-11-22T03:00Z"), NOW);
        assert_eq!(parse("2026-11-22"), ago(3 * HOUR_MS));
        assert_eq!(parse("2d"), ago(2 * DAY_MS));
        assert_eq!(parse("+2d"), UnixMillis(NOW.0 + 2 * DAY_MS));
        assert_eq!(parse_moment("2d", NOW, Bare::Ahead), Ok(UnixMillis(NOW.0 + 2 * DAY_MS)));
        for text in ["", "soon", "2", "d", "-", "++2d", "2y", "99999999999999999999d", "2026-02-30", "ü"] {
            assert!(parse_moment(text, NOW, Bare::Ago).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(parse_duration("2d"), Ok(Duration::from_hours(48)));
        for text in ["", "2", "d", "+2d", "-2d", "2 d", "1.5h", "18446744073709551615d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
