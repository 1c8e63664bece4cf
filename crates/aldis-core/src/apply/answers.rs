//! How answers move what they answer: ours a peer's message, a peer's one of ours.

use crate::inbound::{InLane, InState};
use crate::ladder::Wants;
use crate::outbound::{OutLane, OutState};
use aldis_wire::ids::{Seq, UnixMillis};
use aldis_wire::kinds::{Answer, Bearing};

/// Our own answer to a peer's message, given at `at`; a decision closes it.
pub(super) fn answered(lane: &mut InLane, seq: Seq, answer: &Answer, at: UnixMillis) {
    let (state, promised_s) = match answer {
        Answer::Seen | Answer::Other(_) => (Some(InState::Seen), 0),
        // That somebody is there is all a check asks.
        _ if lane.open.get(&seq.get()).is_some_and(|open| open.wants == Wants::Check) => (None, 0),
        Answer::Acknowledged => (Some(InState::Acknowledged), 0),
        Answer::Pending(until) => (Some(InState::Pending), seconds_until(*until, at)),
        Answer::Decided(_) => (None, 0),
    };
    lane.answer(seq, state, at, promised_s);
}

/// What a peer says about a message of ours, taken in at `at` and signed at `signed_at`. What it promises counts by its own
/// clock, for ours may differ.
pub(super) fn told(lane: &mut OutLane, seq: Seq, bearing: &Bearing, at: UnixMillis, signed_at: UnixMillis) {
    let (state, promised_s) = match bearing {
        Bearing::Step(step) => return lane.step_told(seq, step, at),
        Bearing::Answer(Answer::Seen) => (OutState::Seen, 0),
        Bearing::Answer(Answer::Acknowledged) => (OutState::Acknowledged, 0),
        Bearing::Answer(Answer::Pending(until)) => (OutState::Pending, seconds_until(*until, signed_at)),
        Bearing::Answer(Answer::Decided(_)) | Bearing::Refusal(_) => (OutState::Closed, 0),
        Bearing::Answer(Answer::Other(_))
        | Bearing::Notice
        | Bearing::Card
        | Bearing::Rotation
        | Bearing::Agreement
        | Bearing::Hotline
        | Bearing::Line(_)
        | Bearing::Check(_)
        | Bearing::Recall => return,
    };
    lane.answer(seq, state, at, promised_s);
}

/// How long a promise runs, at least a second; 0 if nothing was promised. One beyond a year counts as a year.
fn seconds_until(until: Option<UnixMillis>, at: UnixMillis) -> u32 {
    let Some(until) = until else { return 0 };
    let seconds = until.get().saturating_sub(at.get()).div_ceil(1_000);
    u32::try_from(seconds).unwrap_or(u32::MAX).clamp(1, aldis_wire::kinds::NEXT_WITHIN_MAX_S)
}
