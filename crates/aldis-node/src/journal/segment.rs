//! Segment files: their names, their header, the tree each starts with, and the preparation of the next one. This module never
//! touches commits.

use super::disk::Disk;
use super::format::{Mark, TreeHead, is_sealed, read_digest, read_u32, read_u64, seal};
use aldis_wire::merkle::Frontier;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

pub(super) const SEGMENT_HEADER_BYTES: usize = 96;
const PREPARED_NAME: &str = "next.prepared";
const MAGIC: &[u8; 8] = b"ALDISJNL";
const TREE_MAGIC: &[u8; 8] = b"ALDISTRE";
const FORMAT_VERSION: u32 = 2;
const NO_PREVIOUS: u64 = u64::MAX;
const TREE_HEAD_BYTES: usize = 16;
const MAX_PEAKS: u32 = 64;

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
    /// The tree before the first record.
    pub(super) frontier: Frontier,
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
    /// Reads and checks header and tree of the segment that is named for record `first`.
    pub(super) fn read(file: &File, first: u64) -> Result<Self, StartError> {
        let header = Header::read(file, first)?;
        let at = SEGMENT_HEADER_BYTES as u64;
        let damaged = |what| StartError::Damaged { offset: at, what };
        let mut tree = vec![0; TREE_HEAD_BYTES];
        read_exact(file, &mut tree, at, "the file ends within the segment's tree")?;
        let peaks = read_u32(&tree, 8);
        if tree[..8] != *TREE_MAGIC || peaks > MAX_PEAKS {
            return Err(damaged("no tree stands where each segment has one"));
        }
        tree.resize(TREE_HEAD_BYTES + peaks as usize * 32 + 8, 0);
        let rest_at = at + TREE_HEAD_BYTES as u64;
        read_exact(file, &mut tree[TREE_HEAD_BYTES..], rest_at, "the file ends within the segment's tree")?;
        if !is_sealed(&tree) {
            return Err(damaged("the segment's tree does not match its checksum"));
        }
        let peaks = (0..peaks as usize).map(|i| read_digest(&tree, TREE_HEAD_BYTES + i * 32)).collect();
        let frontier = Frontier::from_parts(header.start.size, peaks)
            .filter(|frontier| frontier.root() == header.start.root)
            .ok_or_else(|| damaged("the segment's tree is not the one its header names"))?;
        Ok(Self { header, frontier, data_at: at + tree.len() as u64 })
    }

    /// The bytes a segment starts with.
    pub(super) fn encode(header: &Header, frontier: &Frontier) -> Vec<u8> {
        let mut buf = header.encode();
        let start = buf.len();
        buf.extend_from_slice(TREE_MAGIC);
        buf.extend_from_slice(&frontier.size().count_ones().to_le_bytes());
        buf.extend_from_slice(&[0; 4]);
        frontier.peaks().iter().for_each(|peak| buf.extend_from_slice(peak.as_bytes()));
        seal(&mut buf, start);
        buf
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

/// The bytes that a segment needs which follows a snapshot of `snapshot_bytes`: its last commit may reach an eighth beyond the
/// rotation mark.
pub(super) fn needed_bytes(segment_bytes: u64, snapshot_bytes: u64) -> u64 {
    let data = data_bytes(segment_bytes, snapshot_bytes);
    4096 + data + data / 8
}

/// The bytes to write ahead for a segment while the latest snapshot takes `snapshot_bytes`: by the time the segment is needed
/// that may have grown by a quarter.
pub(super) fn prepared_bytes(segment_bytes: u64, snapshot_bytes: u64) -> u64 {
    needed_bytes(segment_bytes, snapshot_bytes / 4 * 5)
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

fn read_exact(file: &File, bytes: &mut [u8], offset: u64, short: &'static str) -> Result<(), StartError> {
    file.read_exact_at(bytes, offset).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => StartError::Damaged { offset, what: short },
        _ => StartError::Io(error),
    })
}
