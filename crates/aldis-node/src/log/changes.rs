//! From one journal record to row changes. The same records in the same order always give the same rows, so a log that
//! followed and one that was built again are equal. Nothing here reads a clock, a body, or anything but records and rows.
//!
//! What the core decided is not decided again: an answer takes effect here when the record says that it was accepted.

mod ends;
mod exports;
mod files;
mod recovered;

use aldis_core::record::{LongFlash, Opened, Outcome, Receipted, Received, Record, Relayed, Sent, StoredBearing};
use aldis_wire::codec::Text;
use aldis_wire::codes::Code;
use aldis_wire::envelope::WithheldReason;
use aldis_wire::header::{ExactHeader, Reference, ReferenceRole};
use aldis_wire::ids::{EnvelopeId, NodeId, UnixMillis};
use aldis_wire::kinds::{Answer, Bearing, LinePart, RefusalCode};
use aldis_wire::lane::Lane;
use aldis_wire::receipt::Receipt;

use super::case_index::{Epoch, case_prefix};
use super::node_events::node_event;
use super::pending::Pending;
use super::rows::{
    ANSWER, End, Mark, MarkWay, Message, Moment, OPENING, Opening, Progress, STEP, Says, Step, StepTo, Stream, WAITING,
    Waiting, Way,
};
use super::rows::{
    kind_prefix, mark_key, message_key, name, node_event_key, of_message_key, of_message_prefix, open_prefix,
    peer_prefix, stream_key, time_prefix,
};
use super::silences;
use super::store::StoreError;

/// The most changes one record makes: a message with eight references, each to one that waited for it, stays far below.
pub(super) const CHANGES_PER_RECORD_MAX: usize = 4_096;

/// The most messages that are joined when the one they waited for comes; the core holds fewer answers than that.
const JOINED_MAX: usize = 512;

/// Makes the row changes that follow from record number `number`, on the node `own`.
pub(super) fn change_rows(
    own: &NodeId,
    number: u64,
    record: &Record,
    rows: &mut Pending<'_>,
) -> Result<(), StoreError> {
    match record {
        Record::Sent(sent) => take_sent(number, sent, rows),
        Record::Received(received) => take_received(own, number, received, rows),
        Record::Recovered(found) => recovered::take_recovered(own, number, found, rows),
        Record::Receipted(receipted) => take_receipt(own, number, receipted, rows),
        Record::Relayed(relayed) => take_relayed(own, number, relayed, rows),
        Record::GivenBare(given) => recovered::take_given_bare(own, number, given, rows),
        Record::Expired(expired) => ends::take_expired(own, number, expired, rows),
        Record::Recalled(recalled) => ends::take_recalled(own, number, recalled, rows),
        Record::HeldGivenUp(given_up) => ends::take_given_up(own, number, given_up, rows),
        Record::Opened(opened) => take_opened(number, opened, rows),
        Record::LongFlash(long) => take_long(number, long, rows),
        Record::Exported(exported) => {
            put_event(number, record, rows);
            exports::take_exported(number, exported, rows)
        }
        Record::AttachmentHeld(held) => {
            files::take_held(held, rows);
            Ok(())
        }
        Record::AttachmentTaken(taken) => {
            files::take_taken(number, taken, rows);
            Ok(())
        }
        Record::AttachmentLost(lost) => {
            put_event(number, record, rows);
            files::take_lost(number, lost, rows);
            Ok(())
        }
        Record::Climbed(climbed) => {
            put_event(number, record, rows);
            silences::take_climbed(own, number, climbed, rows)
        }
        Record::Alerted(alerted) => {
            put_event(number, record, rows);
            silences::take_alerted(own, number, alerted, rows)
        }
        _ => {
            put_event(number, record, rows);
            Ok(())
        }
    }
}

fn put_event(number: u64, record: &Record, rows: &mut Pending<'_>) {
    if let Some((at, event)) = node_event(record) {
        rows.put(node_event_key(Moment { at, record: number }), &event);
    }
}

