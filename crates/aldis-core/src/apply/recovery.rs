//! How an envelope that came back, and what was said about that, change the state: as when it was sent or received for the
//! first time, but nobody is told again, and nothing waits to be relayed.

use crate::ladder::Climb;
use crate::peer::Peer;
use crate::record::{BODILESS_NAMED_MAX, Outcome, Received, RecoveryEnd, RecoveryEnded, Restored, SentDraft, Standing};
use crate::recovery::{Confirmed, Recovery};
use crate::state::Core;
use crate::trust::TrustChanged;
use aldis_wire::codec::Text;
use aldis_wire::envelope::WithheldReason;
use aldis_wire::header::ExactHeader;
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
            recovery.bodiless += 1;
            if recovery.bodiless_first.len() < BODILESS_NAMED_MAX {
                recovery.bodiless_first.push(header.id());
            }
        }
    }

    /// The peer has it, so it is relayed; that it is stored there its next receipt says (I3).
    fn apply_sent_again(&mut self, recovered: &Received) {
        let (header, lane) = (&recovered.header, recovered.header.lane.index());
        if let Some(peer) = self.peers.get_mut(&header.to) {
            note_own_key(peer, header);
        }
        // Without its body nobody can say what it asked for, and nobody answers it.
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
        match recovered.outcome {
            Outcome::Withheld(reason) if WithheldReason(reason) == WithheldReason::EXPIRED => out.expire(header.seq),
            Outcome::Withheld(reason) if WithheldReason(reason) == WithheldReason::RECALLED => out.recall(header.seq),
            _ => {}
        }
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
        let gap = self.run_gap;
        // People write the time by hand, or not at all; what counts is never earlier than the start that read it.
        let at = restored.at.max(gap.map_or(restored.at, |gap| gap.until));
        self.restored = Some(Restored { at, ..restored.clone() });
        for peer in self.peers.values_mut().filter(|peer| peer.durable.standing != Standing::Quarantined) {
            peer.durable.standing = Standing::NotCompared;
            peer.durable.recovery.gap = gap;
        }
    }
}

/// The time that is lost is known from the first sign of it on; once all is good again, nothing is.
pub(super) fn follow_standing(recovery: &mut Recovery, standing: Standing, run_gap: Option<crate::record::Gap>) {
    match standing {
        Standing::WeLostHistory => recovery.gap = recovery.gap.or(run_gap),
        Standing::Good => {
            let ended = recovery.ended.take().filter(|ended| ended.end == RecoveryEnd::Complete);
            *recovery = Recovery { ended, ..Recovery::default() };
        }
        Standing::PeerLostHistory | Standing::Quarantined | Standing::NotCompared => {}
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
