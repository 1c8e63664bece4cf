//! Every byte two Aldis nodes exchange.
pub mod codec;
pub mod digest;
pub mod merkle;
