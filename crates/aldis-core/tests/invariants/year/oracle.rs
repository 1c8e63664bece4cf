//! What a node owes, read from its journal alone: which step is due when, whether it came at its time, in its order, once. It
//! knows nothing of the core's agenda, and what `ladder()` says is written down here again: it must not ask what it judges.

use super::{Faults, HOUR_MS, MINUTE_MS};
use aldis_core::ladder::{Cause, Silence};
use aldis_core::record::{Climbed, Outcome, Record};
use aldis_wire::ids::{Seq, UnixMillis};
use aldis_wire::kinds::{Answer, Bearing, StepTold};
use aldis_wire::lane::Lane;
use aldis_wire::receipt::Receipt;
use std::collections::BTreeMap;

/// How many steps the ladder has.
pub(super) const TOP: u8 = 3;
const STEP_MS: u64 = 5 * MINUTE_MS;
const GRACE_MS: u64 = 2 * MINUTE_MS;
const ACKNOWLEDGE_MS: u64 = 10 * MINUTE_MS;
const ATTEND_MS: u64 = HOUR_MS;
const RECEIPT_MS: u64 = MINUTE_MS;

/// What one node owes, as its journal says.
#[derive(Default)]
pub(super) struct Oracle {
    pub(super) read: usize,
    pub(super) latest_at: u64,
    pub(super) tracks: BTreeMap<(Silence, Lane, u64), Track>,
    /// Per lane: the latest of ours that matters, the latest receipted.
    lanes: [(u64, u64); 4],
    /// Ours that want a person, by place: what they ask for, whether they are closed.
    ours: BTreeMap<(Lane, u64), (u64, bool)>,
    /// What the other side has told of each: its next higher step, whether somebody has taken it on.
    told: BTreeMap<(Lane, u64), (u8, bool)>,
}

/// One silence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Track {
    pub(super) due_ms: Option<u64>,
    /// How far the clock was off when the wait began.
    pub(super) shift_ms: i64,
    pub(super) step: u8,
    pub(super) arrival: bool,
    acknowledge_ms: u64,
}

impl Oracle {
    pub(super) fn take(&mut self, record: &Record, now_ms: u64, shift_ms: i64, faults: &mut Faults) {
        self.latest_at = record.at().map_or(self.latest_at, UnixMillis::get);
        let now = |wait_ms: u64, acknowledge_ms: u64| Track {
            due_ms: Some(now_ms + wait_ms),
            shift_ms,
            step: 0,
            arrival: false,
            acknowledge_ms,
        };
        match record {
            Record::Sent(sent) => {
                let (header, bearing) = (&sent.draft.header, sent.draft.bearing.get());
                if matches!(bearing, Bearing::Notice | Bearing::Answer(_)) {
                    let (matters, receipted) = &mut self.lanes[header.lane.index()];
                    if *receipted >= *matters {
                        self.tracks.insert((Silence::Undelivered, header.lane, 0), now(RECEIPT_MS, 0));
                    }
                    *matters = header.seq.get();
                }
                let acknowledge_ms = header.acknowledge_within_s().map_or(ACKNOWLEDGE_MS, |s| u64::from(s) * 1_000);
                match (bearing, header.references.iter().next()) {
                    (Bearing::Notice, _) => {
                        self.ours.insert((header.lane, header.seq.get()), (acknowledge_ms, false));
                    }
                    (Bearing::Answer(answer), Some(reference)) => {
                        let key = (Silence::Received, reference.envelope.lane, reference.envelope.seq.get());
                        self.answered(key, &answer, header.sent_at, 0, now(0, 0));
                    }
                    (Bearing::Refusal(_), Some(reference)) => {
                        let key = (Silence::Received, reference.envelope.lane, reference.envelope.seq.get());
                        self.tracks.remove(&key);
                    }
                    _ => {}
                }
            }
            Record::Received(received) => {
                let header = &received.header;
                let bearing = received.bearing.as_ref().map(aldis_core::record::StoredBearing::get);
                let acknowledge_ms = header.acknowledge_within_s().map_or(ACKNOWLEDGE_MS, |s| u64::from(s) * 1_000);
                if received.outcome != Outcome::Accepted {
                    return;
                }
                let about = header.references.iter().next().map(|reference| &reference.envelope);
                let key = about.map(|id| (Silence::Sent, id.lane, id.seq.get()));
                match (bearing, key) {
                    (Some(Bearing::Notice), _) => {
                        let arrival = matches!(header.lane, Lane::Flash | Lane::Immediate);
                        let track = Track { arrival, ..now(acknowledge_ms, acknowledge_ms) };
                        self.tracks.insert((Silence::Received, header.lane, header.seq.get()), track);
                    }
                    (Some(Bearing::Answer(answer)), Some(key)) => {
                        let acknowledge_ms = self.ours[&(key.1, key.2)].0;
                        self.answered(key, &answer, header.sent_at, GRACE_MS, now(0, acknowledge_ms));
                    }
                    (Some(Bearing::Refusal(_)), Some(key)) => self.close(key),
                    (Some(Bearing::Step(told)), Some(key)) if self.is_news(key, &told) => {
                        let wait_ms = u64::from(told.next_within_s) * 1_000 + GRACE_MS;
                        self.tracks.insert(key, now(wait_ms, self.ours[&(key.1, key.2)].0));
                    }
                    _ => {}
                }
            }
            Record::Receipted(receipted) => {
                let receipt = Receipt::from_journal(&receipted.receipt).expect("a receipt");
                for mark in receipt.stored.iter() {
                    self.receipted(mark.lane, mark.seq, now(RECEIPT_MS, 0));
                }
            }
            Record::Expired(expired) => {
                if let Some(ours) = self.ours.get_mut(&(expired.lane, expired.seq.get())) {
                    ours.1 = true;
                }
            }
            Record::Climbed(climbed) => self.climbed(climbed, now_ms, now(0, 0), faults),
            _ => {}
        }
    }

