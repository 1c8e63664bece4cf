//! A history that was lost comes back: after an administrator's word, over a link, envelope by envelope, each verified before
//! it gets here. It is taken in as it was, in an order in which nothing answers what is not there; nothing is signed, refused,
//! told to people or acted upon a second time. When all is here both ends say Hello anew, and compare.

use super::envelopes::close;
use super::receipts::{Agreement, compare};
use crate::batch::Batch;
use crate::effect::{Declined, Effect};
use crate::input::Regained;
use crate::moment::Moment;
use crate::outbound::OutState;
use crate::peer::{Link, LinkId, Peer, UpLink};
use crate::record::{
    AgreementSet, GivenBare, Named, OfferEnded, Outcome, Received, Record, RecordSeq, RecoveryEnd, RecoveryEnded,
    RefusedAs, Relayed, Restored, Standing, StoredBearing, UnknownKey,
};
use crate::recovery::{Fetching, Fits, RECOVERIES_AT_ONCE, Stream};
use crate::state::Core;
use crate::trust::{Person, Trust};
use aldis_wire::codec::{Blob, List, Text};
use aldis_wire::digest::Digest;
use aldis_wire::envelope::{Body, VerifiedEnvelope};
use aldis_wire::frame::GoodbyeCode;
use aldis_wire::header::ExactHeader;
use aldis_wire::ids::{EnvelopeId, KeyId, NodeId, Seq, UnixMillis};
use aldis_wire::kinds::{Answer, Attached, Bearing, Reading, RefusalCode, Summary};

impl Core {
    /// Whether there is a history to fetch, and nothing here that contradicts it.
    pub(super) fn check_recovery(&self, peer: &NodeId) -> Result<(), Declined> {
        let known = self.peers.get(peer).ok_or_else(|| Declined::UnknownPeer(peer.clone()))?;
        let nothing = |why| Err(Declined::NothingToRecover(peer.clone(), why));
        match known.durable.standing {
            Standing::WeLostHistory => {}
            Standing::Good => return nothing("Both records agree"),
            Standing::PeerLostHistory => {
                return nothing("it is the peer that lost history; its administrators recover it from here");
            }
            Standing::Quarantined => return nothing("it signed two contradicting messages and is quarantined"),
            Standing::NotCompared => return nothing("it has not told what it holds; wait until a link is up"),
        }
        let differs = known.up().is_some_and(|up| compare(known, &up.peer_received) == Agreement::Contradicts);
        let ended = known.durable.recovery.ended.as_ref().map(|ended| &ended.end);
        if differs || matches!(ended, Some(RecoveryEnd::Contradicts(_))) {
            return Err(Declined::HistoriesContradict(peer.clone()));
        }
        // Whoever says so again after all that it holds is here goes on without what it no longer says it holds.
        let goes_on = ended == Some(&RecoveryEnd::Complete) && known.durable.is_short();
        if known.durable.is_recovering() && !goes_on {
            return nothing("its history is fetched already; `aldis peer recover --wait` shows how far");
        }
        Ok(())
    }

    /// The journal was restored: what each peer holds must be known before anything is signed for it.
    pub(super) fn note_restored(&mut self, moment: Moment, by: Text<128>, at: UnixMillis, batch: &mut Batch) {
        // A marker that a crash left behind is read again by the next start, whose own gap is only the crash.
        let same = |before: &&Restored| (&before.by, before.at) == (&by, at);
        let before = self.restored.as_ref().filter(same).and_then(|before| before.gap);
        let gap = self.run_gap.map(|gap| before.map_or(gap, |before| before.merged(gap)));
        self.decided(batch, Record::Restored(Restored { by, at, gap }));
        let peers: Vec<NodeId> = self.peers.keys().cloned().collect();
        for peer in peers {
            self.tell_not_compared(moment, &peer, batch);
        }
    }

    /// While it is not known what a peer holds of a restored node's messages, that is an alarm.
    pub(super) fn tell_not_compared(&mut self, moment: Moment, peer: &NodeId, batch: &mut Batch) {
        let Some(restored) = &self.restored else { return };
        let lost = restored.gap.map(|gap| format!("; what was submitted {gap} may be lost")).unwrap_or_default();
        let text = format!(
            "this node was restored from a backup ({}, {}): nothing is signed for {peer} until it has told what it holds{lost}",
            restored.by, restored.at
        );
        let waits =
            |known: &Peer| known.durable.standing == Standing::NotCompared && known.durable.trust != Trust::Revoked;
        if !self.peers.get(peer).is_some_and(waits) {
            return;
        }
        for old in ["we-lost-history", "peer-lost-history"] {
            self.clear(moment, old, Some(peer), batch);
        }
        self.raise(moment, "not-compared", Some(peer), &text, batch);
    }

