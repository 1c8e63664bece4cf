//! The event stream: what happens, as it happens, and again what a listener missed while it was away. A listener that
//! is too slow is told how many events it lost; it never holds anything up. Who may hear what is asked anew for each event:
//! a listener that has lost its role hears nothing more.

use super::caller::{Caller, Credentials};
use super::extract::Asked;
use super::failure::Failure;
use super::file_progress::{self, Moved};
use super::{Server, Shared, alert_event, convert, drafts, drill, ladder_marks, permits, review, send, steps};
use crate::access::{Desks, Grant};
use crate::events::Told;
use aldis_control::{Event, EventKind, EventsQuery, LogState, Role};
use aldis_core::effect::{Delivery, Happening};
use aldis_core::hotline::SessionState;
use aldis_core::ladder::Alert;
use aldis_wire::ids::{EnvelopeId, Incarnation, NodeId};
use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{self, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use futures_util::{StreamExt, future};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// How often something is written when nothing happens, so that a dead connection is noticed at both ends.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Where a listener that comes back was, and in which run of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    run: Incarnation,
    number: u64,
}

/// Something to tell.
enum Item {
    /// It happened; what becomes of it depends on who listens.
    Told(Arc<Told>),
    /// It is for everybody who may listen.
    Written(sse::Event),
    /// A file has moved; for whom that is follows from the message that names it.
    File(Moved),
}

/// What a listener gets of it.
enum Heard {
    Event(sse::Event),
    Nothing,
    /// The listener may not listen any more.
    End,
}

/// Somebody who listens.
struct Listener {
    server: Arc<Server>,
    run: Incarnation,
    credentials: Credentials,
}

