//! Hellos that are not taken because of their key. No link comes up, so neither end's records are compared, and without a
//! word about it nobody would learn that a node was restored from before a change of keys: it is an alarm at both ends.

use crate::batch::Batch;
use crate::moment::Moment;
use crate::peer::{LinkId, UpLink};
use crate::state::Core;
use aldis_wire::frame::{Goodbye, GoodbyeCode};
use aldis_wire::ids::NodeId;

/// Here the peer's Hello is not taken.
const OF_PEER: &str = "peer-hello-not-taken";
/// There ours is not.
const OF_OURS: &str = "own-hello-not-taken";

impl Core {
    /// A peer says Hello with a key that may not open a link here. A Hello that was late is no news while a link is up.
    pub(super) fn hello_not_taken(&mut self, moment: Moment, peer: &NodeId, batch: &mut Batch) {
        if self.peers.get(peer).is_none_or(|known| !known.is_verified() || known.up().is_some()) {
            return;
        }
        let text = format!(
            "{peer} says Hello with an identity key that is not in force here. If this node or {peer} was restored from a \
             copy of before a change of keys, that is why; else somebody may use an old key. Call {peer}; if it has a new \
             key: `aldis peer add FILE`, then `aldis peer rotate {peer}`"
        );
        self.raise(moment, OF_PEER, Some(peer), &text, batch);
    }

    /// A peer's Hello opened a link.
    pub(super) fn hello_taken(&mut self, moment: Moment, peer: &NodeId, batch: &mut Batch) {
        self.clear(moment, OF_PEER, Some(peer), batch);
    }

    /// A peer ends a link on which it has allowed us nothing yet.
    pub(super) fn own_hello_answered(
        &mut self,
        moment: Moment,
        peer: &NodeId,
        link: LinkId,
        goodbye: &Goodbye,
        batch: &mut Batch,
    ) {
        let up = self.peers.get(peer).and_then(|known| known.up()).filter(|up| up.id == link);
        if goodbye.code != GoodbyeCode::DOES_NOT_VERIFY || up.is_none_or(UpLink::lets_us_in) {
            return;
        }
        let text = format!(
            "{peer} does not take our Hello. If this node or {peer} was restored from a copy of before a change of keys, that \
             is why: put the newest key and card back; without them it is a lost key. Else call {peer}, and compare what \
             `aldis peer show` says of the other at both ends. It says: {}",
            goodbye.text
        );
        self.raise(moment, OF_OURS, Some(peer), &text, batch);
    }

    /// A peer is not talked to any more, so no Hello of either is taken and none is waited for.
    pub(super) fn no_hello_wanted(&mut self, moment: Moment, peer: &NodeId, batch: &mut Batch) {
        self.clear(moment, OF_PEER, Some(peer), batch);
        self.clear(moment, OF_OURS, Some(peer), batch);
    }

    /// A peer has taken our Hello: it allows us something.
    pub(super) fn own_hello_taken(&mut self, moment: Moment, peer: &NodeId, batch: &mut Batch) {
        self.clear(moment, OF_OURS, Some(peer), batch);
    }
}
