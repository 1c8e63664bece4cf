//! What happens, as far as a hotline is concerned: that something moved, that a ladder climbs, that the daemon went away
//! and came back.

use std::time::Duration;

use aldis_control::{Client, ClientError, Event, EventKind, EventsQuery};
use futures_util::StreamExt;
use tokio::sync::mpsc;

/// The first wait before the daemon is tried again; it doubles.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// The longest wait.
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// How much may wait to be shown.
const WAITING_MAX: usize = 64;

/// Something that was heard.
#[derive(Debug)]
pub(super) enum Heard {
    /// The hotline may look different now.
    Happened,
    /// A step of a ladder, here or there.
    Ladder(String),
    /// Something about the connection itself.
    Notice(String),
}

/// Follows the daemon's events for as long as somebody listens.
pub(super) fn follow(client: Client, peer: String) -> mpsc::Receiver<Heard> {
    let (said, heard) = mpsc::channel(WAITING_MAX);
    tokio::spawn(async move {
        // An error here means that nobody listens any more.
        let _ended = watch(&client, &peer, &said).await;
    });
    heard
}

async fn watch(client: &Client, peer: &str, said: &mpsc::Sender<Heard>) -> Result<(), mpsc::error::SendError<Heard>> {
    let (mut delay, mut is_lost) = (FIRST_DELAY, false);
    // Without an id to go on from: what was missed shows in the hotline itself.
    let query = EventsQuery::default();
    loop {
        let why = match client.events(&query).await {
            Ok(mut events) => {
                if is_lost {
                    said.send(Heard::Notice("connected to the daemon again".to_owned())).await?;
                }
                (delay, is_lost) = (FIRST_DELAY, false);
                said.send(Heard::Happened).await?;
                while let Some(Ok(event)) = events.next().await {
                    if let Some(heard) = heard(&event.event, peer) {
                        said.send(heard).await?;
                    }
                }
                String::new()
            }
            Err(ClientError::Api(error)) if error.http_status() != 503 => format!(" ({})", error.message),
            Err(_) => String::new(),
        };
        if !is_lost {
            said.send(Heard::Notice(format!("the connection to the daemon is lost{why}; trying again"))).await?;
            is_lost = true;
        }
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(LONGEST_DELAY);
    }
}

fn heard(event: &Event, peer: &str) -> Option<Heard> {
    // The stream itself says so when events were lost.
    let about = event.peer.as_deref();
    match event.what {
        EventKind::Ladder | EventKind::Link if about == Some(peer) => Some(Heard::Ladder(event.text.clone())),
        EventKind::Hotline | EventKind::Received | EventKind::Delivery if about == Some(peer) => Some(Heard::Happened),
        EventKind::Other if about.is_none() => Some(Heard::Happened),
        _ => None,
    }
}
