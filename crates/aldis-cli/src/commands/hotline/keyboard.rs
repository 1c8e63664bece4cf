//! Where a conversation's lines come from: the keys of a terminal, or standard input.

use std::io::{self, IsTerminal};

use crossterm::event::{Event, EventStream, KeyEventKind};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::Session;
use super::display::Display;
use super::editor::Pressed;
use super::pieces::{Piece, Pieces};
use crate::bell::Bell;
use crate::failure::Failure;

/// Where lines come from.
pub(super) enum Keyboard {
    /// Keys, one by one; the terminal is given back when this is dropped.
    Terminal(Box<EventStream>, RawMode),
    /// Lines of standard input; `None` once it has ended.
    Lines(Option<mpsc::Receiver<Typed>>),
}

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// Nothing that concerns anybody yet.
    Nothing,
    /// A line, which may be a command.
    Line(String),
    /// Words that go on from the line before, and are nothing else.
    Words(String),
    /// Bytes that are no text.
    NotText,
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
        return Ok((Keyboard::Lines(Some(lines())), Display::plain(session.json, session.page, exercise)));
    }
    let failed = |source| Failure::File { doing: "prepare", path: "the terminal".into(), source };
    enable_raw_mode().map_err(failed)?;
    let keyboard = Keyboard::Terminal(Box::default(), RawMode);
    let bell = Bell::of_standard_output(false);
    Ok((keyboard, Display::terminal(session.page, exercise, bell)?))
}

impl Keyboard {
    /// What is typed next; keys show in the display's line as they come. What it is asked for and not given is not lost.
    /// Standard input ends once, and then never says anything again.
    pub(super) async fn next(&mut self, display: &mut Display) -> Result<Typed, Failure> {
        let events = match self {
            Self::Terminal(events, _) => events,
            Self::Lines(Some(lines)) => {
                let typed = lines.recv().await;
                if typed.is_none() {
                    *self = Self::Lines(None);
                }
                return Ok(typed.unwrap_or(Typed::End));
            }
            Self::Lines(None) => return std::future::pending().await,
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

    /// How many lines were read and never looked at.
    pub(super) fn unread(&mut self) -> usize {
        let Self::Lines(Some(lines)) = self else { return 0 };
        std::iter::from_fn(|| lines.try_recv().ok()).count()
    }
}

/// What standard input brings.
fn lines() -> mpsc::Receiver<Typed> {
    let (said, heard) = mpsc::channel(16);
    // A thread of its own, for reading standard input cannot be given up; it ends with the program.
    std::thread::spawn(move || {
        let mut pieces = Pieces::of(io::stdin().lock());
        while let Ok(Some(piece)) = pieces.next() {
            let typed = match piece {
                Piece::Line(line) => Typed::Line(line),
                Piece::More(words) => Typed::Words(words),
                Piece::NotText => Typed::NotText,
            };
            if said.blocking_send(typed).is_err() {
                return;
            }
        }
    });
    heard
}
