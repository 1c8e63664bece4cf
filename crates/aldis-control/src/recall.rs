//! Recalls: taking a message back, and what became of that at each recipient.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{MessageId, UnixMillis};

/// A message to take back, from everybody it went to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecallRequest {
    /// The message, `cert.br/cert.cl/P17`; any one of those that went to several recipients together.
    pub id: String,
    /// Only from these of its recipients; from all when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// Why: `sent-in-error`, `wrong-recipient`, `wrong-label`, `overtaken` or `other`.
    pub reason: String,
    /// Words for the person at the other end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Name or function of the person; the calling user when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
}

/// A message that went to one or more recipients, and what became of its recall at each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecallView {
    /// One entry per recipient.
    pub recipients: Vec<RecallRecipient>,
}

/// A recall at one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecallRecipient {
    /// The message there.
    pub message: MessageId,
    /// The recipient.
    pub to: String,
    /// What became of it.
    pub state: RecallState,
    /// The recall that was sent last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<MessageId>,
    /// When that became so; by the recipient's clock where it says so itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<UnixMillis>,
    /// Who at the recipient answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Words from there, or why it could not be asked.
    #[serde(default)]
    pub text: String,
    /// Where it was erased: the furthest state it had come to there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<String>,
    /// Where it was erased: whether its content is known to have left that node before. What people have read or
    /// copied, nobody erases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exported: Option<bool>,
}

/// What became of a recall at one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RecallState {
    /// It was not asked for there.
    NotAsked,
    /// It could not be asked for there; the text says why.
    NotPossible,
    /// The message was not relayed yet: its body never left, and is erased here.
    Withheld,
    /// The recipient is asked, and has not answered yet.
    Waiting,
    /// The recipient has erased it, and says so signed.
    Erased,
    /// The recipient's operator will not erase it.
    Declined,
    /// The recipient's node refused the recall, or it expired before it was relayed.
    Refused,
}

impl RecallState {
    /// Every state.
    pub const ALL: [Self; 7] =
        [Self::NotAsked, Self::NotPossible, Self::Withheld, Self::Waiting, Self::Erased, Self::Declined, Self::Refused];

    /// The word used in JSON and shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAsked => "not-asked",
            Self::NotPossible => "not-possible",
            Self::Withheld => "withheld",
            Self::Waiting => "waiting",
            Self::Erased => "erased",
            Self::Declined => "declined",
            Self::Refused => "refused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shown_word_is_the_word_in_json() {
        for state in RecallState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
