//! The real `aldisd`, from `init` to a clean stop, and what it says when something is wrong.

use aldis_node::clock::Clock;
use aldis_node::config::SealedBy;
use aldis_node::init::{NewNode, Sealing};
use aldis_node::keys::{Source, Stretch};
use aldis_wire::ids::NodeId;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// How long the daemon may take for anything; a bound for a busy machine, not a wait.
const PATIENCE: Duration = Duration::from_mins(1);

fn aldisd(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aldisd"));
    command.env("CREDENTIALS_DIRECTORY", credentials()).args(args).output().unwrap()
}

/// A directory with the credential that seals every node of this file, as systemd would hand it over.
fn credentials() -> &'static Path {
    static DIR: OnceLock<tempfile::TempDir> = OnceLock::new();
    let made = DIR.get_or_init(|| {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::write(dir.path().join("aldis-seal"), [7; 32]).unwrap();
        set_mode(&dir.path().join("aldis-seal"), 0o400);
        dir
    });
    made.path()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn init(dir: &Path) -> Output {
    let dir = dir.to_str().unwrap();
    let who = ["--id=cert.br", "--name=CERT", "--country=BR", "--listen=127.0.0.1:0", "--seal=credential"];
    aldisd(&[["init", dir].as_slice(), &who].concat())
}

/// A node as the binary makes it, but stretched cheaply; the paths are the directory's and the configuration's.
fn made() -> (tempfile::TempDir, PathBuf, String) {
    made_as("cert.br")
}

