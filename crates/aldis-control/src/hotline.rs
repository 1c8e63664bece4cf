//! The hotline: one live conversation with a peer at a time, as the people at both desks see it.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{BodyAbsence, DeliveryState, Direction, MessageId, Tlp, UnixMillis};

/// Names the peer whose hotline is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HotlineQuery {
    /// The peer.
    pub peer: String,
    /// At most so many of the latest turns; 500 when absent, and never more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Comes to the desk: joins the hotline with the peer, picks it up where it rings, or opens one. Subject, first words
/// and desk are only for an opening, and ignored where one is there already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HotlineRequest {
    /// The peer.
    pub peer: String,
    /// The marking of everything said in it; an opening needs one, and not red. One that is there must have the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tlp: Option<Tlp>,
    /// What it is about, when it is opened; `hotline` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The first words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The desk it is for; `technical` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desk: Option<String>,
    /// The exercise it belongs to; absent means it is real (I12). One that is there must be of the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exercise: Option<String>,
    /// Name or function of the person at the desk; the calling user when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
}

/// Says something in the hotline with a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HotlineLineRequest {
    /// The peer.
    pub peer: String,
    /// The case of the hotline it is meant for: in another one it is not said.
    pub case: String,
    /// The words, at most 4000 bytes.
    pub text: String,
    /// Name or function of the person; the calling user when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
}

/// Says that a person here was shown the peer's lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HotlineReadRequest {
    /// The peer.
    pub peer: String,
    /// Up to which of its places in FLASH.
    pub through: u64,
    /// Name or function of the person; the calling user when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
}

/// Ends the hotline with a peer, or leaves its desk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HotlineCloseRequest {
    /// The peer.
    pub peer: String,
    /// Only leave the desk; the hotline stays as it is.
    #[serde(default)]
    pub leave: bool,
    /// Name or function of the person; the calling user when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
}

/// The hotline with a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HotlineView {
    /// The peer.
    pub peer: String,
    /// The latest there was; absent when there never was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<HotlineSession>,
}

/// One conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HotlineSession {
    /// Its case, 26 characters.
    pub case: String,
    /// What opened it.
    pub opening: MessageId,
    /// How far it is.
    pub state: HotlineState,
    /// When it was opened, by the clock of who opened it.
    pub opened_at: UnixMillis,
    /// The marking.
    pub tlp: Tlp,
    /// The desk.
    pub desk: String,
    /// The exercise it belongs to; absent means it is real (I12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exercise: Option<String>,
    /// Who is at the desk here.
    #[serde(default)]
    pub here: Vec<String>,
    /// Who is at the desk there.
    #[serde(default)]
    pub there: Vec<String>,
    /// Up to which place of the peer's lane its lines were shown to a person here.
    pub read_here: u64,
    /// Up to which place of our lane our lines were shown to a person there, by the peer's word.
    pub read_there: u64,
    /// The latest turns, oldest first, at most 500; all of them stand in the case.
    #[serde(default)]
    pub entries: Vec<HotlineEntry>,
    /// What it came to, as the side that ended it signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<HotlineSummary>,
}

/// How far a hotline is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HotlineState {
    /// Nobody has picked up yet.
    Ringing,
    /// Both sides can write.
    Open,
    /// It is over.
    Closed,
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HotlineEntry {
    /// Its name.
    pub id: MessageId,
    /// Received or sent.
    pub direction: Direction,
    /// When it was signed, by the signer's clock.
    pub at: UnixMillis,
    /// Name or function of the person.
    pub author: String,
    /// `opened`, `line`, `joined`, `left`, `closed`, or a word of a newer version.
    pub part: String,
    /// The words; of the opening its subject and first words.
    #[serde(default)]
    pub text: String,
    /// Why there are no words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_absent: Option<BodyAbsence>,
    /// How far it has come: `stored` is the mark of the other side's disk, `seen` that a person was shown it.
    pub state: DeliveryState,
}

/// What a conversation came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HotlineSummary {
    /// When it was opened.
    pub opened_at: UnixMillis,
    /// When it was ended.
    pub closed_at: UnixMillis,
    /// The node that ended it.
    pub closed_by: String,
    /// How many lines this node said.
    pub lines_ours: u32,
    /// How many lines the peer said.
    pub lines_theirs: u32,
    /// `ended`, `not-answered` or `crossed`.
    pub reason: String,
}

impl HotlineState {
    /// The word used in JSON and shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ringing => "ringing",
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}
