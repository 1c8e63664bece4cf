//! Evidence files: what one node's journal proves to somebody who trusts neither node nor network, in one zip file, and
//! how that is checked. This crate opens no connection, keeps no clock and knows no daemon; of ours it uses the wire
//! format alone. `docs/evidence.md` specifies the file, entry by entry, and says what is proven and what is not.
//!
//! Read it in the order in which a file is read: [`container`] -> [`name`] -> [`evidence`] -> [`mod@check`] -> [`words`].

pub mod check;
pub mod compare;
pub mod container;
pub mod escape;
pub mod evidence;
pub mod facts;
pub mod index;
pub mod keys;
pub mod name;
mod receipts;
pub mod timeline;
pub mod trust;
pub mod words;

pub use check::{Problem, check};
pub use evidence::{Evidence, Message, OpenError, Opened, SealError, Signed, SignedReceipt};
pub use facts::Facts;
