//! Colours, and only where somebody sees them: on a terminal, unless `NO_COLOR` or `--no-color` says otherwise.
//!
//! Colour never carries a meaning alone; the word is always there as well.

use std::io::IsTerminal;

use aldis_control::{Precedence, Tlp};
use anstyle::{AnsiColor, Color, RgbColor, Style};

/// Whether to colour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    on: bool,
}

/// What a piece of text stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it comes.
    Plain,
    /// A heading.
    Heading,
    /// Less important.
    Quiet,
    /// All is well.
    Good,
    /// Needs a person.
    Bad,
    /// An exercise, which must never pass for real (I12).
    Exercise,
    /// A TLP marking in the colour the standard gives it, on black.
    Tlp(Tlp),
}

impl Paint {
    /// Colours when this output is a terminal and nobody has asked for none.
    pub(crate) fn on_output(output: &impl IsTerminal, no_color: bool) -> Self {
        let asked_for_none = no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { on: !asked_for_none && output.is_terminal() }
    }

    #[cfg(test)]
    pub(crate) const fn off() -> Self {
        Self { on: false }
    }

    #[cfg(test)]
    pub(crate) const fn on() -> Self {
        Self { on: true }
    }

    /// The text in its tone.
    pub(crate) fn apply(self, tone: Tone, text: &str) -> String {
        if !self.on || tone == Tone::Plain || text.is_empty() {
            return text.to_owned();
        }
        let style = style(tone);
        format!("{style}{text}{style:#}")
    }
}

/// The tone of a precedence: FLASH must be seen from across the room.
pub(crate) fn precedence_tone(precedence: Precedence) -> Tone {
    match precedence {
        Precedence::Flash => Tone::Bad,
        Precedence::Immediate => Tone::Heading,
        Precedence::Priority | Precedence::Routine => Tone::Plain,
    }
}

fn style(tone: Tone) -> Style {
    let ansi = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
    match tone {
        Tone::Plain => Style::new(),
        Tone::Heading => Style::new().bold(),
        Tone::Quiet => Style::new().dimmed(),
        Tone::Good => ansi(AnsiColor::Green),
        Tone::Bad => ansi(AnsiColor::Red).bold(),
        Tone::Exercise => ansi(AnsiColor::Magenta).bold(),
        Tone::Tlp(tlp) => Style::new().fg_color(Some(tlp_color(tlp))).bg_color(Some(RgbColor(0, 0, 0).into())),
    }
}

/// The colours of the TLP 2.0 standard.
fn tlp_color(tlp: Tlp) -> Color {
    let color = match tlp {
        Tlp::Red => RgbColor(0xff, 0x2b, 0x2b),
        Tlp::AmberStrict | Tlp::Amber => RgbColor(0xff, 0xc0, 0x00),
        Tlp::Green => RgbColor(0x33, 0xff, 0x00),
        Tlp::Clear => RgbColor(0xff, 0xff, 0xff),
    };
    Color::Rgb(color)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marking_has_its_colour_on_black_and_its_word() {
        let shown = Paint::on().apply(Tone::Tlp(Tlp::Amber), Tlp::Amber.label());
        assert_eq!(shown, "\u{1b}[38;2;255;192;0m\u{1b}[48;2;0;0;0mTLP:AMBER\u{1b}[0m");
        assert_eq!(Paint::off().apply(Tone::Tlp(Tlp::Red), Tlp::Red.label()), "TLP:RED");
    }
}
