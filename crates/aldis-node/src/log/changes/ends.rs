//! What ends a message without an answer to it: it was taken back, erased where it had gone, or was the opening of a
//! hotline that is over.

use super::super::pending::Pending;
use super::super::rows::{End, Message, Moment, Progress, StepTo, message_key};
use super::super::store::StoreError;
use super::{close, end, go_on, open_key, put_step};
use aldis_core::record::Recalled;
use aldis_wire::header::{ExactHeader, Reference};
use aldis_wire::ids::{EnvelopeId, NodeId};

/// We took a message back before it was relayed.
pub(super) fn take_recalled(
    own: &NodeId,
    number: u64,
    recalled: &Recalled,
    rows: &mut Pending<'_>,
) -> Result<(), StoreError> {
    let id = EnvelopeId { from: own.clone(), to: recalled.peer.clone(), lane: recalled.lane, seq: recalled.seq };
    let Some(mut message) = rows.get::<Message>(&message_key(&id))? else { return Ok(()) };
    let moment = Moment { at: recalled.at, record: number };
    let cause = format!("taken back before it was relayed; {}", recalled.why);
    put_step(rows, &id, moment, StepTo::Recalled, &cause, Some(&recalled.by));
    if end(&mut message, End::Recalled) {
        rows.remove(open_key(&message, id.lane));
        rows.put(message_key(&id), &message);
    }
    Ok(())
}

/// A recall asks to erase a message of its sender's; a tombstone says that the recipient has.
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
        "recall" if id.from == header.from => target.recalled_by = Some(header.id()),
        "tombstone" if id.from == header.to => {
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

/// A hotline is over. What nobody picked up still waits for somebody's word.
pub(super) fn end_hotline(
    rows: &mut Pending<'_>,
    header: &ExactHeader,
    message: &Message,
    reference: &Reference,
) -> Result<(), StoreError> {
    let id = &reference.envelope;
    let Some(mut opening) = rows.get::<Message>(&message_key(id))? else { return Ok(()) };
    let is_it = opening.digest == reference.digest && opening.kind.as_str() == "hotline";
    if !is_it || opening.end.is_some() || opening.progress != Progress::Acknowledged {
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
