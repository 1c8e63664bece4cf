//! Reading a link: frames become verified envelopes and receipts here, and go to the loop. The first thing that does not
//! hold is told to the loop, and nothing after it is read.

use super::ahead::{Ahead, ReadEnd};
use super::attachments::FileFault;
use super::history::{self, LookError, OwnEnvelopes};
use super::queue::LinkQueue;
use super::run::LinkContext;
use crate::event_loop::RequestError;
use aldis_core::input::{Input, Regained};
use aldis_core::peer::LinkId;
use aldis_core::record::RecordSeq;
use aldis_wire::codec::Text;
use aldis_wire::envelope::{Body, EnvelopeError, EnvelopeVerifier, VerifiedEnvelope, claimed_key, claimed_lane};
use aldis_wire::frame::{Chunk, FRAME_MAX_BYTES, Fetch, Frame, Goodbye, GoodbyeCode, History, Ping, Pong, Want};
use aldis_wire::header::ExactHeader;
use aldis_wire::ids::NodeId;
use aldis_wire::keyring::KeyRing;
use aldis_wire::kinds::{self, Reading};
use aldis_wire::lane::{Lane, Marks};
use aldis_wire::receipt::VerifiedReceipt;
use aldis_wire::signing::PublicKey;
use bytes::Bytes;
use std::pin::pin;
use std::sync::Arc;
use tokio::io::AsyncRead;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// How many bytes of envelopes of one link, FLASH apart, may wait for the loop. The queues count messages; without this one
/// link could fill them with large ones, which is memory (I7), and every other peer's FLASH would wait until they are on
/// the disk.
const ROOM_BYTES: usize = 256 * 1024;

/// How many bytes of its FLASH may wait beside that: one frame. Whatever else stands in the queue leaves this to it (I14).
const FLASH_ROOM_BYTES: usize = FRAME_MAX_BYTES;

/// The reading half of a link.
pub(super) struct Receiver {
    link: LinkId,
    peer: NodeId,
    key: PublicKey,
    envelopes: EnvelopeVerifier,
    flash_stored: FlashStored,
    own_envelopes: OwnEnvelopes,
    queue: Arc<LinkQueue>,
    context: LinkContext,
    /// What was read and is not taken yet.
    ahead: Arc<Ahead>,
    room: Room,
    /// Where chunks go.
    chunks: mpsc::Sender<Chunk>,
}

/// Why reading ended.
enum End {
    /// In words; the link is over.
    Over(String),
    /// The loop was told; the goodbye it decides on ends the link.
    Judged,
}

impl Receiver {
    /// A receiver of what `key` signs now and `keys` signed before.
    pub(super) fn new(
        link: LinkId,
        peer: NodeId,
        key: PublicKey,
        keys: KeyRing,
        queue: Arc<LinkQueue>,
        context: LinkContext,
        chunks: mpsc::Sender<Chunk>,
    ) -> Self {
        let envelopes = EnvelopeVerifier::new(peer.clone(), context.own.id().clone(), keys);
        let (own_envelopes, flash_stored) = (OwnEnvelopes::default(), FlashStored::default());
        let (ahead, room) = (Arc::new(Ahead::new(context.ahead_room.clone())), Room::new());
        Self { link, peer, key, envelopes, flash_stored, own_envelopes, queue, context, ahead, room, chunks }
    }

    /// Reads until the link is over; returns the cause in words.
    pub(super) async fn run(mut self, stream: &mut (impl AsyncRead + Unpin)) -> String {
        let (ahead, silence) = (Arc::clone(&self.ahead), self.context.times.silence);
        let end = tokio::select! {
            biased;
            never = ahead.read(stream, silence) => match never {},
            end = self.take_all() => end,
        };
        match end {
            End::Over(cause) => cause,
            // The writing half says the goodbye and ends the link, if it still can. Nothing is read meanwhile, nor held.
            End::Judged => {
                self.ahead.let_go();
                tokio::time::sleep(self.context.times.write).await;
                "the goodbye could not be said".into()
            }
        }
    }

