//! What administrators do: acts on peers, requests that wait for a second person, and this node's own keys.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{PeerSummary, UnixMillis};

/// What an administrator does to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PeerAct {
    /// Says that the peer's key was compared by voice. Takes two persons.
    Verify,
    /// Puts the peer aside for a while.
    Suspend,
    /// Talks to a suspended peer again. Takes two persons.
    Resume,
    /// Cuts the peer off.
    Revoke,
    /// Takes a revocation back. Takes two persons.
    UndoRevoke,
    /// Takes the peer's next identity key. Takes two persons.
    AcceptKey,
    /// Does not take the peer's next identity key.
    DeclineKey,
    /// Has the history that was lost here fetched from the peer. Takes two persons.
    Recover,
}

/// Does something to a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerActRequest {
    /// The node id.
    pub id: String,
    /// What.
    pub act: PeerAct,
    /// The words the other side read out: required for `verify`, and for `accept-key` of a key that nothing but the voice
    /// vouches for; compared whenever they are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phrase: Option<String>,
    /// The id of the key the person looked at; if it is another one by now, nothing is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Why, for the record.
    pub why: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerActResponse {
    /// The peer as it is now.
    pub peer: PeerSummary,
    /// The request that a second administrator must approve; without one it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<u64>,
}

/// The words two administrators read to each other over the telephone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerPhrases {
    /// The peer.
    pub id: String,
    /// Our words, over our id and newest identity key: we read them out.
    pub ours: String,
    /// The peer's words, over its id and the key that waits: they read them out.
    pub theirs: String,
    /// The id of that key.
    pub key: String,
    /// Whether it is the next key of a peer that is enrolled already.
    pub is_next_key: bool,
    /// Whether the key before vouches for it. If not, nothing but the voice does.
    pub is_vouched: bool,
}

/// An act that waits for a second administrator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PendingRequest {
    /// Its number.
    pub request: u64,
    /// What.
    pub act: PeerAct,
    /// To which peer.
    pub peer: String,
    /// The id of the key the first administrator saw.
    pub key: String,
    /// Who asked.
    pub by: String,
    /// Why.
    pub why: String,
    /// When.
    pub at: UnixMillis,
    /// Until when it can be approved.
    pub expires_at: UnixMillis,
}

/// Names a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestName {
    /// Its number.
    pub request: u64,
}

/// Which of our own keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OwnKey {
    /// The one that signs envelopes, receipts and cards.
    Identity,
    /// The one that secures the channel.
    Tls,
}

/// Makes a new key of our own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyRotateRequest {
    /// Which.
    pub key: OwnKey,
}

/// This node's own keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnKeys {
    /// The identity keys, the newest first.
    pub identities: Vec<IdentityKeyView>,
    /// The SHA-256 of the TLS certificate that is shown, in hex.
    pub tls_certificate: String,
    /// Until when it is good.
    pub tls_valid_until: UnixMillis,
    /// Whether a newer certificate waits until every peer knows it.
    pub tls_successor_waits: bool,
    /// Until when the card is good.
    pub card_valid_until: UnixMillis,
    /// Whether every peer not revoked has the newest card.
    pub card_is_known: bool,
}

/// One of our identity keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IdentityKeyView {
    /// Its id.
    pub key: String,
    /// The peers for which it signs; an earlier key with none can be removed from the disk.
    pub signs_for: Vec<String>,
}

impl PeerAct {
    /// Every act.
    pub const ALL: [Self; 8] = [
        Self::Verify,
        Self::Suspend,
        Self::Resume,
        Self::Revoke,
        Self::UndoRevoke,
        Self::AcceptKey,
        Self::DeclineKey,
        Self::Recover,
    ];

    /// The word used in JSON and shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Revoke => "revoke",
            Self::UndoRevoke => "undo-revoke",
            Self::AcceptKey => "accept-key",
            Self::DeclineKey => "decline-key",
            Self::Recover => "recover",
        }
    }
}
