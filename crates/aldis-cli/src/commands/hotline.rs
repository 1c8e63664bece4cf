//! `aldis hotline`: a live conversation. It shows what the daemon has on record, whatever came in between: after an event,
//! after a lost connection, after a restart it asks how the hotline is now, and shows what it has not shown yet.

mod before;
mod display;
mod editor;
mod fate;
mod feed;
mod keyboard;
mod lines;
mod pieces;

use std::collections::BTreeSet;
use std::time::Duration;

use aldis_control::{
    Client, ClientError, DeliveryState, Direction, HotlineCloseRequest, HotlineEntry, HotlineLineRequest, HotlineQuery,
    HotlineReadRequest, HotlineRequest, HotlineSession, HotlineState, HotlineView, Tlp,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::Session;
use super::events::Following;
use crate::args::HotlineArgs;
use crate::failure::Failure;

use display::Display;
use fate::Fate;
use feed::Heard;
use keyboard::{Keyboard, Typed};
use lines::{Line, Lines};

const HELP: &str = "/who  who is at the desks    /quit  end the hotline    Ctrl-D  leave, it stays    //text  a line \
                    that begins with /";

/// How many turns are looked at after something happened; all of them if there was something before.
const LATEST_TURNS: Option<u32> = Some(40);

/// How long the other side may take to hear that somebody was sent away from the desk.
const GOING_MAX: Duration = Duration::from_secs(1);

/// One person's place in a conversation.
struct Talk {
    client: Client,
    args: HotlineArgs,
    display: Display,
    held: Option<Held>,
    shown: BTreeSet<(bool, u64)>,
    /// How far our lines are stored and seen there, as far as that was shown.
    marks: (u64, u64),
    at_desks: Option<(HotlineState, Vec<String>, Vec<String>)>,
    lines: Lines,
    /// Nothing more is typed: it leaves once nothing waits.
    leaving: bool,
}

/// The conversation this is about; another one takes its place when both sides open at once.
#[derive(Clone, Debug)]
struct Held {
    case: String,
    tlp: Tlp,
    state: HotlineState,
}

/// Whether the conversation goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goes {
    On,
    Over,
}

/// Opens, picks up or joins, and stays until it ends or the person leaves.
pub(crate) async fn run(session: &Session, args: HotlineArgs) -> Result<(), Failure> {
    let client = session.client.clone();
    // Before anything is done, so that nothing that follows from it is missed.
    let events = Following::begin(client.clone(), None).await?;
    let first = client.hotline_come(&come_request(&args, args.tlp)).await?;
    let mut terminated = signal(SignalKind::terminate()).map_err(|source| Failure::File {
        doing: "listen for",
        path: "signals".into(),
        source,
    })?;
    let (mut keyboard, display) = keyboard::begin(session, args.exercise.as_deref())?;
    let heard = feed::follow(events, args.peer.clone());
    let mut talk = Talk {
        client,
        args,
        display,
        held: None,
        shown: BTreeSet::new(),
        marks: (0, 0),
        at_desks: None,
        lines: Lines::default(),
        leaving: false,
    };
    tokio::select! {
        gone = talk.go_on(first, &mut keyboard, heard) => gone?,
        // At once, whatever is waited for: the terminal is given back when this returns.
        _ = terminated.recv() => {
            let _told = tokio::time::timeout(GOING_MAX, talk.close(true)).await;
        }
    }
    talk.lines.end(keyboard.unread(), talk.display.has_reader())
}

/// Another conversation that takes the place of ours is joined under whatever marking it has; the change is shown.
fn come_request(args: &HotlineArgs, tlp: Option<Tlp>) -> HotlineRequest {
    HotlineRequest {
        peer: args.peer.clone(),
        tlp,
        subject: args.subject.clone(),
        text: args.text.clone(),
        desk: args.desk.clone(),
        exercise: args.exercise.clone(),
        author: args.author.clone(),
    }
}

