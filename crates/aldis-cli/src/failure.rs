//! Why a command did not do what was asked: what, where, what to do, and the exit code.

use std::io;
use std::path::PathBuf;

use aldis_control::{ClientError, Exit};
use serde_json::json;

use crate::screen;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line, or a file named on it, makes no sense.
    #[error("{what}")]
    Usage {
        /// What is wrong and where.
        what: String,
        /// What to do.
        advice: String,
    },
    /// The daemon, or the way to it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A file of this machine.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What was tried: read, write, create.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A program this one starts.
    #[error("cannot run {program}: {reason}")]
    Program {
        /// The program.
        program: String,
        /// What the system says.
        reason: String,
        /// What to do.
        advice: &'static str,
    },
    /// A program this one started has explained itself already.
    #[error("")]
    Explained(u8),
    /// What is stored does not verify; the places have been listed already.
    #[error("what is stored does not verify ({findings} findings)")]
    Integrity {
        /// How many.
        findings: usize,
    },
    /// A test of a channel of alerts reached nobody; whom it did not reach, and why, has been shown already.
    #[error("the test of the channel {channel} reached nobody")]
    NobodyReached {
        /// The channel.
        channel: String,
    },
    /// What the command is about is not there.
    #[error("{what}")]
    NotThere {
        /// What is not there.
        what: String,
        /// What to do.
        advice: &'static str,
    },
    /// Lines of a hotline that were not said when it was left.
    #[error("{}", not_said(*lines, *unknown))]
    NotSaid {
        /// How many.
        lines: usize,
        /// Of how many more it is not known.
        unknown: usize,
        /// Who is to blame.
        exit: Exit,
    },
    /// A message that was to be stored at its recipients waits here for another person.
    #[error("nothing was signed or sent: draft {draft} waits for another person to release it")]
    WaitsForRelease {
        /// Which draft.
        draft: u64,
        /// What to do.
        advice: String,
    },
    /// Of many messages some were not sent; which, and why, has been shown already.
    #[error("{what}")]
    NotAllSent {
        /// How many, or from where on.
        what: String,
        /// Who is to blame for the first of them.
        exit: u8,
    },
    /// A file came with other bytes than its message names; it was not kept.
    #[error("the file's bytes are {found}, and its message names {named}; it was not kept")]
    OtherBytes {
        /// The digest of what came.
        found: String,
        /// The digest that was signed.
        named: String,
    },
    /// The person at the terminal did not say yes.
    #[error("it was not confirmed")]
    NotConfirmed,
    /// Whoever read our output has gone away.
    #[error("the output was closed")]
    OutputClosed,
}

impl Failure {
    /// A usage failure.
    pub(crate) fn usage(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), advice: advice.into() }
    }

    /// The exit code of the process.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } => Exit::Usage.code(),
            Self::Client(error) => error.exit().code(),
            Self::File { .. } | Self::Program { .. } | Self::NobodyReached { .. } | Self::NotConfirmed => {
                Exit::Other.code()
            }
            Self::NotThere { .. } => Exit::NotFound.code(),
            Self::Explained(code) => *code,
            Self::NotAllSent { exit, .. } => *exit,
            Self::NotSaid { exit, .. } => exit.code(),
            Self::WaitsForRelease { .. } => Exit::Refused.code(),
            Self::Integrity { .. } | Self::OtherBytes { .. } => Exit::Integrity.code(),
            Self::OutputClosed => 0,
        }
    }

    /// Writes what went wrong to standard error, as JSON if `json`.
    pub(crate) fn report(&self, json: bool) {
        if matches!(self, Self::Explained(_) | Self::OutputClosed) {
            return;
        }
        let text = if json { self.to_json() } else { self.to_text() };
        eprintln!("{text}");
    }

    fn to_text(&self) -> String {
        let mut text = format!("aldis: {}", screen::cell(&self.to_string()));
        let advice = self.advice();
        if !advice.is_empty() {
            text.extend(["\n  ", &screen::cell(advice)]);
        }
        text
    }

    fn to_json(&self) -> String {
        let error = json!({
            "code": self.code(), "message": self.to_string(), "advice": self.advice(), "exit": self.exit_code(),
        });
        screen::json(&json!({ "error": error }).to_string())
    }

    fn code(&self) -> &str {
        match self {
            Self::Usage { .. } => "usage",
            Self::Client(ClientError::Api(error)) => &error.code,
            Self::Client(ClientError::Unreachable { .. }) => "unreachable",
            Self::Client(ClientError::Broken { .. }) => "broken-connection",
            Self::Client(ClientError::Protocol { .. }) => "wrong-answer",
            Self::File { .. } => "file",
            Self::Program { .. } | Self::Explained(_) => "program",
            Self::Integrity { .. } => "integrity",
            Self::OtherBytes { .. } => "other-bytes",
            Self::NobodyReached { .. } => "nobody-reached",
            Self::NotThere { .. } => "not-found",
            Self::NotSaid { .. } => "not-said",
            Self::NotAllSent { .. } => "not-all-sent",
            Self::WaitsForRelease { .. } => "waits-for-release",
            Self::NotConfirmed => "not-confirmed",
            Self::OutputClosed => "output-closed",
        }
    }

    fn advice(&self) -> &str {
        match self {
            Self::Usage { advice, .. } | Self::WaitsForRelease { advice, .. } => advice,
            Self::NotSaid { .. } => {
                "look what is there with `aldis hotline PEER` or `aldis log` before you say them again"
            }
            Self::NotAllSent { .. } => "correct those lines and send only them; all others are signed and stored",
            Self::Client(error) => error.advice(),
            Self::File { source, .. } => file_advice(source.kind()),
            Self::Program { advice, .. } | Self::NotThere { advice, .. } => advice,
            Self::NobodyReached { .. } => {
                "until this is mended nobody is alerted by it: correct what is said above at [[alerts]] in aldisd.toml, or at \
                 the program or server it names, restart the daemon after a change, and test again"
            }
            Self::OtherBytes { .. } => {
                "the daemon's disk may be damaged: tell the administrator, and ask for the file again"
            }
            Self::NotConfirmed => "nothing was done; run it again and type yes",
            Self::Integrity { .. } => "keep the data directory as it is and follow the advice at each place",
            Self::Explained(_) | Self::OutputClosed => "",
        }
    }
}

fn not_said(lines: usize, unknown: usize) -> String {
    let count = |count: usize| if count == 1 { "1 line".to_owned() } else { format!("{count} lines") };
    match (lines, unknown) {
        (_, 0) => format!("{} not said", count(lines)),
        (0, _) => format!("of {} it is not known whether it was said", count(unknown)),
        _ => format!("{} not said, and of {} it is not known whether it was", count(lines), count(unknown)),
    }
}

fn file_advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound => "check the name",
        io::ErrorKind::PermissionDenied => "check who may read or write it",
        io::ErrorKind::AlreadyExists => "name another file, or move that one away: nothing is overwritten",
        io::ErrorKind::StorageFull => "make room on the disk",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use aldis_control::ApiError;

    use super::*;

    #[test]
    fn a_hostile_message_cannot_drive_the_terminal() {
        let error = ApiError::new(Exit::Refused, "refused", "no \u{1b}[2J\u{202e}", "ask\nsomeone");
        let failure = Failure::Client(ClientError::Api(error));
        assert_eq!(failure.to_text(), "aldis: no \\u{1b}[2J\\u{202e}\n  ask\\nsomeone");
        let json: serde_json::Value = serde_json::from_str(&failure.to_json()).unwrap();
        assert_eq!(json["error"]["exit"], 3);
        assert!(failure.to_json().is_ascii());
    }
}
