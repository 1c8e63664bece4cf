//! Links: the one connection between two nodes. Bytes come in, are verified here, in parallel and before the loop; frames
//! go out, the most urgent lane first. A link decides nothing: what does not verify, and who stays of two links, the core
//! judges.
//!
//! Read it in this order: [`accept`](self) and `dial` open a connection, `hello` makes it a link, `receive` and `send` run
//! it, `ahead` stands before `receive`, and `queue` between the loop and `send`; `attachments`, `fetching` and
//! `serving` are for files.

mod accept;
mod ahead;
mod attachments;
mod dial;
mod fetching;
mod hello;
mod history;
mod queue;
mod receive;
mod run;
mod send;
mod serving;

pub use accept::accept;
pub use ahead::AheadRoom;
pub use aldis_core::peer::LinkId;
pub use dial::dial;
pub use hello::LinkFacts;
pub use queue::{LinkQueue, Links};
pub use run::{LinkContext, LinkTimes};