    /// Begins to fetch wherever a link is up and nothing was asked for yet, from a few peers at once.
    pub(super) fn fetch_histories(&mut self, moment: Moment, batch: &mut Batch) {
        let goes_on = |peer: &Peer| peer.up().is_some_and(|up| up.fetching.as_ref().is_some_and(|it| it.goes_on));
        let going: Vec<NodeId> =
            self.peers.iter().filter(|(_, peer)| goes_on(peer)).map(|(id, _)| id.clone()).collect();
        for peer in going {
            self.fetch_on(moment, &peer, batch);
        }
        let fetching = |peer: &Peer| peer.up().is_some_and(|up| up.fetching.is_some());
        let mut busy = self.peers.values().filter(|peer| fetching(peer)).count();
        let can_be_asked = |peer: &Peer| peer.up().is_some_and(|up| !up.history_over);
        let waiting = |peer: &Peer| peer.is_verified() && peer.durable.is_recovering() && can_be_asked(peer);
        let waiting = self.peers.iter().filter(|(_, peer)| waiting(peer) && !fetching(peer));
        let waiting: Vec<NodeId> = waiting.map(|(id, _)| id.clone()).collect();
        for peer in waiting {
            if busy == RECOVERIES_AT_ONCE {
                return;
            }
            let Some(known) = self.peers.get_mut(&peer) else { continue };
            let Link::Up(up) = &mut known.link else { continue };
            let fetching = Fetching::default();
            if fetching.is_complete(&known.durable, up) && known.durable.recovery.ended.is_some() {
                continue;
            }
            up.fetching = Some(fetching);
            busy += 1;
            self.fetch_on(moment, &peer, batch);
        }
    }

    /// A frame of the history.
    pub(super) fn history_came(
        &mut self,
        moment: Moment,
        peer: &NodeId,
        link: LinkId,
        (stream, seq): (Stream, u64),
        found: Option<Regained>,
        batch: &mut Batch,
    ) {
        let Some(Peer { durable, link: known_link, .. }) = self.peers.get_mut(peer) else { return };
        let Some(up) = heard(known_link, link) else { return };
        let Some(mut fetching) = up.fetching.take() else { return unasked(up, stream, batch) };
        let id = Seq::new(seq).map(|seq| stream.envelope(seq, &self.own, peer));
        let (fits, id) = match (&found, id) {
            (_, None) => return unasked(up, stream, batch),
            (Some(found), Some(id)) if found.envelope.header().id() != id => (Fits::Unasked, id),
            (Some(found), Some(id)) => (fetching.fits(durable, up, stream, found), id),
            (None, Some(id)) => (if fetching.is_next(durable, stream, seq) { Fits::Yes } else { Fits::Unasked }, id),
        };
        // What was asked for behind a hole before that was known comes too, in order, and is let go.
        if fetching.is_behind_hole(stream, seq) {
            up.fetching = Some(fetching);
            return self.fetch_on(moment, peer, batch);
        }
        match (fits, found) {
            (Fits::Unasked, _) => return unasked(up, stream, batch),
            (Fits::Contradicts, _) => return self.end_recovery(moment, peer, RecoveryEnd::Contradicts(id), batch),
            (Fits::Yes, None) => fetching.note_hole(stream, id.seq),
            (Fits::Yes, Some(found)) => fetching.push(stream, found),
        }
        fetching.since_ms = Some(moment.monotonic_ms);
        up.fetching = Some(fetching);
        self.fetch_on(moment, peer, batch);
    }

    /// A frame of the history under a key that is not on record. It may be ours that is missing, so nobody is charged.
    pub(super) fn history_unread(
        &mut self,
        moment: Moment,
        peer: &NodeId,
        link: LinkId,
        (stream, seq): (Stream, u64),
        key: KeyId,
        batch: &mut Batch,
    ) {
        let Some(Peer { durable, link: known_link, .. }) = self.peers.get_mut(peer) else { return };
        let Some(up) = heard(known_link, link) else { return };
        let asked = up.fetching.as_ref().is_some_and(|fetching| fetching.is_next(durable, stream, seq));
        let Some(seq) = Seq::new(seq).filter(|_| asked) else { return unasked(up, stream, batch) };
        let envelope = stream.envelope(seq, &self.own, peer);
        self.end_recovery(moment, peer, RecoveryEnd::UnknownKey(UnknownKey { envelope, key }), batch);
    }

