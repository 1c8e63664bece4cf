//! Two nodes without a network: real cores, keys and journals, virtual time, and what one transmits verified by the other.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aldis_core::Order;
use aldis_core::batch::Entry;
use aldis_core::effect::{Done, Effect, Outgoing};
use aldis_core::input::{Input, Submission, Token};
use aldis_core::limits::Limits;
use aldis_core::peer::LinkId;
use aldis_core::record::{Record, RecordSeq};
use aldis_core::trust::{Act, Person};
use aldis_core::{Core, Moment};
use aldis_wire::card::{CARD_VERSION, Card, VerifiedCard};
use aldis_wire::codec::{Blob, List, Text, encode};
use aldis_wire::codes::Extensions;
use aldis_wire::digest::Digest;
use aldis_wire::envelope::{Body, EnvelopeVerifier, WithheldReason, assemble};
use aldis_wire::frame::Credit;
use aldis_wire::header::{ExactHeader, Header, Reference, ReferenceRole};
use aldis_wire::hello::{Hello, Role};
use aldis_wire::ids::{EnvelopeId, Incarnation, NodeId, UnixMillis};
use aldis_wire::kinds::{Reading, read};
use aldis_wire::lane::Lane;
use aldis_wire::proof::sign_batch;
use aldis_wire::receipt::VerifiedReceipt;
use aldis_wire::signing::IdentityKey;
use bytes::Bytes;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::attachments::Attachments;
use crate::clock::Clock;
use crate::fixtures;
use crate::journal::{self, Journal};
use crate::log::store::{Row, Store, StoreOptions};
use crate::log::{LogHandle, LogSettings, LogStatus};

/// 2026-11-22T03:00:00Z.
pub(super) const START_MS: u64 = 1_795_316_400_000;
pub(super) const HOUR_MS: u64 = 3_600_000;
pub(super) const BR: usize = 0;
pub(super) const CL: usize = 1;

/// `cert.br` and `cert.cl`, enrolled with each other.
pub(super) struct Pair {
    pub(super) certs: [Cert; 2],
    pub(super) home: TempDir,
    pub(super) now_ms: u64,
    links: u64,
    drawn: u64,
    linked: Option<LinkId>,
}

pub(super) struct Cert {
    pub(super) id: NodeId,
    pub(super) key: IdentityKey,
    pub(super) journal: Journal,
    pub(super) core: Core,
    inputs: VecDeque<Input>,
    submitted: Vec<(EnvelopeId, Digest)>,
    verifier: EnvelopeVerifier,
}

impl Pair {
    pub(super) fn new() -> Self {
        let home = TempDir::new().unwrap();
        let certs = [BR, CL].map(|place| Cert::new(place, home.path()));
        let mut pair = Self { certs, home, now_ms: START_MS, links: 0, drawn: 0, linked: None };
        for place in [BR, CL] {
            let moment = pair.moment();
            let cert = &mut pair.certs[place];
            let mut batch = cert.core.batch();
            cert.core.start(moment, Incarnation(place as u64 + 1), "test", &mut batch);
            let batch = cert.core.complete(moment, batch);
            batch.commit(&key(place).into(), |entries| persist(&mut cert.journal, entries)).unwrap();
            let card = Box::new(card(1 - place));
            pair.input(place, Input::AddPeer { token: Token(0), card, by: Text::cut("admin") });
            let by = Person { uid: 1, name: Text::cut("admin") };
            let peer = node_id(1 - place);
            let order = Order { act: Act::Verify, peer, key: None, by, why: Text::cut("a test") };
            pair.input(place, Input::Administer { token: Token(0), order: Box::new(order) });
        }
        pair
    }

    /// Two that are linked.
    pub(super) fn linked() -> Self {
        let mut pair = Self::new();
        pair.link();
        pair
    }

    pub(super) fn link(&mut self) {
        self.links += 1;
        let link = LinkId(self.links);
        self.linked = Some(link);
        for place in [BR, CL] {
            let (peer, hello) = (self.certs[1 - place].id.clone(), Box::new(self.hello(1 - place)));
            self.certs[place].inputs.push_back(Input::LinkUp { peer, link, dialled_by_us: place == BR, hello });
        }
        self.run();
    }

    pub(super) fn unlink(&mut self) {
        let link = self.linked.take().unwrap();
        for place in [BR, CL] {
            let peer = self.certs[1 - place].id.clone();
            self.input(place, Input::LinkDown { peer, link, cause: Text::cut("test") });
        }
    }

    pub(super) fn pass(&mut self, millis: u64) {
        self.now_ms += millis;
        self.run();
    }

