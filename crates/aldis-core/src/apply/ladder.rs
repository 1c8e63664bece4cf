//! How steps of the ladder, and what became of their alerts, change the state.

use crate::ladder::{AlertId, AlertOutcome, Climb, Silence, Untold};
use crate::record::{Alerted, Climbed};
use crate::state::Core;

impl Core {
    pub(super) fn apply_climbed(&mut self, climbed: &Climbed) {
        if !climbed.people.is_empty() {
            self.alerts.insert(AlertId(self.next_record), climbed.clone());
        }
        if let Some(draft) = climbed.draft() {
            self.drafts_told.insert(draft);
            return;
        }
        let Some(peer) = self.peers.get_mut(&climbed.peer) else { return };
        let climb = Climb { since: climbed.at, step: climbed.step };
        let (out, inbound) =
            (&mut peer.durable.out[climbed.lane.index()], &mut peer.durable.inbound[climbed.lane.index()]);
        match climbed.silence {
            Silence::Undelivered => out.silence = climb,
            Silence::Sent => climbed.messages.iter().for_each(|seq| out.climbed(*seq, climb)),
            Silence::Received => {
                climbed.messages.iter().for_each(|seq| inbound.climbed(*seq, climb, climbed.cause));
                // Otherwise it is told what became of the alert.
                if climbed.people.is_empty() {
                    let untold = Untold::of(climbed, &AlertOutcome::default());
                    climbed.messages.iter().for_each(|seq| inbound.note_untold(*seq, &untold));
                }
            }
            // It is about no message.
            Silence::Draft => {}
        }
    }

    pub(super) fn apply_alerted(&mut self, alerted: &Alerted) {
        let Some(climbed) = self.alerts.remove(&alerted.alert) else { return };
        if climbed.silence != Silence::Received {
            return;
        }
        if let Some(peer) = self.peers.get_mut(&climbed.peer) {
            let lane = &mut peer.durable.inbound[climbed.lane.index()];
            let untold = Untold::of(&climbed, &alerted.outcome);
            climbed.messages.iter().for_each(|seq| lane.note_untold(*seq, &untold));
            if !alerted.outcome.reached.is_empty() {
                climbed.messages.iter().for_each(|seq| lane.notified(*seq));
            }
        }
    }
}
