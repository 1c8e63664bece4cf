//! One message in full, and a case with all of its messages.

use aldis_control::{AnswerResponse, AnswerView, CaseView, Direction, HistoryEntry, LadderMark, MessageView};
use serde_json::Value;

use super::attachments::files;
use super::rows::state_word;
use super::{Page, count, precedence_word};
use crate::paint::{Tone, precedence_tone};
use crate::screen;
use crate::table::WIDTH;
use crate::when;

/// The order in which the fields of a body are shown; what is not named here follows, so nothing is ever left out.
const BODY_ORDER: [&str; 25] = [
    "class",
    "type",
    "severity",
    "stage",
    "expected_action",
    "reply_by",
    "suspected_malicious",
    "cross_border",
    "sectors",
    "detected_at",
    "started_at",
    "ended_at",
    "aware_at",
    "source_reliability",
    "information_credibility",
    "likelihood",
    "intent",
    "attribution",
    "other_classifications",
    "language",
    "state",
    "status",
    "justification",
    "until",
    "assets",
];

/// Fields of a body that have their own place: the subject above, the running text below.
const BODY_ELSEWHERE: [&str; 3] = ["subject", "narrative", "text"];

/// How deep a body is taken apart; what lies deeper is shown as JSON.
const MAX_DEPTH: usize = 4;

/// One message in full.
pub(crate) fn message(view: &MessageView, page: Page) -> String {
    let row = &view.row;
    let mut shown = title(view, page);
    if let Some(exercise) = &row.exercise {
        shown.push_str(&page.toned_field("EXERCISE", exercise, Tone::Exercise));
    }
    shown.push_str(&page.toned_field("Subject", &row.subject, Tone::Heading));
    shown.push_str(&envelope(view, page));
    if let Some(refusal) = &row.refusal {
        shown.push_str(&page.toned_field("Refused", &format!("{}: {}", refusal.code, refusal.text), Tone::Bad));
    }
    if let Some(mark) = &row.ladder {
        shown.push_str(&ladder(mark, page));
    }
    if let Some(held) = &row.held {
        shown.push_str(&page.toned_field("Held", &format!("{held}: it is not sent now"), Tone::Bad));
    }
    if let Some(revoked_at) = row.sender_revoked_at {
        let text = format!("its sender was revoked {}; this came before", when::full(revoked_at, page.now));
        shown.push_str(&page.toned_field("From before", &text, Tone::Heading));
    }
    if let Some(by) = &row.superseded_by {
        shown.push_str(&page.toned_field("Superseded by", &by.to_string(), Tone::Bad));
    }
    if let Some(by) = &row.recalled_by {
        shown.push_str(&page.toned_field("Recall", &format!("its sender asks to erase it, in {by}"), Tone::Bad));
    }
    shown.push_str(&files(row, page));
    shown.push_str(&body(view, page));
    for answer in &view.answers {
        shown.extend(["\n", &answer_text(answer, page)]);
    }
    shown.push_str(&evidence(view, page));
    shown
}

/// A case with its messages, oldest first.
pub(crate) fn case(view: &CaseView, page: Page) -> String {
    let mut shown = page.heading(&format!("Case {}: {}", view.case, count(view.messages.len(), "message")));
    for view in &view.messages {
        shown.extend(["\n", &"─".repeat(WIDTH), "\n", &message(view, page)]);
    }
    shown
}

/// What was said about a message, and under which name it went out.
pub(crate) fn answered(response: &AnswerResponse, page: Page) -> String {
    let message = &response.message;
    let state = state_word(message.state, None);
    page.field("Answered", &format!("with {} ({state})", message.id))
}

