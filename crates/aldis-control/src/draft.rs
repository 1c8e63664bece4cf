//! Drafts: messages that wait for a second person before they are signed.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{Precedence, Tlp, UnixMillis};

/// A draft as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DraftRow {
    /// Its number.
    pub draft: u64,
    /// The recipients.
    pub to: Vec<String>,
    /// What the body is.
    pub kind: String,
    /// The lane.
    pub precedence: Precedence,
    /// The marking.
    pub tlp: Tlp,
    /// The desk it is for.
    pub desk: String,
    /// The case it will belong to.
    pub case: String,
    /// The exercise it is part of; absent means it is real (I12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exercise: Option<String>,
    /// What it is about; empty in a list for TLP:RED, and where the body cannot be read.
    pub subject: String,
    /// Who composed it, and so cannot release it.
    pub by: String,
    /// Who wrote it.
    pub author: String,
    /// When.
    pub at: UnixMillis,
    /// Until when it can be released.
    pub expires_at: UnixMillis,
    /// Why it is longer than a FLASH should be, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<String>,
}

/// A draft in full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DraftView {
    /// The draft as lists show it, with its subject.
    pub row: DraftRow,
    /// The JSON form of its kind.
    pub body: serde_json::Value,
}

/// Which draft.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DraftQuery {
    /// Its number.
    pub draft: u64,
}

/// Names a draft.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftName {
    /// Its number.
    pub draft: u64,
}
