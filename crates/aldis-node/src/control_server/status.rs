//! The node at a glance.

use super::caller::Caller;
use super::failure::Failure;
use super::{Shared, backup, convert, ladder_marks, peers};
use crate::access::Grant;
use crate::alerts::{ChannelHealth, Health};
use crate::event_loop::NodeView;
use crate::scrub::ScrubState;
use aldis_control::{Alarm, ChannelView, JournalState, ScrubOutcome, ScrubView, SilenceView, Status};
use aldis_core::Climbing;
use aldis_wire::codec::Text;
use axum::extract::State;
use axum::{Extension, Json};
use std::path::PathBuf;

/// What the node is doing.
pub(super) async fn status(
    State(server): Shared,
    Extension(caller): Extension<Caller>,
    Extension(grant): Extension<Grant>,
) -> Result<Json<Status>, Failure> {
    let view = server.context.loop_handle.view().await?;
    let dir = server.context.journal_dir.clone();
    let bytes = tokio::task::spawn_blocking(move || journal_bytes(dir)).await.unwrap_or(0);
    let silences = server.context.loop_handle.silences().await?;
    let lanes = || view.peers.iter().flat_map(|peer| &peer.lanes);
    let exercises = || silences.exercises.values();
    let (exercise_in, exercise_out): (u64, u64) =
        (exercises().map(|(theirs, _)| theirs).sum(), exercises().map(|(_, ours)| ours).sum());
    let real = |all: u64, exercise| all.saturating_sub(exercise);
    Ok(Json(Status {
        node: view.own.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        incarnation: view.incarnation.to_string(),
        started_at: convert::time(view.started_at),
        // The loop answered, and it begins only when journal and links are up.
        ready: true,
        log: server.context.log.status().into(),
        journal: JournalState { records: view.journal.size, bytes, root: view.journal.root.to_hex() },
        waiting_in: real(lanes().map(|lane| lane.unanswered).sum(), exercise_in),
        waiting_out: real(lanes().map(|lane| lane.sent - lane.receipted).sum(), exercise_out),
        exercise_in,
        exercise_out,
        silences: silences.climbing.iter().map(silence).collect(),
        peers: view
            .peers
            .iter()
            .map(|peer| peers::summary(peer, &server.context.notes, server.context.clock.wall()))
            .collect(),
        alarms: alarms(&view),
        channels: channels(server.context.carrier.health()),
        scrub: scrub(&server.context.scrubs),
        backup: backup::view(&server.context.backups),
        you: caller.you(&grant),
    }))
}

fn silence(climbing: &Climbing) -> SilenceView {
    SilenceView {
        peer: climbing.peer.to_string(),
        silence: ladder_marks::silence(climbing.silence),
        exercise: climbing.exercise.as_deref().map(str::to_owned),
        messages: climbing.messages,
        step: climbing.step,
        of: climbing.of,
    }
}

/// The alarms that last, worst first: what threatens the record, then what stops messages, then the rest; older first.
fn alarms(view: &NodeView) -> Vec<Alarm> {
    let rank = |code: &str| match code {
        _ if code.starts_with("lane-blocked") => 1,
        "clock-difference" => 2,
        _ => 0,
    };
    let mut alarms: Vec<_> = view.alarms.iter().collect();
    alarms.sort_by_key(|alarm| (rank(alarm.code.as_str()), alarm.at));
    let shown = |alarm: &aldis_core::record::Alarm| Alarm {
        code: alarm.code.to_string(),
        peer: alarm.peer.as_ref().map(ToString::to_string),
        text: alarm.text.to_string(),
        raised_at: convert::time(alarm.at),
    };
    alarms.into_iter().map(shown).collect()
}

/// The channels of alerts, by name.
fn channels(health: &Health) -> Vec<ChannelView> {
    let shown = |(name, known): (Text<32>, ChannelHealth)| ChannelView {
        name: name.to_string(),
        last_success: known.last_success.map(convert::time),
        last_failure: known.last_failure.map(|(at, _)| convert::time(at)),
        failing: known.failing,
    };
    health.of_all().into_iter().map(shown).collect()
}

/// The latest scrub and the next.
fn scrub(scrubs: &ScrubState) -> ScrubView {
    let latest = scrubs.latest().map(|outcome| ScrubOutcome {
        at: convert::time(outcome.at),
        records: outcome.records,
        witnesses: outcome.witnesses,
        findings: outcome.findings,
        first: outcome.first,
    });
    ScrubView { latest, next_at: scrubs.next().map(convert::time) }
}

/// The size of the journal's files. One that cannot be looked at counts nothing here; `aldis verify` names it.
fn journal_bytes(dir: PathBuf) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let files = entries.flatten().filter_map(|entry| entry.metadata().ok()).filter(std::fs::Metadata::is_file);
    files.map(|metadata| metadata.len()).sum()
}
