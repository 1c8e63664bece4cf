//! A file system in memory, mounted through FUSE under a real daemon: it records every call that changes it, and can
//! fail any of them. It knows what a data directory needs and no more: no links, no sockets, one owner.

use crate::crash::{Op, ROOT, Tree};
use aldis_control::MessageId;
use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

/// How long the kernel may remember names and sizes: every change comes through it.
const REMEMBERED: Duration = Duration::from_secs(60);
const BLOCK_BYTES: u32 = 4096;
/// What the disk claims to have free: 1 TiB.
const FREE_BLOCKS: u64 = 1 << 28;

/// What a caller was told, in the order of the calls.
#[derive(Clone, Debug)]
pub(crate) enum Mark {
    /// The peer is enrolled.
    Enrolled,
    /// The message is confirmed, here as sent or at the peer as stored.
    Confirmed(MessageId),
}

/// A disk that can be mounted, again and again.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    state: Arc<Mutex<State>>,
}

/// A mounted disk; dropping it unmounts it.
pub(crate) struct Mounted {
    session: Option<BackgroundSession>,
}

struct State {
    nodes: BTreeMap<usize, Entry>,
    ops: Vec<Op<Mark>>,
    next_node: usize,
    /// Calls until one fails, and with what.
    fails_in: Option<(u64, Errno)>,
    has_failed: bool,
}

enum Entry {
    Dir { names: BTreeMap<String, usize>, mode: u16 },
    File { bytes: Vec<u8>, mode: u16 },
}

impl Default for State {
    fn default() -> Self {
        let root = Entry::Dir { names: BTreeMap::new(), mode: 0o700 };
        let nodes = BTreeMap::from([(ROOT, root)]);
        Self { nodes, ops: Vec::new(), next_node: ROOT + 1, fails_in: None, has_failed: false }
    }
}

impl Disk {
    /// A disk with these files.
    pub(crate) fn holding(tree: &Tree) -> Self {
        let disk = Self::default();
        let mut state = disk.lock();
        for (path, node) in tree.paths() {
            let entry = match tree.file(node) {
                Some(bytes) => Entry::File { bytes: bytes.to_vec(), mode: 0o600 },
                None => Entry::Dir { names: BTreeMap::new(), mode: 0o700 },
            };
            state.nodes.insert(node, entry);
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.map_or(ROOT, |parent| state.find(parent));
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            state.names(parent).unwrap().insert(name, node);
        }
        state.next_node = tree.next_node();
        drop(state);
        disk
    }

