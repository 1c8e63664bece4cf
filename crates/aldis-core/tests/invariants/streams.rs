//! I5, I6: every stream is gap-free and linked, everything is handled exactly once, a retry is byte-identical.

use crate::pair::{Forged, Wired, World, answer, incident, notice, notice_of};
use aldis_core::effect::Delivery;
use aldis_core::outbound::{OutLane, OutState};
use aldis_core::record::{Outcome, Received, Record, Standing};
use aldis_wire::digest::Digest;
use aldis_wire::envelope::WithheldReason;
use aldis_wire::frame::GoodbyeCode;
use aldis_wire::ids::{Incarnation, Seq};
use aldis_wire::kinds::from_json;
use aldis_wire::lane::{Lane, Marks};
use std::collections::BTreeMap;

#[test]
fn i5_streams_are_linked_by_digest_lane_by_lane() {
    let mut world = World::linked();
    let cl = world.id(1);
    for round in 0..12 {
        world.submit(0, notice(&cl, Lane::ALL[round % 4]));
    }
    world.run();
    let mut last: BTreeMap<Lane, (u64, Digest)> = BTreeMap::new();
    for received in received(&world, 1) {
        let (seq, previous) = last.get(&received.header.lane).copied().unwrap_or((0, Digest::ZERO));
        assert_eq!((received.header.seq.get(), received.header.previous), (seq + 1, previous));
        last.insert(received.header.lane, (seq + 1, received.header.digest()));
    }
    assert_eq!(last.values().map(|(seq, _)| *seq).collect::<Vec<_>>(), [3; 4]);
}

#[test]
fn i5_a_duplicate_gets_a_receipt_again_and_no_second_record() {
    let (mut world, link) = World::with_puppet();
    let (id, _, bytes) = world.seal(world.forged(Lane::Priority));
    for round in 0..3 {
        world.network.take_for(1);
        let input = world.read(0, 1, link, Wired::Envelope(bytes.clone()));
        world.nodes[0].inbox.push_back(input);
        world.run();
        assert_eq!(receipts(&mut world)[0].seq(Lane::Priority), 1, "round {round}");
    }
    assert_eq!(world.nodes[0].shown(), [id]);
    assert_eq!(received(&world, 0).len(), 1);
}

/// What node 0 makes of three ROUTINE and a FLASH of its own, when the receipt that covers the FLASH comes in its turn, or
/// before a receipt and an answer that were said earlier: where the lanes are, what waits, and what people were told.
fn after_receipts(flash_first: bool) -> (Vec<u64>, Vec<(u64, OutState)>, Vec<String>, Vec<String>) {
    let (mut world, _) = World::with_puppet();
    world.allow(10);
    let cl = world.id(1);
    let marks = |world: &World| world.nodes[0].core.peer(&cl).unwrap().sent_marks();
    let routine = |world: &mut World| {
        let token = world.submit(0, notice(&cl, Lane::Routine));
        world.run();
        world.nodes[0].submitted(token).remove(0)
    };
    let (first, second) = (routine(&mut world), routine(&mut world));
    let earlier = marks(&world);
    routine(&mut world);
    world.submit(0, notice(&cl, Lane::Flash));
    world.run();
    let later = marks(&world);
    if flash_first {
        world.receipt(later.clone());
    }
    world.receipt(earlier);
    for (about, state) in [(&first, "seen"), (&second, "acknowledged")] {
        let mut forged = world.forged(Lane::Routine);
        let body = from_json("acknowledgement", 1, serde_json::json!({ "state": state })).unwrap();
        forged.answers(about, &body);
        world.inject(forged);
    }
    if !flash_first {
        world.receipt(later);
    }
    let out = &world.nodes[0].core.peer(&cl).unwrap().durable.out;
    let open = out.iter().flat_map(|lane| lane.open.iter().map(|(seq, open)| (*seq, open.state)));
    let mut told: Vec<String> = world.nodes[0].deliveries().iter().map(|told| format!("{told:?}")).collect();
    told.sort();
    (out.iter().map(OutLane::receipted_seq).collect(), open.collect(), told, world.nodes[0].all_alarms())
}

