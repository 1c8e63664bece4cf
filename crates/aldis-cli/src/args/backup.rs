//! The options of `aldis backup` and `aldis restore`.

use clap::Args;
use std::path::PathBuf;

/// Without options: make one now, where the node's configuration says.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// Make none: verify the newest backup in this directory, or the one that it is. No daemon is needed.
    #[arg(long, value_name = "DIR")]
    pub(crate) verify: Option<PathBuf>,
}

/// Runs `aldisd restore`: the daemon must not run.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The directory of the backups, of which the newest is taken, or one of them.
    #[arg(long, value_name = "DIR")]
    pub(crate) from: PathBuf,
    /// The node's data directory.
    #[arg(long, value_name = "DATA_DIR")]
    pub(crate) to: PathBuf,
    /// The node's configuration, which says whose backup it must be.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The node's id, where its configuration is lost.
    #[arg(long, value_name = "ID", conflicts_with = "config")]
    pub(crate) node: Option<String>,
    /// Rename a journal and a log that are there; nothing is deleted.
    #[arg(long)]
    pub(crate) set_aside: bool,
}
