//! Every byte two Aldis nodes exchange: envelopes, receipts, Hellos, frames, cards, and how each is signed and verified.
//!
//! This crate does no I/O, keeps no clock and draws no random numbers. It decides nothing about messages: it says what
//! bytes mean and whether they are who they claim to be. `docs/protocol.md` specifies the same, byte by byte.
//!
//! Read it in the order in which bytes travel: [`frame`] -> [`envelope`] -> [`header`] and [`proof`] -> [`kinds`].

pub mod attachment;
pub mod card;
pub mod checkpoint;
pub mod codec;
pub mod codes;
pub mod digest;
pub mod envelope;
pub mod frame;
pub mod header;
pub mod hello;
pub mod ids;
pub mod keyring;
pub mod kinds;
pub mod lane;
pub mod merkle;
pub mod opening;
pub mod phrase;
pub mod proof;
pub mod receipt;
pub mod signing;

#[cfg(test)]
mod samples;
