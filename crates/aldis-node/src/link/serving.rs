//! Handing files of ours to a peer that asked for them: read ahead on the blocking pool, a piece at a time, and written
//! chunk by chunk when nothing else waits (I14).

use super::attachments::Piece;
use super::queue::LinkQueue;
use crate::attachments::{Attachments, Complete, StoreError};
use aldis_wire::digest::Digest;
use aldis_wire::frame::{CHUNK_MAX_BYTES, Frame};
use aldis_wire::ids::NodeId;
use bytes::{Buf, Bytes, BytesMut};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// What a peer is being handed.
pub(super) struct Serving {
    peer: NodeId,
    store: Attachments,
    /// The file of the latest piece: the next one is mostly of the same.
    open: Option<(Digest, Arc<Complete>)>,
    reading: Option<(Piece, JoinHandle<Read>)>,
    ready: Option<Ready>,
    /// The want that was answered as not held: what was read of it in the meantime is dropped.
    given_up: Option<u64>,
}

type Read = Result<Option<(Arc<Complete>, Bytes)>, StoreError>;

struct Ready {
    piece: Piece,
    bytes: Bytes,
}

impl Serving {
    pub(super) fn new(peer: NodeId, store: Attachments) -> Self {
        Self { peer, store, open: None, reading: None, ready: None, given_up: None }
    }

    /// Whether a chunk can be written now.
    pub(super) fn is_ready(&self) -> bool {
        self.ready.is_some()
    }

    /// Whether a piece is being read.
    pub(super) fn is_reading(&self) -> bool {
        self.reading.is_some() && self.ready.is_none()
    }

    /// Begins to read what is wanted next, while what was read before is written.
    pub(super) fn read_ahead(&mut self, queue: &LinkQueue) {
        if self.reading.is_some() {
            return;
        }
        let Some(piece) = queue.files(super::attachments::FileQueue::next_piece) else { return };
        let known = self.open.as_ref().filter(|(digest, _)| *digest == piece.attachment);
        let (store, known) = (self.store.clone(), known.map(|(_, file)| Arc::clone(file)));
        let reading = tokio::task::spawn_blocking(move || read(&store, known, piece));
        self.reading = Some((piece, reading));
    }

    /// Waits until the piece that is being read is there. Dropped before, it is waited for again.
    pub(super) async fn came(&mut self) -> Result<(), String> {
        let Some((piece, reading)) = &mut self.reading else { return Ok(()) };
        let (piece, read) = (*piece, reading.await.map_err(|_| "the node is stopping".to_owned())?);
        self.reading = None;
        let read = read.unwrap_or_else(|error| {
            tracing::error!(peer = %self.peer, attachment = %piece.attachment, %error, "a file of ours cannot be read");
            None
        });
        let bytes = match read {
            Some((file, bytes)) => {
                self.open = Some((piece.attachment, file));
                bytes
            }
            None => Bytes::new(),
        };
        if self.given_up != Some(piece.want) {
            self.ready = Some(Ready { piece, bytes });
        }
        Ok(())
    }

    /// Writes the next chunk of what is ready.
    pub(super) fn write_chunk(&mut self, queue: &LinkQueue, out: &mut BytesMut) {
        let Some(mut ready) = self.ready.take() else { return };
        let Piece { want, attachment, offset, ends, .. } = ready.piece;
        let chunk = ready.bytes.split_to(ready.bytes.len().min(CHUNK_MAX_BYTES));
        Frame::write_chunk(out, &attachment, offset, &chunk);
        if chunk.is_empty() {
            self.given_up = Some(want);
            return queue.files(|files| {
                files.give_up(want);
                files.answered();
            });
        }
        let end = offset + chunk.len() as u64;
        if ready.bytes.has_remaining() {
            ready.piece.offset = end;
            self.ready = Some(ready);
            return;
        }
        self.store.note_sent(&self.peer, attachment, end);
        if ends {
            queue.files(super::attachments::FileQueue::answered);
        }
    }
}

/// Reads a piece; `None` if the peer may not have it, or it is not there.
fn read(store: &Attachments, known: Option<Arc<Complete>>, piece: Piece) -> Read {
    let Ok(length) = usize::try_from(piece.bytes) else { return Ok(None) };
    if length == 0 {
        return Ok(None);
    }
    let file = match known {
        Some(file) => file,
        None => match store.read_ours(piece.attachment)? {
            Some(file) => Arc::new(file),
            None => return Ok(None),
        },
    };
    let mut bytes = vec![0; length];
    let is_whole = file.size() == piece.size && file.read_at(&mut bytes, piece.offset)? == length;
    Ok(is_whole.then(|| (file, Bytes::from(bytes))))
}
