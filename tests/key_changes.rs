//! Keys that change, and peers that are cut off, between whole nodes over real TLS while messages flow.

use aldis_core::effect::Delivery;
use aldis_core::limits::Limits;
use aldis_core::record::Record;
use aldis_core::trust::Act;
use aldis_node::clock::Clock;
use aldis_node::event_loop::LinkStatus;
use aldis_node::keys::MAX_KEYS;
use aldis_node::rotation::RotationError;
use aldis_node::tls::Certificate;
use aldis_tests::certs::{Cert, PATIENCE, eventually, submission};
use aldis_tests::raw_peer::{RawPeer, framed, refused_at_the_door};
use aldis_wire::card::VerifiedCard;
use aldis_wire::codec::Text;
use aldis_wire::frame::{Frame, GoodbyeCode};
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

/// Whoever holds the link when its peer is kept out, or its key is given up, goes on sending: nothing more takes a place.
#[tokio::test(flavor = "multi_thread")]
async fn i4_nothing_is_taken_from_a_link_that_was_cut_however_fast_its_peer_sends() {
    for act in [Act::Suspend, Act::Revoke, Act::AcceptKey] {
        let mut br = Cert::new("cert.br");
        br.start().await;
        let mut raw = RawPeer::new("cert.cl");
        br.enrol(&raw.cert).await;
        br.enrol_card(&raw.cert, next_card(&raw, &next_key())).await;
        let mut link = raw.link(&br).await;
        // Within the credit of every lane, so that it is not for want of credit that nothing is taken.
        let notices: Vec<_> =
            (0..2_000).map(|number| raw.notice(&br.id, Lane::ALL[number % 4], "on its way")).collect();
        let sending = async {
            let mut pause = tokio::time::interval(Duration::from_millis(2));
            for notice in notices {
                pause.tick().await;
                if link.try_write(&framed(&Frame::Envelope(notice))).await.is_err() {
                    return Instant::now();
                }
            }
            panic!("{act:?}: everything was sent and the connection stands");
        };
        let cutting = async {
            eventually("something arrives", || async { br.received().len() > 10 }).await;
            br.decide(&raw.cert, act).await;
            Instant::now()
        };
        let (closed, cut) = tokio::join!(sending, cutting);
        assert!(closed.saturating_duration_since(cut) < CUT_WITHIN * 2, "{act:?}: the connection stayed open");
        eventually("the link is over", || async { br.peer(&raw.cert).await.link != LinkStatus::Up }).await;
        nothing_was_heard_after(&br, act);
    }
}

/// A peer that takes nothing off its socket cannot hold its link open: our goodbye need not reach it.
#[tokio::test(flavor = "multi_thread")]
async fn i4_a_peer_that_does_not_read_is_cut_all_the_same() {
    let mut br = Cert::new("cert.br");
    br.start().await;
    let raw = RawPeer::new("cert.cl");
    br.enrol(&raw.cert).await;
    let mut link = raw.link(&br).await;
    link.grant(500).await;
    let long = "x".repeat(30_000);
    // More than the kernels hold for a connection, so that the node's next write waits.
    for _ in 0..150 {
        let json =
            serde_json::json!({ "subject": "x", "class": "malicious-code", "type": "c2-server", "narrative": long });
        let notice = submission(&raw.cert.id, Lane::Routine, "incident", json);
        br.node().handle.submit(notice).await.unwrap();
    }
    br.decide(&raw.cert, Act::Revoke).await;
    let since = Instant::now();
    eventually("the link is over", || async { br.peer(&raw.cert).await.link != LinkStatus::Up }).await;
    assert!(since.elapsed() < CUT_WITHIN * 2, "the link was held open for {:?}", since.elapsed());
}

