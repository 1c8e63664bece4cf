//! The journal against everything a disk and an attacker can do to it.

#![allow(clippy::cast_possible_truncation, reason = "the tests' files are small")]

#[expect(dead_code, reason = "the file system of `tests/power/` needs what the journal does not")]
mod crash;
pub(crate) mod forging;
mod lives;
mod recorder;
pub(crate) mod script;
mod snapshots;
mod support;

mod basics;
mod bytes;
mod damage;
mod edits;
mod faults;
mod power;
mod torn;
mod witnesses;
