//! What ends a message without an answer to it: it expired, waited too long for what it answers, was taken back, erased
//! where it had gone, or was the opening of a hotline that is over.

use super::{close, end, go_on, is_other_way, is_same_way, put_step};
use crate::log::pending::Pending;
use crate::log::rows::{End, Message, Moment, Progress, StepTo, message_key};
use crate::log::store::StoreError;
use aldis_core::record::{Expired, HeldGivenUp, Recalled};
use aldis_wire::header::{ExactHeader, Reference, ReferenceRole};
use aldis_wire::ids::{EnvelopeId, NodeId};
use aldis_wire::kinds::RefusalCode;

/// Its time passed before it was relayed.
pub(super) fn take_expired(
    own: &NodeId,
    number: u64,
    expired: &Expired,
    rows: &mut Pending<'_>,
) -> Result<(), StoreError> {
    let id = EnvelopeId { from: own.clone(), to: expired.peer.clone(), lane: expired.lane, seq: expired.seq };
    let moment = Moment { at: expired.at, record: number };
    end_unrelayed(rows, &id, moment, (StepTo::Expired, End::Expired), "its time passed before it was relayed", None)
}

/// What a held answer answers has not come in time.
pub(super) fn take_given_up(
    own: &NodeId,
    number: u64,
    given_up: &HeldGivenUp,
    rows: &mut Pending<'_>,
) -> Result<(), StoreError> {
    let id = EnvelopeId { from: given_up.peer.clone(), to: own.clone(), lane: given_up.lane, seq: given_up.seq };
    let Some(mut message) = rows.get::<Message>(&message_key(&id))? else { return Ok(()) };
    let code = RefusalCode::HeldTooLong;
    let moment = Moment { at: given_up.at, record: number };
    put_step(rows, &id, moment, StepTo::Refused, code.explanation(), Some(own.as_str()));
    message.held = false;
    end(&mut message, End::Refused(code.code()));
    rows.put(message_key(&id), &message);
    Ok(())
}

/// We took a message back before it was relayed.
pub(super) fn take_recalled(
    own: &NodeId,
    number: u64,
    recalled: &Recalled,
    rows: &mut Pending<'_>,
) -> Result<(), StoreError> {
    let id = EnvelopeId { from: own.clone(), to: recalled.peer.clone(), lane: recalled.lane, seq: recalled.seq };
    let moment = Moment { at: recalled.at, record: number };
    let cause = format!("taken back before it was relayed; {}", recalled.why);
    end_unrelayed(rows, &id, moment, (StepTo::Recalled, End::Recalled), &cause, Some(&recalled.by))
}

fn end_unrelayed(
    rows: &mut Pending<'_>,
    id: &EnvelopeId,
    moment: Moment,
    (step, as_ended): (StepTo, End),
    cause: &str,
    by: Option<&str>,
) -> Result<(), StoreError> {
    let Some(mut message) = rows.get::<Message>(&message_key(id))? else { return Ok(()) };
    put_step(rows, id, moment, step, cause, by);
    if end(&mut message, as_ended) {
        close(rows, id, &message)?;
        rows.put(message_key(id), &message);
    }
    Ok(())
}

/// A recall asks to erase a message of its sender's; a tombstone answers such a recall and says that the recipient has.
pub(super) fn take_recall(
    rows: &mut Pending<'_>,
    header: &ExactHeader,
    message: &Message,
    reference: &Reference,
) -> Result<(), StoreError> {
    let id = &reference.envelope;
    let Some(mut target) = rows.get::<Message>(&message_key(id))? else { return Ok(()) };
    if target.digest != reference.digest {
        return Ok(());
    }
    match header.kind.as_str() {
        "recall" if is_same_way(header, id) => target.recalled_by = Some(header.id()),
        "tombstone" if is_other_way(header, id) && is_in_lane_of_its_recall(header, id) => {
            let moment = Moment { at: message.at, record: message.record };
            let by = format!("{} ({})", header.author.as_str(), header.from);
            put_step(rows, id, moment, StepTo::Recalled, &format!("erased, in {}", header.id()), Some(&by));
            if end(&mut target, End::Recalled) {
                close(rows, id, &target)?;
            }
        }
        _ => return Ok(()),
    }
    rows.put(message_key(id), &target);
    Ok(())
}

/// A recall goes in the lane of what it names, and a tombstone answers one.
fn is_in_lane_of_its_recall(tombstone: &ExactHeader, erased: &EnvelopeId) -> bool {
    let recall = tombstone.reference(ReferenceRole::ANSWERS);
    recall.is_some_and(|recall| recall.envelope.lane == erased.lane)
}

/// A hotline is over, and with it the wait for an answer to its opening; one that nobody picked up ends otherwise.
pub(super) fn end_hotline(
    rows: &mut Pending<'_>,
    header: &ExactHeader,
    message: &Message,
    reference: &Reference,
) -> Result<(), StoreError> {
    let id = &reference.envelope;
    let Some(mut opening) = rows.get::<Message>(&message_key(id))? else { return Ok(()) };
    let is_between_them = is_same_way(header, id) || is_other_way(header, id);
    let is_named = is_between_them && opening.digest == reference.digest && opening.case == header.case;
    let is_it = is_named && opening.kind.as_str() == "hotline";
    if !is_it || opening.end.is_some() {
        return Ok(());
    }
    let moment = Moment { at: message.at, record: message.record };
    let by = format!("{} ({})", header.author, header.from);
    put_step(rows, id, moment, StepTo::Decided, &format!("the hotline ended in {}", header.id()), Some(&by));
    go_on(&mut opening, Progress::Decided, message.at);
    close(rows, id, &opening)?;
    rows.put(message_key(id), &opening);
    Ok(())
}
