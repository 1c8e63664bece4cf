//! Asking a person on a terminal, without showing what is typed. Nothing typed stays in a buffer of this program.

use super::SecretError;
use super::secret::{self, Secret};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

/// A terminal, by its path.
pub struct Terminal(PathBuf);

impl Terminal {
    /// The terminal that this process belongs to, wherever its input and output go.
    pub fn controlling() -> Self {
        Self("/dev/tty".into())
    }

    /// Another one.
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Asks for one line without showing it.
    pub(super) fn ask(&self, prompt: &str) -> Result<Secret, SecretError> {
        let unreadable = |source| SecretError::Unreadable { from: "the terminal".to_owned(), source };
        let file = File::options().read(true).write(true).open(&self.0).map_err(|_| SecretError::NoTerminal)?;
        let silent = Silent::begin(&file)?;
        (&file).write_all(prompt.as_bytes()).map_err(unreadable)?;
        let line = secret::read_line(&file, &"the terminal");
        silent.end().map_err(unreadable)?;
        line
    }
}

/// A terminal that does not show what is typed, until this is dropped.
struct Silent<'a> {
    file: &'a File,
    before: Termios,
}

impl<'a> Silent<'a> {
    fn begin(file: &'a File) -> Result<Self, SecretError> {
        let before = tcgetattr(file).map_err(|_| SecretError::NoTerminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        // The end of the line alone is shown, so that what is printed next begins on a line of its own.
        silent.local_modes.insert(LocalModes::ECHONL | LocalModes::ICANON);
        // What was typed before the question is no answer to it.
        tcsetattr(file, OptionalActions::Flush, &silent).map_err(|_| SecretError::NoTerminal)?;
        Ok(Self { file, before })
    }

    fn end(self) -> io::Result<()> {
        tcsetattr(self.file, OptionalActions::Now, &self.before).map_err(io::Error::from)
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        // Again after `end`, or alone after an error; a terminal that is gone shows nothing anyway.
        let _gone = tcsetattr(self.file, OptionalActions::Now, &self.before);
    }
}
