//! `aldis hotline`: a live conversation. It shows what the daemon has on record, whatever came in between: after an event,
//! after a lost connection, after a restart it asks how the hotline is now, and shows what it has not shown yet.

mod display;
mod editor;
mod feed;
mod keyboard;

use std::collections::{BTreeSet, VecDeque};

use aldis_control::{
    Client, ClientError, DeliveryState, Direction, HotlineCloseRequest, HotlineEntry, HotlineLineRequest, HotlineQuery,
    HotlineReadRequest, HotlineRequest, HotlineSession, HotlineState, HotlineView,
};

use super::Session;
use crate::args::HotlineArgs;
use crate::failure::Failure;
use tokio::signal::unix::{SignalKind, signal};

use display::Display;
use feed::Heard;
use keyboard::Typed;

const HELP: &str = "/who  who is at the desks    /quit  end the hotline    Ctrl-D  leave, it stays    //text  a line \
                    that begins with /";

/// How many turns are looked at after something happened; all of them if there was something before.
const LATEST_TURNS: Option<u32> = Some(40);

/// One person's place in a conversation.
struct Talk {
    client: Client,
    args: HotlineArgs,
    display: Display,
    /// The case of the conversation this is about; another one takes its place when both sides open at once.
    case: Option<String>,
    shown: BTreeSet<(bool, u64)>,
    /// How far our lines are stored and seen there, as far as that was shown.
    marks: (u64, u64),
    at_desks: Option<(HotlineState, Vec<String>, Vec<String>)>,
    /// Lines the daemon was not there for.
    waiting: VecDeque<String>,
    /// Nothing more is typed: it leaves once nothing waits.
    leaving: bool,
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
    let first = client.hotline_come(&come_request(&args)).await?;
    let (mut keyboard, display) = keyboard::begin(session, args.exercise.as_deref())?;
    let mut heard = feed::follow(client.clone(), args.peer.clone());
    let mut talk = Talk {
        client,
        args,
        display,
        case: None,
        shown: BTreeSet::new(),
        marks: (0, 0),
        at_desks: None,
        waiting: VecDeque::new(),
        leaving: false,
    };
    let mut terminated = signal(SignalKind::terminate()).map_err(|source| Failure::File {
        doing: "listen for",
        path: "signals".into(),
        source,
    })?;
    let mut goes = talk.take(first).await?;
    while goes == Goes::On {
        goes = tokio::select! {
            Some(first) = heard.recv() => {
                // However much happened meanwhile, it is looked at once.
                let mut all = vec![first];
                all.extend(std::iter::from_fn(|| heard.try_recv().ok()));
                talk.hear(all).await?
            }
            typed = keyboard.next(&mut talk.display), if !talk.leaving => talk.typed(typed?).await?,
            // Not the terminal's fault: it is given back, and the desk is left.
            _ = terminated.recv() => talk.typed(Typed::End).await?,
        };
    }
    Ok(())
}

fn come_request(args: &HotlineArgs) -> HotlineRequest {
    HotlineRequest {
        peer: args.peer.clone(),
        tlp: args.tlp,
        subject: args.subject.clone(),
        text: args.text.clone(),
        desk: args.desk.clone(),
        exercise: args.exercise.clone(),
        author: args.author.clone(),
    }
}

impl Talk {
    async fn hear(&mut self, all: Vec<Heard>) -> Result<Goes, Failure> {
        let mut moved = false;
        for heard in all {
            match heard {
                Heard::Notice(text) => self.display.notice(&text)?,
                Heard::Ladder(text) => self.display.ladder(&text)?,
                Heard::Happened => moved = true,
            }
        }
        if !moved {
            return Ok(Goes::On);
        }
        match self.send_waiting().await? {
            Goes::Over => Ok(Goes::Over),
            Goes::On => self.refresh().await,
        }
    }

