//! Whether a ladder can do what it is for: somebody is on some step at every moment. Asked when a configuration is read.

use super::{Ladder, PEOPLE_MAX, STEPS_MAX, Silence};
use aldis_wire::ids::UnixMillis;

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

/// How far ahead hours are looked at, and how closely: hours are given in minutes, and people write quarters.
const LOOK_MS: u64 = 366 * 86_400_000;
const LOOK_STEP_MS: u64 = 15 * 60_000;

impl Ladder {
    /// Whether somebody is told of every silence, at every moment of the year that begins at `now`.
    pub fn check(&self, now: UnixMillis) -> Result<(), LadderError> {
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
        [(Silence::Received, "what peers send"), (Silence::Sent, "what peers do not answer")]
            .into_iter()
            .try_for_each(|(silence, what)| self.check_hours(silence, what, now))
    }

    fn check_hours(&self, silence: Silence, what: &'static str, now: UnixMillis) -> Result<(), LadderError> {
        if self.height(silence) == 0 {
            return Err(LadderError::NoSteps(what));
        }
        let people = || self.steps_for(silence).flat_map(|step| &step.people);
        if people().any(|person| person.hours.is_none()) {
            return Ok(());
        }
        let start = now.get() - now.get() % LOOK_STEP_MS;
        let mut moments = (start..start + LOOK_MS).step_by(usize::try_from(LOOK_STEP_MS).expect("small"));
        let covered = |at: &u64| people().any(|person| self.is_on_duty(person, UnixMillis::new(*at)));
        let Some(from) = moments.find(|at| !covered(at)) else { return Ok(()) };
        let until = moments.find(covered).unwrap_or(start + LOOK_MS);
        let shown = |at: u64| match people().find_map(|person| self.calendars.get(person.hours?)) {
            Some(calendar) => calendar.shown(UnixMillis::new(at)),
            None => UnixMillis::new(at).to_string(),
        };
        Err(LadderError::Gap { silence: what, from: shown(from), until: shown(until) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Calendar, Hours, OnCall, Serves};
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
