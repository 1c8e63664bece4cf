//! What the lists say beside a message because of its deadlines: how far the ladder has climbed about it, and what
//! happens next. The log knows what was; only the core knows what is due, so the two are put together when asked.

use super::{Server, convert};
use crate::event_loop::LadderView;
use aldis_control::{LadderMark, MessageId, MessageRow, NextStep};
use aldis_core::ladder::Silence;
use aldis_wire::ids::{EnvelopeId, NodeId, Seq};

/// Marks messages. A node that stops still shows them.
pub(super) async fn mark(server: &Server, rows: &mut [MessageRow]) {
    let named: Vec<(usize, EnvelopeId)> =
        rows.iter().enumerate().filter_map(|(place, row)| Some((place, envelope_id(&row.id)?))).collect();
    let ids = named.iter().map(|(_, id)| id.clone()).collect();
    let Ok(stands) = server.context.loop_handle.on_ladder(ids).await else { return };
    for ((place, _), stands) in named.into_iter().zip(stands) {
        let row = &mut rows[place];
        row.ladder = stands.map(|stands| shown(&stands));
        row.late |= row.ladder.as_ref().is_some_and(LadderMark::climbs);
    }
}

/// The word for whose silence it is.
pub(super) fn silence(silence: Silence) -> String {
    silence.name().to_owned()
}

fn shown(view: &LadderView) -> LadderMark {
    let stands = &view.stands;
    let next = stands.next.as_ref().zip(view.next_at);
    LadderMark {
        silence: silence(stands.silence),
        step: stands.step,
        of: stands.of,
        name: stands.name.as_ref().map(ToString::to_string),
        next: next.map(|(next, at)| NextStep {
            at: convert::time(at),
            step: next.step,
            name: next.name.to_string(),
            cause: next.cause.name().to_owned(),
        }),
    }
}

fn envelope_id(id: &MessageId) -> Option<EnvelopeId> {
    Some(EnvelopeId {
        from: NodeId::new(&id.from).ok()?,
        to: NodeId::new(&id.to).ok()?,
        lane: convert::lane(id.lane),
        seq: Seq::new(id.seq)?,
    })
}
