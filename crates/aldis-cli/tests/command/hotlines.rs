//! `aldis hotline` against a played daemon: what it does when that does not do what it should. Conversations of two
//! real nodes are among the system tests.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use aldis_control::{ApiError, Exit, routes};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use futures_util::{StreamExt, stream};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::{Value, json};
use tokio::process::Child;

use crate::daemon::Daemon;
use crate::finish_with_input;

/// How long the program may take to say the next thing.
const PATIENCE: Duration = Duration::from_secs(30);

const CASE: &str = "mfrggzdfmztwq2lknnwg23tpoa";
const OTHER: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaa";

type Answer = (StatusCode, String);
type Events = tokio::sync::mpsc::UnboundedReceiver<String>;

/// What the daemon has, and what it was asked.
struct Plays {
    /// What is shown of the hotline.
    session: Mutex<Value>,
    /// What becomes of each line; all that come after the last are taken, and shown.
    lines: Mutex<VecDeque<ApiError>>,
    /// What becomes of leaving and ending, if it is no success.
    close: Option<ApiError>,
    asked: Mutex<Vec<(&'static str, Value)>>,
    events: Mutex<VecDeque<Events>>,
}

fn session(changes: Value) -> Value {
    let mut session = json!({
        "case": CASE, "opening": "cert.cl/cert.br/F1", "state": "open", "opened_at": "2026-11-22T03:00:00.000Z",
        "tlp": "amber", "desk": "technical", "here": ["ana"], "there": ["rui"], "read_here": 0, "read_there": 0,
        "entries": [],
    });
    session.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    session
}

fn event(what: &str, peer: &str, text: &str) -> String {
    let event = json!({ "at": "2026-11-22T03:00:00.000Z", "what": what, "peer": peer, "text": text });
    format!("id: e1\ndata: {event}\n\n")
}

impl Plays {
    fn new(lines: &[ApiError], close: Option<ApiError>) -> (Arc<Self>, tokio::sync::mpsc::UnboundedSender<String>) {
        let (tell, events) = tokio::sync::mpsc::unbounded_channel();
        let plays = Self {
            session: Mutex::new(session(json!({}))),
            lines: Mutex::new(lines.iter().cloned().collect()),
            close,
            asked: Mutex::default(),
            events: Mutex::new([events].into()),
        };
        (Arc::new(plays), tell)
    }

    fn serve(self: &Arc<Self>) -> Daemon {
        let handler = |what: &'static str| {
            let plays = Arc::clone(self);
            move |body: String| std::future::ready(plays.answer(what, &body))
        };
        let plays = Arc::clone(self);
        let events = async move || {
            let Some(events) = plays.events.lock().unwrap().pop_front() else {
                return Err(refusal(ApiError::new(Exit::Refused, "missing-role", "you may not", "ask")));
            };
            let told = stream::unfold(events, |mut events| async move {
                Some((Ok::<_, std::io::Error>(events.recv().await?), events))
            });
            let hello = stream::once(async { Ok(": hello\n\n".to_owned()) });
            Ok(axum::body::Body::from_stream(hello.chain(told)))
        };
        Daemon::serving(
            Router::new()
                .route(routes::EVENTS, get(events))
                .route(routes::HOTLINE, get(handler("look")).post(handler("come")))
                .route(routes::HOTLINE_LINE, post(handler("line")))
                .route(routes::HOTLINE_READ, post(handler("read")))
                .route(routes::HOTLINE_CLOSE, post(handler("close")))
                .route(routes::CASE, get(handler("case"))),
        )
    }

    fn answer(&self, what: &'static str, body: &str) -> Answer {
        let body = serde_json::from_str(body).unwrap_or_default();
        self.asked.lock().unwrap().push((what, body));
        let mut session = self.session.lock().unwrap();
        let view = match what {
            "line" => match self.lines.lock().unwrap().pop_front() {
                Some(error) => return refusal(error),
                None => json!({ "id": "cert.cl/cert.br/F9", "to": "cert.br", "state": "submitted", "digest": "cd" }),
            },
            "close" if self.close.is_some() => return refusal(self.close.clone().unwrap()),
            "case" => return (StatusCode::OK, crossed().to_string()),
            "come" => {
                session["state"] = json!("open");
                json!({ "peer": "cert.br", "session": *session })
            }
            _ => json!({ "peer": "cert.br", "session": *session }),
        };
        (StatusCode::OK, view.to_string())
    }

    fn said(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let lines = asked.iter().filter(|(what, _)| *what == "line");
        lines
            .map(|(_, line)| format!("{} {}", line["case"].as_str().unwrap(), line["text"].as_str().unwrap()))
            .collect()
    }

