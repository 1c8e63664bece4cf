//! Opening a message tells its sender `seen`, by itself and once, and only if an operator opened it.

use super::support::{Cert, api, eventually, notice, two};
use crate::access::Desks;
use aldis_control::{
    AnswerRequest, AnswerState, DeliveryState, ListQuery, LogQuery, MessageQuery, Role, SendRequest, SentMessage, Tlp,
};
use aldis_wire::codes::Desk;

async fn state(cert: &Cert, sent: &SentMessage) -> DeliveryState {
    cert.message(&sent.id).await.row.state
}

/// How many answers a node has signed.
async fn answers(cert: &Cert) -> usize {
    let query = LogQuery { kind: Some("acknowledgement".to_owned()), ..LogQuery::default() };
    cert.client.log(&query).await.unwrap().rows.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_who_opens_a_message_is_seen_by_its_sender_once_and_by_name() {
    let (br, cl) = two().await;
    for exercise in [None, Some("Storm 26".to_owned())] {
        let sent = br.send_stored(SendRequest { exercise: exercise.clone(), ..notice(&["cert.cl"]) }).await;
        assert_eq!(state(&cl, &sent).await, DeliveryState::Stored, "what was so when it was opened");
        eventually("the sender knows that it was seen", || async { state(&br, &sent).await == DeliveryState::Seen })
            .await;
        let view = br.message(&sent.id).await;
        let [answer] = view.answers.as_slice() else { panic!("{:?}", view.answers) };
        assert_eq!((answer.state, answer.peer.as_str()), (AnswerState::Seen, "cert.cl"));
        let signed = cl.message(&answer.id).await;
        assert_eq!((signed.row.exercise, signed.row.tlp), (exercise, Tlp::Amber), "as what it answers (I12)");
        assert!(!answer.by.is_empty());
        // Opened again, it is not said again.
        assert_eq!(state(&cl, &sent).await, DeliveryState::Seen);
        assert_eq!(view.history.iter().filter(|entry| entry.state == DeliveryState::Seen).count(), 1);
    }
    assert_eq!((answers(&cl).await, answers(&br).await), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_an_operator_of_the_desk_is_seen() {
    let (br, cl) = two().await;
    let sent = br.send_stored(notice(&["cert.cl"])).await;
    let diplomatic = Desks::Only([Desk::DIPLOMATIC].into());
    for roles in [
        vec![(Role::Auditor, Desks::All)],
        vec![(Role::Releaser, Desks::All)],
        vec![(Role::Auditor, Desks::All), (Role::Operator, diplomatic)],
    ] {
        cl.give(&roles);
        assert_eq!(state(&cl, &sent).await, DeliveryState::Stored);
    }
    cl.give(&[(Role::Admin, Desks::All)]);
    assert_eq!(api(cl.client.message(&MessageQuery { id: sent.id.to_string() }).await).code, "missing-role");
    // What is signed after this shows that nothing was signed before: one lane, in order.
    cl.give(&[(Role::Operator, Desks::All)]);
    let request = AnswerRequest {
        id: sent.id.to_string(),
        state: AnswerState::Acknowledged,
        status: None,
        justification: None,
        until: None,
        text: None,
        author: None,
    };
    let answered = cl.client.answer(&request).await.unwrap().message;
    assert_eq!(answered.id.seq, 1, "nothing was signed before");
    // Somebody has it: opening it is no news.
    assert_eq!(state(&cl, &sent).await, DeliveryState::Acknowledged);
    eventually("the answer is there", || async { state(&br, &sent).await == DeliveryState::Acknowledged }).await;
    assert_eq!(answers(&cl).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_an_opened_red_message_is_shown_before_anything_is_signed_about_it() {
    let (br, cl) = two().await;
    let sent = br.send_stored(SendRequest { tlp: Tlp::Red, ..notice(&["cert.cl"]) }).await;
    assert_eq!(cl.message(&sent.id).await.row.subject, "C2 at a provider");
    eventually("the sender knows that it was seen", || async { state(&br, &sent).await == DeliveryState::Seen }).await;
    let view = cl.message(&sent.id).await;
    assert!(view.row.opened.len() == 1 && view.answers.len() == 1, "{view:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_or_lists_show_is_not_seen() {
    let (br, cl) = two().await;
    let sent = br.send_stored(notice(&["cert.cl"])).await;
    br.message(&sent.id).await;
    let all = ListQuery { all: true, ..ListQuery::default() };
    let row = cl.client.inbox(&all).await.unwrap().remove(0);
    cl.client.case(&aldis_control::CaseQuery { id: row.case }).await.unwrap();
    cl.client.log(&LogQuery::default()).await.unwrap();
    let rows = cl.client.inbox(&all).await.unwrap();
    assert_eq!(rows[0].state, DeliveryState::Stored);
    assert_eq!((answers(&cl).await, answers(&br).await), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_next_stands_beside_a_message_at_both_ends() {
    let (br, cl) = two().await;
    let sent = br.send_stored(notice(&["cert.cl"])).await;
    let (here, there) = (br.message(&sent.id).await.row, cl.message(&sent.id).await.row);
    let (here, there) = (here.ladder.unwrap(), there.ladder.unwrap());
    assert_eq!((here.silence.as_str(), there.silence.as_str()), ("no-acknowledgement", "unanswered-here"));
    assert_eq!((here.step, here.of, here.climbs()), (0, 1, false));
    let (ours, theirs) = (here.next.unwrap(), there.next.unwrap());
    assert_eq!((theirs.step, theirs.name.as_str(), theirs.cause.as_str()), (1, "duty officer", "unacknowledged"));
    assert!(ours.at > theirs.at, "the sender waits longer than the receiver: {ours:?} {theirs:?}");
    assert!(!br.client.outbox(&ListQuery::default()).await.unwrap()[0].late);
}

#[tokio::test(flavor = "multi_thread")]
async fn i12_the_status_and_the_figures_count_exercises_apart() {
    let (br, cl) = two().await;
    br.send_stored(notice(&["cert.cl"])).await;
    for _ in 0..2 {
        br.send_stored(SendRequest { exercise: Some("Storm 26".to_owned()), ..notice(&["cert.cl"]) }).await;
    }
    let status = cl.client.status().await.unwrap();
    assert_eq!((status.waiting_in, status.exercise_in, status.exercise_out), (1, 2, 0));
    let figures = cl.raw(b"GET /v1/metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(figures.contains("aldis_exercise_unanswered{peer=\"cert.br\"} 2"), "{figures}");
    assert!(status.silences.is_empty());
}