fn made_as(id: &str) -> (tempfile::TempDir, PathBuf, String) {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("node");
    let node = NewNode {
        dir: dir.clone(),
        id: NodeId::new(id).unwrap(),
        name: "CERT".to_owned(),
        country: "BR".parse().unwrap(),
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        endpoints: Vec::new(),
        single_administrator: false,
    };
    let source = Source::credential_in(credentials());
    let sealing = Sealing { by: SealedBy::Credential, source, stretch: Stretch::THROWAWAY };
    aldis_node::init::init(&node, &sealing, &Clock::system()).unwrap();
    let config = dir.join("aldisd.toml").to_str().unwrap().to_owned();
    (parent, dir, config)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A running daemon, killed when dropped, with its reports as they come.
struct Running {
    child: Child,
    reports: Receiver<String>,
}

impl Running {
    fn start(config: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_aldisd"))
            .args(["run", "--config", config])
            .env("CREDENTIALS_DIRECTORY", credentials())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, reports) = mpsc::channel();
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, reports }
    }

    /// The next report that holds `part`.
    fn report(&self, part: &str) -> String {
        let mut seen = Vec::new();
        while let Ok(line) = self.reports.recv_timeout(PATIENCE) {
            if line.contains(part) {
                return line;
            }
            seen.push(line);
        }
        panic!("no report `{part}` among {seen:#?}");
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Ends with `stop` and gives the exit code; the reports end when the process does.
    fn stop(mut self) -> Option<i32> {
        self.signal("-TERM");
        self.report("stopped");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail if it has ended already, which is as good.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[test]
fn from_init_to_check_to_card_show() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("node");
    let output = init(&dir);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let config = dir.join("aldisd.toml").to_str().unwrap().to_owned();
    let output = aldisd(&["check", &config]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("matches its key"), "{}", text(&output.stdout));
    let card = dir.join("card.aldis");
    let output = aldisd(&["card-show", card.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("node          cert.br\n"));
    let output = aldisd(&["card-show", "--json", card.to_str().unwrap()]);
    let view: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(view["id"], "cert.br");
}

#[test]
fn a_second_init_is_refused_and_changes_nothing() {
    let (_parent, dir, _) = made();
    let key = fs::read(dir.join("keys/identity.key")).unwrap();
    let output = init(&dir);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("is not empty"), "{}", text(&output.stderr));
    assert_eq!(fs::read(dir.join("keys/identity.key")).unwrap(), key);
}

#[test]
fn wrong_arguments_end_with_2_and_a_missing_card_with_1() {
    assert_eq!(aldisd(&["dance"]).status.code(), Some(2));
    let output = aldisd(&["init", "/nowhere", "--id=CERT", "--name=C", "--country=BR", "--listen=127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("not a node id"), "{}", text(&output.stderr));
    let output = aldisd(&["card-show", "/nowhere/card"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
}

#[test]
fn i4_a_changed_card_ends_with_6() {
    let (_parent, dir, _) = made();
    let path = dir.join("card.aldis");
    let good = fs::read_to_string(&path).unwrap();
    let inside = good.split("-----").nth(2).unwrap().replace('\n', "");
    let mut bytes = data_encoding::BASE64.decode(inside.as_bytes()).unwrap();
    // The last byte is of the signature: the card still reads, and no longer verifies.
    *bytes.last_mut().unwrap() ^= 1;
    let changed =
        good.replace(good.split("-----").nth(2).unwrap(), &format!("\n{}\n", data_encoding::BASE64.encode(&bytes)));
    fs::write(&path, changed).unwrap();
    let output = aldisd(&["card-show", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(6), "{}", text(&output.stderr));
}

#[test]
fn check_and_run_refuse_the_same_faults_with_2() {
    let (_parent, dir, config) = made();
    for (path, bad, good) in
        [("keys/identity.key", 0o644, 0o600), ("tls/tls.key", 0o640, 0o600), ("data", 0o755, 0o700)]
    {
        set_mode(&dir.join(path), bad);
        for args in [["check", &config].as_slice(), ["run", "--config", &config].as_slice()] {
            let output = aldisd(args);
            assert_eq!(output.status.code(), Some(2), "{path}: {}", text(&output.stderr));
            let said = text(&output.stdout) + &text(&output.stderr);
            assert!(said.contains(path) && said.contains("chmod"), "{said}");
        }
        set_mode(&dir.join(path), good);
    }
    fs::write(dir.join("aldisd.toml"), "[nod]\n").unwrap();
    assert_eq!(aldisd(&["check", &config]).status.code(), Some(2));
    assert_eq!(aldisd(&["run", "--config", &config]).status.code(), Some(2));
}

#[test]
fn a_node_runs_reloads_and_stops_cleanly() {
    let (_parent, dir, config) = made();
    let node = Running::start(&config);
    assert!(node.report("ready").contains("127.0.0.1"));
    let good = fs::read_to_string(&config).unwrap();
    fs::write(&config, good.replace("[logging]", "[logging]\nfilter = \"loud?\"\n[logging]")).unwrap();
    node.signal("-HUP");
    assert!(node.report("not reloaded").contains("aldisd.toml"));
    fs::write(&config, good.replace("cert.br", "cert.cl")).unwrap();
    node.signal("-HUP");
    assert!(node.report("not reloaded").contains("keeps its id for ever"));
    fs::write(&config, good.replace("\"CERT\"", "\"CERT Brasil\"")).unwrap();
    node.signal("-HUP");
    node.report("the card says something new");
    node.report("reloaded the configuration");
    assert_eq!(node.stop(), Some(0));
    let card = aldisd(&["card-show", dir.join("card.aldis").to_str().unwrap()]);
    assert!(text(&card.stdout).contains("CERT Brasil"));
}

#[test]
fn a_second_daemon_on_the_same_data_is_refused_and_the_first_goes_on() {
    let (_parent, _dir, config) = made();
    let first = Running::start(&config);
    first.report("ready");
    let second = aldisd(&["run", "--config", &config]);
    assert_eq!(second.status.code(), Some(1), "{}", text(&second.stderr));
    assert_eq!(first.stop(), Some(0));
}

#[test]
fn i9_a_damaged_journal_refuses_to_start_with_6() {
    let (_parent, dir, config) = made();
    let node = Running::start(&config);
    node.report("ready");
    assert_eq!(node.stop(), Some(0));
    let journal = dir.join("data/journal");
    let segments = fs::read_dir(&journal).unwrap().map(|entry| entry.unwrap().path());
    for segment in segments.filter(|path| path.metadata().unwrap().len() > 1 << 20) {
        let mut bytes = fs::read(&segment).unwrap();
        bytes[..8_192].fill(0x55);
        fs::write(&segment, bytes).unwrap();
    }
    let output = aldisd(&["run", "--config", &config]);
    assert_eq!(output.status.code(), Some(6), "{}", text(&output.stderr));
}

#[test]
fn the_published_keys_start_on_loopback_only() {
    let (_parent, dir, config) = made_as("cert.example");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../certs-example");
    for file in ["keys/identity.key", "card.aldis"] {
        fs::write(dir.join(file), fs::read(example.join(file)).unwrap()).unwrap();
    }
    let good = fs::read_to_string(&config).unwrap();
    fs::write(&config, good.replace("127.0.0.1:0", "[::]:0")).unwrap();
    let output = aldisd(&["run", "--config", &config]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("private keys are public"), "{}", text(&output.stderr));
    fs::write(&config, good).unwrap();
    let node = Running::start(&config);
    node.report("ready");
    assert_eq!(node.stop(), Some(0));
}

/// Asks a running node for a backup and gives its report.
fn back_up(dir: &Path) -> aldis_control::BackupReport {
    use futures_util::StreamExt;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut lines = aldis_control::Client::new(dir.join("aldis.sock")).backup().await.unwrap();
        loop {
            match lines.next().await.expect("a report ends it").unwrap() {
                aldis_control::BackupLine::Report(report) => return report,
                aldis_control::BackupLine::Progress(_) | aldis_control::BackupLine::Error(_) => {}
            }
        }
    })
}

#[test]
fn i9_a_node_whose_disk_is_lost_starts_again_from_its_backup() {
    let (parent, dir, config) = made();
    let backups = parent.path().join("backups");
    fs::create_dir(&backups).unwrap();
    set_mode(&backups, 0o700);
    let reference = fs::read_to_string(&config).unwrap();
    let with_backups = reference.replace("#directory = \"\"", &format!("directory = {:?}", backups.to_str().unwrap()));
    assert_ne!(with_backups, reference);
    fs::write(&config, &with_backups).unwrap();
    let node = Running::start(&config);
    node.report("ready");
    let report = back_up(&dir);
    // Under a daemon that runs nothing is restored, whatever is said.
    let (from, data) = (backups.to_str().unwrap(), dir.join("data").to_str().unwrap().to_owned());
    let words = ["restore", "--from", from, "--to", &data, "--config", &config];
    let output = aldisd(&[&words[..], &["--set-aside"]].concat());
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("stop it first"), "{}", text(&output.stderr));
    assert_eq!(node.stop(), Some(0));

    let output = aldisd(&["verify-backup", from]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("cert.br"), "{}", text(&output.stdout));
    assert_eq!(aldisd(&words).status.code(), Some(3), "there is a journal");
    let other = ["restore", "--from", from, "--to", &data, "--node", "cert.cl", "--set-aside"];
    assert_eq!(aldisd(&other).status.code(), Some(3), "it is not theirs");

    // Everything is lost but the backups and what the keys are sealed with.
    fs::remove_dir_all(&dir).unwrap();
    fs::create_dir(&dir).unwrap();
    let output = aldisd(&["restore", "--from", from, "--to", &data, "--node", "cert.br", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let restored: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&restored["records"], &restored["root"]), (&report.records.into(), &report.root.as_str().into()));
    for pair in restored["beside"].as_array().unwrap() {
        let to = Path::new(pair[1].as_str().unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(pair[0].as_str().unwrap(), to).unwrap();
    }
    let output = aldisd(&["check", &config]);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    let node = Running::start(&config);
    node.report("ready");
    assert_eq!(back_up(&dir).generation, backups.join("00000002").to_str().unwrap());
    assert_eq!(node.stop(), Some(0));

    // A flipped bit: found, placed, and not restored.
    let anchor = backups.join("00000002/journal/anchor");
    let mut bytes = fs::read(&anchor).unwrap();
    bytes[20] ^= 1;
    fs::write(&anchor, bytes).unwrap();
    let output = aldisd(&["verify-backup", from, "--json"]);
    assert_eq!(output.status.code(), Some(6));
    assert!(text(&output.stdout).contains("journal/anchor"), "{}", text(&output.stdout));
    assert_eq!(aldisd(&[&words[..], &["--set-aside"]].concat()).status.code(), Some(6));
}
