//! Connections that are no good: strangers, old TLS, floods of half-open ones, peers that do not read, clocks that are
//! off, a network that changes bytes. The node stays within its bounds and keeps serving everybody else.

use aldis_core::effect::Delivery;
use aldis_node::admission;
use aldis_node::link::LinkTimes;
use aldis_tests::byte_flipper::ByteFlipper;
use aldis_tests::certs::{Cert, PATIENCE, Scene, eventually, told};
use aldis_tests::panics;
use aldis_tests::raw_peer::{RawPeer, secured_to};
use aldis_wire::frame::GoodbyeCode;
use aldis_wire::lane::Lane;
use futures_util::future::join_all;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// How many connections a flood opens, and how many at a time.
const FLOOD: usize = 10_000;
const FLOOD_WAVE: usize = 500;
/// How many bits the network flips.
const FLIPS: u64 = 200;

/// Reads to the end; the bytes that came, or none if the connection was reset.
async fn rest(stream: &mut (impl AsyncReadExt + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    let _reset = read.expect("the node closes");
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_a_certificate_nobody_enrolled_gets_no_link() {
    let scene = Scene::new().await;
    // Of a stranger; and of an impostor with the name of a peer and a certificate of its own.
    for stranger in [Cert::new("cert.uy"), Cert::new("cert.cl")] {
        let mut secured = secured_to(&stranger, &scene.node, scene.node.node().listening[0]).await;
        assert!(rest(&mut secured.stream).await.is_empty(), "a stranger hears nothing, not even a Hello");
    }
    let (kept, _) = scene.node.node().events.listen(Some(0));
    assert!(!kept.iter().any(|told| told::is_link_up(told, &scene.raw.cert.id)));
    scene.unharmed("strangers").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_1_2_and_noise_are_refused() {
    let scene = Scene::new().await;
    let hellos: [&[u8]; 4] = [&tls_1_2_hello(), b"GET / HTTP/1.1\r\n\r\n", &[0; 600], b"\x16\x03\x01\xff\xff"];
    for (number, hello) in hellos.into_iter().enumerate() {
        let mut stream = TcpStream::connect(scene.node.node().listening[0]).await.expect("it listens");
        stream.write_all(hello).await.expect("writes");
        stream.shutdown().await.expect("closes its half");
        let answer = rest(&mut stream).await;
        assert!(answer.is_empty() || answer[0] == 21, "hello {number}: an alert or nothing, never a handshake");
    }
    scene.unharmed("old TLS").await;
}

/// A client that speaks TLS 1.2 and nothing newer.
fn tls_1_2_hello() -> Vec<u8> {
    let groups = [0, 10, 0, 4, 0, 2, 0, 29];
    let algorithms = [0, 13, 0, 4, 0, 2, 4, 3];
    let extensions = [&groups[..], &algorithms[..]].concat();
    let suites = [0, 4, 0xc0, 0x2b, 0xc0, 0x2f];
    let length = u8::try_from(extensions.len()).expect("short");
    let body = [&[3, 3][..], &[7; 32], &[0], &suites, &[1, 0], &[0, length], &extensions].concat();
    let length = u8::try_from(body.len()).expect("short");
    let handshake = [&[1, 0, 0, length][..], &body].concat();
    [&[22, 3, 1, 0, u8::try_from(handshake.len()).expect("short")][..], &handshake].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_ten_thousand_half_open_connections_harm_no_peer() {
    let handshake_limit = Duration::from_secs(1);
    let scene =
        Scene::with(|setup| setup.admission = admission::Limits { handshake_limit, ..admission::Limits::default() })
            .await;
    let to = scene.node.node().listening[0];
    for wave in 0..FLOOD / FLOOD_WAVE {
        let numbers = wave * FLOOD_WAVE..(wave + 1) * FLOOD_WAVE;
        let _silent = join_all(numbers.map(|number| half_open(number, to))).await;
        scene.unharmed("a wave of half-open connections").await;
    }
    // A peer without a link gets in too, from an address of its own, while the last of the flood still lingers.
    let _link = scene.raw.link(&scene.node).await;
    scene.unharmed("the flood").await;
}

/// Opens a connection from one of 200 loopback addresses and says nothing. `None` if the system had no room for it.
async fn half_open(number: usize, to: SocketAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    let from = [127, 0, 0, u8::try_from(2 + number % 200).expect("below 202")];
    socket.bind(SocketAddr::from((from, 0))).ok()?;
    // Where the node's queue is full the system waits; the attacker does not.
    tokio::time::timeout(Duration::from_millis(50), socket.connect(to)).await.ok()?.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_a_peer_that_never_reads_is_cut_off_and_gets_everything_later() {
    let times = LinkTimes { write: Duration::from_secs(1), ..LinkTimes::default() };
    let scene = Scene::with(|setup| setup.times = times).await;
    let mut link = scene.raw.link(&scene.node).await;
    link.grant(u64::MAX).await;
    let narrative = "x".repeat(190);
    let total = 3_000;
    for number in 0..total {
        scene.node.send(&scene.raw.cert, Lane::Routine, &narrative).await;
        if number % 500 == 0 {
            scene.unharmed("a peer that does not read").await;
        }
    }
    eventually("the link is cut", || async {
        scene.node.peer(&scene.raw.cert).await.link != aldis_node::event_loop::LinkStatus::Up
    })
    .await;
    scene.unharmed("a peer that did not read").await;
    drop(link);
    let mut link = scene.raw.link(&scene.node).await;
    link.grant(u64::MAX).await;
    for _ in 0..100 {
        link.next_envelope().await;
    }
}

/// Of 200 seeds of the hostile network 22 met this by chance; here it is made.
#[tokio::test(flavor = "multi_thread")]
async fn i7_bytes_that_do_not_decrypt_after_the_close_panic_nobody() {
    let (panics, scene) = (panics::counted(), Scene::new().await);
    let mut link = scene.raw.link(&scene.node).await;
    link.write(&u32::MAX.to_be_bytes()).await;
    let (code, closed) = link.parted().await;
    assert!(
        code == GoodbyeCode::PROTOCOL_ERROR && closed,
        "{code:?}: it says why and closes, and reads what still comes"
    );
    let mut stream = link.into_stream();
    let (socket, _session) = stream.get_mut();
    // A record of TLS 1.3 with 32 bytes that nobody encrypted, again and again until the node is done with the connection.
    let record = [&[23, 3, 3, 0, 32][..], &[7; 32]].concat();
    let until_it_ends = async { while socket.write_all(&record).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, until_it_ends).await.expect("the node lets go of the connection");
    assert_eq!(panics.load(Ordering::Relaxed), 0, "the link's task panicked");
    scene.unharmed("bytes that do not decrypt").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_an_hour_off_is_an_alarm_at_both_ends_until_it_is_mended() {
    let (br, cl) = aldis_tests::certs::two_certs().await;
    cl.clock.shift(3_600_000);
    for (cert, word) in [(&br, "ahead"), (&cl, "behind")] {
        eventually("the alarm", || async {
            let alarms = cert.view().await.alarms;
            alarms.iter().any(|alarm| alarm.code.as_str() == "clock-difference" && alarm.text.as_str().contains(word))
        })
        .await;
    }
    let id = br.send(&cl, Lane::Flash, "what time is it?").await;
    br.delivered(&id, &Delivery::Stored).await;
    cl.clock.shift(0);
    for cert in [&br, &cl] {
        eventually("the alarm ends", || async { cert.view().await.alarms.is_empty() }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_a_network_that_flips_bits_changes_nothing_and_loses_nothing() {
    let (mut br, mut cl) = (Cert::new("cert.br"), Cert::new("cert.cl"));
    let (real, way_back) = (cl.setup().listen[0], aldis_tests::certs::held_port());
    let mut proxy = ByteFlipper::start(real, FLIPS).await;
    cl.reached_at(&[proxy.address()]);
    // Nobody listens there: only the way through the proxy leads to a link.
    br.reached_at(&[way_back.address()]);
    for cert in [&mut br, &mut cl] {
        let mut setup = cert.setup();
        (setup.limits.retry_initial_ms, setup.limits.retry_max_ms) = (4, 16);
        cert.start_with(setup).await;
    }
    br.enrol(&cl).await;
    cl.enrol(&br).await;
    let mut subjects = Vec::new();
    while proxy.flips() < FLIPS {
        let subject = format!("notice {}", subjects.len());
        br.send(&cl, Lane::Priority, &subject).await;
        subjects.push(subject);
        proxy.moved().await;
    }
    eventually(&format!("everything arrives (seed {})", proxy.seed()), || async {
        br.peer(&cl).await.lanes[Lane::Priority.index()].receipted == subjects.len() as u64
    })
    .await;
    let arrived: Vec<_> = cl.received().iter().map(|found| found.header.digest()).collect();
    let sent: Vec<_> = br.sent_digests();
    assert_eq!(arrived, sent, "seed {}", proxy.seed());
    for cert in [&br, &cl] {
        let alarms = cert.view().await.alarms;
        assert!(alarms.is_empty(), "seed {}: {alarms:?}", proxy.seed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_comes_and_goes_all_the_time_harms_nobody() {
    let scene = Scene::new().await;
    for _ in 0..50 {
        let _gone_at_once = scene.raw.link(&scene.node).await;
    }
    scene.unharmed("many short links").await;
    let other = RawPeer::new("cert.uy");
    scene.node.enrol(&other.cert).await;
    let _link = other.link(&scene.node).await;
}
