//! The line that is being typed. It always takes one row of the screen, whatever is in it: what does not fit is out of
//! sight to the left, so that lines that come in can be put above it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use unicode_width::UnicodeWidthStr;

use crate::screen;

/// The longest line, in bytes, as the wire allows.
pub(super) const LINE_MAX_BYTES: usize = 4000;

/// A line being typed.
#[derive(Debug, Default)]
pub(super) struct Editor {
    text: Vec<char>,
    cursor: usize,
}

/// What a key came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pressed {
    /// The line may look different.
    Changed,
    /// The line is complete.
    Line(String),
    /// The person leaves.
    End,
}

impl Editor {
    /// Takes a key.
    pub(super) fn press(&mut self, key: KeyEvent) -> Pressed {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Enter => return Pressed::Line(self.take()),
            KeyCode::Char('j' | 'm') if control => return Pressed::Line(self.take()),
            KeyCode::Char('c') if control => return Pressed::End,
            KeyCode::Char('d') if control && self.text.is_empty() => return Pressed::End,
            KeyCode::Char('d') if control => self.delete(self.cursor),
            KeyCode::Char('a') if control => self.cursor = 0,
            KeyCode::Char('e') if control => self.cursor = self.text.len(),
            KeyCode::Char('h') if control => self.backspace(),
            KeyCode::Char('u') if control => {
                self.text.drain(..self.cursor);
                self.cursor = 0;
            }
            KeyCode::Char('k') if control => self.text.truncate(self.cursor),
            KeyCode::Char('w') if control => self.delete_word(),
            KeyCode::Char(_) if control => {}
            KeyCode::Char(character) => self.insert(character),
            KeyCode::Backspace => self.backspace(),
            KeyCode::Delete => self.delete(self.cursor),
            KeyCode::Left => self.cursor = self.cursor.saturating_sub(1),
            KeyCode::Right => self.cursor = (self.cursor + 1).min(self.text.len()),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            _ => {}
        }
        Pressed::Changed
    }

    /// What is shown in so many columns, made safe, and in which column the cursor stands.
    pub(super) fn shown(&self, columns: usize) -> (String, usize) {
        let cells: Vec<String> = self.text.iter().map(|character| screen::cell(&character.to_string())).collect();
        let width = |cells: &[String]| cells.iter().map(|cell| cell.width()).sum::<usize>();
        let room = columns.saturating_sub(1);
        let mut from = 0;
        while from < self.cursor && width(&cells[from..self.cursor]) > room {
            from += 1;
        }
        let mut to = self.cursor;
        while to < cells.len() && width(&cells[from..=to]) <= room {
            to += 1;
        }
        (cells[from..to].concat(), width(&cells[from..self.cursor]))
    }

    fn take(&mut self) -> String {
        self.cursor = 0;
        self.text.drain(..).collect()
    }

    fn insert(&mut self, character: char) {
        let bytes: usize = self.text.iter().map(|one| one.len_utf8()).sum();
        if bytes + character.len_utf8() <= LINE_MAX_BYTES {
            self.text.insert(self.cursor, character);
            self.cursor += 1;
        }
    }

    fn backspace(&mut self) {
        if self.cursor > 0 {
            self.cursor -= 1;
            self.delete(self.cursor);
        }
    }

    fn delete(&mut self, at: usize) {
        if at < self.text.len() {
            self.text.remove(at);
        }
    }

    fn delete_word(&mut self) {
        let is_blank = |character: &char| character.is_whitespace();
        let end = self.cursor;
        while self.cursor > 0 && is_blank(&self.text[self.cursor - 1]) {
            self.cursor -= 1;
        }
        while self.cursor > 0 && !is_blank(&self.text[self.cursor - 1]) {
            self.cursor -= 1;
        }
        self.text.drain(self.cursor..end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[KeyEvent]) -> Editor {
        let mut editor = Editor::default();
        for key in keys {
            assert_eq!(editor.press(*key), Pressed::Changed);
        }
        editor
    }

    fn letters(text: &str) -> Vec<KeyEvent> {
        text.chars().map(|letter| KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE)).collect()
    }

    fn key(code: KeyCode) -> KeyEvent {
        KeyEvent::new(code, KeyModifiers::NONE)
    }

    fn control(letter: char) -> KeyEvent {
        KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL)
    }

    #[test]
    fn a_line_is_typed_mended_and_taken() {
        let mut keys = letters("hallo all wurld");
        keys.extend([key(KeyCode::Left), key(KeyCode::Left), key(KeyCode::Left)]);
        keys.extend([key(KeyCode::Backspace), key(KeyCode::Char('o')), control('a')]);
        keys.extend([key(KeyCode::Right), key(KeyCode::Delete), key(KeyCode::Char('e')), key(KeyCode::End)]);
        let mut editor = typed(&keys);
        assert_eq!(editor.press(key(KeyCode::Enter)), Pressed::Line("hello all world".to_owned()));
        assert_eq!(editor.shown(80), (String::new(), 0));
    }

    #[test]
    fn words_and_ends_of_lines_are_cut() {
        let mut keys = letters("one two  ");
        keys.push(control('w'));
        assert_eq!(typed(&keys).shown(80).0, "one ");
        keys.extend([control('a'), control('k')]);
        assert_eq!(typed(&keys).shown(80).0, "");
        let mut keys = letters("one");
        keys.extend([key(KeyCode::Left), control('u')]);
        assert_eq!(typed(&keys).shown(80), ("e".to_owned(), 0));
    }

    #[test]
    fn who_wants_to_leave_leaves_and_never_by_a_slip_in_a_line() {
        let mut editor = typed(&letters("x"));
        assert_eq!(editor.press(control('d')), Pressed::Changed);
        assert_eq!(editor.press(control('c')), Pressed::End);
        assert_eq!(Editor::default().press(control('d')), Pressed::End);
    }

    #[test]
    fn i7_a_line_has_one_row_and_a_bound() {
        let editor = typed(&letters(&"ñ".repeat(3_000)));
        assert_eq!(editor.text.len(), LINE_MAX_BYTES / 2);
        let (shown, column) = editor.shown(40);
        assert_eq!((shown.width(), column), (39, 39));
        let editor = typed(&letters("事案通知事案通知"));
        let (shown, column) = editor.shown(10);
        assert!(shown.width() <= 9 && column <= 9, "{shown} {column}");
    }

    #[test]
    fn what_a_person_pastes_cannot_drive_the_terminal_either() {
        let editor = typed(&letters("a\u{202e}b"));
        assert_eq!(editor.shown(80).0, "a\\u{202e}b");
    }
}
