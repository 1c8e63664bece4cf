//! The two streaming answers: server-sent events and lines of JSON, with a bound on every line.
//!
//! It takes bytes apart and never trusts their length: a line that passes [`MAX_LINE_BYTES`] ends the stream.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::stream::{Stream, StreamExt, try_unfold};
use serde::de::DeserializeOwned;

use crate::{BackupLine, BulkLine, ClientError, Event, VerifyLine};

/// The longest line, and the longest event, that is taken from a stream: 1 MiB.
pub const MAX_LINE_BYTES: usize = 1024 * 1024;

/// How long a stream may stay silent. The daemon writes something more often than that:
/// a comment at least every 20 s on the event stream, a progress line at least every 20 s of a verification or a bulk.
const SILENCE_LIMIT: Duration = Duration::from_mins(1);

/// An event with the id under which the daemon can be asked to go on from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamedEvent {
    /// Its id on the stream; empty when the daemon gave none.
    pub id: String,
    /// The event.
    pub event: Event,
}

/// Takes server-sent events out of a response body.
pub(crate) fn events<S, E>(chunks: S) -> impl Stream<Item = Result<StreamedEvent, ClientError>> + Unpin + Send
where
    S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
    E: std::error::Error,
{
    let state = (Lines::new(chunks), PendingEvent::default());
    Box::pin(try_unfold(state, async |(mut lines, mut pending)| {
        while let Some(line) = lines.next().await? {
            if let Some(event) = pending.take_line(&line)? {
                return Ok(Some((event, (lines, pending))));
            }
        }
        Ok(None)
    }))
}

/// Takes the lines of a verification out of a response body. The last item is a report or an error: a body that ends
/// without one is itself an error.
pub(crate) fn verify_lines<S, E>(chunks: S) -> impl Stream<Item = Result<VerifyLine, ClientError>> + Unpin + Send
where
    S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
    E: std::error::Error,
{
    lines_of(chunks, "verification", |line| match line {
        VerifyLine::Error(error) => Err(ClientError::Api(error)),
        VerifyLine::Report(_) => Ok((line, true)),
        VerifyLine::Progress(_) => Ok((line, false)),
    })
}

/// The same for a backup.
pub(crate) fn backup_lines<S, E>(chunks: S) -> impl Stream<Item = Result<BackupLine, ClientError>> + Unpin + Send
where
    S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
    E: std::error::Error,
{
    lines_of(chunks, "backup", |line| match line {
        BackupLine::Error(error) => Err(ClientError::Api(error)),
        BackupLine::Report(_) => Ok((line, true)),
        BackupLine::Progress(_) => Ok((line, false)),
    })
}

/// The same for a bulk.
pub(crate) fn bulk_lines<S, E>(chunks: S) -> impl Stream<Item = Result<BulkLine, ClientError>> + Unpin + Send
where
    S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
    E: std::error::Error,
{
    lines_of(chunks, "bulk", |line| {
        let last = matches!(line, BulkLine::Report(_));
        Ok((line, last))
    })
}

/// Takes lines of JSON out of a response body; `judge` says of each whether it is the last.
fn lines_of<S, E, L>(
    chunks: S,
    what: &'static str,
    judge: fn(L) -> Result<(L, bool), ClientError>,
) -> impl Stream<Item = Result<L, ClientError>> + Unpin + Send
where
    S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
    E: std::error::Error,
    L: DeserializeOwned + Send,
{
    let state = (Lines::new(chunks), false);
    Box::pin(try_unfold(state, move |(mut lines, finished): (Lines<S>, bool)| async move {
        if finished {
            return Ok(None);
        }
        let Some(line) = lines.next().await? else {
            return Err(ClientError::protocol(format!("the {what} ended without a report")));
        };
        let line = serde_json::from_slice(&line)
            .map_err(|error| ClientError::protocol(format!("a line of the {what} is not as described: {error}")))?;
        let (line, last) = judge(line)?;
        Ok(Some((line, (lines, last))))
    }))
}

/// Cuts a stream of chunks into lines without their line ends.
struct Lines<S> {
    chunks: S,
    buffer: BytesMut,
    /// How much of the buffer is known to hold no line end, so that no byte is looked at twice.
    searched_bytes: usize,
}

impl<S, E> Lines<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::error::Error,
{
    fn new(chunks: S) -> Self {
        Self { chunks, buffer: BytesMut::new(), searched_bytes: 0 }
    }

    /// The next line, or `None` at the end. An unfinished last line is an error: it was cut.
    async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            if let Some(line) = self.take_buffered() {
                return if line.len() > MAX_LINE_BYTES { Err(line_too_long()) } else { Ok(Some(line)) };
            }
            if self.buffer.len() > MAX_LINE_BYTES {
                return Err(line_too_long());
            }
            let next = tokio::time::timeout(SILENCE_LIMIT, self.chunks.next()).await;
            let next = next.map_err(|_| ClientError::broken("the daemon has been silent for 60 s"))?;
            match next {
                Some(chunk) => {
                    let chunk = chunk.map_err(|error| ClientError::broken(innermost(&error)))?;
                    self.buffer.extend_from_slice(&chunk);
                }
                None if self.buffer.is_empty() => return Ok(None),
                None => {
                    return Err(ClientError::broken("the answer ends in the middle of a line"));
                }
            }
        }
    }

    fn take_buffered(&mut self) -> Option<Bytes> {
        let Some(end) = self.buffer[self.searched_bytes..].iter().position(|byte| *byte == b'\n') else {
            self.searched_bytes = self.buffer.len();
            return None;
        };
        let mut line = self.buffer.split_to(self.searched_bytes + end).freeze();
        self.buffer.advance(1);
        self.searched_bytes = 0;
        if line.ends_with(b"\r") {
            line.truncate(line.len() - 1);
        }
        Some(line)
    }
}

