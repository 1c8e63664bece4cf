//! The end of a run: nothing is broken any more and nobody writes. What was confirmed has arrived once and in order, both
//! ends agree about each message, each that is open climbs at both, and no alarm lasts that nothing causes.

use super::invariants::at;
use super::ledger::{Row, Stream};
use super::{DAY_MS, HOUR_MS, Simulation};
use crate::pair::Channels;
use aldis_core::inbound::InState;
use aldis_core::ladder::Wants;
use aldis_core::outbound::OutState;
use aldis_core::record::{Outcome, Record, Standing};
use aldis_core::trust::Trust;
use aldis_wire::ids::NodeId;
use aldis_wire::kinds::Bearing;
use aldis_wire::lane::Lane;
use std::collections::BTreeMap;

impl Simulation {
    pub(super) fn heal(&mut self) {
        self.late = None;
        self.world.network.held.clear();
        self.world.network.cut.clear();
        self.world.network.unreceipted.clear();
        for place in 0..self.world.nodes.len() {
            let node = &mut self.world.nodes[place];
            (node.fault, node.room, node.stops_in) = (None, None, None);
            (node.frozen, node.shift_ms, node.channels) = (None, 0, Channels::Work);
        }
        self.world.break_all();
        self.run();
        self.let_everybody_in();
        // The second start finds that the clock is right again: the first wrote the time it shows now.
        for _ in 0..2 {
            self.restart_all();
        }
        let end_ms = self.world.monotonic_ms + 3 * DAY_MS;
        self.wait_until(end_ms);
        at("i8");
        for place in self.living() {
            self.world.nodes[place].check_replay();
            for other in self.living().into_iter().filter(|other| *other != place) {
                self.check_pair(place, other);
                if ![Some(place), Some(other)].contains(&self.oracle.restored) {
                    self.i8_files_came_to_their_end(place, other);
                }
            }
            self.check_alarms(place);
        }
        self.check_noticed();
        self.restart_all();
    }

    fn living(&self) -> Vec<usize> {
        (0..self.world.nodes.len()).filter(|place| Some(*place) != self.oracle.puppet).collect()
    }

    fn restart_all(&mut self) {
        for place in self.living() {
            self.restart(place);
        }
        self.run();
    }

    /// Whoever was put aside is let in again, every next key is taken, and no lane is blocked.
    fn let_everybody_in(&mut self) {
        for place in self.living() {
            if !self.world.nodes[place].up {
                self.restart(place);
            }
        }
        for _ in 0..4 {
            for place in self.living() {
                for other in self.living().into_iter().filter(|other| *other != place) {
                    self.admit(place, other);
                }
            }
            self.wait_until(self.world.monotonic_ms + HOUR_MS);
        }
    }

    fn check_pair(&self, from: usize, to: usize) {
        if [Some(from), Some(to)].contains(&self.oracle.restored) {
            return;
        }
        let (sender, receiver) = (self.world.id(from), self.world.id(to));
        let ours = self.oracle.ledgers[from].account(&receiver).expect("an enrolled peer");
        let theirs = self.oracle.ledgers[to].account(&sender).expect("an enrolled peer");
        assert_eq!(ours.trust, Some(Trust::Verified), "i8: {sender} lets {receiver} in again");
        if self.tells {
            self.tell(from, to);
        }
        for lane in Lane::ALL {
            let (out, inbound) = (&ours.lanes[lane.index()], &theirs.lanes[lane.index()]);
            i5_all_arrived_once_and_in_order(&sender, &receiver, out, inbound);
            self.i8_one_cause_at_both_ends(from, to, lane, out, inbound);
            self.i8_both_ends_agree(from, to, lane);
        }
        let names =
            |place: usize| self.world.nodes[place].core.peer(&self.world.id(from + to - place)).expect("enrolled");
        let key = self.world.nodes[from].key.id();
        assert_eq!(names(from).durable.own_key, key, "i4: {sender} signs for {receiver} with its newest key");
        assert!(names(from).durable.held.is_empty(), "i8: {sender} still holds answers of {receiver}");
    }

