//! Lists of messages: inbox, outbox, log, what was just sent, and the lines of the live view.

use std::collections::BTreeMap;

use aldis_control::{
    AnswerStatus, DeliveryState, Direction, Event, EventKind, ExportMark, LadderMark, LogPage, MessageRow, Opening,
    SendResponse, Tlp,
};

use super::attachments::{came, missing};
use super::{Page, count, precedence_word};
use crate::paint::{Tone, precedence_tone};
use crate::screen;
use crate::table::{Cell, Table, WIDTH};
use crate::when;

/// The inbox: what needs an answer first, most urgent first, then the rest as the daemon ordered it.
pub(crate) fn inbox(rows: &[MessageRow], page: Page) -> String {
    let (mut waiting, rest): (Vec<&MessageRow>, Vec<&MessageRow>) = rows.iter().partition(|row| waits_for_us(row));
    waiting.sort_by_key(|row| (row.precedence, row.sent_at));
    if waiting.is_empty() && rest.is_empty() {
        return "Nothing waits for an answer.\n".into();
    }
    let mut shown = String::new();
    if !waiting.is_empty() {
        shown.push_str(&page.heading(&format!("{} for an answer{}", waits(waiting.len()), climbing(&waiting))));
        shown.push_str(&table(&waiting, page));
    }
    if !rest.is_empty() {
        if !waiting.is_empty() {
            shown.push('\n');
        }
        shown.push_str(&page.heading("Nothing more to do here"));
        shown.push_str(&table(&rest, page));
    }
    shown
}

/// The outbox, as the daemon ordered it; what went to several recipients stands together, one line for each, and all but
/// the first begin with a `+`.
pub(crate) fn outbox(rows: &[MessageRow], page: Page) -> String {
    if rows.is_empty() {
        return "Everything that was sent is finished.\n".into();
    }
    let rows = together(rows);
    let silent = climbing(&rows.iter().map(|(row, _)| *row).collect::<Vec<_>>());
    let heading = if silent.is_empty() { String::new() } else { page.heading(&format!("Not finished{silent}")) };
    format!("{heading}{}", marked_table(rows.into_iter(), page))
}

/// Rows with those of one message behind the first of them, and whether a row is such a further one. The copies of a
/// message are signed in one moment, and are alike but for the recipient.
fn together(rows: &[MessageRow]) -> Vec<(&MessageRow, bool)> {
    let message = |row: &MessageRow| (row.case.clone(), row.sent_at, row.kind.clone(), row.precedence);
    let mut copies: BTreeMap<_, Vec<&MessageRow>> = BTreeMap::new();
    for row in rows {
        copies.entry(message(row)).or_default().push(row);
    }
    let groups = rows.iter().filter_map(|row| copies.remove(&message(row)));
    groups.flat_map(|group| group.into_iter().enumerate().map(|(at, row)| (row, at > 0))).collect()
}

/// A page of the log, who opened what is TLP:RED in it, and how to see the next.
pub(crate) fn log(found: &LogPage, page: Page) -> String {
    if found.rows.is_empty() {
        return "Nothing in the log matches.\n".into();
    }
    let mut shown = table(&found.rows.iter().collect::<Vec<_>>(), page);
    shown.extend(found.rows.iter().filter(|row| !row.opened.is_empty()).map(|row| opened(row, page)));
    shown.extend(found.rows.iter().filter(|row| !row.exported.is_empty()).map(|row| exported(row, page)));
    if let Some(next) = &found.next {
        shown.extend([
            "More: repeat with --before ",
            &screen::cell(next),
            "
",
        ]);
    }
    shown
}

/// What became of a message that was just sent.
pub(crate) fn sent(response: &SendResponse, page: Page) -> String {
    if let Some(draft) = response.draft {
        let heading = format!("NOT SENT. Draft {draft} waits for another person; nothing was signed or sent yet");
        let mut shown = format!("{}\n", page.paint.apply(Tone::Bad, &heading));
        shown.push_str(&page.field("Release", &format!("`aldis release {draft}` as another Unix user")));
        let until = response.release_by.map(|until| when::full(until, page.now));
        shown.push_str(&page.field("Until", &until.unwrap_or_default()));
        shown.push_str(&page.field("Case", &response.case));
        return shown;
    }
    let mut table = Table::new(&["ID", "STATE", "DIGEST"]);
    for message in &response.messages {
        let digest = Cell::toned(&message.digest, Tone::Quiet);
        table.push(vec![
            Cell::new(&message.id.to_string()),
            Cell::toned(message.state.as_str(), state_tone(message.state)),
            digest,
        ]);
    }
    format!("{}{}", table.render(page.paint), page.field("Case", &response.case))
}

