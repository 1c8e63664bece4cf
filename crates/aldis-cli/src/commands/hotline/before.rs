//! What a conversation came to that another one has taken the place of: the daemon shows only the latest, so this is
//! read from its case.

use aldis_control::{CaseQuery, Client, Direction, HotlineSummary, MessageView, UnixMillis};
use serde::Deserialize;

/// The body of the turn that ends a conversation, as far as it is needed here.
#[derive(Deserialize)]
struct Closed {
    summary: Option<Signed>,
}

/// The summary as its writer signed it.
#[derive(Deserialize)]
struct Signed {
    opened_at: UnixMillis,
    closed_at: UnixMillis,
    /// The writer's lines, and the other side's.
    lines: [u32; 2],
    reason: String,
}

/// The summary of a case, if it can be had.
pub(super) async fn summary(client: &Client, case: &str) -> Option<HotlineSummary> {
    let view = client.case(&CaseQuery { id: case.to_owned() }).await.ok()?;
    view.messages.iter().rev().find_map(summary_in)
}

fn summary_in(message: &MessageView) -> Option<HotlineSummary> {
    let body = message.body.clone().filter(|_| message.row.kind == "hotline-line")?;
    let Signed { opened_at, closed_at, lines: [own, other], reason } = Closed::deserialize(body).ok()?.summary?;
    let is_ours = message.row.direction == Direction::Out;
    let (lines_ours, lines_theirs) = if is_ours { (own, other) } else { (other, own) };
    let closed_by = message.row.id.from.clone();
    Some(HotlineSummary { opened_at, closed_at, closed_by, lines_ours, lines_theirs, reason })
}
