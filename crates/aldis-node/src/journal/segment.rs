//! Segment files: their names, their header, the snapshot each starts with, and the preparation of the next one.
//! This module never touches commits.

use super::disk::Disk;
use super::format::{Mark, TreeHead, is_sealed, pad, padded, read_digest, read_u32, read_u64, seal};
use aldis_wire::merkle::Frontier;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The longest snapshot, in bytes.
pub const MAX_SNAPSHOT_BYTES: u64 = 1 << 30;

pub(super) const SEGMENT_HEADER_BYTES: usize = 96;
const PREPARED_NAME: &str = "next.prepared";
const MAGIC: &[u8; 8] = b"ALDISJNL";
const SNAPSHOT_MAGIC: &[u8; 8] = b"ALDISSNP";
const FORMAT_VERSION: u32 = 1;
const NO_PREVIOUS: u64 = u64::MAX;
const SNAPSHOT_HEAD_BYTES: usize = 32;

/// The first 96 bytes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) mark: Mark,
    /// The number of the segment's first record, and so its name.
    pub(super) first: u64,
    pub(super) previous: Option<Previous>,
    /// The tree before the first record.
    pub(super) start: TreeHead,
}

/// The segment before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Previous {
    /// Its first record, and so its name.
    pub(super) first: u64,
    /// Where its last commit ends.
    pub(super) end: u64,
}

/// What a segment starts with.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) header: Header,
    pub(super) frontier: Frontier,
    pub(super) snapshot: Option<Vec<u8>>,
    /// Where the first commit begins.
    pub(super) data_at: u64,
}

/// Why a segment's start cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error("{what}")]
    Damaged { offset: u64, what: &'static str },
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut buf = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        let previous = self.previous.unwrap_or(Previous { first: NO_PREVIOUS, end: 0 });
        buf.extend_from_slice(MAGIC);
        buf.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        buf.extend_from_slice(&[0; 4]);
        for word in [self.mark.record(), self.first, previous.first, previous.end, self.start.size] {
            buf.extend_from_slice(&word.to_le_bytes());
        }
        buf.extend_from_slice(self.start.root.as_bytes());
        seal(&mut buf, 0);
        buf
    }

    /// Reads and checks the header of the segment that is named for record `first`.
    pub(super) fn read(file: &File, first: u64) -> Result<Self, StartError> {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        read_exact(file, &mut bytes, 0, "the file is shorter than a segment's header")?;
        let damaged = |offset, what| Err(StartError::Damaged { offset, what });
        if bytes[..8] != *MAGIC {
            return damaged(0, "this is not a segment of a journal");
        }
        if !is_sealed(&bytes) {
            return damaged(0, "the segment's header does not match its checksum");
        }
        if read_u32(&bytes, 8) != FORMAT_VERSION {
            return damaged(8, "the segment has a format this version does not know");
        }
        let previous = Previous { first: read_u64(&bytes, 32), end: read_u64(&bytes, 40) };
        let header = Self {
            mark: Mark::from_stored(read_u64(&bytes, 16)),
            first: read_u64(&bytes, 24),
            previous: (previous.first != NO_PREVIOUS).then_some(previous),
            start: TreeHead { size: read_u64(&bytes, 48), root: read_digest(&bytes, 56) },
        };
        if header.first != first || header.start.size != first {
            return damaged(24, "the segment's first record is not the one its name says");
        }
        Ok(header)
    }
}

impl Start {
    /// Reads and checks header, frontier and snapshot of the segment that is named for record `first`.
    pub(super) fn read(file: &File, first: u64) -> Result<Self, StartError> {
        let header = Header::read(file, first)?;
        let SnapshotHead { is_present, frontier, length, body_at } = SnapshotHead::read(file, &header)?;
        let body = read_snapshot(file, body_at, length)?;
        let data_at = body_at + body.len() as u64;
        let length = usize::try_from(length).expect("the length was checked against a limit that fits");
        let snapshot = is_present.then(|| body[..length].to_vec());
        Ok(Self { header, frontier, snapshot, data_at })
    }

    /// The header, and where the first commit begins: without the snapshot, which may have hundreds of megabytes.
    pub(super) fn read_around_snapshot(file: &File, first: u64) -> Result<(Header, u64), StartError> {
        let header = Header::read(file, first)?;
        let SnapshotHead { length, body_at, .. } = SnapshotHead::read(file, &header)?;
        Ok((header, body_at + snapshot_len(length) as u64))
    }

    /// The bytes a segment starts with.
    pub(super) fn encode(header: &Header, frontier: &Frontier, snapshot: Option<&[u8]>) -> Vec<u8> {
        let mut buf = header.encode();
        let (start, bytes) = (buf.len(), snapshot.unwrap_or_default());
        buf.extend_from_slice(SNAPSHOT_MAGIC);
        buf.extend_from_slice(&u32::from(snapshot.is_some()).to_le_bytes());
        buf.extend_from_slice(&frontier.size().count_ones().to_le_bytes());
        buf.extend_from_slice(&frontier.size().to_le_bytes());
        buf.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        frontier.peaks().iter().for_each(|peak| buf.extend_from_slice(peak.as_bytes()));
        seal(&mut buf, start);
        let start = buf.len();
        buf.extend_from_slice(bytes);
        pad(&mut buf);
        seal(&mut buf, start);
        buf
    }
}

