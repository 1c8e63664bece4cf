//! `aldis verify`: follows the walk over journal and log with a progress bar, and ends with 6 if anything is wrong.

use std::time::Duration;

use aldis_control::{VerifyLine, VerifyProgress};
use futures_util::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};

use super::Session;
use crate::failure::Failure;
use crate::{render, screen};

pub(crate) async fn run(session: &Session) -> Result<(), Failure> {
    let mut lines = session.client.verify().await?;
    let bar = bar(session);
    while let Some(line) = lines.next().await {
        match line? {
            VerifyLine::Progress(progress) => advance(&bar, &progress),
            VerifyLine::Report(report) => {
                bar.finish_and_clear();
                session.show(&report, render::verify_report)?;
                let findings = report.findings.len();
                return if report.ok && findings == 0 { Ok(()) } else { Err(Failure::Integrity { findings }) };
            }
            VerifyLine::Error(error) => return Err(aldis_control::ClientError::Api(error).into()),
        }
    }
    // The client itself turns a walk without a report into an error, so this is only the shape of the loop.
    Err(Failure::Integrity { findings: 0 })
}

/// A bar for long work. It goes to standard error and draws nothing unless that is a terminal.
pub(super) fn bar(session: &Session) -> ProgressBar {
    let bar = ProgressBar::new(0);
    if session.json {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{msg:20} {wide_bar} {percent:>3}% {eta:>5}");
    bar.set_style(style.expect("the template is well formed"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Moves it on.
pub(super) fn advance(bar: &ProgressBar, progress: &VerifyProgress) {
    bar.set_length(progress.total);
    bar.set_position(progress.done.min(progress.total));
    let what = screen::cut(&screen::cell(&progress.what), 20);
    if bar.message() != what {
        bar.set_message(what);
    }
}