    /// Takes in what can be taken in, asks for more, and ends when all is here.
    fn fetch_on(&mut self, moment: Moment, peer: &NodeId, batch: &mut Batch) {
        loop {
            let Some(known) = self.peers.get_mut(peer) else { return };
            let Link::Up(up) = &mut known.link else { return };
            let Some(mut fetching) = up.fetching.take() else { return };
            // One frame may set many free: the rest waits for the next batch (I14).
            fetching.goes_on = batch.is_full();
            if fetching.goes_on {
                up.fetching = Some(fetching);
                return;
            }
            let head = fetching.pop(&known.durable, up);
            let link = up.id;
            if head.is_none() {
                for fetch in fetching.ask(&known.durable, up, &self.own, peer) {
                    batch.effect(Effect::Fetch { link, fetch });
                }
                let waits = fetching.waits(&known.durable);
                fetching.since_ms = waits.then(|| fetching.since_ms.unwrap_or(moment.monotonic_ms));
                let is_over = fetching.is_complete(&known.durable, up) && !waits;
                let end = is_over.then(|| end_with(fetching.holes(), &self.own, peer));
                up.fetching = Some(fetching);
                if let Some(end) = end {
                    self.end_recovery(moment, peer, end, batch);
                }
                return;
            }
            let Some(found) = head else { return };
            let header = found.envelope.header();
            let stream = Stream { ours: header.from == self.own, lane: header.lane };
            let is_here = header.seq.get() <= known.durable.last_of(stream).map_or(0, |(seq, _)| seq.get());
            // It was looked at when it came; no place is taken twice, whatever came meanwhile (I5).
            if !is_here && !follows(known.durable.last_of(stream), header) || is_here && !stream.ours {
                return unasked(up, stream, batch);
            }
            up.fetching = Some(fetching);
            match is_here {
                true => self.settle(moment, peer, &found.envelope, batch),
                false => self.take_back(moment, peer, found, batch),
            }
        }
    }

    /// What became of an envelope that is here, and that was not handed to a link as far as is left of the journal.
    fn settle(&mut self, moment: Moment, peer: &NodeId, envelope: &VerifiedEnvelope, batch: &mut Batch) {
        let header = envelope.header();
        let (peer, lane, seq, at) = (peer.clone(), header.lane, header.seq, moment.wall);
        let open = self.peers.get(&peer).and_then(|known| known.durable.out[lane.index()].open.get(&seq.get()));
        let waits = open.is_some_and(|open| open.state == OutState::Submitted);
        // It may have been taken back, or have expired, in what is lost; only the peer says so, and nothing is erased on that.
        if let Body::Withheld(reason) = envelope.body()
            && waits
        {
            let given = GivenBare { peer: peer.clone(), lane, seq, reason: reason.0, at };
            self.decided(batch, Record::GivenBare(given));
        }
        self.decided(batch, Record::Relayed(Relayed { peer, lane, through: seq, at }));
    }

    /// Takes one envelope in, as it was.
    fn take_back(&mut self, moment: Moment, peer: &NodeId, found: Regained, batch: &mut Batch) {
        let Regained { envelope, reading, erases } = &found;
        let header = envelope.header();
        let Some(known) = self.peers.get(peer) else { return };
        let outcome = self.outcome_again(known, envelope, reading);
        // Why a body is missing is signed by nobody: a notice of ours stays one that waits for an answer.
        let is_notice = header.from == self.own && header.kind.as_str() == NOTICE;
        let (bearing, attached) = match (reading, envelope.body()) {
            (Reading::Understood(Summary { bearing, attached, .. }), _) => (Some(bearing), attached.as_ref()),
            (_, Body::Withheld(_)) if is_notice => (Some(&Bearing::Notice), None),
            _ => (None, None),
        };
        let named = match reading {
            Reading::Understood(summary) => Named::all(&summary.attachments),
            _ => Vec::new(),
        };
        self.follow_ours(moment, peer, header, (bearing, attached), *erases, batch);
        let recovered = Received {
            header: header.clone(),
            proof: Blob::new(envelope.proof_bytes().to_vec()).expect("a verified proof is bounded"),
            bearing: bearing.cloned().map(|bearing| StoredBearing::naming(bearing, &named)),
            outcome,
            at: moment.wall,
        };
        let body = matches!(envelope.body(), Body::Present { .. }).then(|| envelope.body().clone());
        self.decided_with_body(batch, Record::Recovered(recovered), body);
        if header.from == *peer && outcome == Outcome::Accepted {
            self.follow_theirs(moment, peer, header, (bearing, attached), batch);
            self.obtain(peer, batch);
        }
    }