    /// Lets one node take an input, and both do what follows.
    pub(super) fn input(&mut self, place: usize, input: Input) {
        self.inputs(place, vec![input]);
    }

    /// Lets one node take inputs together, and both do what follows.
    pub(super) fn inputs(&mut self, place: usize, inputs: Vec<Input>) {
        self.certs[place].inputs.extend(inputs);
        self.run();
    }

    /// Submits to the other node and returns the message's id and digest.
    pub(super) fn send(&mut self, place: usize, submission: Submission) -> (EnvelopeId, Digest) {
        self.input(place, Input::Submit(Token(1), Box::new(submission)));
        self.certs[place].submitted.pop().unwrap()
    }

    /// Submits a small incident.
    pub(super) fn notice(&mut self, place: usize, lane: Lane, subject: &str) -> (EnvelopeId, Digest) {
        let submission = self.incident(place, lane, subject);
        self.send(place, submission)
    }

    pub(super) fn incident(&self, place: usize, lane: Lane, subject: &str) -> Submission {
        self.submission(place, lane, "incident", json!({"subject": subject, "class": "fraud", "narrative": "text"}))
    }

    pub(super) fn submission(&self, place: usize, lane: Lane, kind: &'static str, body: Value) -> Submission {
        fixtures::submission(&self.certs[1 - place].id, lane, kind, body)
    }

    /// Answers a message: `seen`, `acknowledged`, or the status of a decision.
    pub(super) fn answer(&mut self, place: usize, message: &(EnvelopeId, Digest), says: &str) -> EnvelopeId {
        let body = match says {
            "seen" | "acknowledged" => json!({"state": says}),
            status => json!({"state": "decided", "status": status, "text": format!("we say {status}")}),
        };
        let mut submission = self.submission(place, message.0.lane, "acknowledgement", body);
        submission.references = reference(ReferenceRole::ANSWERS, message);
        self.send(place, submission).0
    }

    /// The first header in a lane from one node to the other, with this body, that no core made.
    pub(super) fn header(&self, place: usize, body: &[u8]) -> Header {
        Header {
            key_id: self.certs[place].key.id(),
            incarnation: self.certs[place].core.incarnation(),
            from: self.certs[place].id.clone(),
            to: self.certs[1 - place].id.clone(),
            lane: Lane::Priority,
            expires_at: UnixMillis::new(START_MS + 24 * HOUR_MS),
            ..fixtures::header(UnixMillis::new(START_MS), body)
        }
    }

    /// Gives a node an envelope that the core of the other has not made, signed by the other.
    pub(super) fn arrives(&mut self, place: usize, header: &ExactHeader, body: &[u8]) {
        let proof = encode(&sign_batch(&self.certs[1 - place].key, &[header.digest()])[0]);
        let beside = Body::Present { salt: fixtures::SALT, bytes: Bytes::copy_from_slice(body) };
        let bytes = assemble(header.bytes(), &beside, &proof);
        let envelope = Box::new(self.certs[place].verifier.verify(&bytes).unwrap());
        let reading = read(&header.kind, header.kind_version, body);
        self.input(place, Input::Envelope { link: self.linked.unwrap(), envelope, reading });
    }

    /// Writes records that no core decided on, with bodies beside them.
    pub(super) fn journal(&mut self, place: usize, records: Vec<(Record, Option<Vec<u8>>)>) {
        let beside =
            |bytes: Option<Vec<u8>>| bytes.map(|bytes| Body::Present { salt: fixtures::SALT, bytes: bytes.into() });
        let entry = |(record, body): (Record, Option<Vec<u8>>)| Entry { record: record.encode(), body: beside(body) };
        let entries: Vec<Entry> = records.into_iter().map(entry).collect();
        persist(&mut self.certs[place].journal, &entries).unwrap();
    }

