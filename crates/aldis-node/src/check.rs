//! Examines a configuration and everything it names without starting the node: modes, keys, certificate, addresses, disk.
//! It changes nothing: what it creates to see whether it may, it removes again.

use crate::access::{Entry, Name, Rules};
use crate::clock::Clock;
use crate::config::{Config, ConfigError, SealedBy};
use crate::keys::{Keyring, OwnKeys, Source};
use crate::memory::{self, Locked};
use crate::own_card;
use crate::tls::Crls;
use aldis_control::Role;
use aldis_core::ladder::OnCall;
use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// When to warn that the certificate runs out, in days.
const CERTIFICATE_WARNING_DAYS: i64 = 60;
/// 2026-01-01: a clock before it is wrong.
const BUILT_AFTER_MS: u64 = 1_767_225_600_000;

/// One thing that was examined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was found, and what to do about it.
    pub text: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Good,
    /// The node starts, but somebody should look.
    Warning,
    /// The node does not start, or not safely.
    Problem,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.level {
            Level::Good => "ok     ",
            Level::Warning => "WARNING",
            Level::Problem => "PROBLEM",
        };
        write!(f, "{mark}  {}", self.text)
    }
}

/// Examines the file at `path` and everything it names; `source` says where the secret comes from that opens the keys.
/// `Err` if the file itself is no good, so that there is nothing to examine.
pub fn check(path: &Path, source: impl FnOnce(SealedBy) -> Source, clock: &Clock) -> Result<Vec<Finding>, ConfigError> {
    let config = Config::load(path)?;
    let mut report = Report(vec![]);
    report.good(format!("{}: node {}", config.path.display(), config.node.id));
    report.clock(clock);
    report.keys(&config, &mut Keyring::new(source(config.keys.seal)), clock);
    report.crls(&config, clock);
    report.data_dir(&config);
    config.network.listen.iter().for_each(|address| report.listen(*address));
    report.reachable(&config);
    report.control_socket(&config.control_socket);
    report.memory();
    report.access(&config.access);
    report.ladder(&config, clock);
    Ok(report.0)
}

/// Whether a node with these findings may be started.
pub fn is_fit(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.level < Level::Problem)
}

/// What is wrong with the data directory, with what to do; the node does not start with it.
pub fn data_dir_fault(dir: &Path) -> Option<String> {
    let shown = dir.display();
    let user = rustix::process::geteuid().as_raw();
    let metadata = match fs::metadata(dir) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => return Some(format!("{shown} is not a directory: correct `node.data_dir`")),
        // Not made here: an absent directory is more likely a disk that is not mounted than a new node.
        Err(error) => {
            return Some(format!("{shown}: {error}; mount it, correct `node.data_dir`, or run `mkdir -m 700 {shown}`"));
        }
    };
    if metadata.mode() & 0o077 != 0 {
        let mode = metadata.mode() & 0o7777;
        return Some(format!("{shown} has mode {mode:04o}, and messages are secret: run `chmod 700 {shown}`"));
    }
    let error = tempfile::tempfile_in(dir).err()?;
    Some(format!("user {user} cannot write in {shown}: {error}; run `chown {user} {shown}` or make the disk writable"))
}

struct Report(Vec<Finding>);

impl Report {
    fn good(&mut self, text: String) {
        self.0.push(Finding { level: Level::Good, text });
    }

    fn warn(&mut self, text: String) {
        self.0.push(Finding { level: Level::Warning, text });
    }

    fn problem(&mut self, text: String) {
        self.0.push(Finding { level: Level::Problem, text });
    }

    fn clock(&mut self, clock: &Clock) {
        if clock.wall().get() < BUILT_AFTER_MS {
            self.problem(format!("this machine's clock says {}: set it, and keep it set with NTP", clock.wall()));
        }
    }

