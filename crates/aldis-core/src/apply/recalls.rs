//! How recalls, and what says that a message was erased, change the state.

use crate::outbound::OutState;
use crate::peer::Peer;
use crate::record::Outcome;
use aldis_wire::header::{ExactHeader, Reference, ReferenceRole};
use aldis_wire::ids::{Seq, UnixMillis};
use aldis_wire::kinds::Bearing;

/// The kind that says that a recalled message was erased.
pub(crate) const TOMBSTONE: &str = "tombstone";

/// The place of the message that a recall names.
pub(super) fn named(header: &ExactHeader, bearing: Option<&Bearing>) -> Option<Seq> {
    let reference = header.reference(ReferenceRole::RECALLS).filter(|_| bearing == Some(&Bearing::Recall));
    reference.map(|reference| reference.envelope.seq)
}

/// Whether the sender of a message can have it erased: its body is here, and it is a notice, or of a kind that nobody
/// here knows. What was said about a message stays.
pub(crate) fn is_recallable(bearing: Option<&Bearing>, outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Withheld(_)) && matches!(bearing, None | Some(Bearing::Notice))
}

/// The message that was erased, where an envelope says so.
pub(crate) fn erased(header: &ExactHeader) -> Option<&Reference> {
    header.reference(ReferenceRole::RECALLS).filter(|_| header.kind.as_str() == TOMBSTONE)
}

/// We have erased a peer's message.
pub(super) fn erased_here(peer: &mut Peer, header: &ExactHeader) {
    if let Some(reference) = erased(header) {
        let (lane, seq) = (reference.envelope.lane, reference.envelope.seq);
        peer.durable.inbound[lane.index()].erased(seq);
        peer.durable.attachments.theirs.forget(lane, seq);
    }
}

/// A peer has erased a message of ours: nobody there answers it any more.
pub(super) fn erased_there(peer: &mut Peer, header: &ExactHeader, at: UnixMillis) {
    if let Some(reference) = erased(header) {
        let (lane, seq) = (reference.envelope.lane, reference.envelope.seq);
        peer.durable.out[lane.index()].answer(seq, OutState::Closed, at, 0);
        peer.durable.attachments.ours.forget(lane, seq);
    }
}
