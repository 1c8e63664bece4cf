//! What takes a second person, over the socket. A test has one Unix user, so the second person asks the loop itself.

use super::support::{Cert, PATIENCE, api, failure, notice};
use crate::access::{Desks, Entry, Name, Rules};
use crate::event_loop::Request;
use crate::journal::{Body, RecordSeq};
use aldis_control::{
    DraftName, DraftQuery, EventKind, EventsQuery, ListQuery, Precedence, Role, SendRequest, Tlp, routes,
};
use aldis_core::effect::Done;
use aldis_core::input::DraftBodies;
use aldis_core::limits::Discipline;
use aldis_core::record::{DraftId, DraftOpened, Record, RecordSeq as CoreSeq};
use aldis_core::trust::Person;
use aldis_wire::codec::Text;
use futures_util::StreamExt;
use serde_json::json;

pub(super) const STRICT: Discipline = Discipline {
    release_flash: true,
    release_red: true,
    release_within_ms: 3_600_000,
    flash_words: 200,
    flash_per_day: 100,
};

async fn strict() -> (Cert, Cert) {
    strict_with(STRICT).await
}

/// Two nodes that know each other, the first with these rules.
pub(super) async fn strict_with(discipline: Discipline) -> (Cert, Cert) {
    let (br, cl) = (Cert::disciplined("cert.br", discipline).await, Cert::new("cert.cl").await);
    br.enrol(&cl).await;
    cl.enrol(&br).await;
    (br, cl)
}

fn flash() -> SendRequest {
    SendRequest { precedence: Precedence::Flash, ..notice(&["cert.cl"]) }
}

fn body_of(cert: &Cert, draft: u64) -> Body {
    cert.context.journal.read(RecordSeq(draft)).unwrap().body
}

/// A second person, with another Unix user.
fn another() -> Person {
    Person { uid: 4_000_000_998, name: Text::cut("rui") }
}

