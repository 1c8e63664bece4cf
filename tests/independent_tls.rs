//! TLS as an independent program speaks it: OpenSSL's client and server, with the certificate and key of an enrolled
//! peer, and older or weaker than the protocol allows. None gets a link, in either direction. Each case is first tried
//! between two copies of OpenSSL, which do agree on it, so that a refusal is the node's. (What our own library can play,
//! revoked, expired and resumed included, stands in one table: crates/aldis-node/src/tls/tests/conformance.rs.)

use aldis_node::event_loop::LinkStatus;
use aldis_tests::certs::{Cert, PATIENCE, Scene, told};
use data_encoding::BASE64;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

/// What OpenSSL is told besides the certificate, and what of the protocol it then lacks. (Ed25519, which our certificates
/// use, came with TLS 1.2: older versions fail by themselves.)
const LACKING: [(&str, &[&str]); 6] = [
    ("TLS 1.2", &["-tls1_2"]),
    ("TLS 1.2, X25519", &["-tls1_2", "-groups", "X25519"]),
    ("TLS 1.3, X25519 alone", &["-tls1_3", "-groups", "X25519"]),
    ("TLS 1.3, P-256 alone", &["-tls1_3", "-groups", "P-256"]),
    ("TLS 1.3, P-384 or X448", &["-tls1_3", "-groups", "P-384:X448"]),
    ("TLS 1.3, finite fields", &["-tls1_3", "-groups", "ffdhe3072"]),
];

/// Whether the program is here; `.ci/run` sees to it, elsewhere its absence is told.
async fn is_here() -> bool {
    let version = Command::new("openssl").arg("version").output().await;
    let is_here = version.as_ref().is_ok_and(|output| output.status.success());
    assert!(is_here || std::env::var_os("ALDIS_OPENSSL").is_none_or(|wanted| wanted != "required"), "{version:?}");
    if is_here {
        print!("{}", String::from_utf8_lossy(&version.expect("it ran").stdout));
    } else {
        println!("SKIPPED: there is no `openssl` here");
    }
    is_here
}

/// Writes the TLS key as OpenSSL 3.0 reads it: PKCS #8 without the public half, which ours has.
fn write_key(files: &Path) {
    const HEAD: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let pem = std::fs::read_to_string(files.join("tls.key")).expect("the key is there");
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = BASE64.decode(base64.as_bytes()).expect("PEM");
    assert_eq!(der[5..16], HEAD[5..], "an Ed25519 key");
    let plain = BASE64.encode(&[&HEAD, &der[16..48]].concat());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{plain}\n-----END PRIVATE KEY-----\n");
    std::fs::write(files.join("openssl.key"), pem).expect("writes");
}

fn openssl(command: &str, files: &Path, more: &[&str]) -> Command {
    let mut openssl = Command::new("openssl");
    openssl.arg(command).arg("-cert").arg(files.join("tls.crt")).arg("-key").arg(files.join("openssl.key"));
    openssl.args(["-alpn", "aldis/1"]).args(more).kill_on_drop(true);
    openssl.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    openssl
}

/// Everything a client of OpenSSL says until it ends.
async fn client(to: SocketAddr, files: &Path, lacking: &[&str]) -> String {
    let to = to.to_string();
    let output = openssl("s_client", files, &[&["-brief", "-connect", &to], lacking].concat()).output();
    let output = tokio::time::timeout(PATIENCE, output).await.expect("it ends").expect("openssl runs");
    [output.stdout, output.stderr].iter().map(|said| String::from_utf8_lossy(said).into_owned()).collect()
}

/// A server of OpenSSL that waits for connections, and where.
async fn server(files: &Path, lacking: &[&str]) -> (Child, SocketAddr) {
    let args = [&["-accept", "127.0.0.1:0", "-verify", "1", "-verify_quiet"], lacking].concat();
    // At the end of its input it would stop.
    let mut server = openssl("s_server", files, &args).stdin(Stdio::piped()).spawn().expect("openssl runs");
    let mut lines = BufReader::new(server.stdout.take().expect("its output is ours")).lines();
    let accepts = async {
        while let Some(line) = lines.next_line().await.expect("it is text") {
            if let Some(at) = line.strip_prefix("ACCEPT ") {
                return at.trim().parse().expect("an address");
            }
        }
        let mut said = String::new();
        let _read = server.stderr.take().expect("its errors are ours").read_to_string(&mut said).await;
        panic!("{lacking:?}: it ended before it accepted: {said}");
    };
    let at = tokio::time::timeout(PATIENCE, accepts).await.expect("it accepts");
    // What it prints from here on is read by nobody and is little.
    server.stdout = Some(lines.into_inner().into_inner());
    (server, at)
}

/// Fails unless two copies of OpenSSL agree on this.
async fn agree_between_themselves(what: &str, files: &Path, lacking: &[&str]) {
    let (mut server, at) = server(files, lacking).await;
    let said = client(at, files, lacking).await;
    assert!(said.contains("CONNECTION ESTABLISHED"), "{what}: two OpenSSLs must agree on it: {said}");
    server.kill().await.expect("it is ours to end");
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_an_older_or_weaker_client_gets_no_link_though_its_certificate_is_right() {
    if !is_here().await {
        return;
    }
    let scene = Scene::new().await;
    let (node, files) = (scene.node.node().listening[0], scene.raw.cert.dir());
    write_key(files);
    for (what, lacking) in LACKING {
        agree_between_themselves(what, files, lacking).await;
        let said = client(node, files, lacking).await;
        assert!(!said.contains("CONNECTION ESTABLISHED"), "{what}: {said}");
        assert!(said.contains("alert"), "{what}: the node says why: {said}");
    }
    let (kept, _) = scene.node.node().events.listen(Some(0));
    assert!(!kept.iter().any(|told| told::is_link_up(told, &scene.raw.cert.id)));
    scene.unharmed("old clients").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_an_older_or_weaker_server_gets_no_link_though_its_certificate_is_right() {
    if !is_here().await {
        return;
    }
    for (what, lacking) in LACKING {
        // The one that dials is the one whose name sorts first, so that nothing but its dialling makes a link.
        let (mut node, mut peer) = (Cert::new("cert.ar"), Cert::new("cert.cl"));
        write_key(peer.dir());
        let (mut server, at) = server(peer.dir(), lacking).await;
        peer.reached_at(&[at]);
        node.start().await;
        node.enrol(&peer).await;
        let mut stderr = server.stderr.take().expect("its errors are ours");
        let mut said = Vec::new();
        let refused_twice = async {
            while String::from_utf8_lossy(&said).matches(":error:").count() < 2 {
                assert_ne!(stderr.read_buf(&mut said).await.expect("it is text"), 0, "{what}: it ended");
            }
        };
        let refused = tokio::time::timeout(PATIENCE, refused_twice).await;
        assert!(refused.is_ok(), "{what}: the node dials and is told apart: {}", String::from_utf8_lossy(&said));
        assert_ne!(node.peer(&peer).await.link, LinkStatus::Up, "{what}");
        let (kept, _) = node.node().events.listen(Some(0));
        assert!(!kept.iter().any(|told| told::is_link_up(told, &peer.id)), "{what}");
        server.kill().await.expect("it is ours to end");
        node.stop().await;
    }
}