/// Id, precedence, marking and state on the first line.
fn title(view: &MessageView, page: Page) -> String {
    let row = &view.row;
    let word = precedence_word(row.precedence);
    let precedence = match &row.exercise {
        Some(_) => page.paint.apply(Tone::Exercise, &format!("EXERCISE {word}")),
        None => page.paint.apply(precedence_tone(row.precedence), &word),
    };
    let parts = [
        page.paint.apply(Tone::Heading, &screen::cell(&row.id.to_string())),
        precedence,
        page.paint.apply(Tone::Tlp(row.tlp), row.tlp.label()),
        state_word(row.state, row.status),
    ];
    let late = if row.late { format!("  {}", page.paint.apply(Tone::Bad, "LATE")) } else { String::new() };
    format!("{}{late}\n", parts.join("  "))
}

fn envelope(view: &MessageView, page: Page) -> String {
    let row = &view.row;
    let whence = if row.direction == Direction::In { "From" } else { "To" };
    let mut shown = page.field(whence, &row.peer);
    shown.push_str(&page.field("Also to", &view.also_to.join(", ")));
    shown.push_str(&page.field("Author", view.author.as_deref().unwrap_or_default()));
    shown.push_str(&page.field("Released by", view.released_by.as_deref().unwrap_or_default()));
    shown.push_str(&page.field("On behalf of", view.on_behalf_of.as_deref().unwrap_or_default()));
    shown.push_str(&page.field("Sent", &when::full(row.sent_at, page.now)));
    if let Some(received_at) = row.received_at {
        shown.push_str(&page.field("Received", &when::full(received_at, page.now)));
    }
    if let Some(reply_by) = row.reply_by {
        shown.push_str(&page.toned_field("Reply by", &when::full(reply_by, page.now), Tone::Heading));
    }
    shown.push_str(&page.field("Expires", &when::full(row.expires_at, page.now)));
    shown.push_str(&page.field("Kind", &format!("{}, desk {}", row.kind, row.desk)));
    shown.push_str(&page.field("Case", &row.case));
    for reference in &view.references {
        shown.push_str(&page.field("Reference", &format!("{} {}", reference.role, reference.id)));
    }
    shown
}

/// How far the ladder has climbed, and what happens next and when.
fn ladder(mark: &LadderMark, page: Page) -> String {
    let mut shown = String::new();
    if mark.climbs() {
        let name = mark.name.as_deref().map(|name| format!(", {name}")).unwrap_or_default();
        let text = format!("{}: step {} of {}{name}", mark.silence, mark.step, mark.of);
        shown.push_str(&page.toned_field("SILENCE", &text, Tone::Bad));
    }
    let text = match &mark.next {
        Some(next) if next.step == 0 => format!("{} is told that it came", next.name),
        Some(next) => {
            let (at, name) = (when::full(next.at, page.now), &next.name);
            format!("{at} step {} of {}, {name}, if nothing comes before ({})", next.step, mark.of, next.cause)
        }
        None => "nobody else: that was the last step".to_owned(),
    };
    shown.push_str(&page.field("Next", &text));
    shown
}

fn body(view: &MessageView, page: Page) -> String {
    let mut shown = String::new();
    if let Some(absent) = &view.body_absent {
        shown.push_str(&page.toned_field("No body", &format!("{}: {}", absent.code, absent.text), Tone::Bad));
    }
    if let Some(body) = &view.body {
        shown.push_str(&body_in_full(body, page));
    }
    shown
}

/// Every field of a body, and at last its running text.
pub(super) fn body_in_full(body: &Value, page: Page) -> String {
    let mut shown = String::new();
    match body {
        Value::Object(fields) => {
            shown.push('\n');
            let order = |name: &str| BODY_ORDER.iter().position(|known| *known == name).unwrap_or(BODY_ORDER.len());
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort_by_key(|name| order(name));
            for name in names.into_iter().filter(|name| !BODY_ELSEWHERE.contains(&name.as_str())) {
                shown.push_str(&body_field(&label(name), &fields[name], page));
            }
            for name in ["narrative", "text"] {
                if let Some(Value::String(text)) = fields.get(name) {
                    shown.extend(["\n", &screen::block(text, "  | ", WIDTH)]);
                }
            }
        }
        other => shown.push_str(&page.field("Body", &other.to_string())),
    }
    shown
}

