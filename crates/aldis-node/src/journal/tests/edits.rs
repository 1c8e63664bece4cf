//! Edits by somebody who may write to the disk and knows the format, from one byte to the whole journal written anew.
//! Each is found, and found where it was made; those that leave a journal whole in itself are found by what peers
//! signed about the one before.

use super::super::format::{self, Mark, TRAILER_BYTES};
use super::super::*;
use super::forging::forge;
use super::script::copy_dir;
use super::support::*;
use crate::journal::witnesses::Witness;
use aldis_wire::digest::Digest;
use aldis_wire::ids::{NodeId, UnixMillis};
use aldis_wire::receipt::journal_commitment;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The first byte of records that commit to a body, which is the digest behind it.
const WITH_BODY: u8 = 1;
/// The first byte of records in which a peer names a commitment, which is the digest behind it.
const WITNESS: u8 = 2;
const COMMITS: usize = 48;
const TRIALS_PER_JOURNAL: u64 = 500;

/// A record with what lies beside it.
#[derive(Clone)]
struct Made {
    nonce: [u8; NONCE_BYTES],
    record: Vec<u8>,
    body: Option<Vec<u8>>,
}

type Commit = Vec<Made>;

/// A journal on disk, closed as by a kill, and all that is known to whoever wrote it.
struct Written {
    dir: PathBuf,
    history: Vec<Commit>,
    /// What receipts commit to after each commit.
    commitments: Vec<Digest>,
    firsts: Vec<u64>,
    /// The places where commits start and end in each segment.
    places: Vec<Vec<u64>>,
}

/// An edit that was made, and where it must be found.
struct Edit {
    what: String,
    place: Place,
    /// Whether opening must refuse; `None` where either is right.
    refused: Option<bool>,
}

/// Where a finding must lie.
enum Place {
    /// In this file, at one of these bytes.
    File(String, Range<u64>),
    /// At this record.
    Record(u64),
}

/// An edit of the bytes of one segment: which, and its bytes up to the end of the last commit.
struct Segment<'a> {
    written: &'a Written,
    which: usize,
    bytes: Vec<u8>,
}

fn made(tag: u8, head: &[u8], body: Option<Vec<u8>>, rng: &mut Rng) -> Made {
    let filling = (0..rng.below(60)).map(|_| rng.next().to_le_bytes()[0]);
    let record = [tag].iter().chain(head).copied().chain(filling).collect();
    let mut nonce = [0; NONCE_BYTES];
    nonce[..8].copy_from_slice(&rng.next().to_le_bytes());
    Made { nonce, record, body }
}

fn with_body(rng: &mut Rng) -> Made {
    let body: Vec<u8> = (0..=rng.below(200)).map(|_| rng.next().to_le_bytes()[0]).collect();
    made(WITH_BODY, Digest::of(&[&body]).as_bytes(), Some(body), rng)
}

/// What a node would write next: one to three records, now and then a receipt that names an earlier commit.
fn next_commit(commitments: &[Digest], rng: &mut Rng) -> Commit {
    let mut records: Commit = (0..=rng.below(2)).map(|_| with_body(rng)).collect();
    if rng.below(3) == 0 {
        records.push(made(0, &[], None, rng));
    }
    if rng.below(3) == 0 && !commitments.is_empty() {
        let back = rng.below(commitments.len().min(6) as u64) as usize;
        let named = commitments[commitments.len() - 1 - back];
        records.insert(0, made(WITNESS, named.as_bytes(), None, rng));
    }
    records
}

/// Writes these commits as a node does; `go_on` may add one after them, as long as it says what.
fn write(dir: &Path, commits: &[Commit], mut go_on: impl FnMut(&[Digest]) -> Option<Commit>) -> Written {
    let options = Options { segment_bytes: 4 << 10, ..small() };
    let mut journal = Journal::create(dir, options).unwrap();
    let (mut history, mut commitments, mut places) = (Vec::new(), Vec::new(), vec![vec![journal.live_offset()]]);
    let mut given = commits.iter().cloned();
    while let Some(commit) = given.next().or_else(|| go_on(&commitments)) {
        let bodies: Vec<Option<[&[u8]; 1]>> = commit.iter().map(|made| made.body.as_deref().map(|it| [it])).collect();
        let entries = commit.iter().zip(&bodies).map(|(made, body)| entry(made, body.as_ref().map(<[_; 1]>::as_slice)));
        let committed = journal.commit(&entries.collect::<Vec<_>>()).unwrap();
        let nonce = commit.last().unwrap().nonce;
        commitments.push(journal_commitment(&nonce, committed.size, &committed.root));
        history.push(commit);
        places.last_mut().unwrap().push(journal.live_offset());
        if journal.should_rotate() {
            rotate(&mut journal).unwrap();
            places.push(vec![journal.live_offset()]);
        }
    }
    drop(journal);
    let firsts = segment::list(dir).unwrap();
    Written { dir: dir.to_owned(), history, commitments, firsts, places }
}

