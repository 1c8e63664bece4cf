//! The loop's own bounds, on a loop that does not run: queues longer than real ones stand for peers that refill them.

use super::*;
use crate::tls::{self, OwnIdentity};
use aldis_core::ladder::{Alert, Cause, Silence};
use aldis_core::limits::Limits;
use aldis_core::peer::LinkId;
use aldis_core::record::RecordSeq;
use aldis_wire::card::{CARD_VERSION, Card, VerifiedCard};
use aldis_wire::codec::{Blob, List};
use aldis_wire::codes::Extensions;
use aldis_wire::frame::Credit;
use aldis_wire::lane::Lane;
use aldis_wire::signing::IdentityKey;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const WAITING: usize = 3 * QUEUE_LENGTH;

fn idle_loop(dir: &Path, urgent: mpsc::Receiver<Message>, normal: mpsc::Receiver<Message>) -> EventLoop {
    let clock = Clock::system();
    let (certificate, tls_key) = tls::generate("cert.br", 30, clock.system_time()).unwrap();
    let (certificate_path, key_path) = (dir.join("tls.crt"), dir.join("tls.key"));
    std::fs::write(&certificate_path, certificate).unwrap();
    std::fs::write(&key_path, tls_key.expose()).unwrap();
    std::fs::set_permissions(&key_path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let own = OwnIdentity::load(&certificate_path, &key_path, clock.system_time()).unwrap();
    let key = IdentityKey::from_seed(&[1; 32]);
    let mut options = journal::Options::default();
    (options.segment_bytes, options.reserve_bytes, options.prepare_ahead) = (1 << 20, 0, false);
    EventLoop {
        core: Core::new(NodeId::new("cert.br").unwrap(), key.id(), Limits::default()),
        journal: Journal::create(&dir.join("journal"), options).unwrap(),
        own: Own::new(IdentityKey::from_seed(&[1; 32]).into(), card(&key)),
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
        unalerted: Vec::new(),
        first: Vec::new(),
    }
}

fn card(key: &IdentityKey) -> VerifiedCard {
    let card = Card {
        version: CARD_VERSION,
        id: NodeId::new("cert.br").unwrap(),
        name: Text::cut("CERT"),
        country: Text::cut("XX"),
        identity_key: *key.public().as_bytes(),
        tls_certificate: Blob::default(),
        tls_name: None,
        endpoints: List::empty(),
        contacts: List::empty(),
        kinds: List::empty(),
        issued_at: UnixMillis::new(0),
        valid_until: UnixMillis::new(0),
        sequence: 1,
        extensions: Extensions::default(),
    };
    card.sign(key)
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
    node.erase(RecordSeq(7)).unwrap();
    node.journal.commit(&[entry(None)]).unwrap();
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
    node.drain(&mut batch);
    assert_eq!(node.urgent.len(), WAITING - QUEUE_LENGTH, "a flood of FLASH must not keep the batch from its commit");
    assert_eq!(node.normal.len(), WAITING - QUEUE_LENGTH, "nor the rest from its turn");
}

#[test]
fn i8_an_alert_that_nobody_takes_goes_back_to_the_core_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (_urgent, urgent_messages) = mpsc::channel(1);
    let (_normal, normal_messages) = mpsc::channel(1);
    let mut node = idle_loop(dir.path(), urgent_messages, normal_messages);
    let alert = Alert {
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
    };
    // What would take it has ended with the other end of the queue.
    node.perform(Effect::Alert(Box::new(alert)));
    let (id, outcome) = &node.unalerted[0];
    assert_eq!((id.0.0, outcome.reached.len(), outcome.failed.len()), (7, 0, 1));
    // Without timers, so that waiting for one is a panic.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(matches!(node.wait(runtime.handle()), Some(None)), "the loop does not wait");
    let mut batch = node.core.batch();
    node.tick(&mut batch);
    assert!(node.unalerted.is_empty());
}
