//! The event loop: one thread that owns the core and the journal.
//!
//! It takes whatever has arrived, lets the core decide and apply each input, has the batch sealed and committed with one
//! journal write and fdatasync, and only then carries out the effects. It never waits for a peer, a person or the message
//! log. A failed write or sync ends it, and with it the process: nothing more is confirmed.

mod handle;
mod perform;
mod reply;
mod view;

pub use handle::{
    AgreementStatus, LadderView, LaneStatus, LinkStatus, LoopHandle, Message, NodeView, PeerStatus, QUEUE_LENGTH,
    Request, RequestError, SilencesView,
};
pub use reply::{Answered, HandedIn, Reply};

use crate::alerts::Alerts;
use crate::attachments::Attachments;
use crate::clock::{self, Clock};
use crate::directory::Directory;
use crate::events::Events;
use crate::journal::{self, CommitError, Journal, NONCE_BYTES, TreeHead};
use crate::link::{LinkFacts, Links};
use crate::own::Own;
use crate::right_of_way::RightOfWay;
use aldis_core::batch::{Batch, Entry};
use aldis_core::effect::{Declined, Effect};
use aldis_core::input::{Input, Token};
use aldis_core::ladder::{AlertId, AlertOutcome};
use aldis_core::record::RecordSeq;
use aldis_core::{Core, Moment};
use aldis_wire::codec::Text;
use aldis_wire::codes::Code;
use aldis_wire::envelope::Body;
use aldis_wire::frame::GoodbyeCode;
use aldis_wire::ids::{EnvelopeId, NodeId, UnixMillis};
use handle::Tokens;
use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// How long records that only note something wait for company before they are committed.
const COMPANY_WAIT: Duration = Duration::from_millis(20);
/// How many messages of the queue that is not urgent join each batch at least, also a full one.
const REST_SHARE: usize = 8;
/// How often the free space is looked at, in milliseconds.
const SPACE_LOOK_MS: u64 = 5_000;
/// The longest the loop sleeps: a deadline that passes while the machine is suspended is met within this after it wakes.
const LOOK: Duration = Duration::from_secs(1);

/// Everything the loop owns or tells.
pub struct EventLoop {
    pub(crate) core: Core,
    pub(crate) journal: Journal,
    pub(crate) own: Own,
    pub(crate) clock: Clock,
    pub(crate) started_at: UnixMillis,
    pub(crate) urgent: mpsc::Receiver<Message>,
    pub(crate) normal: mpsc::Receiver<Message>,
    pub(crate) links: Links,
    pub(crate) dials: mpsc::Sender<NodeId>,
    pub(crate) directory: Directory,
    pub(crate) events: Events,
    /// Told after each commit, so that the message log follows.
    pub(crate) committed: Box<dyn Fn() + Send>,
    pub(crate) commitments: Commitments,
    pub(crate) replies: Replies,
    pub(crate) space: Space,
    pub(crate) alerts: Alerts,
    pub(crate) attachments: Attachments,
    pub(crate) right_of_way: RightOfWay,
    /// Where files are removed.
    pub(crate) runtime: Handle,
    /// What became of alerts for which there was no place; the core is told with the next batch.
    pub(crate) unalerted: Vec<(AlertId, AlertOutcome)>,
    /// What the beginning of the run has set free; carried out first.
    pub(crate) first: Vec<Effect>,
}

/// The journal's state as of the last commit and the one before, with the nonces that hide them in receipts.
#[derive(Clone, Copy, Debug)]
pub struct Commitments {
    /// What receipts commit to: the state one commit ago.
    pub(crate) earlier: Option<([u8; NONCE_BYTES], TreeHead)>,
    /// The state now.
    pub(crate) latest: Option<([u8; NONCE_BYTES], TreeHead)>,
}

/// Requests whose answers are not out yet.
#[derive(Default)]
pub(crate) struct Replies {
    tokens: Tokens,
    waiting: HashMap<Token, Reply>,
    views: Vec<oneshot::Sender<NodeView>>,
    ladders: Vec<(Vec<EnvelopeId>, oneshot::Sender<Vec<Option<LadderView>>>)>,
    silences: Vec<oneshot::Sender<SilencesView>>,
    facts: Vec<(NodeId, oneshot::Sender<Option<LinkFacts>>)>,
    settled: Vec<oneshot::Sender<()>>,
    stop: Option<oneshot::Sender<()>>,
}

/// Whether the disk has room for new messages.
#[derive(Default)]
pub(crate) struct Space {
    low: bool,
    look_at_ms: u64,
}

