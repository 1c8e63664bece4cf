//! What waits to be written to a link: four lanes of envelopes, the latest receipt, credit, heartbeats, and at last a
//! goodbye. Bounded by the credit window of each lane; a newer receipt takes the place of one not yet written.

use super::attachments::{FileQueue, Obtain};
use super::history::Place;
use crate::tls::Presented;
use aldis_core::effect::Outgoing;
use aldis_core::peer::LinkId;
use aldis_core::record::RecordSeq;
use aldis_wire::codec::Text;
use aldis_wire::digest::Digest;
use aldis_wire::envelope::WithheldReason;
use aldis_wire::frame::{Credit, Fetch, Frame, Goodbye, GoodbyeCode, Ping, Want};
use aldis_wire::ids::{NodeId, Seq};
use aldis_wire::lane::Lane;
use aldis_wire::receipt::Receipt;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// How many heartbeat answers may wait; a peer that pings faster than it reads gets no more of them.
const PONGS_MAX: usize = 8;
/// How many fetches of a peer may wait, each of a few places; one that asks for more does not wait for what it asked.
const FETCHES_MAX: usize = 64;
/// How many bytes of envelopes a queue holds itself; what comes beyond waits in the journal, where it is anyway. So a
/// peer that does not read costs an index entry for each envelope, never its body (I7).
const FRESH_MAX_BYTES: usize = 2 << 20;
/// How many envelopes are read from the journal at once.
const READ_MAX: usize = 64;
/// After how many envelopes of more urgent lanes one that waited behind them goes, and after how many of any lane what this
/// node asks for, FLASH apart: a lane that is never empty must not bring what is below it to a stand.
const PASSED_OVER_MAX: u32 = 32;

/// The same of reading: a lane whose envelopes are all to be read first must not keep those below it from being read.
const READS_PASSED_OVER_MAX: u32 = 4;

/// The queues of all links; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Links {
    queues: Arc<Mutex<HashMap<LinkId, Arc<LinkQueue>>>>,
    presented: Arc<Mutex<HashMap<LinkId, (NodeId, Presented)>>>,
    last: Arc<AtomicU64>,
}

/// The queue of one link.
#[derive(Debug, Default)]
pub struct LinkQueue {
    waiting: Mutex<Waiting>,
    news: Notify,
    obtain_news: Notify,
    severed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    lanes: [VecDeque<(Seq, Outgoing)>; 4],
    /// How many envelopes of more urgent lanes have gone while one of this lane was at hand.
    passed_over: Turns,
    /// How often a more urgent lane was read from the journal while this one could have been.
    unread_passed_over: Turns,
    /// How many envelopes have gone while something waited that we ask for.
    asks_passed_over: u32,
    receipt: Option<Box<Receipt>>,
    credits: [Option<Credit>; 4],
    heartbeats: VecDeque<Frame>,
    /// The nonce of our latest ping, until it is answered.
    asked: Option<u64>,
    /// How many bytes of envelopes wait here.
    fresh_bytes: usize,
    /// What we ask of the peer's record.
    asks: VecDeque<Fetch>,
    /// What the peer asks of ours, with how many records our journal had then.
    fetches: VecDeque<(Fetch, u64)>,
    /// Files, both ways.
    files: FileQueue,
    goodbye: Option<Goodbye>,
    /// Whether a goodbye waits or was written.
    is_closing: bool,
}

/// How often each lane was passed over for a more urgent one.
#[derive(Debug, Default)]
struct Turns([u32; 4]);

/// The next thing to write.
#[derive(Debug)]
pub(super) enum Next {
    /// A frame that is ready.
    Frame(Frame),
    /// A receipt to sign and write.
    Receipt(Box<Receipt>),
    /// An envelope, of which lane and place.
    Envelope(Lane, Seq, Bytes),
    /// The last frame of the link.
    Goodbye(Goodbye),
}

/// Envelopes of one lane that are next and must be read from the journal first.
#[derive(Debug)]
pub(super) struct Unread {
    pub(super) lane: Lane,
    pub(super) places: Vec<(Seq, RecordSeq, Option<WithheldReason>)>,
}

