//! Files on a link: what this end has asked for and waits for, and what the other end has asked for. Nothing here reads or
//! writes a file; it says which chunk may come next, and which piece is to be read next.

use aldis_wire::digest::Digest;
use aldis_wire::frame::{CHUNK_MAX_BYTES, Chunk, WANT_MAX_BYTES, WANTS_MAX, Want};
use aldis_wire::lane::Lane;
use std::collections::VecDeque;

/// How many whole chunks one want of ours asks for. All that is asked for at once waits in memory at worst.
pub(super) const RANGE_CHUNKS: usize = 4;

/// The same in bytes.
pub(super) const RANGE_BYTES: u64 = (RANGE_CHUNKS * CHUNK_MAX_BYTES) as u64;

/// How many bytes of a file are read at once for a peer: two of them are in memory at most, one on its way out.
const PIECE_BYTES: u64 = 8 * CHUNK_MAX_BYTES as u64;

/// A file that is to be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Obtain {
    pub(super) lane: Lane,
    pub(super) attachment: Digest,
    pub(super) size: u64,
}

/// The part of a want of the peer's that is read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Which want it is a part of.
    pub(super) want: u64,
    pub(super) attachment: Digest,
    pub(super) offset: u64,
    /// How many bytes; none if the peer may not have them.
    pub(super) bytes: u64,
    /// The size of the whole file.
    pub(super) size: u64,
    /// Whether the want is answered with it.
    pub(super) ends: bool,
}

/// What is asked of files on a link, both ways.
#[derive(Debug, Default)]
pub(super) struct FileQueue {
    /// What is to be fetched, the most urgent first.
    obtains: VecDeque<Obtain>,
    /// What of our wants is not written.
    wants: VecDeque<Want>,
    /// What was asked for and has not come, in the order in which it must come.
    asked: VecDeque<Want>,
    /// How many wants of the peer have no answer yet.
    unanswered: usize,
    /// Those of them that the core has judged: the want's number, what of it is left, and the file's size.
    wanted: VecDeque<(u64, Want, Option<u64>)>,
    /// How many were judged on this link.
    judged: u64,
}

/// Why a want or a chunk ends the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FileFault {
    #[error("a want of more than {WANT_MAX_BYTES} bytes")]
    WantTooLong,
    #[error("more than {WANTS_MAX} wants without an answer")]
    TooManyWants,
    #[error("a chunk that was not asked for, or not here")]
    Unasked,
    #[error("a chunk of another length than it must have")]
    Length,
}

impl FileQueue {
    /// A file is to be fetched, before all that are less urgent.
    pub(super) fn obtain(&mut self, obtain: Obtain) {
        let place = self.obtains.iter().position(|other| other.lane > obtain.lane).unwrap_or(self.obtains.len());
        self.obtains.insert(place, obtain);
    }

    /// The lane of the next file to fetch.
    pub(super) fn next_lane(&self) -> Option<Lane> {
        self.obtains.front().map(|obtain| obtain.lane)
    }

    /// The next file to fetch.
    pub(super) fn next_obtain(&mut self) -> Option<Obtain> {
        self.obtains.pop_front()
    }

    /// We ask for a range, or say what became of a file.
    pub(super) fn want(&mut self, want: Want) {
        self.wants.push_back(want);
        if want.bytes > 0 {
            self.asked.push_back(want);
        }
    }

    /// Whether a want of ours is not written.
    pub(super) fn has_wants(&self) -> bool {
        !self.wants.is_empty()
    }

    /// The next want of ours to write.
    pub(super) fn next_want(&mut self) -> Option<Want> {
        self.wants.pop_front()
    }

    /// Takes a chunk, if it is the one that must come now.
    pub(super) fn came(&mut self, chunk: &Chunk) -> Result<(), FileFault> {
        let asked = self.asked.front_mut().ok_or(FileFault::Unasked)?;
        if (asked.attachment, asked.offset) != (chunk.attachment, chunk.offset) {
            return Err(FileFault::Unasked);
        }
        let bytes = u32::try_from(chunk.bytes.len()).expect("a chunk is short");
        let whole = asked.bytes.min(u32::try_from(CHUNK_MAX_BYTES).expect("a chunk is short"));
        if bytes != whole && bytes != 0 {
            return Err(FileFault::Length);
        }
        asked.offset += u64::from(bytes);
        asked.bytes -= bytes;
        if bytes == 0 || asked.bytes == 0 {
            self.asked.pop_front();
        }
        Ok(())
    }

    /// The peer wants something. What is only a word about a file needs no answer.
    pub(super) fn is_wanted(&mut self, want: &Want) -> Result<(), FileFault> {
        if want.bytes > WANT_MAX_BYTES {
            return Err(FileFault::WantTooLong);
        }
        if want.bytes > 0 {
            self.unanswered += 1;
        }
        if self.unanswered > WANTS_MAX { Err(FileFault::TooManyWants) } else { Ok(()) }
    }

    /// The core has judged a want: the peer may have the file, of this size, or not.
    pub(super) fn serve(&mut self, want: Want, size: Option<u64>) {
        let within = |size: &u64| want.offset.checked_add(u64::from(want.bytes)).is_some_and(|end| end <= *size);
        self.wanted.push_back((self.judged, want, size.filter(within)));
        self.judged += 1;
    }

    /// What is to be read next for the peer.
    pub(super) fn next_piece(&mut self) -> Option<Piece> {
        let (number, want, size) = self.wanted.front_mut()?;
        let (attachment, offset) = (want.attachment, want.offset);
        let bytes = size.map_or(0, |_| u64::from(want.bytes).min(PIECE_BYTES));
        let piece = Piece { want: *number, attachment, offset, bytes, size: size.unwrap_or(0), ends: true };
        want.offset += bytes;
        want.bytes -= u32::try_from(bytes).expect("a piece is part of a want");
        if bytes > 0 && want.bytes > 0 {
            return Some(Piece { ends: false, ..piece });
        }
        self.wanted.pop_front();
        Some(piece)
    }

    /// What is left of a want is not read: its file cannot be.
    pub(super) fn give_up(&mut self, number: u64) {
        if self.wanted.front().is_some_and(|(front, ..)| *front == number) {
            self.wanted.pop_front();
        }
    }

    /// A want of the peer's has its answer.
    pub(super) fn answered(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
    }
}

#[cfg(test)]
#[path = "attachments_tests.rs"]
mod tests;