fn entry<'a>(made: &'a Made, body: Option<&'a [&'a [u8]]>) -> Entry<'a> {
    Entry { nonce: made.nonce, record: &made.record, body }
}

/// A journal of at least three segments with several commits in each, and receipts among them.
fn original(dir: &Path, rng: &mut Rng) -> Written {
    loop {
        let _ = fs::remove_dir_all(dir);
        let written =
            write(dir, &[], |commitments| (commitments.len() < COMMITS).then(|| next_commit(commitments, rng)));
        if written.firsts.len() >= 3 && written.places.iter().all(|commits| commits.len() > 4) {
            return written;
        }
    }
}

fn named(record: &[u8]) -> Option<Digest> {
    (record.first() == Some(&WITNESS)).then(|| Digest::from_bytes(record[1..33].try_into().unwrap()))
}

fn witness(record: &[u8]) -> Option<Witness> {
    let by = NodeId::new("cert.cl").unwrap();
    named(record).map(|commitment| Witness { commitment, by, at: UnixMillis::new(1_795_316_400_000) })
}

fn commits_to(record: &[u8], body: Option<&[u8]>) -> bool {
    match record.first() {
        Some(&WITH_BODY) => body.is_some_and(|body| Digest::of(&[body]).as_bytes() == &record[1..33]),
        _ => body.is_none(),
    }
}

fn verified(dir: &Path) -> VerifyReport {
    let reading = Reading { is_erased: &|_| false, witness: &witness, commits_to: &commits_to };
    verify(dir, None, &reading, &mut |_, _, _| {}).unwrap()
}

impl<'a> Segment<'a> {
    fn new(written: &'a Written, which: usize) -> Self {
        let bytes = fs::read(segment::path(&written.dir, written.firsts[which])).unwrap();
        Self { written, which, bytes }
    }

    fn is_last(&self) -> bool {
        self.which + 1 == self.written.firsts.len()
    }

    fn name(&self) -> String {
        segment::name(self.written.firsts[self.which])
    }

    fn commits(&self) -> &'a [u64] {
        &self.written.places[self.which]
    }

    /// A record of this segment that has a body: its number, its index in its commit, where it starts.
    fn record_with_body(&self, rng: &mut Rng) -> (u64, u32, usize) {
        let mut found = Vec::new();
        for pair in self.commits().windows(2) {
            let (mut at, end, mut index) = (pair[0] as usize, pair[1] as usize - TRAILER_BYTES, 0);
            while at < end {
                let head = format::RecordHead::parse(&self.bytes[at..], self.mark()).unwrap();
                if head.body_tail_at().is_some() {
                    found.push((head.seq, index, at));
                }
                (at, index) = (at + head.total_len(), index + 1);
            }
        }
        found[rng.below(found.len() as u64) as usize]
    }

    fn mark(&self) -> Mark {
        Mark::from_stored(format::read_u64(&self.bytes, 16))
    }

    /// Writes the bytes back, with the rest of `old` behind where something was taken out or put in.
    fn save(mut self, dir: &Path, length: usize) {
        self.bytes.resize(length.max(self.bytes.len()), 0);
        fs::write(segment::path(dir, self.written.firsts[self.which]), &self.bytes).unwrap();
    }
}