/// One field of a body; a list has one line per item.
fn body_field(name: &str, value: &Value, page: Page) -> String {
    match value {
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().map(|item| page.field(name, &inline(item, 0))).collect()
        }
        _ => page.field(name, &inline(value, 0)),
    }
}

/// A value on one line: `kind ip, value 192.0.2.7`.
fn inline(value: &Value, depth: usize) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        _ if depth >= MAX_DEPTH => value.to_string(),
        Value::Array(items) => items.iter().map(|item| inline(item, depth + 1)).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let parts = fields.iter().filter(|(_, inner)| !inner.is_null());
            let parts = parts.map(|(name, inner)| format!("{} {}", name.replace('_', " "), inline(inner, depth + 1)));
            parts.collect::<Vec<_>>().join(", ")
        }
    }
}

/// The name of a body field for people, short enough for its column.
fn label(name: &str) -> String {
    match name {
        "expected_action" => "Action".into(),
        "suspected_malicious" => "Malicious".into(),
        "cross_border" => "Cross-border".into(),
        "source_reliability" => "Source".into(),
        "information_credibility" => "Credibility".into(),
        "other_classifications" => "Also classed".into(),
        "indicators" => "Indicator".into(),
        "assets" => "Asset".into(),
        _ => {
            let spaced = screen::cut(&name.replace('_', " "), 13);
            let mut characters = spaced.chars();
            characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
        }
    }
}

fn answer_text(answer: &AnswerView, page: Page) -> String {
    let said = answer.status.map_or(answer.state.as_str(), aldis_control::AnswerStatus::shown);
    let who = format!("{said} by {} at {}, {}", answer.by, answer.peer, when::full(answer.at, page.now));
    let mut shown = page.toned_field("Answer", &who, Tone::Heading);
    shown.push_str(&page.field("Reason", answer.justification.as_deref().unwrap_or_default()));
    if let Some(until) = answer.until {
        shown.push_str(&page.field("Until", &when::full(until, page.now)));
    }
    shown.push_str(&screen::block(&answer.text, "  | ", WIDTH));
    shown
}

/// What proves it: digest, place in the signed batch, receipt, history.
fn evidence(view: &MessageView, page: Page) -> String {
    let mut shown = String::from("\n");
    shown.push_str(&page.field("Unknown codes", &view.unknown_codes.join(", ")));
    for extension in &view.extensions {
        shown.push_str(&page.field("Extension", &format!("{}: {}", extension.tag, extension.hex)));
    }
    shown.push_str(&page.field("Digest", &view.digest));
    let proof = view.proof;
    shown.push_str(&page.field("Signed", &format!("as {} of {} in its batch", proof.index + 1, proof.batch_size)));
    match &view.receipt {
        Some(receipt) => {
            let upto = format!("{}{}", receipt.lane.letter(), receipt.seq);
            let text =
                format!("on disk at {}, up to {upto} {}", when::full(receipt.stored_at, page.now), receipt.digest);
            shown.push_str(&page.toned_field("Receipt", &text, Tone::Good));
        }
        None if view.row.direction == Direction::Out => {
            shown.push_str(&page.field("Receipt", "none yet"));
        }
        None => {}
    }
    for opening in &view.row.opened {
        shown.push_str(&page.field("Opened", &format!("{} by {}", when::full(opening.at, page.now), opening.by)));
    }
    for entry in &view.history {
        shown.push_str(&page.field("History", &history_text(entry, page)));
    }
    shown
}

fn history_text(entry: &HistoryEntry, page: Page) -> String {
    let by = entry.by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
    format!("{} {}{by}: {}", when::full(entry.at, page.now), entry.state.as_str(), entry.cause)
}
