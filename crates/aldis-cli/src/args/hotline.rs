//! The options of `aldis hotline`.

use aldis_control::Tlp;
use clap::Args;

const EXAMPLE: &str = "Example:
  aldis hotline cert.cl --tlp amber --subject 'Worm in hospitals, now'

In the conversation each line goes when you press Enter. F12 is the place of a line; its marks say that it is stored
there, and that a person there was shown it. /who says who is at the desks, /quit ends the hotline at both ends with a
summary, Ctrl-D leaves it as it is: the same command comes back to it. To begin a line with /, type it twice.
Without a terminal, lines are read from standard input, and nothing is marked as seen.";

#[derive(Clone, Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct HotlineArgs {
    /// The peer.
    pub(crate) peer: String,
    /// amber+strict, amber, green or clear, for all that is said; needed to open one, never assumed. One that is there
    /// is joined only under its own.
    #[arg(long)]
    pub(crate) tlp: Option<Tlp>,
    /// What it is about, when it is opened.
    #[arg(long, short)]
    pub(crate) subject: Option<String>,
    /// The first words, when it is opened.
    #[arg(long)]
    pub(crate) text: Option<String>,
    /// The desk it is for, when it is opened; technical when absent.
    #[arg(long)]
    pub(crate) desk: Option<String>,
    /// The exercise it belongs to.
    #[arg(long, value_name = "NAME")]
    pub(crate) exercise: Option<String>,
    /// Your name or function; your user name when absent.
    #[arg(long, value_name = "NAME")]
    pub(crate) author: Option<String>,
}
