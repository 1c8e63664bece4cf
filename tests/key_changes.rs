//! Keys that change, and peers that are cut off, between whole nodes over real TLS while messages flow.

use aldis_core::limits::Limits;
use aldis_core::record::Record;
use aldis_core::trust::Act;
use aldis_node::event_loop::LinkStatus;
use aldis_node::keys::MAX_KEYS;
use aldis_node::rotation::RotationError;
use aldis_tests::certs::{Cert, PATIENCE, eventually};
use aldis_tests::raw_peer::{RawPeer, refused_at_the_door};
use aldis_wire::codec::Text;
use aldis_wire::frame::GoodbyeCode;
use aldis_wire::lane::Lane;
use aldis_wire::signing::IdentityKey;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a link may be away while keys change.
const LINK_AWAY_MAX: Duration = Duration::from_secs(2);
/// How soon a revoked peer must be cut off.
const CUT_WITHIN: Duration = Duration::from_secs(1);
/// How many notices go each way while keys change, at least.
const NOTICES_EACH_WAY: u64 = 300;
const DAY_MS: i64 = 86_400_000;

/// Two CERTs that make keys while they run, linked.
async fn two_with_key_files() -> (Cert, Cert) {
    let (mut br, mut cl) = (Cert::new("cert.br"), Cert::new("cert.cl"));
    for cert in [&mut br, &mut cl] {
        let mut setup = cert.setup_with_key_files();
        // A daemon's own waits, so that the links come back for the reason they do there.
        setup.limits = Limits { receipt_wait_ms: setup.limits.receipt_wait_ms, ..Limits::default() };
        cert.start_with(setup).await;
    }
    br.enrol(&cl).await;
    cl.enrol(&br).await;
    br.linked(&cl).await;
    cl.linked(&br).await;
    (br, cl)
}

fn notices_received(cert: &Cert) -> usize {
    cert.received().iter().filter(|received| received.header.kind.as_str() == "incident").count()
}

fn refusals_received(cert: &Cert) -> usize {
    cert.received().iter().filter(|received| received.header.kind.as_str() == "refusal").count()
}

/// Identity and TLS keys of both ends change at the same time, under traffic both ways.
#[tokio::test(flavor = "multi_thread")]
async fn i5_all_keys_of_both_ends_change_under_traffic_and_nothing_is_lost_or_refused() {
    let (br, cl) = two_with_key_files().await;
    let (br, cl) = (Arc::new(br), Arc::new(cl));
    let (running, sent) = (Arc::new(AtomicBool::new(true)), [Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0))]);
    let mut senders = Vec::new();
    for (number, (from, to)) in [(&br, &cl), (&cl, &br)].into_iter().enumerate() {
        let (from, to, running, sent) =
            (Arc::clone(from), Arc::clone(to), Arc::clone(&running), Arc::clone(&sent[number]));
        senders.push(tokio::spawn(async move {
            let mut pause = tokio::time::interval(Duration::from_millis(2));
            while running.load(Ordering::Relaxed) {
                pause.tick().await;
                let count = sent.fetch_add(1, Ordering::Relaxed);
                // Not FLASH: one has its sender dial at once, whatever became of the link.
                let lane = Lane::ALL[1 + usize::try_from(count % 3).unwrap()];
                from.send(&to, lane, "under way").await;
            }
        }));
    }
    let away = tokio::spawn(longest_away(Arc::clone(&br), Arc::clone(&cl), Arc::clone(&running)));
    let by = || Text::cut("a test");
    let makers = [&br, &cl].map(|cert| Arc::clone(cert.node().key_maker.as_ref().unwrap()));
    let before = [&br, &cl].map(|cert| (cert.node().own.card().key().id(), cert.node().directory.shown()));
    let (one, other) = tokio::join!(makers[0].rotate_identity(by()), makers[1].rotate_identity(by()));
    let keys = [one.unwrap(), other.unwrap()];
    let (one, other) = tokio::join!(makers[0].rotate_tls(by()), makers[1].rotate_tls(by()));
    let certificates = [one.unwrap(), other.unwrap()];
    for (here, there) in [(&br, &cl), (&cl, &br)] {
        eventually("the next key waits", || async { here.peer(there).await.offered.is_some() }).await;
        eventually("the newest card is offered", || async {
            here.peer(there)
                .await
                .offered
                .is_some_and(|offered| offered.card.0.digest() == there.node().own.card().digest())
        })
        .await;
    }
    tokio::join!(br.decide(&cl, Act::AcceptKey), cl.decide(&br, Act::AcceptKey));
    for (number, (here, there)) in [(&br, &cl), (&cl, &br)].into_iter().enumerate() {
        eventually("the next key is in force", || async {
            here.peer(there).await.card.key().id() == keys[1 - number]
                && there.peer(here).await.own_key == keys[1 - number]
        })
        .await;
        eventually("the next certificate is shown", || async {
            here.node().directory.shown().certificate().fingerprint() == certificates[number]
        })
        .await;
        assert_ne!(before[number].0, keys[number]);
        assert_ne!(before[number].1.certificate().fingerprint(), certificates[number]);
    }
    br.linked(&cl).await;
    eventually("traffic goes on with the next keys", || async {
        sent.iter().all(|sent| sent.load(Ordering::Relaxed) >= NOTICES_EACH_WAY)
    })
    .await;
    running.store(false, Ordering::Relaxed);
    for sender in senders {
        sender.await.unwrap();
    }
    let away = away.await.unwrap();
    for (number, (here, there)) in [(&br, &cl), (&cl, &br)].into_iter().enumerate() {
        let expected = usize::try_from(sent[number].load(Ordering::Relaxed)).unwrap();
        eventually("everything arrives", || async { notices_received(there) == expected }).await;
        assert_eq!(refusals_received(here), 0, "something was refused");
    }
    println!("{sent:?} notices each way; the link was away for at most {away:?}");
    assert!(away < LINK_AWAY_MAX, "the link was away for {away:?}");
}

