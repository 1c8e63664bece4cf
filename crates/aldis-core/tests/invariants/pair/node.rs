//! One node: a core, its key, its journal in memory, and a second core that only ever applies what the journal holds.

use super::keys::card;
use super::network::FileSent;
use aldis_core::Core;
use aldis_core::Frozen;
use aldis_core::Moment;
use aldis_core::batch::{Batch, Entry};
use aldis_core::effect::{Declined, Delivery, Done, Effect, Happening};
use aldis_core::input::{Input, Token};
use aldis_core::ladder::{Alert, AlertOutcome, Silence};
use aldis_core::limits::Limits;
use aldis_core::peer::LinkId;
use aldis_core::record::{BodyErased, Record, RecordSeq};
use aldis_wire::card::VerifiedCard;
use aldis_wire::digest::Digest;
use aldis_wire::envelope::{Body, WithheldReason, assemble};
use aldis_wire::frame::GoodbyeCode;
use aldis_wire::ids::{EnvelopeId, Incarnation, KeyId, NodeId, Seq, UnixMillis};
use aldis_wire::lane::Lane;
use aldis_wire::signing::{Identities, IdentityKey};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a persist step answers when it is told to fail.
#[derive(Debug)]
pub(crate) struct Failing;

/// How the next persist step fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing reaches the disk.
    BeforeDisk,
    /// Everything reaches the disk, but the process never learns it.
    AfterDisk,
    /// Half of it reaches the disk; the next start cuts that.
    Torn,
}

/// What becomes of a node's alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channels {
    /// They reach everybody.
    Work,
    /// They fail, and say so.
    Fail,
    /// Nobody ever says what became of them.
    Hang,
}

pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) key: IdentityKey,
    /// The keys this node signs with.
    pub(crate) identities: Identities,
    pub(super) seeds: Vec<[u8; 32]>,
    first_key: KeyId,
    pub(crate) card: VerifiedCard,
    pub(crate) core: Core,
    pub(crate) limits: Limits,
    pub(crate) journal: Vec<Entry>,
    pub(crate) fault: Option<Fault>,
    /// How many records may still be written, if the disk is filling up.
    pub(crate) room: Option<usize>,
    /// After how many effects the process ends, if it is to end between two.
    pub(crate) stops_in: Option<usize>,
    /// What the wall clock shows, if it stands still.
    pub(crate) frozen: Option<UnixMillis>,
    /// How long the journal was after each commit.
    pub(crate) commits: Vec<usize>,
    /// How long the journal was before the turn.
    pub(crate) before: usize,
    /// How often it ended between two effects, and how many erasures a start has finished.
    pub(crate) stopped: u64,
    pub(crate) finished: u64,
    /// Bodies that were erased: an older copy of the disk has them still.
    erased: BTreeMap<usize, Body>,
    /// How many batches it has committed, or tried to.
    pub(crate) turns: u64,
    /// Where the half of a commit begins that a start will cut.
    torn: Option<usize>,
    /// The peers' files in its file store.
    pub(crate) files: BTreeSet<(NodeId, Digest)>,
    /// Files of ours that were erased.
    pub(crate) erased_files: Vec<Digest>,
    /// Files of ours that are handed out with other bytes, or not at all.
    pub(crate) spoiled: BTreeSet<Digest>,
    pub(crate) lacking: BTreeSet<Digest>,
    pub(crate) up: bool,
    /// A puppet has no life of its own: tests speak for it.
    pub(crate) puppet: bool,
    /// Whether every commit is replayed and compared; off only where a test has a backlog too long for it.
    pub(crate) replays: bool,
    pub(crate) inbox: VecDeque<Input>,
    pub(crate) replies: BTreeMap<Token, Result<Done, Declined>>,
    pub(crate) told: Vec<Happening>,
    pub(crate) alerts: Vec<Alert>,
    /// What becomes of alerts.
    pub(crate) channels: Channels,
    /// How far the wall clock is off, in milliseconds.
    pub(crate) shift_ms: i64,
    pub(crate) transmitted: Vec<(Lane, Seq, Bytes)>,
    pub(crate) closed: Vec<(LinkId, GoodbyeCode)>,
    pub(crate) dialled: Vec<(NodeId, u64)>,
    starts: u64,
    place: usize,
    /// The journal's records, decoded.
    decoded: Vec<Record>,
    replayed: Core,
    /// Held still while the core goes on, and encoded only when it is needed, as on a node.
    snapshot: Option<(Frozen, usize)>,
}

