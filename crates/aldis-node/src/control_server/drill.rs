//! Comm checks: asking peers by hand, and the figures of what came of them. What a check does is the core's business.

use super::caller::Caller;
use super::extract::{Asked, Body};
use super::failure::Failure;
use super::send::{self, bad_field};
use super::{Server, Shared, convert, permits};
use crate::access::Grant;
use crate::event_loop::{NodeView, PeerStatus, Request};
use crate::events::Told;
use aldis_control as api;
use aldis_core::checks::{CHECK_LANE, CheckEnd, CheckResult, Checks};
use aldis_core::effect::{Done, Happening};
use aldis_core::input::CheckOrder;
use aldis_core::record::Checked;
use aldis_core::trust::Trust;
use aldis_wire::codec::Text;
use aldis_wire::codes::Desk;
use aldis_wire::ids::{EnvelopeId, NodeId, Seq, UnixMillis};
use aldis_wire::kinds::CheckPart;
use axum::extract::State;
use axum::{Extension, Json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::Instant;

const DAY_MS: i64 = 24 * 3_600_000;

/// The most peers of one drill.
const PEERS_MAX: usize = 256;

/// Checks peers, each on its own: one that cannot be checked keeps none of the others from it.
pub(super) async fn drill(
    State(server): Shared,
    Extension(caller): Extension<Caller>,
    Extension(grant): Extension<Grant>,
    Body(request): Body<api::DrillRequest>,
) -> Result<Json<Vec<api::DrillView>>, Failure> {
    permits::check_writes(&caller, &grant, "check a peer", Desk::TECHNICAL)?;
    let author = send::author_of(request.author, &caller)?;
    let text = Text::new(request.text.unwrap_or_default()).map_err(|error| bad_field("text", error))?;
    let wait = Duration::from_millis(request.wait_ms.unwrap_or(0));
    if wait > send::WAIT_MAX {
        return Err(bad_field("wait_ms", format!("at most {} are allowed", send::WAIT_MAX.as_millis())));
    }
    let until = Instant::now() + wait;
    let peers = peers_of(&server, &request.peers).await?;
    // Before the first check is sent, or its end could be told before anybody listens.
    let (_, told) = server.context.events.listen(None);
    let mut views = Vec::with_capacity(peers.len());
    let mut open = BTreeMap::new();
    for peer in peers {
        let order = CheckOrder {
            peer: peer.clone(),
            part: part(request.part),
            text: text.clone(),
            author: author.clone(),
            by: caller.by(),
        };
        let mut view = api::DrillView { peer: peer.to_string(), id: None, result: None, declined: None };
        match server.context.loop_handle.request(Request::Check(Box::new(order))).await {
            Ok(Done::Checking(id)) => {
                view.id = Some(convert::message_id(&id));
                open.insert(id, views.len());
            }
            Ok(other) => return Err(Failure::internal(format!("a check came to {other:?}"))),
            Err(error) => view.declined = Some(Failure::from(error).into_error()),
        }
        views.push(view);
    }
    await_ends(&server, told, open.keys().cloned().collect(), until).await;
    let status = server.context.loop_handle.view().await?;
    for (id, place) in open {
        let peer = status.peers.iter().find(|peer| peer.card.card().id == id.to);
        let result = peer.and_then(|peer| peer.checks.results.iter().rev().find(|result| result.seq == id.seq));
        views[place].result = result.map(result_view);
    }
    Ok(Json(views))
}

/// The figures of every peer, or of one.
pub(super) async fn statistics(
    State(server): Shared,
    Asked(query): Asked<api::DrillQuery>,
) -> Result<Json<Vec<api::ChecksView>>, Failure> {
    let peer = query.peer.map(|peer| convert::node_id("peer", &peer)).transpose()?;
    let view = server.context.loop_handle.view().await?;
    let now = server.context.clock.wall();
    let wanted = view.peers.iter().filter(|status| peer.as_ref().is_none_or(|peer| *peer == status.card.card().id));
    let shown: Vec<_> = wanted.map(|status| checks_view(&view, status, now)).collect();
    match peer {
        Some(peer) if shown.is_empty() => Err(Failure::no_such_peer(peer.as_str(), "see `aldis peer list`")),
        _ => Ok(Json(shown)),
    }
}

/// The peers a person names, or all that are talked to.
async fn peers_of(server: &Server, named: &[String]) -> Result<Vec<NodeId>, Failure> {
    if named.len() > PEERS_MAX {
        return Err(bad_field("peers", format!("{} where at most {PEERS_MAX} are allowed", named.len())));
    }
    if named.is_empty() {
        let view = server.context.loop_handle.view().await?;
        let verified = view.peers.iter().filter(|peer| peer.trust == Trust::Verified);
        return Ok(verified.map(|peer| peer.card.card().id.clone()).collect());
    }
    let mut peers = Vec::with_capacity(named.len());
    for name in named {
        let peer = convert::node_id("peers", name)?;
        if peers.contains(&peer) {
            return Err(bad_field("peers", format!("{peer} stands there twice")));
        }
        peers.push(peer);
    }
    Ok(peers)
}

/// Waits until every check has ended, the time is over, or the node stops.
async fn await_ends(
    server: &Server,
    mut told: broadcast::Receiver<Arc<Told>>,
    mut open: BTreeSet<EnvelopeId>,
    until: Instant,
) {
    while !open.is_empty() {
        let next = tokio::select! {
            next = told.recv() => next,
            () = tokio::time::sleep_until(until) => return,
            () = server.stopping.cancelled() => return,
        };
        match next {
            Ok(told) => {
                if let Happening::Checked(checked) = &told.happening {
                    open.remove(&check_id(server.own(), &checked.peer, checked.seq));
                }
            }
            // An end may be among what was lost; the state of the core tells what came of each check.
            Err(RecvError::Lagged(_) | RecvError::Closed) => return,
        }
    }
}

fn part(part: api::CheckPart) -> CheckPart {
    match part {
        api::CheckPart::Machine => CheckPart::Machine,
        api::CheckPart::Human => CheckPart::Human,
        api::CheckPart::Wake => CheckPart::Wake,
    }
}

fn check_id(own: &NodeId, peer: &NodeId, seq: Seq) -> EnvelopeId {
    EnvelopeId { from: own.clone(), to: peer.clone(), lane: CHECK_LANE, seq }
}

fn checks_view(view: &NodeView, status: &PeerStatus, now: UnixMillis) -> api::ChecksView {
    let (peer, checks) = (&status.card.card().id, &status.checks);
    let open = checks.open.as_ref().map(|open| api::OpenCheckView {
        id: convert::message_id(&check_id(&view.own, peer, open.seq)),
        human: open.part.is_human(),
        until: convert::time(status.check_until.unwrap_or(open.at)),
    });
    let asked = checks.asked.as_ref().filter(|asked| status.check_waits && asked.until > now);
    let asked = asked.map(|asked| api::OpenCheckView {
        id: convert::message_id(&EnvelopeId {
            from: peer.clone(),
            to: view.own.clone(),
            lane: asked.lane,
            seq: asked.seq,
        }),
        human: true,
        until: convert::time(asked.until),
    });
    let [machine, human] = [false, true].map(|human| statistics_view(checks, human));
    api::ChecksView { peer: peer.to_string(), open, asked, machine, human }
}

fn statistics_view(checks: &Checks, human: bool) -> api::CheckStatistics {
    let figures = checks.statistics(human);
    api::CheckStatistics {
        count: figures.count as u64,
        missed: figures.missed as u64,
        refused: figures.refused as u64,
        missed_in_a_row: checks.missed_in_a_row(human) as u64,
        p50_ms: figures.p50_ms,
        p95_ms: figures.p95_ms,
        latest_ms: figures.trend.map(|trend| trend.latest_ms),
        before_ms: figures.trend.map(|trend| trend.before_ms),
        latest: checks.latest(human).map(result_view),
    }
}

fn result_view(result: &CheckResult) -> api::CheckResultView {
    let (end, code) = end_view(&result.end);
    api::CheckResultView {
        human: result.human,
        sent_at: convert::time(result.sent_at),
        at: convert::time(result.at),
        end,
        code,
        round_trip_ms: result.round_trip_ms,
        clock_difference_ms: result.clock_difference_ms,
        certificate_days: result.certificate_valid_until.map(|until| days_between(result.at, until)),
        commitment: result.commitment.map(|commitment| commitment.to_hex()),
    }
}

fn end_view(end: &CheckEnd) -> (api::CheckEnd, Option<String>) {
    match end {
        CheckEnd::Replied => (api::CheckEnd::Replied, None),
        CheckEnd::Answered => (api::CheckEnd::Answered, None),
        CheckEnd::Refused(code) => (api::CheckEnd::Refused, Some(code.to_string())),
        CheckEnd::Missed => (api::CheckEnd::Missed, None),
    }
}

/// The end of a check in words.
pub(super) fn told(checked: &Checked) -> String {
    let sort = if checked.human { "human" } else { "machine" };
    let took = checked.round_trip_ms.map_or(String::new(), |ms| format!(" after {ms} ms"));
    let (end, code) = end_view(&checked.end);
    let code = code.map_or(String::new(), |code| format!(" ({code})"));
    format!("{sort} comm check of {}: {}{code}{took}", checked.peer, end.as_str())
}

/// Whole days, negative once the time has passed.
fn days_between(from: UnixMillis, until: UnixMillis) -> i64 {
    let signed = |at: UnixMillis| i64::try_from(at.get()).unwrap_or(i64::MAX);
    (signed(until) - signed(from)).div_euclid(DAY_MS)
}
