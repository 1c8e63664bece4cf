//! `aldis recall`: takes a message back, or shows what became of that at each recipient.

use aldis_control::{Exit, MessageQuery, RecallRequest, RecallState};

use super::Session;
use crate::args::RecallArgs;
use crate::failure::Failure;
use crate::render;

pub(super) async fn run(session: &Session, args: RecallArgs) -> Result<(), Failure> {
    let RecallArgs { id, reason, to, text, author } = args;
    let view = match reason {
        Some(reason) => session.client.recall(&RecallRequest { id, to, reason, text, author }).await?,
        None => session.client.recalls(&MessageQuery { id }).await?,
    };
    session.show(&view, render::recalls)?;
    // Each is explained where it stands.
    match view.recipients.iter().any(|recipient| recipient.state == RecallState::NotPossible) {
        true => Err(Failure::Explained(Exit::Refused.code())),
        false => Ok(()),
    }
}
