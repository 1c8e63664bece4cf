//! Files that messages name, as the core knows them: how large each is, who names it, and whether it is where it belongs.
//! The core never sees a file. What it knows follows from records, and ends when nothing names the file any more.

use crate::record::{Named, RecordSeq};
use aldis_wire::codec::{Decode, Encode};
use aldis_wire::digest::Digest;
use aldis_wire::ids::Seq;
use aldis_wire::lane::Lane;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many attachments of a peer are asked for at once. Each is fetched whole before the next; the rest keeps the line
/// busy in between.
pub(crate) const OBTAINING_MAX: usize = 8;

/// After how many times an attachment whose bytes have another digest is given up.
pub(crate) const BAD_MAX: u8 = 3;

/// How many of the latest outcomes are said again on each new link. What was asked for before the link broke is less.
const SAID_MAX: usize = 64;

/// The files that messages between this node and a peer name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Attachments {
    /// Those that the peer's messages name.
    pub theirs: Files,
    /// Those that our messages to the peer name.
    pub ours: Files,
    /// The latest of theirs that are held or given up, the latest last: the peer is told so again on each new link.
    pub(crate) said: VecDeque<Digest>,
}

/// The files that the messages of one side name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Files {
    files: BTreeMap<Digest, File>,
    /// What each message names that names any.
    messages: BTreeMap<(Lane, Seq), Vec<Digest>>,
    /// What is still to come, in the order in which it is asked for.
    open: BTreeSet<(Lane, RecordSeq, Digest)>,
    bytes: u64,
    lost: u64,
}

/// A file that at least one message names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct File {
    /// Its size in bytes.
    pub size: u64,
    /// Where it is.
    pub state: FileState,
    /// The lane and the record of the message that named it when it was last asked for.
    asked: (Lane, RecordSeq),
    /// How many messages name it.
    messages: u32,
}

/// Where a file is that a message names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum FileState {
    /// Not yet whole where it goes to.
    Open,
    /// There: whole, verified, on stable storage; of ours, by the peer's word.
    Held,
    /// Given up.
    Lost,
}

impl Files {
    /// A file, if a message names it that still has its body.
    pub fn get(&self, digest: &Digest) -> Option<&File> {
        self.files.get(digest)
    }

    /// Every file with its digest.
    pub fn iter(&self) -> impl Iterator<Item = (&Digest, &File)> {
        self.files.iter()
    }

    /// What is still to come, in the order in which it is asked for: by lane, then by age.
    pub fn open(&self) -> impl Iterator<Item = (Lane, &Digest)> {
        self.open.iter().map(|(lane, _, digest)| (*lane, digest))
    }

    /// How many bytes all of them take or will take, but for those that were given up.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// How many were given up.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// What a message names.
    pub fn named_by(&self, lane: Lane, seq: Seq) -> &[Digest] {
        self.messages.get(&(lane, seq)).map_or(&[], Vec::as_slice)
    }

    /// One message that names a file. It looks at all of them.
    pub(crate) fn message_of(&self, digest: &Digest) -> Option<(Lane, Seq)> {
        self.messages.iter().find(|(_, named)| named.contains(digest)).map(|(place, _)| *place)
    }

    /// Whether so many more files and bytes stay within bounds.
    pub(crate) fn has_room(&self, named: &[Named], files_max: usize, bytes_max: u64) -> bool {
        let is_new = |one: &&Named| self.get(&one.digest).is_none_or(|file| file.state == FileState::Lost);
        let more = named.iter().filter(is_new);
        let (count, bytes) = more.fold((0, 0_u64), |(count, bytes), one| (count + 1, bytes.saturating_add(one.size)));
        self.files.len().saturating_add(count) <= files_max && self.bytes.saturating_add(bytes) <= bytes_max
    }

    /// A message names files. One that was given up is asked for again.
    pub(crate) fn name(&mut self, lane: Lane, seq: Seq, record: RecordSeq, named: &[Named]) {
        if named.is_empty() || self.messages.contains_key(&(lane, seq)) {
            return;
        }
        self.messages.insert((lane, seq), named.iter().map(|one| one.digest).collect());
        for one in named {
            let known = self.files.get(&one.digest).copied();
            if let Some(file) = known.filter(|file| file.state != FileState::Lost) {
                self.files.insert(one.digest, File { messages: file.messages + 1, ..file });
                continue;
            }
            let messages = known.map_or(0, |file| file.messages) + 1;
            self.lost -= u64::from(known.is_some());
            self.bytes += one.size;
            self.open.insert((lane, record, one.digest));
            let file = File { size: one.size, state: FileState::Open, asked: (lane, record), messages };
            self.files.insert(one.digest, file);
        }
    }

    /// A message names nothing any more. Which files nobody names now.
    pub(crate) fn forget(&mut self, lane: Lane, seq: Seq) -> Vec<Digest> {
        let named = self.messages.remove(&(lane, seq)).unwrap_or_default();
        let mut unnamed = Vec::new();
        for digest in named {
            let Some(file) = self.files.get_mut(&digest) else { continue };
            file.messages -= 1;
            if file.messages == 0 {
                self.count_out(&digest);
                self.files.remove(&digest);
                unnamed.push(digest);
            }
        }
        unnamed
    }

    /// A file is somewhere else now.
    pub(crate) fn change(&mut self, digest: &Digest, state: FileState) {
        self.count_out(digest);
        let Some(file) = self.files.get_mut(digest) else { return };
        file.state = state;
        match state {
            FileState::Lost => self.lost += 1,
            FileState::Held => self.bytes += file.size,
            FileState::Open => {
                self.bytes += file.size;
                self.open.insert((file.asked.0, file.asked.1, *digest));
            }
        }
    }

    fn count_out(&mut self, digest: &Digest) {
        let Some(file) = self.files.get(digest) else { return };
        match file.state {
            FileState::Lost => self.lost -= 1,
            FileState::Held | FileState::Open => self.bytes -= file.size,
        }
        self.open.remove(&(file.asked.0, file.asked.1, *digest));
    }
}

impl Attachments {
    /// One of theirs is held, or given up.
    pub(crate) fn ended(&mut self, digest: Digest, state: FileState) {
        self.theirs.change(&digest, state);
        self.said.retain(|said| *said != digest);
        if self.said.len() == SAID_MAX {
            self.said.pop_front();
        }
        self.said.push_back(digest);
    }

    /// How many were given up, both ways.
    pub(crate) fn lost(&self) -> u64 {
        self.theirs.lost + self.ours.lost
    }
}

#[cfg(test)]
#[path = "attachments_tests.rs"]
mod tests;
