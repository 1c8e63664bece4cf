//! Uploads: files that people hand in before a message names them.

use super::writing::Writing;
use super::{Attachments, StoreError, locked};
use crate::clock;
use aldis_wire::digest::Digest;

/// How much may be here that no message names yet, uploads under way included, in bytes.
pub const UNNAMED_MAX_BYTES: u64 = 8 << 30;

/// A file that is being handed in. Dropped before its end it leaves nothing.
#[derive(Debug)]
pub struct Upload {
    store: Attachments,
    /// None once the file has its name.
    writing: Option<Writing>,
    announced_bytes: u64,
}

impl Attachments {
    /// Begins an upload of this length. It is refused when too much is here that no message names, or too little is free.
    pub fn upload(&self, announced_bytes: u64) -> Result<Upload, StoreError> {
        locked(&self.0.ours).reserve(announced_bytes)?;
        // From here on dropping it gives the reserved bytes back.
        let mut upload = Upload { store: self.clone(), writing: None, announced_bytes };
        self.require_room(announced_bytes)?;
        let random: [u8; 16] = clock::random();
        let name = format!("{}{}", super::ours::NEW_PREFIX, data_encoding::HEXLOWER.encode(&random));
        upload.writing = Some(Writing::create(self, self.ours_dir().join(name))?);
        Ok(upload)
    }
}

impl Upload {
    /// Takes what comes next.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let announced_bytes = self.announced_bytes;
        let writing = self.writing.as_mut().expect("only finish takes it");
        let found_bytes = writing.bytes() + bytes.len() as u64;
        if found_bytes > announced_bytes {
            return Err(StoreError::OtherLength { announced_bytes, found_bytes });
        }
        writing.write(bytes)
    }

    /// Puts the file on stable storage and gives its digest and length. A message has an hour to name it.
    pub fn finish(mut self) -> Result<(Digest, u64), StoreError> {
        let mut writing = self.writing.take().expect("only finish takes it");
        let ended = self.put_in_place(&mut writing);
        if ended.is_err() {
            self.writing = Some(writing);
        }
        ended
    }

    fn put_in_place(&self, writing: &mut Writing) -> Result<(Digest, u64), StoreError> {
        let digest = writing.end()?;
        let (announced_bytes, found_bytes) = (self.announced_bytes, writing.bytes());
        if found_bytes != announced_bytes {
            return Err(StoreError::OtherLength { announced_bytes, found_bytes });
        }
        writing.sync()?;
        self.store.take_in(writing.path(), digest, found_bytes)?;
        Ok((digest, found_bytes))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        locked(&self.store.0.ours).give_back(self.announced_bytes);
        if let Some(writing) = &self.writing
            && let Err(error) = self.store.remove(writing.path())
        {
            tracing::warn!(%error, "what is left of an upload goes at the next start");
        }
    }
}
