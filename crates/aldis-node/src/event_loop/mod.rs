//! The event loop.
mod handle;
pub use handle::*;
