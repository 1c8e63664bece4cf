//! The configuration: a TOML file read once, checked completely, and turned into values that need no further checks.
//!
//! Every key is described in `config/aldisd.toml`. An unknown key, a value out of range or a contradiction refuses the
//! whole file, with its line. Relative paths are relative to the file. This module never opens what the paths name, never
//! writes, and holds no secrets.

mod access;
mod alerts;
mod drill;
mod error;
mod file;
mod ladder;
mod locate;
mod values;

pub use error::{ConfigError, Place};
pub use file::{Filter, LogFormat, SealedBy};
pub use values::{Country, Endpoint};

use crate::access::Rules;
use crate::admission;
use crate::alerts::{Channel, Settings, Way};
use crate::backup;
use crate::journal;
use crate::link::LinkTimes;
use crate::log::store::StoreOptions;
use crate::scrub;
use crate::tls::{AuthorityFile, MAX_CRL_FILES};
use aldis_core::checks::Drill;
use aldis_core::intake::Intake;
use aldis_core::ladder::Ladder;
use aldis_core::limits::{Discipline, Limits};
use aldis_wire::card::Contact;
use aldis_wire::codec::Text;
use aldis_wire::ids::NodeId;
use file::ConfigFile;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use values::{FilePath, Number};

/// The largest configuration that is read, in bytes.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// The longest path of a Unix socket, in bytes: the kernel's limit without the final zero.
const MAX_SOCKET_PATH_BYTES: usize = 107;

/// The most listen addresses; as many as a card has endpoints.
const MAX_LISTEN: usize = 8;

const MIB: u64 = 1 << 20;
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// A checked configuration. All paths are absolute.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from.
    pub path: PathBuf,
    /// Who this node is.
    pub node: NodeConfig,
    /// Where peers reach it.
    pub network: NetworkConfig,
    /// The control API's socket.
    pub control_socket: PathBuf,
    /// Who may do what.
    pub access: Rules,
    /// Where its keys are.
    pub keys: KeyPaths,
    /// The revocation lists of peers' authorities.
    pub crls: Vec<PathBuf>,
    /// Whom to call, for the card.
    pub contacts: Vec<Contact>,
    /// How alerts reach people; the ladder itself is among the limits.
    pub alerts: Settings,
    /// Bounds and times.
    pub limits: LimitsConfig,
    /// How the journal uses the disk.
    pub journal: journal::Options,
    /// How the message log uses memory and disk.
    pub log: StoreOptions,
    /// When the node verifies itself.
    pub scrub: scrub::Settings,
    /// Where backups go.
    pub backup: backup::Settings,
    /// The daemon's own reports.
    pub logging: LoggingConfig,
}

/// Who this node is.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Its id.
    pub id: NodeId,
    /// Its name in words.
    pub name: Text<200>,
    /// Its country or organisation.
    pub country: Country,
    /// Where journal and message log are.
    pub data_dir: PathBuf,
    /// Where its own card is kept.
    pub card: PathBuf,
}

/// Where peers reach this node.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// Where it listens; empty for a node that only dials.
    pub listen: Vec<SocketAddr>,
    /// Where peers dial it, tried in order.
    pub endpoints: Vec<Endpoint>,
}

/// Where the keys are, and how they are kept.
#[derive(Clone, Debug)]
pub struct KeyPaths {
    /// With what they are sealed.
    pub seal: SealedBy,
    /// The identity key.
    pub identity: PathBuf,
    /// The TLS key.
    pub tls_key: PathBuf,
    /// The TLS certificate, PEM; with an authority, then those between.
    pub tls_certificate: PathBuf,
    /// The authority that issues it, if one does.
    pub tls_authority: Option<AuthorityFile>,
}

/// Bounds and times, in the form in which their users take them.
#[derive(Clone, Debug)]
pub struct LimitsConfig {
    /// Of the core.
    pub core: Limits,
    /// On connections that are not authenticated yet.
    pub admission: admission::Limits,
    /// Of links.
    pub link: LinkTimes,
}

/// The daemon's own reports.
#[derive(Clone, Debug, Default)]
pub struct LoggingConfig {
    /// Which.
    pub filter: Filter,
    /// In which form.
    pub format: LogFormat,
}

