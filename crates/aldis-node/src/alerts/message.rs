//! What an alert says. Never the body of a message: who, what, since when and what to do next come from its header. The
//! subject of a message is said only by a channel that is cleared for its label, and of TLP:RED by none, for reading one
//! goes on record. Every text of a peer's is escaped.

use crate::clock;
use crate::log::LogHandle;
use aldis_control::{MessageRow, Tlp};
use aldis_core::ladder::{Alert, AlertId, Cause, Silence};
use aldis_core::record::RecordSeq;
use aldis_wire::codec::Text;
use aldis_wire::ids::{EnvelopeId, NodeId, UnixMillis};
use aldis_wire::lane::Lane;
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// The most messages that are named.
const NAMED_MAX: usize = 32;
/// How long the message log is waited for at most; without it an alert has no subjects and no cases.
const LOG_LIMIT: Duration = Duration::from_secs(2);
/// Which part of the time an alert may take that is at most.
const LOG_PART: u32 = 8;

/// What an alert says, for every channel.
#[derive(Clone, Debug)]
pub(super) struct Telling {
    /// The node that tells.
    pub(super) node: NodeId,
    /// The alert.
    pub(super) alert: Alert,
    cases: BTreeSet<String>,
    subjects: Vec<(Tlp, Subject)>,
}

#[derive(Clone, Debug, Serialize)]
struct Subject {
    message: String,
    tlp: &'static str,
    subject: String,
}

/// The document on a command's standard input and in a webhook's body; docs/administration.md describes it.
#[derive(Serialize)]
struct Document<'a> {
    v: u8,
    probe: bool,
    node: &'a str,
    alert: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    exercise: Option<String>,
    people: &'a [&'a str],
    silence: &'static str,
    cause: &'static str,
    step: u8,
    of: u8,
    step_name: String,
    peer: &'a str,
    precedence: &'static str,
    count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    draft: Option<String>,
    messages: Vec<String>,
    cases: &'a BTreeSet<String>,
    since: String,
    again: bool,
    subjects: Vec<&'a Subject>,
    text: String,
    next: String,
}

#[derive(Serialize)]
struct Probe<'a> {
    v: u8,
    probe: bool,
    node: &'a str,
}

impl Telling {
    /// What there is to say of an alert that may take `within`; the log is asked for cases and subjects, and not waited for
    /// longer than a moment.
    pub(super) async fn of(alert: Alert, node: &NodeId, log: &LogHandle, within: Duration) -> Self {
        let limit = LOG_LIMIT.min(within / LOG_PART);
        let rows = tokio::time::timeout(2 * limit, rows(&alert, log.clone(), limit)).await.unwrap_or_default();
        Self::with_rows(alert, node, &rows)
    }

    pub(super) fn with_rows(alert: Alert, node: &NodeId, rows: &[MessageRow]) -> Self {
        let cases = rows.iter().map(|row| shown(&row.case)).collect();
        let may_be_said = |row: &&MessageRow| row.tlp != Tlp::Red && !row.subject.is_empty();
        let subject = |row: &MessageRow| {
            let (message, subject) = (row.id.to_string(), shown(&row.subject));
            (row.tlp, Subject { message, tlp: row.tlp.label(), subject })
        };
        let subjects = rows.iter().filter(may_be_said).map(subject).collect();
        Self { node: node.clone(), alert, cases, subjects }
    }

    /// The document for programs, as a channel with this clearance says it to these people.
    pub(super) fn document(&self, clearance: Tlp, people: &[&str]) -> Vec<u8> {
        let alert = &self.alert;
        let document = Document {
            v: 1,
            probe: false,
            node: self.node.as_str(),
            alert: alert.id.to_string(),
            exercise: alert.exercise.as_deref().map(shown),
            people,
            silence: alert.silence.name(),
            cause: alert.cause.name(),
            step: alert.step,
            of: alert.of,
            step_name: shown(&alert.step_name),
            peer: alert.peer.as_str(),
            precedence: alert.lane.name(),
            count: alert.count,
            draft: alert.draft.map(|draft| draft.to_string()),
            messages: self.named(),
            cases: &self.cases,
            since: alert.since.to_string(),
            again: alert.again,
            subjects: self.subjects_for(clearance).collect(),
            text: title(alert),
            next: next_step(alert),
        };
        serde_json::to_vec(&document).expect("the document is made of strings and numbers")
    }

    /// The text of a letter, as a channel with this clearance says it.
    pub(super) fn letter(&self, clearance: Tlp) -> String {
        let alert = &self.alert;
        let mut lines = vec![title(alert), String::new()];
        if let Some(name) = alert.exercise.as_deref().map(shown) {
            lines.push(format!("This is part of the exercise {name}. Nothing real has happened."));
        }
        if alert.again {
            lines.push("The node was restarted: you may have this alert already.".to_owned());
        }
        lines.push(format!("Alert {} of {}, since {}.", alert.id, self.node, alert.since));
        let named = self.named();
        let unnamed = if alert.draft.is_some() { 0 } else { alert.count.saturating_sub(named.len() as u64) };
        lines.extend(named.into_iter().map(|id| format!("  message {id}")));
        if unnamed > 0 {
            lines.push(format!("  and {unnamed} more"));
        }
        lines.extend(self.cases.iter().map(|case| format!("  case {case}")));
        let subjects = self.subjects_for(clearance);
        lines.extend(subjects.map(|said| format!("  {} {}: {}", said.tlp, said.message, said.subject)));
        lines.push(format!("Next: {}", next_step(alert)));
        lines.push(String::new());
        lines.join("\n")
    }

