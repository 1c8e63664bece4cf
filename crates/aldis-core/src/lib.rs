//! Every decision an Aldis node takes, as a deterministic state machine.
//!
//! This crate never reads a clock, draws a random number, opens a file or a socket, or waits: time and randomness come in
//! with each input (I11), what is to be done goes out as effects, and effects leave only after the records of their batch
//! were persisted ([`batch::Complete::commit`]). It holds indexes of open work, never the bodies of a backlog.
//!
//! Read it in the order in which things happen: [`input`] -> `decide` -> [`record`] -> `apply` -> [`batch`] -> [`effect`].

pub mod agreement;
mod apply;
pub mod attachments;
pub mod batch;
pub mod checks;
mod decide;
pub mod effect;
pub mod hotline;
mod hourly;
pub mod inbound;
pub mod input;
pub mod intake;
pub mod ladder;
pub mod limits;
mod moment;
pub mod outbound;
pub mod peer;
pub mod places;
pub mod record;
pub mod recovery;
mod snapshot;
mod state;
pub mod trust;

pub use decide::{Climbing, NextOnLadder, OnLadder, Order};
pub use moment::Moment;
pub use snapshot::{Frozen, SnapshotError};
pub use state::Core;
