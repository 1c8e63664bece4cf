//! Who may do what: the roles, and what the daemon says about whoever asks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What somebody may do at this node, given under `[[access]]` in the daemon's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads messages and verifies the record.
    Auditor,
    /// Reads, sends and answers messages.
    Operator,
    /// The second person who lets a message go; reads meanwhile.
    Releaser,
    /// Enrols peers and keeps links running; reads no messages.
    Admin,
}

/// The text names no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role: use auditor, operator, releaser or admin")]
pub struct UnknownRole(pub String);

/// Who is asking, as the daemon sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct You {
    /// The Unix user, with its number.
    pub user: String,
    /// Every role this user has.
    pub roles: Vec<Role>,
    /// The desks whose messages this user may read.
    pub desks: Vec<String>,
    /// The desks for which this user may send and answer.
    pub sends_for: Vec<String>,
}

impl Role {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Auditor, Self::Operator, Self::Releaser, Self::Admin];

    /// The lower-case word used in JSON, in the configuration and shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auditor => "auditor",
            Self::Operator => "operator",
            Self::Releaser => "releaser",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let found = Self::ALL.into_iter().find(|role| text == role.as_str());
        found.ok_or_else(|| UnknownRole(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_configuration_use_the_same_words() {
        for role in Role::ALL {
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        for text in ["", "Admin", "root", "admin "] {
            assert!(text.parse::<Role>().is_err(), "{text}");
        }
    }
}
