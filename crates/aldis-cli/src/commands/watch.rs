//! `aldis watch`: shows events as they happen, and comes back by itself when the daemon does.

use aldis_control::{EventKind, StreamedEvent};
use serde_json::json;

use super::Session;
use super::arriving::Arriving;
use super::events::{Came, Following};
use crate::bell::Bell;
use crate::failure::Failure;
use crate::{render, screen, when};

/// Shows events until it is interrupted.
pub(crate) async fn run(session: &Session, since: Option<String>, bell: Bell) -> Result<(), Failure> {
    let mut events = Following::begin(session.client.clone(), since).await?;
    notice(session, &format!("watching {}; stop with Ctrl-C", session.client.socket_path().display()));
    show_silences(session).await?;
    let mut arriving = Arriving::new(session);
    loop {
        match events.next().await? {
            Came::Event(event) if arriving.take(&event.event) => {}
            Came::Event(event) => arriving.above(|| show(session, &event, bell))?,
            Came::Lost(why) => arriving.above(|| notice(session, &format!("{why}; trying again"))),
            Came::Back => {
                notice(session, "connected again");
                show_silences(session).await?;
            }
        }
    }
}

/// What is silent already, for no event tells of it again. Programs ask for the status themselves.
async fn show_silences(session: &Session) -> Result<(), Failure> {
    if session.json {
        return Ok(());
    }
    match session.client.status().await {
        Ok(status) => session.write(render::silences(&status.silences, session.page).as_bytes()),
        // The stream is what was asked for; it says by itself when the daemon is gone.
        Err(_) => Ok(()),
    }
}

fn show(session: &Session, event: &StreamedEvent, bell: Bell) -> Result<(), Failure> {
    let text = if session.json {
        let line = json!({ "id": event.id, "event": event.event });
        format!("{}\n", screen::json(&line.to_string()))
    } else {
        let sound = if event.event.what == EventKind::Alert { bell.sound(&event.event.text) } else { String::new() };
        let page = render::Page { now: when::now(), ..session.page };
        format!("{sound}{}", render::event(&event.event, page))
    };
    session.write(text.as_bytes())
}

/// Says something about the watching itself, apart from the events.
fn notice(session: &Session, text: &str) {
    let text = screen::cell(text);
    if session.json {
        eprintln!("{}", screen::json(&json!({ "notice": text }).to_string()));
    } else {
        eprintln!("aldis: {text}");
    }
}
