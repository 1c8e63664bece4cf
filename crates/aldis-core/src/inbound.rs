//! One lane from a peer: how far it has come, what is still unanswered, and enough of the recent past to tell a duplicate
//! from a contradiction.

use crate::ladder::{Cause, Climb, Untold, Wants};
use crate::places::Places;
use crate::record::RecordSeq;
use aldis_wire::codec::{Decode, Encode};
use aldis_wire::codes::{Desk, Tlp};
use aldis_wire::digest::Digest;
use aldis_wire::header::ExactHeader;
use aldis_wire::ids::{CaseId, Incarnation, Seq, UnixMillis};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// How many of the latest places a lane remembers digests of. A sender resends only what it had in flight when a link
/// broke, which is at most its credit.
pub const REMEMBERED: usize = 1_024;

/// How far an open notice of a peer has come here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum InState {
    /// On our disk.
    Stored,
    /// An alert about it has reached a person.
    Notified,
    /// Somebody opened it.
    Seen,
    /// Somebody is dealing with it.
    Acknowledged,
    /// A decision was promised.
    Pending,
}

/// A notice that waits for an answer from us.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OpenIn {
    /// Where it is in the journal.
    pub record: RecordSeq,
    /// The digest of its header.
    pub digest: Digest,
    /// How far it has come.
    pub state: InState,
    /// Whose answer it waits for.
    pub wants: Wants,
    /// How far our silence about it has climbed.
    pub climb: Climb,
    /// Whether people were told that it came.
    pub arrival_told: bool,
    /// Within how many seconds from there we have promised a decision; 0 if we have not.
    pub promised_s: u32,
    /// Within how many seconds it asks for an acknowledgement itself; 0 leaves it to the lane's deadline.
    pub within_s: u32,
    /// Its mailbox, for what the machine says about it.
    pub desk: Desk,
    /// Its conversation.
    pub case: CaseId,
    /// Who may read it.
    pub tlp: Tlp,
    /// The exercise it is part of.
    pub exercise: Option<Box<str>>,
    /// The place in this lane of the message it asks us to erase.
    pub recalls: Option<Seq>,
    /// What its sender is still to be told of our ladder.
    pub untold: Option<Box<Untold>>,
}

/// One remembered place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Remembered {
    /// Where it is in the journal.
    pub record: RecordSeq,
    /// The digest of the header.
    pub digest: Digest,
    /// The incarnation that signed it.
    pub incarnation: Incarnation,
    /// Whether its sender can take it back: its body is here, and is a notice, or of a kind that nobody here knows.
    pub recallable: bool,
}

/// A lane from a peer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct InLane {
    /// The latest place on our disk and the digest there.
    pub last: Option<(Seq, Digest)>,
    /// The latest places, oldest first, the last one being `last`. A snapshot shares them until the next one comes.
    pub recent: Arc<VecDeque<Remembered>>,
    /// How many times in a row bytes did not verify.
    pub strikes: u8,
    /// Unanswered notices by place.
    pub open: Places<OpenIn>,
    /// The places that open recalls name.
    recalled: BTreeSet<u64>,
}

/// Where an envelope stands in its lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The next one: it takes its place.
    Next,
    /// The very one we have there.
    Duplicate,
    /// Too long ago to compare.
    Forgotten,
    /// Places between ours and this one are missing.
    Gap,
    /// Another header stands there, or before it.
    Contradiction {
        /// Whether the same incarnation signed both: then it is equivocation, else a restored backup.
        same_incarnation: bool,
    },
}

impl InLane {
    /// The latest place, 0 if none.
    pub fn last_seq(&self) -> u64 {
        self.last.map_or(0, |(seq, _)| seq.get())
    }

    /// Whether the lane is blocked after too many envelopes that do not verify.
    pub fn is_blocked(&self) -> bool {
        self.strikes >= crate::limits::STRIKES_TO_BLOCK
    }

    /// Where a verified header stands (I5).
    pub fn place(&self, header: &ExactHeader) -> Place {
        let (seq, last) = (header.seq.get(), self.last_seq());
        if seq > last + 1 {
            return Place::Gap;
        }
        if seq == last + 1 {
            let previous = self.last.map_or(Digest::ZERO, |(_, digest)| digest);
            if header.previous == previous {
                return Place::Next;
            }
            let same_incarnation = self.recent.back().is_some_and(|known| known.incarnation == header.incarnation);
            return Place::Contradiction { same_incarnation };
        }
        match self.remembered(header.seq) {
            None => Place::Forgotten,
            Some(known) if known.digest == header.digest() => Place::Duplicate,
            Some(known) => Place::Contradiction { same_incarnation: known.incarnation == header.incarnation },
        }
    }

