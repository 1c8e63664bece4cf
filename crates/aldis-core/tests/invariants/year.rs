//! Years of silence: two nodes, people who answer or do not, restarts, crashes, clocks that jump a year either way,
//! partitions, channels that fail. An oracle that knows nothing of the core's agenda reads both journals and says of every
//! step whether it came at its time, in its order, once; and at every moment that none is overdue (I8).

mod oracle;

use crate::ladder::ladder;
use crate::pair::{Channels, Fault, World, answer, notice};
use aldis_core::effect::Done;
use aldis_core::input::{Submission, Token};
use aldis_core::ladder::Silence;
use aldis_core::limits::Limits;
use aldis_wire::digest::Digest;
use aldis_wire::ids::{EnvelopeId, UnixMillis};
use aldis_wire::kinds::from_json;
use aldis_wire::lane::Lane;
use oracle::{Oracle, TOP};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

const SEEDS: u64 = 1_000;
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
const YEAR_MS: u64 = 365 * DAY_MS;

#[test]
fn i8_a_thousand_years_in_which_no_deadline_is_missed_and_no_step_skipped_or_repeated() {
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).min(8) as u64;
    let one = std::env::var("ALDIS_YEAR_SEED").ok().map(|seed| seed.parse().expect("a number"));
    let seeds = move |worker| (worker..SEEDS).step_by(usize::try_from(workers).expect("few"));
    let faults = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|worker| {
                scope.spawn(move || {
                    let only = one.map(|seed| Vec::from_iter((worker == 0).then_some(seed)));
                    let seeds: Vec<u64> = only.unwrap_or_else(|| seeds(worker).collect());
                    seeds.into_iter().fold(Faults::default(), |faults, seed| faults.and(live(seed)))
                })
            })
            .collect();
        let lived = threads.into_iter().map(|thread| thread.join().expect("a seed failed; it is printed above"));
        lived.fold(Faults::default(), Faults::and)
    });
    println!("{faults:?}");
    // What never happened was not tried.
    if one.is_none() {
        let Faults { starts, jumps, partitions, lost, crashes, steps, tops, reopened } = faults;
        let least = [starts, jumps, partitions, lost, crashes, steps, tops, reopened].into_iter().min();
        assert!(least > Some(100), "{faults:?}");
    }
}

/// How often what happened.
#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    starts: u64,
    jumps: u64,
    partitions: u64,
    lost: u64,
    crashes: u64,
    steps: u64,
    tops: u64,
    reopened: u64,
}

impl Faults {
    fn and(self, other: Self) -> Self {
        Self {
            starts: self.starts + other.starts,
            jumps: self.jumps + other.jumps,
            partitions: self.partitions + other.partitions,
            lost: self.lost + other.lost,
            crashes: self.crashes + other.crashes,
            steps: self.steps + other.steps,
            tops: self.tops + other.tops,
            reopened: self.reopened + other.reopened,
        }
    }
}

fn live(seed: u64) -> Faults {
    // A panic anywhere below names its seed.
    let outcome = std::panic::catch_unwind(|| Year::new(seed).live());
    assert!(outcome.is_ok(), "seed {seed}: repeat it with ALDIS_YEAR_SEED={seed}");
    outcome.unwrap()
}

/// What is planned to happen.
#[derive(Clone, Debug)]
enum Event {
    Send(usize),
    Answer { message: (EnvelopeId, Digest), state: &'static str, promised_ms: u64 },
    Restart(usize),
    Start(usize),
    Crash(usize, Fault),
    Jump(usize, i64),
    Cut,
    Mend,
    Lose(usize, Channels),
    Snapshot(usize),
}

struct Year {
    world: World,
    random: u64,
    plan: BTreeMap<(u64, u64), Event>,
    planned: u64,
    sends: Vec<(usize, Token)>,
    oracle: [Oracle; 2],
    faults: Faults,
}

impl Year {
    fn new(seed: u64) -> Self {
        let ladder = aldis_core::ladder::Ladder { on_arrival: [true, true, false, false], ..ladder() };
        let limits = Limits { ladder: Arc::new(ladder), retry_max_ms: 15 * MINUTE_MS, ..Limits::default() };
        let mut world = World::with(2, seed, &limits);
        world.dials = true;
        for node in &mut world.nodes {
            // Each recovery is compared with a replay; to compare each commit as well would cost most of the time.
            node.replays = false;
        }
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let plan = BTreeMap::new();
        let oracle = Default::default();
        let mut year = Self { world, random, plan, planned: 0, sends: Vec::new(), oracle, faults: Faults::default() };
        for _ in 0..60 {
            let (at_ms, event) = (year.draw(YEAR_MS), year.event());
            year.put(at_ms, event);
        }
        year
    }

