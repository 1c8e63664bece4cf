//! What the journal holds of a message beside its row: the body, its summary, its JSON form, its header and proof.

use aldis_control::{AnswerStatus, BodyAbsence};
use aldis_core::record::{Received, Record, Sent};
use aldis_wire::attachment::{ATTACHMENTS_MAX, Attachment};
use aldis_wire::codec::{self, List};
use aldis_wire::envelope::{Salt, WithheldReason};
use aldis_wire::header::ExactHeader;
use aldis_wire::ids::UnixMillis;
use aldis_wire::kinds::{self, Reading};
use aldis_wire::proof::Proof;
use serde_json::Value;

use super::{Found, Query, QueryError, Red};
use crate::journal::{Body, ReadError, RecordSeq};
use bytes::Bytes;

/// The salt of the commitment stands in front of each body in the journal.
const SALT_BYTES: usize = size_of::<Salt>();

/// What lists show of a body.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) subject: String,
    pub(super) stage: Option<String>,
    pub(super) reply_by: Option<UnixMillis>,
    /// The files that it names, also where a list withholds what they are.
    pub(super) attachments: List<Attachment, ATTACHMENTS_MAX>,
}

/// What the journal holds of a message.
#[derive(Debug)]
pub(super) struct Journalled {
    pub(super) header: ExactHeader,
    pub(super) proof: Option<Proof>,
    /// Who submitted it, for one of ours.
    pub(super) by: Option<String>,
}

impl Query {
    /// What lists show of a message; nothing where the body is gone or not understood. Damage in the journal is shown
    /// with the message itself, so that one damaged place does not take a list away.
    pub(super) fn summary(&self, found: &Found, red: Red) -> Result<Shown, QueryError> {
        // Stage and deadline tell nobody what it is about, and without the deadline nothing would be late.
        let Some(body) = self.body(found, Red::Shown)?.ok() else { return Ok(Shown::default()) };
        let message = &found.message;
        Ok(match kinds::read(&message.kind, message.kind_version, &body) {
            Reading::Understood(summary) => Shown {
                subject: if red.withholds(found) { String::new() } else { summary.subject.to_string() },
                stage: summary.stage.map(|stage| stage.to_string()),
                reply_by: summary.reply_by,
                attachments: summary.attachments,
            },
            Reading::UnknownKind | Reading::UnknownVersion | Reading::Malformed(_) => Shown::default(),
        })
    }

    /// The JSON form of a body, or why there is none.
    pub(super) fn json(&self, found: &Found, red: Red) -> Result<Result<Value, BodyAbsence>, QueryError> {
        let message = &found.message;
        let body = match self.body(found, red)? {
            Ok(body) => body,
            Err(absence) => return Ok(Err(absence)),
        };
        if let Some(json) = kinds::to_json(&message.kind, message.kind_version, &body) {
            return Ok(Ok(json));
        }
        let (kind, version) = (&message.kind, message.kind_version);
        Ok(Err(match kinds::read(kind, version, &body) {
            Reading::UnknownVersion => {
                absence("unknown-kind-version", format!("this node does not read version {version} of kind `{kind}`"))
            }
            Reading::Malformed(what) => absence("malformed-body", format!("the body is not a `{kind}`: {what}")),
            _ => absence("unknown-kind", format!("this node does not know the kind `{kind}`")),
        }))
    }

    /// The codes in a message that this node does not know.
    pub(super) fn unknown_codes(&self, found: &Found, red: Red) -> Result<Vec<String>, QueryError> {
        let message = &found.message;
        Ok(match self.body(found, red)? {
            Ok(body) => kinds::unknown_codes(&message.kind, message.kind_version, &body),
            Err(_) => Vec::new(),
        })
    }

    /// Header and proof of a message; `None` where the journal is damaged.
    pub(super) fn journalled(&self, found: &Found) -> Result<Option<Journalled>, QueryError> {
        let record = match self.reader.read(RecordSeq(found.message.record)) {
            Ok(record) => record,
            Err(ReadError::Damaged(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (header, proof, by) = match Record::decode(&record.record) {
            Ok(Record::Sent(Sent { draft, proof })) => (draft.header, proof, Some(draft.by.to_string())),
            Ok(Record::Received(found) | Record::Recovered(found)) => {
                let Received { header, proof, .. } = found;
                (header, proof, None)
            }
            _ => return Ok(None),
        };
        Ok(Some(Journalled { header, proof: codec::decode(&proof).ok(), by }))
    }

    /// The bytes of a body, or why they are not there.
    fn body(&self, found: &Found, red: Red) -> Result<Result<Bytes, BodyAbsence>, QueryError> {
        if red.withholds(found) {
            return Ok(Err(super::red::withheld(&found.id)));
        }
        let record = match self.reader.read(RecordSeq(found.message.record)) {
            Ok(record) => record,
            Err(ReadError::Damaged(finding)) => return Ok(Err(absence("journal-damaged", finding.to_string()))),
            Err(error) => return Err(error.into()),
        };
        Ok(match record.body {
            Body::Present(bytes) if Record::decode(&record.record).is_ok_and(|it| it.commits_to(Some(&bytes))) => {
                Ok(bytes.slice(SALT_BYTES..))
            }
            Body::Present(_) => Err(absence("journal-damaged", "the body was changed on this node's disk".to_owned())),
            Body::Erased => Err(absence("erased", "it was erased here; header and proofs are kept".to_owned())),
            Body::None => Err(withheld(found.message.withheld)),
        })
    }
}

/// Reads a decision that this version of the API can say.
pub(super) fn known_status(status: &str) -> Option<AnswerStatus> {
    match status {
        "approved" => Some(AnswerStatus::Approved),
        "denied" => Some(AnswerStatus::Denied),
        "pending" => Some(AnswerStatus::Pending),
        _ => None,
    }
}

fn withheld(reason: Option<u16>) -> BodyAbsence {
    match reason.map(WithheldReason) {
        Some(WithheldReason::EXPIRED) => {
            absence("expired-before-relay", "it expired before the sender could relay it".to_owned())
        }
        Some(WithheldReason::RECALLED) => absence("recalled", "the sender took it back before relaying it".to_owned()),
        Some(WithheldReason::ERASED) => absence("erased-at-sender", "the sender had erased it".to_owned()),
        Some(WithheldReason(code)) => absence("withheld", format!("the sender left it out, with code {code}")),
        None => absence("withheld", "it never came".to_owned()),
    }
}

fn absence(code: &str, text: String) -> BodyAbsence {
    BodyAbsence { code: code.to_owned(), text }
}
