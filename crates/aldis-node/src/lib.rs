//! The Aldis daemon.

pub mod admission;
pub mod clock;
pub mod event_loop;
pub mod events;
pub mod journal;
pub mod log;
pub mod notes;
pub mod tls;
