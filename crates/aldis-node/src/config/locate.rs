//! Finds the line and the field of an error in a configuration file, and the known key nearest to an unknown one.

use super::error::Place;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// The place of the bytes `span` of `text`.
pub(super) fn place_of_span(text: &str, span: Option<Range<usize>>) -> Place {
    let Some(span) = span else { return Place { line: 1, field: String::new() } };
    let start = span.start.min(text.len());
    // A text with errors parses as far as it makes sense, and that is enough to name the field.
    let (document, _errors) = DeTable::parse_recoverable(text);
    let mut names = Vec::new();
    descend(document.get_ref(), start, &mut names);
    Place { line: line_at(text, start), field: names.join(".") }
}

/// The place of a field such as `limits.heartbeat_ms`; of its section if the file does not have it.
pub(super) fn place_of_field(text: &str, field: &str) -> Place {
    let (document, _errors) = DeTable::parse_recoverable(text);
    let mut table = document.get_ref();
    let mut start = 0;
    for name in field.split('.') {
        let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == name) else { break };
        start = key.span().start;
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    Place { line: line_at(text, start), field: field.to_owned() }
}

/// What to do about a serde message such as "unknown field `x`, expected one of `a`, `b`".
pub(super) fn explained(message: &str) -> String {
    let mut words = message.split('`').skip(1).step_by(2);
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let unknown = words.next().unwrap_or(rest);
        let known: Vec<&str> = words.collect();
        return format!("unknown key `{}`; {}", unknown.escape_debug(), advice(unknown, &known));
    }
    match (message.strip_prefix("missing field "), words.next()) {
        (Some(_), Some(missing)) => format!("the key `{missing}` is missing: add it"),
        _ => message.replace('\n', " "),
    }
}

fn advice(unknown: &str, known: &[&str]) -> String {
    let scored = known.iter().map(|name| (strsim::jaro_winkler(unknown, name), name));
    match scored.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((score, nearest)) if score > 0.75 => format!("did you mean `{nearest}`?"),
        _ => format!("known here: {}", known.join(", ")),
    }
}

fn descend(table: &DeTable<'_>, at: usize, names: &mut Vec<String>) {
    for (key, value) in table {
        if key.span().contains(&at) {
            // The key itself is at fault: the message names it, so the place is where it stands.
            names.push(key.get_ref().to_string());
            return descend_value(value.get_ref(), at, names);
        }
        if value.span().contains(&at) {
            names.push(key.get_ref().to_string());
            return descend_value(value.get_ref(), at, names);
        }
    }
    // A section's own span covers its heading only, so what lies below it is looked for one level further down.
    for (key, value) in table {
        let before = names.len();
        names.push(key.get_ref().to_string());
        descend_value(value.get_ref(), at, names);
        if names.len() > before + 1 {
            return;
        }
        names.truncate(before);
    }
}

fn descend_value(value: &DeValue<'_>, at: usize, names: &mut Vec<String>) {
    match value {
        DeValue::Table(inner) => descend(inner, at, names),
        DeValue::Array(items) => {
            for item in items {
                let before = names.len();
                descend_value(item.get_ref(), at, names);
                if names.len() > before {
                    return;
                }
            }
        }
        _ => {}
    }
}

fn line_at(text: &str, at: usize) -> usize {
    // `at` may lie inside a character, so the bytes are cut and not the text.
    text.as_bytes()[..at].split(|byte| *byte == b'\n').count()
}