/// The longest time for which either end had no link.
async fn longest_away(br: Arc<Cert>, cl: Arc<Cert>, running: Arc<AtomicBool>) -> Duration {
    let mut look = tokio::time::interval(Duration::from_millis(5));
    let (mut since, mut longest) = (Instant::now(), Duration::ZERO);
    while running.load(Ordering::Relaxed) {
        look.tick().await;
        let up = br.peer(&cl).await.link == LinkStatus::Up && cl.peer(&br).await.link == LinkStatus::Up;
        longest = longest.max(since.elapsed());
        if up {
            since = Instant::now();
        }
    }
    longest
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_a_peer_that_is_revoked_is_cut_at_once_whether_it_sends_or_is_sent_to() {
    for we_send in [false, true] {
        let (br, cl) = aldis_tests::certs::two_certs().await;
        br.linked(&cl).await;
        let (from, to) = if we_send { (&br, &cl) } else { (&cl, &br) };
        for number in 0..50 {
            from.send(to, Lane::Routine, &format!("notice {number}")).await;
        }
        let since = Instant::now();
        br.decide(&cl, Act::Revoke).await;
        eventually("the link is cut", || async { br.peer(&cl).await.link != LinkStatus::Up }).await;
        assert!(since.elapsed() < CUT_WITHIN, "cut only after {:?}", since.elapsed());
        let received = br.received().len();
        let declined = br.try_send(&cl, Lane::Flash, "after").await;
        assert!(declined.is_err(), "a notice for a revoked peer was signed");
        cl.send(&br, Lane::Flash, "after").await;
        eventually("the other end is told", || async { cl.node().notes.of(&br.id).last_error.is_some() }).await;
        assert_eq!(br.received().len(), received, "a revoked peer was heard");
        let position = br.records().iter().rev().find_map(|(record, _)| match record {
            Record::TrustChanged(changed) if changed.act == Act::Revoke => Some(changed.received),
            _ => None,
        });
        let position = position.unwrap()[Lane::Routine.index()];
        assert_eq!(position, received as u64, "what came before is told from what comes after by its place");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_a_peer_that_is_revoked_while_it_is_away_does_not_come_back() {
    let (br, mut cl) = aldis_tests::certs::two_certs().await;
    br.linked(&cl).await;
    cl.stop().await;
    br.send(&cl, Lane::Routine, "waits").await;
    br.decide(&cl, Act::Revoke).await;
    cl.start().await;
    eventually("it is refused", || async { cl.node().notes.of(&br.id).last_error.is_some() }).await;
    let peer = br.peer(&cl).await;
    assert!(peer.link != LinkStatus::Up && peer.lanes[Lane::Routine.index()].receipted == 0);
    // Two persons take it back, and what was queued goes out by itself.
    br.decide(&cl, Act::UndoRevoke).await;
    eventually("what waited arrives", || async { br.peer(&cl).await.lanes[Lane::Routine.index()].receipted == 1 })
        .await;
}

/// A thief with the TLS key of a peer, and a thief with its identity key: either alone gets nothing, before a revocation
/// and after it.
#[tokio::test(flavor = "multi_thread")]
async fn i4_one_stolen_key_alone_opens_nothing() {
    let mut br = Cert::new("cert.br");
    br.start().await;
    let raw = RawPeer::new("cert.cl");
    br.enrol(&raw.cert).await;
    let since = Instant::now();
    let stranger = IdentityKey::from_seed(&[9; 32]);
    let goodbye = raw.hello_changed(&br, &stranger, |_| {}).await.goodbye().await;
    assert_eq!(goodbye.unwrap().code, GoodbyeCode::DOES_NOT_VERIFY, "the TLS key alone");
    let other_tls = Cert::new("cert.xx");
    let refused = tokio::time::timeout(PATIENCE, refused_at_the_door(&other_tls, &br)).await;
    assert!(refused.unwrap(), "the identity key without the TLS key reached a Hello");
    assert!(since.elapsed() < CUT_WITHIN * 2);
    br.decide(&raw.cert, Act::Revoke).await;
    let refused = tokio::time::timeout(PATIENCE, refused_at_the_door(&raw.cert, &br)).await;
    assert!(refused.unwrap(), "a revoked peer reached a Hello");
}

/// The clock comes near the end of the certificates: both ends are warned, the certificates are renewed and taken over by
/// themselves, and messages never cease to flow.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_renewed_in_time_and_both_ends_are_warned() {
    let (br, cl) = two_with_key_files().await;
    let alarms = |cert: &Cert| {
        let node = cert.node().handle.clone();
        async move {
            let view = node.view().await.expect("the node runs");
            view.alarms.iter().map(|alarm| alarm.code.to_string()).collect::<Vec<_>>()
        }
    };
    // Only one end looks ahead at first: the other's clock shows that its peer's certificate runs out.
    let first = br.node().directory.shown().certificate().fingerprint();
    let left_days = br.node().directory.shown().remaining_days(br.clock.system_time());
    cl.clock.shift((left_days - 50) * DAY_MS);
    eventually("cert.cl is warned of its peer's certificate", || async {
        alarms(&cl).await.contains(&"peer-certificate-expires".to_owned())
    })
    .await;
    br.clock.shift((left_days - 50) * DAY_MS);
    eventually("cert.br is warned of its own certificate", || async {
        alarms(&br).await.contains(&"own-certificate-expires".to_owned())
    })
    .await;
    for cert in [&br, &cl] {
        cert.clock.shift((left_days - 20) * DAY_MS);
    }
    for cert in [&br, &cl] {
        eventually("the certificate is renewed and shown", || async {
            cert.node().directory.shown().certificate().fingerprint() != first
                && cert.node().directory.shown().remaining_days(cert.clock.system_time()) > 300
        })
        .await;
        eventually("the warnings are over", || async {
            !alarms(cert).await.iter().any(|code| code.contains("certificate-expires"))
        })
        .await;
    }
    let id = br.send(&cl, Lane::Priority, "still there").await;
    br.delivered(&id, &aldis_core::effect::Delivery::Stored).await;
}

/// A certificate that not every peer has is not shown yet; one more would take the place of the one that is in use.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_certificate_is_made_only_once_the_first_is_shown() {
    let (mut br, cl) = (Cert::new("cert.br"), Cert::new("cert.cl"));
    let setup = br.setup_with_key_files();
    br.start_with(setup).await;
    // A peer that does not run: the new card waits for it.
    br.enrol(&cl).await;
    let maker = Arc::clone(br.node().key_maker.as_ref().unwrap());
    let before = br.node().directory.shown().certificate().fingerprint();
    maker.rotate_tls(Text::cut("a test")).await.unwrap();
    let card = br.node().own.card().digest();
    let again = maker.rotate_tls(Text::cut("a test")).await;
    assert!(matches!(again, Err(RotationError::NotShownYet)), "{again:?}");
    assert_eq!(br.node().directory.shown().certificate().fingerprint(), before);
    assert_eq!(br.node().own.card().digest(), card, "what was refused changed the card");
}

/// One key file more than a node reads would keep it from starting.
#[tokio::test(flavor = "multi_thread")]
async fn i7_no_key_is_made_beside_as_many_files_as_a_node_reads() {
    let mut br = Cert::new("cert.br");
    let setup = br.setup_with_key_files();
    br.start_with(setup).await;
    for number in 1..MAX_KEYS {
        std::fs::write(br.dir().join(format!("identity-{number:08x}.key")), "a key").unwrap();
        std::fs::write(br.dir().join(format!("tls-{number:08x}.crt")), "a certificate").unwrap();
    }
    let files = || std::fs::read_dir(br.dir()).unwrap().count();
    let (before, maker) = (files(), Arc::clone(br.node().key_maker.as_ref().unwrap()));
    let identity = maker.rotate_identity(Text::cut("a test")).await;
    assert!(matches!(identity, Err(RotationError::TooMany { limit: MAX_KEYS, .. })), "{identity:?}");
    let tls = maker.rotate_tls(Text::cut("a test")).await;
    assert!(matches!(tls, Err(RotationError::TooMany { limit: MAX_KEYS, .. })), "{tls:?}");
    assert_eq!(files(), before, "a file was left behind");
}