    fn has(&self, words: &str) {
        let id = json!("cert.cl/cert.br/F9");
        let entry = json!({ "id": id, "direction": "out", "at": "2026-11-22T03:00:00.000Z", "author": "ana",
                            "part": "line", "text": words, "state": "submitted" });
        *self.session.lock().unwrap() = session(json!({ "entries": [entry] }));
    }
}

/// The case of a conversation that gave way to another.
fn crossed() -> Value {
    let mut end = crate::daemon::message_view();
    let summary = json!({ "opened_at": "2026-11-22T03:00:00.000Z", "closed_at": "2026-11-22T03:01:05.000Z",
                          "lines": [3, 2], "reason": "ended" });
    let changes = json!({ "id": "cert.cl/cert.br/F8", "kind": "hotline-line", "direction": "out",
                          "body": { "part": "closed", "summary": summary } });
    end.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    json!({ "case": CASE, "messages": [end] })
}

fn refusal(error: ApiError) -> Answer {
    (StatusCode::from_u16(error.http_status()).unwrap(), serde_json::to_string(&error).unwrap())
}

fn unknown(code: &str) -> ApiError {
    ApiError::new(Exit::Unreachable, code, "it is not known", "look")
}

/// The program at a terminal, at which the test types.
struct Desk {
    child: Child,
    keyboard: File,
    heard: mpsc::Receiver<String>,
    shown: String,
}