#[test]
fn i14_a_receipt_of_a_flash_may_overtake_whatever_the_peer_said_before_it() {
    let (receipted, open, told, alarms) = after_receipts(true);
    assert_eq!((receipted.as_slice(), open.len(), alarms.len()), ([1, 0, 0, 3].as_slice(), 4, 0));
    assert_eq!((receipted, open, told, alarms), after_receipts(false));
}

#[test]
fn i5_a_replay_after_restart_is_a_duplicate_still() {
    let (mut world, _) = World::with_puppet();
    let mut all = Vec::new();
    for _ in 0..3 {
        let (_, _, bytes) = world.seal(world.forged(Lane::Flash));
        all.push(bytes.clone());
        let link = world.network.open_at(0)[0];
        let input = world.read(0, 1, link, Wired::Envelope(bytes));
        world.nodes[0].inbox.push_back(input);
        world.run();
    }
    world.nodes[0].take_snapshot();
    world.restart(0);
    let link = world.puppet_up(|_| ());
    for bytes in all {
        let input = world.read(0, 1, link, Wired::Envelope(bytes));
        world.nodes[0].inbox.push_back(input);
        world.run();
    }
    assert_eq!(received(&world, 0).len(), 3);
    assert!(world.nodes[0].closed.is_empty());
}

#[test]
fn i5_a_duplicate_of_a_refused_envelope_is_not_refused_again() {
    let (mut world, link) = World::with_puppet();
    let mut forged = world.forged(Lane::Priority);
    forged.carry("poem", b"roses");
    let (_, _, bytes) = world.seal(forged);
    for _ in 0..3 {
        let input = world.read(0, 1, link, Wired::Envelope(bytes.clone()));
        world.nodes[0].inbox.push_back(input);
        world.run();
    }
    let sent = world.nodes[0].records().iter().filter(|record| matches!(record, Record::Sent(_))).count();
    assert_eq!(sent, 1);
}

#[test]
fn i5_a_gap_takes_no_place_and_ends_the_link() {
    let (mut world, link) = World::with_puppet();
    let mut forged = world.forged(Lane::Priority);
    forged.header.seq = Seq::new(3).unwrap();
    forged.header.previous = Digest::of(&[b"unseen"]);
    world.inject(forged);
    assert!(received(&world, 0).is_empty());
    assert_eq!(world.nodes[0].closed, [(link, GoodbyeCode::RECORDS_DISAGREE)]);
}

#[test]
fn i5_every_verified_envelope_takes_its_place_and_is_receipted() {
    let (mut world, _) = World::with_puppet();
    let withheld = |forged: &mut Forged| forged.withheld = Some(WithheldReason::EXPIRED);
    let unknown_desk = |forged: &mut Forged| forged.header.desk = aldis_wire::codes::Desk(99);
    let malformed = |forged: &mut Forged| _ = forged.carry("incident", b"\xff");
    let unknown = |forged: &mut Forged| _ = forged.carry("poem", b"");
    let version = |forged: &mut Forged| forged.header.kind_version = 9;
    let expired = |forged: &mut Forged| forged.header.expires_at = aldis_wire::ids::UnixMillis::new(1);
    let edits: [&dyn Fn(&mut Forged); 7] =
        [&withheld, &unknown_desk, &malformed, &unknown, &version, &expired, &|_| ()];
    for (count, edit) in (1..).zip(edits) {
        world.network.take_for(1);
        let mut forged = world.forged(Lane::Priority);
        edit(&mut forged);
        world.inject(forged);
        let receipts = receipts(&mut world);
        assert_eq!(receipts.last().map(|marks| marks.seq(Lane::Priority)), Some(count), "edit {count}");
    }
    let outcomes: Vec<bool> = received(&world, 0).iter().map(|one| one.outcome == Outcome::Accepted).collect();
    assert_eq!(outcomes, [false, false, false, false, false, true, true], "only the sender acts on an expiry");
    assert!(world.nodes[0].closed.is_empty());
}

