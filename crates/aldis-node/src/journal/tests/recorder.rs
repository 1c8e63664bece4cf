//! Records every call of the disk and every confirmation, for cutting the power afterwards at any of them.

use super::super::disk::Call;
use super::crash::{Name, Node, Op, ROOT, Tree};
use super::lives::Mark;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A recording in the making. Files are known by their inode, because the journal writes to handles.
#[derive(Debug)]
pub(in super::super) struct Recorder {
    root: PathBuf,
    ops: Vec<Op<Mark>>,
    names: BTreeMap<PathBuf, Node>,
    inodes: BTreeMap<u64, Node>,
    next_node: Node,
    /// Whether the calls that sync a file's bytes are left out: the negative control.
    without_data_syncs: bool,
}

impl Recorder {
    /// Records below `root`, where `tree` stands.
    pub(super) fn new(root: &Path, tree: &Tree, without_data_syncs: bool) -> Self {
        let (mut names, mut inodes) = (BTreeMap::from([(PathBuf::new(), ROOT)]), BTreeMap::new());
        for (path, node) in tree.paths() {
            inodes.insert(root.join(&path).metadata().unwrap().ino(), node);
            names.insert(path, node);
        }
        let (ops, next_node) = (Vec::new(), tree.next_node());
        Self { root: root.to_owned(), ops, names, inodes, next_node, without_data_syncs }
    }

    pub(super) fn mark(&mut self, mark: Mark) {
        self.ops.push(Op::Mark(mark));
    }

    pub(super) fn len(&self) -> usize {
        self.ops.len()
    }

    pub(super) fn take(&mut self) -> Vec<Op<Mark>> {
        std::mem::take(&mut self.ops)
    }

    pub(super) fn wrote(&mut self, file: &File, bytes: &[u8], from: u64) {
        let node = self.node_of(file);
        self.ops.push(Op::Write { node, from, bytes: Arc::from(bytes) });
    }

    pub(super) fn called(&mut self, call: Call<'_>) {
        match call {
            Call::CreateDir(path) | Call::CreateFile(path) => {
                let (at, node) = (self.name_of(path), self.next_node);
                self.next_node += 1;
                let metadata = path.metadata().unwrap();
                self.inodes.insert(metadata.ino(), node);
                self.names.insert(self.below(path), node);
                let op = if metadata.is_dir() { Op::MakeDir { at, node } } else { Op::Create { at, node } };
                self.ops.push(op);
            }
            Call::Rename(from, to) => {
                let (old, new) = (self.below(from), self.below(to));
                let (from, to) = (self.name_of(from), self.name_of(to));
                let moved: Vec<_> = self.names.keys().filter(|path| path.starts_with(&old)).cloned().collect();
                for path in moved {
                    let node = self.names.remove(&path).unwrap();
                    let rest = path.strip_prefix(&old).unwrap();
                    let path = if rest.as_os_str().is_empty() { new.clone() } else { new.join(rest) };
                    self.names.insert(path, node);
                }
                self.ops.push(Op::Rename { from, to });
            }
            Call::Remove(path) => {
                let gone = self.below(path);
                let gone: Vec<_> = self.names.keys().filter(|path| path.starts_with(&gone)).cloned().collect();
                // What is in a directory goes before it.
                for path in gone.iter().rev() {
                    let at = self.name_of(&self.root.join(path));
                    self.names.remove(path);
                    self.ops.push(Op::Remove { at });
                }
            }
            Call::SyncData(_) if self.without_data_syncs => {}
            Call::SyncData(file) => self.ops.push(Op::SyncFile(self.node_of(file))),
            Call::SyncDir(path) => self.ops.push(Op::SyncDir(self.names[&self.below(path)])),
        }
    }

    fn node_of(&self, file: &File) -> Node {
        self.inodes[&file.metadata().unwrap().ino()]
    }

    fn below(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap().to_owned()
    }

    fn name_of(&self, path: &Path) -> Name {
        let path = self.below(path);
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (self.names[path.parent().unwrap()], name)
    }
}
