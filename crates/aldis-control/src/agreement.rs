//! Agreements: the terms of both sides about what is exchanged, and what holds of them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{PerLane, Tlp, UnixMillis};

/// What one side allows in both directions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The kinds that may be sent, at most 64, each once; none means every kind.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// The most restrictive marking that may be sent.
    pub highest_tlp: Tlp,
    /// How many FLASH messages may be sent in a day of UTC; 0 means none.
    pub flash_per_day: u32,
    /// How many messages may be sent in an hour, at least 1.
    pub messages_per_hour: u32,
    /// How many bytes of headers and bodies may be sent in an hour, at least 1.
    pub bytes_per_hour: u64,
    /// How many bytes an attached file may have, at most 4 GiB; 0 means none may be attached. 1 GiB when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment_max_bytes: Option<u64>,
    /// Within how many seconds an acknowledgement is wanted, at most 31,622,400; 0 leaves it to the default.
    #[serde(default)]
    pub acknowledge_within_s: PerLane,
    /// Until when the terms are good. After it only answers go.
    pub expires_at: UnixMillis,
}

/// The terms of one side, as they are in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TermsView {
    /// Their number; higher ones take the place of lower ones.
    pub sequence: u64,
    /// What they say.
    pub terms: Terms,
}

/// The agreement with one peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgreementView {
    /// The peer's node id.
    pub peer: String,
    /// Our terms; without any we set no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ours: Option<TermsView>,
    /// The peer's terms, as it sent them; without any it sets no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theirs: Option<TermsView>,
    /// Whether the peer has our terms on its disk.
    pub ours_are_known: bool,
    /// Every field of both sides beside each other, in words.
    pub fields: Vec<AgreementField>,
}

/// One field of the terms of both sides, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgreementField {
    /// Its name, such as `flash-per-day`.
    pub field: String,
    /// What our terms say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ours: Option<String>,
    /// What the peer's terms say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theirs: Option<String>,
    /// What holds: the stricter of the two; nothing if neither says anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_force: Option<String>,
    /// Whether the two sides say different things.
    pub differs: bool,
}

/// Sets our terms towards a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgreementRequest {
    /// The peer's node id.
    pub id: String,
    /// The terms, which take the place of the ones before.
    pub terms: Terms,
}
