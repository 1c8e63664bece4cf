//! `aldis send --bulk`: hands a file of messages to the daemon line by line, and says of each that was not sent why. What a
//! line says is for the daemon to judge; nothing is filled in here.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::thread;

use aldis_control::{BulkAnswer, BulkLine, BulkOutcome, BulkReport, DeliveryState, Exit, SentMessage, VerifyProgress};
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::mpsc;

use super::{Session, verify};
use crate::failure::Failure;
use crate::screen;

/// How much of the file is read at once, and how many such pieces wait for the daemon.
const PIECE_BYTES: usize = 64 * 1024;
const PIECES_WAITING_MAX: usize = 4;

pub(crate) async fn run(session: &Session, path: &Path) -> Result<(), Failure> {
    let failed = |source| Failure::File { doing: "read", path: path.to_owned(), source };
    let total = lines_in(path).map_err(failed)?;
    let (pieces, reading) = pieces(path).map_err(failed)?;
    let mut lines = session.client.send_bulk_lines(pieces).await?;
    let bar = verify::bar(session);
    let mut tally = Tally::default();
    while let Some(line) = lines.next().await {
        let line = line?;
        if session.json {
            let text = serde_json::to_string(&line).expect("answers are made of strings, lists and maps");
            session.write(format!("{}\n", screen::json(&text)).as_bytes())?;
        }
        match line {
            BulkLine::Answer(answer) => {
                let complaint = tally.count(&answer);
                if let Some(text) = complaint.filter(|_| !session.json) {
                    bar.suspend(|| session.write(text.as_bytes()))?;
                }
                let what = "messages".to_owned();
                verify::advance(&bar, &VerifyProgress { done: tally.answered(), total, what });
            }
            BulkLine::Progress(_) => {}
            BulkLine::Report(report) => {
                bar.finish_and_clear();
                if !session.json {
                    session.write(tally.summary(&report).as_bytes())?;
                }
                if report.stopped.is_none() {
                    // The daemon has had all of it, so the reader has ended; what it could not read is not there.
                    reading.join().unwrap_or_else(|_| Err(io::Error::other("the reader broke off"))).map_err(failed)?;
                }
                return tally.judged(report);
            }
        }
    }
    // The client itself turns a bulk without a report into an error, so this is only the shape of the loop.
    Err(Failure::Explained(Exit::Other.code()))
}

/// How many lines the file has, to show how far it has come; 0 for what is read only once.
fn lines_in(path: &Path) -> io::Result<u64> {
    if path.as_os_str() == "-" || !path.metadata()?.is_file() {
        return Ok(0);
    }
    let mut file = File::open(path)?;
    let (mut buffer, mut lines) = (vec![0; PIECE_BYTES], 0);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(lines),
            read => lines += buffer[..read].iter().filter(|byte| **byte == b'\n').count() as u64,
        }
    }
}

/// The file piece by piece, read by a thread of its own: standard input may say nothing for long, and nobody should wait
/// for it once the daemon has ended.
fn pieces(
    path: &Path,
) -> io::Result<(impl Stream<Item = io::Result<Vec<u8>>> + Send + 'static, thread::JoinHandle<io::Result<()>>)> {
    let mut source: Box<dyn Read + Send> =
        if path.as_os_str() == "-" { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    let (to, pieces) = mpsc::channel(PIECES_WAITING_MAX);
    let reading = thread::spawn(move || {
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            let read = match source.read(&mut piece) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            piece.truncate(read);
            if read == 0 || to.blocking_send(piece).is_err() {
                return Ok(());
            }
        }
    });
    let pieces = stream::unfold(pieces, async |mut pieces: mpsc::Receiver<Vec<u8>>| {
        pieces.recv().await.map(|piece| (Ok(piece), pieces))
    });
    Ok((pieces, reading))
}

/// What became of the messages so far.
#[derive(Debug, Default)]
struct Tally {
    sent: u64,
    stored: u64,
    drafts: u64,
    failed: u64,
    /// The first line that failed, in the order of the file, and its exit code.
    first: Option<(u64, u8)>,
}

impl Tally {
    /// Counts an answer; returns the line that is shown of it, if it failed.
    fn count(&mut self, answer: &BulkAnswer) -> Option<String> {
        match &answer.outcome {
            BulkOutcome::Sent(sent) if sent.draft.is_some() => self.drafts += 1,
            BulkOutcome::Sent(sent) => {
                let is_stored = |message: &SentMessage| message.state == DeliveryState::Stored;
                self.stored += u64::from(!sent.messages.is_empty() && sent.messages.iter().all(is_stored));
                self.sent += 1;
            }
            BulkOutcome::Error(error) => {
                self.failed += 1;
                if self.first.is_none_or(|(line, _)| answer.line < line) {
                    self.first = Some((answer.line, error.exit));
                }
                let (message, advice) = (screen::cell(&error.message), screen::cell(&error.advice));
                return Some(format!("line {}: {message}; {advice}\n", answer.line));
            }
        }
        None
    }

    fn answered(&self) -> u64 {
        self.sent + self.drafts + self.failed
    }

    /// Two lines at most: what became of all, and from where on nothing was taken.
    fn summary(&self, report: &BulkReport) -> String {
        let mut text = format!("{} sent", self.sent);
        for (count, what) in [
            (self.stored, "of them stored at every recipient"),
            (self.drafts, "waiting for another person to release them"),
            (self.failed, "failed"),
        ] {
            if count > 0 {
                text.push_str(&format!(", {count} {what}"));
            }
        }
        text.push('\n');
        if let Some(stopped) = &report.stopped {
            text.extend([&screen::cell(stopped), "\n"]);
        }
        text
    }

    fn judged(&self, report: BulkReport) -> Result<(), Failure> {
        match (self.first, report.stopped) {
            (None, None) => Ok(()),
            (Some((_, exit)), _) => {
                let what = format!("{} of {} messages were not sent", self.failed, report.lines);
                Err(Failure::NotAllSent { what, exit })
            }
            (None, Some(what)) => Err(Failure::NotAllSent { what, exit: Exit::Other.code() }),
        }
    }
}
