//! Writing a link: whatever waits, the most urgent first, in writes of at most one frame's length, so that a FLASH never
//! waits behind more (I14). Envelopes that are not at hand are read from the journal here, byte for byte as first signed.

use super::history::{self, LookError};
use super::queue::{LinkQueue, Next, Unread};
use super::run::LinkContext;
use super::serving::Serving;
use crate::journal::{self, ReadError};
use aldis_core::record::{Record, RecordSeq};
use aldis_wire::envelope::{self, Body, WithheldReason};
use aldis_wire::frame::{FRAME_MAX_BYTES, Frame, Ping};
use aldis_wire::ids::{EnvelopeId, NodeId, Seq};
use aldis_wire::lane::Lane;
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

/// The most bytes of envelopes that are read from the journal at once, and what the last of them has beyond that.
const READ_MAX_BYTES: usize = 256 * 1024;

/// After how many writes of envelopes one chunk of a file goes between them: a link that is never idle must not bring its
/// files to a stand. A FLASH waits for one frame as always.
const WRITES_PER_CHUNK_MAX: u32 = 16;

/// The writing half of a link.
pub(super) struct Sender {
    peer: NodeId,
    queue: Arc<LinkQueue>,
    context: LinkContext,
    /// Envelopes that are being read from the journal; what is at hand goes on meanwhile.
    reading: Option<JoinHandle<Read>>,
    /// When the next place of a history may be answered.
    history_at: Instant,
    /// Files of ours on their way to the peer.
    serving: Serving,
}

/// Envelopes of a lane that were read, up to the first that could not be.
struct Read {
    lane: Lane,
    envelopes: Vec<(Seq, RecordSeq, Bytes)>,
    failed: Option<(RecordSeq, LoadError)>,
}

/// Why an envelope cannot be read back. The disk, or we, are to blame.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error(transparent)]
    Journal(#[from] ReadError),
    #[error("record {0} of the journal is not an envelope we sent")]
    NotSent(u64),
    #[error("record {0} of the journal: {1}")]
    Malformed(u64, String),
}

impl Sender {
    pub(super) fn new(peer: NodeId, queue: Arc<LinkQueue>, context: LinkContext) -> Self {
        let serving = Serving::new(peer.clone(), context.attachments.clone());
        Self { peer, queue, context, reading: None, history_at: Instant::now(), serving }
    }

    /// Writes until the link is over; returns the cause in words.
    pub(super) async fn run(mut self, stream: &mut (impl AsyncWrite + Unpin)) -> String {
        let period = self.context.times.heartbeat;
        let mut heartbeat = interval_at(Instant::now(), period);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut out = BytesMut::with_capacity(2 * FRAME_MAX_BYTES);
        let (mut goes_on, mut since_chunk) = (false, 0);
        loop {
            tokio::select! {
                biased;
                read = done(&mut self.reading), if self.reading.is_some() => {
                    self.reading = None;
                    if let Err(cause) = self.take_read(read) {
                        return cause;
                    }
                }
                came = self.serving.came(), if self.serving.is_reading() => if let Err(cause) = came {
                    return cause;
                },
                _ = heartbeat.tick() => {
                    self.queue.ask(Ping { nonce: self.context.clock.monotonic_ms() });
                }
                () = self.queue.news() => {}
                () = self.context.right_of_way.free(), if !goes_on && self.serving.is_ready() => {}
                () = sleep_until(self.history_at), if !goes_on && self.queue.next_place().is_some() => {}
                // There may be more than one write took.
                () = std::future::ready(()), if goes_on => {}
            }
            self.begin_reading();
            goes_on = match self.write_some(stream, &mut out).await {
                Ok(goes_on) => goes_on,
                Err(cause) => return cause,
            };
            since_chunk += 1;
            if goes_on && since_chunk < WRITES_PER_CHUNK_MAX {
                continue;
            }
            since_chunk = 0;
            let is_idle = !goes_on;
            goes_on |= match self.write_chunk(stream, &mut out).await {
                Ok(goes_on) => goes_on,
                Err(cause) => return cause,
            };
            if is_idle && let Err(cause) = self.write_history(stream, &mut out).await {
                return cause;
            }
        }
    }

    /// One write of what waits and is at hand; false if there was nothing.
    async fn write_some(&mut self, stream: &mut (impl AsyncWrite + Unpin), out: &mut BytesMut) -> Result<bool, String> {
        out.clear();
        let goodbye = self.fill(out)?;
        if !out.is_empty() {
            self.write(stream, out).await?;
        }
        goodbye.map_or(Ok(!out.is_empty()), Err)
    }

    /// Writes one chunk of what the peer wants of files, and reads ahead what it will want next; before the next chunk whatever
    /// else waits goes first (I14). False if there was none, or a FLASH is on its way.
    async fn write_chunk(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        out: &mut BytesMut,
    ) -> Result<bool, String> {
        self.serving.read_ahead(&self.queue);
        if !self.serving.is_ready() || self.context.right_of_way.is_taken() {
            return Ok(false);
        }
        out.clear();
        self.serving.write_chunk(&self.queue, out);
        self.write(stream, out).await?;
        Ok(true)
    }

