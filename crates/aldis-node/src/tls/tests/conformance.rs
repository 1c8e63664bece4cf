//! One table of every session that must not come about, with the code each end gives for it. What one row shows in
//! passing, the tests beside this file show in detail; what an independent program does, `tests/independent_tls.rs`.

use rustls::{NamedGroup, server::ServerSessionMemoryCache};

use super::issued::{CHILE, Ca, as_client, as_server, expired, issued};
use super::refusals::{Pair, client_with, groups, presenting};
use super::{forged::*, *};

/// What is wrong, what our accepting end said, and what our dialling end said.
type Row = (&'static str, &'static str, &'static str);

/// A session that came about.
const MET: &str = "met";

/// An end that this row does not have: the other side is not ours.
const NOT_OURS: &str = "not ours";

fn code(of: Result<Secured<TcpStream>, TlsError>) -> &'static str {
    of.map_or_else(|error| error.code(), |_| MET)
}

async fn row(what: &'static str, server: &ServerConfig, client: &ClientConfig) -> Row {
    let outcome = handshake(server, client).await;
    (what, code(outcome.server), code(outcome.client))
}

/// Sessions with the protocol itself changed.
async fn protocol() -> Vec<Row> {
    let pair = Pair::new();
    let classic = client_with(&pair, groups(&[NamedGroup::X25519]));
    let weak_server = {
        let mut rustls = RustlsServerConfig::builder_with_provider(groups(&[NamedGroup::X25519]))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&pair.server.rustls.cert_resolver));
        rustls.alpn_protocols = vec![ALPN.to_vec()];
        altered_server(&pair.server, |server| *server = rustls)
    };
    let alpn = |protocols: &[&[u8]]| {
        let protocols: Vec<Vec<u8>> = protocols.iter().map(|name| name.to_vec()).collect();
        altered_client(&pair.client, |client| client.alpn_protocols = protocols)
    };
    let no_alpn = altered_server(&pair.server, |server| server.alpn_protocols.clear());
    vec![
        row("as it must be", &pair.server, &pair.client).await,
        row("a client of a classic group alone", &pair.server, &classic).await,
        row("a server of a classic group alone", &weak_server, &pair.client).await,
        row("a classic group at both ends", &weak_server, &classic).await,
        row("another application protocol", &pair.server, &alpn(&[b"h2"])).await,
        row("no application protocol at the client", &pair.server, &alpn(&[])).await,
        row("no application protocol at the server", &no_alpn, &pair.client).await,
    ]
}

/// Sessions of somebody else, or at another time.
async fn identity() -> Vec<Row> {
    let pair = Pair::new();
    let (stranger, impostor) = (Node::new("cert.cl"), Node::new("cert.br"));
    let impostor = altered_server(&pair.server, |server| server.cert_resolver = resolver(impostor.own.pair()));
    let silent = presenting(&pair, Arc::new(Silent::default()));
    let (brazil, chile, peru) = (Node::new("cert.br"), Node::new("cert.cl"), Node::new("cert.pe"));
    let perus = server_config(&peru.own, &pins(&[("cert.br", &brazil)])).unwrap();
    let both = pins(&[("cert.cl", &chile), ("cert.pe", &peru)]);
    let dials_chile = client_config(&brazil.own, &both, "cert.cl").unwrap();
    let mut rows = vec![
        row("a certificate nobody pinned", &pair.server, &presenting(&pair, resolver(stranger.own.pair()))).await,
        row("no certificate", &pair.server, &silent).await,
        row("a server with another certificate than the pin", &impostor, &pair.client).await,
        row("another enrolled peer than the one dialled", &perus, &dials_chile).await,
    ];
    let times = [("expired", now() - days(31)), ("not yet valid", now() + days(500))];
    for (what, made) in times {
        let chile = Node::made_at("cert.cl", made);
        let server = server_config(&brazil.own, &pins(&[("cert.cl", &chile)])).unwrap();
        let client = client_config(&chile.own, &pins(&[("cert.br", &brazil)]), "cert.br").unwrap();
        rows.push((what, code(handshake(&server, &client).await.server), NOT_OURS));
        let server = server_config(&chile.own, &pins(&[("cert.br", &brazil)])).unwrap();
        let client = client_config(&brazil.own, &pins(&[("cert.cl", &chile)]), "cert.cl").unwrap();
        rows.push((what, NOT_OURS, code(handshake(&server, &client).await.client)));
    }
    rows
}