    /// What stands at a place, if that is remembered.
    pub(crate) fn remembered(&self, seq: Seq) -> Option<&Remembered> {
        let age = usize::try_from(self.last_seq().checked_sub(seq.get())?).ok()?;
        self.recent.len().checked_sub(age.saturating_add(1)).and_then(|at| self.recent.get(at))
    }

    /// Takes in the next envelope; with `open` it waits for an answer.
    pub(crate) fn append(&mut self, header: &ExactHeader, record: RecordSeq, recallable: bool, open: Option<OpenIn>) {
        self.last = Some((header.seq, header.digest()));
        self.strikes = 0;
        let recent = Arc::make_mut(&mut self.recent);
        if recent.len() == REMEMBERED {
            recent.pop_front();
        }
        let (digest, incarnation) = (header.digest(), header.incarnation);
        recent.push_back(Remembered { record, digest, incarnation, recallable });
        if let Some(open) = open {
            self.recalled.extend(open.recalls.map(Seq::get));
            self.open.insert(header.seq.get(), open);
        }
    }

    /// Whether a recall of a message waits for our answer.
    pub(crate) fn is_recall_open(&self, seq: Seq) -> bool {
        self.recalled.contains(&seq.get())
    }

    /// Nothing about a message is waited for any more.
    pub(crate) fn close(&mut self, seq: Seq) {
        if let Some(recalled) = self.open.remove(seq.get()).and_then(|open| open.recalls) {
            self.recalled.remove(&recalled.get());
        }
    }

    /// The body of a message was erased because its sender took it back: nobody has to answer it any more, and it cannot
    /// be taken back again.
    pub(crate) fn erased(&mut self, seq: Seq) {
        self.close(seq);
        let age = self.last_seq().checked_sub(seq.get()).and_then(|age| usize::try_from(age).ok());
        let place = age.and_then(|age| self.recent.len().checked_sub(age.saturating_add(1)));
        if let Some(known) = place.and_then(|place| Arc::make_mut(&mut self.recent).get_mut(place)) {
            known.recallable = false;
        }
    }

    /// Takes in our own answer; `None` closes the notice.
    /// The time for the next word runs from then on.
    pub(crate) fn answer(&mut self, seq: Seq, to: Option<InState>, at: UnixMillis, promised_s: u32) {
        match to {
            None => self.close(seq),
            Some(state) => {
                if let Some(open) = self.open.get_mut(seq.get()) {
                    open.state = open.state.max(state);
                    if state >= InState::Acknowledged {
                        (open.climb, open.promised_s) = (Climb::from(at), promised_s);
                        open.untold = None;
                    }
                }
            }
        }
    }

    /// Takes in a step of our ladder. A case that nobody attended to, or whose promise passed, is open again.
    pub(crate) fn climbed(&mut self, seq: Seq, climb: Climb, cause: Cause) {
        let Some(open) = self.open.get_mut(seq.get()) else { return };
        match cause {
            Cause::Arrived | Cause::Checked => return open.arrival_told = true,
            Cause::Unattended | Cause::PromisePassed => (open.state, open.promised_s) = (InState::Seen, 0),
            Cause::Unacknowledged | Cause::NoReceipt | Cause::Unreleased => {}
        }
        open.climb = climb;
    }

    /// Takes in a step that was taken before the journal was lost. With `reopens` the case was open again.
    pub(crate) fn step_again(&mut self, seq: Seq, climb: Climb, reopens: bool) {
        let Some(open) = self.open.get_mut(seq.get()) else { return };
        if climb.step == 0 {
            return open.arrival_told = true;
        }
        if reopens {
            (open.state, open.promised_s) = (InState::Seen, 0);
        }
        open.climb = climb;
    }

    /// Its sender is to be told of a step. What was answered meanwhile needs no word about a silence.
    pub(crate) fn note_untold(&mut self, seq: Seq, untold: &Untold) {
        if let Some(open) = self.open.get_mut(seq.get()).filter(|open| open.state < InState::Acknowledged) {
            let untold = untold.clone();
            open.untold = Some(Box::new(match &open.untold {
                Some(other) => untold.and(other),
                None => untold,
            }));
        }
    }

    /// Its sender was told.
    pub(crate) fn told(&mut self, seq: Seq) {
        if let Some(open) = self.open.get_mut(seq.get()) {
            open.untold = None;
        }
    }

    /// Somebody here has answered it, so people know that it came.
    pub(crate) fn attended(&mut self, seq: Seq) {
        if let Some(open) = self.open.get_mut(seq.get()) {
            open.arrival_told = true;
        }
    }

    /// An alert about it has reached somebody.
    pub(crate) fn notified(&mut self, seq: Seq) {
        if let Some(open) = self.open.get_mut(seq.get()) {
            open.state = open.state.max(InState::Notified);
        }
    }
}
