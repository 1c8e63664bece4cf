//! What happens, as far as a hotline is concerned: that something moved, that a ladder climbs, that people are alerted,
//! that the daemon went away and came back.

use aldis_control::{ClientError, Event, EventKind};
use tokio::sync::mpsc;

use super::super::events::{Came, Following};

/// How much may wait to be shown.
const WAITING_MAX: usize = 64;

/// Something that was heard.
#[derive(Debug)]
pub(super) enum Heard {
    /// The hotline may look different now.
    Happened,
    /// A step of a ladder, here or there.
    Ladder(String),
    /// People are alerted. The daemon counts this stream as one that was heard, whatever the alert is about, so it is
    /// shown.
    Alert(String),
    /// Something about the link with the peer, or the connection itself.
    Notice(String),
    /// Nothing more is heard, and waiting would not change that.
    Ended(ClientError),
}

/// Passes on the daemon's events for as long as somebody listens.
pub(super) fn follow(events: Following, peer: String) -> mpsc::Receiver<Heard> {
    let (said, heard) = mpsc::channel(WAITING_MAX);
    tokio::spawn(async move {
        // An error here means that nobody listens any more.
        let _ended = pass_on(events, &peer, &said).await;
    });
    heard
}

async fn pass_on(
    mut events: Following,
    peer: &str,
    said: &mpsc::Sender<Heard>,
) -> Result<(), mpsc::error::SendError<Heard>> {
    loop {
        let heard = match events.next().await {
            Ok(Came::Event(event)) => heard(event.event, peer),
            Ok(Came::Lost(why)) => {
                Some(Heard::Notice(format!("the connection to the daemon is lost ({why}); trying again")))
            }
            Ok(Came::Back) => {
                said.send(Heard::Notice("connected to the daemon again".to_owned())).await?;
                Some(Heard::Happened)
            }
            Err(error) => return said.send(Heard::Ended(error)).await,
        };
        if let Some(heard) = heard {
            said.send(heard).await?;
        }
    }
}

fn heard(event: Event, peer: &str) -> Option<Heard> {
    let about = event.peer.as_deref();
    match event.what {
        EventKind::Alert => Some(Heard::Alert(event.text)),
        EventKind::Ladder if about == Some(peer) => Some(Heard::Ladder(event.text)),
        EventKind::Link if about == Some(peer) => Some(Heard::Notice(event.text)),
        EventKind::Hotline | EventKind::Received | EventKind::Delivery if about == Some(peer) => Some(Heard::Happened),
        // The stream itself says so when events were lost.
        EventKind::Other if about.is_none() => Some(Heard::Happened),
        _ => None,
    }
}
