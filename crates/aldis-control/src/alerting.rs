//! The channels by which alerts reach people: how they are, and trying one by hand.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::UnixMillis;

/// How a channel is. `watch` is not among them: whether somebody watches is seen when it rings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChannelView {
    /// Its name in the configuration.
    pub name: String,
    /// When it last reached somebody, or answered a probe, in this run of the daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success: Option<UnixMillis>,
    /// When it last failed, in this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<UnixMillis>,
    /// Why it fails, for one that has not succeeded since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<String>,
}

/// Asks for a test of a channel: whoever has it on the ladder is told that it is a test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertTestRequest {
    /// The channel's name.
    pub channel: String,
    /// Only this person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
}

/// What became of a test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertTestResponse {
    /// Whom it reached, as far as the channel knows.
    pub reached: Vec<String>,
    /// Whom it did not reach.
    pub failed: Vec<NotReached>,
}

/// Somebody whom a test did not reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotReached {
    /// Who.
    pub person: String,
    /// Why not.
    pub why: String,
}
