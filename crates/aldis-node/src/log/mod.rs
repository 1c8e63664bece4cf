//! The message log: what people search and review, kept in sled and built from the journal.
//!
//! This folder is the only one that imports sled. It never holds the truth: everything in it can be thrown away
//! and applied again from the journal, and it never tries to repair what it finds damaged.

mod apply;
mod blocks;
mod case_index;
mod changes;
mod durable;
mod error;
mod follow;
mod guard;
mod layout;
mod merge;
mod node_events;
mod open;
mod pending;
mod position;
pub mod query;
mod rows;
#[cfg(test)]
mod rows_tests;
mod scan;
mod silences;
mod status;
pub mod store;
mod verify;

pub use follow::{LogHandle, LogSettings, NotCaughtUp};
pub use position::durable_position;
pub use status::LogStatus;
pub use verify::LogVerification;

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod open_tests;
#[cfg(test)]
mod power_tests;
#[cfg(test)]
mod store_tests;
#[cfg(test)]
mod tests;