    /// Takes what is read until the link is over.
    async fn take_all(&mut self) -> End {
        loop {
            let end = match self.ahead.next().await {
                // Our goodbye is on its way: nothing that was read counts any more, and an honest peer sends it again.
                _ if self.queue.is_closing() => Some(End::Judged),
                Ok(frame) => self.take(frame).await,
                Err(end) => Some(self.ended(end)),
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    async fn take(&mut self, frame: Frame) -> Option<End> {
        match frame {
            Frame::Envelope(bytes) => self.envelope(&bytes).await,
            Frame::Receipt(bytes) => self.receipt(&bytes).await,
            Frame::Credit(credit) => {
                self.tell(Input::Credit { peer: self.peer.clone(), link: self.link, credit }).await
            }
            Frame::Ping(Ping { nonce }) => {
                self.queue.heartbeat(Frame::Pong(Pong { nonce, at: self.context.clock.wall() }));
                None
            }
            Frame::Pong(pong) => self.pong(pong).await,
            Frame::Goodbye(goodbye) => Some(self.goodbye(goodbye).await),
            Frame::Hello(_) => Some(self.protocol_error("a second Hello")),
            Frame::Fetch(fetch) => self.fetch(fetch),
            Frame::History(history) => self.history(history).await,
            Frame::Chunk(chunk) => self.chunk(chunk),
            Frame::Want(want) => self.want(want).await,
        }
    }

    /// An envelope. While it waits for room in the loop's queue, FLASH that comes goes before it.
    async fn envelope(&mut self, bytes: &Bytes) -> Option<End> {
        let (lane, input) = match self.verified(bytes).await {
            Ok(verified) => verified,
            Err(end) => return end,
        };
        let (node, room) = (self.context.node.clone(), self.room.of(lane));
        let mut handed_in = pin!(async move { node.weighed_input(input, room.take(bytes.len()).await).await });
        let ahead = Arc::clone(&self.ahead);
        loop {
            let flash = tokio::select! {
                biased;
                told = &mut handed_in => return over(told),
                flash = ahead.next_flash(), if lane != Lane::Flash => flash,
            };
            let end = self.flash(&flash).await;
            if end.is_some() {
                return end;
            }
        }
    }

    /// An envelope that says it is FLASH.
    async fn flash(&mut self, bytes: &Bytes) -> Option<End> {
        match self.verified(bytes).await {
            Ok((lane, input)) => {
                let room = self.room.of(lane).take(bytes.len()).await;
                over(self.context.node.weighed_input(input, room).await)
            }
            Err(end) => end,
        }
    }

    /// Verifies an envelope, as an input for the loop. `Err` if it does not verify, which the loop was told.
    async fn verified(&mut self, bytes: &Bytes) -> Result<(Lane, Input), Option<End>> {
        match self.envelopes.verify(bytes) {
            Ok(envelope) => {
                let (lane, reading) = (envelope.header().lane, read_body(&envelope));
                if lane == Lane::Flash {
                    self.context.right_of_way.take();
                }
                Ok((lane, Input::Envelope { link: self.link, envelope: Box::new(envelope), reading }))
            }
            Err(error) => Err(self.unverifiable(claimed_lane(bytes), &error.to_string()).await),
        }
    }

    /// The peer asks for a part of the record between the two of us.
    fn fetch(&self, fetch: Fetch) -> Option<End> {
        if !history::is_answered(&fetch, self.context.own.id(), &self.peer) {
            return Some(self.protocol_error("a fetch of too much, or of what is not between the two ends"));
        }
        if self.queue.serve(fetch, self.context.journal.committed()) {
            return None;
        }
        self.say_goodbye(GoodbyeCode::NO_CREDIT, "more was fetched than is served at once");
        Some(End::Judged)
    }

    /// A piece of a file. What may come was asked for, so there is room for it.
    fn chunk(&self, chunk: Chunk) -> Option<End> {
        if let Err(fault) = self.queue.files(|files| files.came(&chunk)) {
            return Some(self.protocol_error(&fault.to_string()));
        }
        self.chunks.try_send(chunk).err().map(|_| End::Over("what fetches files has ended".into()))
    }

    /// The peer wants a piece of a file, or says what became of one.
    async fn want(&self, want: Want) -> Option<End> {
        match self.queue.files(|files| files.is_wanted(&want)) {
            Ok(()) => self.tell(Input::AttachmentWanted { peer: self.peer.clone(), link: self.link, want }).await,
            Err(FileFault::TooManyWants) => {
                self.say_goodbye(GoodbyeCode::NO_CREDIT, "more is wanted than is served at once");
                Some(End::Judged)
            }
            Err(fault) => Some(self.protocol_error(&fault.to_string())),
        }
    }

    /// A part of the record that we asked for. Whether we did is for the core to say.
    async fn history(&mut self, history: History) -> Option<End> {
        let History { from, lane, seq, bytes, .. } = history;
        let own = self.context.own.clone();
        let ours = from == *own.id();
        if !ours && from != self.peer {
            return Some(self.protocol_error("history of somebody else"));
        }
        let bytes = Bytes::from(bytes.to_vec());
        let verified = match (bytes.is_empty(), ours) {
            (true, _) => None,
            (false, true) => Some(self.own_envelopes.verify(&bytes, &own, &self.peer)),
            (false, false) => Some(self.envelopes.verify(&bytes)),
        };
        let found = match verified.transpose() {
            Ok(None) => None,
            Ok(Some(envelope)) => {
                let reading = read_body(&envelope);
                let erases = match ours {
                    true => match self.erases(envelope.header()).await {
                        Ok(erases) => erases,
                        Err(end) => return Some(end),
                    },
                    false => None,
                };
                Some(Box::new(Regained { envelope, reading, erases }))
            }
            // The key may be one that this node lost, or never had on record: nobody is charged for that.
            Err(EnvelopeError::UnknownKey) => {
                let Some(key) = claimed_key(&bytes) else { return Some(self.protocol_error("no header can be read")) };
                let peer = self.peer.clone();
                return self.tell(Input::HistoryUnread { peer, link: self.link, ours, lane, seq, key }).await;
            }
            Err(error) => return self.unverifiable(Some(lane), &error.to_string()).await,
        };
        self.tell(Input::History { peer: self.peer.clone(), link: self.link, ours, lane, seq, found }).await
    }

    /// Where the message stands that a tombstone of ours says is erased. While the message log is not there nothing more is
    /// read; if that lasts too long, the loop ends the link, and the next one goes on here.
    async fn erases(&self, header: &ExactHeader) -> Result<Option<RecordSeq>, End> {
        let Some(message) = history::erased(header) else { return Ok(None) };
        let records = self.context.journal.committed();
        loop {
            let (log, named) = (self.context.log.clone(), message.clone());
            let found = tokio::task::spawn_blocking(move || history::place_of(&log, &named, records)).await;
            match found {
                Ok(Ok(place)) => return Ok(place),
                Ok(Err(LookError::NotYet)) if self.queue.is_closing() => return Err(End::Judged),
                Ok(Err(LookError::NotYet)) => tokio::time::sleep(history::LOOK_AGAIN).await,
                Ok(Err(LookError::Query(error))) => {
                    return Err(End::Over(format!("what {message} says is erased cannot be looked up: {error}")));
                }
                Err(_) => return Err(End::Over("the node is stopping".into())),
            }
        }
    }

    async fn receipt(&mut self, bytes: &Bytes) -> Option<End> {
        match VerifiedReceipt::verify(bytes, &self.peer, self.context.own.id(), &self.key) {
            Ok(receipt) => {
                let urgent = self.flash_stored.moves(&receipt.receipt().stored);
                let input = Input::Receipt { link: self.link, receipt: Box::new(receipt) };
                if urgent { over(self.context.node.urgent_input(input).await) } else { self.tell(input).await }
            }
            Err(error) => self.unverifiable(None, &error.to_string()).await,
        }
    }

    /// The answer to our heartbeat: its nonce is the moment we asked.
    async fn pong(&mut self, pong: Pong) -> Option<End> {
        // One answer to each question: else a peer could have alarms about its clock journalled as fast as it sends.
        if !self.queue.answered(pong.nonce) {
            return None;
        }
        let round_trip_ms = self.context.clock.monotonic_ms().checked_sub(pong.nonce)?;
        let (theirs, ours) = (pong.at.get(), self.context.clock.wall().get());
        let difference_ms = theirs.cast_signed() - ours.cast_signed() + (round_trip_ms / 2).cast_signed();
        self.context.notes.change(&self.peer, |note| {
            note.latency_ms = Some(round_trip_ms);
            note.clock_difference_ms = Some(difference_ms);
        });
        self.tell(Input::ClockDifference { peer: self.peer.clone(), difference_ms }).await
    }

    async fn goodbye(&mut self, goodbye: Goodbye) -> End {
        let cause = goodbye_cause(&goodbye);
        if goodbye.code != GoodbyeCode::STOPPING && goodbye.code != GoodbyeCode::REPLACED {
            self.context.note_error(&self.peer, goodbye.code.name(), &cause);
        }
        let input = Input::Goodbye { peer: self.peer.clone(), link: self.link, goodbye };
        match self.tell(input).await {
            Some(end) => end,
            None => End::Over(cause),
        }
    }

    async fn unverifiable(&mut self, lane: Option<Lane>, what: &str) -> Option<End> {
        tracing::warn!(peer = %self.peer, what, "bytes from the peer do not verify");
        self.context.note_error(&self.peer, "does-not-verify", what);
        let peer = self.peer.clone();
        let told = self.tell(Input::Unverifiable { peer, link: self.link, lane, what: Text::cut(what) }).await;
        Some(told.unwrap_or(End::Judged))
    }

    fn ended(&self, end: ReadEnd) -> End {
        match end {
            ReadEnd::Silent => {
                self.say_goodbye(GoodbyeCode::SILENT, "nothing was heard for too long");
                End::Judged
            }
            ReadEnd::Closed => End::Over("the connection closed".into()),
            ReadEnd::Connection(error) => End::Over(format!("the connection broke: {error}")),
            ReadEnd::Frame(error) => self.protocol_error(&error.to_string()),
        }
    }

    fn protocol_error(&self, what: &str) -> End {
        tracing::warn!(peer = %self.peer, what, "the peer breaks the protocol");
        self.context.note_error(&self.peer, "protocol-error", what);
        self.say_goodbye(GoodbyeCode::PROTOCOL_ERROR, what);
        End::Judged
    }

    fn say_goodbye(&self, code: GoodbyeCode, text: &str) {
        self.queue.close(Goodbye { code, lane: None, text: Text::cut(text) });
    }

    async fn tell(&self, input: Input) -> Option<End> {
        over(self.context.node.input(input).await)
    }
}

fn over(told: Result<(), RequestError>) -> Option<End> {
    told.err().map(|_| End::Over("the node is stopping".into()))
}

/// The room of a link for envelopes that wait for the loop.
struct Room {
    flash: LaneRoom,
    rest: LaneRoom,
}

/// The room of FLASH, or of the rest; clones share it.
#[derive(Clone)]
struct LaneRoom(Arc<Semaphore>);

impl Room {
    fn new() -> Self {
        let [flash, rest] = [FLASH_ROOM_BYTES, ROOM_BYTES].map(|bytes| LaneRoom(Arc::new(Semaphore::new(bytes))));
        Self { flash, rest }
    }

    fn of(&self, lane: Lane) -> LaneRoom {
        if lane == Lane::Flash { self.flash.clone() } else { self.rest.clone() }
    }
}

impl LaneRoom {
    /// Waits until there is room for an envelope of so many bytes, at most a frame; it is given back with the permit.
    async fn take(self, bytes: usize) -> OwnedSemaphorePermit {
        let weight = u32::try_from(bytes).expect("a frame is short");
        self.0.acquire_many_owned(weight).await.expect("it is never closed")
    }
}

/// How far the peer's receipts on this link have come in FLASH. One that comes further is news about a FLASH, for which
/// somebody may be waiting: it goes before everything else the peer said. Receipts are cumulative, so one that is overtaken
/// says nothing that the other did not say.
#[derive(Debug, Default)]
struct FlashStored(u64);

impl FlashStored {
    /// Whether a receipt with these marks is news about FLASH.
    fn moves(&mut self, stored: &Marks) -> bool {
        let stored = stored.seq(Lane::Flash);
        let moves = stored > self.0;
        self.0 = self.0.max(stored);
        moves
    }
}

/// A peer's goodbye in words; an unknown code with its number.
pub(super) fn goodbye_cause(goodbye: &Goodbye) -> String {
    format!("the peer said goodbye: {} ({}: {})", goodbye.code.name(), goodbye.code.0, goodbye.text)
}

/// Reads the body of a verified envelope; a withheld one is judged by its absence, not by its kind.
fn read_body(envelope: &VerifiedEnvelope) -> Reading {
    let header = envelope.header();
    match envelope.body() {
        Body::Present { bytes, .. } => kinds::read(&header.kind, header.kind_version, bytes),
        Body::Withheld(_) => Reading::UnknownKind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aldis_wire::digest::Digest;
    use aldis_wire::ids::Seq;
    use std::future::Future;
    use std::task::{Context, Poll, Waker};

    /// Takes room, if that needs no waiting.
    fn at_once(room: &Room, lane: Lane, bytes: usize) -> Option<OwnedSemaphorePermit> {
        match std::pin::pin!(room.of(lane).take(bytes)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(permit) => Some(permit),
            Poll::Pending => None,
        }
    }

    #[test]
    fn i14_what_waits_of_a_link_is_bounded_and_leaves_room_to_its_flash() {
        let room = Room::new();
        let held: Vec<_> = [Lane::Routine, Lane::Priority, Lane::Immediate, Lane::Routine]
            .map(|lane| at_once(&room, lane, ROOM_BYTES / 4).expect("room for all of it"))
            .into();
        assert!(at_once(&room, Lane::Routine, 1).is_none() && at_once(&room, Lane::Immediate, 1).is_none());
        let flash = at_once(&room, Lane::Flash, FRAME_MAX_BYTES).expect("a frame of FLASH always has room");
        assert!(at_once(&room, Lane::Flash, 1).is_none(), "and one only (I7)");
        drop(flash);
        assert!(at_once(&room, Lane::Flash, 1).is_some());
        drop(held);
        assert!(at_once(&room, Lane::Routine, ROOM_BYTES / 4).is_some());
    }

    #[test]
    fn i14_a_receipt_is_urgent_once_for_each_flash_it_is_news_of() {
        let mut stored = FlashStored::default();
        let mut said = |flash, routine| {
            let mut marks = Marks::default();
            for (lane, seq) in [(Lane::Flash, flash), (Lane::Routine, routine)] {
                if let Some(seq) = Seq::new(seq) {
                    marks.set(lane, seq, Digest::ZERO);
                }
            }
            stored.moves(&marks)
        };
        let receipts = [(0, 5), (1, 5), (1, 9), (0, 10), (1, 11), (3, 11), (2, 12), (3, 13)];
        let urgent = receipts.map(|(flash, routine)| said(flash, routine));
        assert_eq!(urgent, [false, true, false, false, false, true, false, false]);
    }
}
