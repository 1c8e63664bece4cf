//! (placeholder)
pub mod journal;
