//! Records about files that messages name.

use aldis_wire::attachment::Attachment;
use aldis_wire::codec::{Decode, Encode};
use aldis_wire::digest::Digest;
use aldis_wire::ids::{NodeId, UnixMillis};

/// A file that a message names: what applying its record needs to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Named {
    /// SHA-256 of its content.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// A file that a peer's message names is here: whole, verified, on stable storage.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AttachmentHeld {
    /// Whose message names it.
    pub peer: NodeId,
    /// Which.
    pub attachment: Digest,
    /// When.
    pub at: UnixMillis,
}

/// A peer says that it holds a file of ours, whole and verified. It is not signed: a courtesy for what we show.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AttachmentTaken {
    /// Who says so.
    pub peer: NodeId,
    /// Which.
    pub attachment: Digest,
    /// When.
    pub at: UnixMillis,
}

/// A file is not where it belongs.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AttachmentLost {
    /// The other node.
    pub peer: NodeId,
    /// Which.
    pub attachment: Digest,
    /// Why.
    pub reason: LostReason,
    /// When.
    pub at: UnixMillis,
}

/// Why a file is not where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum LostReason {
    /// The peer named it and does not hold it: given up.
    NotHeld,
    /// What the peer sent had another digest, each time: given up.
    Mismatch,
    /// It was held here and its file is gone: it is asked for again.
    Gone,
    /// It is one of ours, and the peer has given it up.
    ByPeer,
}

impl Named {
    /// The files that a body names.
    pub fn all(attachments: &[Attachment]) -> Vec<Self> {
        attachments.iter().map(|one| Self { digest: one.digest, size: one.size }).collect()
    }
}

impl LostReason {
    /// The reason in words.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::NotHeld => "its sender does not hold it",
            Self::Mismatch => "what came had another digest, three times",
            Self::Gone => "its file was lost here, and is fetched again",
            Self::ByPeer => "the peer could not fetch it and has given it up",
        }
    }
}
