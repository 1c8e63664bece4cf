//! Evidence files: the program of this repository and the independent one in Python come to the same verdict on each
//! of a thousand, good and tampered, and on those that whole nodes make.

mod chance;
mod corpus;
mod export;
mod real_nodes;
mod tamper;
mod world;

use aldis_verify::compare::{Fork, compare};
use aldis_verify::facts::How;
use aldis_verify::{Opened, check};
use chance::Chance;
use export::export;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tamper::{Expected, Way, said_otherwise, tampered};
use world::World;

/// How many files both programs judge.
const FILES: usize = 1_000;

/// Replay one file with `ALDIS_EVIDENCE_SEED=SEED`; it is then the only one.
const SEED: &str = "ALDIS_EVIDENCE_SEED";

struct Case {
    seed: u64,
    way: Option<Way>,
    file: Vec<u8>,
    expected: Expected,
}

/// What this repository's program says, in the form of its `--json`.
pub(crate) fn judge(file: &[u8]) -> Value {
    let bad = json!({ "verdict": "bad" });
    let Ok(opened) = Opened::read(file) else { return bad };
    check(&opened).map_or(bad, |facts| json!({ "verdict": "good", "facts": facts }))
}

/// What the independent program says of each file, all in one process.
pub(crate) fn judge_independently(directory: &Path, files: &[&[u8]]) -> Vec<Value> {
    let paths: Vec<PathBuf> = (0..files.len()).map(|number| directory.join(format!("{number}.zip"))).collect();
    paths.iter().zip(files).for_each(|(path, file)| fs::write(path, file).unwrap());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("verifier/verify_evidence.py");
    let output = Command::new("python3").arg(script).args(&paths).output();
    let output = output.expect("python3 runs: install it, and the package python3-cryptography");
    let out = String::from_utf8(output.stdout).unwrap();
    let verdicts: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(verdicts.len(), files.len(), "{}", String::from_utf8_lossy(&output.stderr));
    verdicts
}

fn case(seed: u64) -> Case {
    let mut chance = Chance::new(seed);
    let events = 4 + chance.below(30);
    let mut world = World::new(&mut chance, events);
    let who = chance.below(2);
    let made = export(&mut chance, &world, who);
    let file = made.seal(&world, who);
    let good = |file| Case { seed, way: None, file, expected: Expected::Good };
    if chance.once_in(4) {
        return good(file);
    }
    let mut others = Chance::new(seed ^ u64::MAX);
    let stranger = World::new(&mut others, events);
    let other = export(&mut others, &stranger, who).seal(&stranger, who);
    let way = chance.one_of(&Way::ALL);
    match tampered(&mut chance, way, (&mut world, &made, who), &other) {
        Some((file, expected)) => Case { seed, way: Some(way), file, expected },
        None => good(file),
    }
}

#[test]
fn both_programs_agree_on_a_thousand_files_good_and_tampered() {
    let replayed = std::env::var(SEED).ok().map(|seed| seed.parse().expect("a seed is a number"));
    let cases: Vec<Case> = match replayed {
        Some(seed) => vec![case(seed)],
        None => (0..FILES as u64).map(case).collect(),
    };
    let directory = tempfile::tempdir().unwrap();
    let files: Vec<&[u8]> = cases.iter().map(|case| case.file.as_slice()).collect();
    let independent = judge_independently(directory.path(), &files);
    let mut counts: BTreeMap<(Option<Way>, bool), usize> = BTreeMap::new();
    let mut complaints = Vec::new();
    for (case, theirs) in cases.iter().zip(&independent) {
        let ours = judge(&case.file);
        let is_good = ours["verdict"] == "good";
        *counts.entry((case.way, is_good)).or_default() += 1;
        let wanted = match case.expected {
            Expected::Good => is_good,
            Expected::Bad => !is_good,
            Expected::Either => true,
        };
        if !wanted || ours["verdict"] != theirs["verdict"] || ours["facts"] != theirs["facts"] {
            let Case { seed, way, expected, .. } = case;
            complaints.push(format!("{SEED}={seed}: {way:?}, {expected:?}\n  ours: {ours}\n  theirs: {theirs}"));
        }
    }
    assert!(complaints.is_empty(), "{} disagreements, first:\n{}", complaints.len(), complaints[0]);
    if replayed.is_none() {
        let good: usize = counts.iter().filter(|((_, is_good), _)| *is_good).map(|(_, count)| count).sum();
        println!("{FILES} files, {good} good, {} bad; both programs agree on each", FILES - good);
        let untried = Way::ALL.iter().filter(|way| !counts.keys().any(|(tried, _)| *tried == Some(**way)));
        assert_eq!(untried.collect::<Vec<_>>(), Vec::<&Way>::new(), "a way that was never tried proves nothing");
        // Everything that can be proven is proven somewhere, or the agreement is about nothing.
        for proven in ["receipt", "record", "witness"] {
            let is_proven = |message: &Value| !message[proven].is_null();
            let messages = independent.iter().filter_map(|verdict| verdict["facts"]["messages"].as_array()).flatten();
            assert!(messages.clone().filter(|message| is_proven(message)).count() > 100, "{proven}");
        }
    }
}

#[test]
fn i9_two_sides_of_one_exchange_agree_and_a_fork_shows() {
    let opened = |file: &[u8]| {
        let opened = Opened::read(file).unwrap();
        check(&opened).unwrap();
        opened
    };
    let mut forks = 0;
    for seed in 0..60 {
        let mut chance = Chance::new(seed);
        let world = World::new(&mut chance, 30);
        let (mine, theirs) = (export(&mut chance, &world, 0), export(&mut chance, &world, 1));
        let again = export(&mut chance, &world, 0);
        let (one, two) = (opened(&mine.seal(&world, 0)), opened(&theirs.seal(&world, 1)));
        assert_eq!(compare(&one, &two), [], "seed {seed}");
        assert_eq!(compare(&one, &opened(&again.seal(&world, 0))), [], "seed {seed}");
        // One node shows a journal of the same size and another root, with nothing opened in it.
        let mut other = again.clone();
        other.evidence.records.clear();
        other.evidence.witnesses.clear();
        other.root = aldis_wire::digest::Digest::ZERO;
        assert!(!compare(&one, &opened(&other.seal(&world, 0))).is_empty(), "seed {seed}");
        // The other side was sent another message at a place that both show.
        let mut other = theirs.clone();
        other.evidence.receipts.clear();
        other.evidence.witnesses.clear();
        other.evidence.records.clear();
        let both = mine.evidence.messages.keys().find(|id| other.evidence.messages.contains_key(*id));
        let Some(id) = both else { continue };
        let message = other.evidence.messages.get_mut(id).expect("it is there");
        message.signed = said_otherwise(&world, &message.signed).expect("every key is at hand");
        message.body = None;
        let shown = compare(&one, &opened(&other.seal(&world, 1)));
        let expected = Fork::Headers { id: id.to_string(), how: How::Equivocation };
        assert!(shown.contains(&expected), "seed {seed}: {shown:?}");
        forks += 1;
    }
    assert!(forks > 30, "{forks} forks were made");
}