impl Desk {
    fn at(daemon: &Daemon) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        // Wide enough that nothing a test looks for is folded.
        tcsetwinsize(&master, Winsize { ws_row: 50, ws_col: 240, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let terminal = || Stdio::from(File::options().read(true).write(true).open(&name).unwrap());
        let mut command = daemon.aldis(&["hotline", "cert.br", "--no-color"]);
        command.env("TERM", "xterm-256color").env_remove("TERM_PROGRAM");
        let child = command.stdin(terminal()).stdout(terminal()).stderr(terminal()).spawn().unwrap();
        drop(command);
        let (said, heard) = mpsc::channel();
        let mut screen = File::from(master.try_clone().unwrap());
        // Reading a terminal that nobody has open any more is an error, and the end.
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                let _gone = said.send(String::from_utf8_lossy(&bytes[..count]).into_owned());
            }
        });
        Self { child, keyboard: File::from(master), heard, shown: String::new() }
    }

    fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    #[track_caller]
    fn sees(&mut self, words: &str) {
        while !self.shown.contains(words) {
            let more = self.heard.recv_timeout(PATIENCE);
            self.shown.push_str(&more.unwrap_or_else(|_| panic!("`{words}` is not seen: {}", self.shown)));
        }
    }

    /// Its exit code, once it has ended and everything is on the screen.
    async fn ends(&mut self) -> Option<i32> {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let code = ended.unwrap_or_else(|_| panic!("it does not end: {}", self.shown)).unwrap().code();
        self.shown.extend(self.heard.iter());
        code
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i5_a_line_that_the_daemon_may_have_taken_is_not_said_twice() {
    for code in ["late", "stopping"] {
        let (plays, tell) = Plays::new(&[unknown(code)], None);
        tell.send(event("hotline", "cert.br", "it moved")).unwrap();
        let daemon = plays.serve();
        let ended = finish_with_input(&mut daemon.aldis(&["hotline", "cert.br"]), b"one\n").await;
        ended.expect(4, &["of 1 line it is not known whether it was said", "before you say them again"]);
        assert_eq!(plays.said(), [format!("{CASE} one")], "{code}: {ended:?}");
    }
    // It was taken after all, and so it shows.
    let (plays, _tell) = Plays::new(&[unknown("late")], None);
    let daemon = plays.serve();
    let mut desk = Desk::at(&daemon);
    desk.sees("Hotline with cert.br");
    plays.has("one");
    desk.types("one\r");
    desk.sees("whether the line was taken is not known");
    desk.types("\u{4}");
    assert_eq!((desk.ends().await, plays.said().len()), (Some(0), 1), "{}", desk.shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn piped_lines_that_are_not_said_end_with_a_failure_and_a_piece_of_a_line_is_no_command() {
    let declined = ApiError::new(Exit::Refused, "no-hotline", "none is open", "open one");
    let (plays, _tell) = Plays::new(&[declined], None);
    let daemon = plays.serve();
    let long = format!("{}/quit", "x".repeat(4_000));
    let input = format!("one\n{long}\n");
    let ended = finish_with_input(&mut daemon.aldis(&["hotline", "cert.br"]), input.as_bytes()).await;
    ended.expect(3, &["1 line not said"]);
    assert_eq!(plays.said(), [format!("{CASE} one"), format!("{CASE} {}", &long[..4_000]), format!("{CASE} /quit")]);
    assert!(ended.stdout.contains("not said: none is open; open one"), "{ended:?}");
    let (plays, _tell) = Plays::new(&[], None);
    let daemon = plays.serve();
    let ended = finish_with_input(&mut daemon.aldis(&["hotline", "cert.br"]), b"one\n\xff\n").await;
    ended.expect(3, &["1 line not said"]);
    let (plays, _tell) = Plays::new(&[], None);
    let daemon = plays.serve();
    let ended = finish_with_input(&mut daemon.aldis(&["hotline", "cert.br"]), "ñ\n".as_bytes()).await;
    ended.expect_done();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_twice_is_let_go_and_told_what_was_not_said() {
    let (plays, _tell) = Plays::new(&[unknown("busy"), unknown("busy")], None);
    let daemon = plays.serve();
    let mut desk = Desk::at(&daemon);
    desk.sees("Hotline with cert.br");
    desk.types("hello\r");
    desk.sees("the line waits here");
    desk.types("\u{3}");
    desk.sees("leaving once what waits has gone, 1 in all; Ctrl-C leaves now");
    desk.types("\u{3}");
    assert_eq!(desk.ends().await, Some(4), "{}", desk.shown);
    assert!(desk.shown.contains("aldis: 1 line not said"), "{}", desk.shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_terminated_ends_at_once_and_gives_the_terminal_back() {
    let (plays, _tell) = Plays::new(&[unknown("busy"), unknown("busy")], None);
    let daemon = plays.serve();
    let mut desk = Desk::at(&daemon);
    desk.sees("Hotline with cert.br");
    let is_raw = |desk: &Desk| {
        let modes = rustix::termios::tcgetattr(&desk.keyboard).unwrap().local_modes;
        !modes.contains(rustix::termios::LocalModes::ICANON)
    };
    assert!(is_raw(&desk));
    desk.types("hello\r");
    desk.sees("the line waits here");
    let pid = rustix::process::Pid::from_raw(i32::try_from(desk.child.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(desk.ends().await, Some(4), "{}", desk.shown);
    assert!(!is_raw(&desk), "the terminal is not given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_hotline_from_being_ended_is_said() {
    let refused = ApiError::new(Exit::Refused, "missing-desk", "not your desk", "ask for it");
    let (plays, _tell) = Plays::new(&[], Some(refused));
    let daemon = plays.serve();
    let mut desk = Desk::at(&daemon);
    desk.sees("Hotline with cert.br");
    desk.types("/quit\r");
    desk.sees("not ended: not your desk; ask for it");
    desk.types("\u{4}");
    assert_eq!(desk.ends().await, Some(3), "{}", desk.shown);
    let (plays, _tell) = Plays::new(&[], Some(unknown("late")));
    let daemon = plays.serve();
    let mut desk = Desk::at(&daemon);
    desk.types("/quit\r");
    desk.sees("whether the hotline was ended is not known");
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_an_alert_about_anybody_is_shown_and_rings() {
    let (plays, tell) = Plays::new(&[], None);
    let daemon = plays.serve();
    let mut desk = Desk::at(&daemon);
    desk.sees("Hotline with cert.br");
    tell.send(event("link", "cert.br", "the link is down")).unwrap();
    desk.sees("-- the link is down");
    assert!(!desk.shown.contains('\u{7}'), "{:?}", desk.shown);
    tell.send(event("alert", "cert.uy", "alert 41: FLASH from cert.uy")).unwrap();
    desk.sees("** alert 41: FLASH from cert.uy");
    assert_eq!(desk.shown.matches('\u{7}').count(), 1, "{:?}", desk.shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_listen_any_more_is_told_and_not_kept_waiting() {
    let (plays, tell) = Plays::new(&[], None);
    let daemon = plays.serve();
    let mut desk = Desk::at(&daemon);
    desk.sees("Hotline with cert.br");
    drop(tell);
    assert_eq!(desk.ends().await, Some(3), "{}", desk.shown);
    assert!(desk.shown.contains("aldis: you may not"), "{}", desk.shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn i12_what_was_typed_for_one_conversation_is_not_said_in_the_next() {
    let (plays, tell) = Plays::new(&[unknown("busy")], None);
    let daemon = plays.serve();
    let mut desk = Desk::at(&daemon);
    desk.sees("Hotline with cert.br");
    desk.types("for the first\r");
    desk.sees("the line waits here");
    *plays.session.lock().unwrap() = session(json!({ "case": OTHER, "tlp": "clear" }));
    tell.send(event("hotline", "cert.br", "it moved")).unwrap();
    desk.sees("is over (ended): ended by cert.cl after 0:01:05; lines here 3, there 2");
    desk.sees("what is said from here on is TLP:CLEAR, and no more TLP:AMBER");
    desk.sees("not said, for it was typed in case");
    desk.types("for the second\r");
    desk.types("\u{4}");
    assert_eq!(desk.ends().await, Some(0), "{}", desk.shown);
    assert_eq!(plays.said(), [format!("{CASE} for the first"), format!("{OTHER} for the second")]);
}
