//! What `POST /v1/answers` inherits, and what it refuses.

use super::support::{api, notice, two};
use aldis_control::{AnswerRequest, AnswerState, AnswerStatus, SendRequest, Tlp, UnixMillis, routes};
use serde_json::json;

fn answer(id: &impl ToString, state: AnswerState) -> AnswerRequest {
    let status = (state == AnswerState::Decided).then_some(AnswerStatus::Denied);
    AnswerRequest { id: id.to_string(), state, status, justification: None, until: None, text: None, author: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn i12_i13_an_answer_has_the_labels_of_what_it_answers() {
    let (br, cl) = two().await;
    let exercise = Some("Storm 26".to_owned());
    let red = SendRequest { tlp: Tlp::Red, exercise: exercise.clone(), ..notice(&["cert.cl"]) };
    let red = SendRequest { desk: Some("diplomatic".to_owned()), ..red };
    let sent = br.send_stored(red).await;
    let answered = cl.client.answer(&answer(&sent.id, AnswerState::Decided)).await.unwrap().message;
    let (theirs, ours) = (br.message(&sent.id).await, cl.message(&answered.id).await);
    assert_eq!((ours.row.tlp, ours.row.exercise), (Tlp::Red, exercise));
    assert_eq!((ours.row.case, ours.row.desk.as_str()), (theirs.row.case, "diplomatic"));
    assert_eq!((ours.row.id.lane, ours.references[0].id.as_str()), (sent.id.lane, sent.id.to_string().as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_what_cannot_be_answered_says_why() {
    let (br, cl) = two().await;
    let sent = br.send_stored(notice(&["cert.cl"])).await;
    let mut until = answer(&sent.id, AnswerState::Decided);
    until.until = Some(UnixMillis(1_795_316_400_000));
    let mut justified = answer(&sent.id, AnswerState::Decided);
    justified.justification = Some("no-time".to_owned());
    let mut without = answer(&sent.id, AnswerState::Decided);
    without.status = None;
    let mut too_much = answer(&sent.id, AnswerState::Seen);
    too_much.status = Some(AnswerStatus::Approved);
    let mut long = answer(&sent.id, AnswerState::Seen);
    long.text = Some("x".repeat(4_001));
    let refused = [
        (answer(&"P1", AnswerState::Seen), "bad-message-id", 2),
        (answer(&"cert.br/P99", AnswerState::Seen), "no-such-message", 5),
        (answer(&"cert.cl/cert.br/P1", AnswerState::Seen), "not-received-here", 2),
        (until, "bad-field", 2),
        (justified, "bad-body", 2),
        (without, "bad-body", 2),
        (too_much, "bad-body", 2),
        (long, "bad-body", 2),
    ];
    for (request, code, exit) in refused {
        let error = api(cl.client.answer(&request).await);
        assert_eq!((error.code.as_str(), error.exit), (code, exit), "{error:?}");
    }
    let unknown = json!({ "id": sent.id.to_string(), "state": "maybe" }).to_string();
    let (status, error) = cl.post(routes::ANSWERS, &unknown).await;
    assert!(status == 422 && error.message.contains("acknowledged"), "{status} {error:?}");

    cl.client.answer(&answer(&sent.id, AnswerState::Acknowledged)).await.unwrap();
    let error = api(cl.client.answer(&answer(&sent.id, AnswerState::Seen)).await);
    assert!(error.message.contains("already at least that far"), "{error:?}");
    cl.client.answer(&answer(&sent.id, AnswerState::Decided)).await.unwrap();
    let error = api(cl.client.answer(&answer(&sent.id, AnswerState::Decided)).await);
    assert_eq!((error.code.as_str(), error.exit), ("already-decided", 3), "{error:?}");
}
