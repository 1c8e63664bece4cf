//! The power is cut at any call, also while the journal recovers from an earlier cut: whatever was confirmed is there,
//! byte for byte, nothing else is there in part, and the journal goes on (I1, I9).
//!
//! `ALDIS_POWER_CUTS` sets the number of cuts (10,000), `ALDIS_POWER_SEED` and `ALDIS_POWER_CUT` repeat one of them.

use super::super::*;
use super::crash::{Counts, Op, Tree, empty_dir};
use super::lives::{Mark, Promise, Recording, commit_in, live, tiny};
use super::recorder::Recorder;
use super::script::Script;
use super::support::*;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// Cuts that share one recording.
const CUTS_PER_LIFE: u64 = 40;
/// Every kind of fault and every place of a cut must have come up in a run of at least a thousand.
const MUST_HAPPEN: [&str; 19] = [
    "write kept",
    "write lost",
    "write torn",
    "only the length kept",
    "name kept",
    "creation lost",
    "rename lost",
    "removal lost",
    "cut in creation",
    "cut in a commit",
    "cut in a rotation",
    "cut in an erasure",
    "cut in a clean stop",
    "cut in an opening",
    "cut after death",
    "cut inside recovery",
    "cut inside the recovery from a cut inside recovery",
    "torn tail cut",
    "unconfirmed commit kept whole",
];
/// Cuts that once found a fault, as (seed, cut).
const FOUND_ONCE: [(u64, u64); 0] = [];

/// One run of cuts.
struct Run {
    seed: u64,
    without_data_syncs: bool,
}

/// A thread's place to work in, and what it counted.
struct Bench {
    temp: tempfile::TempDir,
    life: Option<(u64, Recording)>,
    counts: Counts,
}

impl Bench {
    fn new() -> Self {
        Self { temp: tempfile::tempdir().unwrap(), life: None, counts: Counts::new() }
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }
}

impl Run {
    /// Makes cut number `cut` and says what is wrong afterwards.
    fn cut(&self, cut: u64, bench: &mut Bench) -> Result<(), String> {
        let number = cut / CUTS_PER_LIFE;
        if bench.life.as_ref().is_none_or(|(made, _)| *made != number) {
            let root = bench.temp.path().join("life");
            empty_dir(&root).unwrap();
            bench.life = Some((number, live(&root, mix(self.seed, number), self.without_data_syncs)));
        }
        let (_, recording) = bench.life.take().unwrap();
        let outcome = self.cut_recording(&recording, &mut Rng(mix(self.seed, !cut)), bench);
        bench.life = Some((number, recording));
        outcome
    }

    fn cut_recording(&self, recording: &Recording, rng: &mut Rng, bench: &mut Bench) -> Result<(), String> {
        let mut at = usize::try_from(rng.below(recording.ops.len() as u64 + 1)).unwrap();
        // Between a write and its sync the most can go wrong.
        if rng.below(2) == 0 {
            let later = recording.ops[at..].iter().position(|op| matches!(op, Op::Write { .. }));
            at += later.map_or(0, |write| write + 1);
        }
        let ops = &recording.ops[..at];
        let mut promise = Promise::default().after(ops);
        bench.count(match promise.phase {
            "creation" => "cut in creation",
            "a commit" => "cut in a commit",
            "a rotation" => "cut in a rotation",
            "an erasure" => "cut in an erasure",
            "a clean stop" => "cut in a clean stop",
            "an opening" => "cut in an opening",
            "death" => "cut after death",
            _ => "cut at rest",
        });
        let mut tree = Tree::new().after_cut(ops, &mut |limit| rng.below(limit), &mut bench.counts);
        // Half of the cuts are inside recovery, a quarter of these inside the recovery from such a cut.
        let mut depth = 0;
        while rng.below(if depth == 0 { 2 } else { 4 }) == 0 && depth < 3 {
            depth += 1;
            (tree, promise) = self.cut_recovery(tree, promise, depth, rng, bench)?;
        }
        let root = bench.temp.path().join("trial");
        empty_dir(&root).unwrap();
        tree.write_to(&root).unwrap();
        check(&root.join("journal"), &tree, &promise, rng, bench)
    }

    /// Opens what `tree` holds, goes on for a while, and cuts the power somewhere in that.
    fn cut_recovery(
        &self,
        tree: Tree,
        promise: Promise,
        depth: u32,
        rng: &mut Rng,
        bench: &mut Bench,
    ) -> Result<(Tree, Promise), String> {
        let root = bench.temp.path().join("recovery");
        empty_dir(&root).unwrap();
        tree.write_to(&root).unwrap();
        let script = Arc::new(Script::default());
        script.record(Recorder::new(&root, &tree, self.without_data_syncs));
        let opened_at = recover(&root.join("journal"), &promise, &script)?;
        let ops = script.recorder(Recorder::take).unwrap();
        let is_inside = rng.below(5) > 0;
        let at = if is_inside { rng.below(opened_at) } else { opened_at + rng.below(ops.len() as u64 - opened_at + 1) };
        if is_inside {
            bench.count(if depth == 1 {
                "cut inside recovery"
            } else {
                "cut inside the recovery from a cut inside recovery"
            });
        }
        let ops = &ops[..usize::try_from(at).unwrap()];
        let tree = tree.after_cut(ops, &mut |limit| rng.below(limit), &mut bench.counts);
        Ok((tree, promise.after(ops)))
    }
}