impl Config {
    /// Reads and checks the file at `path`.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        let mut text = String::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(MAX_CONFIG_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > MAX_CONFIG_BYTES {
            return Err(ConfigError::TooLarge { path: path.to_owned(), limit_bytes: MAX_CONFIG_BYTES });
        }
        Self::parse(&text, path)
    }

    /// Checks a configuration's text as if it stood in the file `path`, which is not read.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let path =
            std::path::absolute(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let mut file: ConfigFile = toml::from_str(text).map_err(|error| ConfigError::Invalid {
            path: path.clone(),
            place: locate::place_of_span(text, error.span()),
            problem: locate::explained(error.message()),
        })?;
        if let Some((field, problem)) = half_an_authority(&file.keys) {
            return Err(ConfigError::Invalid { path, place: locate::place_of_field(text, field), problem });
        }
        let dir = path.parent().unwrap_or(Path::new("/"));
        let (ladder, settings, drill) = match alerting(&mut file, dir) {
            Ok(alerting) => alerting,
            Err((field, problem)) => {
                return Err(ConfigError::Invalid { path, place: locate::place_of_field(text, field), problem });
            }
        };
        let mut config = assemble(file, path);
        (config.limits.core.ladder, config.alerts) = (Arc::new(ladder), settings);
        config.limits.core.drill = drill;
        match config.contradiction() {
            None => Ok(config),
            Some((field, problem)) => {
                let place = locate::place_of_field(text, field);
                Err(ConfigError::Invalid { path: config.path, place, problem })
            }
        }
    }

    /// The configuration of a node `id` in `dir` with every default: it listens on a free port of loopback.
    pub fn minimal(dir: &Path, id: &NodeId) -> Self {
        let text = format!(
            "node = {{ id = \"{id}\", name = \"{id}\", country = \"XX\" }}\nnetwork.listen = [\"127.0.0.1:0\"]\n"
        );
        Self::parse(&text, &dir.join("aldisd.toml")).expect("the minimal configuration is good in any short directory")
    }

    /// Where the journal is.
    pub fn journal_dir(&self) -> PathBuf {
        self.node.data_dir.join("journal")
    }

    /// Where the message log is.
    pub fn log_dir(&self) -> PathBuf {
        self.node.data_dir.join("log")
    }

    /// The first field that does not go with the others, with what to do.
    fn contradiction(&self) -> Option<(&'static str, String)> {
        let listen = &self.network.listen;
        if listen.len() > MAX_LISTEN {
            return Some(("network.listen", format!("{} addresses; at most {MAX_LISTEN}", listen.len())));
        }
        let mut fixed = BTreeSet::new();
        if let Some(twice) = listen.iter().find(|address| address.port() != 0 && !fixed.insert(**address)) {
            return Some(("network.listen", format!("{twice} stands there twice: remove one")));
        }
        if self.network.endpoints.len() > 8 {
            return Some(("network.endpoints", "a card carries at most 8 endpoints: remove some".to_owned()));
        }
        if self.contacts.len() > 16 {
            return Some(("contacts", "a card carries at most 16 contacts: remove some".to_owned()));
        }
        if self.crls.len() > MAX_CRL_FILES {
            return Some(("tls.crls", format!("{} files; at most {MAX_CRL_FILES}", self.crls.len())));
        }
        let socket_bytes = self.control_socket.as_os_str().len();
        if socket_bytes > MAX_SOCKET_PATH_BYTES {
            let problem = format!(
                "{} has {socket_bytes} bytes and a socket's path at most {MAX_SOCKET_PATH_BYTES}: choose a shorter one, \
                such as /run/aldis/aldis.sock",
                self.control_socket.display()
            );
            return Some(("control.socket", problem));
        }
        if let Some(problem) = self.access.fault() {
            return Some(("access", problem));
        }
        self.contradicting_limits()
    }

    fn contradicting_limits(&self) -> Option<(&'static str, String)> {
        let core = &self.limits.core;
        if core.retry_max_ms < core.retry_initial_ms {
            let problem = format!("is shorter than retry_initial_ms ({}): raise it", core.retry_initial_ms);
            return Some(("limits.retry_max_ms", problem));
        }
        let link = &self.limits.link;
        if link.silence < link.heartbeat * 2 {
            let least_ms = link.heartbeat.as_millis() * 2;
            let problem = format!("must be at least twice heartbeat_ms, {least_ms}: one late heartbeat is no silence");
            return Some(("limits.silence_ms", problem));
        }
        let admission = &self.limits.admission;
        if admission.connections_per_address > admission.connections {
            let problem = format!("is more than connections ({}): lower it", admission.connections);
            return Some(("limits.connections_per_address", problem));
        }
        None
    }
}

