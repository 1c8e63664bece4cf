//! A history that was lost and comes back from the peer: what an administrator confirmed, how far it has come, and, for the
//! link of the moment, what was asked for. Places in lanes say what is still missing, so that a restart goes on from there.

use crate::input::Regained;
use crate::peer::{Durable, UpLink};
use crate::record::{Gap, RecoveryEnd, RecoveryEnded, Standing};
use crate::trust::Person;
use aldis_wire::codec::{Decode, Encode};
use aldis_wire::digest::Digest;
use aldis_wire::frame::Fetch;
use aldis_wire::header::ExactHeader;
use aldis_wire::ids::{EnvelopeId, NodeId, Seq, UnixMillis};
use aldis_wire::lane::Lane;
use std::collections::VecDeque;

/// How many places of one lane are asked for ahead of what was taken in. With eight lanes of the longest envelopes that
/// is at most 8 MiB for a peer.
pub const FETCH_WINDOW: u64 = 16;

/// From how many peers history is fetched at once; the others wait.
pub const RECOVERIES_AT_ONCE: usize = 4;

/// For how long after a restore a peer that is added may have been a peer before it, in milliseconds: 90 days. Nothing is
/// signed for such a peer until its first link; later ones are as any other.
pub(crate) const RESTORE_COUNTS_MS: u64 = 90 * 24 * 3_600_000;

/// What follows from the journal about a history that was lost.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Recovery {
    /// The time whose journal is lost.
    pub gap: Option<Gap>,
    /// Who said that the history is to be fetched.
    pub confirmed: Option<Confirmed>,
    /// How many envelopes of ours came back since.
    pub ours: u64,
    /// How many of the peer's.
    pub theirs: u64,
    /// How many of them have no body, which nobody holds any more.
    pub bodiless: u64,
    /// The first of those.
    pub bodiless_first: Vec<EnvelopeId>,
    /// How it ended; the latest one, also when all is good again.
    pub ended: Option<RecoveryEnded>,
    /// Per lane, the latest place of ours that the peer ever said it holds, since the records last agreed.
    pub claimed_ours: [u64; 4],
    /// Of its own, the latest that it ever said it has our receipt for.
    pub claimed_theirs: [u64; 4],
}

/// Who confirmed a recovery.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Confirmed {
    /// The administrator.
    pub by: Person,
    /// The second one.
    pub approved_by: Option<Person>,
    /// When.
    pub at: UnixMillis,
}

/// How far a recovery has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// What is known of it.
    pub recovery: Recovery,
    /// How many envelopes are here of those that the peer holds, as far as its Hello on the link of the moment says.
    pub done: u64,
    /// How many it holds; 0 without a link.
    pub total: u64,
    /// Whether history is asked for now.
    pub is_fetching: bool,
    /// Whether less is here than the peer once said it holds.
    pub is_short: bool,
}

impl Durable {
    /// Whether history is fetched from the peer as soon as a link is up.
    pub(crate) fn is_recovering(&self) -> bool {
        let failed = |ended: &RecoveryEnded| ended.end != RecoveryEnd::Complete;
        self.standing == Standing::WeLostHistory
            && self.recovery.confirmed.is_some()
            && !self.recovery.ended.as_ref().is_some_and(failed)
    }

    /// Whether less is here than the peer once said it holds: then something of that is still missing.
    pub(crate) fn is_short(&self) -> bool {
        let claimed = |stream: Stream| match stream.ours {
            true => self.recovery.claimed_ours[stream.lane.index()],
            false => self.recovery.claimed_theirs[stream.lane.index()],
        };
        Stream::all().any(|stream| self.last_seq_of(stream) < claimed(stream))
    }

    /// The latest place of one stream and the digest there.
    pub(crate) fn last_of(&self, stream: Stream) -> Option<(Seq, Digest)> {
        match stream.ours {
            true => self.out[stream.lane.index()].last,
            false => self.inbound[stream.lane.index()].last,
        }
    }

    fn last_seq_of(&self, stream: Stream) -> u64 {
        self.last_of(stream).map_or(0, |(seq, _)| seq.get())
    }

    /// Through which place what is here is as it was. An envelope of ours that was never handed to a link, as far as is left
    /// of the journal, may have expired or been taken back in the part that is lost, so it is looked at as well.
    pub(crate) fn settled_seq_of(&self, stream: Stream) -> u64 {
        let last = self.last_seq_of(stream);
        if stream.ours { last.min(self.out[stream.lane.index()].relayed) } else { last }
    }
}

