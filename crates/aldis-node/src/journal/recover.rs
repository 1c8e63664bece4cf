//! Creating a journal and opening one again: replaying what follows the last snapshot, telling a torn tail from damage,
//! and holding what is there against every anchor (I9). This module never cuts anything but a torn tail, and that only
//! after every anchor agreed.

use super::anchor::{self, AnchorFile};
use super::blocks::{self, Tail};
use super::disk::Disk;
use super::error::{Anchor, BoxError, Finding, OpenError};
use super::format::{BodyRef, RecordSeq, TreeHead};
use super::history;
use super::open_segment::OpenSegment;
use super::reader::Shared;
use super::replay::{Met, Plan, Segment};
use super::segment::{self, Header};
use super::snapshot;
use super::writer::{self, Journal, Live, Options, Parts};
use aldis_wire::merkle::Frontier;
use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const LOCK_NAME: &str = "lock";
pub(super) const DAMAGE_ADVICE: &str = "confirmed records may be lost: do not start; keep a copy of the directory, \
    run `aldis verify`, restore a backup or fetch the history from the peers";

/// What `open` hands to the caller, in this order: the snapshot, if there is one, then each record after it.
#[derive(Clone, Copy, Debug)]
pub enum Replayed<'a> {
    /// The snapshot that what follows begins with.
    Snapshot(&'a [u8]),
    /// One committed record.
    Record {
        /// Its number.
        seq: RecordSeq,
        /// Its bytes.
        record: &'a [u8],
        /// What stands beside it.
        body: BodyRef<'a>,
    },
}

/// The function that takes what is replayed.
pub type Replay<'f> = dyn FnMut(Replayed<'_>) -> Result<(), BoxError> + 'f;

/// An opened journal.
#[derive(Debug)]
pub struct Recovered {
    /// The journal, ready for commits.
    pub journal: Journal,
    /// What was found on the way.
    pub report: RecoveryReport,
}

/// What opening found. Nothing in it prevents work; whatever does is an [`OpenError`].
#[derive(Clone, Debug, Default)]
pub struct RecoveryReport {
    /// Bytes of a commit that was never confirmed and is now overwritten with zeroes.
    pub torn_bytes_cut: u64,
    /// Damage before the snapshot that was used, snapshots and anchors that cannot be read: alarm, and fetch from the peers.
    pub degraded: Vec<Finding>,
    /// Whether the last run ended with [`Journal::stop_cleanly`].
    pub clean_stop: bool,
    /// Whether less than the reserve is free.
    pub low_space: bool,
}

impl Journal {
    /// Creates an empty journal in `dir`, which must not exist; its parent must.
    ///
    /// It is built aside and renamed, so that it is there whole or not at all. The directory gets mode 0700, its
    /// files 0600.
    pub fn create(dir: &Path, options: Options) -> Result<Self, OpenError> {
        if dir.exists() {
            return Err(OpenError::Exists { dir: dir.to_owned() });
        }
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let needed_bytes = options.reserve_bytes + segment::prepared_bytes(options.segment_bytes, 0);
        let free_bytes = options.disk.free_bytes(parent).map_err(OpenError::io("ask for the free space of", parent))?;
        if free_bytes < needed_bytes {
            return Err(OpenError::NoSpace { dir: dir.to_owned(), free_bytes, needed_bytes });
        }
        let aside = aside_path(dir);
        let (lock, anchor, live) = create_aside(&aside, &options).map_err(OpenError::io("create", &aside))?;
        options.disk.rename(&aside, dir).map_err(OpenError::io("create", dir))?;
        options.disk.sync_dir(parent).map_err(OpenError::io("sync", parent))?;
        let path = segment::path(dir, 0);
        let file = live.file.try_clone().map_err(OpenError::io("open", &path))?;
        let segment = Arc::new(OpenSegment::new(0, path, file, live.mark, live.data_at));
        let live = Live { segment: Arc::clone(&segment), ..live };
        let shared = Arc::new(Shared::new(dir.to_owned(), BTreeSet::from([0]), segment, 0));
        let frontier = Frontier::new();
        let dir = dir.to_owned();
        Ok(Self::assemble(Parts { dir, options, shared, live, frontier, anchor, lock, snapshot_bytes: 0 }))
    }

    /// Opens the journal in `dir`, replays its last snapshot and the records after it, and makes it ready for commits.
    ///
    /// `floor` is a position the caller knows the journal had, such as the message log's. Time and memory follow what
    /// was committed since the snapshot, not the history. What was replayed before an error must be thrown away.
    pub fn open(
        dir: &Path,
        options: Options,
        floor: Option<TreeHead>,
        replay: &mut Replay<'_>,
    ) -> Result<Recovered, OpenError> {
        let lock = take_lock(dir)?;
        let mut report = RecoveryReport::default();
        let firsts = segment::list(dir).map_err(OpenError::io("list", dir))?;
        let anchors =
            anchor::read_all(dir, floor, &mut report.degraded).map_err(OpenError::io("read the anchors in", dir))?;
        let Some(last) = firsts.last().copied() else {
            return Err(no_segment(dir, &anchors));
        };
        check_modes(dir, &firsts)?;
        let last = Segment::open(dir, &options.disk, last)?;
        history::check(dir, &firsts, &last.start.header, &mut report.degraded)?;
        let plan = Plan::find(dir, &options.disk, &firsts, &last, &mut report.degraded)?;
        let mut recovery = Recovery { last, plan, anchors };
        let (walked, tail_end) = recovery.replay(dir, &firsts, replay, &mut report)?;
        recovery.settle(dir, &options.disk, &walked, tail_end, &mut report)?;
        report.low_space = is_low(&options, dir)?;
        let journal = recovery.assemble(dir, options, &firsts, walked, lock)?;
        Ok(Recovered { journal, report })
    }
}

