//! People and machines that have said all sorts of things to each other, one of whom then loses its disk.

use super::{World, answer, notice_of, recall, submission, text};
use aldis_core::batch::Entry;
use aldis_core::effect::{Declined, Done};
use aldis_core::hotline::{DeskOrder, Turn};
use aldis_core::input::{Acceptance, Input};
use aldis_core::limits::Limits;
use aldis_core::record::{Received, Record, RecordSeq, RecoveryEnded, Standing};
use aldis_core::trust::Act;
use aldis_wire::digest::Digest;
use aldis_wire::ids::{EnvelopeId, Seq, UnixMillis};
use aldis_wire::kinds::from_json;
use aldis_wire::lane::Lane;
use serde_json::json;

const DAY_MS: u64 = 24 * 3_600_000;

/// A world in which people and machines have said all sorts of things to each other.
pub(crate) struct Scene {
    pub(crate) world: World,
    random: u64,
}

impl Scene {
    pub(crate) fn new(count: usize, seed: u64) -> Self {
        Self::with(count, seed, &super::calm())
    }

    /// The same with other limits.
    pub(crate) fn with(count: usize, seed: u64, limits: &Limits) -> Self {
        let mut world = World::with(count, seed, &Limits { open_per_peer: 10_000, ..limits.clone() });
        for place in 0..count {
            for other in place + 1..count {
                world.connect(place, other);
            }
        }
        world.run();
        Self { world, random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    fn draw(&mut self, below: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random % below as u64).expect("small")
    }

    /// Something is said by somebody to somebody.
    pub(crate) fn talk(&mut self, rounds: usize) {
        for _ in 0..rounds {
            let place = self.draw(self.world.nodes.len());
            let other = (place + 1 + self.draw(self.world.nodes.len() - 1)) % self.world.nodes.len();
            let (to, lane) = (self.world.id(other), Lane::ALL[self.draw(4)]);
            match self.draw(12) {
                0..=3 => {
                    let subject = format!("notice {}", self.random);
                    self.world.submit(place, notice_of(&to, lane, &subject));
                }
                4..=6 => self.answer(place, other),
                7 => self.recall(place, other),
                8 => self.accept(place, other),
                9 => {
                    let body = from_json("hotline", 1, json!({"subject": "a worm"})).unwrap();
                    self.world.submit(place, submission(&[to], Lane::Flash, "hotline", &body));
                }
                _ => self.turn(place, other),
            }
            if self.draw(3) > 0 {
                self.world.run();
            }
            let wait_ms = self.draw(4_000) as u64;
            self.world.advance(wait_ms);
        }
        self.world.run();
    }

    fn answer(&mut self, place: usize, other: usize) {
        let (from, to) = (self.world.id(other), self.world.id(place));
        let inbound = &self.world.nodes[place].core.peer(&from).unwrap().durable.inbound;
        let open = Lane::ALL.into_iter().flat_map(|lane| {
            inbound[lane.index()].open.iter().map(move |(seq, open)| (lane, *seq, open.digest, open.recalls.is_some()))
        });
        let open: Vec<_> = open.collect();
        if open.is_empty() {
            return;
        }
        let (lane, seq, digest, recalls) = open[self.draw(open.len())];
        let id = EnvelopeId { from, to, lane, seq: Seq::new(seq).unwrap() };
        let states = ["seen", "acknowledged", if recalls { "denied" } else { "approved" }, "denied"];
        let state = states[self.draw(4)];
        self.world.submit(place, answer(&(id, digest), state));
    }

    /// Any message of `place`: also one that cannot be recalled, so that refusals come back.
    fn recall(&mut self, place: usize, other: usize) {
        let to = self.world.id(other);
        let sent = self.world.nodes[place].records().iter().filter_map(|record| match record {
            Record::Sent(sent) if sent.draft.header.to == to => {
                Some((sent.draft.header.id(), sent.draft.header.digest()))
            }
            _ => None,
        });
        let sent: Vec<(EnvelopeId, Digest)> = sent.collect();
        if !sent.is_empty() {
            let one = sent[self.draw(sent.len())].clone();
            self.world.submit(place, recall(&one));
        }
    }

    /// Erases what a recall of the other's asks for.
    fn accept(&mut self, place: usize, other: usize) {
        let from = self.world.id(other);
        let lanes = &self.world.nodes[place].core.peer(&from).unwrap().durable.inbound;
        let asked = Lane::ALL.into_iter().find_map(|lane| {
            lanes[lane.index()].open.iter().find_map(|(_, open)| Some((lane, open.record, open.recalls?)))
        });
        let Some((lane, record, recalls)) = asked else { return };
        let received = |fits: &dyn Fn(&Received) -> bool| {
            self.world.nodes[place].records().iter().enumerate().find_map(|(at, record)| match record {
                Record::Received(found) | Record::Recovered(found) if found.header.from == from && fits(found) => {
                    Some((RecordSeq(at as u64), found.clone()))
                }
                _ => None,
            })
        };
        let at = usize::try_from(record.0).unwrap();
        let (Record::Received(asked) | Record::Recovered(asked)) = &self.world.nodes[place].records()[at] else {
            return;
        };
        let Some((record, message)) = received(&|found| found.header.lane == lane && found.header.seq == recalls)
        else {
            return;
        };
        let acceptance = Acceptance {
            by: text("rui"),
            author: text("rui"),
            salt: [9; 16],
            recall: asked.header.clone(),
            message: Box::new(message),
            record,
            reached: aldis_wire::codes::Code::known("stored"),
            exported: false,
            looked_at: RecordSeq(self.world.nodes[place].records().len() as u64),
            text: text("gone"),
            lifetime_ms: DAY_MS,
        };
        let token = self.world.token();
        let input = Input::EraseRecalled { token, acceptance: Box::new(acceptance) };
        self.world.nodes[place].inbox.push_back(input);
    }

    fn turn(&mut self, place: usize, other: usize) {
        let known = self.world.nodes[place].core.peer(&self.world.id(other)).unwrap();
        let case = known.durable.hotline.as_ref().map(|session| session.case);
        let turn = match (self.draw(5), case) {
            (1, _) => Turn::Close,
            (2, _) => Turn::Leave,
            (3 | 4, Some(case)) => Turn::Line(case, text(&format!("line {}", self.random))),
            _ => Turn::Join,
        };
        let token = self.world.token();
        let order = DeskOrder { peer: self.world.id(other), turn, author: text("ana"), by: text("uid 7") };
        self.world.nodes[place].inbox.push_back(Input::Hotline { token, order: Box::new(order) });
    }

    /// The machine of `place` is lost and set up from a backup.
    pub(crate) fn lose(&mut self, place: usize, backup: &[Entry]) {
        self.world.crash(place);
        self.world.run();
        self.world.nodes[place].put_back(backup);
        self.world.restart(place);
        self.world.run();
    }

    /// The machine of `place` learns that it was set up from a backup.
    pub(crate) fn mark_restored(&mut self, place: usize) {
        let restored = Input::Restored { by: text("ana"), at: UnixMillis::new(self.world.wall_ms) };
        self.world.nodes[place].inbox.push_back(restored);
        self.world.run();
    }

    /// What came back from `other` to `place`, after both administrators' word; both ends agree then.
    pub(crate) fn get_back(&mut self, place: usize, other: usize) {
        self.world.connect(place, other);
        self.world.run();
        self.confirm(place, other).expect("there is a history to fetch");
        self.world.connect(place, other);
        self.world.run();
        assert_eq!((self.standing(place, other), self.standing(other, place)), (Standing::Good, Standing::Good));
        self.assert_same(place, other);
    }

    pub(crate) fn standing(&self, place: usize, other: usize) -> Standing {
        self.world.nodes[place].core.peer(&self.world.id(other)).unwrap().durable.standing
    }

    /// Both administrators of `place` want the history back from `other`; what came of the request.
    pub(crate) fn confirm(&mut self, place: usize, other: usize) -> Result<Done, Declined> {
        let token = self.world.order(place, Act::Recover, other);
        self.world.run();
        self.world.approve_all(place);
        self.world.run();
        self.world.nodes[place].replies[&token].clone()
    }

    pub(crate) fn ended(&self, place: usize) -> Vec<RecoveryEnded> {
        let records = self.world.nodes[place].records().iter();
        let ended = records.filter_map(|record| match record {
            Record::RecoveryEnded(ended) => Some(ended.clone()),
            _ => None,
        });
        ended.collect()
    }

    /// How many envelopes a node has signed, as its journal has it.
    pub(crate) fn signed(&self, place: usize) -> usize {
        self.world.nodes[place].records().iter().filter(|record| matches!(record, Record::Sent(_))).count()
    }

    /// What is open between two nodes, as `place` sees it: per lane what waits for our answer, and what for theirs.
    pub(crate) fn open(&self, place: usize, other: usize) -> Vec<(Vec<u64>, Vec<u64>)> {
        let durable = &self.world.nodes[place].core.peer(&self.world.id(other)).unwrap().durable;
        let keys = |lane: Lane| {
            let ours = durable.out[lane.index()].open.keys().copied().collect();
            (durable.inbound[lane.index()].open.keys().copied().collect(), ours)
        };
        Lane::ALL.map(keys).to_vec()
    }

    /// Everything between two nodes is the same at both ends, but for bodies that one of them has erased.
    pub(crate) fn assert_same(&self, place: usize, other: usize) {
        let [here, there] = [(place, other), (other, place)]
            .map(|(place, other)| self.world.nodes[place].envelopes_with(&self.world.id(other)));
        assert!(here.keys().eq(there.keys()), "other envelopes: {:?} {:?}", here.keys(), there.keys());
        for (id, (header, proof, body)) in &here {
            let (their_header, their_proof, their_body) = &there[id];
            assert!(header == their_header && proof == their_proof, "i6: {id} is not the same at both ends");
            if let (Some(ours), Some(theirs)) = (body, their_body) {
                assert!(ours == theirs, "{id} has another body");
            }
        }
    }
}
