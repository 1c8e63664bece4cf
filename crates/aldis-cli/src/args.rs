//! The command line: every command, option and its help. It only reads; nothing is done here.

mod administer;
mod agreement;
mod attachment;
mod backup;
mod drill;
mod export;
mod hotline;
mod recall;
mod send;

use std::path::PathBuf;

use aldis_control::{DEFAULT_SOCKET_PATH, Precedence};
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use administer::{
    AlertsCommand, ApproveArgs, KeyCommand, ReasonArgs, RecoverArgs, RevokeArgs, RotateArgs, VerifyArgs, WhichKey,
};
pub(crate) use agreement::AgreementArgs;
pub(crate) use attachment::AttachmentArgs;
pub(crate) use backup::{BackupArgs, RestoreArgs};
pub(crate) use drill::DrillArgs;
pub(crate) use export::ExportArgs;
pub(crate) use hotline::HotlineArgs;
pub(crate) use recall::RecallArgs;
pub(crate) use send::SendArgs;

const EXIT_CODES: &str = "Exit codes: 0 done; 1 something else; 2 usage; 3 refused by policy; \
                          4 daemon unreachable; 5 not found; 6 integrity failure.";

/// Signed incident notices between national CERTs.
///
/// Talks to the aldisd of this machine over its Unix socket. All times are UTC.
#[derive(Debug, Parser)]
#[command(name = "aldis", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    /// The daemon's socket.
    #[arg(long, global = true, env = "ALDIS_SOCKET", default_value = DEFAULT_SOCKET_PATH, value_name = "PATH")]
    pub(crate) socket: PathBuf,
    /// Write JSON instead of text, errors too.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Never use colours; `NO_COLOR` does the same.
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make keys, certificate and configuration of a new node.
    Init(InitArgs),
    /// This node's card, or anybody's.
    #[command(subcommand)]
    Card(CardCommand),
    /// Other CERTs' nodes that this node talks to.
    #[command(subcommand)]
    Peer(PeerCommand),
    /// What waits for a second administrator.
    Requests,
    /// Be the second administrator: look at a request, and approve it.
    Approve(ApproveArgs),
    /// This node's own keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// The channels by which alerts reach people.
    #[command(subcommand)]
    Alerts(AlertsCommand),
    /// Sign, store and send a notice.
    Send(Box<SendArgs>),
    /// What waits for another person to release it.
    Drafts,
    /// Look at another's draft, and release it: it is signed and sent.
    Release(ReleaseArgs),
    /// Speak with a peer live, line by line: opens a hotline, picks it up, or comes back to it.
    Hotline(Box<HotlineArgs>),
    /// What was received; what needs an answer stands first.
    Inbox(ListArgs),
    /// What was sent and is not finished.
    Outbox(ListArgs),
    /// One message in full.
    Show {
        /// Such as cert.br/cert.cl/P17, or cert.br/P17 for one received here.
        id: String,
    },
    /// A file of a message: what it is, or the file itself; or hand one in for a message that a program sends.
    Attachment(AttachmentArgs),
    /// One case with all its messages.
    Case {
        /// The case, or its first six characters or more.
        id: String,
    },
    /// Live view of what happens.
    Watch {
        /// Go on after the event with this id.
        #[arg(long, value_name = "ID")]
        since: Option<String>,
        /// Ring no bell when people are alerted.
        #[arg(long)]
        no_bell: bool,
    },
    /// Say what becomes of a received message.
    Answer(AnswerArgs),
    /// Take a sent message back: each recipient is asked to erase it; or see what became of that.
    Recall(RecallArgs),
    /// Check whether the line to peers works, and see how it did lately.
    Drill(DrillArgs),
    /// Search the message log, newest first.
    Log(LogArgs),
    /// Evidence of messages in one file, for somebody outside; or the log for other programs.
    Export(ExportArgs),
    /// Walk journal and log and check every proof.
    Verify,
    /// Make a backup of the node, verified as it is written; or verify one.
    Backup(BackupArgs),
    /// Put a backup back, while the daemon does not run.
    Restore(RestoreArgs),
    /// What the node is doing, and its peers at a glance.
    Status,
    /// The codes that notices and answers may use.
    Vocabulary,
    /// Write shell completions to standard output.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write a man page for every command into a directory.
    #[command(hide = true)]
    Man {
        /// The directory.
        dir: PathBuf,
    },
}

/// Which draft, and what becomes of it.
#[derive(Debug, Args)]
pub(crate) struct ReleaseArgs {
    /// The draft's number, from `aldis drafts`.
    pub(crate) draft: u64,
    /// Throw it away instead: your own, or as a releaser anybody's.
    #[arg(long)]
    pub(crate) discard: bool,
    /// Release without being asked.
    #[arg(long, short, conflicts_with = "discard")]
    pub(crate) yes: bool,
}