/// Server-sent events, from now on or from the place the listener names.
pub(super) async fn watch(
    State(server): Shared,
    Extension(credentials): Extension<Credentials>,
    headers: HeaderMap,
    Asked(query): Asked<EventsQuery>,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Failure> {
    let resumed = headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let since = resumed.or(query.since).map(|text| place(&text)).transpose()?;
    let run = server.context.loop_handle.view().await?.incarnation;
    let same_run = since.filter(|since| since.run == run);
    // Of another run nothing is known but that this one began later: all of it that is kept is new to the listener.
    let after = since.map(|_| same_run.map_or(0, |since| since.number));
    let (kept, live) = server.context.events.listen(after);
    let first = kept.first().map(|told| told.number);
    let lost = match (after, first) {
        (Some(after), Some(first)) => first - after - 1,
        _ => 0,
    };
    let mut before = Vec::new();
    if since.is_some() && same_run.is_none() {
        let text = "the daemon was started again; what it told before is in `aldis log`".to_owned();
        before.push(remark(&server, text));
    }
    if lost > 0 {
        before.push(missed(&server, lost));
    }
    let stopping = server.stopping.clone();
    let log = log_changes(&server);
    let before = stream::iter(before.into_iter().map(Item::Written));
    let kept = stream::iter(kept.into_iter().map(Item::Told));
    let items = stream::select(before.chain(kept).chain(following(Arc::clone(&server), live)), log);
    let items = stream::select(items, file_progress::moves(&server).map(Item::File));
    let listener = Arc::new(Listener { server, run, credentials });
    let heard = items.then(move |item| hear(Arc::clone(&listener), item));
    let heard = heard.take_while(|heard| future::ready(!matches!(heard, Heard::End)));
    let events = heard.filter_map(|heard| {
        future::ready(match heard {
            Heard::Event(event) => Some(Ok(event)),
            Heard::Nothing | Heard::End => None,
        })
    });
    let events = events.take_until(stopping.cancelled_owned());
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

/// What is told from now on.
fn following(server: Arc<Server>, live: broadcast::Receiver<Arc<Told>>) -> impl Stream<Item = Item> {
    stream::unfold((server, live), move |(server, mut live)| async move {
        let item = match live.recv().await {
            Ok(told) => Item::Told(told),
            Err(RecvError::Lagged(count)) => Item::Written(missed(&server, count)),
            Err(RecvError::Closed) => return None,
        };
        Some((item, (server, live)))
    })
}

/// What becomes of the message log, from now on. It is not among the happenings, so it has no id.
fn log_changes(server: &Arc<Server>) -> impl Stream<Item = Item> + use<> {
    let status = server.context.log.watch_status();
    let last: LogState = status.borrow().clone().into();
    stream::unfold((Arc::clone(server), status, last), |(server, mut status, last)| async move {
        loop {
            status.changed().await.ok()?;
            let state: LogState = status.borrow_and_update().clone().into();
            // Its progress is for `status`; here only the turns are told.
            if std::mem::discriminant(&state) != std::mem::discriminant(&last) {
                let event = log_event(&server, &state);
                return Some((Item::Written(event), (server, status, state)));
            }
        }
    })
}

fn log_event(server: &Server, state: &LogState) -> sse::Event {
    let (word, text) = match state {
        LogState::Following => ("following", "the message log follows the journal".to_owned()),
        LogState::Opening => ("opening", "the message log is being opened".to_owned()),
        LogState::Rebuilding { .. } => ("rebuilding", "the message log is being built again".to_owned()),
        LogState::Degraded { reason } => ("degraded", format!("the message log: {reason}")),
    };
    let at = convert::time(server.context.clock.wall());
    let (what, state) = (EventKind::Log, Some(word.to_owned()));
    written(&Event { at, what, message: None, peer: None, state, text })
}

/// What a listener gets of something, at this moment. Nothing reaches anybody but through here.
async fn hear(listener: Arc<Listener>, item: Item) -> Heard {
    let (_, grant) = Caller::look_up(listener.credentials, &listener.server).await;
    if !permits::may_watch(&grant) {
        return Heard::End;
    }
    match item {
        Item::Written(event) => Heard::Event(event),
        Item::File(moved) => {
            let event = file_progress::event(&listener.server, &grant.reads(), moved).await;
            event.map_or(Heard::Nothing, |event| Heard::Event(written(&event)))
        }
        Item::Told(told) => {
            let shown = match &told.happening {
                Happening::Alerted(alert) => hears(&listener.server, &grant, alert).await.then(|| event(&told)),
                _ => shown(&listener.server, &grant.reads(), &told).await,
            };
            let with_id = |event| Heard::Event(written(&event).id(format!("{}-{}", listener.run, told.number)));
            shown.map_or(Heard::Nothing, with_id)
        }
    }
}

/// Whether a listener hears an alert; one who may answer what it is about has taken it with that.
async fn hears(server: &Server, grant: &Grant, alert: &Alert) -> bool {
    let answers =
        grant.has_any(&[Role::Operator]) && alert_event::concerns(server, &grant.writes(), &alert.messages).await;
    if answers {
        server.context.bell.heard(alert.id);
    }
    // Whoever answers for a desk reads it too.
    answers || alert_event::concerns(server, &grant.reads(), &alert.messages).await
}

/// An event that is no alert, as whoever reads these desks sees it.
async fn shown(server: &Server, desks: &Desks, told: &Told) -> Option<Event> {
    match &told.happening {
        Happening::Climbed(climbed) if !alert_event::step_concerns(server, desks, climbed).await => None,
        Happening::Drafted(_, draft) | Happening::DraftEnded(_, _, draft, _) if !desks.contains(draft.desk) => None,
        Happening::Hotline(_, _, desk, _) if !desks.contains(*desk) => None,
        Happening::Received(id) | Happening::Delivery(id, _) | Happening::StepTold(id, _) => {
            of_message(server, desks, id, event(told)).await
        }
        Happening::Attachment(peer, digest, news) => file_progress::ended(server, desks, peer, *digest, *news).await,
        _ => Some(event(told)),
    }
}

/// An event about a message, with its row, if whoever reads these desks may know of it.
async fn of_message(server: &Server, desks: &Desks, id: &EnvelopeId, event: Event) -> Option<Event> {
    let id = id.clone();
    match review::read(server, desks.clone(), move |log| log.message_row(&id)).await {
        Ok(mut row) => {
            ladder_marks::mark(server, std::slice::from_mut(&mut row)).await;
            Some(Event { message: Some(row), ..event })
        }
        Err(failure) if failure.code() == "missing-desk" => None,
        // Without the log the event still says what happened; only the row is missing.
        Err(_) if *desks == Desks::All => Some(event),
        Err(_) => {
            let text = "a message moved; the message log does not say yet for which desk, see `aldis log`".to_owned();
            Some(Event { what: EventKind::Other, peer: None, state: None, text, ..event })
        }
    }
}

fn event(told: &Told) -> Event {
    let plain = |what, text| Event { at: convert::time(told.at), what, message: None, peer: None, state: None, text };
    let about = |kind, peer: &NodeId, text| Event { peer: Some(peer.to_string()), ..plain(kind, text) };
    let of_peer = |peer: &NodeId, text| about(EventKind::Peer, peer, text);
    let in_state = |state: &str, event| Event { state: Some(state.to_owned()), ..event };
    match &told.happening {
        Happening::Received(id) => about(EventKind::Received, &id.from, format!("{id} was received")),
        Happening::Delivery(id, delivery) => {
            let event = about(EventKind::Delivery, &id.to, delivery_text(id, delivery));
            in_state(send::delivery_state(delivery).as_str(), event)
        }
        Happening::LinkUp(peer) => in_state("up", about(EventKind::Link, peer, format!("the link with {peer} is up"))),
        Happening::LinkDown(peer, cause) => {
            in_state("down", about(EventKind::Link, peer, format!("the link with {peer} is down: {cause}")))
        }
        Happening::AlarmRaised(code, peer, text) => Event {
            peer: peer.as_ref().map(ToString::to_string),
            state: Some("raised".to_owned()),
            ..plain(EventKind::Alarm, format!("{code}: {text}"))
        },
        Happening::AlarmCleared(code, peer) => Event {
            peer: peer.as_ref().map(ToString::to_string),
            state: Some("cleared".to_owned()),
            ..plain(EventKind::Alarm, format!("{code} is over"))
        },
        Happening::PeerAdded(peer) => of_peer(peer, format!("the card of {peer} was added")),
        Happening::TrustChanged(peer, act, trust) => {
            of_peer(peer, format!("{peer} is {} ({})", trust.name(), act.name()))
        }
        Happening::KeyOffered(peer) => {
            of_peer(peer, format!("{peer} has a next identity key; see `aldis peer rotate {peer}`"))
        }
        Happening::AgreementChanged(peer) => {
            of_peer(peer, format!("the agreement with {peer} changed; see `aldis peer agreement {peer}`"))
        }
        Happening::CardTaken(peer) => of_peer(peer, format!("the card or keys of {peer} changed")),
        Happening::OwnKeySwitched(peer) => of_peer(peer, format!("our next identity key signs what goes to {peer}")),
        Happening::Requested(id, request) => {
            let text = format!(
                "{} asks for a second administrator: {} {}; approve it with `aldis approve {id}`",
                request.by,
                request.act.name(),
                request.peer
            );
            of_peer(&request.peer, text)
        }
        Happening::RequestEnded(id, end) => plain(EventKind::Peer, format!("request {id} is over: {}", end.name())),
        Happening::Drafted(id, draft) => in_state("waits", plain(EventKind::Draft, drafts::waits_text(*id, draft))),
        Happening::DraftEnded(id, end, draft, by) => {
            in_state(end.name(), plain(EventKind::Draft, drafts::ended_text(*id, *end, draft, by.as_ref())))
        }
        Happening::Alerted(alert) => {
            in_state(alert.cause.name(), about(EventKind::Alert, &alert.peer, alert_event::text(alert)))
        }
        Happening::Climbed(climbed) => about(EventKind::Ladder, &climbed.peer, steps::climbed(climbed)),
        Happening::StepTold(id, told) => about(EventKind::Ladder, &id.to, steps::told(id, told)),
        Happening::Checked(checked) => about(EventKind::Check, &checked.peer, drill::told(checked)),
        Happening::Hotline(peer, state, _, exercise) => {
            let mark = exercise.as_ref().map_or(String::new(), |name| format!("EXERCISE {name}: "));
            let text = match state {
                SessionState::Ringing => format!("{mark}a hotline with {peer} rings: `aldis hotline {peer}`"),
                SessionState::Open => format!("{mark}the hotline with {peer} is open"),
                SessionState::Closed => format!("{mark}the hotline with {peer} is over"),
            };
            in_state(state.name(), about(EventKind::Hotline, peer, text))
        }
        Happening::Attachment(peer, digest, _) => about(EventKind::File, peer, format!("attachment {digest}")),
        Happening::OwnCard(_) => plain(EventKind::Other, "this node has a new card".to_owned()),
        Happening::OwnCardKnown(_) => plain(EventKind::Other, "every peer not revoked has this node's card".to_owned()),
    }
}

fn delivery_text(id: &EnvelopeId, delivery: &Delivery) -> String {
    match delivery {
        Delivery::Submitted => format!("{id} is signed and stored here"),
        Delivery::Relayed => format!("{id} was handed to the link"),
        Delivery::Stored => format!("{id} is stored at {}", id.to),
        Delivery::Notified => format!("{id}: people at {} were alerted", id.to),
        Delivery::Seen => format!("{id} was seen at {}", id.to),
        Delivery::Acknowledged => format!("{id} is being dealt with at {}", id.to),
        Delivery::Decided(status) => format!("{id} was decided at {}: {status}", id.to),
        Delivery::Refused(code) => format!("{id} was refused by {}: {code}", id.to),
        Delivery::Expired => format!("{id} expired before it could be sent"),
        Delivery::Recalled => format!("{id} was taken back; its body is erased"),
    }
}

fn missed(server: &Server, count: u64) -> sse::Event {
    remark(server, format!("{count} events missed; what they were about is in `aldis log`"))
}

/// Something about the stream itself. It has no id, so that whoever comes back still names the last event it saw.
fn remark(server: &Server, text: String) -> sse::Event {
    let at = convert::time(server.context.clock.wall());
    written(&Event { at, what: EventKind::Other, message: None, peer: None, state: None, text })
}

fn written(event: &Event) -> sse::Event {
    let data = serde_json::to_string(event).expect("an event is made of strings and numbers");
    sse::Event::default().event(event.what.as_str()).data(data)
}

/// The place in an event's id.
fn place(text: &str) -> Result<Place, Failure> {
    let parts = text.split_once('-').and_then(|(run, number)| {
        let run = u64::from_str_radix(run, 16).ok()?;
        Some(Place { run: Incarnation(run), number: number.parse().ok()? })
    });
    parts.ok_or_else(|| {
        let text: String = text.chars().take(80).collect();
        Failure::usage("bad-event-id", format!("`{text}` is not the id of an event"), "leave `since` out")
    })
}
