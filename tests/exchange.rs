//! The main job between two whole nodes over real TLS: notices, receipts, answers, and what happens around restarts.

use aldis_core::effect::Delivery;
use aldis_tests::certs::{Cert, eventually, two_certs};
use aldis_wire::codes::Code;
use aldis_wire::lane::Lane;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_stored_receipted_and_answered() {
    let (br, cl) = two_certs().await;
    let id = br.send(&cl, Lane::Priority, "C2 at a provider").await;
    br.delivered(&id, &Delivery::Stored).await;
    let digest = br.peer(&cl).await.lanes[Lane::Priority.index()].sent_digest.expect("it was sent");
    cl.answer(&id, digest, json!({ "state": "seen" })).await;
    br.delivered(&id, &Delivery::Seen).await;
    cl.answer(&id, digest, json!({ "state": "acknowledged" })).await;
    br.delivered(&id, &Delivery::Acknowledged).await;
    let answer = cl.answer(&id, digest, json!({ "state": "decided", "status": "approved" })).await;
    br.delivered(&id, &Delivery::Decided(Code::known("approved"))).await;
    cl.delivered(&answer, &Delivery::Stored).await;
    assert_eq!(cl.peer(&br).await.lanes[Lane::Priority.index()].unanswered, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_for_a_peer_that_is_down_arrives_by_itself() {
    let (br, mut cl) = two_certs().await;
    br.linked(&cl).await;
    cl.stop().await;
    for number in 0..300 {
        br.send(&cl, Lane::Routine, &format!("notice {number}")).await;
    }
    let flash = br.send(&cl, Lane::Flash, "first").await;
    cl.start().await;
    br.delivered(&flash, &Delivery::Stored).await;
    eventually("all 300 are receipted", || async { br.peer(&cl).await.lanes[Lane::Routine.index()].receipted == 300 })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_i5_everything_confirmed_survives_a_restart_of_both() {
    let (mut br, mut cl) = two_certs().await;
    let first = br.send(&cl, Lane::Immediate, "before").await;
    br.delivered(&first, &Delivery::Stored).await;
    br.stop().await;
    cl.stop().await;
    br.start().await;
    let second = br.send(&cl, Lane::Immediate, "after").await;
    assert_eq!(second.seq.get(), 2);
    cl.start().await;
    br.delivered(&second, &Delivery::Stored).await;
    assert_eq!(cl.peer(&br).await.lanes[Lane::Immediate.index()].received, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_gets_no_link() {
    let (br, _cl) = two_certs().await;
    let mut ar = Cert::new("cert.ar");
    ar.start().await;
    ar.enrol(&br).await;
    eventually("the refusal is noted", || async { ar.node().notes.of(&br.id).last_error.is_some() }).await;
    assert!(br.view().await.peers.iter().all(|peer| peer.card.card().id != ar.id));
}