impl Links {
    /// A queue for a new link with a peer that presented these certificates.
    pub(super) fn open(&self, peer: &NodeId, presented: &Presented) -> (LinkId, Arc<LinkQueue>) {
        let id = LinkId(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        let queue = Arc::new(LinkQueue::default());
        lock(&self.presented).insert(id, (peer.clone(), presented.clone()));
        lock(&self.queues).insert(id, Arc::clone(&queue));
        (id, queue)
    }

    /// Forgets a link that has ended.
    pub(super) fn forget(&self, id: LinkId) {
        lock(&self.queues).remove(&id);
        lock(&self.presented).remove(&id);
    }

    /// Who presented what on the links that live.
    pub fn presented(&self) -> Vec<(LinkId, NodeId, Presented)> {
        let presented = lock(&self.presented);
        presented.iter().map(|(id, (peer, shown))| (*id, peer.clone(), shown.clone())).collect()
    }

    /// Does something with a link's queue, if the link still lives.
    pub fn with(&self, id: LinkId, change: impl FnOnce(&LinkQueue)) {
        let queue = lock(&self.queues).get(&id).cloned();
        if let Some(queue) = queue {
            change(&queue);
        }
    }

    /// Says goodbye on every link.
    pub fn close_all(&self, code: GoodbyeCode, text: &str) {
        for queue in lock(&self.queues).values() {
            queue.close(Goodbye { code, lane: None, text: Text::cut(text) });
        }
    }
}

impl LinkQueue {
    /// Queues an envelope.
    pub fn transmit(&self, lane: Lane, seq: Seq, outgoing: Outgoing) {
        self.change(|waiting| {
            let outgoing = match outgoing {
                Outgoing::Fresh { record, bytes } if waiting.fresh_bytes + bytes.len() > FRESH_MAX_BYTES => {
                    Outgoing::Stored { record, withhold: None }
                }
                other => other,
            };
            waiting.fresh_bytes += fresh_bytes(&outgoing);
            waiting.lanes[lane.index()].push_back((seq, outgoing));
        });
    }

    /// Queues a receipt; it covers all that an unwritten earlier one does.
    pub fn receipt(&self, receipt: Receipt) {
        self.change(|waiting| waiting.receipt = Some(Box::new(receipt)));
    }

    /// Queues credit; a running total, so the latest is enough.
    pub fn grant(&self, credit: Credit) {
        self.change(|waiting| waiting.credits[credit.lane.index()] = Some(credit));
    }

    /// Queues a goodbye; from here on nothing of the peer is heard, and the link ends once it is written. The first one
    /// stays.
    pub fn close(&self, goodbye: Goodbye) {
        self.change(|waiting| {
            waiting.goodbye.get_or_insert(goodbye);
            waiting.is_closing = true;
        });
    }

    /// Whether the link was told to end, so that nothing the peer says on it counts any more.
    pub(super) fn is_closing(&self) -> bool {
        lock(&self.waiting).is_closing
    }

    /// Queues what we ask of the peer's record. The core asks for a window at a time.
    pub fn ask_history(&self, fetch: Fetch) {
        self.change(|waiting| waiting.asks.push_back(fetch));
    }

    /// Queues what the peer asks of ours, as of a journal of so many records; false if too much waits already.
    pub(super) fn serve(&self, fetch: Fetch, records: u64) -> bool {
        let mut takes = false;
        self.change(|waiting| {
            takes = waiting.fetches.len() < FETCHES_MAX;
            if takes {
                waiting.fetches.push_back((fetch, records));
            }
        });
        takes
    }

    /// The next place that the peer asks for; it stays until [`Self::served`].
    pub(super) fn next_place(&self) -> Option<Place> {
        let waiting = lock(&self.waiting);
        let (fetch, records) = waiting.fetches.front()?;
        Some(Place { from: fetch.from.clone(), lane: fetch.lane, seq: fetch.first, records: *records })
    }

