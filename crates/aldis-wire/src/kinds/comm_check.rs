//! Kind `comm-check`: a question whether the line works. A `machine` check the other node replies to by itself, a `human`
//! check wants a person, a `wake` check wants one also outside the hours the other side keeps for checks; the `reply` says
//! when the check arrived and how the other node is. The header's `answers` reference of a reply names the check. Never
//! confused with real traffic: it carries nothing else.

use super::{Attached, Bearing, Choice, KindBody, Summary};
use crate::codec::{Decode, Encode, Text};
use crate::codes::{Code, Extensions};
use crate::ids::UnixMillis;
use serde::{Deserialize, Serialize};

/// A check, or the reply to one.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommCheck {
    /// What it is: `machine`, `human`, `reply` or `wake`.
    pub part: Code,
    /// Words to the other side.
    #[serde(default)]
    pub text: Text<200>,
    /// With `reply`, and only there: what the replying node says about itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<CheckReply>,
    /// Fields of newer versions.
    #[serde(default, with = "super::extensions_json", skip_serializing_if = "super::extensions_json::is_empty")]
    pub extensions: Extensions,
}

/// What a node says about itself when it is checked.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckReply {
    /// When the check was stored, by the replying node's clock.
    pub received_at: UnixMillis,
    /// What that clock said when the reply was written.
    pub clock: UnixMillis,
    /// Until when the certificate it shows on links is good.
    pub certificate_valid_until: UnixMillis,
}

/// What a comm check does.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum CheckPart {
    /// It wants the other node's reply.
    Machine,
    /// It wants a person's answer.
    Human,
    /// It is the reply.
    Reply,
    /// A part of a newer version: shown, changes nothing.
    Other(Code),
    /// It wants a person's answer, also outside the hours for such checks.
    Wake,
}

impl CheckPart {
    /// Whether it wants a person's answer.
    pub fn is_human(&self) -> bool {
        matches!(self, Self::Human | Self::Wake)
    }

    /// Whether it wants the other node's reply or a person's answer.
    pub fn is_asked(&self) -> bool {
        *self == Self::Machine || self.is_human()
    }

    /// The part as it stands in a body.
    pub fn code(&self) -> Code {
        match self {
            Self::Machine => Code::known("machine"),
            Self::Human => Code::known("human"),
            Self::Reply => Code::known("reply"),
            Self::Wake => Code::known("wake"),
            Self::Other(code) => code.clone(),
        }
    }
}

impl CommCheck {
    /// The body of a check.
    pub fn check_body(part: &CheckPart, text: Text<200>) -> Vec<u8> {
        crate::codec::encode(&Self { part: part.code(), text, reply: None, extensions: Extensions::default() })
    }

    /// The body of a node's reply.
    pub fn reply_body(reply: CheckReply) -> Vec<u8> {
        crate::codec::encode(&Self {
            part: Code::known("reply"),
            text: Text::default(),
            reply: Some(reply),
            extensions: Extensions::default(),
        })
    }

    fn part(&self) -> CheckPart {
        match self.part.as_str() {
            "machine" => CheckPart::Machine,
            "human" => CheckPart::Human,
            "reply" => CheckPart::Reply,
            "wake" => CheckPart::Wake,
            _ => CheckPart::Other(self.part.clone()),
        }
    }
}

impl KindBody for CommCheck {
    const NAME: &'static str = "comm-check";
    const VERSION: u16 = 1;
    const CHOICES: &'static [Choice] = &[("part", &["machine", "human", "reply", "wake"])];

    fn summary(&self) -> Summary {
        let words = self.text.lines().next().unwrap_or_default();
        let subject = match words {
            "" => format!("comm check: {}", self.part),
            words => format!("comm check: {}: {words}", self.part),
        };
        let mut summary = Summary::plain(Bearing::Check(self.part()), &subject);
        let reply = self.reply.clone().filter(|_| self.part() == CheckPart::Reply);
        summary.attached = reply.map(Attached::Check);
        summary
    }

    fn check(&self) -> Result<(), String> {
        match (self.part(), &self.reply) {
            (CheckPart::Reply, None) => Err("reply: there must be one".into()),
            (CheckPart::Machine | CheckPart::Human | CheckPart::Wake, Some(_)) => Err("reply: a check has none".into()),
            _ => Ok(()),
        }
    }

