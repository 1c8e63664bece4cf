//! The core's invariants, I1 to I14, as two (or more) cores with real keys and signatures live them: no clock, no network,
//! no disk. `pair` is the harness; each other file holds the tests of one subject.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod agreement;
mod announcements;
mod answers;
mod attachments;
mod backlogs;
mod bearings;
mod bounds;
mod drafts;
mod drain;
mod drill;
mod durability;
mod exports;
mod found;
mod hotline;
mod intake;
mod ladder;
mod links;
mod lost_keys;
mod pair;
mod recalls;
mod records;
mod recovery;
mod recovery_again;
mod recovery_hostile;
mod region;
mod renewals;
mod rotation;
mod silences;
mod simulation;
mod streams;
mod trust;
mod witnesses;
mod year;
