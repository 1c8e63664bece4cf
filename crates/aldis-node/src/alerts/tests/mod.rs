//! Alerts against real programs, and against a real HTTPS server and a real mail server of the test's own.

mod carrying;
mod certificate;
mod commands;
mod https_server;
mod letters;
mod mail_server;
mod probing;
mod support;
mod telling;
mod webhooks;
