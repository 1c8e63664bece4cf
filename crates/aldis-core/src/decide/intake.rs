//! Credit for what a peer sends, as far as it keeps to its rate, and the alarms about one that does not.

use crate::batch::Batch;
use crate::effect::Effect;
use crate::limits::Limits;
use crate::moment::Moment;
use crate::peer::{Link, Peer};
use crate::state::Core;
use aldis_wire::frame::Credit;
use aldis_wire::ids::NodeId;
use aldis_wire::lane::Lane;

const OVER_RATE: &str = "peer-over-rate";
const UNANSWERED: &str = "too-many-unanswered";
const REFUSALS: &str = "too-many-refusals";

impl Core {
    /// Gives a peer the credit of a lane that it has used, unless it is over its rate: then it waits, and gets it when its
    /// bucket has room again. So it does while all that it sends would have to be refused and the refusals have no room.
    pub(super) fn extend_credit(&mut self, moment: Moment, peer: &NodeId, lane: Lane, batch: &mut Batch) {
        let (window, intake) = (self.limits.credit_window, self.limits.intake);
        let Some(known) = self.peers.get_mut(peer) else { return };
        if known.durable.inbound[lane.index()].is_blocked() {
            return;
        }
        let is_over = known.buckets.is_over(&intake, lane, moment.monotonic_ms);
        let is_full = has_no_room(&self.limits, known, lane);
        let Link::Up(up) = &mut known.link else { return };
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
        if is_full {
            known.waits_for_room = true;
            let text = format!(
                "messages of {peer} must be refused, and {} refusals wait for its receipt: it is given no more credit, but \
                 for FLASH, until it has receipted them or messages of it are answered here",
                known.machines_words
            );
            return self.raise(moment, REFUSALS, Some(peer), &text, batch);
        }
        (flow.promised, flow.promised_in) = (flow.came + window, batch.serial());
        batch.effect(Effect::Grant { link: up.id, credit: Credit { lane, total: flow.promised } });
    }

    /// When credit that was withheld is due, or an alarm about a peer's rate ends. Room is made by what comes in, and each
    /// turn of the loop ends with a look at it.
    pub(super) fn intake_deadline(&self, moment: Moment) -> Option<u64> {
        let (intake, now_ms) = (&self.limits.intake, moment.monotonic_ms);
        let withheld = self.peers.values().filter(|peer| peer.buckets.withheld);
        let credit = withheld.map(|peer| peer.buckets.next_ms(intake, now_ms).unwrap_or(now_ms));
        let alarmed = self.alarmed(OVER_RATE).filter_map(|peer| self.peers.get(peer));
        credit.chain(alarmed.map(|peer| peer.buckets.rested_ms(intake, now_ms))).min()
    }

    /// Gives the credit that was withheld and is due, and ends alarms that are over.
    pub(super) fn intake_due(&mut self, moment: Moment, batch: &mut Batch) {
        let withheld = self.peers.iter_mut().filter(|(_, peer)| peer.buckets.withheld || peer.waits_for_room);
        let withheld: Vec<NodeId> = withheld
            .map(|(id, peer)| {
                // Set again below for a lane whose time has not come.
                (peer.buckets.withheld, peer.waits_for_room) = (false, false);
                id.clone()
            })
            .collect();
        for peer in withheld {
            for lane in Lane::ALL {
                self.extend_credit(moment, &peer, lane, batch);
            }
        }
        self.end_intake_alarms(moment, batch);
    }

    fn end_intake_alarms(&mut self, moment: Moment, batch: &mut Batch) {
        let limits = &self.limits;
        let has_rested = |known: &Peer| known.buckets.has_rested(&limits.intake, moment.monotonic_ms);
        // An eighth less than what raised it: else each answer would end it, and each message raise it again.
        let is_roomy =
            |known: &Peer| known.unanswered_count() < limits.unanswered_per_peer.saturating_mul(7).div_ceil(8);
        let is_heard = |known: &Peer| is_roomy(known) || known.machines_words <= limits.refusals_per_peer / 4;
        let over = |code, is_over: &dyn Fn(&Peer) -> bool| -> Vec<(&'static str, NodeId)> {
            let peers = self.alarmed(code).filter(|peer| self.peers.get(*peer).is_none_or(is_over));
            peers.map(|peer| (code, peer.clone())).collect()
        };
        let ended = [over(OVER_RATE, &has_rested), over(UNANSWERED, &is_roomy), over(REFUSALS, &is_heard)];
        for (code, peer) in ended.concat() {
            self.clear(moment, code, Some(&peer), batch);
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

/// Whether a lane gets no more credit because there is room neither for the messages nor for refusals of them. Four windows
/// may be on their way, so that much must fit. While messages fit, credit goes on: else two nodes that each wait for the
/// other's receipts would wait for ever, whatever their people answer. FLASH has a reserve, and never waits.
pub(super) fn has_no_room(limits: &Limits, peer: &Peer, lane: Lane) -> bool {
    let on_its_way = 4 * limits.credit_window;
    let is_tight = |used: u64, most: u64| used.saturating_add(on_its_way.min(most.div_ceil(2))) > most;
    lane != Lane::Flash
        && is_tight(peer.machines_words, limits.refusals_per_peer)
        && is_tight(peer.unanswered_count(), limits.unanswered_per_peer)
}