/// One line, or two, of the live view.
pub(crate) fn event(event: &Event, page: Page) -> String {
    let text = event.at.to_string();
    let time = page.paint.apply(Tone::Quiet, &format!("{}Z", &text[11..19]));
    let tone = match event.what {
        EventKind::Alarm | EventKind::Alert | EventKind::Ladder => Tone::Bad,
        EventKind::Received => Tone::Heading,
        _ => Tone::Plain,
    };
    let what = page.paint.apply(tone, &format!("{:<8}", event.what.as_str()));
    let Some(row) = &event.message else {
        let who = event.peer.as_deref().map(|peer| format!("{}: ", screen::cell(peer))).unwrap_or_default();
        return folded_line(&format!("{time} {what} "), 19, &format!("{who}{}", screen::cell(&event.text)));
    };
    let (precedence, precedence_tone) = precedence_label(row);
    let (state, state_tone) = row_state(row);
    // What a step says stands nowhere in the message.
    let told = match event.what {
        EventKind::Ladder => format!("{}: ", event.text),
        EventKind::File => came(row).map_or(String::new(), |(_, text)| format!("{text}: ")),
        _ => String::new(),
    };
    let head = [
        screen::cell(&short_id(row)),
        page.paint.apply(precedence_tone, &precedence),
        page.paint.apply(Tone::Tlp(row.tlp), row.tlp.label()),
        page.paint.apply(state_tone, &state),
    ];
    format!(
        "{time} {what} {}\n{}",
        head.join("  "),
        folded_line(&" ".repeat(19), 19, &format!("{told}{}", subject(row)))
    )
}

/// The id as people type it: without this node where it is the recipient.
pub(crate) fn short_id(row: &MessageRow) -> String {
    match row.direction {
        Direction::In => format!("{}/{}{}", row.id.from, row.id.lane.letter(), row.id.seq),
        Direction::Out => row.id.to_string(),
    }
}

/// The delivery state in a word; a decision replaces `decided`.
pub(crate) fn state_word(state: DeliveryState, status: Option<AnswerStatus>) -> String {
    match (state, status) {
        (DeliveryState::Decided, Some(status)) => status.shown().into(),
        _ => state.as_str().into(),
    }
}

/// Whether somebody here still has to answer it.
fn waits_for_us(row: &MessageRow) -> bool {
    use DeliveryState::{Notified, Relayed, Reopened, Seen, Stored, Submitted};
    // A case that nobody attended to climbs, and is open again.
    let open = matches!(row.state, Submitted | Relayed | Stored | Notified | Seen | Reopened)
        || row.ladder.as_ref().is_some_and(LadderMark::climbs)
        || row.state == DeliveryState::Decided && row.status == Some(AnswerStatus::Pending);
    let is_answer = matches!(row.kind.as_str(), "acknowledgement" | "tombstone");
    row.direction == Direction::In && !is_answer && row.superseded_by.is_none() && open
}

fn waits(number: usize) -> String {
    if number == 1 { "1 message waits".into() } else { format!("{} wait", count(number, "message")) }
}

/// How many of these climb, and how far; empty if none does.
fn climbing(rows: &[&MessageRow]) -> String {
    let climbing: Vec<&LadderMark> =
        rows.iter().filter_map(|row| row.ladder.as_ref()).filter(|mark| mark.climbs()).collect();
    let Some(furthest) = climbing.iter().max_by_key(|mark| mark.step) else { return String::new() };
    let what = if climbing.len() == 1 { "1 climbs".to_owned() } else { format!("{} climb", climbing.len()) };
    format!(", {what}, at step {} of {}", furthest.step, furthest.of)
}

fn table(rows: &[&MessageRow], page: Page) -> String {
    marked_table(rows.iter().map(|row| (*row, false)), page)
}

