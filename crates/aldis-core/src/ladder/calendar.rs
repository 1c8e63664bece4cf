//! Hours in which people can be reached: per day of the week, in a time zone, with holidays. Everything is computed from
//! the bundled time zone database, so the same inputs give the same outputs on every machine (I11).

use aldis_wire::codec::Text;
use aldis_wire::ids::UnixMillis;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use std::collections::BTreeSet;

/// Minutes of a day, the end not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// From this minute of the day.
    pub from_min: u16,
    /// Until this one, at most 1,440.
    pub until_min: u16,
}

/// Hours of the week.
#[derive(Clone, Debug)]
pub struct Calendar {
    /// What it is called.
    pub name: Text<64>,
    zone: TimeZone,
    /// Monday first.
    week: [Vec<Hours>; 7],
    holidays: BTreeSet<Date>,
}

/// Why a calendar is none. The administrator who wrote it is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// No such time zone.
    #[error("there is no time zone `{0}`; write one of the IANA database, such as America/Montevideo or UTC")]
    Zone(String),
    /// Hours that are none.
    #[error("hours go from a minute of the day to a later one, at most 24:00")]
    Hours,
    /// It covers no moment.
    #[error("it covers no moment of the week: give at least one day hours")]
    Empty,
    /// A date that is none.
    #[error("`{0}` is not a date; write 2026-12-25")]
    Holiday(String),
}

/// How far ahead a business day is looked for: holidays that leave none within it are taken to be a mistake.
const LOOK_DAYS: i32 = 400;

impl Calendar {
    /// A calendar of hours per day of the week, Monday first, in a zone of the IANA database. `holidays` are dates in that
    /// zone, and have no hours.
    pub fn new(name: &str, zone: &str, week: [Vec<Hours>; 7], holidays: &[&str]) -> Result<Self, CalendarError> {
        let fault = |_| CalendarError::Zone(Text::<80>::cut(zone).to_string());
        let zone = TimeZone::get(zone).map_err(fault)?;
        if week.iter().flatten().any(|hours| hours.from_min >= hours.until_min || hours.until_min > DAY_MIN) {
            return Err(CalendarError::Hours);
        }
        if week.iter().all(Vec::is_empty) {
            return Err(CalendarError::Empty);
        }
        let date = |text: &&str| text.parse().map_err(|_| CalendarError::Holiday(Text::<80>::cut(text).to_string()));
        let holidays = holidays.iter().map(date).collect::<Result<_, _>>()?;
        Ok(Self { name: Text::cut(name), zone, week, holidays })
    }

    /// Monday to Friday, 08:00 to 18:00 UTC, without holidays.
    pub(super) fn weekdays() -> Self {
        let day = vec![Hours { from_min: 8 * 60, until_min: 18 * 60 }];
        let week = std::array::from_fn(|day_of_week| if day_of_week < 5 { day.clone() } else { Vec::new() });
        Self { name: Text::cut("weekdays"), zone: TimeZone::UTC, week, holidays: BTreeSet::new() }
    }

    /// Whether a moment lies within the hours.
    pub fn covers(&self, at: UnixMillis) -> bool {
        let local = self.local(at);
        let minute = u16::try_from(local.hour()).expect("an hour is 0 to 23") * 60
            + u16::try_from(local.minute()).expect("a minute is 0 to 59");
        self.hours_of(local.date()).iter().any(|hours| (hours.from_min..hours.until_min).contains(&minute))
    }

    /// Every moment from `from` until `until` at which the hours may begin or end. In a night in which the clocks are put
    /// back an hour comes twice, and what begins in it begins twice.
    pub(super) fn changes(&self, from: UnixMillis, until: UnixMillis) -> Vec<UnixMillis> {
        let (first, last) = (self.local(from).date(), self.local(until).date());
        let days = std::iter::successors(Some(first), |day| day.tomorrow().ok()).take_while(|day| *day <= last);
        let minutes = |day: Date| {
            let ends = self.hours_of(day).iter().flat_map(|hours| [hours.from_min, hours.until_min]);
            ends.chain([0, DAY_MIN]).flat_map(move |minute| self.times_of(day, minute)).flatten().collect::<Vec<_>>()
        };
        let clocks_change = self.zone.following(self.local(from).timestamp()).map(|change| change.timestamp());
        let end = self.local(until).timestamp();
        let moments = days.flat_map(minutes).chain(clocks_change.take_while(|change| *change <= end));
        let moments = moments.filter_map(|moment| u64::try_from(moment.as_millisecond()).ok().map(UnixMillis::new));
        moments.filter(|moment| (from..until).contains(moment)).collect()
    }

    /// When the clocks show a minute of a day: once, twice, or where it is left out on either side of that.
    fn times_of(&self, date: Date, minute: u16) -> [Option<Timestamp>; 2] {
        let (hour, rest) = (i8::try_from(minute / 60 % 24), i8::try_from(minute % 60));
        let day = if minute == DAY_MIN { date.tomorrow().ok() } else { Some(date) };
        let shown = day.zip(hour.ok()).zip(rest.ok()).map(|((day, hour), rest)| day.at(hour, rest, 0, 0));
        let times = || shown.map(|shown| self.zone.to_ambiguous_timestamp(shown));
        [times().and_then(|one| one.earlier().ok()), times().and_then(|one| one.later().ok())]
    }

    /// The end of the hours on the first day with any after the day of `from`.
    pub fn next_business_day_ends(&self, from: UnixMillis) -> UnixMillis {
        let today = self.local(from).date();
        let days = (1..=LOOK_DAYS).filter_map(|ahead| today.checked_add(ahead.days()).ok());
        let end = days.filter_map(|day| Some((day, self.hours_of(day).iter().map(|hours| hours.until_min).max()?)));
        let end = end.filter_map(|(day, minute)| self.time_of(day, minute)).find(|end| *end > from);
        end.unwrap_or_else(|| from.plus_ms(u64::from(LOOK_DAYS.unsigned_abs()) * 86_400_000))
    }