impl Talk {
    async fn go_on(
        &mut self,
        first: HotlineView,
        keyboard: &mut Keyboard,
        mut heard: mpsc::Receiver<Heard>,
    ) -> Result<(), Failure> {
        let mut goes = self.take(first).await?;
        while goes == Goes::On {
            goes = tokio::select! {
                Some(first) = heard.recv() => {
                    // However much happened meanwhile, it is looked at once.
                    let mut all = vec![first];
                    all.extend(std::iter::from_fn(|| heard.try_recv().ok()));
                    self.hear(all).await?
                }
                typed = keyboard.next(&mut self.display) => self.typed(typed?).await?,
            };
        }
        Ok(())
    }

    async fn hear(&mut self, all: Vec<Heard>) -> Result<Goes, Failure> {
        let mut moved = false;
        for heard in all {
            match heard {
                Heard::Notice(text) => self.display.notice(&text)?,
                Heard::Ladder(text) => self.display.ladder(&text)?,
                Heard::Alert(text) => self.display.alert(&text)?,
                Heard::Happened => moved = true,
                Heard::Ended(error) => return Err(error.into()),
            }
        }
        // First how it is, for what waits is for the conversation that it was typed in.
        let goes = if moved { self.refresh().await? } else { Goes::On };
        if !moved || goes == Goes::Over || self.lines.waiting() == 0 {
            return Ok(goes);
        }
        match self.send_waiting().await? {
            Goes::Over => Ok(Goes::Over),
            Goes::On => self.refresh().await,
        }
    }

    async fn typed(&mut self, typed: Typed) -> Result<Goes, Failure> {
        match typed {
            Typed::Nothing => {}
            // A second time: whoever wants to leave is not kept by what waits.
            Typed::End if self.leaving => return Ok(Goes::Over),
            Typed::End => {
                self.leaving = true;
                return self.send_waiting().await;
            }
            Typed::NotText => {
                self.lines.is_declined();
                self.display.notice("not said: this is no UTF-8 text")?;
            }
            Typed::Words(words) => return self.say(&words).await,
            Typed::Line(line) => match line.trim() {
                "/help" => self.display.notice(HELP)?,
                "/who" => self.who().await?,
                "/quit" => return self.quit().await,
                command if command.starts_with('/') && !command.starts_with("//") => {
                    self.display.notice(&format!("there is no {command}; {HELP}"))?;
                }
                _ => return self.say(line.strip_prefix('/').unwrap_or(&line)).await,
            },
        }
        Ok(Goes::On)
    }

    async fn say(&mut self, words: &str) -> Result<Goes, Failure> {
        let case = match &self.held {
            _ if words.trim().is_empty() => return Ok(Goes::On),
            Some(held) => held.case.clone(),
            None => return self.refresh().await,
        };
        self.lines.push(Line { case, text: words.to_owned() });
        match self.send_waiting().await? {
            Goes::Over => Ok(Goes::Over),
            Goes::On => self.refresh().await,
        }
    }

    /// Hands over what waits, in order. What the daemon may have taken is never handed over twice.
    async fn send_waiting(&mut self) -> Result<Goes, Failure> {
        while let Some(Line { case, text }) = self.lines.hand_over() {
            if self.held.as_ref().is_none_or(|held| held.case != case) {
                self.lines.is_declined();
                self.display.warning(&format!("not said, for it was typed in case {case}, which is over: {text}"))?;
                continue;
            }
            let (peer, author) = (self.args.peer.clone(), self.args.author.clone());
            let said = self.client.hotline_line(&HotlineLineRequest { peer, case, text, author }).await;
            match said.map_err(Fate::of) {
                Ok(_) => self.lines.is_said(),
                Err(Fate::NotDone) => {
                    self.lines.waits_again();
                    self.display.notice("the daemon is away: the line waits here, and goes when it is back")?;
                    if self.leaving {
                        let waiting = self.lines.waiting();
                        let text = format!("leaving once what waits has gone, {waiting} in all; Ctrl-C leaves now");
                        self.display.notice(&text)?;
                    }
                    return Ok(Goes::On);
                }
                Err(Fate::Unknown(reason)) => {
                    self.lines.is_unknown();
                    self.display.notice(&format!(
                        "whether the line was taken is not known ({reason}): if it does not show here, say it again"
                    ))?;
                }
                Err(Fate::Declined(error)) => {
                    self.lines.is_declined();
                    self.display.notice(&format!("not said: {}; {}", error.message, error.advice))?;
                }
                Err(Fate::Strange(error)) => return Err(error.into()),
            }
        }
        if !self.leaving {
            return Ok(Goes::On);
        }
        // What may have been taken shows now, if it was.
        if self.lines.has_unknown() && self.refresh().await? == Goes::Over {
            return Ok(Goes::Over);
        }
        self.leave().await
    }

