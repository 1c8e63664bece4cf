//! Fetching a peer's files: ranges are asked for ahead, so that the line stays busy, and what comes is written by a thread
//! of the blocking pool, so that reading the link never waits for the disk (I14). What was asked for and is not written
//! yet is what waits in memory, at most (I7).

use super::attachments::{FileQueue, Obtain, RANGE_BYTES, RANGE_CHUNKS};
use super::queue::LinkQueue;
use super::run::LinkContext;
use crate::attachments::{Incoming, IncomingError, StoreError};
use aldis_core::input::Input;
use aldis_wire::frame::{Chunk, WANTS_MAX, Want};
use aldis_wire::ids::NodeId;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// How many chunks may wait for the thread: all that can be asked for, and the answers that something is not held.
pub(super) const CHUNKS_MAX: usize = WANTS_MAX * (RANGE_CHUNKS + 1);

/// When a file that could not be written, for want of room mostly, is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// What fetches on one link.
pub(super) struct Fetcher {
    peer: NodeId,
    queue: Arc<LinkQueue>,
    context: LinkContext,
    chunks: mpsc::Receiver<Chunk>,
}

/// A file under way.
struct Current {
    obtain: Obtain,
    incoming: Incoming,
    /// From where on nothing was asked for.
    ask_at: u64,
    /// How many ranges of it were asked for, by this attempt.
    attempt: u64,
}

/// One stretch of fetching, on a thread of the blocking pool.
struct Stretch {
    fetcher: Fetcher,
    runtime: Handle,
    current: Vec<Current>,
    /// The ranges that were asked for: by which attempt, and how much of it has not come.
    asked: VecDeque<(u64, u64)>,
    attempts: u64,
    failed: Vec<Obtain>,
}

impl Fetcher {
    pub(super) fn new(
        peer: NodeId,
        queue: Arc<LinkQueue>,
        context: LinkContext,
        chunks: mpsc::Receiver<Chunk>,
    ) -> Self {
        Self { peer, queue, context, chunks }
    }

    /// Fetches for as long as the link lives.
    pub(super) async fn run(self) -> String {
        let (mut fetcher, mut failed, mut retry_at) = (self, Vec::new(), Instant::now());
        loop {
            tokio::select! {
                () = fetcher.queue.obtain_news() => {}
                () = sleep_until(retry_at), if !failed.is_empty() => {
                    for obtain in failed.drain(..) {
                        fetcher.queue.obtain(obtain);
                    }
                }
            }
            let runtime = Handle::current();
            let stretch = tokio::task::spawn_blocking(move || Stretch::new(fetcher, runtime).run());
            let Ok((back, more)) = stretch.await else { return "the node is stopping".into() };
            fetcher = back;
            if !more.is_empty() {
                failed.extend(more);
                retry_at = Instant::now() + RETRY;
            }
        }
    }
}

impl Stretch {
    fn new(fetcher: Fetcher, runtime: Handle) -> Self {
        let (current, asked, failed) = (Vec::new(), VecDeque::new(), Vec::new());
        Self { fetcher, runtime, current, asked, attempts: 0, failed }
    }

    /// Fetches until nothing is left, or the link has ended.
    fn run(mut self) -> (Fetcher, Vec<Obtain>) {
        loop {
            self.ask();
            if let Some(place) = self.current.iter().position(|one| one.incoming.offset() == one.obtain.size) {
                self.finish(place);
            } else if self.asked.is_empty() {
                return (self.fetcher, self.failed);
            } else {
                let Some(chunk) = self.fetcher.chunks.blocking_recv() else { return (self.fetcher, self.failed) };
                self.take(&chunk);
            }
        }
    }

