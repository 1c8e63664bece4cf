use std::net::{Ipv4Addr, SocketAddrV4};

use tokio::{io::AsyncReadExt, net::TcpSocket, time::timeout};

use super::*;

/// Far longer than anything here takes; reaching it is a failure, never a pause.
const BOUND: Duration = Duration::from_secs(20);

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn gate(connections: usize, connections_per_address: usize) -> Admission {
    Admission::new(Limits { connections, connections_per_address, handshake_limit: BOUND })
}

/// A connection from another address of this machine.
async fn dial_from(last_octet: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last_octet), 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

async fn bounded<F: Future>(step: F) -> F::Output {
    timeout(BOUND, step).await.expect("it comes to an end")
}

#[tokio::test]
async fn i7_no_connection_is_accepted_without_a_permit() {
    let (listener, address) = listen().await;
    let admission = gate(1, 16);
    let _first = TcpStream::connect(address).await.unwrap();
    let (_stream, _, permit) = bounded(admission.admit(&listener)).await;

    // The second waits in the kernel's queue: the gate is asked first and must leave it there.
    let _second = TcpStream::connect(address).await.unwrap();
    bounded(async {
        tokio::select! {
            biased;
            _ = admission.admit(&listener) => panic!("two connections with room for one"),
            left_alone = listener.accept() => drop(left_alone.unwrap()),
        }
    })
    .await;
    assert_eq!(admission.counts().unauthenticated, 1);

    drop(permit);
    let _third = TcpStream::connect(address).await.unwrap();
    bounded(admission.admit(&listener)).await;
}

#[tokio::test]
async fn i7_one_address_cannot_take_every_place() {
    let (listener, address) = listen().await;
    let admission = gate(8, 2);
    let mut greedy = Vec::new();
    for _ in 0..5 {
        greedy.push(dial_from(1, address).await);
    }
    let _other = dial_from(2, address).await;

    let (_one, _, first) = bounded(admission.admit(&listener)).await;
    let (_two, _, second) = bounded(admission.admit(&listener)).await;
    let (_three, from, _third) = bounded(admission.admit(&listener)).await;
    assert_eq!(from.ip(), IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), "three of the first address were passed over");
    assert_eq!(
        admission.counts(),
        Counts { unauthenticated: 3, admitted: 3, refused_per_address: 3, ..Counts::default() }
    );

    // Those turned away see it at once.
    for stream in &mut greedy[2..] {
        let ended = bounded(stream.read(&mut [0])).await;
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    }

    drop(first);
    second.authenticated();
    let _again = dial_from(1, address).await;
    let (_four, from, _permit) = bounded(admission.admit(&listener)).await;
    assert_eq!(from.ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
}

#[tokio::test]
async fn i7_places_turned_away_are_not_lost_and_the_table_empties() {
    let (listener, address) = listen().await;
    let admission = gate(3, 1);
    for _ in 0..20 {
        let _turned_away = [dial_from(1, address).await, dial_from(1, address).await];
        let _elsewhere = dial_from(2, address).await;
        let (_stream, _, permit) = bounded(admission.admit(&listener)).await;
        let (_stream, _, other) = bounded(admission.admit(&listener)).await;
        drop((permit, other));
    }
    assert_eq!(admission.counts().unauthenticated, 0);
    assert!(admission.gate.held().is_empty());
    assert_eq!(admission.gate.free.available_permits(), 3);
}

#[tokio::test]
async fn giving_up_while_waiting_gives_everything_back() {
    let (listener, address) = listen().await;
    let admission = gate(1, 1);
    for _ in 0..3 {
        tokio::select! {
            biased;
            _ = admission.admit(&listener) => panic!("nobody has connected"),
            () = std::future::ready(()) => {}
        }
    }
    let _stream = TcpStream::connect(address).await.unwrap();
    bounded(admission.admit(&listener)).await;
}

#[tokio::test]
async fn all_steps_share_one_time_limit() {
    let (listener, address) = listen().await;
    let limit = Duration::from_millis(20);
    let admission = Admission::new(Limits { handshake_limit: limit, ..Limits::default() });
    let _stream = TcpStream::connect(address).await.unwrap();
    let (_stream, _, permit) = bounded(admission.admit(&listener)).await;
    assert_eq!(bounded(permit.within(std::future::pending::<()>())).await, Err(TimedOut { limit }));
    // No second helping: what is not ready at once is too late.
    let second = futures_util::FutureExt::now_or_never(permit.within(std::future::pending::<()>()));
    assert_eq!(second, Some(Err(TimedOut { limit })));
    assert_eq!(admission.counts().timed_out, 2);
}

#[test]
fn a_limit_of_nothing_admits_one() {
    let admission = gate(0, 0);
    assert_eq!(admission.gate.limits.connections, 1);
    assert_eq!(admission.gate.limits.connections_per_address, 1);
}

#[test]
fn mapped_ipv4_counts_as_ipv4_and_ipv6_by_its_64() {
    let origin_of = |text: &str| origin(text.parse().unwrap());
    assert_eq!(origin_of("::ffff:192.0.2.1"), origin_of("192.0.2.1"));
    assert_ne!(origin_of("::ffff:192.0.2.1"), origin_of("::ffff:192.0.2.2"));
    assert_eq!(origin_of("2001:db8:0:1::1"), origin_of("2001:db8:0:1:ffff:ffff:ffff:ffff"));
    assert_ne!(origin_of("2001:db8:0:1::1"), origin_of("2001:db8:0:2::1"));
}

#[test]
fn i7_a_flood_writes_few_log_lines() {
    let pace = LogPace::default();
    assert_eq!(pace.due(), Some(0));
    for _ in 0..1000 {
        assert_eq!(pace.due(), None);
    }
    let past = Instant::now().checked_sub(LOG_INTERVAL).expect("this machine has run for ten seconds");
    pace.state.lock().unwrap().0 = Some(past);
    assert_eq!(pace.due(), Some(1000));
}
