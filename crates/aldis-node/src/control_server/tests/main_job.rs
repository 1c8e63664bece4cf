//! The main job through the API alone: two nodes enrol each other, one sends, the other answers, both review.

use super::support::{Cert, api, eventually, notice, two};
use aldis_control::{
    AnswerRequest, AnswerState, AnswerStatus, CardShowRequest, CaseQuery, DeliveryState, Direction, LinkState,
    ListQuery, LogQuery, LogState, PeerQuery, PeerUnblockRequest, Precedence,
};

#[tokio::test(flavor = "multi_thread")]
async fn i3_a_notice_is_sent_stored_answered_and_reviewed_at_both_ends() {
    let (br, cl) = two().await;
    let sent = br.send_stored(notice(&["cert.cl"])).await;
    let inbox = cl.inbox().await;
    assert_eq!(inbox.len(), 1);
    assert_eq!((inbox[0].id.clone(), inbox[0].subject.as_str()), (sent.id.clone(), "C2 at a provider"));
    assert_eq!(inbox[0].direction, Direction::In);
    assert_eq!(cl.client.status().await.unwrap().waiting_in, 1);

    // A person at the other end names it the short way.
    let short = format!("cert.br/P{}", sent.id.seq);
    let say = |state, status| AnswerRequest {
        id: short.clone(),
        state,
        status,
        justification: None,
        until: None,
        text: Some("We look at it.".to_owned()),
        author: Some("Ana, duty officer".to_owned()),
    };
    for (state, status, shown) in [
        (AnswerState::Seen, None, DeliveryState::Seen),
        (AnswerState::Acknowledged, None, DeliveryState::Acknowledged),
        (AnswerState::Decided, Some(AnswerStatus::Approved), DeliveryState::Decided),
    ] {
        let answer = cl.client.answer(&say(state, status)).await.unwrap().message;
        assert_eq!((answer.to.as_str(), answer.id.lane), ("cert.br", Precedence::Priority));
        eventually("the answer shows at the sender", || async { br.message(&sent.id).await.row.state == shown }).await;
    }

    let view = br.message(&sent.id).await;
    assert_eq!(view.row.status, Some(AnswerStatus::Approved));
    assert_eq!(view.answers.len(), 3);
    assert_eq!(view.answers[2].by, "Ana, duty officer");
    assert_eq!(view.digest, sent.digest);
    assert!(view.receipt.is_some());
    let case = cl.client.case(&CaseQuery { id: view.row.case[..8].to_owned() }).await.unwrap();
    assert_eq!((case.case.as_str(), case.messages.len()), (view.row.case.as_str(), 4));
    assert!(case.messages.iter().all(|message| message.row.tlp == view.row.tlp), "answers inherit the marking");
    let query = LogQuery { text: Some("provider".to_owned()), ..LogQuery::default() };
    assert_eq!(br.client.log(&query).await.unwrap().rows.len(), 1);
    assert!(cl.inbox().await.is_empty());
    assert!(br.client.outbox(&ListQuery::default()).await.unwrap().is_empty());
    let all = ListQuery { all: true, peer: Some("cert.cl".to_owned()), ..ListQuery::default() };
    assert_eq!(br.client.outbox(&all).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_peers_show_links_lanes_and_journal() {
    let (br, cl) = two().await;
    let sent = br.send_stored(notice(&["cert.cl"])).await;
    eventually("the log follows", || async { br.client.status().await.unwrap().log == LogState::Following }).await;
    let status = br.client.status().await.unwrap();
    assert_eq!((status.node.as_str(), status.ready), ("cert.br", true));
    assert!(status.journal.records > 0 && status.journal.bytes > 0 && status.journal.root.len() == 64);
    assert_eq!((status.waiting_in, status.waiting_out), (0, 0));
    assert_eq!(status.peers.len(), 1);
    let peer = br.client.peer(&PeerQuery { id: "cert.cl".to_owned() }).await.unwrap();
    assert_eq!(peer.summary.link, LinkState::Up);
    assert_eq!(peer.marks[2].lane, Precedence::Priority);
    assert_eq!((peer.marks[2].sent, peer.marks[2].receipted), (1, 1));
    assert_eq!(peer.marks[2].sent_digest.as_deref(), Some(sent.digest.as_str()));
    assert_eq!(br.client.peers().await.unwrap(), [peer.summary.clone()].to_vec());

    let text = cl.client.card().await.unwrap().text;
    let card = br.client.card_show(&CardShowRequest { text }).await.unwrap();
    assert_eq!((card.id.as_str(), &card.fingerprint), ("cert.cl", &peer.summary.fingerprint));
    assert_eq!(card, peer.card);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_counted_and_listed_while_the_peer_is_away() {
    let (br, mut cl) = two().await;
    cl.stop_node().await;
    let request = aldis_control::SendRequest {
        wait: Some(aldis_control::Wait::Stored),
        wait_ms: Some(50),
        ..notice(&["cert.cl"])
    };
    let response = br.client.send(&request).await.unwrap();
    assert!(
        matches!(response.messages[0].state, DeliveryState::Submitted | DeliveryState::Relayed),
        "a time that is over is no error: {response:?}"
    );
    assert_eq!(br.client.status().await.unwrap().waiting_out, 1);
    let outbox = br.client.outbox(&ListQuery::default()).await.unwrap();
    assert_eq!(outbox[0].id, response.messages[0].id);
    assert_eq!(br.client.peers().await.unwrap()[0].queued.priority, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_that_are_not_there_and_cards_that_are_none_say_what_to_do() {
    let br = Cert::new("cert.br").await;
    let query = PeerQuery { id: "cert.cl".to_owned() };
    let error = api(br.client.peer(&query).await);
    assert_eq!((error.code.as_str(), error.exit), ("no-such-peer", 5));
    assert!(error.advice.contains("nobody is enrolled yet"), "{error:?}");
    let error = api(br.client.peer(&PeerQuery { id: "CERT.CL".to_owned() }).await);
    assert_eq!((error.code.as_str(), error.exit), ("bad-node-id", 2));
    let unblock = PeerUnblockRequest { id: "cert.cl".to_owned(), lane: Precedence::Flash };
    assert_eq!(api(br.client.peer_unblock(&unblock).await).exit, 5);

    let own = br.client.card().await.unwrap().text;
    let error = api(br.client.peer_add(&aldis_control::PeerAddRequest { card: own.clone() }).await);
    assert_eq!((error.code.as_str(), error.exit), ("card-refused", 3), "{error:?}");
    let flipped = own.replacen('A', "B", 1);
    for text in ["", "a letter", &own[..own.len() / 2], &flipped] {
        let error = api(br.client.card_show(&CardShowRequest { text: text.to_owned() }).await);
        assert_eq!((error.code.as_str(), error.exit), ("bad-card", 2), "{error:?}");
    }

    let cl = Cert::new("cert.cl").await;
    br.enrol(&cl).await;
    let error = api(br.client.peer_unblock(&unblock).await);
    assert_eq!((error.code.as_str(), error.exit), ("not-blocked", 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_served_description_is_the_checked_in_one() {
    let br = Cert::new("cert.br").await;
    let answer = br.raw(b"GET /v1/openapi.json HTTP/1.1\r\nhost: aldis\r\nconnection: close\r\n\r\n").await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let checked_in = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    assert!(body == std::fs::read_to_string(checked_in).unwrap(), "docs/openapi.json is not what is served");
    assert!(br.client.openapi().await.unwrap().is_object());
    assert_eq!(br.client.vocabulary().await.unwrap().kinds, ["incident"]);
}