impl Node {
    /// What a peer that may have a file of ours gets.
    pub(crate) fn hands_out(&self, attachment: Digest, size: Option<u64>) -> FileSent {
        match size {
            None => FileSent::NotHeld,
            Some(_) if self.lacking.contains(&attachment) => FileSent::NotHeld,
            Some(_) if self.spoiled.contains(&attachment) => FileSent::OtherBytes,
            Some(_) => FileSent::Whole,
        }
    }

    /// A start removes the files that nothing names: the process may have ended before it did.
    pub(crate) fn sweep_files(&mut self) {
        let core = &self.core;
        self.files.retain(|(peer, attachment)| core.names_theirs(peer, attachment).is_some());
    }

    pub(crate) fn new(place: usize, limits: &Limits) -> Self {
        let names = ["cert.br", "cert.cl", "cert.uy"];
        let id = names.get(place).map_or_else(|| format!("cert.n{place}"), |name| (*name).to_owned());
        let id = NodeId::new(&id).expect("a node id");
        let seed = [u8::try_from(place).expect("few nodes") + 1; 32];
        let key = IdentityKey::from_seed(&seed);
        let card = card(&id, &key).sign(&key);
        Self {
            core: Core::new(id.clone(), key.id(), limits.clone()),
            replayed: Core::new(id.clone(), key.id(), limits.clone()),
            id,
            key,
            identities: IdentityKey::from_seed(&seed).into(),
            seeds: vec![seed],
            first_key: IdentityKey::from_seed(&seed).id(),
            card,
            limits: limits.clone(),
            journal: Vec::new(),
            fault: None,
            room: None,
            stops_in: None,
            frozen: None,
            commits: Vec::new(),
            before: 0,
            stopped: 0,
            finished: 0,
            erased: BTreeMap::new(),
            turns: 0,
            files: BTreeSet::new(),
            erased_files: Vec::new(),
            spoiled: BTreeSet::new(),
            lacking: BTreeSet::new(),
            torn: None,
            up: true,
            puppet: false,
            replays: true,
            inbox: VecDeque::new(),
            replies: BTreeMap::new(),
            told: Vec::new(),
            alerts: Vec::new(),
            channels: Channels::Work,
            shift_ms: 0,
            transmitted: Vec::new(),
            closed: Vec::new(),
            dialled: Vec::new(),
            starts: 0,
            decoded: Vec::new(),
            place,
            snapshot: None,
        }
    }

    /// What the node around the core does with an alert.
    pub(crate) fn alert(&mut self, alert: Alert) {
        let everybody = || {
            let people = alert
                .people
                .iter()
                .flat_map(|(person, channels)| channels.iter().map(move |channel| (person.clone(), channel.clone())));
            people.collect::<Vec<_>>()
        };
        let outcome = match self.channels {
            Channels::Work => Some(AlertOutcome { reached: everybody(), failed: Vec::new() }),
            Channels::Fail => {
                let failed = everybody().into_iter().map(|(person, channel)| (person, channel, super::text("broken")));
                Some(AlertOutcome { reached: Vec::new(), failed: failed.collect() })
            }
            Channels::Hang => None,
        };
        if let Some(outcome) = outcome {
            self.inbox.push_back(Input::Alerted { alert: alert.id, outcome: Box::new(outcome) });
        }
        self.alerts.push(alert);
    }

    /// What the node around the core does with a body that is to be erased: it is on record before.
    pub(crate) fn erase(&mut self, record: RecordSeq) {
        let says_so = |found: &Record| matches!(found, Record::BodyErased(BodyErased { record: erased, .. }) if *erased == record);
        assert!(self.decoded.iter().any(says_so), "i1: a body is erased that no record speaks of");
        self.erase_at(usize::try_from(record.0).expect("a short journal"));
    }

    fn erase_at(&mut self, at: usize) {
        if let Some(body @ Body::Present { .. }) = self.journal[at].body.replace(Body::Withheld(WithheldReason::ERASED))
        {
            self.erased.insert(at, body);
        }
    }

    /// Journals the start.
    pub(crate) fn begin(&mut self, moment: Moment) -> Vec<Effect> {
        self.starts += 1;
        self.up = true;
        let incarnation = Incarnation(self.starts * 100 + self.place as u64 + 1);
        let mut batch = self.core.batch();
        self.core.start(moment, incarnation, "test", &mut batch);
        self.commit(moment, batch).expect("a start is persisted")
    }

    /// One group commit's worth of inputs, then a tick, then the commit.
    pub(crate) fn turn(&mut self, moment: Moment, inputs: &mut VecDeque<Input>) -> Result<Vec<Effect>, Failing> {
        let mut batch = self.core.batch();
        while !batch.is_full()
            && let Some(input) = inputs.pop_front()
        {
            self.core.handle(moment, input, &mut batch);
        }
        self.core.handle(moment, Input::Tick, &mut batch);
        self.commit(moment, batch)
    }

