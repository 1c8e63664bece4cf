//! The message log over journals that two real cores wrote, with real keys and signatures.

mod damage;
mod exports;
mod following;
mod openings;
mod pair;
mod past;
mod queries;
mod recalling;
mod silences;
mod speed;
mod verifying;
