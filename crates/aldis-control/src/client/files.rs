//! What goes piece by piece because it may be large: attachments in both directions, and evidence.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use futures_util::stream::{Stream, TryStreamExt};
use reqwest::{Method, Response, header};

use super::{Client, ClientError, answer_in, no_answer_within, read_bounded};
use crate::stream::innermost;
use crate::{AttachmentQuery, EvidenceRequest, UploadedAttachment, routes};

/// How long the first byte of evidence may take.
const EVIDENCE_LIMIT: Duration = Duration::from_mins(10);

/// A file that is on its way from the daemon.
#[derive(Debug)]
pub struct ComingFile<S> {
    /// Its length, in bytes.
    pub size: u64,
    /// The SHA-256 that its message names, in hex.
    pub digest: String,
    /// Its bytes as they come.
    pub pieces: S,
}

impl Client {
    /// Evidence of messages, piece by piece as it comes, and how many bytes it has in all, if the daemon says so.
    pub async fn evidence(
        &self,
        request: &EvidenceRequest,
    ) -> Result<(Option<u64>, impl Stream<Item = Result<Bytes, ClientError>> + Unpin + Send + use<>), ClientError> {
        let builder = self.request(Method::POST, routes::EVIDENCE).json(request);
        // The journal is read once or twice to the end before the first byte.
        let response = tokio::time::timeout(EVIDENCE_LIMIT, self.open(builder));
        let response = response.await.unwrap_or_else(|_| Err(no_answer_within(EVIDENCE_LIMIT)))?;
        Ok(streamed(response))
    }

    /// Hands in a file of `bytes` bytes that a message will name; success means it is on stable storage.
    pub async fn attachment_upload<S>(&self, bytes: u64, pieces: S) -> Result<UploadedAttachment, ClientError>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        let builder = self.request(Method::POST, routes::ATTACHMENTS);
        let builder = builder.header(header::CONTENT_TYPE, "application/octet-stream");
        let builder = builder.header(header::CONTENT_LENGTH, bytes);
        // However long the file takes: the daemon gives up on one that does not move.
        let response = self.open(builder.body(reqwest::Body::wrap_stream(pieces))).await?;
        answer_in(&read_bounded(response).await?)
    }

    /// The bytes of a file that a message names. Whoever takes them holds them against the digest.
    pub async fn attachment(
        &self,
        query: &AttachmentQuery,
    ) -> Result<ComingFile<impl Stream<Item = Result<Bytes, ClientError>> + Unpin + Send + use<>>, ClientError> {
        let response = self.open_stream(self.request(Method::GET, routes::ATTACHMENT).query(query)).await?;
        let digest = response.headers().get("content-digest").and_then(|value| sha256_in(value.to_str().ok()?));
        let digest = digest.ok_or_else(|| ClientError::protocol("the answer does not say the file's digest"))?;
        let (size, pieces) = streamed(response);
        let size = size.ok_or_else(|| ClientError::protocol("the answer does not say how long the file is"))?;
        Ok(ComingFile { size, digest, pieces })
    }
}

/// The SHA-256 in a `content-digest` (RFC 9530), in hex.
fn sha256_in(value: &str) -> Option<String> {
    let digest = value.strip_prefix("sha-256=:")?.strip_suffix(':')?;
    let bytes = BASE64.decode(digest.as_bytes()).ok()?;
    (bytes.len() == 32).then(|| HEXLOWER.encode(&bytes))
}

/// An answer's length, if the daemon says it, and its bytes as they come.
fn streamed(
    response: Response,
) -> (Option<u64>, impl Stream<Item = Result<Bytes, ClientError>> + Unpin + Send + use<>) {
    let broken = |error: reqwest::Error| ClientError::broken(innermost(&error));
    (response.content_length(), Box::pin(response.bytes_stream().map_err(broken)))
}
