//! The JSON form of the kind `incident`: what happened, to what, how sure we are, and what we ask for.
//!
//! Codes are strings. The daemon checks them against its vocabulary and fills in the defaults; this module does
//! neither.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::UnixMillis;

/// A notice of an incident. Only subject, class and narrative have no default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentBody {
    /// One line that says what it is about.
    pub subject: String,
    /// RSIT class, such as `availability`.
    pub class: String,
    /// RSIT type within the class, such as `ddos`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// `informational`, `low`, `medium`, `high` or `critical`; default `medium`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// NIS2 stage: `none`, `early-warning`, `notification`, `progress` or `final`; default `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// `unknown`, `yes` or `no`; default `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspected_malicious: Option<String>,
    /// `unknown`, `yes` or `no`; default `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cross_border: Option<String>,
    /// NIS2 sectors, such as `energy`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sectors: Vec<String>,
    /// When it was detected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detected_at: Option<UnixMillis>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<UnixMillis>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<UnixMillis>,
    /// When the entity became aware of it; the NIS2 clock runs from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aware_at: Option<UnixMillis>,
    /// What is affected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assets: Vec<Asset>,
    /// What to look for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indicators: Vec<Indicator>,
    /// IODEF expectation; default `nothing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_action: Option<String>,
    /// Until when an answer is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_by: Option<UnixMillis>,
    /// Admiralty reliability of the source, `A` to `F`; default `F` (cannot be judged).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_reliability: Option<String>,
    /// Admiralty credibility of the information, 1 to 6; default 6 (cannot be judged).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub information_credibility: Option<u8>,
    /// One of seven bands of estimative language; default `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likelihood: Option<String>,
    /// The intent behind it; default `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// Who is thought to be behind it; never without a confidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribution: Option<Attribution>,
    /// The same incident in other schemes, kept side by side.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_classifications: Vec<OtherClassification>,
    /// The account in plain text.
    pub narrative: String,
    /// Language of subject and narrative, BCP 47; default `en`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

/// Something that is affected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    /// Its name.
    pub name: String,
    /// What sort of thing it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// NIS2 sector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sector: Option<String>,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Something to look for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Indicator {
    /// `ip`, `domain`, `url`, `hash` or `email`.
    pub kind: String,
    /// The value as observed.
    pub value: String,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Who is thought to be behind an incident.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Attribution {
    /// The statement.
    pub text: String,
    /// How sure the sender is.
    pub confidence: String,
}

/// The same incident in another scheme.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OtherClassification {
    /// The scheme, such as `csirtamericas`.
    pub scheme: String,
    /// Its code.
    pub code: String,
}