/// What ended a wait.
struct Woken {
    /// None when time alone calls.
    message: Option<Message>,
    /// Whether it came from the urgent queue.
    is_urgent: bool,
}

impl Woken {
    const BY_TIME: Self = Self { message: None, is_urgent: false };
}

impl EventLoop {
    /// Runs until the node is stopped or the journal fails. Call it on a thread of its own.
    pub fn run(mut self, runtime: &Handle) -> Result<(), CommitError> {
        let first = std::mem::take(&mut self.first);
        self.carry_out(first)?;
        while self.replies.stop.is_none() {
            let Some(Woken { message, is_urgent }) = self.wait(runtime) else { break };
            let mut batch = self.core.batch();
            self.take(message, &mut batch);
            self.drain(is_urgent, &mut batch);
            self.tick(&mut batch);
            self.gather_company(runtime, &mut batch);
            self.commit(batch)?;
            self.give_way();
            self.answer_questions();
            self.rotate_if_due()?;
        }
        self.stop()
    }

    /// Waits for the next message or for the next deadline; while a FLASH has the right of way, for urgent ones only. `None`
    /// when nobody can send any more.
    fn wait(&mut self, runtime: &Handle) -> Option<Woken> {
        if !self.unalerted.is_empty() {
            return Some(Woken::BY_TIME);
        }
        let deadline_ms = self.core.next_deadline(self.clock.moment()).unwrap_or(u64::MAX).min(self.space.look_at_ms);
        let deadline = tokio::time::Instant::from_std(self.clock.instant(deadline_ms, LOOK));
        let (urgent, normal, right_of_way) = (&mut self.urgent, &mut self.normal, &self.right_of_way);
        let rest = async {
            right_of_way.free().await;
            normal.recv().await
        };
        runtime.block_on(async {
            tokio::select! {
                biased;
                message = urgent.recv() => message.map(|message| Woken { message: Some(message), is_urgent: true }),
                message = rest => message.map(|message| Woken { message: Some(message), is_urgent: false }),
                () = tokio::time::sleep_until(deadline) => Some(Woken::BY_TIME),
            }
        })
    }

    /// Whatever has arrived meanwhile joins the batch, urgent things first, up to the batch's limit. Each queue gives at
    /// most its length, and the rest at least a few: a peer that never ceases to send must not keep the batch from its
    /// commit, nor its FLASH everybody else from their turn (I7). What is urgent waits neither for what else there is nor
    /// for it to be written: with it in the batch the rest has its few places, and none while a FLASH has the right of way,
    /// which is never long; and the batch ends (I14).
    fn drain(&mut self, mut is_urgent: bool, batch: &mut Batch) {
        is_urgent |= self.drain_urgent(batch);
        let share = if self.right_of_way.is_taken() { 0 } else { REST_SHARE };
        is_urgent |= share == 0;
        for taken in 0..QUEUE_LENGTH {
            let had_its_share = taken >= share;
            if self.replies.stop.is_some() || (had_its_share && (is_urgent || batch.is_full())) {
                return;
            }
            if had_its_share && !self.urgent.is_empty() {
                self.drain_urgent(batch);
                return;
            }
            let Ok(message) = self.normal.try_recv() else { return };
            self.take(Some(message), batch);
        }
    }

    /// Whether there was anything urgent.
    fn drain_urgent(&mut self, batch: &mut Batch) -> bool {
        for taken in 0..QUEUE_LENGTH {
            if self.replies.stop.is_some() || batch.is_full() {
                return taken > 0;
            }
            let Ok(message) = self.urgent.try_recv() else { return taken > 0 };
            self.take(Some(message), batch);
        }
        true
    }

    /// A batch for which nobody waits may wait a little itself, so that notes do not cost a sync each.
    fn gather_company(&mut self, runtime: &Handle, batch: &mut Batch) {
        if batch.is_empty() || self.replies.somebody_waits() {
            return;
        }
        let until = tokio::time::Instant::now() + COMPANY_WAIT;
        while !batch.is_urgent() && !batch.is_full() && !self.replies.somebody_waits() {
            let (urgent, normal) = (&mut self.urgent, &mut self.normal);
            let next = runtime.block_on(async {
                tokio::select! {
                    biased;
                    message = urgent.recv() => message,
                    message = normal.recv() => message,
                    () = tokio::time::sleep_until(until) => None,
                }
            });
            let Some(message) = next else { return };
            self.take(Some(message), batch);
            if tokio::time::Instant::now() >= until {
                return;
            }
        }
    }

