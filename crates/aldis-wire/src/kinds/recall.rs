//! Kinds `recall` and `tombstone`: taking a message back. A `recall` asks the other side's operator to erase a message;
//! the header's `recalls` reference names it. A `tombstone` is what the other node says once it has: its header's
//! `answers` reference names the recall and its `recalls` reference the message, whose header and proof stay.

use super::{Answer, Bearing, Choice, KindBody, Summary};
use crate::codec::{Decode, Encode, Text};
use crate::codes::{Code, Extensions};
use crate::ids::UnixMillis;
use serde::{Deserialize, Serialize};

/// A request to erase a message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recall {
    /// Why: `sent-in-error`, `wrong-recipient`, `wrong-label`, `overtaken` or `other`.
    pub reason: Code,
    /// Words to the other side.
    #[serde(default)]
    pub text: Text<1000>,
    /// Fields of newer versions.
    #[serde(default, with = "super::extensions_json", skip_serializing_if = "super::extensions_json::is_empty")]
    pub extensions: Extensions,
}

/// What stands in the place of an erased message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tombstone {
    /// When the body was erased.
    pub erased_at: UnixMillis,
    /// The furthest state the message had come to: `stored`, `notified`, `seen`, `acknowledged` or `decided`.
    pub reached: Code,
    /// Whether its content had left the node before it was erased; what is outside, nobody erased.
    pub exported: bool,
    /// Words to the other side.
    #[serde(default)]
    pub text: Text<1000>,
    /// Fields of newer versions.
    #[serde(default, with = "super::extensions_json", skip_serializing_if = "super::extensions_json::is_empty")]
    pub extensions: Extensions,
}

impl Tombstone {
    /// The body that says a message was erased.
    pub fn body(erased_at: UnixMillis, reached: Code, exported: bool, text: &str) -> Vec<u8> {
        let text = Text::cut(text);
        crate::codec::encode(&Self { erased_at, reached, exported, text, extensions: Extensions::default() })
    }
}

impl KindBody for Recall {
    const NAME: &'static str = "recall";
    const VERSION: u16 = 1;
    const CHOICES: &'static [Choice] =
        &[("reason", &["sent-in-error", "wrong-recipient", "wrong-label", "overtaken", "other"])];

    fn summary(&self) -> Summary {
        let words = self.text.lines().next().unwrap_or_default();
        let subject = match words {
            "" => format!("recall: {}", self.reason),
            words => format!("recall: {}: {words}", self.reason),
        };
        Summary::plain(Bearing::Recall, &subject)
    }

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn chosen(&self) -> Vec<(&'static str, &Code)> {
        vec![("reason", &self.reason)]
    }
}

impl KindBody for Tombstone {
    const NAME: &'static str = "tombstone";
    const VERSION: u16 = 1;
    const CHOICES: &'static [Choice] = &[("reached", &["stored", "notified", "seen", "acknowledged", "decided"])];

    fn summary(&self) -> Summary {
        let exported = if self.exported { ", after it was exported" } else { "" };
        let subject = format!("erased at {}, was {}{exported}", self.erased_at, self.reached);
        Summary::plain(Bearing::Answer(Answer::Decided(Code::known("approved"))), &subject)
    }

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn chosen(&self) -> Vec<(&'static str, &Code)> {
        vec![("reached", &self.reached)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Reading, from_json, read, to_json, unknown_codes};
    use serde_json::{Value, json};

    fn tombstone() -> Value {
        json!({"erased_at": "2026-11-22T03:00:00.000Z", "reached": "seen", "exported": true, "text": ""})
    }

    #[test]
    fn a_recall_survives_json_and_bytes_and_wants_an_answer() {
        let body = json!({"reason": "wrong-recipient", "text": "meant for another\nsorry"});
        let written = from_json("recall", 1, body.clone()).unwrap();
        assert_eq!(written.summary.bearing, Bearing::Recall);
        assert!(written.summary.bearing.wants_answer());
        assert_eq!(written.summary.subject.as_str(), "recall: wrong-recipient: meant for another");
        assert_eq!(to_json(&Code::known("recall"), 1, &written.bytes).unwrap(), body);
    }

    #[test]
    fn a_tombstone_approves_the_recall() {
        let written = from_json("tombstone", 1, tombstone()).unwrap();
        assert_eq!(written.summary.bearing, Bearing::Answer(Answer::Decided(Code::known("approved"))));
        assert_eq!(to_json(&Code::known("tombstone"), 1, &written.bytes).unwrap(), tombstone());
        let erased_at = "2026-11-22T03:00:00.000Z".parse().unwrap();
        assert_eq!(Tombstone::body(erased_at, Code::known("seen"), true, ""), written.bytes);
    }

    #[test]
    fn i7_neither_is_longer_than_allowed_or_says_more_than_it_can() {
        let with = |text: String| from_json("recall", 1, json!({"reason": "other", "text": text}));
        assert!(with("t".repeat(1000)).is_ok());
        assert!(with("t".repeat(1001)).is_err());
        for defect in [json!({}), json!({"reason": "regret"}), json!({"reason": "other", "message": "1"})] {
            assert!(from_json("recall", 1, defect.clone()).is_err(), "{defect}");
        }
        let defects = [
            ("reached", json!("erased")),
            ("exported", json!(2)),
            ("text", json!("t".repeat(1001))),
            ("erased_at", json!("yesterday")),
        ];
        for (field, value) in defects {
            let mut defect = tombstone();
            defect[field] = value;
            assert!(from_json("tombstone", 1, defect).is_err(), "{field}");
        }
    }

    #[test]
    fn i10_a_reason_and_a_state_of_a_newer_version_are_kept() {
        let reason = Code::known("regret");
        let recall = Recall { reason, text: Text::default(), extensions: Extensions::default() };
        let bodies = [
            ("recall", crate::codec::encode(&recall), "reason: regret"),
            ("tombstone", Tombstone::body(UnixMillis::new(1), Code::known("framed"), false, ""), "reached: framed"),
        ];
        for (kind, bytes, unknown) in bodies {
            let kind = Code::known(kind);
            assert!(matches!(read(&kind, 1, &bytes), Reading::Understood(_)), "{kind}");
            assert_eq!(unknown_codes(&kind, 1, &bytes), [unknown]);
        }
    }
}
