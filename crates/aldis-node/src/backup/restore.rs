//! Putting a backup back. It is verified where it is, copied, verified again where it is to work, and then put in place by
//! a rename; what was there is renamed, never deleted. The marker that keeps the node from signing too early is there
//! before the journal is: between the two a start would sign what peers have seen otherwise.

use super::check::{self, Checked, Tell};
use super::error::RestoreError;
use super::manifest::{JOURNAL_DIR, Kept, open_plain};
use crate::journal::{self, Disk, OpenError};
use aldis_wire::ids::{NodeId, UnixMillis};
use serde::Serialize;
use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The file in the data directory by which a start learns that it was restored.
pub const MARKER_FILE: &str = "restored";
/// Where the journal is put together.
const ASIDE_NAME: &str = "restoring";
/// What is not put in place by itself: keys, certificates, card, configuration, revocation lists.
const BESIDE_NAME: &str = "from-backup";
/// The message log and how far it had come, which vouch for a journal and must not vouch for an older one.
const LOG_NAMES: [&str; 2] = ["log", "log.position"];
/// What a restore takes beside the files.
const OVERHEAD_BYTES: u64 = 1 << 20;

/// What is to be put back, and where.
pub struct Restore {
    /// The directory of backups, or one generation.
    pub from: PathBuf,
    /// The data directory.
    pub to: PathBuf,
    /// Whose it is.
    pub node: NodeId,
    /// Whether a journal and a log that are there are renamed; otherwise they refuse it.
    pub set_aside: bool,
    /// Who does it.
    pub by: String,
    /// When.
    pub now: UnixMillis,
}

/// What was put back.
#[derive(Clone, Debug, Serialize)]
pub struct Restored {
    /// Whose journal it is.
    pub node: NodeId,
    /// How many records it has.
    pub records: u64,
    /// The Merkle root over them, in hexadecimal.
    pub root: String,
    /// When the backup was made.
    pub backup_of: UnixMillis,
    /// From which generation.
    pub generation: PathBuf,
    /// The data directory.
    pub data_dir: PathBuf,
    /// What was there and is now called so.
    pub set_aside: Vec<PathBuf>,
    /// Keys, certificates, card and configuration, which are put back by hand if theirs are lost: where each is now, and
    /// where it was.
    pub beside: Vec<(PathBuf, String)>,
}

impl Restored {
    /// For people, with what comes next.
    pub fn text(&self) -> String {
        let mut text = format!(
            "restored {}: {} records, root {}\nas they were at {}, from {}\n",
            self.node,
            self.records,
            self.root,
            self.backup_of,
            self.generation.display()
        );
        for path in &self.set_aside {
            text.push_str(&format!("set aside  {}\n", path.display()));
        }
        if !self.beside.is_empty() {
            text.push_str(
                "\nKeys, certificates, card and configuration are beside it. Put back only what is lost: newer\n",
            );
            text.push_str("ones must not be replaced by these.\n");
        }
        for (path, from) in &self.beside {
            text.push_str(&format!("  {}  was {from:?}\n", path.display()));
        }
        text.push_str(
            "\nNext: start the node and look at `aldis status`. It signs nothing new for a peer until it knows what that\n\
             peer holds. For each peer that holds more: aldis peer recover PEER.\n",
        );
        text
    }

    /// For programs.
    pub fn json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("it is made of strings and numbers");
        format!("{text}\n")
    }
}

/// What the marker says.
#[derive(Serialize)]
struct Marker<'a> {
    by: &'a str,
    /// In milliseconds since 1970 in UTC.
    at: u64,
    backup_of: u64,
}

/// Puts a backup back. Blocks on the disk; `tell` is called after each piece of work.
pub fn restore(wanted: &Restore, tell: &mut Tell<'_>) -> Result<Restored, RestoreError> {
    restore_with(&Disk::default(), wanted, tell)
}

