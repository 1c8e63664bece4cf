//! The options of what administrators do: to peers, to requests that wait for a second person, and to our own keys.

use aldis_control::OwnKey;
use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The peer.
    pub(crate) id: String,
    /// The words that the other side's administrator reads out; asked for on a terminal.
    #[arg(long, value_name = "WORDS")]
    pub(crate) phrase: Option<String>,
    /// Why, for the record; asked for on a terminal.
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: Option<String>,
    /// Only show the words of both sides.
    #[arg(long, conflicts_with_all = ["phrase", "why"])]
    pub(crate) show: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// The peer.
    pub(crate) id: String,
    /// The words that the other side's administrator reads out; asked for on a terminal where nothing else vouches.
    #[arg(long, value_name = "WORDS")]
    pub(crate) phrase: Option<String>,
    /// Do not take the key; the peer is told.
    #[arg(long, conflicts_with = "phrase")]
    pub(crate) decline: bool,
    /// Why, for the record; asked for on a terminal.
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: Option<String>,
    /// Only show the key that waits and the words of both sides.
    #[arg(long, conflicts_with_all = ["phrase", "decline", "why"])]
    pub(crate) show: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReasonArgs {
    /// The peer.
    pub(crate) id: String,
    /// Why, for the record; asked for on a terminal.
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RecoverArgs {
    #[command(flatten)]
    pub(crate) reason: ReasonArgs,
    /// Follow until all is here that the peer holds; without a reason, only that.
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    #[command(flatten)]
    pub(crate) reason: ReasonArgs,
    /// Take a revocation back; needs a second administrator.
    #[arg(long)]
    pub(crate) undo: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// The number of the request; see `aldis requests`.
    pub(crate) request: u64,
    /// Approve without being asked.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Take the request back instead.
    #[arg(long, conflicts_with = "yes")]
    pub(crate) withdraw: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Which keys sign for whom, and how long certificate and card are good.
    List,
    /// Make a new key, and announce it to the peers.
    Rotate {
        /// Which key.
        #[arg(value_enum)]
        key: WhichKey,
        /// Without being asked.
        #[arg(long)]
        yes: bool,
    },
}

/// One of our own keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhichKey {
    /// The one that signs messages; each peer's administrators must take the new one.
    Identity,
    /// The one that secures the channel; peers learn of the new one by themselves.
    Tls,
}

impl From<WhichKey> for OwnKey {
    fn from(which: WhichKey) -> Self {
        match which {
            WhichKey::Identity => Self::Identity,
            WhichKey::Tls => Self::Tls,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// Alert whoever has the channel on the ladder, marked as a test.
    Test {
        /// The channel's name, as under `[[alerts]]` in the configuration; or watch.
        channel: String,
        /// Only this person.
        #[arg(long, value_name = "NAME")]
        person: Option<String>,
    },
}
