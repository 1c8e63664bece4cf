//! Sending in bulk: a program hands in messages line by line over one connection, and is answered line by line as each is
//! known. Every line goes the way of a single message (`send`); only the waiting is done for many at once.
//!
//! One task per stream reads the lines in order, hands each to the core without waiting for its commit, and collects the
//! answers. What it holds is bounded: with [`UNANSWERED_MAX`] lines unanswered it reads nothing more.

use super::bulk_lines::{BulkLines, BulkLinesError};
use super::caller::{Caller, Credentials};
use super::failure::Failure;
use super::send::{self, Expected};
use super::{Server, Shared, extract, permits};
use crate::access::{Grant, Rules};
use crate::event_loop::HandedIn;
use aldis_control::{BulkAnswer, BulkLine, BulkOutcome, BulkProgress, BulkReport, SendRequest, SendResponse};
use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

const CONTENT_TYPE: &str = "application/x-ndjson";

/// How many lines of one stream may be without an answer that the client could read.
pub(super) const UNANSWERED_MAX: usize = 1_024;

/// How many pieces of answers wait for the connection. While they wait the next grows, so that many answers are one write.
const PIECES_WAITING_MAX: usize = 2;

/// For how long an answer of the system's user database holds for further lines. It is about as old when a single message
/// is on disk; a change of the rules counts at once.
const ASKED_HOLDS: Duration = Duration::from_millis(20);

/// How long a client may go on writing after it was told that nothing more is taken.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// Takes messages and answers for each.
pub(super) async fn bulk(
    State(server): Shared,
    Extension(credentials): Extension<Credentials>,
    request: Request,
) -> Result<Response, Failure> {
    extract::check_type(request.headers(), CONTENT_TYPE)?;
    let (pieces, waiting) = mpsc::channel(PIECES_WAITING_MAX);
    let bulk = Bulk {
        server,
        lines: BulkLines::new(request.into_body()),
        asked: Asked { credentials, known: None },
        said: Said::default(),
        stopped: None,
    };
    tokio::spawn(bulk.run(pieces));
    let body = Body::from_stream(ReceiverStream::new(waiting).map(Ok::<_, Infallible>));
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response())
}

/// One stream of messages.
struct Bulk {
    server: Arc<Server>,
    lines: BulkLines,
    asked: Asked,
    said: Said,
    /// Why the rest of the request is not taken.
    stopped: Option<String>,
}

/// A line that the core has and has not answered.
struct Pending {
    number: u64,
    handed_in: HandedIn,
    expected: Expected,
}

impl Bulk {
    async fn run(mut self, pieces: mpsc::Sender<Bytes>) {
        let right_of_way = self.server.context.right_of_way.clone();
        let stopping = self.server.stopping.clone();
        let mut stopping = pin!(stopping.cancelled());
        let (silence, beat) = (self.server.limits.bulk_silence, self.server.limits.bulk_heartbeat);
        let mut silent = pin!(tokio::time::sleep(silence));
        let mut heartbeat = pin!(tokio::time::sleep(beat));
        let mut pending = FuturesUnordered::new();
        let (mut reading, mut had_room) = (true, true);
        while reading || !pending.is_empty() {
            let room = pending.len() + self.said.answers < UNANSWERED_MAX;
            if room && !had_room {
                // While nothing was read the client could say nothing.
                silent.as_mut().reset(Instant::now() + silence);
            }
            had_room = room;
            let makes_way = right_of_way.is_taken();
            tokio::select! {
                // Answers first, then what is written of them: whoever waits for one is not kept waiting by new lines.
                biased;
                Some((number, answer)) = pending.next(), if !pending.is_empty() => self.said.answer(number, answer),
                room = pieces.reserve(), if !self.said.is_empty() => {
                    // What was handed in stays, whether anybody is there to hear of it or not.
                    let Ok(room) = room else { return self.log("the client left") };
                    room.send(self.said.piece());
                    heartbeat.as_mut().reset(Instant::now() + beat);
                }
                () = &mut stopping, if reading => reading = self.stop("the node is stopping"),
                () = right_of_way.free(), if makes_way && reading && room => {}
                line = self.lines.next(), if !makes_way && reading && room => {
                    silent.as_mut().reset(Instant::now() + silence);
                    match self.take(line).await {
                        Ok(Some(line)) => pending.push(answered(Arc::clone(&self.server), line)),
                        Ok(None) => {}
                        Err(Ended) => reading = false,
                    }
                }
                () = &mut silent, if reading && room => {
                    reading = self.stop(&format!("nothing came for {} s", silence.as_secs()));
                }
                () = &mut heartbeat => {
                    heartbeat.as_mut().reset(Instant::now() + beat);
                    if self.said.is_empty() {
                        self.said.progress();
                    }
                }
                () = pieces.closed() => return self.log("the client left"),
            }
        }
        self.end(pieces).await;
    }