    /// Answers one place of what the peer asks of the past, if its time has come; before the next one whatever else waits
    /// goes first (I14).
    async fn write_history(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        out: &mut BytesMut,
    ) -> Result<(), String> {
        let Some(place) = self.queue.next_place().filter(|_| self.history_at <= Instant::now()) else { return Ok(()) };
        let own = self.context.own.id();
        let to = if place.from == *own { self.peer.clone() } else { own.clone() };
        let (log, journal) = (self.context.log.clone(), self.context.journal.clone());
        let (from, lane, records) = (place.from.clone(), place.lane, place.records);
        let seq = Seq::new(place.seq).ok_or("places of a history begin at 1")?;
        let id = EnvelopeId { from, to, lane, seq };
        let found = tokio::task::spawn_blocking(move || history::look_up(&log, &journal, &id, records)).await;
        match found {
            Ok(Ok(bytes)) => {
                self.history_at = Instant::now() + history::PACE;
                self.queue.served();
                out.clear();
                Frame::History(place.answer(bytes)).write(out);
                self.write(stream, out).await
            }
            Ok(Err(LookError::NotYet)) => {
                self.history_at = Instant::now() + history::LOOK_AGAIN;
                Ok(())
            }
            Ok(Err(LookError::Query(error))) => Err(format!("what the peer asks for cannot be looked up: {error}")),
            Err(_) => Err("the node is stopping".into()),
        }
    }

    /// Fills one write; returns the cause if it ends with a goodbye.
    fn fill(&self, out: &mut BytesMut) -> Result<Option<String>, String> {
        while out.len() < FRAME_MAX_BYTES {
            match self.queue.next() {
                None => break,
                Some(Next::Frame(frame)) => frame.write(out),
                Some(Next::Receipt(receipt)) => {
                    let keys = self.context.own.identities();
                    let key =
                        keys.get(receipt.key_id).ok_or("this node has lost the key its receipts are signed with")?;
                    Frame::Receipt(Bytes::from(receipt.sign(key))).write(out);
                }
                Some(Next::Envelope(lane, seq, bytes)) => {
                    tracing::trace!(peer = %self.peer, lane = lane.name(), seq = seq.get(), "an envelope leaves");
                    Frame::Envelope(bytes).write(out);
                }
                Some(Next::Goodbye(goodbye)) => {
                    let cause = format!("this node said goodbye: {} ({})", goodbye.code.name(), goodbye.text);
                    Frame::Goodbye(goodbye).write(out);
                    return Ok(Some(cause));
                }
            }
        }
        Ok(None)
    }

    /// Has the next envelopes that are not at hand read, if none are yet.
    fn begin_reading(&mut self) {
        if self.reading.is_none()
            && let Some(unread) = self.queue.unread()
        {
            let journal = self.context.journal.clone();
            self.reading = Some(tokio::task::spawn_blocking(move || read(&journal, &unread)));
        }
    }

    fn take_read(&self, read: Result<Read, JoinError>) -> Result<(), String> {
        let Read { lane, envelopes, failed } = read.map_err(|_| "the node is stopping")?;
        self.queue.read(lane, envelopes);
        let Some((record, error)) = failed else { return Ok(()) };
        tracing::error!(peer = %self.peer, record = record.0, %error, "an envelope cannot be read back");
        self.context.note_error(&self.peer, "journal-damaged", &error.to_string());
        Err(format!("an envelope cannot be read back from the journal: {error}"))
    }

    async fn write(&self, stream: &mut (impl AsyncWrite + Unpin), out: &BytesMut) -> Result<(), String> {
        let writing = async {
            stream.write_all(out).await?;
            stream.flush().await
        };
        match tokio::time::timeout(self.context.times.write, writing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("the connection broke: {error}")),
            Err(_) => Err("the peer does not read".into()),
        }
    }
}

/// What a task comes to; asked only while there is one.
async fn done<T>(task: &mut Option<JoinHandle<T>>) -> Result<T, JoinError> {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}

/// Reads envelopes of ours back, as many as fit.
fn read(journal: &journal::Reader, unread: &Unread) -> Read {
    let mut read = Read { lane: unread.lane, envelopes: Vec::new(), failed: None };
    let mut room = READ_MAX_BYTES;
    // Those of one lane that follow each other mostly stand near each other.
    let mut records = journal.iter_from(journal::RecordSeq(0));
    for (seq, record, withhold) in &unread.places {
        match load(&mut records, *record, *withhold) {
            Ok(bytes) => {
                room = room.saturating_sub(bytes.len());
                read.envelopes.push((*seq, *record, bytes));
            }
            Err(error) => {
                read.failed = Some((*record, error));
                break;
            }
        }
        if room == 0 {
            break;
        }
    }
    read
}

/// Reads an envelope of ours back from the journal, with the exact bytes it was signed in (I6).
fn load(
    records: &mut journal::RecordIter,
    record: RecordSeq,
    withhold: Option<WithheldReason>,
) -> Result<Bytes, LoadError> {
    let stored = records.read_at(journal::RecordSeq(record.0))?;
    let malformed = |what: String| LoadError::Malformed(record.0, what);
    let (header, proof) = match Record::decode(&stored.record).map_err(|error| malformed(error.to_string()))? {
        Record::Sent(sent) => (sent.draft.header, sent.proof),
        Record::Recovered(found) => (found.header, found.proof),
        _ => return Err(LoadError::NotSent(record.0)),
    };
    let body = match (withhold, stored.body) {
        (Some(reason), _) => Body::Withheld(reason),
        (None, journal::Body::Present(beside)) => {
            let salt = beside.first_chunk().ok_or_else(|| malformed("the body has no salt".into()))?;
            Body::Present { salt: *salt, bytes: beside.slice(salt.len()..) }
        }
        (None, journal::Body::Erased | journal::Body::None) => Body::Withheld(WithheldReason::ERASED),
    };
    Ok(envelope::assemble(header.bytes(), &body, &proof))
}