/// One commit or byte of a segment, changed by somebody who lets everything behind it stand.
fn edit_bytes(written: &Written, dir: &Path, rng: &mut Rng) -> Edit {
    let which = rng.below(written.firsts.len() as u64) as usize;
    let mut segment = Segment::new(written, which);
    let (last, commits, length) = (segment.is_last(), segment.commits(), segment.bytes.len());
    let pick = rng.below(commits.len() as u64 - 2) as usize;
    let (a, b, c) = (commits[pick] as usize, commits[pick + 1] as usize, commits[pick + 2] as usize);
    let end = *commits.last().unwrap() as usize;
    let old = segment.bytes.clone();
    let edits = ["a byte written", "removed", "swapped", "doubled", "replaced", "cut", "zeroed"];
    let edit = edits[rng.below(edits.len() as u64) as usize];
    let (new, place) = match edit {
        "a byte written" => {
            let at = rng.below(end as u64);
            let mut new = old[..end].to_vec();
            new[at as usize] ^= 1 + rng.below(255) as u8;
            let commit = commits.partition_point(|start| *start <= at);
            (new, commit.checked_sub(1).map_or(0, |commit| commits[commit])..at + 1)
        }
        "removed" => ([&old[..a], &old[b..end]].concat(), a as u64..a as u64 + 1),
        "swapped" => ([&old[..a], &old[b..c], &old[a..b], &old[c..end]].concat(), a as u64..a as u64 + 1),
        "doubled" => ([&old[..b], &old[a..b], &old[b..end]].concat(), b as u64..b as u64 + 1),
        "replaced" => ([&old[..a], &forge(&old, a..b)[..], &old[b..end]].concat(), a as u64..b as u64),
        "zeroed" => ([&old[..a], &vec![0; b - a][..], &old[b..end]].concat(), a as u64..b as u64),
        _ => (old[..a].to_vec(), a as u64..a as u64 + 1),
    };
    segment.bytes = new;
    // Whether a journal ends too early in a segment that others follow is seen where the next one begins.
    let (file, place) = match edit {
        "cut" if !last => (segment::name(written.firsts[which + 1]), 0..1),
        _ => (segment.name(), place),
    };
    segment.save(dir, length);
    let what = format!("segment {which}, commit {pick}: {edit}");
    Edit { what, place: Place::File(file, place), refused: Some(last) }
}

/// A body exchanged or taken away, with every checksum right: neither tree nor anchors know of bodies.
fn edit_body(written: &Written, dir: &Path, rng: &mut Rng) -> Edit {
    let which = rng.below(written.firsts.len() as u64) as usize;
    let mut segment = Segment::new(written, which);
    let (seq, index, at) = segment.record_with_body(rng);
    let made = written.history.iter().flatten().nth(seq as usize).unwrap();
    let old = made.body.as_deref().unwrap();
    let mut body = old.to_vec();
    body[rng.below(old.len() as u64) as usize] ^= 1 + rng.below(255) as u8;
    // Where the body goes, the rest moves up; of a segment that others follow the end must stay where it is.
    let taken = segment.is_last() && rng.below(2) == 0;
    let (mut before, mut after) = (Vec::new(), Vec::new());
    format::encode_record(&mut before, segment.mark(), seq, index, &entry(made, Some(&[old])));
    let parts: &[&[u8]] = &[&body];
    format::encode_record(&mut after, segment.mark(), seq, index, &entry(made, (!taken).then_some(parts)));
    let length = segment.bytes.len();
    assert_eq!(segment.bytes[at..at + before.len()], before, "the test knows what it wrote");
    segment.bytes.splice(at..at + before.len(), after);
    segment.save(dir, length);
    let what = format!("segment {which}, record {seq}: body {}", if taken { "taken away" } else { "changed" });
    Edit { what, place: Place::Record(seq), refused: Some(false) }
}

/// Segments that are gone, or stand in each other's place.
fn edit_segments(written: &Written, dir: &Path, rng: &mut Rng) -> Edit {
    let count = written.firsts.len() as u64;
    let which = rng.below(count - 1) as usize;
    let (this, next) = (written.firsts[which], written.firsts[which + 1]);
    if rng.below(2) == 0 {
        fs::remove_file(segment::path(dir, this)).unwrap();
        let place = Place::File(segment::name(next), 0..1);
        return Edit { what: format!("segment {which} gone"), place, refused: Some(false) };
    }
    fs::copy(segment::path(&written.dir, this), segment::path(dir, next)).unwrap();
    fs::copy(segment::path(&written.dir, next), segment::path(dir, this)).unwrap();
    let place = Place::File(segment::name(this), 0..u64::MAX);
    Edit { what: format!("segments {which} and {} exchanged", which + 1), place, refused: None }
}

