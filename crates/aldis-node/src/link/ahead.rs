//! What a link has read and not taken yet. A connection is one line: a FLASH that stood in it behind all that waits to be
//! verified, and for the loop, would wait with it (I14). So frames are read as soon as they come and are taken in the order in
//! which they came, but for FLASH, which goes before the rest. Nothing is verified here: what an envelope says of its lane
//! decides when it is looked at, and nothing else.
//!
//! What waits is bounded, on each link and over all of them (I7); whoever sends more finds the connection full.

use aldis_wire::envelope::lane_at_start;
use aldis_wire::frame::{self, FRAME_MAX_BYTES, Frame, LENGTH_BYTES};
use aldis_wire::lane::Lane;
use bytes::Bytes;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// How many bytes of frames may wait on one link: what a peer sends before it waits for receipts, and what is asked for of
/// files.
const LINK_MAX_BYTES: usize = 4 << 20;

/// What a frame takes that waits, beside its own bytes: or many short ones would take far more memory than they say.
const HELD_BYTES: usize = 256;

/// How many bytes may wait on all links together, beside one frame on each.
const ALL_MAX_BYTES: usize = 16 << 20;

/// The room that all links have together; clones share it.
#[derive(Clone, Debug)]
pub struct AheadRoom(Arc<Semaphore>);

/// What one link has read.
#[derive(Debug)]
pub(super) struct Ahead {
    room: AheadRoom,
    waiting: Mutex<Waiting>,
    came: Notify,
    went: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    flash: VecDeque<Held>,
    rest: VecDeque<Held>,
    bytes: usize,
    end: Option<ReadEnd>,
}

/// A frame that waits, with the room that it takes.
#[derive(Debug)]
struct Held {
    frame: Frame,
    bytes: usize,
    _room: OwnedSemaphorePermit,
}

/// Why nothing more is read.
#[derive(Debug)]
pub(super) enum ReadEnd {
    /// Nothing came for too long.
    Silent,
    /// The peer closed the connection.
    Closed,
    /// The connection broke.
    Connection(std::io::Error),
    /// What came is no frame.
    Frame(frame::FrameError),
}

impl Default for AheadRoom {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ALL_MAX_BYTES)))
    }
}

impl Ahead {
    /// A link that has read nothing yet.
    pub(super) fn new(room: AheadRoom) -> Self {
        Self { room, waiting: Mutex::default(), came: Notify::new(), went: Notify::new() }
    }

    /// Reads frames as long as there is room for them. It ends with nothing: the end is found by whoever takes what was read.
    pub(super) async fn read(&self, stream: &mut (impl AsyncRead + Unpin), silence: Duration) -> Infallible {
        let end = loop {
            let (frame, bytes) = match tokio::time::timeout(silence, read_frame(stream)).await {
                Ok(Ok(read)) => read,
                Ok(Err(end)) => break end,
                Err(_) => break ReadEnd::Silent,
            };
            self.hold(frame, bytes + HELD_BYTES).await;
        };
        self.lock().end = Some(end);
        self.came.notify_one();
        std::future::pending().await
    }

    /// The next frame to take: a FLASH, or else the first. Why there is no more, once all of them are taken.
    pub(super) async fn next(&self) -> Result<Frame, ReadEnd> {
        loop {
            let next = {
                let mut waiting = self.lock();
                match waiting.pop() {
                    Some(frame) => Some(Ok(frame)),
                    None => waiting.end.take().map(Err),
                }
            };
            if let Some(next) = next {
                self.went.notify_one();
                return next;
            }
            self.came.notified().await;
        }
    }

    /// The next envelope that says it is FLASH.
    pub(super) async fn next_flash(&self) -> Bytes {
        loop {
            if let Some(Frame::Envelope(bytes)) = self.lock().pop_flash() {
                self.went.notify_one();
                return bytes;
            }
            self.came.notified().await;
        }
    }

    /// Lets go of what waits, and gives back the room for it.
    pub(super) fn let_go(&self) {
        *self.lock() = Waiting::default();
    }

