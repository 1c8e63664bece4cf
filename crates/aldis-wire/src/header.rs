//! The header of an envelope: everything that is signed, linked and never erased. Bodies are not here; the header holds
//! only their commitment.

use crate::codec::{self, Blob, CodecError, Coded, Decode, Encode, List, Text};
use crate::codes::{Code, Desk, Extension, Extensions, Tlp};
use crate::digest::Digest;
use crate::ids::{CaseId, EnvelopeId, Incarnation, KeyId, NodeId, Seq, Stream, UnixMillis};
use crate::lane::{Lane, LaneMark};
use crate::merkle;
use bytes::Bytes;

/// The only protocol version this program writes and reads.
pub const PROTOCOL_VERSION: u16 = 1;

/// The longest encoded header, in bytes. With every other field at its longest, extensions left out, 255 further
/// recipients with names of 20 bytes fit; whoever names more or longer ones is told so before anything is signed.
pub const HEADER_MAX_BYTES: usize = 8_192;

/// Why an envelope names another. Unknown roles are kept and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ReferenceRole(pub u16);

impl ReferenceRole {
    /// This envelope answers (or refuses) that one.
    pub const ANSWERS: Self = Self(1);
    /// This envelope takes that one's place; both stay readable.
    pub const SUPERSEDES: Self = Self(2);
    /// That one is worth reading beside this one.
    pub const RELATES: Self = Self(3);
    /// This envelope takes that one back: it asks for its erasure, or says that it was erased.
    pub const RECALLS: Self = Self(4);
}

/// A pointer to another envelope, by place and by digest.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Reference {
    /// Why it is named.
    pub role: ReferenceRole,
    /// Which one.
    pub envelope: EnvelopeId,
    /// The digest of its header.
    pub digest: Digest,
}

/// Everything the sender signs about one message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Header {
    /// The protocol version; see [`PROTOCOL_VERSION`].
    pub version: u16,
    /// The identity key that signs.
    pub key_id: KeyId,
    /// The sender's incarnation when it signed.
    pub incarnation: Incarnation,
    /// The sender.
    pub from: NodeId,
    /// The recipient.
    pub to: NodeId,
    /// The other recipients of the same message.
    pub also_to: List<NodeId, 255>,
    /// The mailbox at the recipient.
    pub desk: Desk,
    /// The precedence.
    pub lane: Lane,
    /// The place in the lane.
    pub seq: Seq,
    /// The digest of the header one place before; zero at the first.
    pub previous: Digest,
    /// The latest envelope the sender had received from the recipient, if any.
    pub received: Option<LaneMark>,
    /// When the sender signed.
    pub sent_at: UnixMillis,
    /// When the message is of no more use. Only the sender acts on it.
    pub expires_at: UnixMillis,
    /// The conversation.
    pub case: CaseId,
    /// The envelopes this one answers, supersedes or relates to.
    pub references: List<Reference, 8>,
    /// Who wrote it: a name or function.
    pub author: Text<128>,
    /// The second person who released it, where one was needed.
    pub released_by: Option<Text<128>>,
    /// The third party whose report is passed on.
    pub on_behalf_of: Option<Text<128>>,
    /// Who may read it.
    pub tlp: Tlp,
    /// The exercise it is part of; absent for real traffic.
    pub exercise: Option<Text<64>>,
    /// What the body is.
    pub kind: Code,
    /// Which version of that kind the body is written in.
    pub kind_version: u16,
    /// The body's length in bytes.
    pub body_length: u32,
    /// SHA-256(salt || body).
    pub body_commitment: Digest,
    /// Fields that came later; see [`ACKNOWLEDGE_WITHIN_TAG`]. The rest are of newer versions.
    pub extensions: Extensions,
}

/// The longest time within which a header or terms can want an acknowledgement, in seconds: a year.
pub const ACKNOWLEDGE_WITHIN_MAX_S: u32 = 366 * 86_400;

/// The header extension that says within how many seconds the sender wants an acknowledgement: a `u32`, encoded like
/// every other, from 1 to [`ACKNOWLEDGE_WITHIN_MAX_S`]. Anything else in its place counts as absent.
pub const ACKNOWLEDGE_WITHIN_TAG: u16 = 1;

impl Header {
    /// Within how many seconds the sender wants an acknowledgement of this message; `None` if it does not say.
    pub fn acknowledge_within_s(&self) -> Option<u32> {
        let within = codec::decode(self.extensions.get(ACKNOWLEDGE_WITHIN_TAG)?).ok()?;
        (1..=ACKNOWLEDGE_WITHIN_MAX_S).contains(&within).then_some(within)
    }

    /// The extensions of a header we write. Seconds no reader would take, 0 or more than [`ACKNOWLEDGE_WITHIN_MAX_S`],
    /// are left out.
    pub fn extensions_with(acknowledge_within_s: Option<u32>) -> Extensions {
        let taken = acknowledge_within_s.filter(|within| (1..=ACKNOWLEDGE_WITHIN_MAX_S).contains(within));
        let extension = taken.map(|within| Extension {
            tag: ACKNOWLEDGE_WITHIN_TAG,
            bytes: Blob::new(codec::encode(&within)).expect("an integer is short"),
        });
        Extensions::new(extension.into_iter().collect()).expect("there is at most one")
    }

