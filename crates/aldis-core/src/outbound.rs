//! One lane towards a peer: what we signed, how far it is relayed and receipted, and what is still open. Bodies are in
//! the journal; an open message costs one small index entry here, a closed one nothing.

use crate::places::Places;
use crate::record::RecordSeq;
use aldis_wire::codec::{Decode, Encode};
use aldis_wire::digest::Digest;
use aldis_wire::ids::{Seq, UnixMillis};

/// How far an open envelope of ours has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum OutState {
    /// Signed and on our disk.
    Submitted,
    /// It expired before it was relayed: its header goes alone.
    Expired,
    /// Handed to a link.
    Relayed,
    /// The peer's receipt is on our disk.
    Stored,
    /// Somebody opened it.
    Seen,
    /// Somebody is dealing with it.
    Acknowledged,
    /// A decision is promised.
    Pending,
    /// Decided or refused: nothing more is expected. Kept only until the receipt comes.
    Closed,
}

/// An envelope of ours that is undelivered or unanswered.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OpenOut {
    /// Where it is in the journal.
    pub record: RecordSeq,
    /// The digest of its header.
    pub digest: Digest,
    /// When it is of no more use.
    pub expires_at: UnixMillis,
    /// How far it has come.
    pub state: OutState,
    /// Whether a person's answer is wanted.
    pub wants_answer: bool,
    /// The exercise it is part of.
    pub exercise: Option<Box<str>>,
}

/// A lane towards a peer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct OutLane {
    /// The latest place signed and the digest there.
    pub last: Option<(Seq, Digest)>,
    /// The latest place the peer has receipted and the digest there.
    pub receipted: Option<(Seq, Digest)>,
    /// The latest place handed to a link, 0 if none.
    pub relayed: u64,
    /// Whether the peer has blocked the lane.
    pub blocked_by_peer: bool,
    /// Open envelopes by place.
    pub open: Places<OpenOut>,
}

impl OutLane {
    /// The latest place signed, 0 if none.
    pub fn last_seq(&self) -> u64 {
        self.last.map_or(0, |(seq, _)| seq.get())
    }

    /// The latest place receipted, 0 if none.
    pub fn receipted_seq(&self) -> u64 {
        self.receipted.map_or(0, |(seq, _)| seq.get())
    }

    /// How many envelopes the peer has not receipted.
    pub fn undelivered(&self) -> u64 {
        self.last_seq() - self.receipted_seq()
    }

    /// The digest at a place, as long as the place is not both receipted and closed.
    pub fn digest_at(&self, seq: Seq) -> Option<Digest> {
        let named = [self.last, self.receipted].into_iter().flatten().find(|(known, _)| *known == seq);
        named.map(|(_, digest)| digest).or_else(|| self.open.get(&seq.get()).map(|open| open.digest))
    }

    /// Takes in an envelope we signed.
    pub(crate) fn append(&mut self, seq: Seq, entry: OpenOut) {
        self.last = Some((seq, entry.digest));
        self.open.insert(seq.get(), entry);
    }

    /// Takes in a receipt up to `seq`; the envelopes it newly covers are stored, and those that want no answer are done.
    pub(crate) fn receipt(&mut self, seq: Seq, digest: Digest) {
        let from = self.receipted_seq() + 1;
        let mut done = Vec::new();
        for (place, open) in self.open.between_mut(from, seq.get()) {
            let body_went = open.state != OutState::Expired;
            open.state = open.state.max(OutState::Stored);
            if !open.wants_answer || !body_went || open.state == OutState::Closed {
                done.push(place);
            }
        }
        for place in done {
            self.open.remove(place);
        }
        self.receipted = Some((seq, digest));
        self.relayed = self.relayed.max(seq.get());
    }

    /// Marks what was handed to a link.
    pub(crate) fn relay(&mut self, through: Seq) {
        for (_, open) in self.open.between_mut(self.relayed + 1, through.get()) {
            if open.state == OutState::Submitted {
                open.state = OutState::Relayed;
            }
        }
        self.relayed = self.relayed.max(through.get());
    }

    /// Takes in an answer: the state moves forward only; a closing answer ends the entry once it is receipted.
    pub(crate) fn answer(&mut self, seq: Seq, to: OutState) {
        let receipted = self.receipted_seq() >= seq.get();
        if let Some(open) = self.open.get_mut(seq.get()) {
            open.state = open.state.max(to);
            if open.state == OutState::Closed && receipted {
                self.open.remove(seq.get());
            }
        }
    }

    /// Marks an envelope expired before it was relayed.
    pub(crate) fn expire(&mut self, seq: Seq) {
        if let Some(open) = self.open.get_mut(seq.get())
            && open.state == OutState::Submitted
        {
            open.state = OutState::Expired;
        }
    }

    /// The places that are not relayed and whose time is over at `now`, and the next time one will be.
    pub(crate) fn expiring(&self, now: UnixMillis) -> (Vec<Seq>, Option<UnixMillis>) {
        let (mut over, mut next) = (Vec::new(), None);
        for (place, open) in self.open.starting_at(self.relayed + 1) {
            if open.state != OutState::Submitted {
                continue;
            }
            if open.expires_at <= now {
                over.extend(Seq::new(*place));
            } else {
                next = Some(next.map_or(open.expires_at, |at: UnixMillis| at.min(open.expires_at)));
            }
        }
        (over, next)
    }
}
