//! Which role may do what, asked over the socket: each route with each role, two roles at once, none at all, and a change
//! of the rules under an open connection.

use super::support::{Cert, PATIENCE, api, failure, notice};
use crate::access::{Desks, Entry, Name, Rules};
use aldis_control::{EventsQuery, ListQuery, Role, routes};
use aldis_core::effect::Happening;
use aldis_wire::ids::NodeId;
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Who may use what: a for auditor, o for operator, r for releaser, m for admin.
const EXPECTED: [(&str, &str, &str); 47] = [
    ("get", routes::STATUS, "aorm"),
    ("get", routes::CARD, "aorm"),
    ("post", routes::CARD_SHOW, "aorm"),
    ("get", routes::PEERS, "aorm"),
    ("post", routes::PEERS, "m"),
    ("get", routes::PEER, "aorm"),
    ("post", routes::PEER_UNBLOCK, "m"),
    ("get", routes::AGREEMENT, "aorm"),
    ("post", routes::AGREEMENT, "m"),
    ("get", routes::PEER_PHRASES, "m"),
    ("post", routes::PEER_ACT, "m"),
    ("get", routes::REQUESTS, "aorm"),
    ("post", routes::REQUEST_APPROVE, "m"),
    ("post", routes::REQUEST_WITHDRAW, "m"),
    ("get", routes::KEYS, "aorm"),
    ("post", routes::KEYS_ROTATE, "m"),
    ("post", routes::ALERTS_TEST, "m"),
    ("get", routes::METRICS, "aorm"),
    ("post", routes::MESSAGES, "o"),
    ("post", routes::MESSAGES_BULK, "o"),
    ("get", routes::DRAFTS, "aor"),
    ("get", routes::DRAFT, "or"),
    ("post", routes::DRAFT_RELEASE, "r"),
    ("post", routes::DRAFT_DISCARD, "or"),
    ("get", routes::INBOX, "aor"),
    ("get", routes::OUTBOX, "aor"),
    ("get", routes::MESSAGE, "aor"),
    ("get", routes::CASE, "aor"),
    ("post", routes::EVIDENCE, "ao"),
    ("post", routes::ATTACHMENTS, "o"),
    ("get", routes::ATTACHMENT, "aor"),
    ("post", routes::ANSWERS, "o"),
    ("get", routes::RECALLS, "aor"),
    ("post", routes::RECALLS, "o"),
    ("get", routes::DRILL, "aorm"),
    ("post", routes::DRILL, "o"),
    ("get", routes::HOTLINE, "aor"),
    ("post", routes::HOTLINE, "o"),
    ("post", routes::HOTLINE_LINE, "o"),
    ("post", routes::HOTLINE_READ, "o"),
    ("post", routes::HOTLINE_CLOSE, "o"),
    ("get", routes::LOG, "aor"),
    ("get", routes::EVENTS, "aor"),
    ("post", routes::BACKUP, "m"),
    ("post", routes::VERIFY, "aor"),
    ("get", routes::VOCABULARY, "aorm"),
    ("get", routes::OPENAPI, "aorm"),
];

const LETTERS: [(Role, char); 4] =
    [(Role::Auditor, 'a'), (Role::Operator, 'o'), (Role::Releaser, 'r'), (Role::Admin, 'm')];

