//! The segments before the last one, as far as opening looks at them: they are there, their headers are whole, and each
//! ends where the next one says. Their records are not read here, because start-up follows open work, not history;
//! `verify` reads them.

use super::blocks::{self, Walk, WalkError};
use super::error::{Finding, OpenError};
use super::format::{RecordSeq, TRAILER_BYTES, Trailer};
use super::segment::{self, Header, Start, StartError};
use aldis_wire::digest::Digest;
use std::fs::File;
use std::io;
use std::path::Path;

const ADVICE: &str = "run `aldis verify`; fetch these records again from the peers that hold them";

/// Checks every segment before the last (whose header is `header`) and the links between them.
pub(super) fn check(dir: &Path, firsts: &[u64], header: &Header, degraded: &mut Vec<Finding>) -> Result<(), OpenError> {
    let mut later = *header;
    for first in firsts.iter().rev().skip(1).copied() {
        match check_link(dir, first, &later) {
            Ok(header) => later = header,
            Err(LinkError::Broken(finding, header)) => {
                degraded.push(*finding);
                later = header.unwrap_or(Header { previous: None, ..later });
            }
            Err(LinkError::Io(error)) => return Err(OpenError::io("read", segment::path(dir, first))(error)),
        }
    }
    if let Some(previous) = later.previous {
        degraded.push(missing(previous.first, later.first));
    }
    Ok(())
}

/// The root when the journal had `size` records, which lies before the last segment.
pub(super) fn root_at(dir: &Path, firsts: &[u64], size: u64) -> Result<Digest, Finding> {
    let first = firsts.iter().copied().filter(|first| *first < size.max(1)).max().unwrap_or(0);
    let failed = |what: String| finding(first, 0, None, what);
    let file = File::open(segment::path(dir, first)).map_err(|error| failed(error.to_string()))?;
    let start = Start::read(&file, first).map_err(|error| failed(error.to_string()))?;
    let mut walk = Walk::new(&file, start.header.mark, start.data_at, start.frontier);
    walk.watch(size);
    loop {
        if let Some(root) = walk.root_at(size) {
            return Ok(root);
        }
        match walk.next_block() {
            Ok(Some(_)) => {}
            Ok(None) => return Err(failed(format!("the segment ends before record {size}"))),
            Err(WalkError::Damage(damage)) => {
                return Err(finding(first, damage.offset, damage.record, damage.fault.to_string()));
            }
            Err(WalkError::Io(error)) => return Err(failed(error.to_string())),
        }
    }
}

enum LinkError {
    Broken(Box<Finding>, Option<Header>),
    Io(io::Error),
}

/// Checks that segment `first` is the one that `later` continues.
fn check_link(dir: &Path, first: u64, later: &Header) -> Result<Header, LinkError> {
    let broken =
        |offset, what: String, header| Err(LinkError::Broken(Box::new(finding(first, offset, None, what)), header));
    let file = File::open(segment::path(dir, first)).map_err(LinkError::Io)?;
    let header = match Header::read(&file, first) {
        Ok(header) => header,
        Err(StartError::Damaged { offset, what }) => return broken(offset, what.to_owned(), None),
        Err(StartError::Io(error)) => return Err(LinkError::Io(error)),
    };
    let Some(previous) = later.previous else {
        return Ok(header);
    };
    if previous.first != first {
        return Err(LinkError::Broken(Box::new(missing(previous.first, later.first)), Some(header)));
    }
    let mut bytes = [0; TRAILER_BYTES];
    let at = previous.end.saturating_sub(TRAILER_BYTES as u64);
    let filled = blocks::read_some(&file, &mut bytes, at).map_err(LinkError::Io)?;
    let trailer = Trailer::parse(&bytes, header.mark).ok().filter(|_| filled == bytes.len());
    if trailer.is_none_or(|trailer| trailer.head != later.start) {
        let what = format!("the segment does not end as segment {} says", segment::name(later.first));
        return broken(at, what, Some(header));
    }
    Ok(header)
}

fn missing(first: u64, after: u64) -> Finding {
    let what = format!("the segment is missing, and with it records {first} to {}", after.saturating_sub(1));
    finding(first, 0, Some(RecordSeq(first)), what)
}

fn finding(first: u64, offset: u64, record: Option<RecordSeq>, what: String) -> Finding {
    Finding { file: segment::name(first), offset, record, what, advice: ADVICE }
}
