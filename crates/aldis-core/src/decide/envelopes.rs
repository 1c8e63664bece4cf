//! A peer's verified envelope: it takes its place, is a duplicate, or contradicts (I5). Whatever takes a place is stored
//! and receipted, also when it is then refused.

use super::tell;
use crate::apply::opens;
use crate::apply::recalls::erased;
use crate::batch::Batch;
use crate::effect::{Delivery, Effect, Happening};
use crate::inbound::Place;
use crate::limits::{FLASH_RESERVE, STRIKES_TO_BLOCK};
use crate::moment::Moment;
use crate::peer::{LinkId, Peer};
use crate::record::{Named, Outcome, Received, Record, RefusedAs, Standing, StoredBearing, Strike};
use crate::state::{Core, words};
use aldis_wire::codec::Blob;
use aldis_wire::codes::Code;
use aldis_wire::envelope::{Body, VerifiedEnvelope};
use aldis_wire::frame::{FRAME_MAX_BYTES, Goodbye, GoodbyeCode};
use aldis_wire::header::ExactHeader;
use aldis_wire::ids::{EnvelopeId, NodeId};
use aldis_wire::kinds::{Answer, Attached, Bearing, CheckPart, Reading, RefusalCode, Summary};
use aldis_wire::lane::Lane;

impl Core {
    pub(super) fn envelope(
        &mut self,
        moment: Moment,
        link: LinkId,
        envelope: &VerifiedEnvelope,
        reading: Reading,
        batch: &mut Batch,
    ) {
        let header = envelope.header();
        if !self.within_credit(moment, link, envelope, batch) {
            return;
        }
        let Some(peer) = self.peers.get(&header.from) else { return };
        if !peer.is_verified() {
            return close(batch, link, GoodbyeCode::NOT_ADMITTED, None, "not a verified peer");
        }
        let lane = &peer.durable.inbound[header.lane.index()];
        if lane.is_blocked() {
            return close(batch, link, GoodbyeCode::LANE_BLOCKED, Some(header.lane), "the lane is blocked");
        }
        if peer.durable.standing == Standing::Quarantined {
            return close(batch, link, GoodbyeCode::RECORDS_DISAGREE, None, "this node has quarantined the peer");
        }
        // What we had of this lane and lost comes back as history, or not at all: no place is taken twice.
        let history_first = peer.up().is_some_and(|up| up.peer_receipted.seq(header.lane) > lane.last_seq());
        match lane.place(header) {
            Place::Next if history_first && peer.durable.standing != Standing::Good => {
                let text = format!("{} comes before the history of its lane is here", header.id());
                close(batch, link, GoodbyeCode::RECORDS_DISAGREE, Some(header.lane), &text);
            }
            Place::Next => self.take_place(moment, link, envelope, reading, batch),
            // The stored outcome again, never a new one: a receipt covers it, and a refusal was sent the first time.
            Place::Duplicate => {
                self.owe_receipt(&header.from, link, batch);
                self.extend_credit(moment, &header.from, header.lane, batch);
            }
            Place::Contradiction { same_incarnation } => {
                self.contradiction(moment, link, envelope, same_incarnation, batch);
            }
            Place::Gap | Place::Forgotten => {
                let text = format!("{} does not follow what this node holds", header.id());
                close(batch, link, GoodbyeCode::RECORDS_DISAGREE, Some(header.lane), &text);
            }
        }
    }

    pub(super) fn unverifiable(
        &mut self,
        moment: Moment,
        peer: &NodeId,
        link: LinkId,
        lane: Option<Lane>,
        what: &str,
        batch: &mut Batch,
    ) {
        let Some(known) = self.peers.get(peer) else { return };
        let Some(lane) = lane else {
            return close(batch, link, GoodbyeCode::DOES_NOT_VERIFY, None, what);
        };
        let inbound = &known.durable.inbound[lane.index()];
        if inbound.is_blocked() {
            // Known already: a record for each further one would let the peer fill our disk (I7).
            return close(batch, link, GoodbyeCode::LANE_BLOCKED, Some(lane), "the lane is blocked");
        }
        let count = inbound.strikes.saturating_add(1);
        let strike = Strike { peer: peer.clone(), lane, count, text: words(what), at: moment.wall };
        self.decided(batch, Record::Strike(strike));
        if count < STRIKES_TO_BLOCK {
            return close(batch, link, GoodbyeCode::DOES_NOT_VERIFY, Some(lane), what);
        }
        self.lanes_blocked(moment, peer, what, batch);
        close(batch, link, GoodbyeCode::LANE_BLOCKED, Some(lane), what);
    }