    fn receipted(&mut self, lane: Lane, seq: Seq, begun: Track) {
        let (matters, receipted) = &mut self.lanes[lane.index()];
        if seq.get() <= *receipted {
            return;
        }
        let first = *receipted + 1;
        *receipted = seq.get();
        match *receipted >= *matters {
            true => self.tracks.remove(&(Silence::Undelivered, lane, 0)),
            false => self.tracks.insert((Silence::Undelivered, lane, 0), begun),
        };
        for place in first..=seq.get() {
            if let Some((acknowledge_ms, false)) = self.ours.get(&(lane, place)) {
                let wait_ms = acknowledge_ms + GRACE_MS - RECEIPT_MS;
                let due_ms = begun.due_ms.map(|due_ms| due_ms + wait_ms);
                let track = Track { due_ms, acknowledge_ms: *acknowledge_ms, ..begun };
                self.tracks.entry((Silence::Sent, lane, place)).or_insert(track);
            }
        }
    }

    /// What an answer, ours or theirs, makes of a silence. `begun` begins now.
    fn answered(&mut self, key: (Silence, Lane, u64), answer: &Answer, at: UnixMillis, grace_ms: u64, begun: Track) {
        let wait_ms = match answer {
            Answer::Decided(_) => return self.close(key),
            Answer::Seen | Answer::Other(_) => return,
            Answer::Pending(Some(until)) => (until.get().saturating_sub(at.get())).div_ceil(1_000).max(1) * 1_000,
            Answer::Acknowledged | Answer::Pending(None) => ATTEND_MS,
        };
        if key.0 == Silence::Sent && self.ours[&(key.1, key.2)].1 {
            return;
        }
        if key.0 == Silence::Sent {
            self.told.insert((key.1, key.2), (0, true));
        }
        let acknowledge_ms = self.tracks.get(&key).map_or(begun.acknowledge_ms, |track| track.acknowledge_ms);
        let due_ms = begun.due_ms.map(|due_ms| due_ms + wait_ms + grace_ms);
        self.tracks.insert(key, Track { due_ms, acknowledge_ms, ..begun });
    }

    /// Whether a step the other side tells of is a higher one than before, or opens again what somebody had taken on.
    fn is_news(&mut self, key: (Silence, Lane, u64), step: &StepTold) -> bool {
        let (next, taken_on) = self.told.entry((key.1, key.2)).or_default();
        if step.reopens() && *taken_on {
            (*next, *taken_on) = (0, false);
        }
        let news = step.step >= *next && !*taken_on && !self.ours[&(key.1, key.2)].1;
        if news {
            *next = step.step + 1;
        }
        news
    }

    fn close(&mut self, key: (Silence, Lane, u64)) {
        self.tracks.remove(&key);
        if key.0 == Silence::Sent
            && let Some(ours) = self.ours.get_mut(&(key.1, key.2))
        {
            ours.1 = true;
        }
    }

    /// A step was taken: at its time, in its order, once.
    fn climbed(&mut self, climbed: &Climbed, now_ms: u64, begun: Track, faults: &mut Faults) {
        let places = match climbed.silence {
            Silence::Undelivered => vec![0],
            _ => climbed.messages.iter().map(|seq| seq.get()).collect(),
        };
        for place in places {
            let key = (climbed.silence, climbed.lane, place);
            let track = self.tracks.get_mut(&key).unwrap_or_else(|| panic!("a step without a silence: {climbed:?}"));
            if climbed.cause == Cause::Arrived {
                assert!(track.arrival && climbed.step == 0, "told twice that it came: {climbed:?}");
                track.arrival = false;
                continue;
            }
            assert_eq!(climbed.step, track.step + 1, "a step skipped or repeated: {climbed:?} {track:?}");
            assert_eq!(track.due_ms, Some(now_ms), "not at its time: {climbed:?} {track:?}");
            faults.steps += 1;
            faults.tops += u64::from(climbed.step == TOP);
            faults.reopened += u64::from(matches!(climbed.cause, Cause::Unattended | Cause::PromisePassed));
            let due_ms = (climbed.step < TOP).then_some(now_ms + STEP_MS);
            *track = Track { due_ms, step: climbed.step, acknowledge_ms: track.acknowledge_ms, ..begun };
        }
    }
}
