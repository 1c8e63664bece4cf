//! Where a conversation's lines come from: the keys of a terminal, or standard input.

use std::io::{self, BufRead, IsTerminal, Read};

use crossterm::event::{Event, EventStream, KeyEventKind};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::Session;
use super::display::Display;
use super::editor::{LINE_MAX_BYTES, Pressed};
use crate::failure::Failure;

/// Where lines come from.
pub(super) enum Keyboard {
    /// Keys, one by one; the terminal is given back when this is dropped.
    Terminal(Box<EventStream>, RawMode),
    /// Lines of standard input.
    Lines(mpsc::Receiver<String>),
}

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// Nothing that concerns anybody yet.
    Nothing,
    /// A line.
    Line(String),
    /// Nothing more comes.
    End,
}

/// A terminal that hands over every key; as it was before when this is dropped.
#[derive(Debug)]
pub(super) struct RawMode;

impl Drop for RawMode {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _gone = disable_raw_mode();
    }
}

/// Takes the terminal if a person is at it, else standard input.
pub(super) fn begin(session: &Session, exercise: Option<&str>) -> Result<(Keyboard, Display), Failure> {
    if session.json || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Ok((Keyboard::Lines(lines()), Display::plain(session.json, session.page, exercise)));
    }
    let failed = |source| Failure::File { doing: "prepare", path: "the terminal".into(), source };
    enable_raw_mode().map_err(failed)?;
    let keyboard = Keyboard::Terminal(Box::default(), RawMode);
    Ok((keyboard, Display::terminal(session.page, exercise)?))
}

impl Keyboard {
    /// What is typed next; keys show in the display's line as they come. What it is asked for and not given is not lost.
    pub(super) async fn next(&mut self, display: &mut Display) -> Result<Typed, Failure> {
        let Self::Terminal(events, _) = self else {
            let Self::Lines(lines) = self else { return Ok(Typed::End) };
            return Ok(lines.recv().await.map_or(Typed::End, Typed::Line));
        };
        match events.next().await {
            Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => match display.press(key)? {
                Pressed::Changed => Ok(Typed::Nothing),
                Pressed::Line(line) => Ok(Typed::Line(line)),
                Pressed::End => Ok(Typed::End),
            },
            Some(Ok(_)) => display.redraw().map(|()| Typed::Nothing),
            Some(Err(_)) | None => Ok(Typed::End),
        }
    }
}

/// Lines of standard input, each at most as long as the wire allows: what is longer goes in pieces.
fn lines() -> mpsc::Receiver<String> {
    let (said, heard) = mpsc::channel(16);
    // A thread of its own, for reading standard input cannot be given up; it ends with the program.
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let most = u64::try_from(LINE_MAX_BYTES / 2).expect("a line is short");
            match input.by_ref().take(most).read_until(b'\n', &mut bytes) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let line = String::from_utf8_lossy(&bytes);
            if said.blocking_send(line.trim_end_matches(['\n', '\r']).to_owned()).is_err() {
                return;
            }
        }
    });
    heard
}
