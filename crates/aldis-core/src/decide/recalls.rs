//! Taking a message back. What is not relayed goes without its body, at once; of what the peer may have, the peer is
//! asked, and its operator decides. Accepted, the body is erased there and a signed tombstone says so; header and proof
//! stay at both ends.

use super::submit::Letter;
use super::{reply, tell};
use crate::apply::recalls::{TOMBSTONE, erased, is_recallable};
use crate::batch::Batch;
use crate::effect::{Declined, Delivery, Done, Happening};
use crate::inbound::{InState, OpenIn};
use crate::input::{Acceptance, Submission, Token};
use crate::ladder::{Duty, Wants};
use crate::moment::Moment;
use crate::outbound::OutState;
use crate::peer::Peer;
use crate::record::{Outcome, Recalled, Record, RefusedAs, SentDraft};
use crate::state::{Core, words};
use aldis_wire::codec::{List, Text};
use aldis_wire::codes::Code;
use aldis_wire::envelope::Body;
use aldis_wire::header::{ExactHeader, Reference, ReferenceRole};
use aldis_wire::kinds::{self, Answer, Bearing, Reading, RefusalCode, Tombstone};
use aldis_wire::lane::Lane;
use bytes::Bytes;

impl Core {
    /// Takes a message back that was not relayed, whatever the peer is to us now: nothing is signed. `None` if the
    /// submission is no recall, or the peer has to be asked.
    pub(super) fn recall_before_relay(
        &mut self,
        moment: Moment,
        submission: &Submission,
        batch: &mut Batch,
    ) -> Option<Result<Done, Declined>> {
        if submission.bearing != Bearing::Recall {
            return None;
        }
        let message = match self.check_recall(submission) {
            Ok(reference) => reference.envelope.clone(),
            Err(declined) => return Some(Err(declined)),
        };
        let durable = &self.peers.get(&message.to)?.durable;
        // The part of the journal that is lost may say that it was relayed.
        if durable.standing.may_have_relayed() {
            return None;
        }
        let lane = &durable.out[message.lane.index()];
        let open = lane.open.get(&message.seq.get()).filter(|open| open.state == OutState::Submitted)?;
        let record = open.record;
        let recalled = Recalled {
            peer: message.to.clone(),
            lane: message.lane,
            seq: message.seq,
            why: words(&why(submission)),
            by: submission.by.clone(),
            at: moment.wall,
        };
        let named = self.named_by(&message.to, true, message.lane, message.seq);
        self.decided(batch, Record::Recalled(recalled));
        self.erase(moment, record, batch);
        self.unnamed(moment, &message.to, true, &named, batch);
        tell(batch, Happening::Delivery(message.clone(), Delivery::Recalled));
        Some(Ok(Done::Recalled(message)))
    }

