//! No session is ever resumed and nothing is accepted early: a resumed session would skip the pins.

use rustls::{HandshakeKind, server::ServerSessionMemoryCache};
use tokio_rustls::TlsConnector;

use super::*;

fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let (brazil, chile) = (Node::new("cert.br"), Node::new("cert.cl"));
    let server = server_config(&brazil.own, &pins(&[("cert.cl", &chile)])).unwrap();
    let client = client_config(&chile.own, &pins(&[("cert.br", &brazil)]), "cert.br").unwrap();
    (server, client)
}

/// A client that keeps every ticket it gets and would use it, also for early data.
fn eager(client: &ClientConfig) -> Arc<ClientConfig> {
    altered_client(client, |client| {
        client.resumption = Resumption::in_memory_sessions(8);
        client.enable_early_data = true;
    })
}

/// A server that hands out tickets and takes early data: what ours would be without its guards.
fn lax(server: &ServerConfig) -> Arc<ServerConfig> {
    altered_server(server, |server| {
        server.session_storage = ServerSessionMemoryCache::new(8);
        server.send_tls13_tickets = 2;
        server.max_early_data_size = 1024;
    })
}

/// Connects without the checks of [`connect`] and reads one byte, behind which any ticket would have come.
async fn unchecked(server: &ServerConfig, client: &ClientConfig) -> (Option<HandshakeKind>, Result<String, TlsError>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let dialling = async {
        let connector = TlsConnector::from(Arc::clone(&client.rustls));
        let stream = TcpStream::connect(address).await.unwrap();
        let mut stream = connector.connect(ServerName::try_from(SERVER_NAME).unwrap(), stream).await.unwrap();
        let _one_byte_or_refused = stream.read(&mut [0]).await;
        stream.get_ref().1.handshake_kind()
    };
    let (outcome, kind) = timeout(BOUND, async { tokio::join!(serve(&listener, server), dialling) }).await.unwrap();
    (kind, outcome.map(|secured| secured.peer))
}

#[tokio::test]
async fn i4_a_client_that_would_resume_gets_a_full_handshake_each_time() {
    let (server, client) = configs();
    let client = eager(&client);
    for _ in 0..3 {
        let (kind, outcome) = unchecked(&server, &client).await;
        assert_eq!(kind, Some(HandshakeKind::Full));
        assert_eq!(outcome.unwrap(), "cert.cl");
    }
}

#[tokio::test]
async fn i4_a_resumed_session_is_refused_by_both_ends_even_if_a_server_offered_it() {
    let (server, client) = configs();
    let (server, client) = (lax(&server), eager(&client));
    assert_eq!(unchecked(&server, &client).await.0, Some(HandshakeKind::Full));
    let (kind, outcome) = unchecked(&server, &client).await;
    assert_eq!(kind, Some(HandshakeKind::Resumed), "the test must reach what it guards against");
    let error = outcome.unwrap_err();
    assert!(matches!(error, TlsError::Unacceptable("a resumed session")), "{error:?}");
    assert_eq!(error.blame(), Blame::Peer);

    let error = handshake(&server, &client).await.client.unwrap_err();
    assert!(matches!(error, TlsError::Unacceptable("a resumed session")), "{error:?}");
}

#[tokio::test]
async fn our_client_resumes_nothing_even_from_a_server_that_offers_it() {
    let (server, client) = configs();
    let server = lax(&server);
    for _ in 0..2 {
        assert_eq!(unchecked(&server, &client).await.0, Some(HandshakeKind::Full));
    }
}

#[tokio::test]
async fn no_server_of_ours_lets_a_client_send_early() {
    let early_data_allowed = |client: &ClientConfig| {
        let name = ServerName::try_from(SERVER_NAME).unwrap();
        let mut connection = rustls::ClientConnection::new(Arc::clone(&client.rustls), name).unwrap();
        connection.early_data().is_some()
    };
    let (server, client) = configs();
    let against_ours = eager(&client);
    unchecked(&server, &against_ours).await.1.unwrap();
    assert!(!early_data_allowed(&against_ours));

    let against_lax = eager(&client);
    unchecked(&lax(&server), &against_lax).await.1.unwrap();
    assert!(early_data_allowed(&against_lax), "the test must reach what it guards against");
}
