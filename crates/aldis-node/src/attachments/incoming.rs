//! A peer's file on its way in: gone on with after a break, hashed as it comes, and complete only when it is what the
//! peer's message named and on stable storage.

use super::writing::Writing;
use super::{Attachments, IncomingError, StoreError, locked, part_of};
use aldis_wire::digest::Digest;
use aldis_wire::ids::NodeId;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// A file that arrives. Dropped before its end it leaves what came, to go on from.
#[derive(Debug)]
pub struct Incoming {
    store: Attachments,
    peer: NodeId,
    attachment: Digest,
    size: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// It was complete already.
    Held {
        bytes: u64,
    },
    UnderWay {
        writing: Writing,
        arriving: Arc<Arriving>,
        turn: u64,
    },
}

/// What all who fetch one file share.
#[derive(Debug, Default)]
pub(super) struct Arriving {
    bytes: AtomicU64,
    /// Whose turn it is to write: the latest who asked. An earlier link may not have noticed its end.
    turn: Mutex<u64>,
}

impl Arriving {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Ends everybody else's turn, and keeps others from writing for as long as the guard lives.
    pub(super) fn take_turn(&self) -> MutexGuard<'_, u64> {
        let mut turn = locked(&self.turn);
        *turn += 1;
        turn
    }
}

impl Attachments {
    /// Begins to fetch a peer's file of `size` bytes, or goes on where an earlier attempt ended; what is there is read and
    /// hashed first. Whoever fetched it before cannot write any more.
    pub fn resume(&self, peer: &NodeId, attachment: Digest, size: u64) -> Result<Incoming, StoreError> {
        let incoming = |state| Incoming { store: self.clone(), peer: peer.clone(), attachment, size, state };
        let arriving = Arc::clone(locked(&self.0.arriving).entry((peer.clone(), attachment)).or_default());
        let turn = arriving.take_turn();
        let path = self.theirs_path(peer, attachment);
        if let Ok(metadata) = fs::metadata(&path) {
            locked(&self.0.arriving).remove(&(peer.clone(), attachment));
            return Ok(incoming(State::Held { bytes: metadata.len() }));
        }
        self.make_dir(&self.peer_dir(peer))?;
        let part = part_of(&path);
        let there_bytes = fs::metadata(&part).map_or(0, |metadata| metadata.len());
        let is_usable = (1..=size).contains(&there_bytes);
        self.require_room(if is_usable { size - there_bytes } else { size })?;
        let writing = if is_usable {
            Writing::resume(self, part)?
        } else {
            self.remove(&part)?;
            Writing::create(self, part)?
        };
        arriving.bytes.store(writing.written_bytes(), Ordering::Relaxed);
        let mine = *turn;
        drop(turn);
        Ok(incoming(State::UnderWay { writing, arriving, turn: mine }))
    }
}

impl Incoming {
    /// How many bytes are here: what is asked for next stands from there on. The whole size if nothing is missing.
    pub fn offset(&self) -> u64 {
        match &self.state {
            State::Held { .. } => self.size,
            State::UnderWay { writing, .. } => writing.bytes(),
        }
    }

    /// Takes what comes next.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let (announced_bytes, found_bytes) = (self.size, self.offset() + bytes.len() as u64);
        if found_bytes > announced_bytes {
            return Err(StoreError::OtherLength { announced_bytes, found_bytes });
        }
        let State::UnderWay { writing, arriving, turn } = &mut self.state else { return Ok(()) };
        let _turn = arriving.hold(*turn, self.attachment)?;
        writing.write(bytes)?;
        arriving.bytes.store(writing.written_bytes(), Ordering::Relaxed);
        Ok(())
    }

    /// Verifies the file and puts it on stable storage. One that is not what was named is gone.
    pub fn finish(mut self) -> Result<(), IncomingError> {
        let (wanted, announced_bytes) = (self.attachment, self.size);
        let (writing, arriving, turn) = match &mut self.state {
            State::Held { bytes } if *bytes != announced_bytes => {
                let (named_bytes, found_bytes) = (announced_bytes, *bytes);
                return Err(IncomingError::OtherLength { wanted, named_bytes, found_bytes });
            }
            State::Held { .. } => return Ok(()),
            State::UnderWay { writing, arriving, turn } => (writing, arriving, *turn),
        };
        let _turn = arriving.hold(turn, wanted)?;
        if writing.bytes() < announced_bytes {
            return Err(StoreError::OtherLength { announced_bytes, found_bytes: writing.bytes() }.into());
        }
        let found = writing.end()?;
        let ended = if found == wanted {
            writing.sync()?;
            self.store.rename(writing.path(), &self.store.theirs_path(&self.peer, wanted)).map_err(Into::into)
        } else {
            self.store.remove(writing.path())?;
            Err(IncomingError::Mismatch { wanted, found })
        };
        locked(&self.store.0.arriving).remove(&(self.peer.clone(), wanted));
        ended
    }
}

impl Arriving {
    fn hold(&self, mine: u64, attachment: Digest) -> Result<MutexGuard<'_, u64>, StoreError> {
        let turn = locked(&self.turn);
        if *turn == mine { Ok(turn) } else { Err(StoreError::Superseded { attachment }) }
    }
}
