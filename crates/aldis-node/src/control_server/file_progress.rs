//! Files on their way here, in the event stream: at most one event a second for each that has moved. It is no happening, so
//! it has no id and is not told again.

use super::{Server, convert, review};
use crate::access::Desks;
use aldis_control::{AttachmentState, AttachmentView, Direction, Event, EventKind, MessageRow};
use aldis_core::effect::AttachmentNews;
use aldis_core::record::LostReason;
use aldis_wire::digest::Digest;
use aldis_wire::ids::NodeId;
use futures_util::stream::{self, Stream};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// A file of which something came.
#[derive(Clone, Debug)]
pub(super) struct Moved {
    peer: NodeId,
    digest: Digest,
}

/// Files that arrive, from now on, each whenever something of it has come.
pub(super) fn moves(server: &Arc<Server>) -> impl Stream<Item = Moved> + use<> {
    let state = (Arc::clone(server), BTreeMap::new(), Vec::new());
    stream::unfold(state, |(server, mut seen, mut moved)| async move {
        loop {
            if let Some(next) = moved.pop() {
                return Some((next, (server, seen, moved)));
            }
            tokio::time::sleep(LOOK).await;
            let now = server.context.attachments.arriving();
            for ((peer, digest), bytes) in &now {
                if seen.get(&(peer.clone(), *digest)) != Some(bytes) {
                    moved.push(Moved { peer: peer.clone(), digest: *digest });
                }
            }
            // What is on its way no more is held now, or gone.
            let ended = seen.keys().filter(|key| !now.contains_key(*key)).cloned();
            moved.extend(ended.map(|(peer, digest)| Moved { peer, digest }));
            seen = now;
        }
    })
}

/// What whoever reads these desks is told of it; nothing if no message that they may read names the file.
pub(super) async fn event(server: &Server, desks: &Desks, moved: Moved) -> Option<Event> {
    naming(server, desks, Direction::In, moved).await
}

/// The same for what became of a file: it is here, the peer has ours, or it was given up.
pub(super) async fn ended(
    server: &Server,
    desks: &Desks,
    peer: &NodeId,
    digest: Digest,
    news: AttachmentNews,
) -> Option<Event> {
    let direction = match news {
        AttachmentNews::Taken | AttachmentNews::Lost(LostReason::ByPeer) => Direction::Out,
        AttachmentNews::Held | AttachmentNews::Lost(_) => Direction::In,
    };
    naming(server, desks, direction, Moved { peer: peer.clone(), digest }).await
}

async fn naming(server: &Server, desks: &Desks, direction: Direction, moved: Moved) -> Option<Event> {
    let Moved { peer, digest } = moved.clone();
    let found = review::read(server, desks.clone(), move |log| log.naming(direction, &peer, digest)).await;
    // A log that is not there tells nothing: it says where a file is whenever it is asked.
    let (row, number) = found.ok().flatten()?;
    let file = row.attachments.iter().find(|file| file.number == number)?;
    let text = text(&row, file);
    let state = Some(file.state.as_str().to_owned());
    let at = convert::time(server.context.clock.wall());
    Some(Event { at, what: EventKind::File, peer: Some(moved.peer.to_string()), state, text, message: Some(row) })
}

fn text(row: &MessageRow, file: &AttachmentView) -> String {
    let (number, all, id) = (file.number, row.attachments.len(), &row.id);
    match file.state {
        AttachmentState::Arriving => {
            let bytes = file.bytes.unwrap_or(0);
            format!("file {number} of {all} of {id}: {bytes} of {} bytes are here", file.size)
        }
        state => format!("file {number} of {all} of {id} is {}", state.as_str()),
    }
}
