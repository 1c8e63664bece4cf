//! Who is refused, with whose blame, and that the listener serves on.

use rustls::{NamedGroup, client::ResolvesClientCert, crypto::CryptoProvider};
use tokio::task::JoinSet;

use super::{forged::*, *};
use crate::admission::{Admission, Limits, TimedOut};

/// Two nodes that hold each other's pins.
pub(super) struct Pair {
    brazil: Node,
    pub(super) server: Arc<ServerConfig>,
    pub(super) client: Arc<ClientConfig>,
}

impl Pair {
    pub(super) fn new() -> Self {
        let (brazil, chile) = (Node::new("cert.br"), Node::new("cert.cl"));
        let server = server_config(&brazil.own, &pins(&[("cert.cl", &chile)])).unwrap();
        let client = client_config(&chile.own, &pins(&[("cert.br", &brazil)]), "cert.br").unwrap();
        Self { brazil, server, client }
    }

    async fn still_works_at(&self, listener: &TcpListener) {
        let outcome = handshake_at(listener, &self.server, &self.client).await;
        assert_eq!(outcome.server.unwrap().peer, "cert.cl");
        outcome.client.unwrap();
    }
}

/// Our provider, with other key exchange groups.
pub(super) fn groups(of: &[NamedGroup]) -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = aws_lc_rs::ALL_KX_GROUPS.iter().copied().filter(|group| of.contains(&group.name())).collect();
    assert_eq!(provider.kx_groups.len(), of.len());
    Arc::new(provider)
}

pub(super) fn client_with(pair: &Pair, provider: Arc<CryptoProvider>) -> Arc<ClientConfig> {
    let roots = pins::roots(std::iter::once(pair.brazil.own.certificate())).unwrap();
    let mut rustls = RustlsClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::clone(&pair.client.rustls.client_auth_cert_resolver));
    rustls.alpn_protocols = vec![ALPN.to_vec()];
    let (peer, name, pins) = (pair.client.peer.clone(), pair.client.name.clone(), pair.client.pins.clone());
    let issued = Arc::clone(&pair.client.issued);
    Arc::new(ClientConfig { rustls: Arc::new(rustls), peer, name, pins, issued })
}

pub(super) fn presenting(pair: &Pair, resolver: Arc<dyn ResolvesClientCert>) -> Arc<ClientConfig> {
    altered_client(&pair.client, |client| {
        client.client_auth_cert_resolver = resolver;
    })
}

#[tokio::test]
async fn i4_a_client_with_a_certificate_that_is_not_pinned_is_refused() {
    let pair = Pair::new();
    let stranger = Node::new("cert.cl");
    let client = presenting(&pair, resolver(stranger.own.pair()));
    let outcome = handshake(&pair.server, &client).await;
    let error = outcome.server.unwrap_err();
    assert_eq!((error.code(), error.blame()), ("tls-bad-certificate", Blame::Operator));
    let told = outcome.client.unwrap_err();
    assert_eq!((told.code(), told.blame()), ("tls-refused-by-peer", Blame::Operator), "{told:?}");
}

#[tokio::test]
async fn i4_a_server_with_another_certificate_than_the_pin_is_refused() {
    let pair = Pair::new();
    let impostor = Node::new("cert.br");
    let server = altered_server(&pair.server, |server| {
        server.cert_resolver = resolver(impostor.own.pair());
    });
    let outcome = handshake(&server, &pair.client).await;
    let error = outcome.client.unwrap_err();
    assert_eq!((error.code(), error.blame()), ("tls-bad-certificate", Blame::Operator));
    assert_eq!(outcome.server.unwrap_err().code(), "tls-refused-by-peer");
}

#[tokio::test]
async fn i4_an_enrolled_peer_cannot_stand_in_for_the_one_that_was_dialled() {
    let (brazil, chile, peru) = (Node::new("cert.br"), Node::new("cert.cl"), Node::new("cert.pe"));
    let server = server_config(&peru.own, &pins(&[("cert.br", &brazil)])).unwrap();
    let both = pins(&[("cert.cl", &chile), ("cert.pe", &peru)]);
    let client = client_config(&brazil.own, &both, "cert.cl").unwrap();
    assert_eq!(handshake(&server, &client).await.client.unwrap_err().code(), "tls-bad-certificate");
}

