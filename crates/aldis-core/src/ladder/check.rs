//! Whether a ladder can do what it is for: somebody is on some step at every moment. Asked when a configuration is read.

use super::{Calendar, Ladder, OnCall, PEOPLE_MAX, STEPS_MAX, Silence};
use aldis_wire::ids::UnixMillis;
use std::collections::{BTreeMap, BTreeSet};

/// Why a ladder is refused. The administrator who wrote it is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LadderError {
    /// No step for a silence.
    #[error("no step serves {0}: nobody would be told")]
    NoSteps(&'static str),
    /// Too many steps.
    #[error("more than {STEPS_MAX} steps")]
    TooManySteps,
    /// Two steps with one name.
    #[error("two steps are called `{0}`; a ladder is climbed once, from the first step to the last")]
    Twice(String),
    /// A step without people, or with too many.
    #[error("step `{0}` needs 1 to {PEOPLE_MAX} people")]
    People(String),
    /// Somebody whom no channel reaches.
    #[error("`{1}` on step `{0}` has no channel")]
    NoChannel(String, String),
    /// Moments at which nobody would be alerted.
    #[error(
        "nobody on any step that serves {silence} is on duty from {from} until {until}: give one of them hours then, or leave \
         the hours of one out"
    )]
    Gap {
        /// Which silence.
        silence: &'static str,
        /// The first such moment.
        from: String,
        /// When somebody is on duty again.
        until: String,
    },
}

/// How far ahead hours are looked at.
const LOOK_MS: u64 = 366 * 86_400_000;
const MINUTE_MS: u64 = 60_000;

/// The silences for which there must be steps, and what they are about.
const SERVED: [(Silence, &str); 2] =
    [(Silence::Received, "what peers send"), (Silence::Sent, "what peers do not answer")];

impl Ladder {
    /// Whether somebody is told of every silence, at every moment of the year that begins at `now`.
    pub fn check(&self, now: UnixMillis) -> Result<(), LadderError> {
        self.check_steps()?;
        SERVED.into_iter().try_for_each(|(silence, what)| self.check_hours(silence, what, now))
    }

    /// Whether there are steps for every silence, and people with channels on each. Hours are not looked at, so no gap is
    /// found.
    pub fn check_steps(&self) -> Result<(), LadderError> {
        if self.steps.len() > STEPS_MAX {
            return Err(LadderError::TooManySteps);
        }
        for (place, step) in self.steps.iter().enumerate() {
            if self.steps[..place].iter().any(|before| before.name == step.name) {
                return Err(LadderError::Twice(step.name.to_string()));
            }
            if step.people.is_empty() || step.people.len() > PEOPLE_MAX {
                return Err(LadderError::People(step.name.to_string()));
            }
            if let Some(person) = step.people.iter().find(|person| person.channels.is_empty()) {
                return Err(LadderError::NoChannel(step.name.to_string(), person.name.to_string()));
            }
        }
        match SERVED.into_iter().find(|(silence, _)| self.height(*silence) == 0) {
            Some((_, what)) => Err(LadderError::NoSteps(what)),
            None => Ok(()),
        }
    }

