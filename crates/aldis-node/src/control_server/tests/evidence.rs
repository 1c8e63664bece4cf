//! Evidence over the control API: on record before it is read, checked before it leaves, and no more than was chosen.

use super::recalls::{answer, asked};
use super::support::{Cert, api, notice, two};
use crate::access::Desks;
use crate::journal::RecordSeq;
use aldis_control::{AnswerStatus, EvidenceRequest, MessageId, Role, SendRequest, Tlp};
use aldis_core::record::{Exported, Opened as OpenedRecord, Record};
use aldis_verify::index::BodyGiven;
use aldis_verify::{Facts, Opened, check};
use aldis_wire::codes::Desk;
use futures_util::TryStreamExt;

async fn evidence(cert: &Cert, request: &EvidenceRequest) -> (Opened, Facts) {
    let (length, pieces) = cert.client.evidence(request).await.unwrap();
    let pieces: Vec<bytes::Bytes> = pieces.try_collect().await.unwrap();
    let file = pieces.concat();
    assert_eq!(length, Some(file.len() as u64));
    let opened = Opened::read(&file).unwrap();
    let facts = check(&opened).unwrap();
    (opened, facts)
}

async fn refused(cert: &Cert, request: &EvidenceRequest) -> (String, u8) {
    let error = api(cert.client.evidence(request).await.map(|(length, _)| length));
    (error.code, error.exit)
}

fn of(ids: &[&MessageId]) -> EvidenceRequest {
    EvidenceRequest { ids: ids.iter().map(ToString::to_string).collect(), ..EvidenceRequest::default() }
}

fn on_record(cert: &Cert) -> (Vec<Exported>, Vec<OpenedRecord>) {
    let (mut exported, mut opened) = (Vec::new(), Vec::new());
    for record in cert.context.journal.iter_from(RecordSeq(0)) {
        match Record::decode(&record.unwrap().record) {
            Ok(Record::Exported(found)) => exported.push(found),
            Ok(Record::Opened(found)) => opened.push(found),
            _ => {}
        }
    }
    (exported, opened)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_is_shown_with_the_bodies_that_were_chosen_and_that_is_on_record() {
    let (br, cl) = two().await;
    let red = SendRequest { tlp: Tlp::Red, ..notice(&["cert.cl"]) };
    let first = br.send_stored(red).await;
    let other = br.send_stored(notice(&["cert.cl"])).await;
    let case = br.message(&first.id).await.row.case;
    for cert in [&br, &cl] {
        let opened_before = on_record(cert).1.len();
        let whole = EvidenceRequest { case: Some(case.clone()), all_bodies: true, ..EvidenceRequest::default() };
        let (opened, facts) = evidence(cert, &whole).await;
        let [shown] = facts.messages.as_slice() else { panic!("{facts:?}") };
        assert_eq!((shown.id.as_str(), shown.body), (first.id.to_string().as_str(), BodyGiven::Given));
        assert!(shown.record.is_some());
        assert_eq!(shown.receipt.is_some(), cert.id == "cert.br");
        assert_eq!(opened.evidence.exporter.as_str(), cert.id);
        let (exported, opened) = on_record(cert);
        assert_eq!((exported.len(), exported[0].bodies, opened.len()), (1, true, opened_before + 1));
    }
    let opened_before = on_record(&br).1.len();
    let (opened, facts) = evidence(&br, &of(&[&first.id, &other.id])).await;
    assert!(facts.messages.iter().all(|message| message.body == BodyGiven::Withheld));
    assert_eq!(facts.messages.len(), 2);
    let (exported, openings) = on_record(&br);
    assert_eq!((exported.len(), exported[1].bodies, openings.len()), (2, false, opened_before));
    // Nothing of another message, and no word of a body, is anywhere in the file.
    assert!(opened.evidence.links.is_empty());
    let one = EvidenceRequest { bodies: vec![other.id.to_string()], ..of(&[&first.id, &other.id]) };
    let (_, facts) = evidence(&br, &one).await;
    let given = facts.messages.iter().filter(|message| message.body == BodyGiven::Given);
    assert_eq!(given.map(|message| message.id.clone()).collect::<Vec<_>>(), [other.id.to_string()]);
    let (exported, openings) = on_record(&br);
    assert_eq!(
        (exported.len(), openings.len()),
        (4, opened_before),
        "the one with its body and the one without are two entries"
    );
    assert!(super::streams::verify(&br).await.ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_what_cannot_be_shown_is_refused_and_nothing_of_it_is_on_record() {
    let (br, cl) = two().await;
    let sent = br.send_stored(notice(&["cert.cl"])).await;
    let nothing = EvidenceRequest::default();
    assert_eq!(refused(&br, &nothing).await, ("nothing-to-show".to_owned(), 2));
    let unknown = EvidenceRequest { ids: vec!["cert.br/cert.cl/P99".to_owned()], ..nothing.clone() };
    assert_eq!(refused(&br, &unknown).await, ("no-such-message".to_owned(), 5));
    let many = EvidenceRequest { ids: vec![sent.id.to_string(); 1_001], ..nothing.clone() };
    assert_eq!(refused(&br, &many).await, ("too-much".to_owned(), 2));
    let peaceful = EvidenceRequest { contradictions_of: Some("cert.cl".to_owned()), ..nothing.clone() };
    assert_eq!(refused(&br, &peaceful).await, ("nothing-to-show".to_owned(), 2));
    cl.give(&[(Role::Auditor, Desks::Only([Desk::DIPLOMATIC].into()))]);
    assert_eq!(refused(&cl, &of(&[&sent.id])).await, ("missing-desk".to_owned(), 3));
    assert!(on_record(&br).0.is_empty() && on_record(&cl).0.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_body_stays_erased_and_its_message_is_proven_all_the_same() {
    let (_br, cl, sent, recall) = asked(Tlp::Amber).await;
    cl.client.answer(&answer(&recall, AnswerStatus::Approved)).await.unwrap();
    let with_body = EvidenceRequest { all_bodies: true, ..of(&[&sent.id]) };
    assert_eq!(refused(&cl, &with_body).await, ("erased".to_owned(), 5));
    let (_, facts) = evidence(&cl, &of(&[&sent.id])).await;
    let shown = facts.messages.iter().find(|message| message.id == sent.id.to_string()).unwrap();
    assert_eq!(shown.body, BodyGiven::Withheld);
    assert!(shown.record.is_some());
}
