//! People of a machine before their daemons: each call is a process under a Unix user of its own.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod callers;
mod scene;
mod two_persons;
