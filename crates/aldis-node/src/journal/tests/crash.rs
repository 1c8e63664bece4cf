//! What a disk may hold after the power was cut: made from a recording of every call up to the cut. What was synced is
//! there. Of what was not, each write is on disk, is not, is there in some of its sectors, or has only made the file
//! longer; each change of a name is there or is not, but never before an earlier change of the same name.
//!
//! A sector never holds a later write without the earlier ones to it, because the kernel writes pages, not calls.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// What a device writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// A file or directory, as the kernel numbers them; 0 is the directory that was recorded.
pub(crate) type Node = usize;
pub(crate) const ROOT: Node = 0;

/// One recorded call, or a mark of whoever made the calls.
#[derive(Clone, Debug)]
pub(crate) enum Op<M> {
    MakeDir { at: Name, node: Node },
    Create { at: Name, node: Node },
    Write { node: Node, from: u64, bytes: Arc<[u8]> },
    Resize { node: Node, length: u64 },
    Rename { from: Name, to: Name },
    Remove { at: Name },
    SyncFile(Node),
    SyncDir(Node),
    Mark(M),
}

/// A name in a directory.
pub(crate) type Name = (Node, String);

/// Files and directories as they are on disk. Those without a name are there too, and nobody finds them.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    files: BTreeMap<Node, Arc<Vec<u8>>>,
    dirs: BTreeMap<Node, BTreeMap<String, Node>>,
}

/// How often each kind of fault was made.
pub(crate) type Counts = BTreeMap<&'static str, u64>;

/// Chooses a number below its argument.
pub(crate) type Chance<'a> = dyn FnMut(u64) -> u64 + 'a;

/// What becomes of one write that was not synced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Lost,
    Torn,
    SizeOnly,
}

impl Tree {
    pub(crate) fn new() -> Self {
        Self { files: BTreeMap::new(), dirs: BTreeMap::from([(ROOT, BTreeMap::new())]) }
    }

    /// A number that no node of this tree has.
    pub(crate) fn next_node(&self) -> Node {
        let last = |nodes: Option<&Node>| nodes.copied().unwrap_or(ROOT);
        last(self.files.keys().last()).max(last(self.dirs.keys().last())) + 1
    }

    /// Everything that can be found, as paths below the root, directories before what is in them.
    pub(crate) fn paths(&self) -> Vec<(std::path::PathBuf, Node)> {
        let (mut found, mut open) = (Vec::new(), vec![(std::path::PathBuf::new(), ROOT)]);
        while let Some((path, dir)) = open.pop() {
            for (name, node) in &self.dirs[&dir] {
                found.push((path.join(name), *node));
                if self.dirs.contains_key(node) {
                    open.push((path.join(name), *node));
                }
            }
        }
        found.sort();
        found
    }

    /// The bytes of a file; a directory has none.
    pub(crate) fn file(&self, node: Node) -> Option<&[u8]> {
        self.files.get(&node).map(|bytes| bytes.as_slice())
    }

    /// Makes the files and directories below `root`, which exists and is empty.
    pub(crate) fn write_to(&self, root: &Path) -> io::Result<()> {
        for (path, node) in self.paths() {
            let path = root.join(path);
            match self.files.get(&node) {
                Some(bytes) => {
                    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(bytes)?;
                }
                None => DirBuilder::new().mode(0o700).create(path)?,
            }
        }
        Ok(())
    }

    /// What is on disk if the power is cut after `ops`, which began with this tree.
    pub(crate) fn after_cut<M>(&self, ops: &[Op<M>], chance: &mut Chance<'_>, counts: &mut Counts) -> Self {
        let mut disk = Disk { tree: self.clone(), writes: BTreeMap::new(), names: Vec::new() };
        ops.iter().for_each(|op| disk.take(op));
        disk.lose_names(chance, counts);
        disk.lose_writes(chance, counts);
        disk.tree
    }

