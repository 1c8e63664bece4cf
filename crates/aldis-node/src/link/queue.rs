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
/// After how many envelopes of more urgent lanes one that waited behind them goes, FLASH apart: a lane that is never empty
/// must not bring those below it to a stand.
const PASSED_OVER_MAX: u32 = 32;

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
    passed_over: [u32; 4],
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

    /// What must be read from the journal before it can be written, of the most urgent lane that has any: it is read ahead,
    /// while what stands before it is written, or a less urgent lane would be read and go in between (I14).
    pub(super) fn unread(&self) -> Option<Unread> {
        let waiting = lock(&self.waiting);
        let has_room = waiting.fresh_bytes < FRESH_MAX_BYTES;
        let is_fresh = |(_, outgoing): &&(Seq, Outgoing)| matches!(outgoing, Outgoing::Fresh { .. });
        let stored = |lane: Lane| {
            let places = waiting.lanes[lane.index()].iter().skip_while(|one| has_room && is_fresh(one));
            let places = places.map_while(|(seq, outgoing)| match outgoing {
                Outgoing::Stored { record, withhold } => Some((*seq, *record, *withhold)),
                Outgoing::Fresh { .. } => None,
            });
            Unread { lane, places: places.take(READ_MAX).collect() }
        };
        Lane::ALL.into_iter().map(stored).find(|unread| !unread.places.is_empty())
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
        let ask =
            waiting.next_envelope().or_else(|| waiting.asks.pop_front().map(|fetch| Next::Frame(Frame::Fetch(fetch))));
        ask.or_else(|| waiting.files.next_want().map(|want| Next::Frame(Frame::Want(want))))
    }

    fn change(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut lock(&self.waiting));
        self.news.notify_one();
    }
}

