//! Everything that reads what others wrote, over every input that was ever worth keeping, and then for a minute over
//! changed ones: the same entries that the fuzzers run (tests/fuzz), without a fuzzer.
//!
//! `ALDIS_FUZZ_SECONDS` sets the time in all (60), `ALDIS_FUZZ_SEED` the seed; `ALDIS_FUZZ_INPUT=ENTRY:HEX` repeats one
//! input.

#[path = "fuzz/local/src/entries.rs"]
mod local;
#[path = "fuzz/peers/src/entries.rs"]
mod peers;

use aldis_tests::vectors::{Case, Data, all};
use aldis_wire::codec;
use data_encoding::HEXLOWER;
use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// The longest input that is made, in bytes: a frame and what stands before it.
const INPUT_MAX_BYTES: usize = 65_540;

/// How much the process may ever have taken, in KiB: 64 MiB of it are the words of a key.
const MEMORY_MAX_KIB: u64 = 512 * 1024;

/// Entries take turns of this length, so that each gets the same time, however slow it is.
const TURN: Duration = Duration::from_millis(20);

type Entry = (&'static str, fn(&[u8]));

/// Inputs by entry.
type Corpora = BTreeMap<&'static str, Vec<Vec<u8>>>;

fn entries() -> impl Iterator<Item = Entry> {
    peers::ENTRIES.iter().chain(local::ENTRIES).copied()
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The corpora kept by the fuzzers, one input to a line, in hexadecimal; with every vector, and the files people get.
fn corpora() -> Corpora {
    let mut corpora: Corpora = entries().map(|(name, _)| (name, kept(name))).collect();
    for case in all() {
        let bytes = match &case.data {
            Data::Bytes(bytes) => bytes.clone(),
            Data::Text(text) => text.clone().into_bytes(),
        };
        let entry = entry_of(&case);
        if let Ok((inside, _)) = codec::decode::<(Vec<u8>, [u8; 64])>(&bytes) {
            corpora.entry(entry).or_default().push(inside);
        }
        corpora.entry(entry).or_default().push(bytes);
    }
    for file in ["config/aldisd.toml", "certs-example/aldisd.toml"] {
        let text = std::fs::read(top().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        corpora.entry("configuration").or_default().push(text);
    }
    corpora
}

/// What the fuzzers kept for an entry, and what was made for it because chance would not find it; either may be absent.
fn kept(entry: &str) -> Vec<Vec<u8>> {
    let directory = top().join("tests/fuzz/corpus");
    let files = [format!("{entry}.txt"), format!("{entry}-made.txt")].map(|name| directory.join(name));
    let texts: Vec<String> = files.iter().filter_map(|file| std::fs::read_to_string(file).ok()).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    lines.map(|line| HEXLOWER.decode(line.as_bytes()).expect("a line of hexadecimal digits")).collect()
}

fn entry_of(case: &Case) -> &'static str {
    match case.name.split('-').next().unwrap_or_default() {
        "frame" => "frame",
        "envelope" | "header" | "proof" => "envelope",
        "receipt" => "receipt",
        "hello" => "hello",
        "card" => "card",
        "body" => "body",
        "commitment" => "opening",
        _ => "value",
    }
}

/// `SplitMix64`: enough for choosing, and repeatable from its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).expect("it is below a usize")
    }

    fn byte(&mut self) -> u8 {
        [0, 1, 2, 0x7f, 0x80, 0xfa, 0xfb, 0xfc, 0xfd, 0xff, b'"', b'[', b'\n'][self.below(13)]
    }

    /// One to four changes to an input: a bit, a byte, a piece cut out, doubled, or taken from another input.
    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let end = (at + 1 + self.below(16)).min(bytes.len());
            match self.below(7) {
                0 | 1 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                2 if at < bytes.len() => bytes[at] = self.byte(),
                3 if at < end => drop(bytes.drain(at..end)),
                4 if at < end => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
                5 if !other.is_empty() => {
                    let from = self.below(other.len());
                    let to = (from + 1 + self.below(64)).min(other.len());
                    drop(bytes.splice(at..end.max(at), other[from..to].iter().copied()));
                }
                _ => bytes.insert(at, self.byte()),
            }
        }
        bytes.truncate(INPUT_MAX_BYTES);
    }
}

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Runs an entry; a panic comes with the line that repeats it.
fn run((name, entry): Entry, bytes: &[u8]) {
    if catch_unwind(|| entry(bytes)).is_err() {
        let input = HEXLOWER.encode(bytes);
        panic!("again: ALDIS_FUZZ_INPUT={name}:{input} cargo test -p aldis-tests --test fuzz_corpora");
    }
}

/// Runs changed inputs of every entry in turn until the time is over; says how many each took.
fn run_changed(corpora: &Corpora, seed: u64, end: Instant) -> BTreeMap<&'static str, u64> {
    let (mut random, mut counts) = (Random(seed), BTreeMap::new());
    while Instant::now() < end {
        for entry in entries() {
            let inputs = &corpora[entry.0];
            let turn = Instant::now();
            while turn.elapsed() < TURN {
                let mut bytes = inputs[random.below(inputs.len())].clone();
                let other = &inputs[random.below(inputs.len())];
                random.change(&mut bytes, other);
                run(entry, &bytes);
                *counts.entry(entry.0).or_default() += 1;
            }
        }
    }
    counts
}

/// The most memory this process ever took, in KiB; 0 where the system does not say.
fn most_memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

#[test]
fn i7_whatever_was_written_by_others_is_read_without_a_panic_and_in_bounded_memory() {
    if let Some(input) = setting::<String>("ALDIS_FUZZ_INPUT") {
        let (name, hex) = input.split_once(':').expect("ENTRY:HEX");
        let entry = entries().find(|(known, _)| *known == name).expect("an entry of that name");
        return entry.1(&HEXLOWER.decode(hex.as_bytes()).expect("hexadecimal digits"));
    }
    let corpora = corpora();
    for entry in entries() {
        assert!(!corpora[entry.0].is_empty(), "nothing is kept for {}", entry.0);
        corpora[entry.0].iter().for_each(|bytes| run(entry, bytes));
    }
    let sizes: BTreeMap<_, _> = corpora.iter().map(|(name, inputs)| (name, inputs.len())).collect();
    println!("kept: {sizes:?}");
    let now = || SystemTime::UNIX_EPOCH.elapsed().map_or(1, |since| since.as_secs());
    let seed = setting("ALDIS_FUZZ_SEED").unwrap_or_else(now);
    let end = Instant::now() + Duration::from_secs(setting("ALDIS_FUZZ_SECONDS").unwrap_or(60));
    let workers = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    std::thread::scope(|scope| {
        let corpora = &corpora;
        let run = |worker| scope.spawn(move || run_changed(corpora, seed ^ (worker << 56), end));
        let running: Vec<_> = (0..workers).map(run).collect();
        for part in running {
            let part = part.join().expect("no entry panics: the line above repeats it");
            part.into_iter().for_each(|(name, count)| *counts.entry(name).or_default() += count);
        }
    });
    println!("changed: seed {seed}, {counts:?}, at most {} KiB", most_memory_kib());
    assert!(most_memory_kib() <= MEMORY_MAX_KIB, "{} KiB", most_memory_kib());
}
