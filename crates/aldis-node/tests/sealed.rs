//! The real `aldisd` with sealed keys: how it gets its passphrase, what it says without one, sealing and resealing.

mod fresh;

use aldis_node::clock::Clock;
use aldis_node::config::Config;
use aldis_node::keys::{Keyring, OwnKeys, Secret, Source};
use fresh::PASSPHRASE;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const NEW: &str = "an entirely different passphrase";

/// A node, its directory and its configuration.
fn made() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    fresh::make(&parent.path().join("node"));
    let config = parent.path().join("node/aldisd.toml");
    (parent, config)
}

/// Runs a script in a session of its own, so that there is no terminal to ask on. In it `$0` is the program and `$1`
/// the configuration.
fn without_terminal(script: &str, config: &Path) -> Output {
    let program = env!("CARGO_BIN_EXE_aldisd");
    let mut command = Command::new("setsid");
    command.args(["--wait", "sh", "-c", script, program]).arg(config);
    command.env_remove("CREDENTIALS_DIRECTORY").stdin(Stdio::null()).output().unwrap()
}

/// Runs `aldisd` with a text on standard input.
fn fed(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_aldisd"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end without reading.
    let _unread = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn opens(config: &Path, secret: &str) -> bool {
    let config = Config::load(config).unwrap();
    let mut keyring = Keyring::new(Source::Given(Secret::new(secret.into())));
    OwnKeys::load(&config, &mut keyring, Clock::system().system_time()).is_ok()
}

#[test]
fn a_passphrase_comes_from_standard_input_or_another_descriptor() {
    let (parent, config) = made();
    let output = fed(&["check", "--passphrase-fd=0", config.to_str().unwrap()], &format!("{PASSPHRASE}\nrest"));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let file = parent.path().join("passphrase");
    fs::write(&file, PASSPHRASE).unwrap();
    let script = format!("exec \"$0\" check --passphrase-fd 7 \"$1\" 7<{}", file.display());
    let output = without_terminal(&script, &config);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let script = format!("cat {} | \"$0\" check --passphrase-fd 8 \"$1\" 8<&0", file.display());
    let output = without_terminal(&script, &config);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn without_terminal_or_credential_it_says_what_to_do_and_ends_with_2() {
    let (_parent, config) = made();
    for script in ["exec \"$0\" run --config \"$1\"", "exec \"$0\" check \"$1\""] {
        let output = without_terminal(script, &config);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains("--passphrase-fd N"), "{}", said(&output));
    }
    let text = fs::read_to_string(&config).unwrap().replace("seal = \"passphrase\"", "seal = \"credential\"");
    fs::write(&config, text).unwrap();
    let output = without_terminal("exec \"$0\" run --config \"$1\"", &config);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("systemd-creds encrypt --name=aldis-seal"), "{}", said(&output));
}

#[test]
fn a_wrong_passphrase_ends_with_2_and_is_not_repeated() {
    let (_parent, config) = made();
    let config = config.to_str().unwrap();
    for args in [["run", "--passphrase-fd=0", "--config", config].as_slice(), &["check", "--passphrase-fd=0", config]] {
        let output = fed(args, "incorrect horse battery staple\n");
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains("does not open"), "{}", said(&output));
        assert!(!said(&output).contains("horse"), "{}", said(&output));
    }
}

#[test]
fn a_short_new_passphrase_makes_no_node() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("node");
    let who = ["--id=cert.br", "--name=CERT", "--country=BR", "--listen=127.0.0.1:0", "--passphrase-fd=0"];
    let output = fed(&[["init", dir.to_str().unwrap()].as_slice(), &who].concat(), "elevenchars\n");
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("at least 12 characters"), "{}", said(&output));
    assert!(!dir.exists());
}

#[test]
fn resealing_changes_the_passphrase_and_sealing_finds_nothing_to_do() {
    let (parent, config) = made();
    let output = fed(&["key", "seal", "--config", config.to_str().unwrap()], "");
    assert!(said(&output).contains("sealed already"), "{}", said(&output));
    let [old, new] = [("old", PASSPHRASE), ("new", NEW)].map(|(name, passphrase)| {
        let file = parent.path().join(name);
        fs::write(&file, passphrase).unwrap();
        file.display().to_string()
    });
    let script =
        format!("exec \"$0\" key reseal --config \"$1\" --passphrase-fd 3 --new-passphrase-fd 4 3<{old} 4<{new}");
    let output = without_terminal(&script, &config);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(!said(&output).contains("passphrase\n") && !said(&output).contains("horse"), "{}", said(&output));
    assert!(opens(&config, NEW) && !opens(&config, PASSPHRASE));
    let output = without_terminal(&script, &config);
    assert_eq!(output.status.code(), Some(2), "the old passphrase is over: {}", said(&output));
    assert!(opens(&config, NEW));
}
