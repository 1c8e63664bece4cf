//! The Aldis daemon.

pub mod admission;
pub mod log;
pub mod tls;
