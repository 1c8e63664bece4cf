//! Peers: enrolment, the state of their links and lanes.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{CardView, Precedence, UnixMillis};

/// One peer at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerSummary {
    /// The node id.
    pub id: String,
    /// The CERT's name, from its card.
    pub name: String,
    /// ISO 3166 country code, from its card.
    pub country: String,
    /// What it is to this node: `pending`, `verified`, `suspended` or `revoked`. Only a verified peer is talked to.
    pub state: String,
    /// Whether its next identity key waits for the administrators.
    #[serde(default)]
    pub next_key_waits: bool,
    /// Whether one administrator alone can let a peer in there.
    #[serde(default)]
    pub single_administrator: bool,
    /// Whether its card is older than 120 days.
    #[serde(default)]
    pub card_is_stale: bool,
    /// The state of the link.
    pub link: LinkState,
    /// Since when the link is in that state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_since: Option<UnixMillis>,
    /// Round trip of the last heartbeat, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// How far the peer's clock is ahead of ours, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_difference_ms: Option<i64>,
    /// The fingerprint of its card.
    pub fingerprint: String,
    /// Messages for it that it has not receipted, per lane, those of exercises too.
    pub queued: PerLane,
    /// Messages from it that nobody here has answered, those of exercises too.
    pub unanswered: u64,
    /// The last thing that went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<PeerError>,
    /// Lanes closed after repeated bad bytes, until a person unblocks them.
    #[serde(default)]
    pub blocked_lanes: Vec<Precedence>,
}

/// The state of the one link between two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// Messages flow.
    Up,
    /// A dial or a handshake is under way.
    Connecting,
    /// Nothing; it is tried again by itself.
    Down,
}

/// One number for each lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PerLane {
    /// FLASH.
    pub flash: u64,
    /// IMMEDIATE.
    pub immediate: u64,
    /// PRIORITY.
    pub priority: u64,
    /// ROUTINE.
    pub routine: u64,
}

/// The last thing that went wrong with a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerError {
    /// A stable word for programs.
    pub code: String,
    /// What happened.
    pub text: String,
    /// When.
    pub at: UnixMillis,
}

/// Enrols a peer from its card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerAddRequest {
    /// The peer's armoured card.
    pub card: String,
}

/// Names a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PeerQuery {
    /// The node id.
    pub id: String,
}

/// Lets a blocked lane flow again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerUnblockRequest {
    /// The node id.
    pub id: String,
    /// The lane.
    pub lane: Precedence,
}

/// One peer in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerView {
    /// The peer at a glance.
    pub summary: PeerSummary,
    /// Who made it what it is, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<TrustView>,
    /// The card on record.
    pub card: CardView,
    /// How far each lane has come, both ways.
    pub marks: Vec<LaneMarks>,
    /// A history that was lost here, and what came back of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<RecoveryView>,
}

/// A history that was lost here, and what came back of it from the peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecoveryView {
    /// How it stands.
    pub state: RecoveryState,
    /// Who had it fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The second administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// How many messages between the two are here, of those the peer holds.
    pub done: u64,
    /// How many the peer holds; 0 while no link is up.
    pub total: u64,
    /// How many of ours came back.
    pub ours: u64,
    /// How many of the peer's came back.
    pub theirs: u64,
    /// How many of them have no body any more, here or there.
    pub without_body: u64,
    /// The ids of the first of those.
    pub without_body_first: Vec<String>,
    /// From when on this node's own record is lost; absent if all of it before `lost_until` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_after: Option<UnixMillis>,
    /// Until when. What was submitted here between the two and had not reached the peer is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_until: Option<UnixMillis>,
    /// What came of it, or what to do, in words.
    pub text: String,
}

/// How a recovery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RecoveryState {
    /// The journal was restored, and the peer has not told since what it holds.
    NotCompared,
    /// History was lost; administrators must say that it is to be fetched.
    Unconfirmed,
    /// It is fetched as soon as a link is up.
    Waiting,
    /// It is being fetched.
    Fetching,
    /// All is here that the peer holds.
    Complete,
    /// It cannot go on; the text says why and what to do.
    Failed,
}

/// Who made a peer what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrustView {
    /// What was done, such as `verify`.
    pub act: String,
    /// Who did it.
    pub by: String,
    /// The second administrator, for acts that take two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// Why.
    pub why: String,
    /// When.
    pub at: UnixMillis,
    /// Per lane from FLASH to ROUTINE, the latest message received before that.
    pub received: [u64; 4],
}

/// How far one lane has come, both ways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LaneMarks {
    /// The lane.
    pub lane: Precedence,
    /// The last sequence number signed for the peer; 0 for none.
    pub sent: u64,
    /// The highest one the peer has receipted; 0 for none.
    pub receipted: u64,
    /// The highest contiguous one received from the peer; 0 for none.
    pub received: u64,
    /// Digest of the header at `sent`, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_digest: Option<String>,
    /// Digest of the header at `received`, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_digest: Option<String>,
}

impl PerLane {
    /// The number of one lane.
    pub const fn get(&self, lane: Precedence) -> u64 {
        match lane {
            Precedence::Flash => self.flash,
            Precedence::Immediate => self.immediate,
            Precedence::Priority => self.priority,
            Precedence::Routine => self.routine,
        }
    }

    /// The number of one lane, to be changed.
    pub const fn get_mut(&mut self, lane: Precedence) -> &mut u64 {
        match lane {
            Precedence::Flash => &mut self.flash,
            Precedence::Immediate => &mut self.immediate,
            Precedence::Priority => &mut self.priority,
            Precedence::Routine => &mut self.routine,
        }
    }

    /// The sum over all lanes.
    pub const fn total(&self) -> u64 {
        self.flash.saturating_add(self.immediate).saturating_add(self.priority).saturating_add(self.routine)
    }
}