/// Envelopes, and bytes that would block the lane, right behind a Hello whose link the node then refuses.
#[tokio::test(flavor = "multi_thread")]
async fn i4_what_comes_behind_a_hello_that_is_refused_takes_no_place_and_blocks_no_lane() {
    let mut br = Cert::new("cert.br");
    br.start().await;
    let mut raw = RawPeer::new("cert.cl");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    raw.cert.reached_at(&[listener.local_addr().unwrap()]);
    br.enrol(&raw.cert).await;
    // Of two links that cross, both ends keep the one that the id which sorts first has dialled.
    let _stays = raw.dialled(&listener, &br).await;
    let mut behind: Vec<_> = Lane::ALL.map(|lane| raw.notice(&br.id, lane, "behind the Hello")).into();
    let mut damaged = behind[0].to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    behind.push(damaged.into());
    for _ in 0..20 {
        let goodbye = raw.hello_then(&br, &behind).await;
        assert_eq!(goodbye.unwrap().code, GoodbyeCode::REPLACED);
    }
    assert!(br.received().is_empty(), "a refused link was heard");
    let strikes = br.records().iter().filter(|(record, _)| matches!(record, Record::Strike(_))).count();
    assert_eq!(strikes, 0, "a refused link was heard");
}

/// The peer is suspended while its Hello, with envelopes right behind it, is on its way.
#[tokio::test(flavor = "multi_thread")]
async fn i4_a_peer_that_is_kept_out_while_it_connects_is_not_heard() {
    let mut br = Cert::new("cert.br");
    br.start().await;
    for round in 0..10 {
        let mut raw = RawPeer::new(&format!("cert.x{round}"));
        br.enrol(&raw.cert).await;
        let behind: Vec<_> = (0..100).map(|_| raw.notice(&br.id, Lane::Flash, "behind the Hello")).collect();
        tokio::join!(raw.hello_then(&br, &behind), async {
            // A little later in each round: before the handshake, within it, behind the Hello.
            for _ in 0..round * 8 {
                br.view().await;
            }
            br.decide(&raw.cert, Act::Suspend).await;
        });
        nothing_was_heard_after(&br, Act::Suspend);
    }
}

/// The identity key that a played peer goes over to.
fn next_key() -> IdentityKey {
    IdentityKey::from_seed(&[9; 32])
}

/// The card of a played peer with its next key, as an administrator brings it by hand.
fn next_card(raw: &RawPeer, key: &IdentityKey) -> VerifiedCard {
    let mut card = raw.cert.card.card().clone();
    (card.sequence, card.identity_key) = (card.sequence + 1, *key.public().as_bytes());
    card.sign(key)
}

/// Fails if anything of a peer took a place after the last act about it.
fn nothing_was_heard_after(node: &Cert, act: Act) {
    let records = node.records();
    let decided = |(record, _): &(Record, _)| matches!(record, Record::TrustChanged(changed) if changed.act == act);
    let at = records.iter().rposition(decided).expect("the act is on record");
    let after = records[at..].iter().filter(|(record, _)| matches!(record, Record::Received(_))).count();
    assert_eq!(after, 0, "{act:?}: {after} envelopes were taken from a peer that is not heard any more");
}

/// The clock goes from long before the end of the certificates to past it. They are renewed and taken over by themselves,
/// messages never cease to flow, and whoever connects after the end is judged at that time, with the next certificate.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_renewed_in_time_and_service_goes_on_past_their_end() {
    let (br, cl) = two_with_key_files().await;
    let shown = |cert: &Cert| cert.node().directory.shown().certificate().clone();
    let first = [shown(&br), shown(&cl)];
    // The peer's clock goes ahead, so that each end is warned by its own clock.
    for (days, warned) in [(100, false), (59, true), (46, true)] {
        for (here, there) in [(&cl, &br), (&br, &cl)] {
            be_days_before_the_end(here, &first[0], days);
            eventually(&format!("{days} days before the end"), || async {
                let alarms = alarms(here).await;
                let has = |code: &str| alarms.iter().any(|alarm| alarm == code) == warned;
                has("own-certificate-expires") && has("peer-certificate-expires")
            })
            .await;
            assert!(first.contains(&shown(here)), "renewed {days} days before the end");
            stored_both_ways(here, there).await;
        }
    }
    for days in [44, 29, 6, 0, -1, -30] {
        for cert in [&br, &cl] {
            be_days_before_the_end(cert, &first[0], days);
        }
        for (here, there) in [(&br, &cl), (&cl, &br)] {
            eventually("the next certificate is shown", || async { !first.contains(&shown(here)) }).await;
            eventually("the warnings are over", || async {
                !alarms(here).await.iter().any(|code| code.contains("certificate-expires"))
            })
            .await;
            stored_both_ways(here, there).await;
        }
    }
    assert!(first.iter().all(|certificate| !certificate.is_valid_at(br.clock.system_time())));
    // A handshake at this time: the link before it has ended.
    let before = br.node().notes.of(&cl.id).link_since;
    br.decide(&cl, Act::Suspend).await;
    eventually("the link is over", || async { br.peer(&cl).await.link != LinkStatus::Up }).await;
    br.decide(&cl, Act::Resume).await;
    br.linked(&cl).await;
    cl.linked(&br).await;
    assert!(br.node().notes.of(&cl.id).link_since > before);
    stored_both_ways(&br, &cl).await;
}

