//! The options of `aldis recall`.

use clap::Args;

const EXAMPLE: &str = "Example:
  aldis recall cert.br/cert.cl/P17 --reason wrong-recipient --text 'meant for cert.uy'
  aldis recall cert.br/cert.cl/P17        what became of it

The other side accepts with `aldis answer ID accept`: then the body is erased there.";

#[derive(Clone, Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct RecallArgs {
    /// Such as cert.br/cert.cl/P17. Of a message to several recipients any one; each of them is asked.
    pub(crate) id: String,
    /// Why: sent-in-error, wrong-recipient, wrong-label, overtaken or other. Without it, what became of the recall is
    /// shown.
    #[arg(long, value_name = "CODE")]
    pub(crate) reason: Option<String>,
    /// Only from this recipient; may be repeated.
    #[arg(long, value_name = "PEER", requires = "reason")]
    pub(crate) to: Vec<String>,
    /// Words for the person at the other end.
    #[arg(long, requires = "reason")]
    pub(crate) text: Option<String>,
    /// Your name or function; your user name when absent.
    #[arg(long, value_name = "NAME", requires = "reason")]
    pub(crate) author: Option<String>,
}
