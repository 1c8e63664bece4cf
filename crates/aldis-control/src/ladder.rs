//! Silences: how a message stands on its ladder, and what is silent at the moment.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::UnixMillis;

/// How a message stands on its ladder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LadderMark {
    /// Whose silence it is about: `unanswered-here`, `no-acknowledgement` (the peer's people) or `no-receipt` (its
    /// machine).
    pub silence: String,
    /// How many steps were taken; 0 means that all is in time.
    pub step: u8,
    /// How many steps there are.
    pub of: u8,
    /// What the latest step is called, if one was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What happens next if the silence goes on; absent on the last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NextStep>,
}

/// The next step of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NextStep {
    /// When, as the clock goes now.
    pub at: UnixMillis,
    /// Which step; 0 tells that the message came.
    pub step: u8,
    /// What it is called.
    pub name: String,
    /// Why it will be taken: `arrived`, `unacknowledged`, `unattended`, `promise-passed` or `no-receipt`.
    pub cause: String,
}

/// Messages of one peer about which a silence climbs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SilenceView {
    /// The peer that sent the messages, or is silent about them.
    pub peer: String,
    /// Whose silence it is, as in a [`LadderMark`].
    pub silence: String,
    /// The exercise they are part of; absent means they are real (I12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exercise: Option<String>,
    /// How many messages.
    pub messages: u64,
    /// The furthest step that was taken for one of them.
    pub step: u8,
    /// How many steps there are.
    pub of: u8,
}

impl LadderMark {
    /// Whether a step of the ladder was taken.
    pub const fn climbs(&self) -> bool {
        self.step > 0
    }
}
