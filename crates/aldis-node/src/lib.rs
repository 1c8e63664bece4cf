//! The Aldis daemon: every side effect around the core. TLS, journal, message log, sockets and the control API are here;
//! no decision about a message is.
//!
//! Follow an envelope through the files: `link::receive` -> `event_loop` -> (the core decides) -> `journal` -> `link::send`,
//! with `log` and `control_server` beside. [`start`] puts it all together.

pub mod access;
pub mod admission;
pub mod alerts;
pub mod attachments;
pub mod backup;
pub mod card_text;
pub mod check;
pub mod clock;
pub mod config;
pub mod control_server;
pub mod demo;
pub mod directory;
pub mod event_loop;
pub mod events;
pub mod evidence;
pub mod expiry;
pub mod exports;
#[cfg(test)]
mod fixtures;
pub mod init;
pub mod journal;
pub mod keys;
pub mod link;
pub mod log;
pub mod memory;
mod node;
pub mod notes;
pub mod own;
pub mod own_card;
pub mod reporting;
pub mod revocation;
pub mod right_of_way;
pub mod rotation;
pub mod run;
pub mod scrub;
pub mod tls;
pub mod verification;

pub use node::{Node, Setup, StartError, restored, start};
