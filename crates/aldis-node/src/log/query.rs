//! Searching the message log, for the control API: lists, one message in full, a case, pages of the log. Every answer is
//! bounded. Rows say where a message stands; its body, and all that lists show of it, is read from the journal each time,
//! so that an erased body is gone everywhere at once. Text is passed on as it came: whoever shows it escapes it.
//!
//! Messages for a desk that whoever asks may not read are left out of every list, here and in one place: `found` does not
//! find them. What a TLP:RED message says is read only to be opened; see `red`.

mod bodies;
mod cases;
mod evidence;
mod exports;
mod files;
mod hotline;
mod lists;
mod recalls;
mod red;
mod search;
mod traffic;
mod view;

pub use evidence::Exhibit;
pub use files::NamedFile;
pub use hotline::{Conversation, TURNS_SHOWN_MAX, mark_read};
pub use recalls::Recalled;
pub use red::Locked;

use std::sync::Arc;

use aldis_control::{
    ApiError, DeliveryState, Direction, Exit, InvalidMessageId, MessageId, MessageRef, MessageRow, Precedence, Refusal,
    Tlp,
};
use aldis_wire::codec::{Decode, Encode};
use aldis_wire::codes::{self, Desk};
use aldis_wire::digest::Digest;
use aldis_wire::envelope::WithheldReason;
use aldis_wire::ids::{CaseId, EnvelopeId, NodeId, Seq, UnixMillis};
use aldis_wire::lane::Lane;

use super::changes::explanation;
use super::pending::{decode, unexpected};
use super::rows::{End, Message, Stream, Way, message_key, parse_name, stream_key};
use super::scan::{Direction as Order, PAGE_ROWS_MAX};
use red::Red;

use super::follow::LogSettings;
use super::status::LogStatus;
use super::store::{Store, StoreError};
use crate::access::{Desks, WHO_CHANGES_IT};
use crate::attachments::Attachments;
use crate::clock::Clock;
use crate::journal::{ReadError, Reader};

/// The most rows of a list or a page.
pub const LIST_ROWS_MAX: usize = 500;
/// The most rows that one search looks at; a page may then hold fewer rows than asked for, and say where to go on.
pub const SEARCH_ROWS_MAX: usize = 5_000;
/// The most messages of one case that are shown: the latest.
pub const CASE_MESSAGES_MAX: usize = 500;
/// The fewest characters of a case that are taken for a prefix.
pub const CASE_PREFIX_MIN: usize = 6;

/// A view of the log for searching. It blocks on the disk.
#[derive(Debug)]
pub struct Query {
    store: Arc<Store>,
    reader: Reader,
    own: NodeId,
    clock: Clock,
    attachments: Attachments,
    /// Whose messages are shown.
    desks: Desks,
}