/// One of the eight streams between two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Whether it is one towards the peer.
    pub ours: bool,
    /// Its lane.
    pub lane: Lane,
}

impl Stream {
    /// All eight, ours first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        [true, false].into_iter().flat_map(|ours| Lane::ALL.map(|lane| Self { ours, lane }))
    }

    /// The envelope at one of its places, between us and this peer.
    pub(crate) fn envelope(self, seq: Seq, own: &NodeId, peer: &NodeId) -> EnvelopeId {
        let (from, to) = if self.ours { (own, peer) } else { (peer, own) };
        EnvelopeId { from: from.clone(), to: to.clone(), lane: self.lane, seq }
    }

    fn index(self) -> usize {
        self.lane.index() + if self.ours { 0 } else { 4 }
    }

    /// What the peer holds of it, and the digest there: of ours what it has on its disk, of its own what it has our receipt for.
    pub(crate) fn goal(self, up: &UpLink) -> Option<(Seq, Digest)> {
        let marks = if self.ours { &up.peer_received } else { &up.peer_receipted };
        marks.get(self.lane)
    }

    fn goal_seq(self, up: &UpLink) -> u64 {
        self.goal(up).map_or(0, |(seq, _)| seq.get())
    }
}

/// What is asked for on one link.
#[derive(Debug, Default)]
pub struct Fetching {
    streams: [Window; 8],
    /// Since when an answer is waited for, on the monotonic clock in milliseconds.
    pub(crate) since_ms: Option<u64>,
    /// Whether more can be taken in than the batch had room for.
    pub(crate) goes_on: bool,
}

#[derive(Debug, Default)]
struct Window {
    /// The last place asked for.
    asked: u64,
    /// What came and is not taken in yet, in order.
    heads: VecDeque<Regained>,
    /// The first place that the peer does not hold, and the last one that it answered behind it.
    hole: Option<(Seq, u64)>,
}

/// What a history frame is to its stream.
pub(crate) enum Fits {
    /// The next one.
    Yes,
    /// Nobody asked for it, or it comes in another order.
    Unasked,
    /// It does not follow the one before.
    Contradicts,
}

impl Fetching {
    /// Whether everything that can be had from the peer is here.
    pub(crate) fn is_complete(&self, known: &Durable, up: &UpLink) -> bool {
        Stream::all().all(|stream| known.settled_seq_of(stream) >= self.goal_seq(stream, up))
    }

    /// Through which place a stream is taken: where the peer has a hole, up to there.
    fn goal_seq(&self, stream: Stream, up: &UpLink) -> u64 {
        let goal = stream.goal_seq(up);
        self.streams[stream.index()].hole.map_or(goal, |(hole, _)| goal.min(hole.get() - 1))
    }

    /// The peer does not hold a place: nothing behind it is taken on this link.
    pub(crate) fn note_hole(&mut self, stream: Stream, seq: Seq) {
        self.streams[stream.index()].hole = Some((seq, seq.get()));
    }

    /// Whether a place is one behind a hole that was asked for before that was known: it counts for nothing.
    pub(crate) fn is_behind_hole(&mut self, stream: Stream, seq: u64) -> bool {
        let window = &mut self.streams[stream.index()];
        match &mut window.hole {
            Some((_, answered)) if seq == *answered + 1 && seq <= window.asked => {
                *answered = seq;
                true
            }
            _ => false,
        }
    }

    /// The places that the peer does not hold.
    pub(crate) fn holes(&self) -> impl Iterator<Item = (Stream, Seq)> {
        Stream::all().filter_map(|stream| Some((stream, self.streams[stream.index()].hole?.0)))
    }

    /// What to ask for now: the next half of a window wherever as much of one was taken in.
    pub(crate) fn ask(&mut self, known: &Durable, up: &UpLink, own: &NodeId, peer: &NodeId) -> Vec<Fetch> {
        let mut fetches = Vec::new();
        for stream in Stream::all() {
            let (taken, goal) = (known.settled_seq_of(stream), self.goal_seq(stream, up));
            let window = &mut self.streams[stream.index()];
            let (from, to) = (window.asked.max(taken) + 1, goal.min(taken + FETCH_WINDOW));
            let is_half = to == goal || to + 1 >= from + FETCH_WINDOW / 2;
            if from <= to && is_half {
                let sender = if stream.ours { own } else { peer };
                fetches.push(Fetch { from: sender.clone(), lane: stream.lane, first: from, last: to });
                window.asked = to;
            }
        }
        fetches
    }