    fn keys(&mut self, config: &Config, keyring: &mut Keyring, clock: &Clock) {
        for path in [&config.keys.identity, &config.keys.tls_key] {
            self.key_directory(path.parent().unwrap_or(Path::new("/")));
        }
        let now = clock.system_time();
        let keys = match OwnKeys::load(config, keyring, now) {
            Ok(keys) => keys,
            Err(error) => return self.problem(error.to_string()),
        };
        self.good(format!("identity key {}", config.keys.identity.display()));
        let (days, certificate) = (keys.configured_tls().remaining_days(now), config.keys.tls_certificate.display());
        if days < CERTIFICATE_WARNING_DAYS {
            self.warn(format!("{certificate} runs out in {days} days: make a new one and give the peers the new card"));
        } else {
            self.good(format!("{certificate} matches its key and is good for {days} days"));
        }
        if keys.is_published() {
            self.warn("these are the published keys of certs-example: for trying out on this machine only".to_owned());
        }
        match own_card::kept(config, &keys) {
            Ok(Some(_)) => self.good(format!("card {}", config.node.card.display())),
            Ok(None) => self.warn(format!("no card at {}: the node makes one", config.node.card.display())),
            Err(error) => self.problem(error.to_string()),
        }
    }

    /// Peers of an authority do not come up without its current list.
    fn crls(&mut self, config: &Config, clock: &Clock) {
        let crls = Crls::load(&config.crls, &Crls::default());
        for (path, fault) in crls.faults() {
            self.problem(format!("revocation list {} {fault}; correct `tls.crls`", path.display()));
        }
        for (path, issuer) in crls.expired(clock.system_time()) {
            let text = format!(
                "the revocation list of {issuer} in {} has expired, so its peers cannot connect: fetch the current one",
                path.display()
            );
            self.problem(text);
        }
        if !config.crls.is_empty() && crls.faults().next().is_none() {
            self.good(format!("{} file(s) with revocation lists", config.crls.len()));
        }
    }

    /// Whoever may write in the directory may exchange the key.
    fn key_directory(&mut self, dir: &Path) {
        let Ok(metadata) = fs::metadata(dir) else { return };
        // With the sticky bit, as in /tmp, others cannot replace what is not theirs.
        if metadata.mode() & 0o022 != 0 && metadata.mode() & 0o1000 == 0 {
            let mode = metadata.mode() & 0o7777;
            self.problem(format!(
                "{0} has mode {mode:04o}, so others may exchange the keys in it: run `chmod go-w {0}`",
                dir.display()
            ));
        }
    }

    fn data_dir(&mut self, config: &Config) {
        match data_dir_fault(&config.node.data_dir) {
            Some(fault) => self.problem(fault),
            None => self.free_space(config),
        }
    }

    fn free_space(&mut self, config: &Config) {
        let dir = &config.node.data_dir;
        let free_bytes = match rustix::fs::statvfs(dir) {
            Ok(stat) => stat.f_bavail.saturating_mul(stat.f_frsize),
            Err(error) => return self.problem(format!("cannot measure the disk of {}: {error}", dir.display())),
        };
        // The segment in use, the one prepared, and as much again for the message log.
        let needed_bytes = config.journal.reserve_bytes + 4 * config.journal.segment_bytes;
        let text = format!("{} has {} MiB free", dir.display(), free_bytes >> 20);
        if free_bytes < needed_bytes {
            self.problem(format!("{text} and needs {}: make room, or lower the journal's sizes", needed_bytes >> 20));
        } else {
            self.good(text);
        }
    }