fn take_sent(number: u64, sent: &Sent, rows: &mut Pending<'_>) -> Result<(), StoreError> {
    let header = &sent.draft.header;
    let message = Message { says: says(Some(&sent.draft.bearing)), ..fresh(number, Way::Out, header, header.sent_at) };
    let mut stream: Stream = stream_of(rows, header)?;
    stream.outgoing = true;
    stream.last = header.seq.get();
    put_stream(rows, header, &stream);
    if message.says == Says::Notice {
        rows.put_bytes(open_key(&message, header.lane), name(&header.id()));
    }
    add(rows, header, &header.to, &message);
    take_references(rows, header, &message)?;
    join_waiting(rows, header, &message)
}

fn take_received(own: &NodeId, number: u64, received: &Received, rows: &mut Pending<'_>) -> Result<(), StoreError> {
    let header = &received.header;
    let mut message = Message { says: says(received.bearing.as_ref()), ..fresh(number, Way::In, header, received.at) };
    match received.outcome {
        Outcome::Accepted | Outcome::Unmatched => {}
        Outcome::Held => message.held = true,
        Outcome::Refused(code) => message.end = Some(End::Refused(code.0.code())),
        Outcome::Withheld(reason) => {
            message.withheld = Some(reason);
            message.end = match WithheldReason(reason) {
                WithheldReason::EXPIRED => Some(End::Expired),
                WithheldReason::RECALLED => Some(End::Recalled),
                _ => None,
            };
        }
    }
    let accepted = received.outcome == Outcome::Accepted;
    let mut stream: Stream = stream_of(rows, header)?;
    stream.last = header.seq.get();
    if accepted && message.says == Says::Notice {
        stream.open += 1;
        rows.put_bytes(open_key(&message, header.lane), name(&header.id()));
    }
    put_stream(rows, header, &stream);
    add(rows, header, &header.from, &message);
    put_received_step(rows, &header.id(), &message, own);
    if accepted {
        if let Some(Bearing::Step(told)) = received.bearing.as_ref().map(StoredBearing::get) {
            silences::take_told(number, header, &told, received.at, rows)?;
        }
        take_references(rows, header, &message)?;
    } else if message.held
        && let Some(reference) = header.reference(ReferenceRole::ANSWERS)
    {
        wait_for(rows, header, &message, reference, false);
    }
    join_waiting(rows, header, &message)
}

/// One mark for a whole range; what it covers follows from the places.
fn take_receipt(own: &NodeId, number: u64, receipted: &Receipted, rows: &mut Pending<'_>) -> Result<(), StoreError> {
    // Verified when it was written; one that does not read is damage that a walk over the journal reports.
    let Ok(receipt) = Receipt::from_journal(&receipted.receipt) else { return Ok(()) };
    for mark in receipt.stored.iter() {
        let key = stream_key(own, &receipted.peer, mark.lane);
        let Some(mut stream) = rows.get::<Stream>(&key)? else { continue };
        if mark.seq.get() <= stream.receipted || mark.seq.get() > stream.last {
            continue;
        }
        stream.receipted = mark.seq.get();
        stream.relayed = stream.relayed.max(stream.receipted);
        rows.put(key, &stream);
        let row = Mark { record: number, at: receipted.at, receipt: Some((receipt.stored_at, mark.digest)) };
        rows.put(mark_key(own, &receipted.peer, mark.lane, MarkWay::Receipted, mark.seq), &row);
    }
    Ok(())
}

fn take_relayed(own: &NodeId, number: u64, relayed: &Relayed, rows: &mut Pending<'_>) -> Result<(), StoreError> {
    let key = stream_key(own, &relayed.peer, relayed.lane);
    let Some(mut stream) = rows.get::<Stream>(&key)? else { return Ok(()) };
    if relayed.through.get() > stream.relayed && relayed.through.get() <= stream.last {
        stream.relayed = relayed.through.get();
        rows.put(key, &stream);
        let row = Mark { record: number, at: relayed.at, receipt: None };
        rows.put(mark_key(own, &relayed.peer, relayed.lane, MarkWay::Relayed, relayed.through), &row);
    }
    Ok(())
}

fn take_opened(number: u64, opened: &Opened, rows: &mut Pending<'_>) -> Result<(), StoreError> {
    // Where the journal had a gap, a message may have no row.
    if rows.has(&message_key(&opened.message))? {
        let row = Opening { at: opened.at, by: opened.by.clone() };
        rows.put(of_message_key(OPENING, &opened.message, number), &row);
    }
    Ok(())
}

