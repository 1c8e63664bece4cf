//! Files that arrive while somebody watches: on a terminal a bar for each message, below the events.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};

use aldis_control::{AttachmentState, Event, EventKind};
use indicatif::{MultiProgress, ProgressBar};

use super::{Session, attach};
use crate::{render, screen};

/// The most bars; of further messages each step is a line.
const BARS_MAX: usize = 8;

/// The bars.
pub(crate) struct Arriving<'a> {
    session: &'a Session,
    is_drawn: bool,
    screen: MultiProgress,
    bars: BTreeMap<String, ProgressBar>,
}

impl<'a> Arriving<'a> {
    /// None yet.
    pub(crate) fn new(session: &'a Session) -> Self {
        let is_drawn = !session.json && io::stderr().is_terminal() && io::stdout().is_terminal();
        Self { session, is_drawn, screen: MultiProgress::new(), bars: BTreeMap::new() }
    }

    /// Draws what an event says about a file, if it is to be drawn: then it needs no line. The last one of each message has
    /// its line all the same.
    pub(crate) fn take(&mut self, event: &Event) -> bool {
        let Some(row) = event.message.as_ref().filter(|_| self.is_drawn && event.what == EventKind::File) else {
            return false;
        };
        let id = row.id.to_string();
        let Some(((done, all), _)) = render::came(row) else { return false };
        if row.attachments.iter().all(|file| file.state != AttachmentState::Arriving) {
            if let Some(bar) = self.bars.remove(&id) {
                bar.finish_and_clear();
            }
            return false;
        }
        if !self.bars.contains_key(&id) {
            if self.bars.len() >= BARS_MAX {
                return false;
            }
            let bar = self.screen.add(attach::bar(self.session, all));
            bar.set_message(screen::cut(&screen::cell(&id), 20));
            self.bars.insert(id.clone(), bar);
        }
        if let Some(bar) = self.bars.get(&id) {
            bar.set_length(all);
            bar.set_position(done);
        }
        true
    }

    /// Writes something above the bars.
    pub(crate) fn above<T>(&self, write: impl FnOnce() -> T) -> T {
        self.screen.suspend(write)
    }
}
