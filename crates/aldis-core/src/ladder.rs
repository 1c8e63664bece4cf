//! The ladder: who is told when nobody answers, and after how long. This file holds what an administrator configures;
//! `decide/ladder.rs` climbs it, and the node around the core carries the alerts to people.

mod agenda;
mod calendar;
mod check;
mod untold;
mod waits;

pub(crate) use agenda::{Agenda, Duty};
pub use calendar::{Calendar, CalendarError, Hours};
pub use check::LadderError;
pub use untold::Untold;
pub(crate) use waits::NextStep;
pub use waits::{Climb, Wants};

use crate::record::{DraftId, RecordSeq};
use aldis_wire::codec::{Decode, Encode, Text};
use aldis_wire::ids::{EnvelopeId, NodeId, UnixMillis};
use aldis_wire::lane::Lane;
use std::collections::BTreeMap;

/// The most steps a ladder has.
pub const STEPS_MAX: usize = aldis_wire::kinds::LADDER_STEPS_MAX as usize;

/// The most people on one step.
pub const PEOPLE_MAX: usize = 32;

/// The most messages one alert names; what fires beyond that at the same moment makes another alert.
pub const ALERT_MESSAGES_MAX: usize = 1_024;

/// Who is told, and when.
#[derive(Clone, Debug)]
pub struct Ladder {
    /// The steps, in the order in which they are climbed.
    pub steps: Vec<Step>,
    /// The hours that steps and deadlines name by their place here.
    pub calendars: Vec<Calendar>,
    /// The deadlines towards every peer.
    pub deadlines: Deadlines,
    /// The deadlines towards peers that have their own.
    pub per_peer: BTreeMap<NodeId, Deadlines>,
    /// Per lane, whether the first step's people are told as soon as a message comes.
    pub on_arrival: [bool; 4],
    /// How much longer than the peer's own deadline we wait for its word, in milliseconds: for the way, and for its alerts.
    pub grace_ms: u64,
    /// How long an alert may take before it counts as failed, in milliseconds.
    pub alert_wait_ms: u64,
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it is called, such as `duty officer`.
    pub name: Text<64>,
    /// Whom it alerts, those of them who are on duty.
    pub people: Vec<OnCall>,
    /// Per lane, how long until the next step, in milliseconds.
    pub wait_ms: [u64; 4],
    /// For which silences it is a step.
    pub serves: Serves,
}

/// For which silences a step is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// For all.
    All,
    /// Only when nobody here answers what a peer sent.
    Received,
    /// Only when a peer is silent about what we sent.
    Sent,
}

/// Somebody on a step.
#[derive(Clone, Debug)]
pub struct OnCall {
    /// A name or function.
    pub name: Text<64>,
    /// The hours in which they can be alerted, as a place in [`Ladder::calendars`]; always without one.
    pub hours: Option<usize>,
    /// The names of the channels that reach them, all of which are tried.
    pub channels: Vec<Text<32>>,
}

/// What is waited for, and how long.
#[derive(Clone, Debug)]
pub struct Deadlines {
    /// Per lane, within how long the peer's machine must have it, in milliseconds.
    pub receipt_ms: [u64; 4],
    /// Per lane, within what time a person must have acknowledged it.
    pub acknowledge: [AnswerBy; 4],
    /// Per lane, how long an acknowledged message may stay undecided before its case is open again, in milliseconds.
    pub attend_ms: [u64; 4],
    /// How long a hotline may ring, in milliseconds.
    pub pick_up_ms: u64,
}

/// Within what time a person must answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerBy {
    /// Within so many milliseconds.
    Within(u64),
    /// By the end of the next business day of the calendar at this place in [`Ladder::calendars`].
    NextBusinessDay(usize),
}

/// What the silence is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Silence {
    /// Nobody here has answered what a peer sent.
    Received,
    /// A peer's people have not answered what we sent, and its node no longer says what it does about it.
    Sent,
    /// A peer's machine has not receipted what we sent.
    Undelivered,
    /// Nobody here has released a draft of ours.
    Draft,
}

/// Why a step is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Cause {
    /// A message came.
    Arrived,
    /// Nobody acknowledged it in time.
    Unacknowledged,
    /// It was acknowledged, and nobody decided in time.
    Unattended,
    /// The time a decision was promised for has passed.
    PromisePassed,
    /// The peer's machine has not receipted it in time.
    NoReceipt,
    /// A human comm check came: a drill, and told once.
    Checked,
    /// Half of the time in which a second person may release a draft is over: told once.
    Unreleased,
}

/// Names an alert: the place of its record in the journal. An alert that is repeated after a restart keeps its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct AlertId(pub RecordSeq);

