//! I9 and what follows: a node that lost history gets it back from its peers, envelope by envelope, after an administrator's
//! word; nothing is signed before both sides agree again, and nothing is done a second time.

use crate::pair::{Fault, Held, World, answer, notice, notice_of, recall, submission, text};
use aldis_core::batch::Entry;
use aldis_core::effect::{Declined, Done};
use aldis_core::hotline::{DeskOrder, Turn};
use aldis_core::input::{Acceptance, Input};
use aldis_core::limits::Limits;
use aldis_core::record::{Received, Record, RecordSeq, RecoveryEnd, RecoveryEnded, Standing};
use aldis_core::trust::Act;
use aldis_wire::digest::Digest;
use aldis_wire::frame::GoodbyeCode;
use aldis_wire::ids::{EnvelopeId, UnixMillis};
use aldis_wire::kinds::from_json;
use aldis_wire::lane::Lane;
use serde_json::json;

const DAY_MS: u64 = 24 * 3_600_000;

/// A world in which people and machines have said all sorts of things to each other.
struct Scene {
    world: World,
    random: u64,
}

impl Scene {
    fn new(count: usize, seed: u64) -> Self {
        let mut world = World::with(count, seed, &Limits { open_per_peer: 10_000, ..crate::pair::calm() });
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
    fn talk(&mut self, rounds: usize) {
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
        let id = EnvelopeId { from, to, lane, seq: aldis_wire::ids::Seq::new(seq).unwrap() };
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
            let found = self.world.nodes[place].records().iter().enumerate().find_map(|(at, record)| match record {
                Record::Received(found) | Record::Recovered(found) if found.header.from == from && fits(found) => {
                    Some((RecordSeq(at as u64), found.clone()))
                }
                _ => None,
            });
            found
        };
        let at = usize::try_from(record.0).unwrap();
        let Record::Received(asked) = &self.world.nodes[place].records()[at] else { return };
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
            text: text("gone"),
            lifetime_ms: DAY_MS,
        };
        let token = self.world.token();
        let input = Input::EraseRecalled { token, acceptance: Box::new(acceptance) };
        self.world.nodes[place].inbox.push_back(input);
    }

    fn turn(&mut self, place: usize, other: usize) {
        let turn = match self.draw(5) {
            0 => Turn::Join,
            1 => Turn::Close,
            2 => Turn::Leave,
            _ => Turn::Line(text(&format!("line {}", self.random))),
        };
        let token = self.world.token();
        let order = DeskOrder { peer: self.world.id(other), turn, author: text("ana"), by: text("uid 7") };
        self.world.nodes[place].inbox.push_back(Input::Hotline { token, order: Box::new(order) });
    }

    /// The machine of `place` is lost and set up from a backup.
    fn lose(&mut self, place: usize, backup: &[Entry]) {
        self.world.crash(place);
        self.world.run();
        self.world.nodes[place].put_back(backup);
        self.world.restart(place);
        self.world.run();
    }

    fn standing(&self, place: usize, other: usize) -> Standing {
        self.world.nodes[place].core.peer(&self.world.id(other)).unwrap().durable.standing
    }

    /// Both administrators of `place` want the history back from `other`; what came of the request.
    fn confirm(&mut self, place: usize, other: usize) -> Result<Done, Declined> {
        let token = self.world.order(place, Act::Recover, other);
        self.world.run();
        self.world.approve_all(place);
        self.world.run();
        self.world.nodes[place].replies[&token].clone()
    }

    fn ended(&self, place: usize) -> Vec<RecoveryEnded> {
        let records = self.world.nodes[place].records().iter();
        let ended = records.filter_map(|record| match record {
            Record::RecoveryEnded(ended) => Some(ended.clone()),
            _ => None,
        });
        ended.collect()
    }

    /// How many envelopes a node has signed, as its journal has it.
    fn signed(&self, place: usize) -> usize {
        self.world.nodes[place].records().iter().filter(|record| matches!(record, Record::Sent(_))).count()
    }

    /// What is open between two nodes, as `place` sees it: per lane what waits for our answer, and what for theirs.
    fn open(&self, place: usize, other: usize) -> Vec<(Vec<u64>, Vec<u64>)> {
        let durable = &self.world.nodes[place].core.peer(&self.world.id(other)).unwrap().durable;
        let keys = |lane: Lane| {
            let ours = durable.out[lane.index()].open.keys().copied().collect();
            (durable.inbound[lane.index()].open.keys().copied().collect(), ours)
        };
        Lane::ALL.map(keys).to_vec()
    }

    /// Everything between two nodes is the same at both ends, but for bodies that one of them has erased.
    fn assert_same(&self, place: usize, other: usize) {
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

#[test]
fn i9_a_day_old_backup_gets_its_history_back_and_signs_nothing_meanwhile() {
    for seed in 0..40 {
        let mut scene = Scene::new(2, seed);
        scene.talk(40);
        let backup = scene.world.nodes[0].backup();
        let since = scene.world.wall_ms;
        scene.talk(80);
        scene.world.advance(DAY_MS);
        let before = scene.world.nodes[0].envelopes_with(&scene.world.id(1));
        let open = scene.open(0, 1);
        let hotline = |scene: &Scene| {
            let known = scene.world.nodes[0].core.peer(&scene.world.id(1)).unwrap();
            known.durable.hotline.as_ref().map(|session| (session.case, session.state, session.lines))
        };
        let said = hotline(&scene);
        scene.lose(0, &backup);
        let signed = scene.signed(0);
        let (alerts, steps) = (scene.world.nodes[0].alerts.len(), scene.signed(1));
        scene.world.connect(0, 1);
        scene.world.run();
        assert_eq!((scene.standing(0, 1), scene.standing(1, 0)), (Standing::WeLostHistory, Standing::PeerLostHistory));
        assert!(scene.ended(0).is_empty(), "nothing is fetched before somebody says so");
        assert_eq!(scene.world.nodes[0].records().iter().filter(|r| matches!(r, Record::Recovered(_))).count(), 0);
        let done = scene.confirm(0, 1);
        assert!(matches!(done, Ok(Done::Requested(_))), "{done:?}");
        let ended = scene.ended(0).pop().expect("it ended");
        assert_eq!(ended.end, RecoveryEnd::Complete, "seed {seed}");
        assert_eq!(
            (scene.signed(0), scene.signed(1)),
            (signed, steps),
            "i9: nothing is signed meanwhile (seed {seed})"
        );
        assert_eq!(scene.world.nodes[0].alerts.len(), alerts, "nobody is alerted a second time");
        let gap = ended.gap.expect("the time that is lost");
        assert!(gap.after <= UnixMillis::new(since) && gap.until == UnixMillis::new(scene.world.wall_ms), "{gap:?}");
        assert!(ended.words().contains(&format!("between {} and {}", gap.after, gap.until)));
        scene.world.connect(0, 1);
        scene.world.run();
        assert_eq!((scene.standing(0, 1), scene.standing(1, 0)), (Standing::Good, Standing::Good), "seed {seed}");
        assert!(scene.world.nodes[0].alarms().is_empty() && scene.world.nodes[1].alarms().is_empty());
        let after = scene.world.nodes[0].envelopes_with(&scene.world.id(1));
        let headers = |kept: &std::collections::BTreeMap<String, crate::pair::Kept>| {
            kept.iter().map(|(id, (header, proof, _))| (id.clone(), header.clone(), proof.clone())).collect::<Vec<_>>()
        };
        assert!(headers(&before) == headers(&after), "seed {seed}: not what it was before");
        scene.assert_same(0, 1);
        assert_eq!(scene.open(0, 1), open, "seed {seed}: something else is open than before");
        assert_eq!(hotline(&scene), said, "seed {seed}");
        let lanes = |scene: &Scene, place: usize, other: usize| {
            let known = scene.world.nodes[place].core.peer(&scene.world.id(other)).unwrap();
            (known.sent_marks(), known.receipted_marks())
        };
        let (sent, receipted) = lanes(&scene, 0, 1);
        assert_eq!(sent, receipted, "the receipt was exchanged");
        scene.talk(30);
        scene.assert_same(0, 1);
        scene.world.restart(0);
        scene.world.restart(1);
    }
}

#[test]
fn i9_of_five_nodes_one_gets_its_history_back_from_all_the_others() {
    for seed in 0..6 {
        let mut scene = Scene::new(5, seed);
        scene.talk(60);
        let backup = scene.world.nodes[2].backup();
        scene.talk(160);
        scene.world.advance(DAY_MS);
        let others: Vec<usize> = (0..5).filter(|other| *other != 2).collect();
        let before: Vec<_> = others.iter().map(|other| scene.open(2, *other)).collect();
        scene.lose(2, &backup);
        let signed = scene.signed(2);
        for other in &others {
            scene.world.connect(2, *other);
        }
        scene.world.run();
        for other in &others {
            if scene.standing(2, *other) == Standing::WeLostHistory {
                scene.confirm(2, *other).expect("there is a history to fetch");
            }
        }
        assert_eq!(scene.signed(2), signed, "i9: nothing is signed meanwhile (seed {seed})");
        for other in &others {
            scene.world.connect(2, *other);
        }
        scene.world.run();
        for (other, open) in others.iter().zip(before) {
            let standing = (scene.standing(2, *other), scene.standing(*other, 2));
            assert_eq!(standing, (Standing::Good, Standing::Good), "seed {seed}, {other}");
            scene.assert_same(2, *other);
            assert_eq!(scene.open(2, *other), open, "seed {seed}, {other}");
        }
        scene.talk(40);
        for place in 0..5 {
            scene.world.restart(place);
        }
    }
}

#[test]
fn i9_a_node_with_an_empty_journal_and_its_old_keys_gets_all_of_it_back() {
    for seed in 0..10 {
        let mut scene = Scene::new(2, seed);
        scene.talk(80);
        scene.world.crash(0);
        scene.world.run();
        scene.world.nodes[0].put_back(&[]);
        scene.world.restart(0);
        let restored = Input::Restored { by: text("ana"), at: UnixMillis::new(scene.world.wall_ms) };
        scene.world.nodes[0].inbox.push_back(restored);
        let (token, card) = (scene.world.token(), Box::new(scene.world.nodes[1].card.clone()));
        scene.world.nodes[0].inbox.push_back(Input::AddPeer { token, card, by: text("ana") });
        scene.world.run();
        scene.world.order(0, Act::Verify, 1);
        scene.world.run();
        scene.world.approve_all(0);
        scene.world.run();
        let cl = scene.world.id(1);
        let token = scene.world.submit(0, notice(&cl, Lane::Flash));
        scene.world.run();
        assert!(
            matches!(scene.world.nodes[0].declined(token), Declined::RecordsDisagree(..)),
            "it would be signed twice"
        );
        assert_eq!(scene.standing(0, 1), Standing::NotCompared);
        assert_eq!(scene.world.nodes[0].alarms(), ["not-compared"]);
        scene.world.connect(0, 1);
        scene.world.run();
        assert_eq!(scene.world.nodes[0].alarms(), ["we-lost-history"]);
        scene.confirm(0, 1).expect("there is a history to fetch");
        let ended = scene.ended(0).pop().expect("it ended");
        assert_eq!(ended.gap.map(|gap| gap.after), Some(UnixMillis::new(0)));
        assert!(ended.words().contains("submitted here before "), "{}", ended.words());
        scene.world.connect(0, 1);
        scene.world.run();
        assert_eq!((scene.standing(0, 1), scene.standing(1, 0)), (Standing::Good, Standing::Good), "seed {seed}");
        scene.assert_same(0, 1);
        scene.talk(20);
    }
}

#[test]
fn i9_a_restored_node_signs_nothing_until_the_peer_has_told_what_it_holds() {
    let mut scene = Scene::new(2, 1);
    scene.talk(20);
    let backup = scene.world.nodes[0].backup();
    scene.lose(0, &backup);
    let restored = Input::Restored { by: text("ana"), at: UnixMillis::new(scene.world.wall_ms) };
    scene.world.nodes[0].inbox.push_back(restored);
    scene.world.run();
    let (signed, cl) = (scene.signed(0), scene.world.id(1));
    for _ in 0..2 {
        let token = scene.world.submit(0, notice(&cl, Lane::Flash));
        scene.world.run();
        assert!(matches!(scene.world.nodes[0].declined(token), Declined::RecordsDisagree(..)));
        assert_eq!(scene.world.nodes[0].alarms(), ["not-compared"]);
        let refused = scene.confirm(0, 1);
        assert!(matches!(refused, Err(Declined::NothingToRecover(..))), "{refused:?}");
        // A restart forgets nothing of that.
        scene.world.restart(0);
        scene.world.run();
    }
    assert_eq!(scene.signed(0), signed);
    // Nothing was lost after all: the peer says so, and all goes on.
    scene.world.connect(0, 1);
    scene.world.run();
    assert_eq!(scene.standing(0, 1), Standing::Good);
    assert!(scene.world.nodes[0].alarms().is_empty());
    let refused = scene.confirm(0, 1);
    assert!(matches!(refused, Err(Declined::NothingToRecover(..))), "{refused:?}");
    let token = scene.world.submit(0, notice(&cl, Lane::Flash));
    scene.world.run();
    scene.world.nodes[0].submitted(token);
}

#[test]
fn i9_what_was_only_received_is_found_lost_by_our_own_receipts() {
    let mut scene = Scene::new(2, 3);
    let (backup, br) = (scene.world.nodes[0].backup(), scene.world.id(0));
    scene.world.submit(1, notice(&br, Lane::Priority));
    scene.world.run();
    scene.lose(0, &backup);
    scene.world.connect(0, 1);
    scene.world.run();
    assert_eq!((scene.standing(0, 1), scene.standing(1, 0)), (Standing::WeLostHistory, Standing::PeerLostHistory));
    scene.confirm(0, 1).expect("there is a history to fetch");
    scene.world.connect(0, 1);
    scene.world.run();
    scene.assert_same(0, 1);
    assert_eq!(scene.world.nodes[0].shown().len(), 1, "shown when it came, and not a second time");
}

#[test]
fn i9_a_recovery_goes_on_where_a_crash_at_any_commit_left_it() {
    for after_disk in [false, true] {
        for crash_at in 0..60 {
            let mut scene = Scene::new(2, 11);
            scene.talk(20);
            let backup = scene.world.nodes[0].backup();
            scene.talk(40);
            let open = scene.open(0, 1);
            scene.lose(0, &backup);
            scene.world.connect(0, 1);
            scene.world.run();
            scene.world.order(0, Act::Recover, 1);
            scene.world.run();
            scene.world.approve_all(0);
            for _ in 0..crash_at {
                scene.world.run_once();
            }
            let fault = if after_disk { Fault::AfterDisk } else { Fault::BeforeDisk };
            scene.world.nodes[0].fault = Some(fault);
            scene.world.run();
            if scene.world.nodes[0].up {
                scene.world.crash(0);
            }
            scene.world.run();
            scene.world.restart(0);
            scene.world.approve_all(0);
            for _ in 0..3 {
                scene.world.connect(0, 1);
                scene.world.run();
            }
            let standing = (scene.standing(0, 1), scene.standing(1, 0));
            assert_eq!(standing, (Standing::Good, Standing::Good), "crash {crash_at}, {after_disk}");
            scene.assert_same(0, 1);
            assert_eq!(scene.open(0, 1), open, "crash {crash_at}, {after_disk}");
        }
    }
}

#[test]
fn i9_both_ends_lose_a_part_and_each_gets_back_what_the_other_has() {
    let mut scene = Scene::new(2, 5);
    scene.talk(20);
    let older = scene.world.nodes[0].backup();
    scene.talk(20);
    let newer = scene.world.nodes[1].backup();
    scene.talk(20);
    scene.lose(1, &newer);
    scene.lose(0, &older);
    for _ in 0..6 {
        scene.world.connect(0, 1);
        scene.world.run();
        for place in 0..2 {
            if scene.standing(place, 1 - place) == Standing::WeLostHistory {
                let _already = scene.confirm(place, 1 - place);
            }
        }
    }
    assert_eq!((scene.standing(0, 1), scene.standing(1, 0)), (Standing::Good, Standing::Good));
    scene.assert_same(0, 1);
    scene.talk(20);
}

/// A node that has lost history, its peer that will answer as `falsify` makes it, and how many records of it came back.
fn hostile(falsify: fn(Vec<Held>) -> Vec<Held>) -> Scene {
    let mut scene = Scene::new(2, 7);
    scene.talk(20);
    let backup = scene.world.nodes[0].backup();
    scene.talk(60);
    scene.lose(0, &backup);
    scene.world.falsify = Some(falsify);
    scene.world.connect(0, 1);
    scene.world.run();
    scene.confirm(0, 1).expect("there is a history to fetch");
    scene
}

fn last_goodbye(scene: &Scene) -> Option<GoodbyeCode> {
    scene.world.nodes[0].closed.last().map(|(_, code)| *code)
}

/// With an honest peer everything comes back.
fn heals(scene: &mut Scene) {
    scene.world.falsify = None;
    for _ in 0..2 {
        let _not_needed_everywhere = scene.confirm(0, 1);
        scene.world.connect(0, 1);
        scene.world.run();
    }
    assert_eq!((scene.standing(0, 1), scene.standing(1, 0)), (Standing::Good, Standing::Good));
    scene.assert_same(0, 1);
}

#[test]
fn i4_bytes_that_do_not_verify_end_the_link_and_nothing_is_taken() {
    let mut scene = hostile(|mut places| {
        for place in &mut places {
            if let Some(bytes) = &mut place.bytes {
                let mut changed = bytes.to_vec();
                let at = changed.len() / 2;
                changed[at] ^= 1;
                *bytes = changed.into();
            }
        }
        places
    });
    assert_eq!(last_goodbye(&scene), Some(GoodbyeCode::DOES_NOT_VERIFY));
    let records = scene.world.nodes[0].records();
    assert!(!records.iter().any(|record| matches!(record, Record::Recovered(_))));
    assert!(records.iter().any(|record| matches!(record, Record::Strike(_))), "it is charged as always");
    assert_eq!(scene.standing(0, 1), Standing::WeLostHistory);
    heals(&mut scene);
}

#[test]
fn i4_an_envelope_that_we_never_signed_is_not_ours_whoever_says_so() {
    // The peer's own envelope in the place of one of ours: it is signed, but not by us.
    let mut scene = hostile(|places| {
        let mut places = places;
        for place in &mut places {
            place.from = aldis_wire::ids::NodeId::new("cert.br").unwrap();
        }
        places
    });
    assert!(
        [Some(GoodbyeCode::DOES_NOT_VERIFY), Some(GoodbyeCode::PROTOCOL_ERROR)].contains(&last_goodbye(&scene)),
        "{:?}",
        last_goodbye(&scene)
    );
    heals(&mut scene);
}

#[test]
fn i5_places_in_another_order_or_unasked_end_the_link() {
    let reversed = |mut places: Vec<Held>| {
        places.reverse();
        places
    };
    let doubled = |places: Vec<Held>| places.iter().flat_map(|place| [place.clone(), place.clone()]).collect();
    let endless = |places: Vec<Held>| {
        let last = places.last().cloned();
        let more =
            last.into_iter().flat_map(|last| (1..500).map(move |more| Held { seq: last.seq + more, ..last.clone() }));
        places.iter().cloned().chain(more).collect()
    };
    let falsifications: [fn(Vec<Held>) -> Vec<Held>; 3] = [reversed, doubled, endless];
    for (number, falsify) in falsifications.into_iter().enumerate() {
        let mut scene = hostile(falsify);
        assert_eq!(last_goodbye(&scene), Some(GoodbyeCode::PROTOCOL_ERROR), "{number}");
        heals(&mut scene);
    }
}

#[test]
fn i8_a_place_that_the_peer_does_not_hold_is_named() {
    let mut scene = hostile(|mut places| {
        for place in &mut places {
            place.bytes = place.bytes.take().filter(|_| place.seq % 3 != 0);
        }
        places
    });
    let ended = scene.ended(0).pop().expect("it ended");
    let RecoveryEnd::NotHeld(id) = &ended.end else { panic!("{ended:?}") };
    assert!(ended.words().contains(&id.to_string()) && ended.words().contains("aldis verify"), "{}", ended.words());
    let alarms: Vec<_> = scene.world.nodes[0].core.alarms().map(|alarm| alarm.text.to_string()).collect();
    assert!(alarms.iter().any(|text| text.contains(&id.to_string())), "{alarms:?}");
    assert_eq!(scene.standing(0, 1), Standing::WeLostHistory);
    heals(&mut scene);
}

#[test]
fn i7_a_peer_that_never_answers_ends_the_link_in_time() {
    let mut scene = hostile(|_| Vec::new());
    let before = scene.world.nodes[0].closed.len();
    for _ in 0..4 {
        scene.world.jump();
    }
    assert!(scene.world.nodes[0].closed[before..].iter().any(|(_, code)| *code == GoodbyeCode::SILENT));
    heals(&mut scene);
}

#[test]
fn i9_what_was_signed_after_the_restore_contradicts_and_says_what_to_do() {
    let mut scene = Scene::new(2, 9);
    scene.talk(20);
    let (backup, cl) = (scene.world.nodes[0].backup(), scene.world.id(1));
    for _ in 0..3 {
        scene.world.submit(0, notice(&cl, Lane::Priority));
        scene.world.run();
    }
    scene.lose(0, &backup);
    scene.world.advance(1_000);
    scene.world.submit(0, notice(&cl, Lane::Priority));
    scene.world.run();
    scene.world.connect(0, 1);
    scene.world.run();
    assert_eq!(scene.standing(0, 1), Standing::WeLostHistory);
    // The peer holds more, so that it shows only when the first of it is here.
    scene.confirm(0, 1).expect("nobody can know yet");
    let ended = scene.ended(0).pop().expect("it ended");
    assert!(matches!(ended.end, RecoveryEnd::Contradicts(_)), "{ended:?}");
    assert!(ended.words().contains("aldis restore"));
    let refused = scene.confirm(0, 1);
    assert!(matches!(refused, Err(Declined::HistoriesContradict(_))), "{refused:?}");
    let signed = scene.signed(0);
    // Restored again, and kept from signing by the marker: all comes back, but for what was signed in between.
    scene.lose(0, &backup);
    let restored = Input::Restored { by: text("ana"), at: UnixMillis::new(scene.world.wall_ms) };
    scene.world.nodes[0].inbox.push_back(restored);
    scene.world.run();
    assert!(scene.signed(0) < signed);
    scene.world.connect(0, 1);
    scene.world.run();
    scene.confirm(0, 1).expect("there is a history to fetch");
    scene.world.connect(0, 1);
    scene.world.run();
    assert_eq!((scene.standing(0, 1), scene.standing(1, 0)), (Standing::Good, Standing::Good));
    scene.assert_same(0, 1);
}

#[test]
fn one_administrator_alone_fetches_nothing_where_the_site_wants_two() {
    let mut scene = Scene::new(2, 2);
    scene.talk(10);
    let backup = scene.world.nodes[0].backup();
    scene.talk(30);
    scene.lose(0, &backup);
    scene.world.connect(0, 1);
    scene.world.run();
    scene.world.order(0, Act::Recover, 1);
    scene.world.run();
    scene.world.advance(60_000);
    let peer = scene.world.nodes[0].core.peer(&scene.world.id(1)).unwrap();
    assert!(peer.recovery().recovery.confirmed.is_none() && !peer.recovery().is_fetching);
    scene.world.approve_all(0);
    scene.world.run();
    let ended = scene.ended(0);
    assert_eq!(ended.len(), 1);
    let confirmed = scene.world.nodes[0].core.peer(&scene.world.id(1)).unwrap().recovery().recovery.confirmed.unwrap();
    assert_eq!((confirmed.by.uid, confirmed.approved_by.map(|person| person.uid)), (1, Some(2)));
}
