//! How comm checks, ours and a peer's, change the state.

use crate::checks::{AskedCheck, CHECK_LANE, CheckResult, lifetime_ms};
use crate::outbound::OutState;
use crate::peer::Durable;
use crate::record::Checked;
use crate::state::Core;
use aldis_wire::header::ExactHeader;
use aldis_wire::ids::UnixMillis;
use aldis_wire::kinds::{Bearing, CheckPart};
use aldis_wire::receipt::Receipt;
use std::sync::Arc;

impl Core {
    pub(super) fn apply_checked(&mut self, checked: &Checked) {
        let Some(peer) = self.peers.get_mut(&checked.peer) else { return };
        let durable = &mut peer.durable;
        let Some(open) = durable.checks.open.clone().filter(|open| open.seq == checked.seq) else { return };
        Arc::make_mut(&mut durable.checks).end(CheckResult {
            seq: checked.seq,
            human: checked.human,
            sent_at: open.at,
            end: checked.end.clone(),
            round_trip_ms: checked.round_trip_ms,
            clock_difference_ms: checked.clock_difference_ms,
            certificate_valid_until: checked.certificate_valid_until,
            commitment: open.commitment,
            at: checked.at,
        });
        let lane = &mut durable.out[CHECK_LANE.index()];
        // The header of one that expired still goes, alone.
        let expired = lane.open.get(&checked.seq.get()).is_some_and(|open| open.state == OutState::Expired);
        if !expired {
            lane.answer(checked.seq, OutState::Closed, checked.at, 0);
        }
    }
}

/// A check of ours is open from here on.
pub(super) fn sent(known: &mut Durable, header: &ExactHeader, bearing: &Bearing) {
    if let Bearing::Check(part) = bearing
        && part.is_asked()
    {
        Arc::make_mut(&mut known.checks).begin(header.seq, header.digest(), part.clone(), header.sent_at);
    }
}

/// A peer's check was taken in. A new human check takes the place of the one before, so that at most one is open.
pub(super) fn received(known: &mut Durable, header: &ExactHeader, bearing: &Bearing, at: UnixMillis) {
    let Bearing::Check(part) = bearing else { return };
    let checks = Arc::make_mut(&mut known.checks);
    checks.count_taken(part.is_human(), at);
    match part {
        CheckPart::Human | CheckPart::Wake => {
            let until = at.plus_ms(lifetime_ms(header));
            let asked = AskedCheck { lane: header.lane, seq: header.seq, until };
            if let Some(before) = checks.asked.replace(asked) {
                known.inbound[before.lane.index()].close(before.seq);
            }
        }
        CheckPart::Machine | CheckPart::Reply | CheckPart::Other(_) => {}
    }
}

/// A receipt says what the peer's journal is committed to.
pub(super) fn receipted(known: &mut Durable, receipt: &Receipt) {
    if let Some((seq, _)) = receipt.stored.get(CHECK_LANE)
        && known.checks.waits_for_commitment()
    {
        Arc::make_mut(&mut known.checks).receipted(seq, receipt.commitment);
    }
}
