//! The life of a link: registered with the loop, read and written side by side, and its end told exactly once.

use super::ahead::AheadRoom;
use super::hello::Met;
use super::queue::{LinkQueue, Links};
use super::{fetching, receive, send};
use crate::attachments::Attachments;
use crate::clock::Clock;
use crate::directory::Directory;
use crate::event_loop::LoopHandle;
use crate::journal::Reader;
use crate::log::LogHandle;
use crate::notes::Notes;
use crate::own::Own;
use crate::right_of_way::RightOfWay;
use crate::tls::TlsStream;
use aldis_core::input::Input;
use aldis_wire::codec::Text;
use aldis_wire::ids::NodeId;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;

/// How much is read ahead, in bytes.
const READ_AHEAD_BYTES: usize = 64 * 1024;
/// How long and over how many bytes we wait for a peer to close after us.
const PARTING_TIME: Duration = Duration::from_secs(1);
const PARTING_MAX_BYTES: u64 = 4 << 20;

/// The times of links.
#[derive(Clone, Copy, Debug)]
pub struct LinkTimes {
    /// How often a heartbeat is sent.
    pub heartbeat: Duration,
    /// After how long without a word a link counts as dead.
    pub silence: Duration,
    /// How long a dial may take until both Hellos are verified.
    pub connect: Duration,
    /// How long a write may hang before the link counts as dead.
    pub write: Duration,
    /// How often to look whether a certificate or card runs out.
    pub expiry_look: Duration,
}

impl Default for LinkTimes {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            connect: Duration::from_secs(10),
            write: Duration::from_secs(30),
            expiry_look: Duration::from_mins(1),
        }
    }
}

/// What every link needs; clones share it.
#[derive(Clone)]
pub struct LinkContext {
    /// The way into the loop.
    pub node: LoopHandle,
    /// This node: its keys, which sign Hellos and receipts, and its card.
    pub own: Own,
    /// The enrolled peers.
    pub directory: Directory,
    /// The queues of all links.
    pub links: Links,
    /// Where backlogs are read.
    pub journal: Reader,
    /// Where it is looked up what a peer asks back of the past.
    pub log: LogHandle,
    /// The files that messages name.
    pub attachments: Attachments,
    /// The clock.
    pub clock: Clock,
    /// What is noticed about peers.
    pub notes: Notes,
    /// What FLASH has on this node.
    pub right_of_way: RightOfWay,
    /// The room that all links have for what they read ahead.
    pub ahead_room: AheadRoom,
    /// The times of links.
    pub times: LinkTimes,
}

impl LinkContext {
    /// Notes the last thing that went wrong with a peer.
    pub(super) fn note_error(&self, peer: &NodeId, code: &str, text: &str) {
        let at = self.clock.wall();
        self.notes.change(peer, |note| note.last_error = Some((code.to_owned(), text.to_owned(), at)));
    }
}

/// Runs a link until it ends, whoever ends it.
pub(super) async fn run<S>(met: Met<TlsStream<S>>, dialled_by_us: bool, context: LinkContext)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Met { peer, key, hello, presented, stream } = met;
    let (id, queue) = context.links.open(&peer, &presented);
    // A revocation that was loaded since the handshake has looked through the links before this one was among them.
    if let Err(error) = context.directory.recheck(&peer, &presented, context.clock.system_time()) {
        context.note_error(&peer, error.code(), &error.to_string());
        return context.links.forget(id);
    }
    let up = Input::LinkUp { peer: peer.clone(), link: id, dialled_by_us, hello: Box::new(hello) };
    // Before the loop knows the link, FLASH credit or a FLASH envelope that overtook it would be lost on it.
    if context.node.input_settled(up).await.is_ok() {
        // A link that the loop has refused is told why, and not read: nobody knows who speaks on it.
        let is_taken = !queue.is_closing();
        if is_taken {
            let since = context.clock.wall();
            context.notes.change(&peer, |note| note.link_since = Some(since));
        }
        // Only now: a switch of keys that the Hello named is journalled, and the directory knows it.
        let keys = context.directory.peer(&peer).map_or_else(|| key.clone().into(), |known| known.keys.clone());
        let (reading, mut writing) = tokio::io::split(stream);
        let mut reading = BufReader::with_capacity(READ_AHEAD_BYTES, reading);
        let (chunks, chunks_come) = mpsc::channel(fetching::CHUNKS_MAX);
        let receiver = receive::Receiver::new(id, peer.clone(), key, keys, Arc::clone(&queue), context.clone(), chunks);
        let fetcher = fetching::Fetcher::new(peer.clone(), Arc::clone(&queue), context.clone(), chunks_come);
        let sender = send::Sender::new(peer.clone(), Arc::clone(&queue), context.clone());
        let cause = tokio::select! {
            cause = receiver.run(&mut reading), if is_taken => cause,
            cause = sender.run(&mut writing) => cause,
            cause = fetcher.run(), if is_taken => cause,
            cause = cut(&queue) => cause,
        };
        if is_taken {
            let until = context.clock.wall();
            context.notes.change(&peer, |note| {
                note.link_since = Some(until);
                note.latency_ms = None;
            });
        }
        let down = Input::LinkDown { peer, link: id, cause: Text::cut(&cause) };
        // An error means that the node stops, and then the link needs no obituary.
        let _stopping = context.node.input(down).await;
        context.links.forget(id);
        part(&mut reading.into_inner().unsplit(writing)).await;
    }
    context.links.forget(id);
}

/// Ends a link whose peer must not stay, for it may not read our goodbye.
async fn cut(queue: &LinkQueue) -> String {
    queue.severed().await;
    tokio::time::sleep(PARTING_TIME).await;
    "cut: the peer may not be connected any more, and does not read our goodbye".to_owned()
}

/// Closes a connection so that our goodbye arrives: a socket closed over bytes that were never read is reset by the
/// kernel, and the peer loses what it has not read yet. Bounded in time and bytes. Nothing that comes now counts, so it is
/// read past TLS: rustls asserts that it reports no error after it has said that it closes.
pub(super) async fn part<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut TlsStream<S>) {
    let parting = async {
        stream.shutdown().await?;
        let (socket, _session) = stream.get_mut();
        tokio::io::copy(&mut socket.take(PARTING_MAX_BYTES), &mut tokio::io::sink()).await
    };
    // Whoever does not part in time is left to the kernel.
    let _parted = tokio::time::timeout(PARTING_TIME, parting).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use aldis_wire::frame::{Goodbye, GoodbyeCode};

    #[tokio::test(start_paused = true)]
    async fn a_severed_link_ends_though_nobody_reads_and_a_closed_one_waits() {
        let goodbye = || Goodbye { code: GoodbyeCode::NOT_ADMITTED, lane: None, text: Text::cut("out") };
        let queue = LinkQueue::default();
        queue.close(goodbye());
        assert!(tokio::time::timeout(PARTING_TIME * 60, cut(&queue)).await.is_err());
        queue.sever(goodbye());
        assert!(tokio::time::timeout(PARTING_TIME * 2, cut(&queue)).await.is_ok());
    }
}
