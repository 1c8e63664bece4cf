//! What is waited for at this moment, for whoever asks: how a message stands on its ladder and when its next step is
//! due, which silences climb, and how much of what waits is only an exercise (I12). Nothing here decides anything.

use crate::ladder::{Cause, Duty, Silence, Wants};
use crate::state::Core;
use aldis_wire::codec::Text;
use aldis_wire::ids::{EnvelopeId, NodeId};
use std::collections::BTreeMap;

/// How a message stands on its ladder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnLadder {
    /// Whose silence it is about.
    pub silence: Silence,
    /// How many steps were taken; 0 means that all is in time.
    pub step: u8,
    /// How many steps there are.
    pub of: u8,
    /// What the latest step is called, if one was taken.
    pub name: Option<Text<64>>,
    /// What happens next if the silence goes on; `None` on the last step.
    pub next: Option<NextOnLadder>,
}

/// The next step of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextOnLadder {
    /// Why it will be taken.
    pub cause: Cause,
    /// Which step; 0 tells that the message came.
    pub step: u8,
    /// What it is called.
    pub name: Text<64>,
    /// When it is due, on the monotonic clock in milliseconds.
    pub due_ms: u64,
}

/// Messages of one peer about which the same silence climbs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Climbing {
    /// The peer that sent the messages, or is silent about them.
    pub peer: NodeId,
    /// Whose silence it is.
    pub silence: Silence,
    /// The exercise they are part of; a silence of the peer's machine has none, for its lane carries both.
    pub exercise: Option<Box<str>>,
    /// How many messages.
    pub messages: u64,
    /// The furthest step that was taken for one of them.
    pub step: u8,
    /// How many steps there are.
    pub of: u8,
}

impl Core {
    /// How a message stands on its ladder; `None` if nobody waits for anything about it.
    pub fn on_ladder(&self, message: &EnvelopeId) -> Option<OnLadder> {
        let (peer, duty) = self.duty_of(message)?;
        let known = self.peers.get(peer)?;
        let (climb, _) = self.climb_of(peer, duty)?;
        let ladder = &self.limits.ladder;
        let silence = duty.silence();
        let name = |step| ladder.step(silence, step).map(|step| step.name.clone());
        let next =
            known.agenda.due_ms(duty).zip(self.next_step(peer, duty).0).map(|(due_ms, (_, next))| NextOnLadder {
                cause: next.cause,
                step: next.step,
                name: name(next.step).unwrap_or_else(|| Text::cut("nobody")),
                due_ms,
            });
        if climb == 0 && next.is_none() {
            return None;
        }
        let name = (climb > 0).then(|| name(climb)).flatten();
        Some(OnLadder { silence, step: climb, of: ladder.height(silence), name, next })
    }

    /// The silences that climb, by peer.
    pub fn climbing(&self) -> Vec<Climbing> {
        let mut found: BTreeMap<(&NodeId, Silence, Option<Box<str>>), (u64, u8)> = BTreeMap::new();
        for (peer, known) in &self.peers {
            for duty in &known.climbing {
                let Some((step, exercise)) = self.climb_of(peer, *duty) else { continue };
                let messages = match duty {
                    Duty::Receipt(lane) => known.durable.out[lane.index()].undelivered(),
                    Duty::Answer(..) | Duty::Attend(..) => 1,
                };
                let sum = found.entry((peer, duty.silence(), exercise)).or_default();
                *sum = (sum.0 + messages, sum.1.max(step));
            }
        }
        let found = found.into_iter();
        found
            .map(|((peer, silence, exercise), (messages, step))| Climbing {
                peer: peer.clone(),
                silence,
                exercise,
                messages,
                step,
                of: self.limits.ladder.height(silence),
            })
            .collect()
    }

    /// How many of a peer's messages that wait for our answer are only an exercise, and how many of ours that it has
    /// not receipted. It looks at each.
    pub fn exercises(&self, peer: &NodeId) -> (u64, u64) {
        let Some(known) = self.peers.get(peer).map(|known| &known.durable) else { return (0, 0) };
        let theirs = known.inbound.iter().flat_map(|lane| lane.open.iter());
        let ours = known.out.iter().flat_map(|lane| lane.open.starting_at(lane.receipted_seq() + 1));
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        (
            count(theirs.filter(|(_, open)| open.exercise.is_some() && open.wants != Wants::Check).count()),
            count(ours.filter(|(_, open)| open.exercise.is_some()).count()),
        )
    }

    /// What is waited for about a message: first its receipt, then an answer.
    fn duty_of<'a>(&self, message: &'a EnvelopeId) -> Option<(&'a NodeId, Duty)> {
        if message.to == self.own {
            return Some((&message.from, Duty::Attend(message.lane, message.seq)));
        }
        let out = &self.peers.get(&message.to)?.durable.out[message.lane.index()];
        let is_undelivered = message.seq.get() > out.receipted_seq() && message.seq.get() <= out.matters_through;
        let duty = match is_undelivered {
            true => Duty::Receipt(message.lane),
            false => Duty::Answer(message.lane, message.seq),
        };
        (message.from == self.own).then_some((&message.to, duty))
    }

    /// How many steps were taken for a duty, and the exercise it belongs to.
    pub(super) fn climb_of(&self, peer: &NodeId, duty: Duty) -> Option<(u8, Option<Box<str>>)> {
        let known = &self.peers.get(peer)?.durable;
        match duty {
            Duty::Receipt(lane) => {
                let out = &known.out[lane.index()];
                out.is_silent().then(|| (out.silence.step, out.undelivered_exercise()))
            }
            Duty::Answer(lane, seq) => {
                let open = known.out[lane.index()].open.get(&seq.get())?;
                Some((open.climb.step, open.exercise.clone()))
            }
            Duty::Attend(lane, seq) => {
                let open = known.inbound[lane.index()].open.get(&seq.get())?;
                Some((open.climb.step, open.exercise.clone()))
            }
        }
    }
}
