//! Messages as people review them: rows of a list, one in full, a case, a page of the log.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{AnswerStatus, AnswerView, AttachmentView, LadderMark, MessageId, Precedence, Tlp, UnixMillis};

/// One message in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MessageRow {
    /// Its name.
    pub id: MessageId,
    /// Received or sent.
    pub direction: Direction,
    /// The node at the other end.
    pub peer: String,
    /// What the body is, such as `incident`.
    pub kind: String,
    /// The lane.
    pub precedence: Precedence,
    /// The marking.
    pub tlp: Tlp,
    /// The desk it is for.
    pub desk: String,
    /// The case, 26 characters.
    pub case: String,
    /// One line that says what it is about; empty when the kind has none, when the body is gone, and for TLP:RED in every
    /// list: only opening the message shows it.
    pub subject: String,
    /// When the sender signed it, by the sender's clock.
    pub sent_at: UnixMillis,
    /// When it was stored here, for a received one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_at: Option<UnixMillis>,
    /// How far it has come.
    pub state: DeliveryState,
    /// What was decided, once the state is `decided`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<AnswerStatus>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// Whether a deadline has passed.
    #[serde(default)]
    pub late: bool,
    /// How it stands on the ladder, as long as somebody waits for something about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ladder: Option<LadderMark>,
    /// The exercise it belongs to; absent means it is real (I12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exercise: Option<String>,
    /// NIS2 stage, for an incident that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// The later message that takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<MessageId>,
    /// The latest message with which its sender asks to erase it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recalled_by: Option<MessageId>,
    /// Until when an answer is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_by: Option<UnixMillis>,
    /// Until when it may wait to be delivered.
    pub expires_at: UnixMillis,
    /// Why it waits, for one that is not sent now: `peer-suspended` or `peer-revoked`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// When its sender was revoked here, for one that came before that. Its signature holds as it always did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_revoked_at: Option<UnixMillis>,
    /// Who opened it here, oldest first, the latest few; only TLP:RED has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opened: Vec<Opening>,
    /// The files it names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<AttachmentView>,
    /// Who gave it out of this node's care; the latest. The message's history has them too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exported: Vec<ExportMark>,
}

/// That somebody here opened a TLP:RED message. It was on record before they saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Opening {
    /// When.
    pub at: UnixMillis,
    /// The Unix user, with its number.
    pub by: String,
}

/// That somebody here gave a message out of the node's care. It was on record before a byte of it left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExportMark {
    /// When.
    pub at: UnixMillis,
    /// The Unix user, with its number.
    pub by: String,
    /// Whether its body went too, and not only header and proof.
    pub bodies: bool,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Received.
    In,
    /// Sent.
    Out,
}

/// The fate of one envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// Signed and on stable storage at the sender.
    Submitted,
    /// Handed to the link.
    Relayed,
    /// On stable storage at the recipient, proven by its receipt.
    Stored,
    /// Shown or signalled to people at the recipient.
    Notified,
    /// A person has opened it.
    Seen,
    /// A person has said they have it.
    Acknowledged,
    /// A person has accepted or declined it, or set it pending.
    Decided,
    /// The recipient's node will not process it.
    Refused,
    /// Its time passed before it was delivered.
    Expired,
    /// The sender took it back.
    Recalled,
    /// It answers something that has not arrived yet, and waits for it.
    Held,
    /// A person had said they have it, and then nobody decided in time: it is open again.
    Reopened,
}

/// A node's coded "I will not process this".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refusal {
    /// A stable word for programs.
    pub code: String,
    /// What it means.
    pub text: String,
}

/// A link from one message to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// `answers`, `supersedes` or `relates`; `recalls` where a message is taken back.
    pub role: String,
    /// The other message; `cert.br/P17` is accepted for one received here.
    pub id: String,
}

