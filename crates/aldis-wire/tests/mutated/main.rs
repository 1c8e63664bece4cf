//! Messages that were validly signed, then changed: a field, a byte, a length, a proof, or parts of several put together,
//! written again as a message is written, and shown where they do not belong. None may be taken (I4).
//!
//! `ALDIS_MUTANTS` sets how many (1,000,000), `ALDIS_MUTANT_SEED` and `ALDIS_MUTANT` repeat one of them.

mod chance;
mod envelopes;
mod notes;
mod scene;
mod signed;

use chance::Random;
use scene::{Outcome, Place, Scene};
use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

/// Every check that must have refused something in a run of this many; else the run proves less than it says.
const MUST_REFUSE: [&str; 21] = [
    "card: another key",
    "card: signature",
    "card: structure",
    "checkpoint: of another export",
    "checkpoint: signature",
    "checkpoint: structure",
    "envelope: commitment",
    "envelope: header",
    "envelope: misrouted",
    "envelope: path",
    "envelope: signature",
    "envelope: structure",
    "envelope: unknown key",
    "hello: not this link",
    "hello: signature",
    "hello: structure",
    "hello: version",
    "receipt: not ours",
    "receipt: signature",
    "receipt: structure",
    "receipt: witness",
];

/// A changed message and where it is shown.
pub(crate) struct Mutant {
    pub(crate) place: Place,
    pub(crate) bytes: Vec<u8>,
    /// What was done, for people.
    pub(crate) how: Vec<&'static str>,
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// The mutant of a number. One that came out as it was, or as another message that was signed for that place, is none.
fn mutant(scene: &Scene, random: &mut Random) -> Mutant {
    loop {
        let sort = random.one(&scene.sorts);
        let genuine = &scene.genuine[*random.one(sort)];
        let mutant = match genuine.place {
            // Genuine as it is, and shown elsewhere: to another node, over another connection, by another sender.
            _ if random.below(16) == 0 => {
                let place = *random.one(&scene.places);
                Mutant { place, bytes: genuine.bytes.clone(), how: vec!["shown elsewhere"] }
            }
            Place::Envelope(from, to) => envelopes::mutant(scene, random, from, to, &genuine.bytes),
            Place::Receipt(..) | Place::Hello(..) | Place::Card(_) => signed::mutant(scene, random, genuine),
            Place::Checkpoint(..) => notes::mutant(scene, random, genuine),
        };
        if !scene.is_genuine(mutant.place, &mutant.bytes) {
            return mutant;
        }
    }
}

/// What came of one mutant, and how it was made. A genuine envelope that merely lost its body is none either.
fn one(scene: &Scene, seed: u64, number: u64) -> (Mutant, Outcome) {
    let mut random = Random::of(seed, number);
    loop {
        let mutant = mutant(scene, &mut random);
        // Three of four envelopes come right behind a genuine one, whose batch the verifier then remembers.
        let same = scene.genuine.iter().filter(|genuine| genuine.place == mutant.place);
        let before = same.map(|genuine| genuine.bytes.as_slice()).nth(random.below(64));
        let before = before.filter(|_| matches!(mutant.place, Place::Envelope(..)));
        let outcome = scene.show(mutant.place, before, &mutant.bytes);
        if outcome != Outcome::WithoutBody {
            return (mutant, outcome);
        }
    }
}

type Counts = BTreeMap<Outcome, u64>;

/// Shows the mutants of these numbers; gives how many came to what, and which were accepted.
fn some(scene: &Scene, seed: u64, numbers: impl Iterator<Item = u64>) -> (Counts, Vec<u64>) {
    let (mut counts, mut accepted) = (Counts::new(), Vec::new());
    for number in numbers {
        let (_, outcome) = one(scene, seed, number);
        *counts.entry(outcome).or_default() += 1;
        if outcome == Outcome::Accepted {
            accepted.push(number);
        }
    }
    (counts, accepted)
}

#[test]
fn i4_no_changed_message_is_accepted() {
    let scene = Scene::new();
    let now = || SystemTime::UNIX_EPOCH.elapsed().map_or(1, |since| since.as_secs());
    let seed = setting("ALDIS_MUTANT_SEED").unwrap_or_else(now);
    if let Some(number) = setting("ALDIS_MUTANT") {
        let (mutant, outcome) = one(&scene, seed, number);
        println!("{:?} {:?}\n{}", mutant.place, mutant.how, data_encoding::HEXLOWER.encode(&mutant.bytes));
        return assert_ne!(outcome, Outcome::Accepted);
    }
    let mutants = setting("ALDIS_MUTANTS").unwrap_or(1_000_000);
    println!("mutants: seed {seed}, {mutants} mutants of {} messages", scene.genuine.len());
    let (begun, workers) = (Instant::now(), std::thread::available_parallelism().map_or(1, usize::from));
    let parts = std::thread::scope(|scope| {
        let scene = &scene;
        let part = |first| scope.spawn(move || some(scene, seed, (first as u64..mutants).step_by(workers)));
        let parts: Vec<_> = (0..workers).map(part).collect();
        parts.into_iter().map(|part| part.join().expect("a worker ends")).collect::<Vec<_>>()
    });
    let (mut counts, mut accepted) = (Counts::new(), Vec::new());
    for (some, numbers) in parts {
        some.into_iter().for_each(|(outcome, count)| *counts.entry(outcome).or_default() += count);
        accepted.extend(numbers);
    }
    let all: u64 = counts.values().sum();
    println!("{counts:?}\n{all} mutants, {} accepted, in {:?}", accepted.len(), begun.elapsed());
    accepted.sort_unstable();
    if let Some(number) = accepted.first() {
        let (mutant, _) = one(&scene, seed, *number);
        let again =
            format!("ALDIS_MUTANT_SEED={seed} ALDIS_MUTANT={number} cargo test -p aldis-wire --test mutated i4");
        panic!("{} accepted, the first at {:?} by {:?}\nagain: {again}", accepted.len(), mutant.place, mutant.how);
    }
    let missed: Vec<_> = MUST_REFUSE.iter().filter(|what| !counts.contains_key(&Outcome::Refused(what))).collect();
    assert!(mutants < 100_000 || missed.is_empty(), "seed {seed}: never refused: {missed:?}");
}

/// Else nothing could be accepted, and the mutants would prove nothing.
#[test]
fn negative_control_a_message_is_accepted_where_it_belongs_and_nowhere_else() {
    let scene = Scene::new();
    for genuine in &scene.genuine {
        for place in &scene.places {
            let outcome = scene.show(*place, None, &genuine.bytes);
            assert_eq!(outcome == Outcome::Accepted, *place == genuine.place, "{place:?} {:?}", genuine.place);
        }
    }
}

/// An envelope may be passed on without its body; that is the one change that is no forgery, and it is told apart.
#[test]
fn an_envelope_without_its_body_is_what_its_sender_signed() {
    let scene = Scene::new();
    let genuine = scene.genuine.iter().find(|genuine| genuine.place == Place::Envelope(0, 1)).expect("there are some");
    for (reason, wanted) in [(1, Outcome::WithoutBody), (999, Outcome::WithoutBody)] {
        let bare = envelopes::without_body(&genuine.bytes, reason);
        assert_eq!(scene.show(genuine.place, None, &bare), wanted, "reason {reason}");
    }
}
