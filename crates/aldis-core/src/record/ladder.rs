//! Records about silences: which step was taken, and what became of its alert.

use super::{DraftId, RecordSeq};
use crate::ladder::{ALERT_MESSAGES_MAX, AlertId, AlertOutcome, Cause, Silence};
use aldis_wire::codec::{Decode, Encode, List, Text};
use aldis_wire::ids::{NodeId, Seq, UnixMillis};
use aldis_wire::lane::Lane;

/// A step of the ladder was taken, for messages of one peer and lane. The place of this record names the alert.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Climbed {
    /// What the silence is about.
    pub silence: Silence,
    /// Why.
    pub cause: Cause,
    /// Which step: 0 tells that a message came, 1 is the first of the ladder.
    pub step: u8,
    /// How many steps there were.
    pub of: u8,
    /// What the step is called.
    pub name: Text<64>,
    /// The peer that sent the messages, or is silent about them; the first recipient of a draft.
    pub peer: NodeId,
    /// Their precedence.
    pub lane: Lane,
    /// The exercise they are part of.
    pub exercise: Option<Text<64>>,
    /// The messages, ascending; for a silence of the peer's machine the first and the last; for a draft its number.
    pub messages: List<Seq, ALERT_MESSAGES_MAX>,
    /// How many messages it is about.
    pub count: u64,
    /// Since when the silence lasts.
    pub since: UnixMillis,
    /// Who was on duty; nobody is alerted if nobody was.
    pub people: List<Text<64>, { crate::ladder::PEOPLE_MAX }>,
    /// When.
    pub at: UnixMillis,
}

impl Climbed {
    /// The draft it is about.
    pub fn draft(&self) -> Option<DraftId> {
        let number = self.messages.first().filter(|_| self.silence == Silence::Draft)?;
        Some(DraftId(RecordSeq(number.get())))
    }
}

/// An alert was brought to people, or could not be.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Alerted {
    /// Which.
    pub alert: AlertId,
    /// What became of it.
    pub outcome: AlertOutcome,
    /// When.
    pub at: UnixMillis,
}
