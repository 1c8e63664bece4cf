//! The Aldis daemon.

pub mod admission;
pub mod journal;
pub mod log;
pub mod tls;
