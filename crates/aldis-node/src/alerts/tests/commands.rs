//! The channel `command`, against programs that do their best to hurt.

use super::support::{eventually, script};
use crate::alerts::{Command, CommandError};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn command(program: PathBuf, arguments: &[&str]) -> Command {
    Command { program, arguments: arguments.iter().map(ToString::to_string).collect() }
}

async fn run(program: PathBuf) -> Result<(), CommandError> {
    let command = command(program, &[]);
    tokio::time::timeout(super::support::PATIENCE, command.run(b"{}")).await.expect("the command ends")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[tokio::test]
async fn a_command_gets_its_arguments_a_document_and_nothing_of_the_nodes_environment() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let lines = "cat > \"$1\"; echo \"$2\" >> \"$1\"; env >> \"$1\"";
    let program = script(dir.path(), "page", lines);
    let odd = "$(touch /tmp/never); `id` && \"x";
    command(program, &[out.to_str().unwrap(), odd]).run(b"{\"v\":1}\n").await.unwrap();
    let said = read(&out);
    assert!(said.starts_with(&format!("{{\"v\":1}}\n{odd}\n")), "{said}");
    let mut names: Vec<&str> = said.lines().skip(2).filter_map(|line| line.split('=').next()).collect();
    names.retain(|name| !["PWD", "SHLVL", "_", "OLDPWD"].contains(name));
    names.sort_unstable();
    assert_eq!(names, ["HOME", "LANG", "PATH"]);
}

#[tokio::test]
async fn a_command_that_fails_says_why_in_its_first_line_escaped() {
    let dir = tempfile::tempdir().unwrap();
    let error = run(script(dir.path(), "page", "printf 'no \\033[31mmodem\\nmore' >&2; exit 3")).await.unwrap_err();
    assert_eq!(error.to_string(), "exit code 3: no \\u{1b}[31mmodem");
    let error = run(script(dir.path(), "silent", "exit 1")).await.unwrap_err();
    assert_eq!(error.to_string(), "exit code 1: it printed nothing");
    let error = run(script(dir.path(), "shot", "kill -9 $$")).await.unwrap_err();
    assert!(matches!(error, CommandError::Killed(9)), "{error}");
}

#[tokio::test]
async fn a_command_that_is_missing_unsafe_or_no_program_is_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    let path = script(dir.path(), "page", "exit 0");
    let with_mode = |mode| {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        command(path.clone(), &[]).fault()
    };
    assert_eq!(with_mode(0o755), None);
    assert!(with_mode(0o775).unwrap().contains("chmod go-w"));
    assert!(with_mode(0o757).unwrap().contains("chmod go-w"));
    assert!(with_mode(0o644).unwrap().contains("chmod a+x"));
    let error = run(dir.path().join("gone")).await.unwrap_err().to_string();
    assert!(error.contains("No such file"), "{error}");
    assert!(run(dir.path().to_owned()).await.unwrap_err().to_string().contains("no file"));
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    fs::write(&path, "neither script nor program").unwrap();
    assert!(matches!(run(path).await, Err(CommandError::Start { .. })));
}

#[tokio::test]
async fn a_command_that_hangs_is_killed_with_all_that_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let pids = dir.path().join("pids");
    let program = script(dir.path(), "page", "sleep 600 & echo $$ $! > \"$1\"; wait");
    let hanging = command(program, &[pids.to_str().unwrap()]);
    let running = tokio::spawn(async move { hanging.run(b"{}").await });
    eventually("the script runs", || read(&pids).ends_with('\n')).await;
    let processes: Vec<String> = read(&pids).split_whitespace().map(|pid| format!("/proc/{pid}")).collect();
    assert!(processes.iter().all(|process| Path::new(process).exists()));
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    // A process that was killed may wait for its parent to look; it runs no more.
    let is_gone = |process: &String| {
        let status = read(&Path::new(process).join("status"));
        status.is_empty() || status.contains("State:\tZ")
    };
    eventually("the script and its child are gone", || processes.iter().all(is_gone)).await;
}

#[tokio::test]
async fn a_command_that_prints_without_end_is_not_held_up() {
    let dir = tempfile::tempdir().unwrap();
    let endless = script(dir.path(), "page", "yes >&2 & yes");
    let running = command(endless, &[]);
    let timed = tokio::time::timeout(Duration::from_millis(500), running.run(b"{}")).await;
    assert!(timed.is_err(), "it prints for as long as it may");
    // A gigabyte and then an end, well within the time.
    let much = script(dir.path(), "much", "head -c 1000000000 /dev/zero; head -c 200000000 /dev/zero >&2; exit 0");
    run(much).await.unwrap();
}

#[tokio::test]
async fn a_command_that_does_not_read_or_leaves_a_child_behind_has_done_its_work() {
    let dir = tempfile::tempdir().unwrap();
    let deaf = command(script(dir.path(), "deaf", "exec < /dev/null; exit 0"), &[]);
    let document = vec![b'x'; 1 << 20];
    deaf.run(&document).await.unwrap();
    let pid = dir.path().join("pid");
    let lines = "sleep 600 & echo $! > \"$1\"; exit 0";
    command(script(dir.path(), "forks", lines), &[pid.to_str().unwrap()]).run(b"{}").await.unwrap();
    let child = rustix::process::Pid::from_raw(read(&pid).trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(child, rustix::process::Signal::KILL).unwrap();
}
