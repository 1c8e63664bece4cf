//! Messages that were given out: on record first, shown with the message, and said in the tombstone.

use super::recalls::{answer, asked, state};
use super::support::{Cert, eventually, notice, two};
use crate::access::Desks;
use crate::event_loop::RequestError;
use crate::exports::{ExportError, Exports};
use crate::log::query::QueryError;
use aldis_control::{AnswerStatus, DeliveryState, MessageId, RecallState, Tlp};
use aldis_core::effect::{Declined, ExportFault};
use aldis_core::record::{Exported, Record};
use aldis_wire::codec::Text;
use aldis_wire::codes::Desk;
use aldis_wire::ids::{EnvelopeId, NodeId, Seq};

fn exports(cert: &Cert) -> Exports {
    let (node, log) = (cert.context.loop_handle.clone(), cert.context.log.clone());
    Exports { node, log, journal: cert.context.journal.clone() }
}

async fn export(cert: &Cert, ids: &[EnvelopeId], bodies: bool) -> Result<(), ExportError> {
    exports(cert).export(ids.to_vec(), bodies, Desks::All, Text::cut("rui (uid 1004)")).await
}

fn id(message: &MessageId) -> EnvelopeId {
    crate::control_server::convert::envelope_id(&message.to_string(), &NodeId::new("cert.br").unwrap()).unwrap()
}

fn exported(cert: &Cert) -> Vec<Exported> {
    let records = cert.context.journal.iter_from(crate::journal::RecordSeq(0));
    let exported = records.filter_map(|record| match Record::decode(&record.unwrap().record) {
        Ok(Record::Exported(exported)) => Some(exported),
        _ => None,
    });
    exported.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_stands_in_the_history_and_the_tombstone_says_so_at_both_ends() {
    for (bodies, says) in [(true, true), (false, false)] {
        let (br, cl, sent, recall) = asked(Tlp::Amber).await;
        export(&cl, &[id(&sent.id)], bodies).await.unwrap();
        let [on_record] = exported(&cl).try_into().unwrap();
        assert_eq!((on_record.by.as_str(), on_record.bodies), ("rui (uid 1004)", bodies));
        let shown = cl.message(&sent.id).await;
        let [mark] = shown.row.exported.as_slice() else { panic!("{:?}", shown.row) };
        assert_eq!((mark.by.as_str(), mark.bodies), ("rui (uid 1004)", bodies));
        let entry = shown.history.iter().find(|entry| entry.cause.contains("exported")).unwrap();
        assert_eq!((entry.state, entry.by.as_deref()), (DeliveryState::Stored, Some("rui (uid 1004)")));
        assert_eq!(entry.cause.contains("with its body"), bodies);
        let log = cl.client.log(&aldis_control::LogQuery::default()).await.unwrap();
        assert!(log.rows.iter().any(|row| row.exported == shown.row.exported));
        assert!(br.message(&sent.id).await.row.exported.is_empty(), "who exports here is nobody's business there");

        cl.client.answer(&answer(&recall, AnswerStatus::Approved)).await.unwrap();
        eventually("the sender knows", async || state(&br, &sent.id).await.state == RecallState::Erased).await;
        assert_eq!(state(&br, &sent.id).await.exported, Some(says), "bodies: {bodies}");
        let tombstone = br.message(&recall).await.answers.pop().unwrap();
        for end in [&br, &cl] {
            let body = end.message(&tombstone.id).await.body.unwrap();
            assert_eq!(body["exported"], says);
        }
        let error = export(&cl, &[id(&sent.id)], true).await.unwrap_err();
        assert!(matches!(error, ExportError::Erased(_)), "{error:?}");
        export(&cl, &[id(&sent.id)], false).await.unwrap();
        assert_eq!(exported(&cl).len(), 2, "what was refused is not on record");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_what_cannot_be_exported_is_refused_and_not_on_record() {
    let (br, cl) = two().await;
    let sent = id(&br.send_stored(notice(&["cert.cl"])).await.id);
    let unknown = EnvelopeId { seq: Seq::new(99).unwrap(), ..sent.clone() };
    for bodies in [true, false] {
        let error = export(&cl, &[sent.clone(), unknown.clone()], bodies).await.unwrap_err();
        assert!(matches!(error, ExportError::Log(QueryError::NoMessage(_))), "{error:?}");
        let desks = Desks::Only([Desk::DIPLOMATIC].into());
        let error = exports(&cl).export(vec![sent.clone()], bodies, desks, Text::cut("rui")).await.unwrap_err();
        assert!(matches!(error, ExportError::Log(QueryError::MissingDesk(..))), "{error:?}");
    }
    let declined = [
        (Vec::new(), ExportFault::Nothing),
        (vec![sent.clone(); 2], ExportFault::Twice),
        (vec![sent.clone(); 1_001], ExportFault::TooMany(1_001)),
    ];
    for (ids, fault) in declined {
        let error = export(&cl, &ids, true).await.unwrap_err();
        let ExportError::Request(RequestError::Declined(declined)) = error else { panic!("{error:?}") };
        assert_eq!(declined, Declined::Export(fault));
    }
    assert!(exported(&cl).is_empty());
    export(&cl, std::slice::from_ref(&sent), true).await.unwrap();
    export(&br, &[sent], true).await.unwrap();
    assert!(super::streams::verify(&cl).await.ok);
}
