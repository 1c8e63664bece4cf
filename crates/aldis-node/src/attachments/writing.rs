//! Writing a file from front to back in large pieces, with its digest taken on the way. Its name says that it is not whole
//! until whoever asked renames it.

use super::{Attachments, StoreError};
use crate::journal::WRITEBACK_BYTES;
use aldis_wire::digest::Digest;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// How much is written at once.
const PIECE_BYTES: usize = 512 << 10;
/// After how many bytes the free space is looked at again.
const STRETCH_BYTES: u64 = 16 << 20;

/// A file under way.
#[derive(Debug)]
pub(super) struct Writing {
    store: Attachments,
    file: File,
    path: PathBuf,
    hash: Sha256,
    /// What is hashed and not written yet.
    buffer: Vec<u8>,
    written_bytes: u64,
    /// What of it the disk was set to work on.
    begun_bytes: u64,
    look_at_bytes: u64,
}

impl Writing {
    /// Begins a file that must not exist yet.
    pub(super) fn create(store: &Attachments, path: PathBuf) -> Result<Self, StoreError> {
        let file = store.0.disk.create_file(&path).map_err(StoreError::io("create", &path))?;
        Ok(Self::new(store, file, path, Sha256::new(), 0))
    }

    /// Goes on with a file, after reading what is there.
    pub(super) fn resume(store: &Attachments, path: PathBuf) -> Result<Self, StoreError> {
        let mut file = store.0.disk.open_file(&path).map_err(StoreError::io("open", &path))?;
        let (mut hash, mut bytes, mut piece) = (Sha256::new(), 0, vec![0; PIECE_BYTES]);
        loop {
            let read = file.read(&mut piece).map_err(StoreError::io("read", &path))?;
            if read == 0 {
                return Ok(Self::new(store, file, path, hash, bytes));
            }
            hash.update(&piece[..read]);
            bytes += read as u64;
        }
    }

    fn new(store: &Attachments, file: File, path: PathBuf, hash: Sha256, written_bytes: u64) -> Self {
        let (store, look_at_bytes) = (store.clone(), written_bytes + STRETCH_BYTES);
        Self { store, file, path, hash, buffer: Vec::new(), written_bytes, begun_bytes: written_bytes, look_at_bytes }
    }

    /// How much has come.
    pub(super) fn bytes(&self) -> u64 {
        self.written_bytes + self.buffer.len() as u64
    }

    /// How much of it is in the file.
    pub(super) fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes what comes next.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.hash.update(bytes);
        if self.buffer.is_empty() && bytes.len() >= PIECE_BYTES {
            return self.put(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE_BYTES { self.put_buffer() } else { Ok(()) }
    }

    /// Writes what is left and gives the digest of all. Not on stable storage before [`Writing::sync`].
    pub(super) fn end(&mut self) -> Result<Digest, StoreError> {
        self.put_buffer()?;
        Ok(Digest::from_bytes(self.hash.clone().finalize().into()))
    }

    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.store.0.disk.sync_data(&self.file).map_err(StoreError::io("sync", &self.path))
    }

    fn put_buffer(&mut self) -> Result<(), StoreError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let put = if buffer.is_empty() { Ok(()) } else { self.put(&buffer) };
        buffer.clear();
        self.buffer = buffer;
        put
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if self.written_bytes >= self.look_at_bytes {
            self.look_at_bytes = self.written_bytes + STRETCH_BYTES;
            self.store.require_room(0)?;
        }
        let written = self.store.0.disk.write_at(&self.file, bytes, self.written_bytes);
        written.map_err(StoreError::io("write", &self.path))?;
        self.written_bytes += bytes.len() as u64;
        // The sync at the end finds little left to do, and a commit's sync little that it waits behind.
        if self.written_bytes - self.begun_bytes >= WRITEBACK_BYTES {
            self.store.0.disk.begin_writeback(&self.file, self.begun_bytes, self.written_bytes);
            self.begun_bytes = self.written_bytes;
        }
        Ok(())
    }
}
