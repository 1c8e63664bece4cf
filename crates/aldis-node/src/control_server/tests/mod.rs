//! The control API as programs meet it: whole nodes in this process, real Unix sockets, the real client, and raw bytes
//! where a client would not send them.

mod alerts;
mod answering;
mod attachments;
mod audit;
mod backups;
mod bulk;
mod desks;
mod drafts;
mod drilling;
mod evidence;
mod exports;
mod hostile;
mod hotline_desks;
mod hotlines;
mod log_away;
mod main_job;
mod recalls;
mod red;
mod roles;
mod scrubs;
mod seen;
mod sending;
mod streams;
mod support;
