//! Envelopes that came back from a peer: rows as when they were sent or received, at the time they were signed, and a line in
//! their history that says whence they came.

use super::super::pending::Pending;
use super::super::rows::{Mark, MarkWay, Message, Moment, STEP, Says, Step, StepTo, Stream, Way};
use super::super::rows::{mark_key, message_key, name, of_message_key};
use super::super::store::StoreError;
use super::{
    add, fresh, join_waiting, open_key, put_step, put_stream, says, stream_of, take_received, take_references,
};
use aldis_core::record::{GivenBare, Outcome, Received};
use aldis_wire::codec::Text;
use aldis_wire::envelope::WithheldReason;
use aldis_wire::ids::{EnvelopeId, NodeId};

/// Takes one in, ours or the peer's.
pub(super) fn take_recovered(
    own: &NodeId,
    number: u64,
    recovered: &Received,
    rows: &mut Pending<'_>,
) -> Result<(), StoreError> {
    let header = &recovered.header;
    let moment = Moment { at: recovered.at, record: number };
    let key = of_message_key(STEP, &header.id(), number);
    let peer = if header.from == *own { &header.to } else { &header.from };
    if header.from == *own {
        take_ours(own, number, recovered, rows)?;
    } else {
        // That it was here before, and when, only the peer says: it was received when it came back.
        take_received(own, number, recovered, rows)?;
    }
    let whence = format!("recovered from {peer}");
    match rows.get::<Step>(&key)? {
        Some(step) => {
            let cause = Text::cut(&format!("{whence}; {}", step.cause));
            rows.put(key, &Step { at: recovered.at, cause, ..step });
        }
        None => put_step(rows, &header.id(), moment, StepTo::Stored, &whence, Some(peer.as_str())),
    }
    Ok(())
}

/// The peer gave one back without its body, which is here: what it says of the reason stands in the history of the message, and
/// changes nothing.
pub(super) fn take_given_bare(
    own: &NodeId,
    number: u64,
    given: &GivenBare,
    rows: &mut Pending<'_>,
) -> Result<(), StoreError> {
    let id = EnvelopeId { from: own.clone(), to: given.peer.clone(), lane: given.lane, seq: given.seq };
    if rows.has(&message_key(&id))? {
        let says = match WithheldReason(given.reason) {
            WithheldReason::EXPIRED => "that it had expired",
            WithheldReason::RECALLED => "that it had been taken back",
            WithheldReason::ERASED => "that it is erased",
            _ => "nothing that this program knows",
        };
        let cause = format!("{} gave it back without its body, and says {says}; nobody signed that", given.peer);
        let moment = Moment { at: given.at, record: number };
        put_step(rows, &id, moment, StepTo::Relayed, &cause, Some(given.peer.as_str()));
    }
    Ok(())
}

/// The peer has it, so it was relayed; that it is stored there its next receipt says.
fn take_ours(own: &NodeId, number: u64, recovered: &Received, rows: &mut Pending<'_>) -> Result<(), StoreError> {
    let header = &recovered.header;
    let base = fresh(number, Way::Out, header, header.sent_at);
    let mut message = Message { says: says(recovered.bearing.as_ref()), ..base };
    if let Outcome::Withheld(reason) = recovered.outcome {
        // Why is signed by nobody, so it ends nothing.
        message.withheld = Some(reason);
    }
    let stream: Stream = stream_of(rows, header)?;
    let (last, relayed) = (header.seq.get(), stream.relayed.max(header.seq.get()));
    put_stream(rows, header, &Stream { outgoing: true, last, relayed, ..stream });
    let mark = Mark { record: number, at: recovered.at, receipt: None };
    rows.put(mark_key(own, &header.to, header.lane, MarkWay::Relayed, header.seq), &mark);
    if message.says == Says::Notice {
        rows.put_bytes(open_key(&message, header.lane), name(&header.id()));
    }
    add(rows, header, &header.to, &message);
    take_references(rows, header, &message)?;
    join_waiting(rows, header, &message)
}
