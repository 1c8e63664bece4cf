//! What seals the key files: a passphrase or a systemd credential, and where each comes from. Never the environment,
//! never an argument; a path and the number of a file descriptor are no secrets.

use super::terminal::Terminal;
use super::{KeyError, SecretError, files};
use crate::config::SealedBy;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The fewest characters of a new passphrase.
pub const MIN_PASSPHRASE_CHARS: usize = 12;
/// The longest passphrase that is read, in bytes.
pub const MAX_PASSPHRASE_BYTES: usize = 1_024;
/// The shortest credential, in bytes.
pub const MIN_CREDENTIAL_BYTES: usize = 16;
/// The longest credential that is read, in bytes.
pub const MAX_CREDENTIAL_BYTES: usize = 4_096;

/// The credential that opens the keys, and the one that replaces it in `aldisd key reseal`.
const CREDENTIAL: &str = "aldis-seal";
const NEW_CREDENTIAL: &str = "aldis-seal.new";

/// A passphrase or a credential. Wiped when dropped; cannot be printed, compared or serialized.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes of a secret as they are.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A copy, wiped like the first.
    pub(crate) fn again(&self) -> Self {
        Self(self.0.clone())
    }

    pub(super) fn expose(&self) -> &[u8] {
        &self.0
    }
}

/// Where the secret comes from.
pub enum Source {
    /// A person, asked on the terminal without echo.
    Terminal(Terminal),
    /// One line from an open file descriptor of this process.
    Descriptor(u32),
    /// A file that systemd put into a directory of this service.
    Credential {
        /// The directory; none if systemd named none.
        dir: Option<PathBuf>,
        /// The file in it.
        name: &'static str,
    },
    /// Known already.
    Given(Secret),
}

impl Source {
    /// What a configuration says: a credential from `$CREDENTIALS_DIRECTORY`, or a passphrase from `descriptor` if one
    /// is given, else from the terminal.
    pub fn of(by: SealedBy, descriptor: Option<u32>) -> Self {
        Self::named(by, descriptor, CREDENTIAL)
    }

    /// Where the secret comes from that replaces the one in use.
    pub fn of_new(by: SealedBy, descriptor: Option<u32>) -> Self {
        Self::named(by, descriptor, NEW_CREDENTIAL)
    }

    /// The credential in a directory, as if systemd had put it there.
    pub fn credential_in(dir: &Path) -> Self {
        Self::Credential { dir: Some(dir.to_owned()), name: CREDENTIAL }
    }

    fn named(by: SealedBy, descriptor: Option<u32>, name: &'static str) -> Self {
        match (by, descriptor) {
            (SealedBy::Credential, _) => {
                Self::Credential { dir: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from), name }
            }
            (SealedBy::Passphrase, Some(descriptor)) => Self::Descriptor(descriptor),
            (SealedBy::Passphrase, None) => Self::Terminal(Terminal::controlling()),
        }
    }

    /// The secret that opens what is there. `again` if the last one did not.
    pub(super) fn ask(&self, again: bool) -> Result<Secret, SecretError> {
        match self {
            Self::Terminal(terminal) => {
                let wrong = if again { "It does not open them. " } else { "" };
                terminal.ask(&format!("{wrong}Passphrase of this node's keys: "))
            }
            Self::Descriptor(number) => read_descriptor(*number),
            Self::Credential { dir, name } => read_credential(dir.as_deref(), name),
            Self::Given(secret) => Ok(secret.again()),
        }
    }

    /// A secret to seal with from now on: a passphrase of at least [`MIN_PASSPHRASE_CHARS`], typed twice on a terminal.
    pub fn ask_new(&self) -> Result<Secret, SecretError> {
        match self {
            Self::Terminal(terminal) => {
                let first = terminal.ask(&format!(
                    "New passphrase for this node's keys (at least {MIN_PASSPHRASE_CHARS} characters): "
                ))?;
                let first = long_enough(first)?;
                let second = terminal.ask("The same again: ")?;
                if first.expose() == second.expose() { Ok(first) } else { Err(SecretError::Differ) }
            }
            Self::Descriptor(number) => long_enough(read_descriptor(*number)?),
            Self::Credential { .. } | Self::Given(_) => self.ask(false),
        }
    }

    /// Whether it makes sense to ask again after a wrong answer.
    pub(super) fn is_a_person(&self) -> bool {
        matches!(self, Self::Terminal(_))
    }
}

