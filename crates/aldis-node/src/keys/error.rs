//! Why a key is not used or not made, and why a passphrase or credential is not taken. No text here ever holds what
//! stood in a file or what somebody typed.

use crate::tls::SetupError;
use aldis_wire::ids::NodeId;
use std::io;
use std::path::PathBuf;

/// Why a key is not used, or not made. The administrator is to blame, apart from [`Self::Io`] and [`Self::Memory`].
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file is not there.
    #[error("there is no key at {}: correct [keys] in the configuration, or make a node with `aldisd init`",
        path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A symbolic link, which somebody else could point elsewhere.
    #[error("{} is a symbolic link: name the key file itself in the configuration", path.display())]
    SymbolicLink {
        /// The link.
        path: PathBuf,
    },
    /// A directory, a pipe, a device.
    #[error("{} is not a regular file: put the key file there", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Others may read or write the file.
    #[error("{} has mode {mode:04o}, so others may use the key: run `chmod 600 {}`, and if others had access, \
        make new keys", path.display(), path.display())]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file belongs to somebody who is neither this user nor root.
    #[error("{} belongs to user {owner} and the node runs as user {user}: run `chown {user} {}`", path.display(),
        path.display())]
    WrongOwner {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The node's user.
        user: u32,
    },
    /// The file is there already; keys are never overwritten.
    #[error("{} exists already and keys are never overwritten: choose another place", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The text is no key file, or was damaged.
    #[error("{} is not a good key file: {problem}; restore it from its copy", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong. Never holds what stood in the file.
        problem: &'static str,
    },
    /// The key is protected in a way this program does not know.
    #[error("{} is protected by a scheme this program does not read; it reads `argon2id`: use a newer aldisd",
        path.display())]
    UnknownScheme {
        /// The file.
        path: PathBuf,
    },
    /// The key stands in the file as it is.
    #[error("{} holds a key that is not sealed, so whoever reads the disk has it: run `aldisd key seal`, and make new \
        keys if the file was ever out of your hands", path.display())]
    NotSealed {
        /// The file.
        path: PathBuf,
    },
    /// The secret is not the one the file was sealed with, or the file was changed. Nothing tells the two apart.
    #[error("{} does not open: it is sealed with another passphrase or credential, or the file was changed; \
        try again, or restore it from its copy", path.display())]
    WrongSecret {
        /// The file.
        path: PathBuf,
    },
    /// The file was sealed anew since the node started, and the node no longer has the secret.
    #[error("{} was sealed anew since the node started, and a running node keeps no passphrase: restart it",
        path.display())]
    SealedAnew {
        /// The file.
        path: PathBuf,
    },
    /// The file says that it is another node's.
    #[error("{} is a key of {found} and this node is {own}: put this node's key there", path.display())]
    OfAnotherNode {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: NodeId,
        /// Who this node is.
        own: NodeId,
    },
    /// The file's name says another key than is in it.
    #[error("{} holds another key than its name says: rename it, or move it out of the directory", path.display())]
    Misnamed {
        /// The file.
        path: PathBuf,
    },
    /// More keys beside the configured one than a node ever needs.
    #[error("there are more than {limit} keys like {} in its directory: move the oldest to where they are kept",
        path.display())]
    TooMany {
        /// The configured one.
        path: PathBuf,
        /// The most that are read.
        limit: usize,
    },
    /// Not enough memory to make the sealing key.
    #[error("opening the key files takes {mib} MiB of memory for a moment, and there is not enough: make room")]
    Memory {
        /// How much.
        mib: u32,
    },
    /// The passphrase or credential.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The TLS pair.
    #[error(transparent)]
    Tls(#[from] SetupError),
    /// Keys that everybody knows, where somebody else could use them.
    #[error(
        "{what} comes from certs-example, whose private keys are public, so it is used on loopback only; \
        `{field}` says {address}: make keys of your own with `aldisd init`"
    )]
    Published {
        /// Which key or certificate.
        what: &'static str,
        /// Which key of the configuration leads outside.
        field: &'static str,
        /// Where to.
        address: String,
    },
}

/// Why there is no passphrase or credential. Whoever starts the program is to blame.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Nobody can be asked.
    #[error(
        "the keys are sealed with a passphrase and there is no terminal to ask for it: hand it over with \
        --passphrase-fd N, or seal them with a systemd credential (`aldisd key reseal --seal credential`)"
    )]
    NoTerminal,
    /// The terminal or the file descriptor does not give it.
    #[error("cannot read the passphrase from {from}: {source}; open it for reading before aldisd starts")]
    Unreadable {
        /// Where from.
        from: String,
        /// What the system says.
        source: io::Error,
    },
    /// Nothing was typed.
    #[error("the passphrase is empty: type it, or write it as one line")]
    Empty,
    /// Longer than anything a person types.
    #[error("the passphrase is longer than {limit_bytes} bytes: hand over one line")]
    TooLong {
        /// The most that is read.
        limit_bytes: usize,
    },
    /// Too short for a new one.
    #[error("a new passphrase needs at least {least} characters, and this one has {chars}: take several words")]
    TooShort {
        /// What it has.
        chars: usize,
        /// What it needs.
        least: usize,
    },
    /// Typed differently the second time.
    #[error("the two passphrases differ: nothing was sealed, run the command again")]
    Differ,
    /// systemd handed nothing over.
    #[error(
        "the keys are sealed with a credential, and systemd handed none over ({reason}): make it with \
        `systemd-creds setup` and `head -c 32 /dev/urandom | systemd-creds encrypt --name={name} - \
        /etc/credstore.encrypted/{name}`, and put `LoadCredentialEncrypted={name}:/etc/credstore.encrypted/{name}` into the unit"
    )]
    NoCredential {
        /// Its name.
        name: &'static str,
        /// What is missing.
        reason: String,
    },
    /// The credential is not of a useful length.
    #[error("{} has {bytes} bytes; a credential has {least} to {limit} random ones", path.display())]
    CredentialLength {
        /// The file.
        path: PathBuf,
        /// Its length, or one more than `limit`.
        bytes: usize,
        /// The least.
        least: usize,
        /// The most that is read.
        limit: usize,
    },
    /// Others may read the credential, or it is no file.
    #[error("the credential {} {problem}: leave it as systemd puts it there", path.display())]
    CredentialOpen {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}
