//! The options of `aldis peer agreement`.

use aldis_control::{Precedence, Tlp};
use clap::Args;

/// Shows what was agreed with a peer, or sets our side of it.
#[derive(Debug, Args)]
pub(crate) struct AgreementArgs {
    /// The peer.
    pub(crate) id: String,
    /// Set our terms. What is not named stays as it is; the first terms name everything but kinds and times.
    #[arg(long, requires = "expires")]
    pub(crate) set: bool,
    /// A kind that may be sent; may be repeated.
    #[arg(long, requires = "set", value_name = "KIND", conflicts_with = "every_kind")]
    pub(crate) kind: Vec<String>,
    /// Let every kind be sent again.
    #[arg(long, requires = "set")]
    pub(crate) every_kind: bool,
    /// The most restrictive marking that may be sent.
    #[arg(long, requires = "set", value_name = "TLP")]
    pub(crate) highest_tlp: Option<Tlp>,
    /// How many FLASH messages a day; 0 for none.
    #[arg(long, requires = "set", value_name = "N")]
    pub(crate) flash_per_day: Option<u32>,
    /// How many messages an hour.
    #[arg(long, requires = "set", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) messages_per_hour: Option<u32>,
    /// How many bytes of headers and bodies an hour.
    #[arg(long, requires = "set", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) bytes_per_hour: Option<u64>,
    /// How many bytes an attached file may have, at most 4294967296; 0 for none, 1 GiB when the terms never said.
    #[arg(long, requires = "set", value_name = "N", value_parser = clap::value_parser!(u64).range(..=4_294_967_296))]
    pub(crate) attachment_max_bytes: Option<u64>,
    /// Within how many seconds an acknowledgement is wanted, such as flash=900; 0 for the default; may be repeated.
    #[arg(long, requires = "set", value_name = "PRECEDENCE=SECONDS", value_parser = within)]
    pub(crate) acknowledge_within: Vec<(Precedence, u32)>,
    /// Until when the terms are good: a date, a time, or 365d for in 365 days.
    #[arg(long, requires = "set", value_name = "DATE")]
    pub(crate) expires: Option<String>,
}

fn within(text: &str) -> Result<(Precedence, u32), String> {
    let (precedence, seconds) = text.split_once('=').ok_or("write it as flash=900")?;
    let precedence = precedence.parse().map_err(|error: aldis_control::UnknownPrecedence| error.to_string())?;
    let seconds = seconds.parse().map_err(|_| format!("`{seconds}` is not a number of seconds"))?;
    Ok((precedence, seconds))
}