    fn named(&self) -> Vec<String> {
        self.alert.messages.iter().take(NAMED_MAX).map(ToString::to_string).collect()
    }

    fn subjects_for(&self, clearance: Tlp) -> impl Iterator<Item = &Subject> {
        // The labels stand in order, most restrictive first.
        let covered = move |(tlp, _): &&(Tlp, Subject)| *tlp >= clearance && *tlp != Tlp::Red;
        self.subjects.iter().filter(covered).map(|(_, subject)| subject)
    }
}

/// The messages an alert names, as the log has them: what it does not have within the limit is not said.
async fn rows(alert: &Alert, log: LogHandle, limit: Duration) -> Vec<MessageRow> {
    let ids: Vec<EnvelopeId> = alert.messages.iter().take(NAMED_MAX).cloned().collect();
    log.wake();
    if ids.is_empty() {
        return Vec::new();
    }
    // The alert's own record stands behind those of its messages.
    let _behind = log.caught_up(alert.id.0.0 + 1, limit).await;
    let read = move || match log.query() {
        Ok(query) => ids.iter().filter_map(|id| query.message_row(id).ok()).collect(),
        Err(_) => Vec::new(),
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_default()
}

/// An alert about nothing, by which a channel is tried. It is an exercise (I12), its number is no record's, and no two are
/// the same.
pub(super) fn test_alert(node: &NodeId, at: UnixMillis, people: Vec<(Text<64>, Vec<Text<32>>)>) -> Alert {
    Alert {
        id: AlertId(RecordSeq(u64::from(u32::from_be_bytes(clock::random())) | 1 << 63)),
        silence: Silence::Received,
        cause: Cause::Arrived,
        step: 0,
        of: 0,
        step_name: Text::cut("test"),
        peer: node.clone(),
        lane: Lane::Routine,
        exercise: Some("test of the alert channels".into()),
        messages: Vec::new(),
        count: 0,
        since: at,
        people,
        draft: None,
        again: false,
    }
}

/// An alert in one line: who is silent about what. An exercise says so first (I12).
pub(crate) fn title(alert: &Alert) -> String {
    let exercise = alert.exercise.as_deref().map(|name| format!("EXERCISE {}: ", shown(name))).unwrap_or_default();
    let (lane, peer) = (alert.lane.name().to_ascii_uppercase(), &alert.peer);
    let messages = if alert.count == 1 { "a message".to_owned() } else { format!("{} messages", alert.count) };
    let what = match (alert.silence, alert.cause) {
        _ if alert.count == 0 => "nothing has happened".to_owned(),
        (Silence::Draft, _) => "a draft still waits for a second person to release it".to_owned(),
        (Silence::Undelivered, _) => format!("{peer} has not confirmed {messages}"),
        (Silence::Sent, Cause::PromisePassed) => format!("{peer} has not decided {messages} by the time it promised"),
        (Silence::Sent, Cause::Unattended) => format!("{peer} has not decided {messages}"),
        (Silence::Sent, _) => format!("nobody at {peer} has acknowledged {messages}"),
        (_, Cause::Checked) => format!("{peer} checks whether anybody is here: a drill, nothing has happened"),
        (Silence::Received, Cause::Arrived) => format!("{messages} from {peer}"),
        (Silence::Received, Cause::Unattended) => format!("{messages} from {peer}: acknowledged, not decided"),
        (Silence::Received, Cause::PromisePassed) => format!("{messages} from {peer}: the time we promised is over"),
        (Silence::Received, _) => format!("{messages} from {peer}: nobody here has acknowledged"),
    };
    let step = match alert.step {
        0 => String::new(),
        step => format!("; step {step} of {}, {}", alert.of, shown(&alert.step_name)),
    };
    format!("{exercise}{lane}: {what}{step}")
}

/// What whoever is alerted does first.
pub(crate) fn next_step(alert: &Alert) -> String {
    if let Some(draft) = alert.draft {
        return format!("aldis release {draft}");
    }
    let list = if alert.silence == Silence::Received { "aldis inbox" } else { "aldis outbox" };
    match alert.messages.first() {
        Some(first) if alert.cause == Cause::Checked => format!("aldis answer {first} acknowledge"),
        None if alert.count == 0 => "aldis status".to_owned(),
        Some(first) if alert.count == 1 => format!("aldis show {first}"),
        _ => list.to_owned(),
    }
}

/// Whether an alert may take the places of what is urgent.
pub(super) fn is_urgent(alert: &Alert) -> bool {
    alert.lane == Lane::Flash && alert.exercise.is_none()
}

/// The document that tries a channel.
pub(super) fn probe(node: &NodeId) -> Vec<u8> {
    serde_json::to_vec(&Probe { v: 1, probe: true, node: node.as_str() }).expect("the document is made of strings")
}

/// A text with everything escaped that does not show, or that turns the direction of what follows.
pub(super) fn shown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\'' | '\\' => safe.push(character),
            _ => safe.extend(character.escape_debug()),
        }
    }
    safe
}
