//! Makes a new node in a directory: keys, certificate, configuration, card. All of it or nothing: everything is written
//! aside first and nothing that exists is ever overwritten.

use crate::clock::{self, Clock};
use crate::config::{Config, ConfigError, Country, Endpoint, SealedBy};
use crate::keys::{KeyError, Keyring, OwnKeys, Sealer, Secret, SecretError, Source, Stretch};
use crate::own_card::{self, OwnCardError};
use crate::tls::{self, SetupError};
use aldis_wire::card::VerifiedCard;
use aldis_wire::ids::NodeId;
use rustix::fs::{CWD, RenameFlags};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The reference configuration; a new node's is this text with its own values.
const REFERENCE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/aldisd.toml"));

/// The configuration's name in the directory.
pub const CONFIG_FILE: &str = "aldisd.toml";

/// What is made, in the order in which it is moved into place; the configuration last, so that a node that has one is
/// whole.
const PARTS: [&str; 5] = ["keys", "tls", "data", "card.aldis", CONFIG_FILE];

/// Who the new node is.
#[derive(Clone, Debug)]
pub struct NewNode {
    /// The directory; must not exist, or be empty.
    pub dir: PathBuf,
    /// The node's id.
    pub id: NodeId,
    /// Its name in words.
    pub name: String,
    /// Its country or organisation.
    pub country: Country,
    /// Where it will listen.
    pub listen: Vec<SocketAddr>,
    /// Where peers will reach it; the listen addresses if empty.
    pub endpoints: Vec<Endpoint>,
    /// Whether one administrator alone may let peers in.
    pub single_administrator: bool,
}

/// How the new node's key files are sealed.
pub struct Sealing {
    /// With what, for the configuration.
    pub by: SealedBy,
    /// Where the secret comes from; asked once everything else about the new node is known to be good.
    pub source: Source,
    /// What one guess of the secret costs.
    pub stretch: Stretch,
}

/// Why no node was made. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is something in the directory.
    #[error("{} is not empty, and `init` never overwrites: choose a new directory", dir.display())]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
    },
    /// The options do not make a good configuration.
    #[error("these options make no good configuration: {0}")]
    Options(ConfigError),
    /// The node listens on every address, and nobody can dial "every address".
    #[error(
        "{listen} stands for every address of this machine, so peers cannot dial it: say where they reach the node \
        with --endpoint HOST:PORT"
    )]
    NoEndpoint {
        /// The listen address.
        listen: SocketAddr,
    },
    /// The system refuses.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is no passphrase or credential to seal the keys with.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A key or certificate cannot be made.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The certificate cannot be made.
    #[error(transparent)]
    Tls(#[from] SetupError),
    /// The card cannot be made.
    #[error(transparent)]
    Card(#[from] OwnCardError),
}

impl InitError {
    /// Whether the options are to blame, and not the machine.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::NotEmpty { .. } | Self::Options(_) | Self::NoEndpoint { .. } | Self::Secret(_))
    }
}

/// Makes a node. Returns its configuration and its card.
pub fn init(node: &NewNode, sealing: &Sealing, clock: &Clock) -> Result<(Config, VerifiedCard), InitError> {
    let text = configuration(node, sealing.by)?;
    // Checked as if it stood in its place, before anything is written.
    let config = Config::parse(&text, &node.dir.join(CONFIG_FILE)).map_err(InitError::Options)?;
    let made_dir = make_dir(&node.dir)?;
    match sealing
        .source
        .ask_new()
        .map_err(InitError::from)
        .and_then(|secret| fill(node, &secret, sealing.stretch, &text, clock))
    {
        Ok(card) => Ok((config, card)),
        Err(error) => {
            if made_dir {
                // Fails if something is in it, and then it is not ours to remove.
                let _kept = fs::remove_dir(&node.dir);
            }
            Err(error)
        }
    }
}

/// What to do with a new node, for a person to read.
pub fn next_steps(config: &Config, card: &VerifiedCard) -> String {
    let file = config.path.display();
    format!(
        "Made the node {id} in {dir}.\n\
        Fingerprint of its identity key (read it to your peers over the telephone):\n  {fingerprint}\n\n\
        Next:\n\
        1. Edit {file}: contacts above all.\n\
        2. aldisd check {file}\n\
        3. aldisd run --config {file}\n\
        4. In another terminal: export ALDIS_SOCKET={socket}\n   \
           then: aldis status; aldis card export -o {id}.card; aldis peer add PEER.card\n\n\
        Keep one copy of {identity} offline, and what it is sealed with in another place: without both, {id} must be\n\
        enrolled anew. Whoever has both can sign as {id}.\n",
        id = config.node.id,
        dir = config.path.parent().unwrap_or(Path::new("/")).display(),
        fingerprint = card.fingerprint(),
        socket = config.control_socket.display(),
        identity = config.keys.identity.display(),
    )
}