    /// How one end sees the other.
    fn tell(&self, place: usize, other: usize) {
        let node = &self.world.nodes[place];
        let known = node.core.peer(&self.world.id(other)).expect("enrolled");
        let durable = &known.durable;
        println!(
            "node {place} of {other}: {:?}, {:?}, alarms {:?}",
            durable.trust,
            durable.standing,
            node.all_alarms()
        );
        println!(
            "  offered {}, taken {}, link {:?}",
            durable.offered.is_some(),
            durable.accepted.is_some(),
            known.link
        );
    }

    /// Whatever was refused, expired or taken back has its one cause in both journals.
    fn i8_one_cause_at_both_ends(&self, from: usize, to: usize, lane: Lane, out: &Stream, inbound: &Stream) {
        let sender = self.world.id(from);
        let refusals = refusals(&self.oracle.ledgers[to].account(&sender).expect("enrolled").lanes[lane.index()].sent);
        let taken =
            &self.oracle.ledgers[from].account(&self.world.id(to)).expect("enrolled").lanes[lane.index()].received;
        for row in &inbound.received {
            let (seq, id) = (row.id.seq.get(), &row.id);
            match row.outcome {
                Some(Outcome::Withheld(_)) => {
                    assert!(out.bodiless.contains(&seq), "i8: {id} came without its body and its sender says nothing");
                }
                Some(Outcome::Refused(code)) => {
                    let said = refusals.get(&row.id.seq.get()).cloned().unwrap_or_default();
                    assert_eq!(said.len(), 1, "i8: {id} was refused ({code:?}) and that was said {} times", said.len());
                    let came =
                        taken.iter().filter(|refusal| refusal.answers.as_ref().is_some_and(|(about, _)| about == id));
                    let came = came.filter(|row| matches!(row.bearing, Some(Bearing::Refusal(_)))).count();
                    assert_eq!(came, 1, "i8: the refusal of {id} came {came} times");
                }
                Some(Outcome::Held) => {
                    let known = row.answers.as_ref().expect("an answer names a message");
                    assert!(known.0.to == sender || known.0.from == sender, "i8: {id} is held for nothing");
                }
                _ => {}
            }
        }
    }

    /// An open message is as far at one end as at the other; what nobody answers climbs at both.
    fn i8_both_ends_agree(&self, from: usize, to: usize, lane: Lane) {
        let known =
            |place: usize, other: usize| self.world.nodes[place].core.peer(&self.world.id(other)).expect("enrolled");
        let out = &known(from, to).durable.out[lane.index()];
        let inbound = &known(to, from).durable.inbound[lane.index()];
        assert_eq!(out.undelivered(), 0, "i8: {lane:?} of node {from} drains by itself");
        for (seq, open) in out.open.iter() {
            let there = inbound.open.get(seq);
            let name = format!("{lane:?}{seq} of node {from} to node {to}: {open:?}, {there:?}");
            let there = there.unwrap_or_else(|| panic!("i8: open at its sender alone: {name}"));
            let agrees = match open.state {
                OutState::Stored | OutState::Notified => there.state <= InState::Notified,
                OutState::Seen => there.state == InState::Seen,
                OutState::Acknowledged => there.state == InState::Acknowledged,
                OutState::Pending => there.state == InState::Pending,
                _ => false,
            };
            assert!(agrees, "i8: both ends do not agree: {name}");
        }
        for (seq, open) in inbound.open.iter() {
            // Whoever checked has given up waiting; who was checked may still say that somebody is there.
            let over =
                open.wants == Wants::Check && is_over(self.world.nodes[from].records(), to, &self.oracle.ids, *seq);
            assert!(
                over || out.open.get(seq).is_some(),
                "i8: {lane:?}{seq} of node {from} is open at {to} alone: {open:?}"
            );
        }
    }

