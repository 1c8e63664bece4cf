//! The loop's own bounds, on a loop that does not run: queues longer than real ones stand for peers that refill them.

use super::*;
use crate::fixtures::{self, small_journal};
use crate::tls::{self, OwnIdentity};
use aldis_core::input::Composed;
use aldis_core::ladder::{Alert, Cause, Silence};
use aldis_core::limits::Limits;
use aldis_core::peer::LinkId;
use aldis_core::record::RecordSeq;
use aldis_core::trust::Person;
use aldis_wire::frame::Credit;
use aldis_wire::lane::Lane;
use aldis_wire::signing::IdentityKey;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const WAITING: usize = 3 * QUEUE_LENGTH;
const JOURNAL: &str = "journal";

fn idle_loop(dir: &Path, urgent: mpsc::Receiver<Message>, normal: mpsc::Receiver<Message>) -> EventLoop {
    let clock = Clock::system();
    let (certificate, tls_key) = tls::generate("cert.br", 30, clock.system_time()).unwrap();
    let (certificate_path, key_path) = (dir.join("tls.crt"), dir.join("tls.key"));
    std::fs::write(&certificate_path, certificate).unwrap();
    std::fs::write(&key_path, tls_key.expose()).unwrap();
    std::fs::set_permissions(&key_path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let own = OwnIdentity::load(&certificate_path, &key_path, clock.system_time()).unwrap();
    let key = IdentityKey::from_seed(&fixtures::SEED);
    EventLoop {
        core: Core::new(NodeId::new("cert.br").unwrap(), key.id(), Limits::default()),
        journal: Journal::create(&dir.join(JOURNAL), small_journal()).unwrap(),
        own: fixtures::own(),
        clock: clock.clone(),
        started_at: clock.wall(),
        urgent,
        normal,
        links: Links::default(),
        dials: mpsc::channel(1).0,
        directory: Directory::new(own, Vec::new(), std::iter::empty(), tls::Crls::default(), clock.clone()).unwrap().0,
        events: Events::new(),
        committed: Box::new(|| {}),
        commitments: Commitments { earlier: None, latest: None },
        replies: Replies::default(),
        space: Space::default(),
        alerts: Alerts::new().0,
        attachments: Attachments::open(dir, 0).unwrap(),
        right_of_way: RightOfWay::new(clock.clone()),
        runtime: tokio::runtime::Runtime::new().unwrap().handle().clone(),
        unalerted: Vec::new(),
        first: Vec::new(),
    }
}

#[test]
fn a_body_is_erased_from_the_journal_and_damage_there_ends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = idle_loop(dir.path(), mpsc::channel(1).1, mpsc::channel(1).1);
    let parts: [&[u8]; 1] = [b"salt and body"];
    let entry = |body| journal::Entry { nonce: [1; NONCE_BYTES], record: b"a record", body };
    node.journal.commit(&[entry(Some(&parts[..])), entry(None)]).unwrap();
    for record in [0, 0, 1] {
        node.erase(RecordSeq(record)).unwrap();
    }
    let body_of = |record| node.journal.reader().read(journal::RecordSeq(record)).unwrap().body;
    assert_eq!((body_of(0), body_of(1)), (journal::Body::Erased, journal::Body::None));
    // A damaged place holds nothing that could be shown; `verify` and the next start tell of it.
    let damaged = journal::Entry { record: b"a record to be damaged", ..entry(Some(&parts[..])) };
    node.journal.commit(&[damaged]).unwrap();
    damage(&dir.path().join(JOURNAL), b"a record to be damaged");
    assert!(node.journal.reader().read(journal::RecordSeq(2)).is_err(), "the place is damaged");
    node.erase(RecordSeq(2)).unwrap();
    node.journal.commit(&[entry(None)]).unwrap();
}

/// Changes one bit of the mark with which a record begins, so that it is not found any more.
fn damage(journal: &Path, record: &[u8]) {
    const HEAD_BYTES: usize = 48;
    for entry in std::fs::read_dir(journal).unwrap() {
        let path = entry.unwrap().path();
        let mut held = std::fs::read(&path).unwrap();
        if let Some(at) = held.windows(record.len()).position(|window| window == record) {
            held[at - HEAD_BYTES] ^= 1;
            std::fs::write(&path, held).unwrap();
        }
    }
}

#[test]
fn i7_one_batch_takes_its_share_of_each_queue_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let (urgent, urgent_messages) = mpsc::channel(WAITING);
    let (normal, normal_messages) = mpsc::channel(WAITING);
    for (queue, lane) in [(&urgent, Lane::Flash), (&normal, Lane::Routine)] {
        for total in 0..WAITING as u64 {
            let credit = Credit { lane, total };
            let peer = NodeId::new("cert.cl").unwrap();
            queue.try_send(Message::Input(Input::Credit { peer, link: LinkId(1), credit })).unwrap();
        }
    }
    let mut node = idle_loop(dir.path(), urgent_messages, normal_messages);
    let mut batch = node.core.batch();
    node.drain(false, &mut batch);
    assert_eq!(node.urgent.len(), WAITING - QUEUE_LENGTH, "a flood of FLASH must not keep the batch from its commit");
    assert_eq!(node.normal.len(), WAITING - REST_SHARE, "nor the rest from its few places");
    while node.urgent.try_recv().is_ok() {}
    node.drain(true, &mut batch);
    assert_eq!(
        node.normal.len(),
        WAITING - 2 * REST_SHARE,
        "one FLASH that the loop woke for is not made to wait either"
    );
    node.drain(false, &mut batch);
    assert_eq!(node.normal.len(), WAITING - 2 * REST_SHARE - QUEUE_LENGTH, "without FLASH the rest has all of it");
}

