//! What the system tests share. Nothing here is part of a node.

pub mod bad_network;
pub mod byte_flipper;
pub mod certs;
pub mod content;
pub mod panics;
pub mod raw_peer;
pub mod vectors;
