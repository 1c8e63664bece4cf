//! Alerts in the event stream: who hears them, and whose hearing counts.

use super::support::{Cert, PATIENCE, notice, two};
use crate::access::Desks;
use crate::alerts::NobodyWatches;
use aldis_control::{Event, EventKind, EventsQuery, Role, StreamedEvent};
use aldis_core::ladder::{Alert, AlertId, Cause, Silence};
use aldis_core::record::RecordSeq;
use aldis_wire::codec::Text;
use aldis_wire::codes::Desk;
use aldis_wire::ids::{EnvelopeId, NodeId, UnixMillis};
use aldis_wire::lane::Lane;
use futures_util::StreamExt;

fn alert(number: u64, message: &str) -> Box<Alert> {
    let message: EnvelopeId = message.parse().unwrap();
    Box::new(Alert {
        id: AlertId(RecordSeq(number)),
        silence: Silence::Received,
        cause: Cause::Unacknowledged,
        step: 1,
        of: 2,
        step_name: Text::cut("duty officer"),
        peer: NodeId::new("cert.br").unwrap(),
        lane: Lane::Flash,
        exercise: None,
        messages: vec![message],
        count: 1,
        since: UnixMillis::new(1),
        people: Vec::new(),
        draft: None,
        again: false,
    })
}

/// What becomes of ringing while somebody with these roles listens, and what they hear of it.
async fn rung(cl: &Cert, roles: &[(Role, Desks)], alert: Box<Alert>) -> (Result<(), NobodyWatches>, Option<Event>) {
    cl.give(roles);
    let mut events = cl.client.events(&EventsQuery::default()).await.unwrap();
    let (bell, at) = (cl.context.bell.clone(), cl.context.clock.wall());
    let ringing = tokio::spawn(async move { bell.ring(at, alert).await });
    let end = "that is all";
    let listening = async {
        let mut heard = None;
        while let Some(Ok(StreamedEvent { event, .. })) = events.next().await {
            if event.text.contains(end) {
                break;
            }
            heard = Some(event).filter(|event| event.what == EventKind::Alert).or(heard);
        }
        heard
    };
    let told = async {
        let rung = ringing.await.unwrap();
        let happening = aldis_core::effect::Happening::LinkDown(NodeId::new("cert.zz").unwrap(), end.to_owned());
        cl.context.events.tell(cl.context.clock.wall(), happening);
        rung
    };
    tokio::time::timeout(PATIENCE, async { tokio::join!(told, listening) }).await.expect("both end")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_has_reached_somebody_only_if_an_operator_who_may_answer_hears_it() {
    let (br, cl) = two().await;
    let sent = br.send_stored(notice(&["cert.cl"])).await;
    let id = sent.id.to_string();
    let only = |desk: Desk| Desks::Only([desk].into());
    let (rung_for, heard) = rung(&cl, &[(Role::Operator, Desks::All)], alert(1, &id)).await;
    let event = heard.expect("an event");
    assert_eq!((rung_for, event.peer.as_deref()), (Ok(()), Some("cert.br")));
    let words = format!(
        "alert 1: FLASH: a message from cert.br: nobody here has acknowledged; step 1 of 2, duty officer; aldis show {id}"
    );
    assert_eq!(event.text, words);
    assert!(!event.text.contains("C2 at a provider") && event.message.is_none(), "no subject in the stream's alert");
    let technical = [(Role::Operator, only(Desk::TECHNICAL))];
    assert_eq!(rung(&cl, &technical, alert(2, &id)).await.0, Ok(()));
    let reads_only = [(Role::Auditor, Desks::All), (Role::Operator, only(Desk::DIPLOMATIC))];
    let (rung_for, heard) = rung(&cl, &reads_only, alert(3, &id)).await;
    assert_eq!(rung_for, Err(NobodyWatches), "an operator of another desk cannot answer it");
    assert!(heard.is_some(), "an auditor hears it all the same");
    let other_desk = [(Role::Operator, only(Desk::DIPLOMATIC))];
    let (rung_for, heard) = rung(&cl, &other_desk, alert(4, &id)).await;
    assert_eq!((rung_for, heard), (Err(NobodyWatches), None));
}
