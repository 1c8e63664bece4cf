//! Answers: what a person says about a received message. (A machine's word is a receipt or a refusal, never this.)

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{MessageId, SentMessage, UnixMillis};

/// What a person says about a received message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerRequest {
    /// The message; `cert.br/P17` is accepted for one received here.
    pub id: String,
    /// How far the person has come.
    pub state: AnswerState,
    /// What was decided; needed when `state` is `decided`, and only then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<AnswerStatus>,
    /// RID justification, such as `cannot-process`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// Until when a pending matter is expected to be decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UnixMillis>,
    /// Words for the person at the other end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Name or function of the person; the calling user when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
}

/// How far the person who answers has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AnswerState {
    /// Has opened it.
    Seen,
    /// Has it and is dealing with it.
    Acknowledged,
    /// Has decided.
    Decided,
}

/// What was decided (RID status).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AnswerStatus {
    /// Accepted.
    Approved,
    /// Declined.
    Denied,
    /// Not decided yet.
    Pending,
}

/// The answer as it was signed and stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AnswerResponse {
    /// The envelope that carries the answer.
    pub message: SentMessage,
}

/// One answer to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AnswerView {
    /// The envelope that carries the answer.
    pub id: MessageId,
    /// When it was signed.
    pub at: UnixMillis,
    /// Who: the name or function given by the node that answers.
    pub by: String,
    /// The node that answers.
    pub peer: String,
    /// How far the person had come.
    pub state: AnswerState,
    /// What was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<AnswerStatus>,
    /// RID justification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// Until when a pending matter is expected to be decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UnixMillis>,
    /// Words from the person.
    #[serde(default)]
    pub text: String,
}

impl AnswerState {
    /// The word used in JSON and shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Acknowledged => "acknowledged",
            Self::Decided => "decided",
        }
    }
}

impl AnswerStatus {
    /// The word shown to people: accepted, declined or pending.
    pub const fn shown(self) -> &'static str {
        match self {
            Self::Approved => "accepted",
            Self::Denied => "declined",
            Self::Pending => "pending",
        }
    }
}
