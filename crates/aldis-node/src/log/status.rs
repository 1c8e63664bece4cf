//! How the message log stands to the journal, as told to whoever asks or watches. It decides nothing.

use aldis_control::LogState;

/// What the log is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogStatus {
    /// It is being opened, checked and brought up to date. Searches have to wait.
    Opening {
        /// Rows checked or records applied so far.
        done: u64,
        /// How many there are.
        total: u64,
    },
    /// It is being built again from the journal. Searches have to wait.
    Rebuilding {
        /// Records applied so far.
        done: u64,
        /// Records to apply.
        total: u64,
        /// Why.
        cause: String,
    },
    /// It holds what the journal holds, a moment behind at most.
    Following,
    /// It cannot be opened or written, or the journal could not be read whole. Messages still flow, and it goes on with
    /// what it has; an administrator must know.
    Degraded {
        /// What is wrong and what to do.
        reason: String,
        /// Whether it can be searched all the same.
        searchable: bool,
    },
    /// Only a fresh process helps; the node is told to end.
    Failed {
        /// The first cause.
        reason: String,
    },
}

impl LogStatus {
    /// What an administrator must be told, for as long as it lasts.
    pub fn alarm(&self) -> Option<String> {
        match self {
            Self::Degraded { reason, .. } => Some(format!("the message log is incomplete: {reason}")),
            Self::Failed { reason } => Some(format!("the message log failed: {reason}")),
            // It mends itself in a moment, and `status` and the daemon's own log say that it does.
            Self::Rebuilding { .. } | Self::Opening { .. } | Self::Following => None,
        }
    }
}

impl From<LogStatus> for LogState {
    fn from(status: LogStatus) -> Self {
        match status {
            LogStatus::Opening { .. } => Self::Opening,
            LogStatus::Rebuilding { done, total, .. } => Self::Rebuilding { done, total },
            LogStatus::Following => Self::Following,
            LogStatus::Degraded { reason, .. } | LogStatus::Failed { reason } => Self::Degraded { reason },
        }
    }
}