    /// Counts an envelope against the credit of its lane; one beyond it ends the link.
    fn within_credit(&mut self, moment: Moment, link: LinkId, envelope: &VerifiedEnvelope, batch: &mut Batch) -> bool {
        let header = envelope.header();
        let (intake, overdraft) = (self.limits.intake, 4 * self.limits.credit_window * FRAME_MAX_BYTES as u64);
        let Some(peer) = self.peers.get_mut(&header.from) else { return false };
        // Until the link that a lost key opened has ended, a thief may speak on it.
        let key_is_lost = peer.durable.accepted.as_ref().is_some_and(|accepted| accepted.only);
        // A link that was refused or has ended hands in nothing. What a replaced one had read has no receipt, so it comes
        // again on the link that took over.
        let Some(up) = peer.up_as(link).filter(|_| !key_is_lost) else { return false };
        let flow = &mut up.from[header.lane.index()];
        if flow.promised_in != batch.serial() {
            flow.granted = flow.promised;
        }
        flow.came += 1;
        if flow.came > flow.granted {
            close(batch, link, GoodbyeCode::NO_CREDIT, Some(header.lane), "envelopes were sent beyond the credit");
            return false;
        }
        let bytes = bytes_of(envelope);
        if !peer.buckets.take(&intake, header.lane, bytes, overdraft, moment.monotonic_ms) {
            let text = "more is sent than this node takes of one peer in that time";
            close(batch, link, GoodbyeCode::NO_CREDIT, Some(header.lane), text);
            return false;
        }
        true
    }

    fn take_place(
        &mut self,
        moment: Moment,
        link: LinkId,
        envelope: &VerifiedEnvelope,
        reading: Reading,
        batch: &mut Batch,
    ) {
        let header = envelope.header();
        let Some(peer) = self.peers.get(&header.from) else { return };
        let (outcome, detail) = self.outcome(moment, peer, envelope, &reading);
        if matches!(outcome, Outcome::Refused(_)) && !self.has_room_for_refusal(peer) {
            let text = "too many refusals of ours wait for a receipt, or for the records to agree";
            return close(batch, link, GoodbyeCode::NO_CREDIT, Some(header.lane), text);
        }
        let (bearing, attached, named) = match reading {
            Reading::Understood(summary) => (Some(summary.bearing), summary.attached, Named::all(&summary.attachments)),
            _ => (None, None, Vec::new()),
        };
        let erased = erased(header).map(|reference| (reference.envelope.lane, reference.envelope.seq));
        let unnamed = erased.map_or_else(Vec::new, |(lane, seq)| self.named_by(&header.from, true, lane, seq));
        let received = Received {
            header: header.clone(),
            proof: Blob::new(envelope.proof_bytes().to_vec()).expect("a verified proof is bounded"),
            bearing: bearing.clone().map(|bearing| StoredBearing::naming(bearing, &named)),
            outcome,
            at: moment.wall,
        };
        let body = matches!(envelope.body(), Body::Present { .. }).then(|| envelope.body().clone());
        let replaced = self.replaced_by(header, bearing.as_ref()).filter(|_| outcome == Outcome::Accepted);
        self.decided_with_body(batch, Record::Received(received), body);
        self.owe_receipt(&header.from, link, batch);
        self.extend_credit(moment, &header.from, header.lane, batch);
        self.plan_received(moment, header);
        tell(batch, Happening::Received(header.id()));
        match outcome {
            Outcome::Accepted => {
                tell_delivery(header, bearing.as_ref(), batch);
                self.erased_there(moment, header, batch);
                if let Some(replaced) = replaced {
                    self.give_way(moment, &replaced, batch);
                }
                self.act_upon(moment, header, bearing.as_ref(), attached, batch);
                if !named.is_empty() {
                    self.end_lost(moment, &header.from, batch);
                    self.obtain(&header.from, batch);
                }
                self.unnamed(moment, &header.from, true, &unnamed, batch);
            }
            Outcome::Refused(RefusedAs(code)) => {
                self.refuse(moment, header, code, &detail, batch);
                if code == RefusalCode::TooManyUnanswered {
                    self.alarm_unanswered(moment, &header.from, batch);
                }
            }
            Outcome::Held | Outcome::Withheld(_) | Outcome::Unmatched => {}
        }
    }