/// Each side judges the other's certificate by its own node's clock, at the handshake and not when it was set up.
#[tokio::test]
async fn i4_the_nodes_clock_says_what_has_expired() {
    let (brazil, chile) = (Node::new("cert.br"), Node::new("cert.cl"));
    let (listening, dialling) = (Clock::system(), Clock::system());
    let server = super::super::server_config(&brazil.own, &pins(&[("cert.cl", &chile)]), &listening).unwrap();
    let known = pins(&[("cert.br", &brazil)]);
    let client = client_configs(&chile.own, &known, "cert.br", &dialling).swap_remove(0).unwrap();
    assert!(handshake(&server, &client).await.client.is_ok());
    let day_ms = 86_400_000;
    listening.shift(31 * day_ms);
    assert_eq!(handshake(&server, &client).await.server.unwrap_err().code(), "tls-peer-expired");
    listening.shift(0);
    dialling.shift(31 * day_ms);
    assert_eq!(handshake(&server, &client).await.client.unwrap_err().code(), "tls-peer-expired");
    dialling.shift(29 * day_ms);
    assert!(handshake(&server, &client).await.client.is_ok());
}

#[tokio::test]
async fn i4_a_pinned_key_cannot_issue_certificates() {
    let (brazil, chile) = (Node::new("cert.br"), Node::new("cert.cl"));
    let server = server_config(&brazil.own, &pins(&[("cert.cl", &chile)])).unwrap();
    let client = client_config(&chile.own, &pins(&[("cert.br", &brazil)]), "cert.br").unwrap();

    let (certificate, pair) = issued_by(&chile, "cert.cl");
    let forging = altered_client(&client, |client| {
        client.client_auth_cert_resolver = resolver(pair);
    });
    let error = handshake(&server, &forging).await.server.unwrap_err();
    assert!(matches!(error, TlsError::NotPinned { fingerprint } if fingerprint == certificate.fingerprint()));
    assert_eq!((error.code(), error.blame()), ("tls-not-pinned", Blame::Operator));

    let (certificate, pair) = issued_by(&brazil, "cert.br");
    let forging = altered_server(&server, |server| server.cert_resolver = resolver(pair));
    let error = handshake(&forging, &client).await.client.unwrap_err();
    assert!(matches!(error, TlsError::NotPinned { fingerprint } if fingerprint == certificate.fingerprint()));
}

#[tokio::test]
async fn i4_the_own_certificate_opens_nothing_while_no_peer_is_enrolled() {
    let pair = Pair::new();
    let server = server_config(&pair.brazil.own, &Pins::new()).unwrap();
    let client = presenting(&pair, resolver(pair.brazil.own.pair()));
    assert_eq!(handshake(&server, &client).await.server.unwrap_err().code(), "tls-not-pinned");
}

#[tokio::test]
async fn i4_a_client_without_a_certificate_is_refused_and_learns_nothing_about_our_peers() {
    let pair = Pair::new();
    let silent = Arc::new(Silent::default());
    let client = presenting(&pair, Arc::clone(&silent) as Arc<dyn ResolvesClientCert>);
    let outcome = handshake(&pair.server, &client).await;
    let error = outcome.server.unwrap_err();
    assert_eq!((error.code(), error.blame()), ("tls-no-certificate", Blame::Operator));
    assert_eq!(outcome.client.unwrap_err().code(), "tls-refused-by-peer");
    let hints = silent.hints.lock().unwrap().take().expect("the server asked for a certificate");
    assert!(hints.is_empty(), "the names of {} peers were told to a stranger", hints.len());
}

