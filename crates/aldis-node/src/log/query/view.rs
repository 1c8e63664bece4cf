//! One message in full: header, body, what happened to it, what people said about it, and the receipt that covers it.

use aldis_control::{
    AnswerState, AnswerView, DeliveryState, Extension, HistoryEntry, MessageView, ProofSummary, ReceiptView, Reference,
};
use aldis_wire::codes;
use aldis_wire::header::{ACKNOWLEDGE_WITHIN_TAG, ExactHeader, ReferenceRole};
use aldis_wire::ids::EnvelopeId;
use serde_json::Value;

use super::red::{hint, is_red};
use super::{Found, Locked, Order, Query, QueryError, Red, precedence, shown, shown_id};
use crate::log::rows::{
    ANSWER, LaneStep, Mark, MarkWay, STEP, Says, Step, StepTo, Way, lane_step_key, lane_step_prefix, mark_key,
    mark_prefix, of_message_prefix,
};

/// The most answers and the most steps that are shown: the latest.
const SHOWN_MAX: usize = 200;

impl Query {
    /// One message in full, behind the lock that TLP:RED needs.
    pub fn message(&self, id: &EnvelopeId) -> Result<Locked, QueryError> {
        let found = self.find(id)?;
        let mut red: Vec<EnvelopeId> = is_red(&found).then(|| id.clone()).into_iter().collect();
        let view = self.view(&found, Red::Shown, &mut red)?;
        Ok(Locked::new(view, red))
    }

    /// One message of many in full, as far as no lock is needed.
    pub(super) fn view_of(&self, found: &Found) -> Result<MessageView, QueryError> {
        self.view(found, Red::Withheld, &mut Vec::new())
    }

    /// Adds to `opened` the answers with which a view shows TLP:RED.
    fn view(&self, found: &Found, red: Red, opened: &mut Vec<EnvelopeId>) -> Result<MessageView, QueryError> {
        let journalled = self.journalled(found)?;
        let header = journalled.as_ref().map(|journalled| &journalled.header);
        let (body, body_absent) = match self.json(found, red)? {
            Ok(json) => (Some(json), None),
            Err(absence) => (None, Some(absence)),
        };
        let (body, extensions) = body.map_or((None, Vec::new()), |body| {
            let (mut body, extensions) = split_extensions(body);
            // Files have their place beside the body, with where they are.
            body.as_object_mut().and_then(|fields| fields.remove("attachments"));
            (Some(body), extensions)
        });
        let mut unknown_codes = self.unknown_codes(found, red)?;
        unknown_codes.extend(header.into_iter().flat_map(unknown_in_header));
        let mut answers = Vec::new();
        for answer in self.answers(found)? {
            if let Some(said) = self.answer(&answer, red, &mut unknown_codes)? {
                answers.push(said);
                opened.extend(is_red(&answer).then_some(answer.id));
            }
        }
        let proof = journalled.as_ref().and_then(|journalled| journalled.proof.as_ref());
        let text = |text: Option<&str>| text.map(str::to_owned);
        Ok(MessageView {
            row: self.row_of(found, red)?,
            author: header.map(|header| header.author.to_string()),
            released_by: text(header.and_then(|header| header.released_by.as_deref())),
            on_behalf_of: text(header.and_then(|header| header.on_behalf_of.as_deref())),
            also_to: header.map_or_else(Vec::new, |header| header.also_to.iter().map(ToString::to_string).collect()),
            references: header.map_or_else(Vec::new, references),
            body,
            body_absent,
            digest: found.message.digest.to_hex(),
            proof: proof.map_or_else(ProofSummary::default, |proof| ProofSummary {
                batch_size: proof.batch_size.into(),
                index: proof.index.into(),
            }),
            extensions,
            history: self.history(found, journalled.as_ref().and_then(|journalled| journalled.by.clone()))?,
            answers,
            receipt: self.receipt(found)?,
            unknown_codes,
        })
    }

    /// The messages with which people, and machines, answered; oldest first.
    pub(super) fn answers(&self, found: &Found) -> Result<Vec<Found>, QueryError> {
        let mut answers = Vec::new();
        self.walk(&of_message_prefix(ANSWER, &found.id), None, Order::Descending, |key, name| {
            answers.extend(self.found(key, name)?);
            Ok(answers.len() < SHOWN_MAX)
        })?;
        answers.reverse();
        Ok(answers)
    }