    /// Mounts it over an empty directory; an error says that this machine cannot.
    pub(crate) fn mount(&self, at: &Path) -> io::Result<Mounted> {
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("aldis-test".to_owned()), MountOption::DefaultPermissions];
        let session = fuser::spawn_mount(self.clone(), at, &config)?;
        Ok(Mounted { session: Some(session) })
    }

    pub(crate) fn mark(&self, mark: Mark) {
        self.lock().ops.push(Op::Mark(mark));
    }

    /// Everything recorded so far.
    pub(crate) fn ops(&self) -> Vec<Op<Mark>> {
        self.lock().ops.clone()
    }

    /// From now on call number `calls`, from 0, fails, and every later one works again.
    pub(crate) fn fail_in(&self, calls: u64, error: Errno) {
        let mut state = self.lock();
        (state.fails_in, state.has_failed) = (Some((calls, error)), false);
    }

    /// Ends what [`Self::fail_in`] began, and says whether a call has failed.
    pub(crate) fn heal(&self) -> bool {
        let mut state = self.lock();
        state.fails_in = None;
        state.has_failed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Mounted {
    /// Unmounts; nobody has a file open any more.
    pub(crate) fn unmount(mut self) -> io::Result<()> {
        self.session.take().map_or(Ok(()), BackgroundSession::umount_and_join)
    }
}

impl State {
    fn find(&self, path: &Path) -> usize {
        let step = |node: usize, name: &OsStr| match &self.nodes[&node] {
            Entry::Dir { names, .. } => names[name.to_str().unwrap()],
            Entry::File { .. } => unreachable!("a path leads through directories"),
        };
        path.iter().fold(ROOT, step)
    }

    fn names(&mut self, dir: usize) -> Result<&mut BTreeMap<String, usize>, Errno> {
        match self.nodes.get_mut(&dir) {
            Some(Entry::Dir { names, .. }) => Ok(names),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn bytes(&mut self, file: usize) -> Result<&mut Vec<u8>, Errno> {
        match self.nodes.get_mut(&file) {
            Some(Entry::File { bytes, .. }) => Ok(bytes),
            _ => Err(Errno::EISDIR),
        }
    }

    /// Counts a call that changes something, and fails it if it is its turn.
    fn count(&mut self) -> Result<(), Errno> {
        let Some((left, error)) = self.fails_in.take() else { return Ok(()) };
        if left == 0 {
            self.has_failed = true;
            return Err(error);
        }
        self.fails_in = Some((left - 1, error));
        Ok(())
    }

    fn lookup(&mut self, dir: usize, name: &OsStr) -> Result<usize, Errno> {
        let name = name.to_str().ok_or(Errno::EINVAL)?;
        self.names(dir)?.get(name).copied().ok_or(Errno::ENOENT)
    }

    fn make(&mut self, dir: usize, name: &OsStr, entry: Entry) -> Result<usize, Errno> {
        self.count()?;
        let name = name.to_str().ok_or(Errno::EINVAL)?.to_owned();
        if self.names(dir)?.contains_key(&name) {
            return Err(Errno::EEXIST);
        }
        let node = self.next_node;
        self.next_node += 1;
        let at = (dir, name.clone());
        self.ops.push(match entry {
            Entry::Dir { .. } => Op::MakeDir { at, node },
            Entry::File { .. } => Op::Create { at, node },
        });
        self.nodes.insert(node, entry);
        self.names(dir)?.insert(name, node);
        Ok(node)
    }

    fn remove(&mut self, dir: usize, name: &OsStr) -> Result<(), Errno> {
        self.count()?;
        let node = self.lookup(dir, name)?;
        if matches!(self.nodes.get(&node), Some(Entry::Dir { names, .. }) if !names.is_empty()) {
            return Err(Errno::ENOTEMPTY);
        }
        // Its bytes stay for whoever has it open.
        let name = name.to_str().ok_or(Errno::EINVAL)?.to_owned();
        self.names(dir)?.remove(&name);
        self.ops.push(Op::Remove { at: (dir, name) });
        Ok(())
    }

    fn rename(&mut self, from: (usize, &OsStr), to: (usize, &OsStr), flags: RenameFlags) -> Result<(), Errno> {
        self.count()?;
        let node = self.lookup(from.0, from.1)?;
        if flags.contains(RenameFlags::RENAME_NOREPLACE) && self.lookup(to.0, to.1).is_ok() {
            return Err(Errno::EEXIST);
        }
        let name = |name: &OsStr| name.to_str().map(str::to_owned).ok_or(Errno::EINVAL);
        let (old, new) = (name(from.1)?, name(to.1)?);
        self.names(from.0)?.remove(&old);
        self.names(to.0)?.insert(new.clone(), node);
        self.ops.push(Op::Rename { from: (from.0, old), to: (to.0, new) });
        Ok(())
    }

    fn write(&mut self, node: usize, from: u64, data: &[u8]) -> Result<(), Errno> {
        self.count()?;
        let at = usize::try_from(from).map_err(|_| Errno::EFBIG)?;
        let bytes = self.bytes(node)?;
        bytes.resize(bytes.len().max(at + data.len()), 0);
        bytes[at..at + data.len()].copy_from_slice(data);
        self.ops.push(Op::Write { node, from, bytes: Arc::from(data) });
        Ok(())
    }

    fn change(&mut self, node: usize, new_mode: Option<u32>, size: Option<u64>) -> Result<FileAttr, Errno> {
        if let Some(length) = size {
            self.count()?;
            self.bytes(node)?.resize(usize::try_from(length).map_err(|_| Errno::EFBIG)?, 0);
            self.ops.push(Op::Resize { node, length });
        }
        if let (Some(new), Some(Entry::Dir { mode, .. } | Entry::File { mode, .. })) =
            (new_mode, self.nodes.get_mut(&node))
        {
            *mode = mode_of(new);
        }
        self.attributes(node)
    }

    fn sync(&mut self, op: Op<Mark>) -> Result<(), Errno> {
        self.count()?;
        self.ops.push(op);
        Ok(())
    }

    fn attributes(&self, node: usize) -> Result<FileAttr, Errno> {
        let (kind, mode, size) = match self.nodes.get(&node).ok_or(Errno::ENOENT)? {
            Entry::Dir { mode, .. } => (FileType::Directory, *mode, 0),
            Entry::File { mode, bytes } => (FileType::RegularFile, *mode, bytes.len() as u64),
        };
        let epoch = SystemTime::UNIX_EPOCH;
        Ok(FileAttr {
            ino: INodeNo(node as u64 + 1),
            size,
            blocks: size.div_ceil(512),
            atime: epoch,
            mtime: epoch,
            ctime: epoch,
            crtime: epoch,
            kind,
            perm: mode,
            nlink: 1,
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            rdev: 0,
            blksize: BLOCK_BYTES,
            flags: 0,
        })
    }
}

fn node_of(ino: INodeNo) -> usize {
    usize::try_from(ino.0 - 1).expect("the kernel knows only nodes it was told of")
}

fn mode_of(mode: u32) -> u16 {
    u16::try_from(mode & 0o7777).expect("it was masked")
}

fn answer(outcome: Result<(), Errno>, reply: ReplyEmpty) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

fn answer_entry(outcome: Result<FileAttr, Errno>, reply: ReplyEntry) {
    match outcome {
        Ok(attributes) => reply.entry(&REMEMBERED, &attributes, Generation(0)),
        Err(error) => reply.error(error),
    }
}

impl Filesystem for Disk {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let mut state = self.lock();
        let found = state.lookup(node_of(parent), name);
        answer_entry(found.and_then(|node| state.attributes(node)), reply);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.lock().attributes(node_of(ino)) {
            Ok(attributes) => reply.attr(&REMEMBERED, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        match self.lock().change(node_of(ino), mode, size) {
            Ok(attributes) => reply.attr(&REMEMBERED, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let mut state = self.lock();
        let entry = Entry::Dir { names: BTreeMap::new(), mode: mode_of(mode & !umask) };
        let made = state.make(node_of(parent), name, entry);
        answer_entry(made.and_then(|node| state.attributes(node)), reply);
    }

    fn create(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, _: i32, reply: ReplyCreate) {
        let mut state = self.lock();
        let entry = Entry::File { bytes: Vec::new(), mode: mode_of(mode & !umask) };
        let made = state.make(node_of(parent), name, entry);
        match made.and_then(|node| state.attributes(node)) {
            Ok(attributes) => {
                reply.created(&REMEMBERED, &attributes, Generation(0), FileHandle(0), FopenFlags::empty());
            }
            Err(error) => reply.error(error),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(self.lock().remove(node_of(parent), name), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(self.lock().remove(node_of(parent), name), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        answer(self.lock().rename((node_of(parent), name), (node_of(new_parent), new_name), flags), reply);
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.lock().bytes(node_of(ino)) {
            Ok(bytes) => {
                let start = usize::try_from(offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
                reply.data(&bytes[start..bytes.len().min(start + size as usize)]);
            }
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.lock().write(node_of(ino), offset, data) {
            Ok(()) => reply.written(u32::try_from(data.len()).expect("the kernel counts in 32 bits")),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer(self.lock().sync(Op::SyncFile(node_of(ino))), reply);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer(self.lock().sync(Op::SyncDir(node_of(ino))), reply);
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let mut state = self.lock();
        let found = match state.names(node_of(ino)) {
            Ok(names) => names.clone(),
            Err(error) => return reply.error(error),
        };
        // Places follow the nodes' numbers, so that what is made or removed meanwhile moves nothing else.
        let mut entries: Vec<_> = found.into_iter().map(|(name, node)| (node, name)).collect();
        entries.sort_unstable();
        for (node, name) in entries.into_iter().filter(|(node, _)| *node as u64 > offset) {
            let kind = match state.nodes[&node] {
                Entry::Dir { .. } => FileType::Directory,
                Entry::File { .. } => FileType::RegularFile,
            };
            if reply.add(INodeNo(node as u64 + 1), node as u64, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(FREE_BLOCKS, FREE_BLOCKS, FREE_BLOCKS, FREE_BLOCKS, FREE_BLOCKS, BLOCK_BYTES, 255, BLOCK_BYTES);
    }
}
