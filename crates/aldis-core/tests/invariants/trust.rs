//! Who is talked to, and that letting somebody in takes two distinct persons.

use crate::pair::{World, notice, person, text};
use aldis_core::Order;
use aldis_core::effect::{Declined, Done};
use aldis_core::input::{Input, Token};
use aldis_core::limits::Limits;
use aldis_core::record::Record;
use aldis_core::trust::{Act, RequestEnd, RequestId, Trust};
use aldis_wire::frame::GoodbyeCode;
use aldis_wire::lane::Lane;
use std::collections::BTreeMap;

const DAY_MS: u64 = 24 * 3_600_000;

/// Every act.
const ACTS: [Act; 6] = [Act::Verify, Act::Suspend, Act::Resume, Act::Revoke, Act::UndoRevoke, Act::AcceptKey];

fn trust(world: &World) -> Trust {
    world.nodes[0].core.peer(&world.id(1)).unwrap().durable.trust
}

fn order(world: &mut World, act: Act, uid: u32) -> Token {
    let token = world.token();
    let order = Order { act, peer: world.id(1), key: None, by: person(uid), why: text("a test") };
    world.nodes[0].inbox.push_back(Input::Administer { token, order: Box::new(order) });
    world.run();
    token
}

fn approve(world: &mut World, request: RequestId, uid: u32) -> Token {
    let token = world.token();
    world.nodes[0].inbox.push_back(Input::Approve { token, request, by: person(uid) });
    world.run();
    token
}

fn requested(world: &World, token: Token) -> RequestId {
    match &world.nodes[0].replies[&token] {
        Ok(Done::Requested(id)) => *id,
        other => panic!("no request: {other:?}"),
    }
}

/// A node that has added its peer and not verified it.
fn pending() -> World {
    World::unverified(2, 0, &Limits::default())
}

#[test]
fn i4_a_pending_peer_is_neither_dialled_nor_sent_to_nor_heard() {
    let mut world = pending();
    assert_eq!(trust(&world), Trust::Pending);
    world.dials = true;
    world.advance(60_000);
    assert!(world.nodes[0].dialled.is_empty(), "a pending peer was dialled");
    let token = world.submit(0, notice(&world.id(1), Lane::Flash));
    world.run();
    assert_eq!(world.nodes[0].declined(token), Declined::NotVerified(world.id(1), Trust::Pending));
    world.connect(0, 1);
    world.run();
    assert!(world.nodes[0].closed.iter().any(|(_, code)| *code == GoodbyeCode::NOT_ADMITTED));
    assert!(world.nodes[0].core.peer(&world.id(1)).unwrap().up().is_none());
}

#[test]
fn letting_in_takes_two_distinct_persons_and_keeping_out_takes_one() {
    let mut world = pending();
    let asked = order(&mut world, Act::Verify, 1);
    let request = requested(&world, asked);
    assert_eq!(trust(&world), Trust::Pending);
    let own = approve(&mut world, request, 1);
    assert_eq!(world.nodes[0].declined(own), Declined::SamePerson(request));
    let again = order(&mut world, Act::Verify, 2);
    assert_eq!(world.nodes[0].declined(again), Declined::RequestOpen(request));
    approve(&mut world, request, 2);
    assert_eq!(trust(&world), Trust::Verified);
    let used = approve(&mut world, request, 3);
    assert_eq!(world.nodes[0].declined(used), Declined::NoSuchRequest(request));
    order(&mut world, Act::Suspend, 1);
    assert_eq!(trust(&world), Trust::Suspended);
    order(&mut world, Act::Revoke, 1);
    assert_eq!(trust(&world), Trust::Revoked);
    let undo = order(&mut world, Act::UndoRevoke, 1);
    let undo = requested(&world, undo);
    approve(&mut world, undo, 2);
    assert_eq!(trust(&world), Trust::Suspended, "where it was before");
}

#[test]
fn a_request_runs_out_and_what_ran_out_or_was_overtaken_lets_nobody_in() {
    let mut world = pending();
    let asked = order(&mut world, Act::Verify, 1);
    let request = requested(&world, asked);
    world.advance(DAY_MS);
    let late = approve(&mut world, request, 2);
    assert_eq!(world.nodes[0].declined(late), Declined::NoSuchRequest(request));
    let ended = |end| move |record: &Record| matches!(record, Record::RequestEnded(ended) if ended.end == end);
    assert!(world.nodes[0].records().iter().any(ended(RequestEnd::Expired)));
    // Also when the approval is looked at before the clock is.
    let asked = order(&mut world, Act::Verify, 1);
    let request = requested(&world, asked);
    world.wall_ms += DAY_MS;
    let late = approve(&mut world, request, 2);
    assert_eq!(world.nodes[0].declined(late), Declined::NoSuchRequest(request));
    assert_eq!(trust(&world), Trust::Pending);
    let asked = order(&mut world, Act::Verify, 1);
    let request = requested(&world, asked);
    order(&mut world, Act::Revoke, 3);
    let overtaken = approve(&mut world, request, 2);
    assert_eq!(world.nodes[0].declined(overtaken), Declined::NoSuchRequest(request));
    assert!(world.nodes[0].records().iter().any(ended(RequestEnd::Overtaken)));
    assert_eq!(trust(&world), Trust::Revoked);
}

#[test]
fn a_request_that_nobody_approves_ends_by_itself() {
    let mut world = pending();
    order(&mut world, Act::Verify, 1);
    world.advance(DAY_MS - 1);
    assert_eq!(world.nodes[0].core.requests().count(), 1);
    let due = world.jump();
    assert!(due.is_some_and(|wait| wait <= 1), "{due:?}");
    assert_eq!(world.nodes[0].core.requests().count(), 0, "it waits for ever");
}