    /// Whether an answer is still to come.
    pub(crate) fn waits(&self, known: &Durable) -> bool {
        Stream::all().any(|stream| self.streams[stream.index()].asked > self.came(known, stream))
    }

    fn came(&self, known: &Durable, stream: Stream) -> u64 {
        let window = &self.streams[stream.index()];
        let taken = known.settled_seq_of(stream) + window.heads.len() as u64;
        window.hole.map_or(taken, |(_, answered)| answered)
    }

    /// Whether a place is the next one that was asked for.
    pub(crate) fn is_next(&self, known: &Durable, stream: Stream, seq: u64) -> bool {
        seq == self.came(known, stream) + 1 && seq <= self.streams[stream.index()].asked
    }

    /// Whether an envelope is the next one of its stream and follows the one before; at the last place, whether it is the one
    /// that the peer's Hello named.
    pub(crate) fn fits(&self, known: &Durable, up: &UpLink, stream: Stream, found: &Regained) -> Fits {
        let header = found.envelope.header();
        if !self.is_next(known, stream, header.seq.get()) {
            return Fits::Unasked;
        }
        let before = self.streams[stream.index()].heads.back().map(|before| before.envelope.header().digest());
        let before = before.or(known.last_of(stream).map(|(_, digest)| digest)).unwrap_or(Digest::ZERO);
        let follows = match header.seq.get() <= known.last_seq_of(stream) {
            true => known.out[stream.lane.index()].digest_at(header.seq) == Some(header.digest()),
            false => header.previous == before,
        };
        let is_named = stream.goal(up).is_none_or(|(seq, digest)| header.seq != seq || header.digest() == digest);
        if follows && is_named { Fits::Yes } else { Fits::Contradicts }
    }

    pub(crate) fn push(&mut self, stream: Stream, found: Regained) {
        self.streams[stream.index()].heads.push_back(found);
    }

    /// The next envelope to take in: one whose cause is here already, the one signed first of these. Nothing is taken while a
    /// stream that is not whole has nothing to compare with.
    pub(crate) fn pop(&mut self, known: &Durable, up: &UpLink) -> Option<Regained> {
        let lacks = |stream: Stream| {
            let taken = known.settled_seq_of(stream);
            self.streams[stream.index()].heads.is_empty() && taken < self.goal_seq(stream, up)
        };
        if Stream::all().any(lacks) {
            return None;
        }
        let heads = || {
            Stream::all().filter_map(|stream| {
                let found = self.streams[stream.index()].heads.front()?;
                Some((stream, &found.envelope))
            })
        };
        let first = |ready: bool| {
            let fits = heads().filter(|(_, envelope)| !ready || self.is_ready(known, up, envelope.header()));
            // The sort is stable: ours stand before theirs, and the urgent before the rest.
            fits.min_by_key(|(_, envelope)| envelope.header().sent_at).map(|(stream, _)| stream)
        };
        // An honest history has no circle; in one that has, the clock decides, and nothing stands still.
        let stream = first(true).or_else(|| first(false))?;
        self.streams[stream.index()].heads.pop_front()
    }

    /// Whether everything that an envelope names is here, as far as it will come.
    fn is_ready(&self, known: &Durable, up: &UpLink, header: &ExactHeader) -> bool {
        let from_us = |from: &NodeId| *from == header.from;
        let is_here =
            |stream: Stream, seq: Seq| seq.get() <= known.last_seq_of(stream) || seq.get() > self.goal_seq(stream, up);
        let ours = header.to == known.card.0.card().id;
        let received = header.received.is_none_or(|mark| is_here(Stream { ours: !ours, lane: mark.lane }, mark.seq));
        received
            && header.references.iter().all(|reference| {
                let id = &reference.envelope;
                let between = (&id.from, &id.to) == (&header.from, &header.to)
                    || (&id.from, &id.to) == (&header.to, &header.from);
                let same_way = from_us(&id.from);
                !between || is_here(Stream { ours: ours == same_way, lane: id.lane }, id.seq)
            })
    }
}
