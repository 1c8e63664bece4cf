//! What the lists say beside a message because of what its peer is now: why it waits, or that its sender was revoked after
//! it came. The log knows messages; only the core knows peers, so the two are put together here, at the time of asking.

use super::convert;
use crate::event_loop::{NodeView, PeerStatus};
use aldis_control::{DeliveryState, Direction, MessageRow};
use aldis_core::trust::{Act, Trust};
use aldis_wire::lane::Lane;

/// Marks one message.
pub(super) fn mark(view: &NodeView, row: &mut MessageRow) {
    let Some(peer) = view.peers.iter().find(|peer| peer.card.card().id.as_str() == row.peer) else { return };
    match row.direction {
        Direction::Out => row.held = held(peer, row.state),
        Direction::In => row.sender_revoked_at = revoked_at(peer, row),
    }
}

/// Why a message of ours waits.
fn held(peer: &PeerStatus, state: DeliveryState) -> Option<String> {
    let is_under_way = matches!(state, DeliveryState::Submitted | DeliveryState::Relayed);
    let is_kept_out = matches!(peer.trust, Trust::Suspended | Trust::Revoked);
    (is_under_way && is_kept_out).then(|| format!("peer-{}", peer.trust.name()))
}

/// When the sender was revoked, if the message came before that: by its place, for times prove nothing.
fn revoked_at(peer: &PeerStatus, row: &MessageRow) -> Option<aldis_control::UnixMillis> {
    let changed = peer.trusted.as_ref().filter(|changed| changed.act == Act::Revoke)?;
    let lane: Lane = convert::lane(row.precedence);
    (row.id.seq <= changed.received[lane.index()]).then(|| convert::time(changed.at))
}