fn long_enough(secret: Secret) -> Result<Secret, SecretError> {
    // Bytes that are no UTF-8 count one character each, which is the stricter reading.
    let chars = std::str::from_utf8(secret.expose()).map_or(secret.expose().len(), |text| text.chars().count());
    if chars < MIN_PASSPHRASE_CHARS {
        return Err(SecretError::TooShort { chars, least: MIN_PASSPHRASE_CHARS });
    }
    Ok(secret)
}

/// Reads one line, without what ends it and never beyond it. It must hold something and be of bounded length.
pub(super) fn read_line(mut from: impl Read, named: &dyn Display) -> Result<Secret, SecretError> {
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_PASSPHRASE_BYTES + 2));
    let mut byte = Zeroizing::new([0]);
    while line.len() < MAX_PASSPHRASE_BYTES + 2 {
        match from.read(&mut *byte) {
            Ok(0) => break,
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(SecretError::Unreadable { from: named.to_string(), source }),
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    match line.len() {
        0 => Err(SecretError::Empty),
        1..=MAX_PASSPHRASE_BYTES => Ok(Secret(line)),
        _ => Err(SecretError::TooLong { limit_bytes: MAX_PASSPHRASE_BYTES }),
    }
}

fn read_descriptor(number: u32) -> Result<Secret, SecretError> {
    let named = format!("file descriptor {number}");
    let unreadable = |source| SecretError::Unreadable { from: named.clone(), source };
    // Taking over a descriptor by its number cannot be done safely; the kernel gives a second one to the same file.
    let file = match number {
        0 => io::stdin().as_fd().try_clone_to_owned().map(File::from),
        _ => File::open(format!("/proc/self/fd/{number}")),
    };
    read_line(file.map_err(unreadable)?, &named)
}

fn read_credential(dir: Option<&Path>, name: &'static str) -> Result<Secret, SecretError> {
    let Some(dir) = dir else {
        let reason = "$CREDENTIALS_DIRECTORY is not set".to_owned();
        return Err(SecretError::NoCredential { name, reason });
    };
    let path = dir.join(name);
    let mut file = files::open_guarded(&path).map_err(|error| {
        let reason = match error {
            KeyError::Missing { path } => format!("there is no {}", path.display()),
            error => error.to_string(),
        };
        SecretError::NoCredential { name, reason }
    })?;
    let opened = |problem: String| SecretError::CredentialOpen { path: path.clone(), problem };
    let metadata = file.metadata().map_err(|error| opened(format!("cannot be examined: {error}")))?;
    if !metadata.is_file() {
        return Err(opened("is not a regular file".to_owned()));
    }
    guarded(metadata.mode(), metadata.uid(), rustix::process::geteuid().as_raw()).map_err(opened)?;
    let content = files::read_bounded(&mut file, MAX_CREDENTIAL_BYTES);
    let content = content.map_err(|error| opened(format!("cannot be read: {error}")))?;
    if !(MIN_CREDENTIAL_BYTES..=MAX_CREDENTIAL_BYTES).contains(&content.len()) {
        let (least, limit) = (MIN_CREDENTIAL_BYTES, MAX_CREDENTIAL_BYTES);
        return Err(SecretError::CredentialLength { path, bytes: content.len(), least, limit });
    }
    Ok(Secret(content))
}

/// Nobody else may read a credential. One of root's may show reading for its group: systemd lets this user in by an
/// access list, whose mask stands in that place.
fn guarded(mode: u32, owner: u32, user: u32) -> Result<(), String> {
    let others = if owner == 0 && user != 0 { 0o037 } else { 0o077 };
    if owner != user && owner != 0 {
        return Err(format!("belongs to user {owner}"));
    }
    if mode & others != 0 {
        return Err(format!("has mode {:04o}, so others may read it", mode & 0o7777));
    }
    Ok(())
}

#[cfg(test)]
#[path = "secret_tests.rs"]
mod tests;