/// Why a search has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The log is opening, being built again, or not available.
    #[error("the message log cannot be searched now: {}", describe(.0))]
    NotReady(LogStatus),
    /// The text names no message.
    #[error(transparent)]
    InvalidId(#[from] InvalidMessageId),
    /// No such message.
    #[error("there is no message {0}")]
    NoMessage(String),
    /// No such case.
    #[error("there is no case {0}")]
    NoCase(String),
    /// The message names no such file, or its body is gone and the files with it.
    #[error("{message} has no file {number}")]
    NoFile {
        /// The message.
        message: EnvelopeId,
        /// Which place in it.
        number: u32,
    },
    /// The text is no case.
    #[error("`{0}` is not a case: give its 26 letters and digits, or at least the first {CASE_PREFIX_MIN}")]
    InvalidCase(String),
    /// The prefix fits several cases.
    #[error("`{prefix}` fits several cases, among them {one} and {other}")]
    AmbiguousCase {
        /// What was asked for.
        prefix: String,
        /// One that fits.
        one: CaseId,
        /// Another.
        other: CaseId,
    },
    /// The message is for a desk that whoever asks may not read.
    #[error("{0} is for the desk {1}, which you may not read")]
    MissingDesk(EnvelopeId, Desk),
    /// All messages of the case are for such desks.
    #[error("the messages of case {0} are for desks that you may not read")]
    CaseMissingDesk(CaseId),
    /// A parameter makes no sense.
    #[error("{what}: {why}")]
    Parameter {
        /// Which.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// What is on record does not suffice for evidence.
    #[error("no evidence can be made: {0}")]
    Unprovable(String),
    /// The store is at fault.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal is at fault.
    #[error(transparent)]
    Journal(#[from] ReadError),
}

/// How many messages wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Received notices that nobody has answered.
    pub waiting_in: u64,
    /// Sent messages that are not on the peer's disk.
    pub waiting_out: u64,
}

/// A message with its row.
#[derive(Clone, Debug)]
struct Found {
    id: EnvelopeId,
    message: Message,
}

impl Query {
    pub(super) fn new(store: Arc<Store>, reader: Reader, settings: &LogSettings, clock: Clock) -> Self {
        let LogSettings { own, attachments, .. } = settings.clone();
        Self { store, reader, own, clock, attachments, desks: Desks::All }
    }

    /// The same, of messages for these desks alone.
    #[must_use]
    pub fn within(self, desks: Desks) -> Self {
        Self { desks, ..self }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn reader(&self) -> &Reader {
        &self.reader
    }

    pub(super) fn own(&self) -> &NodeId {
        &self.own
    }

    /// Where an envelope stands in the journal, for the peer that asks it back; and why its body is left out, if what became of
    /// it says so: a message that expired or was taken back went without, and what the peer said it has erased stays erased.
    /// Of ours only what the peer has receipted is its history: the rest it may never get.
    pub(crate) fn past(&self, id: &EnvelopeId) -> Result<Option<(u64, Option<WithheldReason>)>, QueryError> {
        let Some(message) = self.get::<Message>(&message_key(id))? else { return Ok(None) };
        if id.from == self.own {
            let stream = self.get::<Stream>(&stream_key(&id.from, &id.to, id.lane))?;
            if stream.is_none_or(|stream| stream.receipted < id.seq.get()) {
                return Ok(None);
            }
        }
        let body_is_here = || match self.reader.read(crate::journal::RecordSeq(message.record)) {
            Ok(record) => matches!(record.body, crate::journal::Body::Present(_)),
            Err(_) => false,
        };
        let left_out = match (&message.end, message.way) {
            (Some(End::Expired), Way::Out) => Some(WithheldReason::EXPIRED),
            (Some(End::Recalled), Way::Out) if body_is_here() => Some(WithheldReason::ERASED),
            (Some(End::Recalled), Way::Out) => Some(WithheldReason::RECALLED),
            _ => None,
        };
        Ok(Some((message.record, left_out)))
    }

    /// The id a person means: in full, or without the recipient for one received here.
    pub fn resolve(&self, text: &str) -> Result<EnvelopeId, QueryError> {
        let named: MessageRef = text.parse()?;
        let id = named.resolve(self.own.as_str());
        let invalid = || QueryError::InvalidId(InvalidMessageId(text.chars().take(80).collect()));
        Ok(EnvelopeId {
            from: NodeId::new(&id.from).map_err(|_| invalid())?,
            to: NodeId::new(&id.to).map_err(|_| invalid())?,
            lane: lane(id.lane),
            seq: Seq::new(id.seq).ok_or_else(invalid)?,
        })
    }

    /// One message as lists show it.
    pub fn message_row(&self, id: &EnvelopeId) -> Result<MessageRow, QueryError> {
        self.row_of(&self.find(id)?, Red::Withheld)
    }

    /// The digest of a message's header, its desk, and the message as lists show it.
    pub fn on_record(&self, id: &EnvelopeId) -> Result<(Digest, Desk, MessageRow), QueryError> {
        let found = self.find(id)?;
        Ok((found.message.digest, Desk(found.message.desk), self.row_of(&found, Red::Withheld)?))
    }

    fn find(&self, id: &EnvelopeId) -> Result<Found, QueryError> {
        let message: Message = self.get(&message_key(id))?.ok_or_else(|| QueryError::NoMessage(id.to_string()))?;
        if !self.may_read(&message) {
            return Err(QueryError::MissingDesk(id.clone(), Desk(message.desk)));
        }
        Ok(Found { id: id.clone(), message })
    }

    /// The message an index row names, unless it is for a desk that is not read here. One that is missing is damage, which
    /// building the log again cures.
    fn found(&self, index_key: &[u8], name: &[u8]) -> Result<Option<Found>, QueryError> {
        let damaged = |what: &str| unexpected(&self.store, index_key, what.to_owned());
        let id = parse_name(name).ok_or_else(|| damaged("no name"))?;
        let message: Message = self.get(&message_key(&id))?.ok_or_else(|| damaged("a name without a message"))?;
        Ok(self.may_read(&message).then_some(Found { id, message }))
    }

    fn may_read(&self, message: &Message) -> bool {
        self.desks.contains(Desk(message.desk))
    }

    fn get<T: Encode + Decode<()>>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        self.store.get(key)?.map(|value| decode(&self.store, key, &value)).transpose()
    }

    fn row_of(&self, found: &Found, red: Red) -> Result<MessageRow, QueryError> {
        let summary = self.summary(found, red)?;
        let state = self.state(found)?;
        let Found { id, message } = found;
        let reply_by = summary.reply_by.filter(|_| message.says == super::rows::Says::Notice);
        Ok(MessageRow {
            id: shown_id(id),
            direction: match message.way {
                Way::In => Direction::In,
                Way::Out => Direction::Out,
            },
            peer: peer(found).to_string(),
            kind: message.kind.to_string(),
            precedence: precedence(id.lane),
            tlp: tlp(message.tlp),
            desk: Desk(message.desk).to_string(),
            case: message.case.to_string(),
            subject: summary.subject,
            sent_at: shown(message.sent_at),
            received_at: (message.way == Way::In).then(|| shown(message.at)),
            state,
            status: (state == DeliveryState::Decided).then(|| status(message)).flatten(),
            refusal: refusal(message),
            late: self.is_late(message, state, reply_by),
            ladder: None,
            exercise: message.exercise.as_ref().map(ToString::to_string),
            stage: summary.stage,
            superseded_by: message.superseded_by.as_ref().map(shown_id),
            recalled_by: message.recalled_by.as_ref().map(shown_id),
            reply_by: reply_by.map(shown),
            expires_at: shown(message.expires_at),
            held: None,
            sender_revoked_at: None,
            opened: self.openings(found)?,
            attachments: self.files(found, &summary.attachments, red)?,
            exported: self.exports(found)?,
        })
    }

    /// How far a message has come.
    fn state(&self, found: &Found) -> Result<DeliveryState, QueryError> {
        let Found { id, message } = found;
        let stream = || Ok::<_, QueryError>(self.get(&stream_key(&id.from, &id.to, id.lane))?.unwrap_or_default());
        Ok(view::step_state(message.state(id.seq, stream)?))
    }

    /// Whether it came after it had expired, is not delivered and expired, or was not taken on by when that was wanted.
    fn is_late(&self, message: &Message, state: DeliveryState, reply_by: Option<UnixMillis>) -> bool {
        let now = self.clock.wall();
        let undelivered = matches!(state, DeliveryState::Submitted | DeliveryState::Relayed);
        let arrived_late = match message.way {
            Way::In => message.at > message.expires_at,
            Way::Out => undelivered && now > message.expires_at,
        };
        let unanswered = message.end.is_none();
        let answered_late = match (reply_by, message.answered_at) {
            (Some(by), Some(answered_at)) => answered_at > by,
            (Some(by), None) => unanswered && now > by,
            (None, _) => false,
        };
        arrived_late || answered_late
    }

    /// All rows of an index from `from` on, in pages, until `take` has enough: it says whether to go on.
    fn walk(
        &self,
        prefix: &[u8],
        from: Option<Vec<u8>>,
        order: Order,
        mut take: impl FnMut(&[u8], &[u8]) -> Result<bool, QueryError>,
    ) -> Result<(), QueryError> {
        let mut from = from;
        loop {
            let page = self.store.scan_prefix(prefix, from.as_deref(), order, PAGE_ROWS_MAX)?;
            for row in &page.rows {
                if !take(&row.key, &row.value)? {
                    return Ok(());
                }
            }
            match page.next {
                Some(next) => from = Some(next),
                None => return Ok(()),
            }
        }
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let message = error.to_string();
        match error {
            QueryError::NotReady(_) => {
                Self::new(Exit::Unreachable, "log-not-ready", message, "messages still flow; try again in a moment")
            }
            QueryError::InvalidId(_) => {
                Self::new(Exit::Usage, "invalid-id", message, "`aldis inbox` and `aldis log` show ids")
            }
            QueryError::NoMessage(_) => {
                Self::new(Exit::NotFound, "no-such-message", message, "`aldis inbox` and `aldis log` show ids")
            }
            QueryError::NoFile { .. } => {
                Self::new(Exit::NotFound, "no-such-file", message, "`aldis show ID` lists the files of a message")
            }
            QueryError::NoCase(_) => {
                Self::new(Exit::NotFound, "no-such-case", message, "`aldis log` shows the case of each message")
            }
            QueryError::InvalidCase(_) => {
                Self::new(Exit::Usage, "invalid-case", message, "`aldis log` shows the case of each message")
            }
            QueryError::AmbiguousCase { .. } => {
                Self::new(Exit::Usage, "ambiguous-case", message, "give more of its letters")
            }
            QueryError::MissingDesk(..) | QueryError::CaseMissingDesk(_) => {
                Self::new(Exit::Refused, "missing-desk", message, WHO_CHANGES_IT)
            }
            QueryError::Parameter { .. } => Self::new(Exit::Usage, "invalid-parameter", message, "correct it"),
            QueryError::Unprovable(_) => {
                Self::new(Exit::Integrity, "unprovable", message, "nothing was given out; run `aldis verify`")
            }
            QueryError::Store(_) => {
                Self::new(Exit::Other, "log-failed", message, "nothing is lost: see the daemon's log; it restarts")
            }
            QueryError::Journal(ReadError::Damaged(_)) => {
                Self::new(Exit::Integrity, "journal-damaged", message, "run `aldis verify`")
            }
            QueryError::Journal(_) => Self::new(Exit::Other, "journal-unreadable", message, "see the daemon's log"),
        }
    }
}

fn describe(status: &LogStatus) -> String {
    match status {
        LogStatus::Opening { done, total } => format!("it is being opened ({done} of {total})"),
        LogStatus::Rebuilding { done, total, .. } => {
            format!("it is being built again from the journal ({done} of {total} records)")
        }
        LogStatus::Following => "it is being opened".to_owned(),
        LogStatus::Degraded { reason, .. } | LogStatus::Failed { reason } => reason.clone(),
    }
}

/// The node at the other end.
fn peer(found: &Found) -> &NodeId {
    match found.message.way {
        Way::In => &found.id.from,
        Way::Out => &found.id.to,
    }
}

fn shown_id(id: &EnvelopeId) -> MessageId {
    MessageId { from: id.from.to_string(), to: id.to.to_string(), lane: precedence(id.lane), seq: id.seq.get() }
}

fn shown(at: UnixMillis) -> aldis_control::UnixMillis {
    aldis_control::UnixMillis(at.get())
}

fn precedence(lane: Lane) -> Precedence {
    Precedence::ALL[lane.index()]
}

fn lane(precedence: Precedence) -> Lane {
    match precedence {
        Precedence::Flash => Lane::Flash,
        Precedence::Immediate => Lane::Immediate,
        Precedence::Priority => Lane::Priority,
        Precedence::Routine => Lane::Routine,
    }
}

/// An unknown marking is handled as the most restrictive one.
fn tlp(code: u16) -> Tlp {
    match codes::Tlp(code) {
        codes::Tlp::AMBER_STRICT => Tlp::AmberStrict,
        codes::Tlp::AMBER => Tlp::Amber,
        codes::Tlp::GREEN => Tlp::Green,
        codes::Tlp::CLEAR => Tlp::Clear,
        _ => Tlp::Red,
    }
}

fn status(message: &Message) -> Option<aldis_control::AnswerStatus> {
    bodies::known_status(message.status.as_ref()?.as_str())
}

fn refusal(message: &Message) -> Option<Refusal> {
    match &message.end {
        Some(End::Refused(code)) => Some(Refusal { code: code.to_string(), text: explanation(code).to_owned() }),
        _ => None,
    }
}
