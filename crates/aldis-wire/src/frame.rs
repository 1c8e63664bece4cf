//! Frames: what a link is made of once the Hellos are exchanged. A frame is `length (u32, big-endian) | type (u8) |
//! payload`; the length counts type and payload and is at most 64 KiB. This module never reads a socket.

use crate::codec::{self, Blob, CodecError, Decode, Encode, Text};
use crate::codes::Extensions;
use crate::digest::Digest;
use crate::ids::{NodeId, UnixMillis};
use crate::lane::Lane;
use bytes::{BufMut, Bytes, BytesMut};

/// The most a frame's type and payload may take, in bytes.
pub const FRAME_MAX_BYTES: usize = 65_536;

/// The bytes of the length that stands before each frame.
pub const LENGTH_BYTES: usize = 4;

/// The most bytes one chunk of an attachment carries.
pub const CHUNK_MAX_BYTES: usize = 61_440;

/// The most bytes one want asks for (1 MiB).
pub const WANT_MAX_BYTES: u32 = 1 << 20;

/// The most wants of one side that may be unanswered on a link.
pub const WANTS_MAX: usize = 8;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A signed [`crate::hello::Hello`]; the first frame each way, and never again.
    Hello(Bytes),
    /// An envelope, for [`crate::envelope::EnvelopeVerifier::verify`]. Costs one credit of its lane.
    Envelope(Bytes),
    /// A signed [`crate::receipt::Receipt`].
    Receipt(Bytes),
    /// How many envelope frames the other side may send in a lane.
    Credit(Credit),
    /// Are you there?
    Ping(Ping),
    /// I am.
    Pong(Pong),
    /// The link ends, and why.
    Goodbye(Goodbye),
    /// A piece of an attachment.
    Chunk(Chunk),
    /// A request for a range of an attachment.
    Want(Want),
    /// A request for envelopes of the past.
    Fetch(Fetch),
    /// An envelope of the past.
    History(History),
}

/// Flow control of one lane: a running total since the link came up, never less than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Credit {
    /// The lane.
    pub lane: Lane,
    /// How many envelope frames of the lane the receiver of this frame may send on this link in all.
    pub total: u64,
}

/// A heartbeat's question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Ping {
    /// Comes back in the answer.
    pub nonce: u64,
}

/// A heartbeat's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Pong {
    /// The question's nonce.
    pub nonce: u64,
    /// The answering side's clock.
    pub at: UnixMillis,
}

/// Why a link ends. It says nothing about any message: those have receipts and refusals.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Goodbye {
    /// The reason; see [`GoodbyeCode`].
    pub code: GoodbyeCode,
    /// The lane it concerns, if one.
    pub lane: Option<Lane>,
    /// The reason in words, for logs.
    pub text: Text<200>,
}

/// The reasons for which a link ends. Unknown ones are shown with their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct GoodbyeCode(pub u16);

impl GoodbyeCode {
    /// The node stops.
    pub const STOPPING: Self = Self(1);
    /// Another link between the two nodes takes over, or is to, because this end has a new key or certificate: whoever
    /// dials comes back at once.
    pub const REPLACED: Self = Self(2);
    /// Bytes that break the protocol.
    pub const PROTOCOL_ERROR: Self = Self(3);
    /// An envelope or receipt did not verify, or does not follow the one before.
    pub const DOES_NOT_VERIFY: Self = Self(4);
    /// The lane is blocked after three such envelopes.
    pub const LANE_BLOCKED: Self = Self(5);
    /// Nothing was heard for too long.
    pub const SILENT: Self = Self(6);
    /// Envelopes were sent beyond the credit.
    pub const NO_CREDIT: Self = Self(7);
    /// The peer is suspended or revoked here.
    pub const NOT_ADMITTED: Self = Self(8);
    /// The two sides' records contradict each other.
    pub const RECORDS_DISAGREE: Self = Self(9);
    /// A frame this node does not serve.
    pub const NOT_SERVED: Self = Self(10);

    /// The code in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::STOPPING => "stopping",
            Self::REPLACED => "replaced",
            Self::PROTOCOL_ERROR => "protocol-error",
            Self::DOES_NOT_VERIFY => "does-not-verify",
            Self::LANE_BLOCKED => "lane-blocked",
            Self::SILENT => "silent",
            Self::NO_CREDIT => "no-credit",
            Self::NOT_ADMITTED => "not-admitted",
            Self::RECORDS_DISAGREE => "records-disagree",
            Self::NOT_SERVED => "not-served",
            _ => "unknown-code",
        }
    }
}

/// A piece of an attachment that was asked for. Pieces come in the order of the wants, and within a want in that of their
/// offsets. One without bytes says that what was asked for is not held.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Chunk {
    /// The attachment's SHA-256.
    pub attachment: Digest,
    /// Where the piece starts.
    pub offset: u64,
    /// The piece.
    pub bytes: Blob<CHUNK_MAX_BYTES>,
}

/// A request for a range of an attachment that a received envelope names; or, with no bytes and the attachment's size as
/// offset, the word that the whole of it is held and was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Want {
    /// The attachment's SHA-256.
    pub attachment: Digest,
    /// From where on.
    pub offset: u64,
    /// How many bytes, at most [`WANT_MAX_BYTES`].
    pub bytes: u32,
}