    /// An answer as it is shown; `None` for a refusal, which is no person's word and stands in the history.
    fn answer(
        &self,
        answer: &Found,
        red: Red,
        unknown_codes: &mut Vec<String>,
    ) -> Result<Option<AnswerView>, QueryError> {
        let json = self.json(answer, red)?.ok();
        let field = |name: &str| json.as_ref().and_then(|json| json.get(name)).and_then(Value::as_str);
        let withheld = red.withholds(answer).then(|| hint(&answer.id));
        let mut text = withheld.unwrap_or_else(|| field("text").unwrap_or_default().to_owned());
        let mut status = None;
        let state = match &answer.message.says {
            Says::Seen => AnswerState::Seen,
            Says::Acknowledged => AnswerState::Acknowledged,
            Says::Decided(code) => {
                status = super::bodies::known_status(code.as_str());
                if status.is_none() {
                    unknown_codes.push(format!("answer {}: {code}", answer.id));
                    text = format!("[{code}, which this node does not know] {text}");
                }
                AnswerState::Decided
            }
            // The API has no word for it; what it says stands in front of its text.
            Says::OtherAnswer(code) => {
                unknown_codes.push(format!("answer {}: {code}", answer.id));
                text = format!("[{code}, which this node does not know] {text}");
                AnswerState::Seen
            }
            Says::Notice | Says::Refusal(_) | Says::NotUnderstood | Says::ForTheNode | Says::HotlineOver => {
                return Ok(None);
            }
        };
        let journalled = self.journalled(answer)?;
        Ok(Some(AnswerView {
            id: shown_id(&answer.id),
            at: shown(answer.message.sent_at),
            by: journalled.map_or_else(String::new, |journalled| journalled.header.author.to_string()),
            peer: answer.id.from.to_string(),
            state,
            status,
            justification: field("justification").map(str::to_owned),
            until: field("until").and_then(|until| until.parse().ok()),
            text,
        }))
    }

    /// What happened to a message, oldest first: its beginning, what its lane went through, and what concerned it alone.
    fn history(&self, found: &Found, by: Option<String>) -> Result<Vec<HistoryEntry>, QueryError> {
        let Found { id, message } = found;
        let (state, cause, by) = match message.way {
            Way::Out => (DeliveryState::Submitted, "signed and on this node's disk", by),
            Way::In => (DeliveryState::Stored, "received, on this node's disk", None),
        };
        let entry = |at, state, cause: &str, by| HistoryEntry { at, state, step: None, cause: cause.to_owned(), by };
        let mut history = vec![(message.record, entry(shown(message.at), state, cause, by))];
        for (way, state, cause) in [
            (MarkWay::Relayed, DeliveryState::Relayed, "handed to the link"),
            (MarkWay::Receipted, DeliveryState::Stored, "receipt verified and on this node's disk"),
        ] {
            if let Some((_, mark)) = self.mark(id, way)? {
                let by = (way == MarkWay::Receipted).then(|| id.to.to_string());
                history.push((mark.record, entry(shown(mark.at), state, cause, by)));
            }
        }
        if message.way == Way::Out {
            self.add_lane_steps(found, &mut history)?;
        }
        let begun = history.len();
        self.walk(&of_message_prefix(STEP, id), None, Order::Descending, |key, value| {
            let step: Step = super::decode(&self.store, key, value)?;
            let by = step.by.map(|by| by.to_string());
            let entry = entry(shown(step.at), step_state(step.to), &step.cause, by);
            history.push((record_of(key), HistoryEntry { step: step.ladder, ..entry }));
            Ok(history.len() - begun < SHOWN_MAX)
        })?;
        history.sort_by_key(|(record, _)| *record);
        self.add_exports(found, &mut history)?;
        Ok(history.into_iter().map(|(_, entry)| entry).collect())
    }

    /// Adds the steps that were taken because the peer's node receipted nothing in the message's lane, until it did.
    fn add_lane_steps(&self, found: &Found, history: &mut Vec<(u64, HistoryEntry)>) -> Result<(), QueryError> {
        let Found { id, message } = found;
        let of = |way| Ok::<_, QueryError>(self.mark(id, way)?.map_or(u64::MAX, |(_, mark)| mark.record));
        let (relayed, receipted) = (of(MarkWay::Relayed)?, of(MarkWay::Receipted)?);
        let from = lane_step_key(&id.from, &id.to, id.lane, message.record);
        let begun = history.len();
        self.walk(&lane_step_prefix(&id.from, &id.to, id.lane), Some(from), Order::Ascending, |key, value| {
            let (record, step): (_, LaneStep) = (record_of(key), super::decode(&self.store, key, value)?);
            if (step.first..=step.last).contains(&id.seq.get()) {
                let state = if record > relayed { DeliveryState::Relayed } else { DeliveryState::Submitted };
                let (cause, by) = (step.cause.to_string(), Some(self.own.to_string()));
                history.push((record, HistoryEntry { at: shown(step.at), state, step: Some(step.step), cause, by }));
            }
            Ok(record < receipted && history.len() - begun < SHOWN_MAX)
        })
    }

