//! Exports: that messages left the node's care is on record before they do, and a tombstone never says less than that.

use crate::pair::{World, notice, text};
use crate::recalls::{acceptance, asked, hand_in, received};
use aldis_core::effect::{Declined, Done, ExportFault};
use aldis_core::input::{Input, Token};
use aldis_core::record::{EXPORTED_MAX, Exported, Record, RecordSeq};
use aldis_wire::envelope::Body;
use aldis_wire::ids::{EnvelopeId, NodeId, Seq};
use aldis_wire::kinds::Tombstone;
use aldis_wire::lane::Lane;

fn export(world: &mut World, place: usize, messages: Vec<EnvelopeId>, bodies: bool) -> Token {
    let token = world.token();
    world.nodes[place].inbox.push_back(Input::Export { token, messages, bodies, by: text("rui") });
    world.run();
    token
}

fn exported(world: &World, place: usize) -> Vec<Exported> {
    let records = world.nodes[place].records().iter();
    let exported = records.filter_map(|record| match record {
        Record::Exported(exported) => Some(exported.clone()),
        _ => None,
    });
    exported.collect()
}

fn said_in_the_tombstone(world: &World) -> bool {
    let (record, _) = received(world, 0).pop().unwrap();
    let Some(Body::Present { bytes, .. }) = &world.nodes[0].journal[record].body else { panic!("no body") };
    aldis_wire::codec::decode::<Tombstone>(bytes).unwrap().exported
}

#[test]
fn i1_an_export_is_confirmed_only_after_it_is_on_record() {
    let mut world = World::linked();
    let cl = world.id(1);
    let token = world.submit(0, notice(&cl, Lane::Priority));
    world.run();
    let (id, _) = world.nodes[0].submitted(token).remove(0);
    let token = export(&mut world, 1, vec![id.clone()], true);
    assert_eq!(world.nodes[1].replies[&token], Ok(Done::Exported));
    let [record] = exported(&world, 1).try_into().unwrap();
    assert_eq!((record.messages.to_vec(), record.bodies, record.by.as_str()), (vec![id.clone()], true, "rui"));
    assert_eq!(record.at, world.wall_of(1));
    let token = export(&mut world, 0, vec![id], false);
    assert_eq!(world.nodes[0].replies[&token], Ok(Done::Exported), "what went out can be given out too");
    world.restart(1);
}

#[test]
fn i7_an_export_names_at_least_one_message_and_at_most_a_thousand_each_once_and_its_own() {
    let mut world = World::new(2);
    let id = |seq| EnvelopeId { from: world.id(1), to: world.id(0), lane: Lane::Routine, seq: Seq::new(seq).unwrap() };
    let many = |count: usize| (1..=u64::try_from(count).unwrap()).map(id).collect::<Vec<_>>();
    let foreign = EnvelopeId { to: NodeId::new("cert.uy").unwrap(), ..id(1) };
    let faults = [
        (Vec::new(), ExportFault::Nothing),
        (many(EXPORTED_MAX + 1), ExportFault::TooMany(EXPORTED_MAX + 1)),
        (vec![id(1), id(2), id(1)], ExportFault::Twice),
        (vec![id(1), foreign], ExportFault::NotOurs),
    ];
    let most = many(EXPORTED_MAX);
    for (messages, fault) in faults {
        let token = export(&mut world, 0, messages, true);
        assert_eq!(world.nodes[0].declined(token), Declined::Export(fault));
    }
    assert!(exported(&world, 0).is_empty());
    let token = export(&mut world, 0, most, true);
    assert_eq!(world.nodes[0].replies[&token], Ok(Done::Exported));
}

#[test]
fn a_tombstone_says_that_the_message_was_given_out() {
    for exported in [false, true] {
        let (mut world, sent, asked) = asked();
        let acceptance = aldis_core::input::Acceptance { exported, ..acceptance(&world, &sent, &asked) };
        let token = hand_in(&mut world, acceptance);
        world.nodes[1].submitted(token);
        assert_eq!(said_in_the_tombstone(&world), exported);
    }
}

#[test]
fn a_tombstone_is_never_signed_by_what_was_known_before_an_export() {
    for (bodies, restarts) in [(true, false), (true, true), (false, false)] {
        let (mut world, sent, asked) = asked();
        // Somebody looked, and before the acceptance came here another gave the message out.
        let looked = acceptance(&world, &sent, &asked);
        let looked_at = RecordSeq(u64::try_from(world.nodes[1].records().len()).unwrap());
        assert_eq!(looked.looked_at, looked_at);
        export(&mut world, 1, vec![sent.0.clone()], bodies);
        if restarts {
            world.nodes[1].take_snapshot();
            world.restart(1);
        }
        let token = hand_in(&mut world, looked.clone());
        if !bodies {
            world.nodes[1].submitted(token);
            continue;
        }
        assert_eq!(world.nodes[1].declined(token), Declined::ExportedMeanwhile);
        let there = received(&world, 1).first().map(|(at, _)| world.nodes[1].journal[*at].body.clone());
        assert!(matches!(there, Some(Some(Body::Present { .. }))), "nothing was erased");
        let again = aldis_core::input::Acceptance { exported: true, ..acceptance(&world, &sent, &asked) };
        let token = hand_in(&mut world, again);
        world.nodes[1].submitted(token);
        world.connect(0, 1);
        world.run();
        assert!(said_in_the_tombstone(&world));
    }
}
