//! A disk that fails or stops at every single call.

use super::super::disk::Disk;
use super::super::*;
use super::script::{Failure, Script};
use super::support::*;
use std::path::Path;
use std::sync::Arc;

fn scripted() -> (Arc<Script>, Options) {
    let script = Arc::new(Script::default());
    let options = Options { disk: Disk { script: Some(Arc::clone(&script)) }, ..small() };
    (script, options)
}

/// What was confirmed to a caller before the disk failed.
#[derive(Default)]
struct Confirmed {
    size: u64,
    /// Rotation and erasure change no record; these say they were asked for.
    erasing: bool,
}

/// Commits, rotation, erasure and a clean stop, until something fails.
fn work(mut journal: Journal, confirmed: &mut Confirmed) -> Result<(), CommitError> {
    let result = steps(&mut journal, confirmed);
    if matches!(result, Err(CommitError::Io { .. })) {
        assert!(matches!(commit(&mut journal, 1), Err(CommitError::Poisoned)));
        assert!(matches!(journal.rotate(Box::new(Vec::new)), Err(CommitError::Poisoned)));
        assert!(matches!(journal.erase_body(RecordSeq(1)), Err(CommitError::Poisoned)));
        assert_eq!(journal.reader().committed(), confirmed.size, "readers see what was confirmed, and no more");
        assert!(matches!(journal.stop_cleanly(), Err(CommitError::Poisoned)));
        return result;
    }
    result?;
    journal.stop_cleanly()
}

fn steps(journal: &mut Journal, confirmed: &mut Confirmed) -> Result<(), CommitError> {
    confirmed.size = commit(journal, 3)?.size;
    confirmed.size = commit(journal, 1)?.size;
    rotate(journal)?;
    confirmed.size = commit(journal, 2)?.size;
    confirmed.erasing = true;
    journal.erase_body(RecordSeq(1))?;
    journal.erase_body(RecordSeq(5))?;
    confirmed.size = commit(journal, 2)?.size;
    Ok(())
}

/// Opens what is left and checks that everything confirmed is there; then appends to it.
fn assert_kept(dir: &Path, confirmed: &Confirmed, what: &str) {
    let (mut recovered, _) = open(dir).unwrap_or_else(|error| panic!("{what}: {error}"));
    // A write that was cut short may cost one of the anchor file's two slots, and that is said.
    let degraded = &recovered.report.degraded;
    let allowed = usize::from(what.contains("ShortWrite"));
    assert!(degraded.len() <= allowed && degraded.iter().all(|at| at.file == "anchor"), "{what}: {degraded:?}");
    assert!(recovered.journal.size() >= confirmed.size, "{what}: {} of {}", recovered.journal.size(), confirmed.size);
    if confirmed.erasing {
        // As the caller does: the record that asks for the erasure is replayed.
        let size = recovered.journal.size();
        for seq in [1, 5].into_iter().filter(|seq| *seq < size) {
            recovered.journal.erase_body(RecordSeq(seq)).unwrap();
        }
    }
    commit(&mut recovered.journal, 2).unwrap();
    for record in recovered.journal.reader().iter_from(RecordSeq(0)) {
        let record = record.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(record.record, content(record.seq.0).0, "{what}");
    }
    let report = verify(dir, None, &told(&|seq| seq.0 == 1 || seq.0 == 5), &mut |_, _, _| {}).unwrap();
    assert_eq!(report.findings, vec![], "{what}");
}

#[test]
fn i1_an_error_at_any_call_confirms_nothing_and_poisons_the_journal() {
    for failure in [Failure::Io, Failure::NoSpace, Failure::ShortWrite, Failure::Late] {
        for call in 0.. {
            let (world, (script, options)) = (World::new(), scripted());
            let journal = Journal::create(&world.dir(), options).unwrap();
            script.fail_at(call, failure);
            let mut confirmed = Confirmed::default();
            let result = work(journal, &mut confirmed);
            assert_kept(&world.dir(), &confirmed, &format!("{failure:?} at call {call}"));
            if result.is_ok() {
                assert!(call > 25, "the script reached every call, {call} in all");
                break;
            }
        }
    }
}