    /// What became of an envelope the first time, as far as that follows from it and from what was recovered before. What
    /// cannot be placed any more is kept and shown; only what must be refused by itself is refused, and if our refusal of then
    /// comes back too, that is the one.
    fn outcome_again(&self, peer: &Peer, envelope: &VerifiedEnvelope, reading: &Reading) -> Outcome {
        let header = envelope.header();
        if let Body::Withheld(reason) = envelope.body() {
            return Outcome::Withheld(reason.0);
        }
        if header.from == self.own {
            return Outcome::Accepted;
        }
        let refused = |code| match peer.durable.owed.len() < self.limits.held_per_peer {
            true => Outcome::Refused(RefusedAs(code)),
            false => Outcome::Unmatched,
        };
        let summary = match reading {
            Reading::Understood(summary) => summary,
            Reading::UnknownKind => return refused(RefusalCode::UnknownKind),
            Reading::UnknownVersion => return refused(RefusalCode::UnknownKindVersion),
            Reading::Malformed(_) => return refused(RefusalCode::MalformedBody),
        };
        if !header.desk.is_known() {
            return refused(RefusalCode::UnknownDesk);
        }
        let placed = match &summary.bearing {
            Bearing::Recall => self.place_recall(peer, header),
            Bearing::Answer(answer) => self.place_answer(peer, header, answer),
            Bearing::Hotline => self.place_opening(peer, header).0,
            Bearing::Line(part) => Self::place_turn_at_any_rate(peer, header, part),
            Bearing::Refusal(_) | Bearing::Step(_) => self.place_machines_word(peer, header),
            Bearing::Notice | Bearing::Check(_) | Bearing::Card | Bearing::Rotation | Bearing::Agreement => {
                Outcome::Accepted
            }
        };
        match placed {
            Outcome::Accepted => Outcome::Accepted,
            Outcome::Refused(RefusedAs(code)) if matches!(summary.bearing, Bearing::Recall | Bearing::Hotline) => {
                refused(code)
            }
            _ => Outcome::Unmatched,
        }
    }

    /// What an envelope of ours shows that we had decided: terms that were set, a key that was taken, a message that was erased.
    fn follow_ours(
        &mut self,
        moment: Moment,
        peer: &NodeId,
        header: &ExactHeader,
        (bearing, attached): (Option<&Bearing>, Option<&Attached>),
        erases: Option<RecordSeq>,
        batch: &mut Batch,
    ) {
        let Some(known) = self.peers.get(peer).filter(|_| header.from == self.own) else { return };
        if let Some(Attached::Terms(terms)) = attached {
            let sequence = known.durable.agreement.ours.as_ref().map_or(0, |ours| ours.sequence);
            if terms.sequence > sequence {
                let by = Person { uid: 0, name: Text::cut("recovered from the peer") };
                let set = AgreementSet { peer: peer.clone(), terms: (**terms).clone(), by, at: moment.wall };
                self.decided(batch, Record::AgreementSet(set));
            }
            return;
        }
        let (Some(Bearing::Answer(answer)), Some(reference)) = (bearing, crate::apply::answered(header)) else {
            return;
        };
        let offered = known.durable.offered.as_ref().and_then(|offered| offered.announced.as_ref());
        if offered.is_some_and(|announced| announced.reference.envelope == reference.envelope)
            && let Answer::Decided(status) = answer
        {
            let taken = status.as_str() == "approved";
            let ended = OfferEnded { peer: peer.clone(), taken, by: None, at: moment.wall };
            self.decided(batch, Record::OfferEnded(ended));
            return self.clear(moment, "peer-key-change", Some(peer), batch);
        }
        // We said that it is erased, so what a backup brought back of it goes again.
        let erased = crate::apply::recalls::erased(header).map(|erased| &erased.envelope);
        let message = erased.and_then(|id| known.durable.inbound[id.lane.index()].remembered(id.seq));
        // Of a message that the core has forgotten, the journal told where it stands.
        if let Some(record) = message.map(|message| message.record).or(erased.and(erases)) {
            self.erase(moment, record, batch);
        }
    }