    async fn typed(&mut self, typed: Typed) -> Result<Goes, Failure> {
        match typed {
            Typed::Nothing => {}
            Typed::End => {
                self.leaving = true;
                return self.send_waiting().await;
            }
            Typed::Line(line) => match line.trim() {
                "" => {}
                "/help" => self.display.notice(HELP)?,
                "/who" => self.who().await?,
                "/quit" => return self.quit().await,
                command if command.starts_with('/') && !command.starts_with("//") => {
                    self.display.notice(&format!("there is no {command}; {HELP}"))?;
                }
                _ => {
                    let line = line.strip_prefix('/').unwrap_or(&line);
                    self.waiting.push_back(line.to_owned());
                    if self.send_waiting().await? == Goes::Over {
                        return Ok(Goes::Over);
                    }
                    return self.refresh().await;
                }
            },
        }
        Ok(Goes::On)
    }

    /// Hands over what waits, in order. What the daemon may have taken is never handed over twice.
    async fn send_waiting(&mut self) -> Result<Goes, Failure> {
        while let Some(text) = self.waiting.front().cloned() {
            let request = HotlineLineRequest { peer: self.args.peer.clone(), text, author: self.args.author.clone() };
            let said = self.client.hotline_line(&request).await;
            match said {
                Err(error) if is_away(&error) => {
                    self.display.notice("the daemon is away: the line waits here, and goes when it is back")?;
                    return Ok(Goes::On);
                }
                Err(ClientError::Broken { reason }) => {
                    self.display.notice(&format!(
                        "whether the line was taken is not known ({reason}): if it does not show above, say it again"
                    ))?;
                }
                Err(ClientError::Api(error)) => {
                    self.display.notice(&format!("not said: {}; {}", error.message, error.advice))?;
                }
                Err(error) => return Err(error.into()),
                Ok(_) => {}
            }
            self.waiting.pop_front();
        }
        if self.leaving {
            return self.leave().await;
        }
        Ok(Goes::On)
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
            Err(error) if is_away(&error) || matches!(error, ClientError::Broken { .. }) => Ok(Goes::On),
            Err(error) => Err(error.into()),
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
            match self.client.hotline_come(&come_request(&self.args)).await {
                Ok(picked_up) => view = picked_up,
                Err(error) if is_away(&error) || matches!(error, ClientError::Broken { .. }) => return Ok(Goes::On),
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn show(&mut self, session: &HotlineSession) -> Result<Goes, Failure> {
        if self.case.as_deref() != Some(session.case.as_str()) {
            if self.case.is_some() && session.state != HotlineState::Closed {
                self.display.notice("both sides opened a hotline at once; it goes on in the other's")?;
            }
            self.display.begin(&self.args.peer, session)?;
            self.case = Some(session.case.clone());
        }
        let mut read = session.read_here;
        for entry in &session.entries {
            if self.shown.insert(place(entry)) {
                self.display.entry(entry)?;
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
            self.display.over(&self.args.peer, session)?;
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

    async fn who(&mut self) -> Result<(), Failure> {
        match self.look(LATEST_TURNS).await {
            Ok(HotlineView { session: Some(session), .. }) => self.display.desks(&self.args.peer, &session, true),
            Ok(_) => Ok(()),
            Err(error) => self.display.notice(&error.to_string()),
        }
    }

    async fn quit(&mut self) -> Result<Goes, Failure> {
        match self.close(false).await {
            Ok(view) => self.take(view).await,
            // It ended there at the same time: how it ended shows.
            Err(ClientError::Api(_)) => self.refresh().await,
            Err(error) if is_away(&error) => {
                self.display.notice("the daemon is away: the hotline was not ended; /quit again when it is back")?;
                Ok(Goes::On)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn leave(&mut self) -> Result<Goes, Failure> {
        match self.close(true).await {
            Ok(_) | Err(ClientError::Api(_)) => {}
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

/// Up to which of our places lines are stored there, and up to which they were seen.
fn marks(session: &HotlineSession) -> (u64, u64) {
    let ours = || session.entries.iter().filter(|entry| entry.direction == Direction::Out && entry.part == "line");
    let through = |states: &[DeliveryState]| {
        ours().filter(|entry| states.contains(&entry.state)).map(|entry| entry.id.seq).max().unwrap_or(0)
    };
    (through(&[DeliveryState::Stored, DeliveryState::Seen]), through(&[DeliveryState::Seen]))
}

/// Nothing was done, and it may be done later.
fn is_away(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } => true,
        ClientError::Api(error) => error.http_status() == 503,
        _ => false,
    }
}
