//! The options of `aldis export`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

const EXAMPLE: &str = "Example:
  aldis export --evidence --case k5qxe2 --body cert.br/cert.cl/P17 -o evidence.zip
  aldis-verify evidence.zip                what it proves, on any machine
  aldis export --since 7d > week.jsonl     the log, one JSON object a line, for other programs

What leaves is on record before it does. Without --body no message says what it is about.";

#[derive(Clone, Debug, Args)]
#[command(after_long_help = EXAMPLE)]
#[command(group = ArgGroup::new("shown").args(["ids", "case", "contradictions_of"]).multiple(true))]
pub(crate) struct ExportArgs {
    /// One file that proves messages to somebody who trusts neither side; `aldis-verify` checks it.
    #[arg(long, requires = "shown", conflicts_with_all = ["since", "until", "peer"])]
    pub(crate) evidence: bool,
    /// The messages, such as cert.br/cert.cl/P17.
    #[arg(value_name = "ID", requires = "evidence")]
    pub(crate) ids: Vec<String>,
    /// All messages of this case.
    #[arg(long)]
    pub(crate) case: Option<String>,
    /// Give the body of this message too; may be repeated. `all` gives every one.
    #[arg(long, value_name = "ID", requires = "evidence")]
    pub(crate) body: Vec<String>,
    /// Give the headers between each message and the one its receipt names. They tell of other messages, and without
    /// them such a receipt is not shown to cover it.
    #[arg(long, requires = "evidence")]
    pub(crate) links: bool,
    /// The contradicting headers that this peer signed.
    #[arg(long, value_name = "PEER", requires = "evidence")]
    pub(crate) contradictions_of: Option<String>,
    /// Write it here, to a file that is not there yet, instead of to standard output.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Of the log: only from this time on: a time, a date, or 2d for two days ago.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// Of the log: only before this time.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) until: Option<String>,
    /// Of the log: only this peer.
    #[arg(long)]
    pub(crate) peer: Option<String>,
}
