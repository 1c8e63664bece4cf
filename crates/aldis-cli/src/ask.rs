//! The person at the terminal: shows what is to be decided, and asks for words, a reason, or a yes. Everything goes to
//! standard error, so that standard output holds the answer alone.

use std::io::{self, BufRead, IsTerminal, Read, Stderr, StdinLock, Write};

use crate::failure::Failure;

/// The longest line that is read, in bytes.
const MAX_LINE_BYTES: u64 = 4096;

/// How many words a phrase has.
const PHRASE_WORDS: usize = 10;

/// Somebody who can be asked.
#[derive(Debug)]
pub(crate) struct Asker<R, W> {
    input: R,
    output: W,
}

/// The person at this terminal.
pub(crate) type Person = Asker<StdinLock<'static>, Stderr>;

impl Person {
    /// The person at the terminal; none where input or questions go elsewhere.
    pub(crate) fn here() -> Option<Self> {
        let here = io::stdin().is_terminal() && io::stderr().is_terminal();
        here.then(|| Self { input: io::stdin().lock(), output: io::stderr() })
    }
}

impl<R: BufRead, W: Write> Asker<R, W> {
    /// Shows text that has been made safe.
    pub(crate) fn tell(&mut self, text: &str) -> Result<(), Failure> {
        let shown = self.output.write_all(text.as_bytes()).and_then(|()| self.output.flush());
        shown.map_err(|source| Failure::File { doing: "write to", path: "the terminal".into(), source })
    }

    /// Asks for one line; its blanks at both ends are dropped.
    pub(crate) fn line(&mut self, question: &str) -> Result<String, Failure> {
        self.tell(&format!("{question} "))?;
        let mut bytes = Vec::new();
        let read = self.input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes);
        let read = read.map_err(|source| Failure::File { doing: "read from", path: "the terminal".into(), source })?;
        if read == 0 {
            self.tell("\n")?;
            return Err(Failure::NotConfirmed);
        }
        if !bytes.ends_with(b"\n") && bytes.len() as u64 == MAX_LINE_BYTES {
            let what = format!("more than {MAX_LINE_BYTES} bytes were typed on one line");
            return Err(Failure::usage(what, "nothing was done; type less"));
        }
        let line = String::from_utf8(bytes).map_err(|_| Failure::usage("what was typed is not UTF-8", ""))?;
        Ok(line.trim().to_owned())
    }

    /// Asks for the words of a phrase, on one line or on several; an empty line ends them early.
    pub(crate) fn words(&mut self, question: &str) -> Result<String, Failure> {
        let mut typed = self.line(question)?;
        while !typed.is_empty() && count(&typed) < PHRASE_WORDS {
            let more = self.line(&format!("{:>2} of {PHRASE_WORDS}, and then:", count(&typed)))?;
            if more.is_empty() {
                break;
            }
            typed = format!("{typed} {more}");
        }
        if typed.is_empty() { Err(Failure::NotConfirmed) } else { Ok(typed) }
    }

    /// Goes on only after a yes in full: a habit of pressing one key must not decide.
    pub(crate) fn confirm(&mut self, question: &str) -> Result<(), Failure> {
        let answer = self.line(&format!("{question} Type yes:"))?;
        if answer.eq_ignore_ascii_case("yes") { Ok(()) } else { Err(Failure::NotConfirmed) }
    }
}

fn count(words: &str) -> usize {
    words.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked<T>(typed: &[u8], ask: impl Fn(&mut Asker<&[u8], Vec<u8>>) -> Result<T, Failure>) -> (Option<T>, String) {
        let mut asker = Asker { input: typed, output: Vec::new() };
        let answer = ask(&mut asker).ok();
        (answer, String::from_utf8(asker.output).unwrap())
    }

    #[test]
    fn words_come_on_one_line_or_on_several() {
        let ten = "a b c d e f g h i j";
        for typed in ["a b c d e f g h i j\n", " a b c d e\nf g h i j\n", "a b c\n d e f g\nh i\nj\n"] {
            assert_eq!(asked(typed.as_bytes(), |asker| asker.words("?")).0.as_deref(), Some(ten), "{typed}");
        }
        let (early, shown) = asked(b"a, b\n\nyes\n", |asker| asker.words("Words:"));
        assert_eq!((early.as_deref(), shown.as_str()), (Some("a, b"), "Words:  2 of 10, and then: "));
    }

    #[test]
    fn only_a_yes_in_full_goes_on() {
        for (typed, goes_on) in [("yes\n", true), (" YES \n", true), ("y\n", false), ("\n", false), ("", false)] {
            assert_eq!(asked(typed.as_bytes(), |asker| asker.confirm("Go on?")).0.is_some(), goes_on, "{typed:?}");
        }
    }

    #[test]
    fn i7_a_line_without_end_is_not_read_into_memory() {
        let endless = vec![b'a'; 10_000];
        let mut asker = Asker { input: endless.as_slice(), output: Vec::new() };
        assert!(matches!(asker.line("?"), Err(Failure::Usage { .. })));
        assert_eq!(asker.input.len() as u64, 10_000 - MAX_LINE_BYTES);
        assert!(asked(&[0xff, b'\n'], |asker| asker.line("?")).0.is_none());
        assert!(asked(b"", |asker| asker.words("?")).0.is_none());
    }
}
