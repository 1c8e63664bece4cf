//! One lane towards a peer: what we signed, how far it is relayed and receipted, and what is still open. Bodies are in
//! the journal; an open message costs one small index entry here, a closed one nothing.

use crate::ladder::{Climb, Wants};
use crate::places::Places;
use crate::record::RecordSeq;
use aldis_wire::codec::{Decode, Encode};
use aldis_wire::digest::Digest;
use aldis_wire::ids::{CaseId, Seq, UnixMillis};
use aldis_wire::kinds::StepTold;

/// How many messages are looked at to tell whether all that waits is an exercise.
const LOOKED_AT_MAX: usize = 1_024;

/// How far an open envelope of ours has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum OutState {
    /// Signed and on our disk.
    Submitted,
    /// It expired before it was relayed: its header goes alone.
    Expired,
    /// It was taken back before it was relayed: its header goes alone.
    Recalled,
    /// Handed to a link.
    Relayed,
    /// The peer's receipt is on our disk.
    Stored,
    /// An alert about it has reached a person there.
    Notified,
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
    /// When it is of no more use; `None` for an answer, which always is.
    pub expires_at: Option<UnixMillis>,
    /// How far it has come.
    pub state: OutState,
    /// Whose answer it waits for.
    pub wants: Wants,
    /// How far the silence about it has climbed here.
    pub climb: Climb,
    /// Within how many seconds from there the peer has promised its next word; 0 if it has not.
    pub promised_s: u32,
    /// The highest step of the peer's ladder it has told of, and one; 0 if none.
    pub told_step: u8,
    /// Within how many seconds it asks for an acknowledgement itself; 0 leaves it to the lane's deadline.
    pub within_s: u32,
    /// The exercise it is part of.
    pub exercise: Option<Box<str>>,
    /// The place in this lane of the message it asks the peer to erase.
    pub recalls: Option<Seq>,
    /// The conversation that it opens; only the opening of a hotline has it, for memory's sake.
    pub case: Option<Box<CaseId>>,
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
    /// The latest place of something people wrote, or wait for, 0 if none. What only machines say to each other alarms nobody.
    pub matters_through: u64,
    /// How far the silence of the peer's machine has climbed, as long as something that matters is not receipted.
    pub silence: Climb,
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

    /// The exercise that everything belongs to which the peer has not receipted; `None` if any of it is real, or if it is
    /// too much to look at.
    pub(crate) fn undelivered_exercise(&self) -> Option<Box<str>> {
        let mut waiting = self.open.starting_at(self.receipted_seq() + 1).map(|(_, open)| open.exercise.as_ref());
        let first = waiting.next()??;
        let same = waiting.by_ref().take(LOOKED_AT_MAX).all(|other| other == Some(first));
        (same && waiting.next().is_none()).then(|| first.clone())
    }

    /// Whether something that matters to people is not receipted.
    pub fn is_silent(&self) -> bool {
        self.receipted_seq() < self.matters_through
    }

    /// The digest at a place, as long as the place is not both receipted and closed.
    pub fn digest_at(&self, seq: Seq) -> Option<Digest> {
        let named = [self.last, self.receipted].into_iter().flatten().find(|(known, _)| *known == seq);
        named.map(|(_, digest)| digest).or_else(|| self.open.get(&seq.get()).map(|open| open.digest))
    }

    /// Takes in an envelope we signed; `matters` says whether people wait for its receipt.
    pub(crate) fn append(&mut self, seq: Seq, entry: OpenOut, matters: bool) {
        if matters {
            if !self.is_silent() {
                self.silence = entry.climb;
            }
            self.matters_through = seq.get();
        }
        self.last = Some((seq, entry.digest));
        self.open.insert(seq.get(), entry);
    }

    /// Takes in a receipt up to `seq`; the envelopes it newly covers are stored, and those that want no answer are done. How
    /// many of these were a machine's words.
    pub(crate) fn receipt(&mut self, seq: Seq, digest: Digest, at: UnixMillis) -> u64 {
        let from = self.receipted_seq() + 1;
        let (mut done, mut machines) = (Vec::new(), 0);
        for (place, open) in self.open.between_mut(from, seq.get()) {
            let body_went = !matches!(open.state, OutState::Expired | OutState::Recalled);
            if open.state < OutState::Stored {
                (open.state, open.climb) = (OutState::Stored, Climb::from(at));
            }
            let is_machines = open.wants == Wants::Machine;
            if is_machines || open.wants == Wants::Nothing || !body_went || open.state == OutState::Closed {
                done.push(place);
                machines += u64::from(is_machines);
            }
        }
        for place in done {
            self.open.remove(place);
        }
        self.receipted = Some((seq, digest));
        self.silence = Climb::from(at);
        self.relayed = self.relayed.max(seq.get());
        machines
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
    /// From then on the time runs that the peer promised, or has for its next word.
    pub(crate) fn answer(&mut self, seq: Seq, to: OutState, at: UnixMillis, promised_s: u32) {
        let receipted = self.receipted_seq() >= seq.get();
        if let Some(open) = self.open.get_mut(seq.get()) {
            open.state = open.state.max(to);
            if to >= OutState::Acknowledged {
                (open.climb, open.promised_s, open.told_step) = (Climb::from(at), promised_s, 0);
            }
            if open.state == OutState::Closed && receipted {
                self.open.remove(seq.get());
            }
        }
    }

    /// Takes in what the peer's node did because nobody there answers: its next word is waited for. A case that is open
    /// again there is open again here.
    pub(crate) fn step_told(&mut self, seq: Seq, told: &StepTold, at: UnixMillis) {
        let Some(open) = self.open.get_mut(seq.get()).filter(|open| open.state != OutState::Closed) else { return };
        if told.reopens() && open.state >= OutState::Acknowledged {
            (open.state, open.told_step) = (OutState::Seen, 0);
        }
        if told.reached > 0 {
            open.state = open.state.max(OutState::Notified);
        }
        // Only a higher step is news: a peer that says the same again and again does not put us off for ever.
        if told.step >= open.told_step && open.state < OutState::Acknowledged {
            (open.climb, open.promised_s) = (Climb::from(at), told.next_within_s);
            open.told_step = told.step.saturating_add(1);
        }
    }

    /// Takes in a step of our own ladder.
    pub(crate) fn climbed(&mut self, seq: Seq, climb: Climb) {
        if let Some(open) = self.open.get_mut(seq.get()) {
            open.climb = climb;
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

    /// Marks an envelope taken back before it was relayed.
    pub(crate) fn recall(&mut self, seq: Seq) {
        if let Some(open) = self.open.get_mut(seq.get())
            && open.state == OutState::Submitted
        {
            open.state = OutState::Recalled;
        }
    }

    /// The place of the recall of a message that waits for an answer.
    pub(crate) fn recall_of(&self, seq: Seq) -> Option<u64> {
        let waits =
            |open: &OpenOut| open.recalls == Some(seq) && !matches!(open.state, OutState::Closed | OutState::Expired);
        self.open.starting_at(seq.get()).find(|(_, open)| waits(open)).map(|(place, _)| *place)
    }

    /// The places that are not relayed and whose time is over at `now`, and the next time one will be.
    pub(crate) fn expiring(&self, now: UnixMillis) -> (Vec<Seq>, Option<UnixMillis>) {
        let (mut over, mut next) = (Vec::new(), None);
        for (place, open) in self.open.starting_at(self.relayed + 1) {
            let Some(expires_at) = open.expires_at.filter(|_| open.state == OutState::Submitted) else { continue };
            if expires_at <= now {
                over.extend(Seq::new(*place));
            } else {
                next = Some(next.map_or(expires_at, |at: UnixMillis| at.min(expires_at)));
            }
        }
        (over, next)
    }
}