#[test]
fn i5_a_contradiction_within_one_run_is_equivocation_and_quarantines() {
    let (mut world, link) = World::with_puppet();
    world.inject(world.forged(Lane::Priority));
    let (mut first, mut second) = (world.forged(Lane::Priority), world.forged(Lane::Priority));
    first.carry("incident", &incident("one story").bytes);
    second.carry("incident", &incident("another story").bytes);
    let (_, other) = world.inject(first);
    let (_, digest) = world.inject(second);
    assert_ne!(other, digest);
    let id = world.id(1);
    assert_eq!(world.nodes[0].core.peer(&id).unwrap().durable.standing, Standing::Quarantined);
    assert_eq!(world.nodes[0].alarms(), ["quarantined"]);
    assert_eq!(world.nodes[0].closed, [(link, GoodbyeCode::RECORDS_DISAGREE)]);
    // Both signatures are in the journal and verify for anybody.
    let records = world.nodes[0].records();
    let evidence = records.iter().find_map(|record| match record {
        Record::Standing(changed) => changed.evidence.clone(),
        _ => None,
    });
    let (header, proof) = evidence.unwrap();
    assert_eq!(header.digest(), digest);
    let proof = aldis_wire::codec::decode(&proof).unwrap();
    aldis_wire::proof::ProofVerifier::default().verify(&world.nodes[1].key.public(), &header, &proof).unwrap();
    assert!(received(&world, 0).iter().any(|received| received.header.digest() == other));
    assert_eq!(received(&world, 0).len(), 2, "the second story takes no place");
}

#[test]
fn i5_quarantine_is_final_whatever_the_peer_sends() {
    let (mut world, _) = World::with_puppet();
    world.inject(world.forged(Lane::Priority));
    let mut forged = world.forged(Lane::Priority);
    forged.header.previous = Digest::of(&[b"another history"]);
    world.inject(forged);
    let id = world.id(1);
    let standing = |world: &World| world.nodes[0].core.peer(&id).unwrap().durable.standing;
    assert_eq!(standing(&world), Standing::Quarantined);
    // A receipt for what was never sent must not turn the quarantine into something that heals.
    world.puppet_up(|_| ());
    let mut marks = Marks::default();
    marks.set(Lane::Flash, Seq::new(5).unwrap(), Digest::of(&[b"x"]));
    world.receipt(marks);
    assert_eq!(standing(&world), Standing::Quarantined);
    world.puppet_up(|_| ());
    assert_eq!(standing(&world), Standing::Quarantined);
    assert_eq!(world.nodes[0].alarms(), ["quarantined"]);
    let before = received(&world, 0).len();
    world.inject(world.forged(Lane::Flash));
    assert_eq!(received(&world, 0).len(), before, "nothing is taken in from a quarantined peer");
    let token = world.submit(0, notice(&id, Lane::Flash));
    world.run();
    assert!(world.nodes[0].declined(token).to_string().contains("quarantined"));
}

#[test]
fn i5_a_contradiction_of_another_run_is_a_restored_backup() {
    let (mut world, _) = World::with_puppet();
    world.inject(world.forged(Lane::Priority));
    let mut forged = world.forged(Lane::Priority);
    forged.header.incarnation = Incarnation(78);
    forged.header.previous = Digest::of(&[b"another history"]);
    world.inject(forged);
    let id = world.id(1);
    assert_eq!(world.nodes[0].core.peer(&id).unwrap().durable.standing, Standing::PeerLostHistory);
    assert_eq!(world.nodes[0].alarms(), ["peer-lost-history"]);
    world.puppet_up(|_| ());
    assert!(world.nodes[0].alarms().is_empty(), "the marks agree again");
    assert_eq!(world.nodes[0].core.peer(&id).unwrap().durable.standing, Standing::Good);
}

#[test]
fn i6_a_retry_is_byte_identical() {
    let mut world = World::new(2);
    let cl = world.id(1);
    world.nodes[1].puppet = true;
    world.puppet_up(|_| ());
    world.allow(100);
    for round in 0..8 {
        world.submit(0, notice_of(&cl, Lane::ALL[round % 4], &format!("notice {round}")));
        if round % 3 == 0 {
            world.run();
        }
    }
    world.run();
    let first: BTreeMap<_, _> =
        world.nodes[0].transmitted.drain(..).map(|(lane, seq, bytes)| ((lane, seq), bytes)).collect();
    assert_eq!(first.len(), 8);
    for restart in [false, true, true] {
        if restart {
            world.restart(0);
        }
        world.puppet_up(|_| ());
        world.allow(100);
        let again: BTreeMap<_, _> =
            world.nodes[0].transmitted.drain(..).map(|(lane, seq, bytes)| ((lane, seq), bytes)).collect();
        assert!(again == first, "header, body and proof come from the journal as they were");
    }
}

