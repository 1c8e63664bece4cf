//! Comm checks: what a node knows about how well the line to a peer works. A check asks, a reply or a person answers, and
//! what came of the latest checks is kept, bounded, for the figures people look at. `decide/checks.rs` asks and answers.

mod statistics;

pub use statistics::{Statistics, Trend};

use crate::hourly::Hourly;
use aldis_wire::codec::{Decode, Encode};
use aldis_wire::codes::Code;
use aldis_wire::digest::Digest;
use aldis_wire::header::ExactHeader;
use aldis_wire::ids::{EnvelopeId, NodeId, Seq, UnixMillis};
use aldis_wire::kinds::CheckPart;
use aldis_wire::lane::Lane;
use std::collections::VecDeque;

/// How many results are kept of each peer.
pub const RESULTS_MAX: usize = 256;

/// The lane of checks: that of cards and terms. A backlog of notices does not delay it, and FLASH waits for none.
pub const CHECK_LANE: Lane = Lane::Immediate;

/// After a refusal because of the hour, people are checked again this much later, in milliseconds.
const AGAIN_MS: u64 = 3 * HOUR_MS;

const HOUR_MS: u64 = 3_600_000;

/// When checks are made by themselves, how long each waits, and which of a peer's are taken.
#[derive(Clone, Debug)]
pub struct Drill {
    /// How often each peer's machine is checked, in milliseconds; 0 for never.
    pub machine_every_ms: u64,
    /// How often each peer's people are checked, in milliseconds; 0 for never.
    pub human_every_ms: u64,
    /// By how many hundredths of the interval at most a check comes earlier or later than it, at most 100.
    pub jitter_percent: u64,
    /// How long a machine's reply is waited for, in milliseconds.
    pub machine_wait_ms: u64,
    /// How long a person's answer is waited for, in milliseconds.
    pub human_wait_ms: u64,
    /// After how many missed checks of one sort in a row there is an alarm.
    pub missed_alarm: usize,
    /// How many machine checks of one peer are replied to in an hour.
    pub machine_per_hour: u32,
    /// How many checks of one peer may ask for people in an hour.
    pub human_per_hour: u32,
    /// The hours in which people may be checked, as a place in [`crate::ladder::Ladder::calendars`]; always without them.
    pub human_hours: Option<usize>,
    /// Whether a peer may ask for people outside those hours.
    pub wake: bool,
}

/// The checks of one peer, both ways, as they follow from the journal.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Checks {
    /// Ours that is open.
    pub open: Option<OpenCheck>,
    /// What came of ours, oldest first.
    pub results: VecDeque<CheckResult>,
    /// The peer's latest human check that was taken in.
    pub asked: Option<AskedCheck>,
    /// When ours of each sort was sent last, machine first, and the digest of its header, which nobody could foresee.
    last: [Option<(UnixMillis, Digest)>; 2],
    /// The peer's checks that were taken in, and what else it says about checks, machine first: what is for people counts
    /// apart.
    taken: [Hourly; 2],
}

/// A check of ours that is open.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OpenCheck {
    /// Its place in the lane [`CHECK_LANE`].
    pub seq: Seq,
    /// What was asked.
    pub part: CheckPart,
    /// When it was sent.
    pub at: UnixMillis,
    /// The peer's commitment in the first receipt that covers it.
    pub commitment: Option<Digest>,
}

/// A human check of a peer's.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AskedCheck {
    /// Its lane.
    pub lane: Lane,
    /// Its place there.
    pub seq: Seq,
    /// Until when an answer counts.
    pub until: UnixMillis,
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum CheckEnd {
    /// The peer's node replied.
    Replied,
    /// A person answered.
    Answered,
    /// The peer's node refused it, with this code.
    Refused(Code),
    /// Nothing came in time.
    Missed,
}

/// A check that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CheckResult {
    /// Its place in the lane [`CHECK_LANE`].
    pub seq: Seq,
    /// Whether it was for people.
    pub human: bool,
    /// When it was sent.
    pub sent_at: UnixMillis,
    /// What came of it.
    pub end: CheckEnd,
    /// How long it took, on the clock that never goes back; `None` if nothing came, or the node was restarted meanwhile.
    pub round_trip_ms: Option<u64>,
    /// The peer's clock minus ours, in milliseconds, as far as a reply tells.
    pub clock_difference_ms: Option<i64>,
    /// Until when the peer's certificate is good, as its reply says.
    pub certificate_valid_until: Option<UnixMillis>,
    /// What the peer's journal was committed to when the check was on its disk.
    pub commitment: Option<Digest>,
    /// When it ended.
    pub at: UnixMillis,
}

/// When a peer is checked next, on the clock that never goes back; it lives as long as the run.
#[derive(Debug, Default)]
pub(crate) struct CheckClock {
    /// Whether the rest was worked out since anything changed.
    pub(crate) planned: bool,
    /// The open check and when it was sent.
    pub(crate) began: Option<(Seq, u64)>,
    /// When the open check counts as missed.
    pub(crate) over_ms: Option<u64>,
    /// When the next check of each sort is sent, machine first.
    pub(crate) next_ms: [Option<u64>; 2],
}

impl Drill {
    /// How long a check of a sort waits, in milliseconds.
    pub fn wait_ms(&self, human: bool) -> u64 {
        if human { self.human_wait_ms } else { self.machine_wait_ms }
    }

    /// How many checks of one peer of a sort are taken in an hour.
    pub(crate) fn an_hour(&self, human: bool) -> u32 {
        if human { self.human_per_hour } else { self.machine_per_hour }
    }

