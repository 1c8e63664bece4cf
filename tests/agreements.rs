//! Agreements between two whole nodes: terms are set over the control API, reach the peer by themselves, and hold at both
//! ends, also after a restart.

use aldis_control::{
    AgreementRequest, AgreementView, Client, ClientError, PeerQuery, PerLane, SendRequest, Terms, Tlp,
};
use aldis_core::effect::{Declined, Delivery};
use aldis_node::event_loop::RequestError;
use aldis_tests::certs::{Cert, eventually, two_certs};
use aldis_wire::ids::{EnvelopeId, Seq};
use aldis_wire::lane::Lane;
use serde_json::json;

fn client(cert: &Cert) -> Client {
    Client::new(cert.dir().join("aldis.sock"))
}

fn terms(cert: &Cert) -> Terms {
    Terms {
        kinds: vec!["incident".to_owned()],
        highest_tlp: Tlp::Amber,
        flash_per_day: 1,
        messages_per_hour: 1_000,
        bytes_per_hour: 10_000_000,
        attachment_max_bytes: Some(1 << 30),
        acknowledge_within_s: PerLane { flash: 900, ..PerLane::default() },
        expires_at: aldis_control::UnixMillis(cert.clock.wall().get() + 90 * 86_400_000),
    }
}

async fn seen_by(cert: &Cert, other: &Cert) -> AgreementView {
    client(cert).agreement(&PeerQuery { id: other.id.to_string() }).await.expect("the daemon answers")
}

async fn set(cert: &Cert, other: &Cert, terms: Terms) -> Result<AgreementView, ClientError> {
    client(cert).agreement_set(&AgreementRequest { id: other.id.to_string(), terms }).await
}

fn declined(result: Result<impl std::fmt::Debug, RequestError>) -> String {
    match result {
        Err(RequestError::Declined(declined @ Declined::NotAgreed { .. })) => declined.to_string(),
        other => panic!("not declined: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_terms_reach_the_peer_and_hold_at_both_ends() {
    let (mut br, mut cl) = two_certs().await;
    assert!(seen_by(&cl, &br).await.theirs.is_none());
    let wanted = terms(&br);
    let now = set(&br, &cl, wanted.clone()).await.expect("one administrator is enough");
    assert_eq!(now.ours.as_ref().map(|ours| &ours.terms), Some(&wanted));
    eventually("the peer shows our terms, and we know it", || async {
        seen_by(&cl, &br).await.theirs == now.ours && seen_by(&br, &cl).await.ours_are_known
    })
    .await;
    let field = |view: &AgreementView, name: &str| view.fields.iter().find(|field| field.field == name).cloned();
    let labels = field(&seen_by(&cl, &br).await, "highest-tlp").expect("a field");
    assert_eq!((labels.ours, labels.in_force.as_deref(), labels.differs), (None, Some("TLP:AMBER"), true));
    for (from, to) in [(&br, &cl), (&cl, &br)] {
        let first = from.send(to, Lane::Flash, "the first").await;
        from.delivered(&first, &Delivery::Stored).await;
        let text = declined(from.try_send(to, Lane::Flash, "the second").await);
        assert!(text.contains("1 FLASH messages a day") && text.contains("of cert.br"), "{text}");
    }
    for cert in [&mut br, &mut cl] {
        cert.stop().await;
        cert.start().await;
    }
    declined(cl.try_send(&br, Lane::Flash, "after a restart").await);
    let routine = cl.send(&br, Lane::Routine, "within the terms").await;
    cl.delivered(&routine, &Delivery::Stored).await;
    // An answer to the one FLASH goes, although a second FLASH would not.
    let digest = br.peer(&cl).await.lanes[Lane::Flash.index()].sent_digest.expect("it was sent");
    let first = first_flash(&br, &cl);
    let answer = cl.answer(&first, digest, json!({ "state": "seen" })).await;
    cl.delivered(&answer, &Delivery::Stored).await;
}

fn first_flash(from: &Cert, to: &Cert) -> EnvelopeId {
    let (from, to) = (from.id.clone(), to.id.clone());
    EnvelopeId { from, to, lane: Lane::Flash, seq: Seq::FIRST }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_agreement_is_named_and_changes_nothing() {
    let (br, cl) = two_certs().await;
    let wrong: [(&str, fn(&mut Terms)); 6] = [
        ("poem", |terms| terms.kinds.push("poem".to_owned())),
        ("refusal", |terms| terms.kinds.push("refusal".to_owned())),
        ("twice", |terms| terms.kinds.push("incident".to_owned())),
        ("messages_per_hour", |terms| terms.messages_per_hour = 0),
        ("year", |terms| terms.acknowledge_within_s.flash = 366 * 86_400 + 1),
        ("passed", |terms| terms.expires_at = aldis_control::UnixMillis(1)),
    ];
    for (says, change) in wrong {
        let mut terms = terms(&br);
        change(&mut terms);
        let error = set(&br, &cl, terms).await.expect_err(says);
        assert!(error.to_string().contains(says), "{says}: {error}");
        assert_eq!(error.exit(), aldis_control::Exit::Usage, "{says}");
    }
    assert!(seen_by(&br, &cl).await.ours.is_none());
    set(&br, &cl, terms(&br)).await.expect("good terms");
    let red: SendRequest = serde_json::from_value(json!({
        "to": ["cert.cl"], "kind": "incident", "precedence": "routine", "tlp": "red",
        "body": { "subject": "s", "class": "fraud" },
    }))
    .expect("a request");
    let error = client(&br).send(&red).await.expect_err("RED is not agreed");
    assert_eq!(error.exit(), aldis_control::Exit::Refused);
    assert!(error.advice().contains("aldis peer agreement cert.cl"), "{}", error.advice());
}
