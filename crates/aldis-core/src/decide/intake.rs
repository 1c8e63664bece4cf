//! Credit for what a peer sends, as far as it keeps to its rate, and the alarms about one that does not.

use crate::batch::Batch;
use crate::effect::Effect;
use crate::moment::Moment;
use crate::state::Core;
use aldis_wire::frame::Credit;
use aldis_wire::ids::NodeId;
use aldis_wire::lane::Lane;

const OVER_RATE: &str = "peer-over-rate";
const UNANSWERED: &str = "too-many-unanswered";

impl Core {
    /// Gives a peer the credit of a lane that it has used, unless it is over its rate: then it waits, and gets it when its
    /// bucket has room again.
    pub(super) fn extend_credit(&mut self, moment: Moment, peer: &NodeId, lane: Lane, batch: &mut Batch) {
        let (window, intake) = (self.limits.credit_window, self.limits.intake);
        let Some(known) = self.peers.get_mut(peer) else { return };
        let is_over = known.buckets.is_over(&intake, lane, moment.monotonic_ms);
        let crate::peer::Link::Up(up) = &mut known.link else { return };
        let flow = &mut up.from[lane.index()];
        // A quarter of the window at a time, so that credit frames are few and the sender never runs dry.
        if flow.came + window < flow.promised + (window / 4).max(1) {
            return;
        }
        if is_over {
            known.buckets.withheld = true;
            let text = format!(
                "{peer} sends more than {} KiB a second; it is given no more credit until that is over",
                intake.bytes_per_s >> 10
            );
            return self.raise(moment, OVER_RATE, Some(peer), &text, batch);
        }
        (flow.promised, flow.promised_in) = (flow.came + window, batch.serial());
        batch.effect(Effect::Grant { link: up.id, credit: Credit { lane, total: flow.promised } });
    }

    /// When credit that was withheld is due, or an alarm about a peer's rate ends.
    pub(super) fn intake_deadline(&self, moment: Moment) -> Option<u64> {
        let (intake, now_ms) = (&self.limits.intake, moment.monotonic_ms);
        let withheld = self.peers.values().filter(|peer| peer.buckets.withheld);
        let credit = withheld.map(|peer| peer.buckets.next_ms(intake, now_ms).unwrap_or(now_ms));
        let alarmed = self.alarmed(OVER_RATE).filter_map(|peer| self.peers.get(peer));
        credit.chain(alarmed.map(|peer| peer.buckets.rested_ms(intake, now_ms))).min()
    }

    /// Gives the credit that was withheld and is due, and ends alarms that are over.
    pub(super) fn intake_due(&mut self, moment: Moment, batch: &mut Batch) {
        let withheld = self.peers.iter_mut().filter(|(_, peer)| peer.buckets.withheld);
        let withheld: Vec<NodeId> = withheld
            .map(|(id, peer)| {
                // Set again below for a lane whose time has not come.
                peer.buckets.withheld = false;
                id.clone()
            })
            .collect();
        for peer in withheld {
            for lane in Lane::ALL {
                self.extend_credit(moment, &peer, lane, batch);
            }
        }
        let intake = self.limits.intake;
        let has_rested = |peer: &&NodeId| {
            self.peers.get(peer).is_none_or(|known| known.buckets.has_rested(&intake, moment.monotonic_ms))
        };
        let rested: Vec<NodeId> = self.alarmed(OVER_RATE).filter(has_rested).cloned().collect();
        let has_room = |peer: &&NodeId| {
            let most = self.limits.unanswered_per_peer;
            self.peers.get(peer).is_none_or(|known| known.unanswered_count() < most)
        };
        let roomy: Vec<NodeId> = self.alarmed(UNANSWERED).filter(has_room).cloned().collect();
        for (code, peers) in [(OVER_RATE, rested), (UNANSWERED, roomy)] {
            for peer in peers {
                self.clear(moment, code, Some(&peer), batch);
            }
        }
    }

    /// Says that messages of a peer are refused, because too many wait for an answer here.
    pub(super) fn alarm_unanswered(&mut self, moment: Moment, peer: &NodeId, batch: &mut Batch) {
        let most = self.limits.unanswered_per_peer;
        let text =
            format!("{most} messages of {peer} wait for an answer here: more are refused until some are answered");
        self.raise(moment, UNANSWERED, Some(peer), &text, batch);
    }

    /// The peers of which an alarm lasts.
    fn alarmed(&self, code: &'static str) -> impl Iterator<Item = &NodeId> {
        self.alarms.keys().filter(move |(known, _)| known.as_str() == code).filter_map(|(_, peer)| peer.as_ref())
    }
}