/// The journal while it is recovered.
struct Recovery {
    last: Segment,
    plan: Plan,
    anchors: Vec<(Anchor, TreeHead)>,
}

/// What a whole replay found.
struct Walked {
    frontier: Frontier,
    /// Where the last segment's commits end.
    end: u64,
    met: Met,
    snapshot_bytes: u64,
}

impl Recovery {
    /// Hands everything to the caller and checks every anchor. Returns also where a torn tail ends, if there is one.
    fn replay(
        &mut self,
        dir: &Path,
        firsts: &[u64],
        replay: &mut Replay<'_>,
        report: &mut RecoveryReport,
    ) -> Result<(Walked, Option<u64>), OpenError> {
        let sizes: Vec<u64> = self.anchors.iter().map(|(_, head)| head.size).collect();
        let mut met = Met::default();
        self.plan.replay(&self.last, &sizes, &mut met, replay)?;
        // It may have hundreds of megabytes.
        let snapshot_bytes = self.plan.snapshot.take().map_or(0, |snapshot| snapshot.len() as u64);
        let (file, header) = (&self.last.file, &self.last.start.header);
        let mut walk = self.last.walk(sizes.into_iter());
        let fault = self.last.hand_over(&mut walk, &mut met, replay)?;
        let next = walk.frontier().size();
        let tail = blocks::examine_tail(file, header.mark, walk.offset(), next)
            .map_err(OpenError::io("read", &self.last.path))?;
        let place = fault.map_or_else(
            || self.finding(walk.offset(), Some(RecordSeq(next)), "the journal's records end here".to_owned()),
            |damage| self.finding(damage.offset, damage.record, damage.fault.to_string()),
        );
        let tail_end = match tail {
            Tail::Later { offset, record } => {
                let what = format!("{}; yet the commit of record {record} stands later, at byte {offset}", place.what);
                return Err(OpenError::Damaged(Finding { what, ..place }));
            }
            _ if fault.is_some_and(|damage| !damage.fault.may_be_torn()) => return Err(OpenError::Damaged(place)),
            Tail::Torn { end } => Some(end),
            Tail::Free => None,
        };
        for (which, expected) in &self.anchors {
            let found = walk.head();
            let passed = met.heads.iter().find(|head| head.size == expected.size).map(|head| head.root);
            let known = match walk.root_at(expected.size).or(passed) {
                Some(root) => Some(root),
                None if expected.size > found.size => None,
                None => match history::root_at(dir, firsts, expected.size) {
                    Ok(root) => Some(root),
                    Err(finding) => {
                        report.degraded.push(finding);
                        continue;
                    }
                },
            };
            if known != Some(expected.root) {
                let found = known.map_or(found, |root| TreeHead { size: expected.size, root });
                return Err(OpenError::BehindAnchor {
                    which: *which,
                    expected: *expected,
                    found,
                    place: Box::new(place),
                });
            }
        }
        if let Some((_, head)) = self.anchors.iter().find(|(which, _)| *which == Anchor::CleanStop) {
            report.clean_stop = head.size == next && tail_end.is_none();
            if !report.clean_stop {
                // The mark is removed before anything is appended, so somebody else wrote behind it.
                let what = format!("the clean-stop mark is for {head}, and more was written after it");
                report.degraded.push(Finding { what, ..place });
            }
        }
        let walked = Walked { frontier: walk.frontier().clone(), end: walk.offset(), met, snapshot_bytes };
        Ok((walked, tail_end))
    }

    /// Makes the directory fit for appending: no torn tail, no half-erased body, no clean-stop mark.
    fn settle(
        &self,
        dir: &Path,
        disk: &Disk,
        walked: &Walked,
        tail_end: Option<u64>,
        report: &mut RecoveryReport,
    ) -> Result<(), OpenError> {
        let Segment { path, file, .. } = &self.last;
        let settle = || -> io::Result<()> {
            if let Some(end) = tail_end {
                disk.write_zeroes(file, walked.end, end, &|| false)?;
            }
            for (first, offset, head) in &walked.met.unfinished {
                let segment = self.plan.sealed.iter().find(|sealed| sealed.start.header.first == *first);
                writer::erase_at(disk, &segment.unwrap_or(&self.last).file, *offset, head)?;
            }
            disk.sync_data(file)
        };
        settle().map_err(OpenError::io("repair the end of", path))?;
        report.torn_bytes_cut = tail_end.map_or(0, |end| end - walked.end);
        anchor::remove_clean_stop(disk, dir).map_err(OpenError::io("remove the clean-stop mark in", dir))?;
        for unfinished in [segment::prepared_path(dir), snapshot::aside_path(dir)] {
            disk.remove_file(&unfinished).map_err(OpenError::io("remove", &unfinished))?;
        }
        Ok(())
    }

