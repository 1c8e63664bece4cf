//! What is due when: each open message has one duty on its peer's agenda, put down when it opens, moved when it comes
//! further, built anew at each start. Deadlines run on the clock that never goes back; the wall clock is asked only at a
//! start, how much of each wait is over (I11).

use crate::apply::answered;
use crate::batch::Batch;
use crate::ladder::{Duty, NextStep, Silence};
use crate::moment::Moment;
use crate::peer::Durable;
use crate::record::Standing;
use crate::state::Core;
use aldis_wire::header::ExactHeader;
use aldis_wire::ids::{NodeId, Seq, UnixMillis};
use aldis_wire::lane::Lane;
use std::collections::BTreeSet;

/// How far the wall clock may lie behind the journal at a start before it counts as wrong, in milliseconds: time servers
/// correct by less.
const PLAUSIBLE_MS: u64 = 60_000;

impl Core {
    /// Builds every agenda at a start. A clock that shows less than the journal's last record cannot tell how much of a
    /// wait is over: then every wait is.
    pub(super) fn plan_all(&mut self, moment: Moment, latest: UnixMillis, batch: &mut Batch) {
        let behind = moment.wall.plus_ms(PLAUSIBLE_MS) < latest;
        let text = format!(
            "the clock shows {}, but the journal's latest entry is of {latest}: every open deadline counts as passed; set the \
             clock, then start again",
            moment.wall
        );
        match behind {
            true => self.raise(moment, "clock-behind-journal", None, &text, batch),
            false => self.clear(moment, "clock-behind-journal", None, batch),
        }
        let peers: Vec<NodeId> = self.peers.keys().cloned().collect();
        for peer in peers {
            self.plan_peer(moment, &peer, |since, wait_ms| {
                let over = behind || moment.wall.plus_ms(PLAUSIBLE_MS) < since;
                let gone_ms = moment.wall.get().saturating_sub(since.get());
                if over { 0 } else { wait_ms.saturating_sub(gone_ms) }
            });
        }
    }

    /// Begins to wait for a peer anew: it was not talked to meanwhile.
    pub(super) fn plan_again(&mut self, moment: Moment, peer: &NodeId) {
        self.plan_peer(moment, peer, |_, wait_ms| wait_ms);
    }

    fn plan_peer(&mut self, moment: Moment, peer: &NodeId, rest_ms: impl Fn(UnixMillis, u64) -> u64) {
        let Some(known) = self.peers.get_mut(peer) else { return };
        known.agenda.clear();
        known.climbing.clear();
        known.check_clock.planned = false;
        self.silences_changed.insert(peer.clone());
        let Some(known) = self.peers.get(peer).filter(|known| known.is_verified()) else { return };
        for duty in duties(&known.durable) {
            self.plan_with(moment, peer, duty, &rest_ms);
        }
    }

    /// Puts a duty down: if another step is waited for than before, its wait begins now. Without a next step it is dropped.
    pub(super) fn plan(&mut self, moment: Moment, peer: &NodeId, duty: Duty) {
        self.plan_with(moment, peer, duty, |_, wait_ms| wait_ms);
    }

    fn plan_with(&mut self, moment: Moment, peer: &NodeId, duty: Duty, rest_ms: impl Fn(UnixMillis, u64) -> u64) {
        let Some(known) = self.peers.get(peer) else { return };
        let (next, climbs) = self.next_step(peer, duty);
        let next = next.filter(|_| known.is_verified());
        let Some(known) = self.peers.get_mut(peer) else { return };
        match next {
            Some((since, next)) => {
                let due_ms = moment.monotonic_ms.saturating_add(rest_ms(since, next.wait_ms));
                known.agenda.set(duty, (since, next), due_ms);
            }
            None => known.agenda.remove(duty),
        }
        let changed = if climbs { known.climbing.insert(duty) } else { known.climbing.remove(&duty) };
        if changed {
            self.silences_changed.insert(peer.clone());
        }
    }

    /// What an envelope of ours begins to wait for, and what its answer ends.
    pub(super) fn plan_sent(&mut self, moment: Moment, header: &ExactHeader) {
        self.plan(moment, &header.to, Duty::Receipt(header.lane));
        if let Some(reference) = answered(header) {
            self.plan(moment, &header.to, Duty::Attend(reference.envelope.lane, reference.envelope.seq));
        }
    }