    fn outcome(
        &self,
        moment: Moment,
        peer: &Peer,
        envelope: &VerifiedEnvelope,
        reading: &Reading,
    ) -> (Outcome, String) {
        let header = envelope.header();
        let refused = |code| (Outcome::refused(code), String::new());
        if let Body::Withheld(reason) = envelope.body() {
            return (Outcome::Withheld(reason.0), String::new());
        }
        let summary = match reading {
            Reading::Understood(summary) => summary,
            Reading::UnknownKind => return refused(RefusalCode::UnknownKind),
            Reading::UnknownVersion => return refused(RefusalCode::UnknownKindVersion),
            Reading::Malformed(what) => {
                return (Outcome::refused(RefusalCode::MalformedBody), what.clone());
            }
        };
        if !header.desk.is_known() {
            return refused(RefusalCode::UnknownDesk);
        }
        if let Some((code, text)) = self.disagreement(moment, peer, header) {
            return (Outcome::refused(code), text);
        }
        if opens(&summary.bearing) && self.has_too_many_unanswered(peer, header.lane) {
            return refused(RefusalCode::TooManyUnanswered);
        }
        match &summary.bearing {
            Bearing::Notice => match self.attachments_fault(peer, &summary.attachments) {
                None => (Outcome::Accepted, String::new()),
                Some((code, text)) => (Outcome::refused(code), text),
            },
            Bearing::Check(part) => self.place_check(moment, peer, header, part),
            Bearing::Recall => (self.place_recall(peer, header), String::new()),
            Bearing::Answer(answer) => (self.place_answer(peer, header, answer), String::new()),
            Bearing::Hotline => self.place_opening(peer, header),
            Bearing::Line(part) => self.place_turn(moment, peer, header, part),
            Bearing::Refusal(_) | Bearing::Step(_) => (self.place_machines_word(peer, header), String::new()),
            Bearing::Card | Bearing::Rotation => self.place_card(moment, header, summary),
            Bearing::Agreement => self.place_terms(moment, header, summary),
        }
    }

    /// What waits for an answer here costs memory, whatever asks for it: a peer gets no more of it than is set (I7).
    fn has_too_many_unanswered(&self, peer: &Peer, lane: Lane) -> bool {
        let reserve = if lane == Lane::Flash { FLASH_RESERVE } else { 0 };
        peer.unanswered_count() >= self.limits.unanswered_per_peer.saturating_add(reserve)
    }

    fn place_card(&self, moment: Moment, header: &ExactHeader, summary: &Summary) -> (Outcome, String) {
        let Some(Attached::Card(card)) = &summary.attached else {
            return (Outcome::refused(RefusalCode::MalformedBody), String::new());
        };
        match self.card_fault(moment, &header.from, card, summary.bearing == Bearing::Rotation) {
            None => (Outcome::Accepted, String::new()),
            Some(fault) => (Outcome::refused(RefusalCode::CardNotTaken), fault),
        }
    }

    /// What the machine does by itself about an accepted envelope.
    fn act_upon(
        &mut self,
        moment: Moment,
        header: &ExactHeader,
        bearing: Option<&Bearing>,
        attached: Option<Attached>,
        batch: &mut Batch,
    ) {
        self.check_answered(moment, header, bearing, attached.as_ref(), batch);
        self.hotline_moved(moment, &header.from, &header.id(), &header.references, batch);
        match (bearing, attached) {
            (Some(Bearing::Check(CheckPart::Machine)), _) => self.reply_to_check(moment, header, batch),
            (Some(Bearing::Card), Some(Attached::Card(card))) => self.take_card(moment, header, &card, batch),
            (Some(Bearing::Rotation), Some(Attached::Card(card))) => self.offer_key(moment, header, &card, batch),
            (Some(Bearing::Agreement), Some(Attached::Terms(terms))) => {
                self.take_terms(moment, &header.from, *terms, batch);
            }
            (Some(Bearing::Refusal(code)), _) => {
                if let Some(reference) = crate::apply::answered(header) {
                    self.terms_refused(moment, &reference.envelope, code, batch);
                    let why = format!("it refused it ({code})");
                    self.card_failed(moment, &reference.envelope, &why, batch);
                }
            }
            (Some(Bearing::Answer(Answer::Decided(status))), _) => {
                let taken = match status.as_str() {
                    "approved" => true,
                    "denied" => false,
                    _ => return,
                };
                let Some(reference) = crate::apply::answered(header) else { return };
                if self.is_rotation(&header.from, &reference.envelope) {
                    self.rotation_answered(moment, &header.from, taken, batch);
                }
            }
            _ => {}
        }
    }

