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
    assert_ne!(
        second.server.unwrap().exporter,
        at_server.exporter,
        "each connection has its own"
    );
}