pub(super) fn restore_with(disk: &Disk, wanted: &Restore, tell: &mut Tell<'_>) -> Result<Restored, RestoreError> {
    let checked = check::check(&wanted.from, tell)?;
    let found = &checked.manifest.node;
    if *found != wanted.node {
        return Err(RestoreError::OtherNode { found: found.clone(), wanted: wanted.node.clone() });
    }
    checked.refuse_damage()?;
    prepare_target(&wanted.to)?;
    let names = [JOURNAL_DIR].into_iter().chain(LOG_NAMES);
    let occupied: Vec<PathBuf> = names.map(|name| wanted.to.join(name)).filter(|path| path.exists()).collect();
    // A daemon that runs is the weightier reason, so it is looked for first.
    let _before = lock_existing(&wanted.to)?;
    if !occupied.is_empty() && !wanted.set_aside {
        return Err(RestoreError::Occupied { dir: wanted.to.clone() });
    }
    check_space(disk, wanted, &checked)?;
    let aside = wanted.to.join(ASIDE_NAME);
    let (_lock, beside) = copy(disk, wanted, &checked, &aside, tell)?;
    let head = checked.manifest.head();
    if let Some(first) = check::walked(&aside, &head, tell).into_iter().next() {
        return Err(RestoreError::Damaged { count: 1, first });
    }
    write_marker(disk, wanted, checked.manifest.made_at)?;
    let set_aside = set_aside(disk, wanted, &occupied)?;
    let place = wanted.to.join(JOURNAL_DIR);
    disk.rename(&aside, &place).map_err(RestoreError::io("put in place", &place))?;
    disk.sync_dir(&wanted.to).map_err(RestoreError::io("sync", &wanted.to))?;
    Ok(Restored {
        node: found.clone(),
        records: head.size,
        root: head.root.to_hex(),
        backup_of: checked.manifest.made_at,
        generation: checked.generation.clone(),
        data_dir: wanted.to.clone(),
        set_aside,
        beside,
    })
}

/// Makes the data directory, or refuses one that the node could not use.
fn prepare_target(dir: &Path) -> Result<(), RestoreError> {
    if !dir.exists() {
        return DirBuilder::new().mode(0o700).create(dir).map_err(RestoreError::io("create", dir));
    }
    let metadata = dir.metadata().map_err(RestoreError::io("look at", dir))?;
    let unfit = |problem: String| Err(RestoreError::Target { dir: dir.to_owned(), problem });
    let user = rustix::process::geteuid().as_raw();
    if !metadata.is_dir() {
        return unfit("it is not a directory".to_owned());
    }
    if metadata.uid() != user {
        return unfit(format!(
            "it belongs to user {}: restore as that user, so that the node can use it",
            metadata.uid()
        ));
    }
    if metadata.mode() & 0o077 != 0 {
        return unfit("others may look into it: run `chmod 700` on it".to_owned());
    }
    Ok(())
}

/// Locks the journal that is there, so that no daemon starts on it meanwhile.
fn lock_existing(dir: &Path) -> Result<Option<File>, RestoreError> {
    let journal = dir.join(JOURNAL_DIR);
    if !journal.exists() {
        return Ok(None);
    }
    match journal::take_lock(&journal) {
        Ok(lock) => Ok(Some(lock)),
        Err(OpenError::Locked { dir }) => Err(RestoreError::Running { dir }),
        Err(error) => Err(RestoreError::Journal(error)),
    }
}

fn check_space(disk: &Disk, wanted: &Restore, checked: &Checked) -> Result<(), RestoreError> {
    let needed = checked.manifest.bytes().saturating_add(OVERHEAD_BYTES);
    let free = disk.free_bytes(&wanted.to).map_err(RestoreError::io("ask for the free space of", &wanted.to))?;
    if free < needed {
        let problem = format!("{free} bytes are free and {needed} are needed: free some space");
        return Err(RestoreError::Target { dir: wanted.to.clone(), problem });
    }
    Ok(())
}