/// Runs `aldisd init`, for keys never pass through this program.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The directory to make; it must not exist or be empty.
    pub(crate) dir: PathBuf,
    /// The node id: a lower-case name such as cert.br.
    #[arg(long)]
    pub(crate) id: String,
    /// The CERT's name.
    #[arg(long)]
    pub(crate) name: String,
    /// ISO 3166 country code, such as BR.
    #[arg(long)]
    pub(crate) country: String,
    /// Where to listen for peers.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: String,
    /// Where peers reach this node; may be repeated. The listen address when absent.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) endpoint: Vec<String>,
    /// One administrator alone may let peers in. It stands in the card, and peers see it.
    #[arg(long)]
    pub(crate) single_administrator: bool,
    /// With what the keys are sealed: a passphrase, asked for at each start, or a credential from systemd.
    #[arg(long, value_name = "HOW", default_value = "passphrase")]
    pub(crate) seal: String,
    /// Read the passphrase, one line, from this open file descriptor instead of asking for it on the terminal.
    #[arg(long, value_name = "N")]
    pub(crate) passphrase_fd: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CardCommand {
    /// What a card in a file says. Needs no running daemon.
    Show {
        /// The card file.
        file: PathBuf,
    },
    /// This node's own card, to be given to other CERTs.
    Export {
        /// Write it here instead of to standard output.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PeerCommand {
    /// Put a peer on record from its card. It stays pending until it is verified.
    Add {
        /// The card file, or - for standard input.
        file: PathBuf,
    },
    /// All peers.
    List,
    /// One peer: its card, link and lanes.
    Show {
        /// The peer.
        id: String,
    },
    /// Compare words over the telephone with the peer's administrator, and let the peer in.
    Verify(VerifyArgs),
    /// Take the peer's next identity key, or decline it.
    Rotate(RotateArgs),
    /// Have the history that was lost here fetched from a peer that holds it; needs a second administrator.
    Recover(RecoverArgs),
    /// Put a peer aside for a while. Needs nobody else.
    Suspend(ReasonArgs),
    /// Talk to a suspended peer again; needs a second administrator.
    Resume(ReasonArgs),
    /// Cut a peer off at once. Needs nobody else.
    Revoke(RevokeArgs),
    /// What was agreed with a peer, ours and theirs beside each other; with --set, our terms anew.
    Agreement(Box<AgreementArgs>),
    /// Let a lane flow again that was blocked after bad bytes.
    Unblock {
        /// The peer.
        id: String,
        /// flash, immediate, priority or routine.
        lane: Precedence,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Also what needs nothing any more.
    #[arg(long)]
    pub(crate) all: bool,
    /// Only this peer.
    #[arg(long)]
    pub(crate) peer: Option<String>,
    #[command(flatten)]
    pub(crate) traffic: TrafficArgs,
}

/// Exercise and real, each by itself.
#[derive(Debug, Args)]
pub(crate) struct TrafficArgs {
    /// Only this exercise, or any exercise.
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "", conflicts_with = "real")]
    pub(crate) exercise: Option<String>,
    /// Only what is no exercise.
    #[arg(long)]
    pub(crate) real: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AnswerArgs {
    /// Such as cert.br/P17.
    pub(crate) id: String,
    /// What to say.
    #[arg(value_enum)]
    pub(crate) verdict: Verdict,
    /// Why, as a code; see `aldis vocabulary`.
    #[arg(long, value_name = "CODE")]
    pub(crate) reason: Option<String>,
    /// Words for the person at the other end.
    #[arg(long)]
    pub(crate) text: Option<String>,
    /// Until when a pending matter will be decided: a time, or 2d for in two days.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Your name or function; your user name when absent.
    #[arg(long, value_name = "NAME")]
    pub(crate) author: Option<String>,
}

/// What a person says about a received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Verdict {
    /// I have opened it.
    Seen,
    /// I have it and am dealing with it.
    Acknowledge,
    /// We will do what was asked.
    Accept,
    /// We will not; say why with --reason or --text.
    Decline,
    /// Not decided yet; say until when with --until.
    Pending,
}

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Only this peer.
    #[arg(long)]
    pub(crate) peer: Option<String>,
    /// Only this case.
    #[arg(long)]
    pub(crate) case: Option<String>,
    /// Only this kind.
    #[arg(long)]
    pub(crate) kind: Option<String>,
    #[command(flatten)]
    pub(crate) traffic: TrafficArgs,
    /// Only from this time on: a time, a date, or 2d for two days ago.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// Only before this time.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) until: Option<String>,
    /// Only where subject or text contain this.
    #[arg(long)]
    pub(crate) text: Option<String>,
    /// At most so many rows.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    /// Go on from the end of an earlier page.
    #[arg(long, value_name = "PLACE")]
    pub(crate) before: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_of_the_design_is_understood() {
        let lines = [
            "aldis init dir --id cert.br --name X --country BR --listen 127.0.0.1:0 --endpoint a:1 --endpoint b:2",
            "aldis card show f",
            "aldis card export --output f",
            "aldis peer add -",
            "aldis peer list",
            "aldis peer show cert.cl",
            "aldis peer agreement cert.cl",
            "aldis peer agreement cert.cl --set --kind incident --highest-tlp amber --flash-per-day 3 --messages-per-hour 100 --bytes-per-hour 1000 --acknowledge-within flash=900 --expires 365d",
            "aldis peer unblock cert.cl FLASH",
            "aldis peer verify cert.cl",
            "aldis peer verify cert.cl --phrase tissue --why called",
            "aldis peer verify cert.cl --show --json",
            "aldis peer rotate cert.cl --phrase tissue --why called",
            "aldis peer rotate cert.cl --decline --why no",
            "aldis peer rotate cert.cl --show",
            "aldis peer recover cert.cl --why restored --wait",
            "aldis peer suspend cert.cl --why maintenance",
            "aldis peer resume cert.cl --why done",
            "aldis peer revoke cert.cl --why stolen",
            "aldis peer revoke cert.cl --undo --why found",
            "aldis requests --json",
            "aldis approve 12",
            "aldis approve 12 --yes",
            "aldis approve 12 --withdraw",
            "aldis key list",
            "aldis key rotate identity",
            "aldis key rotate tls --yes",
            "aldis alerts test pager",
            "aldis alerts test mail --person Ana --json",
            "aldis send --notice f",
            "aldis send --notice f --attach g --attach h",
            "aldis hotline cert.cl",
            "aldis hotline cert.cl --tlp amber --subject worm --text now --desk diplomatic --exercise BLUE --author ana",
            "aldis inbox --all --peer cert.cl --json",
            "aldis --json outbox",
            "aldis show cert.br/P17",
            "aldis attachment cert.br/P17 1",
            "aldis attachment cert.br/P17 1 --save f",
            "aldis attachment cert.br/P17 2 --save - --json",
            "aldis attachment --upload f --json",
            "aldis case abcdef",
            "aldis watch",
            "aldis watch --no-bell --since 1-2",
            "aldis answer cert.br/P1 decline --reason cannot-process --text no",
            "aldis recall cert.br/cert.cl/P17",
            "aldis recall cert.br/cert.cl/P17 --reason overtaken --to cert.cl --to cert.uy --text T --author A --json",
            "aldis drill",
            "aldis drill cert.cl cert.uy --human --wake --wait --text hello --author Ana",
            "aldis drill cert.cl --wait=30 --json",
            "aldis drill --statistics",
            "aldis log --since 2d --until 2026-11-22 --limit 5",
            "aldis log --exercise --kind ladder-step",
            "aldis inbox --exercise BLUE",
            "aldis outbox --real",
            "aldis export --evidence cert.br/cert.cl/P17 cert.cl/P1 --body cert.cl/P1 --links -o f",
            "aldis export --evidence --case abcdef --body all",
            "aldis export --evidence --contradictions-of cert.cl",
            "aldis export --since 7d --peer cert.cl -o f",
            "aldis verify",
            "aldis backup --json",
            "aldis backup --verify /backups",
            "aldis restore --from /backups --to data --set-aside --node cert.br",
            "aldis status --socket /x --no-color",
            "aldis completions bash",
            "aldis man dir",
            "aldis vocabulary",
        ];
        for line in lines {
            assert!(parse(line).is_ok(), "{line}: {}", parse(line).unwrap_err());
        }
    }

    #[test]
    fn what_makes_no_sense_exits_2() {
        let lines = [
            "aldis",
            "aldis fly",
            "aldis answer cert.br/P1",
            "aldis attachment",
            "aldis attachment cert.br/P17",
            "aldis attachment cert.br/P17 1 --upload f",
            "aldis attachment --save f",
            "aldis answer cert.br/P1 maybe",
            "aldis peer unblock cert.cl fast",
            "aldis peer verify",
            "aldis restore --from /backups",
            "aldis restore --from a --to b --config c --node cert.br",
            "aldis peer verify cert.cl --show --phrase tissue",
            "aldis peer rotate cert.cl --decline --phrase tissue",
            "aldis peer suspend cert.cl --undo",
            "aldis approve",
            "aldis approve last",
            "aldis approve 12 --yes --withdraw",
            "aldis key rotate",
            "aldis drill --wake",
            "aldis drill --wait=0",
            "aldis drill --statistics --human",
            "aldis alerts",
            "aldis alerts test",
            "aldis key rotate card",
            "aldis peer agreement cert.cl --set",
            "aldis peer agreement cert.cl --flash-per-day 3",
            "aldis peer agreement cert.cl --set --expires 1d --messages-per-hour 0",
            "aldis peer agreement cert.cl --set --expires 1d --acknowledge-within soon=3",
            "aldis peer agreement cert.cl --set --expires 1d --kind incident --every-kind",
            "aldis export --evidence",
            "aldis export cert.br/cert.cl/P17",
            "aldis export --links",
            "aldis export --evidence --case abcdef --since 7d",
            "aldis recall",
            "aldis recall cert.br/cert.cl/P17 --text sorry",
            "aldis log --limit 0",
            "aldis hotline",
            "aldis hotline cert.cl --tlp white",
            "aldis inbox --exercise BLUE --real",
            "aldis send --tlp white",
            "aldis send --bulk f --attach g",
            "aldis send --indicator nonsense",
            "aldis send --credibility 7",
            "aldis send --body f --edit",
        ];
        for line in lines {
            assert_eq!(parse(line).map(|_| ()).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
