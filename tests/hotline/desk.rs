//! Somebody at a desk: the real `aldis hotline` at a terminal made by the kernel, at which the test types, and a screen that
//! the test reads.

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// How long anything may take; a bound for a busy machine, not a wait.
const PATIENCE: Duration = Duration::from_mins(1);

/// A person with the program running.
pub(crate) struct Desk {
    child: Child,
    keyboard: File,
    heard: Receiver<String>,
    /// Everything that was written to the terminal.
    pub(crate) shown: String,
}

/// The command `aldis` beside this program; `None` where it was not built.
pub(crate) fn aldis() -> Option<PathBuf> {
    let here = std::env::current_exe().unwrap();
    let built = here.parent().and_then(Path::parent).unwrap().join("aldis");
    built.exists().then_some(built)
}

/// Runs the command without a terminal, with this on its standard input, and gives what it said.
pub(crate) fn pipes(socket: &Path, words: &[&str], input: &str) -> String {
    let mut command = Command::new(aldis().expect("looked for before"));
    let command = command.env("ALDIS_SOCKET", socket).args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

impl Desk {
    /// Sits down and runs `aldis hotline` with these words.
    pub(crate) fn at(socket: &Path, words: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        // Wide enough that nothing a test looks for is folded.
        let size = Winsize { ws_row: 50, ws_col: 240, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let terminal = || Stdio::from(File::options().read(true).write(true).open(&name).unwrap());
        let mut command = Command::new(aldis().expect("looked for before"));
        command.env_remove("NO_COLOR").env("ALDIS_SOCKET", socket).args(["--no-color", "hotline"]).args(words);
        let child = command.stdin(terminal()).stdout(terminal()).stderr(terminal()).spawn().unwrap();
        // The command holds the terminal's other end open; only without it does reading end with the program.
        drop(command);
        let (said, heard) = mpsc::channel();
        let mut screen = File::from(master.try_clone().unwrap());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Reading a terminal that nobody has open any more is an error, and the end.
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                let _gone = said.send(String::from_utf8_lossy(&bytes[..count]).into_owned());
            }
        });
        Self { child, keyboard: File::from(master), heard, shown: String::new() }
    }

    /// Types.
    pub(crate) fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Types a line.
    pub(crate) fn says(&mut self, line: &str) {
        self.types(&format!("{line}\r"));
    }

    /// Waits until the screen shows this.
    #[track_caller]
    pub(crate) fn sees(&mut self, words: &str) {
        let begun = Instant::now();
        while !self.shown.contains(words) {
            assert!(begun.elapsed() < PATIENCE, "`{words}` is not seen: {}", self.shown);
            if let Ok(more) = self.heard.recv_timeout(Duration::from_millis(100)) {
                self.shown.push_str(&more);
            }
        }
    }

    /// Waits until the program has ended, and gives its exit code.
    #[track_caller]
    pub(crate) fn ends(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            self.shown.extend(self.heard.try_iter());
            if let Some(status) = self.child.try_wait().unwrap() {
                self.shown.extend(self.heard.recv_timeout(Duration::from_millis(200)));
                self.shown.extend(self.heard.try_iter());
                return status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end: {}", self.shown);
            self.shown.extend(self.heard.recv_timeout(Duration::from_millis(20)));
        }
    }

    /// The program is killed, as when a terminal's machine fails.
    pub(crate) fn tear_away(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The lines that stand on the screen: what was written, without the line being typed, which is drawn anew each time.
    pub(crate) fn lines(&self) -> Vec<&str> {
        let written = self.shown.split("\r\n").map(|row| row.rsplit("\u{1b}[K").next().unwrap_or(row));
        written.filter(|row| !row.starts_with("> ") && !row.is_empty()).collect()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // It has ended already where all went well.
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}
