//! Climbing the ladder. A step is a record first; the alert leaves when the record is on disk; what became of the alert is
//! a record again, and then the peer whose message nobody answers is told, signed. Steps are taken in order, each once:
//! what was taken stands in the journal, whatever the clock says.

use super::submit::Letter;
use super::tell;
use crate::batch::Batch;
use crate::effect::{Delivery, Effect, Happening};
use crate::inbound::{InState, OpenIn};
use crate::ladder::{ALERT_MESSAGES_MAX, Alert, AlertId, AlertOutcome, Cause, Duty, NextStep, OnCall, Silence};
use crate::moment::Moment;
use crate::outbound::OutLane;
use crate::record::{Alerted, Climbed, Record};
use crate::state::{Core, words};
use aldis_wire::codec::{List, Text};
use aldis_wire::codes::Code;
use aldis_wire::header::{Reference, ReferenceRole};
use aldis_wire::ids::{EnvelopeId, NodeId, Seq};
use aldis_wire::kinds::{Bearing, LadderStep, NEXT_WITHIN_MAX_S, StepTold};
use aldis_wire::lane::Lane;
use bytes::Bytes;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// How many alerts may be on their way at once; beyond that the least is given up.
const ALERTS_MAX: usize = 1_024;

/// Of how many steps that had to wait a peer is told at once: a receipt of its must not cost more than that.
const STEPS_AT_ONCE: usize = 256;

/// Messages for which the same step is due: one alert tells of them all. Exercise and real never share one (I12).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    silence: Silence,
    cause: Cause,
    step: u8,
    lane: Lane,
    exercise: Option<Box<str>>,
}

impl Core {
    /// Takes the steps whose time has come.
    pub(super) fn climb_due(&mut self, moment: Moment, batch: &mut Batch) {
        let peers = self.peers.iter().filter(|(_, known)| {
            let first_ms = known.agenda.first_ms();
            first_ms.is_some_and(|first_ms| first_ms <= moment.monotonic_ms)
        });
        let peers: Vec<NodeId> = peers.map(|(id, _)| id.clone()).collect();
        for peer in peers {
            let Some(known) = self.peers.get_mut(&peer) else { continue };
            let due = known.agenda.take_due(moment.monotonic_ms, ALERT_MESSAGES_MAX);
            let mut groups: BTreeMap<Group, Vec<Seq>> = BTreeMap::new();
            for duty in due {
                if let (Some((_, next)), _) = self.next_step(&peer, duty) {
                    let (group, messages) = self.group_of(&peer, duty, next);
                    groups.entry(group).or_default().extend(messages);
                } else {
                    // Nothing is waited for any more, so nothing climbs any more.
                    self.plan(moment, &peer, duty);
                }
            }
            for (group, messages) in groups {
                self.climb(moment, &peer, group, messages, batch);
            }
        }
        self.give_up_alerts(moment, batch);
        self.tell_silences(moment, batch);
    }

    /// The first thing that is due of all this.
    pub(super) fn first_silence_ms(&self) -> Option<u64> {
        let agendas = self.peers.values().filter_map(|known| known.agenda.first_ms());
        agendas.chain(self.alerts_due.values().copied()).min()
    }

    fn group_of(&self, peer: &NodeId, duty: Duty, next: NextStep) -> (Group, Vec<Seq>) {
        let known = self.peers.get(peer).map(|known| &known.durable);
        let (lane, exercise, messages) = match duty {
            Duty::Receipt(lane) => {
                let out = known.map(|known| &known.out[lane.index()]);
                let ends = out.map_or([0, 0], |out| [out.receipted_seq() + 1, out.last_seq()]);
                let one = ends[0] == ends[1];
                let exercise = out.and_then(OutLane::undelivered_exercise);
                (lane, exercise, ends.into_iter().skip(usize::from(one)).filter_map(Seq::new).collect())
            }
            Duty::Answer(lane, seq) => {
                let open = known.and_then(|known| known.out[lane.index()].open.get(&seq.get()));
                (lane, open.and_then(|open| open.exercise.clone()), vec![seq])
            }
            Duty::Attend(lane, seq) => {
                let open = known.and_then(|known| known.inbound[lane.index()].open.get(&seq.get()));
                (lane, open.and_then(|open| open.exercise.clone()), vec![seq])
            }
        };
        (Group { silence: duty.silence(), cause: next.cause, step: next.step, lane, exercise }, messages)
    }

