//! Backups of small journals: made beside a writer, broken off, damaged, forged, and put back.

mod faults;
mod hostile;
mod making;
mod restoring;

use super::write::{Job, Written, write};
use super::{BackupError, Checked, Restore, check};
use crate::fixtures::{SALT, received};
use crate::journal::{BodyRef, Disk, Entry, Journal, Options, RecordSeq, Replayed};
use aldis_core::record::{BodyErased, Record, RecordSeq as CoreSeq};
use aldis_wire::ids::{NodeId, UnixMillis};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

fn now() -> UnixMillis {
    UnixMillis::new(1_795_316_400_000)
}

/// What stands in the file beside the journal.
const CONFIGURATION: &str = "node.id = \"cert.br\"\n";

/// A node's data, and a directory for its backups.
struct World {
    temp: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        for name in ["data", "backups"] {
            private_dir(&temp.path().join(name));
        }
        fs::write(temp.path().join("aldisd.toml"), CONFIGURATION).unwrap();
        Self { temp }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    fn journal_dir(&self) -> PathBuf {
        self.path("data/journal")
    }

    fn create(&self) -> Journal {
        Journal::create(&self.journal_dir(), small()).unwrap()
    }

    fn job(&self, journal: &Journal) -> Job {
        Job {
            disk: Disk::default(),
            node: own(),
            directory: self.path("backups"),
            keep: 2,
            data_dir: self.path("data"),
            journal_dir: self.journal_dir(),
            journal: journal.reader(),
            files: vec![self.path("aldisd.toml")],
            now: now(),
        }
    }

    fn back_up(&self, journal: &Journal) -> Result<Written, BackupError> {
        write(&self.job(journal), &mut |_, _, _| {})
    }

    fn checked(&self) -> Checked {
        check(&self.path("backups"), &mut |_, _, _| {}).unwrap()
    }

    fn wanted(&self, to: &str) -> Restore {
        Restore {
            from: self.path("backups"),
            to: self.path(to),
            node: own(),
            set_aside: false,
            by: "ana (uid 7)".to_owned(),
            now: now(),
        }
    }
}

fn own() -> NodeId {
    NodeId::new("cert.br").unwrap()
}

fn private_dir(path: &Path) {
    fs::create_dir(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
}

/// Segments of some twenty records.
fn small() -> Options {
    let mut options = crate::fixtures::small_journal();
    options.segment_bytes = 4 << 10;
    options
}

/// What record `seq` says, and its body.
fn content(seq: u64) -> (Vec<u8>, String) {
    let body = format!("the body of record {seq:06}");
    (received(UnixMillis::new(seq), body.as_bytes()).encode(), body)
}

/// Commits so many records, one by one, and rotates when it is time.
fn commit(journal: &mut Journal, count: u64) {
    for _ in 0..count {
        let seq = journal.size();
        let (record, body) = content(seq);
        let nonce = seq.to_le_bytes().repeat(2).try_into().unwrap();
        journal.commit(&[Entry { nonce, record: &record, body: Some(&[&SALT, body.as_bytes()]) }]).unwrap();
        if journal.should_rotate() {
            journal.rotate(Box::new(|| b"a snapshot".to_vec())).unwrap();
        }
    }
}

/// Erases a body as the node does: the record that says so first.
fn erase(journal: &mut Journal, seq: u64) {
    let record = Record::BodyErased(BodyErased { record: CoreSeq(seq), at: now() }).encode();
    journal.commit(&[Entry { nonce: [9; 16], record: &record, body: None }]).unwrap();
    journal.erase_body(RecordSeq(seq)).unwrap();
}

/// Opens the journal in `dir` and reads all of it.
fn opened(dir: &Path) -> Journal {
    let mut replayed = 0;
    let recovered = Journal::open(dir, small(), None, &mut |one| {
        if let Replayed::Record { body: BodyRef::None | BodyRef::Erased | BodyRef::Present(_), .. } = one {
            replayed += 1;
        }
        Ok(())
    });
    let recovered = recovered.unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    assert!(recovered.report.degraded.is_empty(), "{:?}", recovered.report);
    for record in recovered.journal.reader().iter_from(RecordSeq(0)) {
        let record = record.unwrap();
        assert_eq!(record.record, content(record.seq.0).0);
    }
    recovered.journal
}

/// All files below `dir`.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { found.extend(files(&entry)) } else { found.push(entry) }
    }
    found.sort();
    found
}

fn holds(path: &Path, words: &str) -> bool {
    fs::read(path).unwrap().windows(words.len()).any(|window| window == words.as_bytes())
}