    /// What an envelope of the peer's says about the peer itself, and is as true as it was.
    fn follow_theirs(
        &mut self,
        moment: Moment,
        peer: &NodeId,
        header: &ExactHeader,
        (bearing, attached): (Option<&Bearing>, Option<&Attached>),
        batch: &mut Batch,
    ) {
        match (bearing, attached) {
            (Some(bearing @ (Bearing::Card | Bearing::Rotation)), Some(Attached::Card(card))) => {
                let rotates = *bearing == Bearing::Rotation;
                if self.card_fault(moment, peer, card, rotates).is_some() {
                    return;
                }
                match rotates {
                    true => self.offer_key(moment, header, card, batch),
                    false => self.take_card(moment, header, card, batch),
                }
            }
            (Some(Bearing::Agreement), Some(Attached::Terms(terms))) => {
                let known = self.peers.get(peer).and_then(|known| known.durable.agreement.theirs.as_ref());
                if known.is_none_or(|known| known.sequence < terms.sequence) {
                    self.take_terms(moment, peer, (**terms).clone(), batch);
                }
            }
            _ => {}
        }
    }

    /// Puts on record how it ended. What is whole is compared once more, by new Hellos; until then nothing is signed.
    fn end_recovery(&mut self, moment: Moment, peer: &NodeId, end: RecoveryEnd, batch: &mut Batch) {
        let Some(known) = self.peers.get_mut(peer) else { return };
        let recovery = &known.durable.recovery;
        let ended = RecoveryEnded {
            peer: peer.clone(),
            end,
            ours: recovery.ours,
            theirs: recovery.theirs,
            bodiless: recovery.bodiless,
            bodiless_first: List::new(recovery.bodiless_first.clone()).expect("no more are kept"),
            gap: recovery.gap,
            at: moment.wall,
        };
        let is_complete = ended.end == RecoveryEnd::Complete;
        if let Link::Up(up) = &mut known.link {
            (up.fetching, up.history_over, up.comes_back) = (None, true, is_complete);
            match is_complete {
                true => close(batch, up.id, GoodbyeCode::REPLACED, None, "the history is whole: compare again"),
                false => close(batch, up.id, GoodbyeCode::RECORDS_DISAGREE, None, &ended.words()),
            }
        }
        let words = ended.words();
        self.decided(batch, Record::RecoveryEnded(ended));
        if !is_complete {
            self.plan_again(moment, peer);
            self.clear(moment, "we-lost-history", Some(peer), batch);
            self.raise(moment, "we-lost-history", Some(peer), &words, batch);
        }
    }
}

/// The kind of message that wants an answer, as far as its header says.
const NOTICE: &str = "incident";

/// How a recovery ends that took all that the peer holds.
fn end_with(holes: impl Iterator<Item = (Stream, Seq)>, own: &NodeId, peer: &NodeId) -> RecoveryEnd {
    let named: Vec<EnvelopeId> = holes.map(|(stream, seq)| stream.envelope(seq, own, peer)).collect();
    match named.is_empty() {
        true => RecoveryEnd::Complete,
        false => RecoveryEnd::NotHeld(List::new(named).expect("there are eight streams")),
    }
}

/// The link that a piece of history came over, as long as it is up and what comes over it counts: behind the first fault,
/// while the goodbye is on its way, nothing does.
fn heard(link: &mut Link, id: LinkId) -> Option<&mut UpLink> {
    match link {
        Link::Up(up) if up.id == id && !up.history_over => Some(up),
        _ => None,
    }
}

/// Whether an envelope is the next one of its stream.
fn follows(last: Option<(Seq, Digest)>, header: &ExactHeader) -> bool {
    let (seq, digest) = last.map_or((0, Digest::ZERO), |(seq, digest)| (seq.get(), digest));
    (header.seq.get(), header.previous) == (seq + 1, digest)
}

/// History that was not asked for ends the link; the peer is to blame.
fn unasked(up: &mut UpLink, stream: Stream, batch: &mut Batch) {
    up.history_over = true;
    let text = "history came that nobody asked for, or in another order";
    close(batch, up.id, GoodbyeCode::PROTOCOL_ERROR, Some(stream.lane), text);
}
