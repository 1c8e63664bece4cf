//! What peers signed about the journal, held against it.

use super::super::*;
use super::script::copy_dir;
use super::support::*;
use crate::journal::verify::verify_within;
use crate::journal::witnesses::{Bounds, Witness};
use aldis_wire::digest::Digest;
use aldis_wire::ids::{NodeId, UnixMillis};
use aldis_wire::receipt::journal_commitment;
use std::path::Path;

const MARK: &[u8] = b"witness:";

/// A commit of one record, and what receipts commit to after it.
fn put(journal: &mut Journal, record: &[u8], nonce: u8) -> Digest {
    let nonce = [nonce; NONCE_BYTES];
    let committed = journal.commit(&[Entry { nonce, record, body: None }]).unwrap();
    if journal.should_rotate() {
        rotate(journal).unwrap();
    }
    journal_commitment(&nonce, committed.size, &committed.root)
}

/// A record in which a peer names a commitment.
fn named(commitment: Digest, by: &str) -> Vec<u8> {
    [MARK, commitment.as_bytes(), by.as_bytes()].concat()
}

fn read(record: &[u8]) -> Option<Witness> {
    let (commitment, by) = record.strip_prefix(MARK)?.split_first_chunk()?;
    let by = NodeId::new(std::str::from_utf8(by).unwrap()).unwrap();
    Some(Witness { commitment: Digest::from_bytes(*commitment), by, at: UnixMillis::new(1_795_316_400_000) })
}

fn verified(dir: &Path, bounds: Bounds) -> VerifyReport {
    let reading = Reading { is_erased: &|_| false, witness: &read, commits_to: &|_, _| true };
    verify_within(bounds, dir, None, &reading, &mut |_, _, _| {}).unwrap()
}

#[test]
fn the_second_walk_says_how_far_it_is_from_segment_to_segment() {
    let world = World::new();
    let mut journal = Journal::create(&world.dir(), Options { segment_bytes: 3 << 20, ..small() }).unwrap();
    for number in 0..140 {
        put(&mut journal, &vec![number; 60_000], number);
    }
    put(&mut journal, &named(bogus(1), "cert.cl"), 1);
    assert!(segment::list(&world.dir()).unwrap().len() >= 2);
    let reading = Reading { is_erased: &|_| false, witness: &read, commits_to: &|_, _| true };
    let mut told = Vec::new();
    let mut progress = |done, total, name: &str| told.extend(name.ends_with("witnesses").then_some((done, total)));
    verify_within(Bounds { recent: 1, waiting: 1 }, &world.dir(), None, &reading, &mut progress).unwrap();
    assert!(told.len() > 3 && told.is_sorted(), "{told:?}");
    assert!(told.iter().all(|(done, total)| *done > 0 && done <= total), "{told:?}");
}

fn bogus(number: u8) -> Digest {
    Digest::of(&[&[number]])
}

#[test]
fn i9_every_witness_is_opened_however_old_the_commit_it_names() {
    let world = World::new();
    let mut journal = Journal::create(&world.dir(), small()).unwrap();
    let mut commitments = Vec::new();
    for number in 0..600_u16 {
        let filling = [number.to_le_bytes()[0]; 300];
        commitments.push(put(&mut journal, &filling, number.to_le_bytes()[0]));
        // Peers that were away for long name what they held then, in any order.
        if number % 7 == 0 {
            let held = commitments[usize::from(number * 31 % (number + 1))];
            put(&mut journal, &named(held, ["cert.cl", "cert.uy"][usize::from(number % 2)]), 1);
        }
    }
    assert!(segment::list(&world.dir()).unwrap().len() >= 3);
    for (recent, waiting) in [(65_536, 65_536), (3, 65_536), (3, 2), (1, 1)] {
        let report = verified(&world.dir(), Bounds { recent, waiting });
        assert_eq!(report.findings, vec![], "{recent} and {waiting} kept");
        assert_eq!((report.witness_peers, report.witnesses > 60), (2, true), "{report:?}");
    }
}

#[test]
fn i9_a_journal_that_was_rolled_back_does_not_open_what_peers_held_of_it() {
    let world = World::new();
    let mut journal = Journal::create(&world.dir(), small()).unwrap();
    let kept = put(&mut journal, b"before the copy", 1);
    drop(journal);
    let copy = world.path("copy");
    copy_dir(&world.dir(), &copy);
    let (mut journal, _) = open(&world.dir()).map(|(recovered, replica)| (recovered.journal, replica)).unwrap();
    let lost = put(&mut journal, b"after the copy", 2);
    put(&mut journal, &named(lost, "cert.cl"), 3);
    drop(journal);
    assert_eq!(verified(&world.dir(), Bounds::default()).findings, vec![], "while nothing is lost");

    let mut journal = open(&copy).unwrap().0.journal;
    put(&mut journal, &named(kept, "cert.uy"), 4);
    let place = journal.size();
    put(&mut journal, &named(lost, "cert.cl"), 5);
    put(&mut journal, &named(lost, "cert.cl"), 6);
    put(&mut journal, &named(Digest::ZERO, "cert.ar"), 7);
    let report = verified(&copy, Bounds::default());
    assert_eq!((report.witnesses, report.witness_peers), (2, 2), "zero names nothing, and twice the same is one");
    let [finding] = report.findings.as_slice() else { panic!("{report:?}") };
    assert_eq!(finding.record, Some(RecordSeq(place)));
    let said = "cert.cl signed on 2026-11-22T03:00:00.000Z that it held a commitment to our journal which our journal does \
                not open: it was cut, rolled back or rewritten";
    assert_eq!(finding.what, said);
    assert!(finding.advice.contains("put back from an older copy"), "{}", finding.advice);
}

#[test]
fn i7_any_number_of_false_witnesses_is_found_with_a_list_of_two() {
    let world = World::new();
    let mut journal = Journal::create(&world.dir(), small()).unwrap();
    let first = put(&mut journal, b"first", 1);
    for number in 0..200 {
        put(&mut journal, &named(bogus(number), "cert.cl"), number);
        put(&mut journal, &[number; 900], 3);
        put(&mut journal, &named(first, "cert.cl"), number);
    }
    assert!(segment::list(&world.dir()).unwrap().len() >= 3);
    let report = verified(&world.dir(), Bounds { recent: 1, waiting: 2 });
    assert_eq!((report.findings.len(), report.witnesses, report.witness_peers), (200, 400, 1));
    let report = verified(&world.dir(), Bounds::default());
    assert_eq!((report.findings.len(), report.witnesses), (200, 400));
}