    /// Takes a step. One on which nobody is on duty is taken too, and the next one at once.
    fn climb(&mut self, moment: Moment, peer: &NodeId, mut group: Group, messages: Vec<Seq>, batch: &mut Batch) {
        let of = self.limits.ladder.height(group.silence);
        loop {
            let id = AlertId(self.next_record);
            let climbed = self.climbed(moment, peer, &group, &messages, of);
            let alerts = !climbed.people.is_empty();
            self.decided(batch, Record::Climbed(climbed.clone()));
            tell(batch, Happening::Climbed(Box::new(climbed.clone())));
            for duty in duties_of(&climbed) {
                self.plan(moment, peer, duty);
            }
            if alerts {
                return self.alert(moment, id, &climbed, false, batch);
            }
            self.tell_step(moment, &climbed, &AlertOutcome::default(), batch);
            if group.step == 0 || group.step >= of {
                return;
            }
            group.step += 1;
        }
    }

    fn climbed(&self, moment: Moment, peer: &NodeId, group: &Group, messages: &[Seq], of: u8) -> Climbed {
        let ladder = &self.limits.ladder;
        let step = ladder.step(group.silence, group.step);
        let people = step.into_iter().flat_map(|step| ladder.on_duty(step, moment.wall));
        let undelivered = self.peers.get(peer).map_or(0, |known| known.durable.out[group.lane.index()].undelivered());
        let first = messages.first().copied().unwrap_or(Seq::FIRST);
        Climbed {
            silence: group.silence,
            cause: group.cause,
            step: group.step,
            of,
            name: step.map_or_else(|| words("nobody"), |step| step.name.clone()),
            peer: peer.clone(),
            lane: group.lane,
            exercise: group.exercise.as_deref().map(Text::cut),
            messages: List::new(messages.to_vec()).expect("as many duties are taken at once as one record names"),
            count: if group.silence == Silence::Undelivered { undelivered } else { messages.len() as u64 },
            since: self.silent_since(peer, group, first).unwrap_or(moment.wall),
            people: List::new(people.map(|person| person.name.clone()).collect()).expect("a step has few people"),
            at: moment.wall,
        }
    }

    fn silent_since(&self, peer: &NodeId, group: &Group, first: Seq) -> Option<aldis_wire::ids::UnixMillis> {
        let known = &self.peers.get(peer)?.durable;
        match group.silence {
            Silence::Undelivered => Some(known.out[group.lane.index()].silence.since),
            Silence::Sent => known.out[group.lane.index()].open.get(&first.get()).map(|open| open.climb.since),
            Silence::Received => known.inbound[group.lane.index()].open.get(&first.get()).map(|open| open.climb.since),
            Silence::Draft => None,
        }
    }

    /// Has the node bring an alert to people; if it does not say what became of it, the core gives the alert up.
    pub(super) fn alert(&mut self, moment: Moment, id: AlertId, climbed: &Climbed, again: bool, batch: &mut Batch) {
        if self.alerts_due.len() >= ALERTS_MAX
            && let Some(least) = self.least_alert()
        {
            self.alerted(moment, least, gave_up("too many alerts were on their way"), batch);
        }
        self.alerts_due.insert(id, moment.monotonic_ms + self.limits.ladder.alert_wait_ms);
        let ladder = &self.limits.ladder;
        let on_duty = ladder.step(climbed.silence, climbed.step).into_iter().flat_map(|step| &step.people);
        let people = on_duty.filter(|person| climbed.people.contains(&person.name));
        let people = people.map(|OnCall { name, channels, .. }| (name.clone(), channels.clone())).collect();
        let alert = Alert {
            id,
            silence: climbed.silence,
            cause: climbed.cause,
            step: climbed.step,
            of: climbed.of,
            step_name: climbed.name.clone(),
            peer: climbed.peer.clone(),
            lane: climbed.lane,
            exercise: climbed.exercise.as_ref().map(|name| name.as_str().into()),
            messages: climbed.messages.iter().filter_map(|seq| self.message_of(climbed, *seq)).collect(),
            count: climbed.count,
            since: climbed.since,
            draft: climbed.draft(),
            people,
            again,
        };
        batch.effect(Effect::Alert(Box::new(alert)));
    }

