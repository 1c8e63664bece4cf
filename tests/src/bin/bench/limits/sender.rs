//! The sender's stages of the bare job: notices are drafted within the window, committed and sent in batches, and done
//! when a receipt for them is verified and on the disk.

use super::channel::{In, Out};
use super::journal::Journal;
use super::{BODY_BYTES, Ends, Until, taken};
use crate::Failure;
use aldis_node::clock::{self, Clock};
use aldis_wire::codec::{self, List, Text};
use aldis_wire::codes::{Code, Desk, Extensions, Tlp};
use aldis_wire::digest::Digest;
use aldis_wire::envelope::{self, Body, Salt};
use aldis_wire::frame::Frame;
use aldis_wire::header::{ExactHeader, Header, PROTOCOL_VERSION};
use aldis_wire::ids::{CaseId, Incarnation, Seq};
use aldis_wire::lane::Lane;
use aldis_wire::proof::sign_batch;
use aldis_wire::receipt::VerifiedReceipt;
use bytes::{BufMut, Bytes, BytesMut};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many notices are drafted before they are handed on.
const DRAFTED_MAX: usize = 32;
/// The salt of every body, for as many random bytes.
const SALT: Salt = [9; 16];
/// How long the window may stay full before the job has failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a notice is good, in milliseconds.
const LIFETIME_MS: u64 = 86_400_000;

/// A body and what its header says of it.
pub(super) struct Draft {
    body: Bytes,
    commitment: Digest,
}

/// Which notices are on their way: at most so many at once.
pub(super) struct Window {
    size: usize,
    flying: Mutex<Flying>,
    landed: Condvar,
}

#[derive(Default)]
struct Flying {
    /// When each was made, the oldest first.
    since: VecDeque<Instant>,
    made: u64,
    /// No receipt will come any more.
    over: bool,
}

impl Window {
    pub(super) fn new(size: usize) -> Self {
        Self { size, flying: Mutex::default(), landed: Condvar::new() }
    }

    /// How many notices were made.
    pub(super) fn made(&self) -> u64 {
        self.flying.lock().unwrap_or_else(PoisonError::into_inner).made
    }