/// That person releases.
pub(super) async fn release_as_another(cert: &Cert, draft: u64) -> Done {
    let Body::Present(bytes) = body_of(cert, draft) else { panic!("no body") };
    let (salt, bytes) = (*bytes.first_chunk().unwrap(), bytes.slice(16..));
    let bodies = Box::new(DraftBodies { salt, bytes, salts: vec![[7; 16]] });
    let release = Request::Release { draft: DraftId(CoreSeq(draft)), bodies, by: another() };
    cert.context.loop_handle.request(release).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flash_waits_for_another_person_and_then_arrives_with_its_name() {
    let (br, cl) = strict().await;
    let response = br.client.send(&flash()).await.unwrap();
    assert!(response.messages.is_empty() && response.release_by.is_some(), "{response:?}");
    let draft = response.draft.unwrap();
    let rows = br.client.drafts().await.unwrap();
    assert_eq!((rows.len(), rows[0].draft, rows[0].subject.as_str()), (1, draft, "C2 at a provider"));
    let view = br.client.draft(&DraftQuery { draft }).await.unwrap();
    assert_eq!(view.body["narrative"], json!("Beacons."));
    let error = api(br.client.draft_release(&DraftName { draft }).await);
    assert_eq!((error.code.as_str(), error.exit), ("own-draft", 3), "whoever composed it cannot release it");

    let Done::Submitted(sent) = release_as_another(&br, draft).await else { panic!("not sent") };
    let id = sent[0].0.to_string();
    super::support::eventually("it arrives", || async {
        cl.client.inbox(&ListQuery::default()).await.unwrap().iter().any(|row| row.id.to_string() == id)
    })
    .await;
    assert_eq!(cl.message(&id).await.released_by.as_deref(), Some("rui (uid 4000000998)"));
    assert_eq!(body_of(&br, draft), Body::Erased, "the copy beside the draft is gone");
    assert_eq!(br.client.drafts().await.unwrap(), []);
    assert_eq!(api(br.client.draft(&DraftQuery { draft }).await).code, "no-such-draft");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_red_draft_shows_nothing_in_a_list_and_its_opening_is_on_record() {
    let (br, _cl) = strict().await;
    let request = SendRequest { tlp: Tlp::Red, ..notice(&["cert.cl"]) };
    let draft = br.client.send(&request).await.unwrap().draft.unwrap();
    assert_eq!(br.client.drafts().await.unwrap()[0].subject, "");
    let opened = || {
        let records = br.context.journal.iter_from(RecordSeq(0));
        let opened = records.filter_map(|record| match Record::decode(&record.unwrap().record).unwrap() {
            Record::DraftOpened(DraftOpened { draft, .. }) => Some(draft.0.0),
            _ => None,
        });
        opened.collect::<Vec<u64>>()
    };
    assert!(opened().is_empty());
    assert_eq!(br.client.draft(&DraftQuery { draft }).await.unwrap().row.subject, "C2 at a provider");
    assert_eq!(opened(), [draft]);
    assert_eq!(br.client.draft_discard(&DraftName { draft }).await.unwrap(), []);
    assert_eq!(body_of(&br, draft), Body::Erased);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_read_and_released_only_by_whoever_has_its_desk() {
    let (br, _cl) = strict().await;
    let request = SendRequest { desk: Some("diplomatic".to_owned()), ..flash() };
    let draft = br.client.send(&request).await.unwrap().draft.unwrap();
    let technical = Desks::Only([aldis_wire::codes::Desk::TECHNICAL].into());
    br.give(&[(Role::Releaser, technical.clone()), (Role::Operator, technical)]);
    assert_eq!(br.client.drafts().await.unwrap(), []);
    assert_eq!(api(br.client.draft(&DraftQuery { draft }).await).code, "missing-desk");
    assert_eq!(api(br.client.draft_release(&DraftName { draft }).await).code, "missing-desk");
    let (status, error) = failure(&br.raw(get(routes::DRAFT, draft).as_bytes()).await);
    assert_eq!((status, error.code.as_str()), (403, "missing-desk"));

    let mut events = br.client.events(&EventsQuery::default()).await.unwrap();
    let discard = |draft| Request::Discard { draft: DraftId(CoreSeq(draft)), by: another(), is_releaser: true };
    br.context.loop_handle.request(discard(draft)).await.unwrap();
    let ours = br.client.send(&flash()).await.unwrap().draft.unwrap();
    loop {
        let heard = tokio::time::timeout(PATIENCE, events.next()).await.expect("an event").unwrap().unwrap().event;
        assert!(!heard.text.contains(&format!("draft {draft}")), "{heard:?}");
        if heard.what == EventKind::Draft {
            assert!(heard.text.contains(&format!("draft {ours}")), "{heard:?}");
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_flash_needs_a_reason_that_its_history_shows() {
    let br = Cert::new("cert.br").await;
    let cl = Cert::new("cert.cl").await;
    br.enrol(&cl).await;
    let body = json!({ "subject": "hosts", "class": "fraud", "narrative": "word ".repeat(250) });
    let long = SendRequest { body, ..flash() };
    assert_eq!(api(br.client.send(&long).await).code, "too-long");
    let sent = br.client.send(&SendRequest { long: Some("all of them".to_owned()), ..long }).await.unwrap();
    let history = br.message(&sent.messages[0].id).await.history;
    assert!(history.iter().any(|step| step.cause.ends_with("because: all of them")), "{history:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_without_flash_sends_everything_else() {
    let br = Cert::new("cert.br").await;
    let cl = Cert::new("cert.cl").await;
    br.enrol(&cl).await;
    let users = vec![Name::Number(nix::unistd::getuid().as_raw())];
    let entry = |role| Entry { role, users: users.clone(), groups: Vec::new(), desks: Desks::All, flash: false };
    br.context.access.replace(Rules::new([Role::Operator, Role::Admin].map(entry).to_vec()));
    assert_eq!(api(br.client.send(&flash()).await).code, "missing-flash");
    br.client.send(&notice(&["cert.cl"])).await.unwrap();
}

fn get(route: &str, draft: u64) -> String {
    format!("GET {route}?draft={draft} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
}
