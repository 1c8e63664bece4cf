//! Taking a message back, as the people at both ends see it.

use super::support::{Cert, api, eventually, notice, two};
use aldis_control::{
    AnswerRequest, AnswerState, AnswerStatus, DeliveryState, LogQuery, MessageId, MessageQuery, RecallRecipient,
    RecallRequest, RecallState, SendRequest, SentMessage, Tlp,
};

fn request(id: &impl ToString) -> RecallRequest {
    let text = Some("meant for another".to_owned());
    RecallRequest { id: id.to_string(), to: Vec::new(), reason: "wrong-recipient".to_owned(), text, author: None }
}

pub(super) fn answer(id: &MessageId, status: AnswerStatus) -> AnswerRequest {
    AnswerRequest {
        id: id.to_string(),
        state: AnswerState::Decided,
        status: Some(status),
        justification: None,
        until: None,
        text: Some("so be it".to_owned()),
        author: Some("Bia".to_owned()),
    }
}

/// A notice at `cert.cl`, and the recall that waits there.
pub(super) async fn asked(marking: Tlp) -> (Cert, Cert, SentMessage, MessageId) {
    let (br, cl) = two().await;
    let sent = br.send_stored(SendRequest { tlp: marking, ..notice(&["cert.cl"]) }).await;
    let view = br.client.recall(&request(&sent.id)).await.unwrap();
    let [at_cl] = view.recipients.as_slice() else { panic!("{view:?}") };
    assert_eq!((at_cl.state, at_cl.to.as_str()), (RecallState::Waiting, "cert.cl"));
    let recall = at_cl.request.clone().unwrap();
    eventually("the recall is there", async || cl.inbox().await.iter().any(|row| row.id == recall)).await;
    (br, cl, sent, recall)
}

pub(super) async fn state(cert: &Cert, id: &MessageId) -> RecallRecipient {
    let mut view = cert.client.recalls(&MessageQuery { id: id.to_string() }).await.unwrap();
    assert_eq!(view.recipients.len(), 1);
    view.recipients.remove(0)
}