    fn listen(&mut self, address: SocketAddr) {
        match TcpListener::bind(address) {
            Ok(_) => self.good(format!("can listen on {address}")),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                self.warn(format!("{address} is in use: by this node, if it runs; otherwise choose another port"));
            }
            Err(error) => {
                self.problem(format!("cannot listen on {address}: {error}; use an address of this machine"));
            }
        }
    }

    fn reachable(&mut self, config: &Config) {
        if config.network.listen.is_empty() {
            self.warn("network.listen is empty: peers cannot dial this node".to_owned());
        }
        if config.network.endpoints.is_empty() {
            self.warn("network.endpoints is empty: the card does not say where peers reach this node".to_owned());
        }
        if config.contacts.is_empty() {
            self.warn("no [[contacts]]: the card does not say whom to call at 03:00".to_owned());
        }
    }

    fn memory(&mut self) {
        match memory::lockable() {
            Locked::Yes => self.good("memory can be locked: nothing of it is swapped out".to_owned()),
            Locked::Limited { bytes } => self.warn(format!(
                "memory cannot be locked here (limit {} KiB), so keys may reach the swap space: set LimitMEMLOCK=infinity \
                in the unit, or encrypt the swap space",
                bytes >> 10
            )),
        }
    }

    fn control_socket(&mut self, path: &Path) {
        let dir = path.parent().unwrap_or(Path::new("/"));
        if let Err(error) = tempfile::tempfile_in(dir) {
            let text =
                format!("cannot make the control socket in {}: {error}; correct `control.socket`", dir.display());
            return self.problem(text);
        }
        match fs::symlink_metadata(path) {
            Ok(metadata) if !metadata.file_type().is_socket() => {
                self.problem(format!("{} is there and is no socket: move it away", path.display()));
            }
            _ => self.good(format!("control socket {}", path.display())),
        }
    }

    /// Somebody must be told of every silence, at every moment, by channels that can.
    fn ladder(&mut self, config: &Config, clock: &Clock) {
        let ladder = &config.limits.core.ladder;
        match ladder.check(clock.wall()) {
            Ok(()) => {
                self.good(format!("a ladder of {} step(s), with somebody on duty at every moment", ladder.steps.len()))
            }
            Err(error) => self.problem(format!("[[ladder]]: {error}")),
        }
        for channel in &config.alerts.channels {
            let name = channel.name.as_str();
            match channel.fault() {
                Some(fault) => self.problem(format!("[[alerts]] channel {name}: {fault}")),
                None => self.good(format!("channel {name}")),
            }
            let is_used = |person: &OnCall| person.channels.contains(&channel.name);
            if !ladder.steps.iter().flat_map(|step| &step.people).any(is_used) {
                self.warn(format!("nobody on the [[ladder]] has the channel {name}"));
            }
        }
    }

    fn access(&mut self, rules: &Rules) {
        if rules.entries().is_empty() {
            let text = "no [[access]]: root and the daemon's own user have every role, nobody else has any";
            return self.good(text.to_owned());
        }
        let mut admins = 0;
        for entry in rules.entries() {
            let unknown = unknown_names(entry);
            if entry.role == Role::Admin {
                admins += entry.users.len() + entry.groups.len() - unknown.len();
            }
            for name in unknown {
                let role = entry.role;
                self.warn(format!(
                    "[[access]] gives {role} to the {name}, which this system does not know: correct it"
                ));
            }
        }
        if admins == 0 {
            let text =
                "this system knows nobody to whom [[access]] gives admin, so nobody could enrol a peer: correct it";
            return self.problem(text.to_owned());
        }
        self.good(format!("{} [[access]] entries", rules.entries().len()));
    }
}

/// Whom an entry names and the system does not know. It is asked without a limit: nobody waits for a check at night.
fn unknown_names(entry: &Entry) -> Vec<String> {
    let is_user = |name: &str| nix::unistd::User::from_name(name).is_ok_and(|user| user.is_some());
    let is_group = |name: &str| nix::unistd::Group::from_name(name).is_ok_and(|group| group.is_some());
    let users = entry.users.iter().filter_map(|name| match name {
        Name::Name(name) if !is_user(name) => Some(format!("user `{name}`")),
        Name::Name(_) | Name::Number(_) => None,
    });
    let groups = entry.groups.iter().filter_map(|name| match name {
        Name::Name(name) if !is_group(name) => Some(format!("group `{name}`")),
        Name::Name(_) | Name::Number(_) => None,
    });
    users.chain(groups).collect()
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