#[test]
fn a_request_survives_a_restart() {
    let mut world = pending();
    let asked = order(&mut world, Act::Verify, 1);
    let request = requested(&world, asked);
    world.restart(0);
    approve(&mut world, request, 2);
    assert_eq!(trust(&world), Trust::Verified);
}

#[test]
fn a_revoked_peer_loses_its_link_and_its_queue_waits_unsent() {
    let mut world = World::new(2);
    world.connect(0, 1);
    world.run();
    order(&mut world, Act::Revoke, 1);
    assert!(world.nodes[0].core.peer(&world.id(1)).unwrap().up().is_none(), "the link was not cut");
    assert_eq!(world.nodes[0].closed.last().unwrap().1, GoodbyeCode::NOT_ADMITTED);
    let token = world.submit(0, notice(&world.id(1), Lane::Routine));
    world.run();
    assert_eq!(world.nodes[0].declined(token), Declined::NotVerified(world.id(1), Trust::Revoked));
    let token = world.submit(1, notice(&world.id(0), Lane::Routine));
    world.run();
    assert!(world.nodes[1].replies[&token].is_ok(), "the other side does not know yet");
    world.connect(1, 0);
    world.run();
    let received = |record: &Record| matches!(record, Record::Received(_));
    assert!(!world.nodes[0].records().iter().any(received), "a revoked peer was heard");
}

#[test]
fn a_single_administrator_site_says_so_for_as_long_as_it_is_one() {
    let limits = Limits { two_persons: false, ..Limits::default() };
    let mut world = World::with(2, 0, &limits);
    let alarm = |world: &World| world.nodes[0].core.alarms().any(|alarm| alarm.code.as_str() == "single-administrator");
    assert!(alarm(&world));
    order(&mut world, Act::Suspend, 1);
    order(&mut world, Act::Resume, 1);
    assert_eq!(trust(&world), Trust::Verified, "one person is enough here");
    world.nodes[0].limits.two_persons = true;
    world.restart(0);
    assert!(!alarm(&world));
}

/// No order of commands makes a key active without two distinct persons: after every command of 10,000 random sequences
/// the journal is read from its beginning by a judge that knows nothing of the core.
#[test]
fn no_order_of_commands_lets_a_peer_in_without_two_persons() {
    let seed = std::env::var("ALDIS_TEST_SEED").map_or(7, |text| text.parse().unwrap());
    let mut random = Random(seed);
    let mut let_in = BTreeMap::<Act, u32>::new();
    for sequence in 0..10_000 {
        let mut world = pending();
        let mut requests: Vec<RequestId> = Vec::new();
        for _ in 0..4 + random.below(16) {
            let uid = 1 + u32::try_from(random.below(3)).unwrap();
            let some = requests.get(usize::try_from(random.below(2 * requests.len() as u64 + 1)).unwrap()).copied();
            match random.below(12) {
                0..=4 => {
                    let act = ACTS[usize::try_from(random.below(6)).unwrap()];
                    let token = order(&mut world, act, uid);
                    if let Ok(Done::Requested(id)) = &world.nodes[0].replies[&token] {
                        requests.push(*id);
                    }
                }
                5..=9 => {
                    // The latest as often as any other, whether it still waits or not.
                    if let Some(request) = some.or(requests.last().copied()) {
                        approve(&mut world, request, uid);
                    }
                }
                10 => {
                    if let Some(request) = some {
                        let token = world.token();
                        world.nodes[0].inbox.push_back(Input::Withdraw { token, request, by: person(uid) });
                        world.run();
                    }
                }
                _ if random.below(2) == 0 => world.advance(random.below(2 * DAY_MS)),
                _ => world.restart(0),
            }
        }
        judge(world.nodes[0].records(), &mut let_in, &format!("seed {seed}, sequence {sequence}"));
    }
    for act in [Act::Verify, Act::Resume, Act::UndoRevoke] {
        assert!(let_in.get(&act).is_some_and(|count| *count > 50), "too few {act:?} to mean anything: {let_in:?}");
    }
}

/// Walks a journal: whoever becomes verified does so by an open, timely request of one person that another approved.
fn judge(records: &[Record], let_in: &mut BTreeMap<Act, u32>, what: &str) {
    let mut open = BTreeMap::new();
    let mut approved = None;
    let mut now = Trust::Pending;
    for (number, record) in records.iter().enumerate() {
        match record {
            Record::Requested(request) => {
                open.insert(number as u64, request.clone());
            }
            Record::RequestEnded(ended) => {
                let request = open.remove(&ended.request.0.0).unwrap_or_else(|| panic!("{what}: ended twice"));
                if ended.end == RequestEnd::Approved {
                    assert!(ended.at < request.expires_at, "{what}: approved after it ran out");
                    approved = Some((request, ended.by.clone().unwrap()));
                }
            }
            Record::TrustChanged(changed) => {
                if changed.act.takes_two() {
                    let (request, second) = approved.take().unwrap_or_else(|| panic!("{what}: nobody approved"));
                    assert_ne!(request.by.uid, second.uid, "{what}: one person twice");
                    assert_eq!((request.act, &request.peer), (changed.act, &changed.peer), "{what}: another act");
                    assert_eq!((Some(&request.by), Some(&second)), (Some(&changed.by), changed.approved_by.as_ref()));
                    *let_in.entry(changed.act).or_default() += 1;
                } else {
                    assert!(changed.trust > Trust::Verified, "{what}: {:?} let a peer in", changed.act);
                }
                assert!(
                    now != Trust::Pending || changed.trust != Trust::Verified || changed.act == Act::Verify,
                    "{what}"
                );
                now = changed.trust;
            }
            _ => {}
        }
    }
}

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}