#[tokio::test]
async fn a_client_that_offers_only_x25519_is_refused() {
    let pair = Pair::new();
    let client = client_with(&pair, groups(&[NamedGroup::X25519]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let outcome = handshake_at(&listener, &pair.server, &client).await;
    assert_eq!(outcome.server.unwrap_err().blame(), Blame::Incompatible);
    assert_eq!(outcome.client.unwrap_err().blame(), Blame::Incompatible);
    pair.still_works_at(&listener).await;
}

#[tokio::test]
async fn a_client_that_prefers_x25519_is_brought_to_the_hybrid() {
    let pair = Pair::new();
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::X25519MLKEM768];
    let client = client_with(&pair, Arc::new(provider));
    let secured = handshake(&pair.server, &client).await.client.unwrap();
    let group = secured.stream.get_ref().1.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
}

#[tokio::test]
async fn a_handshake_that_ends_without_the_hybrid_is_refused_by_both_ends() {
    let pair = Pair::new();
    let client = client_with(&pair, groups(&[NamedGroup::X25519]));
    let mut rustls = RustlsServerConfig::builder_with_provider(groups(&[NamedGroup::X25519]))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&pair.server.rustls.cert_resolver));
    rustls.alpn_protocols = vec![ALPN.to_vec()];
    let issued = Arc::clone(&pair.server.issued);
    let (peers, clock) = (pair.server.peers.clone(), pair.server.clock.clone());
    let server = ServerConfig { rustls: Arc::new(rustls), peers, issued, clock };
    let outcome = handshake(&server, &client).await;
    for error in [outcome.server.unwrap_err(), outcome.client.unwrap_err()] {
        assert!(matches!(error, TlsError::Missing("the X25519MLKEM768 key exchange")), "{error:?}");
    }
}

#[tokio::test]
async fn a_tls_1_2_hello_is_answered_with_an_alert_and_the_listener_serves_on() {
    const ALERT: u8 = 21;
    const FATAL: u8 = 2;
    const PROTOCOL_VERSION: u8 = 70;
    let pair = Pair::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let old_client = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&tls_1_2_hello()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    };
    let (served, answer) =
        timeout(BOUND, async { tokio::join!(serve(&listener, &pair.server), old_client) }).await.unwrap();
    assert_eq!(served.unwrap_err().blame(), Blame::Incompatible);
    assert_eq!(answer.len(), 7, "one alert and nothing else: {answer:?}");
    assert_eq!((answer[0], &answer[5..]), (ALERT, [FATAL, PROTOCOL_VERSION].as_slice()));
    pair.still_works_at(&listener).await;
}

/// What a client of 2015 sends: TLS 1.2 at most, ECDHE suites, P-256 and X25519, our own ALPN.
fn tls_1_2_hello() -> Vec<u8> {
    let with_length_u16 = |bytes: &[u8]| {
        let mut out = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
        out.extend_from_slice(bytes);
        out
    };
    let extension = |kind: u16, data: &[u8]| [&kind.to_be_bytes(), with_length_u16(data).as_slice()].concat();
    let extensions = [
        extension(10, &with_length_u16(&[0x00, 0x17, 0x00, 0x1d])),
        extension(11, &[1, 0]),
        extension(13, &with_length_u16(&[0x04, 0x03, 0x08, 0x04, 0x04, 0x01])),
        extension(16, &with_length_u16(&[&[7], ALPN].concat())),
        extension(23, &[]),
    ]
    .concat();
    let mut body = vec![0x03, 0x03];
    body.extend_from_slice(&[0x5a; 32]);
    body.push(0);
    body.extend_from_slice(&with_length_u16(&[0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x30]));
    body.extend_from_slice(&[1, 0]);
    body.extend_from_slice(&with_length_u16(&extensions));
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let message = [&[1], &length[1..], body.as_slice()].concat();
    [&[22, 0x03, 0x01], with_length_u16(&message).as_slice()].concat()
}

#[tokio::test]
async fn bytes_that_are_not_tls_are_the_other_sides_fault_and_the_listener_serves_on() {
    let pair = Pair::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let scanner = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: aldis\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let _reset_or_end = stream.read_to_end(&mut answer).await;
    };
    let (served, ()) = timeout(BOUND, async { tokio::join!(serve(&listener, &pair.server), scanner) }).await.unwrap();
    let error = served.unwrap_err();
    assert_eq!((error.code(), error.blame()), ("tls-misbehaved", Blame::Peer));
    pair.still_works_at(&listener).await;
}

