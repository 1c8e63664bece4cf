//! The files that messages name, as the signed bodies say. Where their bytes are is for the file store to say.

use aldis_wire::digest::Digest;
use aldis_wire::ids::{EnvelopeId, NodeId};

use super::red::is_red;
use super::{Query, QueryError, Red, Way};

/// A file that a message names.
#[derive(Clone, Debug)]
pub struct NamedFile {
    /// The message.
    pub message: EnvelopeId,
    /// Whether it is TLP:RED, so that its opening is on record first.
    pub is_red: bool,
    /// Its place there, from 1.
    pub number: u32,
    /// Whose it is; none for one of ours.
    pub from: Option<NodeId>,
    /// What it is known by.
    pub digest: Digest,
    /// Its length, in bytes.
    pub size: u64,
}

impl Query {
    /// One file of a message, for whoever opens it.
    pub fn file_of(&self, id: &EnvelopeId, number: u32) -> Result<NamedFile, QueryError> {
        let found = self.find(id)?;
        let no_file = || QueryError::NoFile { message: id.clone(), number };
        let body = self.json(&found, Red::Shown)?.map_err(|_| no_file())?;
        let files = body.get("attachments").and_then(serde_json::Value::as_array).ok_or_else(no_file)?;
        let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1)).ok_or_else(no_file)?;
        let file = files.get(index).ok_or_else(no_file)?;
        let digest = file["digest"].as_str().and_then(|hex| data_encoding::HEXLOWER.decode(hex.as_bytes()).ok());
        let digest = digest.and_then(|bytes| bytes.try_into().ok()).map(Digest::from_bytes).ok_or_else(no_file)?;
        let from = (found.message.way == Way::In).then(|| id.from.clone());
        let (message, size) = (id.clone(), file["size"].as_u64().unwrap_or_default());
        Ok(NamedFile { message, is_red: is_red(&found), number, from, digest, size })
    }
}
