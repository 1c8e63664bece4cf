//! The evidence files that the fuzzers begin with, for chance finds no signatures: small ones, good, forked
//! from the first, and changed by whoever signs them. A line each in `tests/fuzz/corpus/evidence-made.txt`.

use crate::chance::Chance;
use crate::export::{Export, export};
use crate::judge;
use crate::tamper::{Way, said_in_another_run, said_otherwise, tampered};
use crate::world::World;
use aldis_verify::container::{pack, unpack};
use aldis_verify::evidence::Message;
use aldis_wire::digest::Digest;
use aldis_wire::keyring::KeyRing;
use aldis_wire::signing::IdentityKey;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The longest good file that is kept, in bytes.
const GOOD_MAX_BYTES: usize = 9_600;

/// The ways that end in a verdict of their own.
const CHANGES: [Way; 14] = [
    Way::KeysMissing,
    Way::CardMissing,
    Way::CardOfNoUse,
    Way::ReceiptOfAnother,
    Way::BodyOfAnother,
    Way::RecordElsewhere,
    Way::RecordOfAnother,
    Way::WitnessElsewhere,
    Way::ForgedMessage,
    Way::ForgedContradiction,
    Way::ContradictionWithItself,
    Way::TrueRestore,
    Way::LinkReplaced,
    Way::ReceiptContradicted,
];

/// A file as a list of entries, each `name | 0 | length (u16, big-endian) | bytes`: one that is changed is packed again
/// with right checksums.
fn listed(file: &[u8]) -> Vec<u8> {
    let listed = unpack(file).unwrap().into_iter().flat_map(|(name, bytes)| {
        let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        [name.as_bytes(), &[0], &length, bytes].concat()
    });
    listed.collect()
}

fn made(seed: u64, events: usize) -> (World, Export) {
    let mut chance = Chance::new(seed);
    let world = World::new(&mut chance, events);
    let export = export(&mut chance, &world, 0);
    (world, export)
}

/// Of a message in a file, whether something that can be proven is.
type Proves = fn(&Value) -> bool;

/// A world and what its first node shows of it, of which all these things are proven.
fn good(proven: &[Proves]) -> (World, Export) {
    let proves_all = |(world, export): &(World, Export)| {
        let file = export.seal(world, 0);
        let facts = judge(&file)["facts"].take();
        let messages: Vec<&Value> = facts["messages"].as_array().into_iter().flatten().collect();
        file.len() <= GOOD_MAX_BYTES && proven.iter().all(|proves| messages.iter().any(|message| proves(message)))
    };
    (0..5_000).map(|seed| made(seed, 9)).find(proves_all).expect("chance makes one")
}

/// A good file of which everything is proven that can be but a link, with a body in plain words.
fn whole() -> (World, Export) {
    good(&[
        |message| !message["record"].is_null() && !message["witness"].is_null() && !message["receipt"].is_null(),
        |message| message["body"] == "given" && message["kind"] == "comm-check",
        |message| message["named_by"] != Value::Array(Vec::new()),
    ])
}

/// The least of some files that were changed in a way.
fn changed(way: Way) -> Vec<u8> {
    let files = (0..60).filter_map(|seed| {
        let (mut world, export) = made(seed, 3 + usize::try_from(seed % 6).unwrap());
        let mut chance = Chance::new(seed);
        let file = export.seal(&world, 0);
        let (changed, _) = tampered(&mut chance, way, (&mut world, &export, 0), &file)?;
        (changed != file && unpack(&changed).is_ok()).then_some(changed)
    });
    files.min_by_key(Vec::len).expect("chance makes one")
}

/// What contradicts the first file: other words at every place, in the same run; and in another, with another journal and
/// other keys.
fn forks(world: &World, export: &Export) -> [Vec<u8>; 2] {
    let mut bare = export.clone();
    let evidence = &mut bare.evidence;
    evidence.receipts.clear();
    evidence.records.clear();
    evidence.witnesses.clear();
    evidence.links.clear();
    evidence.messages.values_mut().for_each(|message| message.body = None);
    let (mut same_run, mut other_run) = (bare.clone(), bare);
    other_run.root = Digest::ZERO;
    for Message { signed, .. } in same_run.evidence.messages.values_mut() {
        *signed = said_otherwise(world, signed).unwrap();
    }
    for Message { signed, .. } in other_run.evidence.messages.values_mut() {
        *signed = said_in_another_run(world, signed).unwrap();
    }
    for ring in other_run.evidence.keys.values_mut() {
        *ring = KeyRing::from(IdentityKey::from_seed(&[1; 32]).public());
    }
    [same_run, other_run].map(|fork| fork.seal(world, 0))
}

fn corpus() -> Vec<Vec<u8>> {
    let (world, export) = whole();
    let (linked_world, linked) = good(&[|message| message["receipt"]["links"].as_u64() > Some(0)]);
    let least = changed(Way::TrueContradiction);
    let mut without_timeline = unpack(&least).unwrap();
    without_timeline.remove("timeline.txt");
    let mut files = vec![export.seal(&world, 0), linked.seal(&linked_world, 0), pack(&without_timeline).unwrap()];
    files.extend(forks(&world, &export));
    files.extend(CHANGES.map(changed));
    files.iter().map(|file| listed(file)).chain([least.clone()]).collect()
}

/// With `UPDATE=1` in the environment the kept files are written anew.
#[test]
fn the_fuzzers_begin_with_files_of_every_sort() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/evidence-made.txt");
    let lines: String = corpus().iter().map(|input| data_encoding::HEXLOWER.encode(input) + "\n").collect();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &lines).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap();
    assert!(kept == lines, "they are other ones now: UPDATE=1 cargo test -p aldis-tests --test evidence fuzzers");
}