    /// Hands one line in. `Ok(None)` if it has its answer already, `Err` if no more lines are taken.
    async fn take(&mut self, line: Result<Option<(u64, Bytes)>, BulkLinesError>) -> Result<Option<Pending>, Ended> {
        let (number, line) = match line {
            Ok(Some(line)) => line,
            Ok(None) => return Err(Ended),
            Err(error) => {
                self.stop(&error.to_string());
                return Err(Ended);
            }
        };
        let known = self.asked.again(&self.server).await;
        if let Err(failure) = permits::check_sends_in_bulk(&self.server, &known.caller, &known.grant) {
            self.stop_before(number, &failure.into_error().message);
            return Err(Ended);
        }
        self.said.counts.lines += 1;
        match hand_in(&self.server, &known.caller, &known.grant, &line).await {
            Ok((handed_in, expected)) => Ok(Some(Pending { number, handed_in, expected })),
            Err(failure) => {
                self.said.answer(number, Err(failure));
                Ok(None)
            }
        }
    }

    /// Takes no more lines, from the next one on.
    fn stop(&mut self, why: &str) -> bool {
        self.stop_before(self.lines.next_number(), why);
        false
    }

    fn stop_before(&mut self, line: u64, why: &str) {
        self.stopped = Some(format!("nothing was taken from line {line} on: {why}"));
    }

    /// Every line that was taken has its answer: says so.
    async fn end(mut self, pieces: mpsc::Sender<Bytes>) {
        self.said.report(self.stopped.clone());
        if pieces.send(self.said.piece()).await.is_err() {
            return self.log("the client left");
        }
        self.log(self.stopped.as_deref().unwrap_or("done"));
        drop(pieces);
        if self.stopped.is_some() && !self.server.stopping.is_cancelled() {
            // Whoever writes on for longer may lose the report; what was answered holds.
            let _drained = tokio::time::timeout(DRAIN_LIMIT, self.lines.drain()).await;
        }
    }

    fn log(&self, outcome: &str) {
        let Asked { credentials, known } = &self.asked;
        let user = known.as_ref().map(|known| known.caller.by().to_string());
        let BulkProgress { lines, sent, failed } = self.said.counts;
        tracing::info!(?credentials, user, lines, sent, failed, outcome, "bulk");
    }
}

/// No more lines are taken.
struct Ended;

async fn hand_in(
    server: &Server,
    caller: &Caller,
    grant: &Grant,
    line: &[u8],
) -> Result<(HandedIn, Expected), Failure> {
    let request: SendRequest = extract::parsed(line)?;
    let (composed, expected) = send::prepare(server, caller, grant, request).await?;
    let handed_in = server.context.loop_handle.compose_in_bulk(composed, expected.follows());
    let handed_in = send::in_time(server, handed_in).await?;
    Ok((handed_in, expected))
}

async fn answered(server: Arc<Server>, line: Pending) -> (u64, Result<SendResponse, Failure>) {
    (line.number, send::answer(&server, line.handed_in, line.expected).await)
}

/// Who sends, and what they may do, asked anew for each line.
struct Asked {
    credentials: Credentials,
    known: Option<Arc<Known>>,
}

/// What was known of the sender at one moment.
struct Known {
    at: Instant,
    rules: Arc<Rules>,
    caller: Caller,
    grant: Grant,
}

impl Asked {
    /// Who sends and what they may do now, or were known to a moment ago.
    async fn again(&mut self, server: &Server) -> Arc<Known> {
        let rules = server.context.access.rules();
        let holds = |known: &&Arc<Known>| known.at.elapsed() < ASKED_HOLDS && Arc::ptr_eq(&known.rules, &rules);
        if let Some(known) = self.known.as_ref().filter(holds) {
            return Arc::clone(known);
        }
        let (caller, grant) = Caller::look_up(self.credentials, server).await;
        let known = Arc::new(Known { at: Instant::now(), rules, caller, grant });
        self.known = Some(Arc::clone(&known));
        known
    }
}

/// What has been said and is not on its way yet.
#[derive(Default)]
struct Said {
    text: Vec<u8>,
    /// How many answers stand in the text.
    answers: usize,
    counts: BulkProgress,
}

impl Said {
    fn answer(&mut self, line: u64, answer: Result<SendResponse, Failure>) {
        let outcome = match answer {
            Ok(sent) => {
                self.counts.sent += 1;
                BulkOutcome::Sent(sent)
            }
            Err(failure) => {
                self.counts.failed += 1;
                BulkOutcome::Error(failure.into_error())
            }
        };
        self.answers += 1;
        self.write(&BulkLine::Answer(BulkAnswer { line, outcome }));
    }

    fn progress(&mut self) {
        self.write(&BulkLine::Progress(self.counts));
    }

    fn report(&mut self, stopped: Option<String>) {
        let BulkProgress { lines, sent, failed } = self.counts;
        self.write(&BulkLine::Report(BulkReport { lines, sent, failed, stopped }));
    }

    fn write(&mut self, line: &BulkLine) {
        serde_json::to_writer(&mut self.text, line).expect("a line is made of strings and numbers");
        self.text.push(b'\n');
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// All of it in one piece.
    fn piece(&mut self) -> Bytes {
        self.answers = 0;
        std::mem::take(&mut self.text).into()
    }
}