#[test]
fn i9_an_error_at_any_call_of_opening_loses_nothing() {
    for failure in [Failure::Io, Failure::ShortWrite, Failure::Late] {
        for call in 0.. {
            let world = World::new();
            let mut journal = Journal::create(&world.dir(), small()).unwrap();
            let mut confirmed = Confirmed::default();
            steps(&mut journal, &mut confirmed).unwrap();
            journal.stop_cleanly().unwrap();
            let (script, options) = scripted();
            script.fail_at(call, failure);
            let opened = open_with(&world.dir(), options, None).map(drop);
            assert_kept(&world.dir(), &confirmed, &format!("{failure:?} at call {call} of opening"));
            if let Err(error) = opened {
                assert!(matches!(error, OpenError::Io { .. }), "{error}");
            } else {
                assert!(call > 5, "opening makes {call} calls");
                break;
            }
        }
    }
}

#[test]
fn an_error_at_any_call_of_creating_leaves_no_half_journal() {
    for call in 0.. {
        let (world, (script, options)) = (World::new(), scripted());
        script.fail_at(call, Failure::Io);
        if Journal::create(&world.dir(), options).is_ok() {
            assert!(call > 10);
            break;
        }
        if !world.dir().exists() {
            Journal::create(&world.dir(), small()).unwrap_or_else(|error| panic!("call {call}: {error}"));
        }
        assert_kept(&world.dir(), &Confirmed::default(), &format!("call {call} of creating"));
    }
}

type Step = dyn Fn(&mut Journal) -> Result<(), CommitError>;

#[test]
fn i1_a_stop_between_any_two_calls_loses_nothing() {
    let (world, (script, options)) = (World::new(), scripted());
    let mut journal = Journal::create(&world.dir(), options).unwrap();
    commit(&mut journal, 3).unwrap();
    let copies = world.path("copies");
    let mut confirmed = Confirmed { size: 3, erasing: true };
    let mut trials = 0;
    let steps: [&Step; 6] = [
        &rotate,
        &|journal| commit(journal, 3).map(drop),
        &|journal| journal.erase_body(RecordSeq(1)),
        &|journal| journal.erase_body(RecordSeq(5)),
        &rotate,
        &|journal| commit(journal, 2).map(drop),
    ];
    for (step, act) in steps.iter().enumerate() {
        script.copy_after_each(Some((world.dir(), copies.clone())));
        act(&mut journal).unwrap();
        script.copy_after_each(None);
        for copy in std::fs::read_dir(&copies).unwrap() {
            let path = copy.unwrap().path();
            assert_kept(&path, &confirmed, &format!("step {step}, {}", path.display()));
            trials += 1;
        }
        std::fs::remove_dir_all(&copies).unwrap();
        confirmed.size = journal.size();
    }
    assert!(trials >= 25, "{trials} moments were tried");
}

#[test]
fn i7_rotation_keeps_the_reserve_and_commits_go_on_without_it() {
    let (world, (script, options)) = (World::new(), scripted());
    let options = Options { reserve_bytes: 1 << 20, ..options };
    let needed = (1 << 20) + segment::prepared_bytes(SEGMENT_BYTES, 0);
    script.set_free_bytes(needed - 1);
    let error = Journal::create(&world.dir(), options.clone()).unwrap_err();
    assert!(matches!(error, OpenError::NoSpace { .. }), "{error}");
    script.set_free_bytes(1 << 30);
    let mut journal = Journal::create(&world.dir(), options.clone()).unwrap();
    assert!(!journal.low_space().unwrap());
    script.set_free_bytes((1 << 20) - 1);
    assert!(journal.low_space().unwrap());
    commit(&mut journal, 2).unwrap();
    let error = rotate(&mut journal).unwrap_err();
    assert!(matches!(error, CommitError::LowSpace { .. }), "{error}");
    commit(&mut journal, 2).unwrap();
    drop(journal);
    let (recovered, replica) = open_with(&world.dir(), options, None).unwrap();
    assert!(recovered.report.low_space);
    assert_whole(&replica, 4);
}