    /// The alert that is given up first: an exercise before anything real (I12), then the least urgent (I14), then the
    /// oldest.
    fn least_alert(&self) -> Option<AlertId> {
        let worth = |climbed: &Climbed| (climbed.exercise.is_none(), Reverse(climbed.lane.index()));
        self.alerts.iter().min_by_key(|(id, climbed)| (worth(climbed), **id)).map(|(id, _)| *id)
    }

    fn message_of(&self, climbed: &Climbed, seq: Seq) -> Option<EnvelopeId> {
        let (from, to) = match climbed.silence {
            Silence::Received => (climbed.peer.clone(), self.own.clone()),
            Silence::Sent | Silence::Undelivered => (self.own.clone(), climbed.peer.clone()),
            Silence::Draft => return None,
        };
        Some(EnvelopeId { from, to, lane: climbed.lane, seq })
    }

    /// Alerts of which nobody knows what became of them: the run before ended first.
    pub(super) fn alert_again(&mut self, moment: Moment, batch: &mut Batch) {
        let open: Vec<(AlertId, Climbed)> = self.alerts.iter().map(|(id, climbed)| (*id, climbed.clone())).collect();
        for (id, climbed) in open {
            self.alert(moment, id, &climbed, true, batch);
        }
    }

    fn give_up_alerts(&mut self, moment: Moment, batch: &mut Batch) {
        let over = self.alerts_due.iter().filter(|(_, due_ms)| **due_ms <= moment.monotonic_ms);
        let over: Vec<AlertId> = over.map(|(id, _)| *id).collect();
        for alert in over {
            self.alerted(moment, alert, gave_up("nobody said in time what became of it"), batch);
        }
    }

    /// What became of an alert.
    pub(super) fn alerted(&mut self, moment: Moment, alert: AlertId, outcome: AlertOutcome, batch: &mut Batch) {
        self.alerts_due.remove(&alert);
        let Some(climbed) = self.alerts.get(&alert).cloned() else { return };
        self.decided(batch, Record::Alerted(Alerted { alert, outcome: outcome.clone(), at: moment.wall }));
        self.tell_step(moment, &climbed, &outcome, batch);
    }

    /// Tells people that an alert has reached somebody, and the messages' sender of the step.
    fn tell_step(&mut self, moment: Moment, climbed: &Climbed, outcome: &AlertOutcome, batch: &mut Batch) {
        if climbed.silence != Silence::Received {
            return;
        }
        let notices = climbed.messages.iter().filter_map(|seq| self.message_of(climbed, *seq));
        let notices: Vec<EnvelopeId> = notices.collect();
        for notice in notices.iter().filter(|_| !outcome.reached.is_empty()) {
            let open = self.open_notice(notice);
            if open.is_some_and(|open| open.state < InState::Acknowledged) {
                tell(batch, Happening::Delivery(notice.clone(), Delivery::Notified));
            }
        }
        self.tell_of(moment, &climbed.peer, &notices, batch);
    }

    /// Finds the steps that were not told before a start.
    pub(super) fn find_untold(&mut self) {
        for peer in self.peers.values_mut() {
            for lane in Lane::ALL {
                let open = peer.durable.inbound[lane.index()].open.iter().filter(|(_, open)| open.untold.is_some());
                peer.untold.extend(open.filter_map(|(place, _)| Seq::new(*place).map(|seq| (lane, seq))));
            }
        }
    }

    /// Tells a peer of steps of which it could not be told before: nothing was signed for it, or too many words of our
    /// machine waited for its receipt. So many at a time; its receipt of these brings the next.
    pub(super) fn tell_untold(&mut self, moment: Moment, peer: &NodeId, batch: &mut Batch) {
        let mut signed = 0;
        while signed < STEPS_AT_ONCE && self.may_sign_for(peer) {
            let room = self.peers.get(peer).is_some_and(|known| self.has_room_for_step(known));
            let Some(known) = self.peers.get_mut(peer).filter(|_| room) else { break };
            let Some((lane, seq)) = known.untold.pop_first() else { break };
            let notice = EnvelopeId { from: peer.clone(), to: self.own.clone(), lane, seq };
            signed += usize::from(self.sign_untold(moment, &notice, batch));
        }
        if signed > 0 {
            batch.transmit_to(peer);
        }
    }