    /// What a peer's envelope begins to wait for, and what its answer ends.
    pub(super) fn plan_received(&mut self, moment: Moment, header: &ExactHeader) {
        self.plan(moment, &header.from, Duty::Attend(header.lane, header.seq));
        if let Some(reference) = answered(header) {
            self.plan(moment, &header.from, Duty::Answer(reference.envelope.lane, reference.envelope.seq));
        }
    }

    /// The next step of a duty and since when it is waited for; and whether a step was taken already.
    pub(super) fn next_step(&self, peer: &NodeId, duty: Duty) -> (Option<(UnixMillis, NextStep)>, bool) {
        let Some(known) = self.peers.get(peer).map(|known| &known.durable) else { return (None, false) };
        let ladder = &self.limits.ladder;
        let (climb, next) = match duty {
            Duty::Receipt(lane) => {
                let out = &known.out[lane.index()];
                let next = ladder.next_receipt(peer, known, lane);
                (out.is_silent().then_some(out.silence), next)
            }
            Duty::Answer(lane, seq) => {
                let open = known.out[lane.index()].open.get(&seq.get());
                (open.map(|open| open.climb), open.and_then(|open| ladder.next_answer(peer, known, lane, open)))
            }
            Duty::Attend(lane, seq) => {
                let open = known.inbound[lane.index()].open.get(&seq.get());
                (open.map(|open| open.climb), open.and_then(|open| ladder.next_attend(peer, known, lane, open)))
            }
        };
        let Some(climb) = climb else { return (None, false) };
        (next.map(|next| (climb.since, next)), climb.step > 0)
    }

    /// Raises or ends the alarms about silences that began or ended.
    pub(super) fn tell_silences(&mut self, moment: Moment, batch: &mut Batch) {
        for peer in std::mem::take(&mut self.silences_changed) {
            let lasting = self.real_silences(&peer);
            for silence in [Silence::Received, Silence::Sent, Silence::Undelivered] {
                match lasting.contains(&silence) {
                    true => self.raise(moment, silence.name(), Some(&peer), &silence_text(silence, &peer), batch),
                    false => self.clear(moment, silence.name(), Some(&peer), batch),
                }
            }
        }
    }

    /// Which silences towards a peer climb. Those of an exercise have their own line in the status and raise no alarm, so
    /// that none of theirs stands where a real one would be raised (I12).
    fn real_silences(&self, peer: &NodeId) -> BTreeSet<Silence> {
        let known = self.peers.get(peer).filter(|known| known.is_verified());
        let climbing = known.into_iter().flat_map(|known| &known.climbing);
        let real = climbing.filter(|duty| self.climb_of(peer, **duty).is_some_and(|(_, exercise)| exercise.is_none()));
        real.map(|duty| duty.silence()).collect()
    }

    /// Whether something new may be signed for a peer.
    pub(super) fn may_sign_for(&self, peer: &NodeId) -> bool {
        self.peers.get(peer).is_some_and(|known| known.is_verified() && known.durable.standing == Standing::Good)
    }
}

fn silence_text(silence: Silence, peer: &NodeId) -> String {
    match silence {
        Silence::Received => {
            format!(
                "messages of {peer} wait for an answer here and their ladder climbs: `aldis inbox`, then `aldis answer`"
            )
        }
        Silence::Sent => format!(
            "{peer} says nothing about messages of ours and their ladder climbs here: call its contacts (`aldis peer show \
             {peer}`)"
        ),
        Silence::Draft => format!("a draft to {peer} waits for a second person: `aldis drafts`"),
        Silence::Undelivered => format!(
            "the node of {peer} has not receipted messages of ours in time: see `aldis status`, and call its contacts (`aldis \
             peer show {peer}`)"
        ),
    }
}

/// Everything towards a peer that may be due one day.
fn duties(known: &Durable) -> Vec<Duty> {
    let mut duties = Vec::new();
    for lane in Lane::ALL {
        duties.push(Duty::Receipt(lane));
        let (ours, theirs) = (&known.out[lane.index()].open, &known.inbound[lane.index()].open);
        duties.extend(ours.keys().filter_map(|seq| Seq::new(*seq)).map(|seq| Duty::Answer(lane, seq)));
        duties.extend(theirs.keys().filter_map(|seq| Seq::new(*seq)).map(|seq| Duty::Attend(lane, seq)));
    }
    duties
}
