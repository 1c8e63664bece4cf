//! What `aldis watch` does beside a line of text when people are alerted: it rings the terminal's bell, and shows a desktop
//! notification where the terminal is known to do so. Only on a terminal: a file or a pipe gets text alone.

use std::io::{self, IsTerminal};

use crate::screen;

/// The most columns of a notification.
const WIDTH: usize = 160;

/// How alerts are made noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bell {
    rings: bool,
    notifies: bool,
}

impl Bell {
    /// What standard output can do; nothing if `quiet`.
    pub(crate) fn of_standard_output(quiet: bool) -> Self {
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        let rings = !quiet && io::stdout().is_terminal();
        Self { rings, notifies: rings && knows_notifications(&variable("TERM_PROGRAM"), &variable("TERM")) }
    }

    /// What to write to the terminal.
    pub(crate) fn sound(self, text: &str) -> String {
        // Escaped like everything else, so nothing in the text can end the sequence.
        let notice = format!("\x1b]9;{}\x1b\\", screen::cut(&screen::cell(text), WIDTH));
        let bell = if self.rings { "\x07" } else { "" };
        if self.notifies { format!("{notice}{bell}") } else { bell.to_owned() }
    }
}

/// Terminals that show OSC 9 as a notification. Others may print it, or take it for something else.
fn knows_notifications(program: &str, term: &str) -> bool {
    // Behind a multiplexer the program's name is that of the terminal around it.
    let multiplexed = term.starts_with("screen") || term.starts_with("tmux");
    let known = ["iTerm.app", "WezTerm", "ghostty"].contains(&program)
        || ["xterm-kitty", "xterm-ghostty", "foot", "foot-extra"].contains(&term);
    known && !multiplexed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_terminals_that_are_known_to_notify_get_more_than_a_bell() {
        assert!(knows_notifications("iTerm.app", "xterm-256color"));
        assert!(knows_notifications("", "xterm-kitty"));
        assert!(!knows_notifications("", "xterm-256color"));
        assert!(!knows_notifications("iTerm.app", "screen-256color"));
        assert!(!knows_notifications("Apple_Terminal", "xterm-256color"));
    }

    #[test]
    fn a_notification_holds_no_character_that_could_end_it_early() {
        let bell = Bell { rings: true, notifies: true };
        let sound = bell.sound("FLASH\x07 from \x1b]0;x cert.br");
        assert_eq!(sound.matches('\x07').count(), 1, "{sound:?}");
        assert_eq!(sound.matches('\x1b').count(), 2, "{sound:?}");
        assert_eq!(Bell { rings: true, notifies: false }.sound("x"), "\x07");
        assert_eq!(Bell { rings: false, notifies: false }.sound("x"), "");
    }
}