/// An authority without a name means nothing, nor does a name without an authority.
fn half_an_authority(keys: &file::KeysSection) -> Option<(&'static str, String)> {
    match (&keys.tls_authority.0, &keys.tls_name.0) {
        (Some(_), None) => Some(("keys.tls_authority", "also write tls_name: the name in the certificate".to_owned())),
        (None, Some(_)) => Some(("keys.tls_name", "also write tls_authority: who issued the certificate".to_owned())),
        _ => None,
    }
}

/// The ladder and its channels.
fn alerting(file: &mut ConfigFile, dir: &Path) -> Result<(Ladder, Settings, Drill), (&'static str, String)> {
    let channels: Vec<Channel> =
        std::mem::take(&mut file.alerts).into_iter().map(|entry| entry.into_channel(dir)).collect();
    if channels.len() > alerts::CHANNELS_MAX {
        return Err(("alerts", format!("{} channels; at most {}", channels.len(), alerts::CHANNELS_MAX)));
    }
    let mut names = BTreeMap::from([(Channel::watch().name, false)]);
    for channel in &channels {
        let needs_address = matches!(&channel.way, Way::Smtp(smtp) if smtp.to.is_none());
        if names.insert(channel.name.clone(), needs_address).is_some() {
            return Err(("alerts", format!("two channels are called `{}`: rename one", channel.name.as_str())));
        }
    }
    let parts = ladder::LadderFile {
        calendars: std::mem::take(&mut file.calendars),
        steps: std::mem::take(&mut file.ladder),
        deadlines: std::mem::take(&mut file.deadlines),
        peer_deadlines: std::mem::take(&mut file.peer_deadlines),
    };
    let (ladder, addresses) = ladder::build(parts, &names)?;
    let drill = drill::build(std::mem::take(&mut file.drill), &ladder)?;
    Ok((ladder, Settings { channels, addresses, first_probe: None }, drill))
}

fn assemble(file: ConfigFile, path: PathBuf) -> Config {
    let dir = path.parent().unwrap_or(Path::new("/")).to_owned();
    let at = |given: Option<FilePath>, default: &str| dir.join(given.map_or_else(|| default.to_owned(), |path| path.0));
    let journal = journal_options(&file.journal);
    let log = StoreOptions {
        cache_bytes: file.log.cache_mib.map_or(StoreOptions::default().cache_bytes, |mib| mib.get() * MIB),
        free_space_floor_bytes: journal.reserve_bytes,
    };
    Config {
        node: NodeConfig {
            id: file.node.id,
            name: file.node.name.into_text(),
            country: file.node.country,
            data_dir: at(file.node.data_dir, "data"),
            card: at(file.node.card, "card.aldis"),
        },
        network: NetworkConfig { listen: file.network.listen, endpoints: file.network.endpoints },
        control_socket: at(file.control.socket, "aldis.sock"),
        access: Rules::new(file.access.into_iter().map(|entry| entry.0).collect()),
        keys: KeyPaths {
            seal: file.keys.seal.unwrap_or_default(),
            identity: at(file.keys.identity, "keys/identity.key"),
            tls_key: at(file.keys.tls_key, "tls/tls.key"),
            tls_certificate: at(file.keys.tls_certificate, "tls/tls.crt"),
            tls_authority: (file.keys.tls_authority.0.zip(file.keys.tls_name.0))
                .map(|(path, name)| AuthorityFile { path: dir.join(path), name }),
        },
        crls: file.tls.crls.into_iter().map(|path| dir.join(path.0)).collect(),
        contacts: file.contacts.into_iter().map(values::ContactFile::into_contact).collect(),
        alerts: Settings::default(),
        limits: limits(&file.limits, &file.administration, discipline(&file.release, &file.flash)),
        journal,
        log,
        scrub: scrub_settings(&file.scrub),
        backup: backup_settings(file.backup, &dir),
        logging: LoggingConfig {
            filter: file.logging.filter.unwrap_or_default(),
            format: file.logging.format.unwrap_or_default(),
        },
        path,
    }
}

fn journal_options(section: &file::JournalSection) -> journal::Options {
    let mut options = journal::Options::default();
    if let Some(mib) = section.segment_mib {
        options.segment_bytes = mib.get() * MIB;
    }
    if let Some(mib) = section.reserve_mib {
        options.reserve_bytes = mib.get() * MIB;
    }
    options
}

