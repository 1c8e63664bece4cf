//! What became of files that messages name: they are here, the peer has ours, or they were given up.

use aldis_core::record::{AttachmentHeld, AttachmentLost, AttachmentTaken, LostReason};
use aldis_wire::codec::Text;
use aldis_wire::digest::Digest;
use aldis_wire::ids::NodeId;

use crate::log::pending::Pending;
use crate::log::rows::{Fate, FateOf, Way, fate_key};

pub(super) fn take_held(held: &AttachmentHeld, rows: &mut Pending<'_>) {
    rows.remove(fate_key(Way::In, &held.peer, held.attachment));
}

pub(super) fn take_taken(record: u64, taken: &AttachmentTaken, rows: &mut Pending<'_>) {
    put(rows, Way::Out, &taken.peer, taken.attachment, Fate { record, to: FateOf::Taken });
}

pub(super) fn take_lost(record: u64, lost: &AttachmentLost, rows: &mut Pending<'_>) {
    let way = if lost.reason == LostReason::ByPeer { Way::Out } else { Way::In };
    // What was here and is gone is asked for again.
    if lost.reason != LostReason::Gone {
        let to = FateOf::Lost(Text::cut(lost.reason.explanation()));
        put(rows, way, &lost.peer, lost.attachment, Fate { record, to });
    }
}

fn put(rows: &mut Pending<'_>, way: Way, peer: &NodeId, attachment: Digest, fate: Fate) {
    rows.put(fate_key(way, peer, attachment), &fate);
}
