//! Answers, ours and theirs: whether what they answer exists, is open, and is of the same kind of traffic (I12). An answer
//! that overtakes what it answers is held if the sender's own signed record shows that it exists, and refused if not.

use super::submit::declined_answer;
use crate::apply::recalls::{TOMBSTONE, erased};
use crate::effect::Declined;
use crate::inbound::InState;
use crate::input::Submission;
use crate::outbound::{OpenOut, OutLane};
use crate::peer::Peer;
use crate::record::Outcome;
use crate::state::Core;
use aldis_wire::codec::Text;
use aldis_wire::header::{ExactHeader, Reference, ReferenceRole};
use aldis_wire::ids::NodeId;
use aldis_wire::kinds::{Answer, Bearing, RefusalCode};

impl Core {
    /// Whether the state of the message allows our operator's answer.
    pub(super) fn check_answer(&self, to: &NodeId, submission: &Submission) -> Result<(), Declined> {
        let Bearing::Answer(answer) = &submission.bearing else { return Ok(()) };
        let reference = submission.references.iter().find(|reference| reference.role == ReferenceRole::ANSWERS);
        let Some(reference) = reference else {
            return Err(Declined::Message("an answer must name the message it answers".into()));
        };
        let id = &reference.envelope;
        let peer = self.peers.get(to).ok_or_else(|| Declined::UnknownPeer(to.clone()))?;
        let lane = &peer.durable.inbound[id.lane.index()];
        if id.from != *to || id.to != self.own || id.seq.get() > lane.last_seq() {
            return Err(declined_answer(id, RefusalCode::UnknownReference));
        }
        let Some(open) = lane.open.get(&id.seq.get()) else {
            return Err(declined_answer(id, RefusalCode::AlreadyDecided));
        };
        if open.digest != reference.digest {
            return Err(declined_answer(id, RefusalCode::UnknownReference));
        }
        if open.exercise.as_deref() != submission.exercise.as_ref().map(Text::as_str) {
            return Err(declined_answer(id, RefusalCode::ExerciseMismatch));
        }
        let moves_on = match answer {
            Answer::Seen => open.state < InState::Seen,
            Answer::Acknowledged => open.state < InState::Acknowledged,
            Answer::Pending(_) | Answer::Decided(_) | Answer::Other(_) => true,
        };
        if open.recalls.is_some() && is_approval(answer) {
            return Err(Declined::Message(format!("{id} is accepted by erasing what it names, not by a word")));
        }
        if !moves_on {
            return Err(Declined::Message(format!("{id} is already at least that far; nothing was sent")));
        }
        Ok(())
    }

    /// What becomes of a peer's answer to a message of ours.
    pub(super) fn place_answer(&self, peer: &Peer, header: &ExactHeader, answer: &Answer) -> Outcome {
        let Some(reference) = header.reference(ReferenceRole::ANSWERS) else {
            return Outcome::refused(RefusalCode::UnknownReference);
        };
        let id = &reference.envelope;
        if id.from != self.own || id.to != header.from {
            return Outcome::refused(RefusalCode::UnknownReference);
        }
        let lane = &peer.durable.out[id.lane.index()];
        if id.seq.get() > lane.last_seq() {
            let room = peer.durable.held.len() < self.limits.held_per_peer;
            return match sender_shows(peer, header, reference) && room {
                true => Outcome::Held,
                false => Outcome::refused(RefusalCode::UnknownReference),
            };
        }
        let Some(open) = lane.open.get(&id.seq.get()) else {
            return Outcome::refused(RefusalCode::AlreadyDecided);
        };
        if open.digest != reference.digest {
            return Outcome::refused(RefusalCode::UnknownReference);
        }
        if open.exercise.as_deref() != header.exercise.as_ref().map(Text::as_str) {
            return Outcome::refused(RefusalCode::ExerciseMismatch);
        }
        if open.state == crate::outbound::OutState::Closed {
            return Outcome::refused(RefusalCode::AlreadyDecided);
        }
        // Whoever complies with a recall says what was erased; a word alone erases nothing.
        let complies = match erased(header) {
            Some(erased) => erased.envelope.lane == id.lane && is_what_it_recalls(lane, open, erased, header),
            None => header.kind.as_str() != TOMBSTONE && (open.recalls.is_none() || !is_approval(answer)),
        };
        if !complies {
            return Outcome::refused(RefusalCode::UnknownReference);
        }
        // A machine replies to a machine check; a person cannot have seen it.
        if peer.durable.checks.is_open(id, false) {
            return Outcome::refused(RefusalCode::UnknownReference);
        }
        Outcome::Accepted
    }

    /// What becomes of what a peer's machine says about a message of ours: a refusal, or a step of its ladder. It is never
    /// refused in turn, so that two machines cannot quarrel.
    pub(super) fn place_machines_word(&self, peer: &Peer, header: &ExactHeader) -> Outcome {
        let known = header.reference(ReferenceRole::ANSWERS).is_some_and(|reference| {
            let id = &reference.envelope;
            let lane = &peer.durable.out[id.lane.index()];
            let fits = lane.digest_at(id.seq).is_none_or(|digest| digest == reference.digest);
            let open = lane.open.get(&id.seq.get());
            let same_traffic =
                open.is_none_or(|open| open.exercise.as_deref() == header.exercise.as_ref().map(Text::as_str));
            id.from == self.own && id.to == header.from && id.seq.get() <= lane.last_seq() && fits && same_traffic
        });
        match known {
            true => Outcome::Accepted,
            false => Outcome::Unmatched,
        }
    }
}

fn is_approval(answer: &Answer) -> bool {
    matches!(answer, Answer::Decided(status) if status.as_str() == "approved")
}

/// Whether what a tombstone says was erased is what our recall names; a recall is in the lane of what it names.
fn is_what_it_recalls(lane: &OutLane, recall: &OpenOut, erased: &Reference, header: &ExactHeader) -> bool {
    let (id, digest) = (&erased.envelope, lane.digest_at(erased.envelope.seq));
    (&id.from, &id.to) == (&header.to, &header.from)
        && recall.recalls == Some(id.seq)
        && digest.is_none_or(|digest| digest == erased.digest)
}

/// Whether the sender's own signed record shows that it received what it answers: the mark in the answer's header, or what
/// it said in its Hello.
fn sender_shows(peer: &Peer, header: &ExactHeader, reference: &Reference) -> bool {
    let (lane, seq) = (reference.envelope.lane, reference.envelope.seq);
    let in_header = header.received.is_some_and(|mark| mark.lane == lane && mark.seq >= seq);
    let in_hello = peer.up().is_some_and(|up| up.peer_received.seq(lane) >= seq.get());
    in_header || in_hello
}
