//! After `aldis send --attach`, on a terminal: how far the recipients have the files. It only looks on, and whoever leaves
//! leaves nothing undone.

use std::io::{self, IsTerminal};
use std::time::Duration;

use aldis_control::{MessageQuery, SendResponse};

use super::{Session, attach};
use crate::failure::Failure;
use crate::render;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(500);

/// Shows how far the files have come until every recipient has them, or whoever watches leaves.
pub(crate) async fn files(session: &Session, sent: &SendResponse) -> Result<(), Failure> {
    if session.json || sent.draft.is_some() || !io::stderr().is_terminal() {
        return Ok(());
    }
    let bar = attach::bar(session, 0);
    bar.set_message("to the recipients");
    bar.println("The files follow by themselves; Ctrl-C only ends this display.");
    let looked = tokio::select! {
        looked = look(session, sent, |done, all| {
            bar.set_length(all);
            bar.set_position(done);
        }) => looked,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    bar.finish_and_clear();
    looked
}

async fn look(session: &Session, sent: &SendResponse, show: impl Fn(u64, u64)) -> Result<(), Failure> {
    let mut left: Vec<String> = sent.messages.iter().map(|message| message.id.to_string()).collect();
    let mut done_before = 0;
    while !left.is_empty() {
        let (mut done, mut all, mut waiting) = (done_before, done_before, Vec::new());
        for id in left {
            let view = session.client.message(&MessageQuery { id: id.clone() }).await?;
            let size: u64 = view.row.attachments.iter().map(|file| file.size).sum();
            let came = render::under_way(&view.row).map(|(came, _)| came);
            done += came.unwrap_or(size);
            all += size;
            if came.is_some() {
                waiting.push(id);
            } else {
                // It has all of them, or no more is to come.
                done_before += size;
            }
        }
        left = waiting;
        show(done, all);
        if !left.is_empty() {
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(())
}