    /// Tells the sender of messages that nobody here answers, signed, which step was taken and whom it reached. What cannot
    /// be told now stays in the state until it can be.
    fn tell_of(&mut self, moment: Moment, peer: &NodeId, notices: &[EnvelopeId], batch: &mut Batch) {
        let mut any = false;
        for notice in notices {
            let room = self.peers.get(peer).is_some_and(|known| self.has_room_for_step(known));
            if room && self.may_sign_for(peer) {
                any |= self.sign_untold(moment, notice, batch);
            } else if let Some(known) = self.peers.get_mut(peer) {
                known.note_untold(notice.lane, notice.seq);
            }
        }
        if any {
            batch.transmit_to(peer);
        }
    }

    fn sign_untold(&mut self, moment: Moment, notice: &EnvelopeId, batch: &mut Batch) -> bool {
        let open = self.open_notice(notice).filter(|open| open.untold.is_some()).cloned();
        open.is_some_and(|open| self.sign_step(moment, notice, open, batch))
    }

    fn open_notice(&self, notice: &EnvelopeId) -> Option<&OpenIn> {
        let known = self.peers.get(&notice.from)?;
        known.durable.inbound[notice.lane.index()].open.get(&notice.seq.get())
    }

    fn sign_step(&mut self, moment: Moment, notice: &EnvelopeId, open: OpenIn, batch: &mut Batch) -> bool {
        let kind = Code::known("ladder-step");
        let (Some(known), Some(untold)) = (self.peers.get(&notice.from), open.untold) else { return false };
        if !known.reads(&kind) {
            return false;
        }
        let told = StepTold {
            cause: Code::known(untold.cause.name()),
            step: untold.step,
            of: untold.of,
            outcome: Code::known(untold.outcome()),
            reached: untold.reached,
            next_within_s: self.next_word_within_s(untold.step, notice),
        };
        let references =
            vec![Reference { role: ReferenceRole::ANSWERS, envelope: notice.clone(), digest: open.digest }];
        let letter = Letter {
            to: &notice.from,
            also_to: List::empty(),
            desk: open.desk,
            lane: notice.lane,
            expires_at: moment.wall.plus_ms(self.limits.refusal_lifetime_ms),
            case: open.case,
            references: List::new(references).expect("one reference fits"),
            author: self.machine(),
            on_behalf_of: None,
            tlp: open.tlp,
            exercise: open.exercise.as_deref().map(Text::cut),
            kind,
            kind_version: 1,
            salt: moment.salt(format!("step {} {notice}", untold.step).as_bytes()),
            body: Bytes::from(LadderStep::body(&told, untold.name.clone(), untold.at)),
            bearing: Bearing::Step(told),
            by: words("node"),
            acknowledge_within_s: None,
        };
        let Ok((draft, body)) = self.draft(moment, letter) else { return false };
        self.decided_to_send(moment, batch, draft, body);
        true
    }

    /// Within how many seconds the sender hears of the next step, or must act itself.
    fn next_word_within_s(&self, step: u8, notice: &EnvelopeId) -> u32 {
        let (next, _) = self.next_step(&notice.from, Duty::Attend(notice.lane, notice.seq));
        let ladder = &self.limits.ladder;
        let wait_ms = next.map(|(_, next)| next.wait_ms).or_else(|| {
            // Nothing follows the last step; it is given the time it would have had.
            ladder.step(Silence::Received, step).map(|step| step.wait_ms[notice.lane.index()])
        });
        let within_s = wait_ms.unwrap_or_default().saturating_add(ladder.alert_wait_ms).div_ceil(1_000);
        u32::try_from(within_s).unwrap_or(u32::MAX).clamp(1, NEXT_WITHIN_MAX_S)
    }
}

/// The duties a step was taken for.
fn duties_of(climbed: &Climbed) -> Vec<Duty> {
    match climbed.silence {
        Silence::Undelivered => vec![Duty::Receipt(climbed.lane)],
        Silence::Sent => climbed.messages.iter().map(|seq| Duty::Answer(climbed.lane, *seq)).collect(),
        Silence::Received => climbed.messages.iter().map(|seq| Duty::Attend(climbed.lane, *seq)).collect(),
        Silence::Draft => Vec::new(),
    }
}

fn gave_up(why: &str) -> AlertOutcome {
    AlertOutcome { reached: Vec::new(), failed: vec![(words("everybody"), words("every channel"), words(why))] }
}
