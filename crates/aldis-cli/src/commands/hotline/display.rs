//! What a conversation looks like: lines from above, and on a terminal the line being typed always below them, untouched by
//! whatever comes in. Everything from elsewhere is made safe first.

use std::io::{self, Write};

use aldis_control::{DeliveryState, Direction, HotlineEntry, HotlineSession, HotlineState, HotlineSummary};
use crossterm::event::KeyEvent;
use crossterm::terminal;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use super::editor::{Editor, Pressed};
use crate::bell::Bell;
use crate::failure::Failure;
use crate::paint::Tone;
use crate::render::Page;
use crate::screen;
use crate::table::WIDTH;

/// Where a conversation is shown.
pub(super) struct Display {
    mode: Mode,
    page: Page,
    /// The exercise, as it stands before every line.
    exercise: Option<String>,
}

enum Mode {
    Terminal(Editor, Bell),
    Text,
    Json,
}

impl Display {
    /// On a terminal, with a line to type in.
    pub(super) fn terminal(page: Page, exercise: Option<&str>, bell: Bell) -> Result<Self, Failure> {
        let mut display = Self { mode: Mode::Terminal(Editor::default(), bell), page, exercise: mark(exercise) };
        display.redraw()?;
        Ok(display)
    }

    /// For programs and files.
    pub(super) fn plain(json: bool, page: Page, exercise: Option<&str>) -> Self {
        let mode = if json { Mode::Json } else { Mode::Text };
        Self { mode, page, exercise: mark(exercise) }
    }

    /// Whether a person sees what is shown.
    pub(super) fn has_reader(&self) -> bool {
        matches!(self.mode, Mode::Terminal(..))
    }

    /// Takes a key into the line being typed.
    pub(super) fn press(&mut self, key: KeyEvent) -> Result<Pressed, Failure> {
        let Mode::Terminal(editor, _) = &mut self.mode else { return Ok(Pressed::Changed) };
        let pressed = editor.press(key);
        self.redraw()?;
        Ok(pressed)
    }

    /// Draws the line being typed anew.
    pub(super) fn redraw(&mut self) -> Result<(), Failure> {
        self.write("", true)
    }

    /// A conversation that is shown from here on.
    pub(super) fn begin(&mut self, peer: &str, session: &HotlineSession) -> Result<(), Failure> {
        self.exercise = mark(session.exercise.as_deref());
        if matches!(self.mode, Mode::Json) {
            return self.object(&json!({ "hotline": {
                "peer": peer, "case": session.case, "opening": session.opening, "tlp": session.tlp,
                "desk": session.desk, "exercise": session.exercise, "opened_at": session.opened_at,
            } }));
        }
        let text = format!(
            "Hotline with {peer}, {}, desk {}, case {}. /help says what can be typed.",
            session.tlp.label(),
            session.desk,
            session.case
        );
        self.say(Tone::Heading, &text)
    }

    /// One turn.
    pub(super) fn entry(&mut self, entry: &HotlineEntry) -> Result<(), Failure> {
        if matches!(self.mode, Mode::Json) {
            return self.object(&json!({ "entry": entry }));
        }
        let ours = entry.direction == Direction::Out;
        let who = match ours {
            true => entry.author.clone(),
            false => format!("{} of {}", entry.author, entry.id.from),
        };
        let words = match &entry.body_absent {
            Some(absence) => format!("[no words: {}]", absence.text),
            None => entry.text.clone(),
        };
        let time = entry.at.to_string();
        let time = time.get(11..19).unwrap_or_default();
        let place = format!("F{}", entry.id.seq);
        match entry.part.as_str() {
            "line" if entry.state == DeliveryState::Refused => {
                self.say(Tone::Bad, &format!("{time} {place} {who}: {words} [refused: no part of the hotline]"))
            }
            "line" if ours => self.say(Tone::Plain, &format!("{time} {place} {who}: {words}")),
            "line" => self.say(Tone::Heading, &format!("{time} {place} {who}: {words}")),
            "opened" => self.say(Tone::Quiet, &format!("{time} {place} {who} opened it: {words}")),
            "joined" => self.say(Tone::Quiet, &format!("{time} {place} {who} came to the desk")),
            "left" => self.say(Tone::Quiet, &format!("{time} {place} {who} left the desk")),
            "closed" => self.say(Tone::Quiet, &format!("{time} {place} {who} ended it")),
            other => self.say(Tone::Quiet, &format!("{time} {place} {who}: [{other}] {words}")),
        }
    }

    /// How far it is, and who is at the desks; `all` says more than what a turn has said already.
    pub(super) fn desks(&mut self, peer: &str, session: &HotlineSession, all: bool) -> Result<(), Failure> {
        if matches!(self.mode, Mode::Json) {
            return self.object(&json!({ "desks": {
                "state": session.state, "here": session.here, "there": session.there,
            } }));
        }
        let list = |names: &[String]| if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
        match session.state {
            HotlineState::Ringing => {
                let text = format!("It rings at {peer}. What you type goes already.");
                self.say(Tone::Quiet, &text)?;
            }
            HotlineState::Closed => return Ok(()),
            HotlineState::Open => {}
        }
        if all || session.state == HotlineState::Open {
            let text = format!("At the desks: here {}; at {peer} {}.", list(&session.here), list(&session.there));
            self.say(Tone::Quiet, &text)?;
        }
        Ok(())
    }