/// The fields of an event that has not ended yet.
#[derive(Default)]
struct PendingEvent {
    id: String,
    data: Vec<u8>,
}

impl PendingEvent {
    /// Takes one line; an empty one ends the event. Comments and unknown fields are passed over, as the standard says.
    fn take_line(&mut self, line: &[u8]) -> Result<Option<StreamedEvent>, ClientError> {
        if line.is_empty() {
            return self.finish();
        }
        let (field, value) = split_field(line);
        match field {
            b"data" => {
                if self.data.len() + value.len() > MAX_LINE_BYTES {
                    return Err(line_too_long());
                }
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            b"id" => self.id = String::from_utf8_lossy(value).into_owned(),
            _ => {}
        }
        Ok(None)
    }

    fn finish(&mut self) -> Result<Option<StreamedEvent>, ClientError> {
        if self.data.is_empty() {
            return Ok(None);
        }
        let event = serde_json::from_slice(&self.data)
            .map_err(|error| ClientError::protocol(format!("an event is not as described: {error}")))?;
        self.data.clear();
        Ok(Some(StreamedEvent { id: self.id.clone(), event }))
    }
}

/// Splits `field: value`, with or without the space.
fn split_field(line: &[u8]) -> (&[u8], &[u8]) {
    let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
    let value = line.get(colon + 1..).unwrap_or_default();
    (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
}

fn line_too_long() -> ClientError {
    ClientError::protocol(format!("a line of the answer is longer than {MAX_LINE_BYTES} bytes"))
}

/// The last error of a chain, which names the cause.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;
    use crate::EventKind;

    const EVENT: &str = r#"{"at":"2026-11-22T03:00:00.000Z","what":"link","peer":"cert.cl","state":"up","text":"up"}"#;

    async fn collect_events(chunks: Vec<Vec<u8>>) -> Vec<Result<StreamedEvent, ClientError>> {
        events(stream::iter(chunks.into_iter().map(|chunk| Ok::<_, std::io::Error>(Bytes::from(chunk)))))
            .collect()
            .await
    }

    async fn collect_verify(text: &str) -> Vec<Result<VerifyLine, ClientError>> {
        let chunks = vec![Ok::<_, std::io::Error>(Bytes::from(text.to_owned()))];
        verify_lines(stream::iter(chunks)).collect().await
    }

    #[tokio::test]
    async fn events_are_found_however_the_bytes_are_cut() {
        let text = format!(": hello\n\nid: 7\nevent: link\ndata: {EVENT}\n\nid: 8\r\ndata:{EVENT}\r\n\r\n");
        for cut in 1..text.len() {
            let (left, right) = text.as_bytes().split_at(cut);
            let found = collect_events(vec![left.to_vec(), right.to_vec()]).await;
            let ids: Vec<String> = found.into_iter().map(|event| event.unwrap().id).collect();
            assert_eq!(ids, ["7", "8"], "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn an_unknown_sort_of_event_is_kept() {
        let text = format!("data: {}\n\n", EVENT.replace("link", "eclipse"));
        let found = collect_events(vec![text.into_bytes()]).await;
        assert_eq!(found[0].as_ref().unwrap().event.what, EventKind::Other);
    }

    #[tokio::test]
    async fn i7_a_line_without_an_end_stops_the_stream() {
        let chunks = vec![vec![b'x'; 64 * 1024]; 40];
        let found = collect_events(chunks).await;
        assert!(matches!(found[..], [Err(ClientError::Protocol { .. })]), "{found:?}");
    }

    #[tokio::test]
    async fn i7_an_event_of_many_lines_is_bounded_too() {
        let mut line = b"data: ".to_vec();
        line.extend(vec![b'x'; 60 * 1024]);
        line.push(b'\n');
        let found = collect_events(vec![line; 40]).await;
        assert!(matches!(found[..], [Err(ClientError::Protocol { .. })]), "{found:?}");
    }

    #[tokio::test]
    async fn a_cut_or_wrong_event_is_an_error() {
        let found = collect_events(vec![b"data: {\"at\"".to_vec()]).await;
        assert!(matches!(found[..], [Err(ClientError::Broken { .. })]), "{found:?}");
        let found = collect_events(vec![b"data: {}\n\n".to_vec()]).await;
        assert!(matches!(found[..], [Err(ClientError::Protocol { .. })]), "{found:?}");
    }

    #[tokio::test]
    async fn a_verification_ends_with_its_report() {
        let progress = r#"{"progress":{"done":1,"total":2,"what":"journal"}}"#;
        let report = r#"{"report":{"ok":true,"records":2,"segments":1,"log_rows":2,"findings":[]}}"#;
        let found = collect_verify(&format!("{progress}\n{report}\n")).await;
        assert!(matches!(found[..], [Ok(VerifyLine::Progress(_)), Ok(VerifyLine::Report(_))]), "{found:?}");
        let found = collect_verify(&format!("{progress}\n")).await;
        assert!(matches!(found[..], [Ok(_), Err(ClientError::Protocol { .. })]), "{found:?}");
        let error = r#"{"error":{"code":"busy","message":"m","advice":"a","exit":3}}"#;
        let found = collect_verify(&format!("{error}\n")).await;
        assert!(matches!(found[..], [Err(ClientError::Api(_))]), "{found:?}");
    }
}