    fn commit(&mut self, moment: Moment, batch: Batch) -> Result<Vec<Effect>, Failing> {
        let batch = self.core.complete(moment, batch);
        self.before = self.decoded.len();
        self.turns += 1;
        let (journal, replayed) = (&mut self.journal, &mut self.replayed);
        let full = self.room.is_some_and(|room| room < batch.len());
        let fault = if full { Some(Fault::BeforeDisk) } else { self.fault };
        let (decoded, torn) = (&mut self.decoded, &mut self.torn);
        let mut touched = false;
        let effects = batch.commit(&self.identities, |entries| {
            touched = true;
            let copied = |entry: &Entry| Entry { record: entry.record.clone(), body: entry.body.clone() };
            match fault {
                Some(Fault::BeforeDisk) => {}
                Some(Fault::Torn) => {
                    *torn = Some(journal.len());
                    journal.extend(entries[..entries.len() / 2].iter().map(copied));
                }
                Some(Fault::AfterDisk) | None => {
                    for entry in entries {
                        let record = Record::decode(&entry.record).expect("a record reads back");
                        replayed.apply(&record);
                        decoded.push(record);
                        journal.push(copied(entry));
                    }
                }
            }
            fault.map_or(Ok(()), |_| Err(Failing))
        });
        if touched {
            self.fault = None;
            self.room = self.room.map(|room| room.saturating_sub(self.decoded.len() - self.before));
            self.commits.push(self.decoded.len());
        }
        if self.replays && effects.is_ok() {
            assert!(self.core.snapshot() == self.replayed.snapshot(), "i11: replay of {} gives another state", self.id);
        }
        effects
    }

    /// Whether the process ends before the next effect.
    pub(crate) fn stops_now(&mut self) -> bool {
        let now = self.stops_in == Some(0);
        self.stopped += u64::from(now);
        self.stops_in = self.stops_in.filter(|_| !now).map(|left| left - 1);
        now
    }

    /// Remembers the state of now as the start of a segment.
    pub(crate) fn take_snapshot(&mut self) {
        self.snapshot = Some((self.core.freeze(), self.journal.len()));
    }

    pub(crate) fn take_snapshot_if_up(&mut self) {
        if self.up {
            self.take_snapshot();
        }
    }

    /// A new core from the latest snapshot and the records after it.
    pub(crate) fn recover(&mut self) {
        if let Some(torn) = self.torn.take() {
            self.journal.truncate(torn);
        }
        self.finish_erasures();
        self.core = self.rebuilt(true);
        assert!(self.core.snapshot() == self.replayed.snapshot(), "i11: recovery of {} gives another state", self.id);
        self.fault = None;
    }

    /// An erasure that was interrupted is finished by the next start.
    fn finish_erasures(&mut self) {
        let erased = self.decoded.iter().filter_map(|record| match record {
            Record::BodyErased(erased) => usize::try_from(erased.record.0).ok(),
            _ => None,
        });
        for at in erased.collect::<Vec<_>>() {
            self.finished += u64::from(matches!(self.journal[at].body, Some(Body::Present { .. })));
            self.erase_at(at);
        }
    }

    /// Everything follows from the journal alone, without any snapshot.
    pub(crate) fn check_replay(&self) {
        assert!(self.rebuilt(false).snapshot() == self.core.snapshot(), "i11: {} differs from its journal", self.id);
    }

    /// The journal as it was when it had `length` records: a backup was restored.
    pub(crate) fn roll_back(&mut self, length: usize) {
        self.journal.truncate(length);
        self.decoded.truncate(length);
        self.commits.retain(|commit| *commit <= length);
        for (at, body) in std::mem::take(&mut self.erased).into_iter().filter(|(at, _)| *at < length) {
            self.journal[at].body = Some(body);
        }
        self.finish_erasures();
        self.snapshot = self.snapshot.take().filter(|(_, at)| *at <= length);
        self.replayed = self.rebuilt(false);
    }

    /// A copy of the journal as it is now.
    pub(crate) fn backup(&self) -> Vec<Entry> {
        let entries = self.journal.iter();
        entries.map(|entry| Entry { record: entry.record.clone(), body: entry.body.clone() }).collect()
    }

