//! Many cores under everything at once: a network that cuts, doubles, delays and reorders; disks that lose, tear, fill up
//! and fail; processes that end between any two effects; clocks that jump a year or stand still; keys that change,
//! peers that are put aside, an older copy of a disk, a peer that signs two histories. A judge that reads only the
//! journals and what leaves the nodes asks I1 to I14 after every turn of every node. Then everything heals, and whatever
//! was confirmed has arrived once and in order, and both ends agree about it.

mod coverage;
mod faults;
mod files;
mod heal;
mod invariants;
mod ledger;
mod oracle;
mod traffic;

use crate::pair::{Channels, World};
use aldis_core::input::Token;
use aldis_core::limits::{Discipline, Limits};
use aldis_core::record::DraftId;
use aldis_wire::card::KindVersions;
use aldis_wire::codec::List;
use aldis_wire::codes::Code;
use aldis_wire::digest::Digest;
use aldis_wire::hello::Hello;
use aldis_wire::ids::EnvelopeId;
use coverage::Coverage;
use oracle::Oracle;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

const SEEDS: u64 = 1_000;
/// Seeds beyond those that showed a fault once.
const FOUND: [u64; 3] = [1_031, 1_047, 1_091];
const DAYS: u64 = 30;
const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
/// Times in which much happens, and how much in each.
const BURSTS: u64 = 10;
const ACTS: u64 = 12;
/// A kind that every card names and no program here knows, as if a newer one had written the cards.
const NEWER_KIND: &str = "forecast";

thread_local! {
    static EVENT: Cell<u64> = const { Cell::new(0) };
}

#[test]
fn i1_to_i14_hold_for_many_cores_under_every_fault_and_all_heals() {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().expect("a number"));
    if let Some(seed) = number("ALDIS_SIMULATION_SEED") {
        let coverage = simulate(seed);
        println!("{} events\n{coverage}", EVENT.get());
        return;
    }
    let seeds = number("ALDIS_SIMULATION_SEEDS").unwrap_or(SEEDS);
    let all: Vec<u64> = (0..seeds).chain(FOUND.into_iter().filter(|seed| *seed >= seeds)).collect();
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).min(8);
    let coverage = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|worker| {
                let seeds = all.iter().skip(worker).step_by(workers);
                scope.spawn(move || seeds.fold(Coverage::default(), |coverage, seed| coverage.and(simulate(*seed))))
            })
            .collect();
        let run = threads.into_iter().map(|thread| thread.join().expect("a seed failed; it is printed above"));
        run.fold(Coverage::default(), Coverage::and)
    });
    println!("{seeds} seeds of {DAYS} days, {} pair-years at least\n{coverage}", seeds * DAYS / 365);
    coverage.check();
}

fn simulate(seed: u64) -> Coverage {
    let outcome = std::panic::catch_unwind(|| Simulation::new(seed).live());
    outcome.unwrap_or_else(|_| {
        let (event, invariant) = (EVENT.get(), invariants::asked());
        panic!(
            "seed {seed}, event {event}, last asked {invariant}; repeat it with\n  ALDIS_SIMULATION_SEED={seed} cargo test \
             -p aldis-core --test invariants i1_to_i14 -- --nocapture"
        )
    })
}

/// What is planned to happen.
#[derive(Clone, Copy, Debug)]
enum Event {
    Traffic,
    Fault,
    LateLink,
    Start(usize),
    /// A link between two nodes works again, and what was lost meanwhile with it or not.
    Mend(usize, usize, bool),
    Calm(usize),
    Clock(usize),
    Room(usize),
    Admit(usize, usize),
    Equivocate,
    Restore(usize),
}

