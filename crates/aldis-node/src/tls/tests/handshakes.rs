//! What must work, and what a handshake promises when it has.

use super::*;

#[tokio::test]
async fn i4_both_ends_know_each_other_and_share_one_exporter_value() {
    let (brazil, chile) = (Node::new("cert.br"), Node::new("cert.cl"));
    let server = server_config(&brazil.own, &pins(&[("cert.cl", &chile)])).unwrap();
    let client = client_config(&chile.own, &pins(&[("cert.br", &brazil)]), "cert.br").unwrap();

    let first = handshake(&server, &client).await;
    let (at_server, at_client) = (first.server.unwrap(), first.client.unwrap());
    assert_eq!(at_server.peer, "cert.cl");
    assert_eq!(at_client.peer, "cert.br");
    assert_eq!(at_server.fingerprint, chile.certificate().fingerprint());
    assert_eq!(at_client.fingerprint, brazil.certificate().fingerprint());
    assert_eq!(at_server.exporter, at_client.exporter);
    assert_ne!(at_server.exporter, [0; EXPORTER_BYTES]);

    let second = handshake(&server, &client).await;
    assert_ne!(second.server.unwrap().exporter, at_server.exporter, "each connection has its own");
}

#[tokio::test]
async fn i4_another_enrolled_peers_certificate_gives_that_peers_id() {
    let (brazil, chile, peru) = (Node::new("cert.br"), Node::new("cert.cl"), Node::new("cert.pe"));
    let server = server_config(&brazil.own, &pins(&[("cert.cl", &chile), ("cert.pe", &peru)])).unwrap();
    let client = client_config(&peru.own, &pins(&[("cert.br", &brazil)]), "cert.br").unwrap();
    assert_eq!(handshake(&server, &client).await.server.unwrap().peer, "cert.pe");
}

#[tokio::test]
async fn i4_the_id_comes_from_the_pin_and_not_from_the_name_in_the_certificate() {
    let (brazil, boastful) = (Node::new("cert.br"), Node::new("cert.us"));
    let server = server_config(&brazil.own, &pins(&[("cert.cl", &boastful)])).unwrap();
    let client = client_config(&boastful.own, &pins(&[("cert.br", &brazil)]), "cert.br").unwrap();
    assert_eq!(handshake(&server, &client).await.server.unwrap().peer, "cert.cl");
}

#[tokio::test]
async fn a_peer_may_have_two_pins_while_it_rotates() {
    let (brazil, old, new) = (Node::new("cert.br"), Node::new("cert.cl"), Node::new("cert.cl"));
    let both = pins(&[("cert.cl", &old), ("cert.cl", &new)]);
    let server = server_config(&brazil.own, &both).unwrap();
    for chile in [&old, &new] {
        let client = client_config(&chile.own, &pins(&[("cert.br", &brazil)]), "cert.br").unwrap();
        assert_eq!(handshake(&server, &client).await.server.unwrap().peer, "cert.cl");
        let server = server_config(&chile.own, &pins(&[("cert.br", &brazil)])).unwrap();
        let client = client_config(&brazil.own, &both, "cert.cl").unwrap();
        assert_eq!(handshake(&server, &client).await.client.unwrap().fingerprint, chile.certificate().fingerprint());
    }
}

#[tokio::test]
async fn peers_come_and_go_while_the_listener_runs() {
    let (brazil, chile) = (Node::new("cert.br"), Node::new("cert.cl"));
    let client = client_config(&chile.own, &pins(&[("cert.br", &brazil)]), "cert.br").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();

    let mut current = Pins::new();
    let server = server_config(&brazil.own, &current).unwrap();
    assert!(handshake_at(&listener, &server, &client).await.server.is_err(), "before it is enrolled");

    current.add("cert.cl", chile.certificate()).unwrap();
    let server = server_config(&brazil.own, &current).unwrap();
    assert!(handshake_at(&listener, &server, &client).await.server.is_ok(), "while it is enrolled");

    current.remove("cert.cl");
    assert!(current.is_empty());
    let server = server_config(&brazil.own, &current).unwrap();
    assert!(handshake_at(&listener, &server, &client).await.server.is_err(), "after it is removed");
}

#[tokio::test]
async fn the_first_bytes_on_the_wire_name_nobody() {
    let (brazil, chile) = (Node::new("cert.br"), Node::new("cert.cl"));
    let client = client_config(&chile.own, &pins(&[("cert.br", &brazil)]), "cert.br").unwrap();
    let (mut wire, end) = tokio::io::duplex(64 * 1024);
    let dialling = tokio::spawn(async move { connect(end, &client).await.map(|_| ()) });
    let mut hello = Vec::new();
    timeout(BOUND, async {
        let mut header = [0; 5];
        wire.read_exact(&mut header).await.unwrap();
        hello.resize(usize::from(u16::from_be_bytes([header[3], header[4]])), 0);
        wire.read_exact(&mut hello).await.unwrap();
    })
    .await
    .unwrap();
    drop(wire);
    assert!(dialling.await.unwrap().is_err());
    assert!(hello.len() > 1_184, "the hybrid key share is in it, so this was the whole of it");
    for name in ["aldis.invalid", "cert.br", "cert.cl"] {
        let found = hello.windows(name.len()).any(|window| window == name.as_bytes());
        assert!(!found, "{name} can be read from the network");
    }
}

#[tokio::test]
async fn i14_the_library_holds_no_more_than_a_frame_for_a_reader_that_does_not_read() {
    // Tiny pipes: whatever is accepted beyond them lies in the library.
    const PIPE_BYTES: usize = 4 * 1024;
    let (brazil, chile) = (Node::new("cert.br"), Node::new("cert.cl"));
    let server = server_config(&brazil.own, &pins(&[("cert.cl", &chile)])).unwrap();
    let client = client_config(&chile.own, &pins(&[("cert.br", &brazil)]), "cert.br").unwrap();
    let (here, there) = tokio::io::duplex(PIPE_BYTES);
    let (accepted, connected) =
        timeout(BOUND, async { tokio::join!(accept(here, &server), connect(there, &client)) }).await.unwrap();
    let (mut writer, _reader) = (accepted.unwrap().stream, connected.unwrap());

    let chunk = vec![7; 16 * 1024];
    let mut taken = 0;
    while let Some(written) = futures_util::FutureExt::now_or_never(writer.write(&chunk)) {
        taken += written.unwrap();
        assert!(taken <= 64 * 1024 + PIPE_BYTES, "{taken} bytes stand before the next frame");
    }
    assert!(taken > 0);
}
