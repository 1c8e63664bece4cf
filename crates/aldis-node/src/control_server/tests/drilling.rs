//! `POST /v1/drill` and `GET /v1/drill`: checks that come back, checks of people, and checks that are no messages.

use super::support::{api, eventually, two};
use aldis_control::{AnswerRequest, AnswerState, CheckEnd, CheckPart, DrillQuery, DrillRequest, ListQuery};

fn of(peer: &str, part: CheckPart, wait_ms: u64) -> DrillRequest {
    DrillRequest { peers: vec![peer.to_owned()], part, wait_ms: Some(wait_ms), ..DrillRequest::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_check_comes_back_with_what_the_peer_says_of_itself() {
    let (br, cl) = two().await;
    let all = DrillRequest { wait_ms: Some(30_000), ..DrillRequest::default() };
    let [view] = br.client.drill(&all).await.unwrap().try_into().unwrap();
    let result = view.result.unwrap();
    assert_eq!((view.peer.as_str(), view.declined, result.end), ("cert.cl", None, CheckEnd::Replied));
    assert!(result.round_trip_ms.unwrap() < 30_000, "{result:?}");
    assert!(result.clock_difference_ms.unwrap().abs() < 30_000, "{result:?}");
    assert!(result.certificate_days.unwrap() > 0, "{result:?}");
    let query = DrillQuery { peer: Some("cert.cl".to_owned()) };
    eventually("the receipt's commitment", async || {
        let [checks] = br.client.checks(&query).await.unwrap().try_into().unwrap();
        checks.machine.latest.is_some_and(|latest| latest.commitment.is_some())
    })
    .await;
    let [checks] = br.client.checks(&query).await.unwrap().try_into().unwrap();
    assert_eq!((checks.machine.count, checks.machine.missed, checks.human.count), (1, 0, 0));
    // At neither end does anything wait for anybody.
    assert!(cl.client.inbox(&ListQuery::default()).await.unwrap().is_empty());
    let status = cl.client.status().await.unwrap();
    assert_eq!(status.peers[0].unanswered, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_human_check_waits_for_a_person_and_is_no_message_in_the_inbox() {
    let (br, cl) = two().await;
    let [view] = br.client.drill(&of("cert.cl", CheckPart::Human, 0)).await.unwrap().try_into().unwrap();
    let id = view.id.unwrap();
    let query = DrillQuery::default();
    eventually("the check arrives", async || {
        cl.client
            .checks(&query)
            .await
            .unwrap()
            .iter()
            .any(|checks| checks.asked.as_ref().is_some_and(|asked| asked.id == id))
    })
    .await;
    assert!(cl.client.inbox(&ListQuery::default()).await.unwrap().is_empty());
    assert_eq!(cl.client.status().await.unwrap().peers[0].unanswered, 0);
    let again = br.client.drill(&of("cert.cl", CheckPart::Machine, 0)).await.unwrap();
    assert_eq!(again[0].declined.as_ref().unwrap().code, "check-open");
    let answer = AnswerRequest {
        id: id.to_string(),
        state: AnswerState::Acknowledged,
        status: None,
        justification: None,
        until: None,
        text: None,
        author: None,
    };
    cl.message(&id).await;
    cl.client.answer(&answer).await.unwrap();
    eventually("the answer counts", async || br.client.checks(&query).await.unwrap()[0].human.count == 1).await;
    let [checks] = br.client.checks(&query).await.unwrap().try_into().unwrap();
    assert_eq!(checks.human.latest.unwrap().end, CheckEnd::Answered);
    assert!(cl.client.checks(&query).await.unwrap()[0].asked.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_what_cannot_be_checked_says_why_and_keeps_nobody_else_from_it() {
    let (br, _cl) = two().await;
    let mut request = of("cert.xx", CheckPart::Machine, 30_000);
    request.peers.push("cert.cl".to_owned());
    let views = br.client.drill(&request).await.unwrap();
    assert_eq!(views[0].declined.as_ref().unwrap().code, "no-such-peer");
    assert_eq!(views[1].result.as_ref().unwrap().end, CheckEnd::Replied);
    let twice = DrillRequest { peers: vec!["cert.cl".to_owned(); 2], ..DrillRequest::default() };
    let long = DrillRequest { text: Some("x".repeat(201)), ..DrillRequest::default() };
    let late = DrillRequest { wait_ms: Some(600_001), ..DrillRequest::default() };
    for request in [twice, long, late] {
        assert_eq!(api(br.client.drill(&request).await).code, "bad-field", "{request:?}");
    }
    let nobody = DrillQuery { peer: Some("cert.xx".to_owned()) };
    assert_eq!(api(br.client.checks(&nobody).await).code, "no-such-peer");
}