/// Opens or, if it never was, creates the journal, finishes erasures as the caller does, commits and rotates. Returns
/// how many calls and marks the opening took.
fn recover(dir: &Path, promise: &Promise, script: &Arc<Script>) -> Result<u64, String> {
    let mark = |mark| script.recorder(|recorder| recorder.mark(mark));
    let options = tiny(Some(Arc::clone(script)));
    mark(Mark::Opening);
    let mut journal = match open_with(dir, options.clone(), promise.head) {
        Ok((recovered, _)) => recovered.journal,
        Err(OpenError::Missing { .. }) if !promise.is_created => {
            mark(Mark::Creating);
            Journal::create(dir, options).map_err(|error| format!("creating again: {error}"))?
        }
        Err(error) => return Err(format!("opening, to be cut again: {error}")),
    };
    mark(Mark::Opened(TreeHead { size: journal.size(), root: journal.root() }));
    let opened_at = script.recorder(|recorder| recorder.len()).unwrap() as u64;
    let go_on = |journal: &mut Journal| -> Result<(), CommitError> {
        for seq in &promise.asked {
            journal.erase_body(RecordSeq(*seq))?;
            mark(Mark::Erased(*seq));
        }
        mark(Mark::Committing(2));
        let made = commit_in(journal, 2, promise.life + 1)?;
        mark(Mark::Committed(TreeHead { size: made.size, root: made.root }));
        mark(Mark::Rotating);
        rotate(journal)
    };
    go_on(&mut journal).map_err(|error| format!("going on: {error}"))?;
    Ok(opened_at)
}

/// Opens what a cut left and holds it to the promise.
fn check(dir: &Path, tree: &Tree, promise: &Promise, rng: &mut Rng, bench: &mut Bench) -> Result<(), String> {
    // Recorded only to spare the true syncs, which would cost more than all the rest.
    let script = Arc::new(Script::default());
    script.record(Recorder::new(dir.parent().unwrap(), tree, false));
    let options = tiny(Some(script));
    let floor = promise.head.filter(|_| rng.below(2) == 0);
    let (recovered, replica) = match open_with(dir, options.clone(), floor) {
        Ok(opened) => opened,
        Err(OpenError::Missing { .. }) if !promise.is_created => {
            return Journal::create(dir, options).map(drop).map_err(|error| format!("creating again: {error}"));
        }
        Err(error) => return Err(format!("opening: {error}")),
    };
    let (mut journal, report) = (recovered.journal, recovered.report);
    let confirmed = promise.lives.len() as u64;
    let under_way = promise.under_way.map_or(0, |(count, _)| count);
    let size = journal.size();
    if size != confirmed && size != confirmed + under_way {
        return Err(format!("{size} records, {confirmed} confirmed and {under_way} under way"));
    }
    let half_an_anchor =
        promise.has_half_an_anchor && report.degraded.len() == 1 && report.degraded[0].file == "anchor";
    if !report.degraded.is_empty() && !half_an_anchor {
        return Err(format!("degraded: {:?}", report.degraded));
    }
    if promise.is_stopped && !(report.clean_stop && report.torn_bytes_cut == 0) {
        return Err("it was stopped cleanly, and does not know".to_owned());
    }
    if report.torn_bytes_cut > 0 {
        bench.count("torn tail cut");
    }
    if size > confirmed {
        bench.count("unconfirmed commit kept whole");
    }
    check_records(&journal, promise, size)?;
    check_replica(&replica, promise, size)?;
    check_erasures(&mut journal, promise)?;
    let life = promise.life + 1;
    commit_in(&mut journal, 2, life).map_err(|error| format!("appending: {error}"))?;
    drop(journal);
    let found = verify(dir, floor, &told(&|seq| promise.asked.contains(&seq.0)), &mut |_, _, _| {})
        .map_err(|error| format!("verifying: {error}"))?;
    if !found.findings.is_empty() || found.unconfirmed_bytes > 0 || found.head.size != size + 2 {
        return Err(format!("verifying: {found:?}"));
    }
    Ok(())
}

fn check_records(journal: &Journal, promise: &Promise, size: u64) -> Result<(), String> {
    let mut next = 0;
    for found in journal.reader().iter_from(RecordSeq(0)) {
        let found = found.map_err(|error| format!("reading: {error}"))?;
        let (record, body) = promise.expected(next).ok_or("more records than were ever written")?;
        let body_is_right = match (&found.body, &body) {
            (Body::None, None) => true,
            (Body::Erased, Some(_)) => promise.asked.contains(&next),
            (Body::Present(bytes), Some(body)) => bytes == body && !promise.erased.contains(&next),
            _ => false,
        };
        if found.seq.0 != next || found.record != record || !body_is_right {
            return Err(format!("record {next} is not what was written: {found:?}"));
        }
        next += 1;
    }
    if next == size { Ok(()) } else { Err(format!("{next} of {size} records can be read")) }
}

