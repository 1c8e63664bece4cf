//! Evidence: which messages are to be shown to somebody outside, and how much of them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Messages to make evidence of, by their ids or by their case, at most 1,000 with the answers that name them; or the
/// contradictions of a peer alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvidenceRequest {
    /// The messages, such as `cert.br/cert.cl/P17`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// The case, all of whose messages are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// Give the bodies of all these messages.
    #[serde(default)]
    pub all_bodies: bool,
    /// Give the bodies of these of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bodies: Vec<String>,
    /// Give the headers between a message and the one its receipt names, without which the receipt is not shown to
    /// cover it. They tell of other messages.
    #[serde(default)]
    pub links: bool,
    /// Give the contradicting headers that this peer signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contradictions_of: Option<String>,
}
