//! What each command does: asks the daemon, then shows the answer as text or JSON.

mod administer;
mod agreement;
mod arriving;
mod attach;
mod attachment;
mod backup;
mod bulk;
mod card;
mod compose;
mod daemon;
mod drafts;
mod drill;
mod events;
mod export;
mod follow;
mod hotline;
mod key;
mod manual;
mod output;
mod recall;
mod recover;
mod send;
mod verify;
mod watch;

use std::io::{self, Write};

use aldis_control::{
    AlertTestRequest, AnswerRequest, AnswerState, AnswerStatus, CaseQuery, Client, ListQuery, LogQuery, MessageQuery,
    PeerAct, PeerQuery, PeerUnblockRequest,
};
use serde::Serialize;

use crate::args::{AlertsCommand, AnswerArgs, Cli, Command, ListArgs, LogArgs, PeerCommand, Verdict};
use crate::bell::Bell;
use crate::failure::Failure;
use crate::paint::Paint;
use crate::render::{self, Page};
use crate::screen;
use crate::when::{self, Bare};

/// Does what the command line says.
pub(crate) async fn run(cli: Cli) -> Result<(), Failure> {
    let page = Page { now: when::now(), paint: Paint::on_output(&io::stdout(), cli.no_color) };
    let aside = Page { paint: Paint::on_output(&io::stderr(), cli.no_color), ..page };
    let session = Session { client: Client::new(cli.socket), json: cli.json, page, aside };
    let client = &session.client;
    match cli.command {
        Command::Init(args) => daemon::init(&args).await,
        Command::Card(command) => card::run(&session, command).await,
        Command::Peer(command) => peer(&session, command).await,
        Command::Requests => session.show(&client.requests().await?, |requests, page| render::requests(requests, page)),
        Command::Approve(args) => administer::approve(&session, &args).await,
        Command::Key(command) => key::run(&session, &command).await,
        Command::Alerts(AlertsCommand::Test { channel, person }) => {
            alerts_test(&session, AlertTestRequest { channel, person }).await
        }
        Command::Send(args) => match &args.bulk {
            Some(path) => bulk::run(&session, path).await,
            None => send::run(&session, *args).await,
        },
        Command::Drafts => session.show(&client.drafts().await?, |rows, page| render::drafts(rows, page)),
        Command::Release(args) => drafts::release(&session, &args).await,
        Command::Hotline(args) => hotline::run(&session, *args).await,
        Command::Inbox(args) => {
            session.show(&client.inbox(&list_query(args)).await?, |rows, page| render::inbox(rows, page))
        }
        Command::Outbox(args) => {
            session.show(&client.outbox(&list_query(args)).await?, |rows, page| render::outbox(rows, page))
        }
        Command::Show { id } => session.show(&client.message(&MessageQuery { id }).await?, render::message),
        Command::Attachment(args) => attachment::run(&session, args).await,
        Command::Case { id } => session.show(&client.case(&CaseQuery { id }).await?, render::case),
        Command::Watch { since, no_bell } => watch::run(&session, since, Bell::of_standard_output(no_bell)).await,
        Command::Answer(args) => {
            let request = answer_request(args, session.page)?;
            session.show(&client.answer(&request).await?, render::answered)
        }
        Command::Recall(args) => recall::run(&session, args).await,
        Command::Drill(args) => drill::run(&session, args).await,
        Command::Log(args) => session.show(&client.log(&log_query(args, session.page)?).await?, render::log),
        Command::Export(args) => export::run(&session, args).await,
        Command::Verify => verify::run(&session).await,
        Command::Backup(args) => backup::run(&session, &args).await,
        Command::Restore(args) => daemon::restore(&args, session.json).await,
        Command::Status => status(&session).await,
        Command::Vocabulary => session.show(&client.vocabulary().await?, render::vocabulary),
        Command::Completions { shell } => session.write(&manual::completions(shell)),
        Command::Man { dir } => manual::write_pages(&dir),
    }
}

/// What every command needs: the daemon, and how its answer is to be shown.
#[derive(Debug)]
pub(crate) struct Session {
    client: Client,
    json: bool,
    page: Page,
    /// The same for questions, which go to standard error.
    aside: Page,
}

impl Session {
    /// Shows an answer as JSON or as text.
    fn show<T: Serialize>(&self, answer: &T, render: impl Fn(&T, Page) -> String) -> Result<(), Failure> {
        let text = if self.json { json_text(answer) } else { render(answer, self.page) };
        self.write(text.as_bytes())
    }

