//! Desks: whoever may not read one does not learn what came for it, and sends and answers nothing in its name.

use super::support::{Cert, PATIENCE, api, notice, two};
use crate::access::Desks;
use aldis_control::{
    AnswerRequest, AnswerState, CaseQuery, Event, EventKind, EventsQuery, ListQuery, LogQuery, MessageQuery, Reference,
    Role, SendRequest, SentMessage,
};
use aldis_wire::codes::Desk;
use futures_util::StreamExt;

fn only(desk: Desk) -> Desks {
    Desks::Only([desk].into())
}

fn to_desk(desk: &str, case: &str) -> SendRequest {
    SendRequest { desk: Some(desk.to_owned()), case: Some(case.to_owned()), ..notice(&["cert.cl"]) }
}

fn seen(id: &impl ToString) -> AnswerRequest {
    let state = AnswerState::Seen;
    AnswerRequest {
        id: id.to_string(),
        state,
        status: None,
        justification: None,
        until: None,
        text: None,
        author: None,
    }
}

const MIXED: &str = "mfrggzdfmztwq2lknnwg23tpoa";
const CLOSED: &str = "nfrggzdfmztwq2lknnwg23tpoa";

/// Three messages from `br` to `cl`: two desks in one case, and the second desk alone in another.
async fn scene() -> (Cert, Cert, [SentMessage; 3]) {
    let (br, cl) = two().await;
    let open = br.send_stored(to_desk("technical", MIXED)).await;
    let hidden = br.send_stored(to_desk("diplomatic", MIXED)).await;
    let closed = br.send_stored(to_desk("diplomatic", CLOSED)).await;
    for cert in [&br, &cl] {
        cert.give(&[(Role::Operator, only(Desk::TECHNICAL))]);
    }
    (br, cl, [open, hidden, closed])
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_leave_out_what_is_for_another_desk_and_do_not_tell() {
    let (br, cl, [open, ..]) = scene().await;
    let all = ListQuery { all: true, ..ListQuery::default() };
    for rows in [
        cl.inbox().await,
        cl.client.inbox(&all).await.unwrap(),
        br.client.outbox(&ListQuery::default()).await.unwrap(),
        br.client.outbox(&all).await.unwrap(),
        br.client.log(&LogQuery::default()).await.unwrap().rows,
        br.client.log(&LogQuery { case: Some(MIXED.to_owned()), ..LogQuery::default() }).await.unwrap().rows,
        br.client.log(&LogQuery { text: Some("provider".to_owned()), ..LogQuery::default() }).await.unwrap().rows,
    ] {
        assert_eq!(rows.iter().map(|row| &row.id).collect::<Vec<_>>(), [&open.id]);
    }
    let case = br.client.case(&CaseQuery { id: MIXED[..6].to_owned() }).await.unwrap();
    assert_eq!(case.messages.iter().map(|view| &view.row.id).collect::<Vec<_>>(), [&open.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_what_is_named_and_for_another_desk_is_refused_with_missing_desk() {
    let (br, cl, [open, hidden, _]) = scene().await;
    let relates = |id: &dyn ToString| Reference { role: "relates".to_owned(), id: id.to_string() };
    let named = |id: &dyn ToString| SendRequest { references: vec![relates(id)], ..notice(&["cert.cl"]) };
    let in_case = SendRequest { case: Some(CLOSED[..7].to_owned()), ..notice(&["cert.cl"]) };
    let refused = [
        api(cl.client.message(&MessageQuery { id: hidden.id.to_string() }).await),
        api(cl.client.answer(&seen(&hidden.id)).await),
        api(br.client.case(&CaseQuery { id: CLOSED.to_owned() }).await),
        api(br.client.log(&LogQuery { case: Some(CLOSED.to_owned()), ..LogQuery::default() }).await),
        api(br.client.send(&to_desk("diplomatic", MIXED)).await),
        api(br.client.send(&to_desk("law-enforcement", MIXED)).await),
        api(br.client.send(&named(&hidden.id)).await),
        api(br.client.send(&in_case).await),
    ];
    for error in refused {
        assert_eq!((error.code.as_str(), error.exit), ("missing-desk", 3), "{error:?}");
        assert!(error.advice.contains("[[access]]"), "{error:?}");
    }
    let error = api(br.client.send(&to_desk("diplomatic", MIXED)).await);
    assert!(error.message.contains("the desk diplomatic") && error.message.ends_with("has technical"), "{error:?}");
    cl.client.answer(&seen(&open.id)).await.unwrap();
    br.client.send(&named(&open.id)).await.unwrap();
    br.client.send(&to_desk("technical", MIXED)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_a_desk_is_not_answering_for_it() {
    let (_br, cl, [_, hidden, _]) = scene().await;
    cl.give(&[(Role::Auditor, only(Desk::DIPLOMATIC)), (Role::Operator, only(Desk::TECHNICAL))]);
    assert_eq!(cl.client.inbox(&ListQuery::default()).await.unwrap().len(), 3);
    assert_eq!(cl.message(&hidden.id).await.row.desk, "diplomatic");
    assert_eq!(api(cl.client.answer(&seen(&hidden.id)).await).code, "missing-desk");
    let answers = Reference { role: "answers".to_owned(), id: hidden.id.to_string() };
    let request = SendRequest { references: vec![answers], ..notice(&["cert.br"]) };
    assert_eq!(api(cl.client.send(&request).await).code, "missing-desk", "another way to answer is no way around");
    let you = cl.client.status().await.unwrap().you;
    assert_eq!((you.desks.len(), you.sends_for), (2, vec!["technical".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_hear_of_their_own_desks_only() {
    let (br, cl, _) = scene().await;
    br.give(&[(Role::Operator, Desks::All)]);
    let mut events = cl.client.events(&EventsQuery::default()).await.unwrap();
    br.send_stored(to_desk("diplomatic", MIXED)).await;
    let last = br.send_stored(to_desk("technical", MIXED)).await;
    let mut heard: Vec<Event> = Vec::new();
    while heard.last().is_none_or(|event| event.message.as_ref().is_none_or(|row| row.id != last.id)) {
        let next = tokio::time::timeout(PATIENCE, events.next()).await.expect("an event comes");
        heard.push(next.unwrap().unwrap().event);
    }
    let received: Vec<_> = heard.iter().filter(|event| event.what == EventKind::Received).collect();
    assert_eq!(received.len(), 1, "{heard:?}");
    assert!(heard.iter().all(|event| !event.text.contains("a message moved")), "that it came tells already: {heard:?}");
}
