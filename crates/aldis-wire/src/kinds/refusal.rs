//! Kind `refusal`: a node's coded "I will not process this". Made by the machine; the header's `answers` reference names
//! what is refused. A refused envelope keeps its place and its receipt.

use super::{Bearing, Choice, KindBody, Summary};
use crate::codec::{Decode, Encode, List, Text};
use crate::codes::{Code, Extensions};
use serde::{Deserialize, Serialize};

/// The refusal codes of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalCode {
    /// The kind is not known.
    UnknownKind,
    /// The kind is known, the version is not.
    UnknownKindVersion,
    /// The body is not the structure its kind says.
    MalformedBody,
    /// The desk is not known.
    UnknownDesk,
    /// An answer to something that was never sent.
    UnknownReference,
    /// An answer to something already decided.
    AlreadyDecided,
    /// Exercise traffic answering real traffic, or the reverse.
    ExerciseMismatch,
    /// The answer waited longer than allowed for what it answers.
    HeldTooLong,
    /// A card or key that is not taken.
    CardNotTaken,
    /// It is not within the terms.
    NotAgreed,
    /// It is more than the terms allow in an hour or a day.
    OverRate,
    /// Terms that are not taken.
    TermsNotTaken,
    /// A line of a conversation that is not open.
    NoSession,
    /// A recall of what cannot be recalled.
    NotRecallable,
    /// A human comm check outside the hours for such checks.
    NotNow,
    /// The opening of a hotline that gave way to one of ours.
    Crossed,
    /// Too many messages of its sender wait for an answer.
    TooManyUnanswered,
    /// It names an attachment that is larger than the terms allow.
    AttachmentTooLarge,
    /// It names more bytes of attachments than are taken of its sender.
    AttachmentQuota,
}

impl RefusalCode {
    /// Every code, for the vocabulary and its test.
    pub const ALL: [Self; 19] = [
        Self::UnknownKind,
        Self::UnknownKindVersion,
        Self::MalformedBody,
        Self::UnknownDesk,
        Self::UnknownReference,
        Self::AlreadyDecided,
        Self::ExerciseMismatch,
        Self::HeldTooLong,
        Self::CardNotTaken,
        Self::NotAgreed,
        Self::OverRate,
        Self::TermsNotTaken,
        Self::NoSession,
        Self::NotRecallable,
        Self::NotNow,
        Self::Crossed,
        Self::TooManyUnanswered,
        Self::AttachmentTooLarge,
        Self::AttachmentQuota,
    ];

    /// The code word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownKind => "unknown-kind",
            Self::UnknownKindVersion => "unknown-kind-version",
            Self::MalformedBody => "malformed-body",
            Self::UnknownDesk => "unknown-desk",
            Self::UnknownReference => "unknown-reference",
            Self::AlreadyDecided => "already-decided",
            Self::ExerciseMismatch => "exercise-mismatch",
            Self::HeldTooLong => "held-too-long",
            Self::CardNotTaken => "card-not-taken",
            Self::NotAgreed => "not-agreed",
            Self::OverRate => "over-rate",
            Self::TermsNotTaken => "terms-not-taken",
            Self::NoSession => "no-session",
            Self::NotRecallable => "not-recallable",
            Self::NotNow => "not-now",
            Self::Crossed => "crossed",
            Self::TooManyUnanswered => "too-many-unanswered",
            Self::AttachmentTooLarge => "attachment-too-large",
            Self::AttachmentQuota => "attachment-quota",
        }
    }

    /// The code as it stands in a body.
    pub fn code(self) -> Code {
        Code::known(self.as_str())
    }

    /// What the code means, for people.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::UnknownKind => "this node does not know that kind of message",
            Self::UnknownKindVersion => "this node does not read that version of the kind",
            Self::MalformedBody => "the body is not what its kind prescribes",
            Self::UnknownDesk => "this node has no such desk",
            Self::UnknownReference => "it answers something this node never sent or received",
            Self::AlreadyDecided => "what it answers is already decided",
            Self::ExerciseMismatch => "an exercise can be answered only by exercise, and real traffic only by real",
            Self::HeldTooLong => "what it answers did not arrive in time",
            Self::CardNotTaken => "the card is not one this node takes from the sender",
            Self::NotAgreed => "it is not within the terms between the two nodes",
            Self::OverRate => "it is more than the terms between the two nodes allow in that time",
            Self::TermsNotTaken => "the terms are not newer than those known here, or have run out",
            Self::NoSession => "no hotline is open between the two nodes that the line belongs to",
            Self::NotRecallable => "it names nothing of the sender's that is here, or what cannot be recalled",
            Self::NotNow => "people here are checked only in the hours this node keeps for it",
            Self::Crossed => "both sides opened a hotline at once, and the other one stays",
            Self::TooManyUnanswered => "too many messages of the sender wait for an answer here; call them",
            Self::AttachmentTooLarge => "an attachment is larger than the terms between the two nodes allow",
            Self::AttachmentQuota => "this node takes no more attachments of the sender until it has erased some",
        }
    }
}

/// A coded refusal.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// Why.
    pub code: Code,
    /// Why, in words.
    #[serde(default)]
    pub text: Text<500>,
    /// Fields of newer versions.
    #[serde(default, with = "super::extensions_json", skip_serializing_if = "super::extensions_json::is_empty")]
    pub extensions: Extensions,
}

impl Refusal {
    /// The encoded body of a refusal and nothing more than its code and explanation.
    pub fn body(code: RefusalCode, detail: &str) -> Vec<u8> {
        let text = match detail {
            "" => code.explanation().to_owned(),
            detail => format!("{}: {detail}", code.explanation()),
        };
        let refusal = Self { code: code.code(), text: Text::cut(&text), extensions: Extensions::default() };
        crate::codec::encode(&refusal)
    }
}

impl KindBody for Refusal {
    const NAME: &'static str = "refusal";
    const VERSION: u16 = 1;
    const CHOICES: &'static [Choice] = &[(
        "code",
        &[
            "unknown-kind",
            "unknown-kind-version",
            "malformed-body",
            "unknown-desk",
            "unknown-reference",
            "already-decided",
            "exercise-mismatch",
            "held-too-long",
            "card-not-taken",
            "not-agreed",
            "over-rate",
            "terms-not-taken",
            "no-session",
            "not-recallable",
            "not-now",
            "crossed",
            "too-many-unanswered",
            "attachment-too-large",
            "attachment-quota",
        ],
    )];

    fn summary(&self) -> Summary {
        Summary {
            bearing: Bearing::Refusal(self.code.clone()),
            subject: Text::cut(&self.text),
            stage: None,
            reply_by: None,
            attached: None,
            attachments: List::empty(),
        }
    }

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn chosen(&self) -> Vec<(&'static str, &Code)> {
        vec![("code", &self.code)]
    }
}