    /// How often checks of a sort are made, in milliseconds; 0 for never.
    pub(crate) fn every_ms(&self, human: bool) -> u64 {
        if human { self.human_every_ms } else { self.machine_every_ms }
    }

    /// How far apart the earliest and the latest moment of a check are, in milliseconds.
    pub(crate) fn spread_ms(&self, every_ms: u64) -> u64 {
        every_ms / 100 * self.jitter_percent.min(100)
    }
}

impl Default for Drill {
    fn default() -> Self {
        Self {
            machine_every_ms: 0,
            human_every_ms: 0,
            jitter_percent: 20,
            machine_wait_ms: 60_000,
            human_wait_ms: HOUR_MS / 2,
            missed_alarm: 3,
            machine_per_hour: 60,
            human_per_hour: 6,
            human_hours: Some(0),
            wake: false,
        }
    }
}

impl Checks {
    /// The figures over what is kept, of machines or of people.
    pub fn statistics(&self, human: bool) -> Statistics {
        Statistics::over(self.results.iter().filter(|result| result.human == human))
    }

    /// The latest result of a sort.
    pub fn latest(&self, human: bool) -> Option<&CheckResult> {
        self.results.iter().rev().find(|result| result.human == human)
    }

    /// How many checks of a sort were missed since one was not.
    pub fn missed_in_a_row(&self, human: bool) -> usize {
        let sort = self.results.iter().rev().filter(|result| result.human == human);
        // A refusal comes from a node that is there, and says nothing about people.
        let said = sort.filter(|result| !(human && matches!(result.end, CheckEnd::Refused(_))));
        said.take_while(|result| result.end == CheckEnd::Missed).count()
    }

    /// Whether a message is our open check of a sort.
    pub(crate) fn is_open(&self, message: &EnvelopeId, human: bool) -> bool {
        let here = |open: &OpenCheck| message.lane == CHECK_LANE && message.seq == open.seq;
        self.open.as_ref().is_some_and(|open| here(open) && open.part.is_human() == human)
    }

    /// How many checks of the peer were taken in in the hour of a time.
    pub(crate) fn taken_in_hour(&self, human: bool, at: UnixMillis) -> u32 {
        self.taken[usize::from(human)].in_hour(at)
    }

    pub(crate) fn count_taken(&mut self, human: bool, at: UnixMillis) {
        self.taken[usize::from(human)].count(at);
    }

    /// Takes in that we sent a check.
    pub(crate) fn begin(&mut self, seq: Seq, digest: Digest, part: CheckPart, at: UnixMillis) {
        self.last[usize::from(part.is_human())] = Some((at, digest));
        self.open = Some(OpenCheck { seq, part, at, commitment: None });
    }

    /// Takes in a receipt that covers our checks up to `through`: the first one after a check fixes the peer's journal.
    pub(crate) fn receipted(&mut self, through: Seq, commitment: Digest) {
        if let Some(open) = self.open.as_mut().filter(|open| open.seq <= through) {
            open.commitment.get_or_insert(commitment);
        } else if let Some(result) = self.results.back_mut().filter(|result| result.seq <= through) {
            result.commitment.get_or_insert(commitment);
        }
    }

    /// Whether a receipt would be news.
    pub(crate) fn waits_for_commitment(&self) -> bool {
        let ended = self.results.back().is_some_and(|result| result.commitment.is_none());
        ended || self.open.as_ref().is_some_and(|open| open.commitment.is_none())
    }

    /// Takes in what came of a check; it was the open one.
    pub(crate) fn end(&mut self, result: CheckResult) {
        self.open = None;
        if self.results.len() >= RESULTS_MAX {
            self.results.pop_front();
        }
        self.results.push_back(result);
    }

    /// When the next check of a sort is due by the wall clock: an interval after the last one, earlier or later by chance.
    /// Without one, so long after `since` (when the peer was let in) that checks of many peers begin apart. `own` and
    /// `peer` make that differ for every pair. `None` if none are made.
    pub(crate) fn next_at(
        &self,
        drill: &Drill,
        human: bool,
        since: UnixMillis,
        own: &NodeId,
        peer: &NodeId,
    ) -> Option<UnixMillis> {
        let every_ms = drill.every_ms(human);
        if every_ms == 0 {
            return None;
        }
        Some(match &self.last[usize::from(human)] {
            None => {
                let chance =
                    Digest::of(&[b"check", own.as_str().as_bytes(), peer.as_str().as_bytes(), &[human.into()]]);
                since.plus_ms(every_ms / 2 + below(chance, every_ms))
            }
            Some((at, digest)) => {
                let not_now = |result: &CheckResult| matches!(&result.end, CheckEnd::Refused(code) if *code == Code::known("not-now"));
                let every_ms = match self.latest(human).is_some_and(not_now) {
                    true => every_ms.min(AGAIN_MS),
                    false => every_ms,
                };
                let spread_ms = drill.spread_ms(every_ms);
                at.plus_ms(every_ms - spread_ms / 2 + below(*digest, spread_ms))
            }
        })
    }
}

/// How long a check waits by its sender's own clock, whatever ours shows, in milliseconds.
pub(crate) fn lifetime_ms(header: &ExactHeader) -> u64 {
    header.expires_at.get().saturating_sub(header.sent_at.get())
}

/// A number below `below` that follows from a digest.
fn below(digest: Digest, below: u64) -> u64 {
    let (first, _) = digest.as_bytes().split_first_chunk().expect("a digest is longer than a number");
    u64::from_be_bytes(*first) % below.max(1)
}

#[cfg(test)]
#[path = "checks_tests.rs"]
mod tests;
