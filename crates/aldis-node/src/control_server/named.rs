//! The files that a message is to name: found in the store, held there until it is known whether the message is on
//! record, and written into its body.

use super::Server;
use super::failure::Failure;
use crate::attachments::{Named, StoreError};
use aldis_control::{ATTACHMENTS_MAX, AttachmentToSend, SendRequest};
use aldis_wire::digest::Digest;
use serde_json::{Value, json};

/// The field of a body that names files. Whoever sends names them beside the body; the node fills it in.
const FIELD: &str = "attachments";

/// Files that stay where they are for as long as this lives, and for good once they are kept.
#[derive(Debug, Default)]
pub(super) struct NamedFiles(Vec<Named>);

impl NamedFiles {
    /// From now on a message that names them may be on record, whatever becomes of whoever sends it.
    pub(super) fn keep(&mut self) {
        self.0.iter_mut().for_each(Named::keep);
    }

    /// No message names them after all.
    pub(super) fn release(self) {
        self.0.into_iter().for_each(Named::release);
    }
}

/// Takes the files out of a request and names them in its body, each with the length it has here.
pub(super) async fn take(server: &Server, request: &mut SendRequest) -> Result<NamedFiles, Failure> {
    let wrong = |what: String| Failure::usage("bad-field", format!("attachments: {what}"), "nothing was sent");
    if request.body.get(FIELD).is_some() {
        return Err(wrong("name files beside the body, not in it; the node fills them in".to_owned()));
    }
    let asked = std::mem::take(&mut request.attachments);
    if asked.is_empty() {
        return Ok(NamedFiles::default());
    }
    if asked.len() > ATTACHMENTS_MAX {
        return Err(wrong(format!("{} where at most {ATTACHMENTS_MAX} are allowed", asked.len())));
    }
    let mut digests: Vec<Digest> = Vec::with_capacity(asked.len());
    for file in &asked {
        let digest =
            Digest::from_hex(&file.digest).ok_or_else(|| wrong("a digest is 64 hexadecimal digits".to_owned()))?;
        if digests.contains(&digest) {
            return Err(wrong(format!("{digest} stands there twice")));
        }
        digests.push(digest);
    }
    let store = server.context.attachments.clone();
    let named = tokio::task::spawn_blocking(move || {
        digests.into_iter().map(|digest| Ok((digest, store.name(digest)?))).collect::<Result<Vec<_>, StoreError>>()
    });
    let named = named.await.map_err(|panic| Failure::internal(format!("naming files failed: {panic}")))??;
    let mut files = NamedFiles::default();
    let mut values = Vec::with_capacity(asked.len());
    for (file, (digest, named)) in asked.into_iter().zip(named) {
        let named = named.ok_or_else(|| {
            let message = format!("attachments: {digest} is not here");
            let advice = "hand it in first, with POST /v1/attachments; what no message names is gone after an hour";
            Failure::usage("no-such-file", message, advice)
        })?;
        let AttachmentToSend { name, media_type, .. } = file;
        values.push(json!({
            "digest": digest.to_hex(), "size": named.size(), "name": name, "media_type": media_type,
        }));
        files.0.push(named);
    }
    let body = request.body.as_object_mut().ok_or_else(|| wrong("the body has no fields".to_owned()))?;
    body.insert(FIELD.to_owned(), Value::Array(values));
    Ok(files)
}
