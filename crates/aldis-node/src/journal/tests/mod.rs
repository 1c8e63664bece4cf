//! The journal against everything a disk and an attacker can do to it.

pub(super) mod script;
mod support;

mod basics;
mod damage;
mod faults;
mod torn;
