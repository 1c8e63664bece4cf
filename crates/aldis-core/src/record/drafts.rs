//! Records about drafts: messages that wait for a second person before they are signed.

use super::{RecordSeq, StoredBearing};
use crate::trust::Person;
use aldis_wire::codec::{self, Blob, Decode, Encode, List, Text};
use aldis_wire::codes::{Code, Desk, Tlp};
use aldis_wire::digest::Digest;
use aldis_wire::envelope::BODY_MAX_BYTES;
use aldis_wire::header::Reference;
use aldis_wire::ids::{CaseId, EnvelopeId, NodeId, UnixMillis};
use aldis_wire::lane::Lane;
use bytes::Bytes;

/// Names a draft: the place of its record in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct DraftId(pub RecordSeq);

/// A message somebody composed and another person has to release. Its bodies lie beside the record, erasable.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Drafted {
    /// Who composed it, and so cannot release it.
    pub by: Person,
    /// The recipients.
    pub to: List<NodeId, 256>,
    /// The mailbox.
    pub desk: Desk,
    /// The precedence.
    pub lane: Lane,
    /// The conversation.
    pub case: CaseId,
    /// What it supersedes or relates to.
    pub references: List<Reference, 8>,
    /// Who wrote it.
    pub author: Text<128>,
    /// The third party behind it.
    pub on_behalf_of: Option<Text<128>>,
    /// Who may read it.
    pub tlp: Tlp,
    /// The exercise it is part of.
    pub exercise: Option<Text<64>>,
    /// The kind.
    pub kind: Code,
    /// What the body does.
    pub bearing: StoredBearing,
    /// How long it is good once it is released, in milliseconds.
    pub lifetime_ms: u64,
    /// Within how many seconds it asks for an acknowledgement.
    pub acknowledge_within_s: Option<u32>,
    /// Why it is longer than a FLASH should be, if it is.
    pub long: Option<Long>,
    /// Binds the bodies beside the record: what is released is what was composed.
    pub commitment: Digest,
    /// When.
    pub at: UnixMillis,
    /// Until when it can be released.
    pub expires_at: UnixMillis,
}

/// What lies beside a draft's record, behind its salt: the body in each version of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DraftBody(List<(u16, Blob<BODY_MAX_BYTES>), 8>);

/// Why a FLASH is longer than it should be.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Long {
    /// How many words it has.
    pub words: u32,
    /// Why, in the words of whoever sends it.
    pub why: Text<200>,
}

/// How a draft ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum DraftEnd {
    /// Another person released it: it was signed in the same moment.
    Released,
    /// Its drafter or a releaser threw it away.
    Discarded,
    /// Nobody released it in time.
    Expired,
}

/// A draft ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DraftEnded {
    /// Which.
    pub draft: DraftId,
    /// How.
    pub end: DraftEnd,
    /// Who ended it; nobody if time did.
    pub by: Option<Person>,
    /// When.
    pub at: UnixMillis,
}

/// Somebody here opened a TLP:RED draft. It changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DraftOpened {
    /// Which.
    pub draft: DraftId,
    /// Who.
    pub by: Person,
    /// When.
    pub at: UnixMillis,
}

/// A FLASH went out that is longer than it should be, because somebody said so.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LongFlash {
    /// Which message.
    pub message: EnvelopeId,
    /// How long, and why.
    pub long: Long,
    /// Who said so.
    pub by: Text<128>,
    /// When.
    pub at: UnixMillis,
}

impl DraftBody {
    /// The bytes of these bodies; `None` if one is too long to be sent, or there are more than eight.
    pub fn encode(bodies: &[(u16, Bytes)]) -> Option<Bytes> {
        let bodies = bodies.iter().map(|(version, body)| Some((*version, Blob::new(body.to_vec())?)));
        let bodies = bodies.collect::<Option<Vec<_>>>().and_then(List::new)?;
        Some(codec::encode(&Self(bodies)).into())
    }

    /// The bodies again; `None` if these are not such bytes.
    pub fn decode(bytes: &[u8]) -> Option<Vec<(u16, Bytes)>> {
        let Self(bodies) = codec::decode_stored(bytes).ok()?;
        Some(bodies.iter().map(|(version, body)| (*version, Bytes::copy_from_slice(body))).collect())
    }
}

impl DraftEnd {
    /// The end in one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Discarded => "discarded",
            Self::Expired => "expired",
        }
    }
}

impl std::fmt::Display for DraftId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.0)
    }
}