/// What stands before the snapshot.
struct SnapshotHead {
    is_present: bool,
    frontier: Frontier,
    /// The snapshot's bytes.
    length: u64,
    body_at: u64,
}

impl SnapshotHead {
    fn read(file: &File, header: &Header) -> Result<Self, StartError> {
        let at = SEGMENT_HEADER_BYTES as u64;
        let damaged = |what| StartError::Damaged { offset: at, what };
        let mut head = vec![0; SNAPSHOT_HEAD_BYTES];
        read_exact(file, &mut head, at, "the file ends within the snapshot's head")?;
        let (present, peaks, length) = (read_u32(&head, 8), read_u32(&head, 12), read_u64(&head, 24));
        if head[..8] != *SNAPSHOT_MAGIC || present > 1 || peaks > 64 || length > MAX_SNAPSHOT_BYTES {
            return Err(damaged("no snapshot stands where each segment has one"));
        }
        head.resize(SNAPSHOT_HEAD_BYTES + peaks as usize * 32 + 8, 0);
        let rest_at = at + SNAPSHOT_HEAD_BYTES as u64;
        read_exact(file, &mut head[SNAPSHOT_HEAD_BYTES..], rest_at, "the file ends within the snapshot's head")?;
        if !is_sealed(&head) {
            return Err(damaged("the snapshot's head does not match its checksum"));
        }
        let peaks = (0..peaks as usize).map(|i| read_digest(&head, SNAPSHOT_HEAD_BYTES + i * 32)).collect();
        let frontier = Frontier::from_parts(read_u64(&head, 16), peaks)
            .filter(|frontier| frontier.size() == header.start.size && frontier.root() == header.start.root)
            .ok_or_else(|| damaged("the tree in the snapshot is not the one the header names"))?;
        Ok(Self { is_present: present == 1, frontier, length, body_at: at + head.len() as u64 })
    }
}

/// The name of the segment whose first record is `first`.
pub(super) fn name(first: u64) -> String {
    format!("{first:020}.seg")
}

/// The path of the segment whose first record is `first`.
pub(super) fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join(name(first))
}

/// The path of the segment that is being prepared.
pub(super) fn prepared_path(dir: &Path) -> PathBuf {
    dir.join(PREPARED_NAME)
}

/// The first records of all segments in `dir`, ascending. Other files are passed over.
pub(super) fn list(dir: &Path) -> io::Result<Vec<u64>> {
    let mut firsts = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let file_name = entry?.file_name();
        let first = file_name.to_str().and_then(|text| text.strip_suffix(".seg")?.parse::<u64>().ok());
        firsts.extend(first.filter(|first| file_name.to_str() == Some(&name(*first))));
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// The bytes between the start of a segment and its replacement: such that snapshots cost at most a quarter.
pub(super) fn data_bytes(segment_bytes: u64, snapshot_bytes: u64) -> u64 {
    segment_bytes.max(snapshot_bytes.saturating_mul(4))
}

/// The bytes to write ahead for a segment that follows a snapshot of `snapshot_bytes`: the snapshot may have grown by
/// a quarter, and the last commit may reach an eighth beyond the rotation mark.
pub(super) fn prepared_bytes(segment_bytes: u64, snapshot_bytes: u64) -> u64 {
    let data = data_bytes(segment_bytes, snapshot_bytes);
    4096 + snapshot_bytes + snapshot_bytes / 4 + data + data / 8
}

/// Writes the next segment ahead, all zeroes, under its aside name. A sync into written space is far cheaper than into
/// a growing file, and the disk cannot fill up under a commit.
pub(super) fn prepare(disk: &Disk, dir: &Path, bytes: u64, stop: &dyn Fn() -> bool) -> io::Result<File> {
    let path = prepared_path(dir);
    disk.remove_file(&path)?;
    let file = disk.create_file(&path)?;
    disk.write_zeroes(&file, 0, bytes, stop)?;
    disk.sync_data(&file)?;
    Ok(file)
}

/// The bytes that a snapshot takes, with its filling and its checksum.
fn snapshot_len(length: u64) -> usize {
    padded(usize::try_from(length).expect("the length was checked against a limit that fits")) + 8
}

fn read_snapshot(file: &File, at: u64, length: u64) -> Result<Vec<u8>, StartError> {
    let length = snapshot_len(length);
    if file.metadata()?.len() < at + length as u64 {
        return Err(StartError::Damaged { offset: at, what: "the file ends within the snapshot" });
    }
    let mut bytes = vec![0; length];
    read_exact(file, &mut bytes, at, "the file ends within the snapshot")?;
    if !is_sealed(&bytes) {
        return Err(StartError::Damaged { offset: at, what: "the snapshot does not match its checksum" });
    }
    Ok(bytes)
}

fn read_exact(file: &File, bytes: &mut [u8], offset: u64, short: &'static str) -> Result<(), StartError> {
    file.read_exact_at(bytes, offset).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => StartError::Damaged { offset, what: short },
        _ => StartError::Io(error),
    })
}
