//! What a copy of a journal is made of, so that it is a journal that ended at a commit: which files, how much of each,
//! and an anchor of its own. A writer may go on meanwhile: what is behind a commit never changes what is before it but
//! for erased bodies. Nothing here writes.

use super::anchor;
use super::blocks::{Walk, WalkError};
use super::error::{Finding, OpenError};
use super::format::{RecordSeq, TreeHead};
use super::segment::{self, Header, Start, StartError};
use super::snapshot;
use std::fs::File;
use std::path::Path;

/// The name of the anchor's file in a copy.
pub const ANCHOR_FILE: &str = anchor::ANCHOR_NAME;
const ADVICE: &str = "run `aldis verify`: what it names cannot be copied as it should be";

/// One segment of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The file's name in the journal's directory.
    pub name: String,
    /// How many bytes of it, from its first, belong to the copy.
    pub bytes: u64,
}

/// The segments that make up the journal in `dir` as it was with `head`, which it had after a commit: all of each but the
/// last, which ends with that commit.
pub fn parts(dir: &Path, head: &TreeHead) -> Result<Vec<Part>, OpenError> {
    let firsts = segment::list(dir).map_err(OpenError::io("list", dir))?;
    let within: Vec<u64> = firsts.into_iter().filter(|first| *first < head.size || *first == 0).collect();
    let Some((last, sealed)) = within.split_last() else {
        return Err(OpenError::Missing { dir: dir.to_owned() });
    };
    let mut parts = Vec::with_capacity(within.len());
    for first in sealed {
        let path = segment::path(dir, *first);
        let bytes = path.metadata().map_err(OpenError::io("read", &path))?.len();
        parts.push(Part { name: segment::name(*first), bytes });
    }
    parts.push(Part { name: segment::name(*last), bytes: end_of(dir, *last, head)? });
    Ok(parts)
}

/// The latest snapshot that such a copy can begin with, if there is one that is whole; without it a start of the copy replays
/// more.
pub fn snapshot_part(dir: &Path, head: &TreeHead) -> Result<Option<Part>, OpenError> {
    let firsts = segment::list(dir).map_err(OpenError::io("list", dir))?;
    for first in firsts.into_iter().rev().filter(|first| *first < head.size) {
        let header = File::open(segment::path(dir, first)).ok().and_then(|file| Header::read(&file, first).ok());
        let is_whole = |header: Header| snapshot::read(dir, &header.start).is_ok_and(|bytes| bytes.is_some());
        if header.is_some_and(is_whole) {
            let path = snapshot::path(dir, first);
            let bytes = path.metadata().map_err(OpenError::io("read", &path))?.len();
            return Ok(Some(Part { name: snapshot::name(first), bytes }));
        }
    }
    Ok(None)
}

/// The anchor's file of a copy that ends with `head`. It has no mark of a clean stop: that run did not end there.
pub fn anchor_of(head: &TreeHead) -> Vec<u8> {
    anchor::encode(head).repeat(2)
}

/// Whether a copy of a journal may hold a file of this name.
pub fn is_part(name: &str) -> bool {
    let first = name.split_once('.').and_then(|(digits, _)| digits.parse().ok());
    name == ANCHOR_FILE
        || first.is_some_and(|first| [segment::name(first), snapshot::name(first)].contains(&name.into()))
}

/// The byte at which the commit that made the tree `head` ends, in the segment that starts with record `first`.
fn end_of(dir: &Path, first: u64, head: &TreeHead) -> Result<u64, OpenError> {
    let path = segment::path(dir, first);
    let failed = || OpenError::io("read", &path);
    let damaged = |offset, what: String| {
        let (file, record) = (segment::name(first), Some(RecordSeq(head.size)));
        OpenError::Damaged(Finding { file, offset, record, what, advice: ADVICE })
    };
    let file = File::open(&path).map_err(failed())?;
    let start = Start::read(&file, first).map_err(|error| match error {
        StartError::Damaged { offset, what } => damaged(offset, what.to_owned()),
        StartError::Io(error) => failed()(error),
    })?;
    let mut walk = Walk::new(&file, start.header.mark, start.data_at, start.frontier);
    while walk.head().size < head.size {
        match walk.next_block() {
            Ok(Some(_)) => {}
            Ok(None) => return Err(damaged(walk.offset(), "the journal ends here".to_owned())),
            Err(WalkError::Damage(damage)) => return Err(damaged(damage.offset, damage.fault.to_string())),
            Err(WalkError::Io(error)) => return Err(failed()(error)),
        }
    }
    if walk.head() != *head {
        return Err(damaged(walk.offset(), format!("the tree is {} here, and it was {head}", walk.head())));
    }
    Ok(walk.offset())
}