fn marked_table<'a>(rows: impl Iterator<Item = (&'a MessageRow, bool)>, page: Page) -> String {
    let mut table = Table::new(&["ID", "PRECEDENCE", "TLP", "STATE", "SENT", "SUBJECT"]);
    for (row, further) in rows {
        let (precedence, precedence_tone) = precedence_label(row);
        let (state, state_tone) = row_state(row);
        let mark = if further { "+ " } else { "" };
        table.push(vec![
            Cell::new(&format!("{mark}{}", short_id(row))),
            Cell::toned(&precedence, precedence_tone),
            Cell::toned(row.tlp.label(), Tone::Tlp(row.tlp)),
            Cell::toned(&state, state_tone),
            Cell::new(&when::short(row.sent_at, page.now)),
            Cell::new(&subject(row)),
        ]);
    }
    table.render(page.paint)
}

fn state_tone(state: DeliveryState) -> Tone {
    use DeliveryState::{Acknowledged, Decided, Expired, Recalled, Refused, Reopened};
    match state {
        Refused | Expired | Reopened => Tone::Bad,
        Acknowledged | Decided => Tone::Good,
        Recalled => Tone::Quiet,
        _ => Tone::Plain,
    }
}

/// The precedence, or that it is only an exercise: in a column of its own, where no peer can write (I12).
fn precedence_label(row: &MessageRow) -> (String, Tone) {
    if row.exercise.is_some() {
        return (format!("EXERCISE/{}", row.precedence.letter()), Tone::Exercise);
    }
    (precedence_word(row.precedence), precedence_tone(row.precedence))
}

/// The state in a list, again where no peer can write: what has been superseded or is late must show.
fn row_state(row: &MessageRow) -> (String, Tone) {
    let word = if row.superseded_by.is_some() { "superseded".into() } else { state_word(row.state, row.status) };
    if row.held.is_some() {
        return (format!("{word} HELD"), Tone::Bad);
    }
    if let Some(mark) = row.ladder.as_ref().filter(|mark| mark.climbs()) {
        return (format!("{word} STEP {}/{}", mark.step, mark.of), Tone::Bad);
    }
    if row.late {
        return (format!("{word} LATE"), Tone::Bad);
    }
    match missing(row) {
        Some(missing) => (format!("{word} {missing}"), Tone::Heading),
        None => (word, state_tone(row.state)),
    }
}

/// The subject, behind the reason where there is one for a refusal. No list has that of TLP:RED.
fn subject(row: &MessageRow) -> String {
    let text = match (row.subject.is_empty(), row.tlp) {
        (false, _) => row.subject.clone(),
        (true, Tlp::Red) => "(RED: aldis show opens it)".to_owned(),
        (true, _) => format!("({})", row.kind),
    };
    let text = row.refusal.as_ref().map_or(text.clone(), |refusal| format!("[{}] {text}", refusal.code));
    // The column before says that it is an exercise; here stands which.
    row.exercise.as_ref().map_or(text.clone(), |name| format!("{name}: {text}"))
}

/// Who opened a TLP:RED message here, and when.
fn opened(row: &MessageRow, page: Page) -> String {
    let opening = |one: &Opening| format!("{} {}", one.by, when::short(one.at, page.now));
    let openings: Vec<String> = row.opened.iter().map(opening).collect();
    page.field("Opened", &format!("{} by {}", short_id(row), openings.join(", ")))
}

/// Who gave a message out of the node's care, and when.
fn exported(row: &MessageRow, page: Page) -> String {
    let export = |one: &ExportMark| {
        let bodies = if one.bodies { "" } else { " without its body" };
        format!("{} {}{bodies}", one.by, when::short(one.at, page.now))
    };
    let exports: Vec<String> = row.exported.iter().map(export).collect();
    page.field("Exported", &format!("{} by {}", short_id(row), exports.join(", ")))
}

/// A line behind a head that is already painted, folded under itself.
fn folded_line(head: &str, head_width: usize, text: &str) -> String {
    let lines = screen::fold(&screen::cell(text), WIDTH - head_width);
    let mut shown = String::new();
    for (at, line) in lines.iter().enumerate() {
        let blank = " ".repeat(head_width);
        let head = if at == 0 { head } else { &blank };
        shown.push_str(format!("{head}{line}").trim_end());
        shown.push('\n');
    }
    shown
}
