//! How long each silence may last before its next step: the one place where deadlines, ladder, agreements and promises
//! come together.

use super::{Cause, Ladder, Silence};
use crate::inbound::{InState, OpenIn};
use crate::outbound::{OpenOut, OutState};
use crate::peer::Durable;
use aldis_wire::codec::{Decode, Encode};
use aldis_wire::ids::{NodeId, UnixMillis};
use aldis_wire::kinds::{Bearing, CheckPart, LinePart};
use aldis_wire::lane::Lane;

/// Whose answer an open message waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Wants {
    /// Nobody's.
    Nothing,
    /// A person's: silence climbs the ladder.
    Person,
    /// A person's, at once: it rings.
    PickUp,
    /// An administrator's, who may take days.
    Administrator,
    /// An answer to a comm check: it is counted, and alarms nobody.
    Check,
    /// Nobody's, as [`Self::Nothing`]: a machine's word, of which only so many wait for a receipt.
    Machine,
}

/// How far a silence has climbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Climb {
    /// Since when the next step is waited for, by the wall clock.
    pub since: UnixMillis,
    /// How many steps were taken.
    pub step: u8,
}

/// The next step of a silence, and how long after [`Climb::since`] it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NextStep {
    pub(crate) cause: Cause,
    pub(crate) step: u8,
    pub(crate) wait_ms: u64,
}

impl Wants {
    /// What an envelope of this bearing waits for.
    pub(crate) fn of(bearing: &Bearing) -> Self {
        match bearing {
            Bearing::Notice | Bearing::Recall => Self::Person,
            Bearing::Hotline => Self::PickUp,
            Bearing::Rotation => Self::Administrator,
            Bearing::Check(part) if part.is_asked() => Self::Check,
            Bearing::Refusal(_) | Bearing::Step(_) | Bearing::Check(CheckPart::Reply) => Self::Machine,
            _ => Self::Nothing,
        }
    }

    /// Whether people wait for the receipt of an envelope of this bearing: what they wrote, and not what machines tell each
    /// other.
    pub(crate) fn matters(bearing: &Bearing) -> bool {
        match bearing {
            Bearing::Notice | Bearing::Answer(_) | Bearing::Hotline | Bearing::Recall => true,
            Bearing::Line(part) => *part == LinePart::Line,
            Bearing::Refusal(_)
            | Bearing::Card
            | Bearing::Rotation
            | Bearing::Agreement
            | Bearing::Step(_)
            | Bearing::Check(_) => false,
        }
    }

    /// Whether silence about it climbs the ladder.
    pub(crate) fn climbs(self) -> bool {
        matches!(self, Self::Person | Self::PickUp)
    }
}

impl Default for Climb {
    fn default() -> Self {
        Self::from(UnixMillis::new(0))
    }
}

impl Climb {
    /// Nothing was taken yet, from `since` on.
    pub(crate) fn from(since: UnixMillis) -> Self {
        Self { since, step: 0 }
    }
}

impl Ladder {
    /// The next step when nobody here answers a peer's message; `None` when the top is reached or nobody has to.
    pub(crate) fn next_attend(&self, peer: &NodeId, known: &Durable, lane: Lane, open: &OpenIn) -> Option<NextStep> {
        if open.wants == Wants::Check {
            // People are told once, and apart from real traffic; nothing climbs.
            return (!open.arrival_told).then_some(NextStep { cause: Cause::Checked, step: 0, wait_ms: 0 });
        }
        if !open.wants.climbs() {
            return None;
        }
        let step = open.climb.step + 1;
        let next = |cause, wait_ms| Some(NextStep { cause, step, wait_ms });
        if self.on_arrival[lane.index()] && !open.arrival_told {
            return Some(NextStep { cause: Cause::Arrived, step: 0, wait_ms: 0 });
        }
        let attend_ms = self.deadlines_for(peer).attend_ms[lane.index()];
        if open.wants == Wants::PickUp && open.state >= InState::Acknowledged {
            // Somebody picked up; how long they talk is theirs.
            return None;
        }
        match open.state {
            InState::Pending if open.promised_s > 0 => next(Cause::PromisePassed, ms(open.promised_s)),
            InState::Acknowledged | InState::Pending => next(Cause::Unattended, attend_ms),
            InState::Stored | InState::Notified | InState::Seen if open.climb.step > 0 => {
                next(Cause::Unacknowledged, self.wait_after(Silence::Received, open.climb.step, lane)?)
            }
            InState::Stored | InState::Notified | InState::Seen => {
                let since = open.climb.since;
                next(Cause::Unacknowledged, self.acknowledge_ms(peer, known, lane, open.wants, open.within_s, since))
            }
        }
    }