    fn receipt(&self, found: &Found) -> Result<Option<ReceiptView>, QueryError> {
        let Some((seq, mark)) = self.mark(&found.id, MarkWay::Receipted)? else { return Ok(None) };
        Ok(mark.receipt.map(|(stored_at, digest)| ReceiptView {
            stored_at: shown(stored_at),
            lane: precedence(found.id.lane),
            seq,
            digest: digest.to_hex(),
        }))
    }

    /// The first mark of its lane that covers a message.
    fn mark(&self, id: &EnvelopeId, way: MarkWay) -> Result<Option<(u64, Mark)>, QueryError> {
        let prefix = mark_prefix(&id.from, &id.to, id.lane, way);
        let from = mark_key(&id.from, &id.to, id.lane, way, id.seq);
        let page = self.store.scan_prefix(&prefix, Some(&from), Order::Ascending, 1)?;
        let Some(row) = page.rows.first() else { return Ok(None) };
        let seq = row.key.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        Ok(Some((seq, super::decode(&self.store, &row.key, &row.value)?)))
    }
}

/// Takes the extensions out of a body's JSON form: they have a field of their own.
fn split_extensions(mut body: Value) -> (Value, Vec<Extension>) {
    let extensions = body.as_object_mut().and_then(|fields| fields.remove("extensions"));
    let extension = |value: &Value| {
        Some(Extension { tag: value.get("tag")?.as_u64()?, hex: value.get("hex")?.as_str()?.to_owned() })
    };
    let extensions = extensions.as_ref().and_then(Value::as_array).into_iter().flatten();
    (body, extensions.filter_map(extension).collect())
}

fn unknown_in_header(header: &ExactHeader) -> Vec<String> {
    let mut unknown = Vec::new();
    if !header.tlp.is_known() {
        unknown.push(format!("tlp: {} (handled as {})", header.tlp.0, codes::Tlp::RED));
    }
    if !header.desk.is_known() {
        unknown.push(format!("desk: {}", header.desk.0));
    }
    let roles = header.references.iter().map(|reference| reference.role).filter(|role| role_name(*role).is_none());
    unknown.extend(roles.map(|role| format!("references.role: {}", role.0)));
    let known = |tag| tag == ACKNOWLEDGE_WITHIN_TAG && header.acknowledge_within_s().is_some();
    let extensions = header.extensions.iter().filter(|one| !known(one.tag));
    unknown.extend(extensions.map(|one| format!("header extension {}: {} bytes", one.tag, one.bytes.len())));
    unknown
}

fn references(header: &ExactHeader) -> Vec<Reference> {
    let role = |role: ReferenceRole| role_name(role).map_or_else(|| format!("unknown role {}", role.0), str::to_owned);
    let references = header.references.iter();
    references.map(|one| Reference { role: role(one.role), id: one.envelope.to_string() }).collect()
}

fn role_name(role: ReferenceRole) -> Option<&'static str> {
    match role {
        ReferenceRole::ANSWERS => Some("answers"),
        ReferenceRole::SUPERSEDES => Some("supersedes"),
        ReferenceRole::RELATES => Some("relates"),
        ReferenceRole::RECALLS => Some("recalls"),
        _ => None,
    }
}

/// The record at the end of a key.
pub(super) fn record_of(key: &[u8]) -> u64 {
    key.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// A state of a row as it is shown.
pub(super) fn step_state(to: StepTo) -> DeliveryState {
    match to {
        StepTo::Stored => DeliveryState::Stored,
        StepTo::Seen => DeliveryState::Seen,
        StepTo::Acknowledged => DeliveryState::Acknowledged,
        StepTo::Decided => DeliveryState::Decided,
        StepTo::Refused => DeliveryState::Refused,
        StepTo::Expired => DeliveryState::Expired,
        StepTo::Recalled => DeliveryState::Recalled,
        StepTo::Held => DeliveryState::Held,
        StepTo::Submitted => DeliveryState::Submitted,
        StepTo::Relayed => DeliveryState::Relayed,
        StepTo::Notified => DeliveryState::Notified,
        StepTo::Reopened => DeliveryState::Reopened,
    }
}