#[test]
fn i5_what_expired_before_it_was_relayed_goes_without_its_body_and_the_lane_goes_on() {
    let mut world = World::new(2);
    let cl = world.id(1);
    let mut ids = Vec::new();
    for (round, lifetime_ms) in [3_600_000, 1_000, 3_600_000].into_iter().enumerate() {
        let mut submission = notice_of(&cl, Lane::Priority, &format!("notice {round}"));
        submission.lifetime_ms = lifetime_ms;
        let token = world.submit(0, submission);
        world.run();
        ids.extend(world.nodes[0].submitted(token));
    }
    let waited = world.jump().expect("dials and expiries are due");
    assert!(waited <= 2_000, "the expiry is a deadline: {waited}");
    world.advance(2_000);
    assert!(world.nodes[0].deliveries().contains(&(ids[1].0.clone(), Delivery::Expired)));
    world.connect(0, 1);
    world.run();
    let outcomes: Vec<Outcome> = received(&world, 1).iter().map(|received| received.outcome).collect();
    assert_eq!(outcomes, [Outcome::Accepted, Outcome::Withheld(WithheldReason::EXPIRED.0), Outcome::Accepted]);
    let bodies: Vec<bool> = world.nodes[1]
        .journal
        .iter()
        .zip(world.nodes[1].records())
        .filter(|(_, record)| matches!(record, Record::Received(_)))
        .map(|(entry, _)| entry.body.is_some())
        .collect();
    assert_eq!(bodies, [true, false, true]);
    let out = &world.nodes[0].core.peer(&cl).unwrap().durable.out[Lane::Priority.index()];
    assert_eq!(out.receipted_seq(), 3);
    assert_eq!(out.open.keys().copied().collect::<Vec<_>>(), [1, 3], "nobody will answer what was withheld");
}

#[test]
fn i8_an_answer_never_expires_so_that_nobody_waits_for_ever_for_one_that_was_given() {
    let mut world = World::linked();
    let cl = world.id(1);
    let token = world.submit(0, notice(&cl, Lane::Priority));
    world.run();
    let [sent]: [_; 1] = world.nodes[0].submitted(token).try_into().unwrap();
    world.break_all();
    world.run();
    world.submit(1, answer(&sent, "approved"));
    world.run();
    world.wall_ms += 400 * 24 * 3_600_000;
    world.advance(2_000);
    world.connect(0, 1);
    world.run();
    let decided = Delivery::Decided(aldis_wire::codes::Code::known("approved"));
    assert!(world.nodes[0].deliveries().contains(&(sent.0, decided)));
}

#[test]
fn i5_what_was_handed_to_a_link_no_longer_expires_whatever_becomes_of_link_and_process() {
    let (mut world, _) = World::with_puppet();
    let cl = world.id(1);
    world.allow(10);
    let mut submission = notice(&cl, Lane::Flash);
    submission.lifetime_ms = 1_000;
    world.submit(0, submission);
    world.run();
    // The other side may have it: the sender must not say that it expired.
    world.break_all();
    world.run();
    world.restart(0);
    world.advance(60_000);
    assert!(!world.nodes[0].deliveries().iter().any(|(_, to)| *to == Delivery::Expired));
    world.puppet_up(|_| ());
    world.allow(10);
    let (_, _, first) = &world.nodes[0].transmitted[0];
    let (_, _, again) = &world.nodes[0].transmitted[1];
    assert_eq!(first, again, "it goes again as it was");
}

fn received(world: &World, place: usize) -> Vec<Received> {
    let records = world.nodes[place].records().iter();
    let received = records.filter_map(|record| match record {
        Record::Received(received) => Some(received),
        _ => None,
    });
    received.cloned().collect()
}

/// What the receipts on their way to the puppet say is stored.
fn receipts(world: &mut World) -> Vec<Marks> {
    let frames = world.network.take_for(1).into_iter();
    let receipts = frames.filter_map(|frame| match frame {
        Wired::Receipt(bytes) => Some(aldis_wire::receipt::Receipt::from_journal(&bytes).unwrap().stored),
        _ => None,
    });
    receipts.collect()
}