    fn apply_name<M>(&mut self, op: &Op<M>) {
        match op {
            Op::MakeDir { at, node } | Op::Create { at, node } => self.link(at, *node),
            Op::Remove { at } => drop(self.unlink(at)),
            Op::Rename { from, to } => {
                if let Some(node) = self.unlink(from) {
                    self.link(to, node);
                }
            }
            _ => {}
        }
    }

    fn link(&mut self, (dir, name): &Name, node: Node) {
        self.dirs.entry(*dir).or_default().insert(name.clone(), node);
    }

    fn unlink(&mut self, (dir, name): &Name) -> Option<Node> {
        self.dirs.entry(*dir).or_default().remove(name)
    }
}

/// A disk, and what the kernel still has to write to it.
struct Disk<'r, M> {
    tree: Tree,
    writes: BTreeMap<Node, Vec<&'r Op<M>>>,
    names: Vec<&'r Op<M>>,
}

impl<'r, M> Disk<'r, M> {
    fn take(&mut self, op: &'r Op<M>) {
        match op {
            Op::MakeDir { node, .. } => {
                self.tree.dirs.insert(*node, BTreeMap::new());
                self.names.push(op);
            }
            Op::Create { node, .. } => {
                self.tree.files.insert(*node, Arc::default());
                self.names.push(op);
            }
            Op::Rename { .. } | Op::Remove { .. } => self.names.push(op),
            Op::Write { node, .. } | Op::Resize { node, .. } => self.writes.entry(*node).or_default().push(op),
            Op::SyncFile(node) => {
                let pending = self.writes.remove(node).unwrap_or_default();
                self.write_all(*node, &pending);
            }
            Op::SyncDir(dir) => {
                let wanted = (0..self.names.len()).filter(|at| names_of(self.names[*at]).any(|name| name.0 == *dir));
                let wanted: BTreeSet<usize> = wanted.collect();
                self.keep_names(wanted);
            }
            Op::Mark(_) => {}
        }
    }

    fn write_all(&mut self, node: Node, pending: &[&Op<M>]) {
        let Some(bytes) = self.tree.files.get_mut(&node) else { return };
        let bytes = Arc::make_mut(bytes);
        pending.iter().for_each(|op| apply_write(bytes, op));
    }

    /// Puts some of the pending changes of names on disk, and those before them that touch the same names.
    fn keep_names(&mut self, mut wanted: BTreeSet<usize>) {
        for at in (0..self.names.len()).rev() {
            let needed = wanted.iter().any(|later| *later > at && share_a_name(self.names[at], self.names[*later]));
            if needed {
                wanted.insert(at);
            }
        }
        let (mut kept, mut index) = (Vec::new(), 0);
        self.names.retain(|op| {
            let keep = wanted.contains(&index);
            kept.extend(keep.then_some(*op));
            index += 1;
            !keep
        });
        kept.iter().for_each(|op| self.tree.apply_name(op));
    }

    /// A journaling file system keeps the changes of names in their order; POSIX promises less.
    fn lose_names(&mut self, chance: &mut Chance<'_>, counts: &mut Counts) {
        let pending = self.names.len();
        let wanted = if chance(2) == 0 {
            (0..usize::try_from(chance(pending as u64 + 1)).expect("there are few")).collect()
        } else {
            (0..pending).filter(|_| chance(2) == 0).collect()
        };
        self.keep_names(wanted);
        let lost: Vec<_> = self.names.drain(..).collect();
        *counts.entry("name kept").or_default() += (pending - lost.len()) as u64;
        for op in lost {
            let what = match op {
                Op::Rename { .. } => "rename lost",
                Op::Remove { .. } => "removal lost",
                _ => "creation lost",
            };
            *counts.entry(what).or_default() += 1;
        }
    }