    fn take(&mut self, message: Option<Message>, batch: &mut Batch) {
        let moment = self.clock.moment();
        if message.as_ref().is_some_and(Message::is_flash) {
            self.right_of_way.take();
        }
        match message {
            None => {}
            Some(Message::Input(input) | Message::Weighed(input, _)) => self.core.handle(moment, input, batch),
            Some(Message::Request(request, reply)) => self.take_request(moment, request, reply, batch),
            Some(Message::View(reply)) => self.replies.views.push(reply),
            Some(Message::OnLadder(messages, reply)) => self.replies.ladders.push((messages, reply)),
            Some(Message::Silences(reply)) => self.replies.silences.push(reply),
            Some(Message::LinkFacts(peer, reply)) => self.replies.facts.push((peer, reply)),
            Some(Message::Settled(reply)) => self.replies.settled.push(reply),
            Some(Message::Stop(reply)) => self.replies.stop = Some(reply),
        }
    }

    fn take_request(&mut self, moment: Moment, request: Request, reply: Reply, batch: &mut Batch) {
        if self.space.low && request.says_something() {
            let text = "the disk is nearly full; make room under the data directory, then send again".to_owned();
            return reply.decline(Declined::Message(text));
        }
        if let Request::AddPeer { card, .. } = &request
            && let Err(error) = self.directory.check(card)
        {
            let text = format!("the TLS certificate in the card cannot be used: {error}");
            return reply.decline(Declined::Card(text));
        }
        let token = self.replies.tokens.next();
        self.replies.waiting.insert(token, reply);
        let input = match request {
            Request::Submit(submission) => Input::Submit(token, submission),
            Request::AddPeer { card, by } => Input::AddPeer { token, card, by },
            Request::Administer(order) => Input::Administer { token, order },
            Request::Approve { request, by } => Input::Approve { token, request, by },
            Request::Withdraw { request, by } => Input::Withdraw { token, request, by },
            Request::DeclineKey { peer, by } => Input::DeclineKey { token, peer, by },
            Request::SetAgreement { peer, terms, by } => Input::SetAgreement { token, peer, terms, by },
            Request::OwnCard { card, by } => Input::OwnCard { token: Some(token), card, usable: self.own.usable(), by },
            Request::Unblock { peer, lane, by } => Input::Unblock { token, peer, lane, by },
            Request::Check(order) => Input::Check { token, order },
            Request::Open { message, by } => Input::Opened { token, message, by },
            Request::EraseRecalled(acceptance) => Input::EraseRecalled { token, acceptance },
            Request::Compose(composed) => Input::Compose { token, composed },
            Request::Release { draft, bodies, by } => Input::Release { token, draft, bodies, by },
            Request::Discard { draft, by, is_releaser } => Input::Discard { token, draft, by, is_releaser },
            Request::OpenDraft { draft, by } => Input::OpenDraft { token, draft, by },
            Request::Export { messages, bodies, by } => Input::Export { token, messages, bodies, by },
            Request::Hotline(order) => Input::Hotline { token, order },
        };
        self.core.handle(moment, input, batch);
    }

    /// What is due because time passed.
    fn tick(&mut self, batch: &mut Batch) {
        let moment = self.clock.moment();
        if self.space.look_at_ms <= moment.monotonic_ms {
            self.look(moment, batch);
        }
        for (alert, outcome) in std::mem::take(&mut self.unalerted) {
            self.core.handle(moment, Input::Alerted { alert, outcome: Box::new(outcome) }, batch);
        }
        self.core.handle(moment, Input::Tick, batch);
    }

    /// Looks how much space there is, and how long the certificate that is shown is good.
    fn look(&mut self, moment: Moment, batch: &mut Batch) {
        self.space.look_at_ms = moment.monotonic_ms + SPACE_LOOK_MS;
        // A file system that cannot tell its free space is not taken for a full one.
        self.space.low = self.journal.low_space().unwrap_or(false);
        let text = self.space.low.then(|| {
            Text::cut("the disk is nearly full: new messages are declined; make room under the data directory")
        });
        let alarm = Input::NodeAlarm { code: Code::known("disk-nearly-full"), peer: None, text };
        self.core.handle(moment, alarm, batch);
        let valid_until = self.directory.shown().certificate().not_after();
        let since = valid_until.duration_since(UNIX_EPOCH).unwrap_or_default();
        let valid_until = UnixMillis::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        self.core.handle(moment, Input::CertificateShown { valid_until }, batch);
    }