    fn draw(&mut self, below: u64) -> u64 {
        // xorshift64: enough to choose what happens next, and the same everywhere.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn node(&mut self) -> usize {
        usize::from(self.draw(2) == 0)
    }

    fn event(&mut self) -> Event {
        let node = self.node();
        match self.draw(20) {
            0..=9 => Event::Send(node),
            10 | 11 => Event::Restart(node),
            12 | 13 => Event::Crash(node, if self.draw(2) == 0 { Fault::BeforeDisk } else { Fault::AfterDisk }),
            14 | 15 => {
                let year = i64::try_from(YEAR_MS).expect("small");
                Event::Jump(node, [year, -year, 0][usize::try_from(self.draw(3)).expect("small")])
            }
            16 | 17 => Event::Cut,
            18 => Event::Lose(
                node,
                [Channels::Work, Channels::Fail, Channels::Hang][usize::try_from(self.draw(3)).expect("small")],
            ),
            _ => Event::Snapshot(node),
        }
    }

    fn put(&mut self, at_ms: u64, event: Event) {
        self.planned += 1;
        self.plan.insert((at_ms, self.planned), event);
    }

    /// Soon: troubles come together, or they would never meet a ladder that climbs.
    fn put_soon(&mut self, event: Event) {
        let soon_ms = self.draw(3 * HOUR_MS);
        let at_ms = self.world.monotonic_ms + soon_ms;
        self.put(at_ms, event);
    }

    fn live(mut self) -> Faults {
        while let Some(((at_ms, _), event)) = self.plan.pop_first() {
            self.wait_until(at_ms);
            self.happen(event);
            self.look();
        }
        self.world.reachable = true;
        for place in 0..2 {
            self.world.nodes[place].fault = None;
            self.world.nodes[place].channels = Channels::Work;
            if !self.world.nodes[place].up {
                self.start(place);
            }
        }
        self.wait_until(self.world.monotonic_ms + 2 * DAY_MS);
        self.check_ends();
        self.faults
    }

    /// Lets time pass, deadline by deadline.
    fn wait_until(&mut self, at_ms: u64) {
        while self.world.monotonic_ms < at_ms {
            let next_ms = self.world.first_deadline_ms();
            let next_ms = next_ms.map_or(at_ms, |next_ms| next_ms.clamp(self.world.monotonic_ms + 1, at_ms));
            self.world.advance(next_ms - self.world.monotonic_ms);
            self.look();
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Send(place) => self.send(place),
            Event::Answer { message, state, promised_ms } => self.answer(&message, state, promised_ms),
            Event::Restart(place) => {
                self.world.crash(place);
                self.put_soon(Event::Start(place));
            }
            Event::Start(place) => self.start(place),
            Event::Crash(place, fault) => {
                self.faults.crashes += 1;
                self.world.nodes[place].fault = Some(fault);
            }
            Event::Jump(place, shift_ms) => {
                self.faults.jumps += 1;
                self.world.nodes[place].shift_ms = shift_ms;
                self.put_soon(Event::Restart(place));
            }
            Event::Cut => {
                self.faults.partitions += 1;
                self.world.reachable = false;
                self.world.break_all();
                self.world.run();
                self.put_soon(Event::Mend);
            }
            Event::Mend => self.world.reachable = true,
            Event::Lose(place, channels) => {
                self.faults.lost += u64::from(channels != Channels::Work);
                self.world.nodes[place].channels = channels;
            }
            Event::Snapshot(place) => self.world.nodes[place].take_snapshot_if_up(),
        }
        self.world.tick();
    }

    fn start(&mut self, place: usize) {
        if self.world.nodes[place].up {
            return;
        }
        self.look();
        self.faults.starts += 1;
        let (now_ms, wall) = (self.world.monotonic_ms, self.world.wall_of(place).get());
        let (oracle, shift_ms) = (&mut self.oracle[place], self.world.nodes[place].shift_ms);
        let behind = wall + MINUTE_MS < oracle.latest_at;
        for track in oracle.tracks.values_mut() {
            let over = behind || track.shift_ms != shift_ms;
            track.due_ms = track.due_ms.map(|due_ms| if over { now_ms } else { due_ms.max(now_ms) });
        }
        self.world.restart(place);
        self.world.tick();
    }

