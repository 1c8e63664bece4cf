//! What the node says about itself: `GET /v1/status`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{BackupView, ChannelView, PeerSummary, SilenceView, UnixMillis, You};

/// The node at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// This node's id, such as `cert.br`.
    pub node: String,
    /// The version of the daemon.
    pub version: String,
    /// The random number of this start, in hex.
    pub incarnation: String,
    /// When the daemon started.
    pub started_at: UnixMillis,
    /// Whether journal, core and links are up. The log may still be opening.
    pub ready: bool,
    /// How the message log follows the journal.
    pub log: LogState,
    /// The journal's size and root.
    pub journal: JournalState,
    /// Received messages that nobody has answered; exercises do not count.
    pub waiting_in: u64,
    /// Sent messages that are not yet on the peer's disk; exercises do not count.
    pub waiting_out: u64,
    /// Received messages of exercises that nobody has answered.
    #[serde(default)]
    pub exercise_in: u64,
    /// Sent messages of exercises that are not yet on the peer's disk.
    #[serde(default)]
    pub exercise_out: u64,
    /// The silences about which the ladder climbs.
    #[serde(default)]
    pub silences: Vec<SilenceView>,
    /// Every enrolled peer.
    pub peers: Vec<PeerSummary>,
    /// What is wrong now, worst first.
    pub alarms: Vec<Alarm>,
    /// The channels by which alerts reach people.
    #[serde(default)]
    pub channels: Vec<ChannelView>,
    /// The latest nightly verification, and when the next begins.
    #[serde(default)]
    pub scrub: ScrubView,
    /// The latest backup.
    #[serde(default)]
    pub backup: BackupView,
    /// Who is asking, and what they may do here.
    #[serde(default)]
    pub you: You,
}

/// How the node verifies itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScrubView {
    /// The latest that ended, in whichever run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<ScrubOutcome>,
    /// When the next begins; absent if it is switched off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<UnixMillis>,
}

/// What a nightly verification came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScrubOutcome {
    /// When it ended.
    pub at: UnixMillis,
    /// Journal records read.
    pub records: u64,
    /// Witnesses of peers checked.
    pub witnesses: u64,
    /// Places that do not verify; 0 when all is well.
    pub findings: u64,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
}

/// How the message log stands to the journal it is built from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum LogState {
    /// It holds everything the journal holds.
    Following,
    /// It is being opened; searches answer 503.
    Opening,
    /// It is being built again from the journal.
    Rebuilding {
        /// Records applied so far.
        done: u64,
        /// Records to apply.
        total: u64,
    },
    /// It could not be opened or built; messages still flow.
    Degraded {
        /// What went wrong.
        reason: String,
    },
}

/// The journal's size and root at this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JournalState {
    /// Number of records.
    pub records: u64,
    /// Bytes on disk, over all segments.
    pub bytes: u64,
    /// The Merkle root over all records, in hex.
    pub root: String,
}

/// Something that needs a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alarm {
    /// A stable word for programs, such as `lane-blocked`.
    pub code: String,
    /// The peer it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// What happened and what to do.
    pub text: String,
    /// When it was raised.
    pub raised_at: UnixMillis,
}