    /// The stream the envelope travels in.
    pub fn stream(&self) -> Stream {
        Stream { from: self.from.clone(), to: self.to.clone(), lane: self.lane }
    }

    /// The envelope's id.
    pub fn id(&self) -> EnvelopeId {
        EnvelopeId { from: self.from.clone(), to: self.to.clone(), lane: self.lane, seq: self.seq }
    }

    /// The first envelope this one names with `role`.
    pub fn reference(&self, role: ReferenceRole) -> Option<&Reference> {
        self.references.iter().find(|reference| reference.role == role)
    }
}

/// A header with the exact bytes it was signed in. The bytes are what is stored, forwarded and hashed; the parsed form
/// is only read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExactHeader {
    header: Header,
    bytes: Bytes,
    digest: Digest,
}

/// Why bytes are no header. The signer is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Longer than [`HEADER_MAX_BYTES`].
    #[error("header of {0} bytes where at most {HEADER_MAX_BYTES} are allowed")]
    TooLong(usize),
    /// Not the structure of a header.
    #[error("header: {0}")]
    Malformed(String),
    /// Another protocol version than the link agreed on.
    #[error("header of protocol version {0}")]
    Version(u16),
    /// A value that contradicts another.
    #[error("header: {0}")]
    Contradiction(&'static str),
}

impl ExactHeader {
    /// Encodes a new header, which its caller will have signed.
    pub fn encode(header: Header) -> Result<Self, HeaderError> {
        let bytes = Bytes::from(codec::encode(&header));
        check(&header, bytes.len())?;
        let digest = digest(&bytes);
        Ok(Self { header, bytes, digest })
    }

    /// Parses the exact bytes of a header. Says nothing about its signature.
    pub fn parse(bytes: Bytes) -> Result<Self, HeaderError> {
        if bytes.len() > HEADER_MAX_BYTES {
            return Err(HeaderError::TooLong(bytes.len()));
        }
        let header: Header =
            codec::decode(&bytes).map_err(|error: CodecError| HeaderError::Malformed(error.to_string()))?;
        check(&header, bytes.len())?;
        let digest = digest(&bytes);
        Ok(Self { header, bytes, digest })
    }

    /// The exact bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The header's digest: its leaf hash, which links lanes and stands in receipts.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

impl std::ops::Deref for ExactHeader {
    type Target = Header;
    fn deref(&self) -> &Header {
        &self.header
    }
}

/// The lane that bytes name which a header may begin with.
pub(crate) fn lane_at_start(bytes: &[u8]) -> Option<Lane> {
    codec::decode_start::<HeaderStart>(bytes).ok().map(|start| start.lane)
}

/// What a header begins with, through its lane.
#[derive(Decode)]
struct HeaderStart {
    _version: u16,
    _key_id: KeyId,
    _incarnation: Incarnation,
    _from: NodeId,
    _to: NodeId,
    _also_to: List<NodeId, 255>,
    _desk: Desk,
    lane: Lane,
}

/// The digest of a header: the RFC 6962 leaf hash of its bytes, so one hash serves links, receipts and batch paths.
fn digest(bytes: &[u8]) -> Digest {
    merkle::leaf_hash(bytes)
}

fn check(header: &Header, length: usize) -> Result<(), HeaderError> {
    if length > HEADER_MAX_BYTES {
        return Err(HeaderError::TooLong(length));
    }
    if header.version != PROTOCOL_VERSION {
        return Err(HeaderError::Version(header.version));
    }
    let rules = [
        (header.from != header.to, "sender and recipient are the same"),
        (!header.also_to.contains(&header.to), "the recipient stands among the other recipients"),
        ((header.seq == Seq::FIRST) == (header.previous == Digest::ZERO), "only the first of a lane has no previous"),
        (header.incarnation.0 != 0, "incarnation zero"),
        (header.kind_version != 0, "kind version zero"),
        (header.body_length as usize <= crate::envelope::BODY_MAX_BYTES, "the body is longer than allowed"),
        (!header.author.is_empty(), "no author"),
        (header.exercise.as_ref().is_none_or(|name| !name.is_empty()), "an exercise without a name"),
        (header.tlp.0 != 0, "no TLP label"),
    ];
    match rules.iter().find(|(holds, _)| !holds) {
        Some((_, broken)) => Err(HeaderError::Contradiction(broken)),
        None => Ok(()),
    }
}

impl Coded for ExactHeader {
    type Plain = Blob<HEADER_MAX_BYTES>;
    fn to_plain(&self) -> Self::Plain {
        Blob::new(self.bytes.to_vec()).expect("a header was checked to be short enough")
    }
    fn from_plain(plain: Self::Plain) -> Result<Self, String> {
        Self::parse(Bytes::from(plain.to_vec())).map_err(|error| error.to_string())
    }
}

codec::impl_coded!(ExactHeader);

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
