//! The node's figures for Prometheus, over the control socket like everything else: a collector on this machine asks with
//! a role of its own. They are taken at the moment of asking; nothing here counts by itself, and no name of a message,
//! case or person is in them.

use super::failure::Failure;
use super::{Server, Shared};
use crate::alerts::Health;
use crate::event_loop::{LinkStatus, NodeView, SilencesView};
use crate::tls::Certificate;
use aldis_core::trust::Trust;
use aldis_wire::ids::UnixMillis;
use aldis_wire::lane::Lane;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::time::UNIX_EPOCH;

/// The text format's media type.
const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPeer {
    peer: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfLane {
    peer: String,
    lane: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfChecks {
    peer: String,
    of: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSilence {
    peer: String,
    silence: &'static str,
    traffic: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfAlarm {
    code: String,
    peer: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfChannel {
    channel: String,
}

/// The figures of now.
pub(super) async fn metrics(State(server): Shared) -> Result<impl IntoResponse, Failure> {
    let view = server.context.loop_handle.view().await?;
    let silences = server.context.loop_handle.silences().await?;
    let mut registry = figures(&server, &view);
    of_silences(&silences, &mut registry);
    of_channels(server.context.carrier.health(), &mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|error| Failure::internal(format!("writing the figures: {error}")))?;
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], text))
}

fn figures(server: &Server, view: &NodeView) -> Registry {
    let mut registry = Registry::with_prefix("aldis");
    of_node(server, view, &mut registry);
    of_peers(view, &mut registry);
    of_lanes(view, &mut registry);
    of_checks(view, &mut registry);
    registry
}

fn of_node(server: &Server, view: &NodeView, registry: &mut Registry) {
    let gauge = |value| {
        let gauge = Gauge::<i64>::default();
        gauge.set(value);
        gauge
    };
    let own = &server.context.own;
    let shown = server.context.directory.shown();
    registry.register("journal_records", "Records in the journal", gauge(signed(view.journal.size)));
    registry.register("requests_waiting", "Acts waiting for a second person", gauge(count(view.requests.len())));
    let until = "When it runs out, seconds since 1970";
    registry.register("own_card_valid_until_seconds", until, gauge(seconds(own.card().card().valid_until)));
    registry.register("own_certificate_valid_until_seconds", until, gauge(end_of(shown.certificate())));
    if let Some(scrub) = server.context.scrubs.latest() {
        registry.register(
            "scrub_ended_seconds",
            "When the latest scrub ended, seconds since 1970",
            gauge(seconds(scrub.at)),
        );
        let findings = "Places that did not verify in the latest scrub";
        registry.register("scrub_findings", findings, gauge(signed(scrub.findings)));
    }
    let alarms = Family::<OfAlarm, Gauge>::default();
    for alarm in &view.alarms {
        let peer = alarm.peer.as_ref().map(ToString::to_string).unwrap_or_default();
        alarms.get_or_create(&OfAlarm { code: alarm.code.to_string(), peer }).set(1);
    }
    registry.register("alarm", "Alarms that last", alarms);
}

fn of_peers(view: &NodeView, registry: &mut Registry) {
    let [verified, link, card, certificate] = std::array::from_fn(|_| Family::<OfPeer, Gauge>::default());
    for peer in &view.peers {
        let of_peer = OfPeer { peer: peer.card.card().id.to_string() };
        verified.get_or_create(&of_peer).set((peer.trust == Trust::Verified).into());
        link.get_or_create(&of_peer).set((peer.link == LinkStatus::Up).into());
        card.get_or_create(&of_peer).set(seconds(peer.card.card().valid_until));
        if let Ok(end) = Certificate::from_der(&peer.card.card().tls_certificate) {
            certificate.get_or_create(&of_peer).set(end_of(&end));
        }
    }
    registry.register("peer_verified", "Whether the peer is talked to", verified);
    registry.register("peer_link_up", "Whether the link with the peer is up", link);
    let until = "When it runs out, seconds since 1970";
    registry.register("peer_card_valid_until_seconds", until, card);
    registry.register("peer_certificate_valid_until_seconds", until, certificate);
}

fn of_lanes(view: &NodeView, registry: &mut Registry) {
    let [undelivered, unanswered, blocked] = std::array::from_fn(|_| Family::<OfLane, Gauge>::default());
    for peer in &view.peers {
        for (lane, status) in Lane::ALL.into_iter().zip(&peer.lanes) {
            let of_lane = OfLane { peer: peer.card.card().id.to_string(), lane: lane.name() };
            undelivered.get_or_create(&of_lane).set(signed(status.sent.saturating_sub(status.receipted)));
            unanswered.get_or_create(&of_lane).set(signed(status.unanswered));
            blocked.get_or_create(&of_lane).set((status.blocked_here || status.blocked_there).into());
        }
    }
    registry.register("lane_undelivered", "Messages the peer has not receipted", undelivered);
    registry.register("lane_unanswered", "Notices from the peer that wait for an answer", unanswered);
    registry.register("lane_blocked", "Whether either side has blocked the lane", blocked);
}

/// Comm checks are counted apart from messages, and over those that are kept.
fn of_checks(view: &NodeView, registry: &mut Registry) {
    let [kept, missed, in_a_row, p50, p95] = std::array::from_fn(|_| Family::<OfChecks, Gauge>::default());
    for peer in &view.peers {
        for (of, human) in [("machine", false), ("people", true)] {
            let of_checks = OfChecks { peer: peer.card.card().id.to_string(), of };
            let figures = peer.checks.statistics(human);
            kept.get_or_create(&of_checks).set(count(figures.count));
            missed.get_or_create(&of_checks).set(count(figures.missed));
            in_a_row.get_or_create(&of_checks).set(count(peer.checks.missed_in_a_row(human)));
            for (family, ms) in [(&p50, figures.p50_ms), (&p95, figures.p95_ms)] {
                if let Some(ms) = ms {
                    family.get_or_create(&of_checks).set(signed(ms));
                }
            }
        }
    }
    registry.register("comm_checks", "Comm checks kept, the latest 256 of a peer", kept);
    registry.register("comm_checks_missed", "Comm checks missed, of those kept", missed);
    registry.register("comm_checks_missed_in_a_row", "Comm checks missed since one was not", in_a_row);
    registry.register("comm_check_p50_milliseconds", "Half of the round trips took at most so long", p50);
    registry.register("comm_check_p95_milliseconds", "19 of 20 round trips took at most so long", p95);
}

/// Exercises are counted apart from what is real (I12).
fn of_silences(silences: &SilencesView, registry: &mut Registry) {
    let [climbing, step] = std::array::from_fn(|_| Family::<OfSilence, Gauge>::default());
    for one in &silences.climbing {
        let traffic = if one.exercise.is_some() { "exercise" } else { "real" };
        let of_silence = OfSilence { peer: one.peer.to_string(), silence: one.silence.name(), traffic };
        climbing.get_or_create(&of_silence).inc_by(signed(one.messages));
        let furthest = step.get_or_create(&of_silence).get().max(one.step.into());
        step.get_or_create(&of_silence).set(furthest);
    }
    registry.register("silence_messages", "Messages about which the ladder climbs", climbing);
    registry.register("silence_step", "The furthest step that was taken for one of them", step);
    let [unanswered, undelivered] = std::array::from_fn(|_| Family::<OfPeer, Gauge>::default());
    for (peer, (theirs, ours)) in &silences.exercises {
        let of_peer = OfPeer { peer: peer.to_string() };
        unanswered.get_or_create(&of_peer).set(signed(*theirs));
        undelivered.get_or_create(&of_peer).set(signed(*ours));
    }
    let text = "Of the peer's notices that wait for an answer, those of exercises";
    registry.register("exercise_unanswered", text, unanswered);
    let text = "Of the messages the peer has not receipted, those of exercises";
    registry.register("exercise_undelivered", text, undelivered);
}

/// Channels of alerts, as they were in this run. One that was not tried yet is neither up nor down.
fn of_channels(health: &Health, registry: &mut Registry) {
    let [up, last_success] = std::array::from_fn(|_| Family::<OfChannel, Gauge>::default());
    let failures = Family::<OfChannel, Counter>::default();
    for (name, known) in health.of_all() {
        let of_channel = OfChannel { channel: name.to_string() };
        failures.get_or_create(&of_channel).inc_by(known.failures);
        if known.last_success.is_some() || known.failing.is_some() {
            up.get_or_create(&of_channel).set(known.failing.is_none().into());
        }
        if let Some(at) = known.last_success {
            last_success.get_or_create(&of_channel).set(seconds(at));
        }
    }
    registry.register("alert_channel_up", "Whether the channel worked the last time it was used or probed", up);
    let text = "When the channel last reached somebody or answered a probe, seconds since 1970";
    registry.register("alert_channel_last_success_seconds", text, last_success);
    registry.register("alert_channel_failures", "How often the channel failed in this run", failures);
}

fn seconds(at: UnixMillis) -> i64 {
    signed(at.get() / 1_000)
}

fn end_of(certificate: &Certificate) -> i64 {
    let since = certificate.not_after().duration_since(UNIX_EPOCH).unwrap_or_default();
    signed(since.as_secs())
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aldis_wire::codec::Text;

    #[test]
    fn a_channel_is_up_down_or_not_tried_yet() {
        let name = Text::cut;
        let health = Health::new(["mail", "pager", "spare"].map(name).into_iter());
        health.note(&name("mail"), UnixMillis::new(1_790_000_000_000), None);
        for _ in 0..2 {
            health.note(&name("pager"), UnixMillis::new(1_790_000_000_000), Some("exit code 2"));
        }
        let (mut registry, mut text) = (Registry::with_prefix("aldis"), String::new());
        of_channels(&health, &mut registry);
        encode(&mut text, &registry).unwrap();
        let mut values: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let mut expected = [
            "aldis_alert_channel_up{channel=\"mail\"} 1",
            "aldis_alert_channel_up{channel=\"pager\"} 0",
            "aldis_alert_channel_last_success_seconds{channel=\"mail\"} 1790000000",
            "aldis_alert_channel_failures_total{channel=\"mail\"} 0",
            "aldis_alert_channel_failures_total{channel=\"pager\"} 2",
            "aldis_alert_channel_failures_total{channel=\"spare\"} 0",
        ];
        values.sort_unstable();
        expected.sort_unstable();
        assert_eq!(values, expected, "{text}");
    }
}
