//! `aldis export`: evidence in one file, or the log as lines of JSON. An existing file is never overwritten, and one
//! that did not come whole is not left behind.

use aldis_control::{EvidenceRequest, LogQuery};
use futures_util::TryStreamExt;
use indicatif::{ProgressBar, ProgressStyle};

use super::output::Output;
use super::{Session, moment};
use crate::args::ExportArgs;
use crate::failure::Failure;
use crate::when::Bare;

/// How many rows of the log are asked for at once.
const PAGE_ROWS: u32 = 500;

pub(crate) async fn run(session: &Session, args: ExportArgs) -> Result<(), Failure> {
    let no_terminal = args.evidence.then_some(("evidence is a zip file, and this is a terminal", "add -o FILE"));
    let mut output = Output::to(args.output.as_deref(), no_terminal)?;
    let done =
        if args.evidence { evidence(session, args, &mut output).await } else { log(session, args, &mut output).await };
    match done {
        Ok(()) => output.keep(),
        Err(failure) => {
            output.discard();
            Err(failure)
        }
    }
}

async fn evidence(session: &Session, args: ExportArgs, output: &mut Output) -> Result<(), Failure> {
    let (all, bodies): (Vec<String>, Vec<String>) = args.body.into_iter().partition(|id| id == "all");
    let request = EvidenceRequest {
        ids: args.ids,
        case: args.case,
        all_bodies: !all.is_empty(),
        bodies,
        links: args.links,
        contradictions_of: args.contradictions_of,
    };
    let (length, mut pieces) = session.client.evidence(&request).await?;
    // The bar goes to standard error and draws nothing unless that is a terminal.
    let bar = ProgressBar::new(length.unwrap_or(0));
    if session.json {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("evidence {wide_bar} {bytes:>10} {eta:>5}");
    bar.set_style(style.expect("the template is well formed"));
    let mut written = 0;
    while let Some(piece) = pieces.try_next().await? {
        output.write(&piece)?;
        written += piece.len() as u64;
        bar.set_position(written);
    }
    bar.finish_and_clear();
    Ok(())
}

/// The log, oldest page last, one message a line: whoever takes it into another system sorts it there.
async fn log(session: &Session, args: ExportArgs, output: &mut Output) -> Result<(), Failure> {
    let mut query = LogQuery {
        peer: args.peer,
        case: args.case,
        since: moment(args.since, session.page, Bare::Ago)?,
        until: moment(args.until, session.page, Bare::Ago)?,
        limit: Some(PAGE_ROWS),
        ..LogQuery::default()
    };
    loop {
        let page = session.client.log(&query).await?;
        for row in &page.rows {
            let line = serde_json::to_string(row).expect("a row is made of strings and numbers");
            output.write(crate::screen::json(&line).as_bytes())?;
            output.write(b"\n")?;
        }
        if page.next.is_none() {
            return Ok(());
        }
        query.before = page.next;
    }
}
