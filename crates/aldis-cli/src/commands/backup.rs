//! `aldis backup`: follows the node while it makes a backup, with a progress bar. Not a byte of it comes here.

use aldis_control::BackupLine;
use futures_util::StreamExt;

use super::{Session, daemon, verify};
use crate::args::BackupArgs;
use crate::failure::Failure;
use crate::render;

pub(crate) async fn run(session: &Session, args: &BackupArgs) -> Result<(), Failure> {
    if let Some(dir) = &args.verify {
        return daemon::verify_backup(dir, session.json).await;
    }
    let mut lines = session.client.backup().await?;
    let bar = verify::bar(session);
    while let Some(line) = lines.next().await {
        match line? {
            BackupLine::Progress(progress) => verify::advance(&bar, &progress),
            BackupLine::Report(report) => {
                bar.finish_and_clear();
                return session.show(&report, render::backed_up);
            }
            BackupLine::Error(error) => return Err(aldis_control::ClientError::Api(error).into()),
        }
    }
    // The client itself turns a backup without a report into an error, so this is only the shape of the loop.
    Err(Failure::Integrity { findings: 0 })
}