fn take_long(number: u64, flash: &LongFlash, rows: &mut Pending<'_>) -> Result<(), StoreError> {
    if rows.has(&message_key(&flash.message))? {
        let cause = format!("{} words in a FLASH, because: {}", flash.long.words, flash.long.why);
        let moment = Moment { at: flash.at, record: number };
        put_step(rows, &flash.message, moment, StepTo::Submitted, &cause, Some(&flash.by));
    }
    Ok(())
}

/// A row about which nothing is known but its header.
fn fresh(number: u64, way: Way, header: &ExactHeader, at: UnixMillis) -> Message {
    Message {
        record: number,
        way,
        digest: header.digest(),
        at,
        sent_at: header.sent_at,
        expires_at: header.expires_at,
        case: header.case,
        desk: header.desk.0,
        tlp: header.tlp.0,
        kind: header.kind.clone(),
        kind_version: header.kind_version,
        exercise: header.exercise.clone(),
        says: Says::NotUnderstood,
        withheld: None,
        held: false,
        progress: Progress::Nothing,
        status: None,
        end: None,
        answered_at: None,
        superseded_by: None,
        recalled_by: None,
        exported: false,
    }
}

/// Adds a message and everything it is found by.
fn add(rows: &mut Pending<'_>, header: &ExactHeader, peer: &NodeId, message: &Message) {
    let moment = Moment { at: message.at, record: message.record };
    let id = header.id();
    let name = name(&id);
    let prefixes = [
        time_prefix(),
        peer_prefix(peer),
        kind_prefix(&header.kind),
        case_prefix(Epoch::of(message.record), header.case),
    ];
    for prefix in prefixes {
        rows.put_bytes(moment.under(prefix), name.clone());
    }
    rows.put(message_key(&id), message);
}

/// What a message does to those it names. A sender can supersede only its own messages to the same recipient, and answer
/// only what it received; whatever else it names is shown and does nothing. A message answers, recalls or ends one other:
/// as in the core, only the first reference of such a role counts.
fn take_references(rows: &mut Pending<'_>, header: &ExactHeader, message: &Message) -> Result<(), StoreError> {
    if let Some(reference) = header.reference(ReferenceRole::ANSWERS) {
        take_answer(rows, header, message, reference)?;
    }
    if let Some(reference) = header.reference(ReferenceRole::RECALLS) {
        ends::take_recall(rows, header, message, reference)?;
    }
    if let Some(reference) = header.reference(ReferenceRole::RELATES)
        && message.says == Says::HotlineOver
    {
        ends::end_hotline(rows, header, message, reference)?;
    }
    let supersedes = |reference: &&Reference| reference.role == ReferenceRole::SUPERSEDES;
    for reference in header.references.iter().filter(supersedes) {
        let id = &reference.envelope;
        if !is_same_way(header, id) {
            continue;
        }
        match rows.get::<Message>(&message_key(id))? {
            Some(target) if target.digest == reference.digest => supersede(rows, id, target, header.id()),
            Some(_) => {}
            None => wait_for(rows, header, message, reference, true),
        }
    }
    Ok(())
}

fn take_answer(
    rows: &mut Pending<'_>,
    header: &ExactHeader,
    message: &Message,
    reference: &Reference,
) -> Result<(), StoreError> {
    let id = &reference.envelope;
    match rows.get::<Message>(&message_key(id))? {
        Some(target) if is_other_way(header, id) && target.digest == reference.digest => {
            let said = Said { source: &header.id(), message, by: header.author.as_str() };
            answer(rows, id, target, &said, Moment { at: message.at, record: message.record })
        }
        _ => Ok(()),
    }
}

/// Whether `id` is another message of the sender's to the same recipient.
fn is_same_way(header: &ExactHeader, id: &EnvelopeId) -> bool {
    (&id.from, &id.to) == (&header.from, &header.to) && *id != header.id()
}

/// Whether `id` is a message of the recipient's to the sender.
fn is_other_way(header: &ExactHeader, id: &EnvelopeId) -> bool {
    (&id.from, &id.to) == (&header.to, &header.from)
}

