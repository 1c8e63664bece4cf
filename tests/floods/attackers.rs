//! Who floods: valid peers with real keys that send without end, do not read or never receipt, and strangers who open
//! connections and say nothing.

use aldis_tests::certs::Cert;
use aldis_tests::raw_peer::{RawPeer, body_of, framed};
use aldis_wire::frame::{self, Credit, Frame, GoodbyeCode, LENGTH_BYTES};
use aldis_wire::lane::Lane;
use aldis_wire::receipt::Receipt;
use bytes::Bytes;
use futures_util::future::join_all;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::sync::{Notify, watch};

/// How many notices are signed at once.
const SIGNED_AT_ONCE: usize = 64;
/// The beginning of a TLS handshake that never goes on: a record of 512 bytes of which five come.
const STUCK: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03";

/// What an attack came to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Envelopes written.
    pub(crate) sent: AtomicU64,
    /// Envelopes of which the node says that it has them.
    pub(crate) stored: [AtomicU64; 4],
    /// Links that came up.
    pub(crate) links: AtomicU64,
    /// Links the node ended because more came than it allowed.
    pub(crate) no_credit: AtomicU64,
    /// Envelopes of the node's that were read.
    pub(crate) read: AtomicU64,
    /// The largest envelope written.
    pub(crate) largest: AtomicU64,
}

/// A lane of a flood: what is signed and not stored yet, and how much of it went on this link.
struct Flow {
    lane: Lane,
    waiting: VecDeque<(u64, Bytes)>,
    written: usize,
    in_all: u64,
}

/// What the node says on a link, as its reader hears it.
#[derive(Default)]
struct Heard {
    credit: [AtomicU64; 4],
    stored: [AtomicU64; 4],
    news: Notify,
}

/// Sends notices in these lanes as fast as the node allows and, every so often, faster; never receipts what comes back.
/// With another kind than `incident` each one has to be refused.
pub(crate) async fn sends_without_end(
    mut peer: RawPeer,
    node: &Cert,
    lanes: &[Lane],
    kind: &'static str,
    mut running: watch::Receiver<bool>,
    tally: &Tally,
) {
    let body = body_of(&node.id, &"y".repeat(180));
    let mut flows: Vec<Flow> =
        lanes.iter().map(|lane| Flow { lane: *lane, waiting: VecDeque::new(), written: 0, in_all: 0 }).collect();
    while *running.borrow() {
        let Some(link) = peer.try_link(node).await else { continue };
        tally.links.fetch_add(1, Relaxed);
        for flow in &mut flows {
            let held = link.hello.received.seq(flow.lane);
            flow.forget(held);
            (flow.written, flow.in_all) = (0, 0);
        }
        let heard = Heard::default();
        let (mut reading, mut writing) = tokio::io::split(link.into_stream());
        let beyond_credit = tally.links.load(Relaxed).is_multiple_of(2);
        let writer = async {
            for lane in Lane::ALL {
                writing.write_all(&framed(&Frame::Credit(Credit { lane, total: u64::MAX }))).await?;
            }
            loop {
                let mut is_idle = true;
                for flow in &mut flows {
                    let written = flow.write(&mut writing, &mut peer, node, kind, &body, &heard, tally).await?;
                    is_idle &= written == 0;
                }
                if is_idle && beyond_credit {
                    flows[0].beyond(&mut writing).await?;
                }
                if is_idle {
                    heard.news.notified().await;
                }
            }
        };
        let end: std::io::Result<()> = tokio::select! {
            end = writer => end,
            () = listen(&mut reading, &heard, tally) => Ok(()),
            _ = running.wait_for(|running| !running) => Ok(()),
        };
        // A link that broke is what the node is asked to do; the next one is made at once.
        drop(end);
    }
}

impl Flow {
    fn forget(&mut self, held: u64) {
        while self.waiting.front().is_some_and(|(seq, _)| *seq <= held) {
            self.waiting.pop_front();
            self.written = self.written.saturating_sub(1);
        }
    }

    /// Writes what there is credit for, some at a time; gives how many.
    #[expect(clippy::too_many_arguments, reason = "what a flood is made of")]
    async fn write(
        &mut self,
        writing: &mut (impl AsyncWrite + Unpin),
        peer: &mut RawPeer,
        node: &Cert,
        kind: &'static str,
        body: &[u8],
        heard: &Heard,
        tally: &Tally,
    ) -> std::io::Result<usize> {
        self.forget(heard.stored[self.lane.index()].load(Relaxed));
        let credit = heard.credit[self.lane.index()].load(Relaxed);
        let room = usize::try_from(credit.saturating_sub(self.in_all)).unwrap_or(usize::MAX).min(SIGNED_AT_ONCE);
        if room > 0 && self.waiting.len() < self.written + room {
            self.waiting.extend(peer.notices(&node.id, self.lane, kind, body, SIGNED_AT_ONCE));
        }
        let mut out = Vec::new();
        for (_, envelope) in self.waiting.range(self.written..self.written + room) {
            tally.largest.fetch_max(envelope.len() as u64, Relaxed);
            out.extend(framed(&Frame::Envelope(envelope.clone())));
        }
        writing.write_all(&out).await?;
        writing.flush().await?;
        self.written += room;
        self.in_all += room as u64;
        tally.sent.fetch_add(room as u64, Relaxed);
        Ok(room)
    }

