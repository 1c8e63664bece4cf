//! The hotline: at most one live conversation with a peer at a time. What the core keeps of it follows from the envelopes
//! both ways alone, so that it outlives links, restarts and terminals; the words stay in the bodies.

use crate::ladder::Wants;
use crate::outbound::OutState;
use crate::peer::Peer;
use aldis_wire::codec::{Decode, Encode, Text};
use aldis_wire::codes::{Desk, Tlp};
use aldis_wire::digest::Digest;
use aldis_wire::header::{ExactHeader, ReferenceRole};
use aldis_wire::ids::{CaseId, EnvelopeId, NodeId, UnixMillis};
use aldis_wire::kinds::LinePart;
use aldis_wire::lane::Lane;

/// The most names that are kept of who is at the desk, at each end.
pub const AT_DESK_MAX: usize = 16;

/// A conversation, the latest with its peer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Session {
    /// Names it in every header.
    pub case: CaseId,
    /// What opened it.
    pub opening: EnvelopeId,
    /// The digest of the opening's header.
    pub digest: Digest,
    /// The mailbox.
    pub desk: Desk,
    /// Who may read it.
    pub tlp: Tlp,
    /// The exercise it is part of; real without one (I12).
    pub exercise: Option<Text<64>>,
    /// When it was opened, by the clock of who opened it.
    pub opened_at: UnixMillis,
    /// How far it is.
    pub state: SessionState,
    /// Who is at the desk here.
    pub here: Vec<Text<128>>,
    /// Who is at the desk there.
    pub there: Vec<Text<128>>,
    /// How many lines there were: ours, and theirs.
    pub lines: [u32; 2],
    /// Up to which place of the peer's lane a person here was shown its lines.
    pub read_here: u64,
    /// Up to which place of our lane a person there was shown our lines, by the peer's word.
    pub read_there: u64,
}

/// How far a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum SessionState {
    /// Nobody has picked up yet.
    Ringing,
    /// Both sides can write.
    Open,
    /// It is over.
    Closed,
}

/// What somebody here does in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Comes to the desk; where it rings for us, picks up.
    Join,
    /// Says something in the conversation of this case, and in no other: who types sees its marking, and whether it is
    /// an exercise (I12, I13).
    Line(CaseId, Text<4000>),
    /// Was shown the peer's lines up to this place of its lane.
    Read(u64),
    /// Leaves the desk.
    Leave,
    /// Ends it.
    Close,
}

/// A turn, and whose.
#[derive(Clone, Debug)]
pub struct DeskOrder {
    /// With which peer.
    pub peer: NodeId,
    /// What.
    pub turn: Turn,
    /// The name or function of who does it, as the peer sees it.
    pub author: Text<128>,
    /// The Unix user behind the request.
    pub by: Text<128>,
}

impl Session {
    /// Whether it is not over.
    pub fn is_alive(&self) -> bool {
        self.state != SessionState::Closed
    }

    /// Whether this node opened it and nobody has picked up yet.
    pub(crate) fn rings_for_us(&self, own: &NodeId) -> bool {
        self.state == SessionState::Ringing && self.is_ours(own)
    }

    /// Whether this node opened it.
    pub fn is_ours(&self, own: &NodeId) -> bool {
        self.opening.from == *own
    }

    /// Whether an envelope belongs to it: it is of its case, and names its opening.
    pub(crate) fn is_named_by(&self, header: &ExactHeader) -> bool {
        let opening = header.reference(ReferenceRole::RELATES);
        let names = opening.is_some_and(|named| (&named.envelope, &named.digest) == (&self.opening, &self.digest));
        self.case == header.case && names
    }

    /// Whether `writer` may write now: while it rings, only who opened it.
    pub(crate) fn lets_write(&self, writer: &NodeId) -> bool {
        match self.state {
            SessionState::Ringing => self.opening.from == *writer,
            SessionState::Open => true,
            SessionState::Closed => false,
        }
    }
}

impl Peer {
    /// The opening that waits for an answer and that a turn, the peer's or ours, says is over. A turn ends openings only.
    pub(crate) fn opening_ended_by(&self, own: &NodeId, header: &ExactHeader, part: &LinePart) -> Option<EnvelopeId> {
        let named = header.reference(ReferenceRole::RELATES).filter(|_| *part == LinePart::Closed)?;
        let (id, lane) = (&named.envelope, named.envelope.lane.index());
        let (exercise, digest) = (header.exercise.as_ref().map(Text::as_str), named.digest);
        let peer = &self.card().card().id;
        let waits = if (&id.from, &id.to) == (own, peer) {
            self.durable.out[lane].open.get(&id.seq.get()).is_some_and(|open| {
                // What will go without its body is over already.
                let goes = !matches!(open.state, OutState::Expired | OutState::Recalled);
                let is_it = (open.wants, open.digest, open.exercise.as_deref()) == (Wants::PickUp, digest, exercise);
                is_it && open.case.as_deref() == Some(&header.case) && goes
            })
        } else {
            let open = self.durable.inbound[lane].open.get(&id.seq.get());
            (&id.from, &id.to) == (peer, own)
                && open.is_some_and(|open| {
                    let is_it =
                        (open.wants, open.digest, open.exercise.as_deref()) == (Wants::PickUp, digest, exercise);
                    is_it && open.case == header.case
                })
        };
        (waits && header.lane == Lane::Flash).then(|| id.clone())
    }
}

impl SessionState {
    /// The state in one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ringing => "ringing",
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}
