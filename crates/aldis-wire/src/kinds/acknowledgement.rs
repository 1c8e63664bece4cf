//! Kind `acknowledgement`: what a person says about a notice. Seen, acknowledged, or decided with a RID status
//! (RFC 6545), a justification and a text. The header's `answers` reference names the notice. Never a receipt.

use super::{Answer, Bearing, Choice, KindBody, Summary};
use crate::codec::{Decode, Encode, List, Text};
use crate::codes::{Code, Extensions};
use crate::ids::UnixMillis;
use serde::{Deserialize, Serialize};

/// The justifications of RFC 6545 for a denial or a delay.
pub const JUSTIFICATIONS: &[&str] = &[
    "system-resource",
    "authentication",
    "authentication-origin",
    "encryption",
    "unrecognized-format",
    "cannot-process",
    "other",
];

/// A person's answer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    /// `seen`, `acknowledged` or `decided`.
    pub state: Code,
    /// With `decided`: `approved`, `denied` or `pending`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Code>,
    /// Why, as one of [`JUSTIFICATIONS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<Code>,
    /// With `pending`: until when a decision is promised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UnixMillis>,
    /// Words to the other side.
    #[serde(default)]
    pub text: Text<4000>,
    /// Fields of newer versions.
    #[serde(default, with = "super::extensions_json", skip_serializing_if = "super::extensions_json::is_empty")]
    pub extensions: Extensions,
}

impl Acknowledgement {
    /// The body of a person's picking up of a hotline.
    pub fn picked_up() -> Vec<u8> {
        crate::codec::encode(&Self {
            state: Code::known("acknowledged"),
            status: None,
            justification: None,
            until: None,
            text: Text::cut(""),
            extensions: Extensions::default(),
        })
    }

    /// The body of a decision that the node itself writes down for its administrators.
    pub fn decided(status: &'static str, text: &str) -> Vec<u8> {
        crate::codec::encode(&Self {
            state: Code::known("decided"),
            status: Some(Code::known(status)),
            justification: None,
            until: None,
            text: Text::cut(text),
            extensions: Extensions::default(),
        })
    }
}

impl KindBody for Acknowledgement {
    const NAME: &'static str = "acknowledgement";
    const VERSION: u16 = 1;
    const CHOICES: &'static [Choice] = &[
        ("state", &["seen", "acknowledged", "decided"]),
        ("status", &["approved", "denied", "pending"]),
        ("justification", JUSTIFICATIONS),
    ];

    fn summary(&self) -> Summary {
        let answer = match (self.state.as_str(), &self.status) {
            ("seen", _) => Answer::Seen,
            ("acknowledged", _) => Answer::Acknowledged,
            ("decided", Some(status)) if status.as_str() == "pending" => Answer::Pending(self.until),
            ("decided", Some(status)) => Answer::Decided(status.clone()),
            _ => Answer::Other(self.state.clone()),
        };
        Summary {
            bearing: Bearing::Answer(answer),
            subject: Text::cut(self.text.lines().next().unwrap_or_default()),
            stage: None,
            reply_by: self.until,
            attached: None,
            attachments: List::empty(),
        }
    }

    fn check(&self) -> Result<(), String> {
        match (self.state.as_str(), &self.status) {
            ("decided", None) => Err("status: a decision needs one: approved, denied or pending".into()),
            ("seen" | "acknowledged", Some(_)) => Err("status: only a decision has one".into()),
            _ => Ok(()),
        }
    }

    fn chosen(&self) -> Vec<(&'static str, &Code)> {
        let optional = [("status", &self.status), ("justification", &self.justification)];
        let mut chosen = vec![("state", &self.state)];
        chosen.extend(optional.into_iter().filter_map(|(field, code)| Some((field, code.as_ref()?))));
        chosen
    }
}