    /// Puts a frame to what waits, as soon as there is room for it.
    async fn hold(&self, frame: Frame, bytes: usize) {
        loop {
            if let Some(room) = self.room_for(bytes) {
                self.lock().push(Held { frame, bytes, _room: room });
                return self.came.notify_one();
            }
            self.went.notified().await;
        }
    }

    /// Room for a frame, if there is any. One frame may always wait, and takes none that others could have.
    fn room_for(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let waiting_bytes = self.lock().bytes + bytes;
        let of_all = if waiting_bytes <= FRAME_MAX_BYTES + HELD_BYTES { 0 } else { bytes };
        let weight = u32::try_from(of_all).expect("a frame is short");
        let AheadRoom(all) = &self.room;
        (waiting_bytes <= LINK_MAX_BYTES).then(|| Arc::clone(all).try_acquire_many_owned(weight).ok()).flatten()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn push(&mut self, held: Held) {
        self.bytes += held.bytes;
        let is_flash = matches!(&held.frame, Frame::Envelope(bytes) if lane_at_start(bytes) == Some(Lane::Flash));
        if is_flash { self.flash.push_back(held) } else { self.rest.push_back(held) }
    }

    fn pop(&mut self) -> Option<Frame> {
        self.pop_flash().or_else(|| {
            let first = self.rest.pop_front()?;
            Some(self.release(first))
        })
    }

    fn pop_flash(&mut self) -> Option<Frame> {
        let first = self.flash.pop_front()?;
        Some(self.release(first))
    }

    fn release(&mut self, held: Held) -> Frame {
        self.bytes -= held.bytes;
        held.frame
    }
}

/// Reads one frame, and says how long it is; its length is checked before anything is allocated for it.
async fn read_frame<S: AsyncRead + Unpin>(stream: &mut S) -> Result<(Frame, usize), ReadEnd> {
    let mut length = [0; LENGTH_BYTES];
    stream.read_exact(&mut length).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => ReadEnd::Closed,
        _ => ReadEnd::Connection(error),
    })?;
    let length = frame::checked_length(length).map_err(ReadEnd::Frame)?;
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await.map_err(ReadEnd::Connection)?;
    Ok((Frame::parse(&Bytes::from(bytes)).map_err(ReadEnd::Frame)?, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aldis_wire::codec;
    use aldis_wire::codes::Desk;
    use aldis_wire::frame::Ping;
    use aldis_wire::ids::{Incarnation, KeyId, NodeId};
    use bytes::BytesMut;
    use std::iter::repeat_n;
    use tokio::io::{AsyncWriteExt, duplex};

    const LONG: Duration = Duration::from_secs(60);

    /// A frame that reads as an envelope of a lane as far as anybody looks here, with so many bytes behind that.
    fn envelope(lane: Lane, bytes: usize) -> Frame {
        let [from, to] = ["cert.br", "cert.cl"].map(|id| NodeId::new(id).unwrap());
        let (key, incarnation, also_to) = (KeyId([7; 16]), Incarnation(1), Vec::<NodeId>::new());
        let header = codec::encode(&(1_u16, key, incarnation, from, to, also_to, Desk::TECHNICAL, lane));
        Frame::Envelope(Bytes::from(codec::encode(&(header, vec![0_u8; bytes]))))
    }

    /// Reads what was sent, until nothing more can be read, with the end of the connection behind it.
    async fn read(ahead: &Ahead, sent: &[Frame]) {
        let mut bytes = BytesMut::new();
        sent.iter().for_each(|frame| frame.clone().write(&mut bytes));
        let (mut there, mut here) = duplex(bytes.len());
        there.write_all(&bytes).await.unwrap();
        drop(there);
        assert!(tokio::time::timeout(LONG / 2, ahead.read(&mut here, LONG)).await.is_err());
    }

    /// How many frames wait.
    fn waiting(ahead: &Ahead) -> usize {
        let waiting = ahead.lock();
        waiting.flash.len() + waiting.rest.len()
    }

    #[tokio::test(start_paused = true)]
    async fn i14_a_flash_overtakes_what_was_read_before_it_and_nothing_else_does() {
        let flash = [envelope(Lane::Flash, 1), envelope(Lane::Flash, 2)];
        let rest = [envelope(Lane::Routine, 3), Frame::Ping(Ping { nonce: 1 }), envelope(Lane::Immediate, 4)];
        let ahead = Ahead::new(AheadRoom::default());
        read(&ahead, &[&rest[..], &flash].concat()).await;
        for expected in [&flash[..], &rest].concat() {
            assert_eq!(ahead.next().await.unwrap(), expected);
        }
        assert!(matches!(ahead.next().await, Err(ReadEnd::Closed)), "the end stands behind all of it");
    }

    #[tokio::test(start_paused = true)]
    async fn i14_while_one_envelope_waits_only_a_flash_comes_from_behind_it() {
        let (flash, routine) = (envelope(Lane::Flash, 1), envelope(Lane::Routine, 2));
        let ahead = Ahead::new(AheadRoom::default());
        read(&ahead, &[routine.clone(), flash.clone()]).await;
        assert_eq!(Frame::Envelope(ahead.next_flash().await), flash);
        assert!(tokio::time::timeout(LONG, ahead.next_flash()).await.is_err());
        assert_eq!(ahead.next().await.unwrap(), routine);
    }

    #[tokio::test(start_paused = true)]
    async fn i7_what_is_read_ahead_is_bounded_on_each_link_and_over_all_and_one_frame_always_is() {
        const FRAME_BYTES: usize = 60_000;
        let flood: Vec<Frame> = repeat_n(envelope(Lane::Routine, FRAME_BYTES), 80).collect();
        let room = AheadRoom::default();
        let links: Vec<Ahead> = (0..40).map(|_| Ahead::new(room.clone())).collect();
        for link in &links {
            read(link, &flood).await;
            assert!((1..=LINK_MAX_BYTES / FRAME_BYTES).contains(&waiting(link)), "{}", waiting(link));
        }
        let all_bytes: usize = links.iter().map(|link| link.lock().bytes).sum();
        let own_bytes = links.len() * (FRAME_MAX_BYTES + HELD_BYTES);
        assert!(all_bytes <= ALL_MAX_BYTES + own_bytes && all_bytes > ALL_MAX_BYTES, "{all_bytes}");
        assert_eq!(waiting(&links[39]), 1);
        // Whoever lets go, or ends, makes room again.
        links.iter().skip(1).for_each(Ahead::let_go);
        assert_eq!(links.iter().map(waiting).sum::<usize>(), waiting(&links[0]));
        let another = Ahead::new(room.clone());
        read(&another, &flood).await;
        assert_eq!(waiting(&another), LINK_MAX_BYTES / FRAME_BYTES);
        drop((links, another));
        let link = Ahead::new(room);
        read(&link, &flood).await;
        assert_eq!(waiting(&link), LINK_MAX_BYTES / FRAME_BYTES);
    }

    #[tokio::test(start_paused = true)]
    async fn i7_short_frames_that_wait_are_counted_with_what_they_take() {
        assert!(size_of::<Held>() <= HELD_BYTES);
        let ahead = Ahead::new(AheadRoom::default());
        let flood: Vec<Frame> =
            (0..2 * LINK_MAX_BYTES / HELD_BYTES).map(|nonce| Frame::Ping(Ping { nonce: nonce as u64 })).collect();
        read(&ahead, &flood).await;
        assert!((1..=LINK_MAX_BYTES / HELD_BYTES).contains(&waiting(&ahead)), "{}", waiting(&ahead));
    }

    #[tokio::test(start_paused = true)]
    async fn reading_goes_on_as_soon_as_something_was_taken() {
        let sent: Vec<Frame> = repeat_n(envelope(Lane::Routine, 60_000), 40).collect();
        let ahead = Ahead::new(AheadRoom::default());
        let taking = async {
            for expected in &sent {
                assert_eq!(&ahead.next().await.unwrap(), expected);
            }
        };
        let both = async { tokio::join!(taking, tokio::time::timeout(LONG, read(&ahead, &sent))) };
        let ((), _read) = tokio::time::timeout(2 * LONG, both).await.expect("what was taken made room");
    }
}
