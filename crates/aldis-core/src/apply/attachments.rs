//! How what is known of files changes.

use crate::attachments::FileState;
use crate::peer::Peer;
use crate::record::{AttachmentHeld, AttachmentLost, AttachmentTaken, LostReason, RecordSeq, StoredBearing};
use crate::state::Core;
use aldis_wire::header::ExactHeader;
use aldis_wire::ids::{NodeId, Seq};
use aldis_wire::lane::Lane;

impl Core {
    pub(super) fn apply_attachment_held(&mut self, held: &AttachmentHeld) {
        if let Some(peer) = self.peers.get_mut(&held.peer) {
            peer.durable.attachments.ended(held.attachment, FileState::Held);
        }
    }

    pub(super) fn apply_attachment_taken(&mut self, taken: &AttachmentTaken) {
        if let Some(peer) = self.peers.get_mut(&taken.peer) {
            peer.durable.attachments.ours.change(&taken.attachment, FileState::Held);
        }
    }

    pub(super) fn apply_attachment_lost(&mut self, lost: &AttachmentLost) {
        let Some(peer) = self.peers.get_mut(&lost.peer) else { return };
        let attachments = &mut peer.durable.attachments;
        match lost.reason {
            LostReason::NotHeld | LostReason::Mismatch => attachments.ended(lost.attachment, FileState::Lost),
            LostReason::Gone => attachments.theirs.change(&lost.attachment, FileState::Open),
            LostReason::ByPeer => attachments.ours.change(&lost.attachment, FileState::Lost),
        }
    }

    /// A message of ours to a peer has no body any more that the peer may have.
    pub(super) fn forget_ours(&mut self, peer: &NodeId, lane: Lane, seq: Seq) {
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.durable.attachments.ours.forget(lane, seq);
        }
    }
}

/// A message of ours names files.
pub(super) fn name_ours(peer: &mut Peer, header: &ExactHeader, record: RecordSeq, bearing: &StoredBearing) {
    peer.durable.attachments.ours.name(header.lane, header.seq, record, bearing.attachments());
}

/// A peer's message names files.
pub(super) fn name_theirs(peer: &mut Peer, header: &ExactHeader, record: RecordSeq, bearing: &StoredBearing) {
    peer.durable.attachments.theirs.name(header.lane, header.seq, record, bearing.attachments());
}
