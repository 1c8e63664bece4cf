//! The configuration file's shape, section by section. `config/aldisd.toml` says what each key means; a test holds the two
//! together.

use super::access::AccessFile;
use super::alerts::AlertFile;
use super::drill::DrillFile;
use super::ladder::{CalendarFile, DeadlinesFile, PeerDeadlinesFile, StepFile};
use super::values::{ContactFile, Country, Endpoint, FilePath, Line, MaybeName, MaybePath, Number};
use aldis_wire::ids::NodeId;
use serde::Deserialize;
use std::net::SocketAddr;
use std::str::FromStr;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigFile {
    pub(super) node: NodeSection,
    pub(super) network: NetworkSection,
    #[serde(default)]
    pub(super) control: ControlSection,
    #[serde(default)]
    pub(super) access: Vec<AccessFile>,
    #[serde(default)]
    pub(super) administration: AdministrationSection,
    #[serde(default)]
    pub(super) release: ReleaseSection,
    #[serde(default)]
    pub(super) flash: FlashSection,
    #[serde(default)]
    pub(super) keys: KeysSection,
    #[serde(default)]
    pub(super) contacts: Vec<ContactFile>,
    #[serde(default)]
    pub(super) calendars: Vec<CalendarFile>,
    #[serde(default)]
    pub(super) ladder: Vec<StepFile>,
    #[serde(default)]
    pub(super) deadlines: DeadlinesFile,
    #[serde(default)]
    pub(super) peer_deadlines: Vec<PeerDeadlinesFile>,
    #[serde(default)]
    pub(super) alerts: Vec<AlertFile>,
    #[serde(default)]
    pub(super) drill: DrillFile,
    #[serde(default)]
    pub(super) limits: LimitsSection,
    #[serde(default)]
    pub(super) journal: JournalSection,
    #[serde(default)]
    pub(super) log: LogSection,
    #[serde(default)]
    pub(super) scrub: ScrubSection,
    #[serde(default)]
    pub(super) backup: BackupSection,
    #[serde(default)]
    pub(super) logging: LoggingSection,
    #[serde(default)]
    pub(super) tls: TlsSection,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NodeSection {
    pub(super) id: NodeId,
    pub(super) name: Line<200>,
    pub(super) country: Country,
    pub(super) data_dir: Option<FilePath>,
    pub(super) card: Option<FilePath>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NetworkSection {
    pub(super) listen: Vec<SocketAddr>,
    #[serde(default)]
    pub(super) endpoints: Vec<Endpoint>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ControlSection {
    pub(super) socket: Option<FilePath>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AdministrationSection {
    pub(super) two_persons: Option<bool>,
    pub(super) request_hours: Option<Number<1, 720>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReleaseSection {
    pub(super) flash: Option<bool>,
    pub(super) red: Option<bool>,
    pub(super) lifetime_min: Option<Number<1, 1_440>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FlashSection {
    pub(super) per_day: Option<Number<0, 1_000_000>>,
    pub(super) words: Option<Number<1, 100_000>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeysSection {
    pub(super) seal: Option<SealedBy>,
    pub(super) identity: Option<FilePath>,
    pub(super) tls_key: Option<FilePath>,
    pub(super) tls_certificate: Option<FilePath>,
    #[serde(default)]
    pub(super) tls_authority: MaybePath,
    #[serde(default)]
    pub(super) tls_name: MaybeName,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsSection {
    #[serde(default)]
    pub(super) crls: Vec<FilePath>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsSection {
    pub(super) retry_initial_ms: Option<Number<50, 600_000>>,
    pub(super) retry_max_ms: Option<Number<50, 86_400_000>>,
    pub(super) receipt_wait_ms: Option<Number<500, 600_000>>,
    pub(super) heartbeat_ms: Option<Number<100, 300_000>>,
    pub(super) silence_ms: Option<Number<200, 900_000>>,
    pub(super) handshake_s: Option<Number<1, 120>>,
    pub(super) connections: Option<Number<1, 10_000>>,
    pub(super) connections_per_address: Option<Number<1, 10_000>>,
    pub(super) credit_window: Option<Number<1, 4_096>>,
    pub(super) open_per_peer: Option<Number<1, 10_000_000>>,
    pub(super) refusals_per_peer: Option<Number<1, 1_000_000>>,
    pub(super) unanswered_per_peer: Option<Number<1, 10_000_000>>,
    pub(super) attachment_quota_mib: Option<Number<1, 1_048_576>>,
    pub(super) intake_kib_s: Option<Number<1, 1_048_576>>,
    pub(super) intake_burst_kib: Option<Number<1, 67_108_864>>,
    pub(super) held_per_peer: Option<Number<1, 4_096>>,
    pub(super) held_days: Option<Number<1, 365>>,
    pub(super) clock_difference_ms: Option<Number<1_000, 86_400_000>>,
    pub(super) refusal_lifetime_days: Option<Number<1, 365>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JournalSection {
    pub(super) segment_mib: Option<Number<1, 4_096>>,
    pub(super) reserve_mib: Option<Number<1, 1_048_576>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogSection {
    pub(super) cache_mib: Option<Number<8, 65_536>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScrubSection {
    pub(super) enabled: Option<bool>,
    pub(super) hour_utc: Option<Number<0, 23>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BackupSection {
    #[serde(default)]
    pub(super) directory: MaybePath,
    pub(super) keep: Option<Number<1, 1_000>>,
    pub(super) alarm_hours: Option<Number<0, 8_784>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LoggingSection {
    pub(super) filter: Option<Filter>,
    pub(super) format: Option<LogFormat>,
}

/// With what the key files are sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum SealedBy {
    /// A passphrase, asked for at each start.
    #[default]
    Passphrase,
    /// A credential that systemd hands over at each start.
    Credential,
}

impl SealedBy {
    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passphrase => "passphrase",
            Self::Credential => "credential",
        }
    }
}

impl FromStr for SealedBy {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Passphrase, Self::Credential]
            .into_iter()
            .find(|by| by.as_str() == text)
            .ok_or_else(|| "keys are sealed with \"passphrase\" or \"credential\": write one of them".to_owned())
    }
}

impl TryFrom<String> for SealedBy {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// How the daemon's own reports are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One readable line each.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Which reports are written: a checked directive such as `info` or `info,aldis_node::link=debug`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Filter(String);

impl Filter {
    /// The directive as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Filter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl TryFrom<String> for Filter {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match tracing_subscriber::EnvFilter::builder().parse(&text) {
            Ok(_) if !text.trim().is_empty() => Ok(Self(text)),
            _ => Err("is no filter: write error, warn, info, debug or trace, and per module such as \
                info,aldis_node::link=debug"
                .to_owned()),
        }
    }
}