/// What the node brings to people, through the channels of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Which.
    pub id: AlertId,
    /// What the silence is about.
    pub silence: Silence,
    /// Why.
    pub cause: Cause,
    /// Which step: 0 tells that a message came, 1 is the first of the ladder.
    pub step: u8,
    /// How many steps there are.
    pub of: u8,
    /// What the step is called.
    pub step_name: Text<64>,
    /// The peer that sent the messages, or is silent about them.
    pub peer: NodeId,
    /// The precedence of the messages.
    pub lane: Lane,
    /// The exercise they are part of; real without one (I12).
    pub exercise: Option<Box<str>>,
    /// The messages, oldest first; for a silence of the peer's machine the first and the last.
    pub messages: Vec<EnvelopeId>,
    /// How many messages it is about.
    pub count: u64,
    /// Since when the silence lasts.
    pub since: UnixMillis,
    /// The draft, for one about a draft.
    pub draft: Option<DraftId>,
    /// Who is on duty on this step, and the channels that reach them.
    pub people: Vec<(Text<64>, Vec<Text<32>>)>,
    /// Whether the node was restarted before it learnt what became of the alert: people may have it already.
    pub again: bool,
}

/// What became of an alert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct AlertOutcome {
    /// Whom it reached, and by which channel.
    pub reached: Vec<(Text<64>, Text<32>)>,
    /// What failed: for whom, by which channel, and why.
    pub failed: Vec<(Text<64>, Text<32>, Text<200>)>,
}

impl Ladder {
    /// The steps for a silence.
    pub fn steps_for(&self, silence: Silence) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(move |step| match step.serves {
            Serves::All => true,
            Serves::Received => silence == Silence::Received,
            Serves::Sent => silence != Silence::Received,
        })
    }

    /// How many steps there are for a silence.
    pub fn height(&self, silence: Silence) -> u8 {
        u8::try_from(self.steps_for(silence).count()).expect("a ladder has few steps")
    }

    /// A step for a silence, from 1; 0 tells the people of the first.
    pub fn step(&self, silence: Silence, step: u8) -> Option<&Step> {
        self.steps_for(silence).nth(usize::from(step.saturating_sub(1)))
    }

    /// Whom a step alerts at a moment.
    pub fn on_duty<'a>(&'a self, step: &'a Step, at: UnixMillis) -> impl Iterator<Item = &'a OnCall> {
        step.people.iter().filter(move |person| self.is_on_duty(person, at))
    }

    fn is_on_duty(&self, person: &OnCall, at: UnixMillis) -> bool {
        person.hours.and_then(|place| self.calendars.get(place)).is_none_or(|hours| hours.covers(at))
    }

    /// The deadlines towards a peer.
    pub fn deadlines_for(&self, peer: &NodeId) -> &Deadlines {
        self.per_peer.get(peer).unwrap_or(&self.deadlines)
    }

    /// How long after `since` a deadline for people falls, in milliseconds.
    pub(crate) fn within_ms(&self, by: AnswerBy, since: UnixMillis) -> u64 {
        match by {
            AnswerBy::Within(ms) => ms,
            AnswerBy::NextBusinessDay(place) => match self.calendars.get(place) {
                Some(calendar) => calendar.next_business_day_ends(since).get() - since.get(),
                None => DAY_MS,
            },
        }
    }
}

/// The defaults that `docs/operating.md` names, and one step that rings in `aldis watch`.
impl Default for Ladder {
    fn default() -> Self {
        let duty = OnCall { name: Text::cut("duty officer"), hours: None, channels: vec![Text::cut("watch")] };
        let step = Step {
            name: Text::cut("duty officer"),
            people: vec![duty],
            wait_ms: [5 * MINUTE_MS, 15 * MINUTE_MS, HOUR_MS, 4 * HOUR_MS],
            serves: Serves::All,
        };
        Self {
            steps: vec![step],
            calendars: vec![Calendar::weekdays()],
            deadlines: Deadlines::default(),
            per_peer: BTreeMap::new(),
            on_arrival: [true, true, false, false],
            grace_ms: 2 * MINUTE_MS,
            alert_wait_ms: MINUTE_MS,
        }
    }
}

/// Customary speeds of service; see docs/operating.md.
impl Default for Deadlines {
    fn default() -> Self {
        let within = AnswerBy::Within;
        Self {
            receipt_ms: [MINUTE_MS, 2 * MINUTE_MS, 10 * MINUTE_MS, HOUR_MS],
            acknowledge: [
                within(10 * MINUTE_MS),
                within(30 * MINUTE_MS),
                within(3 * HOUR_MS),
                AnswerBy::NextBusinessDay(0),
            ],
            attend_ms: [2 * HOUR_MS, 8 * HOUR_MS, DAY_MS, 5 * DAY_MS],
            pick_up_ms: MINUTE_MS,
        }
    }
}

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

impl Silence {
    /// The silence in one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Received => "unanswered-here",
            Self::Sent => "no-acknowledgement",
            Self::Undelivered => "no-receipt",
            Self::Draft => "not-released",
        }
    }
}

impl Cause {
    /// Whether the case is open again because of it: nobody attended to it, or a promise passed.
    pub(crate) fn opens_again(self) -> bool {
        matches!(self, Self::Unattended | Self::PromisePassed)
    }

    /// The cause in one word, as it stands in the wire's `ladder-step`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arrived => "arrived",
            Self::Unacknowledged => "unacknowledged",
            Self::Unattended => "unattended",
            Self::PromisePassed => "promise-passed",
            Self::NoReceipt => "no-receipt",
            Self::Checked => "comm-check",
            Self::Unreleased => "unreleased",
        }
    }
}

impl std::fmt::Display for AlertId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.0)
    }
}