fn check_replica(replica: &Replica, promise: &Promise, size: u64) -> Result<(), String> {
    let snapshot = replica.snapshot.as_ref().map(|bytes| String::from_utf8(bytes.clone()).unwrap());
    let first = snapshot.map_or(0, |text| text.rsplit(' ').next().unwrap().parse().unwrap());
    let replayed = replica.records.iter().map(|(seq, record, _)| (*seq, record.clone()));
    let wanted = (first..size).map(|seq| (seq, promise.expected(seq).unwrap().0));
    if replayed.eq(wanted) { Ok(()) } else { Err(format!("what was replayed is not {first} to {size}")) }
}

/// A confirmed erasure left nothing on disk; one that was asked for is finished now, as the caller does.
fn check_erasures(journal: &mut Journal, promise: &Promise) -> Result<(), String> {
    for seq in &promise.erased {
        let (segment, offset) = journal.reader().locate(RecordSeq(*seq)).map_err(|error| error.to_string())?;
        let head = segment.head(offset, RecordSeq(*seq)).map_err(|error| error.to_string())?;
        let mut bytes = vec![0; head.total_len()];
        File::open(&segment.path).unwrap().read_exact_at(&mut bytes, offset).unwrap();
        let has_body = promise.expected(*seq).is_some_and(|(_, body)| body.is_some());
        if has_body && head.check_erasure(&bytes).is_err() {
            return Err(format!("the body of record {seq} was erased, and is still there"));
        }
    }
    for seq in &promise.asked {
        journal.erase_body(RecordSeq(*seq)).map_err(|error| format!("erasing again: {error}"))?;
    }
    Ok(())
}

/// Makes all cuts below `cuts` on two threads; returns what failed, in order, and what was counted.
fn run_all(run: &Run, cuts: u64) -> (Vec<(u64, String)>, Counts) {
    let half = |which: u64| {
        let (mut bench, mut failed) = (Bench::new(), Vec::new());
        for cut in (0..cuts).filter(|cut| cut / CUTS_PER_LIFE % 2 == which) {
            if let Err(what) = run.cut(cut, &mut bench) {
                failed.push((cut, what));
            }
        }
        (failed, bench.counts)
    };
    let (mut failed, mut counts) = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        let mut here = half(0);
        let (failed, counts) = other.join().unwrap();
        here.0.extend(failed);
        for (what, count) in counts {
            *here.1.entry(what).or_default() += count;
        }
        here
    });
    failed.sort();
    counts.insert("cuts", cuts);
    (failed, counts)
}

#[test]
fn i1_i9_no_power_cut_loses_or_halves_what_was_confirmed() {
    let seed = setting("ALDIS_POWER_SEED").unwrap_or_else(|| getrandom::u64().unwrap());
    let run = Run { seed, without_data_syncs: false };
    if let Some(cut) = setting("ALDIS_POWER_CUT") {
        return run.cut(cut, &mut Bench::new()).unwrap();
    }
    let cuts = setting("ALDIS_POWER_CUTS").unwrap_or(10_000);
    println!("power cuts: seed {seed}, {cuts} cuts");
    let (failed, counts) = run_all(&run, cuts);
    println!("{counts:#?}");
    if let Some((cut, what)) = failed.first() {
        let again = format!("ALDIS_POWER_SEED={seed} ALDIS_POWER_CUT={cut} cargo test -p aldis-node --lib power");
        panic!("{} of {cuts} cuts failed, the first: {what}\nagain: {again}", failed.len());
    }
    let missed: Vec<_> = MUST_HAPPEN.iter().filter(|what| !counts.contains_key(*what)).collect();
    assert!(cuts < 1000 || missed.is_empty(), "seed {seed}: never happened: {missed:?}");
}

#[test]
fn cuts_that_once_found_a_fault_find_none() {
    for (seed, cut) in FOUND_ONCE {
        let outcome = Run { seed, without_data_syncs: false }.cut(cut, &mut Bench::new());
        assert_eq!(outcome, Ok(()), "seed {seed}, cut {cut}");
    }
}

/// The same without fdatasync must lose something, else the cuts prove nothing.
#[test]
fn negative_control_without_data_syncs_at_least_half_of_the_cuts_lose_something() {
    let seed = getrandom::u64().unwrap();
    let (failed, _) = run_all(&Run { seed, without_data_syncs: true }, 200);
    println!("negative control: seed {seed}, {} of 200 cuts failed", failed.len());
    assert!(failed.len() >= 100, "seed {seed}: only {} of 200 cuts failed", failed.len());
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn mix(seed: u64, number: u64) -> u64 {
    Rng(seed ^ number.wrapping_mul(0xD6E8_FEB8_6659_FD93)).next()
}