/// The journal written anew from some commit on, by our own code and with anchors of its own: whole in itself.
fn write_anew(written: &Written, dir: &Path, rng: &mut Rng) -> Edit {
    let named_at = |commit: &Commit| commit.iter().rev().find_map(|made| named(&made.record));
    let place_of = |digest: Digest| written.commitments.iter().position(|it| *it == digest);
    let latest = written.history.iter().filter_map(named_at).filter_map(place_of).max().unwrap();
    let from = rng.below(latest as u64 + 1) as usize;
    let mut history = written.history.clone();
    let edits = ["a record changed", "a record left out", "a record put in", "put back and gone on", "forked"];
    let edit = edits[rng.below(edits.len() as u64) as usize];
    match edit {
        "a record changed" => history[from].last_mut().unwrap().record.push(0),
        "a record left out" if history[from].len() > 1 => drop(history[from].pop()),
        "a record left out" => drop(history.remove(from)),
        "a record put in" => history[from].push(with_body(rng)),
        // An older copy goes on, and so does its original: a peer names what it holds of either.
        _ => {
            history.truncate(from);
            let lives = if edit == "forked" { 4 } else { 1 };
            (0..lives).for_each(|_| history.push(vec![with_body(rng)]));
            let held = written.commitments[from + rng.below((COMMITS - from) as u64) as usize];
            history.push(vec![made(WITNESS, held.as_bytes(), None, rng)]);
        }
    }
    fs::remove_dir_all(dir).unwrap();
    let anew = write(dir, &history, |_| None);
    let stale = |made: &Made| named(&made.record).is_some_and(|digest| !anew.commitments.contains(&digest));
    let first = anew.history.iter().flatten().position(stale).expect("the edit is before something that a peer named");
    let what = format!("from commit {from} on written anew: {edit}");
    Edit { what, place: Place::Record(first as u64), refused: Some(false) }
}

fn assert_placed(dir: &Path, edit: &Edit, trial: &str) {
    let (what, report) = (&edit.what, verified(dir));
    let placed = report.findings.iter().any(|finding| match &edit.place {
        Place::File(file, bytes) => finding.file == *file && bytes.contains(&finding.offset),
        Place::Record(seq) => finding.record == Some(RecordSeq(*seq)),
    });
    assert!(placed, "{trial}: {what}: {:?}", report.findings);
    let opened = open_with(dir, Options { segment_bytes: 4 << 10, ..small() }, None);
    match (opened, edit.refused) {
        (Err(OpenError::Damaged(_) | OpenError::BehindAnchor { .. }), Some(true) | None)
        | (Ok(_), Some(false) | None) => {}
        (Err(error), _) => panic!("{trial}: {what}: {error}"),
        (Ok(_), _) => panic!("{trial}: {what}: opened silently"),
    }
}

/// Trials of these seeds, and how often each sort of edit was made.
fn trials(seeds: impl Iterator<Item = u64>) -> [u64; 4] {
    let temp = tempfile::tempdir().unwrap();
    let (mut counts, dir, journal) = ([0; 4], temp.path().join("trial"), temp.path().join("journal"));
    let (mut number, mut written) = (u64::MAX, None);
    for seed in seeds {
        if number != seed / TRIALS_PER_JOURNAL {
            number = seed / TRIALS_PER_JOURNAL;
            written = Some(original(&journal, &mut Rng(!number)));
            assert_eq!(verified(&journal).findings, vec![], "journal {number}, before any edit");
        }
        let written = written.as_ref().expect("it was just written");
        let _ = fs::remove_dir_all(&dir);
        copy_dir(&journal, &dir);
        let mut rng = Rng(seed);
        let sort = rng.below(4) as usize;
        let make = [edit_bytes, edit_body, edit_segments, write_anew][sort];
        let edit = make(written, &dir, &mut rng);
        assert_placed(&dir, &edit, &format!("ALDIS_JOURNAL_EDIT={seed}"));
        counts[sort] += 1;
    }
    counts
}

#[test]
fn i9_every_edit_of_a_journal_is_found_where_it_was_made() {
    if let Ok(seed) = std::env::var("ALDIS_JOURNAL_EDIT") {
        trials(std::iter::once(seed.parse().unwrap()));
        return;
    }
    let edits: u64 = std::env::var("ALDIS_JOURNAL_EDITS").map_or(10_000, |text| text.parse().unwrap());
    let (one, other) = std::thread::scope(|scope| {
        let other = scope.spawn(|| trials(edits / 2..edits));
        (trials(0..edits / 2), other.join().unwrap())
    });
    let counts: Vec<u64> = one.iter().zip(other).map(|(one, other)| one + other).collect();
    println!("{edits} edits: bytes and commits, bodies, segments, written anew: {counts:?}");
    assert!(counts.iter().all(|count| *count * 5 > edits), "{counts:?}");
}
