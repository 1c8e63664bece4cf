//! The real `aldis` program against a daemon that is played by the test, on a real Unix socket.

#![allow(clippy::unwrap_used, reason = "the helpers of a test may panic like the test itself")]

mod administering;
mod attaching;
mod daemon;
mod drilling;
mod errors;
mod exporting;
mod hotlines;
mod programs;
mod reading;
mod recovering;
mod releasing;
mod ringing;
mod sending;
mod streams;
mod terminal;

use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The program, with nothing of the tester's surroundings that could change what it does.
fn aldis() -> Command {
    at(env!("CARGO_BIN_EXE_aldis"))
}

fn at(program: &str) -> Command {
    let mut command = Command::new(program);
    for name in ["ALDIS_SOCKET", "NO_COLOR", "VISUAL", "EDITOR"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Runs it to its end.
async fn finish(command: &mut Command) -> Ended {
    Ended::from(command.output().await.unwrap())
}

/// Runs it to its end with this on its standard input.
async fn finish_with_input(command: &mut Command, input: &[u8]) -> Ended {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that has seen enough closes its end; that is for the test to judge by its exit code.
    let _ = stdin.write_all(input).await;
    drop(stdin);
    Ended::from(child.wait_with_output().await.unwrap())
}

/// How the program ended and what it said.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let ended = Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        assert!(
            !ended.stdout.contains('\u{1b}') && !ended.stderr.contains('\u{1b}'),
            "colour off a terminal: {ended:?}"
        );
        ended
    }
}

impl Ended {
    /// Asserts the exit code and that standard error says all of this.
    #[track_caller]
    fn expect(&self, code: i32, said: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for words in said {
            assert!(self.stderr.contains(words), "`{words}` is missing: {self:?}");
        }
    }

    #[track_caller]
    fn expect_done(&self) -> &str {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        &self.stdout
    }
}
