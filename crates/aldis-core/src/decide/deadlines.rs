//! Deadlines: everything that happens because time passed. The node asks for the next one and comes back then; it may
//! come back earlier at no harm.

use super::drafts::draft_due;
use super::links::waits_since_ms;
use crate::batch::Batch;
use crate::moment::Moment;
use crate::peer::{Link, Peer};
use crate::record::{HeldGivenUp, Record};
use crate::state::Core;
use aldis_wire::ids::{NodeId, UnixMillis};
use aldis_wire::kinds::RefusalCode;

/// How long after an expiry it is looked at, at the earliest, in milliseconds. Expiry is given in minutes and days, and the
/// look costs a walk over what is not relayed, so one look serves all that expire within a second.
const EXPIRY_LOOK_MS: u64 = 1_000;

impl Core {
    /// When the core wants a [`crate::input::Input::Tick`] again, on the monotonic clock in milliseconds; `None` if nothing is due.
    pub fn next_deadline(&self, moment: Moment) -> Option<u64> {
        let links = self.peers.values().filter_map(|peer| self.link_deadline(peer));
        let expiry = self.next_expiry.map(|at| monotonic_of(moment, at.plus_ms(EXPIRY_LOOK_MS)));
        let held = self.peers.values().filter_map(|peer| peer.durable.held.first());
        let held = held.map(|held| monotonic_of(moment, held.at.plus_ms(self.limits.held_ms)));
        let requests = self.requests.values().map(|request| monotonic_of(moment, request.expires_at));
        let drafts = self.drafts.values().map(|draft| monotonic_of(moment, draft_due(moment, draft)));
        let agreements = self.next_agreement_look.map(|at| monotonic_of(moment, at));
        links
            .chain(expiry)
            .chain(held)
            .chain(requests)
            .chain(drafts)
            .chain(agreements)
            .chain(self.first_silence_ms())
            .chain(self.first_check_ms())
            .chain(self.intake_deadline(moment))
            .min()
    }

    pub(super) fn deadlines(&mut self, moment: Moment, batch: &mut Batch) {
        self.dial_due(moment, batch);
        self.close_stalled(moment, batch);
        self.fetch_histories(moment, batch);
        if self.next_expiry.is_some_and(|at| at.plus_ms(EXPIRY_LOOK_MS) <= moment.wall) {
            self.expire_due(moment, batch);
            self.next_expiry = self.earliest_expiry(moment);
        }
        self.give_up_held(moment, batch);
        self.expire_requests(moment, batch);
        self.drafts_due(moment, batch);
        self.note_own_card_known(moment, batch);
        if self.next_agreement_look.is_some_and(|at| at <= moment.wall) {
            self.agreements_due(moment, batch);
        }
        self.checks_due(moment, batch);
        self.climb_due(moment, batch);
        self.intake_due(moment, batch);
    }

    /// Held answers whose message did not come in time are refused.
    fn give_up_held(&mut self, moment: Moment, batch: &mut Batch) {
        let due: Vec<NodeId> = self
            .peers
            .iter()
            .filter(|(_, peer)| {
                peer.durable.held.first().is_some_and(|held| held.at.plus_ms(self.limits.held_ms) <= moment.wall)
            })
            .map(|(id, _)| id.clone())
            .collect();
        for peer in due {
            let Some(held) = self.peers.get(&peer).and_then(|known| known.durable.held.first()).cloned() else {
                continue;
            };
            let given_up = HeldGivenUp { peer, lane: held.header.lane, seq: held.header.seq, at: moment.wall };
            self.decided(batch, Record::HeldGivenUp(given_up));
            self.refuse(moment, &held.header, RefusalCode::HeldTooLong, "", batch);
        }
    }

    fn link_deadline(&self, peer: &Peer) -> Option<u64> {
        match &peer.link {
            Link::Down { dial_at_ms, .. } => peer.is_dialled().then_some(*dial_at_ms),
            Link::Dialling { .. } => None,
            Link::Up(up) if up.fetching.as_ref().is_some_and(|fetching| fetching.goes_on) => Some(0),
            Link::Up(up) => waits_since_ms(up).map(|since_ms| since_ms + self.limits.receipt_wait_ms),
        }
    }

    fn earliest_expiry(&self, moment: Moment) -> Option<UnixMillis> {
        let lanes = self.peers.values().flat_map(|peer| &peer.durable.out);
        lanes.filter_map(|lane| lane.expiring(moment.wall).1).min()
    }
}

/// A wall-clock time on the monotonic clock, as far as the two agree now.
fn monotonic_of(moment: Moment, at: UnixMillis) -> u64 {
    moment.monotonic_ms + at.get().saturating_sub(moment.wall.get())
}