    fn lose_writes(&mut self, chance: &mut Chance<'_>, counts: &mut Counts) {
        // Sometimes nearly all is there, sometimes nearly nothing: uniform chances would never show one lost write.
        let odds = match chance(4) {
            0 => [1, 1, 1, 1],
            1 => [9, 1, 1, 1],
            2 => [1, 9, 2, 1],
            _ => [1, 1, 9, 1],
        };
        for (node, pending) in std::mem::take(&mut self.writes) {
            if let Some(bytes) = self.tree.files.get_mut(&node) {
                let old = Arc::clone(bytes);
                *bytes = Arc::new(lose_some(&old, &pending, odds, chance, counts));
            }
        }
    }
}

fn lose_some<M>(
    old: &[u8],
    pending: &[&Op<M>],
    odds: [u64; 4],
    chance: &mut Chance<'_>,
    counts: &mut Counts,
) -> Vec<u8> {
    let (mut cache, mut disk, mut length) = (old.to_vec(), old.to_vec(), old.len());
    for op in pending {
        apply_write(&mut cache, op);
        disk.resize(disk.len().max(cache.len()), 0);
        let fate = draw(odds, chance);
        let Op::Write { from, bytes, .. } = op else {
            if fate == Fate::Lost || fate == Fate::SizeOnly {
                // A file system does not write into space it has not given yet.
                *counts.entry("resize lost").or_default() += 1;
                break;
            }
            disk.truncate(cache.len());
            length = cache.len();
            continue;
        };
        let (from, end) = (usize::try_from(*from).expect("small files"), cache.len());
        let end = end.min(from + bytes.len());
        let sectors: Vec<usize> = (from / SECTOR_BYTES * SECTOR_BYTES..end).step_by(SECTOR_BYTES).collect();
        let kept: Vec<bool> = sectors
            .iter()
            .map(|_| match fate {
                Fate::Kept => true,
                Fate::Torn => chance(2) == 0,
                Fate::Lost | Fate::SizeOnly => false,
            })
            .collect();
        for (at, _) in sectors.iter().zip(&kept).filter(|(_, kept)| **kept) {
            let to = (at + SECTOR_BYTES).min(cache.len());
            disk[*at..to].copy_from_slice(&cache[*at..to]);
        }
        if fate != Fate::Lost {
            length = length.max(end);
        }
        let what = match (fate, kept.contains(&true), kept.contains(&false)) {
            (Fate::SizeOnly, ..) if end > old.len() => "only the length kept",
            (_, true, true) => "write torn",
            (_, true, false) => "write kept",
            _ => "write lost",
        };
        *counts.entry(what).or_default() += 1;
    }
    disk.resize(length, 0);
    disk
}

fn draw(odds: [u64; 4], chance: &mut Chance<'_>) -> Fate {
    let mut left = chance(odds.iter().sum());
    for (fate, odd) in [Fate::Kept, Fate::Lost, Fate::Torn, Fate::SizeOnly].into_iter().zip(odds) {
        if left < odd {
            return fate;
        }
        left -= odd;
    }
    Fate::Lost
}

fn apply_write<M>(bytes: &mut Vec<u8>, op: &Op<M>) {
    match op {
        Op::Write { from, bytes: new, .. } => {
            let from = usize::try_from(*from).expect("small files");
            bytes.resize(bytes.len().max(from + new.len()), 0);
            bytes[from..from + new.len()].copy_from_slice(new);
        }
        Op::Resize { length, .. } => bytes.resize(usize::try_from(*length).expect("small files"), 0),
        _ => {}
    }
}

fn names_of<M>(op: &Op<M>) -> impl Iterator<Item = &Name> {
    let (first, second) = match op {
        Op::MakeDir { at, .. } | Op::Create { at, .. } | Op::Remove { at } => (Some(at), None),
        Op::Rename { from, to } => (Some(from), Some(to)),
        _ => (None, None),
    };
    first.into_iter().chain(second)
}

fn share_a_name<M>(one: &Op<M>, other: &Op<M>) -> bool {
    names_of(one).any(|name| names_of(other).any(|also| also == name))
}

/// Makes an empty directory of what may be there already.
pub(crate) fn empty_dir(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    DirBuilder::new().mode(0o700).create(path)
}