    /// Persists the batch and then carries out what it set free (I1, I2, I3).
    fn commit(&mut self, batch: Batch) -> Result<(), CommitError> {
        let batch = self.core.complete(self.clock.moment(), batch);
        if batch.is_empty() {
            return Ok(());
        }
        let own = self.own.clone();
        let (journal, commitments) = (&mut self.journal, &mut self.commitments);
        let effects = batch.commit(&own.identities(), |entries| persist(journal, commitments, entries))?;
        debug_assert_eq!(self.journal.size(), self.core.next_record().0, "the core counts what the journal holds");
        (self.committed)();
        self.carry_out(effects)
    }

    /// The rest goes on as soon as no FLASH is on its way (I14).
    fn give_way(&self) {
        if self.right_of_way.is_taken() && !self.core.has_flash_on_its_way() {
            self.right_of_way.give_back();
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) -> Result<(), CommitError> {
        for effect in effects {
            match effect {
                Effect::Erase { record } => self.erase(record)?,
                other => self.perform(other),
            }
        }
        Ok(())
    }

    /// Erases a body. A place that cannot be read is damage that a start and `verify` report, and holds nothing that
    /// could be shown; any other failure is the disk's.
    fn erase(&mut self, record: RecordSeq) -> Result<(), CommitError> {
        match self.journal.erase_body(journal::RecordSeq(record.0)) {
            Err(CommitError::Read(error)) => {
                tracing::error!(record = record.0, %error, "a body cannot be erased: its place in the journal is damaged");
                Ok(())
            }
            other => other,
        }
    }

    fn rotate_if_due(&mut self) -> Result<(), CommitError> {
        if !self.journal.should_rotate() || self.right_of_way.is_taken() {
            return Ok(());
        }
        let frozen = self.core.freeze();
        match self.journal.rotate(Box::new(move || frozen.encode())) {
            // The segment grows instead; the alarm about the disk says what to do.
            Err(CommitError::LowSpace { .. }) => Ok(()),
            other => other,
        }
    }

    fn stop(mut self) -> Result<(), CommitError> {
        let mut batch = self.core.batch();
        self.core.handle(self.clock.moment(), Input::Stop, &mut batch);
        self.commit(batch)?;
        self.answer_questions();
        self.links.close_all(GoodbyeCode::STOPPING, "the node stops");
        let reply = self.replies.stop.take();
        self.journal.stop_cleanly()?;
        if let Some(reply) = reply {
            // Whoever asked may have gone; the node stops all the same.
            let _gone = reply.send(());
        }
        Ok(())
    }

    /// Carries out one effect. Its records are on stable storage.
    fn perform(&mut self, effect: Effect) {
        perform::perform(self, effect);
    }
}

impl Replies {
    fn somebody_waits(&self) -> bool {
        let reads = self.views.is_empty() && self.ladders.is_empty() && self.silences.is_empty();
        !(reads && self.facts.is_empty() && self.settled.is_empty()) || self.stop.is_some()
    }
}

/// One group commit: the journal's entries with a fresh nonce each, written and synced together.
pub(crate) fn persist(
    journal: &mut Journal,
    commitments: &mut Commitments,
    entries: &[Entry],
) -> Result<(), CommitError> {
    // One call for all: each is a way into the kernel.
    let mut nonces = vec![[0; NONCE_BYTES]; entries.len()];
    clock::fill_random(nonces.as_flattened_mut());
    let bodies: Vec<Option<[&[u8]; 2]>> = entries.iter().map(|entry| beside(entry.body.as_ref())).collect();
    let entries: Vec<journal::Entry<'_>> = entries
        .iter()
        .zip(&bodies)
        .zip(nonces)
        .map(|((entry, body), nonce)| journal::Entry {
            nonce,
            record: &entry.record,
            body: body.as_ref().map(<[&[u8]; 2]>::as_slice),
        })
        .collect();
    let committed = journal.commit(&entries)?;
    let nonce = entries.last().expect("a batch that is persisted has records").nonce;
    commitments.earlier = commitments.latest;
    commitments.latest = Some((nonce, TreeHead { size: committed.size, root: committed.root }));
    Ok(())
}

/// What lies beside a record: salt, then body.
fn beside(body: Option<&Body>) -> Option<[&[u8]; 2]> {
    match body {
        Some(Body::Present { salt, bytes }) => Some([salt, bytes]),
        Some(Body::Withheld(_)) | None => None,
    }
}

#[cfg(test)]
mod tests;
