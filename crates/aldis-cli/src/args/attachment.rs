//! The options of `aldis attachment`.

use std::path::PathBuf;

use clap::Args;

const EXAMPLE: &str = "Example:
  aldis show cert.br/P17                              lists the files of a message
  aldis attachment cert.br/P17 1                      what the first one is
  aldis attachment cert.br/P17 1 --save evidence.pcap
  aldis attachment --upload evidence.pcap             for `aldis send --bulk`: its digest

A file from a peer is untrusted. It is never opened, run or shown here, and never saved under the peer's name for it.";

#[derive(Clone, Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct AttachmentArgs {
    /// The message, such as cert.br/P17.
    #[arg(required_unless_present = "upload", requires = "number")]
    pub(crate) id: Option<String>,
    /// Which of its files, from 1.
    pub(crate) number: Option<u32>,
    /// Write the file here, to a name that is not there yet, or - for standard output; its digest is checked.
    #[arg(long, short, value_name = "FILE", requires = "id")]
    pub(crate) save: Option<PathBuf>,
    /// Hand in a file that a message will name within the hour, and say its digest.
    #[arg(long, value_name = "FILE", conflicts_with = "id")]
    pub(crate) upload: Option<PathBuf>,
}