/// Keeps a message that names one which is not here yet. Of several that supersede the same, the latest counts.
fn wait_for(rows: &mut Pending<'_>, header: &ExactHeader, message: &Message, reference: &Reference, supersedes: bool) {
    let row = Waiting { source: header.id(), supersedes, digest: reference.digest, by: header.author.clone() };
    let record = if supersedes { u64::MAX } else { message.record };
    rows.put(of_message_key(WAITING, &reference.envelope, record), &row);
}

/// A message has come that others waited for.
fn join_waiting(rows: &mut Pending<'_>, header: &ExactHeader, message: &Message) -> Result<(), StoreError> {
    if !rows.has_waiting()? {
        return Ok(());
    }
    let id = header.id();
    let moment = Moment { at: message.at, record: message.record };
    for (key, waiting) in rows.scan::<Waiting>(&of_message_prefix(WAITING, &id), JOINED_MAX)? {
        rows.remove(key);
        let source_key = message_key(&waiting.source);
        let (Some(target), Some(mut source)) = (rows.get(&message_key(&id))?, rows.get::<Message>(&source_key)?) else {
            continue;
        };
        let target: Message = target;
        if waiting.digest != target.digest {
            continue;
        }
        if waiting.supersedes {
            supersede(rows, &id, target, waiting.source);
        } else if source.held {
            source.held = false;
            rows.put(source_key, &source);
            put_step(rows, &waiting.source, moment, StepTo::Stored, "what it answers has come", None);
            let said = Said { source: &waiting.source, message: &source, by: waiting.by.as_str() };
            answer(rows, &id, target, &said, moment)?;
        }
    }
    Ok(())
}

fn supersede(rows: &mut Pending<'_>, id: &EnvelopeId, mut target: Message, by: EnvelopeId) {
    target.superseded_by = Some(by);
    rows.put(message_key(id), &target);
}

/// An answer or refusal that takes effect.
struct Said<'a> {
    source: &'a EnvelopeId,
    message: &'a Message,
    by: &'a str,
}

/// Takes an answer or refusal to `target` in, at the moment it takes effect. Progress goes forward only, and what ended a
/// message first is what stays.
fn answer(
    rows: &mut Pending<'_>,
    id: &EnvelopeId,
    mut target: Message,
    said: &Said<'_>,
    moment: Moment,
) -> Result<(), StoreError> {
    // What machines tell of a message stands in its history, not among its answers.
    if matches!(said.message.says, Says::ForTheNode | Says::HotlineOver) {
        return Ok(());
    }
    rows.put_bytes(of_message_key(ANSWER, id, said.message.record), name(said.source));
    let (to, closes) = match &said.message.says {
        Says::Seen => (StepTo::Seen, go_on(&mut target, Progress::Seen, moment.at)),
        Says::Acknowledged => (StepTo::Acknowledged, go_on(&mut target, Progress::Acknowledged, moment.at)),
        Says::Decided(status) => (StepTo::Decided, decide(&mut target, status, moment.at)),
        // Our own node's refusal says what the row knows since the message came.
        Says::Refusal(_) if target.way == Way::In => return Ok(()),
        Says::Refusal(code) => (StepTo::Refused, end(&mut target, End::Refused(code.clone()))),
        Says::Notice | Says::OtherAnswer(_) | Says::NotUnderstood | Says::ForTheNode | Says::HotlineOver => {
            return Ok(());
        }
    };
    let cause = match &said.message.says {
        Says::Decided(status) => format!("{status} in {}", said.source),
        Says::Refusal(code) => format!("{code} in {}", said.source),
        _ => format!("in {}", said.source),
    };
    put_step(rows, id, moment, to, &cause, Some(&format!("{} ({})", said.by, said.source.from)));
    if closes {
        close(rows, id, &target)?;
    }
    rows.put(message_key(id), &target);
    Ok(())
}

/// Nothing more is expected: the message leaves the open ones.
fn close(rows: &mut Pending<'_>, id: &EnvelopeId, message: &Message) -> Result<(), StoreError> {
    let key = open_key(message, id.lane);
    if !rows.has(&key)? {
        return Ok(());
    }
    rows.remove(key);
    let stream_key = stream_key(&id.from, &id.to, id.lane);
    if message.way == Way::In
        && let Some(mut stream) = rows.get::<Stream>(&stream_key)?
    {
        stream.open = stream.open.saturating_sub(1);
        rows.put(stream_key, &stream);
    }
    Ok(())
}

