//! The walk over journal and log: lines of JSON, progress first, one report last.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One line of the answer to `POST /v1/verify`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum VerifyLine {
    /// How far the walk has come.
    Progress(VerifyProgress),
    /// The walk is over; no line follows.
    Report(VerifyReport),
    /// The walk could not be finished; no line follows.
    Error(crate::ApiError),
}

/// How far the walk has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerifyProgress {
    /// Bytes or rows walked.
    pub done: u64,
    /// Bytes or rows to walk.
    pub total: u64,
    /// What is being walked, such as `journal`.
    pub what: String,
}

/// What the walk found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerifyReport {
    /// Whether everything verifies; false whenever there are findings.
    pub ok: bool,
    /// Journal records walked.
    pub records: u64,
    /// Journal segments walked.
    pub segments: u64,
    /// Log rows compared with the journal.
    pub log_rows: u64,
    /// Different commitments to this node's journal that peers signed they held, and that were looked for in it.
    #[serde(default)]
    pub witnesses: u64,
    /// How many peers signed them.
    #[serde(default)]
    pub witness_peers: u64,
    /// What does not verify.
    #[serde(default)]
    pub findings: Vec<VerifyFinding>,
}

/// One thing that does not verify.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerifyFinding {
    /// Exactly where: file, offset, record.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub advice: String,
}
