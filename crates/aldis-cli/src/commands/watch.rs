//! `aldis watch`: shows events as they happen, and comes back by itself when the daemon does.

use std::time::Duration;

use aldis_control::{ClientError, EventKind, EventsQuery, StreamedEvent};
use futures_util::StreamExt;
use serde_json::json;

use super::Session;
use crate::bell::Bell;
use crate::failure::Failure;
use crate::{render, screen, when};

/// How long to wait before the first attempt to come back; doubled each time it fails.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// The longest wait between two attempts.
const LONGEST_DELAY: Duration = Duration::from_secs(15);

/// Shows events until it is interrupted. A daemon that is not there in the beginning is an error, later it is not.
pub(crate) async fn run(session: &Session, since: Option<String>, bell: Bell) -> Result<(), Failure> {
    let mut query = EventsQuery { since };
    let mut events = session.client.events(&query).await?;
    let mut delay = FIRST_DELAY;
    notice(session, &format!("watching {}; stop with Ctrl-C", session.client.socket_path().display()));
    show_silences(session).await?;
    loop {
        let lost = loop {
            match events.next().await {
                Some(Ok(event)) => {
                    delay = FIRST_DELAY;
                    show(session, &event, bell)?;
                    if !event.id.is_empty() {
                        query.since = Some(event.id);
                    }
                }
                Some(Err(error)) => break error.to_string(),
                None => break "the daemon closed the stream".to_owned(),
            }
        };
        notice(session, &format!("{lost}; trying again"));
        events = loop {
            tokio::time::sleep(delay).await;
            delay = (delay * 2).min(LONGEST_DELAY);
            match session.client.events(&query).await {
                Ok(events) => break events,
                Err(ClientError::Unreachable { .. } | ClientError::Broken { .. }) => {}
                // The daemon is there and may be starting; anything else it says will not change by waiting.
                Err(ClientError::Api(error)) if error.http_status() == 503 => {}
                Err(error) => return Err(error.into()),
            }
        };
        notice(session, "connected again");
        show_silences(session).await?;
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
