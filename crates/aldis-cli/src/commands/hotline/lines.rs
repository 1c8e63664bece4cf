//! The lines of one person on their way to the daemon: those that wait for it, those of which nobody knows whether it
//! took them, and those that came to nothing. A line that the daemon may have taken is never handed over again.

use std::collections::VecDeque;

use aldis_control::Exit;

use crate::failure::Failure;

/// A line as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The conversation that stood on the screen then: in no other may it be said (I12, I13).
    pub(super) case: String,
    pub(super) text: String,
}

/// All lines that are not known to be said.
#[derive(Debug, Default)]
pub(super) struct Lines {
    waiting: VecDeque<Line>,
    /// Handed over, and not answered yet.
    handed_over: Option<Line>,
    unknown: Vec<Line>,
    declined: usize,
}

impl Lines {
    pub(super) fn push(&mut self, line: Line) {
        self.waiting.push_back(line);
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether there is a line of which it is not known whether it was said.
    pub(super) fn has_unknown(&self) -> bool {
        !self.unknown.is_empty()
    }

    /// Takes the first that waits, to be handed over.
    pub(super) fn hand_over(&mut self) -> Option<Line> {
        self.handed_over = self.waiting.pop_front();
        self.handed_over.clone()
    }

    /// What was handed over is said.
    pub(super) fn is_said(&mut self) {
        self.handed_over = None;
    }

    /// What was handed over was not taken, and waits again.
    pub(super) fn waits_again(&mut self) {
        if let Some(line) = self.handed_over.take() {
            self.waiting.push_front(line);
        }
    }

    /// What was handed over may have been taken.
    pub(super) fn is_unknown(&mut self) {
        self.unknown.extend(self.handed_over.take());
    }

    /// What was handed over, or could not even be, is not said.
    pub(super) fn is_declined(&mut self) {
        self.handed_over = None;
        self.declined += 1;
    }

    /// A line of ours stands in the conversation: one that may have been taken was.
    pub(super) fn found(&mut self, case: &str, text: &str) {
        if let Some(at) = self.unknown.iter().position(|line| line.case == case && line.text == text) {
            self.unknown.remove(at);
        }
    }

    /// What to say in the end of what was not said, also of `unread` lines that were never looked at. A person has seen
    /// each decline, so only a program is told of them again.
    pub(super) fn end(&self, unread: usize, has_reader: bool) -> Result<(), Failure> {
        let declined = if has_reader { 0 } else { self.declined };
        let lines = self.waiting.len() + unread + declined;
        let unknown = self.unknown.len() + usize::from(self.handed_over.is_some());
        if lines + unknown == 0 {
            return Ok(());
        }
        let exit = if declined > 0 { Exit::Refused } else { Exit::Unreachable };
        Err(Failure::NotSaid { lines, unknown, exit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Lines {
        let mut lines = Lines::default();
        for text in texts {
            lines.push(Line { case: "c".to_owned(), text: (*text).to_owned() });
        }
        lines
    }

    fn end(lines: &Lines, has_reader: bool) -> Option<(usize, usize, Exit)> {
        match lines.end(0, has_reader) {
            Err(Failure::NotSaid { lines, unknown, exit }) => Some((lines, unknown, exit)),
            Ok(()) => None,
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn i5_what_waits_again_keeps_its_place_and_what_may_be_taken_is_not_handed_over_again() {
        let mut lines = lines(&["one", "two"]);
        assert_eq!(lines.hand_over().unwrap().text, "one");
        lines.waits_again();
        assert_eq!(lines.hand_over().unwrap().text, "one");
        assert_eq!(end(&lines, true), Some((1, 1, Exit::Unreachable)), "the answer was not waited for");
        lines.is_unknown();
        assert_eq!(lines.hand_over().unwrap().text, "two");
        lines.is_said();
        assert_eq!(lines.hand_over(), None);
        assert_eq!(end(&lines, true), Some((0, 1, Exit::Unreachable)));
        lines.found("another", "one");
        assert!(lines.has_unknown());
        lines.found("c", "one");
        assert_eq!(end(&lines, false), None);
    }

    #[test]
    fn a_program_is_told_of_what_was_declined() {
        let mut lines = lines(&["one"]);
        lines.hand_over();
        lines.is_declined();
        assert_eq!((end(&lines, true), end(&lines, false)), (None, Some((1, 0, Exit::Refused))));
    }
}