    /// Writes more than was allowed: again what is on its way.
    async fn beyond(&mut self, writing: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
        for (_, envelope) in self.waiting.iter().take(SIGNED_AT_ONCE) {
            writing.write_all(&framed(&Frame::Envelope(envelope.clone()))).await?;
        }
        writing.flush().await
    }
}

/// Reads whatever the node says until it says nothing more.
async fn listen(reading: &mut (impl AsyncRead + Unpin), heard: &Heard, tally: &Tally) {
    while let Some(frame) = next_frame(reading).await {
        match frame {
            Frame::Credit(credit) => heard.credit[credit.lane.index()].store(credit.total, Relaxed),
            Frame::Receipt(bytes) => {
                let receipt = Receipt::from_journal(&bytes).expect("a receipt");
                for lane in Lane::ALL {
                    let stored = receipt.stored.seq(lane);
                    tally.stored[lane.index()].fetch_max(stored, Relaxed);
                    heard.stored[lane.index()].store(stored, Relaxed);
                }
            }
            Frame::Envelope(_) => drop(tally.read.fetch_add(1, Relaxed)),
            Frame::Goodbye(goodbye) if goodbye.code == GoodbyeCode::NO_CREDIT => {
                tally.no_credit.fetch_add(1, Relaxed);
            }
            _ => {}
        }
        heard.news.notify_one();
    }
}

async fn next_frame(reading: &mut (impl AsyncRead + Unpin)) -> Option<Frame> {
    let mut length = [0; LENGTH_BYTES];
    reading.read_exact(&mut length).await.ok()?;
    let mut bytes = vec![0; frame::checked_length(length).expect("a node sends frames within the limit")];
    reading.read_exact(&mut bytes).await.ok()?;
    Some(Frame::parse(&Bytes::from(bytes)).expect("a node sends frames of version 1"))
}

/// Allows the node everything and then takes one byte a second; comes again every few seconds, on a link beside those
/// that it has.
pub(crate) async fn reads_slowly(peer: RawPeer, node: &Cert, mut running: watch::Receiver<bool>, tally: &Tally) {
    let slow = async {
        let (mut second, mut streams) = (tokio::time::interval(Duration::from_secs(1)), Vec::new());
        for number in 0_u64.. {
            second.tick().await;
            if number.is_multiple_of(4)
                && let Some(mut link) = peer.try_link(node).await
            {
                tally.links.fetch_add(1, Relaxed);
                link.grant(u64::MAX).await;
                streams.push(link.into_stream());
            }
            for stream in &mut streams {
                // What does not come at once is not waited for, and a link that the node has cut says so late or never.
                let _byte = tokio::time::timeout(Duration::from_millis(5), stream.read_u8()).await;
            }
        }
    };
    tokio::select! {
        () = slow => {}
        _ = running.wait_for(|running| !running) => {}
    }
}

/// What became of connections that are never finished.
#[derive(Debug, Default)]
pub(crate) struct HalfOpen {
    /// Sockets that are connected or connect now.
    pub(crate) now: AtomicUsize,
    /// The most of them.
    pub(crate) most: AtomicUsize,
    /// Connections that came about.
    pub(crate) connected: AtomicU64,
    /// Connections that ended, or never came about.
    pub(crate) ended: AtomicU64,
    /// Sockets for which the system had no room.
    pub(crate) no_room: AtomicU64,
}

/// Keeps so many connections open, or being opened: each says nothing, or stops within the TLS handshake, and what the
/// node closes comes again a second later.
pub(crate) async fn half_open(to: SocketAddr, count: usize, mut running: watch::Receiver<bool>, tally: &HalfOpen) {
    let flood = join_all((0..count).map(|number| half_open_one(number, to, tally)));
    tokio::select! {
        _ = flood => {}
        _ = running.wait_for(|running| !running) => {}
    }
    tally.now.store(0, Relaxed);
}

/// From one of 250 loopback addresses, so that ports do not run out, nor the share of each address at the node.
async fn half_open_one(number: usize, to: SocketAddr, tally: &HalfOpen) {
    let from = [127, 0, 1, u8::try_from(1 + number % 250).expect("below 251")];
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        second.tick().await;
        let Ok(socket) = TcpSocket::new_v4() else {
            tally.no_room.fetch_add(1, Relaxed);
            continue;
        };
        tally.most.fetch_max(tally.now.fetch_add(1, Relaxed) + 1, Relaxed);
        let connection = async {
            socket.bind(SocketAddr::from((from, 0)))?;
            let mut stream = socket.connect(to).await?;
            tally.connected.fetch_add(1, Relaxed);
            if number.is_multiple_of(2) {
                stream.write_all(STUCK).await?;
            }
            // An alert and then the end, or the end alone.
            tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
        };
        // Refused, reset or closed: it comes again.
        let _over: std::io::Result<u64> = connection.await;
        tally.ended.fetch_add(1, Relaxed);
        tally.now.fetch_sub(1, Relaxed);
    }
}