struct Simulation {
    world: World,
    random: u64,
    plan: BTreeMap<(u64, u64), Event>,
    planned: u64,
    events: u64,
    oracle: Oracle,
    coverage: Coverage,
    /// Submissions whose replies have not come.
    asked: Vec<(usize, Token)>,
    /// Drafts that wait, and where.
    drafts: Vec<(usize, DraftId)>,
    /// What was confirmed, for whoever answers or recalls it.
    said: Vec<(EnvelopeId, Digest)>,
    /// The Hellos of a link whose ends are not told yet, and who dialled it.
    late: Option<(usize, usize, [Hello; 2])>,
    terms: u64,
    /// Who must notice that an older copy of a disk was restored.
    noticing: Vec<usize>,
    /// Whether it tells what happens, because one seed alone is looked at.
    tells: bool,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let puppet = seed % 16 == 5;
        let count = match seed % 10 {
            _ if puppet => 3,
            3 => 3 + usize::try_from(draw(&mut random, 3)).expect("small"),
            _ => 2,
        };
        let mut world = World::with(count, seed, &limits(puppet));
        world.dial_from_now_on();
        world.own_cards = true;
        world.taps = Some(Vec::new());
        let mut oracle = Oracle::new(&world);
        if puppet {
            world.nodes[2].puppet = true;
            oracle.puppet = Some(2);
        }
        let mut simulation = Self {
            world,
            random,
            plan: BTreeMap::new(),
            planned: 0,
            events: 0,
            oracle,
            coverage: Coverage::default(),
            asked: Vec::new(),
            drafts: Vec::new(),
            said: Vec::new(),
            late: None,
            terms: 0,
            noticing: Vec::new(),
            tells: std::env::var_os("ALDIS_SIMULATION_SEED").is_some(),
        };
        simulation.begin(seed, count, puppet);
        simulation
    }

    fn begin(&mut self, seed: u64, count: usize, puppet: bool) {
        if count > 2 {
            self.coverage.note("mesh: more than two nodes");
        }
        for place in 0..count {
            // Each recovery is compared with a replay; to compare each commit as well would cost most of the time.
            self.world.nodes[place].replays = seed.is_multiple_of(50);
            self.name_newer_kind(place);
        }
        for _ in 0..BURSTS {
            let begin_ms = self.draw((DAYS - 2) * DAY_MS);
            let length_ms = [MINUTE_MS, HOUR_MS, 6 * HOUR_MS][self.pick(3)];
            for _ in 0..ACTS {
                let at_ms = begin_ms + self.draw(length_ms);
                let event = if self.draw(3) == 0 { Event::Fault } else { Event::Traffic };
                self.put(at_ms, event);
            }
        }
        if puppet {
            let at_ms = self.draw(20 * DAY_MS);
            self.put(at_ms, Event::Equivocate);
        } else if seed % 8 == 1 {
            let place = self.pick(count);
            self.put((DAYS - 1) * DAY_MS, Event::Restore(place));
        }
        self.run();
    }

    /// Its card says that the node reads a kind that it does not know.
    fn name_newer_kind(&mut self, place: usize) {
        let node = &mut self.world.nodes[place];
        let mut card = node.card.card().clone();
        let mut kinds: Vec<KindVersions> = card.kinds.iter().cloned().collect();
        kinds.push(KindVersions { kind: Code::known(NEWER_KIND), versions: List::new(vec![1]).expect("short") });
        kinds.sort_by(|one, other| one.kind.as_str().cmp(other.kind.as_str()));
        card.kinds = List::new(kinds).expect("few");
        card.sequence += 1;
        node.card = card.sign(&node.key);
        self.tell_own_card(place);
    }

    fn draw(&mut self, below: u64) -> u64 {
        draw(&mut self.random, below)
    }

    fn pick(&mut self, below: usize) -> usize {
        usize::try_from(self.draw(below as u64)).expect("small")
    }

    /// A node that lives.
    fn node(&mut self) -> usize {
        let count = self.world.nodes.len() - usize::from(self.oracle.puppet.is_some());
        self.pick(count)
    }

    /// Another one that lives.
    fn other(&mut self, place: usize) -> usize {
        loop {
            let other = self.node();
            if other != place {
                return other;
            }
        }
    }

    fn put(&mut self, at_ms: u64, event: Event) {
        self.planned += 1;
        self.plan.insert((at_ms, self.planned), event);
    }

    /// Within a time from now.
    fn put_within(&mut self, within_ms: u64, event: Event) {
        let at_ms = self.world.monotonic_ms + self.draw(within_ms);
        self.put(at_ms, event);
    }

    fn live(mut self) -> Coverage {
        while let Some(((at_ms, _), event)) = self.plan.pop_first() {
            self.wait_until(at_ms);
            if self.tells {
                println!("event {} at {} s: {event:?}", self.events, self.world.monotonic_ms / SECOND_MS);
            }
            self.happen(event);
            self.run_now_or_later();
        }
        self.wait_until(DAYS * DAY_MS);
        self.heal();
        self.coverage
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Traffic => self.say_something(),
            Event::Fault => self.break_something(),
            Event::LateLink => self.late_link(),
            Event::Start(place) => self.start(place),
            Event::Mend(from, to, lost) => self.mend(from, to, lost),
            Event::Calm(place) => self.world.nodes[place].channels = Channels::Work,
            Event::Clock(place) => self.set_clock(place, 0),
            Event::Room(place) => self.world.nodes[place].room = None,
            Event::Admit(place, other) => self.admit(place, other),
            Event::Equivocate => self.equivocate(),
            Event::Restore(place) => self.restore_older_copy(place),
        }
    }

    /// Lets time pass, deadline by deadline.
    fn wait_until(&mut self, at_ms: u64) {
        while self.world.monotonic_ms < at_ms {
            let next_ms = self.world.first_deadline_ms();
            let next_ms = next_ms.map_or(at_ms, |next_ms| next_ms.clamp(self.world.monotonic_ms + 1, at_ms));
            // What is due by a clock that stands still is due for ever: nobody is asked without end.
            let still = self.world.nodes.iter().any(|node| node.frozen.is_some());
            let least_ms = if still { self.world.monotonic_ms + MINUTE_MS } else { 0 };
            let next_ms = next_ms.max(least_ms.min(at_ms));
            let gone_ms = next_ms - self.world.monotonic_ms;
            (self.world.monotonic_ms, self.world.wall_ms) = (next_ms, self.world.wall_ms + gone_ms);
            for place in 0..self.world.nodes.len() {
                self.world.step(place, Vec::new());
            }
            self.look();
            self.run();
        }
    }

    /// Often several things happen before anybody takes a turn.
    fn run_now_or_later(&mut self) {
        match self.draw(4) {
            0 => {
                let place = self.node();
                if self.world.busy().contains(&place) {
                    self.world.take_turn(place);
                    self.look();
                }
            }
            1 => {}
            _ => self.run(),
        }
    }

    /// Runs until nobody has anything to do; the judge looks after every turn.
    fn run(&mut self) {
        for _ in 0..10_000 {
            let busy = self.world.busy();
            if busy.is_empty() {
                self.world.network.tidy();
                return self.look();
            }
            for place in busy {
                self.note_dry(place);
                self.world.take_turn(place);
                self.look();
            }
        }
        panic!("i7: the nodes never come to rest");
    }

    /// The judge looks; whoever has ended starts again some time later.
    fn look(&mut self) {
        self.events += 1;
        EVENT.set(self.events);
        self.oracle.look(&mut self.world, &mut self.coverage);
        self.collect();
        self.coverage.add("count: turns", 1);
        for place in 0..self.world.nodes.len() {
            let planned = |event: &Event| matches!(event, Event::Start(node) if *node == place);
            if !self.world.nodes[place].up && !self.plan.values().any(planned) {
                self.put_within(2 * HOUR_MS, Event::Start(place));
            }
        }
    }
}

fn limits(puppet: bool) -> Limits {
    let ladder = Arc::new(crate::ladder::ladder());
    let discipline = Discipline { release_red: true, ..Discipline::default() };
    Limits {
        ladder,
        discipline,
        credit_window: 6,
        held_per_peer: 8,
        open_per_peer: 60,
        refusals_per_peer: 60,
        receipt_wait_ms: 20 * SECOND_MS,
        // A puppet never dials back, so it would be dialled for thirty days.
        retry_max_ms: if puppet { 6 * HOUR_MS } else { 30 * MINUTE_MS },
        ..Limits::default()
    }
}

fn draw(random: &mut u64, below: u64) -> u64 {
    // xorshift64: enough to choose what happens next, and the same everywhere.
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    *random % below
}
