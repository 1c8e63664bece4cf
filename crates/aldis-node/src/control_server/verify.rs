//! Verification: walks journal and log and answers in lines of JSON, progress first, one report last. One walk at a time;
//! it ends when whoever asked goes away.

use super::failure::Failure;
use super::{Context, Shared};
use crate::journal::{self, TreeHead};
use crate::log::LogStatus;
use crate::log::query::QueryError;
use aldis_control::{ApiError, Exit, VerifyFinding, VerifyLine, VerifyProgress, VerifyReport};
use aldis_core::record::Record;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// How many lines may wait for the client. Progress that finds no room is left out.
const LINES_WAITING_MAX: usize = 16;

/// How long a verification waits for the log to catch up with the journal before it begins.
const LOG_WAIT: Duration = Duration::from_secs(10);

/// Walks journal and log.
pub(super) async fn verify(State(server): Shared) -> Result<Response, Failure> {
    let place = Arc::clone(&server.verification).try_acquire_owned().map_err(|_| {
        let message = "a verification is under way already";
        Failure::new(Exit::Refused, "busy", message, "wait for it to end").with_status(StatusCode::CONFLICT)
    })?;
    // The running node is itself an anchor: the journal on disk must hold all that it holds.
    let floor = server.context.loop_handle.view().await?.journal;
    // A log that only just opens is waited for; one that cannot be had is told of at the end.
    server.context.log.wake();
    let _behind = server.context.log.caught_up(floor.size, LOG_WAIT).await;
    let (lines, waiting) = mpsc::channel(LINES_WAITING_MAX);
    let context = server.context.clone();
    let walk = tokio::task::spawn_blocking({
        let lines = lines.clone();
        move || {
            let _place = place;
            walk(&context, floor, &lines)
        }
    });
    tokio::spawn(async move {
        let last = match walk.await {
            Ok(last) => last,
            Err(ended) => match ended.try_into_panic() {
                Ok(unwound) if unwound.is::<GoneAway>() => return,
                _ => VerifyLine::Error(Failure::internal("the verification broke off").into_error()),
            },
        };
        // Whoever asked may have gone at the very end; the report is for nobody else.
        let _gone = lines.send(last).await;
    });
    let stopping = server.stopping.clone();
    let lines = ReceiverStream::new(waiting).map(|line| Ok::<_, Infallible>(written(&line)));
    let body = Body::from_stream(lines.take_until(stopping.cancelled_owned()));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// Unwinds the walk when nobody listens any more; it is not a panic and no panic hook sees it.
struct GoneAway;

/// The walk itself, first through the journal, then along the log; returns the last line.
fn walk(context: &Context, floor: TreeHead, lines: &mpsc::Sender<VerifyLine>) -> VerifyLine {
    let tell = |done: u64, total: u64, what: &str| {
        let progress = VerifyProgress { done, total, what: what.to_owned() };
        if matches!(lines.try_send(VerifyLine::Progress(progress)), Err(mpsc::error::TrySendError::Closed(_))) {
            std::panic::resume_unwind(Box::new(GoneAway));
        }
    };
    let erasures = RefCell::new(Erasures::new(context.journal.clone()));
    let is_erased = |record| erasures.borrow_mut().contains(record);
    let of_journal = journal::verify(&context.journal_dir, Some(floor), &is_erased, &mut |done, total, segment| {
        tell(done, total, &format!("journal {segment}"));
    });
    let mut report = match of_journal {
        Ok(report) => shown(report),
        Err(error) => {
            let advice = "keep a copy of the directory before anything else";
            return VerifyLine::Error(ApiError::new(Exit::Integrity, "journal-unreadable", error.to_string(), advice));
        }
    };
    let of_log = context.log.query().and_then(|log| {
        log.verify(&mut |done, total| {
            tell(done, total, "log");
            true
        })
    });
    match of_log {
        Ok(log) => {
            report.log_rows = log.rows;
            report.findings.extend(log.findings);
        }
        // A log that will be there in a moment is no finding; damage of the journal is told all the same.
        Err(error @ QueryError::NotReady(LogStatus::Opening { .. } | LogStatus::Rebuilding { .. }))
            if report.findings.is_empty() =>
        {
            return VerifyLine::Error(error.into());
        }
        Err(error) => report.findings.push(VerifyFinding {
            place: "the message log".to_owned(),
            what: format!("it could not be compared: {error}"),
            advice: "see the log's state in `aldis status`; it is built again from the journal".to_owned(),
        }),
    }
    report.ok = report.findings.is_empty();
    VerifyLine::Report(report)
}

/// The bodies whose erasure the journal records. They are looked for only when a walk meets an erased one, and only as
/// far as the journal has come by then.
struct Erasures {
    journal: journal::Reader,
    /// The first record not looked at yet.
    next: u64,
    found: BTreeSet<u64>,
}

impl Erasures {
    fn new(journal: journal::Reader) -> Self {
        Self { journal, next: 0, found: BTreeSet::new() }
    }

    fn contains(&mut self, record: journal::RecordSeq) -> bool {
        if !self.found.contains(&record.0) {
            self.read_on();
        }
        self.found.contains(&record.0)
    }

    fn read_on(&mut self) {
        let mut records = self.journal.iter_from(journal::RecordSeq(self.next));
        while self.next < self.journal.committed() {
            match records.next() {
                Some(Ok(record)) => {
                    if let Ok(Record::BodyErased(erased)) = Record::decode(&record.record) {
                        self.found.insert(erased.record.0);
                    }
                }
                // The walk that asks reports it.
                Some(Err(_)) => records = self.journal.iter_from(journal::RecordSeq(self.next + 1)),
                None => return,
            }
            self.next += 1;
        }
    }
}

/// The report on the journal. Whether all is well is known only after the log.
fn shown(report: journal::VerifyReport) -> VerifyReport {
    let mut findings: Vec<VerifyFinding> = report.findings.iter().map(finding).collect();
    if report.further_findings > 0 {
        findings.push(VerifyFinding {
            place: "journal".to_owned(),
            what: format!("{} further places are damaged", report.further_findings),
            advice: "see to the ones that are named, then verify again".to_owned(),
        });
    }
    VerifyReport { ok: false, records: report.records, segments: report.segments, log_rows: 0, findings }
}

fn finding(finding: &journal::Finding) -> VerifyFinding {
    let record = finding.record.map_or_else(String::new, |record| format!(" (record {record})"));
    VerifyFinding {
        place: format!("{} at byte {}{record}", finding.file, finding.offset),
        what: finding.what.clone(),
        advice: finding.advice.to_owned(),
    }
}

fn written(line: &VerifyLine) -> Bytes {
    let mut text = serde_json::to_string(line).expect("a line is made of strings and numbers");
    text.push('\n');
    text.into()
}
