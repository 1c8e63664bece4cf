//! What `POST /v1/messages` fills in, and what it refuses, each time with the field and without signing anything.

use super::support::{Cert, api, eventually, notice, two};
use crate::control_server::accept::Limits;
use crate::control_server::caller::{Caller, Credentials};
use crate::control_server::{Server, send};
use aldis_control::{DeliveryState, PeerQuery, Reference, SendRequest, Tlp, Wait, routes};
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

/// A complete request with one field changed; `null` takes it out.
fn request(field: &str, value: Value) -> String {
    let mut request = serde_json::to_value(notice(&["cert.cl"])).unwrap();
    let fields = request.as_object_mut().unwrap();
    match value {
        Value::Null => drop(fields.remove(field)),
        value => drop(fields.insert(field.to_owned(), value)),
    }
    request.to_string()
}

fn reference(role: &str, id: &impl ToString) -> Vec<Reference> {
    vec![Reference { role: role.to_owned(), id: id.to_string() }]
}

#[tokio::test(flavor = "multi_thread")]
async fn i13_every_wrong_field_is_named_and_nothing_is_signed() {
    let (br, _cl) = two().await;
    let long = "x".repeat(129);
    let wrong: Vec<(&str, Value, &str, u8)> = vec![
        ("tlp", Value::Null, "never filled in", 2),
        ("tlp", json!("white"), "amber+strict", 2),
        ("tlp", json!(3), "tlp", 2),
        ("precedence", Value::Null, "immediate", 2),
        ("precedence", json!("urgent"), "immediate", 2),
        ("kind", Value::Null, "kind", 2),
        ("kind", json!("poem"), "incident", 2),
        ("kind", json!("acknowledgement"), "body", 2),
        ("to", Value::Null, "aldis peer list", 2),
        ("to", json!([]), "to: 0 recipients", 2),
        ("to", json!("cert.cl"), "to", 2),
        ("to", json!(["cert.cl", "cert.cl"]), "twice", 2),
        ("to", json!(["cert.br"]), "this node itself", 2),
        ("to", json!(["Cert.CL"]), "node id", 2),
        ("to", json!(["cert.ar"]), "enrolled are cert.cl", 5),
        ("to", json!(vec!["cert.cl"; 257]), "257 recipients", 2),
        ("desk", json!("reception"), "law-enforcement", 2),
        ("case", json!("abc"), "26", 2),
        ("case", json!("abcdefgh"), "no case", 5),
        ("author", json!(" "), "author: it is empty", 2),
        ("author", json!(long), "author: 129 bytes", 2),
        ("on_behalf_of", json!(long), "on_behalf_of: 129 bytes", 2),
        ("exercise", json!(""), "exercise: it is empty", 2),
        ("expires_in_s", json!(0), "expires_in_s: 0", 2),
        ("expires_in_s", json!(365 * 86_400 + 1), "a year", 2),
        ("expires_in_s", json!(-1), "expires_in_s", 2),
        ("wait", json!("answered"), "stored", 2),
        ("wait_ms", json!(600_001), "wait_ms", 2),
        ("body", json!({ "class": "fraud" }), "subject", 2),
        ("body", json!({ "subject": "s", "class": "fraud", "colour": 1 }), "colour", 2),
        ("body", json!({ "subject": "s", "class": "fraud", "severity": "huge" }), "critical", 2),
        ("body", json!({ "subject": "x".repeat(201), "class": "fraud" }), "body.subject: 201 bytes", 2),
        ("body", json!({ "subject": "s", "class": "fraud", "sectors": "energy" }), "body.sectors: invalid type", 2),
        ("body", json!({ "subject": "s", "class": 7 }), "body.class: invalid type", 2),
        ("body", json!([]), "body", 2),
        ("colour", json!("red"), "colour", 2),
        ("references", json!([{ "role": "likes", "id": "cert.cl/P1" }]), "supersedes", 2),
        ("references", json!([{ "role": "relates", "id": "P1" }]), "FROM/TO/Ln", 2),
        ("references", json!([{ "role": "relates", "id": "cert.cl/P1" }]), "no message", 5),
    ];
    for (field, value, says, exit) in wrong {
        let what = format!("{field} = {value}");
        let (status, error) = br.post(routes::MESSAGES, &request(field, value)).await;
        let said = format!("{} | {}", error.message, error.advice);
        assert!((400..500).contains(&status) && error.exit == exit, "{what}: {status} {error:?}");
        assert!(said.contains(says), "{what}: {said}");
    }
    let peer = br.client.peer(&PeerQuery { id: "cert.cl".to_owned() }).await.unwrap();
    assert!(peer.marks.iter().all(|lane| lane.sent == 0), "something was signed: {:?}", peer.marks);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_its_own_command_or_is_the_nodes_is_not_sent_as_a_notice() {
    let (br, _cl) = two().await;
    let time = "2026-11-22T03:15:00.000Z";
    let others = [
        ("acknowledgement", json!({ "state": "seen" })),
        ("refusal", json!({ "code": "unknown-kind", "text": "no" })),
        (
            "ladder-step",
            json!({ "cause": "arrived", "step": 0, "of": 1, "name": "duty officer", "outcome": "alerted",
                    "reached": 1, "at": time, "next_within_s": 60 }),
        ),
        ("hotline", json!({ "subject": "are you there?" })),
        ("hotline-line", json!({ "part": "line", "text": "yes" })),
        ("comm-check", json!({ "part": "human" })),
        ("recall", json!({ "reason": "other" })),
        ("tombstone", json!({ "erased_at": time, "reached": "seen", "exported": false })),
    ];
    for (kind, body) in others {
        let request = SendRequest { kind: kind.to_owned(), body, ..notice(&["cert.cl"]) };
        let error = api(br.client.send(&request).await);
        assert_eq!((error.code.as_str(), error.exit), ("not-a-notice", 2), "{error:?}");
    }
}

/// The receipt may come between the answer of the core and our looking at it.
#[tokio::test(flavor = "multi_thread")]
async fn i3_a_receipt_that_came_before_anybody_waited_is_not_missed() {
    let (br, _cl) = two().await;
    let server = Server::new(br.context.clone(), Limits::default(), CancellationToken::new());
    let credentials = Credentials::of(&UnixStream::connect(&br.socket).await.unwrap()).unwrap();
    let (caller, grant) = Caller::look_up(credentials, &server).await;
    // The time is over already, so that nothing can be learnt by waiting.
    let request = SendRequest { wait: Some(Wait::Stored), wait_ms: Some(0), ..notice(&["cert.cl"]) };
    let (composed, expected) = send::prepare(&server, &caller, &grant, request).await.unwrap();
    let handed_in = br.context.loop_handle.compose(composed, expected.follows()).await.unwrap();
    eventually("the message is stored at the peer", || async {
        let peer = br.client.peer(&PeerQuery { id: "cert.cl".to_owned() }).await.unwrap();
        peer.marks.iter().map(|lane| lane.receipted).sum::<u64>() == 1
    })
    .await;
    let sent = send::answer(&server, handed_in, expected).await.unwrap();
    assert_eq!(sent.messages[0].state, DeliveryState::Stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_what_is_left_out_is_filled_in_and_what_is_confirmed_is_there() {
    let (br, _cl) = two().await;
    let mut body = notice(&[]).body;
    body["information_credibility"] = json!(2);
    let response = br.client.send(&SendRequest { body, ..notice(&["cert.cl"]) }).await.unwrap();
    let view = br.message(&response.messages[0].id).await;
    assert_eq!(view.row.desk, "technical");
    assert_eq!((view.row.tlp, view.row.exercise), (Tlp::Amber, None));
    assert_eq!(view.row.case, response.case);
    assert_eq!(view.row.expires_at.0 - view.row.sent_at.0, 7 * 86_400_000);
    assert_eq!(view.body.unwrap()["information_credibility"], "2");
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().map(|user| user.name);
    assert_eq!(view.author, user, "the author is the user who calls");
    let (uid, by) = (nix::unistd::getuid(), view.history[0].by.clone().unwrap());
    assert!(by.ends_with(&format!("(uid {uid})")), "the kernel's word is on record: {by}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_to_two_peers_is_two_envelopes_in_the_order_asked_for() {
    let (br, cl) = two().await;
    let ar = Cert::new("cert.ar").await;
    br.enrol(&ar).await;
    ar.enrol(&br).await;
    let response = br.client.send(&notice(&["cert.cl", "cert.ar"])).await.unwrap();
    let to: Vec<&str> = response.messages.iter().map(|message| message.to.as_str()).collect();
    assert_eq!(to, ["cert.cl", "cert.ar"]);
    assert_eq!(br.message(&response.messages[0].id).await.also_to, ["cert.ar"]);

    // What supersedes must supersede at every recipient.
    let first = reference("supersedes", &response.messages[0].id);
    let error = api(br.client.send(&SendRequest { references: first, ..notice(&["cert.cl", "cert.ar"]) }).await);
    assert!(error.message.contains("cert.ar was sent none"), "{error:?}");
    let both = response.messages.iter().flat_map(|message| reference("supersedes", &message.id)).collect();
    let later = br.client.send(&SendRequest { references: both, ..notice(&["cert.cl", "cert.ar"]) }).await.unwrap();
    assert_eq!(later.case, response.case, "the case is inherited");
    let old = br.message(&response.messages[0].id).await;
    assert_eq!(old.row.superseded_by, Some(later.messages[0].id.clone()));
    drop(cl);
}

#[tokio::test(flavor = "multi_thread")]
async fn i12_only_our_own_like_messages_are_superseded() {
    let (br, cl) = two().await;
    let real = br.send_stored(notice(&["cert.cl"])).await;
    let theirs = cl.send_stored(notice(&["cert.br"])).await;
    let ar = Cert::new("cert.ar").await;
    br.enrol(&ar).await;
    let exercise = Some("Storm 26".to_owned());
    let refused = [
        (SendRequest { references: reference("supersedes", &real.id), ..notice(&["cert.ar"]) }, "among the recipients"),
        (SendRequest { references: reference("supersedes", &theirs.id), ..notice(&["cert.cl"]) }, "of our own"),
        (SendRequest { references: reference("answers", &real.id), ..notice(&["cert.cl"]) }, "received here"),
        (
            SendRequest { references: reference("supersedes", &real.id), exercise, ..notice(&["cert.cl"]) },
            "exercise can supersede",
        ),
        (
            SendRequest { references: vec![reference("relates", &real.id).remove(0); 9], ..notice(&["cert.cl"]) },
            "at most 8",
        ),
    ];
    for (request, says) in refused {
        let error = api(br.client.send(&request).await);
        assert!(error.exit == 2 && error.message.contains(says), "{says}: {error:?}");
    }
    let case = Some(br.message(&real.id).await.row.case[..6].to_owned());
    let related = SendRequest { references: reference("relates", &theirs.id), case, ..notice(&["cert.cl"]) };
    let response = br.client.send(&related).await.unwrap();
    assert_eq!(response.case, br.message(&real.id).await.row.case, "a prefix names the case");
    assert_eq!(br.message(&response.messages[0].id).await.references[0].role, "relates");
}
