//! What happens while somebody watches: the server-sent events of `GET /v1/events`.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{MessageRow, UnixMillis};

/// One thing that happened. On the stream it is one `data:` line with an `id:` line before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// When.
    pub at: UnixMillis,
    /// What sort of thing.
    pub what: EventKind,
    /// The message it concerns, as it stands now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageRow>,
    /// The peer it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The new state of link, log or delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The same in words.
    pub text: String,
}

/// What sort of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// A message arrived and is on stable storage.
    Received,
    /// A message changed its delivery state.
    Delivery,
    /// A link went up or down.
    Link,
    /// Something needs a person.
    Alarm,
    /// The ladder alerts people: a message came, or nobody answers one.
    Alert,
    /// The message log changed its state.
    Log,
    /// A peer was enrolled or changed.
    Peer,
    /// A step was taken because nobody answers, here or at the peer.
    Ladder,
    /// A message waits for another person to release it, or does so no more.
    Draft,
    /// A comm check ended.
    Check,
    /// Something happened in a hotline.
    Hotline,
    /// A file that a message names is on its way, has arrived, or will not come.
    File,
    /// Something this version of the client does not know.
    #[serde(other)]
    Other,
}

/// Where to start watching.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// The id of the last event seen; what came after it is sent again if the daemon still holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

impl EventKind {
    /// The word used in JSON and shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Delivery => "delivery",
            Self::Link => "link",
            Self::Alarm => "alarm",
            Self::Alert => "alert",
            Self::Log => "log",
            Self::Peer => "peer",
            Self::Ladder => "ladder",
            Self::Draft => "draft",
            Self::Check => "check",
            Self::Hotline => "hotline",
            Self::File => "file",
            Self::Other => "other",
        }
    }
}