    /// The message a recall of ours names, if it is one that can be taken back, as far as the core knows it still.
    fn check_recall<'a>(&self, submission: &'a Submission) -> Result<&'a Reference, Declined> {
        let reference = submission.references.iter().find(|reference| reference.role == ReferenceRole::RECALLS);
        let reference =
            reference.ok_or_else(|| Declined::Message("a recall must name the message it recalls".into()))?;
        let id = &reference.envelope;
        let not = |why: &str| Err(Declined::NotRecallable { message: id.clone(), why: why.to_owned() });
        let peer = self.peers.get(&id.to).filter(|_| id.from == self.own && submission.to == [id.to.clone()]);
        let Some(peer) = peer else { return not("only what this node sent can be recalled, from the peer it went to") };
        let lane = &peer.durable.out[id.lane.index()];
        let known = lane.digest_at(id.seq).is_none_or(|digest| digest == reference.digest);
        if id.seq.get() > lane.last_seq() || !known || submission.lane != id.lane {
            return not("no such message was sent in its precedence");
        }
        if let Some(open) = lane.open.get(&id.seq.get()) {
            if open.wants != Wants::Person || open.recalls.is_some() {
                return not("only a notice can be recalled, not what was said about one");
            }
            if open.exercise.as_deref() != submission.exercise.as_ref().map(Text::as_str) {
                return not("an exercise is recalled only by that exercise, and a real message only by a real one");
            }
            match open.state {
                OutState::Expired => return not("it expired before it was relayed: its body never left"),
                OutState::Recalled => return not("it was taken back already, before it was relayed"),
                _ => {}
            }
        }
        match lane.recall_of(id.seq) {
            Some(recall) => not(&format!("recall {recall} of that lane asks for it already and waits for an answer")),
            None => Ok(reference),
        }
    }

    /// What becomes of a peer's recall. Of a message so old that the core has forgotten it, whoever accepts the recall is
    /// told by the journal.
    pub(super) fn place_recall(&self, peer: &Peer, header: &ExactHeader) -> Outcome {
        let refused = |code| Outcome::Refused(RefusedAs(code));
        let Some(reference) = header.reference(ReferenceRole::RECALLS) else {
            return refused(RefusalCode::NotRecallable);
        };
        let id = &reference.envelope;
        let lane = &peer.durable.inbound[id.lane.index()];
        let is_its_own = (&id.from, &id.to, id.lane) == (&header.from, &self.own, header.lane);
        let known = lane.remembered(id.seq);
        let fits = known.is_none_or(|known| known.recallable && known.digest == reference.digest);
        if !is_its_own || id.seq.get() > lane.last_seq() || !fits || lane.is_recall_open(id.seq) {
            return refused(RefusalCode::NotRecallable);
        }
        let open = lane.open.get(&id.seq.get());
        if open.is_some_and(|open| open.exercise.as_deref() != header.exercise.as_ref().map(Text::as_str)) {
            return refused(RefusalCode::ExerciseMismatch);
        }
        Outcome::Accepted
    }

    /// A peer says that it has erased a message of ours.
    pub(super) fn erased_there(&mut self, moment: Moment, header: &ExactHeader, batch: &mut Batch) {
        if let Some(reference) = erased(header) {
            let message = &reference.envelope;
            self.plan(moment, &header.from, Duty::Answer(message.lane, message.seq));
            tell(batch, Happening::Delivery(message.clone(), Delivery::Recalled));
        }
    }

    /// Erases what a peer recalls, because an operator here accepted it.
    pub(super) fn erase_recalled(&mut self, moment: Moment, token: Token, acceptance: &Acceptance, batch: &mut Batch) {
        let (draft, body) = match self.tombstone(moment, acceptance) {
            Ok(tombstone) => tombstone,
            Err(declined) => return reply(batch, token, Err(declined)),
        };
        let (id, digest) = (draft.header.id(), draft.header.digest());
        let message = acceptance.message.header.id();
        let named = self.named_by(&message.from, false, message.lane, message.seq);
        // First the bytes, then the word that says they are gone.
        self.erase(moment, acceptance.record, batch);
        self.decided_to_send(moment, batch, draft, body);
        self.unnamed(moment, &message.from, false, &named, batch);
        self.plan(moment, &id.to, Duty::Attend(message.lane, message.seq));
        batch.transmit_to(&id.to);
        if id.lane == Lane::Flash {
            self.dial_soon(moment, &id.to);
        }
        tell(batch, Happening::Delivery(message, Delivery::Recalled));
        tell(batch, Happening::Delivery(id.clone(), Delivery::Submitted));
        reply(batch, token, Ok(Done::Submitted(vec![(id, digest)])));
    }

    fn tombstone(&self, moment: Moment, acceptance: &Acceptance) -> Result<(SentDraft, Body), Declined> {
        let (open, reference) = self.accepted_recall(acceptance)?;
        if self.exported_since(acceptance) {
            return Err(Declined::ExportedMeanwhile);
        }
        let recall = &acceptance.recall;
        let kind = Code::known(TOMBSTONE);
        let peer = self.check_writes(&recall.from, recall.lane)?;
        if !peer.reads(&kind) {
            return Err(Declined::NoCommonKindVersion { peer: recall.from.clone(), kind });
        }
        let answers = Reference { role: ReferenceRole::ANSWERS, envelope: recall.id(), digest: recall.digest() };
        let reached = self.reached(acceptance);
        let letter = Letter {
            to: &recall.from,
            also_to: List::empty(),
            desk: open.desk,
            lane: recall.lane,
            expires_at: moment.wall.plus_ms(acceptance.lifetime_ms),
            case: open.case,
            references: List::new(vec![answers, reference.clone()]).expect("two references fit"),
            author: acceptance.author.clone(),
            on_behalf_of: None,
            tlp: open.tlp,
            exercise: recall.exercise.clone(),
            kind,
            kind_version: 1,
            salt: acceptance.salt,
            body: Bytes::from(Tombstone::body(moment.wall, reached, acceptance.exported, &acceptance.text)),
            bearing: Bearing::Answer(Answer::Decided(Code::known("approved"))),
            by: acceptance.by.clone(),
            acknowledge_within_s: None,
        };
        self.draft(moment, letter)
    }

    /// The open recall that is accepted, and what it names, if that is the message at hand.
    fn accepted_recall<'a>(&self, acceptance: &'a Acceptance) -> Result<(&OpenIn, &'a Reference), Declined> {
        let (recall, message) = (&acceptance.recall, &acceptance.message);
        let declined = |why| Declined::Answer { message: recall.id(), why };
        let peer = self.peers.get(&recall.from).ok_or_else(|| Declined::UnknownPeer(recall.from.clone()))?;
        let open = peer.durable.inbound[recall.lane.index()].open.get(&recall.seq.get());
        let open = open.ok_or_else(|| declined(RefusalCode::AlreadyDecided))?;
        if open.digest != recall.digest() || open.recalls.is_none() {
            return Err(declined(RefusalCode::UnknownReference));
        }
        let not = |why: &str| Declined::NotRecallable { message: message.header.id(), why: why.to_owned() };
        let bearing = message.bearing.as_ref().map(crate::record::StoredBearing::get);
        let reference = recall.reference(ReferenceRole::RECALLS).filter(|reference| {
            reference.envelope == message.header.id() && reference.digest == message.header.digest()
        });
        let reference = reference.ok_or_else(|| not("what is on record there is not what the recall names"))?;
        if !is_recallable(bearing.as_ref(), message.outcome) {
            return Err(not("its body is not here, or it is no notice; decline the recall"));
        }
        if recall.exercise != message.header.exercise {
            return Err(declined(RefusalCode::ExerciseMismatch));
        }
        Ok((open, reference))
    }

    /// How far the message had come: an alert that reached a person is known here alone.
    fn reached(&self, acceptance: &Acceptance) -> Code {
        let id = acceptance.message.header.id();
        let lane = self.peers.get(&id.from).map(|peer| &peer.durable.inbound[id.lane.index()]);
        let open = lane.and_then(|lane| lane.open.get(&id.seq.get()));
        match open.map(|open| open.state) {
            Some(InState::Notified) if acceptance.reached.as_str() == "stored" => Code::known("notified"),
            _ => acceptance.reached.clone(),
        }
    }
}

/// Why a message is taken back, as lists would show the recall.
fn why(submission: &Submission) -> String {
    let body = submission.bodies.last();
    match body.map(|(version, body)| kinds::read(&submission.kind, *version, body)) {
        Some(Reading::Understood(summary)) => summary.subject.to_string(),
        _ => String::new(),
    }
}
