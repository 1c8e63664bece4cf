//! Commands that run `aldisd`, and what the package builder asks for.

use std::os::unix::fs::symlink;

use tempfile::TempDir;
use tokio::process::Command;

use crate::{aldis, at, finish};

const INIT: [&str; 12] = [
    "init",
    "node",
    "--id=cert.br",
    "--name=-CERT",
    "--country=BR",
    "--listen=127.0.0.1:0",
    "--endpoint=a:1",
    "--endpoint",
    "b:2",
    "--seal=credential",
    "--passphrase-fd=3",
    "--no-color",
];

/// The program under another roof, beside an `aldisd` that is really some other program, or none.
fn aldis_beside(aldisd: Option<&str>) -> (TempDir, Command) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let program = directory.path().join("aldis");
    std::fs::hard_link(env!("CARGO_BIN_EXE_aldis"), &program).unwrap();
    if let Some(other) = aldisd {
        symlink(other, directory.path().join("aldisd")).unwrap();
    }
    let mut command = at(program.to_str().unwrap());
    command.env("PATH", directory.path());
    (directory, command)
}

#[tokio::test]
async fn init_hands_everything_to_the_daemon_beside_it() {
    let (_directory, mut command) = aldis_beside(Some("/bin/echo"));
    let ended = finish(command.args(INIT)).await;
    let expected = "init node --id=cert.br --name=-CERT --country=BR --listen=127.0.0.1:0 --seal=credential \
        --endpoint=a:1 --endpoint=b:2 --passphrase-fd=3\n";
    assert_eq!(ended.expect_done(), expected);
}

#[tokio::test]
async fn showing_a_card_needs_no_running_daemon() {
    let (_directory, mut command) = aldis_beside(Some("/bin/echo"));
    let ended = finish(command.args(["card", "show", "--json", "a card"])).await;
    assert_eq!(ended.expect_done(), "card-show --json -- a card\n");
}

#[tokio::test]
async fn backups_are_verified_and_put_back_without_a_running_daemon() {
    let (_directory, mut command) = aldis_beside(Some("/bin/echo"));
    let ended = finish(command.args(["backup", "--verify", "a b", "--json"])).await;
    assert_eq!(ended.expect_done(), "verify-backup --json -- a b\n");
    let (_directory, mut command) = aldis_beside(Some("/bin/echo"));
    let ended = finish(command.args(["restore", "--from", "a b", "--to=c", "--node=cert.br", "--set-aside"])).await;
    assert_eq!(ended.expect_done(), "restore --from=a b --to=c --node=cert.br --set-aside\n");
}

#[tokio::test]
async fn the_exit_code_of_aldisd_is_ours() {
    let (_directory, mut command) = aldis_beside(Some("/bin/false"));
    let ended = finish(command.args(INIT)).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""), "{ended:?}");
}

#[tokio::test]
async fn without_aldisd_it_says_what_to_install() {
    let (_directory, mut command) = aldis_beside(None);
    finish(command.args(INIT)).await.expect(1, &["cannot run aldisd", "install aldisd beside aldis"]);
}

#[tokio::test]
async fn completions_and_man_pages_are_written() {
    let ended = finish(aldis().args(["completions", "bash"])).await;
    assert!(ended.expect_done().contains("_aldis()"));
    let directory = tempfile::tempdir().unwrap();
    finish(aldis().arg("man").arg(directory.path())).await.expect_done();
    let page = std::fs::read_to_string(directory.path().join("aldis-send.1")).unwrap();
    assert!(page.contains("amber+strict"), "{page}");
}