/// A request for envelopes between the two nodes of the link that the asking side has lost.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Fetch {
    /// Who sent them: either end of the link.
    pub from: NodeId,
    /// Their lane.
    pub lane: Lane,
    /// The first wanted.
    pub first: u64,
    /// The last wanted.
    pub last: u64,
}

/// One fetched envelope. Its bytes are as they first travelled, or with the body withheld; asking is answered with
/// `bytes` empty where the place is not held.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct History {
    /// Who sent it.
    pub from: NodeId,
    /// Its lane.
    pub lane: Lane,
    /// Its place.
    pub seq: u64,
    /// The envelope.
    pub bytes: Blob<61_440>,
    /// Fields of newer versions.
    pub extensions: Extensions,
}

/// Why bytes are no frame. The peer is to blame; the link closes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length before the frame is zero or over the limit.
    #[error("a frame of {0} bytes where 1 to {FRAME_MAX_BYTES} are allowed")]
    Length(u32),
    /// A type this protocol version does not have.
    #[error("unknown frame type {0}")]
    UnknownType(u8),
    /// The payload is not the type's structure.
    #[error("frame type {kind}: {source}")]
    Payload {
        /// The frame's type.
        kind: u8,
        /// What is wrong.
        source: CodecError,
    },
}

/// Checks the length before a frame, before anything is allocated for it.
pub fn checked_length(length: [u8; LENGTH_BYTES]) -> Result<usize, FrameError> {
    let length = u32::from_be_bytes(length);
    match usize::try_from(length) {
        Ok(bytes) if (1..=FRAME_MAX_BYTES).contains(&bytes) => Ok(bytes),
        _ => Err(FrameError::Length(length)),
    }
}

impl Frame {
    /// Reads a frame from its type and payload, without copying the payloads that carry signatures.
    pub fn parse(bytes: &Bytes) -> Result<Self, FrameError> {
        let kind = *bytes.first().ok_or(FrameError::Length(0))?;
        let payload = bytes.slice(1..);
        match kind {
            0 => Ok(Self::Hello(payload)),
            1 => Ok(Self::Envelope(payload)),
            2 => Ok(Self::Receipt(payload)),
            3 => decode(kind, &payload).map(Self::Credit),
            4 => decode(kind, &payload).map(Self::Ping),
            5 => decode(kind, &payload).map(Self::Pong),
            6 => decode(kind, &payload).map(Self::Goodbye),
            7 => decode(kind, &payload).map(Self::Chunk),
            8 => decode(kind, &payload).map(Self::Want),
            9 => decode(kind, &payload).map(Self::Fetch),
            10 => decode(kind, &payload).map(Self::History),
            _ => Err(FrameError::UnknownType(kind)),
        }
    }

    /// Appends a [`Chunk`] as [`Self::write`] would, straight from where its bytes are.
    ///
    /// # Panics
    /// If there are more than [`CHUNK_MAX_BYTES`].
    pub fn write_chunk(out: &mut BytesMut, attachment: &Digest, offset: u64, bytes: &[u8]) {
        assert!(bytes.len() <= CHUNK_MAX_BYTES, "a chunk is cut to its length before it is written");
        let before = codec::encode(&(*attachment, offset, bytes.len() as u64));
        let length = 1 + before.len() + bytes.len();
        out.reserve(LENGTH_BYTES + length);
        out.put_u32(u32::try_from(length).expect("a chunk is short"));
        out.put_u8(7);
        out.put_slice(&before);
        out.put_slice(bytes);
    }

    /// Appends the frame, length first, to what will be written to the link.
    ///
    /// # Panics
    /// If the frame is over the limit: every payload's type is bounded below it, except raw bytes, which come from
    /// signed structures that are, and the extensions of [`History`], of which this version writes none.
    pub fn write(&self, out: &mut BytesMut) {
        match self {
            Self::Hello(payload) => put(out, 0, payload),
            Self::Envelope(payload) => put(out, 1, payload),
            Self::Receipt(payload) => put(out, 2, payload),
            Self::Credit(value) => put(out, 3, &codec::encode(value)),
            Self::Ping(value) => put(out, 4, &codec::encode(value)),
            Self::Pong(value) => put(out, 5, &codec::encode(value)),
            Self::Goodbye(value) => put(out, 6, &codec::encode(value)),
            Self::Chunk(value) => put(out, 7, &codec::encode(value)),
            Self::Want(value) => put(out, 8, &codec::encode(value)),
            Self::Fetch(value) => put(out, 9, &codec::encode(value)),
            Self::History(value) => put(out, 10, &codec::encode(value)),
        }
    }
}

fn decode<T: Encode + Decode<()>>(kind: u8, payload: &[u8]) -> Result<T, FrameError> {
    codec::decode(payload).map_err(|source| FrameError::Payload { kind, source })
}

fn put(out: &mut BytesMut, kind: u8, payload: &[u8]) {
    let length = payload.len() + 1;
    assert!(length <= FRAME_MAX_BYTES, "what we send was bounded when it was made");
    out.reserve(LENGTH_BYTES + length);
    out.put_u32(u32::try_from(length).expect("a frame is at most 64 KiB"));
    out.put_u8(kind);
    out.put_slice(payload);
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