#[tokio::test]
async fn another_application_protocol_is_refused() {
    let pair = Pair::new();
    let client = altered_client(&pair.client, |client| {
        client.alpn_protocols = vec![b"h2".to_vec()];
    });
    let outcome = handshake(&pair.server, &client).await;
    assert_eq!(outcome.server.unwrap_err().blame(), Blame::Incompatible);
    assert_eq!(outcome.client.unwrap_err().blame(), Blame::Incompatible);
}

#[tokio::test]
async fn a_side_that_names_no_application_protocol_is_refused() {
    let pair = Pair::new();
    let client = altered_client(&pair.client, |client| client.alpn_protocols.clear());
    let error = handshake(&pair.server, &client).await.server.unwrap_err();
    assert!(matches!(error, TlsError::Missing("the application protocol aldis/1")), "{error:?}");
    let server = altered_server(&pair.server, |server| server.alpn_protocols.clear());
    let error = handshake(&server, &pair.client).await.client.unwrap_err();
    assert!(matches!(error, TlsError::Missing("the application protocol aldis/1")), "{error:?}");
}

#[tokio::test]
async fn an_expired_or_future_certificate_is_refused_by_either_side_with_its_own_code() {
    let brazil = Node::new("cert.br");
    let expired = Node::made_at("cert.cl", now() - days(31));
    let future = Node::made_at("cert.cl", now() + days(500));
    for chile in [expired, future] {
        let server = server_config(&brazil.own, &pins(&[("cert.cl", &chile)])).unwrap();
        let client = client_config(&chile.own, &pins(&[("cert.br", &brazil)]), "cert.br").unwrap();
        let error = handshake(&server, &client).await.server.unwrap_err();
        assert_eq!((error.code(), error.blame()), ("tls-peer-expired", Blame::Operator), "{error:?}");
        assert!(error.advice().contains("clocks"), "{}", error.advice());

        let server = server_config(&chile.own, &pins(&[("cert.br", &brazil)])).unwrap();
        let client = client_config(&brazil.own, &pins(&[("cert.cl", &chile)]), "cert.cl").unwrap();
        let error = handshake(&server, &client).await.client.unwrap_err();
        assert_eq!(error.code(), "tls-peer-expired", "{error:?}");
    }
}

#[tokio::test]
async fn i7_half_open_connections_run_out_of_time_and_a_peer_still_gets_in() {
    const HALF_OPEN: u64 = 32;
    const HANDSHAKE_LIMIT: Duration = Duration::from_millis(250);
    let pair = Pair::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let admission =
        Admission::new(Limits { connections: 8, connections_per_address: 8, handshake_limit: HANDSHAKE_LIMIT });
    let mut half_open = Vec::new();
    for _ in 0..HALF_OPEN {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&tls_1_2_hello()[..20]).await.unwrap();
        half_open.push(stream);
    }
    // Like a node, the peer dials again if this machine was too busy for one handshake in its time.
    let peer = async {
        while let Err(error) = dial(address, &pair.client).await {
            assert_eq!(error.blame(), Blame::Environment, "{error:?}");
        }
    };
    let serving = async {
        let mut handshakes = JoinSet::new();
        let mut met = None;
        while met.is_none() || admission.counts().timed_out < HALF_OPEN {
            tokio::select! {
                (stream, _, permit) = admission.admit(&listener) => {
                    assert!(admission.counts().unauthenticated <= 8);
                    let server = Arc::clone(&pair.server);
                    handshakes.spawn(async move {
                        let secured = permit.within(accept(stream, &server)).await?;
                        permit.authenticated();
                        Ok::<_, TimedOut>(secured)
                    });
                }
                Some(finished) = handshakes.join_next() => match finished.unwrap() {
                    Err(timed_out) => assert_eq!(timed_out.limit, HANDSHAKE_LIMIT),
                    Ok(secured) => {
                        let mut secured = secured.unwrap();
                        secured.stream.write_all(b"!").await.unwrap();
                        secured.stream.flush().await.unwrap();
                        met = Some(secured.peer);
                    }
                },
            }
        }
        met
    };
    let (met, ()) = timeout(BOUND, async { tokio::join!(serving, peer) })
        .await
        .expect("every half-open connection ends and the peer is served");
    assert_eq!(met.as_deref(), Some("cert.cl"));
}