    /// Waits for room and takes some of it; nothing once no receipt will come any more, or none came for too long.
    fn room(&self, until: &Until, begun: Instant) -> usize {
        let flying = self.flying.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |flying: &mut Flying| flying.since.len() >= self.size && !flying.over;
        let waited = self.landed.wait_timeout_while(flying, PATIENCE, full);
        let (mut flying, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let mut taken = 0;
        let now = Instant::now();
        let open = !flying.over;
        while open && taken < DRAFTED_MAX && flying.since.len() < self.size && !until.is_over(begun, flying.made) {
            flying.since.push_back(now);
            flying.made += 1;
            taken += 1;
        }
        taken
    }

    /// Takes all up to the place of that number out, and adds how long each took.
    fn land(&self, up_to: u64, latencies_us: &mut Vec<u64>) {
        let mut flying = self.flying.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        while u64::try_from(latencies_us.len()).unwrap_or(u64::MAX) < up_to
            && let Some(since) = flying.since.pop_front()
        {
            latencies_us.push(u64::try_from(now.duration_since(since).as_micros()).unwrap_or(u64::MAX));
        }
        drop(flying);
        self.landed.notify_one();
    }

    fn end(&self) {
        self.flying.lock().unwrap_or_else(PoisonError::into_inner).over = true;
        self.landed.notify_one();
    }
}

/// Makes notices as long as the run lasts.
pub(super) fn draft(
    window: &Window,
    until: &Until,
    begun: Instant,
    to_commit: SyncSender<Vec<Draft>>,
) -> Result<(), Failure> {
    let mut number = 0_u64;
    loop {
        let room = window.room(until, begun);
        let drafts: Vec<Draft> = (0..room).map(|place| drafted(number + place as u64)).collect();
        number += room as u64;
        // A stage that does not take it has failed, and says why.
        if room == 0 || to_commit.send(drafts).is_err() {
            return Ok(());
        }
    }
}

fn drafted(number: u64) -> Draft {
    let mut body = BytesMut::zeroed(BODY_BYTES);
    body[..8].copy_from_slice(&number.to_be_bytes());
    let commitment = envelope::commitment(&SALT, &body);
    Draft { body: body.freeze(), commitment }
}

/// Links, signs, stores and sends notices.
pub(super) fn commit(
    ends: &Ends,
    drafts: Receiver<Vec<Draft>>,
    mut journal: Journal,
    mut out: Out,
) -> Result<(), Failure> {
    let (mut seq, mut previous) = (Seq::FIRST, Digest::ZERO);
    let (mut stored, mut frames) = (BytesMut::new(), BytesMut::new());
    let template = template(ends)?;
    while let Some(taken) = taken(&drafts) {
        let drafts: Vec<Draft> = taken.into_iter().flatten().collect();
        let mut headers = Vec::with_capacity(drafts.len());
        for draft in &drafts {
            let exact =
                ExactHeader::encode(Header { seq, previous, body_commitment: draft.commitment, ..template.clone() })?;
            (seq, previous) = (seq.next(), exact.digest());
            headers.push(exact);
        }
        let digests: Vec<Digest> = headers.iter().map(ExactHeader::digest).collect();
        for ((header, draft), proof) in headers.iter().zip(drafts).zip(sign_batch(&ends.sender_key, &digests)) {
            let body = Body::Present { salt: SALT, bytes: draft.body };
            let envelope = envelope::assemble(header.bytes(), &body, &codec::encode(&proof));
            journal.add(header.bytes());
            stored.put_slice(&envelope);
            Frame::Envelope(envelope).write(&mut frames);
        }
        journal.commit(&stored)?;
        out.send(&frames)?;
        stored.clear();
        frames.clear();
    }
    Ok(out.end()?)
}

/// Everything that all headers of the job have in common.
fn template(ends: &Ends) -> Result<Header, Failure> {
    let sent_at = Clock::system().wall();
    Ok(Header {
        version: PROTOCOL_VERSION,
        key_id: ends.sender_key.id(),
        incarnation: Incarnation(1),
        from: ends.sender.clone(),
        to: ends.receiver.clone(),
        also_to: List::empty(),
        desk: Desk::TECHNICAL,
        lane: Lane::Routine,
        seq: Seq::FIRST,
        previous: Digest::ZERO,
        received: None,
        sent_at,
        expires_at: sent_at.plus_ms(LIFETIME_MS),
        case: CaseId(clock::random()),
        references: List::empty(),
        author: Text::cut("duty officer"),
        released_by: None,
        on_behalf_of: None,
        tlp: Tlp::GREEN,
        exercise: None,
        kind: Code::known("incident"),
        kind_version: 1,
        body_length: u32::try_from(BODY_BYTES)?,
        body_commitment: Digest::ZERO,
        extensions: Extensions::default(),
    })
}

/// Verifies and stores receipts until none comes any more, and says how many microseconds each notice took.
pub(super) fn take_receipts(ends: &Ends, receipts: In, journal: Journal, window: &Window) -> Result<Vec<u64>, Failure> {
    let taken = taken_receipts(ends, receipts, journal, window);
    window.end();
    taken
}

fn taken_receipts(ends: &Ends, mut receipts: In, mut journal: Journal, window: &Window) -> Result<Vec<u64>, Failure> {
    let (key, mut latencies_us) = (ends.receiver_key.public(), Vec::new());
    while let Some(frame) = receipts.next()? {
        let Frame::Receipt(bytes) = Frame::parse(&frame)? else { return Err("a frame that is no receipt".into()) };
        let receipt = VerifiedReceipt::verify(&bytes, &ends.receiver, &ends.sender, &key)?;
        journal.add(&bytes);
        journal.commit(&bytes)?;
        window.land(receipt.receipt().stored.seq(Lane::Routine), &mut latencies_us);
    }
    Ok(latencies_us)
}
