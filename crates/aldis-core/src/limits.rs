//! The numbers that bound what the core does. Each has a default that suits two CERTs on the Internet; tests and the
//! demonstration shorten the times.

use crate::checks::Drill;
use crate::intake::Intake;
use crate::ladder::Ladder;
use aldis_wire::codes::Tlp;
use aldis_wire::lane::Lane;
use std::sync::Arc;

/// Bounds and times of the core.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The first wait before a peer is dialled again, in milliseconds; it doubles.
    pub retry_initial_ms: u64,
    /// The longest wait before a peer is dialled again, in milliseconds.
    pub retry_max_ms: u64,
    /// How long a link may owe a receipt before it counts as dead, in milliseconds.
    pub receipt_wait_ms: u64,
    /// How many envelopes per lane a peer may send ahead of our commits.
    pub credit_window: u64,
    /// How many messages to one peer may be open (undelivered or unanswered) at once.
    pub open_per_peer: u64,
    /// How many refusals and other words of the machine may wait for the peer's receipt. They have a count of their own, so
    /// that a full queue of an operator's does not keep the machine from answering.
    pub refusals_per_peer: u64,
    /// How many messages of one peer may wait for an answer here; more are refused, FLASH only beyond a reserve.
    pub unanswered_per_peer: u64,
    /// How many files the messages of one peer may name that are not erased, and ours to one peer.
    pub attachments_per_peer: usize,
    /// How many bytes of files are taken of one peer: those that are here and not erased, and those on their way.
    pub attachment_quota_bytes: u64,
    /// How fast each peer may send.
    pub intake: Intake,
    /// How many answers per peer are held for what they answer, and how many refusals are owed.
    pub held_per_peer: usize,
    /// How long an answer is held, in milliseconds.
    pub held_ms: u64,
    /// How far a peer's clock may differ before an alarm, in milliseconds.
    pub clock_difference_ms: u64,
    /// How long a machine's own messages (refusals) are good, in milliseconds.
    pub refusal_lifetime_ms: u64,
    /// Whether letting a peer in takes two persons.
    pub two_persons: bool,
    /// How long a request waits for its second person, in milliseconds.
    pub request_lifetime_ms: u64,
    /// Who is told when nobody answers, and when.
    pub ladder: Arc<Ladder>,
    /// What the site asks of its own people before something urgent or TLP:RED leaves.
    pub discipline: Discipline,
    /// Comm checks, ours and the peers'.
    pub drill: Drill,
}

/// What a site asks of its own people before something urgent or TLP:RED leaves. It concerns what people begin: notices
/// and the opening of a hotline. Answers, refusals and whatever the machine says are never held up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discipline {
    /// Whether a FLASH takes a second person.
    pub release_flash: bool,
    /// Whether TLP:RED takes a second person.
    pub release_red: bool,
    /// How long a draft waits for its second person, in milliseconds.
    pub release_within_ms: u64,
    /// How many words a FLASH may have, unless its sender says why it has more.
    pub flash_words: u32,
    /// How many FLASH messages may go to one peer in a day of UTC.
    pub flash_per_day: u32,
}

impl Discipline {
    /// Whether what people say in this lane under this marking takes a second person.
    pub fn wants_release(&self, lane: Lane, tlp: Tlp) -> bool {
        (self.release_flash && lane == Lane::Flash) || (self.release_red && tlp == Tlp::RED)
    }
}

/// The most drafts that wait at once. Each is small, and people read them all.
pub const DRAFTS_MAX: usize = 64;

/// How many messages to a peer may be open beyond [`Limits::open_per_peer`], and of it beyond
/// [`Limits::unanswered_per_peer`], if they are FLASH: a backlog of the other lanes, however long, leaves this room to
/// them alone.
pub const FLASH_RESERVE: u64 = 4_096;

/// How many turns (lines, marks, comings and goings) of a peer in hotlines are taken in an hour: one a second.
pub const TURNS_PER_HOUR: u32 = 3_600;

/// After how many envelopes that do not verify a lane is blocked.
pub const STRIKES_TO_BLOCK: u8 = 3;

/// Two links that come up within this time crossed each other, in milliseconds.
pub const CROSSING_MS: u64 = 5_000;

/// How many links in a row that were closed on purpose, before they had held, are dialled again at once. Both ends may
/// change a key and a certificate at the same time; a peer that goes on like that waits like any other.
pub const RENEWALS_MAX: u32 = 4;

impl Default for Limits {
    fn default() -> Self {
        Self {
            retry_initial_ms: 5_000,
            retry_max_ms: 15 * 60_000,
            receipt_wait_ms: 60_000,
            credit_window: 1_024,
            open_per_peer: 2_000_000,
            refusals_per_peer: 4_096,
            unanswered_per_peer: 100_000,
            attachments_per_peer: 65_536,
            attachment_quota_bytes: 16 << 30,
            intake: Intake::default(),
            held_per_peer: 256,
            held_ms: 7 * 24 * 3_600_000,
            clock_difference_ms: 5 * 60_000,
            refusal_lifetime_ms: 30 * 24 * 3_600_000,
            two_persons: true,
            request_lifetime_ms: 24 * 3_600_000,
            ladder: Arc::new(Ladder::default()),
            discipline: Discipline::default(),
            drill: Drill::default(),
        }
    }
}

impl Default for Discipline {
    fn default() -> Self {
        Self {
            release_flash: false,
            release_red: false,
            release_within_ms: 60 * 60_000,
            flash_words: 200,
            // What was agreed bounds it; a site that wants less says so.
            flash_per_day: 1_000_000,
        }
    }
}