    /// How far our lines have come there, where that changed.
    pub(super) fn marks(&mut self, before: (u64, u64), now: (u64, u64)) -> Result<(), Failure> {
        if matches!(self.mode, Mode::Json) {
            return self.object(&json!({ "marks": { "stored": now.0, "seen": now.1 } }));
        }
        if now.1 > before.1 {
            return self.say(Tone::Quiet, &format!("  -- seen there up to F{}", now.1));
        }
        if now.0 > before.0 {
            return self.say(Tone::Quiet, &format!("  -- stored there up to F{}", now.0));
        }
        Ok(())
    }

    /// How one ended.
    pub(super) fn over(&mut self, peer: &str, case: &str, summary: Option<&HotlineSummary>) -> Result<(), Failure> {
        if matches!(self.mode, Mode::Json) {
            return self.object(&json!({ "over": { "case": case, "summary": summary } }));
        }
        let Some(summary) = summary else {
            let text = format!(
                "The hotline with {peer} is over: it was declined, refused or expired. See `aldis case {case}`."
            );
            return self.say(Tone::Bad, &text);
        };
        let seconds = summary.closed_at.0.saturating_sub(summary.opened_at.0) / 1_000;
        let text = format!(
            "The hotline with {peer} is over ({}): ended by {} after {}:{:02}:{:02}; lines here {}, there {}; case {}.",
            summary.reason,
            summary.closed_by,
            seconds / 3_600,
            seconds / 60 % 60,
            seconds % 60,
            summary.lines_ours,
            summary.lines_theirs,
            case
        );
        self.say(Tone::Heading, &text)
    }

    /// A step of a ladder.
    pub(super) fn ladder(&mut self, text: &str) -> Result<(), Failure> {
        match self.mode {
            Mode::Json => self.object(&json!({ "ladder": text })),
            _ => self.say(Tone::Bad, &format!("  ** {text}")),
        }
    }

    /// People are alerted, about whatever it is.
    pub(super) fn alert(&mut self, text: &str) -> Result<(), Failure> {
        if let Mode::Terminal(_, bell) = self.mode {
            self.write(&bell.sound(text), true)?;
        }
        match self.mode {
            Mode::Json => self.object(&json!({ "alert": text })),
            _ => self.say(Tone::Bad, &format!("  ** {text}")),
        }
    }

    /// Something about the program or the conversation that must not be overlooked.
    pub(super) fn warning(&mut self, text: &str) -> Result<(), Failure> {
        match self.mode {
            Mode::Json => self.object(&json!({ "notice": text })),
            _ => self.say(Tone::Bad, &format!("  -- {text}")),
        }
    }

    /// Something about the program itself.
    pub(super) fn notice(&mut self, text: &str) -> Result<(), Failure> {
        match self.mode {
            Mode::Json => self.object(&json!({ "notice": text })),
            _ => self.say(Tone::Quiet, &format!("  -- {text}")),
        }
    }

    fn object(&mut self, value: &Value) -> Result<(), Failure> {
        self.write(&format!("{}\n", screen::json(&value.to_string())), false)
    }

    /// One line of ours with texts from elsewhere in it. What does not fit goes on behind a mark, so that no text from
    /// elsewhere stands where a line begins.
    fn say(&mut self, tone: Tone, text: &str) -> Result<(), Failure> {
        let on_terminal = self.has_reader();
        let mark = self.exercise.clone().unwrap_or_default();
        let width = if on_terminal { columns().saturating_sub(mark.width() + 6).max(10) } else { usize::MAX };
        let mut shown = String::new();
        for (at, line) in screen::fold(&screen::cell(text), width).iter().enumerate() {
            let before = if at == 0 { "" } else { "   | " };
            shown.push_str(&self.page.paint.apply(Tone::Exercise, &mark));
            shown.push_str(&self.page.paint.apply(tone, &format!("{before}{line}")));
            shown.push_str(if on_terminal { "\r\n" } else { "\n" });
        }
        self.write(&shown, on_terminal)
    }

    /// Writes above the line being typed, which then stands as it was.
    fn write(&mut self, text: &str, raw: bool) -> Result<(), Failure> {
        let mut bytes = String::new();
        if let (Mode::Terminal(editor, _), true) = (&self.mode, raw) {
            let prompt = format!("{}> ", self.exercise.as_deref().unwrap_or_default());
            let (typed, cursor) = editor.shown(columns().saturating_sub(prompt.width()));
            let column = prompt.width() + cursor;
            let prompt = self.page.paint.apply(Tone::Quiet, &prompt);
            // To the beginning of the row, clear it; the cursor's place counts from the row's beginning.
            bytes = format!("\r\u{1b}[K{text}{prompt}{typed}\r\u{1b}[{column}C");
        } else {
            bytes.push_str(text);
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes.as_bytes()).and_then(|()| stdout.flush()).map_err(|source| match source.kind() {
            io::ErrorKind::BrokenPipe => Failure::OutputClosed,
            _ => Failure::File { doing: "write to", path: "standard output".into(), source },
        })
    }
}

impl Drop for Display {
    /// The line being typed is not left behind.
    fn drop(&mut self) {
        if self.has_reader() {
            let mut stdout = io::stdout().lock();
            let _gone = stdout.write_all(b"\r\x1b[K").and_then(|()| stdout.flush());
        }
    }
}

fn mark(exercise: Option<&str>) -> Option<String> {
    exercise.map(|name| format!("EXERCISE {} ", screen::cell(name)))
}

fn columns() -> usize {
    match terminal::size() {
        // A terminal that does not know is taken for an ordinary one.
        Ok((0, _)) | Err(_) => WIDTH,
        Ok((columns, _)) => usize::from(columns).max(20),
    }
}
