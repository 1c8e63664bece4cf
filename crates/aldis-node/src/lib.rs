//! (placeholder)

pub mod admission;
pub mod tls;
