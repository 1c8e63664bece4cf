//! Random operations: messages, answers, breaks, partial deliveries, crashes before and after the disk, restarts, clocks that
//! jump. Then everything heals, and whatever was confirmed has arrived exactly once and in order.

use crate::pair::{Fault, World, answer, notice_of};
use aldis_core::effect::Done;
use aldis_core::input::Token;
use aldis_core::limits::Limits;
use aldis_core::record::{Outcome, Record};
use aldis_wire::digest::Digest;
use aldis_wire::hello::Hello;
use aldis_wire::ids::EnvelopeId;
use aldis_wire::lane::Lane;
use std::collections::BTreeMap;

const SEEDS: u64 = 200;
const STEPS: usize = 120;

#[test]
fn whatever_was_confirmed_arrives_exactly_once_and_in_order() {
    for seed in 0..SEEDS {
        // A panic anywhere below names its seed.
        let outcome = std::panic::catch_unwind(|| simulate(seed));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}

struct Simulation {
    world: World,
    random: u64,
    /// What was confirmed to the operators, per node.
    confirmed: [Vec<(EnvelopeId, Digest)>; 2],
    asked: Vec<(usize, Token)>,
    /// The Hellos of a link whose ends are not told yet, and who dialled it.
    late: Option<(usize, [Hello; 2])>,
    /// What the journals hold, as far as it was checked.
    seen: [Seen; 2],
    checked: [usize; 2],
}

/// What stands in a journal.
#[derive(Default)]
struct Seen {
    records: usize,
    sent: BTreeMap<(Lane, u64), Digest>,
    received: [Vec<(Digest, Outcome)>; 4],
    /// What was received since the last check.
    new: Vec<(Lane, u64, Digest)>,
    refusals_sent: usize,
}

impl Seen {
    fn read(&mut self, records: &[Record]) {
        for record in &records[self.records..] {
            match record {
                Record::Sent(sent) => {
                    let header = &sent.draft.header;
                    self.sent.insert((header.lane, header.seq.get()), header.digest());
                    self.refusals_sent += usize::from(header.kind.as_str() == "refusal");
                }
                Record::Received(received) => {
                    let header = &received.header;
                    let lane = &mut self.received[header.lane.index()];
                    assert_eq!(
                        header.seq.get(),
                        lane.len() as u64 + 1,
                        "i5: a gap or a duplicate in {:?}",
                        header.lane
                    );
                    lane.push((header.digest(), received.outcome));
                    self.new.push((header.lane, header.seq.get(), header.digest()));
                }
                _ => {}
            }
        }
        self.records = records.len();
    }
}

fn simulate(seed: u64) {
    let limits = Limits { credit_window: 6, held_per_peer: 8, receipt_wait_ms: 20_000, ..Limits::default() };
    let mut world = World::with(2, seed, &limits);
    world.dials = true;
    let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut simulation = Simulation {
        world,
        random,
        confirmed: Default::default(),
        asked: Vec::new(),
        late: None,
        seen: Default::default(),
        checked: [0; 2],
    };
    for _ in 0..STEPS {
        simulation.act();
        simulation.collect();
        simulation.check();
    }
    simulation.heal();
}

impl Simulation {
    fn draw(&mut self, below: usize) -> usize {
        // xorshift64: enough to choose what happens next, and the same everywhere.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random % below as u64).expect("small")
    }

    fn act(&mut self) {
        let place = self.draw(2);
        match self.draw(16) {
            0..=4 => self.submit(place),
            5 => self.answer(place),
            6 => self.world.break_all(),
            7 => {
                let seconds = self.draw(30) as u64;
                self.world.advance(seconds * 1_000);
            }
            8 => drop(self.world.jump()),
            9 => self.partial_turn(place),
            10 => {
                let fault = if self.draw(2) == 0 { Fault::BeforeDisk } else { Fault::AfterDisk };
                self.world.nodes[place].fault = Some(fault);
            }
            11 => self.world.restart(place),
            14 => {
                // The wall clock jumps, forward or back, by up to a day; timers must not care.
                let by = self.draw(2 * 86_400) as u64 * 1_000;
                self.world.wall_ms = (self.world.wall_ms + by).saturating_sub(86_400_000);
            }
            12 | 13 => self.second_link(place),
            _ => {
                self.world.reachable = !self.world.reachable;
                self.world.nodes[place].take_snapshot_if_up();
            }
        }
        if self.draw(3) > 0 {
            self.world.run();
        }
        for place in 0..2 {
            if !self.world.nodes[place].up && self.draw(4) == 0 {
                self.world.restart(place);
            }
        }
    }

    fn submit(&mut self, place: usize) {
        if !self.world.nodes[place].up {
            return;
        }
        let lane = Lane::ALL[self.draw(4)];
        let peer = self.world.id(1 - place);
        let mut submission = notice_of(&peer, lane, &format!("{}", self.asked.len()));
        if self.draw(6) == 0 {
            submission.lifetime_ms = 5_000;
        }
        if self.draw(8) == 0 {
            // A desk the other side does not know, so that it must refuse.
            submission.desk = aldis_wire::codes::Desk(50);
        }
        let token = self.world.submit(place, submission);
        self.asked.push((place, token));
    }

    /// Somebody answers one of the open notices.
    fn answer(&mut self, place: usize) {
        let peer = self.world.id(1 - place);
        let node = &self.world.nodes[place];
        if !node.up {
            return;
        }
        let known = node.core.peer(&peer).expect("enrolled");
        let open: Vec<_> = Lane::ALL
            .into_iter()
            .flat_map(|lane| {
                known.durable.inbound[lane.index()].open.iter().map(move |(seq, open)| (lane, *seq, open.digest))
            })
            .collect();
        if open.is_empty() {
            return;
        }
        let (lane, seq, digest) = open[self.draw(open.len())];
        let seq = aldis_wire::ids::Seq::new(seq).expect("a place");
        let id = EnvelopeId { from: peer, to: self.world.id(place), lane, seq };
        let state = ["seen", "acknowledged", "pending", "approved", "denied"][self.draw(5)];
        let token = self.world.submit(place, answer(&(id, digest), state));
        self.asked.push((place, token));
    }

    /// One node takes a turn while the other stands still.
    fn partial_turn(&mut self, place: usize) {
        if !self.world.nodes[place].up {
            return;
        }
        let mut inputs: Vec<_> = self.world.nodes[place].inbox.drain(..).collect();
        inputs.extend(self.world.arrived(place));
        self.world.step(place, inputs);
    }

    /// The Hellos of a link are signed now, and taken in some steps later; other links may carry mail meanwhile.
    fn second_link(&mut self, dialler: usize) {
        let listener = 1 - dialler;
        if !self.world.nodes.iter().all(|node| node.up) {
            return;
        }
        let Some((dialler, hellos)) = self.late.take() else {
            self.late = Some((dialler, self.world.hellos(dialler, listener)));
            return;
        };
        let current = self.world.hellos(dialler, 1 - dialler);
        // A node that started again has no part in a link of its earlier run.
        if (0..2).any(|side| current[side].incarnation != hellos[side].incarnation) {
            return;
        }
        let link = self.world.open_wire(dialler, 1 - dialler);
        let [first, second] = hellos;
        self.world.link_up_at(1 - dialler, dialler, link, first);
        self.world.link_up_at(dialler, 1 - dialler, link, second);
    }

    fn collect(&mut self) {
        let Self { world, confirmed, asked, .. } = self;
        asked.retain(|(place, token)| match world.nodes[*place].replies.get(token) {
            None => true,
            Some(Ok(Done::Submitted(ids))) => {
                confirmed[*place].extend(ids.iter().cloned());
                false
            }
            Some(_) => false,
        });
    }

    /// What must hold at every moment. Only what is new since the last look is read; nothing of it ever changes.
    fn check(&mut self) {
        for place in 0..2 {
            self.seen[place].read(self.world.nodes[place].records());
        }
        for place in 0..2 {
            let new = std::mem::take(&mut self.seen[place].new);
            let sender = &self.seen[1 - place];
            for (lane, seq, digest) in new {
                let ours = sender.sent.get(&(lane, seq));
                assert_eq!(ours, Some(&digest), "i1: {lane:?}{seq} travelled and is not in its sender's journal");
            }
            // I3: what the sender holds a receipt for is on the receiver's disk.
            let peer = self.world.nodes[1 - place].core.peer(&self.world.id(place)).expect("enrolled");
            for lane in Lane::ALL {
                let out = &peer.durable.out[lane.index()];
                let have = self.seen[place].received[lane.index()].len() as u64;
                assert!(out.receipted_seq() <= have, "i2: {lane:?} receipted to {} of {have}", out.receipted_seq());
                assert!(out.receipted_seq() <= out.last_seq());
            }
            for (id, digest) in &self.confirmed[1 - place][self.checked[1 - place]..] {
                let ours = sender.sent.get(&(id.lane, id.seq.get()));
                assert_eq!(ours, Some(digest), "i1: {id} was confirmed and is lost");
            }
            let mut alarms = self.world.nodes[place].alarms();
            // Clocks jump here, and a start notices.
            alarms.retain(|code| code != "clock-behind-journal");
            assert!(alarms.is_empty(), "{alarms:?}");
        }
        for place in 0..2 {
            self.checked[place] = self.confirmed[place].len();
        }
    }

    /// The network and the machines are well again; nobody writes any more.
    fn heal(&mut self) {
        self.world.reachable = true;
        for place in 0..2 {
            self.world.nodes[place].fault = None;
            if !self.world.nodes[place].up {
                self.world.restart(place);
            }
        }
        self.world.run();
        for _ in 0..400 {
            if self.is_drained() {
                break;
            }
            self.world.jump().expect("something is due while something waits");
        }
        assert!(self.is_drained(), "the lanes drain by themselves");
        self.collect();
        self.check();
        for place in 0..2 {
            for (id, digest) in &self.confirmed[1 - place] {
                let places = &self.seen[place].received[id.lane.index()];
                let at = usize::try_from(id.seq.get() - 1).expect("small");
                assert_eq!(places[at].0, *digest, "{id} arrived, once, at its place");
            }
            assert!(self.world.nodes[place].closed.iter().all(|(_, code)| is_expected(*code)));
            self.world.restart(place);
        }
        self.check_outcomes();
    }

    fn is_drained(&self) -> bool {
        (0..2).all(|place| {
            let peer = self.world.nodes[place].core.peer(&self.world.id(1 - place)).expect("enrolled");
            peer.durable.out.iter().all(|lane| lane.undelivered() == 0)
        })
    }

    /// I8: every refusal has arrived; I5: every body arrived unless its sender says that it expired.
    fn check_outcomes(&self) {
        for place in 0..2 {
            let expired: Vec<(Lane, u64)> = self.world.nodes[1 - place]
                .records()
                .iter()
                .filter_map(|record| match record {
                    Record::Expired(expired) => Some((expired.lane, expired.seq.get())),
                    _ => None,
                })
                .collect();
            let mut refused = 0;
            for lane in Lane::ALL {
                for (seq, (_, outcome)) in (1..).zip(&self.seen[place].received[lane.index()]) {
                    if matches!(outcome, Outcome::Withheld(_)) {
                        assert!(expired.contains(&(lane, seq)), "{lane:?}{seq} came without its body");
                    }
                    assert_ne!(*outcome, Outcome::Held, "nobody lost a record");
                    refused += usize::from(matches!(outcome, Outcome::Refused(_)));
                }
            }
            assert_eq!(refused, self.seen[place].refusals_sent, "every refusal is signed once");
        }
    }
}

fn is_expected(code: aldis_wire::frame::GoodbyeCode) -> bool {
    use aldis_wire::frame::GoodbyeCode;
    [GoodbyeCode::REPLACED, GoodbyeCode::SILENT].contains(&code)
}
