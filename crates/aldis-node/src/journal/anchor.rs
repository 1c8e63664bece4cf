//! The two files that vouch for a size the journal once had: `anchor`, written (never synced) after each commit is on
//! disk, and `clean-stop`, written at the end of a run. Both may be older than the journal; neither is ever ahead of
//! it, which is why a journal that ends before one of them was cut or rolled back (I9).

use super::disk::Disk;
use super::error::{Anchor, Finding};
use super::format::{TreeHead, is_sealed, read_digest, read_u64, seal};
use std::fs::File;
use std::io;
use std::path::Path;

pub(super) const ANCHOR_NAME: &str = "anchor";
pub(super) const CLEAN_STOP_NAME: &str = "clean-stop";
const CLEAN_STOP_ASIDE_NAME: &str = "clean-stop.new";
const SLOT_BYTES: usize = 64;
const MAGIC: &[u8; 8] = b"ALDISANC";
const NO_ANCHOR: &str = "how far the journal once reached is not known from here; \
    compare with what the peers hold receipts for";

/// The open `anchor` file.
#[derive(Debug)]
pub(super) struct AnchorFile {
    file: File,
    next_slot: u64,
}

impl AnchorFile {
    /// Creates the file for an empty journal, durably except for its name.
    pub(super) fn create(disk: &Disk, dir: &Path, head: &TreeHead) -> io::Result<Self> {
        let file = disk.create_file(&dir.join(ANCHOR_NAME))?;
        Self { file, next_slot: 0 }.reset(disk, head)
    }

    /// Opens the file, or makes it anew, with both slots at `head`.
    pub(super) fn open(disk: &Disk, dir: &Path, head: &TreeHead) -> io::Result<Self> {
        let path = dir.join(ANCHOR_NAME);
        let file = match disk.open_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => disk.create_file(&path)?,
            other => other?,
        };
        let anchor = Self { file, next_slot: 0 }.reset(disk, head)?;
        disk.sync_dir(dir)?;
        Ok(anchor)
    }

    /// Writes `head` into the older of the two slots. Not synced: after a power cut the file may be stale.
    pub(super) fn write(&mut self, disk: &Disk, head: &TreeHead) -> io::Result<()> {
        disk.write_at(&self.file, &encode(head), self.next_slot * SLOT_BYTES as u64)?;
        self.next_slot ^= 1;
        Ok(())
    }

    fn reset(mut self, disk: &Disk, head: &TreeHead) -> io::Result<Self> {
        self.write(disk, head)?;
        self.write(disk, head)?;
        disk.sync_data(&self.file)?;
        Ok(self)
    }
}

/// Writes the clean-stop mark so that it is there whole or not at all.
pub(super) fn write_clean_stop(disk: &Disk, dir: &Path, head: &TreeHead) -> io::Result<()> {
    let aside = dir.join(CLEAN_STOP_ASIDE_NAME);
    disk.remove_file(&aside)?;
    let file = disk.create_file(&aside)?;
    disk.write_at(&file, &encode(head), 0)?;
    disk.sync_data(&file)?;
    disk.rename(&aside, &dir.join(CLEAN_STOP_NAME))?;
    disk.sync_dir(dir)
}

/// Removes the clean-stop mark durably, before anything is appended behind it.
pub(super) fn remove_clean_stop(disk: &Disk, dir: &Path) -> io::Result<()> {
    disk.remove_file(&dir.join(CLEAN_STOP_NAME))?;
    disk.sync_dir(dir)
}

/// The anchors of a journal as they stand on disk, with `floor` as the caller's own.
///
/// An unreadable anchor file is a finding. Its slots are two so that a write cut off in the middle costs one of them.
pub(super) fn read_all(
    dir: &Path,
    floor: Option<TreeHead>,
    findings: &mut Vec<Finding>,
) -> io::Result<Vec<(Anchor, TreeHead)>> {
    let mut anchors = Vec::new();
    match read_file(&dir.join(ANCHOR_NAME))? {
        None => findings.push(finding(ANCHOR_NAME, 0, "the anchor file is missing")),
        Some(bytes) => {
            let slots: Vec<Option<TreeHead>> = (0..2).map(|slot| decode(&bytes, slot)).collect();
            for (slot, _) in slots.iter().enumerate().filter(|(_, head)| head.is_none()) {
                findings.push(finding(ANCHOR_NAME, slot as u64 * SLOT_BYTES as u64, "an anchor is unreadable"));
            }
            let newest = slots.into_iter().flatten().max_by_key(|head| head.size);
            anchors.extend(newest.map(|head| (Anchor::File, head)));
        }
    }
    if let Some(bytes) = read_file(&dir.join(CLEAN_STOP_NAME))? {
        match decode(&bytes, 0) {
            Some(head) => anchors.push((Anchor::CleanStop, head)),
            None => findings.push(finding(CLEAN_STOP_NAME, 0, "the clean-stop mark is unreadable")),
        }
    }
    anchors.extend(floor.map(|head| (Anchor::Floor, head)));
    Ok(anchors)
}

fn finding(file: &str, offset: u64, what: &str) -> Finding {
    Finding { file: file.to_owned(), offset, record: None, what: what.to_owned(), advice: NO_ANCHOR }
}

/// Reads no more than the two slots, however long the file was made.
fn read_file(path: &Path) -> io::Result<Option<Vec<u8>>> {
    use io::Read as _;
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let mut bytes = Vec::with_capacity(2 * SLOT_BYTES);
    file.take(2 * SLOT_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

pub(super) fn encode(head: &TreeHead) -> Vec<u8> {
    let mut buf = Vec::with_capacity(SLOT_BYTES);
    buf.extend_from_slice(MAGIC);
    buf.extend_from_slice(&head.size.to_le_bytes());
    buf.extend_from_slice(head.root.as_bytes());
    buf.extend_from_slice(&[0; 8]);
    seal(&mut buf, 0);
    buf
}

fn decode(bytes: &[u8], slot: usize) -> Option<TreeHead> {
    let slot = bytes.get(slot * SLOT_BYTES..(slot + 1) * SLOT_BYTES)?;
    let whole = slot[..8] == *MAGIC && is_sealed(slot);
    whole.then(|| TreeHead { size: read_u64(slot, 8), root: read_digest(slot, 16) })
}