    /// A moment as the clocks of the zone show it, to the minute.
    pub fn shown(&self, at: UnixMillis) -> String {
        self.local(at).strftime("%a %Y-%m-%d %H:%M %Z").to_string()
    }

    fn hours_of(&self, date: Date) -> &[Hours] {
        if self.holidays.contains(&date) {
            return &[];
        }
        &self.week[usize::try_from(date.weekday().to_monday_zero_offset()).expect("a day of the week is 0 to 6")]
    }

    fn local(&self, at: UnixMillis) -> Zoned {
        let millis = i64::try_from(at.get()).expect("a time is before the year 9999");
        let time = Timestamp::from_millisecond(millis).expect("a time is before the year 9999");
        time.to_zoned(self.zone.clone())
    }

    fn time_of(&self, date: Date, minute: u16) -> Option<UnixMillis> {
        let midnight = date.to_zoned(self.zone.clone()).ok()?;
        let (hour, rest) = (i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?);
        let end = match minute {
            DAY_MIN => midnight.tomorrow().ok()?.start_of_day().ok()?,
            _ => date.at(hour, rest, 0, 0).to_zoned(self.zone.clone()).ok()?,
        };
        u64::try_from(end.timestamp().as_millisecond()).ok().map(UnixMillis::new)
    }
}

const DAY_MIN: u16 = 24 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixMillis {
        UnixMillis::new(u64::try_from(text.parse::<Timestamp>().unwrap().as_millisecond()).unwrap())
    }

    fn office(zone: &str, holidays: &[&str]) -> Calendar {
        let day = vec![Hours { from_min: 9 * 60, until_min: 17 * 60 }];
        let week = std::array::from_fn(|of_week| if of_week < 5 { day.clone() } else { Vec::new() });
        Calendar::new("office", zone, week, holidays).unwrap()
    }

    #[test]
    fn hours_follow_the_zone_through_summer_time_and_have_no_holidays() {
        let lisbon = office("Europe/Lisbon", &["2026-12-25"]);
        // A Friday in winter and one in summer: the same hour of the clock, another one of UTC.
        assert!(lisbon.covers(at("2026-11-20T09:00:00Z")));
        assert!(!lisbon.covers(at("2026-11-20T08:59:59Z")));
        assert!(lisbon.covers(at("2026-07-17T08:00:00Z")));
        assert!(!lisbon.covers(at("2026-07-17T16:00:00Z")));
        assert!(!lisbon.covers(at("2026-11-21T12:00:00Z")), "a Saturday");
        assert!(!lisbon.covers(at("2026-12-25T12:00:00Z")), "a holiday");
    }

    #[test]
    fn the_next_business_day_is_never_today_and_never_a_holiday() {
        let santiago = office("America/Santiago", &["2026-11-23"]);
        // Friday evening there: Monday is a holiday, so Tuesday 17:00, which is 20:00 UTC in summer time.
        assert_eq!(santiago.next_business_day_ends(at("2026-11-20T23:30:00Z")), at("2026-11-24T20:00:00Z"));
        assert_eq!(santiago.next_business_day_ends(at("2026-11-24T12:00:00Z")), at("2026-11-25T20:00:00Z"));
    }

    #[test]
    fn hours_until_midnight_end_with_the_day_whatever_its_length() {
        let whole = vec![Hours { from_min: 0, until_min: DAY_MIN }];
        let always = Calendar::new("always", "Europe/Lisbon", std::array::from_fn(|_| whole.clone()), &[]).unwrap();
        // The day of 2026-10-25 has 25 hours there.
        assert_eq!(always.next_business_day_ends(at("2026-10-24T10:00:00Z")), at("2026-10-26T00:00:00Z"));
    }

    #[test]
    fn a_calendar_that_is_none_is_refused() {
        let day = |from_min, until_min| vec![Hours { from_min, until_min }];
        let week = |hours: Vec<Hours>| std::array::from_fn(|_| hours.clone());
        let faults = [
            (Calendar::new("x", "Mars/Olympus", week(day(0, 60)), &[]), CalendarError::Zone("Mars/Olympus".into())),
            (Calendar::new("x", "UTC", week(day(60, 60)), &[]), CalendarError::Hours),
            (Calendar::new("x", "UTC", week(day(0, 1_441)), &[]), CalendarError::Hours),
            (Calendar::new("x", "UTC", week(Vec::new()), &[]), CalendarError::Empty),
            (Calendar::new("x", "UTC", week(day(0, 60)), &["25/12"]), CalendarError::Holiday("25/12".into())),
        ];
        for (result, expected) in faults {
            assert_eq!(result.unwrap_err(), expected);
        }
    }

    #[test]
    fn far_ahead_and_with_holidays_without_end_there_is_still_a_deadline() {
        let days = |from: UnixMillis, to: UnixMillis| (to.get() - from.get()) / 86_400_000;
        let calendar = Calendar::weekdays();
        assert!(days(UnixMillis::MAX, calendar.next_business_day_ends(UnixMillis::MAX)) <= 400);
        let mut never = Calendar::weekdays();
        let first: Date = "2026-01-01".parse().unwrap();
        never.holidays = (0..900).map(|ahead| first.checked_add(ahead.days()).unwrap()).collect();
        let from = at("2026-01-01T00:00:00Z");
        assert_eq!(days(from, never.next_business_day_ends(from)), 400);
    }
}