    /// An alarm that lasts has a cause that lasts.
    fn check_alarms(&self, place: usize) {
        let mut alarms = self.world.nodes[place].alarms();
        let restored = self.oracle.restored.is_some();
        alarms.retain(|code| {
            let caused = match code.as_str() {
                "comm-check-missed" => self.oracle.ledgers[place].missed.values().any(|missed| *missed >= 3),
                "draft-not-released" => self.oracle.ledgers[place].drafts_expired > 0,
                "attachment-lost" => self.has_lost_files(place),
                "quarantined" => self.oracle.puppet.is_some(),
                "we-lost-history"
                | "peer-lost-history"
                | "peer-finds-records-disagree"
                | "peer-hello-not-taken"
                | "own-hello-not-taken" => restored,
                // Of a key that the peer cannot tell from a thief's after it lost its records, or says nothing about.
                "peer-key-switch" | "peer-key-change" | "own-card-not-taken" => {
                    restored || self.oracle.puppet.is_some()
                }
                _ => false,
            };
            !caused
        });
        assert!(alarms.is_empty(), "i8: node {place}: alarms that nothing causes: {alarms:?}");
    }

    /// How many alarms of a node say that a Hello is not taken, its own or the other's.
    fn hello_alarms(&self, place: usize, other: usize) -> usize {
        let other = self.world.id(other);
        let alarms = self.world.nodes[place].core.alarms().filter(|alarm| alarm.peer.as_ref() == Some(&other));
        alarms.filter(|alarm| alarm.code.as_str().ends_with("-hello-not-taken")).count()
    }

    /// An older copy of a disk was noticed by whoever's records can tell, and nothing was signed since (I9).
    fn check_noticed(&mut self) {
        let Some(place) = self.oracle.restored else { return };
        at("i9");
        for other in self.noticing.clone() {
            // A copy from before a change of keys opens no link at all: no records are compared, and both ends say so.
            if !self.may_link(place, other) {
                let alarms = (self.hello_alarms(place, other), self.hello_alarms(other, place));
                assert_eq!(alarms, (1, 1), "i9: nodes {place} and {other} open no link, and that is no alarm");
                self.coverage.note("storage: a copy from before a change of keys");
                continue;
            }
            let standing = |of: usize, about: usize| {
                self.oracle.ledgers[of].account(&self.world.id(about)).and_then(|account| account.standing)
            };
            let (here, there) = (standing(place, other), standing(other, place));
            let bad = |standing: Option<Standing>| standing.is_some_and(|standing| standing != Standing::Good);
            assert!(bad(here) || bad(there), "i9: node {other} holds more than node {place}, and nobody noticed");
            self.coverage.note("storage: the loss was noticed");
        }
    }
}

/// All that one end signed stands at the other, in its order.
fn i5_all_arrived_once_and_in_order(sender: &NodeId, receiver: &NodeId, out: &Stream, inbound: &Stream) {
    at("i5");
    let (sent, came): (Vec<_>, Vec<_>) =
        (out.sent.iter().map(|row| row.digest).collect(), inbound.received.iter().map(|row| row.digest).collect());
    assert!(sent == came, "i5: {sender} signed {} for {receiver}, and {} came", sent.len(), came.len());
    let receipted = out.receipted.last_key_value().map_or(0, |(seq, _)| *seq);
    assert_eq!(receipted, sent.len() as u64, "i3: {receiver} has receipted all that {sender} signed");
}

/// Whether a check of ours at a place has ended.
fn is_over(records: &[Record], to: usize, ids: &[NodeId], seq: u64) -> bool {
    let ended = |record: &Record| matches!(record, Record::Checked(checked) if checked.peer == ids[to] && checked.seq.get() == seq);
    records.iter().any(ended)
}

/// The refusals in a lane by the place of what they refuse.
fn refusals(sent: &[Row]) -> BTreeMap<u64, Vec<String>> {
    let mut refusals: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for row in sent {
        if let (Some(Bearing::Refusal(code)), Some((about, _))) = (&row.bearing, &row.answers) {
            refusals.entry(about.seq.get()).or_default().push(code.to_string());
        }
    }
    refusals
}
