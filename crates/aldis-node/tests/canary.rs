//! No key, no passphrase and no TLP:RED body leaves the daemon: a real one with known secrets reports everything it can (trace), talks
//! to a peer and answers every question, and then all that came out of it and all it wrote is searched.

use aldis_control::{Client, DeliveryState, Precedence, SendRequest, Tlp, Wait, routes};
use aldis_node::clock::Clock;
use aldis_node::config::{Config, SealedBy};
use aldis_node::demo::port::HeldPort;
use aldis_node::demo::process::{self, Process};
use aldis_node::init::{NewNode, Sealing};
use aldis_node::keys::{Sealer, Secret, Source, Stretch};
use aldis_node::tls;
use aldis_wire::ids::NodeId;
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use serde_json::json;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_mins(1);
const PASSPHRASE: &str = "canary-Kanarienvogel-canario-42";
/// What stands in a TLP:RED message.
const RED: &str = "canary-of-a-red-message-7f3a";
const SEED: [u8; 32] = *b"\x91\x0f\x55\xe0 canary of the seed \xfe\x80\x07\x3c\x99\xaa\xd1\xb7";

/// A running daemon with known secrets, killed when dropped.
struct Daemon {
    dir: PathBuf,
    child: Child,
    /// The 32 bytes of its TLS key.
    tls_key: Vec<u8>,
}

impl Daemon {
    fn start(parent: &Path) -> Self {
        let dir = parent.join("cert.br");
        let tls_key = make(&dir);
        let log = File::create(parent.join("cert.br.log")).unwrap();
        let mut child = unprivileged(env!("CARGO_BIN_EXE_aldisd"))
            .args(["run", "--passphrase-fd", "0", "--config"])
            .arg(dir.join("aldisd.toml"))
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(format!("{PASSPHRASE}\n").as_bytes()).unwrap();
        Self { dir, child, tls_key }
    }

    fn client(&self) -> Client {
        Client::new(self.dir.join("aldis.sock"))
    }

    async fn ready(&self) {
        until("the daemon is ready", || async { self.client().status().await.is_ok_and(|status| status.ready) }).await;
    }

