//! How an envelope that came back, and what was said about that, change the state: as when it was sent or received for the
//! first time, but nobody is told again, and nothing waits to be relayed.

use crate::ladder::Climb;
use crate::peer::Peer;
use crate::record::{
    BODILESS_NAMED_MAX, Claimed, Gap, GivenBare, Outcome, Received, RecoveryEnd, RecoveryEnded, Restored, SentDraft,
    Standing,
};
use crate::recovery::{Confirmed, Recovery};
use crate::state::Core;
use crate::trust::TrustChanged;
use aldis_wire::codec::Text;
use aldis_wire::envelope::WithheldReason;
use aldis_wire::header::ExactHeader;
use aldis_wire::ids::{EnvelopeId, UnixMillis};
use aldis_wire::keyring::KeySwitch;
use aldis_wire::kinds::Bearing;
use aldis_wire::lane::Lane;

impl Core {
    pub(super) fn apply_recovered(&mut self, recovered: &Received) {
        let header = &recovered.header;
        if header.from == self.own {
            self.apply_sent_again(recovered);
        } else {
            self.apply_received(recovered, true);
        }
        let ours = header.from == self.own;
        let Some(peer) = self.peers.get_mut(if ours { &header.to } else { &header.from }) else { return };
        let recovery = &mut peer.durable.recovery;
        *(if ours { &mut recovery.ours } else { &mut recovery.theirs }) += 1;
        if has_lost_its_body(recovered, ours) {
            note_bodiless(recovery, header.id());
        }
    }

    /// The peer has it, so it is relayed; that it is stored there its next receipt says (I3).
    fn apply_sent_again(&mut self, recovered: &Received) {
        let (header, lane) = (&recovered.header, recovered.header.lane.index());
        if let Some(peer) = self.peers.get_mut(&header.to) {
            note_own_key(peer, header);
        }
        // Without its body nobody can say what else it was than a notice.
        let bearing = recovered.bearing.clone().unwrap_or_else(|| Bearing::Card.into());
        let draft = SentDraft { header: header.clone(), bearing, by: Text::cut("recovered") };
        self.apply_sent_with(&draft, true);
        self.latest_at = recovered.at;
        let Some(peer) = self.peers.get_mut(&header.to) else { return };
        // The peer was told of that step, so it was taken: it is not taken again.
        if let (Bearing::Step(told), Some(reference)) = (draft.bearing.get(), super::answered(header)) {
            let climb = Climb { since: recovered.at, step: told.step };
            let inbound = &mut peer.durable.inbound[reference.envelope.lane.index()];
            inbound.step_again(reference.envelope.seq, climb, told.reopens());
        }
        let out = &mut peer.durable.out[lane];
        out.relay(header.seq);
    }

    pub(super) fn apply_recovery_confirmed(&mut self, changed: &TrustChanged) {
        let Some(peer) = self.peers.get_mut(&changed.peer) else { return };
        let recovery = &mut peer.durable.recovery;
        if recovery.ended.as_ref().is_some_and(|ended| ended.end == RecoveryEnd::Complete) {
            *recovery = Recovery { gap: recovery.gap, ..Recovery::default() };
        }
        recovery.ended = None;
        let (by, approved_by) = (changed.by.clone(), changed.approved_by.clone());
        recovery.confirmed = Some(Confirmed { by, approved_by, at: changed.at });
    }

    pub(super) fn apply_recovery_ended(&mut self, ended: &RecoveryEnded) {
        if let Some(peer) = self.peers.get_mut(&ended.peer) {
            peer.durable.recovery.ended = Some(ended.clone());
        }
    }

    pub(super) fn apply_restored(&mut self, restored: &Restored) {
        self.restored = Some(restored.clone());
        for peer in self.peers.values_mut().filter(|peer| peer.durable.standing != Standing::Quarantined) {
            peer.durable.standing = Standing::NotCompared;
            peer.durable.recovery = Recovery { gap: restored.gap, ..Recovery::default() };
        }
    }

    pub(super) fn apply_claimed(&mut self, claimed: &Claimed) {
        let Some(peer) = self.peers.get_mut(&claimed.peer) else { return };
        let recovery = &mut peer.durable.recovery;
        for lane in Lane::ALL.map(Lane::index) {
            recovery.claimed_ours[lane] = recovery.claimed_ours[lane].max(claimed.ours[lane]);
            recovery.claimed_theirs[lane] = recovery.claimed_theirs[lane].max(claimed.theirs[lane]);
        }
    }

    pub(super) fn apply_given_bare(&mut self, given: &GivenBare) {
        let from = self.own.clone();
        let Some(peer) = self.peers.get_mut(&given.peer) else { return };
        let id = EnvelopeId { from, to: given.peer.clone(), lane: given.lane, seq: given.seq };
        note_bodiless(&mut peer.durable.recovery, id);
    }
}

/// From when the 90 days count: people write the time by hand, or not at all; it is never earlier than the start that read it.
pub(super) fn counts_from(restored: &Restored) -> UnixMillis {
    restored.gap.map_or(restored.at, |gap| gap.until.max(restored.at))
}

/// The time that is lost is known from the first sign of it on. Once all is good again it stays known, for what it took
/// with it that nobody holds is lost; the next loss is another.
pub(super) fn follow_standing(recovery: &mut Recovery, before: Standing, now: Standing, run_gap: Option<Gap>) {
    match now {
        Standing::WeLostHistory if before == Standing::Good => {
            *recovery = Recovery { gap: run_gap, ..Recovery::default() };
        }
        Standing::WeLostHistory => {
            recovery.gap = recovery.gap.or(run_gap);
            recovery.ended = recovery.ended.take().filter(|_| recovery.confirmed.is_some());
        }
        Standing::Good => {
            let ended = recovery.ended.take().filter(|ended| ended.end == RecoveryEnd::Complete);
            *recovery = Recovery { ended, gap: recovery.gap, ..Recovery::default() };
        }
        _ => {}
    }
}

fn note_bodiless(recovery: &mut Recovery, id: EnvelopeId) {
    recovery.bodiless += 1;
    if recovery.bodiless_first.len() < BODILESS_NAMED_MAX {
        recovery.bodiless_first.push(id);
    }
}

/// A body that was here, or may have been. One that expired or was taken back before it was relayed never reached the other
/// side; of ours it is gone all the same.
fn has_lost_its_body(recovered: &Received, ours: bool) -> bool {
    match recovered.outcome {
        Outcome::Withheld(reason) => {
            let never_left = [WithheldReason::EXPIRED, WithheldReason::RECALLED].contains(&WithheldReason(reason));
            ours || !never_left
        }
        _ => false,
    }
}

/// The peer took our Hello, so the key in force is the one it knows. What another key signed was signed before that one
/// ended, and where is part of what was lost.
fn note_own_key(peer: &mut Peer, header: &ExactHeader) {
    let durable = &mut peer.durable;
    if header.key_id == durable.own_key {
        return;
    }
    let same = durable.own_switch.filter(|switch| switch.ended == header.key_id);
    let mut last =
        same.map_or_else(|| Lane::ALL.map(|lane| durable.out[lane.index()].last_seq()), |switch| switch.last);
    last[header.lane.index()] = last[header.lane.index()].max(header.seq.get());
    durable.own_switch = Some(KeySwitch { ended: header.key_id, last });
}
