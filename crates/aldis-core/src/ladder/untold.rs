//! What the sender of a message is still to be told of the ladder here. It stands in the state until its word is signed, so
//! that a step which was taken while nothing could be signed for the sender is told when something can be.

use super::{AlertOutcome, Cause};
use crate::record::Climbed;
use aldis_wire::codec::{Decode, Encode, Text};
use aldis_wire::ids::UnixMillis;

/// The latest step that was taken about a message and not told yet.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Untold {
    /// Why it was taken. That a case was opened again is news whatever step follows.
    pub cause: Cause,
    /// Which step.
    pub step: u8,
    /// How many there were.
    pub of: u8,
    /// What it is called.
    pub name: Text<64>,
    /// Whether anybody was on duty.
    pub on_duty: bool,
    /// How many people its alert reached.
    pub reached: u16,
    /// When it was taken.
    pub at: UnixMillis,
}

impl Untold {
    /// What there is to tell of a step and of what became of its alert.
    pub(crate) fn of(climbed: &Climbed, outcome: &AlertOutcome) -> Self {
        let mut people: Vec<&Text<64>> = outcome.reached.iter().map(|(person, _)| person).collect();
        people.dedup();
        Self {
            cause: climbed.cause,
            step: climbed.step,
            of: climbed.of,
            name: climbed.name.clone(),
            on_duty: !climbed.people.is_empty(),
            reached: u16::try_from(people.len()).unwrap_or(u16::MAX),
            at: climbed.at,
        }
    }

    /// What is told of this step and of another that was not told either: the one that was taken later, whatever became of
    /// its alert first.
    pub(crate) fn and(self, other: &Self) -> Self {
        let is_later = (self.at, self.step) >= (other.at, other.step);
        let (mut latest, earlier) = if is_later { (self, other.clone()) } else { (other.clone(), self) };
        if earlier.cause.opens_again() {
            latest.cause = earlier.cause;
        }
        latest.reached = latest.reached.max(earlier.reached);
        latest
    }

    /// What the alert came to, in the wire's word.
    pub(crate) fn outcome(&self) -> &'static str {
        match (self.on_duty, self.reached) {
            (false, _) => "nobody-on-duty",
            (true, 0) => "channels-failed",
            (true, _) => "alerted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn untold(at: u64, step: u8, cause: Cause, reached: u16) -> Untold {
        let at = UnixMillis::new(1_795_316_400_000 + at);
        Untold { cause, step, of: 3, name: Text::cut("duty"), on_duty: true, reached, at }
    }

    #[test]
    fn the_outcome_of_an_earlier_steps_alert_takes_no_place_of_a_later_step() {
        let first = untold(1, 1, Cause::Unattended, 2);
        let second = untold(9, 2, Cause::Unacknowledged, 0);
        let both = untold(9, 2, Cause::Unattended, 2);
        assert_eq!(first.clone().and(&second), both, "its alert's outcome came late");
        assert_eq!(second.and(&first), both);
        // Steps on which nobody was on duty are taken at one moment.
        assert_eq!(untold(1, 2, Cause::Unacknowledged, 0).and(&untold(1, 3, Cause::Unacknowledged, 0)).step, 3);
    }

    #[test]
    fn a_case_that_is_open_again_begins_to_count_again() {
        let before = untold(1, 3, Cause::Unacknowledged, 0);
        let again = untold(9, 1, Cause::PromisePassed, 0);
        assert_eq!(again.clone().and(&before), again);
        assert_eq!(before.and(&again), again);
    }
}