    /// Asks for as much as may be on its way, the most urgent file first.
    fn ask(&mut self) {
        while self.asked.len() < WANTS_MAX {
            let unasked = self.current.iter_mut().filter(|one| one.ask_at < one.obtain.size);
            let first = unasked.min_by_key(|one| one.obtain.lane);
            let next = self.fetcher.queue.files(|files| files.next_lane());
            match (first, next) {
                (Some(one), next) if next.is_none_or(|lane| one.obtain.lane <= lane) => {
                    let bytes = RANGE_BYTES.min(one.obtain.size - one.ask_at);
                    let want = Want { attachment: one.obtain.attachment, offset: one.ask_at, bytes: range(bytes) };
                    one.ask_at += bytes;
                    self.asked.push_back((one.attempt, bytes));
                    self.fetcher.queue.want(want);
                }
                (_, Some(_)) => self.begin(),
                (_, None) => return,
            }
        }
    }

    /// Begins with the next file, where an earlier attempt ended.
    fn begin(&mut self) {
        let Some(obtain) = self.fetcher.queue.files(FileQueue::next_obtain) else { return };
        match self.fetcher.context.attachments.resume(&self.fetcher.peer, obtain.attachment, obtain.size) {
            Ok(incoming) => {
                self.attempts += 1;
                let ask_at = incoming.offset();
                self.current.push(Current { obtain, incoming, ask_at, attempt: self.attempts });
            }
            Err(error) => self.not_kept(obtain, &error),
        }
    }

    /// Takes in what came next. The link has checked that it is what was asked for next.
    fn take(&mut self, chunk: &Chunk) {
        let Some((attempt, rest)) = self.asked.front_mut() else { return };
        let attempt = *attempt;
        *rest = rest.saturating_sub(chunk.bytes.len() as u64);
        if *rest == 0 || chunk.bytes.is_empty() {
            self.asked.pop_front();
        }
        let Some(place) = self.current.iter().position(|one| one.attempt == attempt) else { return };
        if chunk.bytes.is_empty() {
            self.current.swap_remove(place);
            tracing::warn!(peer = %self.fetcher.peer, attachment = %chunk.attachment, "the peer does not hold its file");
            let (peer, attachment) = (self.fetcher.peer.clone(), chunk.attachment);
            return self.tell(Input::AttachmentNotHeld { peer, attachment });
        }
        // The sync of a FLASH waits for whatever the disk was given before.
        self.runtime.block_on(self.fetcher.context.right_of_way.free());
        if let Err(error) = self.current[place].incoming.write(&chunk.bytes) {
            let Current { obtain, .. } = self.current.swap_remove(place);
            self.not_kept(obtain, &error);
        }
    }

    /// A file is whole: it is verified, and on stable storage before the core hears of it.
    fn finish(&mut self, place: usize) {
        let Current { obtain, incoming, .. } = self.current.swap_remove(place);
        let (peer, attachment) = (self.fetcher.peer.clone(), obtain.attachment);
        match incoming.finish() {
            Ok(()) => self.tell(Input::AttachmentHeld { peer, attachment }),
            Err(error @ (IncomingError::Mismatch { .. } | IncomingError::OtherLength { .. })) => {
                tracing::warn!(%peer, %error, "the peer's file is not what its message names");
                self.fetcher.context.note_error(&peer, "attachment-mismatch", &error.to_string());
                self.tell(Input::AttachmentBad { peer, attachment });
            }
            Err(IncomingError::Store(error)) => self.not_kept(obtain, &error),
        }
    }

    fn not_kept(&mut self, obtain: Obtain, error: &StoreError) {
        // A later link fetches it, or it was erased: this one has nothing more to do with it.
        if matches!(error, StoreError::Superseded { .. }) {
            return;
        }
        let peer = &self.fetcher.peer;
        tracing::error!(%peer, attachment = %obtain.attachment, %error, "a file of the peer cannot be kept");
        self.fetcher.context.note_error(peer, "attachment-not-kept", &error.to_string());
        self.failed.push(obtain);
    }

    fn tell(&self, input: Input) {
        // An error means that the node stops; the file is found again at the next start.
        let _stopping = self.runtime.block_on(self.fetcher.context.node.input(input));
    }
}

fn range(bytes: u64) -> u32 {
    u32::try_from(bytes).expect("a range is short")
}