fn go_on(message: &mut Message, to: Progress, at: UnixMillis) -> bool {
    if message.end.is_none() {
        message.progress = message.progress.max(to);
        if to >= Progress::Acknowledged {
            message.answered_at.get_or_insert(at);
        }
    }
    false
}

/// Takes a decision in unless a final one was taken before; says whether this one is final.
fn decide(message: &mut Message, status: &Code, at: UnixMillis) -> bool {
    if message.end.is_some() || message.is_decided() {
        return false;
    }
    go_on(message, Progress::Decided, at);
    message.status = Some(status.clone());
    message.is_decided()
}

/// Ends a message unless something did before; says whether this was it.
fn end(message: &mut Message, cause: End) -> bool {
    let first = message.end.is_none() && !message.is_decided();
    if first {
        message.end = Some(cause);
    }
    first
}

fn open_key(message: &Message, lane: Lane) -> Vec<u8> {
    Moment { at: message.at, record: message.record }.under(open_prefix(message.way, lane))
}

fn stream_of(rows: &Pending<'_>, header: &ExactHeader) -> Result<Stream, StoreError> {
    Ok(rows.get(&stream_key(&header.from, &header.to, header.lane))?.unwrap_or_default())
}

fn put_stream(rows: &mut Pending<'_>, header: &ExactHeader, stream: &Stream) {
    rows.put(stream_key(&header.from, &header.to, header.lane), stream);
}

fn put_step(rows: &mut Pending<'_>, id: &EnvelopeId, moment: Moment, to: StepTo, cause: &str, by: Option<&str>) {
    let step = Step { at: moment.at, to, cause: Text::cut(cause), by: by.map(Text::cut), ladder: None };
    rows.put(of_message_key(STEP, id, moment.record), &step);
}

/// What became of a received message at once, where that is more than being stored.
fn put_received_step(rows: &mut Pending<'_>, id: &EnvelopeId, message: &Message, own: &NodeId) {
    let (to, cause) = match (&message.end, message.held) {
        (Some(End::Refused(code)), _) => (StepTo::Refused, format!("{code}: {}", explanation(code))),
        (Some(End::Expired), _) => (StepTo::Expired, "its time passed before the sender could relay it".to_owned()),
        (Some(End::Recalled), _) => (StepTo::Recalled, "the sender took it back before relaying it".to_owned()),
        (None, true) => (StepTo::Held, "what it answers is not here yet".to_owned()),
        (None, false) => return,
    };
    let by = (to == StepTo::Refused).then_some(own.as_str());
    put_step(rows, id, Moment { at: message.at, record: message.record }, to, &cause, by);
}

/// What a refusal code means; empty for one this program does not know.
pub(super) fn explanation(code: &Code) -> &'static str {
    let known = RefusalCode::ALL.into_iter().find(|known| known.as_str() == code.as_str());
    known.map_or("", RefusalCode::explanation)
}

fn says(bearing: Option<&StoredBearing>) -> Says {
    match bearing.map(StoredBearing::get) {
        None => Says::NotUnderstood,
        // Administrators answer a rotation; what came of it stands in the node's own rows.
        Some(Bearing::Notice | Bearing::Rotation | Bearing::Hotline | Bearing::Recall) => Says::Notice,
        Some(Bearing::Answer(Answer::Seen)) => Says::Seen,
        Some(Bearing::Answer(Answer::Acknowledged)) => Says::Acknowledged,
        Some(Bearing::Answer(Answer::Pending(_))) => Says::Decided(Code::known("pending")),
        Some(Bearing::Answer(Answer::Decided(status))) => Says::Decided(status),
        Some(Bearing::Answer(Answer::Other(state))) => Says::OtherAnswer(state),
        Some(Bearing::Refusal(code)) => Says::Refusal(code),
        Some(Bearing::Line(LinePart::Closed)) => Says::HotlineOver,
        Some(Bearing::Card | Bearing::Agreement | Bearing::Step(_) | Bearing::Line(_) | Bearing::Check(_)) => {
            Says::ForTheNode
        }
    }
}