    fn assemble(
        self,
        dir: &Path,
        options: Options,
        firsts: &[u64],
        walked: Walked,
        lock: File,
    ) -> Result<Journal, OpenError> {
        let head = TreeHead { size: walked.frontier.size(), root: walked.frontier.root() };
        let anchor = AnchorFile::open(&options.disk, dir, &head).map_err(OpenError::io("write the anchor in", dir))?;
        let Segment { path, file, start } = self.last;
        let (header, data_at) = (start.header, start.data_at);
        let reading = file.try_clone().map_err(OpenError::io("open", &path))?;
        let segment = OpenSegment::new(header.first, path, reading, header.mark, data_at);
        walked.met.places.iter().for_each(|(seq, offset)| segment.note(*seq, *offset));
        let segment = Arc::new(segment);
        let live = Live { segment: Arc::clone(&segment), file, mark: header.mark, data_at, offset: walked.end };
        let shared = Arc::new(Shared::new(dir.to_owned(), firsts.iter().copied().collect(), segment, head.size));
        let Walked { frontier, snapshot_bytes, .. } = walked;
        let dir = dir.to_owned();
        Ok(Journal::assemble(Parts { dir, options, shared, live, frontier, anchor, lock, snapshot_bytes }))
    }

    fn finding(&self, offset: u64, record: Option<RecordSeq>, what: String) -> Finding {
        Finding { file: segment::name(self.last.start.header.first), offset, record, what, advice: DAMAGE_ADVICE }
    }
}

fn create_aside(aside: &Path, options: &Options) -> io::Result<(File, AnchorFile, Live)> {
    let disk = &options.disk;
    disk.remove_dir(aside)?;
    disk.create_dir(aside)?;
    let lock = disk.create_file(&aside.join(LOCK_NAME))?;
    lock.try_lock()?;
    let frontier = Frontier::new();
    let start = TreeHead { size: 0, root: frontier.root() };
    let anchor = AnchorFile::create(disk, aside, &start)?;
    let header = Header { mark: writer::random_mark(), first: 0, previous: None, start };
    let file = segment::prepare(disk, aside, segment::prepared_bytes(options.segment_bytes, 0), &|| false)?;
    let live = writer::start_segment(disk, aside, file, &header, &frontier)?;
    Ok((lock, anchor, live))
}

fn aside_path(dir: &Path) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(".creating");
    dir.with_file_name(name)
}

/// Locks the journal in `dir` for this process, until the file is closed.
pub(crate) fn take_lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join(LOCK_NAME);
    if !dir.is_dir() {
        return Err(OpenError::Missing { dir: dir.to_owned() });
    }
    let open = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = open.map_err(OpenError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { what: "lock", path, source }),
    }
}

/// Nobody but the owner may read or write what the journal holds.
fn check_modes(dir: &Path, firsts: &[u64]) -> Result<(), OpenError> {
    check_mode(dir, 0o700)?;
    firsts.iter().try_for_each(|first| {
        check_mode(&segment::path(dir, *first), 0o600)?;
        let snapshot = snapshot::path(dir, *first);
        if snapshot.exists() { check_mode(&snapshot, 0o600) } else { Ok(()) }
    })
}

fn check_mode(path: &Path, wanted: u32) -> Result<(), OpenError> {
    let metadata = path.metadata().map_err(OpenError::io("look at", path))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 { Err(OpenError::Mode { path: path.to_owned(), mode, wanted }) } else { Ok(()) }
}

fn is_low(options: &Options, dir: &Path) -> Result<bool, OpenError> {
    let free_bytes = options.disk.free_bytes(dir).map_err(OpenError::io("ask for the free space of", dir))?;
    Ok(free_bytes < options.reserve_bytes)
}

/// A directory without segments is no journal; if an anchor vouches for records, they are gone.
pub(super) fn no_segment(dir: &Path, anchors: &[(Anchor, TreeHead)]) -> OpenError {
    let Some((which, expected)) = anchors.iter().find(|(_, head)| head.size > 0) else {
        return OpenError::Missing { dir: dir.to_owned() };
    };
    let place = Finding {
        file: segment::name(0),
        offset: 0,
        record: Some(RecordSeq(0)),
        what: "there is no segment at all".to_owned(),
        advice: DAMAGE_ADVICE,
    };
    let found = TreeHead { size: 0, root: Frontier::new().root() };
    OpenError::BehindAnchor { which: *which, expected: *expected, found, place: Box::new(place) }
}

pub(super) fn replay_failed(what: String) -> impl FnOnce(BoxError) -> OpenError {
    move |source| OpenError::Replay { what, source }
}
