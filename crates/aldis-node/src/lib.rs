//! (placeholder)

pub mod log;
