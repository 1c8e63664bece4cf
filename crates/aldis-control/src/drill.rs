//! Comm checks: whether the line to a peer works, and how well it did lately.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{ApiError, MessageId, UnixMillis};

/// Checks peers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DrillRequest {
    /// The peers' node ids, at most 256, each once; all verified peers when empty.
    #[serde(default)]
    pub peers: Vec<String>,
    /// What is asked; the peers' machines when absent.
    #[serde(default)]
    pub part: CheckPart,
    /// Words to the other side, at most 200 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Name or function of the person who asks; the calling user when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// How long the answer waits until every check has ended, in milliseconds, at most 600,000; absent or 0, not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

/// What a check asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckPart {
    /// The peer's machine.
    #[default]
    Machine,
    /// The peer's people, in the hours it keeps for that.
    Human,
    /// The peer's people at any hour, where the peer allows it.
    Wake,
}

/// One peer of a drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DrillView {
    /// The peer's node id.
    pub peer: String,
    /// The check, if it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<MessageId>,
    /// What came of it, if it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<CheckResultView>,
    /// Why it was not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declined: Option<ApiError>,
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckResultView {
    /// Whether it was for people.
    pub human: bool,
    /// When it was sent.
    pub sent_at: UnixMillis,
    /// When it ended.
    pub at: UnixMillis,
    /// What came of it.
    pub end: CheckEnd,
    /// The code of the refusal, if it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// How long it took, in milliseconds; absent if nothing came, or the daemon was restarted meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_ms: Option<u64>,
    /// The peer's clock minus ours, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_difference_ms: Option<i64>,
    /// How many days the peer's certificate is still good, as its node says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_days: Option<i64>,
    /// What the peer's journal was committed to when the check was on its disk, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commitment: Option<String>,
}

/// How a check ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckEnd {
    /// The peer's node replied.
    Replied,
    /// A person answered.
    Answered,
    /// The peer's node refused it.
    Refused,
    /// Nothing came in time.
    Missed,
}

/// Which peer's figures are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DrillQuery {
    /// The peer's node id; all peers when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}

/// The checks of one peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChecksView {
    /// The peer's node id.
    pub peer: String,
    /// A check of ours that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<OpenCheckView>,
    /// A human check of the peer's that waits for somebody here; `aldis answer ID acknowledge`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<OpenCheckView>,
    /// The figures of machine checks.
    pub machine: CheckStatistics,
    /// The figures of human checks.
    pub human: CheckStatistics,
}

/// A check that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OpenCheckView {
    /// The check.
    pub id: MessageId,
    /// Whether it is for people.
    pub human: bool,
    /// When an answer no longer counts.
    pub until: UnixMillis,
}

/// Figures over the checks of one sort that are kept: the latest 256 of both sorts together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckStatistics {
    /// How many.
    pub count: u64,
    /// How many were missed.
    pub missed: u64,
    /// How many the peer's node refused.
    pub refused: u64,
    /// How many were missed since one was not.
    pub missed_in_a_row: u64,
    /// Half of the round trips took at most so long, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<u64>,
    /// Nineteen of twenty round trips took at most so long, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<u64>,
    /// The middle of the latest ten round trips, in milliseconds; once there are twenty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_ms: Option<u64>,
    /// The middle of the ten before them, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_ms: Option<u64>,
    /// The latest one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<CheckResultView>,
}

impl CheckEnd {
    /// The word used in JSON and shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replied => "replied",
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Missed => "missed",
        }
    }
}