    pub(super) fn dir(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(super) fn clock(&self) -> Clock {
        let clock = Clock::system();
        let shift_ms = i64::try_from(self.now_ms).unwrap() - i64::try_from(clock.wall().get()).unwrap();
        clock.shift(shift_ms);
        clock
    }

    /// The log of a node in a directory of this name, up to date.
    pub(super) fn log(&self, place: usize, name: &str) -> LogHandle {
        let log = self.start_log(place, name);
        caught_up(&log, self.certs[place].journal.size());
        log
    }

    pub(super) fn log_settings(&self, place: usize, name: &str) -> LogSettings {
        let files = self.dir("files");
        std::fs::create_dir_all(&files).unwrap();
        let attachments = Attachments::open(&files, 0).unwrap();
        LogSettings { dir: self.dir(name), store: STORE, own: self.certs[place].id.clone(), attachments }
    }

    pub(super) fn start_log(&self, place: usize, name: &str) -> LogHandle {
        let cert = &self.certs[place];
        let settings = self.log_settings(place, name);
        LogHandle::start(settings, cert.journal.reader(), self.clock(), |reason| panic!("failed: {reason}")).unwrap()
    }

    /// Runs until nobody has anything to do.
    pub(super) fn run(&mut self) {
        for _ in 0..10_000 {
            for place in [BR, CL] {
                self.turn(place);
            }
            if self.certs.iter().all(|cert| cert.inputs.is_empty()) {
                return;
            }
        }
        panic!("the nodes never come to rest");
    }

    fn turn(&mut self, place: usize) {
        let moment = self.moment();
        let cert = &mut self.certs[place];
        let mut batch = cert.core.batch();
        while !batch.is_full()
            && let Some(input) = cert.inputs.pop_front()
        {
            cert.core.handle(moment, input, &mut batch);
        }
        cert.core.handle(moment, Input::Tick, &mut batch);
        let batch = cert.core.complete(moment, batch);
        let effects = batch.commit(&key(place).into(), |entries| persist(&mut cert.journal, entries)).unwrap();
        if cert.journal.should_rotate() {
            let frozen = cert.core.freeze();
            cert.journal.rotate(Box::new(move || frozen.encode())).unwrap();
        }
        for effect in effects {
            self.perform(place, effect);
        }
    }

    fn perform(&mut self, place: usize, effect: Effect) {
        let now = UnixMillis::new(self.now_ms);
        let [from, to] = match &mut self.certs {
            [br, cl] if place == BR => [br, cl],
            [br, cl] => [cl, br],
        };
        match effect {
            Effect::Transmit { link, bytes, .. } if self.linked == Some(link) => {
                let bytes = match bytes {
                    Outgoing::Fresh { bytes, .. } => bytes,
                    Outgoing::Stored { record, withhold } => stored(from, record, withhold),
                };
                let envelope = Box::new(to.verifier.verify(&bytes).unwrap());
                let reading = match envelope.body() {
                    Body::Present { bytes, .. } => read(&envelope.header().kind, envelope.header().kind_version, bytes),
                    Body::Withheld(_) => Reading::UnknownKind,
                };
                to.inputs.push_back(Input::Envelope { link, envelope, reading });
            }
            Effect::Receipt { peer, link } if self.linked == Some(link) => {
                let bytes = from.core.receipt(&peer, now, Digest::ZERO).unwrap().sign(&from.key);
                let receipt = VerifiedReceipt::verify(&bytes, &from.id, &to.id, &from.key.public()).unwrap();
                to.inputs.push_back(Input::Receipt { link, receipt: Box::new(receipt) });
            }
            Effect::Grant { link, credit } if self.linked == Some(link) => {
                let credit = Credit { lane: credit.lane, total: credit.total };
                to.inputs.push_back(Input::Credit { peer: from.id.clone(), link, credit });
            }
            Effect::Reply { result, .. } => {
                if let Done::Submitted(messages) = result.unwrap() {
                    from.submitted = messages;
                }
            }
            Effect::Erase { record } => from.journal.erase_body(journal::RecordSeq(record.0)).unwrap(),
            _ => {}
        }
    }

    fn moment(&mut self) -> Moment {
        self.drawn += 1;
        let entropy = *Digest::of(&[&self.drawn.to_be_bytes()]).as_bytes();
        Moment { wall: UnixMillis::new(self.now_ms), monotonic_ms: self.now_ms - START_MS, entropy }
    }

    fn hello(&self, place: usize) -> Hello {
        let (cert, other) = (&self.certs[place], &self.certs[1 - place]);
        let known = cert.core.peer(&other.id).unwrap();
        Hello {
            versions: List::new(vec![1]).unwrap(),
            role: if place == BR { Role::DIALLER } else { Role::LISTENER },
            from: cert.id.clone(),
            to: other.id.clone(),
            exporter: [0; 32],
            key_id: cert.key.id(),
            incarnation: cert.core.incarnation(),
            card: Digest::ZERO,
            peer_card: Digest::ZERO,
            received: known.received_marks(),
            sent: known.sent_marks(),
            sent_at: UnixMillis::new(self.now_ms),
            extensions: Extensions::default(),
        }
    }
}

impl Cert {
    fn new(place: usize, home: &Path) -> Self {
        let (id, key, other) = (node_id(place), key(place), 1 - place);
        let mut options = journal::Options::default();
        (options.segment_bytes, options.reserve_bytes, options.prepare_ahead) = (256 << 10, 0, false);
        Self {
            journal: Journal::create(&home.join(format!("journal-{place}")), options).unwrap(),
            core: Core::new(id.clone(), key.id(), Limits { two_persons: false, ..Limits::default() }),
            inputs: VecDeque::new(),
            submitted: Vec::new(),
            verifier: EnvelopeVerifier::new(node_id(other), id.clone(), self::key(other).public()),
            id,
            key,
        }
    }
}

/// Small, and without a floor: tests run on machines that are nearly full.
pub(super) const STORE: StoreOptions = StoreOptions { cache_bytes: 16 << 20, free_space_floor_bytes: 0 };

/// References with one entry.
pub(super) fn reference(role: ReferenceRole, message: &(EnvelopeId, Digest)) -> List<Reference, 8> {
    let (envelope, digest) = message.clone();
    List::new(vec![Reference { role, envelope, digest }]).unwrap()
}

/// Waits until the log holds the first `records` records, within a bound.
pub(super) fn caught_up(log: &LogHandle, records: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let waited = runtime.block_on(async {
        log.caught_up(records.max(1), Duration::from_mins(1)).await?;
        let mut status = log.watch_status();
        let settled = |status: &LogStatus| matches!(status, LogStatus::Following | LogStatus::Degraded { .. });
        let _settled = tokio::time::timeout(Duration::from_mins(1), status.wait_for(settled)).await;
        Ok::<_, crate::log::NotCaughtUp>(())
    });
    waited.unwrap_or_else(|error| panic!("{error}: {:?}", log.status()));
}

/// Every row of a log that is closed.
pub(super) fn rows_in(dir: &Path) -> Vec<Row> {
    let store = Store::open_or_create(dir, STORE).unwrap().store;
    let (mut rows, mut from) = (Vec::new(), None);
    loop {
        let order = crate::log::scan::Direction::Ascending;
        let page = store.scan_prefix(&[], from.as_deref(), order, 1_000).unwrap();
        rows.extend(page.rows);
        match page.next {
            Some(next) => from = Some(next),
            None => return rows,
        }
    }
}

pub(super) fn node_id(place: usize) -> NodeId {
    NodeId::new(["cert.br", "cert.cl"][place]).unwrap()
}

fn key(place: usize) -> IdentityKey {
    IdentityKey::from_seed(&[u8::try_from(place).unwrap() + 1; 32])
}

fn card(place: usize) -> VerifiedCard {
    let key = key(place);
    let card = Card {
        version: CARD_VERSION,
        id: node_id(place),
        name: Text::cut("a CERT"),
        country: Text::cut("XX"),
        identity_key: *key.public().as_bytes(),
        tls_certificate: Blob::new(vec![0x30; 8]).unwrap(),
        tls_name: None,
        endpoints: List::empty(),
        contacts: List::empty(),
        kinds: aldis_wire::kinds::kind_versions(),
        issued_at: UnixMillis::new(START_MS - 1_000),
        valid_until: UnixMillis::new(START_MS + 10_000 * 24 * HOUR_MS),
        sequence: 1,
        extensions: Extensions::default(),
    };
    card.sign(&key)
}

fn stored(cert: &Cert, record: RecordSeq, withhold: Option<WithheldReason>) -> Bytes {
    let found = cert.journal.reader().read(journal::RecordSeq(record.0)).unwrap();
    let Record::Sent(sent) = Record::decode(&found.record).unwrap() else { panic!("{record:?} was not sent") };
    let body = match (withhold, found.body) {
        (Some(reason), _) => Body::Withheld(reason),
        (None, journal::Body::Present(bytes)) => {
            Body::Present { salt: bytes[..16].try_into().unwrap(), bytes: bytes.slice(16..) }
        }
        (None, other) => panic!("{other:?}"),
    };
    assemble(sent.draft.header.bytes(), &body, &sent.proof)
}

fn persist(journal: &mut Journal, entries: &[Entry]) -> Result<(), journal::CommitError> {
    let beside = |body: &Option<Body>| match body {
        Some(Body::Present { salt, bytes }) => Some([Bytes::copy_from_slice(salt), bytes.clone()]),
        _ => None,
    };
    let bodies: Vec<Option<[Bytes; 2]>> = entries.iter().map(|entry| beside(&entry.body)).collect();
    let parts: Vec<Option<[&[u8]; 2]>> =
        bodies.iter().map(|body| body.as_ref().map(|[salt, bytes]| [&salt[..], &bytes[..]])).collect();
    let entries: Vec<journal::Entry<'_>> = entries
        .iter()
        .zip(&parts)
        .map(|(entry, body)| journal::Entry {
            nonce: [1; 16],
            record: &entry.record,
            body: body.as_ref().map(<[&[u8]; 2]>::as_slice),
        })
        .collect();
    journal.commit(&entries).map(drop)
}