    /// How the hotline is now.
    async fn refresh(&mut self) -> Result<Goes, Failure> {
        let mut looked = self.look(LATEST_TURNS).await;
        if looked.as_ref().is_ok_and(|view| self.misses_some(view)) {
            looked = self.look(None).await;
        }
        match looked {
            Ok(view) => self.take(view).await,
            // The feed says so, and when it is back.
            Err(error) => Fate::of(error).or_later(),
        }
    }

    async fn look(&self, limit: Option<u32>) -> Result<HotlineView, ClientError> {
        self.client.hotline(&HotlineQuery { peer: self.args.peer.clone(), limit }).await
    }

    /// Whether there may be turns before those of a view that were not shown.
    fn misses_some(&self, view: &HotlineView) -> bool {
        let entries = view.session.as_ref().map_or(&[][..], |session| &session.entries);
        entries.first().is_some_and(|first| !self.shown.contains(&place(first)) && first.part != "opened")
    }

    /// Shows what is new, picks up what rings for us, and says what was read.
    async fn take(&mut self, view: HotlineView) -> Result<Goes, Failure> {
        let mut view = view;
        loop {
            let Some(session) = view.session else { return Ok(Goes::On) };
            let rings_here = session.state == HotlineState::Ringing && session.opening.from == self.args.peer;
            if !rings_here {
                return self.show(&session).await;
            }
            // Both sides opened at once and theirs stays, or it rang before this came: somebody is at the desk now.
            let request = come_request(&self.args, self.args.tlp.filter(|_| self.held.is_none()));
            match self.client.hotline_come(&request).await {
                Ok(picked_up) => view = picked_up,
                // It ended in this moment: how shows with the event that tells of it.
                Err(ClientError::Api(error)) if error.code == "no-marking" => return Ok(Goes::On),
                Err(error) => return Fate::of(error).or_later(),
            }
        }
    }

    async fn show(&mut self, session: &HotlineSession) -> Result<Goes, Failure> {
        let held = Held { case: session.case.clone(), tlp: session.tlp, state: session.state };
        match self.held.replace(held) {
            Some(before) if before.case == session.case => {}
            before => {
                if let Some(before) = before {
                    self.say_farewell(&before, session).await?;
                }
                self.display.begin(&self.args.peer, session)?;
            }
        }
        let mut read = session.read_here;
        for entry in &session.entries {
            if self.shown.insert(place(entry)) {
                self.display.entry(entry)?;
                if is_line_of_ours(entry) {
                    self.lines.found(&session.case, &entry.text);
                }
            }
            if entry.direction == Direction::In {
                read = read.max(entry.id.seq);
            }
        }
        let desks = (session.state, session.here.clone(), session.there.clone());
        if self.at_desks.as_ref() != Some(&desks) {
            self.display.desks(&self.args.peer, session, self.at_desks.is_none())?;
            self.at_desks = Some(desks);
        }
        let marks = marks(session);
        let marks = (marks.0.max(self.marks.0), marks.1.max(self.marks.1));
        if marks != self.marks {
            self.display.marks(self.marks, marks)?;
            self.marks = marks;
        }
        if session.state == HotlineState::Closed {
            self.display.over(&self.args.peer, &session.case, session.summary.as_ref())?;
            return Ok(Goes::Over);
        }
        if read > session.read_here && self.display.has_reader() {
            let request =
                HotlineReadRequest { peer: self.args.peer.clone(), through: read, author: self.args.author.clone() };
            // If it is not taken now, it is said with what comes next.
            let _said = self.client.hotline_read(&request).await;
        }
        Ok(Goes::On)
    }