    /// The next place was answered.
    pub(super) fn served(&self) {
        let mut waiting = lock(&self.waiting);
        let Some((fetch, _)) = waiting.fetches.front_mut() else { return };
        match fetch.first < fetch.last {
            true => fetch.first += 1,
            false => drop(waiting.fetches.pop_front()),
        }
    }

    /// Queues a file to be fetched. The core asks for a window at a time.
    pub(super) fn obtain(&self, obtain: Obtain) {
        self.files(|files| files.obtain(obtain));
        self.obtain_news.notify_one();
    }

    /// Becomes ready when a file may have to be fetched.
    pub(super) async fn obtain_news(&self) {
        self.obtain_news.notified().await;
    }

    /// Queues a file that the core has asked for.
    pub fn fetch_file(&self, lane: Lane, attachment: Digest, size: u64) {
        self.obtain(Obtain { lane, attachment, size });
    }

    /// Queues a want of ours.
    pub fn want(&self, want: Want) {
        self.change(|waiting| waiting.files.want(want));
    }

    /// Queues a want of the peer's that the core has judged: the size of the file, if the peer may have it.
    pub fn serve_file(&self, want: Want, size: Option<u64>) {
        self.change(|waiting| waiting.files.serve(want, size));
    }

    /// Does something with what is asked of files; nobody is woken.
    pub(super) fn files<T>(&self, change: impl FnOnce(&mut FileQueue) -> T) -> T {
        change(&mut lock(&self.waiting).files)
    }

    /// Queues a ping; only the latest counts.
    pub(super) fn ask(&self, ping: Ping) {
        self.change(|waiting| {
            waiting.asked = Some(ping.nonce);
            waiting.heartbeats.retain(|frame| !matches!(frame, Frame::Ping(_)));
            waiting.heartbeats.push_back(Frame::Ping(ping));
        });
    }

    /// Whether this nonce answers our latest ping; each is answered once.
    pub(super) fn answered(&self, nonce: u64) -> bool {
        lock(&self.waiting).asked.take_if(|asked| *asked == nonce).is_some()
    }

    /// Queues the answer to a ping.
    pub(super) fn heartbeat(&self, frame: Frame) {
        self.change(|waiting| {
            if waiting.heartbeats.len() < PONGS_MAX {
                waiting.heartbeats.push_back(frame);
            }
        });
    }

    /// Queues a goodbye, and has the link end soon even if the peer does not read it.
    pub fn sever(&self, goodbye: Goodbye) {
        self.close(goodbye);
        self.severed.notify_one();
    }

    /// Becomes ready when the link must end.
    pub(super) async fn severed(&self) {
        self.severed.notified().await;
    }

    /// Becomes ready when something may be waiting.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// What must be read from the journal before it can be written, mostly of the most urgent lane that has any: it is read
    /// ahead, while what stands before it is written, or a less urgent lane would be read and go in between (I14).
    pub(super) fn unread(&self) -> Option<Unread> {
        let mut waiting = lock(&self.waiting);
        let lanes = Lane::ALL.into_iter().filter(|lane| waiting.unread(*lane).next().is_some()).collect();
        let lane = waiting.unread_passed_over.next(lanes, READS_PASSED_OVER_MAX)?;
        let places = waiting.unread(lane).take(READ_MAX).collect();
        Some(Unread { lane, places })
    }

    /// Takes in what was read: envelopes of a lane, in order.
    pub(super) fn read(&self, lane: Lane, envelopes: Vec<(Seq, RecordSeq, Bytes)>) {
        self.change(|waiting| {
            let mut envelopes = envelopes.into_iter().peekable();
            for (place, outgoing) in &mut waiting.lanes[lane.index()] {
                let Some((_, record, bytes)) = envelopes.next_if(|(seq, ..)| seq == place) else { continue };
                waiting.fresh_bytes += bytes.len();
                *outgoing = Outgoing::Fresh { record, bytes };
            }
        });
    }