/// One message in full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MessageView {
    /// What a list shows of it.
    #[serde(flatten)]
    pub row: MessageRow,
    /// Name or function of the person who wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The second person who let it go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_by: Option<String>,
    /// The third party in whose name it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// The other recipients.
    #[serde(default)]
    pub also_to: Vec<String>,
    /// Other messages it refers to.
    #[serde(default)]
    pub references: Vec<Reference>,
    /// The JSON form of the kind; absent when `body_absent` says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<serde_json::Value>,
    /// Why there is no body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_absent: Option<BodyAbsence>,
    /// Digest of its header, in hex.
    pub digest: String,
    /// Its place in the batch that was signed.
    pub proof: ProofSummary,
    /// Extensions of the body that this node does not know, kept as they came.
    #[serde(default)]
    pub extensions: Vec<Extension>,
    /// What happened to it, oldest first.
    #[serde(default)]
    pub history: Vec<HistoryEntry>,
    /// What people said about it, oldest first.
    #[serde(default)]
    pub answers: Vec<AnswerView>,
    /// The receipt that covers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<ReceiptView>,
    /// Codes in the body that this node does not know.
    #[serde(default)]
    pub unknown_codes: Vec<String>,
}

/// Why a message has no body to show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BodyAbsence {
    /// A stable word, such as `erased`, `unknown-kind`, `expired-before-relay`, or `tlp-red` in a list of whole messages.
    pub code: String,
    /// What it means.
    pub text: String,
}

/// A message's place in the batch that was signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProofSummary {
    /// Headers in the batch.
    pub batch_size: u64,
    /// This header's place in it, from 0.
    pub index: u64,
}

/// An extension this node does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Extension {
    /// Its number.
    pub tag: u64,
    /// Its bytes, in hex.
    pub hex: String,
}

/// One step in the life of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryEntry {
    /// When.
    pub at: UnixMillis,
    /// What it became, or still was.
    pub state: DeliveryState,
    /// The step of a ladder that was taken, here or at the peer, if that is what happened; 0 tells that it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u8>,
    /// What brought it about.
    pub cause: String,
    /// Who, when a person or node did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The receipt that covers a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceiptView {
    /// When the recipient stored it, by the recipient's clock.
    pub stored_at: UnixMillis,
    /// The lane.
    pub lane: Precedence,
    /// The highest sequence number the receipt covers.
    pub seq: u64,
    /// Digest of the header at that number, in hex.
    pub digest: String,
}

/// A case with its messages, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CaseView {
    /// The case, 26 characters.
    pub case: String,
    /// Its messages, oldest first.
    pub messages: Vec<MessageView>,
}

/// What to list of the inbox or the outbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Also what needs nothing any more.
    #[serde(default)]
    pub all: bool,
    /// Only this peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Only this exercise; any exercise when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exercise: Option<String>,
    /// Only what is no exercise.
    #[serde(default)]
    pub real: bool,
}

/// Names a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MessageQuery {
    /// `cert.br/cert.cl/P17`, or `cert.br/P17` for one received here.
    pub id: String,
}

/// Names a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CaseQuery {
    /// 26 characters, or a prefix of at least 6.
    pub id: String,
}

/// What to search the log for; every condition given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LogQuery {
    /// Only this peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Only this case, 26 characters or a prefix of at least 6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// Only this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Only this exercise; any exercise when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exercise: Option<String>,
    /// Only what is no exercise.
    #[serde(default)]
    pub real: bool,
    /// Only at or after this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<UnixMillis>,
    /// Only before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UnixMillis>,
    /// Only where subject or text contain this, in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// At most so many rows; the daemon has its own ceiling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `next` of an earlier page, to go on from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// A page of the log, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogPage {
    /// The rows.
    pub rows: Vec<MessageRow>,
    /// Hand this over as `before` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl DeliveryState {
    /// Every state, in the order a message goes through them.
    pub const ALL: [Self; 12] = [
        Self::Submitted,
        Self::Relayed,
        Self::Stored,
        Self::Notified,
        Self::Seen,
        Self::Acknowledged,
        Self::Decided,
        Self::Refused,
        Self::Expired,
        Self::Recalled,
        Self::Held,
        Self::Reopened,
    ];

    /// The word used in JSON and shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Relayed => "relayed",
            Self::Stored => "stored",
            Self::Notified => "notified",
            Self::Seen => "seen",
            Self::Acknowledged => "acknowledged",
            Self::Decided => "decided",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Recalled => "recalled",
            Self::Held => "held",
            Self::Reopened => "reopened",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shown_word_is_the_word_in_json() {
        for state in DeliveryState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
