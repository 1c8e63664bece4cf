//! How `aldis watch` makes an alert noticed: at a real terminal, made by the kernel, and where there is none.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use aldis_control::routes;
use axum::Router;
use axum::routing::get;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio::process::Command;

use crate::daemon::Daemon;

/// How long the program may take to say the next thing.
const PATIENCE: Duration = Duration::from_secs(20);

/// One alert, one thing that is none, and then nothing more for as long as somebody listens.
fn daemon() -> Daemon {
    let events = async || {
        let said = concat!(
            "id: e1\ndata: {\"at\":\"2026-11-22T03:00:00.000Z\",\"what\":\"alert\",\"text\":\"alert 41: FLASH \\u0007 x\"}\n\n",
            "id: e2\ndata: {\"at\":\"2026-11-22T03:00:00.000Z\",\"what\":\"link\",\"text\":\"the end\"}\n\n",
        );
        let silence = futures_util::stream::pending::<Result<&'static str, std::io::Error>>();
        let first = futures_util::stream::once(async move { Ok(said) });
        axum::body::Body::from_stream(futures_util::StreamExt::chain(first, silence))
    };
    Daemon::serving(Router::new().route(routes::EVENTS, get(events)))
}

/// All that stands on a terminal when the end has been said.
async fn at_terminal(command: &mut Command) -> String {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let terminal: OwnedFd = File::options().read(true).write(true).open(name).unwrap().into();
    let mut child = command.arg("--no-color").stdout(Stdio::from(terminal)).spawn().unwrap();
    command.stdout(Stdio::null());
    let (said, heard) = mpsc::channel();
    let mut screen = File::from(master);
    // Reading a terminal that nobody has open any more is an error, and the end.
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = screen.read(&mut bytes) {
            let _gone = said.send(String::from_utf8_lossy(&bytes[..count]).into_owned());
        }
    });
    let mut shown = String::new();
    while !shown.contains("the end") {
        let more = heard.recv_timeout(PATIENCE);
        shown.push_str(&more.unwrap_or_else(|_| panic!("the end was not said: {shown:?}")));
    }
    child.kill().await.unwrap();
    shown
}

fn watching(daemon: &Daemon, term: &str, words: &[&str]) -> Command {
    let mut command = daemon.aldis(words);
    command.env("TERM", term).env_remove("TERM_PROGRAM");
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_rings_once_at_a_terminal_and_nothing_else_does() {
    let daemon = daemon();
    let shown = at_terminal(&mut watching(&daemon, "xterm-256color", &["watch"])).await;
    assert_eq!((shown.matches('\u{7}').count(), shown.matches('\u{1b}').count()), (1, 0), "{shown:?}");
    let shown = at_terminal(&mut watching(&daemon, "xterm-kitty", &["watch"])).await;
    assert!(shown.starts_with("\u{1b}]9;alert 41: FLASH \\u{7} x\u{1b}\\\u{7}"), "{shown:?}");
    let shown = at_terminal(&mut watching(&daemon, "xterm-kitty", &["watch", "--no-bell"])).await;
    assert!(!shown.contains(['\u{7}', '\u{1b}']), "{shown:?}");
    let shown = at_terminal(&mut watching(&daemon, "xterm-kitty", &["watch", "--json"])).await;
    assert!(!shown.contains(['\u{7}', '\u{1b}']), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_terminal_is_not_rung_at() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let daemon = daemon();
    let mut child = watching(&daemon, "xterm-kitty", &["watch"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
    assert_eq!(line, "03:00:00Z alert    alert 41: FLASH \\u{7} x");
    child.kill().await.unwrap();
}