    /// Writes to standard output. A reader that has gone away ends the command quietly.
    #[expect(clippy::unused_self, reason = "only a command that has a session writes")]
    fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|source| {
            if source.kind() == io::ErrorKind::BrokenPipe {
                return Failure::OutputClosed;
            }
            Failure::File { doing: "write to", path: "standard output".into(), source }
        })
    }
}

/// Indented JSON that is safe on a terminal.
fn json_text<T: Serialize>(answer: &T) -> String {
    let document = serde_json::to_string_pretty(answer).expect("answers are made of strings, lists and maps");
    format!("{}\n", screen::json(&document))
}

/// Tries a channel of alerts. One that reaches nobody is a failure, so that a script notices.
async fn alerts_test(session: &Session, request: AlertTestRequest) -> Result<(), Failure> {
    let tested = session.client.alerts_test(&request).await?;
    session.show(&tested, render::alerts_tested)?;
    if tested.reached.is_empty() { Err(Failure::NobodyReached { channel: request.channel }) } else { Ok(()) }
}

/// The node at a glance. What waits for a second administrator has a route of its own, also for programs.
async fn status(session: &Session) -> Result<(), Failure> {
    let status = session.client.status().await?;
    let requests = if session.json { Vec::new() } else { session.client.requests().await? };
    session.show(&status, |status, page| render::status(status, requests.len(), page))
}

async fn peer(session: &Session, command: PeerCommand) -> Result<(), Failure> {
    let client = &session.client;
    match command {
        PeerCommand::Add { file } => card::enrol(session, &file).await,
        PeerCommand::List => session.show(&client.peers().await?, |peers, page| render::peers(peers, page)),
        PeerCommand::Show { id } => session.show(&client.peer(&PeerQuery { id }).await?, render::peer),
        PeerCommand::Verify(args) => administer::verify(session, args).await,
        PeerCommand::Rotate(args) => administer::rotate(session, args).await,
        PeerCommand::Suspend(args) => administer::simply(session, PeerAct::Suspend, args).await,
        PeerCommand::Resume(args) => administer::simply(session, PeerAct::Resume, args).await,
        PeerCommand::Recover(args) => recover::run(session, args).await,
        PeerCommand::Revoke(args) => {
            let act = if args.undo { PeerAct::UndoRevoke } else { PeerAct::Revoke };
            administer::simply(session, act, args.reason).await
        }
        PeerCommand::Agreement(args) => agreement::run(session, *args).await,
        PeerCommand::Unblock { id, lane } => {
            let peer = client.peer_unblock(&PeerUnblockRequest { id, lane }).await?;
            session.show(&peer, |peer, page| render::peers(std::slice::from_ref(peer), page))
        }
    }
}

fn list_query(args: ListArgs) -> ListQuery {
    ListQuery { all: args.all, peer: args.peer, exercise: args.traffic.exercise, real: args.traffic.real }
}

fn log_query(args: LogArgs, page: Page) -> Result<LogQuery, Failure> {
    let moment = |text: Option<String>| moment(text, page, Bare::Ago);
    Ok(LogQuery {
        since: moment(args.since)?,
        until: moment(args.until)?,
        peer: args.peer,
        case: args.case,
        kind: args.kind,
        exercise: args.traffic.exercise,
        real: args.traffic.real,
        text: args.text,
        limit: Some(args.limit),
        before: args.before,
    })
}

fn answer_request(args: AnswerArgs, page: Page) -> Result<AnswerRequest, Failure> {
    let (state, status) = match args.verdict {
        Verdict::Seen => (AnswerState::Seen, None),
        Verdict::Acknowledge => (AnswerState::Acknowledged, None),
        Verdict::Accept => (AnswerState::Decided, Some(AnswerStatus::Approved)),
        Verdict::Decline => (AnswerState::Decided, Some(AnswerStatus::Denied)),
        Verdict::Pending => (AnswerState::Decided, Some(AnswerStatus::Pending)),
    };
    if args.verdict == Verdict::Decline && args.reason.is_none() && args.text.is_none() {
        let what = "declining needs a reason, for the other side has to be told why";
        return Err(Failure::usage(what, "add --reason CODE (see `aldis vocabulary`) or --text T"));
    }
    Ok(AnswerRequest {
        id: args.id,
        state,
        status,
        justification: args.reason,
        until: moment(args.until, page, Bare::Ahead)?,
        text: args.text,
        author: args.author,
    })
}

/// Reads a moment as a person types it.
fn moment(text: Option<String>, page: Page, bare: Bare) -> Result<Option<aldis_control::UnixMillis>, Failure> {
    let read = |text: String| when::parse_moment(&text, page.now, bare);
    text.map(read).transpose().map_err(|wrong| Failure::usage(wrong, "all times are UTC"))
}