/// The reference configuration with the node's own values.
fn configuration(node: &NewNode, seal: SealedBy) -> Result<String, InitError> {
    let endpoints: Vec<String> = if node.endpoints.is_empty() {
        let unspecified = node.listen.iter().find(|address| address.ip().is_unspecified());
        if let Some(listen) = unspecified {
            return Err(InitError::NoEndpoint { listen: *listen });
        }
        node.listen.iter().filter(|address| address.port() != 0).map(SocketAddr::to_string).collect()
    } else {
        node.endpoints.iter().map(Endpoint::to_string).collect()
    };
    let listen = node.listen.iter().map(SocketAddr::to_string).collect();
    let values = [
        ("id = ", toml::Value::from(node.id.as_str())),
        ("name = ", toml::Value::from(node.name.as_str())),
        ("country = ", toml::Value::from(node.country.text().as_str())),
        ("listen = ", array(listen)),
        ("endpoints = ", array(endpoints)),
        ("two_persons = ", toml::Value::from(!node.single_administrator)),
        ("seal = ", toml::Value::from(seal.as_str())),
    ];
    let mut text = String::with_capacity(REFERENCE.len() + 256);
    for line in REFERENCE.lines() {
        match values.iter().find(|(key, _)| line.starts_with(key)) {
            Some((key, value)) => text.extend([*key, &value.to_string()]),
            None => text.push_str(line),
        }
        text.push('\n');
    }
    Ok(text)
}

fn array(values: Vec<String>) -> toml::Value {
    toml::Value::Array(values.into_iter().map(toml::Value::String).collect())
}

/// Makes the directory, or accepts an empty one. Says whether it made it.
fn make_dir(dir: &Path) -> Result<bool, InitError> {
    let failed = |action| move |source| InitError::Io { action, path: dir.to_owned(), source };
    match fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            None => Ok(false),
            Some(_) => Err(InitError::NotEmpty { dir: dir.to_owned() }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().mode(0o755).create(dir).map_err(failed("create"))?;
            Ok(true)
        }
        Err(error) => Err(failed("read")(error)),
    }
}

/// Writes everything aside within the directory, syncs it, and moves it into place. What is aside vanishes on failure.
fn fill(
    node: &NewNode,
    secret: &Secret,
    stretch: Stretch,
    text: &str,
    clock: &Clock,
) -> Result<VerifiedCard, InitError> {
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |source| InitError::Io { action, path, source }
    };
    let aside = tempfile::Builder::new().prefix(".aldis-init-").tempdir_in(&node.dir);
    let aside = aside.map_err(failed("write into", &node.dir))?;
    let at = |part: &str| aside.path().join(part);
    for part in ["keys", "tls", "data"] {
        DirBuilder::new().mode(0o700).create(at(part)).map_err(failed("create", &at(part)))?;
    }
    let config = Config::parse(text, &at(CONFIG_FILE)).map_err(InitError::Options)?;
    let seed = Zeroizing::new(clock::random::<32>());
    let sealer = Sealer::new(secret, stretch)?;
    sealer.create_identity(&config.keys.identity, &node.id, &seed)?;
    let now = clock.system_time();
    let (certificate, key) = tls::generate(node.id.as_str(), tls::DEFAULT_VALID_DAYS, now)?;
    sealer.create_tls_key(&config.keys.tls_key, &node.id, key.expose())?;
    write(&config.keys.tls_certificate, certificate.as_bytes())?;
    write(&config.path, text.as_bytes())?;
    // From the files, as each start will: what cannot be opened again must not be left as the only copy.
    let keys = OwnKeys::load(&config, &mut Keyring::new(Source::Given(secret.again())), now)?;
    let card = own_card::refresh(&config, &keys, clock.wall())?;
    for dir in [at("keys"), at("tls"), aside.path().to_owned()] {
        sync_dir(&dir)?;
    }
    for part in PARTS {
        let target = node.dir.join(part);
        rustix::fs::renameat_with(CWD, at(part), CWD, &target, RenameFlags::NOREPLACE)
            .map_err(|source| failed("create", &target)(source.into()))?;
    }
    sync_dir(&node.dir)?;
    Ok(card)
}

fn write(path: &Path, content: &[u8]) -> Result<(), InitError> {
    let failed = |source| InitError::Io { action: "write", path: path.to_owned(), source };
    let mut file = File::create_new(path).map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    file.sync_all().map_err(failed)
}

fn sync_dir(dir: &Path) -> Result<(), InitError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|source| InitError::Io {
        action: "sync",
        path: dir.to_owned(),
        source,
    })
}

#[cfg(test)]
#[path = "init_tests.rs"]
mod tests;