    fn check_hours(&self, silence: Silence, what: &'static str, now: UnixMillis) -> Result<(), LadderError> {
        let people = self.steps_for(silence).flat_map(|step| &step.people);
        let hours = |person: &OnCall| person.hours.and_then(|place| Some((place, self.calendars.get(place)?)));
        // Whoever has no hours is always on duty.
        let Some(calendars) = people.map(hours).collect::<Option<BTreeMap<usize, &Calendar>>>() else {
            return Ok(());
        };
        let (start, end) = (now.get() - now.get() % MINUTE_MS, now.get().saturating_add(LOOK_MS));
        let changes = calendars.values().flat_map(|one| one.changes(UnixMillis::new(start), UnixMillis::new(end)));
        // Between two of these moments nobody comes and nobody goes.
        let moments: BTreeSet<UnixMillis> = changes.chain([UnixMillis::new(start)]).collect();
        let mut moments = moments.into_iter();
        let covered = |at: &UnixMillis| calendars.values().any(|calendar| calendar.covers(*at));
        let Some(from) = moments.find(|at| !covered(at)) else { return Ok(()) };
        let until = moments.find(covered).unwrap_or(UnixMillis::new(end));
        let shown = |at: UnixMillis| match calendars.values().next() {
            Some(calendar) => calendar.shown(at),
            None => at.to_string(),
        };
        Err(LadderError::Gap { silence: what, from: shown(from), until: shown(until) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Hours, Serves};
    use super::*;
    use aldis_wire::codec::Text;

    /// A Sunday, 03:00 UTC.
    fn now() -> UnixMillis {
        UnixMillis::new(0)
    }

    fn office() -> Calendar {
        let day = vec![Hours { from_min: 9 * 60, until_min: 17 * 60 }];
        let week = std::array::from_fn(|of_week| if of_week < 5 { day.clone() } else { Vec::new() });
        Calendar::new("office", "Europe/Lisbon", week, &[]).unwrap()
    }

    fn person(hours: Option<usize>) -> OnCall {
        OnCall { name: Text::cut("ana"), hours, channels: vec![Text::cut("watch")] }
    }

    #[test]
    fn the_default_ladder_is_good() {
        assert_eq!(Ladder::default().check(now()), Ok(()));
    }

    #[test]
    fn i8_a_ladder_on_which_nobody_stands_is_refused_and_the_gap_is_named() {
        let mut ladder = Ladder { calendars: vec![office()], ..Ladder::default() };
        ladder.steps[0].people = vec![person(Some(0))];
        let Err(LadderError::Gap { from, until, .. }) = ladder.check(now()) else { panic!("no gap was found") };
        assert_eq!((from.as_str(), until.as_str()), ("Thu 1970-01-01 01:00 CET", "Thu 1970-01-01 09:00 CET"));
        // A second step whose people have no hours closes it.
        let mut second = ladder.steps[0].clone();
        (second.name, second.people) = (Text::cut("head"), vec![person(None)]);
        ladder.steps.push(second);
        assert_eq!(ladder.check(now()), Ok(()));
        // But not if it serves only the other silence.
        ladder.steps[1].serves = Serves::Sent;
        assert!(matches!(ladder.check(now()), Err(LadderError::Gap { silence: "what peers send", .. })));
    }

    /// A ladder on which somebody keeps each of these hours, given per day of the week.
    fn kept(zone: &str, hours: &[&[(u16, u16)]]) -> Ladder {
        let calendar = |spans: &&[(u16, u16)]| {
            let spans: Vec<Hours> = spans
                .iter()
                .map(|(from_min, until_min)| Hours { from_min: *from_min, until_min: *until_min })
                .collect();
            Calendar::new("x", zone, std::array::from_fn(|_| spans.clone()), &[]).unwrap()
        };
        let mut ladder = Ladder { calendars: hours.iter().map(calendar).collect(), ..Ladder::default() };
        ladder.steps[0].people = (0..hours.len()).map(|place| person(Some(place))).collect();
        ladder
    }

    fn gap(ladder: &Ladder, now: &str) -> Option<(String, String)> {
        match ladder.check(now.parse().unwrap()) {
            Ok(()) => None,
            Err(LadderError::Gap { from, until, .. }) => Some((from, until)),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn i8_a_gap_of_a_minute_is_found_on_an_ordinary_day_and_when_the_clocks_change() {
        let day = 24 * 60;
        let whole = kept("Europe/Lisbon", &[&[(0, 8 * 60 + 1), (20 * 60, day)], &[(8 * 60 + 1, 20 * 60)]]);
        assert_eq!(gap(&whole, "2026-01-01T00:00:00Z"), None);
        let gap_of = |from: &str, until: &str| Some((from.to_owned(), until.to_owned()));
        let last_minute = kept("Europe/Lisbon", &[&[(0, day - 1)]]);
        let found = gap(&last_minute, "2026-11-22T10:00:30Z");
        assert_eq!(found, gap_of("Sun 2026-11-22 23:59 WET", "Mon 2026-11-23 00:00 WET"));
        // The hour from one to two comes twice on that night, and its gap with it: 01:45 the first time.
        let small_hours = kept("Europe/Lisbon", &[&[(0, 90), (91, day)]]);
        let found = gap(&small_hours, "2026-10-25T00:45:00Z");
        assert_eq!(found, gap_of("Sun 2026-10-25 01:30 WET", "Sun 2026-10-25 01:31 WET"));
        // The same hour does not come at all in spring: then nobody is missed who has it alone.
        let spring = kept("Europe/Lisbon", &[&[(0, 60), (120, day)]]);
        let found = gap(&spring, "2026-03-29T00:00:00Z");
        assert_eq!(found, gap_of("Mon 2026-03-30 01:00 WEST", "Mon 2026-03-30 02:00 WEST"));
    }

    #[test]
    fn i8_a_ladder_without_steps_people_or_channels_is_refused() {
        let spoilt = |spoil: fn(&mut Ladder)| {
            let mut ladder = Ladder::default();
            spoil(&mut ladder);
            ladder.check(now()).unwrap_err()
        };
        assert!(matches!(spoilt(|ladder| ladder.steps.clear()), LadderError::NoSteps(_)));
        assert!(matches!(spoilt(|ladder| ladder.steps[0].people.clear()), LadderError::People(_)));
        assert!(matches!(spoilt(|ladder| ladder.steps[0].people[0].channels.clear()), LadderError::NoChannel(..)));
        assert!(matches!(
            spoilt(|ladder| ladder.steps.push(ladder.steps[0].clone())),
            LadderError::Twice(name) if name == "duty officer"
        ));
        assert!(matches!(spoilt(|ladder| ladder.steps = vec![ladder.steps[0].clone(); 17]), LadderError::TooManySteps));
    }
}
