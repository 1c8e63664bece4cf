//! A hotline is for a desk: whoever does not read that desk does not see it, and whoever does not write for it neither
//! opens, answers, speaks in nor ends it.

use super::support::{Cert, api, eventually, two};
use crate::access::Desks;
use aldis_control::{
    ApiError, HotlineCloseRequest, HotlineLineRequest, HotlineQuery, HotlineReadRequest, HotlineRequest, HotlineState,
    HotlineView, Role, Tlp,
};
use aldis_wire::codes::Desk;

fn only(desk: Desk) -> Desks {
    Desks::Only([desk].into())
}

fn with(peer: &str, desk: &str) -> HotlineRequest {
    HotlineRequest {
        peer: peer.to_owned(),
        tlp: Some(Tlp::Amber),
        subject: Some("a summit".to_owned()),
        text: Some("are you there?".to_owned()),
        desk: Some(desk.to_owned()),
        exercise: None,
        author: None,
    }
}

async fn seen(cert: &Cert, peer: &str) -> Result<HotlineView, aldis_control::ClientError> {
    cert.client.hotline(&HotlineQuery { peer: peer.to_owned(), limit: None }).await
}

/// Everything somebody at the desk may do, tried by somebody who may not.
async fn all_refused(cert: &Cert, peer: &str) {
    let (client, peer) = (&cert.client, peer.to_owned());
    let line =
        HotlineLineRequest { peer: peer.clone(), case: "a".repeat(26), text: "here I am".to_owned(), author: None };
    let read = HotlineReadRequest { peer: peer.clone(), through: 1, author: None };
    let close = |leave| HotlineCloseRequest { peer: peer.clone(), leave, author: None };
    let refused: [ApiError; 5] = [
        api(client.hotline_come(&with(&peer, "technical")).await),
        api(client.hotline_line(&line).await),
        api(client.hotline_read(&read).await),
        api(client.hotline_close(&close(true)).await),
        api(client.hotline_close(&close(false)).await),
    ];
    for error in refused {
        assert_eq!((error.code.as_str(), error.exit), ("missing-desk", 3), "{error:?}");
        assert!(error.message.contains("the desk diplomatic"), "{error:?}");
    }
}

/// A hotline for the diplomatic desk rings at `cl`.
async fn rings() -> (Cert, Cert) {
    let (br, cl) = two().await;
    let opened = br.client.hotline_come(&with("cert.cl", "diplomatic")).await.unwrap();
    assert_eq!(opened.session.unwrap().desk, "diplomatic");
    eventually("it rings", async || seen(&cl, "cert.br").await.is_ok_and(|view| view.session.is_some())).await;
    (br, cl)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hotline_for_another_desk_is_neither_seen_nor_answered() {
    let (br, cl) = rings().await;
    for (cert, peer) in [(&cl, "cert.br"), (&br, "cert.cl")] {
        cert.give(&[(Role::Operator, only(Desk::TECHNICAL))]);
        assert_eq!(api(seen(cert, peer).await).code, "missing-desk", "{}", cert.id);
        all_refused(cert, peer).await;
    }
    // The right desk picks up, and nothing was signed before by those who had no part in it.
    cl.give(&[(Role::Operator, only(Desk::DIPLOMATIC))]);
    let session = cl.client.hotline_come(&with("cert.br", "diplomatic")).await.unwrap().session.unwrap();
    assert_eq!((session.state, session.here.len(), session.entries.len()), (HotlineState::Open, 1, 2), "{session:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_reads_the_desk_sees_the_hotline_and_says_nothing_in_it() {
    let (_br, cl) = rings().await;
    cl.give(&[(Role::Auditor, only(Desk::DIPLOMATIC)), (Role::Operator, only(Desk::TECHNICAL))]);
    let session = seen(&cl, "cert.br").await.unwrap().session.unwrap();
    assert_eq!((session.state, session.here.len()), (HotlineState::Ringing, 0));
    all_refused(&cl, "cert.br").await;
    assert_eq!(seen(&cl, "cert.br").await.unwrap().session.unwrap().state, HotlineState::Ringing, "nobody picked up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hotline_is_opened_only_for_a_desk_of_ones_own() {
    let (br, _cl) = two().await;
    br.give(&[(Role::Operator, only(Desk::TECHNICAL))]);
    let error = api(br.client.hotline_come(&with("cert.cl", "diplomatic")).await);
    assert_eq!((error.code.as_str(), error.exit), ("missing-desk", 3), "{error:?}");
    assert_eq!(seen(&br, "cert.cl").await.unwrap().session, None);
    br.client.hotline_come(&with("cert.cl", "technical")).await.unwrap();
}
