//! The load: notices handed in over one bulk stream of the control API, with so many unanswered at each moment, each timed
//! from handing in its line to its answer.

use crate::Failure;
use aldis_control::{BulkLine, BulkOutcome, Client, DeliveryState, MessageId, Precedence, SendRequest, Tlp, Wait};
use futures_util::{StreamExt, stream};
use serde_json::json;
use std::time::Instant;
use tokio::sync::mpsc;

/// The length of the narrative that brings a body to 1 KiB.
const NARRATIVE_BYTES: usize = 952;
/// How many lines go into one piece of the request, if so many are there.
const LINES_PER_PIECE: usize = 64;
/// How long a notice may take to be receipted, in milliseconds.
const RECEIPT_MS: u64 = 30_000;

/// What became of a load.
pub(crate) struct Loaded {
    /// How long each notice took, in microseconds, shortest first.
    pub(crate) latencies_us: Vec<u64>,
    /// The one with the highest number, if any was sent.
    pub(crate) last: Option<MessageId>,
}

/// Hands in what `next` writes, the number of each from 0, until it gives nothing more and all is answered. Every answer
/// must say what `expected` wants.
pub(crate) async fn bulk(
    client: &Client,
    in_flight: usize,
    expected: DeliveryState,
    mut next: impl FnMut(u64) -> Option<Vec<u8>>,
) -> Result<Loaded, Failure> {
    let (to, lines) = mpsc::channel::<Vec<u8>>(in_flight);
    let lines = stream::unfold(lines, async |mut lines| lines.recv().await.map(|line| (line, lines)));
    let pieces = lines.boxed().ready_chunks(LINES_PER_PIECE).map(|lines| Ok(lines.concat()));
    let mut answers = client.send_bulk_lines(pieces).await?;
    let mut to = Some(to);
    let mut handed_in = Vec::with_capacity(in_flight);
    for _ in 0..in_flight {
        hand_in(&mut to, &mut handed_in, &mut next).await?;
    }
    let mut loaded = Loaded { latencies_us: Vec::new(), last: None };
    while let Some(answer) = answers.next().await {
        match answer? {
            BulkLine::Answer(answer) => {
                let took = handed_in[usize::try_from(answer.line)? - 1].elapsed();
                loaded.latencies_us.push(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
                let id = taken(answer.outcome, expected)?;
                loaded.last = loaded.last.filter(|last| last.seq > id.seq).or(Some(id));
                hand_in(&mut to, &mut handed_in, &mut next).await?;
            }
            BulkLine::Progress(_) => {}
            BulkLine::Report(report) if report.stopped.is_none() => {}
            BulkLine::Report(report) => return Err(format!("the bulk was stopped: {report:?}").into()),
        }
    }
    loaded.latencies_us.sort_unstable();
    Ok(loaded)
}

/// Hands in the next line, or ends the request if there is none.
async fn hand_in(
    to: &mut Option<mpsc::Sender<Vec<u8>>>,
    handed_in: &mut Vec<Instant>,
    next: &mut impl FnMut(u64) -> Option<Vec<u8>>,
) -> Result<(), Failure> {
    let Some(open) = to else { return Ok(()) };
    match next(u64::try_from(handed_in.len())?) {
        Some(line) => {
            handed_in.push(Instant::now());
            open.send(line).await?;
        }
        // The end of its last sender ends the request.
        None => *to = None,
    }
    Ok(())
}

/// The name of a notice that came as far as it was to come.
fn taken(outcome: BulkOutcome, expected: DeliveryState) -> Result<MessageId, Failure> {
    match outcome {
        BulkOutcome::Sent(mut sent) if sent.messages.iter().all(|message| message.state == expected) => {
            Ok(sent.messages.pop().ok_or("a notice to nobody")?.id)
        }
        other => Err(format!("the notice is not {}: {other:?}", expected.as_str()).into()),
    }
}

/// A notice of 1 KiB whose sender waits for the verified receipt.
pub(crate) fn notice(to: &[&str], precedence: Precedence) -> SendRequest {
    let body =
        json!({ "subject": "benchmark", "class": "test", "type": "test", "narrative": "n".repeat(NARRATIVE_BYTES) });
    SendRequest {
        wait: Some(Wait::Stored),
        wait_ms: Some(RECEIPT_MS),
        ..SendRequest::new(to, "incident", precedence, Tlp::Green, body)
    }
}

/// A request as a line of bulk.
pub(crate) fn line(request: &SendRequest) -> Vec<u8> {
    let mut line = serde_json::to_vec(request).expect("a request is made of strings and numbers");
    line.push(b'\n');
    line
}
