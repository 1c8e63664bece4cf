//! What people ask of a node that holds many messages: its inbox, a case, the log by peer, by time and by kind. Each
//! question is asked many times, never twice the same where it names something, and timed from outside.

use crate::Failure;
use crate::results::{number, percentile};
use crate::size::{PER_CASE, case_of};
use aldis_control::{CaseQuery, Client, ListQuery, LogQuery, UnixMillis};
use std::time::Instant;

/// How often each question is asked in a run.
const ASKED: u64 = 100;
/// Steps through all there is in an order that neither the disk nor a cache expects: a prime.
const STRIDE: u64 = 7_919;
/// Which part of the whole time a search by time asks for.
const TIME_PART: u64 = 50;

/// What the node holds.
pub(crate) struct Held {
    /// How many messages.
    pub(crate) messages: u64,
    /// Their senders.
    pub(crate) peers: [String; 2],
    /// When the first was sent.
    pub(crate) since: UnixMillis,
    /// When the last had come.
    pub(crate) until: UnixMillis,
}

/// The p99 of each question, in milliseconds.
pub(crate) async fn once(client: &Client, held: &Held) -> Result<Vec<(&'static str, f64)>, Failure> {
    let inbox = asked(async |_| {
        let rows = client.inbox(&ListQuery::default()).await?;
        Ok(rows.len())
    });
    let case = asked(async |turn| {
        let id = case_of(turn * STRIDE % held.messages).to_string();
        let found = client.case(&CaseQuery { id }).await?.messages.len();
        // The last case may be shorter.
        if held.messages > PER_CASE && found == 0 { Err("an empty case".into()) } else { Ok(found) }
    });
    let by_peer = asked(async |turn| {
        let peer = held.peers[usize::try_from(turn % 2)?].clone();
        log(client, LogQuery { peer: Some(peer), ..LogQuery::default() }).await
    });
    let by_time = asked(async |turn| {
        let whole = held.until.0 - held.since.0;
        let since = held.since.0 + turn * STRIDE % whole.max(1);
        let until = Some(UnixMillis(since + whole / TIME_PART + 1));
        log(client, LogQuery { since: Some(UnixMillis(since)), until, ..LogQuery::default() }).await
    });
    let by_kind =
        asked(async |_| log(client, LogQuery { kind: Some("incident".to_owned()), ..LogQuery::default() }).await);
    Ok(vec![
        ("inbox_p99_ms", inbox.await?),
        ("case_p99_ms", case.await?),
        ("search_by_peer_p99_ms", by_peer.await?),
        ("search_by_time_p99_ms", by_time.await?),
        ("search_by_kind_p99_ms", by_kind.await?),
    ])
}

async fn log(client: &Client, query: LogQuery) -> Result<usize, Failure> {
    Ok(client.log(&query).await?.rows.len())
}

/// Asks a question many times. At least one answer must hold something, or nothing was searched.
async fn asked(question: impl AsyncFn(u64) -> Result<usize, Failure>) -> Result<f64, Failure> {
    let (mut took_us, mut found) = (Vec::new(), 0);
    for turn in 0..ASKED {
        let begun = Instant::now();
        found += question(turn).await?;
        took_us.push(u64::try_from(begun.elapsed().as_micros())?);
    }
    if found == 0 {
        return Err("a search that was to find something found nothing".into());
    }
    took_us.sort_unstable();
    Ok(number(percentile(&took_us, 99)) / 1_000.0)
}