    /// What the control API answers to one request, head and all.
    fn answer(&self, method: &str, path: &str) -> Vec<u8> {
        let mut stream = UnixStream::connect(self.dir.join("aldis.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: aldis\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    }

    /// A file of the kernel about this process.
    fn proc_file(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.child.id()))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail if it has ended already, which is as good.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Makes a node with the known passphrase, seed and a TLS key, which it returns.
fn make(dir: &Path) -> Vec<u8> {
    let id = NodeId::new("cert.br").unwrap();
    let address = HeldPort::take().unwrap().for_good();
    let node = NewNode {
        dir: dir.to_owned(),
        id: id.clone(),
        name: "CERT".to_owned(),
        country: "BR".parse().unwrap(),
        listen: vec![address],
        endpoints: Vec::new(),
        single_administrator: true,
    };
    let secret = || Secret::new(PASSPHRASE.into());
    let source = Source::Given(secret());
    let sealing = Sealing { by: SealedBy::Passphrase, source, stretch: Stretch::THROWAWAY };
    let clock = Clock::system();
    let (config, _) = aldis_node::init::init(&node, &sealing, &clock).unwrap();
    let paths = &config.keys;
    for path in [&paths.identity, &paths.tls_key, &config.node.card] {
        fs::remove_file(path).unwrap();
    }
    let sealer = Sealer::new(&secret(), Stretch::THROWAWAY).unwrap();
    sealer.create_identity(&paths.identity, &id, &SEED).unwrap();
    let (certificate, key) = tls::generate(id.as_str(), 30, clock.system_time()).unwrap();
    sealer.create_tls_key(&paths.tls_key, &id, key.expose()).unwrap();
    fs::write(&paths.tls_certificate, certificate).unwrap();
    trace(&config);
    let inside: String = key.expose().lines().filter(|line| !line.starts_with('-')).collect();
    // In PKCS#8 the 32 bytes of an Ed25519 key stand behind 16 others.
    BASE64.decode(inside.as_bytes()).unwrap()[16..48].to_vec()
}

/// Makes the node report everything it can.
fn trace(config: &Config) {
    let text = fs::read_to_string(&config.path).unwrap();
    fs::write(&config.path, text.replace("[logging]\n", "[logging]\nfilter = \"trace\"\n")).unwrap();
}

/// What must not be found, each with a name.
fn canaries(tls_key: &[u8]) -> Vec<(String, Vec<u8>)> {
    let secrets = [("passphrase", PASSPHRASE.as_bytes()), ("seed", &SEED), ("TLS key", tls_key)];
    secrets.iter().flat_map(|(name, bytes)| forms(name, bytes)).collect()
}

/// The forms in which a secret could be written: raw, hexadecimal, decimal as Rust shows bytes, base 64 of both
/// alphabets at any place within something longer.
fn forms(name: &str, bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let decimal: Vec<String> = bytes.iter().map(u8::to_string).collect();
    let mut forms = vec![
        (format!("{name}, raw"), bytes.to_vec()),
        (format!("{name}, hex"), HEXLOWER.encode(bytes).into_bytes()),
        (format!("{name}, HEX"), HEXUPPER.encode(bytes).into_bytes()),
        (format!("{name}, decimal"), decimal.join(", ").into_bytes()),
    ];
    for before in 0..3 {
        let shifted = [&vec![0; before], bytes].concat();
        for encoding in [BASE64, BASE64URL_NOPAD] {
            let text = encoding.encode(&shifted);
            // Only the characters that no neighbour has a part in.
            let whole = (before * 8).div_ceil(6)..shifted.len() * 8 / 6;
            forms.push((format!("{name}, base 64 after {before}"), text.as_bytes()[whole].to_vec()));
        }
    }
    forms
}

/// The names of the canaries that stand in these bytes.
fn found(canaries: &[(String, Vec<u8>)], bytes: &[u8]) -> Vec<String> {
    // By their first byte, so that some hundred megabytes are searched in seconds.
    let mut starting: Vec<Vec<&(String, Vec<u8>)>> = vec![Vec::new(); 256];
    canaries.iter().for_each(|canary| starting[usize::from(canary.1[0])].push(canary));
    let mut names = Vec::new();
    for (at, byte) in bytes.iter().enumerate() {
        let here = starting[usize::from(*byte)].iter().filter(|(_, needle)| bytes[at..].starts_with(needle));
        names.extend(here.map(|(name, _)| name.clone()));
    }
    names
}

/// All files below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let below = entries.map(|entry| match entry.file_type().unwrap() {
        kind if kind.is_dir() => files(&entry.path()),
        kind if kind.is_file() => vec![entry.path()],
        _ => Vec::new(),
    });
    below.flatten().collect()
}

/// Asks until it is so, with a bound.
async fn until<F: Future<Output = bool>>(what: &str, ask: impl Fn() -> F) {
    let begun = Instant::now();
    let mut pause = tokio::time::interval(Duration::from_millis(5));
    while !ask().await {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        pause.tick().await;
    }
}

fn notice() -> SendRequest {
    let body = json!({ "subject": "s", "class": "test", "type": "test", "narrative": "n" });
    SendRequest {
        wait: Some(Wait::Stored),
        wait_ms: Some(30_000),
        ..SendRequest::new(&["cert.cl"], "incident", Precedence::Immediate, Tlp::Red, body)
    }
}

/// What only who opens the message may see.
fn red_body() -> serde_json::Value {
    json!({ "subject": "s", "class": "test", "type": "test", "narrative": RED })
}

