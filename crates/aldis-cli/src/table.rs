//! Tables that fit 80 columns. The last column takes what is left and is cut; the others never are, for people copy
//! from them.

use unicode_width::UnicodeWidthStr;

use crate::paint::{Paint, Tone};
use crate::screen;

/// The width everything is made to fit, in columns.
pub(crate) const WIDTH: usize = 80;

/// Below this the last column moves to a line of its own.
const MIN_LAST_WIDTH: usize = 24;

const GAP: &str = "  ";

/// One cell; its text has been made safe.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
    right: bool,
}

/// Rows under headings.
#[derive(Debug)]
pub(crate) struct Table {
    titles: Vec<Cell>,
    rows: Vec<Vec<Cell>>,
}

impl Cell {
    /// Any text, made safe to show.
    pub(crate) fn new(text: &str) -> Self {
        Self::toned(text, Tone::Plain)
    }

    /// The same in a tone.
    pub(crate) fn toned(text: &str, tone: Tone) -> Self {
        Self { text: screen::cell(text), tone, right: false }
    }

    /// Set against the right edge of its column.
    pub(crate) fn right(mut self) -> Self {
        self.right = true;
        self
    }

    fn shown(&self, width: usize, paint: Paint) -> String {
        let space = " ".repeat(width.saturating_sub(self.text.width()));
        let text = paint.apply(self.tone, &self.text);
        if self.right { format!("{space}{text}") } else { format!("{text}{space}") }
    }
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(titles: &[&str]) -> Self {
        Self { titles: titles.iter().map(|title| Cell::toned(title, Tone::Quiet)).collect(), rows: Vec::new() }
    }

    /// Adds a row with one cell for each heading.
    pub(crate) fn push(&mut self, row: Vec<Cell>) {
        debug_assert_eq!(row.len(), self.titles.len(), "a row has one cell for each heading");
        for (title, cell) in self.titles.iter_mut().zip(&row) {
            title.right = cell.right;
        }
        self.rows.push(row);
    }

    /// The table as lines of at most [`WIDTH`] columns, unless a cell that is never cut is wider than that.
    pub(crate) fn render(&self, paint: Paint) -> String {
        let Some(last) = self.titles.len().checked_sub(1) else {
            return String::new();
        };
        let all = || std::iter::once(&self.titles).chain(&self.rows);
        let widths: Vec<usize> =
            (0..last).map(|column| all().map(|row| row[column].text.width()).max().unwrap_or(0)).collect();
        let used: usize = widths.iter().map(|width| width + GAP.len()).sum();
        let room = WIDTH.saturating_sub(used);
        let wanted = all().map(|row| row[last].text.width()).max().unwrap_or(0);
        let own_line = room < wanted.min(MIN_LAST_WIDTH);
        let mut shown = String::new();
        for row in all() {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&cell.shown(*width, paint));
                line.push_str(GAP);
            }
            if own_line {
                line.truncate(line.trim_end().len());
                line.push_str("\n    ");
            }
            let room = if own_line { WIDTH - 4 } else { room };
            let last = Cell { text: screen::cut(&row[last].text, room), ..row[last].clone() };
            line.push_str(&last.shown(if last.right { wanted } else { 0 }, paint));
            shown.push_str(line.trim_end());
            shown.push('\n');
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(first: &str, last: &str) -> String {
        let mut table = Table::new(&["ID", "SUBJECT"]);
        table.push(vec![Cell::new(first), Cell::new(last)]);
        table.render(Paint::off())
    }

    #[test]
    fn the_last_column_is_cut_to_the_width() {
        let shown = table("cert.br/P17", &"subject ".repeat(20));
        let longest = shown.lines().map(UnicodeWidthStr::width).max();
        assert_eq!(longest, Some(WIDTH), "{shown}");
        assert!(shown.ends_with("…\n"), "{shown}");
    }

    #[test]
    fn a_long_id_is_kept_whole_and_the_subject_gets_its_own_line() {
        let id = "c".repeat(70);
        let shown = table(&id, &"subject ".repeat(20));
        assert!(shown.contains(&format!("{id}\n    subject subject")), "{shown}");
        assert!(shown.lines().all(|line| line.width() <= WIDTH), "{shown}");
    }

    #[test]
    fn a_hostile_cell_cannot_start_a_row() {
        let shown = table("cert.br/P17", "x\ncert.us/F1  all clear");
        assert_eq!(shown.lines().count(), 2, "{shown}");
    }
}
