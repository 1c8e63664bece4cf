//! A node that cannot start or go on says what is wrong, where, and what to do; and a full disk stops nothing but new
//! messages.

use aldis_core::effect::Delivery;
use aldis_node::event_loop::RequestError;
use aldis_node::journal::OpenError;
use aldis_node::{Setup, StartError};
use aldis_tests::certs::{Cert, Scene, eventually, held_port};
use aldis_wire::codec::Text;
use aldis_wire::lane::Lane;
use std::net::TcpListener;

async fn refused(setup: Setup) -> StartError {
    match aldis_node::start(setup).await {
        Ok(_) => panic!("the node started"),
        Err(error) => error,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named() {
    let cert = Cert::new("cert.br");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound");
    let error = refused(Setup { listen: vec![address], ..cert.setup() }).await;
    assert!(matches!(&error, StartError::Listen { address: named, .. } if *named == address));
    assert!(error.to_string().contains("is another daemon running"), "{error}");
    assert!(!error.is_integrity_failure());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_on_the_same_data_is_refused_and_the_first_goes_on() {
    let scene = Scene::new().await;
    let error = refused(Setup { listen: vec![held_port().for_good()], ..scene.node.setup() }).await;
    assert!(matches!(&error, StartError::Journal(OpenError::Locked { .. })), "{error}");
    assert!(error.to_string().contains("two daemons must never share data"), "{error}");
    scene.unharmed("a second daemon").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_cannot_be_written_is_named() {
    let cert = Cert::new("cert.br");
    // Read-only for every user, also for root, whom file modes do not stop.
    for dir in ["/proc/self/task", "/dev/null", "/nowhere/at/all"] {
        let error = refused(Setup { data_dir: dir.into(), ..cert.setup() }).await;
        assert!(error.to_string().contains(dir), "{error}");
        assert!(!error.is_integrity_failure(), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_room_is_refused_before_anything_is_made() {
    let cert = Cert::new("cert.br");
    let mut setup = cert.setup();
    setup.journal.reserve_bytes = 1 << 60;
    let error = refused(setup).await;
    assert!(matches!(&error, StartError::Journal(OpenError::NoSpace { .. })), "{error}");
    assert!(error.to_string().contains("free some space"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nearly_full_disk_declines_new_messages_and_goes_on_receiving() {
    let mut scene = Scene::new().await;
    scene.node.stop().await;
    let mut setup = scene.node.setup();
    setup.journal.reserve_bytes = 1 << 60;
    scene.node.start_with(setup).await;
    eventually("the alarm", || async { scene.alarms().await.contains(&"disk-nearly-full".to_owned()) }).await;
    let declined = scene.node.try_send(&scene.other, Lane::Flash, "no room").await;
    let Err(RequestError::Declined(why)) = declined else { panic!("it was taken: {declined:?}") };
    assert!(why.to_string().contains("make room"), "{why}");
    for lane in Lane::ALL {
        let id = scene.other.send(&scene.node, lane, "still received").await;
        scene.other.delivered(&id, &Delivery::Stored).await;
    }
    scene.node.stop().await;
    scene.node.start().await;
    eventually("the alarm ends", || async { scene.alarms().await.is_empty() }).await;
    scene.unharmed("a nearly full disk").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i9_a_journal_cut_behind_its_last_commit_is_an_integrity_failure() {
    let (mut br, cl) = aldis_tests::certs::two_certs().await;
    let id = br.send(&cl, Lane::Flash, "on both disks").await;
    br.delivered(&id, &Delivery::Stored).await;
    br.stop().await;
    let dir = br.dir().join("journal");
    let segment = std::fs::read_dir(&dir)
        .expect("the journal")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .expect("a segment");
    let file = std::fs::OpenOptions::new().write(true).open(&segment).expect("opens");
    let bytes = std::fs::read(&segment).expect("reads");
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("records before what is only prepared");
    file.set_len(end as u64 - 100).expect("cuts");
    let error = refused(br.setup()).await;
    assert!(error.is_integrity_failure(), "{error}");
    assert!(error.to_string().contains(".seg"), "it names the place: {error}");
}

/// Card and keys were put back from an older copy: the keys that peers expect by now may not be there.
#[tokio::test(flavor = "multi_thread")]
async fn i9_a_card_older_than_the_one_in_the_journal_is_refused_and_a_newer_one_is_not() {
    let mut cert = Cert::new("cert.br");
    cert.start().await;
    cert.stop().await;
    let with_number = |sequence| {
        let mut card = cert.card.card().clone();
        (card.sequence, card.name) = (sequence, Text::cut("another"));
        Setup { card: card.sign(&cert.key()), ..cert.setup() }
    };
    for sequence in [0, 1] {
        let error = refused(with_number(sequence)).await;
        assert!(matches!(&error, StartError::OlderCard { journal: 1, .. }), "{error}");
        assert!(error.to_string().contains("put back the newest ones"), "{error}");
    }
    let newer = with_number(2);
    cert.start_with(newer).await;
}