/// Everything that comes out of a daemon that does its work, with names.
async fn outcome(daemon: &mut Daemon, peer: &Process) -> Vec<(String, Vec<u8>)> {
    let (client, other) = (daemon.client(), peer.client());
    process::introduce(&client, &other).await.unwrap();
    let red = client.send(&SendRequest { tlp: Tlp::Red, body: red_body(), ..notice() }).await.unwrap();
    assert_eq!(red.messages[0].state, DeliveryState::Stored);
    let sent = client.send(&notice()).await.unwrap();
    assert_eq!(sent.messages[0].state, DeliveryState::Stored);
    let id = sent.messages[0].id.to_string();
    let mut out = Vec::new();
    for (route, methods) in routes::ALL {
        // The event stream never ends; what it says stands in the log as well.
        for method in methods.iter().filter(|_| route != routes::EVENTS) {
            for query in [String::new(), format!("?id={id}"), "?id=cert.cl".to_owned()] {
                let path = format!("{route}{query}");
                out.push((format!("{method} {path}"), daemon.answer(&method.to_uppercase(), &path)));
            }
        }
    }
    // A refused reload reports an error, a good one reads the keys again.
    let pid = daemon.child.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    let log = daemon.dir.with_extension("br.log");
    until("the reload is reported", || async {
        String::from_utf8_lossy(&fs::read(&log).unwrap()).contains("reloaded the configuration")
    })
    .await;
    out.push(("cmdline".to_owned(), fs::read(daemon.proc_file("cmdline")).unwrap()));
    match fs::read(daemon.proc_file("environ")) {
        Ok(environ) => out.push(("environ".to_owned(), environ)),
        // Then nobody but root can read it at all.
        Err(error) => println!("the environment is not searched: {error}"),
    }
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(daemon.child.wait().unwrap().code(), Some(0));
    for path in files(daemon.dir.parent().unwrap()) {
        out.push((path.display().to_string(), fs::read(&path).unwrap()));
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_and_no_passphrase_leaves_the_daemon() {
    let parent = tempfile::tempdir().unwrap();
    let mut peer =
        Process::init(Path::new(env!("CARGO_BIN_EXE_aldisd")), parent.path(), "cert.cl", "CL", "CL").await.unwrap();
    peer.start().await.unwrap();
    let mut daemon = Daemon::start(parent.path());
    daemon.ready().await;
    let canaries = canaries(&daemon.tls_key);
    let out = outcome(&mut daemon, &peer).await;
    let log = out.iter().find(|(name, _)| name.ends_with("cert.br.log")).expect("the log is searched");
    let log = String::from_utf8_lossy(&log.1).into_owned();
    assert!(log.contains("TRACE") && log.contains("DEBUG"), "the daemon reports all it can");
    for part in ["identity.key", "tls.key", "/journal/", "/log/", "card.aldis", "get /v1/status", "cmdline"] {
        assert!(out.iter().any(|(name, bytes)| name.contains(part) && !bytes.is_empty()), "{part} is not searched");
    }
    for (name, bytes) in &out {
        assert_eq!(found(&canaries, bytes), Vec::<String>::new(), "in {name}");
    }
    // A RED body lies in the journals, where it belongs, and comes out only when somebody opens it.
    let holders = out.iter().filter(|(_, bytes)| bytes.windows(RED.len()).any(|window| window == RED.as_bytes()));
    let holders: Vec<&str> = holders.map(|(name, _)| name.as_str()).collect();
    assert!(!holders.is_empty() && holders.iter().all(|name| name.contains("/journal/")), "{holders:?}");
    println!("searched {} texts, {} bytes", out.len(), out.iter().map(|(_, bytes)| bytes.len()).sum::<usize>());
}

#[test]
fn the_search_finds_each_planted_canary() {
    let dir = tempfile::tempdir().unwrap();
    let canaries = canaries(&[0x5a; 32]);
    for (name, needle) in &canaries {
        let file = dir.path().join("deep").join("planted");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, [b"before", needle.as_slice(), b"after"].concat()).unwrap();
        let searched = files(dir.path());
        assert_eq!(searched, [file.as_path()]);
        assert!(found(&canaries, &fs::read(&searched[0]).unwrap()).contains(name), "{name}");
    }
    // As a careless program would write it: within something longer.
    for before in 0..5 {
        let text = BASE64.encode(&[&vec![0xaa; before], SEED.as_slice(), &[0xbb; 7]].concat());
        assert!(!found(&canaries, text.as_bytes()).is_empty(), "after {before}");
    }
    assert!(!found(&canaries, format!("{SEED:?}").as_bytes()).is_empty());
    assert!(found(&canaries, b"nothing of it").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_daemon_is_not_dumpable_and_leaves_no_core() {
    let parent = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(parent.path());
    daemon.ready().await;
    let limits = fs::read_to_string(daemon.proc_file("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    // What a debugger of the same user may do: another process of this user can be read, the daemon cannot.
    let mut other = unprivileged("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let environ = PathBuf::from(format!("/proc/{}/environ", other.id()));
    until("another process can be read", || async { may_read(&environ) }).await;
    assert!(!may_read(&daemon.proc_file("environ")) && !may_read(&daemon.proc_file("auxv")));
    drop(other.stdin.take());
    other.wait().unwrap();
    // What the benchmark reads stays readable.
    assert!(may_read(&daemon.proc_file("stat")) && may_read(&daemon.proc_file("status")));
}

/// Whether this user may read a file without any privilege of root.
fn may_read(path: &Path) -> bool {
    let mut command = unprivileged("cat");
    command.arg(path).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

/// A program of this user without the privileges that root has beyond others.
fn unprivileged(program: &str) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-all", "--inh-caps=-all", program]);
    command
}
