//! Files that messages name, handed in and given out. Bytes go between the connection and a thread that writes or reads
//! the disk in large pieces, a few at a time: a file is never in memory as a whole, and no piece is hashed or written here.

use super::caller::Caller;
use super::extract::{Asked, check_type};
use super::failure::Failure;
use super::{Shared, review};
use crate::access::Grant;
use crate::attachments::{Attachments, Complete, StoreError, Upload};
use crate::log::query::NamedFile;
use aldis_control::{
    ATTACHMENT_MAX_BYTES, ATTACHMENTS_MAX, AttachmentQuery, AttachmentState, Exit, UploadedAttachment,
};
use aldis_wire::attachment as wire;
use aldis_wire::digest::Digest;
use axum::body::{Body, BodyDataStream};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

// The API says the wire's bounds in its own crate, which sees no other.
const _: () = assert!(ATTACHMENT_MAX_BYTES == wire::ATTACHMENT_MAX_BYTES && ATTACHMENTS_MAX == wire::ATTACHMENTS_MAX);

/// How much goes to the disk, or comes from it, at once.
const PIECE_BYTES: usize = 1 << 20;
/// The most that the connection hands over at once.
const READ_MAX_BYTES: usize = 64 << 10;
/// How many pieces wait between the connection and the disk.
const PIECES_WAITING_MAX: usize = 4;
/// How many files are handed in, and how many given out, at once.
pub(super) const FILES_AT_ONCE_MAX: usize = 8;
/// How long a client may go on writing after something went wrong, so that it hears of it.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// Takes a file in; the answer comes when it is on stable storage.
pub(super) async fn upload(
    State(server): Shared,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<UploadedAttachment>, Failure> {
    check_type(request.headers(), "application/octet-stream")?;
    let announced_bytes = announced(request.headers())?;
    let _place = place(&server.uploads)?;
    let store = server.context.attachments.clone();
    let (pieces, waiting) = mpsc::channel(PIECES_WAITING_MAX);
    let writing = tokio::task::spawn_blocking(move || write(&store, announced_bytes, waiting));
    let mut body = request.into_body().into_data_stream();
    let handed_over = hand_over(&mut body, &pieces, server.limits.stall).await;
    drop(pieces);
    let written = writing.await.map_err(|panic| Failure::internal(format!("writing a file failed: {panic}")))?;
    match (handed_over, written) {
        (_, Ok((digest, size))) => {
            tracing::info!(by = %caller.by(), %digest, size, "a file was handed in");
            Ok(Json(UploadedAttachment { digest: digest.to_hex(), size }))
        }
        // A body that ended early ends the writing too; why it ended is the better answer.
        (Err(failure), Err(_)) => Err(failure),
        (Ok(()), Err(error)) => {
            // Whoever still writes would not read the answer.
            let _drained = tokio::time::timeout(DRAIN_LIMIT, async { while body.next().await.is_some() {} }).await;
            Err(error.into())
        }
    }
}

/// The bytes of a file that a message names. Whoever opens TLP:RED is on record before they see it.
pub(super) async fn download(
    State(server): Shared,
    Extension(caller): Extension<Caller>,
    Extension(grant): Extension<Grant>,
    Asked(query): Asked<AttachmentQuery>,
) -> Result<Response, Failure> {
    let place = place(&server.downloads)?;
    let named = review::read(&server, grant.reads(), move |log| log.file_of(&log.resolve(&query.id)?, query.number));
    let named = named.await?;
    let store = server.context.attachments.clone();
    let (peer, digest) = (named.from.clone(), named.digest);
    let found = tokio::task::spawn_blocking(move || match peer {
        Some(peer) => store.read_from(&peer, digest),
        None => store.read_ours(digest),
    });
    let found = found.await.map_err(|panic| Failure::internal(format!("reading a file failed: {panic}")))??;
    let complete = found.ok_or_else(|| not_here(&server.context.attachments, &named))?;
    if named.is_red {
        review::opened(&server, named.message.clone(), &caller).await?;
    }
    tracing::info!(by = %caller.by(), message = %named.message, %digest, "a file is given out");
    let (pieces, waiting) = mpsc::channel(PIECES_WAITING_MAX);
    let headers = headers(&complete, digest);
    tokio::task::spawn_blocking(move || {
        let _place = place;
        read(&complete, &pieces);
    });
    Ok((headers, Body::from_stream(ReceiverStream::new(waiting))).into_response())
}

fn place(places: &Arc<tokio::sync::Semaphore>) -> Result<tokio::sync::OwnedSemaphorePermit, Failure> {
    Arc::clone(places).try_acquire_owned().map_err(|_| {
        let message = format!("{FILES_AT_ONCE_MAX} files are on their way already");
        Failure::new(Exit::Refused, "busy", message, "wait for one to end, then try again")
            .with_status(StatusCode::CONFLICT)
    })
}

/// How long the client says the file is.
fn announced(headers: &HeaderMap) -> Result<u64, Failure> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let bytes: u64 = length.ok_or_else(|| {
        let message = "the request does not say how long the file is";
        let failure = Failure::usage("no-length", message, "send it with `content-length`; nothing was taken");
        failure.with_status(StatusCode::LENGTH_REQUIRED)
    })?;
    match bytes {
        0 => Err(Failure::usage("empty-file", "the file is empty", "say it in the text; nothing was taken")),
        1..=ATTACHMENT_MAX_BYTES => Ok(bytes),
        _ => {
            let message = format!("the file has {bytes} bytes, and {ATTACHMENT_MAX_BYTES} (4 GiB) are allowed");
            let failure = Failure::usage("too-long", message, "split it, or send a part; nothing was taken");
            Err(failure.with_status(StatusCode::PAYLOAD_TOO_LARGE))
        }
    }
}

