//! Backups: lines of JSON while one is made, and what the status says of the latest.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{UnixMillis, VerifyProgress};

/// One line of the answer to `POST /v1/backup`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BackupLine {
    /// How far it has come: copying, then reading back, then walking the journal in the copy.
    Progress(VerifyProgress),
    /// The backup is made and verified; no line follows.
    Report(BackupReport),
    /// None was made, and those before are as they were; no line follows.
    Error(crate::ApiError),
}

/// A backup that was made and verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupReport {
    /// Its directory.
    pub generation: String,
    /// How many records of the journal it holds.
    pub records: u64,
    /// The Merkle root over them, in hexadecimal.
    pub root: String,
    /// How many files it has.
    pub files: u64,
    /// Their length.
    pub bytes: u64,
    /// How much of that was written; the rest was there already.
    pub written_bytes: u64,
}

/// How the node is backed up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupView {
    /// Where backups go; absent if none is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The latest try that ended, in whichever run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<BackupOutcome>,
    /// When the latest good one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good_at: Option<UnixMillis>,
}

/// What a backup came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupOutcome {
    /// When it ended.
    pub at: UnixMillis,
    /// Journal records in it; 0 if it failed.
    pub records: u64,
    /// The length of its files.
    pub bytes: u64,
    /// How much of that was written.
    pub written_bytes: u64,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}
