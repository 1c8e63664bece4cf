//! What an evidence file proves and what it does not, in plain words.

use crate::compare::Fork;
use crate::escape;
use crate::evidence::{Evidence, Message};
use crate::facts::{Facts, How, MessageFact};
use crate::trust::Trusted;
use aldis_wire::header::Header;
use aldis_wire::ids::EnvelopeId;
use aldis_wire::kinds;

/// What a good file proves.
pub fn facts(evidence: &Evidence, facts: &Facts, trusted: &Trusted) -> String {
    let checkpoint = &facts.checkpoint;
    let mut text = format!(
        "GOOD: everything in this file verifies.\n\nMade by {node} at {at} (its clock). Its journal then had {size} \
         records with the root\n{root}, signed with its key {key}.\n\n",
        node = facts.exporter,
        at = facts.exported_at,
        size = checkpoint.size,
        root = checkpoint.root,
        key = checkpoint.key,
    );
    text.push_str(&keys(facts, trusted));
    for ((id, message), fact) in evidence.messages.iter().zip(&facts.messages) {
        text.push_str(&self::message(id, message, fact, &facts.exporter));
    }
    for contradiction in &facts.contradictions {
        text.push_str(&match contradiction.how {
            How::Equivocation => format!(
                "\nEQUIVOCATION at {}: its sender signed two headers that contradict each other, in one run.\n",
                contradiction.id
            ),
            How::Restored => format!(
                "\nTwo headers that contradict each other at {}, signed in two runs: its sender was restored from a backup, \
                 or cloned.\n",
                contradiction.id
            ),
        });
    }
    text.push_str(&not_proven(facts, trusted));
    text
}

/// What two good files show together.
pub fn forks(forks: &[Fork]) -> String {
    if forks.is_empty() {
        return "\nThe two files agree: nothing in one contradicts the other.\n".to_owned();
    }
    let lines: String = forks.iter().map(|fork| format!("  {fork}\n")).collect();
    format!("\nTHE TWO FILES CONTRADICT EACH OTHER:\n{lines}")
}

fn keys(facts: &Facts, trusted: &Trusted) -> String {
    let mut text = "Identity keys, by their fingerprints:\n".to_owned();
    for key in &facts.keys {
        let groups: Vec<&str> = (0..16).map(|group| &key.fingerprint[group * 4..group * 4 + 4]).collect();
        let compared = if trusted.knows(&key.node) { "as you gave it" } else { "NOT COMPARED" };
        text.push_str(&format!("  {} key {} ({compared})\n    {}\n", key.node, key.key, groups.join(" ")));
    }
    text
}

fn message(id: &EnvelopeId, message: &Message, fact: &MessageFact, exporter: &aldis_wire::ids::NodeId) -> String {
    let header = &message.signed.header;
    let exercise = header.exercise.as_ref().map_or("", |_| ", an exercise");
    let mut text = format!("\n{id}  {}, {}{exercise}\n  proven:\n", fact.kind, fact.tlp);
    let mut proven = vec![format!("{} signed it with its key {}", id.from, fact.key), author(header)];
    if let Some(receipt) = &fact.receipt {
        let how = match receipt.links {
            0 => "which names it".to_owned(),
            links => format!("which names the message {links} further on, linked to it by digests"),
        };
        proven.push(format!(
            "{} had it on its disk by {} (its clock): it signed {}, {how}",
            id.to, receipt.stored_at, receipt.file
        ));
    }
    for named in &fact.named_by {
        proven.push(format!(
            "{} had it: at {} (its clock) it signed {} ({}), which names its digest",
            id.to, named.sent_at, named.id, named.kind
        ));
    }
    if let Some(record) = fact.record {
        proven.push(format!("it is record {record} of {exporter}'s journal"));
    }
    if let Some(witness) = &fact.witness {
        proven.push(format!(
            "it was on record at {exporter} before {} ({}'s clock): the commitment in {} covers it",
            witness.stored_at,
            other(id, exporter),
            witness.file
        ));
    }
    proven.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
    if let Some((_, body)) = &message.body {
        text.push_str(&shown_body(header, body));
    }
    let missing = missing(id, fact);
    if !missing.is_empty() {
        text.push_str("  not proven:\n");
        missing.iter().for_each(|line| text.push_str(&format!("    {line}\n")));
    }
    text
}

fn author(header: &Header) -> String {
    let mut text = format!("its header says: written by \"{}\"", escape::line(&header.author));
    if let Some(released_by) = &header.released_by {
        text.push_str(&format!(", released by \"{}\"", escape::line(released_by)));
    }
    if let Some(on_behalf_of) = &header.on_behalf_of {
        text.push_str(&format!(", on behalf of \"{}\"", escape::line(on_behalf_of)));
    }
    text
}

fn shown_body(header: &Header, body: &[u8]) -> String {
    let json = kinds::to_json(&header.kind, header.kind_version, body);
    let json = json.and_then(|value| serde_json::to_string_pretty(&value).ok());
    match json {
        Some(json) => format!("    its body is the one that was signed:\n{}", escape::block(&json, "      | ")),
        None => format!(
            "    its body ({} bytes, of a kind this program cannot show) is the one that was signed\n",
            body.len()
        ),
    }
}

fn missing(id: &EnvelopeId, fact: &MessageFact) -> Vec<String> {
    let mut missing = Vec::new();
    if fact.witness.is_none() {
        missing.push(format!("when it was signed: {} is {}'s own word", fact.sent_at, id.from));
    }
    if fact.body == crate::index::BodyGiven::Withheld {
        missing.push("what it says: its body was not given".to_owned());
    }
    if fact.receipt.is_none() && fact.named_by.is_empty() {
        missing.push(format!("that {} had it: no receipt here is shown to cover it, and nothing names it", id.to));
    }
    if fact.record.is_none() {
        missing.push("that it stands in the journal of the node that made this file".to_owned());
    }
    missing
}

fn not_proven(facts: &Facts, trusted: &Trusted) -> String {
    let mut text =
        "\nNot proven by any such file:\n  that nothing else was sent: only the messages in it are shown\n  \
                    that a clock was right: each time is the word of the node it is named with\n  \
                    that one key follows another: where a key ended is the word of the node that made the file\n"
            .to_owned();
    let mut unknown: Vec<&str> = facts.keys.iter().map(|key| key.node.as_str()).collect();
    unknown.dedup();
    unknown.retain(|node| !facts.keys.iter().any(|key| key.node.as_str() == *node && trusted.knows(&key.node)));
    if !unknown.is_empty() {
        text.push_str(&format!(
            "  that these keys are the states': compare the fingerprints of {} with what you were given in person\n  \
             (--fingerprint NODE=FINGERPRINT or --card FILE)\n",
            unknown.join(" and ")
        ));
    }
    text
}

fn other<'a>(id: &'a EnvelopeId, exporter: &aldis_wire::ids::NodeId) -> &'a aldis_wire::ids::NodeId {
    if id.from == *exporter { &id.to } else { &id.from }
}