/// Copies the journal aside, locked for this process, and the other files beside it.
fn copy(
    disk: &Disk,
    wanted: &Restore,
    checked: &Checked,
    aside: &Path,
    tell: &mut Tell<'_>,
) -> Result<(File, Vec<(PathBuf, String)>), RestoreError> {
    let beside = wanted.to.join(BESIDE_NAME);
    for dir in [aside, &beside] {
        disk.remove_dir(dir).map_err(RestoreError::io("remove", dir))?;
        disk.create_dir(dir).map_err(RestoreError::io("create", dir))?;
    }
    let lock = match journal::take_lock(aside) {
        Ok(lock) => lock,
        Err(error) => return Err(RestoreError::Journal(error)),
    };
    let (total, mut done, mut placed) = (checked.manifest.bytes(), 0, Vec::new());
    for kept in &checked.manifest.files {
        let name = Path::new(kept.name.as_str()).file_name().expect("a file's name has two parts");
        let to = if kept.name.is_of_journal() { aside.join(name) } else { beside.join(name) };
        copy_file(disk, &checked.generation, kept, &to, &mut |bytes| tell(done + bytes, total, "copy"))?;
        done += kept.bytes;
        if let Some(from) = &kept.copied_from {
            placed.push((to, from.clone()));
        }
    }
    for dir in [aside, &beside, &wanted.to] {
        disk.sync_dir(dir).map_err(RestoreError::io("sync", dir))?;
    }
    Ok((lock, placed))
}

/// Copies one file, and refuses it if it is not what it was a moment ago.
fn copy_file(
    disk: &Disk,
    generation: &Path,
    kept: &Kept,
    to: &Path,
    tell: &mut dyn FnMut(u64),
) -> Result<(), RestoreError> {
    let from = generation.join(kept.name.as_str());
    let mut source = open_plain(&from).map_err(RestoreError::io("read", &from))?;
    let file = disk.create_file(to).map_err(RestoreError::io("create", to))?;
    let mut at = 0;
    let copied = check::digest_pieces(&mut source, kept.bytes, &mut |done, piece| {
        disk.write_at(&file, piece, at)?;
        at = done;
        tell(done);
        Ok(())
    });
    if copied.map_err(RestoreError::io("copy to", to))? != kept.sha256.0 {
        let first = format!("{}: it changed while it was copied", kept.name.as_str());
        return Err(RestoreError::Damaged { count: 1, first });
    }
    disk.sync_data(&file).map_err(RestoreError::io("sync", to))
}

/// Writes the marker, on stable storage when this returns.
fn write_marker(disk: &Disk, wanted: &Restore, made_at: UnixMillis) -> Result<(), RestoreError> {
    let path = wanted.to.join(MARKER_FILE);
    let marker = Marker { by: &wanted.by, at: wanted.now.get(), backup_of: made_at.get() };
    let text = serde_json::to_vec(&marker).expect("a marker is made of strings and numbers");
    disk.remove_file(&path).map_err(RestoreError::io("replace", &path))?;
    let file = disk.create_file(&path).map_err(RestoreError::io("create", &path))?;
    disk.write_at(&file, &text, 0).map_err(RestoreError::io("write", &path))?;
    disk.sync_data(&file).map_err(RestoreError::io("sync", &path))?;
    disk.sync_dir(&wanted.to).map_err(RestoreError::io("sync", &wanted.to))
}

/// Renames what is there; the log first, for without it the journal that was there still opens.
fn set_aside(disk: &Disk, wanted: &Restore, occupied: &[PathBuf]) -> Result<Vec<PathBuf>, RestoreError> {
    let mut renamed = Vec::new();
    for path in occupied.iter().rev() {
        let mut name = path.file_name().expect("both have names").to_owned();
        name.push(format!(".set-aside-{}", wanted.now.get()));
        let to = path.with_file_name(name);
        disk.rename(path, &to).map_err(RestoreError::io("rename", path))?;
        renamed.push(to);
    }
    Ok(renamed)
}