/// Asks with nothing but what the route needs to be reached, and reads what comes first.
async fn asked(cert: &Cert, method: &str, route: &str) -> String {
    let mut stream = UnixStream::connect(&cert.socket).await.unwrap();
    let body = if method == "post" { "{}" } else { "" };
    let request = format!(
        "{} {route} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        method.to_uppercase(),
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    first(&mut stream).await
}

/// What comes first on a connection: a whole answer, or of a stream its head.
async fn first(stream: &mut UnixStream) -> String {
    let mut answer = Vec::new();
    let whole = |answer: &[u8]| {
        let text = String::from_utf8_lossy(answer).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
        let length = head
            .to_ascii_lowercase()
            .split_once("content-length: ")
            .map_or(0, |(_, rest)| rest.lines().next().unwrap().parse().unwrap());
        body.len() >= length
    };
    while !whole(&answer) {
        let mut bytes = [0; 4_096];
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut bytes)).await.expect("it answers").unwrap();
        assert!(read > 0, "the connection ended: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&bytes[..read]);
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_route_takes_the_roles_it_should_and_no_other() {
    let served: usize = routes::ALL.iter().map(|(_, methods)| methods.len()).sum();
    assert_eq!(EXPECTED.len(), served, "a route is missing in this table");
    let br = Cert::new("cert.br").await;
    for (role, letter) in LETTERS {
        br.give(&[(role, Desks::All)]);
        for (method, route, expected) in EXPECTED {
            let answer = asked(&br, method, route).await;
            let refused = answer.starts_with("HTTP/1.1 403") && answer.contains("\"missing-role\"");
            assert_eq!(!refused, expected.contains(letter), "{role}: {method} {route}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_a_refusal_names_what_is_needed_what_the_caller_has_and_who_changes_it() {
    let br = Cert::new("cert.br").await;
    br.give(&[(Role::Auditor, Desks::All), (Role::Admin, Desks::All)]);
    let error = api(br.client.send(&notice(&["cert.cl"])).await);
    assert_eq!((error.code.as_str(), error.exit), ("missing-role", 3));
    let by = format!("(uid {})", nix::unistd::getuid());
    assert!(error.message.starts_with("to send a message you need the role operator; "), "{error:?}");
    assert!(error.message.contains(&by) && error.message.ends_with("has the roles auditor, admin"), "{error:?}");
    assert!(error.advice.contains("[[access]]") && error.advice.contains("reload"), "{error:?}");

    br.give(&[]);
    for (method, route, _) in EXPECTED {
        let (status, error) = failure(&asked(&br, method, route).await);
        assert_eq!((status, error.exit, error.code.as_str()), (403, 3, "missing-role"), "{method} {route}");
        assert!(error.message.ends_with("has no role"), "{error:?}");
    }
    let error = api(br.client.inbox(&ListQuery::default()).await);
    assert!(error.message.contains("one of the roles auditor, operator, releaser;"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_roles_give_what_either_gives_and_status_shows_them() {
    let br = Cert::new("cert.br").await;
    br.give(&[(Role::Admin, Desks::All), (Role::Releaser, Desks::All)]);
    for (method, route, expected) in EXPECTED {
        let answer = asked(&br, method, route).await;
        let may = expected.contains('m') || expected.contains('r');
        assert_eq!(!answer.contains("\"missing-role\""), may, "{method} {route}: {answer}");
    }
    let you = br.client.status().await.unwrap().you;
    assert_eq!(you.roles, [Role::Releaser, Role::Admin]);
    assert_eq!(you.desks, ["technical", "diplomatic", "law-enforcement"]);
    assert!(you.sends_for.is_empty() && you.user.ends_with(&format!("(uid {})", nix::unistd::getuid())), "{you:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_entries_the_daemons_own_user_has_every_role() {
    let br = Cert::new("cert.br").await;
    let you = br.client.status().await.unwrap().you;
    assert_eq!(you.roles, Role::ALL);
    assert_eq!(you.sends_for, ["technical", "diplomatic", "law-enforcement"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_gives_its_role_by_number_and_by_name() {
    let br = Cert::new("cert.br").await;
    let gid = nix::unistd::getgid();
    let known = nix::unistd::Group::from_gid(gid).unwrap().map(|group| Name::Name(group.name));
    for group in [Some(Name::Number(gid.as_raw())), known].into_iter().flatten() {
        let entry =
            Entry { role: Role::Admin, users: Vec::new(), groups: vec![group.clone()], desks: Desks::All, flash: true };
        br.context.access.replace(Rules::new(vec![entry]));
        assert_eq!(br.client.status().await.unwrap().you.roles, [Role::Admin], "{group:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_rules_hold_for_the_next_request_of_an_open_connection() {
    let br = Cert::new("cert.br").await;
    let mut stream = UnixStream::connect(&br.socket).await.unwrap();
    for (roles, status) in
        [(&[(Role::Auditor, Desks::All)][..], "200"), (&[], "403"), (&[(Role::Operator, Desks::All)], "200")]
    {
        br.give(roles);
        stream.write_all(b"GET /v1/inbox HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let answer = first(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{roles:?}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_loses_its_role_hears_nothing_more() {
    let br = Cert::new("cert.br").await;
    br.give(&[(Role::Auditor, Desks::All)]);
    let tell = |text: &str| {
        let happening = Happening::LinkDown(NodeId::new("cert.zz").unwrap(), text.to_owned());
        br.context.events.tell(br.context.clock.wall(), happening);
    };
    let mut events = br.client.events(&EventsQuery::default()).await.unwrap();
    tell("before");
    let mut heard = String::new();
    while !heard.contains("before") {
        heard = tokio::time::timeout(PATIENCE, events.next()).await.unwrap().unwrap().unwrap().event.text;
    }
    br.give(&[(Role::Admin, Desks::All)]);
    tell("after");
    while let Some(Ok(heard)) = tokio::time::timeout(PATIENCE, events.next()).await.expect("the stream ends") {
        assert!(!heard.event.text.contains("after"), "{heard:?}");
    }
}

/// A route that somebody adds and forgets in the table is not there, whoever asks.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_permit_is_not_there() {
    let br = Cert::new("cert.br").await;
    for (method, route, status) in
        [("get", "/v1/secret", 404), ("get", routes::MESSAGES, 405), ("put", routes::STATUS, 405)]
    {
        let request = format!("{} {route} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", method.to_uppercase());
        assert_eq!(failure(&br.raw(request.as_bytes()).await).0, status, "{method} {route}");
    }
}
