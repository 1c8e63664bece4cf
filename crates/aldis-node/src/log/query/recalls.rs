//! Recalls: the messages that went out together, what became of each one's recall, and what a peer's recall names here.

use aldis_control::{RecallRecipient, RecallState};
use aldis_core::record::{Received, Record};
use aldis_wire::header::{ExactHeader, ReferenceRole};
use aldis_wire::ids::EnvelopeId;
use serde_json::Value;

use super::bodies::Journalled;
use super::red::hint;
use super::{Found, Query, QueryError, Red, SEARCH_ROWS_MAX, shown, shown_id};
use crate::journal::RecordSeq;
use crate::log::rows::{End, Message, Moment, Progress};

/// What a peer's recall names, as it stands in the journal.
#[derive(Debug)]
pub struct Recalled {
    /// The recall's header.
    pub recall: ExactHeader,
    /// The message.
    pub message: Received,
    /// Its record.
    pub record: u64,
    /// How far it has come here, in a tombstone's words.
    pub reached: &'static str,
    /// Whether its body was given out, by the first [`Self::looked_at`] records of the journal.
    pub exported: bool,
    /// How many records of the journal the log had when it was looked at.
    pub looked_at: u64,
}

impl Query {
    /// The messages to all recipients that were sent with this one, and itself; by recipient.
    fn sent_together(&self, id: &EnvelopeId) -> Result<Vec<EnvelopeId>, QueryError> {
        let found = self.find(id)?;
        let mut together = vec![id.clone()];
        let Some(Journalled { header, .. }) = self.journalled(&found)? else { return Ok(together) };
        if header.also_to.is_empty() {
            return Ok(together);
        }
        let mut others: Vec<(u64, EnvelopeId)> = Vec::new();
        let moment = Moment { at: found.message.at, record: found.message.record };
        let mut looked_at = 0;
        self.walk_case_near(header.case, moment, |key, name| {
            looked_at += 1;
            let same_time = Moment::of_key(key).is_some_and(|moment| moment.at == found.message.at);
            if !same_time || looked_at > SEARCH_ROWS_MAX {
                return Ok(false);
            }
            if let Some(other) = self.found(key, name)?
                && let Some(Journalled { header: known, .. }) = self.journalled(&other)?
                && are_together(&header, &known)
            {
                others.push((other.message.record.abs_diff(found.message.record), other.id));
            }
            Ok(true)
        })?;
        // Two such messages of one moment differ in nothing but their place: those that were signed next to each other
        // belong together.
        others.sort();
        for (_, other) in others {
            if together.iter().all(|known| known.to != other.to) {
                together.push(other);
            }
        }
        together.sort_by(|one, other| one.to.cmp(&other.to));
        Ok(together)
    }

    /// What became of the recall of a message of ours at each recipient.
    pub fn recalls(&self, id: &EnvelopeId) -> Result<Vec<(EnvelopeId, RecallRecipient)>, QueryError> {
        let together = self.sent_together(id)?.into_iter();
        let with_state = |id: EnvelopeId| Ok((id.clone(), self.recall_at(&self.find(&id)?)?));
        together.map(with_state).collect()
    }

    fn recall_at(&self, found: &Found) -> Result<RecallRecipient, QueryError> {
        let mut shown_as = RecallRecipient {
            message: shown_id(&found.id),
            to: found.id.to.to_string(),
            state: RecallState::NotAsked,
            request: found.message.recalled_by.as_ref().map(shown_id),
            at: None,
            by: None,
            text: String::new(),
            reached: None,
            exported: None,
        };
        let Some(recall_id) = &found.message.recalled_by else {
            if found.message.end == Some(End::Recalled) {
                shown_as.state = RecallState::Withheld;
            }
            return Ok(shown_as);
        };
        let recall = self.find(recall_id)?;
        (shown_as.state, shown_as.at) = (recall_state(&recall.message), Some(shown(recall.message.at)));
        if recall.message.end == Some(End::Expired) {
            "the recall expired before it was relayed".clone_into(&mut shown_as.text);
        }
        let Some(answer) = self.answers(&recall)?.pop() else { return Ok(shown_as) };
        shown_as.at = Some(shown(answer.message.sent_at));
        shown_as.by = self.journalled(&answer)?.map(|journalled| journalled.header.author.to_string());
        if Red::Withheld.withholds(&answer) {
            shown_as.text = hint(&answer.id);
            return Ok(shown_as);
        }
        let json = self.json(&answer, Red::Withheld)?.unwrap_or(Value::Null);
        let word = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
        shown_as.text = word("text").unwrap_or_default();
        shown_as.reached = word("reached");
        shown_as.exported = json.get("exported").and_then(Value::as_bool);
        Ok(shown_as)
    }

    /// What a peer's recall names, read from the journal.
    pub fn recalled(&self, recall: &EnvelopeId) -> Result<Recalled, QueryError> {
        // First how far the log is, then what it says: never less than that.
        let looked_at = self.store.position().records_applied;
        let found = self.find(recall)?;
        let nothing = || QueryError::NoMessage(format!("that recall {recall} names"));
        let header = self.journalled(&found)?.ok_or_else(nothing)?.header;
        let reference = header.reference(ReferenceRole::RECALLS).ok_or_else(nothing)?;
        let named = self.find(&reference.envelope)?;
        let record = self.reader.read(RecordSeq(named.message.record))?;
        let Ok(Record::Received(message) | Record::Recovered(message)) = Record::decode(&record.record) else {
            return Err(nothing());
        };
        let reached = match named.message.progress {
            Progress::Decided => "decided",
            Progress::Acknowledged | Progress::Reopened => "acknowledged",
            Progress::Seen => "seen",
            Progress::Nothing | Progress::Notified if !self.openings(&named)?.is_empty() => "seen",
            Progress::Notified => "notified",
            Progress::Nothing => "stored",
        };
        let (record, exported) = (named.message.record, named.message.exported);
        Ok(Recalled { recall: header.clone(), message, record, reached, exported, looked_at })
    }
}

fn are_together(one: &ExactHeader, other: &ExactHeader) -> bool {
    let mut recipients = one.also_to.iter().chain([&one.to]);
    let same = |header: &ExactHeader| {
        let mut all: Vec<_> = header.also_to.iter().chain([&header.to]).cloned().collect();
        all.sort();
        all
    };
    one.from == other.from
        && one.to != other.to
        && recipients.any(|peer| *peer == other.to)
        && same(one) == same(other)
        && (one.lane, one.sent_at, one.expires_at, one.desk)
            == (other.lane, other.sent_at, other.expires_at, other.desk)
        && (&one.kind, &one.author, one.tlp, &one.exercise) == (&other.kind, &other.author, other.tlp, &other.exercise)
}

fn recall_state(recall: &Message) -> RecallState {
    match (&recall.end, &recall.status) {
        (Some(_), _) => RecallState::Refused,
        (None, Some(status)) if status.as_str() == "approved" => RecallState::Erased,
        (None, Some(_)) if recall.is_decided() => RecallState::Declined,
        (None, _) => RecallState::Waiting,
    }
}
