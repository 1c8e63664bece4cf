//! Alarms: raised once, last until their reason ends, journalled both ways.

use super::tell;
use crate::batch::Batch;
use crate::effect::Happening;
use crate::limits::STRIKES_TO_BLOCK;
use crate::moment::Moment;
use crate::peer::Peer;
use crate::record::{Alarm, AlarmCleared, Record};
use crate::state::{Core, words};
use aldis_wire::codec::Text;
use aldis_wire::codes::Code;
use aldis_wire::ids::NodeId;
use aldis_wire::lane::Lane;

impl Core {
    /// Raises an alarm, unless it already lasts.
    pub(super) fn raise(
        &mut self,
        moment: Moment,
        code: &'static str,
        peer: Option<&NodeId>,
        text: &str,
        batch: &mut Batch,
    ) {
        self.raise_alarm(moment, Code::known(code), peer, words(text), batch);
    }

    /// Ends an alarm, if it lasts.
    pub(super) fn clear(&mut self, moment: Moment, code: &'static str, peer: Option<&NodeId>, batch: &mut Batch) {
        self.clear_alarm(moment, Code::known(code), peer, batch);
    }

    pub(super) fn node_alarm(
        &mut self,
        moment: Moment,
        code: Code,
        peer: Option<&NodeId>,
        text: Option<Text<400>>,
        batch: &mut Batch,
    ) {
        match text {
            Some(text) => self.raise_alarm(moment, code, peer, text, batch),
            None => self.clear_alarm(moment, code, peer, batch),
        }
    }

    pub(super) fn clock_difference(&mut self, moment: Moment, peer: &NodeId, difference_ms: i64, batch: &mut Batch) {
        if !self.peers.contains_key(peer) {
            return;
        }
        let limit_ms = self.limits.clock_difference_ms;
        if difference_ms.unsigned_abs() <= limit_ms {
            return self.clear(moment, "clock-difference", Some(peer), batch);
        }
        let text = format!(
            "the clocks of {peer} and this node differ by {} s ({peer} is {}); check both against a time source",
            difference_ms.unsigned_abs() / 1_000,
            if difference_ms > 0 { "ahead" } else { "behind" }
        );
        self.raise(moment, "clock-difference", Some(peer), &text, batch);
    }

    /// Says which lanes from a peer are blocked, or that none is any more.
    pub(super) fn lanes_blocked(&mut self, moment: Moment, peer: &NodeId, why: &str, batch: &mut Batch) {
        let lanes = self.lanes_where(peer, |known, lane| known.durable.inbound[lane].is_blocked());
        let text = lanes.map(|lanes| {
            format!(
                "blocked from {peer}, because {STRIKES_TO_BLOCK} envelopes in a row did not verify: {lanes} (latest: {why}). \
                 Ask {peer}; then `aldis peer unblock {peer} LANE`"
            )
        });
        self.lane_alarm(moment, "lane-blocked", peer, text, batch);
    }

    /// Says which of our lanes a peer has blocked, or that none is any more.
    pub(super) fn lanes_blocked_by_peer(&mut self, moment: Moment, peer: &NodeId, why: &str, batch: &mut Batch) {
        let lanes = self.lanes_where(peer, |known, lane| known.durable.out[lane].blocked_by_peer);
        let text = lanes.map(|lanes| {
            format!(
                "{peer} has blocked our {lanes} (latest: {why}). Run `aldis verify`, ask {peer}; then \
                 `aldis peer unblock {peer} LANE`"
            )
        });
        self.lane_alarm(moment, "lane-blocked-by-peer", peer, text, batch);
    }

    /// One alarm names all the lanes, so it is raised anew when they change.
    fn lane_alarm(
        &mut self,
        moment: Moment,
        code: &'static str,
        peer: &NodeId,
        text: Option<String>,
        batch: &mut Batch,
    ) {
        self.clear(moment, code, Some(peer), batch);
        if let Some(text) = text {
            self.raise(moment, code, Some(peer), &text, batch);
        }
    }

    fn lanes_where(&self, peer: &NodeId, fits: impl Fn(&Peer, usize) -> bool) -> Option<String> {
        let known = self.peers.get(peer)?;
        let lanes: Vec<&str> = Lane::ALL.into_iter().filter(|lane| fits(known, lane.index())).map(Lane::name).collect();
        (!lanes.is_empty()).then(|| lanes.join(", "))
    }

    fn raise_alarm(&mut self, moment: Moment, code: Code, peer: Option<&NodeId>, text: Text<400>, batch: &mut Batch) {
        if self.alarms.contains_key(&(code.clone(), peer.cloned())) {
            return;
        }
        tell(batch, Happening::AlarmRaised(code.clone(), peer.cloned(), text.to_string()));
        self.decided(batch, Record::AlarmRaised(Alarm { code, peer: peer.cloned(), text, at: moment.wall }));
    }

    fn clear_alarm(&mut self, moment: Moment, code: Code, peer: Option<&NodeId>, batch: &mut Batch) {
        if !self.alarms.contains_key(&(code.clone(), peer.cloned())) {
            return;
        }
        tell(batch, Happening::AlarmCleared(code.clone(), peer.cloned()));
        self.decided(batch, Record::AlarmCleared(AlarmCleared { code, peer: peer.cloned(), at: moment.wall }));
    }
}