    fn chosen(&self) -> Vec<(&'static str, &Code)> {
        vec![("part", &self.part)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Reading, from_json, read, to_json, unknown_codes};
    use serde_json::{Value, json};

    const KIND: &str = "comm-check";

    fn reply() -> Value {
        json!({"received_at": "2026-11-22T03:00:00.000Z", "clock": "2026-11-22T03:00:00.004Z",
               "certificate_valid_until": "2027-11-22T00:00:00.000Z"})
    }

    #[test]
    fn checks_want_an_answer_and_a_reply_wants_none() {
        let bodies = [
            (json!({"part": "machine", "text": ""}), CheckPart::Machine, true),
            (json!({"part": "human", "text": "please confirm"}), CheckPart::Human, true),
            (json!({"part": "wake", "text": "please confirm, also at night"}), CheckPart::Wake, true),
            (json!({"part": "reply", "text": "", "reply": reply()}), CheckPart::Reply, false),
        ];
        for (body, part, wants) in bodies {
            let written = from_json(KIND, 1, body.clone()).unwrap();
            let Reading::Understood(summary) = read(&Code::known(KIND), 1, &written.bytes) else { panic!("{body}") };
            assert_eq!((summary.bearing.wants_answer(), summary.attached.is_some()), (wants, !wants));
            assert_eq!(summary.bearing, Bearing::Check(part.clone()));
            assert_eq!(to_json(&Code::known(KIND), 1, &written.bytes).unwrap(), body);
        }
        let written = from_json(KIND, 1, json!({"part": "reply", "reply": reply()})).unwrap();
        assert_eq!(CommCheck::reply_body(serde_json::from_value(reply()).unwrap()), written.bytes);
        let written = from_json(KIND, 1, json!({"part": "wake", "text": "words"})).unwrap();
        assert_eq!(CommCheck::check_body(&CheckPart::Wake, Text::cut("words")), written.bytes);
    }

    #[test]
    fn i7_a_check_with_a_reply_and_a_reply_without_are_malformed() {
        let defects = [
            json!({"part": "machine", "reply": reply()}),
            json!({"part": "human", "reply": reply()}),
            json!({"part": "wake", "reply": reply()}),
            json!({"part": "reply"}),
            json!({"part": "reply", "reply": {"received_at": "2026-11-22T03:00:00.000Z"}}),
            json!({"part": "machine", "text": "t".repeat(201)}),
            json!({"part": "machine", "surprise": 1}),
            json!({"part": "telepathy"}),
            json!({}),
        ];
        for defect in defects {
            assert!(from_json(KIND, 1, defect.clone()).is_err(), "{defect}");
        }
        assert!(from_json(KIND, 1, json!({"part": "machine", "text": "t".repeat(200)})).is_ok());
        let written = from_json(KIND, 1, json!({"part": "reply", "reply": reply()})).unwrap();
        let good: CommCheck = crate::codec::decode(&written.bytes).unwrap();
        let part = Code::known("human");
        let reading = |body: &CommCheck| read(&Code::known(KIND), 1, &crate::codec::encode(body));
        assert!(matches!(reading(&CommCheck { part, ..good.clone() }), Reading::Malformed(_)));
        assert!(matches!(reading(&CommCheck { reply: None, ..good }), Reading::Malformed(_)));
    }

    #[test]
    fn i10_a_part_of_a_newer_version_is_kept_and_wants_no_answer() {
        let written = from_json(KIND, 1, json!({"part": "reply", "reply": reply()})).unwrap();
        for reply in [None, crate::codec::decode::<CommCheck>(&written.bytes).unwrap().reply] {
            let part = Code::known("telepathy");
            let body =
                CommCheck { part: part.clone(), text: Text::default(), reply, extensions: Extensions::default() };
            let bytes = crate::codec::encode(&body);
            let Reading::Understood(summary) = read(&Code::known(KIND), 1, &bytes) else { panic!("{body:?}") };
            assert!(!summary.bearing.wants_answer());
            assert_eq!(summary.bearing, Bearing::Check(CheckPart::Other(part)));
            assert_eq!(unknown_codes(&Code::known(KIND), 1, &bytes), ["part: telepathy"]);
        }
    }
}
