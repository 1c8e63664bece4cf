//! The channel `command`: a program of the administrator's, started with its arguments and never through a shell, with a
//! JSON document on its standard input and an environment of three fixed variables. Exit code 0 means that the alert is on
//! its way. What it prints is read and thrown away, but for the first line on standard error, which says why it failed.

use super::message;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStderr, ChildStdin, Command as Process};

/// How much of what a command prints is kept, in bytes.
const KEPT_BYTES: usize = 64 << 10;
/// The longest part of a line of its that is told on, in bytes.
const TOLD_BYTES: usize = 120;
/// How long the output of a command that has ended is still read; a child of its may hold it open.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A program with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program's absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// Why a command has alerted nobody. The command or whoever installed it is to blame.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The program should not be started.
    #[error("{0}")]
    Unsafe(String),
    /// It cannot be started.
    #[error("cannot start {}: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It ended with an exit code that is not 0.
    #[error("exit code {code}: {line}")]
    Failed {
        /// The code.
        code: i32,
        /// The first line it wrote on standard error, escaped.
        line: String,
    },
    /// A signal ended it.
    #[error("ended by signal {0}")]
    Killed(i32),
}

impl Command {
    /// What makes the program one that must not be started, with what to do.
    pub fn fault(&self) -> Option<String> {
        let shown = self.program.display();
        let metadata = match std::fs::metadata(&self.program) {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) => return Some(format!("{shown} is no file")),
            Err(error) => return Some(format!("{shown}: {error}")),
        };
        let user = rustix::process::geteuid().as_raw();
        if metadata.uid() != 0 && metadata.uid() != user {
            return Some(format!("{shown} belongs to user {}: run `chown root {shown}`", metadata.uid()));
        }
        if metadata.mode() & 0o022 != 0 {
            let mode = metadata.mode() & 0o7777;
            return Some(format!("{shown} has mode {mode:04o}, so others may change it: run `chmod go-w {shown}`"));
        }
        let executable = rustix::fs::access(&self.program, rustix::fs::Access::EXEC_OK).is_ok();
        (!executable).then(|| format!("{shown} cannot be executed: run `chmod a+x {shown}`"))
    }

    /// Runs the program with `document` on its standard input. Dropping the future kills it and all it started.
    pub(super) async fn run(&self, document: &[u8]) -> Result<(), CommandError> {
        if let Some(fault) = self.fault() {
            return Err(CommandError::Unsafe(fault));
        }
        let mut child = Process::new(&self.program)
            .args(&self.arguments)
            .current_dir(Path::new("/"))
            .env_clear()
            .envs([("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LANG", "C.UTF-8"), ("HOME", "/")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| CommandError::Start { program: self.program.clone(), source })?;
        // Declared after the child, so dropped before it: while the child is not waited for, its number is nobody else's.
        let group = Group::of(child.id());
        let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
        let mut said = Vec::new();
        let ended = {
            let talking = async {
                tokio::join!(feed(stdin, document), read(stderr, &mut said));
            };
            let mut talking = std::pin::pin!(talking);
            let mut has_talked = false;
            let ended = tokio::select! {
                ended = child.wait() => ended,
                () = &mut talking => {
                    has_talked = true;
                    child.wait().await
                }
            };
            // From here on the number may be another's. What the command left running is none of ours.
            group.forget();
            if !has_talked {
                let _held_open = tokio::time::timeout(LAST_WORDS, talking).await;
            }
            ended
        };
        let ended = ended.map_err(|source| CommandError::Start { program: self.program.clone(), source })?;
        judge(ended, &said)
    }
}

/// A process with all it started. Killed when dropped, unless it is forgotten.
struct Group(Option<Pid>);

impl Group {
    fn of(id: Option<u32>) -> Self {
        Self(id.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // One that has ended meanwhile is what is wanted.
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }
}

/// A command need not read what it is given.
async fn feed(stdin: Option<ChildStdin>, document: &[u8]) {
    if let Some(mut stdin) = stdin {
        let _unread = stdin.write_all(document).await;
    }
}

/// Reads to the end, so that a command that prints much is not held up, and keeps the beginning.
async fn read(stderr: Option<ChildStderr>, kept: &mut Vec<u8>) {
    if let Some(stderr) = stderr {
        keep_beginning(stderr, kept).await;
    }
}

async fn keep_beginning(mut from: impl AsyncRead + Unpin, kept: &mut Vec<u8>) {
    let mut buffer = [0; 8 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let room = KEPT_BYTES - kept.len();
        kept.extend_from_slice(&buffer[..count.min(room)]);
    }
}

fn judge(ended: ExitStatus, said: &[u8]) -> Result<(), CommandError> {
    match (ended.code(), ended.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(CommandError::Failed { code, line: first_line(said) }),
        (None, signal) => Err(CommandError::Killed(signal.unwrap_or_default())),
    }
}

fn first_line(said: &[u8]) -> String {
    let line = said.split(|byte| *byte == b'\n').find(|line| !line.is_empty()).unwrap_or(b"it printed nothing");
    message::shown(&String::from_utf8_lossy(&line[..line.len().min(TOLD_BYTES)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn i7_of_what_a_command_prints_only_the_beginning_is_kept() {
        let mut kept = Vec::new();
        keep_beginning(tokio::io::repeat(b'x').take(10 << 20), &mut kept).await;
        assert_eq!(kept.len(), KEPT_BYTES);
        // No more than that is allocated on the way, but for the doubling of a vector that grows.
        assert!(kept.capacity() <= 2 * KEPT_BYTES, "{}", kept.capacity());
        let mut short = Vec::new();
        keep_beginning(&b"no modem\n"[..], &mut short).await;
        assert_eq!(short, b"no modem\n");
    }
}
