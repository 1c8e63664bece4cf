//! Sending: what a person hands to the daemon to be signed, stored and sent.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AttachmentToSend, DeliveryState, MessageId, Precedence, Reference, Tlp, UnixMillis};

/// A message to sign, store and send to one or more peers. Whatever is optional is filled in by the daemon; the TLP
/// marking is not (I13).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendRequest {
    /// The peers; each gets its own envelope that names the others.
    pub to: Vec<String>,
    /// What the body is, such as `incident`.
    pub kind: String,
    /// The lane.
    pub precedence: Precedence,
    /// The marking.
    pub tlp: Tlp,
    /// The desk it is for; `technical` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desk: Option<String>,
    /// The case it belongs to, 26 characters or a prefix of at least 6; a new one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// Other messages it refers to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    /// Name or function of the person who wrote it; the calling user when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The third party in whose name it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// The exercise it belongs to; absent means it is real (I12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exercise: Option<String>,
    /// How long it may wait to be delivered, in seconds; the daemon's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
    /// Within how many seconds a person at the peer should acknowledge it, at most a year; the agreed time, or the
    /// precedence's, when absent. It stands in the signed header, and the ladders of both sides go by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledge_within_s: Option<u64>,
    /// The JSON form of the kind; for `incident` see `IncidentBody`.
    pub body: serde_json::Value,
    /// Files that were handed in, at most 16, each once. The size is filled in by the daemon.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<AttachmentToSend>,
    /// Why a FLASH must have more words than this node's rules allow; on record with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<String>,
    /// What to wait for before answering; absent means only for this node's own disk (I1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// How long to wait, in milliseconds; the daemon's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

impl SendRequest {
    /// A message to these peers with this body, and nothing of what is optional: a new case for the technical desk, which
    /// names no author and belongs to no exercise, and whose sender waits for nothing. Its fields can be set afterwards.
    #[must_use]
    pub fn new(to: &[&str], kind: &str, precedence: Precedence, tlp: Tlp, body: serde_json::Value) -> Self {
        Self {
            to: to.iter().map(ToString::to_string).collect(),
            kind: kind.to_owned(),
            precedence,
            tlp,
            desk: None,
            case: None,
            references: Vec::new(),
            author: None,
            on_behalf_of: None,
            exercise: None,
            expires_in_s: None,
            acknowledge_within_s: None,
            body,
            attachments: Vec::new(),
            long: None,
            wait: None,
            wait_ms: None,
        }
    }
}

/// What `send` may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Wait {
    /// Until every peer's receipt is verified and on stable storage here (I3), or the time is over.
    Stored,
}

/// What became of the message when the daemon answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SendResponse {
    /// One entry per peer, in the order of `to`.
    pub messages: Vec<SentMessage>,
    /// The case it belongs to.
    pub case: String,
    /// The draft that waits for another person, where this node's rules want one; nothing was sent yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft: Option<u64>,
    /// Until when it can be released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_by: Option<UnixMillis>,
}

/// One signed and stored envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SentMessage {
    /// Its name.
    pub id: MessageId,
    /// The peer.
    pub to: String,
    /// How far it had come when the daemon answered.
    pub state: DeliveryState,
    /// Digest of its header, in hex.
    pub digest: String,
}