#[test]
fn i14_a_flash_takes_the_right_of_way_and_what_is_less_urgent_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = idle_loop(dir.path(), mpsc::channel(1).1, mpsc::channel(1).1);
    for lane in Lane::ALL {
        let (reply, _answer) = Reply::new(false);
        let message = Message::Request(Request::Compose(Box::new(composed(lane))), reply);
        let mut batch = node.core.batch();
        node.take(Some(message), &mut batch);
        assert_eq!(node.right_of_way.is_taken(), lane == Lane::Flash);
        node.commit(batch).unwrap();
        node.give_way();
        assert!(!node.right_of_way.is_taken(), "it went to nobody");
    }
}

#[test]
fn i14_while_a_flash_has_the_right_of_way_the_loop_turns_to_what_is_urgent_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (urgent, urgent_messages) = mpsc::channel(WAITING);
    let (normal, normal_messages) = mpsc::channel(WAITING);
    let mut node = idle_loop(dir.path(), urgent_messages, normal_messages);
    node.space.look_at_ms = u64::MAX;
    let message = || Message::Input(Input::Tick);
    for queue in [&urgent, &normal, &normal] {
        queue.try_send(message()).unwrap();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    node.right_of_way.take();
    assert!(node.wait(runtime.handle()).unwrap().is_urgent);
    // The second wait ends when the way is free by itself, and not before.
    node.right_of_way.take();
    let woken = node.wait(runtime.handle()).unwrap();
    assert!(woken.message.is_some() && !woken.is_urgent && !node.right_of_way.is_taken());
    // A drain that the hold outlived shows nothing, and is done again.
    loop {
        let (waiting, mut batch) = (node.normal.len(), node.core.batch());
        node.right_of_way.take();
        node.drain(false, &mut batch);
        if node.right_of_way.is_taken() {
            assert_eq!(node.normal.len(), waiting);
            break;
        }
    }
}

fn composed(lane: Lane) -> Composed {
    let body = serde_json::json!({ "subject": "s", "class": "fraud" });
    let submission = fixtures::submission(&NodeId::new("cert.cl").unwrap(), lane, "incident", body);
    Composed { submission, by: Person { uid: 1_000, name: Text::cut("ana") }, words: 1, long: None }
}

#[tokio::test]
async fn i14_a_bulk_stands_before_nobodys_flash_and_one_persons_message_before_the_rest() {
    let (urgent, urgent_messages) = mpsc::channel(8);
    let (normal, normal_messages) = mpsc::channel(8);
    let handle = LoopHandle { urgent, normal };
    let mut handed_in = Vec::new();
    for (lane, expected) in
        [(Lane::Flash, (1, 0)), (Lane::Immediate, (1, 1)), (Lane::Priority, (1, 2)), (Lane::Routine, (1, 3))]
    {
        handed_in.push(handle.compose_in_bulk(composed(lane), false).await.unwrap());
        assert_eq!((urgent_messages.len(), normal_messages.len()), expected, "{lane:?}");
    }
    handed_in.push(handle.compose(composed(Lane::Routine), false).await.unwrap());
    assert_eq!((urgent_messages.len(), normal_messages.len()), (2, 3), "a person waits for it");
}

fn alert() -> Box<Alert> {
    Box::new(Alert {
        id: AlertId(RecordSeq(7)),
        silence: Silence::Received,
        cause: Cause::Arrived,
        step: 0,
        of: 1,
        step_name: Text::cut("duty officer"),
        peer: NodeId::new("cert.cl").unwrap(),
        lane: Lane::Flash,
        exercise: None,
        messages: Vec::new(),
        count: 1,
        since: UnixMillis::new(1),
        people: vec![(Text::cut("ana"), vec![Text::cut("watch")])],
        draft: None,
        again: false,
    })
}

#[test]
fn i8_an_alert_without_a_place_goes_back_to_the_core_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (_urgent, urgent_messages) = mpsc::channel(1);
    let (_normal, normal_messages) = mpsc::channel(1);
    let mut node = idle_loop(dir.path(), urgent_messages, normal_messages);
    let (alerts, _never_brought) = Alerts::new();
    while alerts.bring(alert()).is_ok() {}
    node.alerts = alerts;
    node.perform(Effect::Alert(alert()));
    let (id, outcome) = &node.unalerted[0];
    assert_eq!((id.0.0, outcome.reached.len(), outcome.failed.len()), (7, 0, 1));
    // Without timers, so that waiting for one is a panic.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(node.wait(runtime.handle()).is_some_and(|woken| woken.message.is_none()), "the loop does not wait");
    let mut batch = node.core.batch();
    node.tick(&mut batch);
    assert!(node.unalerted.is_empty());
}

#[test]
fn i8_an_alert_of_a_node_that_stops_is_not_told_as_failed_so_the_next_start_brings_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = idle_loop(dir.path(), mpsc::channel(1).1, mpsc::channel(1).1);
    // What would bring it has ended, and the other end of the queue with it.
    node.perform(Effect::Alert(alert()));
    assert!(node.unalerted.is_empty());
}