/// Where nothing is renewed, people at both ends are told 60, 30, 7 and 1 days ahead, and after the end no link comes up.
#[tokio::test(flavor = "multi_thread")]
async fn both_ends_are_warned_four_times_of_a_certificate_that_nobody_renews() {
    let (mut br, mut cl) = (Cert::new("cert.br"), Cert::new("cert.cl"));
    for cert in [&mut br, &mut cl] {
        let mut setup = cert.setup();
        setup.times.expiry_look = Duration::from_millis(100);
        cert.start_with(setup).await;
    }
    br.enrol(&cl).await;
    cl.enrol(&br).await;
    br.linked(&cl).await;
    let certificate = br.node().directory.shown().certificate().clone();
    for (days, said) in
        [(59, "in 59 days"), (29, "in 29 days"), (6, "in 6 days"), (0, "within a day"), (-1, "has run out")]
    {
        for cert in [&br, &cl] {
            be_days_before_the_end(cert, &certificate, days);
        }
        for (cert, code) in [(&br, "own-certificate-expires"), (&cl, "peer-certificate-expires")] {
            let told = || async {
                cert.view().await.alarms.iter().any(|alarm| alarm.code.as_str() == code && alarm.text.contains(said))
            };
            eventually(&format!("{} is told {said}", cert.id), told).await;
        }
    }
    br.decide(&cl, Act::Suspend).await;
    eventually("the link is over", || async { br.peer(&cl).await.link != LinkStatus::Up }).await;
    br.decide(&cl, Act::Resume).await;
    let refused = || async {
        let error = br.node().notes.of(&cl.id).last_error;
        error.is_some_and(|(code, ..)| code.contains("expired"))
    };
    eventually("the handshake is refused", refused).await;
}

/// Sets a node's clock so that a certificate is good for so many whole days and half a day more.
fn be_days_before_the_end(cert: &Cert, certificate: &Certificate, days: i64) {
    let left = certificate.not_after().duration_since(Clock::system().system_time()).expect("it is good in fact");
    let left_ms = i64::try_from(left.as_millis()).expect("some years");
    cert.clock.shift(left_ms - days * DAY_MS - DAY_MS / 2);
}

/// The codes of a node's alarms.
async fn alarms(cert: &Cert) -> Vec<String> {
    cert.view().await.alarms.iter().map(|alarm| alarm.code.to_string()).collect()
}

async fn stored_both_ways(here: &Cert, there: &Cert) {
    for (from, to) in [(here, there), (there, here)] {
        let id = from.send(to, Lane::Priority, "still there").await;
        from.delivered(&id, &Delivery::Stored).await;
    }
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
    // The node writes its card there too, a moment after it has started.
    let is_key = |name: &str| name.starts_with("identity") || name.starts_with("tls");
    let names = || std::fs::read_dir(br.dir()).unwrap().map(|entry| entry.unwrap().file_name());
    let files = || names().filter(|name| is_key(&name.to_string_lossy())).count();
    let (before, maker) = (files(), Arc::clone(br.node().key_maker.as_ref().unwrap()));
    let identity = maker.rotate_identity(Text::cut("a test")).await;
    assert!(matches!(identity, Err(RotationError::TooMany { limit: MAX_KEYS, .. })), "{identity:?}");
    let tls = maker.rotate_tls(Text::cut("a test")).await;
    assert!(matches!(tls, Err(RotationError::TooMany { limit: MAX_KEYS, .. })), "{tls:?}");
    assert_eq!(files(), before, "a file was left behind");
}