    /// The next step when a peer's people do not answer our message; the peer's node is expected to say what it does.
    pub(crate) fn next_answer(&self, peer: &NodeId, known: &Durable, lane: Lane, open: &OpenOut) -> Option<NextStep> {
        if !open.wants.climbs() || open.state < OutState::Stored || open.state == OutState::Closed {
            return None;
        }
        if open.wants == Wants::PickUp && open.state >= OutState::Acknowledged {
            return None;
        }
        let cause = match open.state {
            OutState::Acknowledged => Cause::Unattended,
            OutState::Pending => Cause::PromisePassed,
            _ => Cause::Unacknowledged,
        };
        let next = |wait_ms| Some(NextStep { cause, step: open.climb.step + 1, wait_ms });
        if open.climb.step > 0 {
            return next(self.wait_after(Silence::Sent, open.climb.step, lane)?);
        }
        let attend_ms = self.deadlines_for(peer).attend_ms[lane.index()];
        let acknowledge_ms = self.acknowledge_ms(peer, known, lane, open.wants, open.within_s, open.climb.since);
        let wait_ms = match open.state {
            OutState::Pending if open.promised_s > 0 => ms(open.promised_s),
            // A machine's word holds our own ladder back only so long: what it promises is not in our hands.
            _ if open.promised_s > 0 => {
                ms(open.promised_s).min(attend_ms.max(acknowledge_ms).saturating_add(self.alert_wait_ms))
            }
            OutState::Acknowledged | OutState::Pending => attend_ms,
            _ => acknowledge_ms,
        };
        next(wait_ms.saturating_add(self.grace_ms))
    }

    /// The next step when a peer's machine does not receipt what lies in a lane.
    pub(crate) fn next_receipt(&self, peer: &NodeId, known: &Durable, lane: Lane) -> Option<NextStep> {
        let out = &known.out[lane.index()];
        if !out.is_silent() {
            return None;
        }
        let wait_ms = match out.silence.step {
            0 => self.deadlines_for(peer).receipt_ms[lane.index()],
            step => self.wait_after(Silence::Undelivered, step, lane)?,
        };
        Some(NextStep { cause: Cause::NoReceipt, step: out.silence.step + 1, wait_ms })
    }

    /// Within how long after `since` a person must have acknowledged a message: as the message itself says, else as the
    /// stricter of both sides' terms, else as this node's deadlines.
    pub(crate) fn acknowledge_ms(
        &self,
        peer: &NodeId,
        known: &Durable,
        lane: Lane,
        wants: Wants,
        within_s: u32,
        since: UnixMillis,
    ) -> u64 {
        if within_s > 0 {
            return ms(within_s);
        }
        let deadlines = self.deadlines_for(peer);
        if wants == Wants::PickUp {
            return deadlines.pick_up_ms;
        }
        let agreed = known.agreement.both().filter_map(|terms| terms.acknowledge_within_s(lane)).min();
        agreed.map_or_else(|| self.within_ms(deadlines.acknowledge[lane.index()], since), ms)
    }

    /// How long after a step the next one comes; `None` after the last.
    fn wait_after(&self, silence: Silence, step: u8, lane: Lane) -> Option<u64> {
        (step < self.height(silence)).then(|| self.step(silence, step).map(|step| step.wait_ms[lane.index()]))?
    }
}

fn ms(seconds: u32) -> u64 {
    u64::from(seconds) * 1_000
}
