//! Text from standard input, taken apart: a line of it is a line of the hotline, and what is longer than the wire
//! allows goes in pieces, cut between characters, so that nothing of it is altered.

use std::io::{self, BufRead, Read};

use super::editor::LINE_MAX_BYTES;

/// Something of the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A line, or its beginning.
    Line(String),
    /// What goes on from the piece before.
    More(String),
    /// Bytes that are no UTF-8, and so cannot be said.
    NotText,
}

/// Input that is taken apart.
pub(super) struct Pieces<R> {
    input: R,
    /// The beginning of a character that was cut.
    rest: Vec<u8>,
    goes_on: bool,
}

impl<R: BufRead> Pieces<R> {
    pub(super) fn of(input: R) -> Self {
        Self { input, rest: Vec::new(), goes_on: false }
    }

    /// The next piece; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece>> {
        let mut bytes = std::mem::take(&mut self.rest);
        let room = u64::try_from(LINE_MAX_BYTES - bytes.len()).expect("a line is short");
        self.input.by_ref().take(room).read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let is_more = self.goes_on;
        self.goes_on = bytes.len() == LINE_MAX_BYTES && !bytes.ends_with(b"\n");
        if let Some(cut) = cut_in_character(&bytes).filter(|_| self.goes_on) {
            self.rest = bytes.split_off(cut);
        }
        let Ok(text) = String::from_utf8(bytes) else { return Ok(Some(Piece::NotText)) };
        let text = if self.goes_on { text } else { text.trim_end_matches(['\n', '\r']).to_owned() };
        Ok(Some(if is_more { Piece::More(text) } else { Piece::Line(text) }))
    }
}

/// Where a character begins that the bytes end in the middle of.
fn cut_in_character(bytes: &[u8]) -> Option<usize> {
    let error = std::str::from_utf8(bytes).err()?;
    error.error_len().is_none().then(|| error.valid_up_to())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(input: &[u8]) -> Vec<Piece> {
        let mut pieces = Pieces::of(input);
        std::iter::from_fn(|| pieces.next().unwrap()).collect()
    }

    #[test]
    fn i5_a_long_line_goes_in_pieces_and_not_one_character_is_altered() {
        for before in 0..4 {
            let text = format!("{}{}", "x".repeat(before), "事ñ🜁".repeat(2_000));
            let pieces = pieces(format!("{text}\r\nthe next\n").as_bytes());
            let (last, long) = pieces.split_last().unwrap();
            assert_eq!(*last, Piece::Line("the next".to_owned()));
            assert!(matches!(long[0], Piece::Line(_)) && long.len() == 5, "{}", long.len());
            let words = long.iter().enumerate().map(|(at, piece)| match piece {
                Piece::Line(words) if at == 0 => words.as_str(),
                Piece::More(words) if at > 0 => words.as_str(),
                other => panic!("{other:?} at {at}"),
            });
            let words: Vec<&str> = words.collect();
            assert!(words.iter().all(|words| words.len() <= LINE_MAX_BYTES));
            assert_eq!(words.concat(), text);
        }
    }

    #[test]
    fn a_line_as_long_as_the_wire_allows_is_one_and_what_is_no_text_is_not_said() {
        let longest = "y".repeat(LINE_MAX_BYTES);
        let more = Piece::More(String::new());
        assert_eq!(pieces(format!("{longest}\n").as_bytes()), [Piece::Line(longest.clone()), more]);
        assert_eq!(pieces(longest.as_bytes()), [Piece::Line(longest)]);
        assert_eq!(pieces(b"a\xffb\nc"), [Piece::NotText, Piece::Line("c".to_owned())]);
        assert_eq!(pieces("ñ".as_bytes().split_last().unwrap().1), [Piece::NotText]);
        assert_eq!(pieces(b""), []);
    }
}