    /// The next thing to write: a goodbye ends all; then what is small and keeps the link alive; then envelopes, FLASH before
    /// everything, so that it waits for one frame at most (I14). What must be read first holds up nothing else.
    pub(super) fn next(&self) -> Option<Next> {
        let mut waiting = lock(&self.waiting);
        if let Some(goodbye) = waiting.goodbye.take() {
            return Some(Next::Goodbye(goodbye));
        }
        if let Some(receipt) = waiting.receipt.take() {
            return Some(Next::Receipt(receipt));
        }
        if let Some(credit) = waiting.credits.iter_mut().find_map(Option::take) {
            return Some(Next::Frame(Frame::Credit(credit)));
        }
        if let Some(heartbeat) = waiting.heartbeats.pop_front() {
            return Some(Next::Frame(heartbeat));
        }
        if waiting.asks_passed_over >= PASSED_OVER_MAX && !waiting.is_at_hand(Lane::Flash) {
            return waiting.next_ask();
        }
        waiting.next_envelope().or_else(|| waiting.next_ask())
    }

    fn change(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut lock(&self.waiting));
        self.news.notify_one();
    }
}

impl Waiting {
    /// The next envelope that is at hand.
    fn next_envelope(&mut self) -> Option<Next> {
        let at_hand = Lane::ALL.into_iter().filter(|lane| self.is_at_hand(*lane)).collect();
        let lane = self.passed_over.next(at_hand, PASSED_OVER_MAX)?;
        let Some((seq, Outgoing::Fresh { bytes, .. })) = self.lanes[lane.index()].pop_front() else { return None };
        self.fresh_bytes -= bytes.len();
        self.asks_passed_over += u32::from(!self.asks.is_empty() || self.files.has_wants());
        Some(Next::Envelope(lane, seq, bytes))
    }

    /// What of a lane comes next and must be read first.
    fn unread(&self, lane: Lane) -> impl Iterator<Item = (Seq, RecordSeq, Option<WithheldReason>)> {
        let has_room = self.fresh_bytes < FRESH_MAX_BYTES;
        let is_fresh = |(_, outgoing): &&(Seq, Outgoing)| matches!(outgoing, Outgoing::Fresh { .. });
        let places = self.lanes[lane.index()].iter().skip_while(move |one| has_room && is_fresh(one));
        places.map_while(|(seq, outgoing)| match outgoing {
            Outgoing::Stored { record, withhold } => Some((*seq, *record, *withhold)),
            Outgoing::Fresh { .. } => None,
        })
    }

    /// Whether the next envelope of a lane can be written now.
    fn is_at_hand(&self, lane: Lane) -> bool {
        matches!(self.lanes[lane.index()].front(), Some((_, Outgoing::Fresh { .. })))
    }

    /// What we ask for next, of the peer's record or of its files.
    fn next_ask(&mut self) -> Option<Next> {
        self.asks_passed_over = 0;
        let fetch = self.asks.pop_front().map(Frame::Fetch);
        fetch.or_else(|| self.files.next_want().map(Frame::Want)).map(Next::Frame)
    }
}

impl Turns {
    /// Whose turn it is among lanes that wait, the most urgent of them first: FLASH; or else one that was passed over as often
    /// as that may be; or else the most urgent.
    fn next(&mut self, waiting: Vec<Lane>, passed_over_max: u32) -> Option<Lane> {
        let Self(passed_over) = self;
        let first = *waiting.first()?;
        let is_due = |lane: &&Lane| passed_over[lane.index()] >= passed_over_max;
        let lane = match first {
            Lane::Flash => first,
            _ => waiting.iter().find(is_due).copied().unwrap_or(first),
        };
        let less_urgent = waiting.iter().filter(|other| other.index() > lane.index());
        less_urgent.for_each(|other| passed_over[other.index()] += 1);
        passed_over[lane.index()] = 0;
        Some(lane)
    }
}

/// What an envelope takes in the queue itself.
fn fresh_bytes(outgoing: &Outgoing) -> usize {
    match outgoing {
        Outgoing::Fresh { bytes, .. } => bytes.len(),
        Outgoing::Stored { .. } => 0,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