    /// Another conversation has taken the place of the one that was held: how that one ended, and what is different
    /// now.
    async fn say_farewell(&mut self, before: &Held, now: &HotlineSession) -> Result<(), Failure> {
        let summary = before::summary(&self.client, &before.case).await;
        let crossed = match &summary {
            Some(summary) => summary.reason == "crossed",
            None => before.state == HotlineState::Ringing,
        };
        if crossed && now.state != HotlineState::Closed {
            self.display.notice("both sides opened a hotline at once; it goes on in the other's")?;
        } else {
            self.display.over(&self.args.peer, &before.case, summary.as_ref())?;
        }
        if before.tlp != now.tlp {
            let (is, was) = (now.tlp.label(), before.tlp.label());
            self.display.warning(&format!("what is said from here on is {is}, and no more {was}"))?;
        }
        Ok(())
    }

    async fn who(&mut self) -> Result<(), Failure> {
        match self.look(LATEST_TURNS).await {
            Ok(HotlineView { session: Some(session), .. }) => self.display.desks(&self.args.peer, &session, true),
            Ok(_) => Ok(()),
            Err(error) => self.display.notice(&error.to_string()),
        }
    }

    async fn quit(&mut self) -> Result<Goes, Failure> {
        match self.close(false).await.map_err(Fate::of) {
            Ok(view) => return self.take(view).await,
            Err(Fate::NotDone) => {
                self.display.notice("the daemon is away: the hotline was not ended; /quit again when it is back")?;
            }
            Err(Fate::Unknown(reason)) => {
                self.display.notice(&format!(
                    "whether the hotline was ended is not known ({reason}): if that does not show here, /quit again"
                ))?;
                return self.refresh().await;
            }
            // It ended there at the same time: how it ended shows.
            Err(Fate::Declined(error)) if error.code == "no-hotline" => return self.refresh().await,
            Err(Fate::Declined(error)) => {
                self.display.notice(&format!("not ended: {}; {}", error.message, error.advice))?;
            }
            Err(Fate::Strange(error)) => return Err(error.into()),
        }
        Ok(Goes::On)
    }

    async fn leave(&mut self) -> Result<Goes, Failure> {
        match self.close(true).await {
            Ok(_) => {}
            Err(ClientError::Api(error)) if error.code == "no-hotline" => {
                if self.refresh().await? == Goes::Over {
                    return Ok(Goes::Over);
                }
            }
            Err(error) => return Err(error.into()),
        }
        self.display.notice(&format!("left; the hotline stays, `aldis hotline {}` comes back", self.args.peer))?;
        Ok(Goes::Over)
    }

    async fn close(&self, leave: bool) -> Result<HotlineView, ClientError> {
        let request = HotlineCloseRequest { peer: self.args.peer.clone(), leave, author: self.args.author.clone() };
        self.client.hotline_close(&request).await
    }
}

/// What tells a turn from all others of a conversation: which way it went, and its place there.
fn place(entry: &HotlineEntry) -> (bool, u64) {
    (entry.direction == Direction::Out, entry.id.seq)
}

fn is_line_of_ours(entry: &HotlineEntry) -> bool {
    entry.direction == Direction::Out && entry.part == "line"
}

/// Up to which of our places lines are stored there, and up to which they were seen.
fn marks(session: &HotlineSession) -> (u64, u64) {
    let ours = || session.entries.iter().filter(|entry| is_line_of_ours(entry));
    let through = |states: &[DeliveryState]| {
        ours().filter(|entry| states.contains(&entry.state)).map(|entry| entry.id.seq).max().unwrap_or(0)
    };
    (through(&[DeliveryState::Stored, DeliveryState::Seen]), through(&[DeliveryState::Seen]))
}
