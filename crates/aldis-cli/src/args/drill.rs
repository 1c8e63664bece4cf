//! The options of `aldis drill`.

use clap::Args;

/// Checks whether the line to peers works: their machines, or with --human their people. Never confused with real traffic.
#[derive(Debug, Args)]
pub(crate) struct DrillArgs {
    /// The peers; all verified ones when absent.
    pub(crate) peer: Vec<String>,
    /// Ask for a person's answer; the peer may refuse outside the hours it keeps for that.
    #[arg(long)]
    pub(crate) human: bool,
    /// Ask for a person at any hour; only where the peer allows it.
    #[arg(long, requires = "human")]
    pub(crate) wake: bool,
    /// Words to the other side.
    #[arg(long, value_name = "T")]
    pub(crate) text: Option<String>,
    /// Name or function of the person who asks; the calling user when absent.
    #[arg(long, value_name = "NAME")]
    pub(crate) author: Option<String>,
    /// Wait for what comes of it, at most so many seconds.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "600",
          value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) wait: Option<u64>,
    /// Check nobody; show the figures of the latest checks of each peer.
    #[arg(long, conflicts_with_all = ["human", "text", "author", "wait"])]
    pub(crate) statistics: bool,
}
