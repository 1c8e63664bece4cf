//! The message log may open behind a node that is ready: what needs it says so, the rest works.

use super::support::{Cert, api, notice};
use crate::control_server::accept::Limits;
use crate::log::store::StoreOptions;
use crate::log::{LogHandle, LogSettings};
use aldis_control::{CaseQuery, ListQuery, LogQuery, LogState, MessageQuery, Reference, SendRequest};

#[tokio::test(flavor = "multi_thread")]
async fn i8_without_its_log_a_node_still_sends_and_says_what_it_cannot_do() {
    let br = Cert::changed(Limits::default(), "cert.br", |context, dir| {
        let settings = LogSettings {
            dir: dir.join("not-there/log"),
            store: StoreOptions::default(),
            own: context.own.id().clone(),
            attachments: context.attachments.clone(),
        };
        let (journal, clock) = (context.journal.clone(), context.clock.clone());
        context.log = LogHandle::start(settings, journal, clock, |_| {}).unwrap();
    })
    .await;
    let cl = Cert::new("cert.cl").await;
    br.enrol(&cl).await;
    super::support::eventually("the log gives up", || async {
        matches!(br.client.status().await.unwrap().log, LogState::Degraded { .. })
    })
    .await;
    let (id, case) = ("cert.br/cert.cl/P1".to_owned(), "abcdef".to_owned());
    let named = vec![Reference { role: "relates".to_owned(), id: id.clone() }];
    let refused = [
        api(br.client.inbox(&ListQuery::default()).await),
        api(br.client.outbox(&ListQuery::default()).await),
        api(br.client.message(&MessageQuery { id }).await),
        api(br.client.case(&CaseQuery { id: case }).await),
        api(br.client.log(&LogQuery::default()).await),
        api(br.client.send(&SendRequest { references: named, ..notice(&["cert.cl"]) }).await),
    ];
    for error in refused {
        assert_eq!((error.code.as_str(), error.exit, error.http_status()), ("log-not-ready", 4, 503), "{error:?}");
    }
    let sent = br.client.send(&notice(&["cert.cl"])).await.unwrap();
    assert_eq!(sent.messages[0].id.seq, 1);
}
