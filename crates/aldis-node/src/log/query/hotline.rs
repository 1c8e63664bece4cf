//! The turns of a hotline, as its people see them.

use aldis_control::{DeliveryState, Direction, HotlineEntry, HotlineSummary, UnixMillis};
use aldis_wire::ids::{CaseId, NodeId};
use serde_json::Value;

use super::{Found, Order, Query, QueryError, Red, peer, shown, shown_id};
use crate::log::rows::Way;

/// The most turns that are shown: the latest.
pub const TURNS_SHOWN_MAX: usize = 500;

/// The most messages of a case that are looked at for them.
const LOOKED_AT_MAX: usize = 5_000;

/// What a conversation looks like.
#[derive(Debug, Default)]
pub struct Conversation {
    /// Its turns, oldest first.
    pub entries: Vec<HotlineEntry>,
    /// What it came to, once it is over.
    pub summary: Option<HotlineSummary>,
}

impl Query {
    /// The latest turns of the conversation with a peer that `case` names, at most `most`. The words of TLP:RED are left
    /// out.
    pub fn hotline(&self, case: CaseId, with: &NodeId, most: usize) -> Result<Conversation, QueryError> {
        let mut found: Vec<Found> = Vec::new();
        let mut looked_at = 0;
        self.walk_case(case, Order::Descending, |key, name| {
            looked_at += 1;
            let is_turn =
                |one: &Found| peer(one) == with && matches!(one.message.kind.as_str(), "hotline" | "hotline-line");
            found.extend(self.found(key, name)?.filter(is_turn));
            Ok(found.len() < most.min(TURNS_SHOWN_MAX) && looked_at < LOOKED_AT_MAX)
        })?;
        // By the journal, for the wall clock may have been set back in between.
        found.sort_by_key(|one| one.message.record);
        let mut conversation = Conversation::default();
        for one in &found {
            self.add_turn(one, &mut conversation)?;
        }
        Ok(conversation)
    }

    fn add_turn(&self, found: &Found, conversation: &mut Conversation) -> Result<(), QueryError> {
        let (body, body_absent) = match self.json(found, Red::Withheld)? {
            Ok(body) => (body, None),
            Err(absence) => (Value::Null, Some(absence)),
        };
        let field = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default();
        let (part, text) = match (found.message.kind.as_str(), field("text")) {
            ("hotline", "") => ("opened", field("subject").to_owned()),
            ("hotline", text) => ("opened", format!("{}: {text}", field("subject"))),
            (_, text) => (if body_absent.is_some() { "line" } else { field("part") }, text.to_owned()),
        };
        // That something was read is a mark on the lines, and no turn.
        if part == "read" {
            return Ok(());
        }
        let header = self.journalled(found)?.map(|journalled| journalled.header);
        if part == "closed" {
            conversation.summary = summary(found, &body).or(conversation.summary.take());
        }
        conversation.entries.push(HotlineEntry {
            id: shown_id(&found.id),
            direction: if found.message.way == Way::Out { Direction::Out } else { Direction::In },
            at: shown(found.message.sent_at),
            author: header.map_or_else(String::new, |header| header.author.to_string()),
            part: part.to_owned(),
            text,
            body_absent,
            state: self.state(found)?,
        });
        Ok(())
    }
}

fn summary(found: &Found, body: &Value) -> Option<HotlineSummary> {
    let summary = body.get("summary")?;
    let time = |field: &str| summary.get(field)?.as_str()?.parse::<UnixMillis>().ok();
    let lines = |place: usize| u32::try_from(summary.get("lines")?.get(place)?.as_u64()?).ok();
    let (ours, theirs) = if found.message.way == Way::Out { (0, 1) } else { (1, 0) };
    Some(HotlineSummary {
        opened_at: time("opened_at")?,
        closed_at: time("closed_at")?,
        closed_by: found.id.from.to_string(),
        lines_ours: lines(ours)?,
        lines_theirs: lines(theirs)?,
        reason: summary.get("reason")?.as_str()?.to_owned(),
    })
}

/// Raises the state of our turns to what people there were shown, and of the peer's to what people here were.
pub fn mark_read(entries: &mut [HotlineEntry], read_here: u64, read_there: u64) {
    for entry in entries.iter_mut().filter(|entry| entry.state == DeliveryState::Stored) {
        let through = if entry.direction == Direction::Out { read_there } else { read_here };
        if entry.id.seq <= through {
            entry.state = DeliveryState::Seen;
        }
    }
}