/// Passes a body on in large pieces, until it ends or nobody takes it any more.
async fn hand_over(body: &mut BodyDataStream, pieces: &mpsc::Sender<Bytes>, stall: Duration) -> Result<(), Failure> {
    // Beyond a piece there is room for what the connection reads at once, so that it never grows.
    let room = || BytesMut::with_capacity(PIECE_BYTES + READ_MAX_BYTES);
    let mut piece = room();
    loop {
        let next = tokio::time::timeout(stall, body.next()).await.map_err(|_| {
            let message = format!("nothing of the file came for {} s", stall.as_secs());
            Failure::usage("too-slow", message, "send it again").with_status(StatusCode::REQUEST_TIMEOUT)
        })?;
        let Some(bytes) = next else { break };
        let bytes = bytes.map_err(|_| {
            Failure::usage("cut-off", "the file ended too early", "send it again; nothing of it was kept")
        })?;
        piece.extend_from_slice(&bytes);
        if piece.len() >= PIECE_BYTES {
            let full = std::mem::replace(&mut piece, room());
            if pieces.send(full.freeze()).await.is_err() {
                return Ok(());
            }
        }
    }
    // Whoever does not take the last piece has failed, and says why.
    let _taken = pieces.send(piece.freeze()).await;
    Ok(())
}

fn write(
    store: &Attachments,
    announced_bytes: u64,
    mut pieces: mpsc::Receiver<Bytes>,
) -> Result<(Digest, u64), StoreError> {
    let mut upload: Upload = store.upload(announced_bytes)?;
    while let Some(piece) = pieces.blocking_recv() {
        upload.write(&piece)?;
    }
    upload.finish()
}

/// Reads a file piece by piece for as long as somebody takes them. A body that ends early is shorter than announced.
fn read(complete: &Complete, pieces: &mpsc::Sender<io::Result<Bytes>>) {
    let mut offset = 0;
    while offset < complete.size() {
        let left = usize::try_from(complete.size() - offset).unwrap_or(usize::MAX);
        let mut piece = vec![0; PIECE_BYTES.min(left)];
        let read = complete.read_at(&mut piece, offset);
        let piece = match read {
            Ok(bytes) if bytes == piece.len() => Ok(Bytes::from(piece)),
            Ok(_) => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            Err(error) => {
                tracing::error!(%error, "a file that is given out ends early");
                Err(io::Error::other(error))
            }
        };
        offset += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        let ends = piece.is_err();
        if pieces.blocking_send(piece).is_err() || ends {
            return;
        }
    }
}

/// Nothing that could make a browser show or run it, and the digest to check it by.
fn headers(complete: &Complete, digest: Digest) -> [(header::HeaderName, String); 5] {
    let digest = data_encoding::BASE64.encode(digest.as_bytes());
    [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, complete.size().to_string()),
        (header::CONTENT_DISPOSITION, "attachment".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::HeaderName::from_static("content-digest"), format!("sha-256=:{digest}:")),
    ]
}

/// Why a file that a message names cannot be given out.
fn not_here(store: &Attachments, named: &NamedFile) -> Failure {
    let id = &named.message;
    let conflict = |code, message: String, advice: &str| {
        Failure::new(Exit::Unreachable, code, message, advice).with_status(StatusCode::CONFLICT)
    };
    match &named.from {
        Some(_) if named.state == AttachmentState::Lost => {
            let message = format!("file {} of {id} will not come", named.number);
            Failure::new(Exit::NotFound, "file-lost", message, "`aldis show ID` says why; ask for it again")
        }
        Some(peer) => {
            let bytes = store.progress(peer, named.digest).unwrap_or(0);
            let message =
                format!("file {} of {id} is on its way: {bytes} of {} bytes are here", named.number, named.size);
            conflict("attachment-arriving", message, "follow it with `aldis watch`; it goes on by itself")
        }
        None => {
            let message = format!("file {} of {id} is not here any more", named.number);
            Failure::new(Exit::NotFound, "no-such-file", message, "take it from where you had it")
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            error if error.is_full() => {
                Self::new(Exit::Other, "disk-full", message, "messages still go; ask the administrator for room")
            }
            StoreError::TooMuchUnnamed { .. } => Self::new(
                Exit::Refused,
                "too-many-files",
                message,
                "send what is here; what no message names goes in an hour",
            ),
            StoreError::OtherLength { .. } => Self::usage("cut-off", message, "send it again; nothing of it was kept"),
            _ => Self::new(Exit::Other, "file-failed", message, "see the daemon's log; messages are not affected"),
        }
    }
}
