//! The codes a notice may use, as the daemon knows them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Every list of codes that a person may choose from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Vocabulary {
    /// RSIT classes with their types.
    pub classes: Vec<IncidentClass>,
    /// Severities, least first.
    pub severities: Vec<String>,
    /// NIS2 stages.
    pub stages: Vec<String>,
    /// NIS2 sectors.
    pub sectors: Vec<String>,
    /// Indicator kinds.
    pub indicator_kinds: Vec<String>,
    /// IODEF expectations.
    pub actions: Vec<String>,
    /// Admiralty reliabilities of a source.
    pub source_reliabilities: Vec<String>,
    /// Admiralty credibilities of information.
    pub information_credibilities: Vec<String>,
    /// Bands of estimative language.
    pub likelihoods: Vec<String>,
    /// Intents.
    pub intents: Vec<String>,
    /// Confidences of an attribution.
    pub confidences: Vec<String>,
    /// RID justifications of an answer.
    pub justifications: Vec<String>,
    /// Desks.
    pub desks: Vec<String>,
    /// Kinds that can be sent.
    pub kinds: Vec<String>,
    /// Precedences, most urgent first.
    pub precedences: Vec<String>,
    /// TLP markings, most restrictive first.
    pub tlp: Vec<String>,
}

/// One RSIT class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IncidentClass {
    /// Its code.
    pub code: String,
    /// The types within it.
    pub types: Vec<String>,
}