async fn found(cert: &Cert, text: &str) -> usize {
    let query = LogQuery { text: Some(text.to_owned()), ..LogQuery::default() };
    cert.client.log(&query).await.unwrap().rows.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_an_accepted_recall_erases_the_body_there_and_the_sender_sees_it() {
    let (br, cl, sent, recall) = asked(Tlp::Amber).await;
    let subject = cl.message(&sent.id).await.row.subject;
    assert_eq!((found(&cl, &subject).await, cl.message(&sent.id).await.row.recalled_by), (1, Some(recall.clone())));
    let taken_on =
        AnswerRequest { state: AnswerState::Acknowledged, status: None, ..answer(&sent.id, AnswerStatus::Denied) };
    cl.client.answer(&taken_on).await.unwrap();
    let tombstone = cl.client.answer(&answer(&recall, AnswerStatus::Approved)).await.unwrap().message;

    let here = cl.message(&sent.id).await;
    assert_eq!(here.row.state, DeliveryState::Recalled);
    assert_eq!((here.body, here.body_absent.unwrap().code.as_str()), (None, "erased"));
    assert_eq!((here.digest, here.row.subject.as_str()), (sent.digest.clone(), ""), "header and proof stay");
    assert!(here.history.iter().any(|entry| entry.state == DeliveryState::Recalled && entry.cause.contains("erased")));
    assert_eq!(found(&cl, &subject).await, 0, "a search finds nothing of it");
    assert!(cl.inbox().await.is_empty(), "nobody has to answer any more");

    eventually("the sender knows", async || state(&br, &sent.id).await.state == RecallState::Erased).await;
    let known = state(&br, &sent.id).await;
    assert_eq!((known.by.as_deref(), known.text.as_str()), (Some("Bia"), "so be it"));
    assert_eq!((known.reached.as_deref(), known.exported), (Some("acknowledged"), Some(false)));
    assert_eq!(known.request, Some(recall));
    let there = br.message(&sent.id).await;
    assert_eq!(there.row.state, DeliveryState::Recalled);
    assert!(there.body.is_some(), "the sender keeps what it sent");
    assert_eq!(br.message(&tombstone.id).await.row.kind, "tombstone");
    let error = api(br.client.recall(&request(&sent.id)).await);
    assert_eq!(error.code, "not-recallable", "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_a_declined_recall_leaves_the_message_and_is_seen_as_declined() {
    let (br, cl, sent, recall) = asked(Tlp::Amber).await;
    let error = api(br.client.recall(&request(&sent.id)).await);
    assert!(error.code == "not-recallable" && error.message.contains("waits for an answer"), "{error:?}");
    cl.client.answer(&answer(&recall, AnswerStatus::Denied)).await.unwrap();
    eventually("the sender knows", async || state(&br, &sent.id).await.state == RecallState::Declined).await;
    assert!(cl.message(&sent.id).await.body.is_some());
    let again = br.client.recall(&request(&sent.id)).await.unwrap();
    assert_eq!(again.recipients[0].state, RecallState::Waiting, "it can be asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_about_a_red_recall_is_shown_only_by_opening_it() {
    let (br, cl, sent, recall) = asked(Tlp::Red).await;
    cl.message(&sent.id).await;
    cl.client.answer(&answer(&recall, AnswerStatus::Approved)).await.unwrap();
    eventually("the sender knows", async || state(&br, &sent.id).await.state == RecallState::Erased).await;
    let known = state(&br, &sent.id).await;
    assert!(known.text.contains("TLP:RED") && known.reached.is_none(), "{known:?}");
    let tombstone = br.message(&recall).await.answers.pop().unwrap();
    let body = br.message(&tombstone.id).await.body.unwrap();
    assert_eq!(body["reached"], "seen", "it was opened there, which is on record");
}

#[tokio::test(flavor = "multi_thread")]
async fn i5_what_is_not_relayed_is_taken_back_from_each_recipient_or_from_some() {
    let (br, cl, uy) = (Cert::new("cert.br").await, Cert::new("cert.cl").await, Cert::new("cert.uy").await);
    // Only one side knows the other, so nothing is ever relayed.
    br.enrol(&cl).await;
    br.enrol(&uy).await;
    let sent = br.client.send(&notice(&["cert.cl", "cert.uy"])).await.unwrap().messages;
    br.client.send(&notice(&["cert.cl", "cert.uy"])).await.unwrap();
    let of_cl = RecallRequest { to: vec!["cert.cl".to_owned()], ..request(&sent[1].id) };
    let view = br.client.recall(&of_cl).await.unwrap();
    let one: Vec<_> = view.recipients.iter().map(|one| (one.message.clone(), one.state)).collect();
    assert_eq!(one, [(sent[0].id.clone(), RecallState::Withheld)]);
    let mine = br.message(&sent[0].id).await;
    assert_eq!((mine.row.state, mine.body_absent.unwrap().code.as_str()), (DeliveryState::Recalled, "erased"));
    let step = mine.history.iter().find(|entry| entry.state == DeliveryState::Recalled).unwrap();
    assert!(step.cause.contains("wrong-recipient") && step.by.is_some(), "{step:?}");

    let view = br.client.recall(&request(&sent[0].id)).await.unwrap();
    let all: Vec<_> = view.recipients.iter().map(|one| (one.to.as_str(), one.state)).collect();
    assert_eq!(all, [("cert.cl", RecallState::NotPossible), ("cert.uy", RecallState::Withheld)]);
    let view = br.client.recalls(&MessageQuery { id: sent[1].id.to_string() }).await.unwrap();
    assert!(view.recipients.len() == 2 && view.recipients.iter().all(|one| one.state == RecallState::Withheld));
    let error = api(br.client.recall(&request(&sent[0].id)).await);
    assert!(error.code == "not-recallable" && error.message.contains("already"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_what_cannot_be_recalled_says_why() {
    let (br, cl, sent, recall) = asked(Tlp::Green).await;
    let seen = AnswerRequest { state: AnswerState::Seen, status: None, ..answer(&sent.id, AnswerStatus::Denied) };
    let seen = cl.client.answer(&seen).await.unwrap().message;
    let refused = [
        (request(&"P1"), "bad-message-id", 2),
        (request(&"cert.br/cert.cl/P99"), "no-such-message", 5),
        (request(&seen.id), "not-sent-here", 2),
        (request(&recall), "not-recallable", 3),
        (RecallRequest { reason: "regret".to_owned(), ..request(&sent.id) }, "bad-body", 2),
        (RecallRequest { text: Some("t".repeat(1_001)), ..request(&sent.id) }, "bad-body", 2),
        (RecallRequest { to: vec!["cert.zz".to_owned()], ..request(&sent.id) }, "bad-field", 2),
    ];
    for (request, code, exit) in refused {
        let error = api(br.client.recall(&request).await);
        assert_eq!((error.code.as_str(), error.exit), (code, exit), "{error:?}");
    }
    let error = api(cl.client.recall(&request(&seen.id)).await);
    assert_eq!((error.code.as_str(), error.exit), ("not-recallable", 3), "{error:?}");
    let error = api(br.client.recalls(&MessageQuery { id: seen.id.to_string() }).await);
    assert_eq!(error.code, "not-sent-here");
    let mut justified = answer(&recall, AnswerStatus::Approved);
    justified.justification = Some("other".to_owned());
    assert_eq!(api(cl.client.answer(&justified).await).code, "bad-field");
}