    fn send(&mut self, place: usize) {
        if !self.world.nodes[place].up {
            return;
        }
        let to = self.world.id(1 - place);
        let lane = Lane::ALL[usize::try_from(self.draw(4)).expect("small")];
        let acknowledge_within_s = (self.draw(4) == 0).then(|| 60 + u32::try_from(self.draw(7_200)).expect("small"));
        let token = self.world.submit(place, Submission { acknowledge_within_s, ..notice(&to, lane) });
        self.sends.push((place, token));
        self.world.run();
        // Something goes wrong meanwhile, or not.
        for _ in 0..self.draw(3) {
            let event = self.event();
            if !matches!(event, Event::Send(_)) {
                self.put_soon(event);
            }
        }
    }

    /// People answer what was confirmed, or do not.
    fn plan_answers(&mut self) {
        for (place, token) in std::mem::take(&mut self.sends) {
            let Some(Ok(Done::Submitted(ids))) = self.world.nodes[place].replies.get(&token) else { continue };
            let message = ids[0].clone();
            let states: &[&'static str] = match self.draw(8) {
                0 => &[],
                1 => &["seen"],
                2 => &["seen", "acknowledged"],
                3 => &["acknowledged", "approved"],
                4 => &["pending"],
                5 => &["acknowledged", "pending", "denied"],
                6 => &["acknowledged", "acknowledged", "acknowledged"],
                _ => &["approved"],
            };
            let mut at_ms = self.world.monotonic_ms;
            for state in states {
                let longest = [MINUTE_MS, 20 * MINUTE_MS, 2 * HOUR_MS][usize::try_from(self.draw(3)).expect("small")];
                at_ms += self.draw(longest);
                let promised_ms = self.draw(4 * HOUR_MS);
                self.put(at_ms, Event::Answer { message: message.clone(), state, promised_ms });
            }
        }
    }

    fn answer(&mut self, message: &(EnvelopeId, Digest), state: &'static str, promised_ms: u64) {
        let place = self.world.place(&message.0.to);
        if !self.world.nodes[place].up {
            return;
        }
        let mut said = answer(message, state);
        if state == "pending" {
            let until = UnixMillis::new(self.world.wall_of(place).get() + promised_ms);
            let value = json!({"state": "decided", "status": "pending", "until": until});
            let body = from_json("acknowledgement", 1, value).expect("a promise");
            (said.bodies, said.bearing) = (vec![(1, body.bytes.into())], body.summary.bearing);
        }
        // What does not apply any more is declined, and nothing is signed.
        self.world.submit(place, said);
        self.world.run();
    }

    /// Reads what is new in both journals, and looks whether anything is overdue.
    fn look(&mut self) {
        self.plan_answers();
        for place in 0..2 {
            let (now_ms, shift_ms) = (self.world.monotonic_ms, self.world.nodes[place].shift_ms);
            let (oracle, records) = (&mut self.oracle[place], self.world.nodes[place].records());
            for record in &records[oracle.read..] {
                oracle.take(record, now_ms, shift_ms, &mut self.faults);
            }
            oracle.read = records.len();
            if self.world.nodes[place].up {
                let overdue = self.oracle[place].tracks.iter().find(|(_, track)| {
                    track.arrival || track.due_ms.is_some_and(|due_ms| due_ms <= self.world.monotonic_ms)
                });
                assert!(overdue.is_none(), "node {place} at {}: overdue: {overdue:?}", self.world.monotonic_ms);
            } else if !self.plan.values().any(|event| matches!(event, Event::Start(node) if *node == place)) {
                self.put_soon(Event::Start(place));
            }
        }
    }

    /// Every silence that lasts has come to the top of both ladders.
    fn check_ends(&self) {
        for (place, oracle) in self.oracle.iter().enumerate() {
            for (silence, track) in &oracle.tracks {
                assert_eq!((track.step, track.due_ms), (TOP, None), "node {place}: {silence:?} {track:?}");
            }
            // Whatever waits for an answer at one end waits for it at the other, and nothing waits for a machine any more.
            for (silence, lane, seq) in oracle.tracks.keys() {
                let there = match silence {
                    Silence::Received => Silence::Sent,
                    Silence::Sent => Silence::Received,
                    Silence::Undelivered | Silence::Draft => {
                        panic!("node {place}: {lane:?} waits on a network that works")
                    }
                };
                let other = &self.oracle[1 - place].tracks;
                assert!(
                    other.contains_key(&(there, *lane, *seq)),
                    "{silence:?} {lane:?} {seq} is known at one end only"
                );
            }
        }
    }
}
