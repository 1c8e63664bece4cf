//! What administrators decide about a peer: whether it is talked to, and which acts take two of them. Everything here is
//! journalled before it takes effect; the rules themselves stand in `decide/administer.rs`.

use crate::record::RecordSeq;
use aldis_wire::codec::{Decode, Encode, Text};
use aldis_wire::ids::{KeyId, NodeId, UnixMillis};

/// A person at this node: the Unix user behind a request, as the kernel told it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Person {
    /// The user's number. Two persons are two numbers; a name alone proves nothing.
    pub uid: u32,
    /// The user's name.
    pub name: Text<100>,
}

/// Whether a peer is talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Trust {
    /// Its card was added; nobody has compared its key by voice yet.
    Pending,
    /// Its key was compared by voice: the one state in which anything is sent or accepted.
    Verified,
    /// Put aside for a while, by one person.
    Suspended,
    /// Cut off, by one person.
    Revoked,
}

/// What an administrator does to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Act {
    /// Says that the peer's key was compared by voice.
    Verify,
    /// Puts the peer aside.
    Suspend,
    /// Talks to a suspended peer again.
    Resume,
    /// Cuts the peer off.
    Revoke,
    /// Takes a revocation back: the peer is where it was before.
    UndoRevoke,
    /// Takes the peer's next identity key.
    AcceptKey,
    /// Has the history that was lost here fetched from the peer.
    Recover,
}

/// Names a request that waits for a second person: the place of its record in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct RequestId(pub RecordSeq);

/// An act that waits for a second person.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ApprovalRequest {
    /// What is to be done.
    pub act: Act,
    /// To which peer.
    pub peer: NodeId,
    /// The peer's key the first person saw; for another one the request is void.
    pub key: KeyId,
    /// The first person.
    pub by: Person,
    /// Why, in the first person's words.
    pub why: Text<200>,
    /// When it was made.
    pub at: UnixMillis,
    /// Until when it can be approved.
    pub expires_at: UnixMillis,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum RequestEnd {
    /// A second person approved it.
    Approved,
    /// An administrator took it back.
    Withdrawn,
    /// Nobody approved it in time.
    Expired,
    /// The peer or its key changed meanwhile.
    Overtaken,
}

/// A request ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RequestEnded {
    /// Which.
    pub request: RequestId,
    /// How.
    pub end: RequestEnd,
    /// Who ended it; nobody if time did.
    pub by: Option<Person>,
    /// When.
    pub at: UnixMillis,
}

/// An act was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TrustChanged {
    /// To which peer.
    pub peer: NodeId,
    /// What was done.
    pub act: Act,
    /// The peer's key it was done for.
    pub key: KeyId,
    /// What the peer is from now on.
    pub trust: Trust,
    /// Who did it.
    pub by: Person,
    /// The second person, for acts that take two.
    pub approved_by: Option<Person>,
    /// Why.
    pub why: Text<200>,
    /// Per lane, the latest place received from the peer at that moment: what lies up to there came before.
    pub received: [u64; 4],
    /// When.
    pub at: UnixMillis,
}

impl Act {
    /// Whether it takes two persons. What stops a peer must be fast and takes one.
    pub fn takes_two(self) -> bool {
        match self {
            Self::Verify | Self::Resume | Self::UndoRevoke | Self::AcceptKey | Self::Recover => true,
            Self::Suspend | Self::Revoke => false,
        }
    }

    /// The command word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Revoke => "revoke",
            Self::UndoRevoke => "undo-revoke",
            Self::AcceptKey => "accept-key",
            Self::Recover => "recover",
        }
    }
}

impl RequestEnd {
    /// The end in one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
            Self::Overtaken => "overtaken",
        }
    }
}

impl Trust {
    /// The state in one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Verified => "verified",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
        }
    }
}

impl Person {
    /// The person as messages and older records name one: the name, and the number that names cannot hide.
    pub fn by(&self) -> Text<128> {
        Text::cut(&format!("{} (uid {})", self.name, self.uid))
    }
}

impl std::fmt::Display for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.by())
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.0)
    }
}
