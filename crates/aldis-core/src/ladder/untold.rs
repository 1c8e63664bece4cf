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

    /// The same, if an earlier step was not told either.
    pub(crate) fn after(mut self, earlier: &Self) -> Self {
        if earlier.cause.opens_again() {
            self.cause = earlier.cause;
        }
        self.reached = self.reached.max(earlier.reached);
        self
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
