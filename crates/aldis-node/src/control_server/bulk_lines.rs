//! The lines of a request that streams, cut out of its pieces, with a bound on each.

use super::BODY_MAX_BYTES;
use axum::body::{Body, BodyDataStream};
use bytes::{Buf, Bytes, BytesMut};
use futures_util::StreamExt;

/// Cuts a request's body into lines.
pub(super) struct BulkLines {
    pieces: BodyDataStream,
    buffer: BytesMut,
    /// How much of the buffer is known to hold no line end, so that no byte is looked at twice.
    searched: usize,
    /// How many lines were taken from it, empty ones too.
    taken: u64,
}

/// Why there is no next line, though the body has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BulkLinesError {
    /// The client must write shorter lines.
    #[error("it is longer than {BODY_MAX_BYTES} bytes")]
    TooLong,
    /// The client went away, or does not speak HTTP.
    #[error("the request's body broke off")]
    Broken,
}

impl BulkLines {
    pub(super) fn new(body: Body) -> Self {
        Self { pieces: body.into_data_stream(), buffer: BytesMut::new(), searched: 0, taken: 0 }
    }

    /// The number of the line that comes next, counted from 1.
    pub(super) fn next_number(&self) -> u64 {
        self.taken + 1
    }

    /// The next line that is not empty, with its number; `None` at the end. Nothing is lost if it is given up.
    pub(super) async fn next(&mut self) -> Result<Option<(u64, Bytes)>, BulkLinesError> {
        loop {
            while let Some(line) = self.cut()? {
                if !line.trim_ascii().is_empty() {
                    return Ok(Some((self.taken, line)));
                }
            }
            match self.pieces.next().await {
                Some(Ok(piece)) => self.buffer.extend_from_slice(&piece),
                Some(Err(_)) => return Err(BulkLinesError::Broken),
                None if self.buffer.is_empty() => return Ok(None),
                // The last line needs no line end.
                None => self.buffer.extend_from_slice(b"\n"),
            }
        }
    }

    /// Takes the rest of the body and throws it away. A server that closes while its client still writes could take its
    /// own last words with it.
    pub(super) async fn drain(&mut self) {
        while let Some(Ok(_)) = self.pieces.next().await {}
    }

    /// A line of what is there, without its end.
    fn cut(&mut self) -> Result<Option<Bytes>, BulkLinesError> {
        let end = memchr::memchr(b'\n', &self.buffer[self.searched..]).map(|at| self.searched + at);
        if end.unwrap_or(self.buffer.len()) > BODY_MAX_BYTES {
            return Err(BulkLinesError::TooLong);
        }
        let Some(end) = end else {
            self.searched = self.buffer.len();
            return Ok(None);
        };
        let line = self.buffer.split_to(end).freeze();
        self.buffer.advance(1);
        self.searched = 0;
        self.taken += 1;
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    fn lines(pieces: &[&[u8]]) -> BulkLines {
        let pieces: Vec<_> =
            pieces.iter().map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
        BulkLines::new(Body::from_stream(stream::iter(pieces)))
    }

    #[tokio::test]
    async fn lines_are_found_and_counted_however_they_are_cut() {
        let text = b"one\n\n \r\nfour\r\nfive";
        for cut in 0..text.len() {
            let (left, right) = text.split_at(cut);
            let mut lines = lines(&[left, right]);
            let mut found = Vec::new();
            while let Some((number, line)) = lines.next().await.unwrap() {
                found.push((number, String::from_utf8(line.trim_ascii().to_vec()).unwrap()));
            }
            assert_eq!(found, [(1, "one".into()), (4, "four".into()), (5, "five".into())], "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn i7_a_line_is_bounded_with_and_without_an_end() {
        let exact = vec![b'x'; BODY_MAX_BYTES];
        assert_eq!(lines(&[&exact, b"\n"]).next().await.unwrap().unwrap().1.len(), BODY_MAX_BYTES);
        for end in [b"x".as_slice(), b"x\n"] {
            assert_eq!(lines(&[&exact, end]).next().await, Err(BulkLinesError::TooLong));
        }
    }
}
