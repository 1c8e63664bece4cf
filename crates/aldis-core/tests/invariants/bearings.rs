//! What kinds do beyond answers: what only tells moves nothing, what asks stays open, and a promise is no decision.

use crate::answers::{decided, last_received, out_state, seen, sent_count, with_notice};
use aldis_core::effect::Delivery;
use aldis_core::outbound::OutState;
use aldis_core::record::Outcome;
use aldis_wire::codes::Code;
use aldis_wire::kinds::{Answer, Bearing, from_json};
use aldis_wire::lane::Lane;
use serde_json::json;

#[test]
fn what_only_tells_moves_nothing_and_what_asks_is_open() {
    let step = json!({"cause": "unacknowledged", "step": 1, "of": 2, "name": "deputy", "outcome": "alerted",
                      "reached": 1, "at": "2026-11-22T03:15:00.000Z", "next_within_s": 600});
    let time = "2026-11-22T03:15:00.000Z";
    let reply =
        json!({"part": "reply", "reply": {"received_at": time, "clock": time, "certificate_valid_until": time}});
    let cases = [
        ("ladder-step", step, false),
        ("comm-check", reply, false),
        ("hotline", json!({"subject": "the bank's outage"}), true),
    ];
    for (kind, body, asks) in cases {
        let (mut world, sent) = with_notice(None);
        let before = sent_count(&world);
        let mut forged = world.forged(Lane::Flash);
        forged.answers(&sent, &seen()).carry(kind, &from_json(kind, 1, body).unwrap().bytes);
        let came = world.inject(forged);
        // A reply to what is no check fits nothing.
        let outcome = if kind == "comm-check" { Outcome::Unmatched } else { Outcome::Accepted };
        assert_eq!(last_received(&world).outcome, outcome, "{kind}");
        let state = if kind == "ladder-step" { OutState::Notified } else { OutState::Stored };
        assert_eq!(out_state(&world, &sent), Some(state), "{kind}");
        assert_eq!(sent_count(&world), before, "nothing is said about {kind}");
        let peer = world.nodes[0].core.peer(&came.0.from).unwrap();
        assert_eq!(peer.durable.inbound[Lane::Flash.index()].open.get(&came.0.seq.get()).is_some(), asks, "{kind}");
    }
}

#[test]
fn a_promise_keeps_a_message_open_and_is_on_record_with_its_time() {
    let (mut world, sent) = with_notice(None);
    let body = json!({"state": "decided", "status": "pending", "until": "2026-11-22T14:00:00.000Z"});
    let mut forged = world.forged(Lane::Flash);
    forged.answers(&sent, &from_json("acknowledgement", 1, body).unwrap());
    world.inject(forged);
    let promised = Answer::Pending(Some("2026-11-22T14:00:00.000Z".parse().unwrap()));
    assert_eq!(last_received(&world).bearing.unwrap().get(), Bearing::Answer(promised));
    assert_eq!(out_state(&world, &sent), Some(OutState::Pending));
    assert!(world.nodes[0].deliveries().contains(&(sent.0.clone(), Delivery::Decided(Code::known("pending")))));
    let mut forged = world.forged(Lane::Flash);
    forged.answers(&sent, &decided("approved"));
    world.inject(forged);
    assert_eq!(out_state(&world, &sent), None, "the decision closes it");
}