    /// Puts a copy back, with the bodies as they were then.
    pub(crate) fn put_back(&mut self, backup: &[Entry]) {
        let entries = backup.iter();
        self.journal = entries.map(|entry| Entry { record: entry.record.clone(), body: entry.body.clone() }).collect();
        let decoded = self.journal.iter().map(|entry| Record::decode(&entry.record).expect("a record"));
        self.decoded = decoded.collect();
        // One that was made since may be of another history.
        self.snapshot = None;
        self.replayed = self.rebuilt(false);
    }

    /// Records that were lost are found again, with whatever lay beside them.
    pub(crate) fn append(&mut self, records: &[Record]) {
        for record in records {
            let body = matches!(record, Record::Sent(_)).then_some(Body::Withheld(WithheldReason::ERASED));
            self.journal.push(Entry { record: record.encode(), body });
            self.replayed.apply(record);
            self.decoded.push(record.clone());
        }
    }

    fn rebuilt(&self, from_snapshot: bool) -> Core {
        let fresh = || Core::new(self.id.clone(), self.first_key, self.limits.clone());
        let (mut core, at) = match self.snapshot.as_ref().filter(|_| from_snapshot) {
            None => (fresh(), 0),
            Some((frozen, at)) => {
                let core = Core::from_snapshot(&frozen.encode(), self.id.clone(), self.first_key, self.limits.clone());
                (core.expect("our own snapshot reads back"), *at)
            }
        };
        for entry in &self.journal[at..] {
            core.apply(&Record::decode(&entry.record).expect("a record reads back"));
        }
        core
    }

    /// The bytes of an envelope in the journal.
    pub(crate) fn stored(&self, record: RecordSeq, withhold: Option<WithheldReason>) -> Bytes {
        let entry = &self.journal[usize::try_from(record.0).expect("a short journal")];
        let Ok(Record::Sent(sent)) = Record::decode(&entry.record) else { panic!("record {record:?} was not sent") };
        let body = match withhold {
            Some(reason) => Body::Withheld(reason),
            None => entry.body.clone().expect("what is sent has a body"),
        };
        assemble(sent.draft.header.bytes(), &body, &sent.proof)
    }

    pub(crate) fn sign_receipt(&self, peer: &NodeId, now: UnixMillis) -> Vec<u8> {
        // I2: what a receipt covers is in the journal already.
        let commitment = self.commitment_at(self.journal.len());
        let receipt = self.core.receipt(peer, now, commitment).expect("the peer is enrolled");
        let replayed = self.replayed.peer(peer).expect("the peer is in the journal").received_marks();
        assert_eq!(receipt.stored, replayed, "i2: a receipt covers what is not on disk");
        receipt.sign(self.identities.get(receipt.key_id).expect("the core signs with keys it has"))
    }

    /// What this node's receipts commit to when its journal has `size` records.
    pub(crate) fn commitment_at(&self, size: usize) -> Digest {
        Digest::of(&[self.id.as_str().as_bytes(), &size.to_be_bytes()])
    }

    /// The records in the journal.
    pub(crate) fn records(&self) -> &[Record] {
        &self.decoded
    }

    /// The peers' envelopes that were shown, in order.
    pub(crate) fn shown(&self) -> Vec<EnvelopeId> {
        let received = self.told.iter().filter_map(|happening| match happening {
            Happening::Received(id) => Some(id.clone()),
            _ => None,
        });
        received.collect()
    }

    /// What was told about our envelopes, in order.
    pub(crate) fn deliveries(&self) -> Vec<(EnvelopeId, Delivery)> {
        let told = self.told.iter().filter_map(|happening| match happening {
            Happening::Delivery(id, delivery) => Some((id.clone(), delivery.clone())),
            _ => None,
        });
        told.collect()
    }

    /// The codes of the alarms that last, but for those that say that nobody answers.
    pub(crate) fn alarms(&self) -> Vec<String> {
        let silences = [Silence::Received, Silence::Sent, Silence::Undelivered].map(Silence::name);
        self.all_alarms().into_iter().filter(|code| !silences.contains(&code.as_str())).collect()
    }

    /// The codes of the alarms that last.
    pub(crate) fn all_alarms(&self) -> Vec<String> {
        self.core.alarms().map(|alarm| alarm.code.to_string()).collect()
    }

    /// The ids and digests a submission got.
    pub(crate) fn submitted(&self, token: Token) -> Vec<(EnvelopeId, Digest)> {
        match self.replies.get(&token) {
            Some(Ok(Done::Submitted(ids))) => ids.clone(),
            other => panic!("not submitted: {other:?}"),
        }
    }

    pub(crate) fn declined(&self, token: Token) -> Declined {
        match self.replies.get(&token) {
            Some(Err(declined)) => declined.clone(),
            other => panic!("not declined: {other:?}"),
        }
    }
}
