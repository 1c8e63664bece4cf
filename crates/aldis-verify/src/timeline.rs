//! The timeline in an evidence file: one line for each thing that somebody signed a time for, in the order of those
//! times. It follows from the other entries alone, so a reader's program can tell whether it is true to them.

use crate::evidence::{Evidence, Message};
use aldis_wire::header::ReferenceRole;
use aldis_wire::ids::{EnvelopeId, UnixMillis};

/// Writes the timeline.
pub fn write(evidence: &Evidence) -> String {
    let mut lines: Vec<(UnixMillis, String)> = Vec::new();
    for (id, message) in &evidence.messages {
        lines.push((message.signed.header.sent_at, sent(id, message)));
    }
    for receipt in evidence.receipts.values() {
        let said = &receipt.said;
        let places: Vec<String> =
            said.stored.iter().map(|mark| format!("{} up to {}", mark.lane.letter(), mark.seq)).collect();
        let places = if places.is_empty() { "nothing".to_owned() } else { places.join(", ") };
        lines.push((said.stored_at, format!("{} has on its disk from {}: {places}", said.from, said.to)));
    }
    lines.push((evidence.exported_at, format!("{} made this file", evidence.exporter)));
    lines.sort();
    let mut text = "Each time is of the clock of the node that is named first.\n\n".to_owned();
    lines.iter().for_each(|(at, line)| text.push_str(&format!("{at}  {line}\n")));
    text
}

fn sent(id: &EnvelopeId, message: &Message) -> String {
    let header = &message.signed.header;
    let mut line = format!("{} signed {id}: {}, {}", id.from, header.kind, header.tlp);
    if header.exercise.is_some() {
        line.push_str(", an exercise");
    }
    for reference in header.references.iter() {
        let role = match reference.role {
            ReferenceRole::ANSWERS => "answers",
            ReferenceRole::SUPERSEDES => "supersedes",
            ReferenceRole::RELATES => "relates to",
            ReferenceRole::RECALLS => "recalls",
            _ => "names",
        };
        line.push_str(&format!(", {role} {}", reference.envelope));
    }
    line
}
