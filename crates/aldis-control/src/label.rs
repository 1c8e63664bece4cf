//! The two labels every message carries: its precedence (which is also its lane) and its TLP marking.
//!
//! Both are closed sets. Reading is lenient about case and the `TLP:` prefix, writing never is; neither has a default.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// One of the four lanes, most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precedence {
    /// Z: as fast as possible, before everything else.
    Flash,
    /// O: within about 30 minutes.
    Immediate,
    /// P: within about 3 hours.
    Priority,
    /// R: the next business day.
    Routine,
}

/// The text names no precedence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a precedence: use flash, immediate, priority or routine")]
pub struct UnknownPrecedence(pub String);

/// A Traffic Light Protocol 2.0 marking, most restrictive first. It is never defaulted (I13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tlp {
    /// For the recipients' eyes only.
    Red,
    /// For the recipient's organisation only.
    #[serde(rename = "amber+strict")]
    AmberStrict,
    /// For the recipient's organisation and its clients.
    Amber,
    /// For the community.
    Green,
    /// No limit on disclosure.
    Clear,
}

/// The text names no TLP marking.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a TLP marking: use red, amber+strict, amber, green or clear")]
pub struct UnknownTlp(pub String);

impl Precedence {
    /// All four, most urgent first.
    pub const ALL: [Self; 4] = [Self::Flash, Self::Immediate, Self::Priority, Self::Routine];

    /// The lower-case word used in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flash => "flash",
            Self::Immediate => "immediate",
            Self::Priority => "priority",
            Self::Routine => "routine",
        }
    }

    /// The letter that stands for the lane in a message id: F, I, P or R.
    pub const fn letter(self) -> char {
        match self {
            Self::Flash => 'F',
            Self::Immediate => 'I',
            Self::Priority => 'P',
            Self::Routine => 'R',
        }
    }

    /// The precedence of a lane letter, in either case.
    pub fn from_letter(letter: char) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.letter() == letter.to_ascii_uppercase())
    }
}

impl Tlp {
    /// All five, most restrictive first.
    pub const ALL: [Self; 5] = [Self::Red, Self::AmberStrict, Self::Amber, Self::Green, Self::Clear];

    /// The lower-case word used in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::AmberStrict => "amber+strict",
            Self::Amber => "amber",
            Self::Green => "green",
            Self::Clear => "clear",
        }
    }

    /// The label as the standard writes it, capitals and never translated: `TLP:AMBER+STRICT`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Red => "TLP:RED",
            Self::AmberStrict => "TLP:AMBER+STRICT",
            Self::Amber => "TLP:AMBER",
            Self::Green => "TLP:GREEN",
            Self::Clear => "TLP:CLEAR",
        }
    }
}

impl fmt::Display for Precedence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Tlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl FromStr for Precedence {
    type Err = UnknownPrecedence;

    fn from_str(text: &str) -> Result<Self, UnknownPrecedence> {
        let found = Self::ALL.into_iter().find(|precedence| text.eq_ignore_ascii_case(precedence.as_str()));
        found.ok_or_else(|| UnknownPrecedence(text.chars().take(64).collect()))
    }
}

impl FromStr for Tlp {
    type Err = UnknownTlp;

    fn from_str(text: &str) -> Result<Self, UnknownTlp> {
        let matches = |tlp: &Self| text.eq_ignore_ascii_case(tlp.as_str()) || text.eq_ignore_ascii_case(tlp.label());
        Self::ALL.into_iter().find(matches).ok_or_else(|| UnknownTlp(text.chars().take(64).collect()))
    }
}

impl<'de> Deserialize<'de> for Precedence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Tlp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_uses_the_same_words_as_the_command_line() {
        for tlp in Tlp::ALL {
            assert_eq!(serde_json::to_value(tlp).unwrap(), tlp.as_str());
        }
        for precedence in Precedence::ALL {
            assert_eq!(serde_json::to_value(precedence).unwrap(), precedence.as_str());
            assert_eq!(Precedence::from_letter(precedence.letter()), Some(precedence));
        }
    }

    #[test]
    fn i13_a_marking_is_read_in_any_case_but_never_guessed() {
        for text in ["amber+strict", "TLP:AMBER+STRICT", "tlp:Amber+Strict", "AMBER+STRICT"] {
            assert_eq!(text.parse(), Ok(Tlp::AmberStrict));
            assert_eq!(serde_json::from_value::<Tlp>(text.into()).unwrap(), Tlp::AmberStrict);
        }
        for text in ["", "white", "TLP:", "ambre", "TLP: RED", "amber strict"] {
            assert!(text.parse::<Tlp>().is_err(), "{text}");
        }
    }
}