fn scrub_settings(section: &file::ScrubSection) -> scrub::Settings {
    let default = scrub::Settings::default();
    let hour = section.hour_utc.map(|hour| u8::try_from(hour.get()).expect("an hour is small"));
    scrub::Settings {
        enabled: section.enabled.unwrap_or(default.enabled),
        hour_utc: hour.unwrap_or(default.hour_utc),
        ..default
    }
}

fn backup_settings(section: file::BackupSection, dir: &Path) -> backup::Settings {
    let default = backup::Settings::default();
    backup::Settings {
        directory: section.directory.0.map(|path| dir.join(path)),
        keep: section.keep.map_or(default.keep, |count| size(count.get())),
        alarm_hours: section.alarm_hours.map(Number::get).filter(|hours| *hours > 0),
        ..default
    }
}

fn discipline(release: &file::ReleaseSection, flash: &file::FlashSection) -> Discipline {
    let default = Discipline::default();
    let small = |number: u64| u32::try_from(number).expect("the file's numbers are small");
    Discipline {
        release_flash: release.flash.unwrap_or(default.release_flash),
        release_red: release.red.unwrap_or(default.release_red),
        release_within_ms: release.lifetime_min.map_or(default.release_within_ms, |min| min.get() * MINUTE_MS),
        flash_words: flash.words.map_or(default.flash_words, |words| small(words.get())),
        flash_per_day: flash.per_day.map_or(default.flash_per_day, |count| small(count.get())),
    }
}

fn limits(
    section: &file::LimitsSection,
    administration: &file::AdministrationSection,
    discipline: Discipline,
) -> LimitsConfig {
    let core = Limits::default();
    let admission = admission::Limits::default();
    let link = LinkTimes::default();
    let handshake_limit = section.handshake_s.map_or(admission.handshake_limit, |s| Duration::from_secs(s.get()));
    let silence = section.silence_ms.map_or(link.silence, |ms| Duration::from_millis(ms.get()));
    LimitsConfig {
        core: Limits {
            retry_initial_ms: section.retry_initial_ms.map_or(core.retry_initial_ms, Number::get),
            retry_max_ms: section.retry_max_ms.map_or(core.retry_max_ms, Number::get),
            receipt_wait_ms: section.receipt_wait_ms.map_or(core.receipt_wait_ms, Number::get),
            credit_window: section.credit_window.map_or(core.credit_window, Number::get),
            open_per_peer: section.open_per_peer.map_or(core.open_per_peer, Number::get),
            refusals_per_peer: section.refusals_per_peer.map_or(core.refusals_per_peer, Number::get),
            attachment_quota_bytes: section
                .attachment_quota_mib
                .map_or(core.attachment_quota_bytes, |mib| mib.get() << 20),
            attachments_per_peer: core.attachments_per_peer,
            unanswered_per_peer: section.unanswered_per_peer.map_or(core.unanswered_per_peer, Number::get),
            intake: Intake {
                bytes_per_s: section.intake_kib_s.map_or(core.intake.bytes_per_s, |kib| kib.get() << 10),
                burst_bytes: section.intake_burst_kib.map_or(core.intake.burst_bytes, |kib| kib.get() << 10),
            },
            held_per_peer: section.held_per_peer.map_or(core.held_per_peer, |count| size(count.get())),
            held_ms: section.held_days.map_or(core.held_ms, |days| days.get() * DAY_MS),
            clock_difference_ms: section.clock_difference_ms.map_or(core.clock_difference_ms, Number::get),
            refusal_lifetime_ms: section.refusal_lifetime_days.map_or(core.refusal_lifetime_ms, |d| d.get() * DAY_MS),
            two_persons: administration.two_persons.unwrap_or(core.two_persons),
            request_lifetime_ms: administration
                .request_hours
                .map_or(core.request_lifetime_ms, |hours| hours.get() * HOUR_MS),
            ladder: core.ladder,
            discipline,
            drill: core.drill,
        },
        admission: admission::Limits {
            connections: section.connections.map_or(admission.connections, |count| size(count.get())),
            connections_per_address: section
                .connections_per_address
                .map_or(admission.connections_per_address, |count| size(count.get())),
            handshake_limit,
        },
        link: LinkTimes {
            heartbeat: section.heartbeat_ms.map_or(link.heartbeat, |ms| Duration::from_millis(ms.get())),
            silence,
            connect: handshake_limit,
            write: silence,
            expiry_look: link.expiry_look,
        },
    }
}

fn size(number: u64) -> usize {
    usize::try_from(number).expect("the file's numbers are below four thousand million")
}

#[cfg(test)]
mod tests;