/// Sessions under an authority that revoked the certificate, or let it run out.
async fn authority() -> Vec<Row> {
    let root = Ca::root("Root");
    let said = |result: Result<String, &'static str>| result.map_or_else(|code| code, |_| MET);
    let (good, late) = (root.proper(CHILE), root.leaf(&[CHILE], expired));
    let current = issued(&root, &[root.crl(&[])]);
    let revoked = issued(&root, &[root.crl(&[7])]);
    let old = issued(&root, &[root.crl_until(&[], now() - days(1))]);
    let cases = [
        ("of its authority", &current, &good),
        ("revoked by its authority", &revoked, &good),
        ("expired under its authority", &current, &late),
        ("under an authority whose list ran out", &old, &good),
    ];
    let mut rows = Vec::new();
    for (what, pins, leaf) in cases {
        rows.push((what, said(as_client(pins, leaf).await), said(as_server(pins, leaf).await)));
    }
    rows
}

/// A client that keeps its session while its peer takes the pin away, and comes back with it. A server that took sessions
/// up again would not ask for the certificate then.
async fn resumed_after_revocation() -> Vec<Row> {
    let (brazil, chile) = (Node::new("cert.br"), Node::new("cert.cl"));
    let enrolled = server_config(&brazil.own, &pins(&[("cert.cl", &chile)])).unwrap();
    let peru = Node::new("cert.pe");
    let revoked = server_config(&brazil.own, &pins(&[("cert.pe", &peru)])).unwrap();
    let plain = client_config(&chile.own, &pins(&[("cert.br", &brazil)]), "cert.br").unwrap();
    let eager = || {
        altered_client(&plain, |client| {
            client.resumption = Resumption::in_memory_sessions(8);
            client.enable_early_data = true;
        })
    };
    let client = eager();
    let mut rows = vec![
        row("before the revocation", &enrolled, &client).await,
        row("again after the revocation", &revoked, &client).await,
    ];
    // The same with sessions that such servers would share.
    let sessions = ServerSessionMemoryCache::new(8);
    let lax = |server: &ServerConfig| {
        altered_server(server, |server| {
            server.session_storage = Arc::clone(&sessions) as Arc<_>;
            server.send_tls13_tickets = 2;
            server.max_early_data_size = 1_024;
        })
    };
    let client = eager();
    rows.push(row("a session kept where tickets are given", &lax(&enrolled), &client).await);
    rows.push(row("that session after the revocation", &lax(&revoked), &client).await);
    rows
}

#[tokio::test]
async fn i4_no_session_comes_about_that_must_not() {
    let rows = [protocol().await, identity().await, authority().await, resumed_after_revocation().await].concat();
    let expected: [Row; 23] = [
        ("as it must be", MET, MET),
        ("a client of a classic group alone", "tls-incompatible", "tls-incompatible"),
        ("a server of a classic group alone", "tls-incompatible", "tls-incompatible"),
        ("a classic group at both ends", "tls-incompatible", "tls-incompatible"),
        ("another application protocol", "tls-incompatible", "tls-incompatible"),
        ("no application protocol at the client", "tls-incompatible", "tls-incompatible"),
        ("no application protocol at the server", "tls-incompatible", "tls-incompatible"),
        ("a certificate nobody pinned", "tls-bad-certificate", "tls-refused-by-peer"),
        ("no certificate", "tls-no-certificate", "tls-refused-by-peer"),
        ("a server with another certificate than the pin", "tls-refused-by-peer", "tls-bad-certificate"),
        ("another enrolled peer than the one dialled", "tls-refused-by-peer", "tls-bad-certificate"),
        ("expired", "tls-peer-expired", NOT_OURS),
        ("expired", NOT_OURS, "tls-peer-expired"),
        ("not yet valid", "tls-peer-expired", NOT_OURS),
        ("not yet valid", NOT_OURS, "tls-peer-expired"),
        ("of its authority", MET, MET),
        ("revoked by its authority", "tls-revoked", "tls-revoked"),
        ("expired under its authority", "tls-peer-expired", "tls-peer-expired"),
        ("under an authority whose list ran out", "tls-crl-expired", "tls-crl-expired"),
        ("before the revocation", MET, MET),
        ("again after the revocation", "tls-bad-certificate", "tls-refused-by-peer"),
        ("a session kept where tickets are given", MET, MET),
        ("that session after the revocation", "tls-unacceptable", "tls-unacceptable"),
    ];
    let wrong: Vec<_> = rows.iter().zip(expected).filter(|(row, expected)| *row != expected).collect();
    assert!(wrong.is_empty() && rows.len() == expected.len(), "{} rows; came, and expected: {wrong:#?}", rows.len());
}
