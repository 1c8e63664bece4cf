//! What administrators do at a terminal: a real one, made by the kernel, at which the test types.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use aldis_control::routes;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::daemon::{Daemon, answers, own_keys, peer_summary, pending_request, phrases};

/// How long the program may take to say the next thing.
const PATIENCE: Duration = Duration::from_secs(20);

/// A dialogue: what the program must say, and what is typed then.
type Dialogue<'a> = &'a [(&'a str, &'a str)];

/// A daemon that knows these phrases and takes whatever is asked.
fn daemon_with(phrases: Value) -> Daemon {
    Daemon::answering(answers(&[
        ("get", routes::STATUS, status()),
        ("get", routes::PEER_PHRASES, phrases),
        ("get", routes::REQUESTS, json!([pending_request()])),
        ("post", routes::PEER_ACT, json!({ "peer": peer_summary() })),
        ("post", routes::REQUEST_APPROVE, json!({ "peer": peer_summary() })),
        ("post", routes::KEYS_ROTATE, own_keys()),
    ]))
}

fn status() -> Value {
    json!({
        "node": "cert.cl", "version": "0.1.0", "incarnation": "00ff", "started_at": "2026-11-22T00:00:00.000Z",
        "ready": true, "log": { "state": "following" }, "journal": { "records": 1, "bytes": 2, "root": "33" },
        "waiting_in": 0, "waiting_out": 0, "peers": [], "alarms": [],
    })
}

/// Runs the command at a terminal and types as the dialogue says. Returns its exit code, all that was on the terminal,
/// and its standard output.
async fn converse(command: &mut Command, dialogue: Dialogue<'_>) -> (Option<i32>, String, String) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let terminal: OwnedFd = File::options().read(true).write(true).open(name).unwrap().into();
    command.stdin(Stdio::from(terminal.try_clone().unwrap())).stderr(Stdio::from(terminal));
    let child = command.arg("--no-color").spawn().unwrap();
    // The command holds the terminal's other end open; only without it does reading end with the program.
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let (said, heard) = mpsc::channel();
    let mut screen = File::from(master.try_clone().unwrap());
    let reader = std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        // Reading a terminal that nobody has open any more is an error, and the end.
        while let Ok(count @ 1..) = screen.read(&mut bytes) {
            let _gone = said.send(String::from_utf8_lossy(&bytes[..count]).into_owned());
        }
    });
    let mut keyboard = File::from(master);
    let (mut shown, mut seen) = (String::new(), 0);
    for (expected, typed) in dialogue {
        while !shown[seen..].contains(expected) {
            let more = heard.recv_timeout(PATIENCE);
            shown.push_str(&more.unwrap_or_else(|_| panic!("`{expected}` was not said: {shown}")));
        }
        seen = shown.len();
        keyboard.write_all(typed.as_bytes()).unwrap();
    }
    let output = child.wait_with_output().await.unwrap();
    reader.join().unwrap();
    shown.extend(heard.try_iter());
    (output.status.code(), shown, String::from_utf8(output.stdout).unwrap())
}

fn posted(daemon: &Daemon) -> Vec<Value> {
    daemon.asked().into_iter().filter(|(route, _)| route.starts_with("post ")).map(|(_, body)| body).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn our_words_are_read_out_and_theirs_are_typed_unseen() {
    let daemon = daemon_with(phrases(json!({})));
    let dialogue = [
        ("Now they read their words. Type them: ", "absurd adviser aardvark bodyguard acme\n"),
        (" 5 of 10, and then: ", "bookseller adrift bottomless adult bradbury\n"),
        ("Why, for those who review the record: ", "called Rui\n"),
    ];
    let (code, shown, stdout) = converse(&mut daemon.aldis(&["peer", "verify", "cert.br"]), &dialogue).await;
    assert_eq!((code, stdout.lines().next()), (Some(0), Some("cert.br is verified")), "{shown}");
    assert!(shown.contains("1-5  TISSUE") && shown.contains("6-10  HIDEAWAY"), "{shown}");
    assert!(!shown.contains("ABSURD"), "their words are on the screen: {shown}");
    let words = "absurd adviser aardvark bodyguard acme bookseller adrift bottomless adult bradbury";
    let expected = json!({ "id": "cert.br", "act": "verify", "key": "k1", "phrase": words, "why": "called Rui" });
    assert_eq!(posted(&daemon), [expected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_nobody_vouches_for_needs_typed_words_and_a_vouched_one_a_yes() {
    let daemon = daemon_with(phrases(json!({ "is_next_key": true })));
    let dialogue = [("Type them: ", "a b c d e f g h i j\n"), ("record: ", "their key was lost\n")];
    let (code, shown, _) = converse(&mut daemon.aldis(&["peer", "rotate", "cert.br"]), &dialogue).await;
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("by NOBODY") && !shown.contains("ABSURD"), "{shown}");
    assert_eq!(posted(&daemon)[0]["phrase"], "a b c d e f g h i j");

    let daemon = daemon_with(phrases(json!({ "is_next_key": true, "is_vouched": true })));
    let dialogue = [("Take this key? Type yes: ", "yes\n"), ("record: ", "yearly\n")];
    let (code, shown, _) = converse(&mut daemon.aldis(&["peer", "rotate", "cert.br"]), &dialogue).await;
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("by the key before") && shown.contains("ABSURD"), "{shown}");
    assert_eq!(posted(&daemon), [json!({ "id": "cert.br", "act": "accept-key", "key": "k1", "why": "yearly" })]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_without_a_yes() {
    let lines: [(&[&str], Dialogue); 4] = [
        (&["approve", "12"], &[("Approve request 12? Type yes: ", "y\n")]),
        (&["key", "rotate", "identity"], &[("Go on? Type yes: ", "no\n")]),
        (&["peer", "verify", "cert.br"], &[("Type them: ", "\n")]),
        // The end of input.
        (&["key", "rotate", "tls"], &[("Go on? Type yes: ", "\u{4}")]),
    ];
    for (words, dialogue) in lines {
        let daemon = daemon_with(phrases(json!({})));
        let (code, shown, stdout) = converse(&mut daemon.aldis(words), dialogue).await;
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{words:?}: {shown}");
        assert!(shown.contains("it was not confirmed"), "{words:?}: {shown}");
        assert_eq!(posted(&daemon), Vec::<Value>::new(), "{words:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_approves_at_a_terminal_sees_the_request_first() {
    let daemon = daemon_with(phrases(json!({})));
    let dialogue = [("Approve request 12? Type yes: ", "yes\n")];
    let (code, shown, stdout) = converse(&mut daemon.aldis(&["approve", "12", "--json"]), &dialogue).await;
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("ana (uid 1001)") && shown.contains("ABSURD"), "{shown}");
    assert!(shown.contains("called \\u{202e}Rui") && !shown.contains('\u{202e}'), "{shown}");
    assert_eq!(serde_json::from_str::<Value>(&stdout).unwrap()["peer"]["id"], "cert.br");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_is_cut_off_without_any_question_but_why() {
    let daemon = daemon_with(phrases(json!({})));
    let dialogue = [("record: ", "key stolen\n")];
    let (code, shown, _) = converse(&mut daemon.aldis(&["peer", "revoke", "cert.br"]), &dialogue).await;
    assert_eq!(code, Some(0), "{shown}");
    assert_eq!(posted(&daemon), [json!({ "id": "cert.br", "act": "revoke", "why": "key stolen" })]);
    let (code, shown, _) = converse(&mut daemon.aldis(&["peer", "revoke", "cert.br", "--why", "gone"]), &[]).await;
    assert_eq!(code, Some(0), "{shown}");
}