    /// Whether an envelope of ours is the one that announced our newest key to the peer.
    fn is_rotation(&self, peer: &NodeId, envelope: &EnvelopeId) -> bool {
        let (Some(known), Some(own)) = (self.peers.get(peer), &self.own_card) else { return false };
        known.durable.own_key != own.0.key().id()
            && known.durable.announced.as_ref().is_some_and(|announced| {
                announced.place == Some((envelope.lane, envelope.seq)) && announced.card == own.0.digest()
            })
    }

    pub(super) fn owe_receipt(&self, peer: &NodeId, link: LinkId, batch: &mut Batch) {
        if self.peers.get(peer).and_then(Peer::up).is_some_and(|up| up.id == link) {
            batch.owe_receipt(peer, link);
        }
    }

    fn contradiction(
        &mut self,
        moment: Moment,
        link: LinkId,
        envelope: &VerifiedEnvelope,
        same_incarnation: bool,
        batch: &mut Batch,
    ) {
        let header = envelope.header();
        let (standing, text) = if same_incarnation {
            let text = format!(
                "{} signed two contradicting histories at {} in one run: equivocation. Both signatures are in the journal",
                header.from,
                header.id()
            );
            (Standing::Quarantined, text)
        } else {
            let text = format!("{} signed another history at {}: restored from a backup?", header.from, header.id());
            (Standing::PeerLostHistory, text)
        };
        let proof = Blob::new(envelope.proof_bytes().to_vec()).expect("a verified proof is bounded");
        self.change_standing(moment, &header.from, standing, &text, Some((header.clone(), proof)), batch);
        close(batch, link, GoodbyeCode::RECORDS_DISAGREE, Some(header.lane), &text);
    }
}

/// What an envelope weighs.
fn bytes_of(envelope: &VerifiedEnvelope) -> u64 {
    let body = if let Body::Present { bytes, .. } = envelope.body() { bytes.len() } else { 0 };
    (envelope.header().bytes().len() + envelope.proof_bytes().len() + body) as u64
}

/// Closes a link and says why.
pub(super) fn close(batch: &mut Batch, link: LinkId, code: GoodbyeCode, lane: Option<Lane>, text: &str) {
    batch.effect(Effect::Close { link, goodbye: Goodbye { code, lane, text: words(text) } });
}

/// An accepted answer or refusal moves a message of ours.
fn tell_delivery(header: &ExactHeader, bearing: Option<&Bearing>, batch: &mut Batch) {
    let delivery = match bearing {
        Some(Bearing::Answer(Answer::Seen)) => Delivery::Seen,
        Some(Bearing::Answer(Answer::Acknowledged)) => Delivery::Acknowledged,
        Some(Bearing::Answer(Answer::Pending(_))) => Delivery::Decided(Code::known("pending")),
        Some(Bearing::Answer(Answer::Decided(status))) => Delivery::Decided(status.clone()),
        Some(Bearing::Refusal(code)) => Delivery::Refused(code.clone()),
        Some(Bearing::Step(told)) => {
            if let Some(reference) = crate::apply::answered(header) {
                tell(batch, Happening::StepTold(reference.envelope.clone(), Box::new(told.clone())));
            }
            return;
        }
        _ => return,
    };
    if let Some(reference) = crate::apply::answered(header) {
        let id: EnvelopeId = reference.envelope.clone();
        tell(batch, Happening::Delivery(id, delivery));
    }
}