impl Waiting {
    /// The next envelope that is at hand: of FLASH; or else of a lane that was passed over for long enough; or else of the
    /// most urgent.
    fn next_envelope(&mut self) -> Option<Next> {
        let at_hand = |lane: &Lane| matches!(self.lanes[lane.index()].front(), Some((_, Outgoing::Fresh { .. })));
        let waiting: Vec<Lane> = Lane::ALL.into_iter().filter(at_hand).collect();
        let first = *waiting.first()?;
        let is_due = |lane: &&Lane| self.passed_over[lane.index()] >= PASSED_OVER_MAX;
        let lane = match first {
            Lane::Flash => first,
            _ => waiting.iter().find(is_due).copied().unwrap_or(first),
        };
        let less_urgent = waiting.iter().filter(|other| other.index() > lane.index());
        less_urgent.for_each(|other| self.passed_over[other.index()] += 1);
        self.passed_over[lane.index()] = 0;
        let Some((seq, Outgoing::Fresh { bytes, .. })) = self.lanes[lane.index()].pop_front() else { return None };
        self.fresh_bytes -= bytes.len();
        Some(Next::Envelope(lane, seq, bytes))
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
mod tests {
    use super::*;

    #[test]
    fn i7_a_peer_that_does_not_read_costs_no_bodies() {
        let queue = LinkQueue::default();
        for number in 1..=2_000 {
            let bytes = Bytes::from(vec![0; 40_000]);
            let fresh = Outgoing::Fresh { record: RecordSeq(number), bytes };
            queue.transmit(Lane::Routine, Seq::new(number).unwrap(), fresh);
        }
        let held: usize = lock(&queue.waiting).lanes.iter().flatten().map(|(_, outgoing)| fresh_bytes(outgoing)).sum();
        assert!(held <= FRESH_MAX_BYTES && held > 0, "{held} bytes are held");
        for number in 1..=2_000 {
            if let Some(Unread { lane, places }) = queue.unread() {
                assert!(places.iter().all(|(seq, record, _)| record.0 == seq.get()) && places.len() <= READ_MAX);
                queue.read(lane, places.into_iter().map(|(seq, record, _)| (seq, record, Bytes::new())).collect());
            }
            let Some(Next::Envelope(_, seq, _)) = queue.next() else { panic!("envelope {number} is gone") };
            assert_eq!(seq.get(), number);
        }
        assert_eq!(lock(&queue.waiting).fresh_bytes, 0);
    }

    #[test]
    fn i14_flash_overtakes_whatever_waits() {
        let queue = LinkQueue::default();
        let stored = || Outgoing::Stored { record: RecordSeq(1), withhold: None };
        let fresh = || Outgoing::Fresh { record: RecordSeq(1), bytes: Bytes::new() };
        for lane in Lane::ALL.into_iter().rev() {
            for _ in 0..2 {
                queue.transmit(lane, Seq::FIRST, fresh());
            }
        }
        let lanes = std::iter::from_fn(|| match queue.next()? {
            Next::Envelope(lane, ..) => Some(lane),
            other => panic!("{other:?}"),
        });
        assert!(lanes.eq(Lane::ALL.into_iter().flat_map(|lane| [lane, lane])));

        queue.transmit(Lane::Immediate, Seq::FIRST, stored());
        queue.transmit(Lane::Flash, Seq::FIRST, fresh());
        queue.transmit(Lane::Routine, Seq::FIRST, fresh());
        let unread = queue.unread().unwrap();
        let lane = || match queue.next() {
            Some(Next::Envelope(lane, ..)) => Some(lane),
            _ => None,
        };
        assert_eq!(
            [lane(), lane(), lane()],
            [Some(Lane::Flash), Some(Lane::Routine), None],
            "nothing waits for a read"
        );
        queue.read(unread.lane, vec![(Seq::FIRST, RecordSeq(1), Bytes::new())]);
        queue.transmit(Lane::Immediate, Seq::FIRST.next(), stored());
        queue.transmit(Lane::Routine, Seq::FIRST, stored());
        assert_eq!(queue.unread().unwrap().lane, Lane::Immediate, "read ahead, behind what is at hand");
        assert_eq!(lane(), Some(Lane::Immediate));
    }

    #[test]
    fn i14_no_lane_stands_still_behind_another_but_for_flash() {
        let queue = LinkQueue::default();
        let fresh = || Outgoing::Fresh { record: RecordSeq(1), bytes: Bytes::new() };
        let sent = |count: usize| -> Vec<Lane> {
            let lanes = std::iter::from_fn(|| match queue.next()? {
                Next::Envelope(lane, ..) => Some(lane),
                other => panic!("{other:?}"),
            });
            lanes.take(count).collect()
        };
        let per_lane = 4 * PASSED_OVER_MAX as usize;
        for lane in [Lane::Immediate, Lane::Priority, Lane::Routine] {
            (0..per_lane).for_each(|_| queue.transmit(lane, Seq::FIRST, fresh()));
        }
        let begun = sent(per_lane);
        let of = |lane, lanes: &[Lane]| lanes.iter().filter(|sent| **sent == lane).count();
        assert_eq!(of(Lane::Immediate, &begun[..PASSED_OVER_MAX as usize]), PASSED_OVER_MAX as usize);
        assert!(
            (3..=4).contains(&of(Lane::Priority, &begun)) && (3..=4).contains(&of(Lane::Routine, &begun)),
            "{begun:?}"
        );
        (0..per_lane).for_each(|_| queue.transmit(Lane::Flash, Seq::FIRST, fresh()));
        assert_eq!(sent(per_lane), vec![Lane::Flash; per_lane], "nothing goes before FLASH, however long it waited");
        assert_eq!(sent(usize::MAX).len(), 2 * per_lane);
    }

    #[test]
    fn i7_i14_a_history_waits_behind_everything_else_and_is_bounded() {
        let queue = LinkQueue::default();
        let from = NodeId::new("cert.br").unwrap();
        let fetch = || Fetch { from: from.clone(), lane: Lane::Routine, first: 1, last: 2 };
        let taken = (0..1_000).filter(|_| queue.serve(fetch(), 7)).count();
        assert_eq!(taken, FETCHES_MAX);
        queue.ask_history(fetch());
        queue.transmit(Lane::Routine, Seq::FIRST, Outgoing::Fresh { record: RecordSeq(1), bytes: Bytes::new() });
        assert!(matches!(queue.next(), Some(Next::Envelope(..))), "what is live goes first");
        assert!(matches!(queue.next(), Some(Next::Frame(Frame::Fetch(_)))));
        assert!(queue.next().is_none(), "a place is answered only when nothing else waits");
        let places: Vec<u64> = std::iter::from_fn(|| {
            let place = queue.next_place()?;
            queue.served();
            Some(place.seq)
        })
        .collect();
        assert_eq!(places.len(), 2 * FETCHES_MAX);
        assert!(places.chunks(2).all(|pair| pair == [1, 2]));
    }

    #[test]
    fn a_ping_is_answered_once_and_by_its_own_nonce() {
        let queue = LinkQueue::default();
        assert!(!queue.answered(0));
        queue.ask(Ping { nonce: 5 });
        queue.ask(Ping { nonce: 9 });
        assert!(!queue.answered(5) && queue.answered(9) && !queue.answered(9));
    }
}
